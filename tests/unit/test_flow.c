/* test_flow.c - limits on real sockets: what the kernel has sent and received is held against them.
 */
#include "tests/kernel_bytes.h"
#include "tests/unit/hostlib.h"

#define MIB 1048576.0
#define PIECE 30000
#define SMALL_EVERY_MS 20
#define OCTET_SENDER 81
#define OCTET_BULK 82
#define OCTET_CALM 83

/* One node sends to two: as much as it can on a link for files, a little on another. */
struct street {
    struct host *host;
    struct probe sender;
    struct probe bulk;
    struct probe calm;
    struct rateplan of_sender;
    struct rateplan of_bulk;
    uint32_t bulk_link;
    uint32_t calm_link;
    double small_sent_s; /* when the little one left; 0 = none is out */
    double small_worst_s;
    uint32_t small_count;
    double at_s[4]; /* when to look, from the beginning */
    double seen_sent[4];
    double seen_received[4];
    double seen_s[4];
    int looks;
    double up_s;
    void (*looked)(struct street *street, int look);
    bool is_stuck; /* the sender's output is full */
};

static void fill(struct street *street, struct outbox *out) {
    static uint8_t bytes[PIECE];
    for (int i = 0; i < 4 && !street->is_stuck; i++) {
        outbox_write(out, street->bulk_link, (struct slice){bytes, PIECE});
    }
}

static void look(struct street *street) {
    double now_s = seconds_now();
    if (street->looks < 4 && now_s - street->up_s >= street->at_s[street->looks]) {
        int at = street->looks++;
        street->seen_s[at] = now_s;
        street->seen_sent[at] = kernel_bytes((uint8_t[4]){127, 0, 0, OCTET_SENDER}, false);
        street->seen_received[at] = kernel_bytes((uint8_t[4]){127, 0, 0, OCTET_BULK}, true);
        if (street->looked != NULL) {
            street->looked(street, at);
        }
        if (street->looks == 4 || street->at_s[street->looks] == 0) {
            host_stop(street->host);
        }
    }
}

static void send_on(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct street *street = probe->context;
    if (event->kind == NODE_START) {
        probe_dial(&street->bulk, out, 1);
        probe_dial(&street->calm, out, 2);
    } else if (event->kind == NODE_LINK_UP) {
        *(event->up.token == 1 ? &street->bulk_link : &street->calm_link) = event->up.link;
        if (event->up.token == 1) {
            probe_act(out, ACTION_LINK_FILES, event->up.link);
        }
        if (street->bulk_link != 0 && street->calm_link != 0) {
            street->up_s = seconds_now();
            fill(street, out);
            probe_wake(probe, event, SMALL_EVERY_MS);
        }
    } else if (event->kind == NODE_LINK_STALLED && event->link.link == street->bulk_link) {
        street->is_stuck = true;
    } else if (event->kind == NODE_LINK_READY && event->link.link == street->bulk_link) {
        street->is_stuck = false;
    } else if (event->kind == NODE_TIMER) {
        if (street->small_sent_s == 0) {
            street->small_sent_s = seconds_now();
            outbox_write(out, street->calm_link, test_slice("still there?"));
        }
        fill(street, out);
        look(street);
        probe_wake(probe, event, SMALL_EVERY_MS);
    }
}

static void hear_bulk(struct probe *probe, const struct node_event *event, struct outbox *out) {
    (void)probe;
    if (event->kind == NODE_LINK_UP) {
        probe_act(out, ACTION_LINK_FILES, event->up.link);
    }
}

static void hear_small(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct street *street = probe->context;
    (void)out;
    if (event->kind == NODE_LINK_BYTES && street->small_sent_s != 0) {
        double took_s = seconds_now() - street->small_sent_s;
        street->small_worst_s = took_s > street->small_worst_s ? took_s : street->small_worst_s;
        street->small_sent_s = 0;
        street->small_count++;
    }
}

static void add(struct street *street, struct probe *probe, uint8_t octet, probe_fn *script,
                const struct rateplan *limits) {
    struct host_error error = {0};
    folder_make_temporary(probe->folder);
    probe->on = script;
    probe->context = street;
    struct host_node_config config = {.network = test_network(),
                                      .state_dir = probe->folder,
                                      .listen = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, octet}},
                                      .limits = limits,
                                      .make = probe_make,
                                      .role_config = probe,
                                      .seed = octet};
    probe->node = host_add(street->host, &config, &error);
    assert_non_null(probe->node);
}

static void plan_add(struct rateplan *plan, const char *text) {
    struct rate_row row;
    const char *why, *at;
    assert_int_equal(rate_row_parse(&row, text, &why, &at), OK);
    assert_int_equal(rateplan_add(plan, &row), OK);
}

