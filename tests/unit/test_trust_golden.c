/* test_trust_golden.c - each record of promotion, given as a struct, has the bytes of its golden
 * vector: what is signed is what PROTOCOL.md says. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire_measure.h"
#include "common/wire_receipt.h"
#include "tests/unit/wire_vectors.h"

enum { EPOCH = 0x4cdb };

static void expect(const char *name, struct buf *encoded) {
    struct buf golden = vectors_find(name, "golden");
    assert_int_equal(encoded->len, golden.len);
    assert_memory_equal(encoded->data, golden.data, golden.len);
    buf_free(encoded);
    buf_free(&golden);
}

/* All bytes of an array of them. */
#define FILL(array, value) memset((array), (value), sizeof(array))

static struct row_record row_of(uint8_t count) {
    struct row_record row = {.epoch = EPOCH, .count = count};
    FILL(row.issuer.b, 0x44);
    FILL(row.previous, 0x55);
    FILL(row.signature, 0x77);
    for (uint8_t i = 0; i < count; i++) {
        FILL(row.entries[i].subject.b, i + 1);
        row.entries[i].weight = i == 0 ? 1 : 0xfffe;
    }
    return row;
}

static void test_row(void **state) {
    (void)state;
    struct row_record row = row_of(2);
    struct buf bytes = {0};
    wire_row_encode(&bytes, &row);
    expect("row", &bytes);
}

static void test_candidacy(void **state) {
    (void)state;
    struct address_record record = {.seq = 1700000000,
                                    .minutes = 120,
                                    .flags = 1,
                                    .address_count = 1,
                                    .addresses = {{ADDRESS_IPV4, {127, 0, 0, 2}, 6346}}};
    struct buf address = {0}, bytes = {0};
    FILL(record.key.b, 0x11);
    FILL(record.signature, 0x22);
    wire_address_record_encode(&address, &record);
    struct candidacy candidacy = {.address_record = {address.data, address.len},
                                  .epoch = EPOCH,
                                  .rate_kib = 1024,
                                  .day_mib = 20480,
                                  .up_kib = 128,
                                  .down_kib = 256,
                                  .uptime_s = 3600,
                                  .mean_uptime_s = 7200,
                                  .flags = CANDIDACY_ACCEPTS_LINKS};
    FILL(candidacy.subject.b, 0x66);
    FILL(candidacy.sponsor.b, 0x88);
    FILL(candidacy.by_subject, 0x77);
    FILL(candidacy.by_owner, 0x78);
    FILL(candidacy.by_sponsor, 0x79);
    wire_candidacy_subject_bytes(&bytes, &candidacy);
    size_t agreed = bytes.len;
    buf_free(&bytes);
    wire_candidacy_encode(&bytes, &candidacy);
    assert_int_equal(agreed + 3 * SIGNATURE_BYTES, bytes.len);
    expect("candidacy", &bytes);
    buf_free(&address);
}

static void test_checkpoint(void **state) {
    (void)state;
    struct checkpoint checkpoint = {.epoch = EPOCH, .members = 5, .anchor = 2};
    struct buf bytes = {0};
    FILL(checkpoint.set_root.b, 1);
    FILL(checkpoint.candidate_root.b, 2);
    FILL(checkpoint.beacon.b, 3);
    FILL(checkpoint.previous.b, 4);
    FILL(checkpoint.signature, 0x77);
    wire_checkpoint_encode(&bytes, &checkpoint);
    expect("checkpoint", &bytes);
}

static void test_members(void **state) {
    (void)state;
    uint8_t keys[64];
    memset(keys, 1, 32);
    memset(keys + 32, 2, 32);
    struct members members = {.epoch = EPOCH, .count = 2, .keys = {keys, sizeof keys}};
    struct buf bytes = {0};
    wire_members_encode(&bytes, &members);
    expect("members", &bytes);
}

static void test_fraud(void **state) {
    (void)state;
    struct row_record empty = row_of(0), one = row_of(1);
    struct buf first = {0}, second = {0}, bytes = {0};
    wire_row_encode(&first, &empty);
    wire_row_encode(&second, &one);
    struct fraud fraud = {
        .type = RECORD_ROW, .first = {first.data, first.len}, .second = {second.data, second.len}};
    wire_fraud_encode(&bytes, &fraud);
    expect("fraud", &bytes);
    buf_free(&first);
    buf_free(&second);
}

static void test_measuring(void **state) {
    (void)state;
    struct buf bytes = {0};
    struct measure measure = {.seed = 0x0123456789abcdef, .bytes = 4 << 20, .ms = 2500};
    wire_measure_encode(&bytes, &measure);
    expect("measure", &bytes);
    struct measure_files files = {.count = 2, .files = {{.size = 4 << 20}, {.size = 1}}};
    FILL(files.files[0].root.b, 0x11);
    FILL(files.files[1].root.b, 0x22);
    wire_measure_files_encode(&bytes, &files);
    expect("measure_files", &bytes);
    struct measure_blocks blocks = {
        .bytes = 4 << 20, .ms = 2500, .count = 2, .runs = {{0, 128, 64}, {1, 5, 64}}};
    wire_measure_blocks_encode(&bytes, &blocks);
    expect("measure_blocks", &bytes);
}

static void test_receipt(void **state) {
    (void)state;
    struct receipt receipt = {.epoch = EPOCH, .kind = RECEIPT_TRANSFER, .amount = 1 << 24};
    struct buf bytes = {0};
    FILL(receipt.issuer.b, 0x11);
    FILL(receipt.subject.b, 0x22);
    FILL(receipt.signature, 0x77);
    wire_receipt_encode(&bytes, &receipt);
    expect("receipt", &bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row),        cmocka_unit_test(test_candidacy),
        cmocka_unit_test(test_checkpoint), cmocka_unit_test(test_members),
        cmocka_unit_test(test_fraud),      cmocka_unit_test(test_measuring),
        cmocka_unit_test(test_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
