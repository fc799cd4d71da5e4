/* wire.h - every message of protocol version 1: its fields, its bytes, its limits.
 *
 * Integers are big-endian; `varint` is unsigned LEB128, as short as can be. `bytes16` is a u16
 * length and that many bytes, `text8` a u8 length and that many bytes of UTF-8 without NUL and
 * control characters. Every message and record ends in
 * TLVs {tag u8, length u16, value} in strictly rising tag order that run to its end: unknown even
 * tags are skipped (and kept where the message is passed on), unknown odd ones refuse it.
 * Version 1 defines tags in the metadata of files alone (common/facts.h). docs/PROTOCOL.md draws
 * each layout.
 *
 * Decoding is canonical: what a decoder accepts, the encoder of the same struct writes back byte
 * for byte, unknown TLVs included. Decoded slices borrow from the payload. Decoders return OK,
 * ERR_FORMAT, ERR_LIMIT or ERR_CRITICAL (an unknown odd TLV); encoders append to `out` and expect
 * correct structs (CHECK). */
#ifndef TRUNKLINE_COMMON_WIRE_H
#define TRUNKLINE_COMMON_WIRE_H

#include <stdbool.h>

#include "common/crypto.h"
#include "common/ids.h"
#include "common/limits.h"
#include "common/reader.h"

#define WIRE_VERSION 1

/* ---- Frames: length u24 of the payload, type u8, flags u8, payload ---- */

#define FRAME_DEFLATED 0x01   /* payload is raw deflate with the preset dictionary */
#define FRAME_DICTIONARY 0x06 /* two bits: dictionary id, 0 = none, 1 = version 1's */
#define FRAME_DICTIONARY_1 0x02
#define FRAME_CRITICAL 0x08 /* close the link rather than ignore it when the type is unknown */
#define FRAME_FLAGS 0x0f    /* other bits must be zero */

enum message_type {
    MSG_HELLO = 1,
    MSG_WELCOME = 2,
    MSG_GOAWAY = 3,
    MSG_PING = 4,
    MSG_PONG = 5,
    MSG_NODES_REQUEST = 6,
    MSG_NODES = 7,
    MSG_REG_BEGIN = 16,
    MSG_REG_ADD = 17,
    MSG_REG_COMMIT = 18,
    MSG_REG_STATUS = 19,
    MSG_DIALBACK = 20,
    MSG_DIALBACK_DONE = 21,
    MSG_LOAD = 22,
    MSG_QUERY = 32,
    MSG_HITS = 33,
    MSG_END = 34,
    MSG_LOCATE = 35,
    MSG_OPEN = 48,
    MSG_HAVE = 49,
    MSG_BLOCK_REQUEST = 50,
    MSG_BLOCK = 51,
    MSG_HASHES_REQUEST = 52,
    MSG_HASHES = 53,
    MSG_REJECT = 54,
    MSG_SHUT = 55,
    MSG_PUSH = 56,
    MSG_BROWSE = 58,
    MSG_LISTING = 60,
    MSG_PLACE = 62,
    MSG_SUMMARY = 64,
    MSG_REG_REMOVE = 65,
    MSG_SNAPSHOT = 71,
    /* Named, not yet spoken. */
    MSG_PUT_ROOT = 66,
    MSG_GET_ROOT = 67,
    MSG_PRUNE = 68,
    MSG_GRAFT = 69,
    MSG_RELAY = 70,
    MSG_STANDING_QUERY = 76,
    /* Promotion: wire_trust.h. Those named for records carry the record itself. */
    MSG_ROW = 72,
    MSG_CHECKPOINT = 73,
    MSG_CERT = 74,
    MSG_FRAUD = 75,
    MSG_CANDIDACY = 96,
    MSG_MEMBERS = 97,
    MSG_TRUST_HAVE = 98,
    MSG_TRUST_WANT = 99,
    MSG_MEASURE = 100,
    MSG_MEASURED = 101,
    MSG_WHY = 102,
    MSG_DECISION = 103,
    MSG_MEASURE_FILES = 104,
    MSG_MEASURE_BLOCKS = 106,
    MSG_RECEIPT = 108
};

/* One row per spoken message: its name for logs and traces, and its longest payload. */
struct message_info {
    enum message_type type;
    const char *name;
    uint32_t payload_max;
};

