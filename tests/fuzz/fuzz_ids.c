/* fuzz_ids.c - any text as a node id, address, content id or hexadecimal; what is read can be
 * written and read again. */
#include <string.h>

#include "common/check.h"
#include "common/ids.h"
#include "common/mem.h"
#include "tests/fuzz/fuzz.h"

static void try_node_id(const char *text) {
    struct node_id id, again;
    char written[NODE_ID_TEXT_BYTES];
    if (node_id_parse(&id, text) == OK) {
        node_id_format(written, &id);
        CHECK(node_id_parse(&again, written) == OK && node_id_equal(&id, &again));
    }
}

static void try_address(const char *text, bool any_port) {
    struct address address, again;
    char written[ADDRESS_TEXT_BYTES];
    if (address_parse(&address, text, any_port) == OK) {
        CHECK(address.family == ADDRESS_IPV4 || address.family == ADDRESS_IPV6);
        CHECK(any_port || address.port != 0);
        address_format(written, &address);
        CHECK(address_parse(&again, written, any_port) == OK && address_equal(&address, &again));
    }
}

static void try_content(const char *text) {
    struct content_id content, again;
    char written[CONTENT_TEXT_BYTES];
    if (content_parse(&content, text) == OK) {
        content_format(written, &content);
        CHECK(content_parse(&again, written) == OK && content_equal(&content, &again));
    }
}

static void try_hex(const char *text) {
    uint8_t bytes[8];
    char written[2 * sizeof bytes + 1];
    if (hex_parse(bytes, sizeof bytes, text) == OK) {
        hex_format(written, bytes, sizeof bytes);
        CHECK(strcasecmp(written, text) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = mem_new(size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    try_node_id(text);
    try_address(text, false);
    try_address(text, true);
    try_content(text);
    try_hex(text);
    mem_free(text);
    return 0;
}
