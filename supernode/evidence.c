/* evidence.c - the records of promotion pass from supernode to supernode by difference: each tells
 * its neighbours which it has (TRUST_HAVE), is asked for those that are missing (TRUST_WANT), and
 * sends them, paced.
 *
 * A record that cannot be judged yet, since its checkpoint or its issuer's certificate is still on
 * its way, waits for the next one that may tell. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "supernode/core.h"
#include "supernode/election.h"

#define TELL_MS 100                  /* new records are told together */
#define SEND_BYTES 65536             /* to one neighbour in that time */
#define TRUST_LISTS_MILLI_PER_S 5000 /* of one neighbour */
#define TRUST_LISTS_BURST 100
#define PENDING_MAX 512 /* records that wait to be judged */
#define PREFIX_BYTES 8

/* A record that came too early. */
struct pending {
    uint8_t type;
    uint32_t len;
    uint8_t *bytes;
};

struct evidence {
    struct timer timer;
    struct pending pending[PENDING_MAX]; /* a ring: the oldest gives way */
    uint32_t pending_at;
    uint32_t pending_bytes;
    bool is_judging; /* what waited */
    bool is_loading;
};

/* ---- Lists of prefixes ---- */

static int compare_prefixes(const void *a, const void *b) {
    return memcmp(a, b, PREFIX_BYTES);
}

/* Sort, drop what stands twice, send in as many messages as it takes, and forget. */
static void send_list(struct link *link, uint8_t type, struct buf *prefixes) {
    uint32_t count = (uint32_t)(prefixes->len / PREFIX_BYTES);
    if (count > 0) {
        qsort(prefixes->data, count, PREFIX_BYTES, compare_prefixes);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = prefixes->data + (size_t)i * PREFIX_BYTES;
        if (kept == 0 || memcmp(at - PREFIX_BYTES, at, PREFIX_BYTES) != 0) {
            memmove(prefixes->data + (size_t)kept++ * PREFIX_BYTES, at, PREFIX_BYTES);
        }
    }
    for (uint32_t at = 0; at < kept; at += TRUST_LIST_MAX) {
        uint32_t left = kept - at;
        struct trust_list list = {.count =
                                      (uint16_t)(left < TRUST_LIST_MAX ? left : TRUST_LIST_MAX)};
        list.prefixes = (struct slice){prefixes->data + (size_t)at * PREFIX_BYTES,
                                       (size_t)list.count * PREFIX_BYTES};
        struct buf payload = {0};
        wire_trust_list_encode(&payload, &list);
        supernode_send(link, type, &payload);
    }
    buf_free(prefixes);
}

static void soon(struct supernode *supernode) {
    struct timer *timer = &supernode->evidence->timer;
    if (!timer_is_set(timer)) {
        timers_set(&supernode->timers, timer, supernode_after_ms(supernode, TELL_MS));
    }
}

void evidence_tell_all(struct supernode *supernode, struct neighbour *neighbour) {
    uint32_t cursor = 0;
    for (const struct trust_record *record;
         (record = map_next(&supernode->trust.records, &cursor, NULL)) != NULL;) {
        buf_u64(&neighbour->to_tell, record->prefix);
    }
    if (neighbour->to_tell.len > 0) {
        soon(supernode);
    }
}

void evidence_closed(struct neighbour *neighbour) {
    buf_free(&neighbour->to_tell);
    buf_free(&neighbour->to_send);
}

/* Tell everybody but whoever brought it. */
static void announce(struct supernode *supernode, const struct trust_record *record,
                     const struct link *from) {
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        bool is_mesh = link->purpose == PURPOSE_MESH && link->open && !link->closing;
        if (is_mesh && link != from && link->owner != NULL) {
            buf_u64(&((struct neighbour *)link->owner)->to_tell, record->prefix);
        }
    }
    soon(supernode);
}

/* ---- What waits to be sent ---- */

