/* fuzz_reg_remove.c - any bytes as REG_REMOVE. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(reg_remove)
