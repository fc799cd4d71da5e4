/* measure.c - counts what candidates deliver at once. In every epoch each candidate is drawn to
 * MEASURERS supernodes; all of them ask all of theirs in the same moment, for blocks of the files
 * they share or for a generated stream, so that one line cannot pose as many. What came in that
 * time, verified, makes the row. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/hints.h"
#include "supernode/measure.h"

struct measure_state {
    struct map streams; /* subject -> struct stream, of this epoch */
    bool is_counting;
    uint64_t until_us;
    uint64_t blocks_before; /* counts.measured_blocks when this epoch's slot began */
};

/* ---- Whom to measure ---- */

struct ticket_row {
    struct hash hash;
    uint64_t hinted; /* the start of that, halved for every address whose receipts speak for it */
    const struct trust_candidate *candidate;
};

static int compare_rows(const void *a, const void *b) {
    const struct ticket_row *first = a;
    const struct ticket_row *second = b;
    return memcmp(first->hash.b, second->hash.b, sizeof first->hash.b);
}

static int compare_hinted(const void *a, const void *b) {
    const struct ticket_row *first = a;
    const struct ticket_row *second = b;
    return first->hinted != second->hinted ? (first->hinted > second->hinted) * 2 - 1
                                           : compare_rows(a, b);
}

/* True when we are among those who measure this candidate; *hash is our own number. Who was elected
 * since measures those that would be its own were it a member already: others have left since. */
static bool is_ours(const struct supernode *supernode, const struct trust_candidate *candidate,
                    struct hash *hash) {
    const struct trust *trust = &supernode->trust;
    trust_measure_lot(trust, &candidate->subject, &supernode->env->id, hash);
    if (trust->latest == NULL || trust->latest->members == NULL) {
        return network_is_anchor(supernode->env->network, &supernode->env->id);
    }
    return trust_may_issue(trust, &supernode->env->id, trust->now_epoch) &&
           trust_measures(trust, &candidate->subject, hash);
}

static void begin_stream(struct supernode *supernode, const struct trust_candidate *candidate) {
    struct link *link = links_dial(&supernode->links, &candidate->owner, &candidate->address,
                                   PURPOSE_MEASURE, NULL);
    struct stream *stream = mem_new(sizeof *stream);
    stream->subject = candidate->subject;
    stream->link = link;
    stream->seed = rng_u64(&supernode->rng);
    link->owner = stream;
    map_put(&supernode->measure->streams, stream->subject.b, stream);
}

/* The best places go by lot alone, whatever leaves say; the others by lots that receipts better. */
static void order_rows(const struct supernode *supernode, struct ticket_row *rows, uint32_t count) {
    qsort(rows, count, sizeof *rows, compare_rows);
    for (uint32_t i = 0; i < count; i++) {
        struct reader reader = reader_of(rows[i].hash.b, sizeof rows[i].hash.b);
        rows[i].hinted = reader_u64(&reader) >> hints_for(supernode, &rows[i].candidate->subject);
    }
    if (count > ROW_ENTRIES_MAX) {
        qsort(rows + MEASURE_BLIND, count - MEASURE_BLIND, sizeof *rows, compare_hinted);
    }
}

void measure_dial(struct supernode *supernode) {
    measure_end(supernode);
    struct trust *trust = &supernode->trust;
    struct ticket_row *rows = mem_array(trust->candidates.count + 1, sizeof *rows);
    uint32_t count = 0;
    uint32_t cursor = 0;
    for (const struct trust_candidate *candidate;
         (candidate = map_next(&trust->candidates, &cursor, NULL)) != NULL;) {
        bool is_wanted = candidate->record->epoch == trust->now_epoch &&
                         !trust_is_fraud(trust, &candidate->subject) &&
                         !node_id_equal(&candidate->subject, &supernode->env->id) &&
                         !node_id_equal(&candidate->owner, &supernode->env->id);
        if (is_wanted && is_ours(supernode, candidate, &rows[count].hash)) {
            rows[count++].candidate = candidate;
        }
    }
    order_rows(supernode, rows, count);
    for (uint32_t i = 0; i < count && i < ROW_ENTRIES_MAX; i++) {
        begin_stream(supernode, rows[i].candidate);
    }
    mem_free(rows);
}

/* ---- Counting ---- */

static void ask(struct supernode *supernode, const struct stream *stream) {
    uint64_t now_us = supernode->links.mono_us;
    uint64_t until_us = supernode->measure->until_us;
    struct measure ask = {.seed = stream->seed,
                          .bytes = supernode->env->network->promotion.measure_bytes,
                          .ms = (uint16_t)(now_us < until_us ? (until_us - now_us) / 1000 : 0)};
    if (ask.ms > 0 && !blocks_ask(supernode, stream, ask.ms)) {
        struct buf payload = {0};
        wire_measure_encode(&payload, &ask);
        supernode_send(stream->link, MSG_MEASURE, &payload);
    }
}

