/* decide.c - from evidence to decisions; see decide.h. */
#include "common/decide.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/limits.h"
#include "common/mem.h"

#define GATE_LOOK 4        /* epochs in one of which enough must have reached a candidate */
#define GATE_EPOCHS 2      /* in which a candidate must have been measured */
#define GATE_ISSUERS 2     /* that must have reached it, of as many as there are */
#define GATE_RATE_KIB 32   /* that it gives, at least: a tenth of what 300 leaves take */
#define GATE_DAY_MIB 64    /* and in a day: its share of being measured */
#define KEY_AGE_MEMBERS 16 /* from so many supernodes on a key must be of age */
#define GATE_ALL                                                                                   \
    (DECISION_GATE_CONSENT | DECISION_GATE_DIALLED | DECISION_GATE_UPTIME | DECISION_GATE_CAPS |   \
     DECISION_GATE_HONEST | DECISION_GATE_OF_AGE)

#define GATE_FRESH (DECISION_GATE_CONSENT | DECISION_GATE_CAPS | DECISION_GATE_HONEST)

void decide_init(struct decide *decide, const struct network *network, const struct crypto *crypto,
                 uint64_t seed) {
    *decide = (struct decide){.network = network, .crypto = crypto, .seed = seed};
    if (network->promotion.policy[0] != '\0') {
        decide->policy = policy_find(network->promotion.policy);
    }
}

/* What things cost, in edges of a rank, some 50 ns each. */
#define COST_ROW 16  /* beside its entries */
#define COST_NODE 64 /* gates, masses, the epochs of its role, its number */

static void free_rank(struct decide_rank *rank) {
    if (rank->rank != NULL) {
        rank_free(rank->rank);
    }
    *rank = (struct decide_rank){0};
}

static void forget_work(struct decide *decide);

void decide_free(struct decide *decide) {
    for (uint32_t i = 0; i < SEATS_HISTORY; i++) {
        free_rank(&decide->ranks[i]);
    }
    forget_work(decide);
    mem_free(decide->rows);
    decide->rows = NULL;
}

/* ---- Ranks ---- */

static const struct trust_record *row_at(const struct trust_issuer *issuer, uint32_t epoch) {
    const struct trust_record *record = issuer->rows[epoch % TRUST_EPOCHS];
    return record != NULL && record->epoch == epoch ? record : NULL;
}

static void read_row(const struct trust_record *record, struct row_record *row) {
    CHECK(wire_row_decode((struct slice){record->bytes, record->len}, row) == OK); /* taken */
}

static void add_row(struct rank *rank, const struct row_record *row) {
    uint32_t to[ROW_ENTRIES_MAX];
    uint16_t weights[ROW_ENTRIES_MAX];
    uint32_t count = 0;
    uint32_t from = rank_node(rank, &row->issuer);
    for (uint8_t i = 0; i < row->count && from != RANK_NONE; i++) {
        uint32_t node = rank_node(rank, &row->entries[i].subject);
        if (node != RANK_NONE) {
            to[count] = node;
            weights[count++] = row->entries[i].weight;
        }
    }
    if (from != RANK_NONE && rank_row(rank, from, to, weights, count) != OK) {
        return; /* beyond what is ranked: it counts nothing */
    }
}

/* Walk over the rows of a checkpoint's members for its epoch, by id: all fill up alike. */
static const struct trust_record *
next_row(const struct trust *trust, const struct trust_checkpoint *checkpoint, uint32_t *cursor) {
    const struct trust_record *record = NULL;
    while (record == NULL && *cursor < checkpoint->checkpoint.members) {
        const struct trust_issuer *issuer =
            map_get(&trust->issuers, checkpoint->members[(*cursor)++].b);
        record = issuer != NULL ? row_at(issuer, checkpoint->checkpoint.epoch) : NULL;
    }
    return record;
}

/* A digest of all that build_rank looks at, whatever order it came in. */
static uint64_t evidence_of(const struct trust *trust, const struct trust_checkpoint *checkpoint) {
    const struct network *network = trust->env.network;
    uint64_t digest = 0;
    for (uint32_t i = 0; i < network->anchor_count; i++) {
        digest ^= (uint64_t)trust_is_fraud(trust, &network->anchors[i]) << i;
    }
    uint32_t cursor = 0;
    for (const struct trust_record *row; (row = next_row(trust, checkpoint, &cursor)) != NULL;) {
        digest ^= row->prefix;
    }
    return digest;
}

