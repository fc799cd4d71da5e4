/* elect_records.c - rows, checkpoints and candidacies of a simulated network; see the header. */
#include "src/lab/elect_records.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"

#define WINDOW_MS 2500
#define DAY_MIB 20480
#define FORGED_KIB 10240 /* what each identity of the attacker says that it gives */
#define KIB 1024

struct records {
    struct network network;
    struct crypto crypto;
    struct trust trust;
    struct decide decide;
    uint32_t epoch;
    struct trust_record *candidacies; /* of those who stand, in the order of the map */
    uint32_t count;
    uint32_t cap;
};

static void no_sign(void *context, struct slice message, uint8_t signature[SIGNATURE_BYTES]) {
    (void)context;
    (void)message;
    memset(signature, 0, SIGNATURE_BYTES);
}

static bool no_verify(void *context, const struct node_id *signer, struct slice message,
                      const uint8_t signature[SIGNATURE_BYTES]) {
    (void)context;
    (void)signer;
    (void)message;
    (void)signature;
    return true;
}

struct crypto elect_crypto(const struct crypto *crypto) {
    struct crypto trusting = *crypto;
    trusting.sign = no_sign;
    trusting.verify = no_verify;
    return trusting;
}

static int compare_ids(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct node_id));
}

struct records *elect_records_new(const struct elect_config *config, const struct people *people,
                                  const struct crypto *crypto) {
    struct records *records = mem_new(sizeof *records);
    struct network *network = &records->network;
    *network = (struct network){.name = "elected",
                                .epoch_s = config->epoch_s,
                                .anchor_count = config->anchors,
                                .promotion = {.dwell_s = config->dwell_s,
                                              .key_age = config->key_age,
                                              .measure_bytes = 1 << 20}};
    for (uint32_t i = 0; i < config->anchors; i++) {
        network->anchors[i] = people->list[i].id;
    }
    qsort(network->anchors, config->anchors, sizeof *network->anchors, compare_ids);
    strncpy(network->promotion.policy, config->policy->name, sizeof network->promotion.policy - 1);
    records->crypto = elect_crypto(crypto);
    enum err err = network_seal(network, &records->crypto);
    CHECK(err == OK);
    const struct trust_env env = {
        .network = network, .crypto = &records->crypto, .seed = config->seed};
    trust_init(&records->trust, &env);
    decide_init(&records->decide, network, &records->crypto, config->seed);
    records->cap = people->count;
    records->candidacies = mem_array(people->count + 1, sizeof *records->candidacies);
    return records;
}

/* They are not of the records that the evidence keeps: it is told of them, and they are taken out
 * again, without their signatures. */
static void forget_candidacies(struct records *records) {
    uint32_t cursor = 0;
    const void *key;
    for (struct trust_candidate *candidate;
         (candidate = map_next(&records->trust.candidates, &cursor, &key)) != NULL;) {
        map_remove(&records->trust.candidates, key);
        mem_free(candidate);
    }
    for (uint32_t i = 0; i < records->count; i++) {
        mem_free(records->candidacies[i].bytes);
    }
    records->count = 0;
}

void elect_records_free(struct records *records) {
    forget_candidacies(records);
    decide_free(&records->decide);
    trust_free(&records->trust);
    mem_free(records->candidacies);
    mem_free(records);
}

/* Votes may be more than there is room for, in layers far beyond what is needed. */
static void take(struct records *records, uint8_t type, struct buf *bytes) {
    struct trust_record *added;
    enum err err =
        trust_take(&records->trust, type, (struct slice){bytes->data, bytes->len}, &added);
    CHECK(err == OK || (err == ERR_BUSY && type == MSG_CERT));
    buf_free(bytes);
}

void elect_records_checkpoint(struct records *records, const struct beacon *beacon,
                              struct node_id *members, uint32_t count, uint32_t wanted) {
    struct checkpoint checkpoint = {
        .epoch = beacon->epoch, .members = count, .beacon = beacon->hash};
    struct buf bytes = {0}, tlvs = {0};
    records->epoch = beacon->epoch;
    if (records->trust.latest != NULL) {
        checkpoint.previous = records->trust.latest->hash;
    }
    qsort(members, count, sizeof *members, compare_ids);
    trust_set_root(&records->trust, members, count, &checkpoint.set_root);
    if (wanted > 0) {
        wire_checkpoint_wanted_put(&tlvs, (uint16_t)wanted);
        checkpoint.tlvs = (struct slice){tlvs.data, tlvs.len};
    }
    wire_checkpoint_encode(&bytes, &checkpoint);
    take(records, MSG_CHECKPOINT, &bytes);
    struct members list = {.epoch = records->epoch,
                           .count = (uint16_t)count,
                           .keys = {members->b, count * sizeof *members}};
    wire_members_encode(&bytes, &list);
    take(records, MSG_MEMBERS, &bytes);
    buf_free(&tlvs);
}

static uint16_t weight_of(double bytes, double sum) {
    double weight = (ROW_WEIGHT_SUM - ROW_ENTRIES_MAX) * bytes / sum;
    return (uint16_t)(weight < 1 ? 1 : weight);
}

