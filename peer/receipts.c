/* receipts.c - tells supernodes who has done something for this peer: once an epoch, about the one
 * before, to each parent but the one it is about. They suggest whom to measure (supernode/hints.c),
 * nothing else. */
#include "peer/receipts.h"

#include <string.h>

#include "common/mem.h"
#include "common/wire_receipt.h"
#include "peer/state.h"

#define SPREAD_MILLI 100 /* of an epoch, over which leaves send theirs */
#define GIVERS_MAX 32    /* of which those who gave most are told */

struct giver {
    struct node_id id;
    uint64_t bytes;
};

struct receipts {
    struct timer timer;
    uint32_t epoch; /* that is counted */
    uint32_t count;
    struct giver givers[GIVERS_MAX];
    uint64_t sent;
};

static bool is_elected(const struct peer *peer) {
    const struct network *network = peer->env->network;
    return network->policy == NETWORK_CERTIFIED && network->promotion.policy[0] != '\0';
}

static uint32_t epoch_now(const struct peer *peer) {
    uint32_t epoch_s = network_epoch_s(peer->env->network);
    return peer->links.wall_s > 0 ? (uint32_t)(peer->links.wall_s / epoch_s) : 0;
}

static void arm(struct peer *peer) {
    uint64_t epoch_s = network_epoch_s(peer->env->network);
    uint64_t into_s = peer->links.wall_s > 0 ? (uint64_t)peer->links.wall_s % epoch_s : 0;
    uint64_t wait_ms = (epoch_s - into_s) * 1000;
    wait_ms += rng_below(&peer->rng, epoch_s * SPREAD_MILLI);
    timers_set(&peer->timers, &peer->receipts->timer, peer_after_ms(peer, wait_ms));
}

static struct receipts *receipts_of(struct peer *peer) {
    if (peer->receipts == NULL && is_elected(peer)) {
        peer->receipts = mem_new(sizeof *peer->receipts);
        peer->receipts->timer.kind = TIMER_RECEIPTS;
        peer->receipts->epoch = epoch_now(peer);
        arm(peer);
    }
    return peer->receipts;
}

void receipts_free(struct peer *peer) {
    mem_free(peer->receipts);
    peer->receipts = NULL;
}

uint64_t receipts_sent(const struct peer *peer) {
    return peer->receipts != NULL ? peer->receipts->sent : 0;
}

/* ---- Who gave something ---- */

/* When there are too many, the newcomer takes the place of the one who gave least, and what that
 * gave (Metwally, Agrawal, El Abbadi 2005): so who gives most is there at the end. */
void receipts_transfer(struct peer *peer, const struct node_id *from, uint64_t bytes) {
    struct receipts *receipts = receipts_of(peer);
    struct giver *least = NULL;
    for (uint32_t i = 0; receipts != NULL && i < receipts->count; i++) {
        struct giver *giver = &receipts->givers[i];
        if (node_id_equal(&giver->id, from)) {
            giver->bytes += bytes;
            return;
        }
        least = least == NULL || giver->bytes < least->bytes ? giver : least;
    }
    if (receipts == NULL) {
        return;
    }
    if (receipts->count < GIVERS_MAX) {
        least = &receipts->givers[receipts->count++];
        least->bytes = 0;
    }
    least->id = *from;
    least->bytes += bytes;
}

static struct giver *most_giving(struct receipts *receipts) {
    struct giver *most = &receipts->givers[0];
    for (uint32_t i = 1; i < receipts->count; i++) {
        most = receipts->givers[i].bytes > most->bytes ? &receipts->givers[i] : most;
    }
    return most;
}

/* ---- Telling ---- */

/* Of the epoch that is over; not to whom it is about. */
static void tell(struct peer *peer, struct receipt *receipt) {
    const struct signer_env env = {peer->env->crypto, &peer->env->network->id};
    receipt->issuer = peer->env->id;
    receipt->epoch = peer->receipts->epoch;
    wire_receipt_sign(receipt, &env);
    for (uint32_t i = 0; i <= PARENTS; i++) {
        const struct parent *parent = peer->uplink.parents[i];
        if (parent != NULL && parent->link->open && !parent->link->closing &&
            !node_id_equal(&parent->link->id, &receipt->subject)) {
            struct buf payload = {0};
            wire_receipt_encode(&payload, receipt);
            peer_send(parent->link, MSG_RECEIPT, &payload);
            peer->receipts->sent++;
        }
    }
}

static void tell_service(struct peer *peer) {
    for (uint32_t i = 0; i <= PARENTS; i++) {
        const struct parent *parent = peer->uplink.parents[i];
        if (parent == NULL || parent->state != PARENT_REGISTERED) {
            continue;
        }
        struct receipt receipt = {.subject = parent->link->id, .kind = RECEIPT_SERVICE};
        receipt.amount = (peer->links.mono_us - parent->since_us) / 1000000;
        if (receipt.amount >= network_epoch_s(peer->env->network) / 2) {
            tell(peer, &receipt);
        }
    }
}

static void tell_transfers(struct peer *peer) {
    struct receipts *receipts = peer->receipts;
    for (uint32_t i = 0; i + PARENTS < RECEIPTS_LEAF_MAX && receipts->count > 0; i++) {
        struct giver *most = most_giving(receipts);
        struct receipt receipt = {
            .subject = most->id, .kind = RECEIPT_TRANSFER, .amount = most->bytes};
        if (most->bytes < RECEIPT_BYTES_MIN) {
            return;
        }
        most->bytes = 0;
        tell(peer, &receipt);
    }
}

void receipts_timer(struct peer *peer) {
    struct receipts *receipts = peer->receipts;
    uint32_t epoch = epoch_now(peer);
    if (epoch == receipts->epoch + 1 && !peer->is_stopping) {
        tell_service(peer);
        tell_transfers(peer);
    }
    if (epoch != receipts->epoch) { /* else the clock was set, and this one goes on */
        receipts->count = 0;
        receipts->epoch = epoch;
    }
    arm(peer);
}

void receipts_parent_opened(struct peer *peer) {
    (void)receipts_of(peer);
}
