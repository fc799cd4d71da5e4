/* query_number.c - reads amounts with units, comparisons and ranges, in integers. */
#include "common/query_number.h"

#include <string.h>

#define AMOUNT_MAX (1ULL << 60) /* far beyond every size; sums of two do not overflow */
#define DECIMALS_MAX 3
#define CLOCK_COLONS_MAX 2 /* hours, minutes, seconds */

struct unit {
    const char *name; /* lower-case; a missing one is "" */
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},
    {"b", 1},
    {"k", 1ULL << 10},
    {"kb", 1ULL << 10},
    {"kib", 1ULL << 10},
    {"m", 1ULL << 20},
    {"mb", 1ULL << 20},
    {"mib", 1ULL << 20},
    {"g", 1ULL << 30},
    {"gb", 1ULL << 30},
    {"gib", 1ULL << 30},
    {"t", 1ULL << 40},
    {"tb", 1ULL << 40},
    {"tib", 1ULL << 40},
    {NULL, 0},
};
static const struct unit year_units[] = {{"", 1}, {NULL, 0}};
static const struct unit bitrate_units[] = {{"", 1}, {"k", 1}, {"kbps", 1}, {NULL, 0}};
static const struct unit duration_units[] = {{"", 1},     {"s", 1},    {"sec", 1}, {"m", 60},
                                             {"min", 60}, {"h", 3600}, {NULL, 0}};
static const struct unit pixel_units[] = {{"", 1}, {"p", 1}, {"px", 1}, {NULL, 0}};

static const struct {
    const struct unit *units;
    const char *not_a_unit;
} number_kinds[FILE_NUMBERS] = {
    [NUMBER_SIZE] = {size_units, "not a unit of size; use B, K, M, G or T"},
    [NUMBER_YEAR] = {year_units, "a year is digits alone"},
    [NUMBER_BITRATE] = {bitrate_units, "not a unit of bitrate; use k or none"},
    [NUMBER_DURATION] = {duration_units, "not a unit of duration; use s, m or h"},
    [NUMBER_WIDTH] = {pixel_units, "pixels are digits alone"},
    [NUMBER_HEIGHT] = {pixel_units, "pixels are digits alone, or with p"},
};

/* An amount stands for [value, value + step). */
struct amount {
    uint64_t value;
    uint64_t step;
};

struct cursor {
    struct slice text;
    size_t at;
    enum file_number number;
    struct query_error *error;
};

static enum err fail_at(const struct cursor *cursor, size_t at, const char *why) {
    *cursor->error = (struct query_error){at, why};
    return ERR_FORMAT;
}

