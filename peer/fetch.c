/* fetch.c - downloads from their first wish to the finished file, across restarts and disk trouble.
 *
 * A part file gets a new number every time it is opened, so what an earlier opening still has to
 * say finds nobody. In the store a download is: version u8 (3), error u8 (0, or enum err of a
 * failed one), priority u8, paused u8 (1 = by somebody), number u32, bytes it had then u64, since
 * version 3 folder bytes16, n u8 x {id 32, address as text8} of sources that were told, then the
 * name; in version 1 error and name alone. */
#include "peer/fetch.h"

#include <string.h>

#include "common/check.h"
#include "common/hashtree.h"
#include "common/mem.h"
#include "common/names.h"
#include "peer/search.h"
#include "peer/serve.h"
#include "peer/state.h"

#define ENTRY_VERSION 3
#define LOCATE_SOON_MS 2000 /* nobody to ask just now, or asked too often */

/* ---- The table ---- */

static struct fetch *fetch_of(struct peer *peer) {
    if (peer->fetch == NULL) {
        peer->fetch = mem_new(sizeof *peer->fetch);
        map_init(&peer->fetch->downloads, CONTENT_KEY_BYTES, peer->env->seed ^ 0x646f776e6c6f6164);
        map_init(&peer->fetch->trusts, sizeof(struct node_id),
                 peer->env->seed ^ 0x62616e732e2e2e2e);
    }
    return peer->fetch;
}

struct download *fetch_find(const struct peer *peer, const struct content_id *content) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, content);
    return peer->fetch != NULL ? map_get(&peer->fetch->downloads, key) : NULL;
}

static struct download *find_file(const struct peer *peer, uint64_t file) {
    uint32_t cursor = 0;
    struct download *download = NULL;
    while (peer->fetch != NULL &&
           (download = map_next(&peer->fetch->downloads, &cursor, NULL)) != NULL) {
        if (download->file == file) {
            return download;
        }
    }
    return NULL;
}

/* Append the sources that searches may not find again. */
static void put_told(struct buf *out, const struct download *download) {
    size_t count_at = out->len;
    uint8_t count = 0;
    buf_u8(out, 0);
    for (const struct source *at = download->sources; at != NULL; at = at->next) {
        if (at->is_told && count < SOURCES_TOLD_MAX) {
            char text[ADDRESS_TEXT_BYTES] = "";
            if (at->told.family != ADDRESS_NONE) {
                address_format(text, &at->told);
            }
            buf_append(out, at->holder.id.b, sizeof at->holder.id.b);
            buf_u8(out, (uint8_t)strlen(text));
            buf_append(out, text, strlen(text));
            count++;
        }
    }
    out->data[count_at] = count;
}

void fetch_save(struct peer *peer, const struct download *download) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &download->content);
    struct buf value = {0};
    buf_u8(&value, ENTRY_VERSION);
    buf_u8(&value, download->state == DOWNLOAD_FAILED ? (uint8_t)download->error : 0);
    buf_u8(&value, download->priority);
    buf_u8(&value, download->state == DOWNLOAD_HELD);
    buf_u32(&value, download->number);
    buf_u64(&value, download->at_rest);
    buf_u16(&value, (uint16_t)strlen(download->folder));
    buf_append(&value, download->folder, strlen(download->folder));
    put_told(&value, download);
    buf_append(&value, download->name, strlen(download->name));
    store_put(peer->env->store, STORE_DOWNLOADS, (struct slice){key, sizeof key},
              (struct slice){value.data, value.len});
    buf_free(&value);
}

