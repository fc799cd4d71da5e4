/* test_browse.c - browsing: who sees what, pages, rations, hosts that say no or lie; folders. */
#include "tests/unit/peer_cast.h"
#include "tests/unit/peer_raw.h"

#include "common/filelink.h"

#define MANY 2500 /* files of a few bytes: several pages */

static int setup(void **state) {
    struct world *world = world_new(8);
    cast_supernode(world);
    *state = world;
    return 0;
}

static int teardown(void **state) {
    world_free(*state);
    return 0;
}

/* ---- Sharing ---- */

/* Share a file of this world in a folder, under the number it would have. */
static void share_in(struct world_node *node, const struct world_file *file, const char *folder,
                     const char *name) {
    node->shared[node->shared_count++] = file;
    struct node_event event = {.kind = NODE_SHARED};
    event.shared.file = node->shared_count;
    event.shared.group = node->share_group;
    event.shared.content = file->content;
    event.shared.name = test_slice(name);
    event.shared.folder = test_slice(folder);
    event.shared.pieces =
        (struct slice){file->pieces[0].b, (size_t)hashtree_pieces(file->content.size) * HASH_BYTES};
    if (hashtree_pieces(file->content.size) == 1) {
        event.shared.pieces.len = 0;
    }
    world_step(node, &event);
}

/* Files that nobody fetches: number, content and name are told by `number`. */
static void share_fake(struct world_node *node, uint64_t number) {
    char name[32];
    struct node_event event = {.kind = NODE_SHARED};
    snprintf(name, sizeof name, "file %llu", (unsigned long long)number);
    event.shared.file = number;
    event.shared.content.size = 1 + number % 1000;
    memcpy(event.shared.content.root.b, &number, sizeof number);
    event.shared.name = test_slice(name);
    event.shared.folder = test_slice(number % 2 == 0 ? "Heap/even" : "Heap/odd");
    world_step(node, &event);
}

static void withdraw(struct world_node *node, uint64_t number) {
    struct node_event event = {.kind = NODE_UNSHARED, .shared = {.file = number}};
    world_step(node, &event);
}

/* ---- Asking as a peer ---- */

static uint64_t browse(struct world_node *asker, const struct world_node *host, const char *under) {
    char text[NODE_PLACE_TEXT_BYTES];
    struct node_place place = {.id = host->identity.id};
    if (!host->is_hidden) {
        place.address = host->env.listen[0];
    }
    node_place_format(text, &place);
    const struct command_arg args[] = {{"node", text}, {"under", under}};
    uint64_t command = world_command_args(asker, "browse", args, 2);
    assert_true(cast_wait(asker, command, 200 * SECOND_US) != UINT64_MAX);
    return command;
}

/* "folder/name" of the nth file, with "!" behind when it is locked. */
static void assert_file(const struct world_node *asker, uint64_t command, uint32_t nth,
                        const char *wanted) {
    const struct world_report *report = world_reported(asker, command, "file", nth);
    char folder[1100], name[300], found[1500];
    uint64_t locked = 0;
    assert_non_null(report);
    assert_true(world_field(report, "folder", folder, NULL));
    assert_true(world_field(report, "name", name, NULL));
    assert_true(world_field(report, "locked", NULL, &locked));
    snprintf(found, sizeof found, "%s/%s%s", folder, name, locked ? "!" : "");
    assert_string_equal(found, wanted);
}

static void assert_error(const struct world_node *asker, uint64_t command, const char *part) {
    const struct world_report *report = world_reported(asker, command, "error", 0);
    char text[1024];
    assert_non_null(report);
    assert_true(world_field(report, "text", text, NULL));
    if (strstr(text, part) == NULL) {
        fail_msg("wanted `%s`, got `%s`", part, text);
    }
}

