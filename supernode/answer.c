/* answer.c - turns what the index found into HITS messages that fit their limits. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"
#include "supernode/ladder.h"

/* Bytes of HITS beside holders and hits: id, ttl, flags, coverage, the two counts, a record. */
#define HITS_FIXED_BYTES (16 + 1 + 1 + COVERAGE_BYTES_MAX + 2 + ADDRESS_RECORD_BYTES_MAX + 2)
#define HOLDER_FIXED_BYTES (2 + 1 + 1 + 2 + 4)
#define HIT_FIXED_BYTES (CONTENT_KEY_BYTES + 1 + 2 + 1)

/* One message being filled. */
struct filling {
    struct hits hits;
    const struct leaf *holders[HITS_HOLDERS_MAX];
    size_t bytes;
};

static size_t holder_bytes(const struct leaf *leaf) {
    size_t named = leaf->record.len > 0 ? leaf->record.len : sizeof leaf->id.b;
    return HOLDER_FIXED_BYTES + named;
}

static size_t hit_bytes(const struct index_found *found) {
    return HIT_FIXED_BYTES + found->file.name.len + found->file.meta.len + found->holder_count;
}

/* The place of a leaf in the message's table, or its number of holders when it is not there. */
static uint8_t find_holder(const struct filling *filling, const struct leaf *leaf) {
    uint8_t i = 0;
    while (i < filling->hits.holder_count && filling->holders[i] != leaf) {
        i++;
    }
    return i;
}

static bool fits(const struct filling *filling, const struct index_found *found) {
    size_t bytes = filling->bytes + hit_bytes(found);
    uint32_t holders = filling->hits.holder_count;
    for (uint32_t i = 0; i < found->holder_count; i++) {
        const struct leaf *leaf = found->holders[i];
        if (find_holder(filling, leaf) == filling->hits.holder_count) {
            bytes += holder_bytes(leaf);
            holders++;
        }
    }
    return filling->hits.hit_count < HITS_RECORDS_MAX && holders <= HITS_HOLDERS_MAX &&
           bytes <= FRAME_PAYLOAD_MAX;
}

/* What is known of a leaf that is here; the list of one that is gone may be shown for a while. */
static struct holder holder_of(const struct leaf *leaf) {
    struct holder holder = {.id = leaf->id,
                            .address_record = {leaf->record.data, leaf->record.len},
                            .speed_kib = leaf->speed_kib};
    if (leaf->reach == REACH_PROVEN) {
        holder.flags |= HOLDER_REACHABLE;
    }
    if (leaf->link != NULL && leaf->is_load_known) {
        holder.flags |= HOLDER_LOAD_KNOWN;
        holder.free_slots = leaf->free_slots;
        holder.queue = leaf->queue;
    }
    return holder;
}

static uint8_t intern_holder(struct filling *filling, const struct leaf *leaf) {
    struct hits *hits = &filling->hits;
    uint8_t place = find_holder(filling, leaf);
    if (place == hits->holder_count) {
        filling->holders[place] = leaf;
        filling->bytes += holder_bytes(leaf);
        hits->holders[place] = holder_of(leaf);
        hits->holder_count++;
    }
    return place;
}

/* Keep the places rising, as the wire wants them. */
static void add_place(struct hit *hit, uint8_t place) {
    uint8_t at = hit->holder_count++;
    while (at > 0 && hit->holders[at - 1] > place) {
        hit->holders[at] = hit->holders[at - 1];
        at--;
    }
    hit->holders[at] = place;
}

static void add_hit(struct filling *filling, const struct index_found *found) {
    struct hit *hit = &filling->hits.hits[filling->hits.hit_count++];
    *hit = (struct hit){.file = found->file};
    filling->bytes += hit_bytes(found);
    for (uint32_t i = 0; i < found->holder_count; i++) {
        add_place(hit, intern_holder(filling, found->holders[i]));
    }
}

static void send_hits(struct filling *filling, struct link *link) {
    struct buf payload = {0};
    wire_hits_encode(&payload, &filling->hits);
    CHECK(payload.len <= FRAME_PAYLOAD_MAX);
    supernode_send(link, MSG_HITS, &payload);
    filling->hits.holder_count = 0;
    filling->hits.hit_count = 0;
    filling->bytes = HITS_FIXED_BYTES;
}

bool answer_send(struct supernode *supernode, const struct reply *reply,
                 const struct index_answer *answer, const struct coverage *coverage) {
    if (answer->count == 0) {
        return false;
    }
    struct filling *filling = mem_new(sizeof *filling);
    filling->hits.id = reply->id;
    filling->hits.ttl = reply->ttl;
    filling->hits.answerer = links_own_record(&supernode->links, reply->link);
    filling->bytes = HITS_FIXED_BYTES;
    for (uint32_t i = 0; i < answer->count; i++) {
        if (!fits(filling, &answer->found[i])) {
            send_hits(filling, reply->link);
        }
        add_hit(filling, &answer->found[i]);
    }
    if (coverage != NULL) {
        filling->hits.last = true;
        filling->hits.coverage = *coverage;
        if (reply->link->purpose == PURPOSE_LEAF) {
            ladder_tell_reach(supernode, NULL, &filling->hits.coverage);
        }
    }
    send_hits(filling, reply->link);
    supernode->counts.hits += answer->count;
    mem_free(filling);
    return true;
}