static struct rank *open_rank(const struct decide *decide, const struct trust *trust) {
    struct rank_config config = rank_defaults(decide->seed);
    if (decide->policy->teleport_milli != 0) {
        config.teleport_milli = decide->policy->teleport_milli;
        config.row_cap_percent = decide->policy->row_cap_percent;
    }
    struct rank *rank = rank_new(&config);
    for (uint32_t i = 0; i < decide->network->anchor_count; i++) {
        const struct node_id *anchor = &decide->network->anchors[i];
        if (!trust_is_fraud(trust, anchor)) {
            rank_seed(rank, rank_node(rank, anchor));
        }
    }
    return rank;
}

/* The rank of an epoch whose checkpoint is known, begun when it is not there yet; or NULL. */
static struct decide_rank *rank_at(struct decide *decide, const struct trust *trust,
                                   uint32_t epoch) {
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, epoch);
    struct decide_rank *place = &decide->ranks[epoch % SEATS_HISTORY];
    if (checkpoint == NULL || checkpoint->members == NULL) {
        return NULL;
    }
    bool is_it = place->rank != NULL && place->epoch == epoch &&
                 memcmp(place->checkpoint.b, checkpoint->hash.b, sizeof place->checkpoint.b) == 0;
    if (!is_it) {
        free_rank(place);
        *place = (struct decide_rank){.epoch = epoch,
                                      .checkpoint = checkpoint->hash,
                                      .evidence = evidence_of(trust, checkpoint)};
        place->rank = open_rank(decide, trust);
    }
    return place;
}

/* Put rows into a rank, then rank them; true when a slice was worked. What came or went meanwhile
 * begins it anew. */
static bool work_on_rank(struct decide *decide, const struct trust *trust,
                         struct decide_rank *place, uint32_t budget) {
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, place->epoch);
    if (place->is_done) {
        return false;
    }
    if (place->is_whole) {
        place->is_done = rank_step(place->rank, budget);
        decide->spent = budget;
        return true;
    }
    const struct trust_record *record = NULL;
    while (decide->spent < budget &&
           (record = next_row(trust, checkpoint, &place->members)) != NULL) {
        struct row_record row;
        read_row(record, &row);
        add_row(place->rank, &row);
        decide->spent += COST_ROW + 2u * row.count;
    }
    if (record == NULL && evidence_of(trust, checkpoint) == place->evidence) {
        rank_begin(place->rank);
        place->is_whole = true;
    } else if (record == NULL) {
        free_rank(place);
    }
    return true;
}

static uint32_t oldest_ranked(uint32_t epoch) {
    return epoch >= SEATS_HISTORY ? epoch - SEATS_HISTORY + 1 : 0;
}

void decide_begin(struct decide *decide, const struct trust *trust,
                  const struct trust_checkpoint *checkpoint) {
    CHECK(decide->policy != NULL && checkpoint->members != NULL);
    forget_work(decide);
    for (uint32_t i = 0; i < SEATS_HISTORY; i++) {
        struct decide_rank *rank = &decide->ranks[i];
        const struct trust_checkpoint *past = trust_checkpoint_at(trust, rank->epoch);
        if (rank->rank != NULL &&
            (past == NULL || past->members == NULL || evidence_of(trust, past) != rank->evidence)) {
            free_rank(rank); /* rows have come late, or a fraud took some away */
        }
    }
    decide->epoch = checkpoint->checkpoint.epoch;
    decide->under = checkpoint->hash;
}

/* The mass that counts: see seats_counts. */
static uint64_t mass_of(struct decide *decide, const struct trust *trust,
                        const struct node_id *id) {
    struct seats_mass masses[SEATS_HISTORY];
    uint32_t count = 0;
    for (uint32_t ago = 0; ago < SEATS_HISTORY && ago <= decide->epoch; ago++) {
        const struct decide_rank *rank = rank_at(decide, trust, decide->epoch - ago);
        bool is_done = rank != NULL && rank->is_done; /* else its checkpoint has just come */
        uint32_t node = is_done ? rank_find(rank->rank, id) : RANK_NONE;
        if (is_done) {
            masses[count++] = (struct seats_mass){
                decide->epoch - ago, node != RANK_NONE ? rank_mass(rank->rank, node) : 0};
        }
    }
    return seats_counts(id, masses, count);
}

/* ---- What rows say of everybody ---- */

