/* elect.c - `lab elect`: reads what is to be compared, runs every seed of it, prints what came out.
 */
#include "src/lab/elect.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/units.h"
#include "src/lab/elect_world.h"

#define LIST_MAX 16 /* values of one option */
#define ELECT_NODES_MIN 100
#define ELECT_NODES_MAX 20000
#define IDENTITIES_MAX 10000
#define FLAT_MAX 200 /* identities up to which it must not matter how many they are */
#define SEEDS_MAX 100000
#define AWAY_FROM_EPOCH 6
#define WARM_UP_S 43200
#define EPOCHS_MAX 20000
#define DAY_MS 86400000

struct list {
    uint64_t values[LIST_MAX];
    uint32_t count;
};

struct options {
    struct elect_config config;
    const struct policy *policies[LIST_MAX];
    uint32_t policy_count;
    struct list shares;
    struct list identities;
    uint64_t epoch_ms;
    uint64_t dwell_ms;
    uint64_t hours;
    uint64_t away_hours;
    uint64_t first_seed;
    uint64_t seeds;
    const char *csv_path;
    FILE *csv;
    bool json;
    bool check;
};

/* One policy under one attack, over all seeds. */
struct outcome {
    const struct policy *policy;
    uint32_t share_percent;
    uint32_t identities;
    struct elect_result mean;
    struct elect_result worst; /* smallest use_min, largest of the others */
    double seats_error;        /* 95 % of means lie within so much of the true one */
    uint32_t flaps;
    uint32_t uncertified;
    uint32_t captured;
};