/* Return the row, or NULL for types that version 1 does not speak. */
const struct message_info *wire_message_info(uint8_t type);

/* The rows by number, from 0; NULL after the last. And the number of a type's row; UINT32_MAX
 * without one. */
const struct message_info *wire_message_at(uint32_t place);
uint32_t wire_message_place(uint8_t type);

struct frame {
    uint8_t type;
    uint8_t flags;
    struct slice payload; /* as sent: still deflated when flags say so */
};

/* Read one frame from the front of `bytes`. Return true and set *frame and *used, or false with
 * *err OK (more bytes needed), ERR_LIMIT (longer than FRAME_PAYLOAD_MAX) or ERR_FORMAT (unknown
 * flag bits, or a dictionary without deflate). */
bool wire_frame_read(struct slice bytes, struct frame *frame, size_t *used, enum err *err);

/* Write the five bytes before a payload. */
void wire_frame_header(uint8_t header[FRAME_HEADER_BYTES], uint8_t type, uint8_t flags,
                       size_t payload_len);

/* Append a frame. */
void wire_frame_write(struct buf *out, uint8_t type, uint8_t flags, struct slice payload);

/* ---- Records ---- */

enum record_type { /* the type inside signatures */
                   RECORD_ADDRESS = 1,
                   RECORD_CERT = 2,
                   RECORD_ROW = 3,
                   RECORD_CHECKPOINT = 4,
                   RECORD_FRAUD = 5,
                   RECORD_CANDIDACY = 6, /* the owner's signature; others of the same: */
                   RECORD_CANDIDACY_SUBJECT = 7,
                   RECORD_CANDIDACY_SPONSOR = 8,
                   RECORD_RECEIPT = 9
};

/* Where a node can be dialled, signed by itself: key 32, seq u64, minutes u16, flags u16, n u8,
 * n x {family u8 (4 or 6), ip 4 or 16, port u16}, TLVs, signature 64. 116 bytes with one IPv4. */
struct address_record {
    struct node_id key;
    uint64_t seq;     /* Unix seconds when issued; the larger replaces the smaller */
    uint16_t minutes; /* valid so long after seq; 1 to 1440 */
    uint16_t flags;   /* ADDRESS_RECORD_* */
    uint8_t address_count;
    struct address addresses[ADDRESSES_MAX];
    struct slice tlvs;
    uint8_t signature[SIGNATURE_BYTES];
};
#define ADDRESS_RECORD_SUPERNODE 0x0001 /* a hint for NODES; a role is still a certificate */

/* True when all of its addresses are this host (ports aside): what nobody has seen is not passed
 * on, and a victim's address may stand beside one's own. */
bool address_record_is_at(const struct address_record *record, const struct address *host);

void wire_address_record_encode(struct buf *out, const struct address_record *record);
MUST_CHECK enum err wire_address_record_decode(struct slice bytes, struct address_record *record);
/* Set the signature. */
void wire_address_record_sign(struct address_record *record, const struct crypto *crypto,
                              const struct hash *network_id);
/* Check the signature (ERR_AUTH) and that now is within 24 h around its validity (ERR_POLICY). */
MUST_CHECK enum err wire_address_record_check(const struct address_record *record,
                                              const struct crypto *crypto,
                                              const struct hash *network_id, int64_t wall_s);

/* Who may be a supernode: subject 32, epoch u32, life u8 (epochs), flags u8, checkpoint 32, TLVs
 * as bytes16, n u8 x {signer u16, signature 64}. Signatures cover all before n. In version 1 one
 * anchor signs; `signer` is its place in the network's sorted anchors. */
struct cert {
    struct node_id subject;
    uint32_t epoch; /* first epoch it holds: Unix seconds / the network's epoch_s */
    uint8_t life;   /* number of epochs, at least 1 */
    uint8_t flags;
    struct hash checkpoint; /* of the epoch before; zero = given by hand */
    struct slice tlvs;
    uint8_t signer_count;
    struct cert_signer {
        uint16_t signer;
        uint8_t signature[SIGNATURE_BYTES];
    } signers[CERT_SIGNERS_MAX];
};
#define CERT_BYTES_MAX 2048