static void files_are_listed_with_their_folders(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct world_node *asker = cast_peer(world, NULL, 0);
    const struct world_file *file = world_make_file(world, 100, "x");
    share_in(host, file, "Music/Blues", "one.ogg");
    share_in(host, file, "Music", "two.ogg");
    share_in(host, file, "Music/Blue", "three.ogg");
    share_in(host, file, "", "four.ogg");
    share_in(host, file, "Music/Bl\nues\\x", "fi\x7fve.ogg");
    uint64_t all = browse(asker, host, "");
    assert_int_equal(world_count(asker, all, "file"), 5);
    assert_file(asker, all, 0, "Music/Blues/one.ogg");
    assert_file(asker, all, 1, "Music/two.ogg");
    assert_file(asker, all, 3, "/four.ogg");
    assert_file(asker, all, 4, "Music/Bl_ues_x/fi_ve.ogg");
    assert_int_equal(world_number(world_reported(asker, all, "end", 0), "files"), 5);
    assert_int_equal(world_number(world_reported(asker, all, "end", 0), "bytes"), 500);
    uint64_t some = browse(asker, host, "Music/Blue"); /* not Blues */
    assert_int_equal(world_count(asker, some, "file"), 1);
    assert_file(asker, some, 0, "Music/Blue/three.ogg");
    some = browse(asker, host, "Music");
    assert_int_equal(world_count(asker, some, "file"), 4);
    assert_int_equal(world_count(asker, browse(asker, host, "Musi"), "file"), 0);
    assert_error(asker, browse(asker, host, "Music/.."), "not a folder");
    withdraw(host, 1);
    assert_int_equal(world_count(asker, browse(asker, host, "Music/Blues"), "file"), 0);
}

/* A folder too deep or too long to be told is told by its first part. */
static void folders_that_cannot_be_told(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct world_node *asker = cast_peer(world, NULL, 0);
    const struct world_file *file = world_make_file(world, 100, "x");
    char deep[3 * FOLDER_DEPTH_MAX + 8] = "Deep";
    for (int i = 0; i < FOLDER_DEPTH_MAX; i++) {
        strcat(deep, "/d");
    }
    share_in(host, file, deep, "one.ogg");
    char bad[] = "Odd/\xff\xfe";
    share_in(host, file, bad, "two.ogg");
    uint64_t all = browse(asker, host, "");
    assert_file(asker, all, 0, "Deep/one.ogg");
    assert_file(asker, all, 1, "Odd/two.ogg");
}

static void everybody_sees_what_is_for_him(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct world_node *friend = cast_peer(world, NULL, 0);
    struct world_node *other = cast_peer(world, NULL, 0);
    const struct world_file *file = world_make_file(world, 100, "x");
    const struct world_file *locked = world_make_file(world, 200, "x");
    const struct world_file *secret = world_make_file(world, 300, "x");
    share_in(host, file, "Open", "open.ogg");
    world_share_for(host, true, 1, &friend->identity.id);
    share_in(host, locked, "Locked", "locked.ogg");
    world_share_for(host, false, 1, &friend->identity.id);
    share_in(host, secret, "Secret", "secret.ogg");
    uint64_t seen = browse(friend, host, "");
    assert_int_equal(world_count(friend, seen, "file"), 3);
    assert_file(friend, seen, 1, "Locked/locked.ogg");
    assert_file(friend, seen, 2, "Secret/secret.ogg");
    seen = browse(other, host, "");
    assert_int_equal(world_count(other, seen, "file"), 2);
    assert_file(other, seen, 0, "Open/open.ogg");
    assert_file(other, seen, 1, "Locked/locked.ogg!");
    assert_int_equal(world_number(world_reported(other, seen, "end", 0), "locked"), 1);
    assert_int_equal(world_count(other, browse(other, host, "Secret"), "file"), 0);
}

static void a_host_may_say_no(void **state) {
    struct world *world = *state;
    struct world_node *host = world_add(world);
    struct peer_config config;
    cast_config(world, &config);
    config.no_browse = true;
    world_start(host, peer_new(&host->env, &config));
    struct world_node *asker = cast_peer(world, NULL, 0);
    share_fake(host, 1);
    uint64_t command = browse(asker, host, "");
    assert_error(asker, command, "does not let anybody browse");
    assert_int_equal(world_count(asker, command, "file"), 0);
}

static void who_cannot_be_reached_or_does_not_exist(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct world_node *asker = cast_peer(world, NULL, 0);
    struct raw *deaf = raw_add(world); /* as a program that does not know the message */
    world_run_for(world, 3 * SECOND_US);
    share_fake(host, 1);
    host->is_hidden = true; /* named by its id alone: a parent of ours asks it to call */
    uint64_t command = browse(asker, host, "");
    assert_int_equal(world_count(asker, command, "file"), 1);
    assert_error(asker, browse(asker, deaf->node, ""), "older than this command");
    struct world_node *gone = world_add(world);
    gone->is_hidden = true;
    assert_error(asker, browse(asker, gone, ""), "does not answer");
    gone->is_hidden = false;
    assert_error(asker, browse(asker, gone, ""), "does not answer");
    assert_error(asker, world_command(asker, "browse", "node", "7"), "search again");
    assert_error(asker, world_command(asker, "browse", "node", "whale"), "not a node");
    assert_error(asker, browse(asker, asker, ""), "the peer itself");
    char text[NODE_PLACE_TEXT_BYTES];
    node_id_format(text, &host->identity.id);
    text[0] = text[0] == 'A' ? 'B' : 'A';
    assert_error(asker, world_command(asker, "browse", "node", text), "mistyped");
}

