/* filelink.h - the link of a file as people pass it on: what it is, its name, network and sources.
 *
 *     trunkline:<64 hexadecimal digits of the root>:<size>?name=...&network=...&source=...
 *
 * All behind the question mark is optional. `name` is UTF-8, `network` the network's id in
 * hexadecimal, `source` (up to SOURCES_TOLD_MAX times) a node that has it, ID or ID@ADDRESS:PORT;
 * `size` may say the size once more. Other keys are for later versions and skipped. Values are
 * percent-encoded (RFC 3986). */
#ifndef TRUNKLINE_COMMON_FILELINK_H
#define TRUNKLINE_COMMON_FILELINK_H

#include "common/buf.h"
#include "common/ids.h"
#include "common/limits.h"

#define FILELINK_BYTES_MAX 4096

/* A node, and where it is said to be. */
struct node_place {
    struct node_id id;
    struct address address; /* family ADDRESS_NONE = not said */
};
#define NODE_PLACE_TEXT_BYTES (NODE_ID_TEXT_BYTES + ADDRESS_TEXT_BYTES)
void node_place_format(char text[NODE_PLACE_TEXT_BYTES], const struct node_place *place);
/* Read `<node id>` or `<node id>@<address>:<port>`; a host name is ERR_FORMAT. ERR_MISMATCH for a
 * wrong check character. */
MUST_CHECK enum err node_place_parse(struct node_place *place, const char *text);

struct filelink {
    struct content_id content;
    char name[NAME_BYTES_MAX + 1]; /* "" = not told */
    bool has_network;
    struct hash network;
    uint8_t source_count;
    struct node_place sources[SOURCES_TOLD_MAX];
};

/* What is wrong with a link, for people, and at which byte. */
struct filelink_error {
    uint32_t at;
    const char *why;
};

/* Read a link, with or without the scheme. ERR_FORMAT with *error. */
MUST_CHECK enum err filelink_parse(struct filelink *link, const char *text,
                                   struct filelink_error *error);

/* Append the link's text, without a NUL. */
void filelink_format(struct buf *out, const struct filelink *link);

#endif
