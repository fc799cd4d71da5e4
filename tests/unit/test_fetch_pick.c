/* test_fetch_pick.c - what a download asks of whom: the fastest source first, the rarest piece
 * first, late blocks again from another, untried sources instead of slow ones and of queues; and
 * that a block is judged though nobody needs it.
 *
 * The sources are scripted: they note what they are asked for and answer as the test says. */
#include "tests/unit/peer_cast.h"
#include "tests/unit/peer_raw.h"

#include "common/filelink.h"
#include "peer/fetch.h"

#define MIB (1024 * 1024ull)
#define ASKED_MAX 4096

struct script {
    struct raw *raw;
    const struct world_file *file;
    uint8_t has[8];        /* bitmap; all zero = everything */
    bool is_silent;        /* sends no blocks; they wait in `owed` */
    bool spoils;           /* the blocks that it sends are wrong */
    bool knows_little;     /* no hashes */
    bool knows_pieces;     /* no hashes of blocks */
    uint32_t spoilt;       /* block that it sends wrong, plus 1; 0 = none but as `spoils` says */
    bool is_far;           /* the test sends its HAVE */
    uint16_t queue;        /* position at which it lets everybody wait; 0 = serves */
    uint32_t hashes_asked; /* while it knows little */
    uint32_t handle;       /* of the file that was opened; 0 = none */
    uint32_t opens;
    uint32_t opened; /* the last OPEN of it was the so manieth of all */
    uint32_t shuts;
    uint32_t blocks;           /* sent */
    uint32_t asked[ASKED_MAX]; /* blocks, in their order */
    uint32_t asked_count;
    uint32_t owed; /* of `asked`, the first that was not sent */
};

static uint32_t all_opens; /* that scripts have seen */

static int setup(void **state) {
    struct world *world = world_new(9);
    cast_supernode(world);
    *state = world;
    return 0;
}

static int teardown(void **state) {
    world_free(*state);
    return 0;
}

/* ---- Scripted sources ---- */

static void say(struct link *link, uint8_t type, struct buf *payload) {
    links_send(link, type, (struct slice){payload->data, payload->len});
    buf_free(payload);
}

static void send_have(struct script *script, struct link *link) {
    static const uint8_t nothing[sizeof script->has];
    struct have have = {.handle = script->handle};
    struct buf payload = {0};
    have.all = memcmp(script->has, nothing, sizeof nothing) == 0;
    if (!have.all) {
        have.bitmap =
            (struct slice){script->has, (hashtree_pieces(script->file->content.size) + 7) / 8};
    }
    wire_have_encode(&payload, &have);
    say(link, MSG_HAVE, &payload);
}

static void send_block(struct script *script, struct link *link, uint32_t index) {
    uint32_t len = hashtree_block_bytes(script->file->content.size, index);
    struct buf frame = {0}, payload = {0};
    wire_block_header(&frame, script->handle, index, len);
    buf_append(&payload, frame.data + FRAME_HEADER_BYTES, frame.len - FRAME_HEADER_BYTES);
    buf_append(&payload, script->file->bytes + (uint64_t)index * BLOCK_BYTES, len);
    payload.data[payload.len - 1] ^= script->spoils || index + 1 == script->spoilt;
    buf_free(&frame);
    script->blocks++;
    say(link, MSG_BLOCK, &payload);
}

/* Send what was asked for and not sent yet, `most` blocks of it. */
static void send_owed(struct script *script, struct link *link, uint32_t most) {
    for (; script->owed < script->asked_count && most > 0; most--) {
        send_block(script, link, script->asked[script->owed++]);
    }
}

