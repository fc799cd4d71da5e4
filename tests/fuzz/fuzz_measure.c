/* fuzz_measure.c - any bytes as MEASURE. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(measure)
