/* rateplan.c - limits on traffic, some by the hours of the week: read, kept, looked up. */
#include "common/rateplan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"

#define WORD_BYTES 64

const char *const rate_kinds[RATE_KINDS] = {"up", "down", "uploads", "downloads", "overlay"};

static const char *const day_names[7] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* ---- Reading ---- */

static int day_of(const char *text, size_t len) {
    for (int i = 0; i < 7; i++) {
        if (len == 3 && strncasecmp(text, day_names[i], 3) == 0) {
            return i;
        }
    }
    return -1;
}

/* `mon`, `mon-fri`, `sat,sun`, `fri-mon`; false when it is no days. */
static bool read_days(const char *word, uint8_t *days) {
    uint8_t found = 0;
    for (const char *at = word;; at++) {
        size_t len = strcspn(at, ",");
        const char *dash = memchr(at, '-', len);
        size_t first_len = dash != NULL ? (size_t)(dash - at) : len;
        int first = day_of(at, first_len);
        int last = dash != NULL ? day_of(dash + 1, len - first_len - 1) : first;
        if (first < 0 || last < 0) {
            return false;
        }
        for (int day = first; day != last; day = (day + 1) % 7) {
            found |= (uint8_t)(1 << day);
        }
        found |= (uint8_t)(1 << last);
        at += len;
        if (*at == '\0') {
            *days = found;
            return true;
        }
    }
}

static bool read_digits(const char *at, uint16_t *value) {
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9') {
        return false;
    }
    *value = (uint16_t)((at[0] - '0') * 10 + at[1] - '0');
    return true;
}

/* HH:MM, 00:00 to 24:00. */
static bool read_time(const char *at, uint16_t *minute) {
    uint16_t hours, minutes;
    if (!read_digits(at, &hours) || at[2] != ':' || !read_digits(at + 3, &minutes)) {
        return false;
    }
    *minute = (uint16_t)(hours * 60 + minutes);
    return minutes < 60 && *minute <= DAY_MINUTES;
}

static bool read_times(const char *word, struct rate_row *row) {
    return strlen(word) == 11 && word[5] == '-' && read_time(word, &row->from) &&
           read_time(word + 6, &row->to) && row->from != row->to && row->from < DAY_MINUTES;
}

static bool read_rate(const char *text, uint64_t *rate) {
    if (strcasecmp(text, "none") == 0) {
        *rate = 0;
        return true;
    }
    return units_parse_bytes(text, rate) == OK && *rate >= RATE_MIN && *rate <= RATE_MAX;
}

/* Take one word; NULL when it is fine, else what is wrong with it. */
static const char *read_word(struct rate_row *row, const char *word, bool *has_days,
                             bool *has_times, bool *has_rates) {
    const char *equals = strchr(word, '=');
    if (equals == NULL) {
        if (!*has_days && !*has_times && !*has_rates && read_days(word, &row->days)) {
            *has_days = true;
            return NULL;
        }
        if (!*has_times && !*has_rates && read_times(word, row)) {
            *has_times = true;
            return NULL;
        }
        return "expected [mon-fri] [08:00-18:00] and KIND=RATE, such as up=500K";
    }
    for (int kind = 0; kind < RATE_KINDS; kind++) {
        if (strlen(rate_kinds[kind]) != (size_t)(equals - word) ||
            strncasecmp(rate_kinds[kind], word, (size_t)(equals - word)) != 0) {
            continue;
        }
        *has_rates = true;
        if (row->rates.of[kind] != RATE_UNSET) {
            return "this limit is given twice";
        }
        return read_rate(equals + 1, &row->rates.of[kind])
                   ? NULL
                   : "expected bytes per second from 4K to 100G, such as 500K or 2M, or none";
    }
    return "the limits are up, down, uploads, downloads and overlay";
}

enum err rate_row_parse(struct rate_row *row, const char *text, const char **why, const char **at) {
    bool has_days = false, has_times = false, has_rates = false;
    *row = (struct rate_row){.days = ALL_DAYS};
    for (int kind = 0; kind < RATE_KINDS; kind++) {
        row->rates.of[kind] = RATE_UNSET;
    }
    *at = text;
    for (*at += strspn(*at, " \t"); **at != '\0'; *at += strspn(*at, " \t")) {
        char word[WORD_BYTES];
        size_t len = strcspn(*at, " \t");
        if (len >= sizeof word) {
            *why = "this is too long for a limit";
            return ERR_CONFIG;
        }
        memcpy(word, *at, len);
        word[len] = '\0';
        *why = read_word(row, word, &has_days, &has_times, &has_rates);
        if (*why != NULL) {
            return ERR_CONFIG;
        }
        *at += len;
    }
    *why = "it names no limit; say KIND=RATE, such as up=500K";
    return has_rates ? OK : ERR_CONFIG;
}

