/* badpeer_leaf.c - a leaf that does wrong: queries without end, lists that are none, names that
 * bite. */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "tests/cluster/badpeer.h"

#define STATUS_MS 5000
#define END_MS 5000
#define FLOOD_PER_S 1000
#define REPEATS 200 /* of one query */
#define LIST_FILES 16
#define FULL_FILES 5000
#define LISTS 40 /* begun and not brought */

/* ---- Queries ---- */

/* By hand: the encoder would not write every text. */
void bad_query(struct bad *bad, struct buf *payload, const char *words, uint8_t ttl, uint8_t hops) {
    struct buf plain = {0}, body = {0};
    buf_u64(&plain, rng_u64(&bad->rng)); /* salt */
    buf_u8(&plain, QUERY_WORDS);
    buf_u16(&plain, (uint16_t)strlen(words));
    buf_append(&plain, words, strlen(words));
    packer_deflate(bad->packer, (struct slice){plain.data, plain.len}, &body);
    struct query_header header = {
        .ttl = ttl, .hops = hops, .want = 100, .deadline_ms = 2000, .body = {body.data, body.len}};
    wire_query_encode(payload, &header);
    buf_free(&plain);
    buf_free(&body);
}

static void take_answers(struct bad_link *link) {
    struct session_message message;
    while (bad_next(link, 0, &message)) {
        link->bad->answered += message.type == MSG_END;
    }
}

/* A thousand a second, for as long as it is let: one leaf ... */
static void run_query_flood(struct bad *bad) {
    struct bad_link link;
    struct buf payload = {0};
    int64_t begin_ms = bad_now_ms(), until_ms = begin_ms + bad->seconds * 1000;
    if (bad_open(bad, &link)) {
        while (link.end == BAD_OPEN && bad_now_ms() < until_ms) {
            bad_query(bad, &payload, "flood", TTL_POLICY, 0);
            bad_send(&link, MSG_QUERY, &payload);
            bad->sent++;
            take_answers(&link);
            int64_t due_ms = begin_ms + (int64_t)(bad->sent * 1000 / FLOOD_PER_S);
            if (due_ms > bad_now_ms()) {
                bad_sleep_ms((uint32_t)(due_ms - bad_now_ms()));
            }
        }
    }
    bad_close(&link);
    if (bad_open(bad, &link)) { /* and back at once, under the same name */
        bad_await_end(&link, 1000);
    }
    bad_close(&link);
}

/* One query again and again: no copy may cost more than an answer. */
static void run_same_query(struct bad *bad) {
    struct bad_link link;
    struct buf query = {0};
    bad_query(bad, &query, "again", 3, 0);
    if (bad_open(bad, &link)) {
        for (int i = 0; i < REPEATS && link.end == BAD_OPEN; i++) {
            struct buf copy = {0};
            buf_append(&copy, query.data, query.len);
            bad_send(&link, MSG_QUERY, &copy);
            bad->sent++;
            take_answers(&link);
            bad_sleep_ms(25); /* slowly enough for its rate */
        }
        bad_await_end(&link, END_MS);
    }
    bad_close(&link);
    buf_free(&query);
}

/* What a leaf may not write: hops, text that no query is, a body that is none. */
static void run_wrong_query(struct bad *bad) {
    static const char *const texts[] = {
        "", "\"", "-only", "type:nonsense", "unknownfield:x", "size:..", "((((", "a\x01b"};
    for (size_t i = 0; i < 2 + sizeof texts / sizeof *texts; i++) {
        struct bad_link link;
        struct buf payload = {0};
        if (i < sizeof texts / sizeof *texts) {
            bad_query(bad, &payload, texts[i], 3, 0);
        } else if (i == sizeof texts / sizeof *texts) {
            bad_query(bad, &payload, "words", 3, 1);
        } else {
            struct query_header header = {.ttl = 3, .body = {(const uint8_t *)"no deflate", 10}};
            wire_query_encode(&payload, &header);
        }
        if (bad_open(bad, &link)) {
            bad_send(&link, MSG_QUERY, &payload);
            bad_await_end(&link, END_MS);
        }
        bad->sent++;
        bad_close(&link);
    }
}

