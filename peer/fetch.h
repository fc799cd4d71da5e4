/* fetch.h - downloads: who has the pieces, which are on their way, which are safe on disk.
 *
 *   wanted -> in flight (struct piece) -> being written -> written -> committed (`done`)
 *
 * `taken` marks all but the wanted ones. A piece counts when it is committed: verified against the
 * content id, durable, and in the journal. */
#ifndef TRUNKLINE_PEER_FETCH_H
#define TRUNKLINE_PEER_FETCH_H

#include "common/map.h"
#include "common/node.h"
#include "common/timers.h"
#include "common/wire.h"
#include "peer/contact.h"
#include "peer/transfer.h"

enum download_state {
    DOWNLOAD_WAITING, /* for its turn */
    DOWNLOAD_OPENING, /* waits for the part file */
    DOWNLOAD_FETCHING,
    DOWNLOAD_FINISHING,
    DOWNLOAD_PAUSED, /* the disk failed: opened again after a while */
    DOWNLOAD_HELD,   /* somebody paused it */
    DOWNLOAD_FAILED,
    DOWNLOAD_STATES
};

/* `high`, `normal`, `low`. */
extern const char *const fetch_priorities[];

/* The order in which downloads have their turns, then by number. */
enum download_priority { PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW, PRIORITIES };

/* A block that came second, of a piece whose blocks nobody can judge yet. */
struct late_block {
    struct late_block *next;
    uint32_t serial; /* of its source */
    uint8_t bit;
    struct hash hash;
};

/* The blocks of a piece that is here, of which somebody may still send some. */
struct settled {
    uint32_t index;
    uint32_t blocks; /* 0 = free */
    struct hash hashes[PIECE_BLOCKS];
};

/* Blocks that a source was asked for, and others since: they may come all the same. */
struct lost {
    uint32_t index;
    uint64_t blocks;
};

/* A piece on its way. Bit i of a mask is block i of the piece. */
struct piece {
    struct piece *next;
    uint32_t index;
    uint32_t blocks;
    uint64_t have;
    uint8_t *data;           /* PIECE_BYTES */
    bool is_doubtful;        /* complete, but wrong: block hashes are asked for */
    bool is_watched;         /* has blocks of a newcomer: block hashes are asked for */
    bool cannot_know;        /* nobody can prove its blocks */
    struct hash *known;      /* proven hashes of its blocks, PIECE_BLOCKS; NULL = not yet */
    struct late_block *late; /* judged when `known` is there, or the piece complete */
    uint32_t late_count;
    uint32_t from[PIECE_BLOCKS]; /* serial of the source of each block */
    struct hash hashes[PIECE_BLOCKS];
};

/* Blocks of one piece that a source owes us. */
struct run {
    struct piece *piece; /* NULL = free */
    uint64_t blocks;
    uint64_t asked_us;
    uint64_t due_us;   /* twice the expected time: then others get them */
    bool is_due_known; /* a rate was known by then: else it is set when one is */
};

enum source_state {
    SOURCE_KNOWN, /* not in use; may be tried from retry_us on */
    SOURCE_LINKING,
    SOURCE_OPENING, /* OPEN is out */
    SOURCE_ACTIVE,
    SOURCE_QUEUED /* it told us to ask again at retry_us */
};

struct source {
    struct source *next;         /* of the download */
    struct source *next_on_link; /* of the transfer */
    struct download *download;
    struct transfer *transfer; /* NULL when KNOWN, or when a callback is awaited */
    struct holder holder;      /* its record is owned here */
    struct node_id answerer;   /* zero = unknown */
    struct address told;       /* by a link or a person; family ADDRESS_NONE = not */
    struct run runs[FETCH_PIPELINE];
    struct lost lost[FETCH_LOST_MAX]; /* the last ones, round and round */
    uint8_t lost_next;
    uint8_t *bitmap; /* pieces it has; NULL = all */
    uint64_t retry_us;
    uint64_t queue_due_us; /* QUEUED: when our turn is expected; 0 = it did not say */
    uint64_t dialled_us;   /* 0 = never */
    uint64_t heard_us;     /* last block, or when it was asked */
    uint64_t bytes;
    uint64_t tick_bytes;   /* since the last tick */
    uint64_t bytes_per_s;  /* averaged */
    uint64_t known_rate;   /* bytes_per_s when it was last let go */
    uint64_t rtt_us;       /* from OPEN to HAVE; 0 = unknown */
    uint32_t right_blocks; /* proven in a row, see fetch_trust.c */
    uint32_t wrong_blocks; /* of this node, not forgiven */
    uint32_t serial;
    uint32_t backlog; /* blocks it was asked for and has not sent, forgiven ones included */
    uint32_t handle;
    uint32_t failures;
    uint16_t queue_position; /* as it said last; 0 = it did not, or has given blocks since */
    uint8_t state;
    bool is_locked;      /* it says that its owner lets only others have the file */
    bool is_told;        /* by a link or a person: remembered */
    bool is_proven;      /* its address answered, or a supernode says so */
    bool is_slow;        /* it owes blocks for too long: not asked until one comes */
    uint8_t late_hashes; /* answers that did not come in time */
    bool has_no_hashes;
    bool was_pushed; /* a callback was asked for */
};

