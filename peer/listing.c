/* listing.c - shows others what is shared, a page at a time.
 *
 * A page begins behind the number of the last file of the page before, so that files which come and
 * go meanwhile spoil nothing. Whoever asks sees what it may fetch, and that there are locked files;
 * what is for others only does not exist. Pages are rationed by node, whatever link it comes on. */
#include "peer/listing.h"

#include <string.h>

#include "common/mem.h"
#include "common/ratelimit.h"
#include "peer/serve.h"
#include "peer/state.h"
#include "peer/transfer.h"

struct asker {
    struct node_id id;
    struct ratelimit pages;
};

struct listings {
    struct map askers; /* node id -> struct asker, the first to come first */
    struct ratelimit pages;
};

static struct listings *listings_of(struct peer *peer) {
    if (peer->listings == NULL) {
        peer->listings = mem_new(sizeof *peer->listings);
        map_init(&peer->listings->askers, sizeof(struct node_id), peer->env->seed ^ 0x62726f777365);
    }
    return peer->listings;
}

void listing_free(struct peer *peer) {
    if (peer->listings != NULL) {
        uint32_t cursor = 0;
        for (void *at; (at = map_next(&peer->listings->askers, &cursor, NULL)) != NULL;) {
            mem_free(at);
        }
        map_free(&peer->listings->askers);
        mem_free(peer->listings);
        peer->listings = NULL;
    }
}

/* ---- Rations ---- */

/* Of a full table the one goes whose bucket is fullest: forgetting it gives it least. */
static void make_room(struct listings *listings, uint64_t now_us) {
    struct asker *best = NULL;
    uint64_t best_us = 0;
    uint32_t cursor = 0;
    for (struct asker *at; (at = map_next(&listings->askers, &cursor, NULL)) != NULL;) {
        uint64_t full_us =
            ratelimit_wait(&at->pages, LISTING_MILLI_PER_S, LISTING_BURST, LISTING_BURST, now_us);
        if (best == NULL || full_us < best_us) {
            best = at;
            best_us = full_us;
        }
    }
    mem_free(map_remove(&listings->askers, best->id.b));
}

static struct asker *asker_of(struct peer *peer, const struct node_id *id) {
    struct listings *listings = listings_of(peer);
    struct asker *asker = map_get(&listings->askers, id->b);
    if (asker == NULL) {
        if (listings->askers.count >= LISTING_ASKERS_MAX) {
            make_room(listings, peer->links.mono_us);
        }
        asker = mem_new(sizeof *asker);
        asker->id = *id;
        map_put(&listings->askers, asker->id.b, asker);
    }
    return asker;
}

/* How long until this node may have a page, in microseconds; 0 = it is taken. */
static uint64_t take_page(struct peer *peer, const struct node_id *id) {
    struct asker *asker = asker_of(peer, id);
    struct ratelimit *all = &listings_of(peer)->pages;
    uint64_t now_us = peer->links.mono_us;
    uint64_t wait_us = ratelimit_wait(&asker->pages, LISTING_MILLI_PER_S, LISTING_BURST, 1, now_us);
    uint64_t all_us = ratelimit_wait(all, LISTINGS_MILLI_PER_S, LISTINGS_BURST, 1, now_us);
    wait_us = all_us > wait_us ? all_us : wait_us;
    if (wait_us == 0) {
        (void)ratelimit_take(&asker->pages, LISTING_MILLI_PER_S, LISTING_BURST, 1, now_us);
        (void)ratelimit_take(all, LISTINGS_MILLI_PER_S, LISTINGS_BURST, 1, now_us);
    }
    return wait_us;
}

/* ---- Pages ---- */

static struct slice folder_of(const struct shared_file *file) {
    const struct share_folder *folder = file->folder;
    return folder == NULL ? (struct slice){0}
                          : (struct slice){(const uint8_t *)folder->text, folder->len};
}

static bool lies_under(struct slice folder, struct slice under) {
    return under.len == 0 ||
           (folder.len >= under.len && memcmp(folder.data, under.data, under.len) == 0 &&
            (folder.len == under.len || folder.data[under.len] == '/'));
}

/* A file as this node sees it; false when it is not to know of it. */
static bool see(const struct peer *peer, const struct shared_file *file, const struct node_id *id,
                struct listing_entry *entry) {
    bool is_visible = share_is_visible(&peer->share, file, id);
    *entry = (struct listing_entry){.content = file->content,
                                    .is_locked = !is_visible,
                                    .folder = folder_of(file),
                                    .name = {(const uint8_t *)file->name, file->name_len}};
    return is_visible || file->is_locked;
}

/* The files behind `after` go to *entries, as many as fit or may be looked at; return the last
 * one's number, or 0 when there are no more. */
static uint64_t fill_page(const struct peer *peer, struct transfer *transfer,
                          const struct browse_request *request, struct listing *page,
                          struct buf *entries) {
    const struct share *share = &peer->share;
    bool goes_on = transfer->page_next == request->after && request->after != 0 &&
                   transfer->page_version == share->version;
    uint32_t cursor = goes_on ? transfer->page_cursor : 0;
    uint64_t last = request->after;
    uint32_t looked = 0;
    for (;;) {
        uint32_t before = cursor;
        const struct shared_file *file = share_next(share, &cursor);
        struct listing_entry entry;
        if (file == NULL) {
            return 0;
        }
        if (file->number <= request->after) {
            continue;
        }
        bool is_shown = lies_under(folder_of(file), request->under) &&
                        see(peer, file, &transfer->link->id, &entry);
        bool is_over = page->count >= LISTING_FILES_MAX || looked >= LISTING_LOOK_MAX;
        if (is_over || (is_shown && !wire_listing_put(entries, &entry))) {
            transfer->page_next = last;
            transfer->page_version = share->version;
            transfer->page_cursor = before;
            return last;
        }
        page->count = (uint16_t)(page->count + is_shown);
        last = file->number;
        looked++;
    }
}

enum err listing_take_browse(struct peer *peer, struct link *link, struct slice payload) {
    struct browse_request request;
    enum err err = wire_browse_decode(payload, &request);
    if (err != OK) {
        return err;
    }
    struct reject reject = {.handle = request.handle, .reason = REJECT_BUSY};
    uint64_t wait_us = 0;
    if (peer->no_browse) {
        reject.reason = REJECT_OFF;
    } else if (link->stalled) {
        reject.retry_after_ms = UPLOAD_RETRY_MS;
    } else if ((wait_us = take_page(peer, &link->id)) > 0) {
        reject.retry_after_ms = (uint32_t)(wait_us / 1000 + 1);
    }
    if (reject.reason == REJECT_OFF || reject.retry_after_ms > 0) {
        serve_reject(link, &reject);
        return OK;
    }
    struct buf entries = {0}, message = {0};
    struct listing page = {.handle = request.handle, .is_partial = !peer->share.ready};
    page.next = fill_page(peer, link->owner, &request, &page, &entries);
    page.entries = (struct slice){entries.data, entries.len};
    wire_listing_encode(&message, &page);
    log_debug(peer->env->log, "listing.page link=%u files=%u more=%d", link->number, page.count,
              page.next != 0);
    buf_free(&entries);
    peer_send(link, MSG_LISTING, &message);
    return OK;
}