static void a_result_names_a_host(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 100, "whale.ogg");
    struct world_node *host = cast_peer(world, file, 0);
    struct world_node *asker = cast_peer(world, NULL, 0);
    world_run_for(world, 3 * SECOND_US);
    share_fake(host, 50);
    uint64_t search = world_command(asker, "search", "text", "whale");
    assert_true(cast_wait(asker, search, 30 * SECOND_US) != UINT64_MAX);
    uint64_t command = world_command(asker, "browse", "node", "1");
    assert_true(cast_wait(asker, command, 30 * SECOND_US) != UINT64_MAX);
    assert_int_equal(world_count(asker, command, "file"), 2);
}

/* ---- Pages, asked for by a node without a mind ---- */

static void ask_page(struct raw *raw, uint32_t handle, uint64_t after) {
    struct browse_request request = {.handle = handle, .after = after};
    struct buf payload = {0};
    wire_browse_encode(&payload, &request);
    raw_send(raw, raw->link, MSG_BROWSE, &payload);
    world_run_for(raw->node->world, 5 * LATENCY_US);
}

static struct listing last_page(const struct raw *raw) {
    struct listing page;
    uint32_t count = raw_count(raw, MSG_LISTING);
    assert_true(count > 0);
    assert_int_equal(wire_listing_decode(raw_payload(raw, MSG_LISTING, count - 1), &page), OK);
    return page;
}

/* Add what a page tells to a tally of files by their number. */
static void tally_page(const struct listing *page, uint8_t seen[2 * MANY + 1]) {
    struct listing_entry entry;
    struct reader entries = wire_listing_entries(page);
    while (wire_listing_next(&entries, &entry)) {
        uint64_t number;
        memcpy(&number, entry.content.root.b, sizeof number);
        assert_in_range(number, 1, 2 * MANY);
        seen[number]++;
    }
}

/* What is there all the time is told once, whatever comes and goes between two pages; what is told
 * anew of a file (its title was read) is not told twice. */
static void pages_survive_changes(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct raw *raw = raw_add(world);
    uint8_t *seen = mem_new(2 * MANY + 1);
    for (uint64_t i = 1; i <= MANY; i++) {
        share_fake(host, i);
    }
    assert_non_null(raw_dial(raw, host, PURPOSE_TRANSFER));
    uint64_t after = 0;
    uint32_t pages = 0;
    do {
        ask_page(raw, ++pages, after);
        struct listing page = last_page(raw);
        assert_int_equal(page.handle, pages);
        assert_true(page.next == 0 || (page.next > after && page.count > 100));
        tally_page(&page, seen);
        after = page.next;
        withdraw(host, 10 * pages); /* of what was told */
        share_fake(host, 5);        /* the same again */
        if (pages == 1) {
            withdraw(host, MANY - 1);
            share_fake(host, MANY + 7);
        }
        world_run_for(world, SECOND_US);
    } while (after != 0);
    assert_in_range(pages, 3, 20);
    for (uint64_t i = 1; i <= MANY; i++) {
        assert_int_equal(seen[i], i != MANY - 1);
    }
    assert_int_equal(seen[MANY + 7], 1);
    mem_free(seen);
}