static struct download *download_new(struct peer *peer, const struct content_id *content,
                                     struct slice name, const char *folder) {
    struct download *download = mem_new(sizeof *download);
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, content);
    download->content = *content;
    download->name = mem_new(name.len + 1);
    memcpy(download->name, name.data, name.len);
    download->folder = mem_string(folder);
    download->piece_count = hashtree_pieces(content->size);
    download->tick.kind = TIMER_DOWNLOAD;
    download->tick.owner = download;
    download->commit.kind = TIMER_COMMIT;
    download->commit.owner = download;
    download->started_us = peer->links.mono_us;
    download->locate_wait_ms = LOCATE_MS_MIN;
    download->priority = PRIORITY_NORMAL;
    download->number = ++fetch_of(peer)->last_number;
    map_put(&fetch_of(peer)->downloads, key, download);
    return download;
}

/* Free what exists only while the part file is open. */
static void drop_contents(struct peer *peer, struct download *download) {
    fetch_pieces_drop(peer, download, 0);
    peer->fetch->held -= download->held; /* what is being written belongs to the driver */
    download->held = 0;
    timers_cancel(&peer->timers, &download->commit);
    mem_free(download->done);
    mem_free(download->taken);
    mem_free(download->written);
    mem_free(download->hashes);
    mem_free(download->hash_runs);
    mem_free(download->settled);
    download->settled = NULL;
    download->done = NULL;
    download->taken = NULL;
    download->written = NULL;
    download->hashes = NULL;
    download->hash_runs = NULL;
    download->hash_runs_known = 0;
    download->done_count = 0;
    download->taken_count = 0;
    download->written_count = 0;
    download->received = 0;
    download->tick_received = 0;
}

static void download_free(struct peer *peer, struct download *download) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &download->content);
    map_remove(&peer->fetch->downloads, key);
    drop_contents(peer, download);
    timers_cancel(&peer->timers, &download->tick);
    fetch_sources_free(download);
    while (download->waiters != NULL) {
        struct waiter *waiter = download->waiters;
        download->waiters = waiter->next;
        mem_free(waiter);
    }
    mem_free(download->name);
    mem_free(download->folder);
    mem_free(download);
}

/* ---- Part files ---- */

static struct action *file_action(struct peer *peer, enum action_kind kind, struct slice bytes,
                                  const struct download *download) {
    struct action *action = outbox_add_bytes(peer->links.out, kind, bytes);
    action->file = download->file;
    action->content = download->content;
    return action;
}

/* Where it is to go. */
static void wish_action(struct peer *peer, enum action_kind kind, const struct download *download) {
    struct buf path = {0};
    if (download->folder[0] != '\0') {
        buf_append(&path, download->folder, strlen(download->folder));
        buf_u8(&path, '/');
    }
    buf_append(&path, download->name, strlen(download->name));
    file_action(peer, kind, (struct slice){path.data, path.len}, download);
    buf_free(&path);
}

void fetch_open(struct peer *peer, struct download *download) {
    download->state = DOWNLOAD_OPENING;
    download->error = OK;
    download->alone_us = peer->links.mono_us;
    download->file = FILE_PART | ++peer->fetch->last_file;
    wish_action(peer, ACTION_FILE_OPEN, download);
}

static void finish(struct peer *peer, struct download *download) {
    download->state = DOWNLOAD_FINISHING;
    fetch_sources_release(peer, download);
    wish_action(peer, ACTION_FILE_FINISH, download);
}

static void file_opened(struct peer *peer, struct download *download, struct slice journal) {
    size_t bytes = bitmap_bytes(download->piece_count);
    download->done = mem_new(bytes);
    download->taken = mem_new(bytes);
    download->written = mem_new(bytes);
    for (uint32_t i = 0; i < download->piece_count && i / 8 < journal.len; i++) {
        if (bitmap_get(journal.data, i)) {
            bitmap_set(download->done, i);
            bitmap_set(download->taken, i);
            download->done_count++;
            uint64_t left = download->content.size - (uint64_t)i * PIECE_BYTES;
            download->received += left < PIECE_BYTES ? left : PIECE_BYTES;
        }
    }
    download->taken_count = download->done_count;
    download->tick_received = download->received;
    download->tick_us = peer->links.mono_us;
    download->probed_us = peer->links.mono_us;
    /* Fetchers of one file begin at different places, so that they have something for each other.
     */
    download->next = (uint32_t)rng_below(&peer->rng, download->piece_count);
    download->state = DOWNLOAD_FETCHING;
    log_info(peer->env->log, "fetch.open file=%llu pieces=%u done=%u",
             (unsigned long long)(download->file & ~FILE_PART), download->piece_count,
             download->done_count);
    fetch_continue(peer, download);
}