/* ---- Writing ---- */

static size_t put(char text[RATE_TEXT_BYTES], size_t len, const char *word) {
    int wrote = snprintf(text + len, RATE_TEXT_BYTES - len, "%s%s", len > 0 ? " " : "", word);
    return len + (wrote > 0 ? (size_t)wrote : 0);
}

/* Exactly, in the largest unit that divides it. */
static void format_rate(char word[WORD_BYTES], int kind, uint64_t rate) {
    static const char units[] = {'\0', 'K', 'M', 'G'};
    int unit = 0;
    for (; unit < 3 && rate != 0 && rate % 1024 == 0; unit++) {
        rate /= 1024;
    }
    if (rate == 0) {
        snprintf(word, WORD_BYTES, "%s=none", rate_kinds[kind]);
    } else {
        snprintf(word, WORD_BYTES, "%s=%" PRIu64 "%.1s", rate_kinds[kind], rate, &units[unit]);
    }
}

static size_t put_rates(char text[RATE_TEXT_BYTES], size_t len, const struct rates *rates,
                        uint64_t left_out) {
    for (int kind = 0; kind < RATE_KINDS; kind++) {
        char word[WORD_BYTES];
        if (rates->of[kind] != left_out) {
            format_rate(word, kind, rates->of[kind]);
            len = put(text, len, word);
        }
    }
    return len;
}

void rates_format(char text[RATE_TEXT_BYTES], const struct rates *rates) {
    if (put_rates(text, 0, rates, 0) == 0) {
        (void)put(text, 0, "none");
    }
}

bool rate_row_is_always(const struct rate_row *row) {
    return row->days == ALL_DAYS && row->from == row->to;
}

void rate_row_format(char text[RATE_TEXT_BYTES], const struct rate_row *row) {
    char word[WORD_BYTES] = "";
    size_t len = 0;
    text[0] = '\0';
    for (int day = 0; day < 7 && row->days != ALL_DAYS; day++) {
        if ((row->days >> day & 1) != 0) {
            size_t used = strlen(word);
            snprintf(word + used, sizeof word - used, "%s%s", used > 0 ? "," : "", day_names[day]);
        }
    }
    len = word[0] != '\0' ? put(text, len, word) : len;
    if (row->from != row->to) {
        snprintf(word, sizeof word, "%02d:%02d-%02d:%02d", row->from / 60, row->from % 60,
                 row->to / 60, row->to % 60);
        len = put(text, len, word);
    }
    (void)put_rates(text, len, &row->rates, RATE_UNSET);
}

/* ---- Looking up ---- */

static void lay_over(struct rates *rates, const struct rates *over) {
    for (int kind = 0; kind < RATE_KINDS; kind++) {
        if (over->of[kind] != RATE_UNSET) {
            rates->of[kind] = over->of[kind];
        }
    }
}

enum err rateplan_add(struct rateplan *plan, const struct rate_row *row) {
    for (uint32_t i = 0; i < plan->count; i++) {
        struct rate_row *other = &plan->rows[i];
        if (other->days == row->days && other->from == row->from && other->to == row->to) {
            lay_over(&other->rates, &row->rates);
            return OK;
        }
    }
    if (plan->count >= RATE_ROWS_MAX) {
        return ERR_LIMIT;
    }
    plan->rows[plan->count++] = *row;
    return OK;
}

/* Whether the row is in force: it begins on its days, and may end on the day after. */
static bool holds(const struct rate_row *row, uint32_t day, uint32_t minute) {
    bool begins = (row->days >> day & 1) != 0;
    bool began = (row->days >> (day + 6) % 7 & 1) != 0;
    if (row->from == row->to) {
        return begins;
    }
    if (row->from < row->to) {
        return begins && minute >= row->from && minute < row->to;
    }
    return (begins && minute >= row->from) || (began && minute < row->to);
}

struct rates rateplan_at(const struct rateplan *plan, uint32_t minute) {
    struct rates rates = {0};
    uint32_t day = minute / DAY_MINUTES % 7;
    for (int timed = 0; timed < 2; timed++) { /* what holds always gives way to what does not */
        for (uint32_t i = 0; i < plan->count; i++) {
            const struct rate_row *row = &plan->rows[i];
            if (rate_row_is_always(row) != (timed == 1) && holds(row, day, minute % DAY_MINUTES)) {
                lay_over(&rates, &row->rates);
            }
        }
    }
    return rates;
}
