/* serve.c - serves blocks of shared files, and of files that are being fetched, in upload slots.
 *
 * A request waits as a range of blocks. serve_more hands single blocks to the driver, one per slot
 * in turn, while the link is not stalled, few are with the driver and the upload rate allows: so a
 * reader who stops costs a few ranges and a slot, and the rate is shared evenly. Who has a slot is
 * for slots.c to say. */
#include "peer/serve.h"

#include "common/check.h"
#include "common/hashtree.h"
#include "common/mem.h"
#include "peer/fetch.h"
#include "peer/load.h"
#include "peer/state.h"

#define LOOK_MS 1000
#define RATE_LOOK_US 50000 /* a turn is not timed more finely */
#define PACE_BURST_MIN (4 * BLOCK_BYTES)

/* Where the bytes of a content are: a shared file, or pieces of one that is being fetched. */
struct place {
    uint64_t file;
    const uint8_t *done; /* bitmap; NULL = all */
};

/* Where the node at the other end of a link may have it from. What is shared with others only is
 * not there; a download is anybody's. */
static bool find_place(struct peer *peer, const struct link *link, const struct content_id *content,
                       struct place *place) {
    const struct shared_file *shared = share_find_for(&peer->share, content, &link->id);
    *place = (struct place){0};
    if (shared != NULL) {
        place->file = shared->number;
        return true;
    }
    struct fetch_part part;
    if (!fetch_part(peer, content, &part)) {
        return false;
    }
    place->file = part.file;
    place->done = part.done;
    return true;
}

struct serve *serve_of(struct peer *peer) {
    if (peer->serve == NULL) {
        struct serve *serve = mem_new(sizeof *serve);
        map_init(&serve->servings, sizeof(uint32_t), peer->env->seed ^ 0x73657276696e6773);
        map_init(&serve->hash_jobs, sizeof(uint64_t), peer->env->seed ^ 0x686173686a6f6273);
        serve->slots = mem_array(peer->upload_slots, sizeof(struct serving *));
        serve->timer.kind = TIMER_SERVE;
        peer->serve = serve;
    }
    return peer->serve;
}

struct serving *serve_find(const struct transfer *transfer, uint32_t handle) {
    struct serving *serving = transfer->servings;
    while (serving != NULL && serving->handle != handle) {
        serving = serving->next;
    }
    return serving;
}

void serve_reject(struct link *link, const struct reject *reject) {
    struct buf payload = {0};
    wire_reject_encode(&payload, reject);
    peer_send(link, MSG_REJECT, &payload);
}

/* ---- Open and shut ---- */

static void send_have(struct peer *peer, struct serving *serving, const struct place *place) {
    size_t bitmap_bytes = (hashtree_pieces(serving->content.size) + 7) / 8;
    struct have have = {.handle = serving->handle, .all = place->done == NULL};
    if (!have.all) {
        have.bitmap = (struct slice){place->done, bitmap_bytes};
    }
    serving->is_part = !have.all;
    serving->have_us = peer->links.mono_us;
    struct buf payload = {0};
    wire_have_encode(&payload, &have);
    peer_send(serving->transfer->link, MSG_HAVE, &payload);
}

enum err serve_take_open(struct peer *peer, struct link *link, struct slice payload) {
    struct transfer *transfer = link->owner;
    struct open_file open;
    enum err err = wire_open_decode(payload, &open);
    if (err != OK || serve_find(transfer, open.handle) != NULL) {
        return err != OK ? err : ERR_UNEXPECTED;
    }
    struct place place;
    struct reject reject = {.handle = open.handle, .reason = REJECT_NOT_FOUND};
    bool is_there = find_place(peer, link, &open.content, &place);
    if (!is_there && share_find_known(&peer->share, &open.content) != NULL) {
        reject.reason = REJECT_LOCKED;
    }
    bool is_small = (hashtree_pieces(open.content.size) + 7) / 8 <= UPLOAD_BITMAP_MAX;
    if (is_there && (place.done == NULL || is_small)) {
        reject.reason = transfer->serving_count < SERVINGS_MAX ? 0 : REJECT_BUSY;
    }
    if (reject.reason != 0) {
        reject.retry_after_ms = UPLOAD_RETRY_MS;
        serve_reject(link, &reject);
        return OK;
    }
    struct serve *serve = serve_of(peer);
    struct serving *serving = mem_new(sizeof *serving);
    serving->transfer = transfer;
    serving->handle = open.handle;
    serving->content = open.content;
    serving->serial = ++serve->last_serial;
    serving->used_us = peer->links.mono_us;
    serving->is_small = open.content.size <= UPLOAD_SMALL_BYTES;
    serving->next = transfer->servings;
    transfer->servings = serving;
    transfer->serving_count++;
    map_put(&serve->servings, &serving->serial, serving);
    send_have(peer, serving, &place);
    return OK;
}