static void close_file(struct peer *peer, struct download *download, enum action_kind kind) {
    fetch_sources_release(peer, download);
    if (download->file != 0) {
        file_action(peer, kind, (struct slice){0}, download);
        download->file = 0;
    }
    drop_contents(peer, download);
}

static bool disk_may_recover(enum err err) {
    return err == ERR_NO_SPACE || err == ERR_IO || err == ERR_MISMATCH;
}

static void fail(struct peer *peer, struct download *download, enum err err) {
    download->state = DOWNLOAD_FAILED;
    download->error = err;
    timers_cancel(&peer->timers, &download->tick);
    fetch_save(peer, download);
    log_warn(peer->env->log, "fetch.failed reason=%s", err_name(err));
    fetch_report_error(peer, download, err, fetch_error_text(err));
    fetch_turns(peer);
}

/* The disk said no: close, and open again later, or give up. Of a file that turned out wrong as a
 * whole nothing can be believed. */
static void file_failed(struct peer *peer, struct download *download, enum err err) {
    bool is_wrong = err == ERR_MISMATCH;
    close_file(peer, download, is_wrong ? ACTION_FILE_DISCARD : ACTION_FILE_CLOSE);
    download->disk_failures += err != ERR_NO_SPACE;
    if (!disk_may_recover(err) || download->disk_failures > FETCH_DISK_TRIES) {
        fail(peer, download, err);
        return;
    }
    log_warn(peer->env->log, "fetch.paused reason=%s", err_name(err));
    download->state = DOWNLOAD_PAUSED;
    download->error = err;
    fetch_report_progress(peer, download);
    /* What was altered on the disk is gone; only if that happens again the disk needs time. */
    bool may_begin = is_wrong && download->disk_failures == 1;
    timers_set(&peer->timers, &download->tick,
               peer_after_ms(peer, may_begin ? FETCH_TICK_MS : FETCH_RETRY_MS));
}

static void file_finished(struct peer *peer, struct download *download, struct slice path) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &download->content);
    store_remove(peer->env->store, STORE_DOWNLOADS, (struct slice){key, sizeof key});
    log_info(peer->env->log, "fetch.finished bytes=%llu ms=%llu",
             (unsigned long long)download->content.size,
             (unsigned long long)((peer->links.mono_us - download->started_us) / 1000));
    fetch_history_add(peer, download, path);
    fetch_report_finished(peer, download, path);
    download_free(peer, download);
    fetch_turns(peer);
}

void fetch_file_event(struct peer *peer, const struct node_event *event) {
    struct download *download = find_file(peer, event->file.file);
    if (download == NULL) {
        return; /* closed meanwhile */
    }
    switch (event->kind) {
    case NODE_FILE_OPENED:
        file_opened(peer, download, event->file.pieces);
        break;
    case NODE_FILE_WRITTEN:
        fetch_piece_written(peer, download, event->file.offset);
        break;
    case NODE_FILE_COMMITTED:
        fetch_pieces_committed(peer, download, event->file.pieces);
        download->disk_failures = 0;
        serve_grown(peer, &download->content);
        if (download->done_count == download->piece_count) {
            finish(peer, download);
        }
        break;
    case NODE_FILE_FINISHED:
        file_finished(peer, download, event->file.name);
        break;
    default:
        file_failed(peer, download, event->file.reason);
        break;
    }
}

