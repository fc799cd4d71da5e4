/* fetch_piece.c - which blocks are asked of whom, what arrives, and how it gets to the disk.
 *
 * A source works on pieces of its own, FETCH_PIPELINE at a time, so that the next is asked for
 * before the last is here, and so that a wrong piece names its culprit. When no piece is left to
 * begin, an idle source takes the last blocks of those that the slowest others still owe (endgame):
 * as many as let both be done at once by their rates. A newcomer owes only as many blocks as
 * fetch_trust.c allows, in pieces whose blocks are proven one by one. */
#include <string.h>

#include "common/check.h"
#include "common/hashtree.h"
#include "common/mem.h"
#include "peer/fetch.h"
#include "peer/receipts.h"
#include "peer/state.h"

#define QUIET_US 1000000 /* an owner silent for so long may lose all it owes to a helper */

/* ---- Masks ---- */

static uint64_t all_blocks(const struct piece *piece) {
    return piece->blocks == PIECE_BLOCKS ? UINT64_MAX : (1ULL << piece->blocks) - 1;
}

static uint32_t count_bits(uint64_t mask) {
    return (uint32_t)__builtin_popcountll(mask);
}

/* The `count` highest blocks of a mask. */
static uint64_t last_bits(uint64_t mask, uint32_t count) {
    while (count_bits(mask) > count) {
        mask &= mask - 1;
    }
    return mask;
}

/* The `count` lowest blocks of a mask. */
static uint64_t first_bits(uint64_t mask, uint32_t count) {
    uint64_t first = 0;
    for (; count > 0 && mask != 0; count--) {
        first |= mask & -mask;
        mask &= mask - 1;
    }
    return first;
}

/* Blocks of a piece that anybody owes, and in *twice those that two owe. */
static uint64_t owed_blocks(const struct download *download, const struct piece *piece,
                            uint64_t *twice) {
    uint64_t once = 0;
    *twice = 0;
    for (const struct source *at = download->sources; at != NULL; at = at->next) {
        for (int i = 0; i < FETCH_PIPELINE; i++) {
            if (at->runs[i].piece == piece) {
                *twice |= once & at->runs[i].blocks;
                once |= at->runs[i].blocks;
            }
        }
    }
    return once;
}

/* ---- Pieces ---- */

struct piece *fetch_piece_find(const struct download *download, uint32_t index) {
    struct piece *piece = download->pieces;
    while (piece != NULL && piece->index != index) {
        piece = piece->next;
    }
    return piece;
}

static struct piece *piece_new(struct peer *peer, struct download *download, uint32_t index) {
    struct piece *piece = mem_new(sizeof *piece);
    piece->index = index;
    piece->blocks = hashtree_piece_blocks(download->content.size, index);
    piece->data = mem_resize(NULL, piece->blocks, BLOCK_BYTES);
    if (download->piece_count == 1 && piece->blocks == 1) {
        piece->known = mem_copy(&download->content.root, sizeof download->content.root);
    }
    struct piece **end = &download->pieces;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = piece;
    bitmap_set(download->taken, index);
    download->taken_count++;
    download->held++;
    peer->fetch->held++;
    return piece;
}

/* The source is free of this run; what still comes of it is forgiven. */
static void forgive(struct source *source, struct run *run) {
    uint32_t *forgiven = &source->transfer->forgiven;
    if (run->piece != NULL && *forgiven < UPLOAD_BLOCKS_MAX * 4) {
        *forgiven += count_bits(run->blocks);
    }
    if (run->piece != NULL) {
        fetch_late_lost(source, run);
    }
    *run = (struct run){0};
}

/* Nobody owes blocks of this piece any more. */
static void forget_owed(struct download *download, const struct piece *piece) {
    for (struct source *at = download->sources; at != NULL; at = at->next) {
        for (int i = 0; i < FETCH_PIPELINE; i++) {
            if (at->runs[i].piece == piece) {
                forgive(at, &at->runs[i]);
            }
        }
    }
}

static uint32_t piece_bytes(const struct download *download, const struct piece *piece) {
    uint64_t left = download->content.size - (uint64_t)piece->index * PIECE_BYTES;
    return left < PIECE_BYTES ? (uint32_t)left : PIECE_BYTES;
}

static uint64_t bytes_of(const struct download *download, const struct piece *piece,
                         uint64_t mask) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < piece->blocks; i++) {
        if ((mask >> i & 1) != 0) {
            bytes += hashtree_block_bytes(download->content.size, piece->index * PIECE_BLOCKS + i);
        }
    }
    return bytes;
}

