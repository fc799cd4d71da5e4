/* ids.h - the names of things: nodes, content, queries, addresses; and how people read them. */
#ifndef TRUNKLINE_COMMON_IDS_H
#define TRUNKLINE_COMMON_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define HASH_BYTES 32

/* A SHA-256 value. */
struct hash {
    uint8_t b[HASH_BYTES];
};

/* The 32 raw bytes of an Ed25519 public key. */
struct node_id {
    uint8_t b[32];
};

/* First 16 bytes of SHA-256 over a query's compressed body. */
struct query_id {
    uint8_t b[16];
};

/* What a file is: the BEP 52 root of its bytes and their number (never 0). Both count: a 32 KiB
 * file and the 64 bytes of its two leaf hashes have the same root. */
struct content_id {
    struct hash root;
    uint64_t size;
};

/* The bytes of a content id as a map key: root, then size big-endian. */
#define CONTENT_KEY_BYTES 40
void content_key(uint8_t key[CONTENT_KEY_BYTES], const struct content_id *id);
bool content_equal(const struct content_id *a, const struct content_id *b);

enum address_family { ADDRESS_NONE = 0, ADDRESS_IPV4 = 4, ADDRESS_IPV6 = 6 };

/* An IP address and a TCP port. IPv4 uses ip[0..4), the rest is zero. */
struct address {
    uint8_t family; /* enum address_family */
    uint8_t ip[16];
    uint16_t port;
};

bool node_id_equal(const struct node_id *a, const struct node_id *b);
bool address_equal(const struct address *a, const struct address *b);
bool address_same_host(const struct address *a, const struct address *b);

/* A node id as text: 52 base32 characters (RFC 4648, upper case) in four groups of 13, each with
 * one check character (Luhn mod 32, as Syncthing's device ids), in eight dashed groups of 7. */
#define NODE_ID_TEXT_BYTES 64 /* with the NUL */
void node_id_format(char text[NODE_ID_TEXT_BYTES], const struct node_id *id);

/* Read that text; dashes and blanks are skipped, case does not matter, 0/1/8 read as O/I/B.
 * Return ERR_FORMAT for a wrong length or letter, ERR_MISMATCH for a wrong check character. */
MUST_CHECK enum err node_id_parse(struct node_id *id, const char *text);

/* First 7 characters, for logs and lists; not unique. */
#define NODE_ID_SHORT_BYTES 8
void node_id_short(char text[NODE_ID_SHORT_BYTES], const struct node_id *id);

/* `127.0.0.1:6346` or `[::1]:6346`. */
#define ADDRESS_TEXT_BYTES 56
void address_format(char text[ADDRESS_TEXT_BYTES], const struct address *address);

/* Read that text; the port is needed (1 to 65535; 0 only when `any_port`). */
MUST_CHECK enum err address_parse(struct address *address, const char *text, bool any_port);

/* `trunkline:<64 hexadecimal digits of the root>:<size>`. */
#define CONTENT_TEXT_BYTES 100
void content_format(char text[CONTENT_TEXT_BYTES], const struct content_id *id);

/* Read that text, with or without the scheme. */
MUST_CHECK enum err content_parse(struct content_id *id, const char *text);

/* Lower-case hexadecimal; `text` holds 2 * len + 1 bytes. */
void hex_format(char *text, const void *bytes, size_t len);

/* Read exactly 2 * len digits, then the end of the string. */
MUST_CHECK enum err hex_parse(void *bytes, size_t len, const char *text);

#endif
