/* bench_paper.c - peers whose files exist on paper only: names and contents drawn from a seed. */
#include "tests/bench/bench_paper.h"

#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/rng.h"

#define WORDS 30000    /* in all */
#define ALBUM_FILES 20 /* as in corpora of music */
#define SHARE_LOOK_US 50000

/* ---- Names ---- */

/* A word of two to four syllables; small numbers are frequent words. */
static void append_word(char *text, size_t size, uint32_t word) {
    static const char *const syllables[] = {"ba",  "cor", "da",  "fen", "gi",  "hol", "jun", "ka",
                                            "li",  "mar", "no",  "per", "qui", "ro",  "sen", "tal",
                                            "u",   "vi",  "wes", "xo",  "yar", "zen", "bri", "clo",
                                            "dre", "fla", "gro", "kin", "lou", "mer", "pra", "sto"};
    size_t len = strlen(text);
    uint32_t rest = word + 32;
    for (; rest > 0 && len + 4 < size; rest /= 32) {
        len += (size_t)snprintf(text + len, size - len, "%s", syllables[rest % 32]);
    }
}

static uint32_t draw_word(struct rng *rng) {
    uint32_t a = (uint32_t)rng_below(rng, WORDS);
    uint32_t b = (uint32_t)rng_below(rng, WORDS);
    return (uint32_t)((uint64_t)a * b / WORDS);
}

static void append_words(char *text, struct rng *rng, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        append_word(text, PAPER_NAME_BYTES - 8, draw_word(rng));
        strcat(text, " ");
    }
}

static void seed_title(struct rng *rng, uint32_t number) {
    rng_seed(rng, 0x7469746c65ull << 20 ^ number);
}

void paper_name(char name[PAPER_NAME_BYTES], uint32_t number) {
    struct rng rng;
    char track[16];
    name[0] = '\0';
    rng_seed(&rng, 0x616c62756dull << 20 ^ number / ALBUM_FILES);
    append_words(name, &rng, 4);
    snprintf(track, sizeof track, "%02u ", number % ALBUM_FILES + 1);
    strcat(name, track);
    seed_title(&rng, number);
    append_words(name, &rng, 3);
    strcpy(name + strlen(name) - 1, ".ogg");
}

void paper_query(char text[PAPER_NAME_BYTES], uint32_t number) {
    struct rng rng;
    text[0] = '\0';
    seed_title(&rng, number);
    append_words(text, &rng, number % 2 + 2);
    text[strlen(text) - 1] = '\0';
}

void paper_record(struct file_record *record, char name[PAPER_NAME_BYTES], uint32_t number) {
    struct rng rng;
    paper_name(name, number);
    *record = (struct file_record){.name = {(const uint8_t *)name, strlen(name)}};
    rng_seed(&rng, 0x726f6f74ull << 20 ^ number);
    rng_fill(&rng, record->content.root.b, sizeof record->content.root.b);
    record->content.size = 1 + rng_below(&rng, PIECE_BYTES);
}

/* ---- The peer ---- */

struct paper_node {
    struct paper paper;
    struct node peer;
    bool has_shared;
    uint64_t look_us;
};

static void share_all(struct paper_node *paper, const struct node_event *now, struct outbox *out) {
    paper->has_shared = true;
    for (uint32_t i = 0; i < paper->paper.files; i++) {
        char name[PAPER_NAME_BYTES];
        struct file_record record;
        paper_record(&record, name, paper->paper.first + i);
        struct node_event event = {
            .kind = NODE_SHARED,
            .mono_us = now->mono_us,
            .wall_s = now->wall_s,
            .shared = {.file = i + 1, .content = record.content, .name = record.name}};
        node_step(paper->peer, &event, out);
    }
}

static void step(void *self, const struct node_event *event, struct outbox *out) {
    struct paper_node *paper = self;
    node_step(paper->peer, event, out);
    bool may_share = paper->paper.may_share == NULL || *paper->paper.may_share;
    if (!paper->has_shared && may_share) {
        share_all(paper, event, out);
    }
    paper->look_us = event->mono_us + SHARE_LOOK_US;
}

static uint64_t deadline(const void *self) {
    const struct paper_node *paper = self;
    uint64_t due_us = node_deadline(paper->peer);
    return paper->has_shared || due_us < paper->look_us ? due_us : paper->look_us;
}

static void free_paper(void *self) {
    struct paper_node *paper = self;
    node_free(paper->peer);
    mem_free(paper);
}

static struct node make_paper(const struct node_env *env, const void *config) {
    static const struct node_ops ops = {step, deadline, free_paper};
    struct paper_node *paper = mem_new(sizeof *paper);
    paper->paper = *(const struct paper *)config;
    paper->peer = peer_new(env, &paper->paper.peer);
    return (struct node){&ops, paper};
}

struct host_node *paper_peer(struct host *host, const struct bench_network *network,
                             uint32_t supernode, const struct paper *paper) {
    static uint32_t papers;
    struct paper role = *paper;
    role.peer = (struct peer_config){.introducers = {network->introducers[supernode]},
                                     .introducer_count = 1};
    char *state = paper->state != NULL ? mem_string(paper->state)
                                       : owner_path(network->bench->owner, "paper%u", papers++);
    struct host_node_config config = {.network = &network->file.network,
                                      .state_dir = state,
                                      .no_listen = true,
                                      .listen = bench_address(),
                                      .make = make_paper,
                                      .role_config = &role};
    struct host_error error;
    struct host_node *node = host_add(host, &config, &error);
    if (node == NULL) {
        bench_fail("%s", error.text);
    }
    mem_free(state);
    return node;
}

struct waiting {
    const struct bench_network *network;
    uint64_t files;
    double asked_s;
};

static bool are_registered(void *context) {
    struct waiting *waiting = context;
    if (bench_now() - waiting->asked_s < 0.5) {
        return false;
    }
    waiting->asked_s = bench_now();
    return bench_status(waiting->network, 0, "files") >= waiting->files;
}

void paper_wait(struct host *host, const struct bench_network *network, uint64_t files) {
    struct waiting waiting = {.network = network, .files = files};
    bench_loop_until(host, are_registered, &waiting, 120, "all files to be registered");
}
