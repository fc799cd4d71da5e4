/* slots.c - who has an upload slot, who waits for one, and how long that will take.
 *
 * Who finds no free slot waits in the queue and is told its place and when its turn will come, and
 * again whenever that changes. A slot that becomes free is given to the first who may have it, who
 * is told so and has UPLOAD_OFFER_MS to ask, or has lost its place. A turn ends after
 * UPLOAD_TURN_MS or UPLOAD_TURN_BYTES when somebody waits for the slot: what is left goes to the
 * end of the queue. Of four slots and more the last one is for small files only, which therefore
 * never wait for long transfers.
 *
 * An estimate replays what will happen: every slot is free when its present turn will be over, at
 * the rate measured in it, and then for a turn of average length. */
#include "common/check.h"
#include "peer/serve.h"
#include "peer/state.h"

#define RATE_SEEN_US 500000 /* of a turn, before its rate is believed */

/* ---- Slots ---- */

static uint32_t slots_of_node(const struct peer *peer, const struct node_id *id) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < peer->upload_slots; i++) {
        const struct serving *serving = peer->serve->slots[i];
        count += serving != NULL && node_id_equal(&serving->transfer->link->id, id);
    }
    return count;
}

/* Whether it may have slot `i` when that is free. */
static bool suits(const struct peer *peer, const struct serving *serving, uint32_t i) {
    bool is_for_small = i == peer->upload_slots - 1 && peer->upload_slots >= UPLOAD_SLOTS_FOR_SMALL;
    return serving->is_small || !is_for_small;
}

/* The last free slot that suits: small files take their own one first. upload_slots = none. */
static uint32_t free_slot(const struct peer *peer, const struct serving *serving) {
    for (uint32_t i = peer->upload_slots; i-- > 0;) {
        if (peer->serve->slots[i] == NULL && suits(peer, serving, i)) {
            return i;
        }
    }
    return peer->upload_slots;
}

uint32_t slots_free(const struct peer *peer) {
    uint32_t count = 0;
    const struct serving large = {0};
    for (uint32_t i = 0; i < peer->upload_slots; i++) {
        bool is_free = peer->serve == NULL || peer->serve->slots[i] == NULL;
        count += is_free && suits(peer, &large, i);
    }
    return count;
}

static void leave_queue(struct serve *serve, struct serving *serving) {
    struct serving **at = &serve->queue;
    while (*at != NULL && *at != serving) {
        at = &(*at)->behind;
    }
    if (*at == serving) {
        *at = serving->behind;
    }
    serving->behind = NULL;
    serving->queue_us = 0;
    serving->told_us = 0;
}

static void take_slot(struct peer *peer, struct serving *serving, uint32_t slot) {
    struct serve *serve = peer->serve;
    CHECK(slot < peer->upload_slots && serve->slots[slot] == NULL);
    serve->slots[slot] = serving;
    serve->slots_used++;
    serving->slot = slot;
    serving->has_slot = true;
    serving->is_offered = false;
    serving->is_ending = false;
    serving->turn_us = peer->links.mono_us;
    serving->turn_bytes = 0;
    serving->used_us = peer->links.mono_us;
    leave_queue(serve, serving);
}

static void release_slot(struct peer *peer, struct serving *serving) {
    struct serve *serve = peer->serve;
    if (!serving->has_slot) {
        return;
    }
    serve->slots[serving->slot] = NULL;
    serve->slots_used--;
    uint64_t took_us = peer->links.mono_us - serving->turn_us;
    uint64_t *mean_us = &serve->turns_us[serving->is_small];
    *mean_us = *mean_us == 0 ? took_us : (*mean_us * 3 + took_us) / 4;
    serving->has_slot = false;
    serving->is_offered = false;
}

void slots_leave(struct peer *peer, struct serving *serving) {
    leave_queue(peer->serve, serving);
    release_slot(peer, serving);
}

/* ---- The queue ---- */