/* Take a piece out of flight; its data stays the caller's when it took it. */
static void unlink_piece(struct download *download, struct piece *piece) {
    struct piece **at = &download->pieces;
    while (*at != piece) {
        at = &(*at)->next;
    }
    *at = piece->next;
    forget_owed(download, piece);
    fetch_late_forget(piece);
    mem_free(piece->known);
    mem_free(piece->data);
    mem_free(piece);
}

/* The piece is wanted again. */
static void drop_piece(struct peer *peer, struct download *download, struct piece *piece) {
    download->received -= bytes_of(download, piece, piece->have);
    bitmap_clear(download->taken, piece->index);
    download->taken_count--;
    download->held--;
    peer->fetch->held--;
    unlink_piece(download, piece);
}

void fetch_pieces_drop(struct peer *peer, struct download *download, uint32_t keep) {
    struct piece *next = NULL;
    for (struct piece *at = download->pieces; at != NULL; at = next) {
        next = at->next;
        if (keep > 0 && at->have != 0) {
            keep--;
        } else {
            drop_piece(peer, download, at);
        }
    }
}

/* ---- Asking ---- */

/* One BLOCK_REQUEST for every run of adjacent blocks. */
static void send_requests(struct source *source, const struct piece *piece, uint64_t blocks) {
    for (uint32_t i = 0; i < piece->blocks;) {
        uint32_t count = 0;
        while (i + count < piece->blocks && (blocks >> (i + count) & 1) != 0) {
            count++;
        }
        if (count > 0) {
            struct block_request request = {.handle = source->handle,
                                            .first = piece->index * PIECE_BLOCKS + i,
                                            .count = (uint8_t)count};
            struct buf payload = {0};
            wire_block_request_encode(&payload, &request);
            peer_send(source->transfer->link, MSG_BLOCK_REQUEST, &payload);
        }
        i += count > 0 ? count : 1;
    }
}

static bool owes_any(const struct source *source) {
    for (int i = 0; i < FETCH_PIPELINE; i++) {
        if (source->runs[i].piece != NULL) {
            return true;
        }
    }
    return false;
}

static bool owes_piece(const struct source *source, const struct piece *piece) {
    for (int i = 0; i < FETCH_PIPELINE; i++) {
        if (source->runs[i].piece == piece) {
            return true;
        }
    }
    return false;
}

void fetch_piece_set_due(const struct source *source, struct run *run) {
    const struct download *download = source->download;
    uint32_t working = fetch_sources_working(download);
    uint64_t rate = source->bytes_per_s;
    if (rate == 0 && working > 0) {
        rate = download->bytes_per_s / working;
    }
    uint64_t late_us = BLOCK_TIMEOUT_MS * 1000ull;
    if (rate > 0) {
        uint64_t bytes = (uint64_t)source->backlog * BLOCK_BYTES;
        late_us = 2 * (source->rtt_us + bytes * 1000000 / rate);
    }
    uint64_t least_us = FETCH_LATE_MS_MIN * 1000ull;
    run->due_us = run->asked_us + (late_us > least_us ? late_us : least_us);
    run->is_due_known = rate > 0;
}

static void assign(struct peer *peer, struct source *source, struct run *run, struct piece *piece,
                   uint64_t blocks) {
    piece->is_watched = piece->is_watched || fetch_is_newcomer(source);
    if (!owes_any(source)) {
        source->heard_us = peer->links.mono_us;
    }
    run->piece = piece;
    run->blocks = blocks;
    source->backlog += count_bits(blocks);
    run->asked_us = peer->links.mono_us;
    fetch_piece_set_due(source, run);
    send_requests(source, piece, blocks);
}

/* Blocks of a piece in flight that nobody owes. */
static bool take_orphans(struct peer *peer, struct source *source, struct run *run, uint32_t most) {
    struct download *download = source->download;
    for (struct piece *at = download->pieces; at != NULL; at = at->next) {
        uint64_t twice;
        uint64_t wanted = all_blocks(at) & ~at->have & ~owed_blocks(download, at, &twice);
        if (wanted != 0 && fetch_source_has(source, at->index)) {
            assign(peer, source, run, at, first_bits(wanted, most));
            return true;
        }
    }
    return false;
}

