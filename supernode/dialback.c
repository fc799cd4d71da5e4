/* dialback.c - proves that a leaf can be dialled: another supernode tries, at our request.
 *
 * Only the host that a leaf was observed at is ever dialled, and a target (host and port) at most
 * once in PROBE_KEEP_MS whoever asks; the outcome is remembered and answers later questions. Of a
 * crowd's targets a few are dialled at a time: each handshake takes memory, in the midst of what
 * its links keep. One that is slow lets the next begin. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"

#define ASK_AGAIN_MS (PROBE_KEEP_MS + 60000) /* when whoever was asked has forgotten, for sure */
#define INTERNET_PORT_MIN 1024 /* below are services that nobody asked to be dialled */

struct asker {
    uint32_t link; /* 0 = we ask ourselves */
    uint64_t nonce;
};

/* A target and what became of dialling it. */
struct probe {
    uint8_t key[PROBE_KEY_BYTES];
    struct node_id target;
    uint64_t dialled_us; /* or asked for, while it waits */
    bool is_done;
    bool is_reached;
    uint8_t asker_count;  /* 0 once done */
    struct asker *askers; /* PROBE_ASKERS_MAX; NULL once done, as most are */
    struct probe *next;   /* that waits */
};

static void target_key(uint8_t key[PROBE_KEY_BYTES], const struct address *address) {
    key[0] = address->family;
    memcpy(key + 1, address->ip, sizeof address->ip);
    key[17] = (uint8_t)(address->port >> 8);
    key[18] = (uint8_t)address->port;
}

static struct address target_address(const uint8_t key[PROBE_KEY_BYTES]) {
    struct address address = {.family = key[0], .port = (uint16_t)(key[17] << 8 | key[18])};
    memcpy(address.ip, key + 1, sizeof address.ip);
    return address;
}

/* ---- For our own leaves ---- */

/* The next open neighbour in turn, not the leaf itself; NULL when there is none. */
static struct neighbour *next_helper(struct supernode *supernode, const struct leaf *leaf) {
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        uint32_t turn = supernode->dialback_turn++ % supernode->neighbour_count;
        struct neighbour *neighbour = supernode->neighbours[turn];
        bool can_help = !neighbour->link->closing && !neighbour->link->stalled &&
                        !neighbour->is_leaving && !node_id_equal(&neighbour->link->id, &leaf->id);
        if (can_help) {
            return neighbour;
        }
    }
    return NULL;
}

static void leaf_probed(struct supernode *supernode, struct leaf *leaf, bool is_reached) {
    leaf->reach = is_reached ? REACH_PROVEN : REACH_FAILED;
    log_info(supernode->env->log, "leaf.probed link=%u reached=%d", leaf->link->number, is_reached);
    if (is_reached) {
        timers_cancel(&supernode->timers, &leaf->timer);
    }
}

static struct leaf *asking_leaf(const struct supernode *supernode, uint32_t link, uint64_t nonce) {
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        if (leaf->link != NULL && leaf->reach == REACH_ASKED && leaf->dialback_link == link &&
            leaf->dialback_nonce == nonce) {
            return leaf;
        }
    }
    return NULL;
}

/* ---- Dialling for whoever asked ---- */

static void answer(struct supernode *supernode, const struct asker *asker, bool is_reached) {
    if (asker->link == 0) {
        struct leaf *leaf = asking_leaf(supernode, 0, asker->nonce);
        if (leaf != NULL) {
            leaf_probed(supernode, leaf, is_reached);
        }
        return;
    }
    struct link *link = supernode_link(supernode, asker->link);
    if (link != NULL) {
        struct dialback_done done = {.nonce = asker->nonce, .reached = is_reached};
        struct buf payload = {0};
        wire_dialback_done_encode(&payload, &done);
        supernode_send(link, MSG_DIALBACK_DONE, &payload);
    }
}

static uint64_t slow_us(const struct probe *probe) {
    return probe->dialled_us + DIALBACK_SLOW_MS * 1000ull;
}

static void dial(struct supernode *supernode, struct probe *probe) {
    struct address address = target_address(probe->key);
    struct link *link =
        links_dial(&supernode->links, &probe->target, &address, PURPOSE_PROBE, NULL);
    link->owner = probe;
    probe->dialled_us = supernode->links.mono_us;
    supernode->counts.dialbacks++;
}

