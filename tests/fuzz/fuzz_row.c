/* fuzz_row.c - any bytes as a row. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(row)