/* The run of hashes that is asked for, one at a time per download. */
struct hash_request {
    struct source *source; /* NULL = none */
    uint64_t asked_us;
    uint64_t again_us; /* who is busy is not asked before */
    uint32_t layer;
    uint32_t first;
    uint32_t count;
};

struct waiter {
    struct waiter *next;
    uint64_t command;
};

struct download {
    struct content_id content;
    char *name;
    char *folder;    /* below the download folder, sanitised; "" = there */
    uint64_t file;   /* FILE_PART and a number; 0 = not open */
    uint32_t number; /* for people; lower ones came first */
    uint8_t priority;
    uint8_t state;
    enum err error; /* PAUSED, FAILED */
    uint32_t disk_failures;
    uint32_t piece_count;
    uint32_t done_count;
    uint32_t taken_count;
    uint32_t held; /* pieces in flight or being written */
    uint32_t next; /* where to look for the next wanted piece */
    uint8_t *done; /* bitmaps, first piece highest */
    uint8_t *taken;
    uint8_t *written; /* not committed yet */
    uint32_t written_count;
    struct hash *hashes; /* piece_count of them; NULL until asked for, or for a single piece */
    uint8_t *hash_runs;  /* bitmap of runs of HASHES_MAX that are known */
    uint32_t hash_runs_known;
    struct hash_request hash_request;
    struct piece *pieces;
    struct settled *settled; /* FETCH_SETTLED_MAX, round and round; NULL = never needed */
    uint8_t settled_next;
    struct source *sources;
    uint32_t source_count;
    uint32_t last_serial;
    uint64_t received; /* bytes: done, written, and blocks in flight */
    uint64_t at_rest;  /* bytes it had when it was paused */
    uint64_t tick_received;
    uint64_t tick_us;
    uint64_t bytes_per_s; /* averaged */
    uint64_t started_us;
    uint64_t alone_us;  /* when it was last seen with a source, or opened */
    uint64_t locate_us; /* when to look for sources */
    uint64_t locate_wait_ms;
    uint64_t more_us; /* when to look for more sources than there are */
    uint64_t more_wait_ms;
    uint64_t probed_us; /* when a source last made room for an untried one */
    struct timer tick;
    struct timer commit;
    struct waiter *waiters;
};

/* A node that sent wrong bytes. */
struct trust {
    uint64_t until_us; /* banned until then; 0 = is not */
    uint64_t next_ms;
    int32_t score;
    uint32_t wrong; /* blocks */
};

struct fetch {
    struct map downloads; /* content key -> struct download */
    struct map trusts;    /* node id -> struct trust, of those who sent wrong bytes */
    uint64_t last_file;
    uint32_t last_number;
    uint32_t held;         /* pieces in memory, of all downloads */
    uint64_t history_last; /* number of the last download that has finished */
    uint32_t history_count;
    bool is_history_known; /* the two above have been read from the store */
};

/* What can be served of a download. */
struct fetch_part {
    uint64_t file;
    const uint8_t *done;
    const struct hash *hashes; /* of the pieces, NULL for a single one */
    bool hashes_known;         /* all of them */
};

/* ---- fetch.c: downloads and their files ---- */

/* Resume what the store remembers. */
void fetch_start(struct peer *peer);
/* Return the download of a content, started when it is new or had failed; NULL at DOWNLOADS_MAX. */
struct download *fetch_begin(struct peer *peer, const struct content_id *content, struct slice name,
                             const char *folder);