/* Send what is wanted, as long as it may be; false when more is left. */
static bool send_wanted(struct supernode *supernode, struct neighbour *neighbour) {
    size_t sent = 0;
    size_t at = 0;
    while (at < neighbour->to_send.len && sent < SEND_BYTES && !neighbour->link->stalled) {
        struct reader reader = reader_of(neighbour->to_send.data + at, PREFIX_BYTES);
        const struct trust_record *record = trust_find(&supernode->trust, reader_u64(&reader));
        if (record != NULL) {
            links_send(neighbour->link, record->type, (struct slice){record->bytes, record->len});
            sent += record->len;
        }
        at += PREFIX_BYTES;
    }
    buf_consume(&neighbour->to_send, at);
    if (neighbour->to_send.len == 0) {
        buf_free(&neighbour->to_send);
    }
    return neighbour->to_send.len == 0;
}

void evidence_timer(struct supernode *supernode) {
    bool is_done = true;
    bool has_put_in_order = false; /* a long list: that is enough for one step */
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        if (link->purpose == PURPOSE_MESH && link->open && !link->closing && link->owner != NULL) {
            struct neighbour *neighbour = link->owner;
            bool is_long = neighbour->to_tell.len > TRUST_LIST_MAX * PREFIX_BYTES;
            if (!is_long || !has_put_in_order) {
                send_list(link, MSG_TRUST_HAVE, &neighbour->to_tell);
            }
            is_done = is_done && neighbour->to_tell.len == 0;
            has_put_in_order = has_put_in_order || is_long;
            is_done = send_wanted(supernode, neighbour) && is_done;
        }
    }
    is_done = election_recheck(supernode) && is_done;
    if (!is_done) {
        soon(supernode);
    }
}

/* ---- What comes ---- */

static bool may_list(struct supernode *supernode, struct neighbour *neighbour) {
    return election_is_on(supernode) &&
           ratelimit_take(&neighbour->lists, TRUST_LISTS_MILLI_PER_S, TRUST_LISTS_BURST, 1,
                          supernode->links.mono_us);
}

enum err evidence_take_have(struct supernode *supernode, struct link *link, struct slice payload) {
    struct neighbour *neighbour = link->owner;
    struct trust_list list;
    enum err err = wire_trust_list_decode(payload, &list);
    if (err != OK || !may_list(supernode, neighbour)) {
        return err;
    }
    struct buf missing = {0};
    struct reader reader = reader_of(list.prefixes.data, list.prefixes.len);
    for (uint16_t i = 0; i < list.count; i++) {
        uint64_t prefix = reader_u64(&reader);
        if (trust_find(&supernode->trust, prefix) == NULL) {
            buf_u64(&missing, prefix);
            neighbour->wanted += neighbour->wanted < TRUST_WANTED_MAX;
        }
    }
    send_list(link, MSG_TRUST_WANT, &missing);
    return OK;
}

enum err evidence_take_want(struct supernode *supernode, struct link *link, struct slice payload) {
    struct neighbour *neighbour = link->owner;
    struct trust_list list;
    enum err err = wire_trust_list_decode(payload, &list);
    if (err != OK || !may_list(supernode, neighbour)) {
        return err;
    }
    if (neighbour->to_send.len > TRUST_LIST_MAX * 8 * PREFIX_BYTES) {
        return OK; /* it asks faster than it reads; its next look at our list asks again */
    }
    uint8_t last = trust_rank(0); /* of all: what condemns a candidate, who must be known */
    for (uint8_t rank = 0; rank <= last; rank++) {
        struct reader reader = reader_of(list.prefixes.data, list.prefixes.len);
        for (uint16_t i = 0; i < list.count; i++) {
            uint64_t prefix = reader_u64(&reader);
            const struct trust_record *record = trust_find(&supernode->trust, prefix);
            if (record != NULL && (record->is_passing ? last : trust_rank(record->type)) == rank) {
                buf_u64(&neighbour->to_send, prefix);
            }
        }
    }
    soon(supernode);
    return OK;
}

/* ---- Records ---- */

static void drop_pending(struct evidence *evidence, struct pending *pending) {
    evidence->pending_bytes -= pending->len;
    mem_free(pending->bytes);
    *pending = (struct pending){0};
}

