/* fuzz_goaway.c - any bytes as GOAWAY. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(goaway)
