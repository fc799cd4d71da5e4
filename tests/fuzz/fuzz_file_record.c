/* fuzz_file_record.c - any bytes as a file record. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(file_record)
