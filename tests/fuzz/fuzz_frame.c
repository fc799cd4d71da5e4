/* fuzz_frame.c - any bytes as one frame. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(frame)