/* Who waits behind `ahead`, and does not compete with it for the same slots, is not hindered. */
static bool hinders(const struct serving *ahead, const struct serving *serving) {
    return ahead->is_small || !serving->is_small;
}

static uint16_t position_of(const struct peer *peer, const struct serving *serving) {
    uint16_t position = 1;
    for (const struct serving *other = peer->serve->queue; other != NULL && other != serving;
         other = other->behind) {
        position += hinders(other, serving);
    }
    return position;
}

static void enter_queue(struct peer *peer, struct serving *serving) {
    struct serving **at = &peer->serve->queue;
    while (*at != NULL) {
        at = &(*at)->behind;
    }
    *at = serving;
    serving->queue_us = peer->links.mono_us;
}

static bool may_have_more(const struct peer *peer, const struct serving *serving) {
    return slots_of_node(peer, &serving->transfer->link->id) < UPLOAD_SLOTS_PER_NODE;
}

bool slots_ask(struct peer *peer, struct serving *serving, struct reject *reject) {
    if (serving->has_slot || serving->is_ending) {
        if (serving->is_offered) {
            serving->is_offered = false;
            serving->turn_us = peer->links.mono_us;
        }
        return true;
    }
    reject->retry_after_ms = UPLOAD_RETRY_MS;
    if (!may_have_more(peer, serving)) {
        reject->reason = REJECT_BUSY;
        return false;
    }
    uint32_t slot = free_slot(peer, serving);
    if (slot < peer->upload_slots) { /* nobody waits for it: it would have been offered */
        take_slot(peer, serving, slot);
        return true;
    }
    if (serving->queue_us == 0 && serve_queued(peer) >= UPLOAD_QUEUE_MAX) {
        reject->reason = REJECT_BUSY;
        reject->retry_after_ms = UPLOAD_SLOT_IDLE_MS;
        return false;
    }
    if (serving->queue_us == 0) {
        enter_queue(peer, serving);
    }
    reject->reason = REJECT_QUEUED;
    reject->retry_after_ms = UPLOAD_QUEUED_MS;
    reject->queue_position = position_of(peer, serving);
    return false;
}

/* ---- Estimates ---- */

/* How long a transfer may have a slot in bytes: a small one until it has come once. */
static uint64_t turn_bytes_max(const struct serving *serving) {
    return serving->is_small ? serving->content.size : UPLOAD_TURN_BYTES;
}

static bool has_rate(const struct peer *peer, const struct serving *serving) {
    return serving->turn_bytes > 0 && peer->links.mono_us - serving->turn_us >= RATE_SEEN_US;
}

/* How much longer the present turn takes, at its rate until now. */
static uint64_t at_rate_us(const struct serving *serving, uint64_t held_us) {
    uint64_t size = serving->content.size;
    uint64_t of_turn = turn_bytes_max(serving);
    uint64_t turn_left = serving->turn_bytes < of_turn ? of_turn - serving->turn_bytes : 0;
    uint64_t file_left = serving->served < size ? size - serving->served : 0;
    uint64_t bytes = turn_left < file_left ? turn_left : file_left;
    return (uint64_t)((double)bytes * (double)held_us / (double)serving->turn_bytes);
}

/* When each slot is free, from now; and how long a turn takes. */
struct forecast {
    uint64_t free_us[UPLOAD_SLOTS_CONFIG_MAX];
    uint64_t turn_us[2]; /* long, small */
};

/* A turn takes what those before took; before any has ended, what the present ones will. */
static void forecast_turns(const struct peer *peer, struct forecast *forecast) {
    uint64_t sum_us = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < peer->upload_slots; i++) {
        const struct serving *serving = peer->serve->slots[i];
        if (serving != NULL && has_rate(peer, serving)) {
            uint64_t held_us = peer->links.mono_us - serving->turn_us;
            sum_us += held_us + at_rate_us(serving, held_us);
            count++;
        }
    }
    uint64_t most_us = UPLOAD_TURN_MS * 1000ull;
    uint64_t now_us = count > 0 && sum_us / count < most_us ? sum_us / count : most_us;
    for (int i = 0; i < 2; i++) {
        uint64_t before_us = peer->serve->turns_us[i];
        forecast->turn_us[i] = before_us > 0 ? before_us : now_us;
    }
}

