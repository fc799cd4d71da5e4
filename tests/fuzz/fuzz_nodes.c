/* fuzz_nodes.c - any bytes as NODES. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(nodes)
