/* fuzz_reg_add.c - any bytes as REG_ADD. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(reg_add)
