/* spec.c - a network as data: the sections and keys of its file, one row each. */
#include "src/cluster/spec.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/policy.h"
#include "common/units.h"
#include "src/cluster/spec_event.h"

#define DURATION_MAX_MS (7ULL * 24 * 3600 * 1000)
#define SPEC_FILE_BYTES_MAX (1ULL << 30)
#define LINE_MIN 1024   /* bytes a second */
#define FILES_MAX 10000 /* of one peer */

const struct spec_measure_row spec_measures[SPEC_MEASURES] = {
    [SPEC_RECALL] = {"recall", true},
    [SPEC_REGISTERED] = {"registered", true},
    [SPEC_SEARCH_P99] = {"search p99", false},
    [SPEC_AGAIN_P99] = {"again p99", false},
    [SPEC_AGAIN_WARM_P99] = {"again warm p99", false},
    [SPEC_GAP_P99] = {"gap p99", false},
    [SPEC_MEMORY] = {"memory", false},
    [SPEC_MEMORY_TOTAL] = {"memory total", false},
    [SPEC_DOWNLOADS_FAILED] = {"downloads failed", false},
    [SPEC_DOWNLOADS_DONE] = {"downloads done", true},
    [SPEC_KILLS_FETCHING] = {"kills fetching", true},
    [SPEC_OVERHEAD] = {"overhead", false},
    [SPEC_DESCRIPTORS] = {"descriptors", false},
    [SPEC_DESCRIPTORS_GROWN] = {"descriptors grown", false},
    [SPEC_MEMORY_SLOPE] = {"memory slope", false},
    [SPEC_DOWNLOAD_P99] = {"download p99", false},
    [SPEC_SUPERNODES] = {"supernodes", true},
    [SPEC_SUPERNODES_MOST] = {"supernodes most", false},
    [SPEC_ROLE_FLAPS] = {"role flaps", false},
    [SPEC_EXIT] = {"exit", false},
    [SPEC_LIAR_SEATS] = {"liar seats", true},
    [SPEC_LIAR_BANDWIDTH] = {"liar bandwidth", false},
    [SPEC_LIAR_RATIO] = {"liar ratio", false},
};

/* inih hands us lines without their numbers: we count them. */
struct reading {
    FILE *stream;
    struct spec *spec;
    int line;
    int failed_line; /* 0 = none so far */
    char failure[SPEC_TROUBLE_BYTES / 2];
    char trouble[SPEC_TROUBLE_BYTES]; /* of an event */
};

/* ---- Values ---- */

static bool take_count(const char *value, uint64_t least, uint64_t most, uint32_t *count) {
    uint64_t number;
    bool is_fine = units_parse_number(value, &number) == OK && number >= least && number <= most;
    *count = is_fine ? (uint32_t)number : *count;
    return is_fine;
}

static bool take_span(const char *value, uint64_t least, uint64_t *ms) {
    return units_parse_ms(value, ms) == OK && *ms >= least && *ms <= DURATION_MAX_MS;
}

bool spec_name_ok(const char *name) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t len = strlen(name);
    return len >= 1 && len < SPEC_NAME_BYTES && name[0] != '-' && name[0] != '.' &&
           strspn(name, plain) == len;
}

static bool take_name(struct spec *spec, const char *value) {
    bool is_fine = spec_name_ok(value);
    if (is_fine) {
        memcpy(spec->name, value, strlen(value) + 1);
    }
    return is_fine;
}

static bool take_supernodes(struct spec *spec, const char *value) {
    return take_count(value, 1, SPEC_NODES_MAX, &spec->supernodes);
}

static bool take_peers(struct spec *spec, const char *value) {
    return take_count(value, 0, SPEC_NODES_MAX - 1, &spec->peers);
}

static bool take_duration(struct spec *spec, const char *value) {
    return take_span(value, 1000, &spec->duration_ms);
}

static bool take_settle(struct spec *spec, const char *value) {
    return take_span(value, 1000, &spec->settle_ms);
}

static bool take_sample(struct spec *spec, const char *value) {
    return take_span(value, 100, &spec->sample_ms);
}

static bool take_seed(struct spec *spec, const char *value) {
    return units_parse_number(value, &spec->seed) == OK;
}

static bool take_files(struct spec *spec, const char *value) {
    return take_count(value, 0, FILES_MAX, &spec->files);
}

static bool take_copies(struct spec *spec, const char *value) {
    return take_count(value, 1, SPEC_NODES_MAX, &spec->copies);
}

