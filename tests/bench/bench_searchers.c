/* bench_searchers.c - many leaves of one supernode that search at a steady rate. */
#include "tests/bench/bench_searchers.h"

#include <event2/event.h>
#include <string.h>

#include "common/mem.h"

#define TICK_US 500 /* how late a search may begin */
#define ANSWER_S 10 /* all searches end in this time, or are lost */

/* One search on its way. */
struct search {
    struct searchers *searchers;
    double due_s;
    bool has_hit;
};

void searchers_start(struct searchers *searchers, const struct bench_network *network,
                     uint32_t count) {
    *searchers = (struct searchers){.network = network, .host = bench_host(), .count = count};
    searchers->nodes = mem_array(count, sizeof(struct host_node *));
    rng_seed(&searchers->rng, 1);
    for (uint32_t i = 0; i < count; i++) {
        struct paper paper = {.first = i * SEARCHER_FILES, .files = SEARCHER_FILES};
        searchers->nodes[i] = paper_peer(searchers->host, network, 0, &paper);
    }
    paper_wait(searchers->host, network, (uint64_t)count * SEARCHER_FILES);
}

void searchers_stop(struct searchers *searchers) {
    bench_host_stop(searchers->host);
    mem_free(searchers->nodes);
    mem_free(searchers->milliseconds);
}

static bool is_key(const struct report_field *field, const char *key) {
    return field->key.len == strlen(key) && memcmp(field->key.data, key, field->key.len) == 0;
}

static void note_hit(struct search *search) {
    struct searchers *searchers = search->searchers;
    if (!search->has_hit) {
        search->has_hit = true;
        searchers->milliseconds[searchers->measured++] = (bench_now() - search->due_s) * 1000;
    }
}

static void take_report(void *context, struct slice fields, bool last, enum err err) {
    struct search *search = context;
    struct searchers *searchers = search->searchers;
    struct report_field field;
    while (report_next(&fields, &field)) {
        bool is_hit =
            is_key(&field, "kind") && field.text.len == 3 && memcmp(field.text.data, "hit", 3) == 0;
        if (is_hit) {
            note_hit(search);
        } else if (is_key(&field, "refused")) {
            searchers->refused += field.number > 0;
        }
    }
    if (last) {
        searchers->ended++;
        searchers->refused += err != OK;
        searchers->empty += !search->has_hit;
        mem_free(search);
    }
}

/* One leaf looks for a file of another. */
static void begin_search(struct searchers *searchers, double due_s) {
    char text[PAPER_NAME_BYTES];
    uint32_t from = (uint32_t)(searchers->begun % searchers->count);
    uint32_t to = (uint32_t)rng_below(&searchers->rng, searchers->count - 1);
    to += to >= from;
    uint32_t file = (uint32_t)rng_below(&searchers->rng, SEARCHER_FILES);
    paper_query(text, to * SEARCHER_FILES + file);
    struct search *search = mem_new(sizeof *search);
    *search = (struct search){.searchers = searchers, .due_s = due_s};
    struct command_arg arg = {"text", text};
    const struct host_request request = {
        .name = "search", .args = &arg, .count = 1, .report = take_report, .context = search};
    searchers->begun++;
    host_command(searchers->nodes[from], &request);
}

/* What searchers_run waits for. */
struct running {
    struct searchers *searchers;
    double begin_s;
    double period_s;
    uint64_t total;
};

static bool all_have_begun(void *context) {
    struct running *running = context;
    struct searchers *searchers = running->searchers;
    double due_s = running->begin_s + (double)searchers->begun * running->period_s;
    while (searchers->begun < running->total && due_s <= bench_now()) {
        begin_search(searchers, due_s);
        due_s = running->begin_s + (double)searchers->begun * running->period_s;
    }
    return searchers->begun == running->total;
}

static bool all_have_ended(void *context) {
    const struct running *running = context;
    return running->searchers->ended == running->searchers->begun;
}

static void wake(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    (void)context;
}

void searchers_run(struct searchers *searchers, double per_s, double seconds) {
    struct running running = {.searchers = searchers,
                              .begin_s = bench_now(),
                              .period_s = 1 / per_s,
                              .total = (uint64_t)(per_s * seconds)};
    mem_free(searchers->milliseconds);
    searchers->milliseconds = mem_array((size_t)running.total + 1, sizeof(double));
    searchers->measured = 0;
    searchers->begun = searchers->ended = searchers->refused = searchers->empty = 0;
    struct event *tick = event_new(host_base(searchers->host), -1, EV_PERSIST, wake, NULL);
    struct timeval often = {0, TICK_US};
    event_add(tick, &often);
    bench_loop_until(searchers->host, all_have_begun, &running, seconds + ANSWER_S,
                     "searches to begin");
    event_free(tick);
    bench_loop_until(searchers->host, all_have_ended, &running, ANSWER_S, "the last answers");
}

double searchers_percentile(struct searchers *searchers, double percent) {
    return bench_percentile(searchers->milliseconds, searchers->measured, percent);
}
