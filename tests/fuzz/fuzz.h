/* fuzz.h - the one function that libFuzzer and tests/fuzz/replay.c call, and its usual shape. */
#ifndef TRUNKLINE_TESTS_FUZZ_FUZZ_H
#define TRUNKLINE_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Try one input; always returns 0. What is wrong ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