/* `1K..64K`. */
static bool take_range(const char *value, uint64_t *from, uint64_t *to) {
    char least[32];
    const char *dots = strstr(value, "..");
    if (dots == NULL || (size_t)(dots - value) >= sizeof least) {
        return false;
    }
    snprintf(least, sizeof least, "%.*s", (int)(dots - value), value);
    return units_parse_bytes(least, from) == OK && units_parse_bytes(dots + 2, to) == OK &&
           *from <= *to;
}

static bool take_sizes(struct spec *spec, const char *value) {
    return take_range(value, &spec->size_min, &spec->size_max) && spec->size_min >= 16 &&
           spec->size_max <= SPEC_FILE_BYTES_MAX;
}

static bool take_names(struct spec *spec, const char *value) {
    mem_free(spec->names);
    spec->names = mem_string(value);
    return value[0] != '\0';
}

/* `5/s`, `0.5/s`: thousandths per second. */
static bool take_rate(const char *value, uint64_t *milli) {
    char number[32];
    size_t len = strlen(value);
    if (len < 3 || len >= sizeof number || strcmp(value + len - 2, "/s") != 0) {
        return false;
    }
    snprintf(number, sizeof number, "%.*s", (int)(len - 2), value);
    return units_parse_milli(number, milli) == OK && *milli <= SPEC_RATE_MILLI_MAX;
}

static bool take_searches(struct spec *spec, const char *value) {
    return take_rate(value, &spec->search_milli);
}

static bool take_downloads(struct spec *spec, const char *value) {
    return take_rate(value, &spec->download_milli);
}

static bool take_netns(struct spec *spec, const char *value) {
    spec->is_netns = strcmp(value, "yes") == 0;
    return spec->is_netns || strcmp(value, "no") == 0;
}

static bool take_leaves(struct spec *spec, const char *value) {
    return take_count(value, 1, 100000, &spec->leaves);
}

bool spec_take_fleet(struct spec *spec, const char *peers) {
    return take_count(peers, 0, SPEC_FLEET_MAX, &spec->fleet_peers);
}

static bool take_fleet_files(struct spec *spec, const char *value) {
    return take_count(value, 0, SPEC_FLEET_FILES_MAX, &spec->fleet_files);
}

static bool take_fleet_searches(struct spec *spec, const char *value) {
    return take_rate(value, &spec->fleet_search_milli);
}

static bool take_until(struct spec *spec, const char *value) {
    return take_span(value, 0, &spec->load_until_ms);
}

/* `6-11`. */
static bool take_fetchers(struct spec *spec, const char *value) {
    char first[16];
    const char *dash = strchr(value, '-');
    if (dash == NULL || (size_t)(dash - value) >= sizeof first) {
        return false;
    }
    snprintf(first, sizeof first, "%.*s", (int)(dash - value), value);
    return take_count(first, 0, SPEC_NODES_MAX, &spec->load_first) &&
           take_count(dash + 1, spec->load_first + 1, SPEC_NODES_MAX, &spec->load_last);
}

static bool take_upload_rate(struct spec *spec, const char *value) {
    return units_parse_bytes(value, &spec->upload_rate) == OK;
}

static bool take_policy(struct spec *spec, const char *value) {
    bool is_fine = policy_find(value) != NULL;
    if (is_fine) {
        snprintf(spec->election.policy, sizeof spec->election.policy, "%s", value);
    }
    return is_fine;
}

static bool take_epoch(struct spec *spec, const char *value) {
    return take_span(value, 4000, &spec->election.epoch_ms);
}

static bool take_dwell(struct spec *spec, const char *value) {
    return take_span(value, 0, &spec->election.dwell_ms);
}

static bool take_measure(struct spec *spec, const char *value) {
    return units_parse_bytes(value, &spec->election.measure) == OK &&
           spec->election.measure >= 65536 && spec->election.measure <= MEASURE_BYTES_MAX;
}

static bool take_minimum(struct spec *spec, const char *value) {
    return take_count(value, 1, SPEC_NODES_MAX, &spec->election.minimum);
}

static bool take_consenting(struct spec *spec, const char *value) {
    return take_count(value, 0, SPEC_NODES_MAX, &spec->election.consenting);
}

static bool take_lines(struct spec *spec, const char *value) {
    return take_range(value, &spec->election.line_min, &spec->election.line_max) &&
           spec->election.line_min >= LINE_MIN;
}

static bool take_identities(struct spec *spec, const char *value) {
    return take_count(value, 0, SPEC_LIARS_MAX, &spec->liars.identities);
}

static bool take_line(struct spec *spec, const char *value) {
    return units_parse_bytes(value, &spec->liars.rate) == OK && spec->liars.rate > 0;
}

