/* elect_measure.h - what supernodes measure in one epoch, and the masses that follow from it. */
#ifndef TRUNKLINE_LAB_ELECT_MEASURE_H
#define TRUNKLINE_LAB_ELECT_MEASURE_H

#include "src/lab/elect_people.h"

/* Every candidate and supernode is measured by some supernodes at one moment, so that one line is
 * counted once; the supernodes' rows make the masses, by the policy's rank. Sets `measured`,
 * `mass`. */
void elect_measure(struct people *people);

#endif
