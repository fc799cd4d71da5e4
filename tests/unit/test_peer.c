/* test_peer.c - a peer as people see it: searches, commands, names, stopping, small lies. */
#include "tests/unit/peer_cast.h"
#include "tests/unit/peer_oracle.h"

#include "peer/state.h"

struct stage {
    struct world *world;
    struct raw *supernode;
    struct oracle oracle;
};

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->world = world_new(4);
    stage->supernode = raw_add(stage->world);
    stage->supernode->answer = oracle_answer;
    stage->supernode->context = &stage->oracle;
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    world_free(stage->world);
    mem_free(stage);
    return 0;
}

static struct world_node *start_peer(struct stage *stage) {
    struct world_node *peer = cast_peer(stage->world, NULL, 0);
    world_run_for(stage->world, SECOND_US);
    return peer;
}

static void add_holder(struct oracle *oracle, uint8_t number, uint8_t flags) {
    struct holder *holder = &oracle->hits.holders[oracle->hits.holder_count++];
    memset(holder->id.b, number, sizeof holder->id.b);
    holder->flags = flags;
    holder->speed_kib = number;
}

static void add_hit(struct oracle *oracle, uint64_t size, const char *name, uint8_t holders) {
    struct hit *hit = &oracle->hits.hits[oracle->hits.hit_count++];
    hit->file.content.size = size;
    hit->file.name = test_slice(name);
    hit->holder_count = holders;
    for (uint8_t i = 0; i < holders; i++) {
        hit->holders[i] = i;
    }
}

static void hits_are_grouped_numbered_and_checked(void **state) {
    struct stage *stage = *state;
    struct oracle *oracle = &stage->oracle;
    add_holder(oracle, 1, HOLDER_REACHABLE); /* it says nothing of how busy it is */
    add_holder(oracle, 2, HOLDER_LOAD_KNOWN);
    oracle->hits.holders[1].queue = 3;
    add_hit(oracle, 100, "Blue Whale Song.ogg", 1);
    add_hit(oracle, 100, "whale (blue) the SONG.ogg", 2); /* the same content once more */
    add_hit(oracle, 200, "blue whales, a song.txt", 1);   /* "whales" is not "whale" */
    add_hit(oracle, 300, "song of a blue whale.ogg", 2);
    oracle->coverage = (struct coverage){.supernodes = 3, .leaves = 40, .files = 500};
    oracle->coverage.reached = oracle->coverage.known = 3;
    struct world_node *peer = start_peer(stage);
    uint64_t search = world_command(peer, "search", "text", "blue WHALE song");
    assert_true(cast_wait(peer, search, 10 * SECOND_US) < SECOND_US);
    assert_string_equal(oracle->text, "blue WHALE song");
    assert_int_equal(oracle->last.ttl, LADDER_RADIUS);
    assert_int_equal(oracle->last.want, SEARCH_WANT);
    /* 100 with one source, 100 with two, 300 with two; the second copy told nothing new. */
    assert_int_equal(world_count(peer, search, "hit"), 3);
    const struct world_report *hit = world_reported(peer, search, "hit", 1);
    assert_int_equal(world_number(hit, "size"), 100);
    assert_int_equal(world_number(hit, "number"), 1);
    assert_int_equal(world_number(hit, "sources"), 2);
    assert_int_equal(world_number(hit, "reachable"), 1);
    assert_int_equal(world_number(hit, "speed"), 2 * 1024);
    assert_int_equal(world_number(hit, "free"), 0);
    assert_int_equal(world_number(hit, "busy"), 1);
    assert_int_equal(world_number(hit, "queue"), 3);
    hit = world_reported(peer, search, "hit", 2);
    assert_int_equal(world_number(hit, "size"), 300);
    assert_int_equal(world_number(hit, "number"), 2);
    const struct world_report *end = world_reported(peer, search, "end", 0);
    assert_int_equal(world_number(end, "supernodes"), 3);
    assert_int_equal(world_number(end, "leaves"), 40);
    assert_int_equal(world_number(end, "hits"), 2);
    /* Numbers stay what they are. */
    search = world_command(peer, "search", "text", "song blue");
    cast_wait(peer, search, 10 * SECOND_US);
    hit = world_reported(peer, search, "hit", 0);
    assert_int_equal(world_number(hit, "number"), 1);
    assert_int_equal(world_count(peer, search, "hit"), 3); /* 200 matches now */
}

