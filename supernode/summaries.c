/* summaries.c - tells all neighbours which words we have, and keeps what they tell.
 *
 * Our filter takes in every word that comes into the index; bits set are told to all neighbours a
 * second later, together. It is never told while it is being replaced:
 *
 *     own  [v7: words that came, some gone again] --tight, or 10 minutes with a word gone--.
 *     next [v8: being filled in slices by walking the index, and by words that come] <-----'
 *
 * A neighbour gets the whole filter in chunks read from the live one, and every delta from its
 * first chunk on; so a bit that is set behind the last chunk sent comes with a delta, and one
 * before it with its chunk. One that is stalled loses its place and is told all again.
 *
 * Threats. A neighbour whose filter is poisoned (more than half full) or that keeps silent about
 * its words would draw every query; it draws none instead, beside those that it is to relay, and
 * an honest one never comes so far. One that lies with plausible words cannot be told apart, and
 * gains only what a supernode in the middle of the mesh sees anyway. */
#include "supernode/summaries.h"

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"

#define FRESH_CAP_MIN 256

static void wake(struct supernode *supernode, uint64_t ms) {
    struct summaries *summaries = &supernode->summaries;
    uint64_t due_us = ms > 0 ? supernode_after_ms(supernode, ms) : supernode_next_step(supernode);
    if (!timer_is_set(&summaries->timer) || summaries->timer.due_us > due_us) {
        timers_set(&supernode->timers, &summaries->timer, due_us);
    }
}

/* ---- Our own ---- */

/* Start a filter of the right size. Words that come meanwhile go into both. (One of the largest
 * size that is too tight stays: the next would be too, and all neighbours would be told all of it
 * again for every word that comes.) */
static void begin_next(struct supernode *supernode) {
    struct summaries *summaries = &supernode->summaries;
    if (summaries->next == NULL) {
        uint8_t log2_bits = summary_fit(index_count(supernode->index).words);
        summaries->next = summary_new(summaries->own->version + 1, log2_bits);
        summaries->cursor = 0;
        wake(supernode, 0);
    }
}

static void keep_fresh(struct summaries *summaries, const uint32_t *bits, uint32_t count) {
    if (summaries->fresh_count + count > summaries->fresh_cap) {
        summaries->fresh_cap =
            summaries->fresh_cap < FRESH_CAP_MIN ? FRESH_CAP_MIN : summaries->fresh_cap * 2;
        summaries->fresh =
            mem_resize(summaries->fresh, summaries->fresh_cap, sizeof *summaries->fresh);
    }
    for (uint32_t i = 0; i < count; i++) {
        summaries->fresh[summaries->fresh_count++] = bits[i];
    }
}

static void word_came(void *context, struct slice word) {
    struct supernode *supernode = context;
    struct summaries *summaries = &supernode->summaries;
    uint32_t bits[SUMMARY_HASHES];
    uint64_t hash = summary_hash(word);
    uint32_t count = summary_add(summaries->own, hash, bits);
    if (supernode->neighbour_count > 0) { /* who comes later gets all of it */
        keep_fresh(summaries, bits, count);
    }
    if (summaries->next != NULL) {
        (void)summary_add(summaries->next, hash, NULL);
    } else if (summaries->own->log2_bits < SUMMARY_LOG2_MAX &&
               summary_is_full(summaries->own, SUMMARY_TIGHT_PERCENT)) {
        begin_next(supernode);
    } else {
        wake(supernode, SUMMARY_PUSH_MS);
    }
}

static void forget_fresh(struct summaries *summaries) {
    mem_free(summaries->fresh);
    summaries->fresh = NULL;
    summaries->fresh_count = 0;
    summaries->fresh_cap = 0;
}

