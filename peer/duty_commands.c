/* duty_commands.c - commands about being a supernode, too: agree to it, withdraw, what it costs. */
#include "common/units.h"
#include "peer/duty.h"
#include "peer/state.h"

/* A number of bytes of at least so many; 0 when it was not given. False after a report. */
static bool read_bytes(struct peer *peer, const struct node_event *event, const char *key,
                       uint64_t least, uint64_t *bytes) {
    const char *text = command_arg(event, key);
    *bytes = 0;
    if (text == NULL || (units_parse_bytes(text, bytes) == OK && *bytes >= least)) {
        return true;
    }
    report_error(peer->links.out, event->command.id, ERR_CONFIG,
                 least == DUTY_RATE_MIN ? "`rate` is bytes per second, such as 1M; at least 16K"
                                        : "`bytes` is bytes a day, such as 20G; at least 64M");
    return false;
}

void duty_consent_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    uint64_t rate;
    uint64_t day_bytes;
    if (!read_bytes(peer, event, "rate", DUTY_RATE_MIN, &rate) ||
        !read_bytes(peer, event, "bytes", DUTY_DAY_BYTES_MIN, &day_bytes)) {
        return;
    }
    duty_consent(peer, rate, day_bytes);
    report_begin(out, event->command.id, "consent");
    report_number(out, "rate", peer->duty->rate);
    report_number(out, "day_bytes", peer->duty->day_bytes);
    report_flag(out, "reachable", peer->env->listen_count > 0);
    report_done(out, event->command.id);
}

void duty_withdraw_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    duty_withdraw(peer);
    report_begin(out, event->command.id, "withdrawn");
    report_flag(out, "configured", peer->duty->is_configured);
    report_flag(out, "draining", peer->duty->child == DUTY_CHILD_LEAVING);
    report_done(out, event->command.id);
}

static const char *state_of(const struct peer *peer) {
    const struct duty *duty = peer->duty;
    static const char *const children[] = {
        [DUTY_CHILD_STARTING] = "starting",
        [DUTY_CHILD_READY] = "serving",
        [DUTY_CHILD_LEAVING] = "draining",
    };
    if (duty != NULL && duty->child != DUTY_CHILD_NONE) {
        return children[duty->child];
    }
    if (duty == NULL || !duty->consents) {
        return "no consent";
    }
    if (peer->env->listen_count == 0) {
        return "cannot be dialled";
    }
    if (duty->rest != DUTY_REST_NONE) {
        return duty->rest == DUTY_REST_DAY ? "resting: the day's bytes are used up"
                                           : "resting: it was over its rate";
    }
    if (!duty->is_named) {
        return "preparing";
    }
    bool is_certified = duty->cert.len > 0 && peer->links.wall_s < duty->until_s;
    return is_certified ? "certified" : "candidate";
}

static void report_today(struct outbox *out, const struct duty *duty) {
    const struct duty_day *today = &duty->today;
    report_number(out, "today_bytes", today->bytes_in + today->bytes_out + today->measured_bytes);
    report_number(out, "today_in_bytes", today->bytes_in);
    report_number(out, "today_out_bytes", today->bytes_out);
    report_number(out, "today_measured_bytes", today->measured_bytes);
    report_number(out, "today_measurements", today->measurements);
    report_number(out, "today_cpu_ms", today->cpu_ms);
    report_number(out, "today_leaves_most", today->leaves_most);
    report_number(out, "today_leaf_s", today->leaf_s);
    report_number(out, "today_failures", today->failures);
}

void duty_status_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    const struct duty *duty = peer->duty;
    int64_t now_s = peer->links.wall_s;
    report_begin(out, event->command.id, "duty");
    report_text(out, "state", state_of(peer));
    report_flag(out, "consents", duty != NULL && duty->consents);
    if (duty != NULL) {
        char
            text[NODE_ID_TEXT_BYTES > ADDRESS_TEXT_BYTES ? NODE_ID_TEXT_BYTES : ADDRESS_TEXT_BYTES];
        report_number(out, "rate", duty->rate);
        report_number(out, "day_bytes", duty->day_bytes);
        if (duty->is_named) {
            node_id_format(text, &duty->id);
            report_text(out, "id", text);
        }
        if (duty->cert.len > 0) {
            report_number(out, "certified_until", (uint64_t)duty->until_s);
            report_number(out, "certified_s",
                          duty->until_s > now_s ? (uint64_t)(duty->until_s - now_s) : 0);
        }
        if (duty->child == DUTY_CHILD_READY) {
            address_format(text, &duty->address);
            report_text(out, "listens", text);
            report_number(out, "leaves", duty->heard.leaves);
        }
        report_today(out, duty);
        uint64_t once = peer->env->network->promotion.measure_bytes;
        report_number(out, "measure_bytes_max", once); /* at a time, and in an epoch: */
        report_number(out, "measure_epoch_bytes_max", once * MEASURES_EPOCH_MAX);
    }
    report_done(out, event->command.id);
}
