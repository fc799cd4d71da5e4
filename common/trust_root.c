/* trust_root.c - the roots by which an anchor fixes members and evidence. */
#include <stdlib.h>
#include <string.h>

#include "common/list_root.h"
#include "common/mem.h"
#include "common/trust.h"

void trust_set_root(const struct trust *trust, const struct node_id *keys, uint32_t count,
                    struct hash *root) {
    struct hash *hashes = mem_array(count + 1, sizeof *hashes);
    for (uint32_t i = 0; i < count; i++) {
        crypto_hash(trust->env.crypto, (struct slice){keys[i].b, sizeof keys[i].b}, &hashes[i]);
    }
    (void)wire_list_root(trust->env.crypto, hashes, count, root); /* keys rise: none twice */
    mem_free(hashes);
}

bool trust_row_counts(const struct trust *trust, const struct node_id *issuer, uint32_t epoch) {
    const struct trust_checkpoint *known = trust_checkpoint_at(trust, epoch);
    return known == NULL || known->members == NULL ||
           network_is_anchor(trust->env.network, issuer) ||
           trust_place(known->members, known->checkpoint.members, issuer) >= 0;
}

/* ---- Evidence ---- */

static int compare_issuers(const void *a, const void *b) {
    const struct trust_issuer *const *first = a, *const *second = b;
    return memcmp((*first)->id.b, (*second)->id.b, sizeof(struct node_id));
}

/* By id, as the members of checkpoints are: both are then walked side by side. */
static const struct trust_issuer **sort_issuers(const struct trust *trust) {
    const struct trust_issuer **sorted = mem_array(trust->issuers.count + 1, sizeof *sorted);
    uint32_t count = 0;
    uint32_t cursor = 0;
    for (const struct trust_issuer *issuer;
         (issuer = map_next(&trust->issuers, &cursor, NULL)) != NULL;) {
        sorted[count++] = issuer;
    }
    qsort(sorted, count, sizeof *sorted, compare_issuers);
    return sorted;
}

/* Whose rows of one epoch count beside the anchors'; keys NULL = everybody's. */
struct named {
    const struct node_id *keys;
    uint32_t count;
};

static void add_rows(const struct trust *trust, const struct trust_issuer *const *sorted,
                     uint32_t epoch, const struct named *named, struct list_root *list) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < trust->issuers.count; i++) {
        const struct node_id *id = &sorted[i]->id;
        const struct trust_record *row = sorted[i]->rows[epoch % TRUST_EPOCHS];
        if (row == NULL || row->epoch != epoch) {
            continue;
        }
        while (at < named->count && memcmp(named->keys[at].b, id->b, sizeof id->b) < 0) {
            at++;
        }
        bool is_named = at < named->count && node_id_equal(&named->keys[at], id);
        if (is_named || named->keys == NULL || network_is_anchor(trust->env.network, id)) {
            list_root_add(list, &row->hash);
        }
    }
}

void trust_evidence(const struct trust *trust, uint32_t epoch, const struct node_id *keys,
                    uint32_t members, struct list_root *list) {
    const struct trust_issuer **sorted = sort_issuers(trust);
    for (uint32_t ago = 0; ago < TRUST_EPOCHS && ago <= epoch; ago++) {
        const struct trust_checkpoint *known = trust_checkpoint_at(trust, epoch - ago);
        struct named named = {keys, members};
        if (ago > 0 || keys == NULL) {
            named.keys = known != NULL ? known->members : NULL;
            named.count = named.keys != NULL ? known->checkpoint.members : 0;
        }
        add_rows(trust, sorted, epoch - ago, &named, list);
    }
    mem_free(sorted);
    uint32_t cursor = 0;
    for (const struct trust_candidate *candidate;
         (candidate = map_next(&trust->candidates, &cursor, NULL)) != NULL;) {
        const struct trust_record *record = candidate->record;
        if (record->epoch <= epoch && record->epoch + 1 >= epoch &&
            !trust_is_fraud(trust, &candidate->subject)) {
            list_root_add(list, &record->hash);
        }
    }
}

void trust_candidate_root(const struct trust *trust, uint32_t epoch, const struct node_id *keys,
                          uint32_t members, struct hash *root) {
    struct list_root list = {0};
    trust_evidence(trust, epoch, keys, members, &list);
    (void)list_root_take(&list, trust->env.crypto, UINT32_MAX);
    (void)list_root_set(&list, trust->env.crypto, root);
    list_root_free(&list);
}
