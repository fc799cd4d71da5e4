/* fuzz_ping.c - any bytes as PING or PONG. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(ping)
