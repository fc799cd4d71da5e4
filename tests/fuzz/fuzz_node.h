/* fuzz_node.h - a whole node under a stranger's messages: links, handlers, timers, disk answers.
 *
 * The input is a run of orders {order u8, ...}: a frame of any type with any payload on one of a
 * few links, time that passes, links that come and go, raw bytes. Signatures are always right here,
 * so that the code behind them is reached. Every order is followed by a step; the outbox is carried
 * out as a hostile disk and network would. */
#ifndef TRUNKLINE_TESTS_FUZZ_FUZZ_NODE_H
#define TRUNKLINE_TESTS_FUZZ_FUZZ_NODE_H

#include <stdlib.h>
#include <string.h>

#include "common/links.h"
#include "common/map.h"
#include "common/mem.h"

#define FUZZ_LINKS 4

struct fuzz_node {
    struct node_env env;
    struct network network;
    struct crypto crypto;
    struct node node;
    struct outbox out;
    uint64_t mono_us;
    uint32_t links[FUZZ_LINKS]; /* 0 = down */
    uint32_t last_link;
};

static void fuzz_sha256(void *context, struct slice first, struct slice second, struct hash *out) {
    (void)context;
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t key[2] = {i, first.len};
        key[1] ^= siphash(key, first.data, first.len);
        uint64_t word = siphash(key, second.data, second.len);
        memcpy(out->b + i * 8, &word, 8);
    }
}

static void fuzz_sign(void *context, struct slice message, uint8_t signature[SIGNATURE_BYTES]) {
    (void)context;
    (void)message;
    memset(signature, 7, SIGNATURE_BYTES);
}

static bool fuzz_verify(void *context, const struct node_id *signer, struct slice message,
                        const uint8_t signature[SIGNATURE_BYTES]) {
    (void)context;
    (void)signer;
    (void)message;
    return signature[0] != 0xee;
}

static void fuzz_hmac(void *context, struct slice key, struct slice message, struct hash *out) {
    fuzz_sha256(context, key, message, out);
}

static void fuzz_random(void *context, void *to, size_t len) {
    (void)context;
    memset(to, 9, len);
}

static void fuzz_step(struct fuzz_node *fuzz, struct node_event *event);

/* Answer one action: what a driver would say at once. */
static void fuzz_answer(struct fuzz_node *fuzz, const struct action *action) {
    struct node_event event = {.kind = NODE_TIMER};
    switch (action->kind) {
    case ACTION_DIAL:
        event.kind = NODE_DIAL_FAILED;
        event.dial.token = action->token32;
        event.dial.reason = ERR_UNREACHABLE;
        break;
    case ACTION_CLOSE:
        event.kind = NODE_LINK_DOWN;
        event.link.link = action->link;
        event.link.reason = ERR_CLOSED;
        for (int i = 0; i < FUZZ_LINKS; i++) {
            fuzz->links[i] = fuzz->links[i] == action->link ? 0 : fuzz->links[i];
        }
        break;
    case ACTION_SEND_BLOCK:
        event.kind = action->offset % 3 == 0 ? NODE_BLOCK_FAILED : NODE_BLOCK_SENT;
        event.block.link = action->link;
        event.block.token = action->token;
        event.block.reason = ERR_CHANGED;
        break;
    case ACTION_FILE_HASH:
    case ACTION_FILE_OPEN:
        event.kind = NODE_FILE_FAILED;
        event.file.file = action->file;
        event.file.token = action->token;
        event.file.reason = ERR_IO;
        break;
    default:
        return;
    }
    fuzz_step(fuzz, &event);
}

static void fuzz_step(struct fuzz_node *fuzz, struct node_event *event) {
    event->mono_us = fuzz->mono_us;
    event->wall_s = 1700000000 + (int64_t)(fuzz->mono_us / 1000000);
    node_step(fuzz->node, event, &fuzz->out);
}

/* Carry out what the steps left, in rounds, a bounded number of them. */
static void fuzz_carry_out(struct fuzz_node *fuzz) {
    for (int round = 0; round < 8 && fuzz->out.count > 0; round++) {
        struct outbox out = fuzz->out;
        fuzz->out = (struct outbox){0};
        for (uint32_t i = 0; i < out.count; i++) {
            fuzz_answer(fuzz, &out.actions[i]);
        }
        outbox_clear(&out);
        outbox_free(&out);
    }
    outbox_clear(&fuzz->out);
}

static void fuzz_bytes(struct fuzz_node *fuzz, uint32_t link, struct slice data) {
    struct node_event event = {.kind = NODE_LINK_BYTES};
    event.bytes.link = link;
    event.bytes.data = data;
    fuzz_step(fuzz, &event);
    fuzz_carry_out(fuzz);
}