/* Who asks without end is told to wait, also when it comes back on a new link; others are not. */
static void pages_are_rationed_by_node(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct raw *greedy = raw_add(world);
    struct raw *other = raw_add(world);
    share_fake(host, 1);
    for (uint32_t round = 0; round < 2; round++) {
        raw_forget(greedy);
        assert_non_null(raw_dial(greedy, host, PURPOSE_TRANSFER));
        for (uint32_t i = 0; i < 2 * LISTING_BURST; i++) {
            struct browse_request request = {.handle = i + 1};
            struct buf payload = {0};
            wire_browse_encode(&payload, &request);
            raw_send(greedy, greedy->link, MSG_BROWSE, &payload);
        }
        world_run_for(world, 10 * LATENCY_US);
        uint32_t pages = raw_count(greedy, MSG_LISTING);
        assert_int_equal(pages + raw_count(greedy, MSG_REJECT), 2 * LISTING_BURST);
        assert_in_range(pages, round == 0 ? LISTING_BURST : 0, LISTING_BURST * (1 - round) + 2);
        raw_begin(greedy);
        links_close(greedy->link, GOAWAY_IDLE, OK);
        raw_end(greedy);
        world_run_for(world, 10 * LATENCY_US);
    }
    struct reject reject;
    assert_int_equal(wire_reject_decode(raw_payload(greedy, MSG_REJECT, 0), &reject), OK);
    assert_int_equal(reject.reason, REJECT_BUSY);
    assert_in_range(reject.retry_after_ms, 1, 1000);
    assert_non_null(raw_dial(other, host, PURPOSE_TRANSFER));
    ask_page(other, 1, 0);
    assert_int_equal(last_page(other).count, 1);
}

/* A peer waits as it is told, and gets everything. */
static void a_long_list_comes_in_time(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct world_node *asker = cast_peer(world, NULL, 0);
    for (uint64_t i = 1; i <= 4 * MANY; i++) {
        share_fake(host, i);
    }
    uint64_t command = browse(asker, host, "");
    const struct world_report *end = world_reported(asker, command, "end", 0);
    assert_int_equal(world_number(end, "files"), 4 * MANY);
    command = browse(asker, host, "Heap/odd");
    end = world_reported(asker, command, "end", 0);
    assert_int_equal(world_number(end, "files"), 2 * MANY);
}

/* ---- Hosts that lie ---- */

enum lie { LIE_ENDLESS, LIE_ELSEWHERE, LIE_BACKWARDS };

static void lie(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
    struct browse_request request;
    const enum lie *which = raw->context;
    if (type != MSG_BROWSE) {
        return;
    }
    assert_int_equal(wire_browse_decode(payload, &request), OK);
    struct buf entries = {0}, answer = {0};
    struct listing page = {.handle = request.handle, .next = request.after + 1};
    struct listing_entry entry = {.name = test_slice("n"), .folder = test_slice("A")};
    entry.content.size = 1;
    entry.folder = *which == LIE_ELSEWHERE ? test_slice("AB") : entry.folder;
    while (*which == LIE_ENDLESS && page.count < LISTING_FILES_MAX - 1) {
        assert_true(wire_listing_put(&entries, &entry));
        page.count++;
    }
    assert_true(wire_listing_put(&entries, &entry));
    page.count++;
    page.entries = (struct slice){entries.data, entries.len};
    page.next = *which == LIE_BACKWARDS && request.after > 5 ? 5 : page.next;
    wire_listing_encode(&answer, &page);
    links_send(link, MSG_LISTING, (struct slice){answer.data, answer.len});
    buf_free(&entries);
    buf_free(&answer);
}

static void liars_come_to_an_end(void **state) {
    struct world *world = *state;
    struct world_node *asker = cast_peer(world, NULL, 0);
    for (enum lie which = LIE_ENDLESS; which <= LIE_BACKWARDS; which++) {
        struct raw *liar = raw_add(world);
        liar->answer = lie;
        liar->context = &which;
        uint64_t command = browse(asker, liar->node, "A");
        if (which == LIE_ENDLESS) {
            const struct world_report *end = world_reported(asker, command, "end", 0);
            assert_int_equal(world_number(end, "files"), BROWSE_FILES_MAX);
            assert_int_equal(world_number(end, "partial"), 1);
        } else {
            assert_error(asker, command, "makes no sense");
            world_run_for(world, SECOND_US);
            assert_null(liar->link);
        }
    }
}

/* Pages that nobody asked for: a few may have crossed, a flood ends the link. */
static void unasked_pages_end_the_link(void **state) {
    struct world *world = *state;
    struct world_node *peer = cast_peer(world, NULL, 0);
    struct raw *raw = raw_add(world);
    assert_non_null(raw_dial(raw, peer, PURPOSE_TRANSFER));
    for (uint32_t i = 0; i <= FETCH_UNASKED_MAX; i++) {
        struct listing page = {.handle = i};
        struct buf payload = {0};
        wire_listing_encode(&payload, &page);
        assert_non_null(raw->link);
        raw_send(raw, raw->link, MSG_LISTING, &payload);
        world_run_for(world, 2 * LATENCY_US);
    }
    world_run_for(world, SECOND_US);
    assert_null(raw->link);
}

