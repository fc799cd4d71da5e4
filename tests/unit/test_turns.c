/* test_turns.c - deficit round robin: links share the work by its cost, not by copies, and one that
 * has little waits for one round of the others. */
#include "tests/unit/supernode_fake.h"

#define SOWN 240 /* queries that all know */
#define FLOODERS 20

struct burst {
    struct fake *fake;
    struct link *link;
    uint32_t asked;
    uint32_t answered;
    uint32_t before; /* answered when the last burst had come */
};

/* Answers as they leave. */
struct score {
    const struct supernode *supernode;
    struct burst *bursts;
    uint32_t count;
    uint64_t copies; /* that have come when all bursts are there */
    void (*saw)(struct score *score, const struct burst *burst);
    uint32_t most; /* what was seen */
};

static void watch(void *watcher, const struct net_message *message) {
    struct score *score = watcher;
    for (uint32_t i = 0; message->type == MSG_END && i < score->count; i++) {
        if (score->bursts[i].fake->place == message->to) {
            struct burst *burst = &score->bursts[i];
            burst->answered++;
            if (score->supernode->counts.copies < score->copies) {
                burst->before = burst->answered; /* what comes in is served at once */
            } else {
                score->saw(score, burst);
            }
        }
    }
}

static void watch_bursts(struct net *net, struct score *score) {
    score->supernode = supernode_of(net->nodes[0]);
    score->copies = score->supernode->counts.copies;
    net->watcher = score;
    net->watch = watch;
}

static struct burst burst_new(struct net *net, const struct net_node *place, enum purpose purpose) {
    struct burst burst = {.fake = fake_add(net)};
    burst.link = fake_dial(burst.fake, place, purpose);
    assert_non_null(burst.link);
    return burst;
}

/* Send queries first, first + 1 ... in one piece. */
static void send_burst(struct burst *burst, uint32_t first, uint32_t count) {
    fake_begin(burst->fake);
    for (uint32_t i = 0; i < count; i++) {
        char text[16];
        snprintf(text, sizeof text, "word%u", first + i);
        struct fake_query query = {.text = text};
        struct buf body = {0};
        struct buf payload = {0};
        fake_body(burst->fake, &query, &body);
        struct query_header header = {
            .want = 9, .deadline_ms = 1000, .body = {body.data, body.len}};
        header.hops = burst->link->purpose == PURPOSE_MESH;
        wire_query_encode(&payload, &header);
        links_send(burst->link, MSG_QUERY, (struct slice){payload.data, payload.len});
        buf_free(&payload);
        buf_free(&body);
    }
    fake_end(burst->fake);
    burst->asked = count;
    burst->answered = 0;
}

/* ---- Shares ---- */

static void compare_shares(struct score *score, const struct burst *burst) {
    (void)burst;
    const struct burst *dear = &score->bursts[0];
    const struct burst *cheap = &score->bursts[1];
    if (dear->answered < dear->asked && cheap->answered < cheap->asked) {
        uint32_t paid = (dear->answered - dear->before) * TURN_COST_NEW;
        uint32_t other = cheap->answered - cheap->before;
        uint32_t gap = paid > other ? paid - other : other - paid;
        score->most = gap > score->most ? gap : score->most;
    }
}

/* One link brings new queries, the other copies of known ones: as many answers are not as much
 * work. While both have some waiting, neither is ahead by more than a quantum. */
static void links_share_by_cost(void **state) {
    (void)state;
    struct net *net = net_new(51);
    net->latency_us_min = net->latency_us_max = 1000;
    struct net_node *place = start_plain(net);
    struct burst sower = burst_new(net, place, PURPOSE_MESH);
    struct burst bursts[] = {burst_new(net, place, PURPOSE_MESH),
                             burst_new(net, place, PURPOSE_MESH)};
    send_burst(&sower, 0, SOWN);
    net_run(net, 1000);
    struct score score = {.bursts = bursts, .count = LENGTH(bursts), .saw = compare_shares};
    watch_bursts(net, &score);
    score.copies += 2ull * SOWN;
    send_burst(&bursts[0], SOWN, SOWN);
    send_burst(&bursts[1], 0, SOWN);
    net_run(net, 1000);
    assert_int_equal(bursts[0].answered, SOWN);
    assert_int_equal(bursts[1].answered, SOWN);
    assert_int_equal(supernode_of(place)->counts.duplicates, SOWN);
    assert_int_equal(supernode_of(place)->counts.limited, 0);
    assert_in_range(score.most, TURN_QUANTUM / 2, TURN_QUANTUM + TURN_COST_NEW);
    net_free(net);
}

/* ---- Waiting ---- */

static void count_before(struct score *score, const struct burst *burst) {
    const struct burst *last = &score->bursts[score->count - 1];
    uint32_t ahead = burst->answered - burst->before;
    if (last->answered == 0) {
        score->most = ahead > score->most ? ahead : score->most;
    }
}

/* Twenty links bring all that their rate allows, then a leaf or a neighbour asks once: of each of
 * the twenty a quantum goes before it, no more. */
static void one_query_waits_one_round(void **state) {
    (void)state;
    static const enum purpose purposes[] = {PURPOSE_LEAF, PURPOSE_MESH};
    for (size_t p = 0; p < LENGTH(purposes); p++) {
        struct net *net = net_new(52);
        net->latency_us_min = net->latency_us_max = 1000;
        struct net_node *place = start_plain(net);
        struct burst bursts[FLOODERS + 1];
        for (uint32_t i = 0; i < FLOODERS; i++) {
            bursts[i] = burst_new(net, place, PURPOSE_MESH);
        }
        bursts[FLOODERS] = burst_new(net, place, purposes[p]);
        struct score score = {.bursts = bursts, .count = LENGTH(bursts), .saw = count_before};
        watch_bursts(net, &score);
        score.copies += FLOODERS * MESH_QUERIES_BURST + 1;
        for (uint32_t i = 0; i < FLOODERS; i++) {
            send_burst(&bursts[i], i * MESH_QUERIES_BURST, MESH_QUERIES_BURST);
        }
        send_burst(&bursts[FLOODERS], FLOODERS * MESH_QUERIES_BURST, 1);
        net_run(net, 3000);
        for (uint32_t i = 0; i <= FLOODERS; i++) {
            assert_int_equal(bursts[i].answered, bursts[i].asked);
        }
        assert_in_range(score.most, 1, 2 * TURN_QUANTUM / TURN_COST_NEW);
        assert_int_equal(supernode_of(place)->counts.limited, 0);
        net_free(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_share_by_cost),
        cmocka_unit_test(one_query_waits_one_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
