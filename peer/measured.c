/* measured.c - a candidate shows supernodes what its line carries: sends them what they ask for.
 *
 * Several ask at once, in slots that they have drawn, so that one line cannot look like many. All
 * streams together keep to the rate that the user gives; each goes on as fast as its link takes it.
 */
#include "common/mem.h"
#include "common/wire_trust.h"
#include "peer/duty.h"
#include "peer/judge.h"
#include "peer/measured_parts.h"
#include "peer/state.h"

#define SLACK_US 50000 /* of the rate, for timers that come late */

/* Who has been given proofs in this epoch. */
struct prover {
    struct node_id id;
    uint32_t proofs;
};

struct measures {
    struct timer timer;
    struct stream *streams[MEASURE_LINKS_MAX]; /* NULL = free */
    uint64_t paced_us;                         /* when the rate allows the next bytes */
    uint32_t turn;                             /* whose chunk is next */
    uint32_t epoch;
    uint32_t asked; /* in this epoch */
    struct node_id by[MEASURES_EPOCH_MAX];
    struct prover provers[MEASURES_EPOCH_MAX];
    uint32_t prover_count;
};

static struct measures *measures_of(struct peer *peer) {
    if (peer->duty->measures == NULL) {
        peer->duty->measures = mem_new(sizeof *peer->duty->measures);
        peer->duty->measures->timer.kind = TIMER_MEASURE;
    }
    return peer->duty->measures;
}

static struct stream **free_place(struct measures *measures) {
    for (uint32_t i = 0; i < MEASURE_LINKS_MAX; i++) {
        if (measures->streams[i] == NULL) {
            return &measures->streams[i];
        }
    }
    return NULL;
}

/* Those who were drawn to measure us have places that others do not get. */
static bool has_place(const struct measures *measures, bool is_drawn) {
    uint32_t taken = 0;
    uint32_t others = 0;
    for (uint32_t i = 0; i < MEASURE_LINKS_MAX; i++) {
        const struct stream *stream = measures->streams[i];
        taken += stream != NULL;
        others += stream != NULL && !stream->is_drawn;
    }
    return taken < MEASURE_LINKS_MAX && (is_drawn || others < MEASURE_LINKS_MAX - MEASURERS);
}

/* ---- Links ---- */

enum err measured_admit(struct peer *peer, const struct link *link, const struct hello *hello,
                        struct goaway *goaway) {
    if (!duty_is_candidate(peer)) {
        goaway->reason = GOAWAY_POLICY;
        return ERR_POLICY;
    }
    if (!judge_may_measure(peer, &link->id, hello->cert)) {
        goaway->reason = GOAWAY_AUTH;
        return ERR_AUTH;
    }
    if (!has_place(measures_of(peer), judge_is_drawn(peer, &link->id))) {
        goaway->reason = GOAWAY_FULL;
        goaway->retry_after_s = MEASURE_IDLE_MS / 1000;
        return ERR_BUSY;
    }
    return OK;
}

static void free_stream(struct stream *stream) {
    if (stream != NULL) {
        mem_free(stream->offer);
        mem_free(stream);
    }
}

static void arm(struct peer *peer);

/* All are dialled before they are asked in the same moment. */
static uint64_t patience_ms(const struct peer *peer) {
    uint64_t quarter_ms = peer->env->network->epoch_s * 250ull;
    return quarter_ms > MEASURE_IDLE_MS ? quarter_ms : MEASURE_IDLE_MS;
}

void measured_opened(struct peer *peer, struct link *link) {
    struct stream *stream = mem_new(sizeof *stream);
    stream->link = link;
    stream->is_sent = true;
    stream->is_drawn = judge_is_drawn(peer, &link->id);
    stream->idle_us = peer_after_ms(peer, patience_ms(peer));
    link->owner = stream;
    *free_place(measures_of(peer)) = stream;
    measured_offer(peer, stream);
    arm(peer);
}

void measured_closed(struct peer *peer, struct link *link) {
    struct stream *stream = link->owner;
    struct measures *measures = peer->duty != NULL ? peer->duty->measures : NULL;
    for (uint32_t i = 0; measures != NULL && i < MEASURE_LINKS_MAX; i++) {
        if (measures->streams[i] != NULL && measures->streams[i] == stream) {
            measures->streams[i] = NULL;
        }
    }
    free_stream(stream);
    link->owner = NULL;
}