/* Hits are held to the whole query, not to its words; what the owner tells of a file is shown. */
static void hits_are_held_to_the_whole_query(void **state) {
    struct stage *stage = *state;
    struct oracle *oracle = &stage->oracle;
    static const uint8_t year[] = {2, 0, 4, 'D', 'e', 'e', 'p', 10, 0, 2, 0x07, 0xca};
    add_holder(oracle, 1, HOLDER_REACHABLE);
    add_hit(oracle, 100, "Blue Whale Song.ogg", 1);
    oracle->hits.hits[0].file.meta = (struct slice){year, sizeof year};
    add_hit(oracle, 101, "Blue Whale Song.ogg", 1); /* no year */
    add_hit(oracle, 102, "Whale Song, Blue.ogg", 1);
    add_hit(oracle, 103, "Blue Whale Song.txt", 1);
    for (size_t i = 2; i < 4; i++) {
        oracle->hits.hits[i].file.meta = (struct slice){year, sizeof year};
    }
    struct world_node *peer = start_peer(stage);
    uint64_t search = world_command(peer, "search", "text", "\"blue whale\" ext:ogg year:<2000");
    cast_wait(peer, search, 10 * SECOND_US);
    assert_int_equal(world_count(peer, search, "hit"), 1);
    const struct world_report *hit = world_reported(peer, search, "hit", 0);
    char text[256];
    assert_int_equal(world_number(hit, "size"), 100);
    assert_int_equal(world_number(hit, "year"), 1994);
    assert_true(world_field(hit, "title", text, NULL));
    assert_string_equal(text, "Deep");
    assert_true(world_field(hit, "type", text, NULL));
    assert_string_equal(text, "audio");
    assert_false(world_field(hit, "artist", text, NULL));
    const struct world_report *end = world_reported(peer, search, "end", 0);
    assert_int_equal(world_number(end, "dropped"), 12); /* sent twice, by both legs */
    assert_false(world_field(end, "note", text, NULL));
    search = world_command(peer, "search", "text", "鯨");
    cast_wait(peer, search, 10 * SECOND_US);
    assert_true(world_field(world_reported(peer, search, "end", 0), "note", text, NULL));
}

static void what_nobody_knows_ends_in_time(void **state) {
    struct stage *stage = *state;
    stage->oracle.is_silent = true;
    struct world_node *peer = start_peer(stage);
    uint64_t search = world_command(peer, "search", "text", "blue");
    uint64_t took_us = cast_wait(peer, search, 20 * SECOND_US);
    assert_in_range(took_us, QUERY_DEADLINE_MS * 1000ull, (QUERY_DEADLINE_MS + 1100) * 1000ull);
    assert_int_equal(world_number(world_reported(peer, search, "end", 0), "truncated"), 1);
}

static void without_a_supernode_the_remedy_is_named(void **state) {
    struct stage *stage = *state;
    world_kill(stage->supernode->node);
    struct world_node *peer = start_peer(stage);
    uint64_t search = world_command(peer, "search", "text", "blue");
    uint64_t took_us = cast_wait(peer, search, 20 * SECOND_US);
    assert_in_range(took_us, 4 * SECOND_US, 6 * SECOND_US);
    char text[1024];
    const struct world_report *error = world_reported(peer, search, "error", 0);
    assert_int_equal(error->reason, ERR_UNREACHABLE);
    assert_true(world_field(error, "text", text, NULL));
    assert_non_null(strstr(text, "introducers"));
}

static void a_search_that_came_too_early_waits(void **state) {
    struct stage *stage = *state;
    add_holder(&stage->oracle, 1, HOLDER_REACHABLE);
    add_hit(&stage->oracle, 100, "blue.ogg", 1);
    stage->oracle.coverage.reached = stage->oracle.coverage.known = 1;
    struct world_node *peer = cast_peer(stage->world, NULL, 0);
    uint64_t search = world_command(peer, "search", "text", "blue"); /* not even dialled */
    assert_true(cast_wait(peer, search, 20 * SECOND_US) < SECOND_US);
    assert_int_equal(world_count(peer, search, "hit"), 1);
}

/* Start a peer with a second supernode without a mind, which answers for `other`. */
static struct world_node *start_with_two(struct stage *stage, struct oracle *other,
                                         struct raw **second) {
    *second = raw_add(stage->world);
    (*second)->answer = oracle_answer;
    (*second)->context = other;
    add_holder(&stage->oracle, 1, HOLDER_REACHABLE);
    add_holder(other, 1, HOLDER_REACHABLE);
    add_hit(&stage->oracle, 100, "blue.ogg", 1);
    add_hit(other, 100, "blue.ogg", 1);
    struct peer_config config;
    cast_config(stage->world, &config);
    config.introducer_count = 2;
    config.introducers[1] = config.introducers[0];
    config.introducers[1].id = (*second)->node->identity.id;
    snprintf(config.introducers[1].host, sizeof config.introducers[1].host, "10.0.0.2");
    struct world_node *peer = world_add(stage->world);
    world_start(peer, peer_new(&peer->env, &config));
    world_run_for(stage->world, SECOND_US);
    return peer;
}