static bool is_pending(const struct evidence *evidence, struct slice bytes) {
    bool is_known = false;
    for (uint32_t i = 0; i < PENDING_MAX && !is_known; i++) {
        const struct pending *pending = &evidence->pending[i];
        is_known = pending->bytes != NULL && pending->len == bytes.len &&
                   memcmp(pending->bytes, bytes.data, bytes.len) == 0;
    }
    return is_known;
}

static void keep_pending(struct evidence *evidence, uint8_t type, struct slice bytes) {
    if (is_pending(evidence, bytes)) {
        return;
    }
    drop_pending(evidence, &evidence->pending[evidence->pending_at]);
    for (uint32_t i = 0; evidence->pending_bytes + bytes.len > TRUST_PENDING_BYTES; i++) {
        drop_pending(evidence, &evidence->pending[(evidence->pending_at + i) % PENDING_MAX]);
    }
    evidence->pending[evidence->pending_at] =
        (struct pending){type, (uint32_t)bytes.len, mem_copy(bytes.data, bytes.len)};
    evidence->pending_bytes += (uint32_t)bytes.len;
    evidence->pending_at = (evidence->pending_at + 1) % PENDING_MAX;
}

static enum err take(struct supernode *supernode, uint8_t type, struct slice bytes,
                     const struct link *from);

/* Something came that others may have waited for. */
static void judge_pending(struct supernode *supernode) {
    struct evidence *evidence = supernode->evidence;
    if (evidence->is_judging || evidence->pending_bytes == 0) {
        return;
    }
    evidence->is_judging = true;
    bool is_new = true;
    while (is_new) {
        is_new = false;
        for (uint32_t i = 0; i < PENDING_MAX; i++) {
            struct pending pending = evidence->pending[i];
            if (pending.bytes == NULL) {
                continue;
            }
            uint32_t before = supernode->trust.records.count;
            enum err err =
                take(supernode, pending.type, (struct slice){pending.bytes, pending.len}, NULL);
            if (err != ERR_NOT_FOUND) {
                drop_pending(evidence, &evidence->pending[i]);
            }
            is_new = is_new || supernode->trust.records.count > before;
        }
    }
    evidence->is_judging = false;
}

/* ---- What is kept over a restart: all but candidacies, which come anew in every epoch, and what
 * hangs on them ---- */

#define STORE_KEY_BYTES (1 + PREFIX_BYTES)

static void store_key(uint8_t key[STORE_KEY_BYTES], const struct trust_record *record) {
    key[0] = trust_rank(record->type);
    for (int i = 0; i < PREFIX_BYTES; i++) {
        key[1 + i] = (uint8_t)(record->prefix >> (56 - 8 * i));
    }
}

static void keep(struct supernode *supernode, const struct trust_record *record) {
    uint8_t key[STORE_KEY_BYTES];
    if (record->type != MSG_CANDIDACY && !record->is_passing && !supernode->evidence->is_loading) {
        store_key(key, record);
        store_put(supernode->env->store, STORE_TRUST, (struct slice){key, sizeof key},
                  (struct slice){record->bytes, record->len});
    }
}

void evidence_sweep(struct supernode *supernode) {
    struct slice key, value;
    uint8_t after[STORE_KEY_MAX];
    size_t len = 0;
    while (
        store_next(supernode->env->store, STORE_TRUST, (struct slice){after, len}, &key, &value)) {
        struct reader reader = reader_of(key.data + 1, key.len - 1);
        len = key.len;
        memcpy(after, key.data, len);
        if (trust_find(&supernode->trust, reader_u64(&reader)) == NULL) {
            store_remove(supernode->env->store, STORE_TRUST, (struct slice){after, len});
        }
    }
}

