/* fuzz_end.c - any bytes as END. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(end)
