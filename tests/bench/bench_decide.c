/* bench_decide.c - a decision about the largest network that one frame can name, and an epoch that
 * begins there, step by step. */
#include <stdlib.h>
#include <string.h>

#include "common/decide.h"
#include "common/limits.h"
#include "common/mem.h"
#include "common/pack.h"
#include "common/rng.h"
#include "src/host/crypto.h"
#include "src/lab/elect_records.h"
#include "supernode/core.h"
#include "supernode/tally.h"
#include "tests/bench/bench.h"

#define MEMBERS MEMBERS_MAX
#define NODES (MEMBERS + 2000) /* members first, then candidates */
#define EPOCH 1000
#define EPOCH_S 3600
#define BUDGET 20000    /* what a supernode gives to one step */
#define SUM_BUDGET 8000 /* and to a step of a root */
#define DRAW_BUDGET 500 /* candidates in a step of a draw */
#define STEPS_MAX 65536
#define RENEW_EPOCHS 4 /* in which everybody is voted for once */
#define NEIGHBOURS 16
#define WANTED_LIST 40 /* the neighbours have nothing of it */

static struct node_id ids[NODES];
static struct network network;
static struct crypto crypto; /* real hashes, and signatures that are not looked at */

static int compare_ids(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct node_id));
}

static void make_network(struct rng *rng) {
    crypto = elect_crypto(crypto_keyless());
    for (uint32_t i = 0; i < NODES; i++) {
        rng_fill(rng, ids[i].b, sizeof ids[i].b);
    }
    qsort(ids, MEMBERS, sizeof *ids, compare_ids);
    network = (struct network){
        .name = "bench", .policy = NETWORK_CERTIFIED, .epoch_s = EPOCH_S, .anchor_count = 3};
    memcpy(network.anchors, ids, 3 * sizeof *ids);
    network.promotion = (struct promotion){
        .policy = "reputation", .dwell_s = 3 * EPOCH_S, .measure_bytes = 1 << 20};
    if (network_seal(&network, &crypto) != OK) {
        bench_fail("the network has a mistake");
    }
}

static void take(struct trust *trust, uint8_t type, struct buf *bytes) {
    struct trust_record *added;
    enum err err = trust_take(trust, type, (struct slice){bytes->data, bytes->len}, &added);
    if (err != OK) {
        bench_fail("a record of type %u is refused: %s", type, err_name(err));
    }
    buf_free(bytes);
}

static void add_checkpoint(struct trust *trust, uint32_t epoch) {
    struct checkpoint checkpoint = {.epoch = epoch, .members = MEMBERS, .beacon = {{1}}};
    struct members members = {
        .epoch = epoch, .count = MEMBERS, .keys = {ids[0].b, MEMBERS * sizeof *ids}};
    struct buf bytes = {0};
    trust_set_root(trust, ids, MEMBERS, &checkpoint.set_root);
    wire_checkpoint_encode(&bytes, &checkpoint);
    take(trust, MSG_CHECKPOINT, &bytes);
    wire_members_encode(&bytes, &members);
    take(trust, MSG_MEMBERS, &bytes);
}

static void add_row(struct trust *trust, uint32_t issuer, uint32_t epoch, struct rng *rng) {
    struct row_load load = {.leaves = 100, .slots = 300, .bytes = 8000000, .ms = 2500};
    struct row_record row = {.issuer = ids[issuer], .epoch = epoch};
    uint32_t at = (uint32_t)rng_below(rng, NODES);
    for (; row.count < ROW_ENTRIES_MAX; at = (at + 61) % NODES) {
        if (at != issuer) {
            row.entries[row.count++] =
                (struct row_entry){ids[at], (uint16_t)(1 + rng_below(rng, 1000))};
        }
    }
    qsort(row.entries, row.count, sizeof *row.entries, compare_ids); /* the subject is first */
    struct buf tlvs = {0}, bytes = {0};
    wire_row_load_put(&tlvs, &load);
    row.tlvs = (struct slice){tlvs.data, tlvs.len};
    wire_row_encode(&bytes, &row);
    take(trust, MSG_ROW, &bytes);
    buf_free(&tlvs);
}

static void add_candidacy(struct trust *trust, uint32_t node) {
    struct node_id owner = ids[node]; /* of that key: another one */
    owner.b[sizeof owner.b - 1] ^= 1;
    struct address_record record = {
        .key = owner,
        .seq = (uint64_t)EPOCH * EPOCH_S,
        .minutes = 60,
        .address_count = 1,
        .addresses = {{.family = ADDRESS_IPV4, .ip = {10, 0, 0, 1}, .port = 7000}}};
    struct buf bytes = {0}, encoded = {0};
    wire_address_record_encode(&bytes, &record);
    struct candidacy candidacy = {.subject = ids[node],
                                  .address_record = {bytes.data, bytes.len},
                                  .epoch = EPOCH,
                                  .rate_kib = 1024,
                                  .day_mib = 20480,
                                  .sponsor = ids[node % MEMBERS]};
    wire_candidacy_encode(&encoded, &candidacy);
    take(trust, MSG_CANDIDACY, &encoded);
    buf_free(&bytes);
}

