/* spec_event.c - one event of a schedule: a verb, which nodes, and properties of links. */
#include "src/cluster/spec_event.h"

#include <stdio.h>
#include <string.h>

#include "common/units.h"

#define PROPERTY_MS_MAX (3600ULL * 1000)
#define SLICE_MAX (1024 * 1024)

static const char *const verbs[SPEC_VERBS] = {
    [SPEC_KILL] = "kill",   [SPEC_STOP] = "stop", [SPEC_FREEZE] = "freeze", [SPEC_THAW] = "thaw",
    [SPEC_START] = "start", [SPEC_LINK] = "link", [SPEC_SPLIT] = "split",   [SPEC_HEAL] = "heal",
};

/* ---- Links ---- */

uint64_t spec_slower(uint64_t a, uint64_t b) {
    return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

static bool read_ms(const char *value, uint32_t *ms) {
    uint64_t number;
    bool is_fine = units_parse_ms(value, &number) == OK && number <= PROPERTY_MS_MAX;
    *ms = is_fine ? (uint32_t)number : *ms;
    return is_fine;
}

static bool read_slice(const char *value, uint32_t *bytes) {
    uint64_t number;
    bool is_fine = units_parse_bytes(value, &number) == OK && number <= SLICE_MAX;
    *bytes = is_fine ? (uint32_t)number : *bytes;
    return is_fine;
}

/* `5%`, `0.5%`. */
static bool read_loss(const char *value, uint32_t *loss) {
    char number[16];
    uint64_t milli;
    size_t len = strlen(value);
    if (len < 2 || len > sizeof number || value[len - 1] != '%') {
        return false;
    }
    snprintf(number, sizeof number, "%.*s", (int)(len - 1), value);
    bool is_fine = units_parse_milli(number, &milli) == OK && milli <= SPEC_LOSS_ALL;
    *loss = is_fine ? (uint32_t)milli : *loss;
    return is_fine;
}

static bool read_yes(const char *value, bool *is) {
    *is = strcmp(value, "yes") == 0;
    return *is || strcmp(value, "no") == 0;
}

bool spec_link_read(struct spec_link *link, const char *text) {
    char key[32];
    const char *equals = strchr(text, '=');
    if (strcmp(text, "clear") == 0) {
        *link = (struct spec_link){0};
        return true;
    }
    if (equals == NULL || (size_t)(equals - text) >= sizeof key) {
        return false;
    }
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    const char *value = equals + 1;
    if (strcmp(key, "latency") == 0) {
        return read_ms(value, &link->latency_ms);
    }
    if (strcmp(key, "jitter") == 0) {
        return read_ms(value, &link->jitter_ms);
    }
    if (strcmp(key, "reset") == 0) {
        return read_ms(value, &link->reset_ms);
    }
    if (strcmp(key, "slow-close") == 0) {
        return read_ms(value, &link->close_ms);
    }
    if (strcmp(key, "rate") == 0) {
        return units_parse_bytes(value, &link->rate) == OK;
    }
    if (strcmp(key, "slice") == 0) {
        return read_slice(value, &link->slice);
    }
    if (strcmp(key, "loss") == 0) {
        return read_loss(value, &link->loss);
    }
    return strcmp(key, "black-hole") == 0 && read_yes(value, &link->black_hole);
}

/* ---- Nodes ---- */

static bool read_role(struct spec_targets *targets, const char *word) {
    targets->supernodes = strcmp(word, "supernode") == 0 || strcmp(word, "supernodes") == 0;
    targets->peers = strcmp(word, "peer") == 0 || strcmp(word, "peers") == 0;
    if (strcmp(word, "elected") == 0) {
        targets->peers = targets->elected = true;
    }
    if (strcmp(word, "parents") == 0) {
        targets->supernodes = targets->parents = true;
    }
    if (strcmp(word, "fetchers") == 0) {
        targets->peers = targets->fetchers = true;
    }
    if (strcmp(word, "all") == 0) {
        targets->supernodes = targets->peers = true;
        targets->percent = 100;
    }
    return targets->supernodes || targets->peers;
}

/* `2`, `2-4`, `30%`, `all`. */
static bool read_which(struct spec_targets *targets, const char *word, uint32_t nodes) {
    char first[16];
    uint64_t from, to;
    size_t len = strlen(word);
    if (strcmp(word, "all") == 0) {
        targets->percent = 100;
        return true;
    }
    if (len == 0 || len >= sizeof first) {
        return false;
    }
    bool is_share = word[len - 1] == '%';
    snprintf(first, sizeof first, "%.*s", (int)(is_share ? len - 1 : strcspn(word, "-")), word);
    const char *dash = strchr(word, '-');
    if (units_parse_number(first, &from) != OK) {
        return false;
    }
    if (is_share) {
        targets->percent = (uint32_t)from;
        return from >= 1 && from <= 100;
    }
    to = from;
    if (dash != NULL && units_parse_number(dash + 1, &to) != OK) {
        return false;
    }
    targets->first = (uint32_t)from;
    targets->last = (uint32_t)to;
    return from <= to && to < nodes;
}

/* ---- Events ---- */

void spec_event_needs(const struct spec_event *event, struct spec *spec) {
    const struct spec_link *link = &event->link;
    bool of_links =
        event->verb == SPEC_LINK || event->verb == SPEC_SPLIT || event->verb == SPEC_HEAL;
    spec->has_faults = spec->has_faults || of_links;
    spec->has_loss = spec->has_loss || link->loss > 0;
    spec->has_delays = spec->has_delays || link->latency_ms > 0 || link->jitter_ms > 0 ||
                       link->slice > 0 || link->reset_ms > 0 || link->close_ms > 0;
}

static enum err refuse(char trouble[SPEC_TROUBLE_BYTES], const char *text) {
    snprintf(trouble, SPEC_TROUBLE_BYTES, "%s", text);
    return ERR_CONFIG;
}

static enum err read_words(struct spec_event *event, const struct spec *spec, char **rest,
                           char trouble[SPEC_TROUBLE_BYTES]) {
    const char *verb = strsep(rest, " "), *role = strsep(rest, " "), *word;
    event->verb = SPEC_VERBS;
    for (int i = 0; i < SPEC_VERBS; i++) {
        event->verb = strcmp(verb, verbs[i]) == 0 ? (enum spec_verb)i : event->verb;
    }
    if (event->verb == SPEC_VERBS) {
        return refuse(trouble, "begin with kill, stop, freeze, thaw, start, link, split or heal");
    }
    if (role == NULL || !read_role(&event->targets, role)) {
        return refuse(trouble,
                      "then say which: `supernode 2`, `peers 10%`, `peers 0-9`, `parents 50%`, "
                      "`elected 50%`, `fetchers 30%` or `all`");
    }
    if (event->targets.percent == 0) {
        word = strsep(rest, " ");
        uint32_t nodes = event->targets.supernodes ? spec->supernodes : spec->peers;
        if (word == NULL || !read_which(&event->targets, word, nodes)) {
            return refuse(trouble,
                          "a number, a range such as 2-4, or a share such as 30%; nodes are "
                          "counted from 0");
        }
    }
    while ((word = strsep(rest, " ")) != NULL) {
        if (event->verb != SPEC_LINK || !spec_link_read(&event->link, word)) {
            return refuse(trouble, event->verb != SPEC_LINK
                                       ? "nothing may follow the nodes"
                                       : "of a link: latency=, jitter=, rate=, slice=, reset=, "
                                         "slow-close=, loss=5%, black-hole=yes, clear");
        }
    }
    return OK;
}

enum err spec_event_read(struct spec_event *event, const struct spec *spec, const char *text,
                         char trouble[SPEC_TROUBLE_BYTES]) {
    char copy[SPEC_TEXT_BYTES];
    *event = (struct spec_event){0};
    if (strlen(text) >= sizeof copy) {
        return refuse(trouble, "an event has at most 95 characters");
    }
    memcpy(copy, text, strlen(text) + 1);
    memcpy(event->text, text, strlen(text) + 1);
    char *rest = copy;
    return read_words(event, spec, &rest, trouble);
}
