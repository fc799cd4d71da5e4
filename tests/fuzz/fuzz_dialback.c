/* fuzz_dialback.c - any bytes as DIALBACK. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(dialback)
