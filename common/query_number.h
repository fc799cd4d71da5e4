/* query_number.h - the numbers of a query: ">10M", "1990..1999", "3:30". */
#ifndef TRUNKLINE_COMMON_QUERY_NUMBER_H
#define TRUNKLINE_COMMON_QUERY_NUMBER_H

#include "common/query.h"

/* Read what stands behind "size:" and its like: an amount alone or behind one of > >= < <= =, or
 * a..b, a.., ..b. An amount is digits with a unit of `number`, sizes in steps of 1024; with a unit
 * it may have up to three decimals; durations also 1h30m, 3:30 and 1:02:03. An amount alone or
 * behind = stands for all that begins with it: 700M ends before 701M, 1.5G before 1.6G. min is at
 * least 1, as 0 is unknown. Return OK, or ERR_FORMAT with *error, at counted from the value. */
MUST_CHECK enum err query_number_parse(struct slice value, enum file_number number,
                                       struct query_range *range, struct query_error *error);

#endif
