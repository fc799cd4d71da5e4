/* fuzz_query.c - any bytes as QUERY or LOCATE. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(query)