/* ---- Lists ---- */

static void send_state(struct bad_link *link, uint8_t type, const struct reg_state *state) {
    struct buf payload = {0};
    wire_reg_state_encode(&payload, state);
    bad_send(link, type, &payload);
}

/* What the supernode wants; 0 = it says nothing. */
static uint8_t verdict(struct bad_link *link) {
    struct session_message message;
    struct reg_status status;
    if (!bad_await(link, MSG_REG_STATUS, STATUS_MS, &message) ||
        wire_reg_status_decode(message.payload, &status) != OK) {
        return 0;
    }
    return status.verdict;
}

static void state_of(struct bad *bad, const struct file_record *records, uint32_t count,
                     struct reg_state *state) {
    struct hash *hashes = mem_array(count, sizeof *hashes);
    for (uint32_t i = 0; i < count; i++) {
        wire_file_record_hash(&records[i], identity_crypto(bad->identity), &hashes[i]);
    }
    *state = (struct reg_state){.index_id = rng_u64(&bad->rng), .sequence = 1, .count = count};
    if (!wire_list_root(identity_crypto(bad->identity), hashes, count, &state->root)) {
        bad_fail("a record stands twice in a list");
    }
    mem_free(hashes);
}

static void send_records(struct bad_link *link, const struct file_record *records, uint32_t count) {
    while (count > 0 && link->end == BAD_OPEN) {
        struct buf payload = {0};
        uint32_t packed = wire_reg_add_pack(&payload, records, count);
        bad_send(link, MSG_REG_ADD, &payload);
        records += packed;
        count -= packed;
    }
}

bool bad_register(struct bad_link *link, const struct file_record *records, uint32_t count) {
    struct reg_state state;
    state_of(link->bad, records, count, &state);
    send_state(link, MSG_REG_BEGIN, &state);
    uint8_t wanted = verdict(link);
    while (wanted == REG_WAIT) {
        wanted = verdict(link);
    }
    if (wanted == REG_SEND_ALL) {
        send_records(link, records, count);
        send_state(link, MSG_REG_COMMIT, &state);
        wanted = verdict(link);
    }
    return wanted == REG_DONE;
}

/* Records of files that nobody has; names by `format` with a number, in rising order. */
static struct file_record *make_records(struct bad *bad, uint32_t count, const char *format) {
    struct file_record *records = mem_array(count, sizeof *records);
    for (uint32_t i = 0; i < count; i++) {
        char name[NAME_BYTES_MAX + 1];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        int len = snprintf(name, sizeof name, format, i);
#pragma GCC diagnostic pop
        records[i].name = (struct slice){(uint8_t *)mem_string(name), (size_t)len};
        records[i].content.size = 1000 + i;
        rng_fill(&bad->rng, records[i].content.root.b, HASH_BYTES);
    }
    return records;
}

static void free_records(struct file_record *records, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        mem_free((void *)(uintptr_t)records[i].name.data);
    }
    mem_free(records);
}

/* What each of these lists does wrong. */
enum wrong_list {
    LIST_TOO_LONG,   /* more than anybody may have */
    LIST_WRONG_ROOT, /* not the one that was promised, again and again */
    LIST_MORE,       /* more records than promised */
    LIST_UNASKED,    /* records without a word before */
    LIST_UNSORTED,
    LIST_NO_END, /* committed before it is there */
    WRONG_LISTS
};

/* Two records in falling order, by hand: the encoder would not write them. */
static void send_unsorted(struct bad_link *link) {
    static const uint8_t columns[] = {100, 100}, metas[] = {0, 0}, shared[] = {0, 0};
    static const uint8_t roots[2 * HASH_BYTES] = {1}, names[] = "b\0a";
    struct buf payload = {0};
    buf_u16(&payload, 2);
    buf_append(&payload, columns, sizeof columns);
    buf_append(&payload, roots, sizeof roots);
    buf_append(&payload, metas, sizeof metas);
    buf_append(&payload, shared, sizeof shared);
    buf_append(&payload, names, sizeof names);
    bad_send(link, MSG_REG_ADD, &payload);
}

