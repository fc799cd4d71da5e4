/* fuzz_browse.c - any bytes as BROWSE. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(browse)