static int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int complain(const char *format, ...) {
    va_list args;
    fflush(stdout);
    fprintf(stderr, "lab elect: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return 2;
}

/* ---- Options ---- */

static const struct attack {
    const char *name;
    uint32_t flags;
    const char *what;
} attacks[] = {
    {"swarm", 0, "many identities on one line, honest otherwise"},
    {"uptime", ELECT_LIE_UPTIME, "they say that they have been up for a year"},
    {"rate", ELECT_LIE_RATE, "they say that each has a line of 1 GB/s"},
    {"rows", ELECT_BUY_ROWS, "their supernodes' rows praise them alone"},
    {"liars", ELECT_LIE_UPTIME | ELECT_LIE_RATE | ELECT_BUY_ROWS, "these three at once"},
    {"chase", ELECT_LIE_UPTIME | ELECT_LIE_RATE | ELECT_BUY_ROWS | ELECT_CHASE,
     "and the line goes to those who drew good numbers"},
    {"votes", ELECT_LIE_UPTIME | ELECT_LIE_RATE | ELECT_BUY_ROWS | ELECT_SIGN_OWN,
     "liars, whose supernodes sign for them alone"},
};
#define ATTACKS (sizeof attacks / sizeof *attacks)

static void usage(FILE *file) {
    fprintf(file,
            "usage: lab elect [OPTIONS]\n\n"
            "Elects the supernodes of a simulated network, epoch by epoch, with the code that\n"
            "real ones use.\n\n"
            "  --policy NAME,..    which policies, or `all`; reputation\n"
            "  --nodes N           online on average; 2000\n"
            "  --anchors N         3\n"
            "  --hours N           that are counted, after 12 that are not; 24\n"
            "  --epoch TIME        between two elections; 1h\n"
            "  --dwell TIME        within which nobody changes his role twice; 3h\n"
            "  --key-age N         epochs until a key may be a supernode; 3\n"
            "  --churn MODEL       aqualab (power law) or weibull; aqualab\n"
            "  --share P,..        percent of the candidates' bandwidth that the attacker\n"
            "                      has; 0 = nobody attacks\n"
            "  --identities N,..   of the attacker; 200\n"
            "  --attack KIND       what they do, see below; liars\n"
            "  --voting-duty       who does not sign what he should loses his seat\n"
            "  --away N            hours without anchors, from the 6th epoch on; 0\n"
            "  --seeds FIRST N     runs; 1 10\n"
            "  --csv FILE          every epoch of every run\n"
            "  --json              print JSON, one object per line\n"
            "  --check             exit with 1 when a promise was not kept\n"
            "\nKinds of attack:\n");
    for (size_t i = 0; i < ATTACKS; i++) {
        fprintf(file, "  %-8s %s\n", attacks[i].name, attacks[i].what);
    }
    fprintf(file, "\nPolicies:\n");
    for (uint32_t i = 0; policy_at(i) != NULL; i++) {
        fprintf(file, "  %-14s %s\n", policy_at(i)->name, policy_at(i)->what);
    }
}

/* Cut off the next value of a comma list; NULL at its end. */
static char *next_value(char **rest) {
    char *value = *rest;
    if (value == NULL) {
        return NULL;
    }
    char *comma = strchr(value, ',');
    if (comma != NULL) {
        *comma = '\0';
    }
    *rest = comma != NULL ? comma + 1 : NULL;
    return value;
}

static bool read_list(const char *text, uint64_t max, struct list *list) {
    char *copy = mem_string(text), *rest = copy;
    bool is_good = true;
    list->count = 0;
    for (const char *value; is_good && (value = next_value(&rest)) != NULL;) {
        is_good = list->count < LIST_MAX &&
                  units_parse_number(value, &list->values[list->count]) == OK &&
                  list->values[list->count++] <= max;
    }
    mem_free(copy);
    return is_good;
}

static bool read_policies(struct options *options, const char *text) {
    char *copy = mem_string(text), *rest = copy;
    bool is_good = true;
    options->policy_count = 0;
    if (strcmp(text, "all") == 0) {
        for (rest = NULL; policy_at(options->policy_count) != NULL; options->policy_count++) {
            options->policies[options->policy_count] = policy_at(options->policy_count);
        }
    }
    for (const char *name; is_good && (name = next_value(&rest)) != NULL;) {
        const struct policy *policy = policy_find(name);
        is_good = policy != NULL && options->policy_count < LIST_MAX;
        if (is_good) {
            options->policies[options->policy_count++] = policy;
        }
    }
    mem_free(copy);
    return is_good;
}

static bool read_attack(struct options *options, const char *text) {
    for (size_t i = 0; i < ATTACKS; i++) {
        if (strcmp(attacks[i].name, text) == 0) {
            options->config.attack = attacks[i].flags;
            return true;
        }
    }
    return false;
}

static bool read_churn(struct options *options, const char *text) {
    bool is_weibull = strcmp(text, "weibull") == 0;
    options->config.churn = is_weibull ? ELECT_WEIBULL : ELECT_AQUALAB;
    return is_weibull || strcmp(text, "aqualab") == 0;
}

static bool read_number(const char *text, uint64_t min, uint64_t max, uint64_t *number) {
    return units_parse_number(text, number) == OK && *number >= min && *number <= max;
}

static bool read_u32(const char *text, uint32_t min, uint32_t max, uint32_t *number) {
    uint64_t value = 0;
    bool is_good = read_number(text, min, max, &value);
    *number = (uint32_t)value;
    return is_good;
}

static bool read_time(const char *text, uint64_t min_ms, uint64_t *ms) {
    return units_parse_ms(text, ms) == OK && *ms >= min_ms && *ms <= DAY_MS && *ms % 1000 == 0;
}

static bool take_nodes(struct options *options, const char *text) {
    return read_u32(text, ELECT_NODES_MIN, ELECT_NODES_MAX, &options->config.nodes);
}

static bool take_anchors(struct options *options, const char *text) {
    return read_u32(text, 1, 16, &options->config.anchors);
}

static bool take_hours(struct options *options, const char *text) {
    return read_number(text, 1, 1000, &options->hours);
}

static bool take_away(struct options *options, const char *text) {
    return read_number(text, 0, 1000, &options->away_hours);
}

static bool take_epoch(struct options *options, const char *text) {
    return read_time(text, 1000, &options->epoch_ms);
}

static bool take_dwell(struct options *options, const char *text) {
    return read_time(text, 0, &options->dwell_ms);
}

static bool take_key_age(struct options *options, const char *text) {
    return read_u32(text, 0, 24, &options->config.key_age);
}

static bool take_shares(struct options *options, const char *text) {
    return read_list(text, 90, &options->shares);
}

static bool take_identities(struct options *options, const char *text) {
    return read_list(text, IDENTITIES_MAX, &options->identities);
}

static bool take_csv(struct options *options, const char *text) {
    options->csv_path = text;
    return text[0] != '\0';
}

static const struct option_row {
    const char *name;
    bool (*take)(struct options *options, const char *text);
    const char *remedy;
} option_rows[] = {
    {"--policy", read_policies, "names of policies with commas between, or `all`; see --help"},
    {"--nodes", take_nodes, "100 to 20000"},
    {"--anchors", take_anchors, "1 to 16"},
    {"--hours", take_hours, "1 to 1000"},
    {"--epoch", take_epoch, "whole seconds to a day, such as 10s or 1h"},
    {"--dwell", take_dwell, "whole seconds to a day, such as 30m or 3h"},
    {"--key-age", take_key_age, "0 to 24"},
    {"--churn", read_churn, "aqualab or weibull"},
    {"--share", take_shares, "percents from 0 to 90 with commas between"},
    {"--identities", take_identities, "numbers from 0 to 10000 with commas between"},
    {"--attack", read_attack, "swarm, uptime, rate, rows, liars, chase or votes"},
    {"--away", take_away, "0 to 1000"},
    {"--csv", take_csv, "a file"},
};

/* The row of an option that takes a value, or NULL. */
static const struct option_row *find_option(const char *name) {
    for (size_t i = 0; i < sizeof option_rows / sizeof *option_rows; i++) {
        if (strcmp(option_rows[i].name, name) == 0) {
            return &option_rows[i];
        }
    }
    return NULL;
}

static bool read_flag(struct options *options, const char *name) {
    options->json = options->json || strcmp(name, "--json") == 0;
    options->check = options->check || strcmp(name, "--check") == 0;
    bool is_duty = strcmp(name, "--voting-duty") == 0;
    options->config.voting_duty = options->config.voting_duty || is_duty;
    return is_duty || strcmp(name, "--json") == 0 || strcmp(name, "--check") == 0;
}

/* Set what follows from several options; 0 or the exit status. */
static int settle(struct options *options) {
    struct elect_config *config = &options->config;
    config->epoch_s = (uint32_t)(options->epoch_ms / 1000);
    config->dwell_s = (uint32_t)(options->dwell_ms / 1000);
    uint64_t epochs = options->hours * 3600 / config->epoch_s;
    if (epochs < 2 || epochs > EPOCHS_MAX) {
        return complain("%" PRIu64 " epochs are too %s; change --hours or --epoch", epochs,
                        epochs < 2 ? "few" : "many");
    }
    config->epochs = (uint32_t)epochs;
    config->warm_up = WARM_UP_S / config->epoch_s;
    config->away_from = AWAY_FROM_EPOCH;
    config->away = (uint32_t)(options->away_hours * 3600 / config->epoch_s);
    return 0;
}

/* Return 0 or the exit status for what is wrong. */
static int read_options(struct options *options, int argc, char *const *argv) {
    for (int i = 1; i < argc; i++) {
        if (read_flag(options, argv[i])) {
            continue;
        }
        if (strcmp(argv[i], "--seeds") == 0) {
            if (i + 2 >= argc || !read_number(argv[i + 1], 0, INT64_MAX, &options->first_seed) ||
                !read_number(argv[i + 2], 1, SEEDS_MAX, &options->seeds)) {
                return complain("--seeds takes the first one and how many (1 to 100000)");
            }
            i += 2;
            continue;
        }
        const struct option_row *row = find_option(argv[i]);
        if (row == NULL) {
            return complain("there is no option '%s'; `lab elect --help` lists them", argv[i]);
        }
        if (i + 1 >= argc || !row->take(options, argv[i + 1])) {
            return complain("%s takes %s", argv[i], row->remedy);
        }
        i++;
    }
    return settle(options);
}

/* ---- Runs ---- */

/* What a line of the CSV file begins with. */
struct line {
    const struct options *options;
    const struct elect_config *config;
};

static void write_epoch(void *context, const struct elect_epoch *epoch) {
    const struct line *line = context;
    const struct elect_config *config = line->config;
    fprintf(line->options->csv,
            "%s,%u,%u,%" PRIu64 ",%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%.4f,%.4f,%.4f\n",
            config->policy->name, config->share_percent, config->identities, config->seed,
            epoch->epoch, epoch->online, epoch->candidates, epoch->members, epoch->wanted,
            epoch->forged, epoch->promoted, epoch->demoted, epoch->left, epoch->expired,
            epoch->expelled, epoch->blocked, epoch->captured, epoch->flaps, epoch->use,
            epoch->homeless, epoch->bandwidth);
}

static void write_head(FILE *csv) {
    fprintf(csv, "policy,share_percent,identities,seed,epoch,online,candidates,members,wanted,"
                 "forged,promoted,demoted,left,expired,expelled,blocked,captured,flaps,use,"
                 "homeless,bandwidth\n");
}

/* The figures that are means over the seeds, and the largest of them. */
static const size_t figures[] = {
    offsetof(struct elect_result, members),      offsetof(struct elect_result, ratio),
    offsetof(struct elect_result, use),          offsetof(struct elect_result, use_min),
    offsetof(struct elect_result, use_max),      offsetof(struct elect_result, in_band),
    offsetof(struct elect_result, seats),        offsetof(struct elect_result, seats_max),
    offsetof(struct elect_result, bandwidth),    offsetof(struct elect_result, homeless),
    offsetof(struct elect_result, homeless_max), offsetof(struct elect_result, changes),
    offsetof(struct elect_result, turns),
};

static double *figure(struct elect_result *result, size_t i) {
    return (double *)(void *)((char *)result + figures[i]);
}

static void run_seeds(const struct options *options, struct outcome *outcome) {
    struct elect_config config = options->config;
    double squares = 0, seeds = (double)options->seeds;
    config.policy = outcome->policy;
    config.share_percent = outcome->share_percent;
    config.identities = outcome->identities;
    for (uint64_t i = 0; i < options->seeds; i++) {
        struct elect_result result;
        struct line line = {options, &config};
        config.seed = options->first_seed + i;
        elect_simulate(&config, &result, options->csv != NULL ? write_epoch : NULL, &line);
        for (size_t j = 0; j < sizeof figures / sizeof *figures; j++) {
            double value = *figure(&result, j), *worst = figure(&outcome->worst, j);
            bool is_small = figures[j] == offsetof(struct elect_result, use_min) ||
                            figures[j] == offsetof(struct elect_result, in_band);
            *figure(&outcome->mean, j) += value / seeds;
            *worst = i == 0 || (is_small ? value < *worst : value > *worst) ? value : *worst;
        }
        squares += result.seats * result.seats / seeds;
        outcome->flaps += result.flaps;
        outcome->uncertified += result.uncertified;
        outcome->captured += result.captured;
    }
    double variance = squares - outcome->mean.seats * outcome->mean.seats;
    outcome->seats_error = variance > 0 ? 1.96 * sqrt(variance / seeds) : 0;
}

/* ---- Results ---- */

static void show_head(void) {
    printf("%-14s %6s %6s %6s %6s %5s %11s %8s %8s %7s %6s %5s %8s\n", "policy", "share", "ids",
           "seats", "+-", "most", "supernodes", "per sn", "use", "in band", "turns", "flaps",
           "homeless");
}

static void show(const struct options *options, struct outcome *outcome) {
    const struct elect_result *mean = &outcome->mean, *worst = &outcome->worst;
    if (!options->json) {
        printf("%-14s %5u%% %6u %5.1f%% %5.1f%% %4.0f%% %11.1f %8.1f %7.0f%% %6.1f%% %6.2f %5u "
               "%7.1f%%\n",
               outcome->policy->name, outcome->share_percent, outcome->identities,
               100 * mean->seats, 100 * outcome->seats_error, 100 * worst->seats_max, mean->members,
               mean->ratio, 100 * mean->use, 100 * mean->in_band, mean->turns, outcome->flaps,
               100 * worst->homeless_max);
        fflush(stdout);
        return;
    }
    json_t *line = json_pack("{s:s,s:i,s:i,s:I,s:f,s:f,s:f,s:f}", "policy", outcome->policy->name,
                             "share_percent", (int)outcome->share_percent, "identities",
                             (int)outcome->identities, "seeds", (json_int_t)options->seeds,
                             "bandwidth", mean->bandwidth, "seats", mean->seats, "seats_error",
                             outcome->seats_error, "seats_max", worst->seats_max);
    json_t *rest =
        json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:i,s:i}", "supernodes", mean->members,
                  "ratio", mean->ratio, "use", mean->use, "use_min", worst->use_min, "use_max",
                  worst->use_max, "in_band", mean->in_band, "changes_per_day", mean->changes,
                  "turns_per_day", mean->turns, "homeless_max", worst->homeless_max, "flaps",
                  (int)outcome->flaps, "captured", (int)outcome->captured);
    json_object_update(line, rest);
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(rest);
    json_decref(line);
}

