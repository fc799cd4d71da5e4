/* fuzz_nodes_request.c - any bytes as NODES_REQUEST. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(nodes_request)