/* ---- Fetching into a folder, from whom somebody named ---- */

static uint64_t get_from(struct world_node *asker, const struct world_node *host,
                         const struct world_file *file, const char *folder) {
    char content[CONTENT_TEXT_BYTES], source[NODE_PLACE_TEXT_BYTES];
    struct node_place place = {host->identity.id, host->env.listen[0]};
    content_format(content, &file->content);
    node_place_format(source, &place);
    const struct command_arg args[] = {
        {"content", content}, {"folder", folder}, {"source", source}, {"wait", "1"}};
    return world_command_args(asker, "get", args, 4);
}

static void what_is_for_a_friend_is_fetched_by_him(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct world_node *friend = cast_peer(world, NULL, 0);
    const struct world_file *file = world_make_file(world, 3 << 20, "x");
    world_share_for(host, false, 1, &friend->identity.id);
    share_in(host, file, "Secret", "whale.ogg");
    world_run_for(world, 3 * SECOND_US); /* registered nowhere */
    uint64_t get = get_from(friend, host, file, "Secret/..//a:b");
    assert_true(cast_wait(friend, get, 30 * SECOND_US) < 10 * SECOND_US);
    cast_assert_fetched(friend, get, file);
    char path[300];
    assert_true(world_field(world_reported(friend, get, "finished", 0), "path", path, NULL));
    assert_memory_equal(path, "Secret/unnamed/a_b/", 19);
}

/* The named source outlives the process: no search would find it again. */
static void a_named_source_is_remembered(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 200 * 1024);
    struct world_node *friend = cast_peer(world, NULL, 0);
    const struct world_file *file = world_make_file(world, 3 << 20, "x");
    world_share_for(host, false, 1, &friend->identity.id);
    share_in(host, file, "Secret", "whale.ogg");
    (void)get_from(friend, host, file, "Secret");
    world_run_for(world, 3 * SECOND_US);
    world_kill(friend);
    world_run_for(world, SECOND_US);
    cast_start(friend, 0, 0);
    world_run_for(world, 60 * SECOND_US);
    const struct world_part *part = world_part_of(friend, &file->content);
    assert_true(part != NULL && part->is_finished);
}

/* Why nothing comes is told: the only source says that it is for others. */
static void a_locked_download_says_so(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct world_node *other = cast_peer(world, NULL, 0);
    const struct world_file *file = world_make_file(world, 3 << 20, "x");
    world_share_for(host, true, 1, &host->identity.id);
    share_in(host, file, "Locked", "whale.ogg");
    (void)get_from(other, host, file, "");
    world_run_for(world, 3 * SECOND_US);
    uint64_t list = world_command(other, "downloads", NULL, NULL);
    const struct world_report *at = world_reported(other, list, "download", 0);
    assert_int_equal(world_number(at, "known"), 1);
    assert_int_equal(world_number(at, "locked"), 1);
    assert_int_equal(world_number(at, "sources"), 0);
    world_share_for(host, true, 1, &other->identity.id); /* its owner thinks better of it */
    host->share_group = 0;
    share_in(host, file, "Open", "whale.ogg");
    world_run_for(world, 60 * SECOND_US);
    assert_true(world_part_of(other, &file->content)->is_finished);
}

/* ---- Links ---- */

static void link_of(const struct world_node *node, uint64_t command, const char *kind,
                    char text[FILELINK_BYTES_MAX + 1], struct filelink *link) {
    struct filelink_error error = {0};
    assert_non_null(world_reported(node, command, kind, 0));
    assert_true(world_field(world_reported(node, command, kind, 0), "link", text, NULL));
    assert_int_equal(filelink_parse(link, text, &error), OK);
    assert_memory_equal(link->network.b, node->world->network.id.b, HASH_BYTES);
    assert_string_equal(link->name, "a whale.ogg");
}

/* What is for a friend alone: a link is all that he needs, and it leads to its source. */
static void a_link_leads_to_its_source(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct world_node *friend = cast_peer(world, NULL, 0);
    const struct world_file *file = world_make_file(world, 3 << 20, "x");
    const struct command_arg links = {"links", "1"};
    struct filelink link;
    char text[FILELINK_BYTES_MAX + 1];
    world_share_for(host, false, 1, &friend->identity.id);
    share_in(host, file, "Secret", "a whale.ogg");
    link_of(host, world_command_args(host, "share", &links, 1), "file", text, &link);
    assert_true(node_id_equal(&link.sources[0].id, &host->identity.id));
    uint64_t get = world_command(friend, "get", "content", text);
    assert_true(cast_wait(friend, get, 30 * SECOND_US) < 5 * SECOND_US);
    cast_assert_fetched(friend, get, file);
    char path[300];
    assert_true(world_field(world_reported(friend, get, "finished", 0), "path", path, NULL));
    assert_string_equal(path, "a whale.ogg");
}