void wire_cert_encode(struct buf *out, const struct cert *cert);
MUST_CHECK enum err wire_cert_decode(struct slice bytes, struct cert *cert);
/* Append the bytes that its signatures cover. */
void wire_cert_signed_bytes(struct buf *out, const struct cert *cert);

/* ---- Link ---- */

enum purpose {
    PURPOSE_LEAF = 1,
    PURPOSE_MESH = 2,
    PURPOSE_TRANSFER = 3,
    PURPOSE_PROBE = 4,
    PURPOSE_CALLBACK = 5,
    PURPOSE_DIRECTORY = 6,
    PURPOSE_MEASURE = 7
};

/* HELLO and WELCOME: version_min u8, version_max u8, features u32, purpose u8, nonce 16,
 * listen_port u16, agent text8, auth 32, observed {family u8, ip, port u16; family 0 alone in
 * HELLO}, address_record bytes16, cert bytes16, delegation bytes16, TLVs. */
struct hello {
    uint8_t version_min;
    uint8_t version_max;
    uint32_t features;
    uint8_t purpose;
    uint8_t nonce[16]; /* PURPOSE_CALLBACK; else zero */
    uint16_t listen_port;
    struct slice agent;
    struct hash auth;
    struct address observed;     /* WELCOME: where the server sees the client */
    struct slice address_record; /* encoded; empty = none */
    struct slice cert;           /* encoded; empty = none */
    struct slice delegation;     /* reserved: empty in version 1 */
    struct slice tlvs;
};
void wire_hello_encode(struct buf *out, const struct hello *hello);
MUST_CHECK enum err wire_hello_decode(struct slice payload, struct hello *hello);

/* A list of encoded address records: n u8 x bytes16. */
struct record_list {
    uint8_t count;
    struct slice records[NODES_MAX];
};

/* GOAWAY: reason u8, retry_after_s u16, alternatives (record list), TLVs. */
enum goaway_reason {
    GOAWAY_SHUTDOWN = 1,
    GOAWAY_FULL = 2,
    GOAWAY_DUPLICATE = 3,
    GOAWAY_PROTOCOL = 4,
    GOAWAY_POLICY = 5,
    GOAWAY_RATE = 6,
    GOAWAY_IDLE = 7,
    GOAWAY_AUTH = 8,
    GOAWAY_REASON_MAX = 8
};
struct goaway {
    uint8_t reason;
    uint16_t retry_after_s;
    struct record_list alternatives;
    struct slice tlvs;
};
void wire_goaway_encode(struct buf *out, const struct goaway *goaway);
MUST_CHECK enum err wire_goaway_decode(struct slice payload, struct goaway *goaway);

/* PING and PONG: token u64, TLVs. */
struct ping {
    uint64_t token;
    struct slice tlvs;
};
void wire_ping_encode(struct buf *out, const struct ping *ping);
MUST_CHECK enum err wire_ping_decode(struct slice payload, struct ping *ping);

/* NODES_REQUEST: count u8 (1 to NODES_MAX), TLVs. */
struct nodes_request {
    uint8_t count;
    struct slice tlvs;
};
void wire_nodes_request_encode(struct buf *out, const struct nodes_request *request);
MUST_CHECK enum err wire_nodes_request_decode(struct slice payload, struct nodes_request *request);

/* NODES: record list, TLVs. Supernodes that the sender knows; accepted only when asked for. */
struct nodes {
    struct record_list list;
    struct slice tlvs;
};
void wire_nodes_encode(struct buf *out, const struct nodes *nodes);
MUST_CHECK enum err wire_nodes_decode(struct slice payload, struct nodes *nodes);

/* DIALBACK: target 32, family u8, ip, port u16, nonce u64, TLVs. A supernode asks another to dial
 * a leaf at the host address it was observed at. DIALBACK_DONE: nonce u64, reached u8, TLVs. */
struct dialback {
    struct node_id target;
    struct address address;
    uint64_t nonce;
    struct slice tlvs;
};
void wire_dialback_encode(struct buf *out, const struct dialback *dialback);
MUST_CHECK enum err wire_dialback_decode(struct slice payload, struct dialback *dialback);
struct dialback_done {
    uint64_t nonce;
    bool reached;
    struct slice tlvs;
};
void wire_dialback_done_encode(struct buf *out, const struct dialback_done *done);
MUST_CHECK enum err wire_dialback_done_decode(struct slice payload, struct dialback_done *done);