/* One parent, then the other with the same body, then the first one hop farther; enough found,
 * enough reached, or too many copies before the last leg: no more. */
static void a_search_goes_on_while_it_is_worth_while(void **state) {
    (void)state;
    static const struct {
        uint32_t want, reached, known, copies;
        const char *farther;
        uint32_t first, second; /* copies asked of each */
        bool is_costly;
    } rows[] = {
        {9, 50, 100, 10, NULL, 2, 1, false},  {9, 95, 100, 10, NULL, 1, 0, false},
        {9, 94, 100, 10, NULL, 2, 1, false},  {1, 50, 100, 10, NULL, 1, 0, false},
        {9, 50, 0, 10, NULL, 2, 1, false},    {9, 50, 100, 750, NULL, 1, 1, true},
        {9, 50, 100, 749, NULL, 2, 1, false}, {9, 50, 100, 750, "1", 2, 1, false},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        void *fresh = NULL;
        setup(&fresh);
        struct stage *stage = fresh;
        struct oracle other = {0};
        struct raw *second;
        struct world_node *peer = start_with_two(stage, &other, &second);
        stage->oracle.coverage = (struct coverage){.supernodes = 7,
                                                   .reached = (uint16_t)rows[i].reached,
                                                   .known = (uint16_t)rows[i].known,
                                                   .copies = rows[i].copies};
        other.coverage = stage->oracle.coverage;
        char want[8];
        snprintf(want, sizeof want, "%u", rows[i].want);
        struct command_arg args[] = {
            {"text", "blue"}, {"want", want}, {"farther", rows[i].farther}};
        uint64_t search = world_command_args(peer, "search", args, rows[i].farther != NULL ? 3 : 2);
        cast_wait(peer, search, 20 * SECOND_US);
        bool is_turned = other.queries > stage->oracle.queries; /* which of the two is first */
        const struct oracle *first = is_turned ? &other : &stage->oracle;
        const struct oracle *then = is_turned ? &stage->oracle : &other;
        assert_int_equal(first->queries, rows[i].first);
        assert_int_equal(then->queries, rows[i].second);
        uint32_t legs = rows[i].first + rows[i].second;
        const struct world_report *end = world_reported(peer, search, "end", 0);
        assert_int_equal(world_number(end, "supernodes"), 7 * legs);
        assert_int_equal(world_number(end, "farther"), rows[i].is_costly);
        assert_int_equal(first->last.ttl, legs == 3 ? TTL_POLICY : LADDER_RADIUS);
        if (legs > 1) {
            assert_int_equal(then->last.ttl, LADDER_RADIUS);
            assert_memory_equal(first->ids[0].b, then->ids[0].b, sizeof first->ids[0].b);
        }
        if (legs == 3) {
            assert_memory_equal(first->ids[0].b, first->ids[1].b, sizeof first->ids[0].b);
        }
        teardown(&fresh);
    }
}

static void a_refused_search_goes_to_another_parent(void **state) {
    struct stage *stage = *state;
    struct oracle other = {0};
    struct raw *second;
    struct world_node *peer = start_with_two(stage, &other, &second);
    stage->oracle.says_end = true;
    other.says_end = true;
    stage->oracle.coverage.refused = 1;
    other.coverage.refused = 1;
    uint64_t search = world_command(peer, "search", "text", "blue");
    cast_wait(peer, search, 20 * SECOND_US);
    assert_int_equal(stage->oracle.queries, 1); /* each once, then it is said */
    assert_int_equal(other.queries, 1);
    assert_int_equal(world_number(world_reported(peer, search, "end", 0), "refused"), 1);
    /* They are left in peace for a while: going on would end the links. */
    search = world_command(peer, "search", "text", "blue");
    assert_int_equal(world_reported(peer, search, "error", 0)->reason, ERR_BUSY);
    world_run_for(stage->world, SEARCH_HOLD_MS * 1000ull);
    assert_int_equal(stage->oracle.queries, 1);
    /* A parent that goes away in the middle is replaced, too. */
    stage->oracle.is_silent = true;
    other.is_silent = true;
    search = world_command(peer, "search", "text", "blue");
    world_run_for(stage->world, SECOND_US / 10);
    struct raw *asked = stage->oracle.queries == 2 ? stage->supernode : second;
    struct oracle *heir = stage->oracle.queries == 2 ? &other : &stage->oracle;
    heir->is_silent = false;
    heir->says_end = false;
    heir->coverage = (struct coverage){.reached = 1, .known = 1};
    world_kill(asked->node);
    assert_true(cast_wait(peer, search, 20 * SECOND_US) < SECOND_US);
    assert_int_equal(world_count(peer, search, "hit"), 1);
}

