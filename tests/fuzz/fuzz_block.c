/* fuzz_block.c - any bytes as BLOCK. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(block)