/* ---- Promises ---- */

static bool broken(const struct outcome *outcome, const char *what, double value, double limit) {
    fflush(stdout);
    fprintf(stderr, "lab elect: NOT KEPT by %s at %u %% and %u identities: %s is %.4f, not %.4f\n",
            outcome->policy->name, outcome->share_percent, outcome->identities, what, value, limit);
    return false;
}

/* What issue and guide promise: at most twice the attacker's share of measured bandwidth, a layer
 * whose slots are used within the band, without oscillation or flaps, and a place for every leaf.
 */
static bool keeps_promises(const struct outcome *outcome) {
    const struct elect_result *mean = &outcome->mean, *worst = &outcome->worst;
    double limit = 2 * outcome->share_percent / 100.0;
    bool is_good = true;
    if (outcome->share_percent > 0 && mean->seats - outcome->seats_error > limit) {
        is_good = broken(outcome, "the share of the seats", mean->seats, limit);
    }
    if (mean->in_band < .99) {
        is_good = broken(outcome, "the part of the time in the band", mean->in_band, .99);
    }
    if (mean->turns > 2) {
        is_good = broken(outcome, "turns of the wanted number per day", mean->turns, 2);
    }
    if (outcome->flaps > 0) {
        is_good =
            broken(outcome, "second changes of a role within the dwell time", outcome->flaps, 0);
    }
    if (outcome->uncertified > 0) {
        is_good = broken(outcome, "supernodes whose certificate nobody could check",
                         outcome->uncertified, 0);
    }
    if (worst->homeless_max > 0) {
        is_good = broken(outcome, "the part of the leaves without a place", worst->homeless_max, 0);
    }
    return is_good;
}

