/* test_links.c - handshake, duplicates, keepalive and misbehaviour of links between two ends. */
#include "tests/unit/testlib.h"

#include "common/links.h"
#include "common/mem.h"

/* One end: a node that does nothing but keep links and remember what happened. */
struct end {
    struct node_env env;
    struct test_identity identity;
    struct timers timers;
    struct links links;
    struct outbox out;
    int opened;
    int closed;
    int messages;
    enum err last_close;
    enum err admit_answer;
    uint8_t welcome_purpose;     /* 0 = the right one */
    struct address local;        /* its end of every link; family 0 = not told */
    struct address_record heard; /* the other end's, of the last link */
    struct link *last_open;
};

/* A pair of ends; a link has the same number at both. */
struct world {
    struct network network;
    struct packer *packer;
    struct end ends[2];
    uint32_t next_link;
    uint64_t now_us;
    bool refuse_dials;
    bool drop_bytes;
};

static enum err admit(void *role, struct link *link, const struct hello *hello,
                      struct goaway *goaway) {
    struct end *end = role;
    assert_int_equal(hello->purpose, PURPOSE_MESH);
    if (end->welcome_purpose != 0) {
        link->purpose = end->welcome_purpose;
    }
    goaway->reason = GOAWAY_FULL;
    return end->admit_answer;
}

static void opened(void *role, struct link *link, const struct hello *hello) {
    struct end *end = role;
    end->opened++;
    end->last_open = link;
    assert_int_equal(wire_address_record_decode(hello->address_record, &end->heard), OK);
}

static enum err message(void *role, struct link *link, uint8_t type, struct slice payload) {
    struct end *end = role;
    (void)link;
    (void)payload;
    end->messages++;
    return type == MSG_END ? ERR_FORMAT : OK;
}

static void closed(void *role, struct link *link, enum err reason) {
    struct end *end = role;
    end->closed++;
    end->last_close = reason;
    if (end->last_open == link) {
        end->last_open = NULL;
    }
}

static const struct links_role role = {admit, opened, message, closed, NULL};

static void step(struct world *world, int which, struct node_event *event) {
    struct end *end = &world->ends[which];
    event->mono_us = world->now_us;
    event->wall_s = 1700000000 + (int64_t)(world->now_us / 1000000);
    links_begin(&end->links, event, &end->out);
    if (event->kind == NODE_TIMER) {
        for (struct timer *timer; (timer = timers_take(&end->timers, world->now_us)) != NULL;) {
            links_timer(&end->links, timer);
        }
    } else {
        assert_true(links_handle(&end->links, event));
    }
}

static void carry_out_dial(struct world *world, int which, const struct action *action) {
    struct node_event event = {.kind = NODE_DIAL_FAILED};
    if (world->refuse_dials) {
        event.dial.token = action->token32;
        event.dial.reason = ERR_UNREACHABLE;
        step(world, which, &event);
        return;
    }
    uint32_t link = ++world->next_link;
    event = (struct node_event){.kind = NODE_LINK_UP};
    event.up.link = link;
    memset(event.up.exporter.b, (int)link, sizeof event.up.exporter.b);
    event.up.id = world->ends[which].env.id;
    event.up.remote = world->ends[which].env.listen[0];
    event.up.local = world->ends[1 - which].local;
    step(world, 1 - which, &event);
    event.up.token = action->token32;
    event.up.id = world->ends[1 - which].env.id;
    event.up.remote = world->ends[1 - which].env.listen[0];
    event.up.local = world->ends[which].local;
    step(world, which, &event);
}