static void send_hashes(const struct script *script, struct link *link,
                        const struct hashes_request *request) {
    const struct crypto *crypto = script->raw->node->env.crypto;
    const struct world_file *file = script->file;
    struct hash blocks[PIECE_BLOCKS], hashes[HASHES_MAX];
    struct hash_run run = {.layer = request->layer, .first = request->first};
    run.count = request->count;
    run.hashes = hashes;
    if (request->layer == 0) {
        uint32_t piece = request->first / PIECE_BLOCKS;
        for (uint32_t i = 0; i < hashtree_piece_blocks(file->content.size, piece); i++) {
            uint32_t block = request->first + i;
            crypto_hash(crypto,
                        (struct slice){file->bytes + (uint64_t)block * BLOCK_BYTES,
                                       hashtree_block_bytes(file->content.size, block)},
                        &blocks[i]);
        }
        memcpy(hashes, blocks, sizeof blocks);
        hashtree_block_proof(crypto, file->content.size, blocks, file->pieces, &run);
    } else {
        for (uint32_t i = 0; i < request->count; i++) {
            hashtree_pad(crypto, HASHTREE_PIECE_LAYER, &hashes[i]);
            if (request->first + i < hashtree_pieces(file->content.size)) {
                hashes[i] = file->pieces[request->first + i];
            }
        }
        hashtree_proof(crypto, file->content.size, file->pieces, &run);
    }
    struct hashes answer = {.handle = request->handle,
                            .layer = request->layer,
                            .first = request->first,
                            .count = request->count,
                            .hashes = {hashes[0].b, (size_t)request->count * HASH_BYTES},
                            .proof_count = (uint8_t)run.proof_count,
                            .proof = {run.proof[0].b, (size_t)run.proof_count * HASH_BYTES}};
    struct buf payload = {0};
    wire_hashes_encode(&payload, &answer);
    say(link, MSG_HASHES, &payload);
}

static void send_queued(const struct script *script, struct link *link) {
    const struct reject reject = {.handle = script->handle,
                                  .reason = REJECT_QUEUED,
                                  .retry_after_ms = 60000,
                                  .queue_position = script->queue};
    struct buf payload = {0};
    wire_reject_encode(&payload, &reject);
    say(link, MSG_REJECT, &payload);
}

static void take_request(struct script *script, struct link *link, struct slice payload) {
    struct block_request request;
    assert_int_equal(wire_block_request_decode(payload, &request), OK);
    if (script->queue > 0) {
        send_queued(script, link);
        return;
    }
    for (uint32_t i = 0; i < request.count; i++) {
        assert_true(script->asked_count < ASKED_MAX);
        script->asked[script->asked_count++] = request.first + i;
    }
    if (!script->is_silent) {
        send_owed(script, link, ASKED_MAX);
    }
}

static void answer(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
    struct script *script = raw->context;
    struct open_file open;
    struct hashes_request request;
    if (type == MSG_OPEN) {
        assert_int_equal(wire_open_decode(payload, &open), OK);
        script->handle = open.handle;
        script->opens++;
        script->opened = ++all_opens;
        if (!script->is_far) {
            send_have(script, link);
        }
    } else if (type == MSG_BLOCK_REQUEST) {
        take_request(script, link, payload);
    } else if (type == MSG_HASHES_REQUEST && script->knows_little) {
        script->hashes_asked++;
    } else if (type == MSG_HASHES_REQUEST) {
        assert_int_equal(wire_hashes_request_decode(payload, &request), OK);
        if (!script->knows_pieces || request.layer > 0) {
            send_hashes(script, link, &request);
        }
    } else if (type == MSG_SHUT) {
        script->shuts++;
        script->handle = 0;
    }
}

static struct script *script_add(struct world *world, const struct world_file *file) {
    struct script *script = mem_new(sizeof *script);
    script->raw = raw_add(world);
    script->raw->answer = answer;
    script->raw->context = script;
    script->file = file;
    return script;
}

/* Its node stays in the world. */
static void script_free(struct script *script) {
    script->raw->answer = NULL;
    mem_free(script);
}

static void set_has(struct script *script, uint32_t pieces, uint32_t without) {
    for (uint32_t i = 0; i < pieces; i++) {
        script->has[i / 8] |= (uint8_t)((i != without ? 0x80u : 0) >> i % 8);
    }
}

/* Fetch from these nodes. */
static uint64_t get_from(struct world_node *asker, const struct world_file *file,
                         const struct world_node *const *nodes, uint32_t count) {
    char content[CONTENT_TEXT_BYTES], sources[SOURCES_TOLD_MAX * NODE_PLACE_TEXT_BYTES] = "";
    content_format(content, &file->content);
    for (uint32_t i = 0; i < count; i++) {
        char text[NODE_PLACE_TEXT_BYTES];
        struct node_place place = {nodes[i]->identity.id, nodes[i]->env.listen[0]};
        node_place_format(text, &place);
        strcat(strcat(sources, i > 0 ? " " : ""), text);
    }
    const struct command_arg args[] = {{"content", content}, {"source", sources}, {"wait", "1"}};
    return world_command_args(asker, "get", args, 3);
}