static void forecast_make(const struct peer *peer, struct forecast *forecast) {
    CHECK(peer->upload_slots > 0); /* a look at slots always finds a first one */
    forecast_turns(peer, forecast);
    for (uint32_t i = 0; i < peer->upload_slots; i++) {
        const struct serving *serving = peer->serve->slots[i];
        forecast->free_us[i] = 0;
        if (serving == NULL) {
            continue;
        }
        uint64_t held_us = peer->links.mono_us - serving->turn_us;
        uint64_t turn_us = forecast->turn_us[serving->is_small];
        uint64_t most_us =
            UPLOAD_TURN_MS * 1000ull > held_us ? UPLOAD_TURN_MS * 1000ull - held_us : 0;
        uint64_t left_us = has_rate(peer, serving) ? at_rate_us(serving, held_us)
                           : turn_us > held_us     ? turn_us - held_us
                                                   : 0;
        forecast->free_us[i] = left_us < most_us ? left_us : most_us;
    }
}

/* Give it the slot that is free first; return when that is. */
static uint64_t forecast_take(const struct peer *peer, struct forecast *forecast,
                              const struct serving *serving) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < peer->upload_slots; i++) {
        if (suits(peer, serving, i) && forecast->free_us[i] <= forecast->free_us[best]) {
            best = i;
        }
    }
    uint64_t due_us = forecast->free_us[best];
    forecast->free_us[best] += forecast->turn_us[serving->is_small];
    return due_us;
}

static void send_place(struct serving *serving, uint16_t position, uint64_t eta_us) {
    uint64_t eta_ms = (eta_us + 999) / 1000;
    struct queue_place place = {.handle = serving->handle,
                                .position = position,
                                .eta_ms = eta_ms < UINT32_MAX ? (uint32_t)eta_ms : UINT32_MAX};
    struct buf payload = {0};
    wire_place_encode(&payload, &place);
    peer_send(serving->transfer->link, MSG_PLACE, &payload);
}

/* True when what it was told last does not hold any more. */
static bool is_news(const struct serving *serving, uint16_t position, uint64_t due_us,
                    uint64_t now_us) {
    if (serving->told_us == 0) {
        return true;
    }
    uint64_t told_us = serving->told_due_us;
    uint64_t off_us = told_us > due_us ? told_us - due_us : due_us - told_us;
    uint64_t told_left_us = told_us > now_us ? told_us - now_us : 0;
    uint64_t step_us = UPLOAD_ETA_STEP_MS * 1000ull + told_left_us / 4;
    return position != serving->told_position || off_us > step_us;
}

/* Tell those who wait, in their order, what has changed for them. */
static void tell_places(struct peer *peer) {
    struct serve *serve = peer->serve;
    uint64_t now_us = peer->links.mono_us;
    uint16_t all = 0, small = 0;
    struct forecast forecast;
    forecast_make(peer, &forecast);
    for (struct serving *at = serve->queue; at != NULL; at = at->behind) {
        small += at->is_small;
        all++;
        uint16_t position = at->is_small ? small : all;
        uint64_t due_us = now_us + forecast_take(peer, &forecast, at);
        bool may_tell = at->told_us == 0 || now_us - at->told_us >= UPLOAD_TELL_MS * 1000ull;
        if (may_tell && is_news(at, position, due_us, now_us)) {
            at->told_us = now_us;
            at->told_position = position;
            at->told_due_us = due_us;
            send_place(at, position, due_us - now_us);
        }
    }
}

/* ---- Turns ---- */