struct download *fetch_find(const struct peer *peer, const struct content_id *content);
void fetch_cancel(struct peer *peer, struct download *download);
/* NODE_FILE_* of part files. */
void fetch_file_event(struct peer *peer, const struct node_event *event);
bool fetch_part(struct peer *peer, const struct content_id *content, struct fetch_part *part);
/* TIMER_DOWNLOAD. */
void fetch_tick(struct peer *peer, struct download *download);
/* Close every part file so that nothing committed is lost. */
void fetch_stop(struct peer *peer);
void fetch_free(struct peer *peer);
/* Go on with a download whatever it needs next, and set its tick. */
void fetch_continue(struct peer *peer, struct download *download);

static inline bool bitmap_get(const uint8_t *bitmap, uint32_t at) {
    return (bitmap[at / 8] & (0x80 >> at % 8)) != 0;
}
static inline void bitmap_set(uint8_t *bitmap, uint32_t at) {
    bitmap[at / 8] |= (uint8_t)(0x80 >> at % 8);
}
static inline void bitmap_clear(uint8_t *bitmap, uint32_t at) {
    bitmap[at / 8] &= (uint8_t) ~(0x80 >> at % 8);
}
static inline size_t bitmap_bytes(uint32_t count) {
    return ((size_t)count + 7) / 8;
}

/* Remember a download as it is now. */
void fetch_save(struct peer *peer, const struct download *download);
/* Open its part file and go on. */
void fetch_open(struct peer *peer, struct download *download);
/* Close its part file, so that nothing committed is lost; it has this state then. */
void fetch_rest(struct peer *peer, struct download *download, enum download_state state);

/* ---- fetch_queue.c: turns, and the commands that change them ---- */

/* Begin those that wait, as many as may be active. */
void fetch_turns(struct peer *peer);
void fetch_pause_command(struct peer *peer, const struct node_event *event);
void fetch_resume_command(struct peer *peer, const struct node_event *event);
void fetch_priority_command(struct peer *peer, const struct node_event *event);
void fetch_cancel_command(struct peer *peer, const struct node_event *event);

/* ---- fetch_history.c: what has finished ---- */

void fetch_history_add(struct peer *peer, const struct download *download, struct slice path);
/* The command `history`. */
void fetch_history_command(struct peer *peer, const struct node_event *event);

/* ---- fetch_source.c: who has it ---- */

/* A supernode says that somebody has a content which is being fetched. */
void fetch_found(struct peer *peer, const struct content_id *content, const struct holder *holder,
                 const struct node_id *answerer);
/* A link or a person says that this node has a content which is being fetched. */
void fetch_told(struct peer *peer, struct download *download, const struct node_place *place);
void fetch_link_opened(struct peer *peer, struct transfer *transfer);
void fetch_link_gone(struct peer *peer, struct transfer *transfer, enum err reason);
enum err fetch_take_have(struct peer *peer, struct link *link, struct slice payload);
enum err fetch_take_reject(struct peer *peer, struct link *link, struct slice payload);
enum err fetch_take_place(struct peer *peer, struct link *link, struct slice payload);
/* The source of a handle on a link, or NULL. */
struct source *fetch_source_find(const struct transfer *transfer, uint32_t handle);
struct source *fetch_source_serial(const struct download *download, uint32_t serial);
bool fetch_source_has(const struct source *source, uint32_t piece);
/* Let go of a source, to be tried again after `retry_ms`. */
void fetch_source_release(struct peer *peer, struct source *source, uint64_t retry_ms);
/* Like that, with a wait that doubles every time. */
void fetch_source_failed(struct peer *peer, struct source *source);
/* Dial as many sources as are wanted; return when one may be tried again. */
uint64_t fetch_sources_connect(struct peer *peer, struct download *download);
/* Give up on the silent, ask the queued again, average the rates. */
void fetch_sources_tick(struct peer *peer, struct download *download, uint64_t elapsed_us);
/* Let go of all. */
void fetch_sources_release(struct peer *peer, struct download *download);
/* How many give blocks: active and not slow. */
uint32_t fetch_sources_working(const struct download *download);
/* How many say that the file is locked. */
uint32_t fetch_sources_locked(const struct download *download);
/* How many are in use: LINKING to QUEUED. */
uint32_t fetch_sources_connected(const struct download *download);
void fetch_sources_free(struct download *download);

/* ---- fetch_piece.c: blocks, pieces, writes ---- */

