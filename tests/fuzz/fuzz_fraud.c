/* fuzz_fraud.c - any bytes as a proof of fraud. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(fraud)
