/* fuzz_place.c - any bytes as PLACE. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(place)