static uint64_t downloading(struct world_node *asker, const char *key) {
    uint64_t list = world_command(asker, "downloads", NULL, NULL);
    return world_number(world_reported(asker, list, "download", 0), key);
}

/* ---- Rarest first ---- */

/* The first piece that the third is asked for and that it does not share with the others. */
static uint32_t first_of_its_own(struct script *const scripts[3]) {
    for (uint32_t i = 0; i < scripts[2]->asked_count; i++) {
        uint32_t piece = scripts[2]->asked[i] / PIECE_BLOCKS;
        bool is_shared = false;
        for (int j = 0; j < 2; j++) {
            is_shared = is_shared || scripts[j]->asked[0] / PIECE_BLOCKS == piece;
        }
        if (!is_shared) {
            return piece;
        }
    }
    return UINT32_MAX;
}

/* Three sources, of which two lack a piece; the hashes come only when all three are there. */
static void expect_rarest_first(uint32_t rare) {
    enum { PIECES = 8 };
    struct world *world = world_new(10 + rare);
    cast_supernode(world);
    const struct world_file *file = world_make_file(world, PIECES * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    struct script *scripts[3];
    const struct world_node *nodes[3];
    for (int i = 0; i < 3; i++) {
        scripts[i] = script_add(world, file);
        scripts[i]->is_silent = i < 2;
        scripts[i]->knows_little = i < 2;
        nodes[i] = scripts[i]->raw->node;
        if (i < 2) {
            set_has(scripts[i], PIECES, rare);
        }
    }
    (void)get_from(asker, file, nodes, 3);
    world_run_for(world, 3 * SECOND_US);
    assert_int_equal(first_of_its_own(scripts), rare);
    world_free(world);
    for (int i = 0; i < 3; i++) {
        mem_free(scripts[i]);
    }
}

static void the_rarest_piece_is_first(void **state) {
    (void)state;
    for (uint32_t rare = 0; rare < 8; rare++) {
        expect_rarest_first(rare);
    }
}

/* ---- Late blocks ---- */

/* Who stops is left after twice the time that its blocks should take, at least 2 s, and what it
 * owes comes from another, long before the end; when it sends again, it is asked again. */
static void late_blocks_are_for_others(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 24 * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    const struct world_node *steady = cast_peer(world, file, MIB);
    struct script *stops = script_add(world, file);
    const struct world_node *nodes[2] = {steady, stops->raw->node};
    (void)get_from(asker, file, nodes, 2);
    while (stops->blocks < 3 * PIECE_BLOCKS) { /* it is trusted a little by then */
        stops->is_silent = stops->blocks >= 2 * PIECE_BLOCKS;
        world_run_for(world, LATENCY_US);
        if (stops->is_silent) {
            break;
        }
    }
    world_run_for(world, SECOND_US);
    assert_true(stops->asked_count > stops->owed);
    uint32_t piece = stops->asked[stops->owed] / PIECE_BLOCKS;
    assert_int_equal(downloading(asker, "sources"), 2);
    world_run_for(world, SECOND_US / 2);
    assert_int_equal(downloading(asker, "sources"), 2); /* 1.5 s are no reason */
    uint64_t silent_us = 3 * SECOND_US / 2;
    for (; downloading(asker, "sources") == 2; silent_us += SECOND_US / 10) {
        assert_true(silent_us < 8 * SECOND_US); /* two pieces at half a MiB/s, twice */
        world_run_for(world, SECOND_US / 10);
    }
    assert_true(silent_us >= FETCH_LATE_MS_MIN * 1000);
    uint32_t asked = stops->asked_count;
    world_run_for(world, 5 * SECOND_US);
    const struct world_part *part = world_part_of(asker, &file->content);
    assert_false(part->is_finished);
    assert_int_equal(part->told[piece], 1);
    assert_int_equal(stops->asked_count, asked); /* meanwhile it is left alone */
    raw_begin(stops->raw);
    send_owed(stops, stops->raw->link, 2 * PIECE_BLOCKS);
    raw_end(stops->raw);
    world_run_for(world, SECOND_US / 2);
    assert_true(stops->asked_count > asked);
    assert_int_equal(downloading(asker, "sources"), 2);
    script_free(stops);
}

/* ---- Newcomers ---- */

/* Who has proven nothing owes one block, and one more for every FETCH_PAROLE_SHARE that were right;
 * trusted, whole pieces. */
static void a_newcomer_is_asked_for_little(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 24 * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    struct script *newcomer = script_add(world, file);
    const struct world_node *nodes[1] = {newcomer->raw->node};
    newcomer->is_silent = true;
    (void)get_from(asker, file, nodes, 1);
    for (int i = 0; i < 300 && newcomer->asked_count == 0; i++) {
        world_run_for(world, LATENCY_US);
    }
    while (newcomer->blocks < FETCH_PAROLE_BLOCKS) {
        uint32_t owes = newcomer->asked_count - newcomer->owed;
        assert_in_range(owes, 1, 1 + newcomer->blocks / FETCH_PAROLE_SHARE);
        raw_begin(newcomer->raw);
        send_owed(newcomer, newcomer->raw->link, 1);
        raw_end(newcomer->raw);
        world_run_for(world, 20 * LATENCY_US);
    }
    assert_in_range(newcomer->asked_count - newcomer->owed, PIECE_BLOCKS,
                    FETCH_PIPELINE * PIECE_BLOCKS);
    script_free(newcomer);
}

/* ---- The end of a download ---- */

/* A source that is eight times slower owes up to two pieces, eight seconds of its time: the other
 * one takes over at the end, long before they are late, however many pieces there are. */
static void the_fast_help_the_slow_at_the_end(void **state) {
    (void)state;
    for (uint32_t pieces = 20; pieces < 29; pieces++) {
        struct world *world = world_new(9);
        cast_supernode(world);
        const struct world_file *file = world_make_file(world, pieces * MIB, "whale.bin");
        struct world_node *asker = cast_peer(world, NULL, 0);
        const struct world_node *nodes[2] = {cast_peer(world, file, 2 * MIB),
                                             cast_peer(world, file, MIB / 4)};
        uint64_t get = get_from(asker, file, nodes, 2);
        uint64_t took_us = cast_wait(asker, get, 60 * SECOND_US);
        cast_assert_fetched(asker, get, file);
        assert_true(nodes[1]->blocks_sent > 2 * PIECE_BLOCKS);
        assert_true(took_us < pieces * SECOND_US * 4 / 9 + SECOND_US / 4); /* 2.25 MiB/s */
        world_free(world);
    }
}

/* Nobody can tell which block of a wrong piece is wrong, but all are of one source: it is banned by
 * the first. */
static void who_gave_all_of_a_wrong_piece_is_banned_at_once(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 2 * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    struct script *liar = script_add(world, file);
    const struct world_node *node = liar->raw->node;
    liar->knows_pieces = true;
    liar->spoilt = PIECE_BLOCKS + 5 + 1;
    (void)get_from(asker, file, &node, 1);
    for (int i = 0; i < 600 && world->bans == 0; i++) {
        world_run_for(world, SECOND_US / 10);
    }
    assert_int_equal(world->bans, 1);
    assert_null(liar->raw->link);
    uint32_t times = 0;
    for (uint32_t i = 0; i < liar->owed; i++) {
        times += liar->asked[i] + 1 == liar->spoilt;
    }
    assert_int_equal(times, 1);
    script_free(liar);
}

/* ---- More sources ---- */

/* One source works, and another is registered: it is looked for, though not at once. */
static void more_sources_are_looked_for(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 48 * MIB, "whale.bin");
    const struct world_node *told = cast_peer(world, file, MIB / 4);
    struct world_node *asker = cast_peer(world, NULL, 0);
    cast_peer(world, file, MIB / 4);
    world_run_for(world, 5 * SECOND_US);
    (void)get_from(asker, file, &told, 1);
    world_run_for(world, SECOND_US);
    assert_int_equal(downloading(asker, "sources"), 1);
    world_run_for(world, LOCATE_MS_MIN * 1000);
    assert_int_equal(downloading(asker, "sources"), 2);
}

