/* fuzz_inflate.c - any bytes inflate within the bound or not at all, and pack again. */
#include <string.h>

#include "common/check.h"
#include "common/limits.h"
#include "common/mem.h"
#include "common/pack.h"
#include "tests/fuzz/fuzz.h"

/* The first two bytes are the bound. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct packer *packer;
    packer = packer != NULL ? packer : packer_new();
    if (size < 2) {
        return 0;
    }
    size_t max = (size_t)data[0] << 8 | data[1];
    struct slice plain, again;
    enum err err = packer_inflate(packer, (struct slice){data + 2, size - 2}, max, &plain);
    CHECK(plain.len <= max && (err == OK || plain.len == 0));
    CHECK(err == OK || err == ERR_FORMAT || err == ERR_LIMIT);
    if (err == OK) {
        uint8_t *kept = mem_copy(plain.data, plain.len);
        struct slice bytes = {kept, plain.len};
        struct buf packed = {0};
        packer_deflate(packer, bytes, &packed);
        struct slice sent = {packed.data, packed.len};
        CHECK(packer_inflate(packer, sent, bytes.len, &again) == OK);
        CHECK(again.len == bytes.len && memcmp(again.data, kept, again.len) == 0);
        buf_free(&packed);
        mem_free(kept);
    }
    return 0;
}
