/* fuzz_measure_files.c - any bytes as MEASURE_FILES. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(measure_files)