/* Votes of all that are to sign for a fourth of the members, as in each epoch. */
static void vote(struct trust *trust, uint32_t epoch) {
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, epoch);
    struct slice members = {ids[0].b, MEMBERS * sizeof *ids};
    for (uint32_t i = 3 + epoch % RENEW_EPOCHS; i < MEMBERS; i += RENEW_EPOCHS) {
        uint32_t places[SEATS_COMMITTEE];
        uint32_t count =
            seats_committee(&crypto, &checkpoint->checkpoint.beacon, &ids[i], members, places);
        for (uint32_t j = 0; j < count; j++) {
            struct cert cert = {.subject = ids[i],
                                .epoch = epoch + 1,
                                .life = CERT_VALID_EPOCHS,
                                .checkpoint = checkpoint->hash,
                                .signer_count = 1,
                                .signers = {{.signer = (uint16_t)places[j]}}};
            struct buf bytes = {0};
            wire_cert_encode(&bytes, &cert);
            take(trust, MSG_CERT, &bytes);
        }
    }
}

static void fill(struct trust *trust, struct rng *rng) {
    const struct trust_env env = {.network = &network, .crypto = &crypto, .seed = 1};
    trust_init(trust, &env);
    trust_advance(trust, EPOCH);
    for (uint32_t epoch = EPOCH - TRUST_EPOCHS + 1; epoch <= EPOCH; epoch++) {
        add_checkpoint(trust, epoch);
        for (uint32_t i = 0; i < MEMBERS; i++) {
            add_row(trust, i, epoch, rng);
        }
        if (epoch + CERT_VALID_EPOCHS + 1 >= EPOCH) { /* as long as votes are kept */
            vote(trust, epoch);
        }
    }
    for (uint32_t i = 3; i < NODES; i++) {
        add_candidacy(trust, i);
    }
}

static double ms_since(double before) {
    return (bench_now() - before) * 1e3;
}

/* The rest of what an anchor does in the step in which it begins to work out a root. */
static void bench_members(const struct bench *bench, struct trust *trust) {
    struct node_id *members;
    struct list_root list = {0};
    double before = bench_now();
    trust_note_shirkers(trust, EPOCH);
    double shirkers_ms = ms_since(before);
    before = bench_now();
    uint32_t count = trust_live_members(trust, EPOCH, &members);
    double members_ms = ms_since(before);
    if (count != MEMBERS) {
        bench_fail("%u are members, not %u", count, MEMBERS);
    }
    before = bench_now();
    trust_evidence(trust, EPOCH, members, count, &list);
    double all_ms = shirkers_ms + members_ms + ms_since(before);
    const char *peer = "an anchor's first step, all of it";
    bench_figure(bench, &(struct figure){"who did not sign, in one step", shirkers_ms, "ms", peer,
                                         all_ms, 5, BETTER_LOW});
    bench_figure(bench, &(struct figure){"who is a member, in one step", members_ms, "ms", peer,
                                         all_ms, 5, BETTER_LOW});
    bench_figure(bench, &(struct figure){peer, all_ms, "ms", "of that who is a member", members_ms,
                                         5, BETTER_LOW});
    list_root_free(&list);
    mem_free(members);
}

/* As an anchor and all others do: collect in one step, then work it out in slices. */
static void bench_root(const struct bench *bench, const struct trust *trust) {
    struct list_root list = {0};
    struct hash root, whole;
    double before = bench_now();
    trust_evidence(trust, EPOCH, NULL, 0, &list);
    double longest_ms = (bench_now() - before) * 1e3;
    double total_ms = longest_ms;
    for (bool is_done = false; !is_done;) {
        before = bench_now();
        is_done = list_root_take(&list, &crypto, SUM_BUDGET);
        double ms = (bench_now() - before) * 1e3;
        longest_ms = ms > longest_ms ? ms : longest_ms;
        total_ms += ms;
    }
    trust_candidate_root(trust, EPOCH, NULL, 0, &whole);
    if (!list_root_set(&list, &crypto, &root) || memcmp(root.b, whole.b, sizeof root.b) != 0) {
        bench_fail("in slices the root of all evidence is another");
    }
    list_root_free(&list);
    bench_figure(bench, &(struct figure){"root of all evidence, longest step", longest_ms, "ms",
                                         "in one step", total_ms, 5, BETTER_LOW});
}

