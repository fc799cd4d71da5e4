/* vouch.c - keeps the last checkpoints, and checks certificates by them.
 *
 * A peer hears no gossip: its parents hand it each checkpoint and its members. The last ones are
 * kept in the store, so that a restart does not forget whom to believe. */
#include "peer/vouch.h"

#include <string.h>

#include "common/mem.h"
#include "common/trust.h"
#include "peer/duty.h"
#include "peer/state.h"

static const struct {
    uint8_t type;
    const char *key; /* in the store */
} kept[] = {{MSG_CHECKPOINT, "duty.checkpoint"}, {MSG_MEMBERS, "duty.members"}};

static struct slice text_key(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

/* What the last run had heard. */
static void load(const struct peer *peer) {
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        struct slice value;
        struct trust_record *added = NULL;
        if (store_get(peer->env->store, STORE_META, text_key(kept[i].key), &value) &&
            trust_take(peer->vouch, kept[i].type, value, &added) != OK) {
            log_debug(peer->env->log, "vouch.outdated type=%u", kept[i].type);
        }
    }
}

static struct trust *vouch(struct peer *peer) {
    bool is_new = peer->vouch == NULL;
    if (is_new) {
        struct trust_env env = {peer->env->network, peer->env->crypto, peer->env->log,
                                peer->env->seed ^ 0x766f756368};
        peer->vouch = mem_new(sizeof *peer->vouch);
        trust_init(peer->vouch, &env);
    }
    uint64_t wall_s = peer->links.wall_s > 0 ? (uint64_t)peer->links.wall_s : 0;
    uint32_t epoch_s = peer->env->network->epoch_s > 0 ? peer->env->network->epoch_s : 1;
    trust_advance(peer->vouch, (uint32_t)(wall_s / epoch_s));
    if (is_new) {
        load(peer);
    }
    return peer->vouch;
}

/* A parent's word for what an anchor signed: only what is no record at all, or forged, ends the
 * link. */
static enum err take(struct peer *peer, size_t row, struct slice payload) {
    struct trust_record *added = NULL;
    if (peer->duty == NULL || !peer->duty->consents) {
        return OK; /* it has just withdrawn */
    }
    enum err err = trust_take(vouch(peer), kept[row].type, payload, &added);
    if (err == OK && added != NULL && added->type == kept[row].type) {
        store_put(peer->env->store, STORE_META, text_key(kept[row].key), payload);
    }
    return err == ERR_POLICY || err == ERR_NOT_FOUND || err == ERR_BUSY ? OK : err;
}

enum err vouch_take_checkpoint(struct peer *peer, struct link *link, struct slice payload) {
    (void)link;
    return take(peer, 0, payload);
}

enum err vouch_take_members(struct peer *peer, struct link *link, struct slice payload) {
    (void)link;
    return take(peer, 1, payload);
}

enum err vouch_certificate(struct peer *peer, const struct node_id *id, struct slice cert) {
    uint32_t until_epoch;
    return trust_certified(vouch(peer), id, cert, &until_epoch);
}

bool vouch_may_measure(struct peer *peer, const struct node_id *id, struct slice cert) {
    if (vouch_certificate(peer, id, cert) == OK) {
        return true;
    }
    const struct trust_checkpoint *latest = peer->vouch->latest;
    return latest != NULL && latest->members != NULL && !trust_is_fraud(peer->vouch, id) &&
           trust_place(latest->members, latest->checkpoint.members, id) >= 0;
}

void vouch_free(struct peer *peer) {
    if (peer->vouch != NULL) {
        trust_free(peer->vouch);
        mem_free(peer->vouch);
    }
}