static bool take_join(struct spec *spec, const char *value) {
    return take_span(value, 0, &spec->liars.join_ms);
}

static bool take_liars_from(struct spec *spec, const char *value) {
    return take_span(value, 0, &spec->liars.from_ms);
}

/* One row per key; `remedy` ends "this is not ...". */
static const struct row {
    const char *section;
    const char *key;
    bool (*take)(struct spec *spec, const char *value);
    const char *remedy;
} rows[] = {
    {"network", "name", take_name, "write 1 to 32 letters, digits, `-`, `_` and `.`"},
    {"network", "supernodes", take_supernodes, "write a number from 1 to 254"},
    {"network", "peers", take_peers, "write a number from 0 to 253"},
    {"network", "duration", take_duration, "write a time such as `60s` or `30m`"},
    {"network", "settle", take_settle, "write a time such as `60s`"},
    {"network", "sample", take_sample, "write a time of at least 100ms"},
    {"network", "seed", take_seed, "write a number"},
    {"network", "upload-rate", take_upload_rate, "write bytes per second such as `2M`"},
    {"network", "netns", take_netns, "write yes or no"},
    {"network", "leaves", take_leaves, "write how many peers a supernode takes"},
    {"election", "policy", take_policy, "write " POLICY_NAMES},
    {"election", "epoch", take_epoch, "write a time of at least 4s"},
    {"election", "dwell", take_dwell, "write a time such as `60s`"},
    {"election", "measure", take_measure, "write a size from 64K to 4M"},
    {"election", "minimum", take_minimum, "write a number from 1 to 254"},
    {"election", "consenting", take_consenting, "write how many peers would be supernodes"},
    {"election", "lines", take_lines, "write a range such as `50K..200K`, from 1K"},
    {"liars", "identities", take_identities, "write a number from 0 to 1000"},
    {"liars", "rate", take_line, "write the bytes per second of their line, such as 400K"},
    {"liars", "join", take_join, "write when they come, such as `60s`"},
    {"liars", "from", take_liars_from, "write since when epochs count, such as `60s`"},
    {"fleet", "peers", spec_take_fleet, "write a number from 0 to 5000"},
    {"fleet", "files", take_fleet_files, "write a number of files per peer, at most 1000"},
    {"fleet", "searches", take_fleet_searches, "write a rate such as `100/s`, at most 1000/s"},
    {"library", "files", take_files, "write a number of files per peer, at most 10000"},
    {"library", "copies", take_copies, "write how many peers have each file"},
    {"library", "sizes", take_sizes, "write a range such as `1K..64K`, from 16 bytes to 1G"},
    {"library", "names", take_names, "write the path of a file with a name per line"},
    {"load", "searches", take_searches, "write a rate such as `5/s`, at most 1000/s"},
    {"load", "from", take_fetchers, "write a range of peers such as `4-9`"},
    {"load", "until", take_until, "write a time such as `90s`"},
    {"load", "downloads", take_downloads, "write a rate such as `0.5/s`, at most 1000/s"},
};
#define ROWS (sizeof rows / sizeof *rows)

/* ---- Checks ---- */

static bool read_bound(struct spec_check *check, const char *value) {
    uint64_t number = 0;
    bool is_fine;
    switch (check->measure) {
    case SPEC_RECALL:
    case SPEC_REGISTERED:
    case SPEC_OVERHEAD:
    case SPEC_LIAR_SEATS:
    case SPEC_LIAR_BANDWIDTH:
        is_fine = units_parse_milli(value, &number) == OK && number <= 1000;
        check->bound = (double)number / 1000;
        return is_fine;
    case SPEC_LIAR_RATIO:
        is_fine = units_parse_milli(value, &number) == OK;
        check->bound = (double)number / 1000;
        return is_fine;
    case SPEC_SEARCH_P99:
    case SPEC_AGAIN_P99:
    case SPEC_AGAIN_WARM_P99:
    case SPEC_GAP_P99:
    case SPEC_DOWNLOAD_P99:
    case SPEC_EXIT:
        is_fine = units_parse_ms(value, &number) == OK;
        break;
    case SPEC_MEMORY:
    case SPEC_MEMORY_TOTAL:
    case SPEC_MEMORY_SLOPE:
        is_fine = units_parse_bytes(value, &number) == OK;
        break;
    case SPEC_DOWNLOADS_FAILED:
    case SPEC_DOWNLOADS_DONE:
    case SPEC_KILLS_FETCHING:
    case SPEC_DESCRIPTORS:
    case SPEC_DESCRIPTORS_GROWN:
    case SPEC_MEASURES:
    default:
        is_fine = units_parse_number(value, &number) == OK;
        break;
    }
    check->bound = (double)number;
    return is_fine;
}

