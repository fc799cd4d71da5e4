/* fetch_source.c - the sources of a download: found, dialled, opened, queued, given up.
 *
 *   known -> linking -> opening -> active <-> queued
 *     ^----------- released or failed ----------'
 */
#include <string.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "peer/browse.h"
#include "peer/contact.h"
#include "peer/fetch.h"
#include "peer/push.h"
#include "peer/state.h"

#define QUEUE_WAIT_MS_MIN 500
#define QUEUE_WAIT_MS_MAX 60000

static bool is_in_use(const struct source *source) {
    return source->state != SOURCE_KNOWN;
}

uint32_t fetch_sources_connected(const struct download *download) {
    uint32_t count = 0;
    for (const struct source *at = download->sources; at != NULL; at = at->next) {
        count += is_in_use(at);
    }
    return count;
}

uint32_t fetch_sources_locked(const struct download *download) {
    uint32_t count = 0;
    for (const struct source *at = download->sources; at != NULL; at = at->next) {
        count += at->is_locked;
    }
    return count;
}

uint32_t fetch_sources_working(const struct download *download) {
    uint32_t count = 0;
    for (const struct source *at = download->sources; at != NULL; at = at->next) {
        count += at->state == SOURCE_ACTIVE && !at->is_slow;
    }
    return count;
}

struct source *fetch_source_find(const struct transfer *transfer, uint32_t handle) {
    struct source *source = transfer->sources;
    while (source != NULL && (source->handle != handle || source->state < SOURCE_OPENING)) {
        source = source->next_on_link;
    }
    return source;
}

struct source *fetch_source_serial(const struct download *download, uint32_t serial) {
    struct source *source = download->sources;
    while (source != NULL && source->serial != serial) {
        source = source->next;
    }
    return source;
}

bool fetch_source_has(const struct source *source, uint32_t piece) {
    return source->bitmap == NULL || bitmap_get(source->bitmap, piece);
}

/* ---- Found ---- */

static void free_source(struct source *source) {
    mem_free((void *)source->holder.address_record.data);
    mem_free(source->bitmap);
    mem_free(source);
}

void fetch_sources_free(struct download *download) {
    while (download->sources != NULL) {
        struct source *source = download->sources;
        download->sources = source->next;
        free_source(source);
    }
}

static void set_holder(struct source *source, const struct holder *holder) {
    struct slice record = source->holder.address_record;
    if (holder->address_record.len > 0) {
        mem_free((void *)record.data);
        record.data = mem_copy(holder->address_record.data, holder->address_record.len);
        record.len = holder->address_record.len;
    }
    source->holder = *holder;
    source->holder.address_record = record;
    source->is_proven = source->is_proven || (holder->flags & HOLDER_REACHABLE) != 0;
}

/* Make room for a better one: drop the source that failed most. */
static bool make_room(struct download *download) {
    struct source **worst = NULL;
    for (struct source **at = &download->sources; *at != NULL; at = &(*at)->next) {
        bool may_go = !is_in_use(*at) && (*at)->failures > 0;
        if (may_go && (worst == NULL || (*at)->failures > (*worst)->failures)) {
            worst = at;
        }
    }
    if (worst == NULL) {
        return false;
    }
    struct source *source = *worst;
    *worst = source->next;
    download->source_count--;
    free_source(source);
    return true;
}

/* The source of this node, made when it is new; NULL for ourselves and when there are too many. */
static struct source *source_of(struct peer *peer, struct download *download,
                                const struct node_id *id) {
    struct source **at = &download->sources;
    while (*at != NULL && !node_id_equal(&(*at)->holder.id, id)) {
        at = &(*at)->next;
    }
    if (*at != NULL || node_id_equal(id, &peer->env->id) ||
        (download->source_count >= SOURCES_MAX && !make_room(download))) {
        return *at;
    }
    struct source *source = mem_new(sizeof *source);
    source->download = download;
    source->serial = ++download->last_serial;
    source->holder.id = *id;
    for (at = &download->sources; *at != NULL;) { /* making room may have moved the end */
        at = &(*at)->next;
    }
    *at = source;
    download->source_count++;
    return source;
}