/* ---- Late hashes ---- */

/* Without hashes nothing is fetched: when the first source does not answer, another is asked soon,
 * not with the next tick. */
static void hashes_of_a_silent_source_come_from_another(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    struct script *mute = script_add(world, file);
    struct script *other = script_add(world, file);
    const struct world_node *nodes[2] = {mute->raw->node, other->raw->node};
    mute->is_silent = true;
    mute->knows_little = true;
    (void)get_from(asker, file, nodes, 2);
    for (int i = 0; i < 300 && mute->hashes_asked == 0; i++) {
        world_run_for(world, LATENCY_US);
    }
    assert_int_equal(mute->hashes_asked, 1);
    assert_int_equal(other->asked_count, 0);
    world_run_for(world, FETCH_HASHES_MS * 1000 + 10 * LATENCY_US);
    assert_true(other->asked_count > 0);
    script_free(mute);
    script_free(other);
}

/* ---- The fastest first ---- */

static void send_some(struct script *script, uint32_t most) {
    raw_begin(script->raw);
    send_owed(script, script->raw->link, most);
    raw_end(script->raw);
}

static void told(struct world_node *asker, const struct world_file *file,
                 struct script *const *scripts, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct world_node *node = scripts[i]->raw->node;
        (void)get_from(asker, file, &node, 1);
    }
}