/* Hash a slice of the index's words; true when the new filter has taken the old one's place. */
static bool build_next(struct supernode *supernode) {
    struct summaries *summaries = &supernode->summaries;
    struct slice word;
    for (uint32_t i = 0; i < SUMMARY_SLICE_WORDS; i++) {
        if (!index_word_next(supernode->index, &summaries->cursor, &word)) {
            summaries->next->words = index_count(supernode->index).words;
            mem_free(summaries->own);
            summaries->own = summaries->next;
            summaries->next = NULL;
            forget_fresh(summaries);
            log_debug(supernode->env->log, "summary.built version=%u words=%u bytes=%u",
                      summaries->own->version, summaries->own->words,
                      summary_bytes(summaries->own));
            return true;
        }
        (void)summary_add(summaries->next, summary_hash(word), NULL);
    }
    return false;
}

/* Words that are gone are worth a new filter; ours counts all that ever came. */
void summaries_rebuild(struct supernode *supernode) {
    struct summaries *summaries = &supernode->summaries;
    if (index_count(supernode->index).words < summaries->own->words) {
        begin_next(supernode);
    }
    timers_set(&supernode->timers, &summaries->rebuild,
               supernode_after_ms(supernode, SUMMARY_REBUILD_MS));
}

void summaries_init(struct supernode *supernode) {
    struct summaries *summaries = &supernode->summaries;
    summaries->own = summary_new(1, SUMMARY_LOG2_MIN);
    summaries->timer.kind = TIMER_SUMMARY;
    summaries->rebuild.kind = TIMER_REBUILD;
    index_listen(supernode->index, word_came, supernode);
}

void summaries_free(struct supernode *supernode) {
    struct summaries *summaries = &supernode->summaries;
    index_listen(supernode->index, NULL, NULL);
    mem_free(summaries->own);
    mem_free(summaries->next);
    forget_fresh(summaries);
}

/* ---- Telling ---- */

static struct summary_part head_of(const struct supernode *supernode) {
    struct index_counts counts = index_count(supernode->index);
    return (struct summary_part){.leaves = counts.leaves,
                                 .files = counts.files,
                                 .degree = (uint16_t)supernode->neighbour_count};
}

static bool takes_more(const struct neighbour *neighbour) {
    return !neighbour->link->stalled && !neighbour->link->closing;
}

/* The next chunk for a neighbour that lacks one. Return true when it lacks more. */
static bool send_chunk(struct supernode *supernode, struct neighbour *neighbour) {
    const struct summary *own = supernode->summaries.own;
    bool is_told = neighbour->told_version == own->version;
    if (is_told && neighbour->told_bytes == summary_bytes(own)) {
        return false;
    }
    if (!takes_more(neighbour)) {
        return true;
    }
    struct summary_part part = head_of(supernode);
    part.first = is_told ? neighbour->told_bytes : 0;
    struct buf payload = {0};
    summary_put_chunk(own, &part, &payload);
    neighbour->told_version = own->version;
    neighbour->told_bytes = part.first + (uint32_t)part.bytes.len;
    supernode_send(neighbour->link, MSG_SUMMARY, &payload);
    return neighbour->told_bytes < summary_bytes(own);
}

static void send_delta(struct supernode *supernode, uint32_t *bits, uint32_t count) {
    const struct summary *own = supernode->summaries.own;
    struct summary_part part = head_of(supernode);
    struct buf payload = {0};
    summary_put_delta(own, &part, bits, count, &payload);
    supernode->summaries.leaves = part.leaves;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        struct neighbour *neighbour = supernode->neighbours[i];
        if (neighbour->told_version != own->version) {
            continue;
        }
        if (takes_more(neighbour)) {
            links_send(neighbour->link, MSG_SUMMARY, (struct slice){payload.data, payload.len});
        } else {
            neighbour->told_version = 0;
        }
    }
    buf_free(&payload);
}