static void fuzz_frame(struct fuzz_node *fuzz, uint32_t link, uint8_t type, struct slice payload) {
    struct buf frame = {0};
    wire_frame_write(&frame, type, 0, payload);
    fuzz_bytes(fuzz, link, (struct slice){frame.data, frame.len});
    buf_free(&frame);
}

/* A stranger dials, proves an id made of one byte, and says a correct HELLO. */
static void fuzz_link_up(struct fuzz_node *fuzz, int place, uint8_t id, uint8_t purpose) {
    struct node_event event = {.kind = NODE_LINK_UP};
    event.up.link = fuzz->links[place] = ++fuzz->last_link;
    memset(event.up.id.b, id, sizeof event.up.id.b);
    event.up.remote = (struct address){.family = ADDRESS_IPV4, .ip = {127, 0, 0, id}, .port = 9};
    fuzz_step(fuzz, &event);
    fuzz_carry_out(fuzz);
    struct hello hello = {.version_min = 1,
                          .version_max = 1,
                          .purpose = (uint8_t)(1 + purpose % 6),
                          .listen_port = 9,
                          .agent = {(const uint8_t *)"f", 1}};
    struct buf payload = {0};
    wire_hello_encode(&payload, &hello);
    fuzz_frame(fuzz, fuzz->links[place], MSG_HELLO, (struct slice){payload.data, payload.len});
    buf_free(&payload);
}

static void fuzz_link_event(struct fuzz_node *fuzz, enum node_event_kind kind, int place) {
    struct node_event event = {.kind = kind};
    event.link.link = fuzz->links[place];
    event.link.reason = ERR_CLOSED;
    fuzz_step(fuzz, &event);
    fuzz->links[place] = kind == NODE_LINK_DOWN ? 0 : fuzz->links[place];
    fuzz_carry_out(fuzz);
}

static void fuzz_order(struct fuzz_node *fuzz, struct reader *reader) {
    uint8_t order = reader_u8(reader);
    int place = order / 16 % FUZZ_LINKS;
    uint8_t detail = reader_u8(reader);
    if (order % 16 >= 12) {
        struct node_event event = {.kind = NODE_TIMER};
        fuzz->mono_us += (uint64_t)detail * detail * 10000;
        fuzz_step(fuzz, &event);
        fuzz_carry_out(fuzz);
    } else if (fuzz->links[place] == 0) {
        fuzz_link_up(fuzz, place, detail, order % 16);
    } else if (order % 16 == 11) {
        enum node_event_kind kinds[] = {NODE_LINK_DOWN, NODE_LINK_STALLED, NODE_LINK_READY};
        fuzz_link_event(fuzz, kinds[detail % 3], place);
    } else {
        struct slice rest = reader_slice(reader, reader_u16(reader) % 2048);
        if (order % 16 == 10) {
            fuzz_bytes(fuzz, fuzz->links[place], rest);
        } else {
            fuzz_frame(fuzz, fuzz->links[place], detail, rest);
        }
    }
}

/* Run a node made by `make` over the input; the caller's `prepare` may give it files. */
static void fuzz_node_run(const uint8_t *bytes, size_t len,
                          struct node (*make)(const struct node_env *env),
                          void (*prepare)(struct fuzz_node *fuzz)) {
    static struct packer *packer;
    if (packer == NULL) {
        packer = packer_new();
    }
    struct fuzz_node fuzz = {.mono_us = 1000000};
    fuzz.crypto =
        (struct crypto){NULL, fuzz_sha256, fuzz_sign, fuzz_verify, fuzz_hmac, fuzz_random};
    strcpy(fuzz.network.name, "fuzz");
    fuzz.network.policy = NETWORK_OPEN;
    if (network_seal(&fuzz.network, &fuzz.crypto) != OK) {
        abort();
    }
    fuzz.env = (struct node_env){.seed = 1,
                                 .network = &fuzz.network,
                                 .crypto = &fuzz.crypto,
                                 .store = store_memory_new(NULL, NULL),
                                 .packer = packer,
                                 .agent = "fuzz",
                                 .listen_count = 1};
    memset(fuzz.env.id.b, 0x55, sizeof fuzz.env.id.b);
    fuzz.env.listen[0] =
        (struct address){.family = ADDRESS_IPV4, .ip = {127, 0, 0, 0x55}, .port = 5};
    fuzz.node = make(&fuzz.env);
    struct node_event start = {.kind = NODE_START};
    fuzz_step(&fuzz, &start);
    prepare(&fuzz);
    fuzz_carry_out(&fuzz);
    struct reader reader = reader_of(bytes, len);
    while (reader_left(&reader) > 0 && !reader.failed) {
        fuzz_order(&fuzz, &reader);
    }
    node_free(fuzz.node);
    outbox_clear(&fuzz.out);
    outbox_free(&fuzz.out);
    store_free(fuzz.env.store);
}

#endif
