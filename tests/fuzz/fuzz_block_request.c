/* fuzz_block_request.c - any bytes as BLOCK_REQUEST. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(block_request)