/* In the order of their ranks: what judges others comes first. */
void evidence_load(struct supernode *supernode) {
    struct slice key, value;
    uint8_t after[STORE_KEY_MAX];
    size_t len = 0;
    uint32_t taken = 0;
    supernode->evidence->is_loading = supernode->trust.is_loading = true;
    while (
        store_next(supernode->env->store, STORE_TRUST, (struct slice){after, len}, &key, &value)) {
        len = key.len;
        memcpy(after, key.data, len);
        uint8_t type = trust_type(key.data[0]);
        taken += type != 0 && evidence_add(supernode, type, value) == OK;
    }
    supernode->evidence->is_loading = supernode->trust.is_loading = false;
    log_info(supernode->env->log, "trust.loaded records=%u", taken);
}

/* Take a record, tell the others; ERR_NOT_FOUND when it cannot be judged yet. */
static enum err take(struct supernode *supernode, uint8_t type, struct slice bytes,
                     const struct link *from) {
    struct trust_record *added;
    enum err err = trust_take(&supernode->trust, type, bytes, &added);
    if (added != NULL) {
        keep(supernode, added);
        announce(supernode, added, from);
        election_noted(supernode, added);
        if (added->type == MSG_CHECKPOINT || added->type == MSG_MEMBERS) {
            judge_pending(supernode); /* the others make nothing else judgeable */
        }
    }
    return err;
}

enum err evidence_add(struct supernode *supernode, uint8_t type, struct slice bytes) {
    return take(supernode, type, bytes, NULL);
}

/* What a record may cost, in signatures to be checked. */
static uint64_t cost_of(uint8_t type) {
    return type == MSG_CANDIDACY ? 4 : type == MSG_FRAUD ? 2 : 1;
}

static enum err take_record(struct supernode *supernode, struct link *link, uint8_t type,
                            struct slice payload) {
    struct neighbour *neighbour = link->owner;
    if (!election_is_on(supernode) || neighbour->wanted == 0 ||
        !ratelimit_take(&neighbour->records, TRUST_RECORDS_PER_S * 1000ull, TRUST_RECORDS_BURST,
                        cost_of(type), supernode->links.mono_us)) {
        return OK; /* it costs no signature; what is missed is told again */
    }
    neighbour->wanted--;
    enum err err = take(supernode, type, payload, link);
    switch (err) {
    case ERR_NOT_FOUND:
        keep_pending(supernode->evidence, type, payload);
        return OK;
    case ERR_POLICY:
    case ERR_BUSY:
        log_debug(supernode->env->log, "trust.refused type=%u link=%u error=%s", type, link->number,
                  err_name(err));
        return OK;
    case ERR_AUTH:
        log_info(supernode->env->log, "trust.forged type=%u link=%u", type, link->number);
        return supernode_misdeed(link);
    default:
        return err;
    }
}

#define TAKER(name, type)                                                                          \
    enum err evidence_take_##name(struct supernode *supernode, struct link *link,                  \
                                  struct slice payload) {                                          \
        return take_record(supernode, link, type, payload);                                        \
    }
TAKER(row, MSG_ROW)
TAKER(checkpoint, MSG_CHECKPOINT)
TAKER(members, MSG_MEMBERS)
TAKER(cert, MSG_CERT)
TAKER(fraud, MSG_FRAUD)

/* Candidacies of our own leaves, and those that neighbours pass on. */
enum err evidence_take_candidacy(struct supernode *supernode, struct link *link,
                                 struct slice payload) {
    if (link->purpose == PURPOSE_LEAF) {
        return election_take_candidacy(supernode, link, payload);
    }
    return take_record(supernode, link, MSG_CANDIDACY, payload);
}

void evidence_init(struct supernode *supernode) {
    supernode->evidence = mem_new(sizeof *supernode->evidence);
    supernode->evidence->timer.kind = TIMER_EVIDENCE;
    struct trust_env env = {supernode->env->network, supernode->env->crypto, supernode->env->log,
                            supernode->env->seed ^ 0x7472757374};
    trust_init(&supernode->trust, &env);
}

void evidence_free(struct supernode *supernode) {
    for (uint32_t i = 0; i < PENDING_MAX; i++) {
        mem_free(supernode->evidence->pending[i].bytes);
    }
    timers_cancel(&supernode->timers, &supernode->evidence->timer);
    mem_free(supernode->evidence);
    trust_free(&supernode->trust);
}