struct facts {
    struct node_id id;
    uint64_t rate; /* bytes a second in the epoch that is decided about, of all issuers */
    uint32_t issuers[GATE_LOOK]; /* who measured it, by how many epochs ago */
    bool issued[GATE_LOOK];      /* a row of its own */
    uint32_t epochs;             /* bit n: measured n epochs ago */
    uint32_t leaves;
    uint32_t slots;
};

/* Node id -> struct facts, of all who are named in a row or issued one. */
struct facts_table {
    struct map map;
    uint32_t rows[GATE_LOOK]; /* by how many epochs ago */
};

static struct facts *facts_of(struct facts_table *table, const struct node_id *id) {
    struct facts *facts = map_get(&table->map, id->b);
    if (facts == NULL) {
        facts = mem_new(sizeof *facts);
        facts->id = *id;
        map_put(&table->map, id->b, facts);
    }
    return facts;
}

/* What somebody says of itself: it weighs no more than the usual supernode. */
static void note_load(struct facts *issuer, const struct row_load *load) {
    uint32_t slots = load->slots;
    uint32_t leaves = load->leaves < slots ? load->leaves : slots;
    bool is_large = slots > LEAVES_MAX;
    issuer->leaves = is_large ? leaves * LEAVES_MAX / slots : leaves;
    issuer->slots = is_large ? LEAVES_MAX : slots;
}

static void note_row(struct facts_table *table, const struct row_record *row, uint32_t ago) {
    struct row_load load = wire_row_load(row);
    struct facts *issuer = facts_of(table, &row->issuer);
    if (ago == 0) {
        note_load(issuer, &load);
    }
    if (ago < GATE_LOOK) {
        issuer->issued[ago] = true;
        table->rows[ago]++;
    }
    for (uint8_t i = 0; i < row->count; i++) {
        struct facts *subject = facts_of(table, &row->entries[i].subject);
        subject->epochs |= 1u << ago;
        if (ago < GATE_LOOK) {
            subject->issuers[ago]++;
        }
        if (ago == 0 && load.ms > 0) {
            subject->rate += wire_row_bytes(row, row->entries[i].weight) * 1000 / load.ms;
        }
    }
}

static void free_facts(struct facts_table *table) {
    uint32_t cursor = 0;
    for (struct facts *facts; (facts = map_next(&table->map, &cursor, NULL)) != NULL;) {
        mem_free(facts);
    }
    map_free(&table->map);
}

/* All that is gathered for one decision. */
struct table {
    struct decide *decide;
    const struct trust *trust;
    struct facts_table facts;
    struct beacon dice[SEATS_TERM_EPOCHS];
    struct beacons beacons;
    struct policy_node *nodes;
    uint8_t *gates;
    uint32_t count;
};

/* ---- Gates ---- */

static uint32_t count_bits(uint32_t bits) {
    return (uint32_t)__builtin_popcount(bits);
}

static bool is_old_enough(const struct decide *decide, const struct facts *facts) {
    uint32_t age = decide->network->promotion.key_age;
    bool is_asked = decide->members >= KEY_AGE_MEMBERS && age > 0;
    uint32_t oldest = facts->epochs != 0 ? 32 - (uint32_t)__builtin_clz(facts->epochs) : 0;
    return !is_asked || oldest >= (age < TRUST_EPOCHS ? age : TRUST_EPOCHS);
}

/* Reached by two, or by all that there were beside itself. Bad epochs are forgiven: supernodes that
 * were to measure it may have left, or tell nothing of anybody but their friends. */
static bool is_dialled(const struct facts_table *table, const struct facts *facts) {
    bool is_there = false;
    for (uint32_t ago = 0; ago < GATE_LOOK; ago++) {
        uint32_t others = table->rows[ago] - facts->issued[ago];
        uint32_t wanted = others < GATE_ISSUERS ? others : GATE_ISSUERS;
        is_there = is_there || (table->rows[ago] > 0 && facts->issuers[ago] >= wanted);
    }
    return is_there;
}

/* What a node is when it is decided about. */
struct standing {
    bool is_member;
    bool is_fresh;   /* a member for less than the dwell time */
    uint32_t role_s; /* since it has been what it is */
};

/* Said in this epoch; a supernode may have been cut off when it was to say so. */
static bool does_consent(const struct decide *decide, const struct trust_candidate *candidate,
                         bool is_member) {
    return candidate != NULL && (candidate->record->epoch == decide->epoch ||
                                 (is_member && candidate->record->epoch + 1 == decide->epoch));
}

/* While a member may not change its role, silence is consent: its peer may have no parent that
 * passes its candidacy on, and who withdraws lets its supernode stop. */
