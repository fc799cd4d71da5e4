/* fuzz_query_body.c - any bytes as an inflated query body. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(query_body)
