/* elect_measure.h - what supernodes measure in one epoch. */
#ifndef TRUNKLINE_LAB_ELECT_MEASURE_H
#define TRUNKLINE_LAB_ELECT_MEASURE_H

#include "src/lab/elect_records.h"

/* Every candidate and supernode is drawn to some supernodes, which measure theirs at one moment, so
 * that one line is counted once; each makes a row of what it measured. Sets `measured`. `load` is
 * how full the layer is; `records` take the rows, NULL = nobody does. */
struct elect_load {
    uint64_t used;
    uint64_t slots;
};
void elect_measure(struct people *people, const struct elect_load *load, struct records *records);

#endif