static uint8_t gate_of(const struct table *table, const struct trust_candidate *candidate,
                       const struct facts *facts, const struct standing *standing) {
    const struct decide *decide = table->decide;
    bool speaks = does_consent(decide, candidate, standing->is_member);
    bool consents = speaks || standing->is_fresh;
    bool gives = speaks ? candidate->rate_kib >= GATE_RATE_KIB && candidate->day_mib >= GATE_DAY_MIB
                        : consents;
    return (uint8_t)((consents ? DECISION_GATE_CONSENT : 0) |
                     (is_dialled(&table->facts, facts) ? DECISION_GATE_DIALLED : 0) |
                     (count_bits(facts->epochs) >= GATE_EPOCHS ? DECISION_GATE_UPTIME : 0) |
                     (gives ? DECISION_GATE_CAPS : 0) |
                     (!trust_is_fraud(table->trust, &facts->id) ? DECISION_GATE_HONEST : 0) |
                     (is_old_enough(decide, facts) ? DECISION_GATE_OF_AGE : 0));
}

/* ---- Nodes ---- */

static bool was_member(const struct trust *trust, const struct node_id *id, uint32_t epoch,
                       bool *is_known) {
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, epoch);
    *is_known = checkpoint != NULL && checkpoint->members != NULL;
    return *is_known && trust_place(checkpoint->members, checkpoint->checkpoint.members, id) >= 0;
}

/* Since when it has had the role it has, as far as checkpoints tell. Who lost its seat may hear of
 * that an epoch later: its time begins then. */
static uint32_t role_age_s(const struct decide *decide, const struct trust *trust,
                           const struct node_id *id) {
    bool is_known;
    bool is_now = was_member(trust, id, decide->epoch, &is_known);
    for (uint32_t ago = 1; ago < TRUST_EPOCHS && ago <= decide->epoch; ago++) {
        bool was = was_member(trust, id, decide->epoch - ago, &is_known);
        if (is_known && was != is_now) {
            uint32_t epochs = ago - 1;
            return (epochs - (!is_now && epochs > 0)) * network_epoch_s(decide->network);
        }
    }
    return UINT32_MAX;
}

static struct standing standing_of(const struct decide *decide, const struct trust *trust,
                                   const struct node_id *id) {
    struct standing standing = {.role_s = role_age_s(decide, trust, id)};
    bool is_known;
    standing.is_member = was_member(trust, id, decide->epoch, &is_known);
    standing.is_fresh = standing.is_member && standing.role_s < decide->network->promotion.dwell_s;
    return standing;
}

static void fill_claims(const struct trust_candidate *candidate, struct policy_claims *claims) {
    struct candidacy candidacy;
    CHECK(wire_candidacy_decode((struct slice){candidate->record->bytes, candidate->record->len},
                                &candidacy) == OK);
    *claims = (struct policy_claims){
        .up_rate = candidacy.up_kib * 1024ull,
        .down_rate = candidacy.down_kib * 1024ull,
        .uptime_s = candidacy.uptime_s,
        .mean_uptime_s = candidacy.mean_uptime_s,
        .accepts_links = (candidacy.flags & CANDIDACY_ACCEPTS_LINKS) != 0,
    };
}

static void add_node(struct table *table, const struct node_id *id) {
    struct decide *decide = table->decide;
    const struct trust *trust = table->trust;
    const struct facts *facts = facts_of(&table->facts, id);
    const struct trust_candidate *candidate =
        trust_is_fraud(trust, id) ? NULL : map_get(&trust->candidates, id->b);
    const struct standing standing = standing_of(decide, trust, id);
    uint8_t gate = gate_of(table, candidate, facts, &standing);
    /* No role ends because one epoch was bad. */
    uint8_t needed = standing.is_fresh ? GATE_FRESH : GATE_ALL;
    struct policy_node *node = &table->nodes[table->count];
    *node = (struct policy_node){
        .id = *id,
        .is_anchor = network_is_anchor(decide->network, id),
        .is_member = standing.is_member,
        .consents = (gate & DECISION_GATE_CONSENT) != 0,
        .is_gated = (needed & ~gate) == 0,
        .mass = decide->policy->teleport_milli != 0 ? mass_of(decide, trust, id) : 0,
        .measured_rate = facts->rate,
        .witnessed_s = count_bits(facts->epochs) * network_epoch_s(decide->network),
        .role_s = standing.role_s,
        .leaves = facts->leaves,
        .slots = facts->slots,
        .number = seats_number(decide->crypto, &table->beacons, id),
    };
    if (candidate != NULL) {
        fill_claims(candidate, &node->claimed);
    }
    table->gates[table->count++] = gate | (node->is_member ? DECISION_GATE_MEMBER : 0);
}