static void pause_all(struct world_node *asker, uint64_t us) {
    (void)world_command(asker, "pause", "all", "1");
    world_run_for(asker->world, us);
    (void)world_command(asker, "resume", "all", "1");
    world_run_for(asker->world, SECOND_US / 4);
}

static void add_silent(struct world *world, const struct world_file *file, struct script **scripts,
                       int count) {
    for (int i = 0; i < count; i++) {
        scripts[i] = script_add(world, file);
        scripts[i]->is_silent = true;
    }
}

/* All were tried a second time, the last one first. */
static void assert_tried_from_the_end(struct script *const *scripts, int count) {
    for (int i = 0; i < count; i++) {
        assert_int_equal(scripts[i]->opens, 2);
        assert_int_equal(scripts[i]->opened, all_opens - (uint32_t)i);
    }
}

/* Six sources, told in the order that is the worst one: two let wait, two have not given anything
 * yet, two give blocks. When all of them may be tried again, they are: whoever does not let wait,
 * then whoever gave more, then whoever answered sooner. */
static void the_fastest_are_tried_first(void **state) {
    enum { QUEUE_LONG, QUEUE_SHORT, FAR, NEAR, SLOW, FAST, SCRIPTS };
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 24 * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    struct script *scripts[SCRIPTS];
    add_silent(world, file, scripts, SCRIPTS);
    scripts[QUEUE_LONG]->queue = 20;
    scripts[QUEUE_SHORT]->queue = 3;
    scripts[FAR]->is_far = true;
    told(asker, file, scripts, SCRIPTS);
    world_run_for(world, SECOND_US / 4);
    raw_begin(scripts[FAR]->raw);
    send_have(scripts[FAR], scripts[FAR]->raw->link);
    raw_end(scripts[FAR]->raw);
    for (int i = 0; i < 12; i++) {
        world_run_for(world, SECOND_US / 8);
        send_some(scripts[FAST], 8);
        send_some(scripts[SLOW], i % 4 == 0);
    }
    assert_int_equal(downloading(asker, "sources"), 4);
    assert_int_equal(downloading(asker, "queued"), 2);
    pause_all(asker, SECOND_US / 4);
    assert_tried_from_the_end(scripts, SCRIPTS);
    for (int i = 0; i < SCRIPTS; i++) {
        script_free(scripts[i]);
    }
}

/* What a supernode tells of a source counts until the source says something itself: who has a slot
 * free is tried first, then those of whom nothing is known, then the others by their queues. */
static void who_is_free_is_tried_before_who_is_busy(void **state) {
    enum { BUSY_LONG, BUSY_SHORT, BUSY, UNKNOWN, FREE, SCRIPTS };
    static const struct holder loads[SCRIPTS] = {
        [BUSY_LONG] = {.flags = HOLDER_LOAD_KNOWN, .queue = 20},
        [BUSY_SHORT] = {.flags = HOLDER_LOAD_KNOWN, .queue = 3, .speed_kib = 1},
        [BUSY] = {.flags = HOLDER_LOAD_KNOWN, .speed_kib = 9},
        [UNKNOWN] = {.free_slots = 0, .queue = 0, .speed_kib = 9},
        [FREE] = {.flags = HOLDER_LOAD_KNOWN, .free_slots = 1, .queue = 2, .speed_kib = 1}};
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 24 * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    struct script *scripts[SCRIPTS];
    add_silent(world, file, scripts, SCRIPTS);
    told(asker, file, scripts, SCRIPTS);
    world_run_for(world, SECOND_US / 4);
    (void)world_command(asker, "pause", "all", "1");
    world_run_for(world, SECOND_US / 4);
    for (int i = 0; i < SCRIPTS; i++) {
        struct holder holder = loads[i];
        holder.id = scripts[i]->raw->node->identity.id;
        fetch_found(asker->node.self, &file->content, &holder, &world->nodes[0].identity.id);
    }
    (void)world_command(asker, "resume", "all", "1");
    world_run_for(world, SECOND_US / 4);
    assert_tried_from_the_end(scripts, SCRIPTS);
    for (int i = 0; i < SCRIPTS; i++) {
        script_free(scripts[i]);
    }
}