static void bring_list(struct bad_link *link, enum wrong_list wrong,
                       const struct file_record *records) {
    struct reg_state state;
    state_of(link->bad, records, LIST_FILES, &state);
    state.count = wrong == LIST_TOO_LONG ? LEAF_FILES_MAX + 1 : state.count;
    state.count = wrong == LIST_MORE ? LIST_FILES / 2 : state.count;
    state.root.b[0] ^= wrong == LIST_WRONG_ROOT ? 1 : 0;
    for (int i = 0; i < REPEATS && link->end == BAD_OPEN; i++) {
        if (wrong != LIST_UNASKED) {
            send_state(link, MSG_REG_BEGIN, &state);
            (void)verdict(link);
        }
        if (wrong == LIST_UNSORTED) {
            send_unsorted(link);
        } else if (wrong != LIST_NO_END && wrong != LIST_TOO_LONG) {
            send_records(link, records, LIST_FILES);
        }
        if (wrong != LIST_TOO_LONG) {
            send_state(link, MSG_REG_COMMIT, &state);
        }
    }
}

static void run_wrong_lists(struct bad *bad) {
    struct file_record *records = make_records(bad, LIST_FILES, "poisoned list %05u");
    for (int wrong = 0; wrong < WRONG_LISTS; wrong++) {
        struct bad_link link;
        bad_new_identity(bad);
        if (bad_open(bad, &link)) {
            bring_list(&link, (enum wrong_list)wrong, records);
            bad_await_end(&link, END_MS);
        }
        bad->sent++;
        bad_close(&link);
    }
    free_records(records, LIST_FILES);
}

/* As many files as may be, with as many words as may be, of which all are somebody's: it may fill
 * its own room only. */
static void run_flood_list(struct bad *bad) {
    struct bad_link link;
    struct file_record *records = make_records(
        bad, LEAF_FILES_MAX,
        "%05u the of and a in to is it you that he was for on are with as his they be at one have");
    if (bad_open(bad, &link)) {
        bad->answered = bad_register(&link, records, LEAF_FILES_MAX);
        bad_await_end(&link, 500);
    }
    bad_close(&link);
    free_records(records, LEAF_FILES_MAX);
}

/* One full list after the other, each by a leaf that stays, until there is no room. */
static void run_fill_index(struct bad *bad) {
    static struct bad_link links[LISTS];
    struct identity *identities[LISTS];
    uint32_t count = 0;
    bool is_taken = true;
    while (count < LISTS && is_taken) {
        struct file_record *records =
            make_records(bad, FULL_FILES, "%05u a list that fills the memory of others 0123456789");
        identities[count] = bad->identity = identity_ephemeral(NULL);
        is_taken = bad_open(bad, &links[count]) && bad_register(&links[count], records, FULL_FILES);
        bad->answered += is_taken;
        bad->sent++;
        bad_await_end(&links[count], 10);
        free_records(records, FULL_FILES);
        count++;
    }
    int64_t until_ms = bad_now_ms() + bad->seconds * 1000;
    while (bad_now_ms() < until_ms) {
        bad_await_end(&links[0], 100);
    }
    for (uint32_t i = 0; i < count; i++) {
        bad_close(&links[i]);
        identity_free(identities[i]);
    }
    bad->identity = NULL;
}

/* Lists that are begun and never come, to keep others waiting. */
static void run_hoard_turns(struct bad *bad) {
    static struct bad_link links[LISTS];
    struct file_record *records = make_records(bad, LIST_FILES, "never brought %05u");
    struct identity *identities[LISTS];
    for (uint32_t i = 0; i < LISTS; i++) {
        struct reg_state state;
        identities[i] = bad->identity = identity_ephemeral(NULL);
        if (bad_open(bad, &links[i])) {
            state_of(bad, records, LIST_FILES, &state);
            send_state(&links[i], MSG_REG_BEGIN, &state);
        }
        bad->sent++;
    }
    printf("{\"kind\":\"hoarding\"}\n");
    fflush(stdout);
    int64_t until_ms = bad_now_ms() + bad->seconds * 1000;
    while (bad_now_ms() < until_ms) {
        for (uint32_t i = 0; i < LISTS; i++) {
            bad_await_end(&links[i], 5);
        }
    }
    for (uint32_t i = 0; i < LISTS; i++) {
        bad_close(&links[i]);
        identity_free(identities[i]);
    }
    bad->identity = NULL;
    free_records(records, LIST_FILES);
}

