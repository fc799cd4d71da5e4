/* bench_decide.c - a decision about the largest network that one frame can name, step by step. */
#include <stdlib.h>
#include <string.h>

#include "common/decide.h"
#include "common/limits.h"
#include "common/mem.h"
#include "common/rng.h"
#include "src/host/crypto.h"
#include "src/lab/elect_records.h"
#include "tests/bench/bench.h"

#define MEMBERS MEMBERS_MAX
#define NODES (MEMBERS + 2000) /* members first, then candidates */
#define EPOCH 1000
#define EPOCH_S 3600
#define BUDGET 20000    /* what a supernode gives to one step */
#define SUM_BUDGET 8000 /* and to a step of a root */
#define STEPS_MAX 65536

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
    network = (struct network){.name = "bench", .epoch_s = EPOCH_S, .anchor_count = 3};
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

static void fill(struct trust *trust, struct rng *rng) {
    const struct trust_env env = {.network = &network, .crypto = &crypto, .seed = 1};
    trust_init(trust, &env);
    trust_advance(trust, EPOCH);
    for (uint32_t epoch = EPOCH - TRUST_EPOCHS + 1; epoch <= EPOCH; epoch++) {
        add_checkpoint(trust, epoch);
        for (uint32_t i = 0; i < MEMBERS; i++) {
            add_row(trust, i, epoch, rng);
        }
    }
    for (uint32_t i = 3; i < NODES; i++) {
        add_candidacy(trust, i);
    }
}

/* Votes of all that are to sign for a fourth of the members, as in each epoch. */
static void vote(struct trust *trust) {
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, EPOCH);
    struct slice members = {ids[0].b, MEMBERS * sizeof *ids};
    for (uint32_t i = 3; i < MEMBERS; i += CERT_VALID_EPOCHS - 2) {
        uint32_t places[SEATS_COMMITTEE];
        uint32_t count =
            seats_committee(&crypto, &checkpoint->checkpoint.beacon, &ids[i], members, places);
        for (uint32_t j = 0; j < count; j++) {
            struct cert cert = {.subject = ids[i],
                                .epoch = EPOCH + 1,
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

static void bench_shirkers(const struct bench *bench, struct trust *trust) {
    double before = bench_now();
    vote(trust);
    double votes_ms = (bench_now() - before) * 1e3;
    before = bench_now();
    trust_note_shirkers(trust, EPOCH);
    double ms = (bench_now() - before) * 1e3;
    bench_figure(bench, &(struct figure){"who did not sign, in one step", ms, "ms",
                                         "all those votes", votes_ms, 5, BETTER_LOW});
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
    bench_shirkers(bench, &trust);
    decide_free(&decide);
    trust_free(&trust);
    mem_free(step_ms);
}
