/* fuzz_reg_state.c - any bytes as REG_BEGIN or REG_COMMIT. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(reg_state)
