/* vouch.c - keeps the last checkpoints, and checks certificates by them. */
#include "peer/vouch.h"

#include "common/mem.h"
#include "common/trust.h"
#include "peer/duty.h"
#include "peer/state.h"

static struct trust *vouch(struct peer *peer) {
    if (peer->vouch == NULL) {
        struct trust_env env = {peer->env->network, peer->env->crypto, peer->env->log,
                                peer->env->seed ^ 0x766f756368};
        peer->vouch = mem_new(sizeof *peer->vouch);
        trust_init(peer->vouch, &env);
    }
    uint64_t wall_s = peer->links.wall_s > 0 ? (uint64_t)peer->links.wall_s : 0;
    trust_advance(peer->vouch, (uint32_t)(wall_s / peer->env->network->epoch_s));
    return peer->vouch;
}

/* A parent's word for what an anchor signed: only what is no record at all ends the link. */
static enum err take(struct peer *peer, uint8_t type, struct slice payload) {
    struct trust_record *added;
    if (peer->duty == NULL || !peer->duty->consents) {
        return OK;
    }
    enum err err = trust_take(vouch(peer), type, payload, &added);
    return err == ERR_POLICY || err == ERR_NOT_FOUND || err == ERR_BUSY ? OK : err;
}

enum err vouch_take_checkpoint(struct peer *peer, struct link *link, struct slice payload) {
    (void)link;
    return take(peer, MSG_CHECKPOINT, payload);
}

enum err vouch_take_members(struct peer *peer, struct link *link, struct slice payload) {
    (void)link;
    return take(peer, MSG_MEMBERS, payload);
}

bool vouch_certified(struct peer *peer, const struct node_id *id, struct slice cert,
                     int64_t *until_s) {
    uint32_t until_epoch;
    enum err err = trust_certified(vouch(peer), id, cert, &until_epoch);
    *until_s =
        until_epoch == UINT32_MAX ? INT64_MAX : (int64_t)until_epoch * peer->env->network->epoch_s;
    return err == OK;
}

void vouch_free(struct peer *peer) {
    if (peer->vouch != NULL) {
        trust_free(peer->vouch);
        mem_free(peer->vouch);
    }
}