bool fetch_part(struct peer *peer, const struct content_id *content, struct fetch_part *part) {
    const struct download *download = fetch_find(peer, content);
    bool is_open = download != NULL &&
                   (download->state == DOWNLOAD_FETCHING || download->state == DOWNLOAD_FINISHING);
    if (is_open) {
        *part = (struct fetch_part){.file = download->file,
                                    .done = download->done,
                                    .hashes = download->hashes,
                                    .hashes_known = fetch_hashes_complete(download)};
    }
    return is_open;
}

/* ---- Begin, go on, end ---- */

struct download *fetch_begin(struct peer *peer, const struct content_id *content, struct slice name,
                             const char *folder) {
    struct download *download = fetch_find(peer, content);
    if (download == NULL) {
        if (fetch_of(peer)->downloads.count >= DOWNLOADS_MAX) {
            return NULL;
        }
        download = download_new(peer, content, name, folder);
        download->state = DOWNLOAD_WAITING;
        fetch_save(peer, download);
    } else if (download->state == DOWNLOAD_FAILED || download->state == DOWNLOAD_PAUSED ||
               download->state == DOWNLOAD_HELD) {
        download->disk_failures = 0;
        download->state = DOWNLOAD_WAITING;
        timers_cancel(&peer->timers, &download->tick);
        fetch_save(peer, download);
    }
    fetch_turns(peer);
    return download;
}

/* Look for more sources when there are few; the waits double until one dies. */
static void locate_more(struct peer *peer, struct download *download) {
    uint64_t now_us = peer->links.mono_us;
    if (download->more_wait_ms == 0) {
        download->more_wait_ms = LOCATE_MS_MIN;
        download->more_us = peer_after_ms(peer, LOCATE_MS_MIN);
    }
    if (download->more_us > now_us || fetch_sources_working(download) >= SOURCES_FEW) {
        return;
    }
    uint64_t wait_ms = LOCATE_SOON_MS;
    if (search_locate(peer, &download->content)) {
        wait_ms = download->more_wait_ms;
        download->more_wait_ms = wait_ms * 2 < LOCATE_MS_MAX ? wait_ms * 2 : LOCATE_MS_MAX;
    }
    download->more_us = peer_after_ms(peer, wait_ms);
}

/* Look for sources when there are none; return when to look next. */
static uint64_t locate(struct peer *peer, struct download *download) {
    uint64_t now_us = peer->links.mono_us;
    if (fetch_sources_connected(download) > 0) {
        locate_more(peer, download); /* a tick comes anyway */
        return TIMERS_NEVER;
    }
    if (download->locate_us <= now_us) {
        uint64_t wait_ms = LOCATE_SOON_MS;
        if (search_locate(peer, &download->content)) {
            wait_ms = download->locate_wait_ms;
            download->locate_wait_ms = wait_ms * 2 < LOCATE_MS_MAX ? wait_ms * 2 : LOCATE_MS_MAX;
        }
        download->locate_us = peer_after_ms(peer, wait_ms);
    }
    return download->locate_us;
}

void fetch_continue(struct peer *peer, struct download *download) {
    if (download->state != DOWNLOAD_FETCHING || peer->is_stopping) {
        return;
    }
    if (download->done_count == download->piece_count) {
        finish(peer, download);
        return;
    }
    uint64_t next_us = fetch_sources_connect(peer, download);
    uint64_t locate_us = locate(peer, download);
    next_us = locate_us < next_us ? locate_us : next_us;
    if (fetch_sources_connected(download) > 0 || download->waiters != NULL) {
        uint64_t tick_us = peer_after_ms(peer, FETCH_TICK_MS);
        next_us = tick_us < next_us ? tick_us : next_us;
        bool is_sooner = timer_is_set(&download->tick) && download->tick.due_us < next_us &&
                         download->tick.due_us > peer->links.mono_us;
        next_us = is_sooner ? download->tick.due_us : next_us;
    }
    uint64_t soonest_us = peer->links.mono_us + 1000; /* a tick never spins */
    timers_set(&peer->timers, &download->tick, next_us > soonest_us ? next_us : soonest_us);
}

