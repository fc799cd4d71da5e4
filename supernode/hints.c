/* hints.c - keeps what leaves' receipts suggest: which candidates have done something for others.
 *
 * Receipts can be forged by whoever has keys, and bought. So they count for little: a receipt is
 * taken from the leaf that issued it, for a candidate that we know, once for each address of a
 * leaf and no more than HINT_HOSTS_MAX times; it betters a lot in one draw (measure.c) and is
 * forgotten. */
#include "supernode/hints.h"

#include <string.h>

#include "common/mem.h"
#include "common/wire_receipt.h"

struct hint {
    struct node_id subject;
    uint32_t epoch; /* of the last receipt */
    uint8_t hosts;
    struct address from[HINT_HOSTS_MAX]; /* leaves that issued one, port 0 */
    struct node_id by[HINT_HOSTS_MAX];
};

void hints_init(struct supernode *supernode) {
    map_init(&supernode->hints, sizeof(struct node_id), supernode->env->seed ^ 0x68696e7473);
}

void hints_free(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct hint *hint; (hint = map_next(&supernode->hints, &cursor, NULL)) != NULL;) {
        mem_free(hint);
    }
    map_free(&supernode->hints);
}

void hints_sweep(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct hint *hint; (hint = map_next(&supernode->hints, &cursor, NULL)) != NULL;) {
        if (hint->epoch + 1 < supernode->trust.now_epoch) {
            map_remove(&supernode->hints, hint->subject.b);
            mem_free(hint);
        }
    }
}

uint8_t hints_for(const struct supernode *supernode, const struct node_id *subject) {
    const struct hint *hint = map_get(&supernode->hints, subject->b);
    return hint != NULL ? hint->hosts : 0;
}

/* A transfer speaks for the peer that gave it, service for the supernode itself. */
static const struct trust_candidate *candidate_of(const struct supernode *supernode,
                                                  const struct receipt *receipt) {
    if (receipt->kind == RECEIPT_SERVICE) {
        return map_get(&supernode->trust.candidates, receipt->subject.b);
    }
    uint32_t cursor = 0;
    for (const struct trust_candidate *candidate;
         (candidate = map_next(&supernode->trust.candidates, &cursor, NULL)) != NULL;) {
        if (node_id_equal(&candidate->owner, &receipt->subject)) {
            return candidate;
        }
    }
    return NULL;
}

static struct address host_of(const struct link *link) {
    struct address host = link->remote;
    host.port = 0;
    return host;
}

/* Whether this leaf, or another one at its address, has spoken for it already. */
static bool is_heard(const struct hint *hint, const struct link *link) {
    struct address host = host_of(link);
    bool is_known = false;
    for (uint8_t i = 0; i < hint->hosts; i++) {
        is_known = is_known || address_equal(&hint->from[i], &host) ||
                   node_id_equal(&hint->by[i], &link->id);
    }
    return is_known;
}

static uint32_t spoken_for(const struct supernode *supernode, const struct link *link) {
    uint32_t count = 0;
    uint32_t cursor = 0;
    for (const struct hint *hint; (hint = map_next(&supernode->hints, &cursor, NULL)) != NULL;) {
        count += is_heard(hint, link);
    }
    return count;
}

/* Everything but the signature. */
static bool is_wanted(const struct supernode *supernode, const struct link *link,
                      const struct receipt *receipt) {
    uint32_t now = supernode->trust.now_epoch;
    const struct trust_candidate *candidate = candidate_of(supernode, receipt);
    const struct hint *hint =
        candidate != NULL ? map_get(&supernode->hints, candidate->subject.b) : NULL;
    bool has_room = hint != NULL ? hint->hosts < HINT_HOSTS_MAX && !is_heard(hint, link)
                                 : supernode->hints.count < HINTS_MAX;
    return candidate != NULL && (receipt->epoch == now || receipt->epoch + 1 == now) &&
           !node_id_equal(&candidate->owner, &receipt->issuer) && has_room &&
           spoken_for(supernode, link) < RECEIPTS_LEAF_MAX;
}

static void keep(struct supernode *supernode, const struct link *link,
                 const struct receipt *receipt) {
    const struct node_id *subject = &candidate_of(supernode, receipt)->subject;
    struct hint *hint = map_get(&supernode->hints, subject->b);
    if (hint == NULL) {
        hint = mem_new(sizeof *hint);
        hint->subject = *subject;
        map_put(&supernode->hints, hint->subject.b, hint);
    }
    hint->epoch = receipt->epoch > hint->epoch ? receipt->epoch : hint->epoch;
    hint->by[hint->hosts] = receipt->issuer;
    hint->from[hint->hosts++] = host_of(link);
}

enum err hints_take(struct supernode *supernode, struct link *link, struct slice payload) {
    struct leaf *leaf = link->owner;
    struct receipt receipt;
    const struct signer_env env = {supernode->env->crypto, &supernode->env->network->id};
    enum err err = wire_receipt_decode(payload, &receipt);
    if (err != OK || !election_is_on(supernode)) {
        return err;
    }
    if (!node_id_equal(&receipt.issuer, &link->id)) {
        return ERR_AUTH;
    }
    if (!ratelimit_take(&leaf->receipts, RECEIPTS_MILLI_PER_S, RECEIPTS_BURST, 1,
                        supernode->links.mono_us) ||
        !is_wanted(supernode, link, &receipt)) {
        supernode->counts.receipts_ignored++;
        return OK;
    }
    err = wire_receipt_check(&receipt, &env);
    if (err != OK) {
        log_info(supernode->env->log, "hints.forged link=%u", link->number);
        return supernode_misdeed(link);
    }
    keep(supernode, link, &receipt);
    supernode->counts.receipts++;
    log_debug(supernode->env->log, "hints.taken link=%u kind=%u", link->number, receipt.kind);
    return OK;
}