static void drop_range(struct serving *serving) {
    struct block_range *range = serving->asked;
    serving->asked = range->next;
    if (serving->asked == NULL) {
        serving->asked_last = NULL;
    }
    serving->transfer->asked_blocks -= range->count;
    mem_free(range);
}

/* Free a serving that is no longer in its link's list. */
static void free_serving(struct peer *peer, struct serving *serving) {
    while (serving->asked != NULL) {
        drop_range(serving);
    }
    slots_leave(peer, serving);
    map_remove(&peer->serve->servings, &serving->serial);
    serving->transfer->serving_count--;
    mem_free(serving);
}

static void shut(struct peer *peer, struct serving *serving) {
    struct serving **at = &serving->transfer->servings;
    while (*at != serving) {
        at = &(*at)->next;
    }
    *at = serving->next;
    free_serving(peer, serving);
}

enum err serve_take_shut(struct peer *peer, struct link *link, struct slice payload) {
    struct shut_file file;
    enum err err = wire_shut_decode(payload, &file);
    struct serving *serving = err == OK ? serve_find(link->owner, file.handle) : NULL;
    if (serving != NULL) {
        shut(peer, serving);
        slots_offer(peer);
        serve_more(peer);
    }
    return err;
}

void serve_link_gone(struct peer *peer, struct transfer *transfer) {
    bool had_any = transfer->servings != NULL;
    while (transfer->servings != NULL) {
        struct serving *serving = transfer->servings;
        transfer->servings = serving->next;
        free_serving(peer, serving);
    }
    if (had_any && !peer->is_stopping) {
        slots_offer(peer);
        serve_more(peer);
    }
}

void serve_grown(struct peer *peer, const struct content_id *content) {
    uint32_t cursor = 0;
    struct serving *serving;
    struct place place;
    while (peer->serve != NULL &&
           (serving = map_next(&peer->serve->servings, &cursor, NULL)) != NULL) {
        if (!serving->is_part || !content_equal(&serving->content, content) ||
            !find_place(peer, serving->transfer->link, content, &place)) {
            continue;
        }
        if (place.done == NULL ||
            peer->links.mono_us - serving->have_us >= UPLOAD_HAVE_MS * 1000ull) {
            send_have(peer, serving, &place);
        }
    }
}

/* ---- Requests ---- */

/* While anybody has a slot, slots are looked at. */
static void set_look(struct peer *peer) {
    struct serve *serve = peer->serve;
    if (serve->slots_used > 0 && !timer_is_set(&serve->timer)) {
        timers_set(&peer->timers, &serve->timer, peer_after_ms(peer, LOOK_MS));
    }
}

static void append_range(struct serving *serving, uint32_t first, uint32_t count) {
    struct block_range *range = mem_new(sizeof *range);
    range->first = first;
    range->count = count;
    if (serving->asked_last != NULL) {
        serving->asked_last->next = range;
    } else {
        serving->asked = range;
    }
    serving->asked_last = range;
    serving->transfer->asked_blocks += count;
}

enum err serve_take_block_request(struct peer *peer, struct link *link, struct slice payload) {
    struct transfer *transfer = link->owner;
    struct block_request request;
    enum err err = wire_block_request_decode(payload, &request);
    struct serving *serving = err == OK ? serve_find(transfer, request.handle) : NULL;
    if (serving == NULL) {
        return err; /* a handle we rejected, or shut by a message that crossed */
    }
    if (request.first + request.count > hashtree_blocks(serving->content.size)) {
        return ERR_LIMIT;
    }
    serving->used_us = peer->links.mono_us;
    struct reject reject = {
        .handle = request.handle, .first = request.first, .count = request.count};
    if (transfer->asked_blocks + request.count > UPLOAD_BLOCKS_MAX) {
        reject.reason = REJECT_BUSY;
        reject.retry_after_ms = UPLOAD_RETRY_MS;
    } else if (slots_ask(peer, serving, &reject)) {
        append_range(serving, request.first, request.count);
        set_look(peer);
        serve_more(peer);
        return OK;
    }
    serve_reject(link, &reject);
    if (reject.reason == REJECT_QUEUED) {
        slots_offer(peer);
    }
    return OK;
}

