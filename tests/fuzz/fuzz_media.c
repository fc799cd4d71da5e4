/* fuzz_media.c - any file reads as metadata that fits a record and is sound. */
#include <string.h>

#include "common/check.h"
#include "common/facts.h"
#include "src/extract/media.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct media_input input = {.fd = -1, .size = size, .head = {data, size}};
    struct media media = {0};
    struct buf meta = {0};
    media_read(&input, &media);
    media_write(&meta, &media);
    CHECK(meta.len <= FILE_META_MAX);
    struct file_record record = {.content = {.size = 1}, .meta = {meta.data, meta.len}};
    struct file_facts facts;
    CHECK(wire_tlvs_check(record.meta) == OK);
    file_facts_read(&record, &facts);
    for (uint32_t i = TEXT_TITLE; i < FILE_TEXTS; i++) {
        CHECK(facts.texts[i].len == media.text_len[i]); /* nothing was taken in vain */
    }
    buf_free(&meta);
    buf_free(&input.window);
    return 0;
}