static void average_rate(struct download *download, uint64_t elapsed_us) {
    uint64_t gained = download->received > download->tick_received
                          ? download->received - download->tick_received
                          : 0;
    uint64_t now = gained * 1000000 / elapsed_us;
    uint64_t before = download->bytes_per_s;
    download->bytes_per_s = before == 0 ? now : (before * 3 + now) / 4;
    download->tick_received = download->received;
}

void fetch_tick(struct peer *peer, struct download *download) {
    if (peer->is_stopping) {
        return;
    }
    if (download->state == DOWNLOAD_PAUSED) {
        fetch_open(peer, download);
        return;
    }
    if (download->state != DOWNLOAD_FETCHING) {
        return;
    }
    uint64_t elapsed_us = peer->links.mono_us - download->tick_us;
    if (elapsed_us >= FETCH_TICK_MS * 1000 / 2) {
        average_rate(download, elapsed_us);
        fetch_sources_tick(peer, download, elapsed_us);
        download->tick_us = peer->links.mono_us;
        fetch_report_progress(peer, download);
    }
    if (fetch_sources_connected(download) == 0) {
        fetch_pieces_drop(peer, download, FETCH_PIPELINE);
        fetch_turns(peer);
    } else {
        download->alone_us = peer->links.mono_us;
    }
    fetch_hashes_ask(peer, download);
    fetch_pieces_fill(peer, download);
    fetch_continue(peer, download);
}

/* ---- Starting and stopping ---- */

/* What the store knows of a download, beside its content. */
struct entry {
    uint8_t version;
    uint8_t error;
    uint8_t priority;
    uint8_t is_held;
    uint32_t number;
    uint64_t at_rest;
    char folder[NAMES_PATH_MAX + 1];
    struct reader told; /* of the sources */
    uint8_t told_count;
    struct slice name;
};

static bool read_told(struct reader *reader, struct node_place *place) {
    char text[ADDRESS_TEXT_BYTES] = "";
    *place = (struct node_place){0};
    reader_copy(reader, place->id.b, sizeof place->id.b);
    struct slice address = reader_slice(reader, reader_u8(reader));
    if (reader->failed || address.len >= sizeof text) {
        return false;
    }
    memcpy(text, address.data, address.len);
    return address.len == 0 || address_parse(&place->address, text, false) == OK;
}

/* The fields that only version 3 has. */
static bool read_where(struct reader *reader, struct entry *entry) {
    struct slice folder = reader_slice(reader, reader_u16(reader));
    entry->told_count = reader_u8(reader);
    entry->told = *reader;
    struct node_place place;
    bool is_fine = !reader->failed && names_sanitise_path(folder, entry->folder);
    for (uint8_t i = 0; i < entry->told_count && is_fine; i++) {
        is_fine = read_told(reader, &place);
    }
    return is_fine;
}

static bool read_entry(struct slice value, struct entry *entry) {
    struct reader reader = reader_of(value.data, value.len);
    *entry = (struct entry){.priority = PRIORITY_NORMAL};
    entry->version = reader_u8(&reader);
    entry->error = reader_u8(&reader);
    bool is_fine = true;
    if (entry->version >= 2) {
        entry->priority = reader_u8(&reader);
        entry->is_held = reader_u8(&reader);
        entry->number = reader_u32(&reader);
        entry->at_rest = reader_u64(&reader);
        is_fine = entry->version == 2 || read_where(&reader, entry);
    }
    entry->name = reader_slice(&reader, reader_left(&reader));
    return is_fine && !reader.failed && entry->version >= 1 && entry->version <= ENTRY_VERSION &&
           entry->name.len >= 1 && entry->priority < PRIORITIES && entry->is_held <= 1 &&
           entry->error < ERR_COUNT;
}

