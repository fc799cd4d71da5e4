/* fuzz_introducer.c - any text as `<node id>@<host>:<port>`. */
#include <string.h>

#include "common/check.h"
#include "common/hostcache.h"
#include "common/mem.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = mem_new(size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct introducer introducer;
    enum err err = introducer_parse(&introducer, text);
    CHECK(err == OK || err == ERR_CONFIG);
    if (err == OK) {
        struct address address;
        size_t len = strnlen(introducer.host, sizeof introducer.host);
        CHECK(introducer.port != 0 && len >= 1 && len <= HOST_NAME_MAX_BYTES);
        if (introducer_address(&introducer, &address)) {
            CHECK(address.family != ADDRESS_NONE && address.port == introducer.port);
        }
    }
    mem_free(text);
    return 0;
}