/* ---- An epoch begins ---- */

/* A supernode with nothing but evidence and neighbours. */
struct teller {
    struct supernode supernode;
    struct node_env env;
    struct outbox out;
    struct neighbour *neighbours[NEIGHBOURS];
    struct link *links[NEIGHBOURS];
    double longest_ms;
    double total_ms;
};

static void note(struct teller *teller, double before) {
    double ms = ms_since(before);
    teller->longest_ms = ms > teller->longest_ms ? ms : teller->longest_ms;
    teller->total_ms += ms;
    outbox_clear(&teller->out);
}

static void open_teller(struct teller *teller, struct trust *trust) {
    struct supernode *supernode = &teller->supernode;
    struct node_event event = {.kind = NODE_TIMER, .mono_us = 1};
    teller->env = (struct node_env){.network = &network,
                                    .crypto = &crypto,
                                    .store = store_memory_new(NULL, NULL),
                                    .packer = packer_new()};
    teller->env.id = ids[MEMBERS - 1];
    supernode->env = &teller->env;
    measure_init(supernode);
    links_init(&supernode->links, &teller->env, NULL, supernode, &supernode->timers);
    evidence_init(supernode);
    supernode->trust = *trust;
    links_begin(&supernode->links, &event, &teller->out);
    for (uint32_t i = 0; i < NEIGHBOURS; i++) {
        struct address address = {.family = ADDRESS_IPV4};
        struct neighbour *neighbour = mem_new(sizeof *neighbour);
        struct link *link = links_dial(&supernode->links, &ids[i], &address, PURPOSE_MESH, NULL);
        link->open = true;
        link->owner = neighbour;
        neighbour->link = link;
        teller->links[i] = link;
        teller->neighbours[i] = neighbour;
    }
    outbox_clear(&teller->out);
}

/* Gives the evidence back. */
static void close_teller(struct teller *teller, struct trust *trust) {
    struct supernode *supernode = &teller->supernode;
    const struct trust_env env = {.network = &network, .crypto = &crypto};
    *trust = supernode->trust;
    trust_init(&supernode->trust, &env);
    for (uint32_t i = 0; i < NEIGHBOURS; i++) {
        evidence_closed(supernode, teller->neighbours[i]);
        mem_free(teller->neighbours[i]);
    }
    measure_free(supernode);
    evidence_free(supernode);
    links_free(&supernode->links);
    timers_free(&supernode->timers);
    outbox_free(&teller->out);
    packer_free(teller->env.packer);
    store_free(teller->env.store);
    mem_free(teller);
}

/* All is on the disk, and so is what has been forgotten since: a row of each member. */
static void fill_store(struct teller *teller) {
    struct buf prefixes = {0};
    trust_tell(&teller->supernode.trust, &prefixes);
    for (size_t at = 0; at < prefixes.len; at += 8) {
        struct reader reader = reader_of(prefixes.data + at, 8);
        uint64_t prefix = reader_u64(&reader);
        const struct trust_record *record = trust_find(&teller->supernode.trust, prefix);
        uint8_t key[9] = {trust_rank(record->type)};
        memcpy(key + 1, prefixes.data + at, 8);
        for (uint8_t gone = 0; gone < 2 && record->type != MSG_CANDIDACY; gone++) {
            key[8] ^= gone;
            if (gone == 0 || (record->type == MSG_ROW && record->epoch == EPOCH)) {
                store_put(teller->env.store, STORE_TRUST, (struct slice){key, sizeof key},
                          (struct slice){record->bytes, record->len});
            }
        }
    }
    buf_free(&prefixes);
}

static bool is_telling(const struct teller *teller) {
    bool is_telling = false;
    for (uint32_t i = 0; i < NEIGHBOURS; i++) {
        const struct neighbour *neighbour = teller->neighbours[i];
        is_telling = is_telling || neighbour->tally != NULL || neighbour->to_send.len > 0;
    }
    return is_telling;
}

/* They ask for all records of one list, of rows, as if none had come before. */
static void want(struct teller *teller, uint32_t step) {
    for (uint32_t i = 0; i < NEIGHBOURS; i++) {
        struct neighbour *neighbour = teller->neighbours[i];
        if (step == WANTED_LIST && neighbour->tally != NULL) {
            size_t at = neighbour->tally_at - TRUST_LIST_MAX * 8;
            struct trust_list list = {.count = TRUST_LIST_MAX,
                                      .prefixes = tally_next(neighbour->tally, &at)};
            struct buf payload = {0};
            wire_trust_list_encode(&payload, &list);
            double before = bench_now();
            if (evidence_take_want(&teller->supernode, teller->links[i],
                                   (struct slice){payload.data, payload.len}) != OK) {
                bench_fail("a list is refused");
            }
            note(teller, before);
            buf_free(&payload);
        }
    }
}

