/* units.h - sizes, rates and times as people write and read them. */
#ifndef TRUNKLINE_COMMON_UNITS_H
#define TRUNKLINE_COMMON_UNITS_H

#include <stdint.h>

#include "common/err.h"

/* `8M`, `1.5G`, `512 KiB`, `100`: bytes; K, M, G, T are powers of 1024, `B` or `iB` may follow.
 * ERR_CONFIG for anything else and for more than 2^63 - 1. */
MUST_CHECK enum err units_parse_bytes(const char *text, uint64_t *bytes);

/* A plain decimal number without sign. */
MUST_CHECK enum err units_parse_number(const char *text, uint64_t *number);

/* `0.5`, `12`: thousandths; at most three decimals. */
MUST_CHECK enum err units_parse_milli(const char *text, uint64_t *milli);

/* `250ms`, `10s`, `1.5s`, `5m`, `2h`, `0`: milliseconds. */
MUST_CHECK enum err units_parse_ms(const char *text, uint64_t *ms);

#define UNITS_TEXT_BYTES 24

/* `0 B`, `1023 B`, `1.0 KiB`, `9.7 GiB`. */
void units_bytes(char text[UNITS_TEXT_BYTES], uint64_t bytes);

/* `0:07`, `12:30`, `3:05:09`, `2d 04h`; `--:--` for UINT64_MAX. */
void units_duration(char text[UNITS_TEXT_BYTES], uint64_t seconds);

#endif