/* It was named just now: try it. */
static void try_now(struct peer *peer, struct source *source) {
    if (!is_in_use(source)) {
        source->retry_us = peer->links.mono_us;
    }
    fetch_continue(peer, source->download);
}

void fetch_found(struct peer *peer, const struct content_id *content, const struct holder *holder,
                 const struct node_id *answerer) {
    struct download *download = fetch_find(peer, content);
    struct source *source = download != NULL ? source_of(peer, download, &holder->id) : NULL;
    if (source != NULL) {
        set_holder(source, holder);
        source->answerer = *answerer;
        try_now(peer, source);
    }
}

void fetch_told(struct peer *peer, struct download *download, const struct node_place *place) {
    struct source *source = source_of(peer, download, &place->id);
    if (source == NULL) {
        return;
    }
    source->is_told = true;
    if (place->address.family != ADDRESS_NONE) {
        source->told = place->address;
    }
    struct contact known = {.told = *place, .answerer = source->answerer};
    contact_recall(peer, &known);
    if (known.record.len > 0) {
        const struct holder holder = {.id = place->id,
                                      .address_record = known.record,
                                      .flags = known.is_proven ? HOLDER_REACHABLE : 0};
        set_holder(source, &holder);
    }
    source->answerer = known.answerer;
    try_now(peer, source);
}

/* ---- Let go ---- */

static void detach(struct source *source) {
    struct transfer *transfer = source->transfer;
    if (transfer == NULL) {
        return;
    }
    struct source **at = &transfer->sources;
    while (*at != source) {
        at = &(*at)->next_on_link;
    }
    *at = source->next_on_link;
    source->next_on_link = NULL;
    source->transfer = NULL;
}

static void send_shut(const struct source *source) {
    struct link *link = source->transfer != NULL ? source->transfer->link : NULL;
    if (link == NULL || !link->open || link->closing || source->state < SOURCE_OPENING) {
        return;
    }
    struct shut_file shut = {.handle = source->handle};
    struct buf payload = {0};
    wire_shut_encode(&payload, &shut);
    peer_send(link, MSG_SHUT, &payload);
}

void fetch_source_release(struct peer *peer, struct source *source, uint64_t retry_ms) {
    fetch_hashes_forget(source);
    fetch_piece_release(source);
    memset(source->lost, 0, sizeof source->lost); /* SHUT: nothing of it counts any more */
    send_shut(source);
    detach(source);
    source->state = SOURCE_KNOWN;
    source->retry_us = peer_after_ms(peer, retry_ms);
    source->backlog = 0;
    source->is_slow = false;
    source->has_no_hashes = false;
    source->late_hashes = 0;
    source->known_rate = source->bytes_per_s > 0 ? source->bytes_per_s : source->known_rate;
    source->bytes_per_s = 0;
    source->tick_bytes = 0;
    mem_free(source->bitmap);
    source->bitmap = NULL;
}

void fetch_source_failed(struct peer *peer, struct source *source) {
    uint64_t wait_ms = SOURCE_RETRY_MS_MIN;
    for (uint32_t i = 0; i < source->failures && wait_ms < SOURCE_RETRY_MS_MAX; i++) {
        wait_ms *= 2;
    }
    wait_ms = wait_ms < SOURCE_RETRY_MS_MAX ? wait_ms : SOURCE_RETRY_MS_MAX;
    uint64_t jitter_ms = rng_below(&peer->rng, wait_ms / 2);
    source->failures++;
    struct download *download = source->download;
    if (source->state == SOURCE_ACTIVE && download->more_wait_ms > LOCATE_MS_MIN) {
        download->more_wait_ms = LOCATE_MS_MIN; /* one that gave blocks is gone: look soon */
        download->more_us = peer_after_ms(peer, LOCATE_MS_MIN / 2);
    }
    fetch_source_release(peer, source, wait_ms / 2 + jitter_ms);
}

void fetch_sources_release(struct peer *peer, struct download *download) {
    for (struct source *at = download->sources; at != NULL; at = at->next) {
        if (is_in_use(at)) {
            fetch_source_release(peer, at, 0);
        }
    }
}

/* ---- Connecting ---- */

