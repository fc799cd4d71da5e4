/* fuzz_snapshot.c - any bytes as SNAPSHOT. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(snapshot)
