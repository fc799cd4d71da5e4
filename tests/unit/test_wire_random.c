/* test_wire_random.c - ten thousand random values of every message come back as they were sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/rng.h"
#include "common/words.h"
#include "tests/wire_codecs.h"

#define ROUNDS 10000
#define ARENA_BYTES (512 * 1024)

/* Where the slices of one random message live; `used` starts again for the next. */
struct maker {
    struct rng rng;
    size_t used;
    uint8_t arena[ARENA_BYTES];
};

static uint32_t below(struct maker *maker, uint32_t bound) {
    return (uint32_t)rng_below(&maker->rng, bound);
}

static uint64_t any(struct maker *maker) {
    return rng_u64(&maker->rng);
}

/* Mostly small, seldom as large as `max`. */
static uint32_t length(struct maker *maker, uint32_t max) {
    uint32_t small = max < 8 ? max : 8;
    uint32_t bound = below(maker, 16) == 0 ? max : small;
    return below(maker, bound + 1);
}

static uint8_t *take(struct maker *maker, size_t len) {
    assert_true(maker->used + len <= ARENA_BYTES);
    uint8_t *bytes = maker->arena + maker->used;
    maker->used += len;
    return bytes;
}

static struct slice make_bytes(struct maker *maker, size_t len) {
    uint8_t *bytes = take(maker, len);
    rng_fill(&maker->rng, bytes, len);
    return (struct slice){bytes, len};
}

/* What an encoder appends to a fresh buffer, moved into the arena. */
static struct slice keep(struct maker *maker, struct buf *encoded) {
    struct slice kept = {take(maker, encoded->len), encoded->len};
    if (kept.len > 0) {
        memcpy(maker->arena + maker->used - kept.len, encoded->data, kept.len);
    }
    buf_free(encoded);
    return kept;
}

/* Even tags, rising; none most times. */
static struct slice make_tlvs(struct maker *maker, uint32_t max) {
    struct buf bytes = {0};
    uint32_t count = below(maker, 4) == 0 ? below(maker, 4) : 0;
    for (uint32_t i = 0; i < count && bytes.len + 3 <= max; i++) {
        uint32_t len = length(maker, (uint32_t)(max - bytes.len - 3));
        buf_u8(&bytes, (uint8_t)(2 * (i * 40 + below(maker, 40))));
        buf_u16(&bytes, (uint16_t)len);
        struct slice value = make_bytes(maker, len);
        buf_append(&bytes, value.data, value.len);
    }
    return keep(maker, &bytes);
}

/* Letters of one to four bytes, none of them a control, slash or backslash. */
static struct slice make_text(struct maker *maker, size_t min, size_t max) {
    static const char *const letters[] = {"a", "Z",      "7",      " ",
                                          ".", "\u00e9", "\u6771", "\U0001f3b5"};
    size_t wanted = min + length(maker, (uint32_t)(max - min));
    uint8_t *text = take(maker, wanted);
    size_t len = 0;
    while (len < wanted) {
        const char *letter = letters[below(maker, 8)];
        letter = len == 0 || len + strlen(letter) > wanted ? "b" : letter;
        memcpy(text + len, letter, strlen(letter));
        len += strlen(letter);
    }
    return (struct slice){text, len};
}

/* Up to a few components, seldom as many as there may be. */
static struct slice make_folder(struct maker *maker) {
    struct buf bytes = {0};
    uint32_t depth = below(maker, 16) == 0 ? FOLDER_DEPTH_MAX : below(maker, 4);
    for (uint32_t i = 0; i < depth; i++) {
        struct slice part = make_text(maker, 1, 30);
        if (i > 0) {
            buf_u8(&bytes, '/');
        }
        buf_append(&bytes, part.data, part.len);
    }
    return keep(maker, &bytes);
}

static void make_address(struct maker *maker, struct address *address) {
    bool is_ipv6 = below(maker, 2) == 1;
    address->family = is_ipv6 ? ADDRESS_IPV6 : ADDRESS_IPV4;
    rng_fill(&maker->rng, address->ip, is_ipv6 ? 16 : 4);
    address->port = (uint16_t)(1 + below(maker, 65535));
}