static void load_entry(struct peer *peer, struct slice key, struct slice value) {
    struct reader reader = reader_of(key.data, key.len);
    struct content_id content;
    struct entry entry;
    reader_copy(&reader, content.root.b, sizeof content.root.b);
    content.size = reader_u64(&reader);
    bool is_fine = reader_done(&reader) && content.size >= 1 && content.size <= FILE_BYTES_MAX;
    if (!is_fine || !read_entry(value, &entry) ||
        fetch_of(peer)->downloads.count >= DOWNLOADS_MAX) {
        log_warn(peer->env->log, "fetch.entry_damaged");
        return;
    }
    struct download *download = download_new(peer, &content, entry.name, entry.folder);
    download->error = entry.error;
    download->priority = entry.priority;
    download->at_rest = entry.at_rest < content.size ? entry.at_rest : 0;
    download->state = entry.error != OK    ? DOWNLOAD_FAILED
                      : entry.is_held != 0 ? DOWNLOAD_HELD
                                           : DOWNLOAD_WAITING;
    if (entry.number > 0) {
        struct fetch *fetch = peer->fetch;
        fetch->last_number -= fetch->last_number == download->number;
        download->number = entry.number;
        fetch->last_number = entry.number > fetch->last_number ? entry.number : fetch->last_number;
    }
    struct node_place place;
    for (uint8_t i = 0; i < entry.told_count && read_told(&entry.told, &place); i++) {
        fetch_told(peer, download, &place);
    }
}

void fetch_start(struct peer *peer) {
    uint8_t after[STORE_KEY_MAX];
    size_t after_len = 0;
    struct slice key;
    struct slice value;
    while (store_next(peer->env->store, STORE_DOWNLOADS, (struct slice){after, after_len}, &key,
                      &value)) {
        memcpy(after, key.data, key.len);
        after_len = key.len;
        load_entry(peer, key, value);
    }
    fetch_turns(peer);
}

void fetch_rest(struct peer *peer, struct download *download, enum download_state state) {
    download->at_rest = download->file != 0 ? download->received : download->at_rest;
    if (download->state == DOWNLOAD_FETCHING) {
        fetch_pieces_commit(peer, download);
    }
    close_file(peer, download, ACTION_FILE_CLOSE);
    timers_cancel(&peer->timers, &download->tick);
    download->bytes_per_s = 0;
    download->state = (uint8_t)state;
}

void fetch_cancel(struct peer *peer, struct download *download) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &download->content);
    if (download->file == 0) { /* what an earlier opening left is only reached by another one */
        fetch_open(peer, download);
    }
    close_file(peer, download, ACTION_FILE_DISCARD);
    store_remove(peer->env->store, STORE_DOWNLOADS, (struct slice){key, sizeof key});
    fetch_report_error(peer, download, ERR_REFUSED, "the download was cancelled");
    download_free(peer, download);
    fetch_turns(peer);
}

void fetch_stop(struct peer *peer) {
    uint32_t cursor = 0;
    struct download *download = NULL;
    while (peer->fetch != NULL &&
           (download = map_next(&peer->fetch->downloads, &cursor, NULL)) != NULL) {
        bool is_at_rest = download->state == DOWNLOAD_FAILED || download->state == DOWNLOAD_HELD;
        fetch_rest(peer, download, is_at_rest ? download->state : DOWNLOAD_PAUSED);
        fetch_report_error(peer, download, ERR_SHUTDOWN,
                           "the peer is stopping; the download goes on when it runs again");
    }
}

void fetch_free(struct peer *peer) {
    if (peer->fetch == NULL) {
        return;
    }
    uint32_t cursor = 0;
    for (struct download *download;
         (download = map_next(&peer->fetch->downloads, &cursor, NULL)) != NULL;) {
        download_free(peer, download);
    }
    cursor = 0;
    for (void *trust; (trust = map_next(&peer->fetch->trusts, &cursor, NULL)) != NULL;) {
        mem_free(trust);
    }
    map_free(&peer->fetch->downloads);
    map_free(&peer->fetch->trusts);
    mem_free(peer->fetch);
    peer->fetch = NULL;
}