/* How many of the sources in use have a piece; UINT32_MAX when all have all. */
static uint32_t holders_of(const struct download *download, uint32_t index) {
    uint32_t count = 0;
    bool is_partial = false;
    for (const struct source *at = download->sources; at != NULL; at = at->next) {
        if (at->state >= SOURCE_ACTIVE) {
            is_partial = is_partial || at->bitmap != NULL;
            count += fetch_source_has(at, index);
        }
    }
    return is_partial ? count : UINT32_MAX;
}

/* The rarest piece that is neither here nor on its way, of the FETCH_RAREST_LOOK next ones from
 * download->next on; piece_count when this source has none. */
static uint32_t next_wanted(const struct source *source) {
    const struct download *download = source->download;
    if (download->taken_count == download->piece_count) {
        return download->piece_count;
    }
    uint32_t best = download->piece_count;
    uint32_t best_holders = 0;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < download->piece_count && seen < FETCH_RAREST_LOOK; i++) {
        uint32_t index = (uint32_t)(((uint64_t)download->next + i) % download->piece_count);
        bool skips_byte = index % 8 == 0 && index + 8 <= download->piece_count &&
                          download->taken[index / 8] == 0xff;
        if (skips_byte) {
            i += 7;
        } else if (!bitmap_get(download->taken, index) && fetch_source_has(source, index)) {
            uint32_t holders = holders_of(download, index);
            if (best == download->piece_count || holders < best_holders) {
                best = index;
                best_holders = holders;
            }
            if (holders == 1 || holders == UINT32_MAX) {
                break; /* none is rarer */
            }
            seen++;
        }
    }
    return best;
}

enum begin_result { BEGUN, BEGIN_LATER, NONE_LEFT };

static enum begin_result begin_piece(struct peer *peer, struct source *source, struct run *run,
                                     uint32_t most) {
    struct download *download = source->download;
    uint32_t index = next_wanted(source);
    if (index == download->piece_count) {
        return NONE_LEFT;
    }
    bool is_room = download->held < FETCH_PIECES_MAX &&
                   (peer->fetch->held < FETCH_PIECES_NODE_MAX || download->held == 0);
    if (fetch_hashes_of_piece(download, index) == NULL || !is_room) {
        return BEGIN_LATER;
    }
    struct piece *piece = piece_new(peer, download, index);
    download->next = (index + 1) % download->piece_count;
    assign(peer, source, run, piece, first_bits(all_blocks(piece), most));
    return BEGUN;
}

/* What a helper may take of an owner's run, from its end: as much as lets both be done at once. The
 * owner cannot be told to leave anything out, so all it was asked for comes first. */
static uint64_t to_take(const struct peer *peer, const struct source *helper,
                        const struct source *owner, const struct run *run) {
    uint64_t twice;
    owed_blocks(owner->download, run->piece, &twice);
    uint64_t open = run->blocks & ~run->piece->have & ~twice;
    uint32_t count = count_bits(open);
    bool is_quiet = peer->links.mono_us - owner->heard_us > QUIET_US;
    if (count == 0 || is_quiet) {
        return open;
    }
    uint64_t sum = helper->bytes_per_s + owner->bytes_per_s;
    bool is_known = helper->bytes_per_s > 0; /* else it has not had a chance yet */
    uint64_t share =
        is_known ? owner->backlog * helper->bytes_per_s / sum : (owner->backlog + 1) / 2;
    return last_bits(open, share < count ? (uint32_t)share : count);
}

/* Endgame: take over from whoever would be last. */
static bool help(struct peer *peer, struct source *source, struct run *run, uint32_t most) {
    struct download *download = source->download;
    struct piece *best = NULL;
    uint64_t best_blocks = 0;
    uint64_t best_wait = 0;
    for (struct source *owner = download->sources; owner != NULL; owner = owner->next) {
        for (int i = 0; owner != source && i < FETCH_PIPELINE; i++) {
            struct piece *piece = owner->runs[i].piece;
            if (piece == NULL || !fetch_source_has(source, piece->index) ||
                owes_piece(source, piece)) {
                continue;
            }
            uint64_t blocks = to_take(peer, source, owner, &owner->runs[i]);
            uint64_t wait = ((uint64_t)owner->backlog << 40) / (owner->bytes_per_s + 1);
            if (blocks != 0 && (best == NULL || wait > best_wait)) {
                best = piece;
                best_blocks = blocks;
                best_wait = wait;
            }
        }
    }
    if (best == NULL) {
        return false;
    }
    assign(peer, source, run, best, last_bits(best_blocks, most));
    return true;
}