void slots_offer(struct peer *peer) {
    struct serve *serve = peer->serve;
    struct serving *next = NULL;
    if (serve == NULL || serve->queue == NULL) {
        return;
    }
    for (struct serving *at = serve->queue; at != NULL; at = next) {
        next = at->behind;
        uint32_t slot = may_have_more(peer, at) ? free_slot(peer, at) : peer->upload_slots;
        if (slot < peer->upload_slots) {
            bool has_asked = at->asked != NULL; /* what it asked for is not put off yet */
            take_slot(peer, at, slot);
            at->is_offered = !has_asked;
            send_place(at, 0, 0);
        }
    }
    tell_places(peer);
}

/* Whether anybody in the queue would have this slot, were it free. */
static bool is_waited_for(const struct peer *peer, uint32_t slot) {
    const struct node_id *id = &peer->serve->slots[slot]->transfer->link->id;
    const struct serving *at = peer->serve->queue;
    while (at != NULL && !(suits(peer, at, slot) && (node_id_equal(&at->transfer->link->id, id) ||
                                                     may_have_more(peer, at)))) {
        at = at->behind;
    }
    return at != NULL;
}

/* Nothing of it is on its way any more: what it still waits for is put off. */
static void put_off(struct peer *peer, struct serving *serving) {
    if (!serving->is_ending || serving->flight > 0) {
        return;
    }
    serving->is_ending = false;
    if (serving->asked == NULL) {
        return;
    }
    if (serving->queue_us == 0) {
        enter_queue(peer, serving);
    }
    struct reject reject = {.reason = REJECT_QUEUED,
                            .retry_after_ms = UPLOAD_QUEUED_MS,
                            .queue_position = position_of(peer, serving)};
    serve_refuse(serving, &reject);
    tell_places(peer);
}

static bool is_turn_over(const struct peer *peer, const struct serving *serving) {
    return serving->turn_bytes >= turn_bytes_max(serving) ||
           peer->links.mono_us - serving->turn_us >= UPLOAD_TURN_MS * 1000ull;
}

/* End the turn of a slot if it is over and somebody waits. */
static void end_turn(struct peer *peer, uint32_t slot) {
    struct serving *serving = peer->serve->slots[slot];
    if (serving == NULL || !is_turn_over(peer, serving) || !is_waited_for(peer, slot)) {
        return;
    }
    log_debug(peer->env->log, "serve.turn link=%u handle=%u bytes=%llu",
              serving->transfer->link->number, serving->handle,
              (unsigned long long)serving->turn_bytes);
    release_slot(peer, serving);
    serving->is_ending = true;
    if (serving->asked != NULL) {
        enter_queue(peer, serving);
    }
    slots_offer(peer);
    put_off(peer, serving);
}

void slots_sent(struct peer *peer, struct serving *serving) {
    if (serving->is_ending) {
        put_off(peer, serving);
    } else if (serving->has_slot && peer->serve->queue != NULL) {
        end_turn(peer, serving->slot);
    }
}

/* A slot that was offered, or has had nothing to do, for too long. */
static bool is_idle(const struct peer *peer, const struct serving *serving) {
    uint64_t limit_ms = serving->is_offered ? UPLOAD_OFFER_MS : UPLOAD_SLOT_IDLE_MS;
    return serving->asked == NULL && serving->flight == 0 &&
           peer->links.mono_us - serving->used_us >= limit_ms * 1000;
}

void slots_look(struct peer *peer) {
    struct serve *serve = peer->serve;
    if (peer->links.mono_us - serve->looked_us < UPLOAD_TELL_MS * 1000ull) {
        return; /* the timer also goes for the upload rate */
    }
    serve->looked_us = peer->links.mono_us;
    for (uint32_t i = 0; i < peer->upload_slots; i++) {
        if (serve->slots[i] != NULL && is_idle(peer, serve->slots[i])) {
            release_slot(peer, serve->slots[i]);
        }
    }
    for (uint32_t i = 0; i < peer->upload_slots; i++) {
        end_turn(peer, i);
    }
    slots_offer(peer);
}