/* ---- Registration ---- */

/* A file record: root 32, size u64, name text8, meta bytes16 (TLVs: title, artist ...; at most
 * 512). Names are one path component as people see it; they are never used as a path. */
struct file_record {
    struct content_id content;
    struct slice name;
    struct slice meta;
};
void wire_file_record_encode(struct buf *out, const struct file_record *record);
/* Read one record from a reader; on error reader->failed is set. */
MUST_CHECK enum err wire_file_record_read(struct reader *reader, struct file_record *record);
/* The same of a record that was decoded before, and reading one that we have encoded ourselves: no
 * second look at what it says. */
void wire_file_record_append(struct buf *out, const struct file_record *record);
void wire_file_record_reread(struct reader *reader, struct file_record *record);
/* SHA-256 of the encoded record. */
void wire_file_record_hash(const struct file_record *record, const struct crypto *crypto,
                           struct hash *out);
/* The order of records in REG_ADD: by name, root, size, meta. <0, 0 (the same record) or >0. */
int wire_file_record_compare(const struct file_record *a, const struct file_record *b);

/* REG_BEGIN and REG_COMMIT: index_id u64, sequence varint, reach varint (at most the sequence),
 * count varint, root 32, TLVs. */
struct reg_state {
    uint64_t index_id; /* drawn when the leaf's list was first made; keyed by (leaf, index id) */
    uint64_t sequence; /* rises with every change of the list */
    uint64_t reach;    /* the leaf can tell what changed since sequence - reach */
    uint32_t count;
    struct hash root; /* wire_list_root */
    struct slice tlvs;
};
void wire_reg_state_encode(struct buf *out, const struct reg_state *state);
MUST_CHECK enum err wire_reg_state_decode(struct slice payload, struct reg_state *state);

/* What a list comes to: sets hashtree_root over the hashes of its encoded records (in any order) as
 * if they were sorted, zero for an empty list. False when a record stands there twice. All in one
 * go: list_root.h does it in steps. */
bool wire_list_root(const struct crypto *crypto, const struct hash *hashes, uint32_t count,
                    struct hash *root);

/* SNAPSHOT: leaf 32, flags u8 (SNAPSHOT_*), address record bytes16 (may be empty), list bytes16 (as
 * in REG_BEGIN, count at least 1), TLVs. From one supernode to another: the list of a leaf that the
 * sender leaves. REG_ADDs follow until all of its records came. */
struct snapshot {
    struct node_id leaf;
    uint8_t flags;
    struct slice address_record;
    struct reg_state list;
    struct slice tlvs;
};
#define SNAPSHOT_REACHABLE 0x01
#define SNAPSHOT_FLAGS 0x01
void wire_snapshot_encode(struct buf *out, const struct snapshot *snapshot);
MUST_CHECK enum err wire_snapshot_decode(struct slice payload, struct snapshot *snapshot);

/* REG_ADD: n u16 (1 to REG_RECORDS_MAX), then the columns of n records, strictly rising by
 * wire_file_record_compare, what looks random first:
 *     sizes   n x varint
 *     roots   n x 32
 *     metas   n x {len varint; TLVs}
 *     shared  n x u8: how many of the first bytes of the name before are this name's, too
 *     names   n x {the rest of the name; a zero byte}
 * and TLVs. Decoding checks every record; read them with wire_reg_records_next. */
struct reg_add {
    uint16_t count;
    struct slice sizes;
    struct slice roots;
    struct slice metas;
    struct slice shared;
    struct slice names;
    struct slice tlvs;
};
void wire_reg_add_encode(struct buf *out, const struct reg_add *add);
MUST_CHECK enum err wire_reg_add_decode(struct slice payload, struct reg_add *add);
/* The roots in an encoded REG_ADD, which deflate cannot shrink. */
struct slice wire_reg_add_noise(struct slice payload);

/* Append a REG_ADD of the first of `count` (at least 1) strictly rising records, as many as fit;
 * return how many. */
uint32_t wire_reg_add_pack(struct buf *out, const struct file_record *records, uint32_t count);

