/* fuzz_why.c - any bytes as WHY. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(why)