static void carry_out(struct world *world, int which, const struct action *action,
                      struct slice bytes) {
    if (action->kind == ACTION_DIAL) {
        carry_out_dial(world, which, action);
    } else if (action->kind == ACTION_WRITE && !world->drop_bytes) {
        /* Split at an odd place, as the network would. */
        size_t cut = bytes.len / 3;
        struct node_event event = {.kind = NODE_LINK_BYTES};
        event.bytes.link = action->link;
        event.bytes.data = (struct slice){bytes.data, cut};
        step(world, 1 - which, &event);
        event.bytes.data = (struct slice){bytes.data + cut, bytes.len - cut};
        step(world, 1 - which, &event);
    } else if (action->kind == ACTION_CLOSE) {
        struct node_event event = {.kind = NODE_LINK_DOWN};
        event.link.link = action->link;
        event.link.reason = ERR_CLOSED;
        step(world, which, &event);
        step(world, 1 - which, &event);
    }
}

/* Carry out actions until both ends are quiet. */
static void settle(struct world *world) {
    for (bool busy = true; busy;) {
        busy = false;
        for (int which = 0; which < 2; which++) {
            struct outbox out = world->ends[which].out;
            world->ends[which].out = (struct outbox){0};
            for (uint32_t i = 0; i < out.count; i++) {
                busy = true;
                carry_out(world, which, &out.actions[i], outbox_bytes(&out, &out.actions[i]));
            }
            outbox_free(&out);
        }
    }
}

static void run_until(struct world *world, uint64_t until_us) {
    for (;;) {
        uint64_t next = until_us;
        for (int which = 0; which < 2; which++) {
            uint64_t due = timers_next(&world->ends[which].timers);
            next = due < next ? due : next;
        }
        world->now_us = next > world->now_us ? next : world->now_us;
        for (int which = 0; which < 2; which++) {
            struct node_event event = {.kind = NODE_TIMER};
            step(world, which, &event);
        }
        settle(world);
        if (next >= until_us) {
            return;
        }
    }
}

static int setup(void **state) {
    struct world *world = mem_new(sizeof *world);
    world->packer = packer_new();
    world->now_us = 1000000;
    strcpy(world->network.name, "links");
    world->network.policy = NETWORK_OPEN;
    for (int i = 0; i < 2; i++) {
        struct end *end = &world->ends[i];
        test_identity_init(&end->identity, (uint64_t)i + 1);
        end->env.id = end->identity.id;
    }
    assert_int_equal(network_seal(&world->network, &world->ends[0].identity.crypto), OK);
    for (int i = 0; i < 2; i++) {
        struct end *end = &world->ends[i];
        end->env.seed = (uint64_t)i + 1;
        end->env.network = &world->network;
        end->env.crypto = &end->identity.crypto;
        end->env.packer = world->packer;
        end->env.agent = "test/1";
        end->env.listen_count = 1;
        end->env.listen[0] = (struct address){
            .family = ADDRESS_IPV4, .ip = {127, 0, 0, (uint8_t)(i + 1)}, .port = 7};
        links_init(&end->links, &end->env, &role, end, &end->timers);
        struct node_event start = {
            .kind = NODE_START, .mono_us = world->now_us, .wall_s = 1700000000};
        links_begin(&end->links, &start, &end->out);
    }
    *state = world;
    return 0;
}

static int teardown(void **state) {
    struct world *world = *state;
    for (int i = 0; i < 2; i++) {
        links_free(&world->ends[i].links);
        timers_free(&world->ends[i].timers);
        outbox_free(&world->ends[i].out);
        test_identity_free(&world->ends[i].identity);
    }
    packer_free(world->packer);
    mem_free(world);
    return 0;
}

static struct link *dial(struct world *world, int from) {
    struct end *end = &world->ends[from];
    struct end *other = &world->ends[1 - from];
    return links_dial(&end->links, &other->env.id, &other->env.listen[0], PURPOSE_MESH, NULL);
}

static void a_link_opens_on_both_ends(void **state) {
    struct world *world = *state;
    struct link *link = dial(world, 0);
    assert_false(link->open);
    settle(world);
    assert_true(link->open);
    assert_int_equal(world->ends[0].opened, 1);
    assert_int_equal(world->ends[1].opened, 1);
    assert_int_equal(world->ends[1].links.pending_in, 0);
    struct ping ping = {.token = 1};
    struct buf payload = {0};
    wire_ping_encode(&payload, &ping);
    links_send(link, MSG_SHUT, (struct slice){payload.data, payload.len});
    buf_free(&payload);
    settle(world);
    assert_int_equal(world->ends[1].messages, 1);
}