void measured_stop(struct peer *peer) {
    struct measures *measures = peer->duty->measures;
    for (uint32_t i = 0; measures != NULL && i < MEASURE_LINKS_MAX; i++) {
        if (measures->streams[i] != NULL) {
            links_close(measures->streams[i]->link, GOAWAY_POLICY, ERR_POLICY);
        }
    }
}

void measured_free(struct peer *peer) {
    struct measures *measures = peer->duty->measures;
    for (uint32_t i = 0; measures != NULL && i < MEASURE_LINKS_MAX; i++) {
        free_stream(measures->streams[i]);
    }
    mem_free(measures);
    peer->duty->measures = NULL;
}

/* ---- Streams ---- */

static bool may_send(const struct peer *peer, const struct stream *stream) {
    return stream != NULL && !stream->is_sent && !stream->link->stalled && !stream->link->closing &&
           peer->links.mono_us < stream->until_us &&
           (!stream->is_blocks || measured_has_block(stream));
}

/* So small that a slow rate still flows; a multiple of eight. */
static uint32_t chunk_bytes(const struct peer *peer, const struct stream *stream) {
    uint64_t most = peer->duty->rate / 16 / 8 * 8;
    most = most < MEASURED_DATA_MAX ? most : MEASURED_DATA_MAX;
    uint32_t left = stream->bytes - stream->sent;
    return left < most ? left : (uint32_t)most;
}

static uint32_t send_generated(struct peer *peer, struct stream *stream) {
    uint8_t data[MEASURED_DATA_MAX];
    uint32_t len = chunk_bytes(peer, stream);
    struct buf payload = {0};
    wire_measure_fill(stream->seed, stream->sent, data, len);
    struct measured measured = {.offset = stream->sent, .data = {data, len}};
    wire_measured_encode(&payload, &measured);
    peer_send(stream->link, MSG_MEASURED, &payload);
    return len;
}

static uint32_t send_file_block(struct peer *peer, struct stream *stream) {
    uint32_t len = measured_block_bytes(stream);
    measured_send_block(peer, stream);
    return len;
}

static uint32_t send_chunk(struct peer *peer, struct stream *stream) {
    struct measures *measures = peer->duty->measures;
    uint32_t len = stream->is_blocks ? send_file_block(peer, stream) : send_generated(peer, stream);
    stream->sent += len;
    bool is_last = stream->is_blocks && stream->offer->run == stream->offer->asked.count;
    stream->is_sent = stream->sent >= stream->bytes || is_last;
    uint64_t now_us = peer->links.mono_us;
    uint64_t from_us = now_us > SLACK_US ? now_us - SLACK_US : 0;
    from_us = measures->paced_us > from_us ? measures->paced_us : from_us;
    measures->paced_us = from_us + len * 1000000ull / peer->duty->rate;
    return len;
}

/* The stream whose turn it is; NULL when none may send. */
static struct stream *next_stream(const struct peer *peer) {
    struct measures *measures = peer->duty->measures;
    for (uint32_t i = 0; i < MEASURE_LINKS_MAX; i++) {
        struct stream *stream = measures->streams[measures->turn++ % MEASURE_LINKS_MAX];
        if (may_send(peer, stream)) {
            return stream;
        }
    }
    return NULL;
}

/* As much as the rate and one step allow. */
static void pump(struct peer *peer) {
    const struct measures *measures = peer->duty->measures;
    uint32_t sent = 0;
    struct stream *stream;
    while (sent < MEASURE_STEP_BYTES && measures->paced_us <= peer->links.mono_us &&
           (stream = next_stream(peer)) != NULL) {
        sent += send_chunk(peer, stream);
    }
    if (sent > 0) {
        duty_spent(peer, sent);
    }
    arm(peer);
}

static void arm(struct peer *peer) {
    struct measures *measures = peer->duty->measures;
    uint64_t next_us = TIMERS_NEVER;
    for (uint32_t i = 0; i < MEASURE_LINKS_MAX; i++) {
        const struct stream *stream = measures->streams[i];
        if (stream == NULL || stream->link->closing) {
            continue;
        }
        uint64_t due_us = stream->idle_us;
        if (may_send(peer, stream)) {
            due_us = measures->paced_us;
        }
        next_us = due_us < next_us ? due_us : next_us;
    }
    if (next_us == TIMERS_NEVER) {
        timers_cancel(&peer->timers, &measures->timer);
        return;
    }
    uint64_t soon_us = peer->links.mono_us + 1; /* not in this step: links must speak first */
    timers_set(&peer->timers, &measures->timer, next_us > soon_us ? next_us : soon_us);
}