/* A supernode that says how long it takes nothing is believed, within reason. */
static void a_refused_search_waits_as_long_as_it_is_told(void **state) {
    static const uint32_t waits_ms[][2] = {
        {1500, 1500}, {2 * SEARCH_HOLD_MS, 2 * SEARCH_HOLD_MS}, {UINT32_MAX, SEARCH_HOLD_MS_MAX}};
    (void)state;
    for (size_t i = 0; i < LENGTH(waits_ms); i++) {
        void *fresh;
        setup(&fresh);
        struct stage *stage = fresh;
        struct world_node *peer = start_peer(stage);
        stage->oracle.says_end = true;
        stage->oracle.wait_ms = waits_ms[i][0];
        stage->oracle.coverage.refused = 1;
        cast_wait(peer, world_command(peer, "search", "text", "blue"), 20 * SECOND_US);
        world_run_for(stage->world, (waits_ms[i][1] - 300) * 1000ull);
        uint64_t search = world_command(peer, "search", "text", "blue");
        assert_int_equal(world_reported(peer, search, "error", 0)->reason, ERR_BUSY);
        assert_int_equal(stage->oracle.queries, 1);
        world_run_for(stage->world, SECOND_US / 2);
        cast_wait(peer, world_command(peer, "search", "text", "blue"), 20 * SECOND_US);
        assert_int_equal(stage->oracle.queries, 2);
        teardown(&fresh);
    }
}

/* Nothing tells that a supernode hangs: its links stay. */
static void a_hung_parent_costs_a_second_and_then_its_link(void **state) {
    struct stage *stage = *state;
    struct oracle other = {0};
    struct raw *second;
    struct world_node *peer = start_with_two(stage, &other, &second);
    stage->oracle.says_end = other.says_end = true;
    stage->oracle.coverage = other.coverage = (struct coverage){.reached = 1, .known = 1};
    uint64_t search = world_command(peer, "search", "text", "blue");
    cast_wait(peer, search, 20 * SECOND_US);
    struct raw *asked = stage->oracle.queries == 1 ? stage->supernode : second;
    asked->node->is_hung = true;
    search = world_command(peer, "search", "text", "blue");
    assert_true(cast_wait(peer, search, 20 * SECOND_US) < (SEARCH_SILENT_MS + 100) * 1000ull);
    assert_int_equal(stage->oracle.queries + other.queries, 2);
    /* By then it is known, and the next search does not wait. */
    world_run_for(stage->world, PROBE_TIMEOUT_MS * 1000ull);
    search = world_command(peer, "search", "text", "blue");
    assert_true(cast_wait(peer, search, 20 * SECOND_US) < SECOND_US / 10);
}

