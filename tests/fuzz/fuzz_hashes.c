/* fuzz_hashes.c - any bytes as HASHES. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(hashes)