/* How many more blocks a source may be asked for now. */
static uint32_t room_of(const struct source *source) {
    if (!fetch_is_newcomer(source)) {
        return PIECE_BLOCKS; /* the next run */
    }
    uint32_t used = source->backlog;
    for (const struct piece *at = source->download->pieces; at != NULL; at = at->next) {
        for (uint32_t i = 0; at->known == NULL && !at->cannot_know && i < at->blocks; i++) {
            used += (at->have >> i & 1) != 0 && at->from[i] == source->serial;
        }
        used += fetch_late_pending(at, source);
    }
    uint32_t window = fetch_trust_window(source);
    return used <= window / 2 ? window - used : 0; /* in halves: few requests */
}

static void fill(struct peer *peer, struct source *source) {
    struct download *download = source->download;
    for (int i = 0; i < FETCH_PIPELINE; i++) {
        bool may_ask = source->state == SOURCE_ACTIVE && !source->is_slow &&
                       source->backlog <= (FETCH_PIPELINE - 1) * PIECE_BLOCKS &&
                       download->state == DOWNLOAD_FETCHING && !source->transfer->link->closing;
        struct run *run = &source->runs[i];
        uint32_t most = may_ask ? room_of(source) : 0;
        if (most == 0) {
            return;
        }
        if (run->piece != NULL || take_orphans(peer, source, run, most)) {
            continue;
        }
        enum begin_result result = begin_piece(peer, source, run, most);
        if (result == BEGIN_LATER || (result == NONE_LEFT && owes_any(source))) {
            return;
        }
        if (result == NONE_LEFT && !help(peer, source, run, most)) {
            return;
        }
    }
}

void fetch_piece_fill(struct peer *peer, struct source *source) {
    fill(peer, source);
    if (fetch_is_newcomer(source)) {
        fetch_hashes_ask(peer, source->download);
    }
}

void fetch_pieces_fill(struct peer *peer, struct download *download) {
    uint64_t below = UINT64_MAX;
    while (below > 0) { /* the fastest first, those of one rate in the order they were found */
        uint64_t rate = 0;
        bool is_some = false;
        for (struct source *at = download->sources; at != NULL; at = at->next) {
            if (at->state == SOURCE_ACTIVE && at->bytes_per_s < below) {
                rate = at->bytes_per_s > rate ? at->bytes_per_s : rate;
                is_some = true;
            }
        }
        for (struct source *at = download->sources; is_some && at != NULL; at = at->next) {
            if (at->state == SOURCE_ACTIVE && at->bytes_per_s == rate) {
                fetch_piece_fill(peer, at);
            }
        }
        below = is_some ? rate : 0;
    }
}

void fetch_piece_release(struct source *source) {
    for (int i = 0; i < FETCH_PIPELINE; i++) {
        if (source->runs[i].piece != NULL) {
            forgive(source, &source->runs[i]);
        }
    }
}

bool fetch_piece_refused(struct source *source, uint32_t first, uint32_t count) {
    bool was_owed = false;
    for (int i = 0; i < FETCH_PIPELINE; i++) {
        struct run *run = &source->runs[i];
        for (uint32_t bit = 0; run->piece != NULL && bit < run->piece->blocks; bit++) {
            uint32_t block = run->piece->index * PIECE_BLOCKS + bit;
            bool is_meant = block >= first && block - first < count;
            if (is_meant && (run->blocks >> bit & 1) != 0) {
                run->blocks &= ~(1ULL << bit);
                source->backlog -= source->backlog > 0;
                was_owed = true;
            }
        }
        if (run->blocks == 0) {
            run->piece = NULL;
        }
    }
    return was_owed;
}

/* ---- Complete pieces ---- */

static void write_piece(struct peer *peer, struct download *download, struct piece *piece) {
    struct action *action = outbox_add(peer->links.out, ACTION_FILE_WRITE);
    action->file = download->file;
    action->offset = (uint64_t)piece->index * PIECE_BYTES;
    action->len = piece_bytes(download, piece);
    action->owned = piece->data;
    piece->data = NULL;
    unlink_piece(download, piece); /* still held until it is written */
}

/* The source of all these blocks, 0 when there are several. */
static uint32_t only_serial(const struct piece *piece, uint64_t blocks) {
    uint32_t only = 0;
    for (uint32_t i = 0; i < piece->blocks; i++) {
        if ((blocks >> i & 1) == 0) {
            continue;
        }
        if (only != 0 && only != piece->from[i]) {
            return 0;
        }
        only = piece->from[i];
    }
    return only;
}

