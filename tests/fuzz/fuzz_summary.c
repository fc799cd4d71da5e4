/* fuzz_summary.c - any bytes as SUMMARY. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(summary)
