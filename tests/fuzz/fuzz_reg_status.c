/* fuzz_reg_status.c - any bytes as REG_STATUS. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(reg_status)