static bool may_be_timed(enum spec_measure measure) {
    return measure == SPEC_RECALL || measure == SPEC_REGISTERED || measure == SPEC_SUPERNODES ||
           measure == SPEC_SUPERNODES_MOST;
}

/* `recall at 60s = 0.99`. */
static const char *take_check(struct spec *spec, const char *key, const char *value) {
    if (spec->check_count == SPEC_CHECKS_MAX) {
        return "at most 64 checks";
    }
    struct spec_check *check = &spec->checks[spec->check_count];
    *check = (struct spec_check){.measure = SPEC_MEASURES};
    char name[64];
    const char *at = strstr(key, " at ");
    snprintf(name, sizeof name, "%.*s", (int)(at != NULL ? at - key : (long)strlen(key)), key);
    for (int i = 0; i < SPEC_MEASURES; i++) {
        check->measure =
            strcmp(name, spec_measures[i].name) == 0 ? (enum spec_measure)i : check->measure;
    }
    if (check->measure == SPEC_MEASURES) {
        return "write recall, registered, search p99, again p99, again warm p99, gap p99, memory, "
               "memory total, downloads failed, downloads done, kills fetching, supernodes, "
               "supernodes most, role flaps, overhead, descriptors, descriptors grown, memory "
               "slope, "
               "download p99, exit, liar seats, liar bandwidth or liar ratio";
    }
    check->is_timed = at != NULL;
    if (at != NULL && (!take_span(at + 4, 0, &check->at_ms) || !may_be_timed(check->measure))) {
        return "only recall, registered and supernodes have a time, such as `recall at 60s`";
    }
    snprintf(check->text, sizeof check->text, "%s = %s", key, value);
    spec->check_count++;
    return read_bound(check, value)
               ? NULL
               : "write a share such as 0.99, a time, a size or a number, as the check wants it";
}

/* `10s`, or `10s..60s/5s`: from when to when, and how often. */
static bool read_times(const char *key, uint64_t *first, uint64_t *last, uint64_t *step) {
    char text[64], *to, *every;
    snprintf(text, sizeof text, "%s", key);
    to = strstr(text, "..");
    every = to == NULL ? NULL : strchr(to, '/');
    *first = *step = 0;
    if (to == NULL) {
        bool good = strlen(key) < sizeof text && take_span(text, 0, first);
        *last = *first;
        return good;
    }
    if (every == NULL) {
        return false;
    }
    *to = *every = '\0';
    return take_span(text, 0, first) && take_span(to + 2, 0, last) && *first <= *last &&
           take_span(every + 1, 100, step);
}

static const char *take_event(struct reading *reading, const char *key, const char *value) {
    struct spec *spec = reading->spec;
    struct spec_event event;
    uint64_t first, last, step;
    if (!read_times(key, &first, &last, &step)) {
        return "write when, such as `10s = kill supernode 1`, or `10s..60s/5s` for every 5 s";
    }
    if (spec_event_read(&event, spec, value, reading->trouble) != OK) {
        return reading->trouble;
    }
    for (event.at_ms = first; event.at_ms <= last; event.at_ms += step) {
        if (spec->event_count == SPEC_EVENTS_MAX) {
            return "at most 1024 events";
        }
        spec->events[spec->event_count++] = event;
        if (step == 0) {
            break;
        }
    }
    spec_event_needs(&event, spec);
    return NULL;
}

static const char *take_link(struct spec *spec, const char *key, const char *value) {
    char text[SPEC_TEXT_BYTES];
    snprintf(text, sizeof text, "%s=%s", key, value);
    spec->has_faults = true;
    spec->has_loss = spec->has_loss || strcmp(key, "loss") == 0;
    spec->has_delays = spec->has_delays || (strcmp(key, "loss") != 0 && strcmp(key, "rate") != 0 &&
                                            strcmp(key, "black-hole") != 0);
    return spec_link_read(&spec->link, text) ? NULL
                                             : "write latency, jitter, rate, slice, reset, "
                                               "slow-close, loss or black-hole, with a value";
}

/* ---- Reading ---- */

static char *read_line(char *text, int size, void *context) {
    struct reading *reading = context;
    reading->line++;
    return fgets(text, size, reading->stream);
}

static void note(struct reading *reading, const char *key, const char *remedy) {
    if (reading->failed_line == 0) {
        reading->failed_line = reading->line;
        snprintf(reading->failure, sizeof reading->failure, "`%.40s`: %.100s", key, remedy);
    }
}