static void street_run(struct street *street) {
    street->host = test_host();
    add(street, &street->bulk, OCTET_BULK, hear_bulk, &street->of_bulk);
    add(street, &street->calm, OCTET_CALM, hear_small, NULL);
    add(street, &street->sender, OCTET_SENDER, send_on, &street->of_sender);
    assert_int_equal(host_run(street->host), 0);
    host_free(street->host);
    folder_remove(street->bulk.folder);
    folder_remove(street->calm.folder);
    folder_remove(street->sender.folder);
}

/* Bytes per second between two looks. */
static double rate(const struct street *street, const double seen[4], int from) {
    return (seen[from + 1] - seen[from]) / (street->seen_s[from + 1] - street->seen_s[from]);
}

static void assert_rate(double is, double wanted, double part) {
    print_message("%.4f of the limit\n", is / wanted);
    assert_true(is > wanted * (1 - part) && is < wanted * (1 + part));
}

/* What leaves: the sum of both links keeps the limit, and the little one never waits. */
static void what_is_sent_keeps_the_limit(void **state) {
    (void)state;
    struct street street = {.at_s = {0.5, 4.5}};
    plan_add(&street.of_sender, "up=1M");
    street_run(&street);
    assert_rate(rate(&street, street.seen_sent, 0), MIB, 0.04);
    print_message("%u small ones, the slowest in %.1f ms\n", street.small_count,
                  street.small_worst_s * 1000);
    assert_true(street.small_count > 100 && street.small_worst_s < 0.2);
}

/* What comes: once the kernel's buffers are full the sender is held to the limit of the receiver.
 */
static void what_is_received_keeps_the_limit(void **state) {
    (void)state;
    struct street street = {.at_s = {4, 8}};
    plan_add(&street.of_bulk, "downloads=2M");
    street_run(&street);
    print_message("%.2f MiB in the first 4 s\n", street.seen_received[0] / MIB);
    assert_true(street.seen_received[0] < 10 * MIB); /* the limit, and what buffers hold */
    assert_rate(rate(&street, street.seen_received, 0), 2 * MIB, 0.06);
}

static void change(struct street *street, int look) {
    struct rateplan plan = {0};
    plan_add(&plan, look == 0 ? "uploads=4M" : "uploads=1M overlay=8K");
    if (look < 2) {
        host_limit(street->sender.node, &plan);
    }
}

/* A class, changed while it runs. */
static void a_limit_is_changed_at_once(void **state) {
    (void)state;
    struct street street = {.at_s = {0.5, 2.5, 4.5}, .looked = change};
    plan_add(&street.of_sender, "uploads=512K");
    street_run(&street);
    assert_rate(rate(&street, street.seen_sent, 0), 4 * MIB, 0.1);
    assert_rate(rate(&street, street.seen_sent, 1), MIB + 2500,
                0.25); /* what was on its way, too */
    assert_true(rate(&street, street.seen_sent, 1) < 1.3 * MIB);
}

/* ---- The week ---- */

static int fake_hour; /* of a Monday; 0 = as it is */

struct tm *localtime_r(const time_t *time, struct tm *to) {
    if (fake_hour == 0) {
        return gmtime_r(time, to);
    }
    *to = (struct tm){.tm_wday = 1, .tm_hour = fake_hour, .tm_min = 59};
    return to;
}

static void let_noon_pass(struct street *street, int look) {
    (void)street;
    fake_hour = look >= 1 ? 12 : 11;
}

/* What the hour asks for holds soon after it has struck, on links that are in use. */
static void a_limit_changes_with_the_hour(void **state) {
    (void)state;
    struct street street = {.at_s = {0.5, 2.5, 8.5, 10.5}, .looked = let_noon_pass};
    plan_add(&street.of_sender, "mon 08:00-12:00 uploads=512K");
    plan_add(&street.of_sender, "mon 12:00-18:00 uploads=4M");
    fake_hour = 11;
    street_run(&street);
    fake_hour = 0;
    assert_rate(rate(&street, street.seen_sent, 0), MIB / 2, 0.1);
    assert_rate(rate(&street, street.seen_sent, 2), 4 * MIB, 0.1);
}

static void lift(struct street *street, int look) {
    static const struct rateplan none = {0};
    if (look == 0) {
        host_limit(street->sender.node, &none);
    }
}

static void without_a_limit_nothing_waits(void **state) {
    (void)state;
    struct street street = {.at_s = {0.5, 1.5}, .looked = lift};
    plan_add(&street.of_sender, "up=64K");
    street_run(&street);
    assert_true(rate(&street, street.seen_sent, 0) > 10 * MIB / 4);
    assert_true(street.seen_sent[0] < 0.6 * 64 * 1024 * 1.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_keeps_the_limit),
        cmocka_unit_test(what_is_received_keeps_the_limit),
        cmocka_unit_test(a_limit_is_changed_at_once),
        cmocka_unit_test(a_limit_changes_with_the_hour),
        cmocka_unit_test(without_a_limit_nothing_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