static void searches_tell_links(void **state) {
    struct world *world = *state;
    struct world_node *host = cast_peer(world, NULL, 0);
    struct world_node *asker = cast_peer(world, NULL, 0);
    const struct world_file *file = world_make_file(world, 100, "x");
    const struct command_arg search[] = {{"text", "whale"}, {"links", "1"}};
    struct filelink link;
    char text[FILELINK_BYTES_MAX + 1];
    share_in(host, file, "Open", "a whale.ogg");
    world_run_for(world, 5 * SECOND_US);
    uint64_t command = world_command_args(asker, "search", search, 2);
    assert_true(cast_wait(asker, command, 30 * SECOND_US) != UINT64_MAX);
    link_of(asker, command, "hit", text, &link);
    assert_true(node_id_equal(&link.sources[0].id, &host->identity.id));
    assert_true(address_equal(&link.sources[0].address, &host->env.listen[0]));
    const struct command_arg browse[] = {{"node", "1"}, {"links", "1"}};
    command = world_command_args(asker, "browse", browse, 2);
    assert_true(cast_wait(asker, command, 30 * SECOND_US) != UINT64_MAX);
    link_of(asker, command, "file", text, &link);
    assert_true(node_id_equal(&link.sources[0].id, &host->identity.id));
}

static void bad_links_are_explained(void **state) {
    struct world *world = *state;
    struct world_node *asker = cast_peer(world, NULL, 0);
    struct filelink link = {.content.size = 5, .has_network = true, .network = {{1}}};
    struct buf text = {0};
    filelink_format(&text, &link);
    buf_u8(&text, '\0');
    const char *elsewhere = (const char *)text.data;
    assert_error(asker, world_command(asker, "get", "content", elsewhere), "another network");
    char bad[200];
    snprintf(bad, sizeof bad, "%.76s?name=%%4", elsewhere);
    assert_error(asker, world_command(asker, "get", "content", bad), "at character 83: behind %");
    assert_error(asker, world_command(asker, "get", "content", "whale"), "does not begin with");
    buf_free(&text);
}

static void bad_wishes_are_explained(void **state) {
    struct world *world = *state;
    struct world_node *asker = cast_peer(world, NULL, 0);
    const struct world_file *file = world_make_file(world, 100, "x");
    char content[CONTENT_TEXT_BYTES], deep[4 * FOLDER_DEPTH_MAX] = "d";
    content_format(content, &file->content);
    for (int i = 0; i < FOLDER_DEPTH_MAX; i++) {
        strcat(deep, "/d");
    }
    const struct command_arg folder[] = {{"content", content}, {"folder", deep}};
    assert_error(asker, world_command_args(asker, "get", folder, 2), "too deep");
    const struct command_arg source[] = {{"content", content}, {"source", "whale@1.2.3.4:5"}};
    assert_error(asker, world_command_args(asker, "get", source, 2), "a source is ID");
    assert_int_equal(world_count(asker, world_command(asker, "downloads", NULL, NULL), "download"),
                     0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(files_are_listed_with_their_folders),
        TEST(folders_that_cannot_be_told),
        TEST(everybody_sees_what_is_for_him),
        TEST(a_host_may_say_no),
        TEST(who_cannot_be_reached_or_does_not_exist),
        TEST(a_result_names_a_host),
        TEST(pages_survive_changes),
        TEST(pages_are_rationed_by_node),
        TEST(a_long_list_comes_in_time),
        TEST(liars_come_to_an_end),
        TEST(unasked_pages_end_the_link),
        TEST(what_is_for_a_friend_is_fetched_by_him),
        TEST(a_named_source_is_remembered),
        TEST(a_locked_download_says_so),
        TEST(a_link_leads_to_its_source),
        TEST(searches_tell_links),
        TEST(bad_links_are_explained),
        TEST(bad_wishes_are_explained),
    };
    return cmocka_run_group_tests_name("browse", tests, NULL, NULL);
}