static const char *take_row(struct spec *spec, const char *section, const char *key,
                            const char *value) {
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].section, section) == 0 && strcmp(rows[i].key, key) == 0) {
            return rows[i].take(spec, value) ? NULL : rows[i].remedy;
        }
    }
    return "there is no such key here; the manual of lab lists them";
}

static int on_pair(void *context, const char *section, const char *key, const char *value) {
    struct reading *reading = context;
    struct spec *spec = reading->spec;
    const char *remedy;
    if (strcmp(section, "schedule") == 0) {
        remedy = take_event(reading, key, value);
    } else if (strcmp(section, "checks") == 0) {
        remedy = take_check(spec, key, value);
    } else if (strcmp(section, "link") == 0) {
        remedy = take_link(spec, key, value);
    } else {
        remedy = take_row(spec, section, key, value);
    }
    if (remedy != NULL) {
        note(reading, key, remedy);
    }
    return remedy == NULL;
}

/* What no single line shows. */
static const char *check_whole(const struct spec *spec) {
    if (spec->supernodes + spec->peers > SPEC_NODES_MAX) {
        return "supernodes and peers together are at most 254";
    }
    if (spec->copies > spec->peers && spec->files > 0 && spec->peers > 0) {
        return "a file cannot have more copies than there are peers";
    }
    if ((spec->search_milli > 0 || spec->download_milli > 0) &&
        (spec->peers < 2 || spec->files == 0)) {
        return "a load of searches needs at least 2 peers with files";
    }
    if (spec->liars.identities > 0 && (spec->liars.rate == 0 || spec->election.policy[0] == '\0')) {
        return "liars need a `rate`, and a `policy` to be elected by";
    }
    if (spec->liars.identities > 0 && spec->is_netns) {
        return "liars share one line: they have no network namespaces";
    }
    if (spec->load_last > 0 && spec->load_last >= spec->peers) {
        return "`from` names peers that there are not; they are counted from 0";
    }
    for (uint32_t i = 0; i < spec->check_count; i++) {
        if (spec->checks[i].at_ms > spec->duration_ms) {
            return "a check stands after the end; see `duration`";
        }
    }
    for (uint32_t i = 0; i < spec->event_count; i++) {
        if (spec->events[i].at_ms > spec->duration_ms) {
            return "an event stands after the end; see `duration`";
        }
    }
    return NULL;
}

static void sort_events(struct spec *spec) {
    /* Stable: events of one moment stay in the order of the file. */
    for (uint32_t i = 1; i < spec->event_count; i++) {
        struct spec_event event = spec->events[i];
        uint32_t at = i;
        for (; at > 0 && spec->events[at - 1].at_ms > event.at_ms; at--) {
            spec->events[at] = spec->events[at - 1];
        }
        spec->events[at] = event;
    }
}

enum err spec_read(struct spec *spec, const char *path, char trouble[SPEC_TROUBLE_BYTES]) {
    *spec = (struct spec){
        .name = "cluster",
        .supernodes = 3,
        .peers = 12,
        .duration_ms = 30000,
        .settle_ms = 60000,
        .sample_ms = 1000,
        .seed = 1,
        .files = 10,
        .fleet_files = 10,
        .election = {.epoch_ms = 10000, .dwell_ms = 60000, .measure = 256 * 1024, .minimum = 3},
        .copies = 2,
        .size_min = 1024,
        .size_max = 65536};
    struct reading reading = {.stream = fopen(path, "re"), .spec = spec};
    if (reading.stream == NULL) {
        enum err err = errno == EACCES ? ERR_PERMISSION : ERR_NOT_FOUND;
        snprintf(trouble, SPEC_TROUBLE_BYTES, "%.200s: %s", path, strerror(errno));
        return err;
    }
    int failed = ini_parse_stream(read_line, &reading, on_pair, &reading);
    bool is_bad = ferror(reading.stream) != 0;
    fclose(reading.stream);
    const char *whole = check_whole(spec);
    if (reading.failed_line != 0 && (failed == 0 || reading.failed_line <= failed)) {
        snprintf(trouble, SPEC_TROUBLE_BYTES, "%.100s:%d: %s", path, reading.failed_line,
                 reading.failure);
    } else if (failed != 0 || is_bad) {
        snprintf(trouble, SPEC_TROUBLE_BYTES, "%.100s:%d: this is no `key = value` line", path,
                 failed);
    } else if (whole != NULL) {
        snprintf(trouble, SPEC_TROUBLE_BYTES, "%.100s: %s", path, whole);
    } else {
        sort_events(spec);
        return OK;
    }
    return ERR_CONFIG;
}

void spec_free(struct spec *spec) {
    mem_free(spec->names);
    spec->names = NULL;
}
