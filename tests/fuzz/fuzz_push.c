/* fuzz_push.c - any bytes as PUSH. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(push)
