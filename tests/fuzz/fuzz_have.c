/* fuzz_have.c - any bytes as HAVE. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(have)
