/* push.c - sends and answers PUSH: the one who cannot be dialled does the dialling.
 *
 * It goes through the supernode that named the target, dialled for this when it is no parent. A
 * PUSH can name a victim's address, so one that did not answer as the node whose signed record
 * names it is called at most once in PUSH_AGAIN_MS. */
#include "peer/push.h"

#include <string.h>

#include "common/mem.h"
#include "peer/state.h"
#include "peer/transfer.h"

/* Somebody who was asked to call us. */
struct expected {
    uint64_t asked_us;
    struct node_id supernode; /* that is to pass it on */
    bool is_waiting;          /* for a link to that supernode */
    uint8_t nonce[16];
};

/* An address that was called. */
struct called {
    uint64_t at_us;
    bool is_proven; /* the node that was named did answer there */
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

static void send_push(struct peer *peer, struct link *supernode, const struct node_id *target,
                      const struct expected *expected) {
    struct push message = {.target = *target,
                           .requester = links_own_record(&peer->links, supernode)};
    memcpy(message.nonce, expected->nonce, sizeof message.nonce);
    struct buf payload = {0};
    wire_push_encode(&payload, &message);
    peer_send(supernode, MSG_PUSH, &payload);
}

/* Dial a supernode that is no parent, unless that is being done; false when we know no address or
 * have too many such links. */
static bool dial_supernode(struct peer *peer, const struct node_id *id) {
    uint32_t cursor = 0;
    uint32_t count = 0;
    for (struct link *link; (link = links_next(&peer->links, &cursor)) != NULL;) {
        if (link->purpose != PURPOSE_DIRECTORY || link->closing) {
            continue;
        }
        if (node_id_equal(&link->id, id)) {
            return true;
        }
        count++;
    }
    const struct host *host = hostcache_find(&peer->hosts, id);
    if (host == NULL || count >= PUSH_LINKS_MAX || host->retry_us > peer->links.mono_us) {
        return false;
    }
    links_dial(&peer->links, &host->id, &host->address, PURPOSE_DIRECTORY, NULL);
    return true;
}

/* True when this target may be asked to call us: we can be dialled, and did not ask lately. */
static bool may_ask(struct peer *peer, const struct node_id *target) {
    const struct expected *expected = map_get(&push_of(peer)->expected, target->b);
    uint64_t since_us = expected != NULL ? peer->links.mono_us - expected->asked_us : UINT64_MAX;
    return since_us >= PUSH_ASK_MS * 1000ull && peer->env->listen_count > 0;
}

/* Expect a call of this target from now on. */
static struct expected *expect(struct peer *peer, const struct node_id *target) {
    struct pushes *push = push_of(peer);
    struct expected *expected = map_get(&push->expected, target->b);
    if (expected == NULL) {
        make_room(&push->expected);
        expected = mem_new(sizeof *expected);
        map_put(&push->expected, target->b, expected);
    }
    if (expected->asked_us == 0 || !is_recent(peer, expected->asked_us)) {
        const struct crypto *crypto = peer->env->crypto; /* else a late call is still welcome */
        crypto->fill_random(crypto->context, expected->nonce, sizeof expected->nonce);
    }
    expected->asked_us = peer->links.mono_us;
    return expected;
}

bool push_ask(struct peer *peer, const struct node_id *supernode, const struct node_id *target) {
    struct link *link = uplink_link_to(peer, supernode);
    if (!may_ask(peer, target) || (link == NULL && !dial_supernode(peer, supernode))) {
        return false;
    }
    struct expected *expected = expect(peer, target);
    expected->supernode = *supernode;
    expected->is_waiting = link == NULL;
    if (link != NULL) {
        send_push(peer, link, target, expected);
    }
    return true;
}

bool push_ask_parents(struct peer *peer, const struct node_id *target) {
    if (uplink_count(peer, PARENT_STANDBY) == 0 || !may_ask(peer, target)) {
        return false;
    }
    struct expected *expected = expect(peer, target);
    expected->is_waiting = false;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        const struct parent *parent = peer->uplink.parents[i];
        if (parent != NULL && parent->state >= PARENT_STANDBY && !parent->link->closing) {
            send_push(peer, parent->link, target, expected);
        }
    }
    return true;
}

void push_link_opened(struct peer *peer, struct link *link) {
    uint32_t cursor = 0;
    const void *key = NULL;
    struct expected *expected = NULL;
    while (peer->push != NULL &&
           (expected = map_next(&peer->push->expected, &cursor, &key)) != NULL) {
        if (expected->is_waiting && node_id_equal(&expected->supernode, &link->id)) {
            struct node_id target;
            memcpy(target.b, key, sizeof target.b);
            expected->is_waiting = false;
            send_push(peer, link, &target, expected);
        }
    }
    links_close(link, GOAWAY_IDLE, OK);
}

void push_link_closed(struct peer *peer, const struct link *link) {
    struct host *host = hostcache_find(&peer->hosts, &link->id);
    if (host == NULL || host->in_use) {
        return; /* a parent is looked after elsewhere */
    }
    if (link->number != 0) { /* TLS has proven that it is there */
        hostcache_succeeded(&peer->hosts, host, peer->links.wall_s);
    } else {
        hostcache_failed(&peer->hosts, host, &peer->rng, 0, peer->links.mono_us);
    }
}

bool push_is_expected(struct peer *peer, const struct link *link) {
    const struct expected *expected =
        peer->push != NULL ? map_get(&peer->push->expected, link->id.b) : NULL;
    return expected != NULL && is_recent(peer, expected->asked_us) &&
           memcmp(expected->nonce, link->handshake->nonce, sizeof expected->nonce) == 0;
}

static void address_key(uint8_t key[ADDRESS_KEY_BYTES], const struct address *address) {
    key[0] = address->family;
    memcpy(key + 1, address->ip, sizeof address->ip);
}

void push_called(struct peer *peer, const struct address *address) {
    uint8_t key[ADDRESS_KEY_BYTES];
    address_key(key, address);
    struct called *called = peer->push != NULL ? map_get(&peer->push->called, key) : NULL;
    if (called != NULL) {
        called->is_proven = true;
    }
}

/* True when this address may be called now; then it is noted. */
static bool may_call(struct peer *peer, const struct address *address) {
    struct pushes *push = push_of(peer);
    uint8_t key[ADDRESS_KEY_BYTES];
    address_key(key, address);
    struct called *called = map_get(&push->called, key);
    if (called != NULL) {
        uint64_t again_ms = called->is_proven ? PUSH_ASK_MS / 2 : PUSH_AGAIN_MS;
        if (peer->links.mono_us - called->at_us < again_ms * 1000) {
            return false;
        }
    } else {
        make_room(&push->called);
        called = mem_new(sizeof *called);
        map_put(&push->called, key, called);
    }
    called->at_us = peer->links.mono_us;
    called->is_proven = false;
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
