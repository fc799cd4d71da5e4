/* test_wire_golden.c - each message, given as a struct, has the bytes of its golden vector, and
 * those bytes have these fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire.h"
#include "tests/unit/wire_vectors.h"

#define S(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})
#define HANDLE 0xdeadbeef
#define AB(n) n, n, n, n, n, n, n, n
#define AB32(n)                                                                                    \
    { AB(n), AB(n), AB(n), AB(n) }
#define AB64(n)                                                                                    \
    { AB(n), AB(n), AB(n), AB(n), AB(n), AB(n), AB(n), AB(n) }

static const struct address loopback_2 = {ADDRESS_IPV4, {127, 0, 0, 2}, 6346};

/* Compare with the vector and give it to the caller, who decodes it and frees it. */
static struct buf expect_golden(const char *name, struct buf *encoded) {
    struct buf golden = vectors_find(name, "golden");
    assert_int_equal(encoded->len, golden.len);
    assert_memory_equal(encoded->data, golden.data, golden.len);
    buf_free(encoded);
    return golden;
}

/* Encode `value`, compare with the golden vector, decode that into `back`. */
#define GOLDEN(name, value, back)                                                                  \
    struct buf encoded = {0};                                                                      \
    wire_##name##_encode(&encoded, &(value));                                                      \
    struct buf golden = expect_golden(#name, &encoded);                                            \
    assert_int_equal(wire_##name##_decode((struct slice){golden.data, golden.len}, &(back)), OK)

static void assert_slice(struct slice is, struct slice wanted) {
    assert_int_equal(is.len, wanted.len);
    assert_memory_equal(is.data, wanted.data, wanted.len);
}

/* Append the golden address record under another key. */
static struct slice record_of(struct buf *bytes, uint8_t key) {
    struct address_record record = {.seq = 1700000000,
                                    .minutes = 120,
                                    .flags = 1,
                                    .address_count = 1,
                                    .addresses = {loopback_2},
                                    .signature = AB64(0x22)};
    memset(record.key.b, key, sizeof record.key.b);
    wire_address_record_encode(bytes, &record);
    return (struct slice){bytes->data, bytes->len};
}

static const struct cert golden_cert = {.subject = {AB32(0x44)},
                                        .epoch = 19675,
                                        .life = 3,
                                        .signer_count = 1,
                                        .signers = {{.signer = 0, .signature = AB64(0x77)}}};

static void test_address_record(void **state) {
    (void)state;
    struct address_record back;
    struct buf bytes = {0};
    struct slice record = record_of(&bytes, 0x11);
    assert_int_equal(record.len, 116); /* as promised in wire.h */
    assert_int_equal(wire_address_record_decode(record, &back), OK);
    struct address_record again = back;
    GOLDEN(address_record, again, back);
    assert_true(back.seq == 1700000000 && back.minutes == 120);
    assert_int_equal(back.flags, ADDRESS_RECORD_SUPERNODE);
    assert_int_equal(back.address_count, 1);
    assert_true(address_equal(&back.addresses[0], &loopback_2));
    assert_int_equal(back.key.b[31], 0x11);
    assert_int_equal(back.signature[0], 0x22);
    buf_free(&bytes);
    buf_free(&golden);
}

static void test_cert(void **state) {
    (void)state;
    struct cert back;
    GOLDEN(cert, golden_cert, back);
    assert_true(back.epoch == 19675 && back.life == 3 && back.flags == 0);
    assert_true(back.signer_count == 1 && back.signers[0].signer == 0);
    assert_int_equal(back.signers[0].signature[63], 0x77);
    buf_free(&golden);
}

static void test_hello(void **state) {
    (void)state;
    struct buf record = {0}, cert = {0};
    wire_cert_encode(&cert, &golden_cert);
    struct hello back, hello = {.version_min = 1,
                                .version_max = 1,
                                .features = 0x01020304,
                                .purpose = PURPOSE_MESH,
                                .listen_port = 6346,
                                .agent = S("trunkline/0.1.0"),
                                .auth = {AB32(0x66)},
                                .address_record = record_of(&record, 0x11),
                                .cert = {cert.data, cert.len}};
    GOLDEN(hello, hello, back);
    assert_true(back.version_min == 1 && back.version_max == 1 && back.features == 0x01020304);
    assert_true(back.purpose == PURPOSE_MESH && back.listen_port == 6346);
    assert_slice(back.agent, hello.agent);
    assert_slice(back.address_record, hello.address_record);
    assert_slice(back.cert, hello.cert);
    assert_int_equal(back.auth.b[0], 0x66);
    assert_int_equal(back.observed.family, ADDRESS_NONE);
    assert_int_equal(back.delegation.len, 0);
    buf_free(&record);
    buf_free(&cert);
    buf_free(&golden);
}

static void test_goaway(void **state) {
    (void)state;
    struct buf first = {0}, second = {0};
    struct goaway back, goaway = {.reason = GOAWAY_FULL, .retry_after_s = 300};
    goaway.alternatives.count = 2;
    goaway.alternatives.records[0] = record_of(&first, 0x11);
    goaway.alternatives.records[1] = record_of(&second, 0x55);
    GOLDEN(goaway, goaway, back);
    assert_true(back.reason == GOAWAY_FULL && back.retry_after_s == 300);
    assert_int_equal(back.alternatives.count, 2);
    assert_slice(back.alternatives.records[1], goaway.alternatives.records[1]);
    buf_free(&first);
    buf_free(&second);
    buf_free(&golden);
}

static void test_ping(void **state) {
    (void)state;
    struct ping back, ping = {.token = 0x0102030405060708};
    GOLDEN(ping, ping, back);
    assert_true(back.token == ping.token);
    buf_free(&golden);
}

static void test_nodes_request(void **state) {
    (void)state;
    struct nodes_request back, request = {.count = 64};
    GOLDEN(nodes_request, request, back);
    assert_int_equal(back.count, 64);
    buf_free(&golden);
}

static void test_nodes(void **state) {
    (void)state;
    struct buf first = {0}, second = {0};
    struct address_record record;
    assert_int_equal(wire_address_record_decode(record_of(&first, 0x55), &record), OK);
    record.addresses[0] = (struct address){.family = ADDRESS_IPV6, .ip = {[15] = 1}, .port = 6346};
    wire_address_record_encode(&second, &record);
    buf_free(&first);
    struct nodes back, nodes = {.list.count = 2};
    nodes.list.records[0] = record_of(&first, 0x11);
    nodes.list.records[1] = (struct slice){second.data, second.len};
    GOLDEN(nodes, nodes, back);
    assert_int_equal(back.list.count, 2);
    assert_slice(back.list.records[0], nodes.list.records[0]);
    buf_free(&first);
    buf_free(&second);
    buf_free(&golden);
}

static void test_dialback(void **state) {
    (void)state;
    struct dialback back, dialback = {.target = {AB32(0x12)},
                                      .address = {ADDRESS_IPV4, {127, 0, 0, 9}, 6346},
                                      .nonce = 77};
    GOLDEN(dialback, dialback, back);
    assert_true(node_id_equal(&back.target, &dialback.target));
    assert_true(address_equal(&back.address, &dialback.address) && back.nonce == 77);
    buf_free(&golden);
}

static void test_dialback_done(void **state) {
    (void)state;
    struct dialback_done back, done = {.nonce = 77, .reached = true};
    GOLDEN(dialback_done, done, back);
    assert_true(back.nonce == 77 && back.reached);
    buf_free(&golden);
}

static void test_snapshot(void **state) {
    (void)state;
    struct snapshot back, snapshot = {
                              .leaf = {AB32(0x12)},
                              .flags = SNAPSHOT_REACHABLE,
                              .list = {.index_id = 0x1122334455667788,
                                       .sequence = 300,
                                       .reach = 9,
                                       .count = 2,
                                       .root = {AB32(0xab)}},
                          };
    GOLDEN(snapshot, snapshot, back);
    assert_true(node_id_equal(&back.leaf, &snapshot.leaf) && back.flags == SNAPSHOT_REACHABLE);
    assert_true(back.list.sequence == 300 && back.list.count == 2 && back.list.root.b[0] == 0xab);
    assert_int_equal(back.address_record.len, 0);
    buf_free(&golden);
}

static void test_reg_state(void **state) {
    (void)state;
    struct reg_state back, reg = {
                               .index_id = 0x1122334455667788,
                               .sequence = 300,
                               .reach = 9,
                               .count = 2,
                               .root = {AB32(0xab)},
                           };
    GOLDEN(reg_state, reg, back);
    assert_true(back.index_id == reg.index_id && back.sequence == 300 && back.count == 2);
    assert_int_equal(back.reach, 9);
    assert_int_equal(back.root.b[31], 0xab);
    buf_free(&golden);
}

static const struct file_record read_me = {.content = {{AB32(0xaa)}, 65537},
                                           .name = {(const uint8_t *)"Read me.txt", 11}};
static const struct file_record b_ogg = {.content = {{AB32(0xbb)}, 65537},
                                         .name = {(const uint8_t *)"b.ogg", 5}};

static void test_file_record(void **state) {
    (void)state;
    struct file_record record = read_me, back;
    record.meta = S("\2\0\5title");
    struct buf encoded = {0};
    wire_file_record_encode(&encoded, &record);
    struct buf golden = expect_golden("file_record", &encoded);
    struct reader reader = reader_of(golden.data, golden.len);
    assert_int_equal(wire_file_record_read(&reader, &back), OK);
    assert_true(reader_done(&reader));
    assert_true(content_equal(&back.content, &record.content));
    assert_slice(back.name, record.name);
    assert_slice(back.meta, record.meta);
    buf_free(&golden);
}

static void test_reg_add(void **state) {
    (void)state;
    struct file_record records[2] = {read_me, b_ogg};
    records[1].content.size = 5;
    records[1].name = S("Read you.ogg");
    records[1].meta = S("\2\0\1x");
    struct buf packed = {0};
    assert_int_equal(wire_reg_add_pack(&packed, records, 2), 2);
    struct reg_add back, add;
    assert_int_equal(wire_reg_add_decode((struct slice){packed.data, packed.len}, &add), OK);
    GOLDEN(reg_add, add, back);
    assert_int_equal(back.count, 2);
    struct reg_records walk;
    struct file_record record;
    wire_reg_records_begin(&walk, &back);
    for (int i = 0; i < 2; i++) {
        assert_true(wire_reg_records_next(&walk, &record));
        assert_true(content_equal(&record.content, &records[i].content));
        assert_slice(record.name, records[i].name);
        assert_slice(record.meta, records[i].meta);
    }
    assert_false(wire_reg_records_next(&walk, &record));
    buf_free(&packed);
    buf_free(&golden);
}

static void test_reg_remove(void **state) {
    (void)state;
    struct reg_remove back,
        remove = {.count = 2, .prefixes = S("\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\11")};
    GOLDEN(reg_remove, remove, back);
    assert_int_equal(back.count, 2);
    assert_slice(back.prefixes, remove.prefixes);
    struct hash hash = {{1, 2, 3, 4, 5, 6, 7, 9, 10}};
    assert_true(wire_record_prefix(&hash) == 0x0102030405060709);
    buf_free(&golden);
}

static void test_reg_status(void **state) {
    (void)state;
    struct reg_status back, status = {
                                .verdict = REG_SEND_ALL,
                                .sequence = 300,
                                .count = 2,
                                .root = {AB32(0xab)},
                            };
    GOLDEN(reg_status, status, back);
    assert_true(back.verdict == REG_SEND_ALL && back.sequence == 300 && back.count == 2);
    assert_int_equal(back.root.b[0], 0xab);
    buf_free(&golden);
}

static void test_query(void **state) {
    (void)state;
    struct query_header back,
        query = {
            .ttl = 3, .hops = 1, .want = 100, .deadline_ms = 3850, .body = S("\1\2\3compressed")};
    GOLDEN(query, query, back);
    assert_true(back.ttl == 3 && back.hops == 1 && back.want == 100 && back.deadline_ms == 3850);
    assert_slice(back.body, query.body);
    buf_free(&golden);
}

static void test_query_body(void **state) {
    (void)state;
    struct query_body back,
        body = {.salt = {AB(0x5a)}, .kind = QUERY_WORDS, .text = S("pink floyd")};
    GOLDEN(query_body, body, back);
    assert_int_equal(back.kind, QUERY_WORDS);
    assert_slice(back.text, body.text);
    assert_memory_equal(back.salt, body.salt, sizeof body.salt);
    buf_free(&golden);
}

static const struct coverage golden_coverage = {
    .supernodes = 7,
    .leaves = 300,
    .files = 58800,
    .refused = 1,
    .truncated = true,
    .copies = 550,
    .spared = 200,
    .reached = 97,
    .known = 100,
    .reach = {AB(0x11), AB(0x11), AB(0x11), AB(0x11), AB(0x11), AB(0x11), AB(0x11), AB(0x11),
              AB(0x11), AB(0x11), AB(0x11), AB(0x11), AB(0x11), AB(0x11), AB(0x11), AB(0x11)}};

static void assert_coverage(const struct coverage *coverage) {
    assert_true(coverage->supernodes == 7 && coverage->leaves == 300);
    assert_true(coverage->files == 58800 && coverage->refused == 1 && coverage->truncated);
    assert_true(coverage->copies == 550 && coverage->spared == 200);
    assert_true(coverage->reached == 97 && coverage->known == 100);
    assert_memory_equal(coverage->reach, golden_coverage.reach, REACH_BYTES);
}

static void test_hits(void **state) {
    (void)state;
    struct buf record = {0}, answerer = {0};
    struct hits back, hits = {.id = {{AB(0x99), AB(0x99)}},
                              .ttl = 3,
                              .last = true,
                              .coverage = golden_coverage,
                              .answerer = record_of(&answerer, 0x51),
                              .holder_count = 2,
                              .hit_count = 2};
    struct holder holder = {.flags = HOLDER_REACHABLE | HOLDER_LOAD_KNOWN,
                            .free_slots = 8,
                            .queue = 3,
                            .speed_kib = 2048};
    hits.holders[0] = hits.holders[1] = holder;
    hits.holders[0].address_record = record_of(&record, 0x11);
    memset(hits.holders[0].id.b, 0x11, 32);
    memset(hits.holders[1].id.b, 0x31, 32);
    hits.hits[0] = (struct hit){.file = read_me, .holder_count = 2, .holders = {0, 1}};
    hits.hits[1] = (struct hit){.file = b_ogg, .holder_count = 1, .holders = {1}};
    GOLDEN(hits, hits, back);
    assert_true(back.last && back.ttl == 3 && back.id.b[15] == 0x99);
    assert_coverage(&back.coverage);
    assert_slice(back.answerer, hits.answerer);
    assert_true(node_id_equal(&back.holders[0].id, &hits.holders[0].id));
    assert_true(node_id_equal(&back.holders[1].id, &hits.holders[1].id));
    assert_slice(back.holders[0].address_record, hits.holders[0].address_record);
    assert_true(back.holders[0].free_slots == 8 && back.holders[0].queue == 3);
    assert_true(back.holders[1].speed_kib == 2048 && back.holders[1].flags == holder.flags);
    assert_slice(back.hits[1].file.name, b_ogg.name);
    assert_true(back.hits[0].holder_count == 2 && back.hits[1].holders[0] == 1);
    buf_free(&record);
    buf_free(&answerer);
    buf_free(&golden);
}

static void test_end(void **state) {
    (void)state;
    struct query_end back,
        end = {.id = {{AB(0x99), AB(0x99)}}, .ttl = 3, .coverage = golden_coverage};
    GOLDEN(end, end, back);
    assert_true(back.ttl == 3 && back.id.b[0] == 0x99);
    assert_coverage(&back.coverage);
    assert_int_equal(wire_end_wait_ms(&back), 0);
    struct buf tlvs = {0};
    wire_end_wait_put(&tlvs, 1500);
    static const uint8_t wait[] = {END_TAG_WAIT, 0, 4, 0, 0, 0x05, 0xdc};
    assert_int_equal(tlvs.len, sizeof wait);
    assert_memory_equal(tlvs.data, wait, sizeof wait);
    end.tlvs = (struct slice){tlvs.data, tlvs.len};
    assert_int_equal(wire_end_wait_ms(&end), 1500);
    end.tlvs = (struct slice){(const uint8_t[]){END_TAG_WAIT, 0, 1, 9}, 4}; /* not ours */
    assert_int_equal(wire_end_wait_ms(&end), 0);
    buf_free(&tlvs);
    buf_free(&golden);
}

static void test_summary(void **state) {
    (void)state;
    uint8_t bits[128];
    memset(bits, 0x81, sizeof bits);
    struct summary_part back, part = {.version = 7,
                                      .log2_bits = 10,
                                      .hashes = SUMMARY_HASHES,
                                      .words = 3,
                                      .leaves = 300,
                                      .files = 58800,
                                      .degree = 24,
                                      .kind = SUMMARY_CHUNK,
                                      .bytes = {bits, sizeof bits}};
    GOLDEN(summary, part, back);
    assert_true(back.version == 7 && back.log2_bits == 10 && back.hashes == 7 && back.words == 3);
    assert_true(back.leaves == 300 && back.files == 58800 && back.degree == 24);
    assert_true(back.kind == SUMMARY_CHUNK && back.first == 0);
    assert_slice(back.bytes, part.bytes);
    buf_free(&golden);
}

static void test_open_and_shut(void **state) {
    (void)state;
    struct open_file open_back, open = {.handle = HANDLE, .content = read_me.content};
    {
        GOLDEN(open, open, open_back);
        assert_true(open_back.handle == HANDLE);
        assert_true(content_equal(&open_back.content, &open.content));
        buf_free(&golden);
    }
    struct shut_file shut_back, shut = {.handle = HANDLE};
    GOLDEN(shut, shut, shut_back);
    assert_true(shut_back.handle == HANDLE);
    buf_free(&golden);
}

static void test_load(void **state) {
    (void)state;
    struct load back, load = {.free_slots = 5, .queue = 3};
    GOLDEN(load, load, back);
    assert_true(back.free_slots == 5 && back.queue == 3);
    buf_free(&golden);
}

static void test_place(void **state) {
    (void)state;
    struct queue_place back, place = {.handle = HANDLE, .position = 3, .eta_ms = 90000};
    GOLDEN(place, place, back);
    assert_true(back.handle == HANDLE && back.position == 3 && back.eta_ms == 90000);
    buf_free(&golden);
}

static void test_have(void **state) {
    (void)state;
    struct have back, have = {.handle = HANDLE, .bitmap = S("\xf8\0\x80")};
    GOLDEN(have, have, back);
    assert_true(back.handle == HANDLE && !back.all);
    assert_slice(back.bitmap, have.bitmap);
    buf_free(&golden);
}

static void test_blocks(void **state) {
    (void)state;
    struct block_request back, request = {.handle = HANDLE, .first = 128, .count = 64};
    {
        GOLDEN(block_request, request, back);
        assert_true(back.handle == HANDLE && back.first == 128 && back.count == 64);
        buf_free(&golden);
    }
    struct buf encoded = {0}, payload = {0};
    wire_block_header(&encoded, HANDLE, 129, 10);
    assert_int_equal(encoded.len, FRAME_HEADER_BYTES + BLOCK_HEADER_BYTES);
    assert_memory_equal(encoded.data, "\0\0\x12\x33\0", FRAME_HEADER_BYTES);
    buf_append(&payload, encoded.data + FRAME_HEADER_BYTES, BLOCK_HEADER_BYTES);
    buf_append(&payload, "file bytes", 10);
    struct buf golden = expect_golden("block", &payload);
    struct block block;
    assert_int_equal(wire_block_decode((struct slice){golden.data, golden.len}, &block), OK);
    assert_true(block.handle == HANDLE && block.index == 129);
    assert_slice(block.data, S("file bytes"));
    buf_free(&encoded);
    buf_free(&golden);
}

static void test_hashes(void **state) {
    (void)state;
    struct hashes_request request_back,
        request = {.handle = HANDLE, .layer = 6, .first = 512, .count = 512};
    {
        GOLDEN(hashes_request, request, request_back);
        assert_true(request_back.handle == HANDLE && request_back.layer == 6);
        assert_true(request_back.first == 512 && request_back.count == 512);
        buf_free(&golden);
    }
    static const uint8_t two[2][32] = {AB32(1), AB32(2)}, uncle[32] = AB32(3);
    struct hashes back, hashes = {.handle = HANDLE,
                                  .layer = 6,
                                  .first = 2,
                                  .count = 2,
                                  .hashes = {two[0], sizeof two},
                                  .proof_count = 1,
                                  .proof = {uncle, sizeof uncle}};
    GOLDEN(hashes, hashes, back);
    assert_true(back.handle == HANDLE && back.layer == 6 && back.first == 2 && back.count == 2);
    assert_slice(back.hashes, hashes.hashes);
    assert_int_equal(back.proof_count, 1);
    assert_slice(back.proof, hashes.proof);
    buf_free(&golden);
}

static void test_reject(void **state) {
    (void)state;
    struct reject back, reject = {.handle = HANDLE,
                                  .reason = REJECT_QUEUED,
                                  .first = 64,
                                  .count = 64,
                                  .retry_after_ms = 60000,
                                  .queue_position = 5};
    GOLDEN(reject, reject, back);
    assert_true(back.handle == HANDLE && back.reason == REJECT_QUEUED && back.first == 64);
    assert_true(back.count == 64 && back.retry_after_ms == 60000 && back.queue_position == 5);
    buf_free(&golden);
}

static void test_push(void **state) {
    (void)state;
    struct buf record = {0};
    struct push back, push = {.target = {AB32(0x12)},
                              .nonce = {AB(0xee), AB(0xee)},
                              .requester = record_of(&record, 0x11)};
    GOLDEN(push, push, back);
    assert_true(node_id_equal(&back.target, &push.target));
    assert_memory_equal(back.nonce, push.nonce, sizeof push.nonce);
    assert_slice(back.requester, push.requester);
    buf_free(&record);
    buf_free(&golden);
}

static void test_browse(void **state) {
    (void)state;
    struct browse_request back, browse = {.handle = HANDLE, .after = 42, .under = S("Music/Blues")};
    GOLDEN(browse, browse, back);
    assert_true(back.handle == HANDLE && back.after == 42);
    assert_slice(back.under, S("Music/Blues"));
    buf_free(&golden);
}

static void test_listing(void **state) {
    (void)state;
    const struct listing_entry whale = {{{AB32(0xab)}, 65536}, false, S("Music"), S("whale.ogg")};
    const struct listing_entry locked = {{{AB32(0xcd)}, 7}, true, {0}, S("a")};
    struct buf entries = {0};
    struct listing back, listing = {.handle = HANDLE, .next = 42, .is_partial = true, .count = 2};
    assert_true(wire_listing_put(&entries, &whale) && wire_listing_put(&entries, &locked));
    listing.entries = (struct slice){entries.data, entries.len};
    GOLDEN(listing, listing, back);
    assert_true(back.handle == HANDLE && back.next == 42 && back.is_partial && back.count == 2);
    struct listing_entry entry;
    struct reader walk = wire_listing_entries(&back);
    assert_true(wire_listing_next(&walk, &entry) && !entry.is_locked);
    assert_true(content_equal(&entry.content, &whale.content));
    assert_slice(entry.folder, whale.folder);
    assert_slice(entry.name, whale.name);
    assert_true(wire_listing_next(&walk, &entry) && entry.is_locked && entry.folder.len == 0);
    assert_true(content_equal(&entry.content, &locked.content));
    assert_false(wire_listing_next(&walk, &entry));
    buf_free(&entries);
    buf_free(&golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_record),
        cmocka_unit_test(test_cert),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_goaway),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_nodes_request),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_dialback),
        cmocka_unit_test(test_dialback_done),
        cmocka_unit_test(test_reg_state),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_file_record),
        cmocka_unit_test(test_reg_add),
        cmocka_unit_test(test_reg_remove),
        cmocka_unit_test(test_reg_status),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_query_body),
        cmocka_unit_test(test_hits),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_open_and_shut),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_have),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_reject),
        cmocka_unit_test(test_push),
        cmocka_unit_test(test_browse),
        cmocka_unit_test(test_listing),
    };
    return cmocka_run_group_tests_name("wire golden", tests, NULL, NULL);
}