void elect_records_row(struct records *records, const struct elect_row *row) {
    struct row_record record = {.issuer = row->issuer, .epoch = records->epoch};
    struct row_load load = {.leaves = row->leaves, .slots = row->slots, .ms = WINDOW_MS};
    struct buf tlvs = {0}, bytes = {0};
    double sum = 0;
    for (uint32_t i = 0; i < row->count; i++) {
        sum += row->bytes[i];
    }
    for (uint32_t i = 0; i < row->count; i++) {
        record.entries[record.count++] =
            (struct row_entry){row->subjects[i], weight_of(row->bytes[i], sum)};
    }
    qsort(record.entries, record.count, sizeof *record.entries, compare_ids); /* subject first */
    load.bytes = (uint64_t)(sum * WINDOW_MS / 1000);
    wire_row_load_put(&tlvs, &load);
    record.tlvs = (struct slice){tlvs.data, tlvs.len};
    wire_row_encode(&bytes, &record);
    take(records, MSG_ROW, &bytes);
    buf_free(&tlvs);
}

static uint32_t kib_of(uint64_t bytes) {
    uint64_t kib = bytes / KIB;
    return kib < 1 ? 1 : kib < UINT32_MAX ? (uint32_t)kib : UINT32_MAX;
}

void elect_records_candidacy(struct records *records, const struct person *person,
                             const struct policy_claims *claims) {
    struct address_record own = {
        .key = person->id,
        .minutes = 60,
        .address_count = 1,
        .addresses = {{.family = ADDRESS_IPV4, .ip = {10, 0, 0, 1}, .port = 1}}};
    struct buf bytes = {0}, address = {0};
    wire_address_record_encode(&address, &own);
    struct candidacy candidacy = {
        .subject = person->id,
        .address_record = {address.data, address.len},
        .epoch = records->epoch,
        .rate_kib = person->is_forged ? FORGED_KIB : kib_of(person->rate),
        .day_mib = DAY_MIB,
        .up_kib = kib_of(claims->up_rate),
        .down_kib = kib_of(claims->down_rate),
        .uptime_s = claims->uptime_s,
        .mean_uptime_s = claims->mean_uptime_s,
        .flags = claims->accepts_links ? CANDIDACY_ACCEPTS_LINKS : 0,
    };
    wire_candidacy_encode(&bytes, &candidacy);
    buf_free(&address);
    CHECK(records->count < records->cap);
    struct trust_record *record = &records->candidacies[records->count++];
    *record = (struct trust_record){.type = MSG_CANDIDACY,
                                    .epoch = records->epoch,
                                    .bytes = bytes.data,
                                    .len = (uint32_t)bytes.len};
    struct trust_candidate *candidate = mem_new(sizeof *candidate);
    *candidate = (struct trust_candidate){.subject = person->id,
                                          .owner = person->id,
                                          .record = record,
                                          .rate_kib = candidacy.rate_kib,
                                          .day_mib = candidacy.day_mib};
    map_put(&records->trust.candidates, person->id.b, candidate);
}

void elect_records_vote(struct records *records, const struct node_id *subject,
                        const uint32_t *places, uint32_t count) {
    const struct trust_checkpoint *checkpoint =
        trust_checkpoint_at(&records->trust, records->epoch);
    const struct network *network = &records->network;
    bool is_small = checkpoint->checkpoint.members < SEATS_QUORUM_SHARED; /* anchors alone sign */
    for (uint32_t i = 0; i < count; i++) {
        int32_t place = (int32_t)places[i];
        if (is_small) {
            place = trust_place(network->anchors, network->anchor_count,
                                &checkpoint->members[places[i]]);
        }
        if (place < 0) {
            continue;
        }
        struct cert cert = {.subject = *subject,
                            .epoch = records->epoch + 1,
                            .life = CERT_VALID_EPOCHS,
                            .checkpoint = checkpoint->hash,
                            .signer_count = 1,
                            .signers = {{.signer = (uint16_t)place}}};
        struct buf bytes = {0};
        wire_cert_encode(&bytes, &cert);
        take(records, MSG_CERT, &bytes);
    }
}

void elect_records_advance(struct records *records, uint32_t epoch) {
    forget_candidacies(records);
    trust_advance(&records->trust, epoch);
}

bool elect_records_is_certified(const struct records *records, const struct node_id *id) {
    struct buf cert = {0};
    uint32_t until;
    bool is_good =
        trust_cert_of(&records->trust, id, &cert) &&
        trust_certified(&records->trust, id, (struct slice){cert.data, cert.len}, &until) == OK;
    buf_free(&cert);
    return is_good;
}

const struct decide *elect_records_decide(struct records *records) {
    decide_begin(&records->decide, &records->trust,
                 trust_checkpoint_at(&records->trust, records->epoch));
    while (!decide_step(&records->decide, &records->trust, UINT32_MAX)) {
    }
    return &records->decide;
}

bool elect_records_is_gated(const struct decide_row *row) {
    static const uint8_t all = DECISION_GATE_CONSENT | DECISION_GATE_DIALLED |
                               DECISION_GATE_UPTIME | DECISION_GATE_CAPS | DECISION_GATE_HONEST |
                               DECISION_GATE_OF_AGE;
    return (row->gate & all) == all;
}