/* Which candidates are drawn to a member. */
static void bench_draw(const struct bench *bench, struct teller *teller) {
    teller->longest_ms = teller->total_ms = 0;
    double before = bench_now();
    measure_dial(&teller->supernode);
    for (bool is_done = false; !is_done; before = bench_now()) {
        is_done = measure_draw(&teller->supernode, DRAW_BUDGET);
        note(teller, before);
    }
    bench_figure(bench, &(struct figure){"whom to measure, longest step", teller->longest_ms, "ms",
                                         "all steps", teller->total_ms, 5, BETTER_LOW});
}

static void bench_tell(const struct bench *bench, struct trust *trust) {
    struct teller *teller = mem_new(sizeof *teller);
    open_teller(teller, trust);
    struct supernode *supernode = &teller->supernode;
    double before = bench_now();
    for (uint32_t i = 0; i < NEIGHBOURS; i++) {
        evidence_tell_all(supernode, teller->neighbours[i]);
    }
    note(teller, before);
    double first_ms = teller->longest_ms;
    for (uint32_t step = 0; is_telling(teller) && step < STEPS_MAX; step++) {
        before = bench_now();
        evidence_timer(supernode);
        note(teller, before);
        want(teller, step);
    }
    bench_figure(bench, &(struct figure){"all is told to 16, first step", first_ms, "ms",
                                         "all steps", teller->total_ms, 5, BETTER_LOW});
    bench_figure(bench, &(struct figure){"all is told to 16, longest step", teller->longest_ms,
                                         "ms", "all steps", teller->total_ms, 5, BETTER_LOW});
    fill_store(teller);
    teller->longest_ms = teller->total_ms = 0;
    evidence_sweep(supernode);
    for (uint32_t left = trust_count(&supernode->trust); left > 0; left--) {
        before = bench_now();
        evidence_timer(supernode);
        note(teller, before);
    }
    bench_figure(bench, &(struct figure){"the store is swept, longest step", teller->longest_ms,
                                         "ms", "all steps", teller->total_ms, 5, BETTER_LOW});
    bench_draw(bench, teller);
    close_teller(teller, trust);
}

/* The longest of the epochs in which all that there is goes: rows each time, candidacies in the
 * second, votes when they can complete nothing any more. */
static void bench_advance(const struct bench *bench, struct trust *trust) {
    double longest_ms = 0, total_ms = 0;
    for (uint32_t epoch = EPOCH + 1; epoch <= EPOCH + TRUST_EPOCHS; epoch++) {
        double before = bench_now();
        trust_advance(trust, epoch);
        double ms = ms_since(before);
        longest_ms = ms > longest_ms ? ms : longest_ms;
        total_ms += ms;
        add_checkpoint(trust, epoch);
    }
    bench_figure(bench, &(struct figure){"an epoch is over, longest of 24", longest_ms, "ms",
                                         "all of them", total_ms, 5, BETTER_LOW});
}

void bench_decide(const struct bench *bench) {
    double *step_ms = mem_array(STEPS_MAX, sizeof *step_ms);
    double total_ms = 0;
    uint32_t steps = 0;
    struct rng rng;
    struct trust trust;
    struct decide decide;
    rng_seed(&rng, 1);
    make_network(&rng);
    fill(&trust, &rng);
    decide_init(&decide, &network, &crypto, 1);
    decide_begin(&decide, &trust, trust_checkpoint_at(&trust, EPOCH));
    for (bool is_done = false; !is_done; steps++) {
        double before = bench_now();
        is_done = decide_step(&decide, &trust, BUDGET);
        step_ms[steps % STEPS_MAX] = (bench_now() - before) * 1e3;
        total_ms += step_ms[steps % STEPS_MAX];
    }
    if (decide.count != NODES) {
        bench_fail("%u are decided about, not %u", decide.count, NODES);
    }
    const char *peer = "in one step";
    bench_figure(bench, &(struct figure){"decide, 1,900 members", total_ms, "ms", peer, total_ms, 0,
                                         BETTER_LOW});
    bench_figure(bench,
                 &(struct figure){"decide, longest step", bench_percentile(step_ms, steps, 100),
                                  "ms", peer, total_ms, 5, BETTER_LOW});
    bench_root(bench, &trust);
    bench_members(bench, &trust);
    bench_tell(bench, &trust);
    bench_advance(bench, &trust);
    decide_free(&decide);
    trust_free(&trust);
    mem_free(step_ms);
}
