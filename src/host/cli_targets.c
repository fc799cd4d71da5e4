/* cli_targets.c - the words that name results and downloads: numbers, ranges, links, ids, `all`. */
#include "src/host/cli_targets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/filelink.h"
#include "common/units.h"
#include "src/host/failure.h"

#define RANGE_MAX 1000 /* downloads that one word may name */
#define PREFIX_MIN 4   /* digits of an id */
#define NUMBER_MAX 10  /* digits: as many or more are no number of a download */

static const char *note_of(const json_t *object) {
    const char *state = client_text(object, "state");
    if (strcmp(state, "verifying") == 0) {
        return "verifying the whole file";
    }
    if (client_number(object, "sources") > 0) {
        return NULL;
    }
    if (client_number(object, "locked") > 0 &&
        client_number(object, "locked") == client_number(object, "known")) {
        return "locked: its owner lets only nodes that he has named fetch it";
    }
    return client_number(object, "known") > 0 ? "waiting for a source" : "looking for sources";
}

const char *cli_note_of(char to[CLI_NOTE_BYTES], const json_t *object) {
    const char *note = note_of(object);
    uint64_t position = client_number(object, "queue_position");
    char eta[UNITS_TEXT_BYTES];
    if (position == 0 || note == NULL) {
        return note;
    }
    const json_t *eta_s = json_object_get(object, "queue_eta_s");
    units_duration(eta, client_number(object, "queue_eta_s"));
    snprintf(to, CLI_NOTE_BYTES, "number %" PRIu64 " in a queue%s%s", position,
             eta_s != NULL ? ", turn in " : "", eta_s != NULL ? eta : "");
    return to;
}

bool cli_range(const char *text, uint64_t *first, uint64_t *last) {
    char from[16];
    const char *dash = strchr(text, '-');
    size_t len = dash != NULL ? (size_t)(dash - text) : strlen(text);
    if (len == 0 || len >= sizeof from) {
        return false;
    }
    snprintf(from, sizeof from, "%.*s", (int)len, text);
    bool good = units_parse_number(from, first) == OK;
    *last = *first;
    good = good && (dash == NULL || units_parse_number(dash + 1, last) == OK);
    return good && *first >= 1 && *first <= *last && *last - *first < RANGE_MAX &&
           *last <= UINT32_MAX;
}

static enum err take_range(const struct cli_targets *targets, uint64_t first, uint64_t last,
                           struct host_error *error) {
    enum err err = OK;
    for (uint64_t i = first; i <= last && err == OK; i++) {
        char number[UNITS_TEXT_BYTES];
        snprintf(number, sizeof number, "%" PRIu64, i);
        const struct command_arg arg = {targets->key, number};
        err = targets->fn(targets->context, &arg, error);
    }
    return err;
}

/* The link as it is, or, where only the file matters, what it begins with. */
static enum err take_link(const struct cli_targets *targets, const char *word,
                          struct host_error *error) {
    struct filelink link;
    struct filelink_error why = {0};
    char content[CONTENT_TEXT_BYTES];
    if (filelink_parse(&link, word, &why) != OK) {
        return fail(error, ERR_CONFIG, "the link cannot be read at character %u: %s", why.at + 1,
                    why.why);
    }
    content_format(content, &link.content);
    const struct command_arg arg = {"content", targets->are_downloads ? content : word};
    return targets->fn(targets->context, &arg, error);
}

/* How the id of a download begins: plain digits are its number. */
static bool is_prefix(const char *word) {
    size_t len = strlen(word);
    return len >= PREFIX_MIN && len <= 2 * HASH_BYTES && strspn(word, "0123456789abcdef") == len &&
           (strspn(word, "0123456789") < len || len >= NUMBER_MAX);
}

enum err cli_target(const struct cli_targets *targets, const char *word, struct host_error *error) {
    struct content_id content;
    uint64_t first, last;
    if (cli_range(word, &first, &last)) {
        return take_range(targets, first, last, error);
    }
    if (targets->are_downloads && is_prefix(word)) {
        return targets->fn(targets->context, &(struct command_arg){"prefix", word}, error);
    }
    if (targets->are_downloads && strcmp(word, "all") == 0) {
        return targets->fn(targets->context, &(struct command_arg){"all", "1"}, error);
    }
    if (strncmp(word, "trunkline:", strlen("trunkline:")) == 0 ||
        content_parse(&content, word) == OK) {
        return take_link(targets, word, error);
    }
    if (targets->are_downloads) {
        return fail(error, ERR_CONFIG,
                    "`%.120s` is neither a number, such as 3 or 5-7, nor how an id begins (4 "
                    "digits or more, as `peer downloads` shows), nor a link, nor all",
                    word);
    }
    return fail(error, ERR_CONFIG,
                "`%.120s` is neither a number, such as 3 or 5-7, nor a link "
                "(trunkline:HASH:SIZE, as `peer search --links` shows)",
                word);
}
