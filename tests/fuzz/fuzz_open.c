/* fuzz_open.c - any bytes as OPEN. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(open)
