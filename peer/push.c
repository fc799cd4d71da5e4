/* push.c - sends and answers PUSH: the one who cannot be dialled does the dialling.
 *
 * A PUSH can name a victim's address, so one address is called at most once in PUSH_AGAIN_MS, and
 * only the node whose signed record names it is spoken to. */
#include "peer/push.h"

#include <string.h>

#include "common/mem.h"
#include "peer/state.h"
#include "peer/transfer.h"

/* Somebody who was asked to call us. */
struct expected {
    uint64_t asked_us;
    uint8_t nonce[16];
};

/* An address that was called. */
struct called {
    uint64_t at_us;
};

#define ADDRESS_KEY_BYTES 17 /* family, ip */

struct pushes {
    struct map expected; /* node id -> struct expected */
    struct map called;   /* address -> struct called */
};

static struct pushes *push_of(struct peer *peer) {
    if (peer->push == NULL) {
        peer->push = mem_new(sizeof *peer->push);
        map_init(&peer->push->expected, sizeof(struct node_id), peer->env->seed ^ 0x65787065637465);
        map_init(&peer->push->called, ADDRESS_KEY_BYTES, peer->env->seed ^ 0x63616c6c6564);
    }
    return peer->push;
}

/* Drop the oldest entry of a full map. */
static void make_room(struct map *map) {
    uint8_t key[sizeof(struct node_id)];
    while (map->count >= PUSH_ADDRESSES_MAX) {
        uint32_t cursor = 0;
        const void *oldest_key = NULL;
        void *oldest = map_next(map, &cursor, &oldest_key);
        memcpy(key, oldest_key, map->key_bytes);
        map_remove(map, key);
        mem_free(oldest);
    }
}

static bool is_recent(const struct peer *peer, uint64_t at_us) {
    return peer->links.mono_us - at_us < PUSH_AGAIN_MS * 1000ull;
}

bool push_ask(struct peer *peer, struct link *supernode, const struct node_id *target) {
    struct slice own = links_own_record(&peer->links);
    struct pushes *push = push_of(peer);
    struct expected *expected = map_get(&push->expected, target->b);
    if (own.len == 0 || (expected != NULL && is_recent(peer, expected->asked_us))) {
        return false;
    }
    if (expected == NULL) {
        make_room(&push->expected);
        expected = mem_new(sizeof *expected);
        map_put(&push->expected, target->b, expected);
    }
    const struct crypto *crypto = peer->env->crypto;
    crypto->fill_random(crypto->context, expected->nonce, sizeof expected->nonce);
    expected->asked_us = peer->links.mono_us;
    struct push message = {.target = *target, .requester = own};
    memcpy(message.nonce, expected->nonce, sizeof message.nonce);
    struct buf payload = {0};
    wire_push_encode(&payload, &message);
    peer_send(supernode, MSG_PUSH, &payload);
    return true;
}

bool push_is_expected(struct peer *peer, const struct link *link) {
    const struct expected *expected =
        peer->push != NULL ? map_get(&peer->push->expected, link->id.b) : NULL;
    return expected != NULL && is_recent(peer, expected->asked_us) &&
           memcmp(expected->nonce, link->nonce, sizeof link->nonce) == 0;
}

/* True when this address may be called now; then it is noted. */
static bool may_call(struct peer *peer, const struct address *address) {
    struct pushes *push = push_of(peer);
    uint8_t key[ADDRESS_KEY_BYTES] = {address->family};
    memcpy(key + 1, address->ip, sizeof address->ip);
    struct called *called = map_remove(&push->called, key);
    if (called != NULL && is_recent(peer, called->at_us)) {
        map_put(&push->called, key, called);
        return false;
    }
    mem_free(called);
    make_room(&push->called);
    called = mem_new(sizeof *called);
    called->at_us = peer->links.mono_us;
    map_put(&push->called, key, called);
    return true;
}

enum err push_take(struct peer *peer, struct link *link, struct slice payload) {
    (void)link;
    const struct node_env *env = peer->env;
    struct push message;
    struct address_record record;
    enum err err = wire_push_decode(payload, &message);
    if (err != OK || !node_id_equal(&message.target, &env->id)) {
        return err != OK ? err : ERR_UNEXPECTED;
    }
    err = wire_address_record_decode(message.requester, &record);
    if (err != OK) {
        return err;
    }
    if (wire_address_record_check(&record, env->crypto, &env->network->id, peer->links.wall_s) !=
            OK ||
        node_id_equal(&record.key, &env->id) || transfer_find(peer, &record.key) != NULL) {
        return OK; /* a supernode only passes it on */
    }
    for (uint8_t i = 0; i < record.address_count; i++) {
        if (network_may_dial(env->network, &record.addresses[i]) &&
            may_call(peer, &record.addresses[i])) {
            transfer_dial(peer, &record.key, &record.addresses[i], message.nonce);
            return OK;
        }
    }
    return OK;
}

static void free_map(struct map *map) {
    uint32_t cursor = 0;
    for (void *value; (value = map_next(map, &cursor, NULL)) != NULL;) {
        mem_free(value);
    }
    map_free(map);
}

void push_free(struct peer *peer) {
    if (peer->push != NULL) {
        free_map(&peer->push->expected);
        free_map(&peer->push->called);
        mem_free(peer->push);
        peer->push = NULL;
    }
}