static bool source_address(const struct peer *peer, const struct source *source,
                           struct address *address) {
    const struct contact contact = {.told = {source->holder.id, source->told},
                                    .record = source->holder.address_record};
    return contact_address(peer, &contact, address);
}

static void send_open(struct peer *peer, struct source *source) {
    struct open_file open = {.handle = ++source->transfer->last_handle,
                             .content = source->download->content};
    source->handle = open.handle;
    source->state = SOURCE_OPENING;
    fetch_trust_recall(peer, source);
    source->heard_us = peer->links.mono_us;
    struct buf payload = {0};
    wire_open_encode(&payload, &open);
    peer_send(source->transfer->link, MSG_OPEN, &payload);
}

static void attach(struct peer *peer, struct source *source, struct transfer *transfer) {
    source->transfer = transfer;
    source->next_on_link = transfer->sources;
    transfer->sources = source;
    source->state = SOURCE_LINKING;
    source->heard_us = peer->links.mono_us;
    if (transfer->link->open) {
        send_open(peer, source);
    }
}

/* Have the supernode that named it ask the source to call us. */
static bool ask_for_callback(struct peer *peer, struct source *source) {
    const struct node_id none = {{0}};
    bool is_asked = node_id_equal(&source->answerer, &none)
                        ? push_ask_parents(peer, &source->holder.id)
                        : push_ask(peer, &source->answerer, &source->holder.id);
    if (!is_asked) {
        return false;
    }
    source->was_pushed = true;
    source->state = SOURCE_LINKING;
    source->heard_us = peer->links.mono_us;
    return true;
}

/* An address that never answered may be a victim's: it is dialled once in PUSH_AGAIN_MS. */
static void connect_source(struct peer *peer, struct source *source) {
    struct address address;
    struct transfer *transfer = transfer_find(peer, &source->holder.id);
    if (transfer != NULL) {
        attach(peer, source, transfer);
        return;
    }
    bool is_known = source->is_proven || source->told.family != ADDRESS_NONE;
    bool is_worth_a_push = !source->was_pushed && (source->failures > 0 || !is_known);
    if (is_worth_a_push && ask_for_callback(peer, source)) {
        return;
    }
    source->was_pushed = false;
    uint64_t now_us = peer->links.mono_us;
    bool may_dial = source->is_proven || source->dialled_us == 0 ||
                    now_us - source->dialled_us >= PUSH_AGAIN_MS * 1000ull;
    if (!may_dial || !source_address(peer, source, &address)) {
        fetch_source_failed(peer, source);
        return;
    }
    source->dialled_us = now_us;
    attach(peer, source, transfer_dial(peer, &source->holder.id, &address, NULL));
}

/* How soon it will serve: rising. What nobody has told is neither free nor busy. */
enum prospect { WILL_SERVE, MAY_SERVE, WILL_QUEUE };

/* As it said itself last, else as a supernode says. */
static enum prospect prospect_of(const struct source *source) {
    const struct holder *holder = &source->holder;
    if (source->queue_position > 0) {
        return WILL_QUEUE;
    }
    if ((holder->flags & HOLDER_LOAD_KNOWN) == 0) {
        return MAY_SERVE;
    }
    return holder->free_slots > 0 ? WILL_SERVE : WILL_QUEUE;
}

/* How many are before us there, when it lets wait. */
static uint32_t queue_of(const struct source *source) {
    return source->queue_position > 0 ? source->queue_position : source->holder.queue;
}

/* True when `a` is the better one to try: known to be there, free, short of queue, fast, near. */
static bool is_better(const struct source *a, const struct source *b) {
    if (a->is_proven != b->is_proven) {
        return a->is_proven;
    }
    if (a->failures != b->failures) {
        return a->failures < b->failures;
    }
    enum prospect prospect = prospect_of(a);
    if (prospect != prospect_of(b)) {
        return prospect < prospect_of(b);
    }
    if (prospect == WILL_QUEUE && queue_of(a) != queue_of(b)) {
        return queue_of(a) < queue_of(b);
    }
    uint64_t rate_a = a->known_rate > 0 ? a->known_rate : a->holder.speed_kib * 1024ull;
    uint64_t rate_b = b->known_rate > 0 ? b->known_rate : b->holder.speed_kib * 1024ull;
    if (rate_a != rate_b) {
        return rate_a > rate_b;
    }
    return a->rtt_us < b->rtt_us;
}