/* Fetch these blocks again. */
static void forget_blocks(struct download *download, struct piece *piece, uint64_t blocks) {
    download->received -= bytes_of(download, piece, piece->have & blocks);
    piece->have &= ~blocks;
    piece->is_doubtful = false;
}

static uint64_t blocks_of(const struct piece *piece, const struct source *source) {
    uint64_t blocks = 0;
    for (uint32_t i = 0; i < piece->blocks; i++) {
        bool is_its = (piece->have >> i & 1) != 0 && piece->from[i] == source->serial;
        blocks |= (uint64_t)is_its << i;
    }
    return blocks;
}

/* A right piece speaks for all who gave blocks of it. */
static void trust_piece(struct peer *peer, struct download *download, const struct piece *piece) {
    for (struct source *at = download->sources; at != NULL; at = at->next) {
        uint64_t blocks = at->state != SOURCE_KNOWN ? blocks_of(piece, at) : 0;
        if (blocks != 0) {
            fetch_trust_piece(peer, at);
            receipts_transfer(peer, &at->holder.id, count_bits(blocks) * (uint64_t)BLOCK_BYTES);
            fetch_trust_block(at, piece->known == NULL ? count_bits(blocks) : 0);
        }
    }
}

static void check_piece(struct peer *peer, struct download *download, struct piece *piece) {
    struct hash found;
    hashtree_piece(peer->env->crypto, download->content.size, piece->index, piece->hashes, &found);
    forget_owed(download, piece);
    if (memcmp(found.b, fetch_hashes_of_piece(download, piece->index)->b, sizeof found.b) == 0) {
        trust_piece(peer, download, piece);
        fetch_late_judge(peer, download, piece, piece->hashes);
        fetch_late_settle(download, piece);
        write_piece(peer, download, piece);
        return;
    }
    log_warn(peer->env->log, "fetch.wrong_piece piece=%u", piece->index);
    uint32_t serial = only_serial(piece, all_blocks(piece));
    struct source *culprit = serial != 0 ? fetch_source_serial(download, serial) : NULL;
    piece->is_doubtful = true; /* which of them was it, or which are right all the same? */
    if (culprit != NULL && culprit->state != SOURCE_KNOWN) {
        fetch_source_ban(peer, culprit);
    }
    fetch_hashes_ask(peer, download);
}

void fetch_piece_again(struct download *download, struct piece *piece) {
    forget_blocks(download, piece, all_blocks(piece));
    fetch_late_forget(piece);
}

void fetch_piece_known(struct peer *peer, struct download *download, struct piece *piece,
                       const struct hash *hashes) {
    uint64_t right = 0;
    for (uint32_t i = 0; i < piece->blocks; i++) {
        bool is_right = memcmp(piece->hashes[i].b, hashes[i].b, HASH_BYTES) == 0;
        right |= (uint64_t)is_right << i;
    }
    piece->known = mem_copy(hashes, piece->blocks * sizeof *hashes);
    uint64_t wrong = piece->have & ~right;
    for (struct source *at = download->sources; at != NULL; at = at->next) {
        uint64_t its = at->state != SOURCE_KNOWN ? blocks_of(piece, at) : 0;
        if (its != 0) {
            fetch_trust_block(at, count_bits(its & right));
        }
        if ((its & wrong) != 0) {
            fetch_trust_wrong(peer, at, count_bits(its & wrong));
        }
    }
    forget_blocks(download, piece, wrong);
    fetch_late_judge(peer, download, piece, piece->known);
}

/* ---- Blocks ---- */

/* Take a block off what the source owes; true when it was owed. */
static bool settle_owed(struct source *source, const struct piece *piece, uint32_t bit) {
    for (int i = 0; piece != NULL && i < FETCH_PIPELINE; i++) {
        struct run *run = &source->runs[i];
        if (run->piece == piece && (run->blocks >> bit & 1) != 0) {
            run->blocks &= ~(1ULL << bit);
            if (run->blocks == 0) {
                run->piece = NULL;
            }
            return true;
        }
    }
    return false;
}