/* A walk over the records of a REG_ADD. */
struct reg_records {
    struct reader sizes;
    struct reader roots;
    struct reader metas;
    struct reader shared;
    struct reader names;
    uint16_t left;
    uint8_t name_len;
    uint8_t name[NAME_BYTES_MAX];
};
void wire_reg_records_begin(struct reg_records *records, const struct reg_add *add);
/* Set the next record, whose name borrows from *records until the next call; false at the end. */
bool wire_reg_records_next(struct reg_records *records, struct file_record *record);

/* REG_REMOVE: n u16 (1 to REG_RECORDS_MAX), n x the first eight bytes of a record's hash as u64,
 * strictly rising, TLVs. One that names no record of the list, or two, spoils the difference. */
struct reg_remove {
    uint16_t count;
    struct slice prefixes; /* count * 8 bytes */
    struct slice tlvs;
};
#define RECORD_PREFIX_BYTES 8
void wire_reg_remove_encode(struct buf *out, const struct reg_remove *remove);
MUST_CHECK enum err wire_reg_remove_decode(struct slice payload, struct reg_remove *remove);
uint64_t wire_record_prefix(const struct hash *record);

/* REG_STATUS: verdict u8, sequence varint, count varint, root 32, retry_after_ms varint (0 but for
 * REG_WAIT), TLVs: what the supernode holds, and what it wants. */
enum reg_verdict {
    REG_DONE = 1,
    REG_SEND_ALL = 2,
    REG_REFUSED = 3,
    REG_SEND_CHANGES = 4, /* since `sequence` */
    REG_WAIT = 5,         /* for your turn: one of the two above comes by itself */
    REG_LOST = 6,         /* an audit failed: a record was taken out */
    REG_VERDICT_MAX = 6
};
struct reg_status {
    uint8_t verdict;
    uint64_t sequence;
    uint32_t count;
    struct hash root;
    uint32_t retry_after_ms;
    struct slice tlvs;
};
void wire_reg_status_encode(struct buf *out, const struct reg_status *status);
MUST_CHECK enum err wire_reg_status_decode(struct slice payload, struct reg_status *status);

/* LOAD: free slots u8, queue u16, TLVs. A leaf tells its supernode how many more transfers of any
 * file it would serve at once, and how many wait for a turn. */
struct load {
    uint8_t free_slots; /* LOAD_SLOTS_MAX = so many or more */
    uint16_t queue;
    struct slice tlvs;
};
#define LOAD_SLOTS_MAX UINT8_MAX
void wire_load_encode(struct buf *out, const struct load *load);
MUST_CHECK enum err wire_load_decode(struct slice payload, struct load *load);

/* ---- Search ---- */

/* QUERY and LOCATE: ttl u8 (further supernode hops that the receiver may make, at most
 * TTL_WIRE_MAX), hops u8 (made so far, at most TTL_WIRE_MAX), want u16, deadline_ms u16, body
 * bytes16 (raw deflate with dictionary 1 of the query body, forwarded verbatim), TLVs. The id is
 * never sent. */
struct query_header {
    uint8_t ttl;
    uint8_t hops;
    uint16_t want;
    uint16_t deadline_ms;
    struct slice body; /* compressed */
    struct slice tlvs;
};
void wire_query_encode(struct buf *out, const struct query_header *query);
MUST_CHECK enum err wire_query_decode(struct slice payload, struct query_header *query);
/* Write other numbers into an accepted payload, so that it is passed on without being encoded
 * again. */
void wire_query_patch(uint8_t *payload, uint8_t ttl, uint8_t hops, uint16_t deadline_ms);
/* First 16 bytes of SHA-256 over the compressed body. */
void wire_query_id(struct slice compressed_body, const struct crypto *crypto, struct query_id *id);

/* The body before compression: salt 8, kind u8 (1 = words, in QUERY: text bytes16 of at most
 * QUERY_TEXT_MAX bytes of UTF-8; 2 = content, in LOCATE: root 32, size u64), TLVs. */
enum query_kind { QUERY_WORDS = 1, QUERY_CONTENT = 2 };
struct query_body {
    uint8_t salt[8];
    uint8_t kind;
    struct slice text;         /* QUERY_WORDS */
    struct content_id content; /* QUERY_CONTENT */
    struct slice tlvs;
};
void wire_query_body_encode(struct buf *out, const struct query_body *body);
MUST_CHECK enum err wire_query_body_decode(struct slice bytes, struct query_body *body);