void measured_timer(struct peer *peer) {
    struct measures *measures = peer->duty->measures;
    for (uint32_t i = 0; i < MEASURE_LINKS_MAX; i++) {
        struct stream *stream = measures->streams[i];
        if (stream != NULL && stream->idle_us <= peer->links.mono_us) {
            links_close(stream->link, GOAWAY_IDLE, ERR_TIMEOUT);
        }
    }
    pump(peer);
}

void measured_flow(struct peer *peer, struct link *link) {
    if (link->owner != NULL && !link->stalled) {
        pump(peer);
    }
}

static void settle_epoch(struct peer *peer) {
    struct measures *measures = peer->duty->measures;
    uint32_t epoch_s = peer->env->network->epoch_s > 0 ? peer->env->network->epoch_s : 1;
    uint32_t epoch = (uint32_t)(peer->links.wall_s / epoch_s);
    if (epoch != measures->epoch) {
        measures->epoch = epoch;
        measures->asked = 0;
        measures->prover_count = 0;
    }
}

bool measured_may_prove(struct peer *peer, const struct stream *stream) {
    const struct node_id *id = &stream->link->id;
    struct measures *measures = peer->duty->measures;
    settle_epoch(peer);
    uint32_t at = 0;
    while (at < measures->prover_count && !node_id_equal(&measures->provers[at].id, id)) {
        at++;
    }
    uint32_t room = stream->is_drawn ? MEASURES_EPOCH_MAX : MEASURES_EPOCH_MAX - MEASURERS;
    if (at == measures->prover_count && at >= room) {
        return false;
    }
    struct prover *prover = &measures->provers[at];
    if (at == measures->prover_count) {
        *prover = (struct prover){.id = *id};
        measures->prover_count++;
    }
    bool may_prove = prover->proofs < MEASURES_SAME_MAX * MEASURE_RUNS_MAX;
    prover->proofs += may_prove;
    return may_prove;
}

/* A certified supernode may not drain a candidate either: so many streams an epoch, and fewer to
 * the same one. Some are kept for those who were drawn. */
static bool may_ask(struct peer *peer, const struct stream *stream) {
    const struct node_id *id = &stream->link->id;
    uint32_t kept = stream->is_drawn ? 0 : MEASURERS * MEASURES_SAME_MAX;
    struct measures *measures = peer->duty->measures;
    settle_epoch(peer);
    uint32_t same = 0;
    for (uint32_t i = 0; i < measures->asked; i++) {
        same += node_id_equal(&measures->by[i], id);
    }
    if (measures->asked + kept >= MEASURES_EPOCH_MAX || same == MEASURES_SAME_MAX) {
        return false;
    }
    measures->by[measures->asked++] = *id;
    return true;
}

/* No more than the network's file says is measured at a time. */
static uint32_t bounded(const struct peer *peer, uint32_t bytes) {
    uint32_t most = peer->env->network->promotion.measure_bytes;
    return most > 0 && bytes > most ? most : bytes;
}

bool measured_begin(struct peer *peer, struct stream *stream, uint32_t bytes, uint16_t ms) {
    struct link *link = stream->link;
    if (!may_ask(peer, stream)) {
        log_info(peer->env->log, "measured.refused link=%u", link->number);
        links_close(link, GOAWAY_RATE, ERR_BUSY);
        return false;
    }
    stream->bytes = bounded(peer, bytes);
    stream->sent = 0;
    stream->is_sent = false;
    stream->until_us = peer_after_ms(peer, ms);
    stream->idle_us = peer_after_ms(peer, (uint64_t)ms + MEASURE_IDLE_MS);
    peer->duty->today.measurements++;
    log_debug(peer->env->log, "measured.begin link=%u bytes=%u ms=%u blocks=%d", link->number,
              stream->bytes, ms, stream->is_blocks);
    pump(peer);
    return true;
}

enum err measured_take(struct peer *peer, struct link *link, struct slice payload) {
    struct stream *stream = link->owner;
    struct measure measure;
    enum err err = wire_measure_decode(payload, &measure);
    if (err != OK) {
        return err;
    }
    if (!stream->is_sent && peer->links.mono_us < stream->until_us) {
        return ERR_UNEXPECTED; /* one at a time */
    }
    stream->seed = measure.seed;
    stream->is_blocks = false;
    (void)measured_begin(peer, stream, measure.bytes, measure.ms);
    return OK;
}
