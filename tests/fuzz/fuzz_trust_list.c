/* fuzz_trust_list.c - any bytes as TRUST_HAVE or TRUST_WANT. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(trust_list)
