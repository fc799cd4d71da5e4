/* liar_node.c - a peer that claims what it has not; see liar_node.h. Everything else it does is
 * what every peer does: its links, its candidacy's signature, its bytes are real. */
#include "src/fleet/liar_node.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/wire_trust.h"
#include "peer/duty.h"
#include "peer/state.h"

#define YEAR_S (365u * 24 * 3600)
#define CLAIMED_KIB (1u << 20) /* a second: a gibibyte */
#define CLAIMED_MIB (1u << 30) /* a day */
#define SPENDS (1ULL << 30)    /* its supernode is never held to a rate */
#define SHARE_MIN 128          /* bytes a second, of which chunks can be made */
#define WINDOW_US_MAX 2500000  /* for which a supernode measures */
#define AHEAD_SHARE 20         /* of a second's bytes may be sent early */

struct liar {
    struct ring *ring;
    struct node inner;
    struct peer *peer;
    uint32_t measurements;   /* seen so far */
    uint64_t measured_bytes; /* sent so far */
    uint64_t until_us;       /* it is being measured */
};

const struct node_id *liar_subject(const struct liar *liar) {
    const struct duty *duty = liar->peer->duty;
    return duty != NULL && duty->is_named ? &duty->id : NULL;
}

/* ---- The line ---- */

static uint32_t count_measured(const struct liar *liar, uint64_t now_us) {
    uint32_t others = 0;
    for (uint32_t i = 0; i < liar->ring->count; i++) {
        const struct liar *other = liar->ring->liars[i];
        others += other != liar && other->until_us > now_us;
    }
    return others;
}

/* What this one may send in a second if it sends now. Who is the first to be asked sends his first
 * chunk at a rate that is not his alone for long: what the line is ahead of its rate is paid back.
 */
static uint64_t share_of(struct liar *liar, uint64_t now_us) {
    struct line *line = &liar->ring->line;
    uint32_t others = count_measured(liar, now_us);
    if (others == 0 && liar->until_us <= now_us) {
        line->begun_us = now_us;
        line->sent = 0;
    }
    uint64_t due = (now_us - line->begun_us) * line->rate / 1000000 + line->rate / AHEAD_SHARE;
    uint64_t ahead = line->sent > due ? line->sent - due : 0;
    uint64_t rate = line->rate / 8;
    rate = 2 * ahead + rate < line->rate ? line->rate - 2 * ahead : rate;
    uint64_t share = rate / (others + 1);
    return share > SHARE_MIN ? share : SHARE_MIN;
}

static void note_measuring(struct liar *liar, uint64_t now_us) {
    const struct duty_day *today = &liar->peer->duty->today;
    uint64_t window_us = network_epoch_s(liar->peer->env->network) * 1000000ull / 4;
    if (today->measurements != liar->measurements) {
        liar->until_us = now_us + (window_us < WINDOW_US_MAX ? window_us : WINDOW_US_MAX);
    }
    if (today->measured_bytes > liar->measured_bytes) {
        liar->ring->line.sent += today->measured_bytes - liar->measured_bytes;
    }
    liar->measurements = today->measurements;
    liar->measured_bytes = today->measured_bytes;
}

/* ---- Claims ---- */

/* What its supernode's key is about to sign, and the peer itself after that, is made better. */
static void forge(struct liar *liar, struct outbox *out) {
    struct duty *duty = liar->peer->duty;
    struct candidacy candidacy;
    struct action *action = NULL;
    for (uint32_t i = 0; i < out->count; i++) {
        action = out->actions[i].kind == ACTION_SUPERNODE_SIGN ? &out->actions[i] : action;
    }
    if (action == NULL) {
        return;
    }
    struct slice honest = {duty->candidacy.data, duty->candidacy.len};
    CHECK(wire_candidacy_decode(honest, &candidacy) == OK);
    candidacy.rate_kib = candidacy.up_kib = candidacy.down_kib = CLAIMED_KIB;
    candidacy.day_mib = CLAIMED_MIB;
    candidacy.uptime_s = candidacy.mean_uptime_s = YEAR_S;
    struct buf forged = {0}, body = {0};
    wire_candidacy_encode(&forged, &candidacy);
    wire_candidacy_subject_bytes(&body, &candidacy);
    CHECK(body.len == action->bytes_len); /* no field is wider than another of its kind */
    memcpy(out->bytes.data + action->bytes_at, body.data, body.len);
    buf_free(&body);
    buf_free(&duty->candidacy);
    duty->candidacy = forged;
}

/* ---- The node ---- */

static void step(void *self, const struct node_event *event, struct outbox *out) {
    struct liar *liar = self;
    struct duty *duty = liar->peer->duty;
    if (duty != NULL) {
        duty->rate = event->kind == NODE_SUPERNODE ? SPENDS : share_of(liar, event->mono_us);
    }
    node_step(liar->inner, event, out);
    if (duty != NULL) {
        note_measuring(liar, event->mono_us);
        forge(liar, out);
    }
}

static uint64_t deadline(const void *self) {
    return node_deadline(((const struct liar *)self)->inner);
}

static void free_liar(void *self) {
    struct liar *liar = self;
    struct ring *ring = liar->ring;
    for (uint32_t i = 0; i < ring->count; i++) {
        if (ring->liars[i] == liar) {
            ring->liars[i] = ring->liars[--ring->count];
        }
    }
    node_free(liar->inner);
    mem_free(liar);
}

struct node liar_make(const struct node_env *env, const void *role) {
    static const struct node_ops ops = {step, deadline, free_liar};
    const struct liar_role *made = role;
    struct liar *liar = mem_new(sizeof *liar);
    CHECK(made->ring->count < made->ring->room);
    liar->ring = made->ring;
    liar->inner = peer_new(env, &made->peer);
    liar->peer = liar->inner.self;
    liar->ring->liars[liar->ring->count++] = liar;
    return (struct node){&ops, liar};
}
