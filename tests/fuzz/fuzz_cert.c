/* fuzz_cert.c - any bytes as a certificate. */
#include "tests/fuzz/fuzz_wire.h"

FUZZ_WIRE(cert)