static void keep_block(struct peer *peer, struct source *source, struct piece *piece,
                       const struct block *block) {
    uint32_t bit = block->index % PIECE_BLOCKS;
    struct hash *hash = &piece->hashes[bit];
    crypto_hash(peer->env->crypto, block->data, hash);
    if (piece->known != NULL && memcmp(hash->b, piece->known[bit].b, HASH_BYTES) != 0) {
        fetch_trust_wrong(peer, source, 1);
        return;
    }
    if (piece->known != NULL) {
        fetch_trust_block(source, 1);
    }
    memcpy(piece->data + (size_t)bit * BLOCK_BYTES, block->data.data, block->data.len);
    piece->have |= 1ULL << bit;
    piece->from[bit] = source->serial;
    source->download->received += block->data.len;
}

/* A block that nobody waits for is forgiven when it was asked for once. */
static enum err take_unasked(struct peer *peer, struct link *link) {
    struct transfer *transfer = link->owner;
    if (transfer->forgiven > 0) {
        transfer->forgiven--;
        return OK;
    }
    transfer->unasked++;
    if (transfer->unasked > FETCH_UNASKED_MAX) {
        log_info(peer->env->log, "fetch.unasked link=%u", link->number);
        return ERR_UNEXPECTED;
    }
    return OK;
}

enum err fetch_take_block(struct peer *peer, struct link *link, struct slice payload) {
    struct block block;
    enum err err = wire_block_decode(payload, &block);
    if (err != OK) {
        return err;
    }
    struct source *source = fetch_source_find(link->owner, block.handle);
    if (source == NULL) {
        return take_unasked(peer, link);
    }
    struct download *download = source->download;
    if (block.index >= hashtree_blocks(download->content.size) ||
        block.data.len != hashtree_block_bytes(download->content.size, block.index)) {
        return ERR_FORMAT;
    }
    uint32_t bit = block.index % PIECE_BLOCKS;
    struct piece *piece = fetch_piece_find(download, block.index / PIECE_BLOCKS);
    bool was_owed = settle_owed(source, piece, bit);
    if (!was_owed && take_unasked(peer, link) != OK) {
        return ERR_UNEXPECTED;
    }
    source->heard_us = peer->links.mono_us;
    source->backlog -= source->backlog > 0;
    source->is_slow = false;
    source->failures = 0;
    source->queue_position = 0;
    if (piece != NULL && !piece->is_doubtful && (piece->have >> bit & 1) == 0) {
        source->bytes += block.data.len;
        source->tick_bytes += block.data.len;
        keep_block(peer, source, piece, &block);
        download->locate_wait_ms = LOCATE_MS_MIN;
        if (piece->have == all_blocks(piece)) {
            check_piece(peer, download, piece);
        }
    } else {
        fetch_late_take(peer, source, piece, &block);
    }
    fetch_piece_fill(peer, source);
    return OK;
}

/* ---- To the disk ---- */

void fetch_pieces_commit(struct peer *peer, struct download *download) {
    if (download->written_count == 0) {
        return;
    }
    size_t bytes = bitmap_bytes(download->piece_count);
    struct action *action = outbox_add_bytes(peer->links.out, ACTION_FILE_COMMIT,
                                             (struct slice){download->written, bytes});
    action->file = download->file;
    memset(download->written, 0, bytes);
    download->written_count = 0;
    timers_cancel(&peer->timers, &download->commit);
}

void fetch_piece_written(struct peer *peer, struct download *download, uint64_t offset) {
    uint32_t index = (uint32_t)(offset / PIECE_BYTES);
    bool is_ours = download->written != NULL && index < download->piece_count &&
                   !bitmap_get(download->written, index) && !bitmap_get(download->done, index);
    CHECK(is_ours && download->held > 0);
    bitmap_set(download->written, index);
    download->written_count++;
    download->held--;
    peer->fetch->held--;
    bool is_last = download->taken_count == download->piece_count && download->held == 0;
    if (is_last || download->written_count >= JOURNAL_BLOCKS_MAX) {
        fetch_pieces_commit(peer, download);
    } else if (!timer_is_set(&download->commit)) {
        timers_set(&peer->timers, &download->commit, peer_after_ms(peer, JOURNAL_MS_MAX));
    }
    fetch_pieces_fill(peer, download);
}

void fetch_pieces_committed(struct peer *peer, struct download *download, struct slice bitmap) {
    (void)peer;
    for (uint32_t i = 0; i < download->piece_count && i / 8 < bitmap.len; i++) {
        if (bitmap_get(bitmap.data, i) && !bitmap_get(download->done, i)) {
            bitmap_set(download->done, i);
            download->done_count++;
        }
    }
}
