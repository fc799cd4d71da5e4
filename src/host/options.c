/* options.c - command line options and lines of a configuration file from one table of rows. */
#include "src/host/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/ids.h"
#include "common/mem.h"
#include "common/units.h"
#include "src/host/failure.h"

#define NEAREST_LENGTH_MAX 40
#define HELP_COLUMN 30

#define HAS_BIT(set, row) (((set) >> (row)) & 1u)

/* ---- The nearest name ---- */

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Levenshtein distance, two rows at a time; both at most NEAREST_LENGTH_MAX long. */
static uint32_t distance(const char *a, const char *b) {
    uint32_t row[NEAREST_LENGTH_MAX + 1];
    uint32_t b_len = (uint32_t)strlen(b);
    for (uint32_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (uint32_t i = 0; a[i] != '\0'; i++) {
        uint32_t diagonal = row[0];
        row[0] = i + 1;
        for (uint32_t j = 0; j < b_len; j++) {
            uint32_t swap = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = least(swap, least(row[j], row[j + 1]) + 1);
        }
    }
    return row[b_len];
}

const char *options_nearest(const char *name, const char *const *names, uint32_t count) {
    size_t len = strlen(name);
    if (len > NEAREST_LENGTH_MAX) {
        return NULL;
    }
    const char *best = NULL;
    uint32_t best_distance = (uint32_t)len / 3 + 2; /* one typing error in a short word counts */
    for (uint32_t i = 0; i < count; i++) {
        if (names[i] == NULL || strlen(names[i]) > NEAREST_LENGTH_MAX) {
            continue;
        }
        uint32_t now = distance(name, names[i]);
        if (now < best_distance) {
            best_distance = now;
            best = names[i];
        }
    }
    return best;
}

/* ---- Values, one function per type ---- */

struct value {
    struct options *options;
    const struct option_row *row;
    const char *text;
    void *to;
    struct host_error *error;
};

static enum err bad_value(const struct value *value, const char *expected) {
    return fail(value->error, ERR_CONFIG, "`%s` for %s: expected %s", value->text, value->row->name,
                expected);
}

static enum err in_range(const struct value *value, uint64_t number) {
    const struct option_row *row = value->row;
    if (number < row->min || (row->max != 0 && number > row->max)) {
        uint64_t scale = row->type == OPTION_MILLI ? 1000 : 1;
        char expected[96];
        if (row->max == 0) {
            snprintf(expected, sizeof expected, "at least %" PRIu64, row->min / scale);
        } else {
            snprintf(expected, sizeof expected, "%" PRIu64 " to %" PRIu64, row->min / scale,
                     row->max / scale);
        }
        return bad_value(value, expected);
    }
    memcpy(value->to, &number, sizeof number);
    return OK;
}

static enum err set_flag(const struct value *value) {
    bool yes = strcasecmp(value->text, "yes") == 0;
    if (!yes && strcasecmp(value->text, "no") != 0) {
        return bad_value(value, "yes or no");
    }
    memcpy(value->to, &yes, sizeof yes);
    return OK;
}

static enum err set_text(const struct value *value) {
    if (value->text[0] == '\0') {
        return bad_value(value, "something");
    }
    memcpy(value->to, &value->text, sizeof value->text);
    return OK;
}

static enum err set_list(const struct value *value) {
    struct option_list *list = value->to;
    if (value->text[0] == '\0') {
        return bad_value(value, "something");
    }
    if (list->count == OPTION_VALUES_MAX) {
        return fail(value->error, ERR_CONFIG, "%s is given more than %d times", value->row->name,
                    OPTION_VALUES_MAX);
    }
    enum err err = value->row->check != NULL ? value->row->check(value->text, value->error) : OK;
    if (err == OK) {
        list->values[list->count++] = value->text;
    }
    return err;
}

static enum err set_number(const struct value *value) {
    uint64_t number = 0;
    return units_parse_number(value->text, &number) != OK ? bad_value(value, "a number")
                                                          : in_range(value, number);
}

static enum err set_milli(const struct value *value) {
    uint64_t milli = 0;
    return units_parse_milli(value->text, &milli) != OK
               ? bad_value(value, "a number such as 2 or 0.5")
               : in_range(value, milli);
}

static enum err set_bytes(const struct value *value) {
    uint64_t bytes = 0;
    return units_parse_bytes(value->text, &bytes) != OK
               ? bad_value(value, "a size such as 800K, 8M or 1.5G")
               : in_range(value, bytes);
}

static enum err set_address(const struct value *value) {
    struct address address;
    if (address_parse(&address, value->text, true) != OK) {
        return bad_value(value, "an address and a port such as 192.168.1.5:6346 or [::]:6346 (no "
                                "host names; port 0 = any)");
    }
    memcpy(value->to, &address, sizeof address);
    return OK;
}

static enum err set_choice(const struct value *value) {
    size_t len = strlen(value->text);
    uint64_t choice = 0;
    for (const char *at = value->row->argument; at != NULL; choice++) {
        const char *bar = strchr(at, '|');
        size_t word = bar != NULL ? (size_t)(bar - at) : strlen(at);
        if (word == len && memcmp(at, value->text, len) == 0) {
            memcpy(value->to, &choice, sizeof choice);
            return OK;
        }
        at = bar != NULL ? bar + 1 : NULL;
    }
    return bad_value(value, value->row->argument);
}

static enum err set_value(struct options *options, uint32_t row, const char *text,
                          struct host_error *error) {
    static enum err (*const setters[OPTION_TYPES])(const struct value *) = {
        [OPTION_FLAG] = set_flag,       [OPTION_TEXT] = set_text,    [OPTION_LIST] = set_list,
        [OPTION_NUMBER] = set_number,   [OPTION_MILLI] = set_milli,  [OPTION_BYTES] = set_bytes,
        [OPTION_ADDRESS] = set_address, [OPTION_CHOICE] = set_choice};
    struct value value = {.options = options,
                          .row = &options->rows[row],
                          .text = text,
                          .to = (char *)options->values + options->rows[row].offset,
                          .error = error};
    return setters[value.row->type](&value);
}

void options_choice_name(const struct option_row *row, uint64_t choice, char word[32]) {
    const char *at = row->argument;
    for (uint64_t i = 0; i < choice && at != NULL; i++) {
        const char *bar = strchr(at, '|');
        at = bar != NULL ? bar + 1 : NULL;
    }
    snprintf(word, 32, "%.*s", at == NULL ? 0 : (int)strcspn(at, "|"), at == NULL ? "" : at);
}

/* ---- The command line ---- */

struct arguments {
    int count;
    char *const *texts;
    int at;
};

static uint32_t find_row(const struct options *options, const char *name, size_t len) {
    uint32_t row = 0;
    while (row < options->row_count && (strlen(options->rows[row].name) != len ||
                                        memcmp(options->rows[row].name, name, len) != 0)) {
        row++;
    }
    return row;
}

static uint32_t find_letter(const struct options *options, char letter) {
    uint32_t row = 0;
    while (row < options->row_count && options->rows[row].letter != letter) {
        row++;
    }
    return row;
}

static enum err unknown_option(const struct options *options, const char *name, size_t len,
                               struct host_error *error) {
    const char *names[OPTION_ROWS_MAX];
    char wanted[NEAREST_LENGTH_MAX + 2];
    for (uint32_t i = 0; i < options->row_count; i++) {
        names[i] = HAS_BIT(options->accepted, i) ? options->rows[i].name : NULL;
    }
    snprintf(wanted, sizeof wanted, "%.*s", (int)(len > sizeof wanted ? sizeof wanted : len), name);
    const char *nearest = options_nearest(wanted, names, options->row_count);
    if (nearest != NULL) {
        return fail(error, ERR_CONFIG, "unknown option `--%s`; did you mean `--%s`?", wanted,
                    nearest);
    }
    return fail(error, ERR_CONFIG, "unknown option `--%s`; `--help` lists them", wanted);
}

/* Check that the row may be set, then set it. `attached` is the text after `=`, or NULL. */
static enum err take_option(struct options *options, uint32_t row, const char *attached,
                            struct arguments *arguments, struct host_error *error) {
    const struct option_row *option = &options->rows[row];
    if (HAS_BIT(options->given, row) && option->type != OPTION_LIST &&
        option->type != OPTION_FLAG) {
        return fail(error, ERR_CONFIG, "`--%s` is given twice; leave one out", option->name);
    }
    options->given |= 1ULL << row;
    if (option->type == OPTION_FLAG) {
        return attached != NULL ? fail(error, ERR_CONFIG, "`--%s` takes no value", option->name)
                                : set_value(options, row, "yes", error);
    }
    if (attached == NULL) {
        if (arguments->at == arguments->count) {
            return fail(error, ERR_CONFIG, "`--%s` needs a value: --%s %s", option->name,
                        option->name, option->argument);
        }
        attached = arguments->texts[arguments->at++];
    }
    return set_value(options, row, attached, error);
}

static enum err take_long(struct options *options, const char *text, struct arguments *arguments,
                          struct host_error *error) {
    size_t len = strcspn(text, "=");
    uint32_t row = find_row(options, text, len);
    if (row == options->row_count) {
        return unknown_option(options, text, len, error);
    }
    if (!HAS_BIT(options->accepted, row)) {
        return fail(error, ERR_CONFIG,
                    "`--%s` does not belong to this command; `--help` lists what does",
                    options->rows[row].name);
    }
    return take_option(options, row, text[len] == '=' ? text + len + 1 : NULL, arguments, error);
}

static enum err take_word(struct options *options, const char *text, struct host_error *error) {
    struct option_list *words = &options->words;
    if (words->count == OPTION_VALUES_MAX) {
        return fail(error, ERR_CONFIG, "more than %d words", OPTION_VALUES_MAX);
    }
    words->values[words->count++] = text;
    return OK;
}

/* `text` follows a dash. */
static enum err take_letter(struct options *options, const char *text, struct arguments *arguments,
                            struct host_error *error) {
    uint32_t row = find_letter(options, text[0]);
    if (text[1] != '\0' || row == options->row_count || !HAS_BIT(options->accepted, row)) {
        if (options->dash_words) {
            return take_word(options, text - 1, error);
        }
        return fail(error, ERR_CONFIG,
                    "unknown option `-%s`; `--help` lists them, and words that begin with a dash "
                    "go after `--`",
                    text);
    }
    return take_option(options, row, NULL, arguments, error);
}

enum err options_parse(struct options *options, int argc, char *const *argv,
                       struct host_error *error) {
    struct arguments arguments = {.count = argc, .texts = argv};
    bool only_words = false;
    enum err err = OK;
    while (err == OK && arguments.at < argc) {
        const char *text = argv[arguments.at++];
        if (only_words || text[0] != '-' || text[1] == '\0') {
            err = take_word(options, text, error);
        } else if (text[1] != '-') {
            err = take_letter(options, text + 1, &arguments, error);
        } else if (text[2] == '\0') {
            only_words = true;
        } else {
            err = take_long(options, text + 2, &arguments, error);
        }
    }
    return err;
}

/* ---- A line of a file ---- */

static const char *keep(struct options *options, const char *text) {
    options->owned = mem_resize(options->owned, options->owned_count + 1u, sizeof(char *));
    options->owned[options->owned_count] = mem_string(text);
    return options->owned[options->owned_count++];
}

static enum err unknown_key(const struct options *options, const char *key,
                            struct host_error *error) {
    const char *names[OPTION_ROWS_MAX];
    for (uint32_t i = 0; i < options->row_count; i++) {
        names[i] = options->rows[i].in_file ? options->rows[i].name : NULL;
    }
    const char *nearest = options_nearest(key, names, options->row_count);
    return nearest != NULL
               ? fail(error, ERR_CONFIG, "unknown key `%.60s`; did you mean `%s`?", key, nearest)
               : fail(error, ERR_CONFIG, "unknown key `%.60s`; remove it", key);
}

enum err options_set_from_file(struct options *options, const char *key, const char *value,
                               struct host_error *error) {
    uint32_t row = find_row(options, key, strlen(key));
    if (row == options->row_count || !options->rows[row].in_file) {
        return unknown_key(options, key, error);
    }
    bool repeatable = options->rows[row].type == OPTION_LIST;
    if (HAS_BIT(options->filed, row) && !repeatable) {
        return fail(error, ERR_CONFIG, "`%s` stands here twice; leave one out", key);
    }
    options->filed |= 1ULL << row;
    if (HAS_BIT(options->given, row)) {
        return OK;
    }
    return set_value(options, row, keep(options, value), error);
}

void options_free(struct options *options) {
    for (uint32_t i = 0; i < options->owned_count; i++) {
        mem_free(options->owned[i]);
    }
    mem_free(options->owned);
    options->owned = NULL;
    options->owned_count = 0;
}

/* ---- Help ---- */

void options_help(const struct options *options, FILE *file) {
    for (uint32_t i = 0; i < options->row_count; i++) {
        const struct option_row *row = &options->rows[i];
        if (!HAS_BIT(options->accepted, i)) {
            continue;
        }
        char left[80];
        char letter[8] = "";
        if (row->letter != '\0') {
            snprintf(letter, sizeof letter, "-%c, ", row->letter);
        }
        int len =
            snprintf(left, sizeof left, "  %s--%s%s%s", letter, row->name,
                     row->argument != NULL ? " " : "", row->argument != NULL ? row->argument : "");
        fprintf(file, "%-*s%s%s\n", HELP_COLUMN, left, len >= HELP_COLUMN ? "  " : "", row->help);
    }
}