static int compare_nodes(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct node_id));
}

/* All candidates of the epoch that are not condemned and all members, by id, none twice. */
static uint32_t list_ids(const struct decide *decide, const struct trust *trust,
                         const struct trust_checkpoint *checkpoint, struct node_id **ids) {
    uint32_t count = checkpoint->checkpoint.members;
    struct node_id *list = mem_array(count + trust->candidates.count + 1, sizeof *list);
    memcpy(list, checkpoint->members, count * sizeof *list);
    uint32_t cursor = 0;
    for (const struct trust_candidate *candidate;
         (candidate = map_next(&trust->candidates, &cursor, NULL)) != NULL;) {
        if (candidate->record->epoch == decide->epoch &&
            !trust_is_fraud(trust, &candidate->subject)) {
            list[count++] = candidate->subject;
        }
    }
    qsort(list, count, sizeof *list, compare_nodes);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || !node_id_equal(&list[kept - 1], &list[i])) {
            list[kept++] = list[i];
        }
    }
    *ids = list;
    return kept;
}

/* ---- The decision ---- */

static void note_beacons(struct table *table) {
    uint32_t count = 0;
    uint32_t epoch = table->decide->epoch;
    for (uint32_t ago = 0; ago < SEATS_TERM_EPOCHS && ago <= epoch; ago++) {
        const struct trust_checkpoint *past = trust_checkpoint_at(table->trust, epoch - ago);
        if (past != NULL) {
            table->dice[count++] = (struct beacon){past->checkpoint.beacon, past->checkpoint.epoch};
        }
    }
    table->beacons = (struct beacons){table->dice, count};
}

static void fill_view(const struct table *table, const struct trust_checkpoint *checkpoint,
                      struct policy_view *view) {
    const struct decide *decide = table->decide;
    *view = (struct policy_view){
        .crypto = decide->crypto,
        .beacons = table->beacons,
        .epoch_s = network_epoch_s(decide->network),
        .dwell_s = decide->network->promotion.dwell_s,
        .members = checkpoint->checkpoint.members,
        .wanted = checkpoint->wanted,
        .minimum = decide->network->promotion.seats_min,
    };
    for (uint32_t i = 0; i < table->count; i++) {
        if (table->nodes[i].is_member) {
            view->slots += table->nodes[i].slots;
            view->used += table->nodes[i].leaves;
        }
    }
}

static void keep_rows(struct decide *decide, const struct table *table,
                      const struct policy_decision *decisions) {
    mem_free(decide->rows);
    decide->count = table->count;
    decide->rows = mem_array(table->count + 1, sizeof *decide->rows);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct policy_node *node = &table->nodes[i];
        decide->rows[i] = (struct decide_row){
            .id = node->id,
            .gate = table->gates[i],
            .is_member = node->is_member,
            .verdict = (uint8_t)decisions[i].verdict,
            .reason = decisions[i].reason,
            .score = decisions[i].score,
            .draw = decisions[i].draw,
            .threshold = decisions[i].threshold,
            .rate = node->measured_rate,
            .witnessed_s = node->witnessed_s,
        };
    }
}

/* ---- In slices ---- */

enum work_phase { WORK_LIST, WORK_ROWS, WORK_NODES, WORK_DECIDE };

struct decide_work {
    uint8_t phase;  /* enum work_phase, once ranks are done */
    uint32_t at;    /* in `rows`, then in `ids` */
    uint64_t *rows; /* prefixes of those that count, whatever comes meanwhile */
    uint32_t row_count;
    struct node_id *ids;
    uint32_t count;
    struct table table;
};

static void forget_work(struct decide *decide) {
    struct decide_work *work = decide->work;
    if (work != NULL) {
        free_facts(&work->table.facts);
        mem_free(work->table.nodes);
        mem_free(work->table.gates);
        mem_free(work->rows);
        mem_free(work->ids);
        mem_free(work);
        decide->work = NULL;
    }
}