/* What a finished copy of a query reached: supernodes u16, leaves u32, files u64, refused u16,
 * truncated u8 (0 or 1), copies u32, spared u32, reached u16, known u16, n u8 (0 or REACH_BYTES)
 * and so many bytes of reach, which are not all zero. */
#define REACH_BYTES 128
#define COVERAGE_BYTES_MAX (2 + 4 + 8 + 2 + 1 + 4 + 4 + 2 + 2 + 1 + REACH_BYTES)
struct coverage {
    uint16_t supernodes; /* that answered from their index */
    uint32_t leaves;     /* of these */
    uint64_t files;      /* of these */
    uint16_t refused;    /* neighbours that were busy, silent or gone */
    bool truncated;
    uint32_t copies;  /* that supernodes sent each other for it */
    uint32_t spared;  /* that they did not send, since a summary told that nothing can match */
    uint16_t reached; /* in an answer to a leaf: supernodes that were asked or spared; estimated */
    uint16_t known;   /* in an answer to a leaf: how many there are, 0 = more than can be told */
    uint8_t reach[REACH_BYTES]; /* between supernodes: bit wire_reach_bit of each asked or spared */
};

/* The bit of a node in `reach`: the first 10 bits of its id. The highest bit of a byte is first. */
#define REACH_BITS (8 * REACH_BYTES)
static inline uint32_t wire_reach_bit(const struct node_id *id) {
    return (uint32_t)id->b[0] << 2 | id->b[1] >> 6;
}

/* Who has a file: record bytes16 (an address record), or an empty one and then id 32; flags u8,
 * slots u8, queue u16, speed_kib u32. */
struct holder {
    struct node_id id; /* the record's key, or given alone when no address may be passed on */
    struct slice address_record;
    uint8_t flags;      /* HOLDER_* */
    uint8_t free_slots; /* as in LOAD; this and the queue mean nothing without HOLDER_LOAD_KNOWN */
    uint16_t queue;
    uint32_t speed_kib; /* KiB/s as observed by the supernode; 0 = unknown */
};
#define HOLDER_REACHABLE 0x01  /* set by the supernode after a dial-back */
#define HOLDER_LOAD_KNOWN 0x02 /* ... and when the holder has told it its LOAD */

/* One found file: a file record, then n u8 x holder index u8 (rising, n at least 1). */
struct hit {
    struct file_record file;
    uint8_t holder_count;
    uint8_t holders[RECORD_HOLDERS_MAX];
};

/* HITS: id 16, ttl u8 (of the copy it answers), flags u8 (HITS_LAST), coverage when LAST,
 * answerer's address record bytes16 (may be empty), n u8 holders, n u8 hits, TLVs. */
struct hits {
    struct query_id id;
    uint8_t ttl;
    bool last;
    struct coverage coverage;
    struct slice answerer;
    uint8_t holder_count;
    struct holder holders[HITS_HOLDERS_MAX];
    uint8_t hit_count;
    struct hit hits[HITS_RECORDS_MAX];
    struct slice tlvs;
};
void wire_hits_encode(struct buf *out, const struct hits *hits);
MUST_CHECK enum err wire_hits_decode(struct slice payload, struct hits *hits);
/* Append HITS as they are passed back: an accepted payload with another ttl, without LAST and its
 * coverage. */
void wire_hits_pass(struct buf *out, struct slice payload, uint8_t ttl);

/* END: id 16, ttl u8 (of the copy it answers), coverage, TLVs. A duplicate answers zeros. */
struct query_end {
    struct query_id id;
    uint8_t ttl;
    struct coverage coverage;
    struct slice tlvs;
};
void wire_end_encode(struct buf *out, const struct query_end *end);
MUST_CHECK enum err wire_end_decode(struct slice payload, struct query_end *end);
/* Among the TLVs of an END that refuses: milliseconds (u32) after which a query would be taken. */
#define END_TAG_WAIT 2
void wire_end_wait_put(struct buf *tlvs, uint32_t wait_ms);
uint32_t wire_end_wait_ms(const struct query_end *end); /* 0 = it does not say */

