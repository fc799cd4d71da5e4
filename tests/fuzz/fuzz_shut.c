/* fuzz_shut.c - any bytes as SHUT. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(shut)