static uint8_t byte_at(const struct cursor *cursor, size_t at) {
    return at < cursor->text.len ? cursor->text.data[at] : 0;
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static bool skip(struct cursor *cursor, const char *text) {
    size_t len = strlen(text);
    bool is_there = cursor->text.len - cursor->at >= len &&
                    memcmp(cursor->text.data + cursor->at, text, len) == 0;
    cursor->at += is_there ? len : 0;
    return is_there;
}

static enum err read_digits(struct cursor *cursor, uint64_t *value) {
    size_t start = cursor->at;
    *value = 0;
    for (; is_digit(byte_at(cursor, cursor->at)); cursor->at++) {
        *value = *value * 10 + byte_at(cursor, cursor->at) - '0';
        if (*value > AMOUNT_MAX) {
            return fail_at(cursor, start, "the number is too large");
        }
    }
    return cursor->at > start ? OK : fail_at(cursor, start, "a number is expected here");
}

/* Read letters; 0 when they are no unit. */
static uint64_t read_unit(struct cursor *cursor) {
    char name[8] = "";
    size_t len = 0;
    for (uint8_t byte; (byte = byte_at(cursor, cursor->at) | 0x20) >= 'a' && byte <= 'z';) {
        if (len + 1 == sizeof name) {
            return 0;
        }
        name[len++] = (char)byte;
        cursor->at++;
    }
    const struct unit *unit = number_kinds[cursor->number].units;
    while (unit->name != NULL && strcmp(unit->name, name) != 0) {
        unit++;
    }
    return unit->factor;
}

/* Read digits, decimals and a unit, and add them. */
static enum err read_part(struct cursor *cursor, struct amount *amount) {
    size_t start = cursor->at;
    uint64_t whole;
    uint64_t decimals = 0;
    uint64_t scale = 1;
    enum err err = read_digits(cursor, &whole);
    if (err != OK) {
        return err;
    }
    size_t point = cursor->at;
    if (byte_at(cursor, point) == '.' && is_digit(byte_at(cursor, point + 1))) {
        for (cursor->at++;
             is_digit(byte_at(cursor, cursor->at)) && cursor->at <= point + DECIMALS_MAX;
             cursor->at++) {
            decimals = decimals * 10 + byte_at(cursor, cursor->at) - '0';
            scale *= 10;
        }
    }
    size_t unit_at = cursor->at;
    uint64_t factor = read_unit(cursor);
    if (factor == 0) {
        return fail_at(cursor, unit_at, number_kinds[cursor->number].not_a_unit);
    }
    if (scale > 1 && factor == 1) {
        return fail_at(cursor, point, "decimals, at most three, need a larger unit behind them");
    }
    if (whole >= AMOUNT_MAX / factor) {
        return fail_at(cursor, start, "the number is too large");
    }
    amount->value += whole * factor + decimals * factor / scale;
    amount->step = factor >= scale ? factor / scale : 1;
    return amount->value <= AMOUNT_MAX ? OK : fail_at(cursor, start, "the number is too large");
}

/* Read ":30" or ":02:30" behind the first number. */
static enum err read_clock(struct cursor *cursor, uint64_t first, struct amount *amount) {
    *amount = (struct amount){.value = first, .step = 1};
    for (int colons = 0; colons < CLOCK_COLONS_MAX && skip(cursor, ":"); colons++) {
        size_t start = cursor->at;
        uint64_t next;
        enum err err = read_digits(cursor, &next);
        if (err != OK) {
            return err;
        }
        if (next > 59) {
            return fail_at(cursor, start, "minutes and seconds behind a colon end at 59");
        }
        if (amount->value > AMOUNT_MAX / 60 - 1) {
            return fail_at(cursor, 0, "the number is too large");
        }
        amount->value = amount->value * 60 + next;
    }
    return OK;
}

static enum err read_amount(struct cursor *cursor, struct amount *amount) {
    size_t start = cursor->at;
    bool is_duration = cursor->number == NUMBER_DURATION;
    uint64_t first;
    *amount = (struct amount){0};
    enum err err = read_digits(cursor, &first);
    if (err != OK) {
        return err;
    }
    if (is_duration && byte_at(cursor, cursor->at) == ':') {
        return read_clock(cursor, first, amount);
    }
    cursor->at = start;
    err = read_part(cursor, amount);
    while (err == OK && is_duration && is_digit(byte_at(cursor, cursor->at))) {
        err = read_part(cursor, amount);
        if (err == OK && is_digit(byte_at(cursor, cursor->at - 1))) {
            err = fail_at(cursor, cursor->at, "a unit is missing; use s, m or h");
        }
    }
    return err;
}

enum comparison { AT_LEAST, ABOVE, AT_MOST, BELOW, EQUAL };

/* Read an amount behind an operator. */
static enum err read_comparison(struct cursor *cursor, enum comparison how,
                                struct query_range *range) {
    struct amount amount;
    enum err err = read_amount(cursor, &amount);
    if (err != OK) {
        return err;
    }
    switch (how) {
    case AT_LEAST:
        range->min = amount.value;
        break;
    case ABOVE:
        range->min = amount.value + 1;
        break;
    case AT_MOST:
        range->max = amount.value;
        break;
    case BELOW:
        range->max = amount.value > 0 ? amount.value - 1 : 0;
        break;
    case EQUAL:
        range->min = amount.value;
        range->max = amount.value + amount.step - 1;
        break;
    }
    return OK;
}

/* Read a..b with either end open, or a alone. */
static enum err read_range(struct cursor *cursor, struct query_range *range) {
    struct amount amount = {0};
    bool is_open = skip(cursor, "..");
    enum err err = OK;
    if (!is_open) {
        err = read_amount(cursor, &amount);
        range->min = amount.value;
        is_open = err == OK && skip(cursor, "..");
        if (err != OK || !is_open) {
            range->max = amount.value + amount.step - 1;
            return err;
        }
        if (cursor->at == cursor->text.len) {
            return OK;
        }
    }
    err = read_amount(cursor, &amount);
    range->max = amount.value;
    return err;
}

enum err query_number_parse(struct slice value, enum file_number number, struct query_range *range,
                            struct query_error *error) {
    static const struct {
        const char *text;
        enum comparison how;
    } operators[] = {{">=", AT_LEAST}, {">", ABOVE}, {"<=", AT_MOST}, {"<", BELOW}, {"=", EQUAL}};
    struct cursor cursor = {value, 0, number, error};
    *range = (struct query_range){1, UINT64_MAX};
    size_t row = 0;
    while (row < sizeof operators / sizeof *operators && !skip(&cursor, operators[row].text)) {
        row++;
    }
    enum err err = row < sizeof operators / sizeof *operators
                       ? read_comparison(&cursor, operators[row].how, range)
                       : read_range(&cursor, range);
    if (err != OK) {
        return err;
    }
    if (cursor.at < value.len) {
        return fail_at(&cursor, cursor.at, "not part of a number; a range is written as 1..5");
    }
    range->min = range->min > 0 ? range->min : 1;
    return range->min <= range->max ? OK : fail_at(&cursor, 0, "there is no number in this range");
}