/* More identities are worth no more: of one policy and share, 10 and 200 differ by at most half of
 * the share, beside what chance explains: ten have no more than ten seats. A thousand crowd others
 * out of the rows, which have so much room: for them twice the share is the promise. */
static bool is_flat(const struct outcome *outcomes, uint32_t count, const struct outcome *one) {
    for (const struct outcome *other = outcomes; other < outcomes + count; other++) {
        double difference = fabs(other->mean.seats - one->mean.seats);
        double limit = one->share_percent / 200.0 + one->seats_error + other->seats_error;
        if (other->policy == one->policy && other->share_percent == one->share_percent &&
            other->identities >= 10 && one->identities >= 10 && other->identities <= FLAT_MAX &&
            one->identities <= FLAT_MAX && difference > limit) {
            return broken(one, "the difference to another number of identities", difference, limit);
        }
    }
    return true;
}

static bool check(const struct outcome *outcomes, uint32_t count) {
    bool is_good = true;
    for (uint32_t i = 0; i < count; i++) {
        is_good = keeps_promises(&outcomes[i]) && is_good;
        is_good = is_flat(outcomes, i, &outcomes[i]) && is_good;
    }
    return is_good;
}

static int run_all(const struct options *options) {
    uint32_t count = 0;
    struct outcome *outcomes = mem_array((size_t)LIST_MAX * LIST_MAX * LIST_MAX, sizeof *outcomes);
    if (!options->json) {
        show_head();
    }
    for (uint32_t p = 0; p < options->policy_count; p++) {
        for (uint32_t s = 0; s < options->shares.count; s++) {
            for (uint32_t n = 0; n < options->identities.count; n++) {
                uint32_t share = (uint32_t)options->shares.values[s];
                uint32_t identities = (uint32_t)options->identities.values[n];
                if (n > 0 && share == 0) {
                    continue; /* nobody attacks, once is enough */
                }
                struct outcome *outcome = &outcomes[count++];
                *outcome = (struct outcome){.policy = options->policies[p],
                                            .share_percent = identities > 0 ? share : 0,
                                            .identities = share > 0 ? identities : 0};
                run_seeds(options, outcome);
                show(options, outcome);
            }
        }
    }
    bool is_good = !options->check || check(outcomes, count);
    if (options->check && is_good && !options->json) {
        printf("All promises are kept\n");
    }
    mem_free(outcomes);
    return is_good ? 0 : 1;
}

int elect_run(int argc, char *const *argv) {
    struct options options = {.config = {.nodes = 2000, .anchors = 3, .key_age = SEATS_TERM_EPOCHS},
                              .policies = {policy_find(NULL)},
                              .policy_count = 1,
                              .shares = {.count = 1},
                              .identities = {{200}, 1},
                              .epoch_ms = 3600000,
                              .dwell_ms = 3 * 3600000,
                              .hours = 24,
                              .first_seed = 1,
                              .seeds = 10};
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return 0;
    }
    read_attack(&options, "liars");
    int status = read_options(&options, argc, argv);
    if (status == 0 && options.csv_path != NULL) {
        options.csv = fopen(options.csv_path, "w");
        if (options.csv == NULL) {
            return complain("cannot write %s: %s", options.csv_path, strerror(errno));
        }
        write_head(options.csv);
    }
    status = status == 0 ? run_all(&options) : status;
    if (options.csv != NULL && fclose(options.csv) != 0) {
        return complain("cannot write %s: %s", options.csv_path, strerror(errno));
    }
    return status;
}
