/* duty.c - decides when a peer offers itself as a supernode, and when its supernode runs.
 *
 * A candidacy is signed once per epoch, by the supernode's key and by ours, for one parent that is
 * to stand for it, and is durable before anybody sees it: a restart makes no other one. A
 * certificate outlives the process, so that a peer that starts again within its time goes on with
 * its supernode at once. */
#include "peer/duty.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/wire_trust.h"
#include "peer/judge.h"
#include "peer/measured.h"
#include "peer/state.h"

#define DAY_KEY "duty.day"
#define CANDIDACY_KEY "duty.candidacy"
#define CERT_KEY "duty.cert"
#define STATE_VERSION 1
#define DAY_S 86400
#define DAY_SAVED_MS 60000 /* between two times that the day's sums are written down */
#define JITTER_MILLI 200   /* of an epoch, in which candidacies of it are sent */
#define STORED_TOKEN (0x64757479ULL << 32) /* and the epoch of the candidacy that is durable */

/* ---- What is remembered ---- */

static struct slice text_key(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static void put(struct peer *peer, const char *key, struct buf *value) {
    store_put(peer->env->store, STORE_META, text_key(key), (struct slice){value->data, value->len});
}

static uint64_t uptime_s(const struct peer *peer) {
    return (peer->links.mono_us - peer->started_us) / 1000000;
}

static void encode(const struct duty *duty, struct buf *value) {
    buf_u8(value, STATE_VERSION);
    buf_u8(value, duty->is_remembered);
    buf_u64(value, duty->rate);
    buf_u64(value, duty->day_bytes);
    buf_u32(value, duty->sessions);
    buf_u64(value, duty->sessions_s);
    buf_u32(value, duty->void_until);
}

/* False when it is damaged; then nothing is set. */
static bool decode(struct slice value, struct duty *duty) {
    struct reader reader = reader_of(value.data, value.len);
    uint8_t version = reader_u8(&reader);
    bool consents = reader_u8(&reader) == 1;
    uint64_t rate = reader_u64(&reader);
    uint64_t day_bytes = reader_u64(&reader);
    uint32_t sessions = reader_u32(&reader);
    uint64_t sessions_s = reader_u64(&reader);
    uint32_t void_until = reader_u32(&reader);
    if (!reader_done(&reader) || version != STATE_VERSION || rate < DUTY_RATE_MIN ||
        day_bytes < DUTY_DAY_BYTES_MIN) {
        return false;
    }
    duty->is_remembered = consents;
    duty->rate = rate;
    duty->day_bytes = day_bytes;
    duty->sessions = sessions;
    duty->sessions_s = sessions_s;
    duty->void_until = void_until;
    return true;
}

static void save(struct peer *peer) {
    struct duty now = *peer->duty;
    struct buf value = {0};
    now.sessions++; /* this one */
    now.sessions_s += uptime_s(peer);
    encode(&now, &value);
    put(peer, DUTY_STATE_KEY, &value);
    buf_free(&value);
}

static void load(struct peer *peer) {
    struct slice value;
    if (store_get(peer->env->store, STORE_META, text_key(DUTY_STATE_KEY), &value) &&
        !decode(value, peer->duty)) {
        log_warn(peer->env->log, "duty.state_damaged");
    }
}

void duty_consent_kept(struct slice before, uint64_t rate, uint64_t day_bytes, struct buf *after) {
    struct duty duty = {.rate = DUTY_RATE, .day_bytes = DUTY_DAY_BYTES};
    (void)decode(before, &duty);
    duty.is_remembered = true;
    duty.rate = rate > 0 ? rate : duty.rate;
    duty.day_bytes = day_bytes > 0 ? day_bytes : duty.day_bytes;
    encode(&duty, after);
}

static void save_day(struct peer *peer) {
    const struct duty_day *today = &peer->duty->today;
    struct buf value = {0};
    buf_u8(&value, STATE_VERSION);
    buf_u64(&value, today->day);
    buf_u64(&value, today->bytes_in);
    buf_u64(&value, today->bytes_out);
    buf_u64(&value, today->cpu_ms);
    buf_u64(&value, today->measured_bytes);
    buf_u32(&value, today->measurements);
    buf_u32(&value, today->leaves_most);
    buf_u64(&value, today->leaf_s);
    buf_u32(&value, today->failures);
    put(peer, DAY_KEY, &value);
    buf_free(&value);
    peer->duty->saved_us = peer->links.mono_us;
}

static void load_day(struct peer *peer) {
    struct duty_day today;
    struct slice value;
    if (!store_get(peer->env->store, STORE_META, text_key(DAY_KEY), &value)) {
        return;
    }
    struct reader reader = reader_of(value.data, value.len);
    uint8_t version = reader_u8(&reader);
    today.day = reader_u64(&reader);
    today.bytes_in = reader_u64(&reader);
    today.bytes_out = reader_u64(&reader);
    today.cpu_ms = reader_u64(&reader);
    today.measured_bytes = reader_u64(&reader);
    today.measurements = reader_u32(&reader);
    today.leaves_most = reader_u32(&reader);
    today.leaf_s = reader_u64(&reader);
    today.failures = reader_u32(&reader);
    if (reader_done(&reader) && version == STATE_VERSION) {
        peer->duty->today = today;
    }
}

static int64_t epoch_s(const struct peer *peer) {
    return network_epoch_s(peer->env->network);
}

static uint32_t epoch_now(const struct peer *peer) {
    return peer->links.wall_s > 0 ? (uint32_t)(peer->links.wall_s / epoch_s(peer)) : 0;
}

static int64_t cert_end(const struct peer *peer, const struct cert *cert) {
    return ((int64_t)cert->epoch + cert->life) * epoch_s(peer);
}

/* The candidacy that is out, and the certificate that came of one. */
static void load_records(struct peer *peer) {
    struct duty *duty = peer->duty;
    struct slice value;
    struct candidacy candidacy;
    struct cert cert;
    if (store_get(peer->env->store, STORE_META, text_key(CANDIDACY_KEY), &value) &&
        wire_candidacy_decode(value, &candidacy) == OK) {
        duty->epoch = candidacy.epoch;
        duty->sponsor = candidacy.sponsor;
        duty->is_signed = true;
        duty->is_durable = true;
        buf_append(&duty->candidacy, value.data, value.len);
    }
    if (store_get(peer->env->store, STORE_META, text_key(CERT_KEY), &value) &&
        wire_cert_decode(value, &cert) == OK) {
        duty->until_s = cert_end(peer, &cert);
        buf_append(&duty->cert, value.data, value.len);
    }
}

static struct duty *duty_new(struct peer *peer) {
    if (peer->duty == NULL) {
        peer->duty = mem_new(sizeof *peer->duty);
        peer->duty->timer.kind = TIMER_DUTY;
        peer->duty->rate = DUTY_RATE;
        peer->duty->day_bytes = DUTY_DAY_BYTES;
        judge_init(peer);
        load(peer);
        load_day(peer);
        load_records(peer);
    }
    return peer->duty;
}

/* ---- What is given ---- */

static bool rests(const struct peer *peer) {
    return peer->duty->rest != DUTY_REST_NONE;
}

bool duty_is_candidate(const struct peer *peer) {
    const struct duty *duty = peer->duty;
    return duty != NULL && duty->consents && duty->is_named && !rests(peer) && !peer->is_stopping &&
           peer->env->listen_count > 0;
}

static void stop_child(struct peer *peer) {
    struct duty *duty = peer->duty;
    if (duty->child == DUTY_CHILD_STARTING || duty->child == DUTY_CHILD_READY) {
        duty->child = DUTY_CHILD_LEAVING;
        outbox_add(peer->links.out, ACTION_SUPERNODE_STOP);
    }
}

static void rest(struct peer *peer, enum duty_rest why, int64_t until_s) {
    struct duty *duty = peer->duty;
    if (rests(peer)) {
        return;
    }
    duty->rest = (uint8_t)why;
    duty->rest_until_s = until_s;
    log_info(peer->env->log, "duty.rests reason=%s seconds=%lld",
             why == DUTY_REST_DAY ? "day" : "rate", (long long)(until_s - peer->links.wall_s));
    save_day(peer);
    stop_child(peer);
    measured_stop(peer);
}

static void settle_day(struct peer *peer) {
    struct duty *duty = peer->duty;
    uint64_t day = peer->links.wall_s > 0 ? (uint64_t)peer->links.wall_s / DAY_S : 0;
    if (day != duty->today.day) {
        duty->today = (struct duty_day){.day = day};
    }
    const struct duty_day *today = &duty->today;
    if (today->bytes_in + today->bytes_out + today->measured_bytes >= duty->day_bytes) {
        rest(peer, DUTY_REST_DAY, (int64_t)(day + 1) * DAY_S);
    }
    if (peer->links.mono_us - duty->saved_us >= DAY_SAVED_MS * 1000ull) {
        save_day(peer);
    }
}

void duty_spent(struct peer *peer, uint64_t measured_bytes) {
    peer->duty->today.measured_bytes += measured_bytes;
    settle_day(peer);
}

/* ---- Candidacy ---- */

static uint32_t capped(uint64_t value) {
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* By the address that a parent has seen, who is to stand for it: others pass on no other. The
 * supernode's key signs first. */
static void draw_up(struct peer *peer, uint32_t epoch, const struct link *parent) {
    struct duty *duty = peer->duty;
    uint64_t up = peer->upload_bytes_per_s > 0 ? peer->upload_bytes_per_s : duty->rate;
    struct candidacy candidacy = {
        .subject = duty->id,
        .address_record = links_own_record(&peer->links, parent),
        .epoch = epoch,
        .rate_kib = capped(duty->rate >> 10),
        .day_mib = capped(duty->day_bytes >> 20),
        .up_kib = capped(up >> 10),
        .down_kib = capped(duty->rate >> 10),
        .uptime_s = capped(uptime_s(peer)),
        .mean_uptime_s = capped((duty->sessions_s + uptime_s(peer)) / (duty->sessions + 1)),
        .flags = CANDIDACY_ACCEPTS_LINKS,
        .sponsor = parent->id,
    };
    buf_free(&duty->candidacy);
    wire_candidacy_encode(&duty->candidacy, &candidacy);
    duty->epoch = epoch;
    duty->sponsor = parent->id;
    duty->is_signed = false;
    duty->is_durable = false;
    struct buf body = {0};
    wire_candidacy_subject_bytes(&body, &candidacy);
    struct action *action = outbox_add_bytes(peer->links.out, ACTION_SUPERNODE_SIGN,
                                             (struct slice){body.data, body.len});
    action->token32 = RECORD_CANDIDACY_SUBJECT;
    buf_free(&body);
}

/* The supernode's key agrees. An answer to what has been drawn up anew since fits no more. */
static void take_signature(struct peer *peer, const struct node_event *event) {
    struct duty *duty = peer->duty;
    const struct signer_env env = {peer->env->crypto, &peer->env->network->id};
    struct candidacy candidacy;
    struct slice bytes = {duty->candidacy.data, duty->candidacy.len};
    if (duty->is_signed || wire_candidacy_decode(bytes, &candidacy) != OK) {
        return;
    }
    memcpy(candidacy.by_subject, event->supernode.signature, sizeof candidacy.by_subject);
    if (wire_candidacy_check_subject(&candidacy, &env) != OK) {
        log_debug(peer->env->log, "duty.signature_ignored epoch=%u", duty->epoch);
        return;
    }
    wire_candidacy_sign(&candidacy, &env);
    struct buf whole = {0};
    wire_candidacy_encode(&whole, &candidacy);
    buf_free(&duty->candidacy);
    duty->candidacy = whole;
    duty->is_signed = true;
    put(peer, CANDIDACY_KEY, &duty->candidacy);
    save(peer);
    store_sync(peer->env->store, STORED_TOKEN | duty->epoch);
}

static void show_candidacy(struct peer *peer) {
    const struct duty *duty = peer->duty;
    struct link *link = uplink_link_to(peer, &duty->sponsor);
    if (duty->is_durable && duty->candidacy.len > 0 && duty->epoch == epoch_now(peer) &&
        duty_is_candidate(peer) && link != NULL) {
        links_send(link, MSG_CANDIDACY, (struct slice){duty->candidacy.data, duty->candidacy.len});
    }
}

/* Parents take turns, so that one who passes nothing on keeps nobody out for long. */
static const struct link *next_sponsor(const struct peer *peer, uint32_t epoch) {
    const struct link *links[PARENTS + 1];
    uint32_t count = 0;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        const struct parent *parent = peer->uplink.parents[i];
        if (parent != NULL && parent->link->open && !parent->link->closing) {
            links[count++] = parent->link;
        }
    }
    return count > 0 ? links[epoch % count] : NULL;
}

/* Of this epoch, unless there is one: as soon as somebody is there to see it. Another one, when its
 * sponsor has gone and another parent is there. */
static void offer(struct peer *peer) {
    struct duty *duty = peer->duty;
    uint32_t epoch = epoch_now(peer);
    const struct link *link = next_sponsor(peer, epoch);
    bool is_orphaned = epoch == duty->epoch && duty->is_durable && duty->candidacy.len > 0 &&
                       uplink_link_to(peer, &duty->sponsor) == NULL;
    if (duty_is_candidate(peer) && (epoch > duty->epoch || is_orphaned) && link != NULL) {
        draw_up(peer, epoch, link);
    }
}

void duty_parent_opened(struct peer *peer, struct link *link) {
    if (peer->duty != NULL) {
        offer(peer);
        if (node_id_equal(&link->id, &peer->duty->sponsor)) {
            show_candidacy(peer);
        }
    }
}

void duty_stored(struct peer *peer, const struct node_event *event) {
    struct duty *duty = peer->duty;
    if (duty != NULL && event->stored.token == (STORED_TOKEN | duty->epoch) && !duty->is_durable) {
        duty->is_durable = true;
        show_candidacy(peer);
    }
}

/* ---- The supernode ---- */

/* One by those of an epoch that we have not heard of may be right: what a false one costs is a
 * supernode that nobody links with. */
static bool is_sound(struct peer *peer, struct slice cert) {
    enum err err = judge_certificate(peer, &peer->duty->id, cert);
    return err == OK || err == ERR_NOT_FOUND;
}

/* In its time, or beyond it while no checkpoint comes. */
static bool cert_holds(struct peer *peer) {
    const struct duty *duty = peer->duty;
    return is_sound(peer, (struct slice){duty->cert.data, duty->cert.len});
}

static void start_child(struct peer *peer) {
    struct duty *duty = peer->duty;
    bool is_wanted = duty_is_candidate(peer) && duty->cert.len > 0 && cert_holds(peer);
    if (is_wanted && duty->child == DUTY_CHILD_NONE) {
        log_info(peer->env->log, "duty.starts until=%lld", (long long)duty->until_s);
        duty->child = DUTY_CHILD_STARTING;
        duty->is_certified = false;
        outbox_add_bytes(peer->links.out, ACTION_SUPERNODE_START,
                         (struct slice){duty->cert.data, duty->cert.len});
    }
}

/* Neither we nor the supernode have heard of a renewal. */
static void end_demoted(struct peer *peer) {
    struct duty *duty = peer->duty;
    bool runs = duty->child == DUTY_CHILD_STARTING || duty->child == DUTY_CHILD_READY;
    if (runs && peer->links.wall_s >= duty->until_s && !duty->is_certified) {
        log_info(peer->env->log, "duty.demoted");
        stop_child(peer);
    }
}

enum err duty_take_cert(struct peer *peer, struct link *link, struct slice payload) {
    struct duty *duty = peer->duty;
    struct cert cert;
    enum err err = wire_cert_decode(payload, &cert);
    if (err != OK) {
        return err;
    }
    bool is_ours = duty != NULL && duty->is_named && node_id_equal(&cert.subject, &duty->id);
    if (!is_ours || cert.epoch < duty->void_until || !is_sound(peer, payload)) {
        log_info(peer->env->log, "duty.cert_refused link=%u epoch=%u", link->number, cert.epoch);
        return OK;
    }
    int64_t until_s = cert_end(peer, &cert);
    if (duty->cert.len > 0 && until_s <= duty->until_s) {
        return OK; /* the other parent's copy */
    }
    buf_free(&duty->cert);
    buf_append(&duty->cert, payload.data, payload.len);
    duty->until_s = until_s;
    put(peer, CERT_KEY, &duty->cert);
    log_info(peer->env->log, "duty.certified until=%lld", (long long)until_s);
    if (duty->child == DUTY_CHILD_STARTING || duty->child == DUTY_CHILD_READY) {
        outbox_add_bytes(peer->links.out, ACTION_SUPERNODE_START, payload);
    }
    start_child(peer);
    return OK;
}

static void hold_to_rate(struct peer *peer, uint64_t bytes) {
    struct duty *duty = peer->duty;
    uint64_t spent_us = peer->links.mono_us - duty->window_us;
    duty->window_bytes += bytes;
    if (spent_us < DUTY_WINDOW_MS * 1000ull) {
        return;
    }
    bool is_over = duty->window_bytes / (spent_us / 1000000) > duty->rate;
    duty->window_us = peer->links.mono_us;
    duty->window_bytes = 0;
    if (is_over) {
        rest(peer, DUTY_REST_RATE, peer->links.wall_s + DUTY_REST_S);
    }
}

/* A count that went back is one of another process. */
static uint64_t grown(uint64_t now, uint64_t before) {
    return now >= before ? now - before : now;
}

static void account(struct peer *peer, const struct node_event *event) {
    struct duty *duty = peer->duty;
    struct duty_heard *heard = &duty->heard;
    uint64_t in = grown(event->supernode.bytes_in, heard->bytes_in);
    uint64_t out = grown(event->supernode.bytes_out, heard->bytes_out);
    settle_day(peer); /* midnight comes first */
    duty->today.bytes_in += in;
    duty->today.bytes_out += out;
    duty->today.cpu_ms += grown(event->supernode.cpu_ms, heard->cpu_ms);
    duty->today.leaf_s += heard->leaves * ((peer->links.mono_us - heard->at_us) / 1000) / 1000;
    if (event->supernode.leaves > duty->today.leaves_most) {
        duty->today.leaves_most = event->supernode.leaves;
    }
    *heard = (struct duty_heard){.at_us = peer->links.mono_us,
                                 .bytes_in = event->supernode.bytes_in,
                                 .bytes_out = event->supernode.bytes_out,
                                 .cpu_ms = event->supernode.cpu_ms,
                                 .leaves = event->supernode.leaves};
    hold_to_rate(peer, in + out);
    settle_day(peer);
}

/* Its certificate may still be in time, and those who decide next count it among the supernodes
 * once more: the next one that counts is of a decision after the dwell time. */
static void forget_cert(struct peer *peer) {
    struct duty *duty = peer->duty;
    log_info(peer->env->log, "duty.demoted");
    duty->void_until =
        epoch_now(peer) + peer->env->network->promotion.dwell_s / (uint32_t)epoch_s(peer);
    duty->until_s = 0;
    buf_free(&duty->cert);
    store_remove(peer->env->store, STORE_META, text_key(CERT_KEY));
    save(peer);
}

static void take_name(struct peer *peer, const struct node_id *id) {
    struct duty *duty = peer->duty;
    struct candidacy candidacy;
    struct cert cert;
    duty->is_named = true;
    duty->id = *id;
    struct slice signed_bytes = {duty->candidacy.data, duty->candidacy.len};
    struct slice cert_bytes = {duty->cert.data, duty->cert.len};
    if (signed_bytes.len > 0 && (wire_candidacy_decode(signed_bytes, &candidacy) != OK ||
                                 !node_id_equal(&candidacy.subject, id))) {
        buf_free(&duty->candidacy); /* of a key that is gone: the next epoch has another one */
    }
    if (cert_bytes.len > 0 &&
        (wire_cert_decode(cert_bytes, &cert) != OK || !node_id_equal(&cert.subject, id))) {
        buf_free(&duty->cert);
        duty->until_s = 0;
    }
}

/* ---- Its course ---- */

static void arm(struct peer *peer) {
    struct duty *duty = peer->duty;
    int64_t length_s = epoch_s(peer);
    int64_t next_s = (peer->links.wall_s / length_s + 1) * length_s;
    uint64_t wait_ms = (uint64_t)(next_s - peer->links.wall_s) * 1000;
    wait_ms += rng_below(&peer->rng, (uint32_t)length_s * JITTER_MILLI);
    timers_set(&peer->timers, &duty->timer, peer_after_ms(peer, wait_ms));
}

static void tend(struct peer *peer) {
    struct duty *duty = peer->duty;
    if (rests(peer) && peer->links.wall_s >= duty->rest_until_s) {
        duty->rest = DUTY_REST_NONE;
        duty->window_us = peer->links.mono_us;
        duty->window_bytes = 0;
    }
    settle_day(peer);
    offer(peer);
    end_demoted(peer);
    start_child(peer);
    if (duty->consents && !peer->is_stopping) {
        arm(peer);
    } else {
        timers_cancel(&peer->timers, &duty->timer);
    }
}

void duty_timer(struct peer *peer) {
    tend(peer);
}

void duty_child_event(struct peer *peer, const struct node_event *event) {
    struct duty *duty = peer->duty;
    if (duty == NULL) {
        return;
    }
    switch (event->supernode.state) {
    case SUPERNODE_NAMED:
        take_name(peer, &event->supernode.id);
        tend(peer);
        show_candidacy(peer);
        break;
    case SUPERNODE_SIGNED:
        take_signature(peer, event);
        break;
    case SUPERNODE_STARTED:
        duty->heard = (struct duty_heard){.at_us = peer->links.mono_us};
        duty->window_us = peer->links.mono_us;
        duty->window_bytes = 0;
        break;
    case SUPERNODE_READY:
        duty->address = event->supernode.address;
        duty->is_certified = event->supernode.is_certified;
        if (duty->child == DUTY_CHILD_STARTING) {
            duty->child = DUTY_CHILD_READY;
        }
        account(peer, event);
        end_demoted(peer);
        break;
    case SUPERNODE_FAILED:
        account(peer, event);
        duty->today.failures++;
        duty->heard = (struct duty_heard){.at_us = peer->links.mono_us};
        if (duty->child == DUTY_CHILD_READY) {
            duty->child = DUTY_CHILD_STARTING;
        }
        break;
    default:
        account(peer, event);
        if (duty->child != DUTY_CHILD_LEAVING) {
            forget_cert(peer); /* it went by itself: the network wants it no more */
        }
        duty->child = DUTY_CHILD_NONE;
        duty->heard = (struct duty_heard){.at_us = peer->links.mono_us};
        save_day(peer);
        tend(peer);
    }
}

static void name(struct peer *peer) {
    if (peer->duty->is_named) {
        tend(peer);
        show_candidacy(peer);
    } else {
        outbox_add(peer->links.out, ACTION_SUPERNODE_NAME);
    }
}

void duty_consent(struct peer *peer, uint64_t rate, uint64_t day_bytes) {
    struct duty *duty = duty_new(peer);
    duty->consents = true;
    duty->is_remembered = true;
    duty->rate = rate > 0 ? rate : duty->rate;
    duty->day_bytes = day_bytes > 0 ? day_bytes : duty->day_bytes;
    duty->rest = DUTY_REST_NONE; /* the day's sums still count */
    save(peer);
    name(peer);
}

void duty_withdraw(struct peer *peer) {
    struct duty *duty = duty_new(peer);
    duty->consents = false;
    duty->is_remembered = false;
    save(peer);
    stop_child(peer);
    measured_stop(peer);
    tend(peer);
}

void duty_configure(struct peer *peer, const struct peer_config *config) {
    struct slice value;
    bool is_known = store_get(peer->env->store, STORE_META, text_key(DUTY_STATE_KEY), &value);
    if (!config->consents && !is_known) {
        return;
    }
    struct duty *duty = duty_new(peer);
    duty->consents = config->consents || duty->is_remembered;
    duty->is_configured = config->consents;
    if (config->consents) {
        duty->rate = config->duty_rate > 0 ? config->duty_rate : duty->rate;
        duty->day_bytes = config->duty_day_bytes > 0 ? config->duty_day_bytes : duty->day_bytes;
    }
}

void duty_start(struct peer *peer) {
    if (peer->duty != NULL && peer->duty->consents) {
        name(peer);
    }
}

void duty_stop(struct peer *peer) {
    if (peer->duty != NULL) {
        save(peer);
        save_day(peer);
        stop_child(peer);
        timers_cancel(&peer->timers, &peer->duty->timer);
    }
}

void duty_free(struct peer *peer) {
    if (peer->duty != NULL) {
        measured_free(peer);
        judge_free(peer);
        buf_free(&peer->duty->candidacy);
        buf_free(&peer->duty->cert);
        mem_free(peer->duty);
    }
}