/* SUMMARY: version u32, log2_bits u8, hashes u8 (SUMMARY_HASHES), words u32, leaves u32, files u64,
 * degree u16, kind u8; chunk: first u32 (byte of the filter, a multiple of SUMMARY_CHUNK_BYTES),
 * bytes16 (as many bytes as the filter has from there, at most SUMMARY_CHUNK_BYTES); delta: n u16
 * (at most SUMMARY_DELTA_MAX), n x bit u24, strictly rising; TLVs. supernode/summary.h says what
 * the bits mean. */
enum summary_kind { SUMMARY_CHUNK = 1, SUMMARY_DELTA = 2 };
struct summary_part {
    uint32_t version;  /* rises with every filter that is built */
    uint8_t log2_bits; /* SUMMARY_LOG2_MIN to SUMMARY_LOG2_MAX */
    uint8_t hashes;
    uint32_t words; /* in the filter */
    uint32_t leaves;
    uint64_t files;
    uint16_t degree; /* open mesh links */
    uint8_t kind;
    uint32_t first;     /* SUMMARY_CHUNK */
    struct slice bytes; /* of the filter, or of the numbers of bits */
    struct slice tlvs;
};
void wire_summary_encode(struct buf *out, const struct summary_part *part);
MUST_CHECK enum err wire_summary_decode(struct slice payload, struct summary_part *part);

/* ---- Transfer: either end of a link may ask; handles are drawn by the side that opens ---- */

/* OPEN: handle u32, root 32, size u64, TLVs. SHUT: handle u32, TLVs. */
struct open_file {
    uint32_t handle;
    struct content_id content;
    struct slice tlvs;
};
void wire_open_encode(struct buf *out, const struct open_file *open);
MUST_CHECK enum err wire_open_decode(struct slice payload, struct open_file *open);
struct shut_file {
    uint32_t handle;
    struct slice tlvs;
};
void wire_shut_encode(struct buf *out, const struct shut_file *shut);
MUST_CHECK enum err wire_shut_decode(struct slice payload, struct shut_file *shut);

/* HAVE: handle u32, all u8 (0 or 1), when 0: bitmap bytes16, one bit per 1 MiB piece, first piece
 * in the highest bit, unused bits zero; TLVs. */
struct have {
    uint32_t handle;
    bool all;
    struct slice bitmap;
    struct slice tlvs;
};
void wire_have_encode(struct buf *out, const struct have *have);
MUST_CHECK enum err wire_have_decode(struct slice payload, struct have *have);

/* BLOCK_REQUEST: handle u32, first u32, count u8 (1 to BLOCK_REQUEST_MAX), TLVs. */
struct block_request {
    uint32_t handle;
    uint32_t first;
    uint8_t count;
    struct slice tlvs;
};
void wire_block_request_encode(struct buf *out, const struct block_request *request);
MUST_CHECK enum err wire_block_request_decode(struct slice payload, struct block_request *request);

/* BLOCK: handle u32, index u32, then 1 to BLOCK_BYTES bytes of the file to the payload's end; the
 * one message without TLVs, so that the data needs no length and no copy. Never deflated. */
#define BLOCK_HEADER_BYTES 8
struct block {
    uint32_t handle;
    uint32_t index;
    struct slice data;
};
/* Append frame header and block header for `len` bytes of data that follow. */
void wire_block_header(struct buf *out, uint32_t handle, uint32_t index, uint32_t len);
MUST_CHECK enum err wire_block_decode(struct slice payload, struct block *block);

/* HASHES_REQUEST: handle u32, layer u8 (0 = blocks, 6 = 1 MiB pieces), first u32, count u16 (1 to
 * HASHES_MAX), TLVs. `count` is a power of two and `first` a multiple of it, as in BEP 52. */
struct hashes_request {
    uint32_t handle;
    uint8_t layer;
    uint32_t first;
    uint16_t count;
    struct slice tlvs;
};
void wire_hashes_request_encode(struct buf *out, const struct hashes_request *request);
MUST_CHECK enum err wire_hashes_request_decode(struct slice payload,
                                               struct hashes_request *request);

/* HASHES: as the request, then count x hash 32, proof n u8 x hash 32 (uncles, lowest first), TLVs.
 */