static void a_refused_dial_is_closed_once(void **state) {
    struct world *world = *state;
    world->refuse_dials = true;
    dial(world, 0);
    settle(world);
    assert_int_equal(world->ends[0].closed, 1);
    assert_int_equal(world->ends[0].last_close, ERR_UNREACHABLE);
    uint32_t cursor = 0;
    assert_null(links_next(&world->ends[0].links, &cursor));
}

static void admission_refused_says_why(void **state) {
    struct world *world = *state;
    world->ends[1].admit_answer = ERR_BUSY;
    dial(world, 0);
    settle(world);
    assert_int_equal(world->ends[0].opened, 0);
    assert_int_equal(world->ends[0].messages, 1); /* GOAWAY */
    assert_int_equal(world->ends[0].closed, 1);
    assert_int_equal(world->ends[1].last_close, ERR_BUSY);
    assert_int_equal(world->ends[1].links.pending_in, 0);
}

/* Both dial at once: one link survives, the one dialled by the lower id, on both ends alike. */
static void simultaneous_dials_leave_one_link(void **state) {
    struct world *world = *state;
    dial(world, 0);
    dial(world, 1);
    settle(world);
    int lower = memcmp(world->ends[0].env.id.b, world->ends[1].env.id.b, 32) < 0 ? 0 : 1;
    for (int i = 0; i < 2; i++) {
        uint32_t cursor = 0;
        struct link *link = links_next(&world->ends[i].links, &cursor);
        assert_non_null(link);
        assert_true(link->open);
        assert_null(links_next(&world->ends[i].links, &cursor));
    }
    struct link *kept =
        links_find(&world->ends[lower].links, &world->ends[1 - lower].env.id, PURPOSE_MESH);
    assert_non_null(kept);
}

static void silence_is_pinged_then_closed(void **state) {
    struct world *world = *state;
    dial(world, 0);
    settle(world);
    run_until(world, world->now_us + 10 * DEAD_AFTER_MS * 1000ull);
    assert_int_equal(world->ends[0].closed, 0); /* pings keep it alive */
    world->drop_bytes = true;
    run_until(world, world->now_us + (DEAD_AFTER_MS + PING_AFTER_MS + 1000) * 1000ull);
    assert_int_equal(world->ends[0].closed, 1);
    assert_int_equal(world->ends[1].closed, 1);
}

static void probe(struct world *world, struct link *link) {
    struct node_event event = {.kind = NODE_TIMER, .mono_us = world->now_us};
    links_begin(&world->ends[0].links, &event, &world->ends[0].out);
    links_probe(link);
    settle(world);
}

static void a_sign_of_life_can_be_asked_for(void **state) {
    struct world *world = *state;
    struct link *link = dial(world, 0);
    settle(world);
    run_until(world, world->now_us + 1000000);
    probe(world, link);
    assert_false(link->is_probed); /* it answered at once */
    run_until(world, world->now_us + 2 * PROBE_TIMEOUT_MS * 1000ull);
    assert_int_equal(world->ends[0].closed, 0);
    world->drop_bytes = true;
    probe(world, link);
    run_until(world, world->now_us + PROBE_TIMEOUT_MS * 500ull);
    probe(world, link); /* while one is awaited it changes nothing */
    run_until(world, world->now_us + (PROBE_TIMEOUT_MS / 2 - 1) * 1000ull);
    assert_int_equal(world->ends[0].closed, 0);
    run_until(world, world->now_us + 2000);
    assert_int_equal(world->ends[0].closed, 1);
    assert_int_equal(world->ends[0].last_close, ERR_TIMEOUT);
}

static void a_silent_handshake_ends(void **state) {
    struct world *world = *state;
    world->drop_bytes = true;
    dial(world, 0);
    settle(world);
    run_until(world, world->now_us + (HANDSHAKE_TIMEOUT_MS + 1000) * 1000ull);
    assert_int_equal(world->ends[0].closed, 1);
    assert_int_equal(world->ends[1].closed, 1);
    assert_int_equal(world->ends[1].links.pending_in, 0);
}

