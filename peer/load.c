/* load.c - tells the parents how many upload slots are free, and how many wait for one.
 *
 * Slots change hands while TIMER_SERVE runs, which looks here after each of its looks at them; so
 * what is over within a second is not told, and a peer that serves nobody has no timer and says
 * nothing after the first time. */
#include "peer/load.h"

#include "peer/serve.h"
#include "peer/state.h"

static struct load load_now(const struct peer *peer) {
    uint32_t free_slots = slots_free(peer);
    uint32_t queue = serve_queued(peer);
    return (struct load){.free_slots =
                             (uint8_t)(free_slots < LOAD_SLOTS_MAX ? free_slots : LOAD_SLOTS_MAX),
                         .queue = (uint16_t)(queue < UINT16_MAX ? queue : UINT16_MAX)};
}

/* Milliseconds in 32 bits, never 0: once in 49 days one LOAD may come later than it could. */
static uint32_t clock_ms(const struct peer *peer) {
    uint32_t now_ms = (uint32_t)(peer->links.mono_us / 1000);
    return now_ms > 0 ? now_ms : 1;
}

/* In how many milliseconds a parent is to be told; UINT32_MAX = there is nothing to tell it. */
static uint32_t wait_of(const struct peer *peer, const struct parent *parent,
                        const struct load *load) {
    if (parent == NULL || parent->told_ms == 0 || parent->link->closing) {
        return UINT32_MAX;
    }
    if (parent->told_slots == load->free_slots && parent->told_queue == load->queue) {
        return UINT32_MAX;
    }
    uint32_t since_ms = clock_ms(peer) - parent->told_ms;
    return since_ms < LOAD_EVERY_MS ? LOAD_EVERY_MS - since_ms : 0;
}

static void tell(struct peer *peer, struct parent *parent, const struct load *load) {
    struct buf payload = {0};
    wire_load_encode(&payload, load);
    peer_send(parent->link, MSG_LOAD, &payload);
    parent->told_slots = load->free_slots;
    parent->told_queue = load->queue;
    parent->told_ms = clock_ms(peer);
}

void load_tell_first(struct peer *peer, struct parent *parent) {
    if (parent->told_ms == 0 && peer->share.listed > 0) {
        const struct load load = load_now(peer);
        tell(peer, parent, &load);
    }
}

void load_tell(struct peer *peer) {
    const struct load load = load_now(peer);
    uint32_t next_ms = UINT32_MAX;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        struct parent *parent = peer->uplink.parents[i];
        uint32_t wait_ms = wait_of(peer, parent, &load);
        if (wait_ms == 0) {
            tell(peer, parent, &load);
        } else if (wait_ms < next_ms) {
            next_ms = wait_ms;
        }
    }
    /* What differs from what was told has been served. */
    if (next_ms < UINT32_MAX && peer->serve != NULL && !timer_is_set(&peer->serve->timer)) {
        timers_set(&peer->timers, &peer->serve->timer, peer_after_ms(peer, next_ms));
    }
}
