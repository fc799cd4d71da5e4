/* fuzz_measure_blocks.c - any bytes as MEASURE_BLOCKS. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(measure_blocks)