static void misbehaviour_closes_with_goaway(void **state) {
    struct world *world = *state;
    struct link *link = dial(world, 0);
    settle(world);
    uint8_t junk[3] = {1, 2, 3};
    links_send(link, MSG_END, (struct slice){junk, sizeof junk});
    settle(world);
    assert_int_equal(world->ends[1].last_close, ERR_FORMAT);
    assert_int_equal(world->ends[0].messages, 1); /* GOAWAY */
    assert_int_equal(world->ends[0].closed, 1);
}

static void a_wrong_secret_learns_nothing(void **state) {
    struct world *world = *state;
    static struct network other;
    other = world->network;
    other.secret_len = 4;
    memcpy(other.secret, "abcd", 4);
    world->ends[1].env.network = &other;
    dial(world, 0);
    settle(world);
    assert_int_equal(world->ends[0].opened, 0);
    assert_int_equal(world->ends[0].messages, 0); /* not even a GOAWAY */
    assert_int_equal(world->ends[1].last_close, ERR_AUTH);
    world->ends[0].env.network = &other;
    dial(world, 0);
    settle(world);
    assert_int_equal(world->ends[0].opened, 1);
}

static void own_record_is_renewed(void **state) {
    struct world *world = *state;
    struct links *links = &world->ends[0].links;
    struct address_record record;
    assert_int_equal(wire_address_record_decode(links_own_record(links, NULL), &record), OK);
    assert_int_equal(
        wire_address_record_check(&record, links->env->crypto, &world->network.id, links->wall_s),
        OK);
    uint64_t first = record.seq;
    links->wall_s += 13 * 3600;
    assert_int_equal(wire_address_record_decode(links_own_record(links, NULL), &record), OK);
    assert_true(record.seq > first);
    uint64_t second = record.seq;
    links->wall_s -= 100 * 3600; /* the clock was set back: still a larger sequence */
    assert_int_equal(wire_address_record_decode(links_own_record(links, NULL), &record), OK);
    assert_true(record.seq > second);
}

/* Of several addresses the one that the other end sees: only that may be passed on. */
static void own_record_names_what_is_seen(void **state) {
    struct world *world = *state;
    struct end *home = &world->ends[0];
    home->env.listen_count = 2;
    home->env.listen[1] = (struct address){.family = ADDRESS_IPV4, .ip = {10, 0, 0, 9}, .port = 7};
    for (int place = 1; place >= 0; place--) {
        home->local = home->env.listen[place];
        home->local.port = 40000; /* of the socket */
        for (int from = 0; from < 2; from++) {
            struct link *link = dial(world, from);
            settle(world);
            assert_int_equal(world->ends[1].heard.address_count, 1);
            assert_true(
                address_equal(&world->ends[1].heard.addresses[0], &home->env.listen[place]));
            links_close(link, GOAWAY_IDLE, OK);
            settle(world);
        }
    }
    home->local.ip[0] = 99; /* not one of them */
    dial(world, 0);
    settle(world);
    assert_true(address_equal(&world->ends[1].heard.addresses[0], &home->env.listen[0]));
}

static void a_welcome_names_the_purpose_back(void **state) {
    struct world *world = *state;
    world->ends[1].welcome_purpose = PURPOSE_LEAF;
    dial(world, 0);
    settle(world);
    assert_int_equal(world->ends[0].opened, 0);
    assert_int_equal(world->ends[0].last_close, ERR_UNEXPECTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_link_opens_on_both_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_dial_is_closed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(admission_refused_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(simultaneous_dials_leave_one_link, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_is_pinged_then_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sign_of_life_can_be_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_silent_handshake_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(misbehaviour_closes_with_goaway, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_secret_learns_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(own_record_is_renewed, setup, teardown),
        cmocka_unit_test_setup_teardown(own_record_names_what_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_welcome_names_the_purpose_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