/* ---- Probing ---- */

/* Eight work, one of them at a crawl; the ninth was never tried: after a while it has the place of
 * the slowest, and of nobody else. */
static void an_untried_source_replaces_the_slowest(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 64 * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    const struct world_node *nodes[SOURCES_ACTIVE_MAX];
    struct script *slow = script_add(world, file), *untried = script_add(world, file);
    nodes[0] = slow->raw->node;
    for (int i = 1; i < SOURCES_ACTIVE_MAX; i++) {
        nodes[i] = cast_peer(world, file, MIB / 2);
    }
    slow->is_silent = true;
    untried->is_silent = true;
    (void)get_from(asker, file, nodes, SOURCES_ACTIVE_MAX);
    for (int i = 0; i < 50; i++) { /* 8 blocks a second, 128 KiB/s */
        if (i == 5) {
            const struct world_node *more = untried->raw->node;
            (void)get_from(asker, file, &more, 1);
            assert_int_equal(downloading(asker, "known"), SOURCES_ACTIVE_MAX + 1);
        }
        world_run_for(world, SECOND_US / 8);
        raw_begin(slow->raw);
        send_owed(slow, slow->raw->link, 1);
        raw_end(slow->raw);
    }
    assert_int_equal(untried->handle, 0); /* not at once */
    assert_int_equal(slow->shuts, 0);
    for (int i = 0; i < 80 && slow->shuts == 0; i++) {
        world_run_for(world, SECOND_US / 8);
        raw_begin(slow->raw);
        send_owed(slow, slow->raw->link, 1);
        raw_end(slow->raw);
    }
    world_run_for(world, SECOND_US);
    assert_int_equal(slow->shuts, 1);
    assert_int_not_equal(untried->handle, 0);
    assert_true(untried->asked_count > 0);
    assert_int_equal(downloading(asker, "sources"), SOURCES_ACTIVE_MAX);
    script_free(slow);
    script_free(untried);
}

/* Run while these send a block each in every eighth of a second, as long as `end` has no handle. */
static void crawl_until(struct script *const *slow, uint32_t count, const struct script *end,
                        uint32_t seconds) {
    for (uint32_t i = 0; i < seconds * 8 && (end == NULL || end->handle == 0); i++) {
        world_run_for(slow[0]->raw->node->world, SECOND_US / 8);
        for (uint32_t j = 0; j < count; j++) {
            if (slow[j]->handle != 0) {
                send_some(slow[j], 1);
            }
        }
    }
}

/* Seven work, and two that crawl have had the eighth place in turn: the next turn is that of one
 * which was never tried, though the first of them may be tried again, and is better than nothing.
 */
static void a_slow_source_does_not_come_back_before_an_untried_one(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 96 * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    const struct world_node *nodes[SOURCES_ACTIVE_MAX - 1];
    struct script *scripts[3]; /* the third was never tried */
    for (int i = 0; i < SOURCES_ACTIVE_MAX - 1; i++) {
        nodes[i] = cast_peer(world, file, 3 * MIB / 8);
    }
    for (int i = 0; i < 3; i++) {
        scripts[i] = script_add(world, file);
        scripts[i]->is_silent = true;
    }
    (void)get_from(asker, file, nodes, SOURCES_ACTIVE_MAX - 1);
    told(asker, file, &scripts[0], 1);
    crawl_until(scripts, 2, NULL, 1);
    told(asker, file, &scripts[1], 1);
    crawl_until(scripts, 2, scripts[1], 15);
    assert_int_equal(scripts[0]->shuts, 1);
    told(asker, file, &scripts[0], 1); /* named again: may be tried at once */
    told(asker, file, &scripts[2], 1);
    crawl_until(scripts, 2, scripts[2], 15);
    assert_int_not_equal(scripts[2]->handle, 0);
    assert_int_equal(scripts[0]->opens, 1);
    assert_int_equal(scripts[1]->shuts, 1);
    for (int i = 0; i < 3; i++) {
        script_free(scripts[i]);
    }
}