/* ---- Names ---- */

#define NAME(text)                                                                                 \
    { (const uint8_t *)(text), sizeof(text) - 1 }

/* Names that nobody may register: paths, nothing, controls, what is no UTF-8. */
static const struct slice evil_names[] = {NAME(".."),
                                          NAME("."),
                                          NAME("../up"),
                                          NAME("/etc/passwd"),
                                          NAME("a\\b"),
                                          NAME("a/b"),
                                          NAME("bell\x07"),
                                          NAME("line\nbreak"),
                                          NAME("escape\x1b[2J"),
                                          NAME("del\x7f"),
                                          NAME("c1\xc2\x85x"),
                                          NAME("bad\xff utf8"),
                                          NAME("over\xc0\xaf"),
                                          NAME("half\xe2\x82"),
                                          NAME("surrogate\xed\xa0\x80"),
                                          NAME("")};

/* A REG_ADD of one record by hand: the encoder would not write such a name. */
static void add_by_hand(struct buf *payload, struct slice name) {
    static const uint8_t root[HASH_BYTES] = {1};
    buf_u16(payload, 1);
    buf_u8(payload, 100); /* size */
    buf_append(payload, root, sizeof root);
    buf_u8(payload, 0); /* no metadata */
    buf_u8(payload, 0); /* nothing shared with the name before */
    buf_append(payload, name.data, name.len);
    buf_u8(payload, 0);
}

static void run_evil_names(struct bad *bad) {
    for (size_t i = 0; i < sizeof evil_names / sizeof *evil_names; i++) {
        struct bad_link link;
        struct reg_state state = {.index_id = 9, .sequence = 1, .count = 1};
        bad_new_identity(bad);
        if (bad_open(bad, &link)) {
            struct buf payload = {0};
            send_state(&link, MSG_REG_BEGIN, &state);
            bad->answered += verdict(&link) == REG_SEND_ALL;
            add_by_hand(&payload, evil_names[i]);
            bad_send(&link, MSG_REG_ADD, &payload);
            bad_await_end(&link, END_MS);
        }
        bad->sent++;
        bad_close(&link);
    }
}

/* ---- Calls ---- */

/* PUSH for everybody to come to an address that is not ours. */
static void run_push_flood(struct bad *bad) {
    struct bad_link link;
    if (bad_open(bad, &link)) {
        struct address_record record = {.key = *identity_id(bad->identity),
                                        .seq = 1,
                                        .minutes = 60,
                                        .address_count = 1,
                                        .addresses = {bad->listen}};
        struct buf encoded = {0};
        wire_address_record_sign(&record, identity_crypto(bad->identity), &bad->network.id);
        wire_address_record_encode(&encoded, &record);
        for (int i = 0; i < REPEATS && link.end == BAD_OPEN; i++) {
            struct push push = {.target = bad->target_id, .requester = {encoded.data, encoded.len}};
            struct buf payload = {0};
            wire_push_encode(&payload, &push);
            bad_send(&link, MSG_PUSH, &payload);
            bad->sent++;
        }
        bad_await_end(&link, 1000);
        buf_free(&encoded);
    }
    bad_close(&link);
}

const struct bad_mode bad_leaf_modes[] = {
    {"query-flood", PURPOSE_LEAF, run_query_flood}, {"same-query", PURPOSE_LEAF, run_same_query},
    {"wrong-query", PURPOSE_LEAF, run_wrong_query}, {"wrong-lists", PURPOSE_LEAF, run_wrong_lists},
    {"flood-list", PURPOSE_LEAF, run_flood_list},   {"hoard-turns", PURPOSE_LEAF, run_hoard_turns},
    {"fill-index", PURPOSE_LEAF, run_fill_index},   {"evil-names", PURPOSE_LEAF, run_evil_names},
    {"push-flood", PURPOSE_LEAF, run_push_flood},   {0},
};
