/* fuzz_hashes_request.c - any bytes as HASHES_REQUEST. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(hashes_request)
