/* fuzz_decision.c - any bytes as DECISION. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(decision)