/* ---- Blocks ---- */

static bool piece_is_there(const struct place *place, uint32_t block) {
    uint32_t piece = block / PIECE_BLOCKS;
    return place->done == NULL || (place->done[piece / 8] & (0x80 >> piece % 8)) != 0;
}

/* Take the first block of a range out of it. */
static uint32_t take_block(struct serving *serving) {
    struct block_range *range = serving->asked;
    uint32_t block = range->first++;
    range->count--;
    serving->transfer->asked_blocks--;
    if (range->count == 0) {
        drop_range(serving);
    }
    return block;
}

/* Say that the range in front is not served, and why. */
static void refuse_range(struct serving *serving, const struct reject *why) {
    struct reject reject = *why;
    reject.handle = serving->handle;
    reject.first = serving->asked->first;
    reject.count = (uint16_t)serving->asked->count;
    drop_range(serving);
    serve_reject(serving->transfer->link, &reject);
}

void serve_refuse(struct serving *serving, const struct reject *why) {
    while (serving->asked != NULL) {
        refuse_range(serving, why);
    }
}

/* True when the upload rate allows so many bytes; else the timer is set for when it will. */
static bool may_send(struct peer *peer, uint32_t len) {
    struct serve *serve = peer->serve;
    uint64_t rate = peer->upload_bytes_per_s;
    if (rate == 0) {
        return true;
    }
    uint64_t burst = rate / 20 > PACE_BURST_MIN ? rate / 20 : PACE_BURST_MIN;
    uint64_t now_us = peer->links.mono_us;
    if (ratelimit_take(&serve->pace, rate * 1000, burst, len, now_us)) {
        return true;
    }
    uint64_t wait_us = ratelimit_wait(&serve->pace, rate * 1000, burst, len, now_us);
    timers_set(&peer->timers, &serve->timer, now_us + (wait_us > 0 ? wait_us : 1));
    return false;
}

/* How many of its blocks the driver may have: those of half a second, so that a turn on a slow line
 * ends soon after it is over. */
static uint32_t flight_max(const struct peer *peer, const struct serving *serving) {
    uint64_t held_us = peer->links.mono_us - serving->turn_us;
    held_us = held_us > RATE_LOOK_US ? held_us : RATE_LOOK_US;
    uint64_t blocks = serving->turn_bytes * 500000 / held_us / BLOCK_BYTES;
    uint64_t least = UPLOAD_FLIGHT_MIN;
    uint64_t most = UPLOAD_FLIGHT_MAX;
    return (uint32_t)(blocks < least ? least : blocks < most ? blocks : most);
}

enum send_result { SENT, NOTHING_TO_SEND, RATE_IS_USED_UP };

static enum send_result send_one(struct peer *peer, struct serving *serving) {
    struct transfer *transfer = serving->transfer;
    struct place place;
    while (serving->asked != NULL) {
        struct link *link = transfer->link;
        if (link->stalled || link->closing || transfer->flight >= UPLOAD_FLIGHT_MAX ||
            serving->flight >= flight_max(peer, serving)) {
            return NOTHING_TO_SEND;
        }
        uint32_t block = serving->asked->first;
        if (!find_place(peer, link, &serving->content, &place)) {
            refuse_range(serving, &(struct reject){.reason = REJECT_CHANGED});
            continue;
        }
        if (!piece_is_there(&place, block)) {
            refuse_range(serving, &(struct reject){.reason = REJECT_MISSING});
            continue;
        }
        uint32_t len = hashtree_block_bytes(serving->content.size, block);
        if (!may_send(peer, len)) {
            return RATE_IS_USED_UP;
        }
        take_block(serving);
        struct link_block sent = {.token = (uint64_t)serving->serial << 32 | block,
                                  .handle = serving->handle,
                                  .index = block,
                                  .file = place.file,
                                  .offset = (uint64_t)block * BLOCK_BYTES,
                                  .len = len};
        links_send_block(link, &sent);
        transfer->flight++;
        serving->flight++;
        return SENT;
    }
    return NOTHING_TO_SEND;
}

