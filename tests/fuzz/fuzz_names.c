/* fuzz_names.c - any name of a stranger becomes one harmless file name, and stays it. */
#include <string.h>

#include "common/check.h"
#include "common/names.h"
#include "common/words.h"
#include "tests/fuzz/fuzz.h"
#include "tests/names_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char name[NAMES_DISK_MAX + 1], again[NAMES_DISK_MAX + 1];
    names_sanitise((struct slice){data, size}, name);
    size_t len = strlen(name);
    CHECK(len <= NAMES_DISK_MAX && names_complaint(name) == NULL);
    CHECK(words_text_ok((struct slice){(const uint8_t *)name, len}));
    names_sanitise((struct slice){(const uint8_t *)name, len}, again);
    CHECK(strcmp(name, again) == 0);
    return 0;
}
