/* fuzz_candidacy.c - any bytes as a candidacy. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(candidacy)
