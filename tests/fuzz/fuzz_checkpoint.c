/* fuzz_checkpoint.c - any bytes as a checkpoint. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(checkpoint)