struct hashes {
    uint32_t handle;
    uint8_t layer;
    uint32_t first;
    uint16_t count;
    struct slice hashes; /* count * 32 bytes */
    uint8_t proof_count;
    struct slice proof; /* proof_count * 32 bytes */
    struct slice tlvs;
};
void wire_hashes_encode(struct buf *out, const struct hashes *hashes);
MUST_CHECK enum err wire_hashes_decode(struct slice payload, struct hashes *hashes);

/* REJECT: handle u32, reason u8, first u32, count u16 (blocks or hashes it is about; 0 = the whole
 * handle), retry_after_ms u32, queue_position u16 (0 = not queued), TLVs. */
enum reject_reason {
    REJECT_NOT_FOUND = 1,
    REJECT_BUSY = 2,
    REJECT_QUEUED = 3,
    REJECT_CHANGED = 4,
    REJECT_IO = 5,
    REJECT_MISSING = 6, /* a piece we do not have yet */
    REJECT_LOCKED = 7,  /* for those only whom the owner has named */
    REJECT_OFF = 8,     /* BROWSE: its owner does not let anybody look */
    REJECT_REASON_MAX = 8
};
struct reject {
    uint32_t handle;
    uint8_t reason;
    uint32_t first;
    uint16_t count;
    uint32_t retry_after_ms;
    uint16_t queue_position;
    struct slice tlvs;
};
void wire_reject_encode(struct buf *out, const struct reject *reject);
MUST_CHECK enum err wire_reject_decode(struct slice payload, struct reject *reject);

/* PLACE: handle u32, position u16 (from 1; 0 = a slot is free for it: ask now), eta_ms u32 (until
 * then, as it looks now; 0 with position 0), TLVs. */
struct queue_place {
    uint32_t handle;
    uint16_t position;
    uint32_t eta_ms;
    struct slice tlvs;
};
void wire_place_encode(struct buf *out, const struct queue_place *place);
MUST_CHECK enum err wire_place_decode(struct slice payload, struct queue_place *place);

/* PUSH: target 32, nonce 16, requester's address record bytes16, TLVs. */
struct push {
    struct node_id target;
    uint8_t nonce[16];
    struct slice requester;
    struct slice tlvs;
};
void wire_push_encode(struct buf *out, const struct push *push);
MUST_CHECK enum err wire_push_decode(struct slice payload, struct push *push);

/* ---- Browse: what a peer shares, a page at a time ---- */

/* BROWSE: handle u32, after u64 (`next` of the page before; 0 = from the start), under bytes16 (a
 * folder, empty = everything), TLVs. Answered by LISTING or REJECT. */
struct browse_request {
    uint32_t handle;
    uint64_t after;
    struct slice under;
    struct slice tlvs;
};
void wire_browse_encode(struct buf *out, const struct browse_request *request);
MUST_CHECK enum err wire_browse_decode(struct slice payload, struct browse_request *request);

/* True for a folder as it is told: at most FOLDER_DEPTH_MAX components that a file could be named,
 * one slash between two, at most FOLDER_BYTES_MAX bytes. Empty = none. */
bool wire_folder_ok(struct slice folder);

/* LISTING: handle u32, next u64 (0 = nothing follows), partial u8 (1 = there is more that is not
 * hashed yet), n u16 (0 to LISTING_FILES_MAX), n x {root 32, size u64, locked u8 (1 = not for who
 * asks), folder bytes16, name text8}, TLVs. Decoding checks every entry. */
struct listing_entry {
    struct content_id content;
    bool is_locked;
    struct slice folder;
    struct slice name;
};
struct listing {
    uint32_t handle;
    uint64_t next;
    bool is_partial;
    uint16_t count;
    struct slice entries;
    struct slice tlvs;
};
void wire_listing_encode(struct buf *out, const struct listing *listing);
MUST_CHECK enum err wire_listing_decode(struct slice payload, struct listing *listing);
/* Append an entry to those of a listing; false when the message has no room for it. */
bool wire_listing_put(struct buf *entries, const struct listing_entry *entry);
/* A walk over the entries of a listing that was decoded; false at the end. */
struct reader wire_listing_entries(const struct listing *listing);
bool wire_listing_next(struct reader *entries, struct listing_entry *entry);

/* Check that TLVs are whole, in strictly rising order, at most TLV_BYTES_MAX, and that no odd tag
 * stands among them (version 1 knows none). */
MUST_CHECK enum err wire_tlvs_check(struct slice tlvs);

#endif
