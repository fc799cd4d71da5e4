/* bench.c - runs the benchmarks asked for and prints their figures. */
#include "tests/bench/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/rng.h"
#include "tests/bench/bench_attack.h"
#include "tests/bench/bench_fanout.h"

#define COPY_BYTES (128u << 10) /* at once, as cp: the page cache keeps it in one piece */

static const struct {
    const char *name;
    void (*run)(const struct bench *bench);
    const char *what;
} benchmarks[] = {
    {"body", bench_query_body, "deflated size of 1,000 query bodies"},
    {"registration", bench_registration, "bytes to register a list, and what changed in one"},
    {"startup", bench_startup, "from exec to the first accepted connection"},
    {"latency", bench_latency, "from a search to its first hit through 1, 2 and 3 supernodes"},
    {"leaves", bench_leaves, "memory of a supernode per connected leaf with 100 files"},
    {"download", bench_download, "rate of a verified download from 1 and 4 sources"},
    {"unequal", bench_unequal, "a download from sources of 10 to 80 MiB/s, and one of 1 B/s"},
    {"rates", bench_rates, "whether limits on traffic hold over a minute, on real sockets"},
    {"library", bench_library, "sharing 100,000 small files, and the rate of hashing big ones"},
    {"index", bench_index, "the index on 1,000,000 real names: queries, memory, churn"},
    {"index5m", bench_index_5m, "the index on 5,000,000 real names"},
    {"slices", bench_slices, "the longest steps of an index in bad cases"},
    {"messages", bench_messages, "messages delivered to 50 links per second of CPU"},
    {"handshakes", bench_handshakes, "accepted links per second of CPU"},
    {"queries", bench_queries, "whole queries of a supernode per second of CPU"},
    {"load", bench_load, "2,000 leaves that search, for --minutes N"},
    {"overload", bench_overload, "what leaves notice of those who ask too much"},
    {"join", bench_join, "CPU time of a leaf's registration, without the handshake"},
    {"decide", bench_decide, "a decision about 1,900 supernodes and 2,000 candidates, in steps"},
    {"rank", bench_rank, "the score of 50,000 candidates with 30 measurements each"},
    {"lists", bench_lists, "the same without links, and the longest step while long lists come"},
};

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} roles[] = {
    {"fanout", bench_role_fanout},
    {"handshakes", bench_role_handshakes},
    {"caller", bench_role_caller},
    {"attack", bench_role_attack},
};
#define BENCHMARKS (sizeof benchmarks / sizeof *benchmarks)

void bench_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

double bench_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare_doubles(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double bench_percentile(double *values, size_t count, double percent) {
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof *values, compare_doubles);
    size_t rank = (size_t)((double)count * percent / 100);
    return values[rank < count ? rank : count - 1];
}

static bool reaches_target(const struct figure *figure) {
    return figure->better == BETTER_LOW ? figure->value <= figure->target
                                        : figure->value >= figure->target;
}

void bench_figure(const struct bench *bench, const struct figure *figure) {
    double ratio = figure->peer_value > 0 ? figure->value / figure->peer_value : 0;
    bool has_target = figure->target > 0;
    const char *ok = !has_target ? "null" : reaches_target(figure) ? "true" : "false";
    char target[40];
    if (bench->json) {
        snprintf(target, sizeof target, has_target ? "%.6g" : "null", figure->target);
        printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"peer\":\"%s\","
               "\"peer_value\":%.6g,\"ratio\":%.4g,\"target\":%s,\"ok\":%s}\n",
               figure->name, figure->value, figure->unit, figure->peer, figure->peer_value, ratio,
               target, ok);
    } else {
        snprintf(target, sizeof target, "-");
        if (has_target) {
            snprintf(target, sizeof target, "%s %.4g %s",
                     figure->better == BETTER_LOW ? "<=" : ">=", figure->target,
                     reaches_target(figure) ? "ok" : "MISSED");
        }
        printf("%-22s %10.4g %-6s %-30s %10.4g  %6.2fx  %s\n", figure->name, figure->value,
               figure->unit, figure->peer, figure->peer_value, ratio, target);
    }
    fflush(stdout);
}

void bench_show_log(const char *path) {
    FILE *file = fopen(path, "r");
    char line[512];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        fputs(line, stderr);
    }
    if (file != NULL) {
        fclose(file);
    }
}

void bench_write_file(const char *path, uint64_t bytes, uint64_t seed) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        bench_fail("cannot write %s", path);
    }
    struct rng rng;
    rng_seed(&rng, seed);
    static uint8_t chunk[COPY_BYTES];
    setvbuf(file, NULL, _IONBF, 0);
    while (bytes > 0) {
        size_t part = bytes < sizeof chunk ? (size_t)bytes : sizeof chunk;
        rng_fill(&rng, chunk, part);
        if (fwrite(chunk, 1, part, file) != part) {
            bench_fail("cannot write %s: is the disk full?", path);
        }
        bytes -= part;
    }
    if (fclose(file) != 0) {
        bench_fail("cannot write %s: is the disk full?", path);
    }
}

uint64_t bench_resident(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return 0;
    }
    char line[256];
    unsigned long kib = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmRSS: %lu kB", &kib) == 1) {
            break;
        }
    }
    fclose(file);
    return (uint64_t)kib * 1024;
}

double bench_cpu(pid_t pid) {
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        bench_fail("process %d has no clock: has it ended?", (int)pid);
    }
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static int run_role(int argc, char **argv) {
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (argc > 0 && strcmp(roles[i].name, argv[0]) == 0) {
            return roles[i].run(argc - 1, argv + 1);
        }
    }
    bench_fail("there is no such role");
}

static int usage(FILE *to, int status) {
    fputs("usage: bench [NAME] [--json] [--minutes N]\n\nbenchmarks:\n", to);
    for (size_t i = 0; i < BENCHMARKS; i++) {
        fprintf(to, "  %-10s %s\n", benchmarks[i].name, benchmarks[i].what);
    }
    return status;
}

static bool name_is_known(const char *name) {
    for (size_t i = 0; i < BENCHMARKS; i++) {
        if (strcmp(benchmarks[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv) {
    struct bench bench = {0};
    const char *only = NULL;
    if (argc > 1 && strcmp(argv[1], "--role") == 0) {
        return run_role(argc - 2, argv + 2);
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            bench.json = true;
        } else if (strcmp(argv[i], "--help") == 0) {
            return usage(stdout, 0);
        } else if (strcmp(argv[i], "--minutes") == 0 && i + 1 < argc) {
            bench.minutes = atof(argv[++i]);
        } else if (only == NULL && name_is_known(argv[i])) {
            only = argv[i];
        } else {
            fprintf(stderr, "bench: no benchmark is called '%s'\n", argv[i]);
            return usage(stderr, 2);
        }
    }
    bench.owner = owner_new("trunkline-bench");
    if (bench.owner == NULL) {
        bench_fail("cannot make a scratch folder in $TMPDIR or /tmp");
    }
    if (!bench.json) {
        printf("%-22s %10s %-6s %-30s %10s  %7s  %s\n", "figure", "value", "unit", "peer", "value",
               "ratio", "target");
    }
    for (size_t i = 0; i < BENCHMARKS; i++) {
        if (only == NULL || strcmp(only, benchmarks[i].name) == 0) {
            benchmarks[i].run(&bench);
        }
    }
    owner_free(bench.owner);
    return 0;
}
