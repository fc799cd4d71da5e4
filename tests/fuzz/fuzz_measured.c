/* fuzz_measured.c - any bytes as MEASURED. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(measured)