/* Ask a source for as much as it may owe us. */
void fetch_piece_fill(struct peer *peer, struct source *source);
/* The fastest first. */
void fetch_pieces_fill(struct peer *peer, struct download *download);
/* When a run is late: after twice the time that all that its source owes should take by its rate,
 * or by that of the others while its own is unknown. */
void fetch_piece_set_due(const struct source *source, struct run *run);
/* What a source owes is not expected any more. */
void fetch_piece_release(struct source *source);
/* Forget the block `block` if the source owes it; true when it did. */
bool fetch_piece_refused(struct source *source, uint32_t first, uint32_t count);
enum err fetch_take_block(struct peer *peer, struct link *link, struct slice payload);
/* The hashes of a piece's blocks are proven: keep what is right, fetch the others again. */
void fetch_piece_known(struct peer *peer, struct download *download, struct piece *piece,
                       const struct hash *hashes);
/* A doubtful piece that nobody can judge: fetch all its blocks again. */
void fetch_piece_again(struct download *download, struct piece *piece);
struct piece *fetch_piece_find(const struct download *download, uint32_t index);
/* Drop all pieces in flight but the first `keep`. */
void fetch_pieces_drop(struct peer *peer, struct download *download, uint32_t keep);
void fetch_piece_written(struct peer *peer, struct download *download, uint64_t offset);
void fetch_pieces_commit(struct peer *peer, struct download *download);
void fetch_pieces_committed(struct peer *peer, struct download *download, struct slice bitmap);

/* ---- fetch_late.c: blocks that come second ---- */

/* What this run owes is for others from now on. */
void fetch_late_lost(struct source *source, const struct run *run);
/* A right piece leaves; keep its hashes as long as somebody may send blocks of it. */
void fetch_late_settle(struct download *download, const struct piece *piece);
/* Such a block has come; `piece` NULL = its piece is not in flight. */
void fetch_late_take(struct peer *peer, struct source *source, struct piece *piece,
                     const struct block *block);
/* The hashes of a piece's blocks are known. */
void fetch_late_judge(struct peer *peer, struct download *download, struct piece *piece,
                      const struct hash *hashes);
void fetch_late_forget(struct piece *piece);
/* How many of a source wait to be judged. */
uint32_t fetch_late_pending(const struct piece *piece, const struct source *source);

/* ---- fetch_trust.c: who sent wrong bytes ---- */

bool fetch_is_banned(const struct peer *peer, const struct node_id *id);
/* Have nothing to do with this node for a while. */
void fetch_source_ban(struct peer *peer, struct source *source);
/* So many blocks of it were proven wrong. */
void fetch_trust_wrong(struct peer *peer, struct source *source, uint32_t blocks);
/* A block of it was proven right; a piece with blocks of it was. */
void fetch_trust_block(struct source *source, uint32_t blocks);
void fetch_trust_piece(struct peer *peer, struct source *source);
/* What is known of its node from other downloads. */
void fetch_trust_recall(const struct peer *peer, struct source *source);
/* How many blocks it may owe us, unproven ones included. */
uint32_t fetch_trust_window(const struct source *source);
bool fetch_is_newcomer(const struct source *source);

/* ---- fetch_hashes.c: what the pieces must be ---- */

/* The hash of a piece, or NULL when it is not known yet. */
const struct hash *fetch_hashes_of_piece(const struct download *download, uint32_t piece);
bool fetch_hashes_complete(const struct download *download);
/* Ask for what is needed next, if nothing is asked for. */
void fetch_hashes_ask(struct peer *peer, struct download *download);
enum err fetch_take_hashes(struct peer *peer, struct link *link, struct slice payload);
/* True when the reject was about the hashes asked of this source. */
bool fetch_hashes_refused(struct peer *peer, struct source *source, const struct reject *reject);
/* It will not answer any more. */
void fetch_hashes_forget(struct source *source);

/* ---- fetch_report.c: what people are told ---- */

void fetch_get_command(struct peer *peer, const struct node_event *event);
void fetch_downloads_command(struct peer *peer, const struct node_event *event);
void fetch_cancel_command(struct peer *peer, const struct node_event *event);
void fetch_command_gone(struct peer *peer, uint64_t command);
void fetch_report_progress(struct peer *peer, const struct download *download);
void fetch_report_finished(struct peer *peer, struct download *download, struct slice path);
/* Tell all who wait that it will not come. */
void fetch_report_error(struct peer *peer, struct download *download, enum err err,
                        const char *text);
const char *fetch_error_text(enum err err);

#endif
