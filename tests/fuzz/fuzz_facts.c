/* fuzz_facts.c - any metadata that a record may have reads as sound facts, which write and read
 * alike. */
#include <string.h>

#include "common/check.h"
#include "common/facts.h"
#include "tests/fuzz/fuzz.h"

static bool slices_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The value of a tag by the plainest walk; empty when it is not there. */
static struct slice value_of(struct slice meta, uint8_t tag) {
    size_t len = 0;
    for (size_t at = 0; at < meta.len; at += 3 + len) {
        len = (size_t)meta.data[at + 1] << 8 | meta.data[at + 2];
        if (meta.data[at] == tag) {
            return (struct slice){meta.data + at + 3, len};
        }
    }
    return (struct slice){0};
}

static void check_text(struct slice meta, uint8_t tag, struct slice text, size_t max) {
    struct slice value = value_of(meta, tag);
    bool is_ok = value.len >= 1 && value.len <= max && words_text_ok(value);
    CHECK(is_ok ? slices_equal(text, value) : text.len == 0);
}

static void check_number(struct slice meta, uint8_t tag, size_t bytes, uint64_t number) {
    struct slice value = value_of(meta, tag);
    uint64_t told = 0;
    for (size_t i = 0; i < value.len && value.len == bytes; i++) {
        told = told << 8 | value.data[i];
    }
    CHECK(number == (tag == 10 && told > 9999 ? 0 : told));
}

static void check_facts(struct slice meta, const struct file_facts *facts) {
    check_text(meta, 2, facts->texts[TEXT_TITLE], FILE_TEXT_BYTES_MAX);
    check_text(meta, 4, facts->texts[TEXT_ARTIST], FILE_TEXT_BYTES_MAX);
    check_text(meta, 6, facts->texts[TEXT_ALBUM], FILE_TEXT_BYTES_MAX);
    check_number(meta, 10, 2, facts->numbers[NUMBER_YEAR]);
    check_number(meta, 12, 4, facts->numbers[NUMBER_BITRATE]);
    check_number(meta, 14, 4, facts->numbers[NUMBER_DURATION]);
    check_number(meta, 16, 2, facts->numbers[NUMBER_WIDTH]);
    check_number(meta, 18, 2, facts->numbers[NUMBER_HEIGHT]);
    CHECK(facts->language.len == 0 ||
          (file_language_ok(facts->language) && slices_equal(facts->language, value_of(meta, 8))));
}

/* The first byte is the length of the name that follows, the rest metadata. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || data[0] > size - 1) {
        return 0;
    }
    struct file_record record = {.content = {.size = 1}, .name = {data + 1, data[0]}};
    record.meta = (struct slice){data + 1 + data[0], size - 1 - data[0]};
    struct file_facts facts;
    struct file_facts again;
    struct words keywords;
    file_facts_read(&record, &facts);
    file_keywords(&facts, &keywords);
    CHECK(keywords.count <= NAME_WORDS_MAX && facts.type < FILE_TYPES);
    CHECK(facts.extension.len <= EXTENSION_BYTES_MAX);
    if (wire_tlvs_check(record.meta) != OK || record.meta.len > FILE_META_MAX) {
        return 0;
    }
    check_facts(record.meta, &facts);
    struct buf meta = {0};
    file_facts_write(&meta, &facts);
    CHECK(meta.len <= record.meta.len);
    record.meta = (struct slice){meta.data, meta.len};
    file_facts_read(&record, &again);
    check_facts(record.meta, &again);
    CHECK(slices_equal(facts.texts[TEXT_TITLE], again.texts[TEXT_TITLE]));
    CHECK(slices_equal(facts.language, again.language));
    CHECK(memcmp(facts.numbers, again.numbers, sizeof facts.numbers) == 0);
    buf_free(&meta);
    return 0;
}
