/* fuzz_reject.c - any bytes as REJECT. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(reject)