static void make_address_record(struct maker *maker, struct address_record *record) {
    rng_fill(&maker->rng, record->key.b, sizeof record->key.b);
    record->seq = any(maker);
    record->minutes = (uint16_t)(1 + below(maker, 1440));
    record->flags = (uint16_t)any(maker);
    record->address_count = (uint8_t)(1 + below(maker, ADDRESSES_MAX));
    for (uint8_t i = 0; i < record->address_count; i++) {
        make_address(maker, &record->addresses[i]);
    }
    record->tlvs = make_tlvs(maker, 300);
    rng_fill(&maker->rng, record->signature, sizeof record->signature);
}

static struct slice make_record(struct maker *maker) {
    struct address_record record = {0};
    struct buf bytes = {0};
    make_address_record(maker, &record);
    wire_address_record_encode(&bytes, &record);
    return keep(maker, &bytes);
}

static void make_cert(struct maker *maker, struct cert *cert) {
    rng_fill(&maker->rng, cert->subject.b, sizeof cert->subject.b);
    cert->epoch = (uint32_t)any(maker);
    cert->life = (uint8_t)(1 + below(maker, 255));
    cert->flags = (uint8_t)any(maker);
    rng_fill(&maker->rng, cert->checkpoint.b, sizeof cert->checkpoint.b);
    cert->tlvs = make_tlvs(maker, 600);
    cert->signer_count = (uint8_t)(1 + below(maker, CERT_SIGNERS_MAX));
    for (uint8_t i = 0; i < cert->signer_count; i++) {
        cert->signers[i].signer = (uint16_t)(i * 1000 + below(maker, 1000));
        rng_fill(&maker->rng, cert->signers[i].signature, SIGNATURE_BYTES);
    }
}

static void make_hello(struct maker *maker, struct hello *hello) {
    hello->version_min = (uint8_t)(1 + below(maker, 9));
    hello->version_max = (uint8_t)(hello->version_min + below(maker, 9));
    hello->features = (uint32_t)any(maker);
    hello->purpose = (uint8_t)(PURPOSE_LEAF + below(maker, PURPOSE_MEASURE));
    if (hello->purpose == PURPOSE_CALLBACK) {
        rng_fill(&maker->rng, hello->nonce, sizeof hello->nonce);
    }
    hello->listen_port = (uint16_t)any(maker);
    hello->agent = make_text(maker, 0, AGENT_BYTES_MAX);
    rng_fill(&maker->rng, hello->auth.b, sizeof hello->auth.b);
    if (below(maker, 2) == 1) {
        make_address(maker, &hello->observed);
    }
    if (below(maker, 2) == 1) {
        hello->address_record = make_record(maker);
    }
    if (below(maker, 2) == 1) {
        struct cert cert = {0};
        struct buf bytes = {0};
        make_cert(maker, &cert);
        cert.signer_count = 1;
        cert.tlvs.len = 0;
        wire_cert_encode(&bytes, &cert);
        hello->cert = keep(maker, &bytes);
    }
    hello->delegation = make_bytes(maker, length(maker, 100));
    hello->tlvs = make_tlvs(maker, 300);
}

static void make_list(struct maker *maker, struct record_list *list) {
    list->count = (uint8_t)length(maker, NODES_MAX);
    for (uint8_t i = 0; i < list->count; i++) {
        list->records[i] = make_record(maker);
    }
}

