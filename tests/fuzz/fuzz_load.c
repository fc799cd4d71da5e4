/* fuzz_load.c - any bytes as LOAD. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(load)