/* Dial who waits as long as there is room; the timer knows when there will be some. */
void dialback_serve(struct supernode *supernode) {
    uint64_t now_us = supernode->links.mono_us, due_us = UINT64_MAX;
    for (uint32_t i = 0; i < DIALBACKS_AT_ONCE && supernode->probes_waiting != NULL; i++) {
        struct probe **place = &supernode->probes_dialled[i];
        if (*place == NULL || slow_us(*place) <= now_us) {
            *place = supernode->probes_waiting;
            supernode->probes_waiting = (*place)->next;
            dial(supernode, *place);
        }
        due_us = slow_us(*place) < due_us ? slow_us(*place) : due_us;
    }
    if (supernode->probes_waiting != NULL) {
        timers_set(&supernode->timers, &supernode->dials_timer, due_us);
    }
}

/* Its place among those that are dialled is free, if it still had one. */
static void leave_place(struct supernode *supernode, const struct probe *probe) {
    for (uint32_t i = 0; i < DIALBACKS_AT_ONCE; i++) {
        if (supernode->probes_dialled[i] == probe) {
            supernode->probes_dialled[i] = NULL;
        }
    }
    if (supernode->probes_waiting != NULL) {
        timers_set(&supernode->timers, &supernode->dials_timer, supernode->links.mono_us);
    }
}

static void finish_probe(struct supernode *supernode, struct probe *probe, bool is_reached) {
    if (probe->is_done) {
        return;
    }
    leave_place(supernode, probe);
    probe->is_done = true;
    probe->is_reached = is_reached;
    for (uint8_t i = 0; i < probe->asker_count; i++) {
        answer(supernode, &probe->askers[i], is_reached);
    }
    probe->asker_count = 0;
    mem_free(probe->askers);
    probe->askers = NULL;
}

void dialback_expire(struct supernode *supernode) {
    uint64_t now_us = supernode->links.mono_us;
    uint32_t cursor = 0;
    for (struct probe *probe; (probe = map_next(&supernode->probes, &cursor, NULL)) != NULL;) {
        uint64_t due_us = probe->dialled_us + PROBE_KEEP_MS * 1000ull;
        if (due_us > now_us || !probe->is_done) {
            uint64_t later_us = supernode_after_ms(supernode, DIAL_TIMEOUT_MS);
            timers_set(&supernode->timers, &supernode->probes_timer,
                       due_us > now_us ? due_us : later_us);
            return;
        }
        map_remove(&supernode->probes, probe->key);
        mem_free(probe);
    }
}

static bool may_dial(const struct supernode *supernode, const struct dialback *ask) {
    const struct network *network = supernode->env->network;
    return network_may_dial(network, &ask->address) &&
           (network->profile == NETWORK_LAN || ask->address.port >= INTERNET_PORT_MIN) &&
           !node_id_equal(&ask->target, &supernode->env->id);
}

static void start_probe(struct supernode *supernode, const struct dialback *ask,
                        const struct asker *asker) {
    struct probe *probe = mem_new(sizeof *probe);
    target_key(probe->key, &ask->address);
    probe->target = ask->target;
    probe->dialled_us = supernode->links.mono_us;
    probe->askers = mem_array(PROBE_ASKERS_MAX, sizeof *probe->askers);
    probe->askers[probe->asker_count++] = *asker;
    map_put(&supernode->probes, probe->key, probe);
    if (!timer_is_set(&supernode->probes_timer)) {
        timers_set(&supernode->timers, &supernode->probes_timer,
                   supernode_after_ms(supernode, PROBE_KEEP_MS));
    }
    if (supernode->probes_waiting == NULL) {
        supernode->probes_waiting = probe;
    } else {
        supernode->probes_last->next = probe;
    }
    supernode->probes_last = probe;
    dialback_serve(supernode);
}

