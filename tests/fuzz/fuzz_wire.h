/* fuzz_wire.h - a decoder accepts only what its encoder writes back byte for byte. */
#ifndef TRUNKLINE_TESTS_FUZZ_FUZZ_WIRE_H
#define TRUNKLINE_TESTS_FUZZ_FUZZ_WIRE_H

#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/wire_codecs.h"

static inline void fuzz_canonical(recode_function *recode, struct slice bytes) {
    struct buf again = {0};
    enum err err = recode(bytes, &again);
    if (err == OK) {
        CHECK(again.len == bytes.len);
        CHECK(again.len == 0 || memcmp(again.data, bytes.data, again.len) == 0);
    } else {
        CHECK(err == ERR_FORMAT || err == ERR_LIMIT || err == ERR_CRITICAL);
    }
    buf_free(&again);
}

/* The whole of a fuzz target: FUZZ_WIRE(name in wire_NAME_decode). */
#define FUZZ_WIRE(name)                                                                            \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {                                 \
        fuzz_canonical(recode_##name, (struct slice){data, size});                                 \
        return 0;                                                                                  \
    }

#endif
