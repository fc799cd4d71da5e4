/* judge.c - what a candidate knows of the network's supernodes.
 *
 * A peer hears no gossip. Its parents hand it each checkpoint and its members; the last ones are
 * kept in the store, so that a restart does not forget whom to believe. */
#include "peer/judge.h"

#include <string.h>

#include "common/mem.h"
#include "common/trust.h"
#include "peer/duty.h"
#include "peer/state.h"

#define CHECKPOINT_KEY "duty.checkpoint"
#define MEMBERS_KEY "duty.members"

static struct slice text_key(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

struct judge {
    struct trust trust;
    bool is_briefed; /* with what is remembered */
};

static struct trust *trust_now(struct peer *peer) {
    struct trust *trust = &peer->duty->judge->trust;
    uint32_t epoch_s = network_epoch_s(peer->env->network);
    if (peer->links.wall_s > 0) {
        uint32_t epoch = (uint32_t)(peer->links.wall_s / epoch_s);
        trust_set_back(trust, epoch);
        trust_advance(trust, epoch);
    }
    return trust;
}

void judge_init(struct peer *peer) {
    const struct trust_env env = {.network = peer->env->network,
                                  .crypto = peer->env->crypto,
                                  .log = peer->env->log,
                                  .seed = peer->env->seed};
    peer->duty->judge = mem_new(sizeof *peer->duty->judge);
    trust_init(&peer->duty->judge->trust, &env);
}

void judge_free(struct peer *peer) {
    trust_free(&peer->duty->judge->trust);
    mem_free(peer->duty->judge);
}

/* Those of the last run, as soon as there is a clock to hold them against. */
static void load(struct peer *peer, struct trust *trust) {
    static const struct {
        uint8_t type;
        const char *key;
    } rows[] = {{MSG_CHECKPOINT, CHECKPOINT_KEY}, {MSG_MEMBERS, MEMBERS_KEY}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice value;
        struct trust_record *added = NULL;
        if (store_get(peer->env->store, STORE_META, text_key(rows[i].key), &value) &&
            trust_take(trust, rows[i].type, value, &added) != OK) {
            log_debug(peer->env->log, "judge.outdated type=%u", rows[i].type);
        }
    }
    peer->duty->judge->is_briefed = true;
}

static struct trust *trust_of(struct peer *peer) {
    struct trust *trust = trust_now(peer);
    if (!peer->duty->judge->is_briefed) {
        load(peer, trust);
    }
    return trust;
}

static enum err take(struct peer *peer, uint8_t type, const char *key, struct slice payload) {
    struct trust_record *added = NULL;
    if (peer->duty == NULL || !peer->duty->consents) {
        return OK; /* it has just withdrawn */
    }
    enum err err = trust_take(trust_of(peer), type, payload, &added);
    if (added != NULL && err == OK && added->type == type) {
        store_put(peer->env->store, STORE_META, text_key(key), payload);
    }
    bool is_bad = err == ERR_FORMAT || err == ERR_LIMIT || err == ERR_CRITICAL || err == ERR_AUTH;
    return is_bad ? err : OK;
}

enum err judge_take_checkpoint(struct peer *peer, struct link *link, struct slice payload) {
    (void)link;
    return take(peer, MSG_CHECKPOINT, CHECKPOINT_KEY, payload);
}

enum err judge_take_members(struct peer *peer, struct link *link, struct slice payload) {
    (void)link;
    return take(peer, MSG_MEMBERS, MEMBERS_KEY, payload);
}

enum err judge_certificate(struct peer *peer, const struct node_id *id, struct slice cert) {
    uint32_t until_epoch;
    return trust_certified(trust_of(peer), id, cert, &until_epoch);
}

bool judge_may_measure(struct peer *peer, const struct node_id *id, struct slice cert) {
    if (judge_certificate(peer, id, cert) == OK) {
        return true;
    }
    const struct trust *trust = &peer->duty->judge->trust;
    const struct trust_checkpoint *latest = trust->latest;
    return latest != NULL && latest->members != NULL && !trust_is_fraud(trust, id) &&
           trust_place(latest->members, latest->checkpoint.members, id) >= 0;
}

bool judge_is_drawn(struct peer *peer, const struct node_id *id) {
    const struct trust *trust = trust_of(peer);
    struct hash lot;
    if (trust->latest == NULL || trust->latest->members == NULL) {
        return network_is_anchor(peer->env->network, id);
    }
    trust_measure_lot(trust, &peer->duty->id, id, &lot);
    return trust_place(trust->latest->members, trust->latest->checkpoint.members, id) >= 0 &&
           trust_measures(trust, &peer->duty->id, &lot);
}
