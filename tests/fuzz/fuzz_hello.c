/* fuzz_hello.c - any bytes as HELLO or WELCOME. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(hello)
