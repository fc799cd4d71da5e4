/* fuzz_filelink.c - any text as the link of a file; what is read is written and read again. */
#include <string.h>

#include "common/check.h"
#include "common/filelink.h"
#include "common/mem.h"
#include "common/words.h"
#include "tests/fuzz/fuzz.h"

static void check_again(const struct filelink *link) {
    struct buf text = {0};
    struct filelink again;
    struct filelink_error error = {0};
    filelink_format(&text, link);
    buf_u8(&text, '\0');
    CHECK(text.len <= FILELINK_BYTES_MAX);
    CHECK(filelink_parse(&again, (const char *)text.data, &error) == OK);
    CHECK(content_equal(&again.content, &link->content) && strcmp(again.name, link->name) == 0);
    CHECK(again.has_network == link->has_network && again.source_count == link->source_count);
    CHECK(memcmp(again.network.b, link->network.b, HASH_BYTES) == 0);
    for (uint8_t i = 0; i < link->source_count; i++) {
        CHECK(node_id_equal(&again.sources[i].id, &link->sources[i].id));
        CHECK(address_equal(&again.sources[i].address, &link->sources[i].address));
    }
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = mem_new(size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct filelink link;
    struct filelink_error error = {0};
    enum err err = filelink_parse(&link, text, &error);
    CHECK(err == OK || (err == ERR_FORMAT && error.why != NULL && error.at <= strlen(text)));
    if (err == OK) {
        size_t len = strlen(link.name);
        CHECK(len <= NAME_BYTES_MAX && link.source_count <= SOURCES_TOLD_MAX);
        CHECK(words_text_ok((struct slice){(const uint8_t *)link.name, len}));
        CHECK(link.content.size >= 1 && link.content.size <= FILE_BYTES_MAX);
        check_again(&link);
    }
    mem_free(text);
    return 0;
}