uint64_t fetch_sources_connect(struct peer *peer, struct download *download) {
    uint64_t now_us = peer->links.mono_us;
    for (;;) {
        uint32_t queued = 0;
        uint32_t working = 0;
        uint64_t next_us = TIMERS_NEVER;
        struct source *best = NULL;
        for (struct source *at = download->sources; at != NULL; at = at->next) {
            queued += at->state == SOURCE_QUEUED;
            working += is_in_use(at) && at->state != SOURCE_QUEUED;
            if (is_in_use(at)) {
                continue;
            }
            if (at->retry_us > now_us) {
                next_us = at->retry_us < next_us ? at->retry_us : next_us;
            } else if (fetch_is_banned(peer, &at->holder.id)) {
                at->retry_us = peer_after_ms(peer, FETCH_BAN_MS_MIN);
            } else if (best == NULL || is_better(at, best)) {
                best = at;
            }
        }
        if (best == NULL || working >= SOURCES_ACTIVE_MAX || queued >= FETCH_QUEUED_MAX) {
            return next_us;
        }
        connect_source(peer, best);
    }
}

/* ---- What happens on the link ---- */

/* A link to this node has opened: it is the one that was dialled, or the awaited callback. */
void fetch_link_opened(struct peer *peer, struct transfer *transfer) {
    uint32_t cursor = 0;
    struct download *download = NULL;
    while (peer->fetch != NULL &&
           (download = map_next(&peer->fetch->downloads, &cursor, NULL)) != NULL) {
        for (struct source *at = download->sources; at != NULL; at = at->next) {
            bool is_awaited = at->state == SOURCE_LINKING && at->transfer == NULL &&
                              node_id_equal(&at->holder.id, &transfer->link->id);
            if (is_awaited) {
                attach(peer, at, transfer);
            } else if (at->state == SOURCE_LINKING && at->transfer == transfer) {
                at->is_proven = true;
                send_open(peer, at);
            }
        }
    }
}

void fetch_link_gone(struct peer *peer, struct transfer *transfer, enum err reason) {
    while (transfer->sources != NULL) {
        struct source *source = transfer->sources;
        struct download *download = source->download;
        if (reason == ERR_DUPLICATE) {
            fetch_source_release(peer, source, 0); /* there is another link */
        } else if (transfer->retry_s > 0) {
            source->failures++;
            fetch_source_release(peer, source, transfer->retry_s * 1000ull);
        } else {
            fetch_source_failed(peer, source);
        }
        fetch_pieces_fill(peer, download);
        fetch_continue(peer, download);
    }
}

enum err fetch_take_have(struct peer *peer, struct link *link, struct slice payload) {
    struct have have;
    enum err err = wire_have_decode(payload, &have);
    struct source *source = err == OK ? fetch_source_find(link->owner, have.handle) : NULL;
    if (source == NULL) {
        return err;
    }
    struct download *download = source->download;
    size_t bytes = bitmap_bytes(download->piece_count);
    if (!have.all && have.bitmap.len != bytes) {
        return ERR_FORMAT;
    }
    mem_free(source->bitmap);
    source->bitmap = have.all ? NULL : mem_copy(have.bitmap.data, bytes);
    if (source->state == SOURCE_OPENING) {
        source->state = SOURCE_ACTIVE;
        source->is_locked = false;
        source->rtt_us = peer->links.mono_us - source->heard_us;
        source->heard_us = peer->links.mono_us;
    }
    fetch_hashes_ask(peer, download);
    fetch_piece_fill(peer, source);
    fetch_continue(peer, download);
    return OK;
}

/* ---- Refusals ---- */

static uint64_t clamp_wait(uint32_t wait_ms) {
    uint64_t least = wait_ms > QUEUE_WAIT_MS_MIN ? wait_ms : QUEUE_WAIT_MS_MIN;
    return least < QUEUE_WAIT_MS_MAX ? least : QUEUE_WAIT_MS_MAX;
}