static void make_goaway(struct maker *maker, struct goaway *goaway) {
    goaway->reason = (uint8_t)(1 + below(maker, GOAWAY_REASON_MAX));
    goaway->retry_after_s = (uint16_t)any(maker);
    make_list(maker, &goaway->alternatives);
    goaway->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_nodes(struct maker *maker, struct nodes *nodes) {
    make_list(maker, &nodes->list);
    nodes->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_nodes_request(struct maker *maker, struct nodes_request *request) {
    request->count = (uint8_t)(1 + below(maker, NODES_MAX));
    request->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_ping(struct maker *maker, struct ping *ping) {
    ping->token = any(maker);
    ping->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_dialback(struct maker *maker, struct dialback *dialback) {
    rng_fill(&maker->rng, dialback->target.b, sizeof dialback->target.b);
    make_address(maker, &dialback->address);
    dialback->nonce = any(maker);
    dialback->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_dialback_done(struct maker *maker, struct dialback_done *done) {
    done->nonce = any(maker);
    done->reached = below(maker, 2) == 1;
    done->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_content(struct maker *maker, struct content_id *content) {
    rng_fill(&maker->rng, content->root.b, sizeof content->root.b);
    content->size = 1 + rng_below(&maker->rng, FILE_BYTES_MAX);
}

static void make_file_record(struct maker *maker, struct file_record *record) {
    make_content(maker, &record->content);
    record->name = make_text(maker, 1, NAME_BYTES_MAX);
    record->meta = make_tlvs(maker, FILE_META_MAX);
}

static void make_reg_state(struct maker *maker, struct reg_state *state) {
    state->index_id = any(maker);
    state->sequence = any(maker) >> below(maker, 64);
    state->reach = state->sequence >> below(maker, 64);
    state->count = (uint32_t)any(maker);
    rng_fill(&maker->rng, state->root.b, sizeof state->root.b);
    state->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_snapshot(struct maker *maker, struct snapshot *snapshot) {
    rng_fill(&maker->rng, snapshot->leaf.b, sizeof snapshot->leaf.b);
    snapshot->flags = (uint8_t)below(maker, 2);
    if (below(maker, 2) == 1) {
        snapshot->address_record = make_record(maker);
    }
    make_reg_state(maker, &snapshot->list);
    snapshot->list.count |= 1;
    snapshot->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static int compare_records(const void *a, const void *b) {
    return wire_file_record_compare(a, b);
}

/* Every second record has the name of the one before, or one that begins like it. */
static void make_reg_add(struct maker *maker, struct reg_add *add) {
    struct file_record records[60] = {0};
    uint32_t count = 1 + length(maker, 59);
    for (uint32_t i = 0; i < count; i++) {
        make_file_record(maker, &records[i]);
        if (i % 2 == 1) {
            records[i].name = records[i - 1].name;
            records[i].name.len -= records[i].name.len > 1 && below(maker, 2) == 1;
        }
        if (!words_text_ok(records[i].name)) { /* cut inside a letter */
            records[i].name.len++;
        }
    }
    qsort(records, count, sizeof *records, compare_records);
    struct buf packed = {0};
    (void)wire_reg_add_pack(&packed, records, count);
    struct slice payload = keep(maker, &packed);
    assert_int_equal(wire_reg_add_decode(payload, add), OK);
    add->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_reg_remove(struct maker *maker, struct reg_remove *remove) {
    struct buf prefixes = {0};
    uint64_t prefix = below(maker, 2);
    remove->count = (uint16_t)(1 + length(maker, REG_RECORDS_MAX - 1));
    for (uint16_t i = 0; i < remove->count; i++) {
        buf_u64(&prefixes, prefix);
        prefix += 1 + (any(maker) >> 16);
    }
    remove->prefixes = keep(maker, &prefixes);
    remove->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_reg_status(struct maker *maker, struct reg_status *status) {
    status->verdict = (uint8_t)(1 + below(maker, REG_VERDICT_MAX));
    status->sequence = any(maker) >> below(maker, 64);
    status->count = (uint32_t)any(maker);
    rng_fill(&maker->rng, status->root.b, sizeof status->root.b);
    status->retry_after_ms = status->verdict == REG_WAIT ? (uint32_t)any(maker) : 0;
    status->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_query(struct maker *maker, struct query_header *query) {
    query->ttl = (uint8_t)below(maker, TTL_WIRE_MAX + 1);
    query->hops = (uint8_t)below(maker, TTL_WIRE_MAX + 1);
    query->want = (uint16_t)any(maker);
    query->deadline_ms = (uint16_t)any(maker);
    query->body = make_bytes(maker, 1 + length(maker, QUERY_BODY_MAX - 1));
    query->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_query_body(struct maker *maker, struct query_body *body) {
    rng_fill(&maker->rng, body->salt, sizeof body->salt);
    body->kind = (uint8_t)(QUERY_WORDS + below(maker, 2));
    if (body->kind == QUERY_WORDS) {
        body->text = make_text(maker, 1, QUERY_TEXT_MAX);
    } else {
        make_content(maker, &body->content);
    }
    body->tlvs = make_tlvs(maker, 600);
}

static void make_coverage(struct maker *maker, struct coverage *coverage) {
    coverage->supernodes = (uint16_t)any(maker);
    coverage->leaves = (uint32_t)any(maker);
    coverage->files = any(maker);
    coverage->refused = (uint16_t)any(maker);
    coverage->truncated = below(maker, 2) == 1;
    coverage->copies = (uint32_t)any(maker);
    coverage->spared = (uint32_t)any(maker);
    coverage->reached = (uint16_t)any(maker);
    coverage->known = (uint16_t)any(maker);
    if (below(maker, 2) == 1) {
        coverage->reach[below(maker, REACH_BYTES)] = (uint8_t)(1 + below(maker, 255));
    }
}

static void make_holder(struct maker *maker, struct holder *holder) {
    rng_fill(&maker->rng, holder->id.b, sizeof holder->id.b);
    if (below(maker, 2) == 1) {
        holder->address_record = make_record(maker);
        memcpy(holder->id.b, holder->address_record.data, sizeof holder->id.b);
    }
    holder->flags = (uint8_t)any(maker);
    holder->free_slots = (uint8_t)any(maker);
    holder->queue = (uint16_t)any(maker);
    holder->speed_kib = (uint32_t)any(maker);
}

static void make_hits(struct maker *maker, struct hits *hits) {
    rng_fill(&maker->rng, hits->id.b, sizeof hits->id.b);
    hits->ttl = (uint8_t)below(maker, TTL_WIRE_MAX + 1);
    hits->last = below(maker, 2) == 1;
    if (hits->last) {
        make_coverage(maker, &hits->coverage);
    }
    if (below(maker, 2) == 1) {
        hits->answerer = make_record(maker);
    }
    hits->holder_count = (uint8_t)length(maker, HITS_HOLDERS_MAX);
    for (uint8_t i = 0; i < hits->holder_count; i++) {
        make_holder(maker, &hits->holders[i]);
    }
    hits->hit_count = hits->holder_count == 0 ? 0 : (uint8_t)length(maker, HITS_RECORDS_MAX);
    for (uint8_t i = 0; i < hits->hit_count; i++) {
        struct hit *hit = &hits->hits[i];
        make_file_record(maker, &hit->file);
        uint8_t index = (uint8_t)below(maker, hits->holder_count);
        while (index < hits->holder_count && hit->holder_count < RECORD_HOLDERS_MAX) {
            hit->holders[hit->holder_count++] = index;
            index = (uint8_t)(index + 1 + below(maker, 5));
        }
    }
    hits->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_end(struct maker *maker, struct query_end *end) {
    rng_fill(&maker->rng, end->id.b, sizeof end->id.b);
    end->ttl = (uint8_t)below(maker, TTL_WIRE_MAX + 1);
    make_coverage(maker, &end->coverage);
    end->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_open(struct maker *maker, struct open_file *open) {
    open->handle = (uint32_t)any(maker);
    make_content(maker, &open->content);
    open->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_shut(struct maker *maker, struct shut_file *shut) {
    shut->handle = (uint32_t)any(maker);
    shut->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_load(struct maker *maker, struct load *load) {
    load->free_slots = (uint8_t)any(maker);
    load->queue = (uint16_t)any(maker);
    load->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_place(struct maker *maker, struct queue_place *place) {
    place->handle = (uint32_t)any(maker);
    place->position = (uint16_t)below(maker, 300);
    place->eta_ms = place->position > 0 ? (uint32_t)any(maker) : 0;
    place->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_have(struct maker *maker, struct have *have) {
    have->handle = (uint32_t)any(maker);
    have->all = below(maker, 2) == 1;
    if (!have->all) {
        have->bitmap = make_bytes(maker, 1 + length(maker, 60000));
    }
    have->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_block_request(struct maker *maker, struct block_request *request) {
    request->handle = (uint32_t)any(maker);
    request->first = below(maker, (1U << 28) - BLOCK_REQUEST_MAX);
    request->count = (uint8_t)(1 + below(maker, BLOCK_REQUEST_MAX));
    request->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_block(struct maker *maker, struct block *block) {
    block->handle = (uint32_t)any(maker);
    block->index = below(maker, 1U << 28);
    block->data = make_bytes(maker, 1 + length(maker, BLOCK_BYTES - 1));
}

/* A run that some tree has: below the end of its layer, of a power of two, aligned. */
static void make_run(struct maker *maker, uint8_t *layer, uint32_t *first, uint16_t *count) {
    *layer = (uint8_t)below(maker, 29);
    uint32_t log2 = below(maker, (28U - *layer < 9 ? 28U - *layer : 9) + 1);
    *count = (uint16_t)(1U << log2);
    *first = below(maker, 1U << (28U - *layer - log2)) << log2;
}

static void make_hashes_request(struct maker *maker, struct hashes_request *request) {
    request->handle = (uint32_t)any(maker);
    make_run(maker, &request->layer, &request->first, &request->count);
    request->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_hashes(struct maker *maker, struct hashes *hashes) {
    hashes->handle = (uint32_t)any(maker);
    make_run(maker, &hashes->layer, &hashes->first, &hashes->count);
    hashes->hashes = make_bytes(maker, (size_t)hashes->count * HASH_BYTES);
    hashes->proof_count = (uint8_t)below(maker, PROOF_MAX + 1);
    hashes->proof = make_bytes(maker, (size_t)hashes->proof_count * HASH_BYTES);
    hashes->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_reject(struct maker *maker, struct reject *reject) {
    reject->handle = (uint32_t)any(maker);
    reject->reason = (uint8_t)(1 + below(maker, REJECT_REASON_MAX));
    reject->first = (uint32_t)any(maker);
    reject->count = (uint16_t)any(maker);
    reject->retry_after_ms = (uint32_t)any(maker);
    reject->queue_position = (uint16_t)any(maker);
    reject->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_browse(struct maker *maker, struct browse_request *request) {
    request->handle = (uint32_t)any(maker);
    request->after = any(maker);
    request->under = make_folder(maker);
    request->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_listing(struct maker *maker, struct listing *listing) {
    struct buf entries = {0};
    listing->handle = (uint32_t)any(maker);
    listing->next = any(maker);
    listing->is_partial = below(maker, 2) == 1;
    uint32_t wanted = below(maker, 64) == 0 ? LISTING_FILES_MAX : below(maker, 6);
    while (listing->count < wanted) {
        struct listing_entry entry = {.is_locked = below(maker, 2) == 1,
                                      .folder = make_folder(maker),
                                      .name = make_text(maker, 1, 8)};
        make_content(maker, &entry.content);
        if (!wire_listing_put(&entries, &entry)) {
            break;
        }
        listing->count++;
    }
    listing->tlvs = make_tlvs(maker, (uint32_t)(FRAME_PAYLOAD_MAX - 15 - entries.len < 4096
                                                    ? FRAME_PAYLOAD_MAX - 15 - entries.len
                                                    : 4096));
    listing->entries = keep(maker, &entries);
}

static void make_push(struct maker *maker, struct push *push) {
    rng_fill(&maker->rng, push->target.b, sizeof push->target.b);
    rng_fill(&maker->rng, push->nonce, sizeof push->nonce);
    push->requester = make_record(maker);
    push->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_frame(struct maker *maker, struct frame *frame) {
    static const uint8_t flags[] = {0, FRAME_CRITICAL, FRAME_DEFLATED,
                                    FRAME_DEFLATED | FRAME_DICTIONARY_1, FRAME_FLAGS};
    frame->type = (uint8_t)any(maker);
    frame->flags = flags[below(maker, sizeof flags)];
    frame->payload = make_bytes(maker, length(maker, FRAME_PAYLOAD_MAX));
}

static void make_summary(struct maker *maker, struct summary_part *part) {
    static uint8_t bytes[SUMMARY_CHUNK_BYTES];
    part->version = (uint32_t)any(maker);
    part->log2_bits =
        (uint8_t)(SUMMARY_LOG2_MIN + below(maker, SUMMARY_LOG2_MAX - SUMMARY_LOG2_MIN + 1));
    part->hashes = SUMMARY_HASHES;
    part->words = (uint32_t)any(maker);
    part->leaves = (uint32_t)any(maker);
    part->files = any(maker);
    part->degree = (uint16_t)any(maker);
    part->tlvs = make_tlvs(maker, 600);
    uint32_t filter_bytes = 1u << (part->log2_bits - 3);
    if (below(maker, 2) == 1) {
        uint32_t chunks = (filter_bytes + SUMMARY_CHUNK_BYTES - 1) / SUMMARY_CHUNK_BYTES;
        part->kind = SUMMARY_CHUNK;
        part->first = (uint32_t)below(maker, chunks) * SUMMARY_CHUNK_BYTES;
        uint32_t left = filter_bytes - part->first;
        rng_fill(&maker->rng, bytes, 64);
        part->bytes = (struct slice){bytes, left < sizeof bytes ? left : sizeof bytes};
        return;
    }
    part->kind = SUMMARY_DELTA;
    uint32_t bit = 0;
    size_t len = 0;
    do {
        bytes[len++] = (uint8_t)(bit >> 16);
        bytes[len++] = (uint8_t)(bit >> 8);
        bytes[len++] = (uint8_t)bit;
        bit += 1 + (uint32_t)below(maker, 300);
    } while (bit < 1u << part->log2_bits && len < 3 * (size_t)SUMMARY_DELTA_MAX);
    part->bytes = (struct slice){bytes, len};
}

/* ---- Promotion ---- */

static void make_row(struct maker *maker, struct row_record *row) {
    rng_fill(&maker->rng, row->issuer.b, sizeof row->issuer.b);
    row->epoch = (uint32_t)any(maker);
    rng_fill(&maker->rng, row->previous, sizeof row->previous);
    row->count = (uint8_t)length(maker, ROW_ENTRIES_MAX);
    for (uint8_t i = 0; i < row->count; i++) {
        rng_fill(&maker->rng, row->entries[i].subject.b, sizeof row->entries[i].subject.b);
        row->entries[i].subject.b[0] = (uint8_t)(2 * i);
        row->entries[i].weight = (uint16_t)(1 + below(maker, ROW_WEIGHT_SUM / ROW_ENTRIES_MAX));
    }
    row->tlvs = make_tlvs(maker, RECORD_HEADROOM);
    rng_fill(&maker->rng, row->signature, sizeof row->signature);
}

static void make_candidacy(struct maker *maker, struct candidacy *candidacy) {
    rng_fill(&maker->rng, candidacy->subject.b, sizeof candidacy->subject.b);
    candidacy->address_record = make_record(maker);
    candidacy->epoch = (uint32_t)any(maker);
    candidacy->rate_kib = 1 + below(maker, UINT32_MAX);
    candidacy->day_mib = 1 + below(maker, UINT32_MAX);
    candidacy->up_kib = (uint32_t)any(maker);
    candidacy->down_kib = (uint32_t)any(maker);
    candidacy->uptime_s = (uint32_t)any(maker);
    candidacy->mean_uptime_s = (uint32_t)any(maker);
    candidacy->flags = (uint8_t)any(maker);
    candidacy->tlvs = make_tlvs(maker, RECORD_HEADROOM);
    rng_fill(&maker->rng, candidacy->sponsor.b, sizeof candidacy->sponsor.b);
    rng_fill(&maker->rng, candidacy->by_subject, sizeof candidacy->by_subject);
    rng_fill(&maker->rng, candidacy->by_owner, sizeof candidacy->by_owner);
    rng_fill(&maker->rng, candidacy->by_sponsor, sizeof candidacy->by_sponsor);
}

static void make_checkpoint(struct maker *maker, struct checkpoint *checkpoint) {
    checkpoint->epoch = (uint32_t)any(maker);
    checkpoint->members = 1 + below(maker, MEMBERS_MAX);
    rng_fill(&maker->rng, checkpoint->set_root.b, 4 * sizeof checkpoint->set_root);
    checkpoint->anchor = (uint8_t)any(maker);
    checkpoint->tlvs = make_tlvs(maker, RECORD_HEADROOM);
    rng_fill(&maker->rng, checkpoint->signature, sizeof checkpoint->signature);
}

/* Entries of `each` bytes that rise. */
static struct slice make_rising(struct maker *maker, uint32_t count, size_t each) {
    struct slice entries = make_bytes(maker, count * each);
    uint8_t *at = maker->arena + maker->used - entries.len;
    for (uint32_t i = 0; i < count; i++) {
        at[i * each] = (uint8_t)(i >> 8);
        at[i * each + 1] = (uint8_t)i;
    }
    return entries;
}

static void make_members(struct maker *maker, struct members *members) {
    members->epoch = (uint32_t)any(maker);
    members->count = (uint16_t)(1 + length(maker, MEMBERS_MAX - 1));
    members->keys = make_rising(maker, members->count, sizeof(struct node_id));
    members->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_trust_list(struct maker *maker, struct trust_list *list) {
    list->count = (uint16_t)(1 + length(maker, TRUST_LIST_MAX - 1));
    list->prefixes = make_rising(maker, list->count, 8);
    list->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_fraud(struct maker *maker, struct fraud *fraud) {
    struct row_record row = {0};
    struct buf first = {0}, second = {0};
    make_row(maker, &row);
    row.previous[0] = 1;
    wire_row_encode(&first, &row);
    row.previous[0] = 2;
    wire_row_encode(&second, &row);
    *fraud = (struct fraud){.type = RECORD_ROW};
    fraud->first = keep(maker, &first);
    fraud->second = keep(maker, &second);
    fraud->tlvs = make_tlvs(maker, RECORD_HEADROOM);
}

static void make_measure(struct maker *maker, struct measure *measure) {
    measure->seed = any(maker);
    measure->bytes = 1 + below(maker, MEASURE_BYTES_MAX);
    measure->ms = (uint16_t)(1 + below(maker, UINT16_MAX));
    measure->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_measure_files(struct maker *maker, struct measure_files *files) {
    files->count = (uint8_t)(1 + below(maker, MEASURE_FILES_MAX));
    for (uint8_t i = 0; i < files->count; i++) {
        make_content(maker, &files->files[i]);
    }
    files->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_measure_blocks(struct maker *maker, struct measure_blocks *blocks) {
    blocks->bytes = 1 + below(maker, MEASURE_BYTES_MAX);
    blocks->ms = (uint16_t)(1 + below(maker, UINT16_MAX));
    blocks->count = (uint8_t)(1 + below(maker, MEASURE_RUNS_MAX));
    for (uint8_t i = 0; i < blocks->count; i++) {
        blocks->runs[i].file = (uint8_t)below(maker, MEASURE_FILES_MAX);
        blocks->runs[i].first = below(maker, (1u << 28) - PIECE_BLOCKS);
        blocks->runs[i].count = (uint8_t)(1 + below(maker, PIECE_BLOCKS));
    }
    blocks->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_receipt(struct maker *maker, struct receipt *receipt) {
    rng_fill(&maker->rng, receipt->issuer.b, sizeof receipt->issuer.b);
    rng_fill(&maker->rng, receipt->subject.b, sizeof receipt->subject.b);
    receipt->issuer.b[0] = 1;
    receipt->subject.b[0] = 2;
    receipt->epoch = (uint32_t)any(maker);
    receipt->kind = (uint8_t)(RECEIPT_TRANSFER + below(maker, 2));
    receipt->amount = 1 + below(maker, UINT32_MAX);
    receipt->tlvs = make_tlvs(maker, RECORD_HEADROOM);
    rng_fill(&maker->rng, receipt->signature, sizeof receipt->signature);
}

static void make_measured(struct maker *maker, struct measured *measured) {
    measured->data = make_bytes(maker, 1 + length(maker, MEASURED_DATA_MAX - 1));
    measured->offset = 8 * below(maker, (MEASURE_BYTES_MAX - MEASURED_DATA_MAX) / 8);
}

static void make_why(struct maker *maker, struct why *why) {
    rng_fill(&maker->rng, why->id.b, sizeof why->id.b);
    why->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

static void make_decision(struct maker *maker, struct decision *decision) {
    rng_fill(&maker->rng, decision->id.b, sizeof decision->id.b);
    decision->epoch = (uint32_t)any(maker);
    decision->verdict = (uint8_t)below(maker, DECISION_VERDICT_MAX + 1);
    decision->reason = make_text(maker, 0, 255);
    decision->members = (uint16_t)any(maker);
    decision->wanted = (uint16_t)any(maker);
    decision->gate = (uint8_t)any(maker) & DECISION_GATES;
    decision->score = any(maker);
    decision->draw = any(maker);
    decision->threshold = any(maker);
    decision->rate = any(maker);
    decision->witnessed_s = (uint32_t)any(maker);
    decision->evidence_count = (uint8_t)length(maker, DECISION_EVIDENCE_MAX);
    for (uint8_t i = 0; i < decision->evidence_count; i++) {
        struct decision_evidence *evidence = &decision->evidence[i];
        rng_fill(&maker->rng, evidence->issuer.b, sizeof evidence->issuer.b);
        evidence->epoch = (uint32_t)any(maker);
        evidence->bytes = any(maker);
    }
    decision->tlvs = make_tlvs(maker, TLV_BYTES_MAX);
}

/* One encoded random message. */
#define ENCODE_RANDOM(name, tag)                                                                   \
    static void random_##name(struct maker *maker, struct buf *out) {                              \
        struct tag value = {0};                                                                    \
        make_##name(maker, &value);                                                                \
        wire_##name##_encode(out, &value);                                                         \
    }
WIRE_CODECS(ENCODE_RANDOM)

static const struct codec {
    const char *name;
    void (*random)(struct maker *maker, struct buf *out);
    recode_function *recode;
} codecs[] = {
#define ROW(name, tag) {#name, random_##name, recode_##name},
    WIRE_CODECS(ROW)
#undef ROW
};

#define CODECS (sizeof codecs / sizeof *codecs)

/* An encoding holds every field, so equal bytes mean equal values. */
static void test_round_trip(void **state) {
    static struct maker maker;
    const struct codec *codec = *state;
    rng_seed(&maker.rng, (uint64_t)(codec - codecs) + 1);
    struct buf sent = {0}, again = {0};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        maker.used = 0;
        sent.len = again.len = 0;
        codec->random(&maker, &sent);
        enum err err = codec->recode((struct slice){sent.data, sent.len}, &again);
        if (err != OK || again.len != sent.len || memcmp(again.data, sent.data, sent.len) != 0) {
            fail_msg("%s round %u: %s", codec->name, round, err_name(err));
        }
    }
    buf_free(&sent);
    buf_free(&again);
}

int main(void) {
    struct CMUnitTest tests[CODECS];
    for (size_t i = 0; i < CODECS; i++) {
        tests[i] = (struct CMUnitTest){.name = codecs[i].name,
                                       .test_func = test_round_trip,
                                       .initial_state = (void *)(uintptr_t)&codecs[i]};
    }
    return cmocka_run_group_tests_name("wire random", tests, NULL, NULL);
}
