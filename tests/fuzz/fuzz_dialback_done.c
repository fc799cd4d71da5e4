/* fuzz_dialback_done.c - any bytes as DIALBACK_DONE. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(dialback_done)