/* Ask again later: the source keeps our place, or is just busy. */
static void wait_in_queue(struct peer *peer, struct source *source, const struct reject *reject) {
    fetch_piece_release(source);
    source->backlog = 0;
    source->state = SOURCE_QUEUED;
    source->retry_us = peer_after_ms(peer, clamp_wait(reject->retry_after_ms));
    source->queue_position = reject->queue_position;
    source->queue_due_us = reject->queue_position > 0 ? source->queue_due_us : 0;
}

/* Where we are in its queue has changed; or a slot is ours, if we ask for something at once. */
enum err fetch_take_place(struct peer *peer, struct link *link, struct slice payload) {
    struct queue_place place;
    enum err err = wire_place_decode(payload, &place);
    struct source *source = err == OK ? fetch_source_find(link->owner, place.handle) : NULL;
    if (source == NULL) {
        return err;
    }
    source->queue_position = place.position;
    source->queue_due_us = place.position > 0 ? peer->links.mono_us + place.eta_ms * 1000ull : 0;
    if (place.position == 0 && source->state == SOURCE_QUEUED) {
        source->state = SOURCE_ACTIVE;
        source->heard_us = peer->links.mono_us;
        fetch_piece_fill(peer, source);
        fetch_continue(peer, source->download);
    }
    return OK;
}

static void lacks_piece(struct source *source, uint32_t piece) {
    struct download *download = source->download;
    if (source->bitmap == NULL) {
        size_t bytes = bitmap_bytes(download->piece_count);
        source->bitmap = mem_new(bytes);
        memset(source->bitmap, 0xff, bytes);
    }
    bitmap_clear(source->bitmap, piece);
}

enum err fetch_take_reject(struct peer *peer, struct link *link, struct slice payload) {
    struct reject reject;
    enum err err = wire_reject_decode(payload, &reject);
    struct source *source = err == OK ? fetch_source_find(link->owner, reject.handle) : NULL;
    if (source == NULL) {
        (void)(err == OK && browse_take_reject(peer, link, &reject));
        return err;
    }
    struct download *download = source->download;
    log_debug(peer->env->log, "fetch.rejected link=%u reason=%u first=%u count=%u", link->number,
              reject.reason, reject.first, reject.count);
    if (fetch_hashes_refused(peer, source, &reject)) {
        fetch_hashes_ask(peer, download);
        return OK;
    }
    bool is_about_handle = reject.count == 0;
    bool was_owed = !is_about_handle && fetch_piece_refused(source, reject.first, reject.count);
    if (!is_about_handle && !was_owed) {
        uint32_t count = reject.count < source->backlog ? reject.count : source->backlog;
        source->backlog -= count;
        return OK; /* about something that is not awaited any more */
    }
    if (reject.reason == REJECT_QUEUED || (reject.reason == REJECT_BUSY && !is_about_handle)) {
        wait_in_queue(peer, source, &reject);
    } else if (reject.reason == REJECT_MISSING && !is_about_handle) {
        lacks_piece(source, reject.first / PIECE_BLOCKS);
        fetch_piece_fill(peer, source);
    } else if (reject.reason == REJECT_BUSY) {
        fetch_source_release(peer, source, clamp_wait(reject.retry_after_ms));
    } else {
        source->is_locked = reject.reason == REJECT_LOCKED;
        if (source->is_locked) {
            log_info(peer->env->log, "fetch.locked link=%u", link->number);
        }
        fetch_source_failed(peer, source); /* not found, changed, locked, or its disk fails */
    }
    fetch_pieces_fill(peer, download);
    fetch_continue(peer, download);
    return OK;
}

/* ---- Time ---- */

static bool owes_blocks(const struct source *source) {
    for (int i = 0; i < FETCH_PIPELINE; i++) {
        if (source->runs[i].piece != NULL) {
            return true;
        }
    }
    return false;
}

/* Blocks that are late by twice the expected time are for others; this one is asked for no more
 * until a block of it comes. */
static void tick_runs(struct peer *peer, struct source *source) {
    uint64_t now_us = peer->links.mono_us;
    for (int i = 0; i < FETCH_PIPELINE; i++) {
        struct run *run = &source->runs[i];
        if (run->piece != NULL && !run->is_due_known) {
            fetch_piece_set_due(source, run);
        }
        if (run->piece != NULL && now_us >= run->due_us) {
            log_debug(peer->env->log, "fetch.late source=%u piece=%u", source->serial,
                      run->piece->index);
            fetch_piece_release(source);
            source->is_slow = true;
            return;
        }
    }
}