void serve_more(struct peer *peer) {
    struct serve *serve = peer->serve;
    if (serve == NULL || serve->slots_used == 0 || peer->is_stopping) {
        return;
    }
    for (uint32_t quiet = 0; quiet < peer->upload_slots;) {
        struct serving *serving = serve->slots[serve->turn];
        enum send_result result = serving != NULL ? send_one(peer, serving) : NOTHING_TO_SEND;
        if (result == RATE_IS_USED_UP) {
            return; /* this one's turn stays */
        }
        serve->turn = (serve->turn + 1) % peer->upload_slots;
        quiet = result == SENT ? 0 : quiet + 1;
    }
}

/* The transfer and, unless it was shut meanwhile, the serving that a block belonged to. */
static struct transfer *block_owner(const struct peer *peer, const struct node_event *event,
                                    struct serving **serving) {
    uint32_t serial = (uint32_t)(event->block.token >> 32);
    const struct link *link = map_get(&peer->links.by_number, &event->block.link);
    *serving = peer->serve != NULL ? map_get(&peer->serve->servings, &serial) : NULL;
    return link != NULL ? link->owner : NULL;
}

static void landed(struct peer *peer, struct serving *serving) {
    serving->flight--;
    slots_sent(peer, serving);
}

void serve_block_sent(struct peer *peer, const struct node_event *event) {
    struct serving *serving;
    struct transfer *transfer = block_owner(peer, event, &serving);
    if (transfer == NULL) {
        return;
    }
    transfer->flight--;
    transfer->used_us = peer->links.mono_us;
    if (serving != NULL) {
        serving->used_us = peer->links.mono_us;
        uint32_t block = (uint32_t)event->block.token;
        uint32_t len = hashtree_block_bytes(serving->content.size, block);
        peer->serve->bytes += len;
        serving->served += len;
        serving->turn_bytes += len;
        landed(peer, serving);
    }
    serve_more(peer);
}

enum reject_reason serve_reason(enum err err) {
    static const struct {
        enum err err;
        enum reject_reason reason;
    } rows[] = {{ERR_CHANGED, REJECT_CHANGED}, {ERR_NOT_FOUND, REJECT_NOT_FOUND}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].err == err) {
            return rows[i].reason;
        }
    }
    return REJECT_IO;
}

void serve_block_failed(struct peer *peer, const struct node_event *event) {
    struct serving *serving;
    struct transfer *transfer = block_owner(peer, event, &serving);
    if (transfer == NULL) {
        return;
    }
    transfer->flight--;
    if (serving != NULL && !transfer->link->closing && event->block.reason != ERR_CLOSED) {
        struct reject reject = {.handle = serving->handle,
                                .reason = (uint8_t)serve_reason(event->block.reason),
                                .first = (uint32_t)event->block.token,
                                .count = 1};
        serve_reject(transfer->link, &reject);
    }
    if (serving != NULL) {
        landed(peer, serving);
    }
    serve_more(peer);
}

/* ---- Time ---- */

void serve_timer(struct peer *peer) {
    slots_look(peer);
    serve_more(peer);
    set_look(peer);
    load_tell(peer);
}

uint32_t serve_uploads(const struct peer *peer) {
    return peer->serve != NULL ? peer->serve->slots_used : 0;
}

uint32_t serve_queued(const struct peer *peer) {
    uint32_t count = 0;
    const struct serving *serving = peer->serve != NULL ? peer->serve->queue : NULL;
    for (; serving != NULL; serving = serving->behind) {
        count++;
    }
    return count;
}

/* Every link is gone by now, and so are its servings. */
void serve_free(struct peer *peer) {
    struct serve *serve = peer->serve;
    if (serve == NULL) {
        return;
    }
    serve_hashes_free(peer);
    map_free(&serve->servings);
    mem_free(serve->slots);
    mem_free(serve);
    peer->serve = NULL;
}
