/* rateplan.h - limits on traffic, some by the hours of the week: read, kept, looked up.
 *
 * One text is one row: `[DAYS] [HH:MM-HH:MM] KIND=RATE...`, such as `up=500K down=2M` (always) or
 * `mon-fri 08:00-18:00 up=500K`. The last row that is in force and names a kind decides about it.
 */
#ifndef TRUNKLINE_COMMON_RATEPLAN_H
#define TRUNKLINE_COMMON_RATEPLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/limits.h"

enum rate_kind {
    RATE_UP,        /* everything that is sent */
    RATE_DOWN,      /* everything that is received */
    RATE_UPLOADS,   /* sent on links for files */
    RATE_DOWNLOADS, /* received on them */
    RATE_OVERLAY,   /* all other links, each direction */
    RATE_KINDS
};

/* `up`, `down`, `uploads`, `downloads`, `overlay`. */
extern const char *const rate_kinds[RATE_KINDS];

#define RATE_UNSET UINT64_MAX

/* Bytes per second; 0 = unlimited, RATE_UNSET = a row does not say. */
struct rates {
    uint64_t of[RATE_KINDS];
};

#define WEEK_MINUTES (7 * 24 * 60)
#define DAY_MINUTES (24 * 60)
#define ALL_DAYS 0x7f

/* From `from` to before `to` in minutes of the day, beginning on these days (bit 0 = Monday); until
 * the next day when `to` is not later. 0 to 0 on all days = always. */
struct rate_row {
    uint8_t days;
    uint16_t from;
    uint16_t to;
    struct rates rates;
};

struct rateplan {
    struct rate_row rows[RATE_ROWS_MAX];
    uint32_t count;
};

#define RATE_TEXT_BYTES 200

/* Read one row. On ERR_CONFIG *why is what is wrong and *at the word that is, in `text`. */
MUST_CHECK enum err rate_row_parse(struct rate_row *row, const char *text, const char **why,
                                   const char **at);

/* Write it as it would be read. */
void rate_row_format(char text[RATE_TEXT_BYTES], const struct rate_row *row);

/* The same for rates alone; unlimited ones are left out, "none" when all are. */
void rates_format(char text[RATE_TEXT_BYTES], const struct rates *rates);

/* Add a row. One for the same time takes the rates of the new one over its own. ERR_LIMIT when
 * there are too many. */
MUST_CHECK enum err rateplan_add(struct rateplan *plan, const struct rate_row *row);

/* What holds in this minute of the week (0 = Monday 00:00); nothing unset. */
struct rates rateplan_at(const struct rateplan *plan, uint32_t minute);

/* True for a row that does not depend on the time. */
bool rate_row_is_always(const struct rate_row *row);

#endif
