/* units.c - sizes, rates and times as people write and read them. */
#include "common/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define VALUE_MAX INT64_MAX /* room for signed APIs such as off_t */
#define MILLI 1000u

/* Read digits at *at and go past them; false when there is none or they are too many. */
static bool read_digits(const char **at, uint64_t *value) {
    const char *from = *at;
    uint64_t sum = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (sum > (VALUE_MAX - digit) / 10) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return *at != from;
}

/* Read `.5` as 500 thousandths; nothing there is zero. */
static bool read_fraction(const char **at, uint64_t *milli) {
    *milli = 0;
    if (**at != '.') {
        return true;
    }
    (*at)++;
    uint64_t weight = MILLI;
    const char *from = *at;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        weight /= 10;
        *milli += (uint64_t)(**at - '0') * weight;
    }
    return *at != from && *at - from <= 3;
}

/* The power of two that a suffix stands for, or -1. */
static int suffix_shift(const char *suffix) {
    static const struct {
        const char *text;
        int shift;
    } suffixes[] = {{"", 0},     {"B", 0},   {"K", 10},   {"KB", 10}, {"KiB", 10},
                    {"M", 20},   {"MB", 20}, {"MiB", 20}, {"G", 30},  {"GB", 30},
                    {"GiB", 30}, {"T", 40},  {"TB", 40},  {"TiB", 40}};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (strcasecmp(suffix, suffixes[i].text) == 0) {
            return suffixes[i].shift;
        }
    }
    return -1;
}

enum err units_parse_bytes(const char *text, uint64_t *bytes) {
    uint64_t whole = 0;
    uint64_t milli = 0;
    if (!read_digits(&text, &whole) || !read_fraction(&text, &milli)) {
        return ERR_CONFIG;
    }
    text += *text == ' ' && text[1] != '\0';
    int shift = suffix_shift(text);
    if (shift < 0 || whole > ((uint64_t)VALUE_MAX >> shift) - 1 || (shift == 0 && milli != 0)) {
        return ERR_CONFIG;
    }
    *bytes = (whole << shift) + ((milli << shift) / MILLI);
    return OK;
}

enum err units_parse_number(const char *text, uint64_t *number) {
    return read_digits(&text, number) && *text == '\0' ? OK : ERR_CONFIG;
}

enum err units_parse_milli(const char *text, uint64_t *milli) {
    uint64_t whole = 0;
    uint64_t part = 0;
    if (!read_digits(&text, &whole) || !read_fraction(&text, &part) || *text != '\0' ||
        whole > VALUE_MAX / MILLI - 1) {
        return ERR_CONFIG;
    }
    *milli = whole * MILLI + part;
    return OK;
}

enum err units_parse_ms(const char *text, uint64_t *ms) {
    static const struct {
        const char *text;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    uint64_t whole = 0;
    uint64_t milli = 0;
    if (!read_digits(&text, &whole) || !read_fraction(&text, &milli)) {
        return ERR_CONFIG;
    }
    if (*text == '\0' && whole == 0 && milli == 0) {
        *ms = 0;
        return OK;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text, units[i].text) == 0 && whole <= VALUE_MAX / units[i].ms - 1) {
            *ms = whole * units[i].ms + milli * units[i].ms / MILLI;
            return OK;
        }
    }
    return ERR_CONFIG;
}

void units_bytes(char text[UNITS_TEXT_BYTES], uint64_t bytes) {
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint32_t unit = 0;
    uint64_t tenths = 0;
    uint64_t whole = bytes;
    while (whole >= 1024) {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit++;
    }
    if (unit == 0) {
        snprintf(text, UNITS_TEXT_BYTES, "%" PRIu64 " B", whole);
    } else {
        snprintf(text, UNITS_TEXT_BYTES, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths, names[unit]);
    }
}

void units_duration(char text[UNITS_TEXT_BYTES], uint64_t seconds) {
    uint64_t minutes = seconds / 60;
    uint64_t hours = minutes / 60;
    if (seconds == UINT64_MAX) {
        snprintf(text, UNITS_TEXT_BYTES, "--:--");
    } else if (hours >= 48) {
        snprintf(text, UNITS_TEXT_BYTES, "%" PRIu64 "d %02" PRIu64 "h", hours / 24, hours % 24);
    } else if (hours > 0) {
        snprintf(text, UNITS_TEXT_BYTES, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, hours,
                 minutes % 60, seconds % 60);
    } else {
        snprintf(text, UNITS_TEXT_BYTES, "%" PRIu64 ":%02" PRIu64, minutes, seconds % 60);
    }
}