/* Which rows and whom it is about. */
static void list_work(struct decide *decide, const struct trust *trust,
                      const struct trust_checkpoint *checkpoint) {
    struct decide_work *work = decide->work;
    decide->members = checkpoint->checkpoint.members;
    work->rows = mem_array((size_t)trust->issuers.count * TRUST_EPOCHS + 1, sizeof *work->rows);
    uint32_t cursor = 0;
    for (const struct trust_issuer *issuer;
         (issuer = map_next(&trust->issuers, &cursor, NULL)) != NULL;) {
        for (uint32_t ago = 0; ago < TRUST_EPOCHS && ago <= decide->epoch; ago++) {
            const struct trust_record *record = row_at(issuer, decide->epoch - ago);
            if (record != NULL) {
                work->rows[work->row_count++] = record->prefix;
            }
        }
    }
    work->count = list_ids(decide, trust, checkpoint, &work->ids);
    work->table = (struct table){.decide = decide, .trust = trust};
    work->table.nodes = mem_array(work->count + 1, sizeof *work->table.nodes);
    work->table.gates = mem_array(work->count + 1, 1);
    map_init(&work->table.facts.map, sizeof(struct node_id), decide->seed ^ 0x6661637473);
    note_beacons(&work->table);
}

/* True when all rows are noted. */
static bool note_rows(struct decide *decide, const struct trust *trust, uint32_t budget) {
    struct decide_work *work = decide->work;
    while (work->at < work->row_count && decide->spent < budget) {
        const struct trust_record *record = trust_find(trust, work->rows[work->at++]);
        if (record == NULL || record->epoch > decide->epoch) {
            continue; /* gone meanwhile: outdated, or its signer is a fraud */
        }
        struct row_record row;
        read_row(record, &row);
        if (trust_row_counts(trust, &row.issuer, record->epoch)) {
            note_row(&work->table.facts, &row, decide->epoch - record->epoch);
        }
        decide->spent += COST_ROW + 2u * row.count;
    }
    return work->at == work->row_count;
}

/* True when all nodes are there. */
static bool add_nodes(struct decide *decide, uint32_t budget) {
    struct decide_work *work = decide->work;
    while (work->at < work->count && decide->spent < budget) {
        add_node(&work->table, &work->ids[work->at++]);
        decide->spent += COST_NODE;
    }
    return work->at == work->count;
}

static void conclude(struct decide *decide, const struct trust_checkpoint *checkpoint) {
    struct table *table = &decide->work->table;
    struct policy_view view;
    fill_view(table, checkpoint, &view);
    struct policy_decision *decisions = mem_array(table->count + 1, sizeof *decisions);
    decide->wanted = policy_decide(decide->policy, &view, table->nodes, table->count, decisions);
    keep_rows(decide, table, decisions);
    mem_free(decisions);
}

/* One slice of what follows the ranks; true when it is decided. */
static bool work_on(struct decide *decide, const struct trust *trust,
                    const struct trust_checkpoint *checkpoint, uint32_t budget) {
    struct decide_work *work = decide->work;
    bool is_over = true;
    switch (work->phase) {
    case WORK_LIST:
        list_work(decide, trust, checkpoint);
        break;
    case WORK_ROWS:
        is_over = note_rows(decide, trust, budget);
        break;
    case WORK_NODES:
        is_over = add_nodes(decide, budget);
        break;
    default:
        conclude(decide, checkpoint);
        forget_work(decide);
        return true;
    }
    if (is_over) {
        work->phase++;
        work->at = 0;
    }
    return false;
}

bool decide_holds(const struct decide *decide, const struct trust *trust) {
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, decide->epoch);
    return checkpoint != NULL && checkpoint->members != NULL &&
           memcmp(checkpoint->hash.b, decide->under.b, sizeof decide->under.b) == 0;
}

bool decide_step(struct decide *decide, const struct trust *trust, uint32_t budget) {
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, decide->epoch);
    decide->spent = 0;
    if (!decide_holds(decide, trust)) {
        forget_work(decide);
        return true;
    }
    for (uint32_t at = oldest_ranked(decide->epoch);
         decide->work == NULL && decide->policy->teleport_milli != 0 && at <= decide->epoch; at++) {
        struct decide_rank *rank = rank_at(decide, trust, at);
        if (rank != NULL && work_on_rank(decide, trust, rank, budget)) {
            return false;
        }
    }
    if (decide->work == NULL) {
        decide->work = mem_new(sizeof *decide->work);
    }
    return work_on(decide, trust, checkpoint, budget);
}

const struct decide_row *decide_find(const struct decide *decide, const struct node_id *id) {
    return decide->count == 0
               ? NULL
               : bsearch(id, decide->rows, decide->count, sizeof *decide->rows, compare_nodes);
}