/* Dial a target, or answer from what is known of it. */
static void probe_target(struct supernode *supernode, const struct dialback *ask,
                         const struct asker *asker) {
    uint8_t key[PROBE_KEY_BYTES];
    target_key(key, &ask->address);
    struct probe *probe = map_get(&supernode->probes, key);
    bool is_same = probe != NULL && node_id_equal(&probe->target, &ask->target);
    if (!may_dial(supernode, ask) || (probe != NULL && !is_same)) {
        answer(supernode, asker, false);
    } else if (probe != NULL && probe->is_done) {
        answer(supernode, asker, probe->is_reached);
    } else if (probe != NULL) {
        if (probe->asker_count < PROBE_ASKERS_MAX) {
            probe->askers[probe->asker_count++] = *asker;
        }
    } else if (supernode->probes.count < PROBES_MAX) {
        start_probe(supernode, ask, asker);
    }
}

void dialback_opened(struct supernode *supernode, struct link *link) {
    finish_probe(supernode, link->owner, true);
    links_close(link, GOAWAY_IDLE, OK);
}

/* The other end's id is proven once TLS is up: a node that refuses probes was reached, too. */
void dialback_closed(struct supernode *supernode, struct link *link) {
    finish_probe(supernode, link->owner, link->number != 0);
}

void dialback_free(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct probe *probe; (probe = map_next(&supernode->probes, &cursor, NULL)) != NULL;) {
        mem_free(probe->askers);
        mem_free(probe);
    }
    map_free(&supernode->probes);
}

void dialback_ask(struct supernode *supernode, struct leaf *leaf) {
    if (leaf->address.port == 0 || leaf->reach == REACH_PROVEN || supernode->is_stopping ||
        leaf->tries >= DIALBACK_TRIES) {
        return;
    }
    uint64_t now_us = supernode->links.mono_us;
    uint64_t free_us = leaf->dialback_us + ASK_AGAIN_MS * 1000ull;
    if (leaf->dialback_us != 0 && free_us > now_us) { /* it left and came back, or did not answer */
        timers_set(&supernode->timers, &leaf->timer, free_us);
        return;
    }
    timers_set(&supernode->timers, &leaf->timer, supernode_after_ms(supernode, ASK_AGAIN_MS));
    leaf->dialback_us = now_us;
    struct neighbour *helper = next_helper(supernode, leaf);
    struct dialback ask = {.target = leaf->id, .address = leaf->address};
    supernode->env->crypto->fill_random(supernode->env->crypto->context, &ask.nonce,
                                        sizeof ask.nonce);
    leaf->tries++;
    leaf->reach = REACH_ASKED;
    leaf->dialback_nonce = ask.nonce;
    leaf->dialback_link = helper != NULL ? helper->link->number : 0;
    if (helper != NULL) {
        struct buf payload = {0};
        wire_dialback_encode(&payload, &ask);
        supernode_send(helper->link, MSG_DIALBACK, &payload);
        return;
    }
    /* Nobody else is there to ask. Our own dial proves less (a NAT may let back in whom it let
     * out), but a network of one supernode must work. */
    struct asker ourselves = {.nonce = ask.nonce};
    probe_target(supernode, &ask, &ourselves);
}

/* ---- Messages ---- */

enum err dialback_take(struct supernode *supernode, struct link *link, struct slice payload) {
    struct dialback ask;
    enum err err = wire_dialback_decode(payload, &ask);
    if (err != OK) {
        return err;
    }
    if (!ratelimit_take(&supernode_port(link)->others, DIALBACKS_PER_S * 1000, DIALBACKS_BURST, 1,
                        supernode->links.mono_us)) {
        supernode->counts.dialbacks_limited++;
        log_debug(supernode->env->log, "dialback.limited link=%u", link->number);
        return OK; /* no answer: "not reached" would be a lie */
    }
    struct asker asker = {.link = link->number, .nonce = ask.nonce};
    probe_target(supernode, &ask, &asker);
    return OK;
}

enum err dialback_take_done(struct supernode *supernode, struct link *link, struct slice payload) {
    struct dialback_done done;
    enum err err = wire_dialback_done_decode(payload, &done);
    if (err != OK) {
        return err;
    }
    struct leaf *leaf = asking_leaf(supernode, link->number, done.nonce);
    if (leaf != NULL) {
        leaf_probed(supernode, leaf, done.reached);
    }
    return OK;
}
