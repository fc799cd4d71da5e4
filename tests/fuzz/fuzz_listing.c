/* fuzz_listing.c - any bytes as LISTING. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(listing)