static void bad_commands_say_what_is_wrong(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    static const struct {
        const char *name, *key, *value;
        enum err err;
    } rows[] = {
        {"search", "text", "", ERR_FORMAT},
        {"search", NULL, NULL, ERR_FORMAT},
        {"search", "text", "- . !", ERR_FORMAT},
        {"search", "text", "-whale type:audio", ERR_FORMAT},
        {"search", "text", "a b c d e f g h i j k l m n o p q", ERR_LIMIT},
        {"search", "text", "a\x01z", ERR_FORMAT},
        {"search", "text", "\xff\xfe", ERR_FORMAT},
        {"get", "number", "7", ERR_NOT_FOUND},
        {"get", "number", "x", ERR_NOT_FOUND},
        {"get", NULL, NULL, ERR_NOT_FOUND},
        {"get", "content", "rubbish", ERR_FORMAT},
        {"cancel", "download", "1", ERR_NOT_FOUND},
        {"fly", NULL, NULL, ERR_NOT_FOUND},
        {"get", "number", "99999999999999999999999", ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint64_t command = world_command(peer, rows[i].name, rows[i].key, rows[i].value);
        const struct world_report *error = world_reported(peer, command, "error", 0);
        assert_non_null(error);
        assert_true(error->last);
        assert_int_equal(error->reason, rows[i].err);
    }
    assert_int_equal(stage->oracle.queries, 0);
}

static void a_mistake_in_a_search_has_a_place(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    uint64_t command = world_command(peer, "search", "text", "whale colour:blue");
    const struct world_report *error = world_reported(peer, command, "error", 0);
    char text[256];
    assert_true(error->last);
    assert_int_equal(world_number(error, "position"), 6);
    assert_true(world_field(error, "reason", text, NULL));
    assert_non_null(strstr(text, "no such field"));
    assert_true(world_field(error, "text", text, NULL));
    assert_non_null(strstr(text, "at byte 6: no such field"));
    assert_int_equal(stage->oracle.queries, 0);
}

static void too_many_searches_are_refused(void **state) {
    struct stage *stage = *state;
    stage->oracle.is_silent = true;
    struct world_node *peer = start_peer(stage);
    for (int i = 0; i < SEARCHES_MAX; i++) {
        uint64_t search = world_command(peer, "search", "text", "blue");
        assert_null(world_reported(peer, search, "error", 0));
    }
    uint64_t search = world_command(peer, "search", "text", "blue");
    assert_int_equal(world_reported(peer, search, "error", 0)->reason, ERR_BUSY);
}

static void whoever_left_hears_no_more(void **state) {
    struct stage *stage = *state;
    stage->oracle.is_silent = true;
    struct world_node *peer = start_peer(stage);
    uint64_t search = world_command(peer, "search", "text", "blue");
    const struct world_file file = {.content = {.size = 5000}};
    uint64_t get = world_get(peer, &file);
    for (uint64_t id = search; id <= get; id++) {
        struct node_event event = {.kind = NODE_COMMAND_GONE};
        event.command.id = id;
        world_step(peer, &event);
    }
    uint32_t before = 0;
    for (const struct world_report *at = peer->reports; at != NULL; at = at->next) {
        before++;
    }
    world_run_for(stage->world, 20 * SECOND_US);
    for (const struct world_report *at = peer->reports; at != NULL; at = at->next) {
        before--;
    }
    assert_int_equal(before, 0);
}

static void names_on_disk_may_be_ugly(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    static const char *const names[] = {"line\nfeed", "back\\slash", "c1 \xc2\x85 here", "\x7f",
                                        "fine.ogg"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct node_event event = {.kind = NODE_SHARED};
        event.shared.file = i + 1;
        event.shared.content.size = 7;
        event.shared.name = test_slice(names[i]);
        world_step(peer, &event);
    }
    uint64_t share = world_command(peer, "share", NULL, NULL);
    assert_int_equal(world_count(peer, share, "file"), LENGTH(names));
    assert_int_equal(world_number(world_reported(peer, share, "share", 0), "bytes"), 35);
    char name[256];
    assert_true(world_field(world_reported(peer, share, "file", 2), "name", name, NULL));
    assert_string_equal(name, "c1 __ here");
    for (uint64_t i = 1; i <= LENGTH(names); i += 2) { /* the same content under several names */
        struct node_event event = {.kind = NODE_UNSHARED};
        event.shared.file = i;
        world_step(peer, &event);
    }
    share = world_command(peer, "share", NULL, NULL);
    assert_int_equal(world_count(peer, share, "file"), 2);
}

static void strangers_get_in_for_what_a_peer_does(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    static const struct {
        enum purpose purpose;
        bool is_welcome;
    } rows[] = {{PURPOSE_LEAF, false},      {PURPOSE_MESH, false}, {PURPOSE_TRANSFER, true},
                {PURPOSE_DIRECTORY, false}, {PURPOSE_PROBE, true}, {PURPOSE_CALLBACK, false}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct raw *stranger = raw_add(stage->world);
        raw_dial(stranger, peer, rows[i].purpose);
        assert_int_equal(stranger->opened, rows[i].is_welcome ? 1 : 0);
        assert_int_equal(raw_count(stranger, MSG_GOAWAY),
                         rows[i].purpose == PURPOSE_TRANSFER ? 0 : 1);
    }
}

static void strangers_at_a_time_are_bounded(void **state) {
    struct stage *stage = *state;
    struct world_node *node = start_peer(stage);
    struct peer *peer = node->node.self;
    for (int is_full = 0; is_full < 2; is_full++) {
        struct raw *stranger = raw_add(stage->world);
        raw_dial(stranger, node, PURPOSE_TRANSFER);
        assert_int_equal(stranger->opened, 1 - is_full);
        assert_int_equal(raw_count(stranger, MSG_GOAWAY), is_full);
        assert_int_equal(peer->transfer_links, is_full ? TRANSFER_LINKS_MAX : 1);
        peer->transfer_links = TRANSFER_LINKS_MAX; /* as if so many were open */
    }
    peer->transfer_links = 1;
}

/* Many downloads at once ask for their sources in turn: a supernode takes so many and no more. */
static void searches_for_sources_are_rationed(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    enum { GETS = 12 };
    for (uint64_t i = 0; i < GETS; i++) {
        char text[CONTENT_TEXT_BYTES];
        struct content_id content = {.size = i + 1};
        content_format(text, &content);
        world_command(peer, "get", "content", text);
    }
    world_run_for(stage->world, SECOND_US / 10);
    enum { LEGS = 2 }; /* with one parent: as far as usual, then farther */
    assert_int_equal(raw_count(stage->supernode, MSG_LOCATE), LEGS * LOCATE_BURST);
    assert_int_equal(stage->oracle.body.kind, QUERY_CONTENT);
    assert_int_equal(stage->oracle.last.want, LOCATE_WANT);
    world_run_for(stage->world, 40 * SECOND_US);
    assert_in_range(raw_count(stage->supernode, MSG_LOCATE), LEGS * (LOCATE_BURST + 3),
                    LEGS * (LOCATE_BURST + 5));
}

/* Of what nobody has, sources are looked for after half a minute, and ever more rarely: at 0, 30,
 * 90, 210, 450, 750 s and so on. */
static void searches_for_sources_become_rare(void **state) {
    struct stage *stage = *state;
    static const uint32_t until_s[] = {29, 32, 88, 92, 208, 212, 448, 452, 748, 752, 1048, 1052};
    struct world_node *peer = start_peer(stage);
    struct content_id content = {.size = 1};
    char text[CONTENT_TEXT_BYTES];
    content_format(text, &content);
    world_command(peer, "get", "content", text);
    uint32_t legs = 0;
    for (uint32_t i = 0, s = 0; i < LENGTH(until_s); s = until_s[i], i++) {
        world_run_for(stage->world, (until_s[i] - s) * SECOND_US);
        uint32_t count = raw_count(stage->supernode, MSG_LOCATE);
        legs = i == 0 ? count : legs; /* each search asks so often */
        assert_int_equal(count, legs * (i / 2 + 1 + i % 2));
    }
}

/* A message that has no business on a link ends it; one that only came late does not. */
static void messages_have_their_place(void **state) {
    struct stage *stage = *state;
    start_peer(stage);
    struct link *link = stage->supernode->link;
    assert_non_null(link);
    struct query_end late = {.ttl = 1};
    struct buf payload = {0};
    wire_end_encode(&payload, &late);
    raw_send(stage->supernode, link, MSG_END, &payload);
    world_run_for(stage->world, SECOND_US);
    assert_non_null(stage->supernode->link);
    struct reject reject = {.handle = 1, .reason = REJECT_BUSY}; /* nothing was asked of it */
    wire_reject_encode(&payload, &reject);
    raw_send(stage->supernode, link, MSG_REJECT, &payload);
    world_run_for(stage->world, SECOND_US / 10);
    assert_int_equal(stage->supernode->last_close, ERR_CLOSED);
    assert_true(stage->supernode->closed > 0);
}

static void assert_advised(struct world_node *peer, const char *part) {
    char text[512] = "";
    uint64_t search = world_command(peer, "search", "text", "whale");
    cast_wait(peer, search, 10 * SECOND_US);
    assert_true(world_field(world_reported(peer, search, "error", 0), "text", text, NULL));
    assert_non_null(strstr(text, part));
    uint64_t status = world_command(peer, "status", NULL, NULL);
    assert_true(world_field(world_reported(peer, status, "status", 0), "trouble", text, NULL));
    assert_non_null(strstr(text, part));
}

/* A private network sends strangers away without a word: they are told what that may mean. */
static void who_finds_no_parent_is_told_why(void **state) {
    struct stage *stage = *state;
    struct network other = stage->world->network;
    other.secret_len = 16;
    stage->supernode->node->env.network = &other;
    struct world_node *peer = start_peer(stage);
    assert_advised(peer, "close the link without a word");
    stage->supernode->node->is_hidden = true;
    world_run_for(stage->world, 20 * SECOND_US);
    assert_advised(peer, "check the introducers");
    stage->supernode->node->is_hidden = false;
    stage->supernode->node->env.network = &stage->world->network;
    world_run_for(stage->world, 400 * SECOND_US);
    uint64_t status = world_command(peer, "status", NULL, NULL);
    assert_false(world_field(world_reported(peer, status, "status", 0), "trouble", NULL, NULL));
}

/* ---- Noise: well-formed messages with senseless fields, and some that are not well-formed ---- */

static uint32_t some(struct world *world, uint32_t below) {
    return (uint32_t)rng_below(&world->rng, below);
}

static void noisy_have(struct world *world, struct buf *to) {
    uint8_t bitmap[4];
    rng_fill(&world->rng, bitmap, sizeof bitmap);
    struct have have = {.handle = some(world, 4), .all = some(world, 2) == 0};
    have.bitmap = (struct slice){bitmap, have.all ? 0 : 1 + some(world, 2)};
    wire_have_encode(to, &have);
}

static void noisy_reject(struct world *world, struct buf *to) {
    struct reject reject = {.handle = some(world, 4),
                            .reason = (uint8_t)(1 + some(world, REJECT_REASON_MAX)),
                            .first = some(world, 8) * 32,
                            .count = (uint16_t)(some(world, 3) * 32),
                            .retry_after_ms = some(world, 2000)};
    wire_reject_encode(to, &reject);
}

static void noisy_hashes(struct world *world, struct buf *to) {
    uint8_t bytes[64 * HASH_BYTES];
    rng_fill(&world->rng, bytes, sizeof bytes);
    struct hashes hashes = {.handle = some(world, 4),
                            .layer = some(world, 2) == 0 ? 0 : HASHTREE_PIECE_LAYER,
                            .count = (uint16_t)(1u << some(world, 7)),
                            .proof_count = (uint8_t)some(world, 4)};
    hashes.first = some(world, 4) * hashes.count;
    hashes.hashes = (struct slice){bytes, (size_t)hashes.count * HASH_BYTES};
    hashes.proof = (struct slice){bytes, (size_t)hashes.proof_count * HASH_BYTES};
    wire_hashes_encode(to, &hashes);
}

static void noisy_block(struct world *world, struct buf *to) {
    uint8_t bytes[BLOCK_BYTES];
    rng_fill(&world->rng, bytes, sizeof bytes);
    buf_u32(to, some(world, 4));
    buf_u32(to, some(world, 200));
    buf_append(to, bytes, some(world, 8) == 0 ? 1 + some(world, BLOCK_BYTES) : BLOCK_BYTES);
}

static void noisy_open(struct world *world, struct buf *to) {
    struct open_file open = {.handle = some(world, 40)};
    open.content = world->files[some(world, world->file_count)].content;
    wire_open_encode(to, &open);
}

static void noisy_request(struct world *world, struct buf *to) {
    struct block_request request = {.handle = some(world, 40),
                                    .first = some(world, 190),
                                    .count = (uint8_t)(1 + some(world, 4))};
    wire_block_request_encode(to, &request);
}

static void noisy_hashes_request(struct world *world, struct buf *to) {
    struct hashes_request request = {.handle = some(world, 40),
                                     .layer = some(world, 4) == 0 ? 3 : 6 * (uint8_t)some(world, 2),
                                     .count = (uint16_t)(1u << some(world, 4))};
    request.first = some(world, 2) * request.count;
    wire_hashes_request_encode(to, &request);
}

static void noisy_shut(struct world *world, struct buf *to) {
    struct shut_file shut = {.handle = some(world, 40)};
    wire_shut_encode(to, &shut);
}

static void noisy_place(struct world *world, struct buf *to) {
    struct queue_place place = {.handle = some(world, 4), .position = (uint16_t)some(world, 3)};
    place.eta_ms = place.position > 0 ? some(world, 100000) : 0;
    wire_place_encode(to, &place);
}

static const struct {
    uint8_t type;
    void (*make)(struct world *world, struct buf *to);
} noises[] = {
    {MSG_HAVE, noisy_have},
    {MSG_REJECT, noisy_reject},
    {MSG_HASHES, noisy_hashes},
    {MSG_BLOCK, noisy_block},
    {MSG_BLOCK, noisy_block},
    {MSG_OPEN, noisy_open},
    {MSG_OPEN, noisy_open},
    {MSG_BLOCK_REQUEST, noisy_request},
    {MSG_BLOCK_REQUEST, noisy_request},
    {MSG_HASHES_REQUEST, noisy_hashes_request},
    {MSG_SHUT, noisy_shut},
    {MSG_PLACE, noisy_place},
};

static void make_noise(struct raw *raw) {
    struct world *world = raw->node->world;
    for (int i = 0; i < 40 && raw->link != NULL && !raw->link->closing; i++) {
        size_t which = some(world, LENGTH(noises));
        struct buf payload = {0};
        noises[which].make(world, &payload);
        if (some(world, 60) == 0) {
            payload.data[some(world, (uint32_t)payload.len)] ^= (uint8_t)(1 + some(world, 255));
        }
        raw_send(raw, raw->link, noises[which].type, &payload);
        if (some(world, 3) == 0) {
            world_run_for(world, 3 * LATENCY_US);
        }
    }
}

/* A source that talks nonsense: nothing breaks, nothing wrong is written (the world looks), and an
 * honest source still gets the file through. */
static void a_source_that_talks_nonsense_does_no_harm(void **state) {
    struct stage *stage = *state;
    struct world *world = stage->world;
    struct raw *noisy = raw_add(world);
    const struct world_file *file = world_make_file(world, 3 * 1024 * 1024 - 5, "blue.ogg");
    const struct world_file *ours = world_make_file(world, 3 * 1024 * 1024 - 7, "green.ogg");
    raw_begin(noisy);
    struct slice record = links_own_record(&noisy->links, NULL);
    add_holder(&stage->oracle, 0, HOLDER_REACHABLE);
    stage->oracle.hits.holders[0].id = noisy->node->identity.id;
    stage->oracle.hits.holders[0].address_record = record;
    add_hit(&stage->oracle, 0, "blue.ogg", 1);
    stage->oracle.hits.hits[0].file.content = file->content;
    struct world_node *peer = cast_peer(world, ours, 0);
    world_run_for(world, SECOND_US);
    uint64_t get = world_get(peer, file);
    uint32_t talks = 0;
    for (int i = 0; i < 800; i++) {
        world_run_for(world, SECOND_US * (1 + some(world, 20)));
        if (noisy->link == NULL) { /* from our side, too */
            raw_dial(noisy, peer, PURPOSE_TRANSFER);
        }
        talks += noisy->link != NULL;
        make_noise(noisy);
    }
    assert_true(talks > 600);
    assert_true(world->bans > 0);
    struct world_node *honest = cast_peer(world, file, 0);
    stage->oracle.hits.holders[0].id = honest->identity.id;
    stage->oracle.hits.holders[0].address_record = (struct slice){0};
    struct buf honest_record = {0};
    struct address_record made = {.key = honest->identity.id,
                                  .seq = WORLD_WALL_S + world->now_us / SECOND_US,
                                  .minutes = 1440,
                                  .address_count = 1};
    made.addresses[0] = honest->env.listen[0];
    wire_address_record_sign(&made, &honest->identity.crypto, &world->network.id);
    wire_address_record_encode(&honest_record, &made);
    stage->oracle.hits.holders[0].address_record =
        (struct slice){honest_record.data, honest_record.len};
    world_kill(noisy->node);
    assert_true(cast_wait(peer, get, 1200 * SECOND_US) < 700 * SECOND_US);
    cast_assert_fetched(peer, get, file);
    buf_free(&honest_record);
}

static void stopping_is_polite_and_short(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    stage->oracle.is_silent = true;
    uint64_t search = world_command(peer, "search", "text", "blue");
    struct node_event event = {.kind = NODE_SHUTDOWN};
    world_step(peer, &event);
    assert_int_equal(world_reported(peer, search, "error", 0)->reason, ERR_SHUTDOWN);
    uint64_t late = world_command(peer, "search", "text", "blue");
    assert_int_equal(world_reported(peer, late, "error", 0)->reason, ERR_SHUTDOWN);
    world_run_for(stage->world, SECOND_US);
    assert_true(peer->is_stopped);
    assert_int_equal(raw_count(stage->supernode, MSG_GOAWAY), 1);
    assert_int_equal(node_deadline(peer->node), TIMERS_NEVER);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(hits_are_grouped_numbered_and_checked),
        CASE(what_nobody_knows_ends_in_time),
        CASE(without_a_supernode_the_remedy_is_named),
        CASE(a_search_that_came_too_early_waits),
        cmocka_unit_test(a_search_goes_on_while_it_is_worth_while),
        CASE(a_refused_search_goes_to_another_parent),
        CASE(a_refused_search_waits_as_long_as_it_is_told),
        CASE(a_hung_parent_costs_a_second_and_then_its_link),
        CASE(bad_commands_say_what_is_wrong),
        CASE(hits_are_held_to_the_whole_query),
        CASE(a_mistake_in_a_search_has_a_place),
        CASE(too_many_searches_are_refused),
        CASE(whoever_left_hears_no_more),
        CASE(names_on_disk_may_be_ugly),
        CASE(who_finds_no_parent_is_told_why),
        CASE(strangers_get_in_for_what_a_peer_does),
        CASE(strangers_at_a_time_are_bounded),
        CASE(searches_for_sources_are_rationed),
        CASE(searches_for_sources_become_rare),
        CASE(messages_have_their_place),
        CASE(a_source_that_talks_nonsense_does_no_harm),
        CASE(stopping_is_polite_and_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
