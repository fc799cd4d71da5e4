/* fuzz_members.c - any bytes as a list of members. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(members)