static void send_fresh(struct supernode *supernode) {
    struct summaries *summaries = &supernode->summaries;
    for (uint32_t at = 0; at < summaries->fresh_count; at += SUMMARY_DELTA_MAX) {
        uint32_t left = summaries->fresh_count - at;
        send_delta(supernode, summaries->fresh + at,
                   left < SUMMARY_DELTA_MAX ? left : SUMMARY_DELTA_MAX);
    }
    forget_fresh(summaries);
}

void summaries_recount(struct supernode *supernode) {
    uint32_t now = index_count(supernode->index).leaves;
    uint32_t told = supernode->summaries.leaves;
    uint32_t change = now > told ? now - told : told - now;
    if (change > told / SUMMARY_COUNT_PART) {
        send_delta(supernode, NULL, 0);
    }
}

void summaries_tell(struct supernode *supernode) {
    if (supernode->summaries.next != NULL && !build_next(supernode)) {
        wake(supernode, 0);
        return;
    }
    if (supernode->summaries.fresh_count == 0 &&
        supernode->summaries.degree != supernode->neighbour_count) {
        send_delta(supernode, NULL, 0); /* by it others know that there is more behind us */
    }
    supernode->summaries.degree = supernode->neighbour_count;
    send_fresh(supernode);
    bool more = false;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        more |= send_chunk(supernode, supernode->neighbours[i]);
    }
    if (more) {
        wake(supernode, SUMMARY_PACE_MS);
    }
}

void summaries_opened(struct supernode *supernode, struct neighbour *neighbour) {
    neighbour->opened_us = supernode->links.mono_us;
    wake(supernode, SUMMARY_PACE_MS);
    if (!timer_is_set(&supernode->summaries.rebuild)) {
        timers_set(&supernode->timers, &supernode->summaries.rebuild,
                   supernode_after_ms(supernode, SUMMARY_REBUILD_MS));
    }
}

/* ---- Hearing ---- */

void summaries_closed(struct supernode *supernode, struct neighbour *neighbour) {
    supernode->summaries.bytes -= hearsay_bytes(&neighbour->told);
    hearsay_free(&neighbour->told);
    if (!supernode->is_stopping) {
        wake(supernode, SUMMARY_PACE_MS);
    }
}

enum err summaries_take(struct supernode *supernode, struct link *link, struct slice payload) {
    struct neighbour *neighbour = link->owner;
    struct summary_part part;
    enum err err = wire_summary_decode(payload, &part);
    if (err != OK) {
        return err;
    }
    size_t others = supernode->summaries.bytes - hearsay_bytes(&neighbour->told);
    size_t room = others < SUMMARIES_BYTES_MAX ? SUMMARIES_BYTES_MAX - others : 0;
    bool was_left_out = neighbour->told.is_left_out;
    err = hearsay_take(&neighbour->told, &part, room);
    supernode->summaries.bytes = others + hearsay_bytes(&neighbour->told);
    if (neighbour->told.is_left_out && !was_left_out) {
        log_warn(supernode->env->log, "summary.left_out link=%u bytes=%zu", link->number, others);
    }
    return err;
}

/* ---- Asking ---- */

enum summary_verdict summaries_ask(const struct supernode *supernode,
                                   const struct neighbour *neighbour, const struct terms *terms) {
    const struct summary *summary = neighbour->told.whole;
    if (summary == NULL) {
        uint64_t known_us = supernode->links.mono_us - neighbour->opened_us;
        bool may_match = neighbour->told.is_left_out || known_us < SUMMARY_GRACE_MS * 1000ull;
        return may_match ? SUMMARY_MAY_MATCH : SUMMARY_UNTRUSTED;
    }
    if (summary_is_full(summary, SUMMARY_POISON_PERCENT)) {
        return SUMMARY_UNTRUSTED;
    }
    for (uint32_t i = 0; i < terms->count; i++) {
        if (!summary_has(summary, terms->hashes[i])) {
            return SUMMARY_CANNOT_MATCH;
        }
    }
    return SUMMARY_MAY_MATCH;
}