/* As many as may be let us wait, and one more was never tried: after a while it is, instead of the
 * one where the most are before us. */
static void queues_do_not_keep_an_untried_source_away(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    struct script *scripts[FETCH_QUEUED_MAX + 1];
    for (uint32_t i = 0; i <= FETCH_QUEUED_MAX; i++) {
        scripts[i] = script_add(world, file);
        scripts[i]->queue = i < FETCH_QUEUED_MAX ? (uint16_t)(1 + i * 7 % FETCH_QUEUED_MAX) : 0;
    }
    struct script *untried = scripts[FETCH_QUEUED_MAX];
    untried->is_silent = true;
    told(asker, file, scripts, FETCH_QUEUED_MAX);
    world_run_for(world, SECOND_US);
    told(asker, file, &untried, 1);
    world_run_for(world, SECOND_US);
    assert_int_equal(downloading(asker, "queued"), FETCH_QUEUED_MAX);
    assert_int_equal(untried->opens, 0); /* not at once */
    world_run_for(world, FETCH_PROBE_MS * 1000);
    assert_true(untried->asked_count > 0);
    for (uint32_t i = 0; i < FETCH_QUEUED_MAX; i++) {
        assert_int_equal(scripts[i]->shuts, scripts[i]->queue == FETCH_QUEUED_MAX);
    }
    for (uint32_t i = 0; i <= FETCH_QUEUED_MAX; i++) {
        script_free(scripts[i]);
    }
}

/* ---- Blocks that nobody needs ---- */

/* A liar takes its time, so that another's blocks are there when its own come: it is found out by
 * them all the same, after as many as anybody is forgiven. An honest one that is as slow is not. */
static void wrong_blocks_count_though_nobody_needs_them(void **state) {
    struct world *world = *state;
    for (int lies = 0; lies < 2; lies++) {
        const struct world_file *file = world_make_file(world, 96 * MIB, "whale.bin");
        struct world_node *asker = cast_peer(world, NULL, 0);
        struct script *late = script_add(world, file);
        const struct world_node *nodes[2] = {cast_peer(world, file, 4 * MIB), late->raw->node};
        uint32_t bans = world->bans;
        late->is_silent = true;
        late->spoils = lies == 1;
        (void)get_from(asker, file, nodes, 2);
        world_run_for(world, SECOND_US);
        for (int i = 0; i < 5 && late->raw->link != NULL; i++) {
            world_run_for(world, 4 * SECOND_US); /* late, and here from the other one */
            if (late->owed < late->asked_count) {
                uint32_t piece = late->asked[late->owed] / PIECE_BLOCKS;
                assert_int_equal(world_part_of(asker, &file->content)->told[piece], 1);
            }
            raw_begin(late->raw);
            send_owed(late, late->raw->link, ASKED_MAX);
            raw_end(late->raw);
            world_run_for(world, SECOND_US / 4);
        }
        assert_int_equal(world->bans - bans, lies);
        assert_int_equal(late->raw->link == NULL, lies);
        if (lies == 1) {
            assert_int_equal(late->blocks, FETCH_WRONG_BLOCKS_MAX);
        } else {
            assert_true(late->blocks > FETCH_WRONG_BLOCKS_MAX);
        }
        script_free(late);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_rarest_piece_is_first),
        TEST(late_blocks_are_for_others),
        TEST(a_newcomer_is_asked_for_little),
        TEST(the_fast_help_the_slow_at_the_end),
        TEST(who_gave_all_of_a_wrong_piece_is_banned_at_once),
        TEST(more_sources_are_looked_for),
        TEST(hashes_of_a_silent_source_come_from_another),
        TEST(the_fastest_are_tried_first),
        TEST(an_untried_source_replaces_the_slowest),
        TEST(a_slow_source_does_not_come_back_before_an_untried_one),
        TEST(who_is_free_is_tried_before_who_is_busy),
        TEST(queues_do_not_keep_an_untried_source_away),
        TEST(wrong_blocks_count_though_nobody_needs_them),
    };
    return cmocka_run_group_tests_name("fetch pick", tests, NULL, NULL);
}
