/* transfer.c - links between two peers: who may have one, and when an idle or stalled one ends. */
#include "peer/transfer.h"

#include "common/mem.h"
#include "peer/browse.h"
#include "peer/fetch.h"
#include "peer/push.h"
#include "peer/serve.h"
#include "peer/state.h"

#define LOOK_MS 10000 /* how often an open link is looked at */

static bool is_transfer(const struct link *link) {
    return link->purpose == PURPOSE_TRANSFER || link->purpose == PURPOSE_CALLBACK;
}

struct transfer *transfer_find(const struct peer *peer, const struct node_id *id) {
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&peer->links, &cursor)) != NULL;) {
        if (is_transfer(link) && link->owner != NULL && !link->closing &&
            node_id_equal(&link->id, id)) {
            return link->owner;
        }
    }
    return NULL;
}

static struct transfer *transfer_new(struct peer *peer, struct link *link) {
    struct transfer *transfer = mem_new(sizeof *transfer);
    transfer->link = link;
    transfer->used_us = peer->links.mono_us;
    transfer->timer.kind = TIMER_TRANSFER;
    transfer->timer.owner = transfer;
    link->owner = transfer;
    return transfer;
}

struct transfer *transfer_dial(struct peer *peer, const struct node_id *id,
                               const struct address *address, const uint8_t nonce[16]) {
    enum purpose purpose = nonce != NULL ? PURPOSE_CALLBACK : PURPOSE_TRANSFER;
    struct link *link = links_dial(&peer->links, id, address, purpose, nonce);
    return transfer_new(peer, link);
}

enum err transfer_admit(struct peer *peer, const struct link *link, struct goaway *goaway) {
    if (peer->transfer_links >= TRANSFER_LINKS_MAX) {
        goaway->reason = GOAWAY_FULL;
        goaway->retry_after_s = UPLOAD_SLOT_IDLE_MS / 1000;
        return ERR_BUSY;
    }
    if (link->purpose == PURPOSE_CALLBACK && !push_is_expected(peer, link)) {
        goaway->reason = GOAWAY_POLICY;
        return ERR_UNEXPECTED;
    }
    return OK;
}

void transfer_opened(struct peer *peer, struct link *link) {
    struct transfer *transfer = link->owner;
    if (transfer == NULL) {
        transfer = transfer_new(peer, link);
        peer->transfer_links++;
    }
    transfer->used_us = peer->links.mono_us;
    outbox_add(peer->links.out, ACTION_LINK_FILES)->link = link->number;
    timers_set(&peer->timers, &transfer->timer, peer_after_ms(peer, LOOK_MS));
    fetch_link_opened(peer, transfer);
    browse_link_opened(peer, transfer);
}

void transfer_close(struct peer *peer, struct transfer *transfer, enum goaway_reason reason,
                    enum err why) {
    links_close(transfer->link, reason, why);
    timers_cancel(&peer->timers, &transfer->timer);
    serve_link_gone(peer, transfer);
    fetch_link_gone(peer, transfer, why);
    browse_link_gone(peer, transfer);
}

void transfer_closed(struct peer *peer, struct link *link, enum err reason) {
    struct transfer *transfer = link->owner;
    if (transfer == NULL) {
        return; /* never welcomed */
    }
    link->owner = NULL;
    if (link->purpose == PURPOSE_CALLBACK && link->token != 0 && link->number != 0) {
        push_called(peer, &link->remote); /* also when it refused: the address is that node's */
    }
    peer->transfer_links -= link->token == 0;
    transfer->retry_s = link->busy_s > 0 ? link->busy_s : transfer->retry_s;
    timers_cancel(&peer->timers, &transfer->timer);
    serve_link_gone(peer, transfer);
    fetch_link_gone(peer, transfer, reason);
    browse_link_gone(peer, transfer);
    mem_free(transfer);
}

/* When something could have to be done about it. */
static uint64_t next_look_us(const struct peer *peer, const struct transfer *transfer) {
    uint64_t look_us = peer_after_ms(peer, LOOK_MS);
    uint64_t stuck_us = transfer->stalled_us + UPLOAD_STALL_MS * 1000ull;
    bool is_first = transfer->stalled_us != 0 && stuck_us > peer->links.mono_us;
    return is_first && stuck_us < look_us ? stuck_us : look_us;
}

void transfer_flow(struct peer *peer, struct link *link) {
    struct transfer *transfer = link->owner;
    transfer->stalled_us = link->stalled ? peer->links.mono_us : 0;
    if (!link->stalled) {
        serve_more(peer);
    } else if (timer_is_set(&transfer->timer)) {
        timers_set(&peer->timers, &transfer->timer, next_look_us(peer, transfer));
    }
}

enum err transfer_take_goaway(struct peer *peer, struct link *link, struct slice payload) {
    struct transfer *transfer = link->owner;
    struct goaway goaway;
    enum err err = wire_goaway_decode(payload, &goaway);
    if (err != OK) {
        return err;
    }
    transfer->retry_s = goaway.retry_after_s;
    enum err why = goaway.reason == GOAWAY_DUPLICATE ? ERR_DUPLICATE : ERR_REFUSED;
    transfer_close(peer, transfer, GOAWAY_SHUTDOWN, why);
    return OK;
}

void transfer_timer(struct peer *peer, struct transfer *transfer) {
    uint64_t now_us = peer->links.mono_us;
    uint64_t idle_us = now_us - transfer->used_us;
    bool is_held = transfer->servings != NULL || transfer->sources != NULL || transfer->browses > 0;
    uint64_t patience_ms = is_held ? DEAD_AFTER_MS : TRANSFER_IDLE_MS;
    bool is_stuck = transfer->stalled_us != 0 && transfer->servings != NULL &&
                    now_us - transfer->stalled_us >= UPLOAD_STALL_MS * 1000ull;
    if (is_stuck) {
        log_info(peer->env->log, "transfer.stalled link=%u", transfer->link->number);
        transfer_close(peer, transfer, GOAWAY_RATE, ERR_STALLED);
    } else if (idle_us >= patience_ms * 1000) {
        transfer_close(peer, transfer, GOAWAY_IDLE, ERR_TIMEOUT);
    } else {
        timers_set(&peer->timers, &transfer->timer, next_look_us(peer, transfer));
    }
}
