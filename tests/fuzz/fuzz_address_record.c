/* fuzz_address_record.c - any bytes as an address record. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(address_record)
