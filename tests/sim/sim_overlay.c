/* sim_overlay.c - runs whole overlays from seeds: chaos, healing, and the trace each leaves.
 *
 * A seed that fails is printed with what was broken and the command that runs it again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/sim/checks.h"
#include "tests/sim/overlay.h"

#define START_US (60 * SECOND_US)  /* a quiet first minute */
#define CHAOS_US (300 * SECOND_US) /* after it */
#define JOBS_MAX 64

struct options {
    const char *program;
    uint64_t first;
    uint64_t count;
    uint32_t supernodes;
    uint32_t peers;
    uint32_t jobs;
    bool has_faults;
    bool trace;
    bool twice;  /* run every seed twice and compare the traces */
    bool hashes; /* print one line per seed, nothing else */
    bool verbose;
    bool plant_failure;    /* break a check of every seed, */
    bool plant_difference; /* or let the second run of a seed differ: to see that it is told */
};

struct result {
    struct hash trace;
    struct sim_counts counts;
    struct checks_counts checked;
    double virtual_s;
    char failure[300]; /* empty = all is well */
};

static void run_seed(const struct options *options, uint64_t seed, struct result *result) {
    struct overlay *overlay = mem_new(sizeof *overlay);
    struct overlay_config config = {.seed = seed,
                                    .supernodes = options->supernodes,
                                    .peers = options->peers,
                                    .has_files = true,
                                    .trace = options->trace};
    overlay_begin(overlay, &config);
    overlay_start_all(overlay);
    sim_run(overlay->sim, START_US);
    if (options->plant_failure) {
        sim_fail(overlay->sim, "a planted failure");
    }
    if (options->has_faults) {
        chaos_run(overlay, START_US + CHAOS_US);
    }
    healing_run(overlay);
    *result = (struct result){.trace = sim_trace_hash(overlay->sim),
                              .counts = sim_counts(overlay->sim),
                              .checked = checks_counts(overlay->checks),
                              .virtual_s = (double)sim_now_us(overlay->sim) / 1e6};
    if (sim_failure(overlay->sim) != NULL) {
        snprintf(result->failure, sizeof result->failure, "%s", sim_failure(overlay->sim));
    }
    overlay_end(overlay);
    mem_free(overlay);
}

static void print_replay(const struct options *options, uint64_t seed) {
    printf("  replay: %s --seeds %llu 1 --supernodes %u --peers %u --faults %s --trace\n",
           options->program, (unsigned long long)seed, options->supernodes, options->peers,
           options->has_faults ? "all" : "none");
}

static void print_result(uint64_t seed, const struct result *result) {
    char hex[2 * HASH_BYTES + 1];
    hex_format(hex, result->trace.b, HASH_BYTES);
    hex[16] = '\0';
    printf(
        "seed %llu: %.0f s virtual, %llu steps, %llu messages, %llu links, %llu resets, "
        "%llu queries, %llu hits, %llu blocks, %llu rotten, %llu pushes, %llu finished, %llu hard "
        "caps, trace %s\n",
        (unsigned long long)seed, result->virtual_s, (unsigned long long)result->counts.events,
        (unsigned long long)result->counts.messages, (unsigned long long)result->counts.links,
        (unsigned long long)result->counts.resets, (unsigned long long)result->checked.queries,
        (unsigned long long)result->checked.hits, (unsigned long long)result->checked.blocks,
        (unsigned long long)result->counts.rotten, (unsigned long long)result->checked.pushes,
        (unsigned long long)result->counts.finished, (unsigned long long)result->counts.hard_caps,
        hex);
}

/* Run one seed as the options say; false when it failed. */
static bool check_seed(const struct options *options, uint64_t seed) {
    struct result result;
    run_seed(options, seed, &result);
    if (options->hashes) {
        char hex[2 * HASH_BYTES + 1];
        hex_format(hex, result.trace.b, HASH_BYTES);
        printf("%llu %s\n", (unsigned long long)seed, hex);
    } else if (options->verbose) {
        print_result(seed, &result);
    }
    if (result.failure[0] != '\0') {
        printf("seed %llu FAILED %s\n", (unsigned long long)seed, result.failure);
        print_replay(options, seed);
        return false;
    }
    if (options->twice) {
        struct result again;
        run_seed(options, options->plant_difference ? seed + 1 : seed, &again);
        if (memcmp(again.trace.b, result.trace.b, HASH_BYTES) != 0) {
            printf("seed %llu FAILED: two runs leave different traces\n", (unsigned long long)seed);
            print_replay(options, seed);
            return false;
        }
    }
    return true;
}