/* One that took longer to dial has less time, but the same end as all others. */
void measure_opened(struct supernode *supernode, struct link *link) {
    if (supernode->measure->is_counting && link->owner != NULL) {
        ask(supernode, link->owner);
    }
}

void measure_begin(struct supernode *supernode, uint32_t window_ms) {
    struct measure_state *measure = supernode->measure;
    measure->is_counting = true;
    measure->blocks_before = supernode->counts.measured_blocks;
    measure->until_us = supernode_after_ms(supernode, window_ms);
    uint32_t cursor = 0;
    for (struct stream *stream; (stream = map_next(&measure->streams, &cursor, NULL)) != NULL;) {
        if (stream->link != NULL && stream->link->open) {
            ask(supernode, stream);
        }
    }
}

enum err measure_take(struct supernode *supernode, struct link *link, struct slice payload) {
    struct measured measured;
    struct stream *stream = link->owner;
    enum err err = wire_measured_decode(payload, &measured);
    if (err != OK) {
        return err;
    }
    if (!supernode->measure->is_counting || stream == NULL) {
        return OK;
    }
    uint64_t end = (uint64_t)measured.offset + measured.data.len;
    if (measured.offset != stream->bytes ||
        end > supernode->env->network->promotion.measure_bytes) {
        return ERR_UNEXPECTED; /* nor does it weigh more than all others may */
    }
    uint8_t wanted[MEASURED_DATA_MAX];
    wire_measure_fill(stream->seed, measured.offset, wanted, measured.data.len);
    if (memcmp(wanted, measured.data.data, measured.data.len) != 0) {
        return ERR_MISMATCH;
    }
    measure_count(supernode, stream, (uint32_t)measured.data.len);
    return OK;
}

bool measure_is_counting(const struct supernode *supernode) {
    return supernode->measure->is_counting;
}

void measure_count(struct supernode *supernode, struct stream *stream, uint32_t bytes) {
    uint32_t most = supernode->env->network->promotion.measure_bytes;
    stream->bytes = bytes < most - stream->bytes ? stream->bytes + bytes : most;
    supernode->counts.measured += bytes;
}

void measure_closed(struct link *link) {
    struct stream *stream = link->owner;
    if (stream != NULL) {
        stream->link = NULL; /* what came, came */
    }
}

/* ---- The row ---- */

static int compare_entries(const void *a, const void *b) {
    const struct row_entry *first = a;
    const struct row_entry *second = b;
    return memcmp(first->subject.b, second->subject.b, sizeof first->subject.b);
}

uint64_t measure_row(struct supernode *supernode, struct row_record *row) {
    struct measure_state *measure = supernode->measure;
    uint64_t total = 0;
    uint32_t cursor = 0;
    for (const struct stream *stream;
         (stream = map_next(&measure->streams, &cursor, NULL)) != NULL;) {
        total += stream->bytes;
    }
    cursor = 0;
    for (const struct stream *stream;
         (stream = map_next(&measure->streams, &cursor, NULL)) != NULL;) {
        uint64_t weight = total > 0 ? stream->bytes * (uint64_t)ROW_WEIGHT_SUM / total : 0;
        if (weight > 0 && row->count < ROW_ENTRIES_MAX) {
            row->entries[row->count++] = (struct row_entry){stream->subject, (uint16_t)weight};
        }
    }
    qsort(row->entries, row->count, sizeof row->entries[0], compare_entries);
    return total;
}

uint64_t measure_by_blocks(const struct supernode *supernode) {
    return supernode->counts.measured_blocks - supernode->measure->blocks_before;
}

void measure_end(struct supernode *supernode) {
    struct measure_state *measure = supernode->measure;
    measure->is_counting = false;
    uint32_t cursor = 0;
    for (struct stream *stream; (stream = map_next(&measure->streams, &cursor, NULL)) != NULL;) {
        if (stream->link != NULL) {
            stream->link->owner = NULL;
            links_close(stream->link, GOAWAY_IDLE, OK);
        }
        map_remove(&measure->streams, stream->subject.b);
        blocks_free(stream);
        mem_free(stream);
    }
}

void measure_init(struct supernode *supernode) {
    supernode->measure = mem_new(sizeof *supernode->measure);
    map_init(&supernode->measure->streams, sizeof(struct node_id),
             supernode->env->seed ^ 0x73747265616d);
}

void measure_free(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct stream *stream;
         (stream = map_next(&supernode->measure->streams, &cursor, NULL)) != NULL;) {
        blocks_free(stream);
        mem_free(stream);
    }
    map_free(&supernode->measure->streams);
    mem_free(supernode->measure);
}
