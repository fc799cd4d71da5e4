/* fuzz_receipt.c - any bytes as RECEIPT. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(receipt)