static void tick_source(struct peer *peer, struct source *source, uint64_t elapsed_us) {
    uint64_t now_us = peer->links.mono_us;
    uint64_t silent_ms = (now_us - source->heard_us) / 1000;
    if (source->tick_bytes > 0 || owes_blocks(source)) { /* who rests keeps the rate it had */
        uint64_t now = source->tick_bytes * 1000000 / elapsed_us;
        uint64_t before = source->bytes_per_s;
        source->bytes_per_s = before == 0 ? now : (before * 3 + now) / 4;
    }
    source->tick_bytes = 0;
    bool is_late = silent_ms >= BLOCK_TIMEOUT_MS;
    bool waits_for_link = source->state == SOURCE_LINKING && source->transfer == NULL;
    if (source->state == SOURCE_QUEUED && source->retry_us <= now_us) {
        source->state = SOURCE_ACTIVE;
        source->heard_us = now_us;
    } else if (waits_for_link) {
        if (silent_ms >= CALLBACK_WAIT_MS) {
            fetch_source_release(peer, source, 0); /* dial it, then */
        }
    } else if (source->state == SOURCE_OPENING) {
        if (is_late) {
            fetch_source_failed(peer, source);
        }
    } else if (source->state == SOURCE_ACTIVE && (owes_blocks(source) || source->is_slow)) {
        if (silent_ms >= SOURCE_TIMEOUT_MS) {
            fetch_source_failed(peer, source);
        } else if (!source->is_slow) {
            tick_runs(peer, source);
        }
    }
}

/* The best of those that never answered nor failed; NULL = there is none. */
static struct source *best_untried(const struct peer *peer, const struct download *download) {
    struct source *best = NULL;
    for (struct source *at = download->sources; at != NULL; at = at->next) {
        bool is_untried = !is_in_use(at) && at->rtt_us == 0 && at->failures == 0 &&
                          at->retry_us <= peer->links.mono_us &&
                          !fetch_is_banned(peer, &at->holder.id);
        if (is_untried && (best == NULL || is_better(at, best))) {
            best = at;
        }
    }
    return best;
}

/* Who makes room when all places are taken: the slowest, if it gives less than half of its share,
 * or the one where we are last in the queue. */
static struct source *worst_in_use(const struct download *download) {
    struct source *slowest = NULL;
    struct source *last = NULL;
    uint64_t sum = 0;
    uint32_t count = 0;
    uint32_t queued = 0;
    for (struct source *at = download->sources; at != NULL; at = at->next) {
        if (at->state == SOURCE_ACTIVE) {
            sum += at->bytes_per_s;
            count++;
            slowest = slowest == NULL || at->bytes_per_s < slowest->bytes_per_s ? at : slowest;
        } else if (at->state == SOURCE_QUEUED) {
            queued++;
            last = last == NULL || at->queue_position > last->queue_position ? at : last;
        }
    }
    if (count >= SOURCES_ACTIVE_MAX) {
        return slowest->bytes_per_s < sum / count / 2 ? slowest : NULL;
    }
    return queued >= FETCH_QUEUED_MAX ? last : NULL;
}

/* One that was never tried gets the place, whatever is known of others that wait for one. */
static void probe_another(struct peer *peer, struct download *download) {
    uint64_t now_us = peer->links.mono_us;
    struct source *untried = best_untried(peer, download);
    struct source *worst = untried != NULL ? worst_in_use(download) : NULL;
    if (worst != NULL && now_us - download->probed_us >= FETCH_PROBE_MS * 1000ull) {
        download->probed_us = now_us;
        fetch_source_release(peer, worst, FETCH_PROBE_MS * 6);
        connect_source(peer, untried);
    }
}

void fetch_sources_tick(struct peer *peer, struct download *download, uint64_t elapsed_us) {
    for (struct source *at = download->sources; at != NULL; at = at->next) {
        if (is_in_use(at)) {
            tick_source(peer, at, elapsed_us);
        }
    }
    probe_another(peer, download);
}