/* Every `jobs`-th seed from the given one; return how many failed. */
static uint32_t check_share(const struct options *options, uint32_t share) {
    uint32_t failed = 0;
    for (uint64_t i = share; i < options->count; i += options->jobs) {
        failed += check_seed(options, options->first + i) ? 0 : 1;
        fflush(stdout);
    }
    return failed;
}

/* Split the seeds among processes; return how many of those saw a failure or died. */
static uint32_t check_all(const struct options *options) {
    if (options->jobs == 1) {
        return check_share(options, 0);
    }
    fflush(stdout);
    pid_t children[JOBS_MAX];
    for (uint32_t i = 0; i < options->jobs; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            exit(check_share(options, i) == 0 ? 0 : 1);
        }
    }
    uint32_t failed = 0;
    for (uint32_t i = 0; i < options->jobs; i++) {
        int status = 1;
        bool is_well = children[i] > 0 && waitpid(children[i], &status, 0) == children[i] &&
                       WIFEXITED(status) && WEXITSTATUS(status) == 0;
        failed += is_well ? 0 : 1;
        if (children[i] > 0 && WIFSIGNALED(status)) { /* it could not say which seed that was */
            printf("share %u of %u FAILED: signal %d; --jobs 1 --verbose shows where\n", i,
                   options->jobs, WTERMSIG(status));
        }
    }
    return failed;
}

static int usage(const char *program) {
    fprintf(stderr,
            "usage: %s --seeds FIRST COUNT | --hashes FIRST COUNT\n"
            "  --supernodes N   machines 0 to N-1, 0 is the anchor (6)\n"
            "  --peers N        the machines after them (60)\n"
            "  --faults all|none\n"
            "  --jobs N         processes to share the seeds (1)\n"
            "  --twice          run every seed twice and compare the traces\n"
            "  --verbose        one line of figures per seed\n"
            "  --trace          every step and message on standard output\n"
            "  --plant-failure, --plant-difference\n"
            "                   break every seed, to see how that is told\n",
            program);
    return 2;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value) {
    char *end = NULL;
    *value = text != NULL ? strtoull(text, &end, 10) : 0;
    return text != NULL && end != text && *end == '\0' && *value >= min && *value <= max;
}

/* Options with one number. */
static bool parse_option(struct options *options, const char *name, const char *value) {
    const struct {
        const char *name;
        uint32_t *to;
        uint64_t min;
        uint64_t max;
    } rows[] = {{"--supernodes", &options->supernodes, 1, 1000},
                {"--peers", &options->peers, 2, 100000},
                {"--jobs", &options->jobs, 1, JOBS_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t number = 0;
        if (strcmp(name, rows[i].name) == 0 &&
            parse_number(value, rows[i].min, rows[i].max, &number)) {
            *rows[i].to = (uint32_t)number;
            return true;
        }
    }
    bool is_all = strcmp(name, "--faults") == 0 && value != NULL && strcmp(value, "all") == 0;
    bool is_none = strcmp(name, "--faults") == 0 && value != NULL && strcmp(value, "none") == 0;
    options->has_faults = is_all || (options->has_faults && !is_none);
    return is_all || is_none;
}

static bool parse_flag(struct options *options, const char *name) {
    const struct {
        const char *name;
        bool *to;
    } rows[] = {{"--trace", &options->trace},
                {"--twice", &options->twice},
                {"--verbose", &options->verbose},
                {"--plant-failure", &options->plant_failure},
                {"--plant-difference", &options->plant_difference}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(name, rows[i].name) == 0) {
            *rows[i].to = true;
            return true;
        }
    }
    return false;
}

static bool parse(struct options *options, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        bool is_seeds = strcmp(argv[i], "--seeds") == 0;
        bool is_hashes = strcmp(argv[i], "--hashes") == 0;
        if (is_seeds || is_hashes) {
            options->hashes = is_hashes;
            if (i + 2 >= argc || !parse_number(argv[i + 1], 0, UINT64_MAX, &options->first) ||
                !parse_number(argv[i + 2], 1, UINT32_MAX, &options->count)) {
                return false;
            }
            i += 2;
        } else if (!parse_flag(options, argv[i])) {
            if (!parse_option(options, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
                return false;
            }
            i++;
        }
    }
    return options->count > 0;
}

int main(int argc, char **argv) {
    struct options options = {
        .program = argv[0], .supernodes = 6, .peers = 60, .jobs = 1, .has_faults = true};
    if (!parse(&options, argc, argv)) {
        return usage(argv[0]);
    }
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    uint32_t failed = check_all(&options);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (!options.hashes) {
        double seconds =
            (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
        printf("%llu seeds%s in %.1f s, %.1f a second; %s\n", (unsigned long long)options.count,
               options.twice ? " twice" : "", seconds, (double)options.count / seconds,
               failed == 0 ? "all passed" : "FAILED");
    }
    return failed == 0 ? 0 : 1;
}
