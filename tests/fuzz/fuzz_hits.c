/* fuzz_hits.c - any bytes as HITS. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(hits)
