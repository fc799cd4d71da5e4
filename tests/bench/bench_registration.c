/* bench_registration.c - bytes that registering costs: per record of a list, per changed file. */
#include "common/mem.h"
#include "common/pack.h"
#include "common/session.h"
#include "tests/bench/bench.h"
#include "tests/list_make.h"

#define LIST 1000 /* files of a list; of one of LONG_LIST one file changes */
#define CHANGED_TARGET 400

/* Bytes of a message on the link; the payload is freed. */
static size_t on_the_link(struct packer *packer, uint8_t type, struct buf *payload) {
    struct buf frame = {0};
    session_pack(packer, type, (struct slice){payload->data, payload->len}, &frame);
    size_t len = frame.len;
    buf_free(&frame);
    buf_free(payload);
    return len;
}

/* BEGIN, COMMIT and the answers to both. */
static size_t around_it(struct packer *packer, uint32_t count) {
    struct reg_state state = {.index_id = UINT64_MAX, .sequence = 1000, .reach = 100};
    struct reg_status status = {.verdict = REG_DONE, .sequence = 1000, .count = count};
    struct buf payload = {0};
    state.count = count;
    memset(state.root.b, 0xa5, sizeof state.root.b);
    memset(status.root.b, 0xa5, sizeof status.root.b);
    wire_reg_state_encode(&payload, &state);
    size_t bytes = on_the_link(packer, MSG_REG_BEGIN, &payload);
    wire_reg_status_encode(&payload, &status);
    return 2 * (bytes + on_the_link(packer, MSG_REG_STATUS, &payload));
}

static size_t added(struct packer *packer, const struct file_record *records, uint32_t count) {
    size_t bytes = 0;
    for (uint32_t sent = 0; sent < count;) {
        struct buf payload = {0};
        sent += wire_reg_add_pack(&payload, records + sent, count - sent);
        bytes += on_the_link(packer, MSG_REG_ADD, &payload);
    }
    return bytes;
}

/* The same records one after the other as they are hashed, deflated in messages as long. */
static size_t added_plainly(struct packer *packer, const struct file_record *records,
                            uint32_t count) {
    struct buf all = {0}, deflated = {0};
    for (uint32_t i = 0; i < count; i++) {
        wire_file_record_encode(&all, &records[i]);
    }
    for (size_t at = 0; at < all.len; at += FRAME_PAYLOAD_MAX) {
        size_t len = all.len - at < FRAME_PAYLOAD_MAX ? all.len - at : FRAME_PAYLOAD_MAX;
        packer_deflate(packer, (struct slice){all.data + at, len}, &deflated);
    }
    size_t bytes = deflated.len;
    buf_free(&all);
    buf_free(&deflated);
    return bytes;
}

static size_t removed(struct packer *packer) {
    const uint8_t prefix[RECORD_PREFIX_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct reg_remove remove = {.count = 1, .prefixes = {prefix, sizeof prefix}};
    struct buf payload = {0};
    wire_reg_remove_encode(&payload, &remove);
    return on_the_link(packer, MSG_REG_REMOVE, &payload);
}

void bench_registration(const struct bench *bench) {
    struct list *list = mem_new(sizeof *list);
    struct packer *packer = packer_new();
    read_titles(list);
    make_list(list, LIST);
    size_t whole = added(packer, list->records, LIST) + around_it(packer, LIST);
    size_t plain = added_plainly(packer, list->records, LIST) + around_it(packer, LIST);
    bench_figure(bench, &(struct figure){.name = "registration per record of 1,000",
                                         .value = (double)whole / LIST,
                                         .unit = "B",
                                         .peer = "records deflated one after the other",
                                         .peer_value = (double)plain / LIST,
                                         .target = 48});
    make_list(list, LONG_LIST);
    size_t one = added(packer, &list->records[LONG_LIST / 2], 1) + removed(packer);
    plain = added_plainly(packer, list->records, LONG_LIST) + around_it(packer, LONG_LIST);
    bench_figure(bench, &(struct figure){.name = "one changed file of 10,000",
                                         .value = (double)(one + around_it(packer, LONG_LIST)),
                                         .unit = "B",
                                         .peer = "the whole list, deflated",
                                         .peer_value = (double)plain,
                                         .target = CHANGED_TARGET});
    bench_figure(bench, &(struct figure){.name = "an unchanged list of 10,000",
                                         .value = (double)around_it(packer, LONG_LIST) / 2,
                                         .unit = "B",
                                         .peer = "the whole list, deflated",
                                         .peer_value = (double)plain,
                                         .target = 100});
    packer_free(packer);
    mem_free(list);
}
