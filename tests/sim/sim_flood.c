/* sim_flood.c - measures searches in large networks: what they find and what they cost.
 *
 * Real supernodes and real peers in virtual time; every leaf registers at two supernodes. A search
 * is held against what is there (in the index of a supernode that is not silent; with 10 % silent
 * ones 1 % of the leaves have none, and neither ask nor count), and its copies against a plain
 * flood of TTL 4 on the same mesh in which every supernode sends on the first copy that it gets, to
 * all but whom it has it from. What only hostile supernodes index does not count as there. Whoever
 * asks a hostile supernode can be told anything, so those searches stand apart; but the ones here
 * keep nothing from their leaves, so what these miss is lost by how others answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/rng.h"
#include "peer/peer.h"
#include "src/sim/sim.h"
#include "supernode/core.h"
#include "tests/sim/catalog.h"
#include "tests/sim/hostile.h"

#define SECOND_US 1000000ull
#define MESH_US (150 * SECOND_US)  /* until the supernodes know each other */
#define START_EACH_US 2000         /* between the starts of two leaves */
#define SETTLE_US (60 * SECOND_US) /* after the last leaf's */
#define ASK_EACH_US 250000         /* between two searches */
#define WAIT_US (30 * SECOND_US)   /* after the last */
#define INTRODUCERS 4
#define CLASSES 4
#define ROWS (CLASSES + 2) /* all, and those that were asked of a hostile supernode */

struct options {
    uint32_t supernodes;
    uint32_t leaves; /* per supernode */
    uint32_t files;  /* per leaf */
    uint32_t queries;
    uint32_t seed;
    uint32_t droppers;           /* percent of the supernodes that fall silent */
    uint32_t poisoners;          /* percent that claim to have every word */
    uint32_t forgers;            /* percent that repeat queries and forge answers */
    uint32_t recall_min;         /* thousandths, over all searches; 0 = not checked */
    uint32_t hostile_recall_min; /* over those that were asked of hostile supernodes */
    uint32_t share_max;          /* percent of a plain flood's copies; 0 = not checked */
    uint32_t plain;              /* 1: really flood, for comparison */
    uint32_t verbose;            /* 1: print the searches that missed something */
};

struct search {
    struct wish wish;
    uint64_t asked_us;
    uint64_t took_us; /* 0 = not answered */
    uint64_t copies;
    uint64_t plain_copies;
    uint32_t found;
    uint32_t *seen; /* items found */
    uint64_t reached;
    uint64_t known;
    uint64_t supernodes;
    bool is_exposed; /* a supernode of the asker is hostile */
};

struct world {
    struct options options;
    struct sim *sim;
    struct network network;
    struct catalog *catalog;
    struct rng rng;
    struct supernode **supernodes;
    uint32_t *item_of_file; /* sim's file number -> item */
    struct search *searches;
    uint32_t asked;
    uint32_t *active;      /* by machine: its search + 1 */
    struct map by_id;      /* query id -> search */
    uint32_t next_machine; /* that is being started */
    uint32_t parted;       /* links that supernodes ended for misdeeds */
};

/* ---- The network ---- */

static void introduce(const struct world *world, struct introducer *to, uint32_t machine) {
    struct address address = sim_address(machine);
    to->id = sim_node_id(world->sim, machine);
    to->port = address.port;
    snprintf(to->host, sizeof to->host, "%u.%u.%u.%u", address.ip[0], address.ip[1], address.ip[2],
             address.ip[3]);
}

/* The first ones are: who knows whom is drawn anyway. */
static bool is_hostile(const struct world *world, uint32_t supernode) {
    const struct options *options = &world->options;
    return supernode * 100ull <
           options->supernodes * (uint64_t)(options->poisoners + options->forgers);
}

static struct node make_hostile(const struct world *world, struct node node,
                                const struct node_env *env) {
    bool is_poisoner = world->next_machine * 100ull <
                       world->options.supernodes * (uint64_t)world->options.poisoners;
    return hostile_new(node, env, is_poisoner ? HOSTILE_POISONER : HOSTILE_FORGER);
}

static struct node make_supernode(const struct node_env *env, void *context) {
    struct world *world = context;
    struct supernode_config config = {.plain_flood = world->options.plain != 0};
    for (uint32_t i = 0; i < INTRODUCERS; i++) {
        uint32_t other = (uint32_t)rng_below(&world->rng, world->options.supernodes);
        introduce(world, &config.introducers[config.introducer_count++], other);
    }
    struct node node = supernode_new(env, &config);
    world->supernodes[world->next_machine] = node.self;
    return is_hostile(world, world->next_machine) ? make_hostile(world, node, env) : node;
}

/* Every supernode is the first of as many leaves as any other. */
static struct node make_peer(const struct node_env *env, void *context) {
    struct world *world = context;
    struct peer_config config = {.introducer_count = 2};
    uint32_t first = world->next_machine % world->options.supernodes;
    uint32_t second = (uint32_t)rng_below(&world->rng, world->options.supernodes - 1);
    introduce(world, &config.introducers[0], first);
    introduce(world, &config.introducers[1], second < first ? second : second + 1);
    return peer_new(env, &config);
}

static void add_machines(struct world *world) {
    uint32_t leaves = world->options.supernodes * world->options.leaves;
    struct sim_machine_config config = {.make = make_supernode, .context = world};
    for (uint32_t i = 0; i < world->options.supernodes; i++) {
        sim_add(world->sim, &config);
    }
    config.make = make_peer;
    for (uint32_t i = 0; i < leaves; i++) {
        sim_add(world->sim, &config);
    }
}

static void share_files(struct world *world) {
    uint32_t count = catalog_count(world->catalog);
    world->item_of_file = mem_array(count, sizeof *world->item_of_file);
    for (uint32_t i = 0; i < count; i++) {
        const struct item *item = catalog_item(world->catalog, i);
        char name[CATALOG_NAME_BYTES];
        catalog_name(item, name);
        if (item->holder_count == 0) {
            continue;
        }
        uint32_t file = sim_file_add(world->sim, 64);
        world->item_of_file[file] = i;
        for (uint32_t n = 0; n < item->holder_count; n++) {
            sim_share(world->sim, world->options.supernodes + item->holders[n], file, name);
        }
    }
}

static void start_machines(struct world *world) {
    uint32_t all = world->options.supernodes * (1 + world->options.leaves);
    for (; world->next_machine < world->options.supernodes; world->next_machine++) {
        sim_start(world->sim, world->next_machine);
    }
    sim_run(world->sim, MESH_US);
    for (; world->next_machine < all; world->next_machine++) {
        sim_start(world->sim, world->next_machine);
        sim_run(world->sim, sim_now_us(world->sim) + START_EACH_US);
    }
    sim_run(world->sim, sim_now_us(world->sim) + SETTLE_US);
}

/* ---- A plain flood ---- */

static uint32_t machine_of(const struct world *world, const struct neighbour *neighbour) {
    (void)world;
    return sim_machine_at(
        &(struct address){.family = neighbour->link->remote.family,
                          .ip = {neighbour->link->remote.ip[0], neighbour->link->remote.ip[1],
                                 neighbour->link->remote.ip[2], neighbour->link->remote.ip[3]},
                          .port = sim_address(0).port});
}

/* Copies that a flood of TTL 4 sends from an entry, breadth first: the cheapest order. */
static uint64_t plain_copies(const struct world *world, uint32_t entry) {
    uint32_t count = world->options.supernodes;
    uint8_t *distance = mem_new(count); /* + 1 */
    uint32_t *queue = mem_array(count, sizeof *queue);
    uint32_t tail = 0;
    uint64_t copies = 0;
    queue[tail++] = entry;
    distance[entry] = 1;
    for (uint32_t head = 0; head < tail; head++) {
        const struct supernode *at = world->supernodes[queue[head]];
        uint8_t hops = distance[queue[head]];
        if (hops > TTL_POLICY) {
            continue;
        }
        uint32_t links = at->neighbour_count;
        copies += hops > 1 && links > 0 ? links - 1 : links; /* its end may know sooner */
        for (uint32_t i = 0; i < at->neighbour_count; i++) {
            uint32_t next = machine_of(world, at->neighbours[i]);
            if (distance[next] == 0) {
                distance[next] = (uint8_t)(hops + 1);
                queue[tail++] = next;
            }
        }
    }
    mem_free(distance);
    mem_free(queue);
    return copies;
}

/* ---- Searches ---- */

/* Nobody may be made to part from one who is honest. */
static void saw_goaway(struct world *world, const struct sim_message *message) {
    struct goaway goaway;
    if (wire_goaway_decode(message->payload, &goaway) != OK || goaway.reason != GOAWAY_PROTOCOL ||
        is_hostile(world, message->from)) {
        return;
    }
    world->parted++;
    if (!is_hostile(world, message->to)) {
        sim_fail(world->sim, "%u parts from %u, who is honest", message->from, message->to);
    }
}

static void saw_message(void *context, const struct sim_message *message) {
    struct world *world = context;
    if (message->type == MSG_GOAWAY) {
        saw_goaway(world, message);
    }
    struct query_header query;
    if (message->type != MSG_QUERY || wire_query_decode(message->payload, &query) != OK) {
        return;
    }
    struct query_id id;
    wire_query_id(query.body, sim_crypto(world->sim), &id);
    struct search *search = map_get(&world->by_id, id.b);
    bool is_asking = message->from >= world->options.supernodes;
    if (search == NULL && is_asking && world->active[message->from] > 0) {
        search = &world->searches[world->active[message->from] - 1];
        map_put(&world->by_id, id.b, search);
    }
    if (search == NULL) {
        return;
    }
    if (!is_asking) {
        search->copies++;
    } else if (search->plain_copies == 0) {
        search->plain_copies = plain_copies(world, message->to);
    }
}

static void take_hit(struct world *world, struct search *search, struct slice content) {
    char text[CONTENT_TEXT_BYTES] = "";
    struct content_id id;
    if (content.len < sizeof text) {
        memcpy(text, content.data, content.len);
    }
    enum err err = content_parse(&id, text);
    CHECK(err == OK);
    uint32_t file = sim_file_of(world->sim, &id);
    CHECK(file != UINT32_MAX); /* a forged hit */
    uint32_t item = world->item_of_file[file];
    CHECK(catalog_matches(catalog_item(world->catalog, item), &search->wish));
    for (uint32_t i = 0; i < search->found; i++) {
        if (search->seen[i] == item) {
            return;
        }
    }
    search->seen = mem_resize(search->seen, search->found + 1, sizeof *search->seen);
    search->seen[search->found++] = item;
}

static bool field_is(const struct report_field *field, const char *key) {
    return field->key.len == strlen(key) && memcmp(field->key.data, key, field->key.len) == 0;
}

static void take_report(void *context, uint64_t command, struct slice fields,
                        const struct action *how) {
    struct world *world = context;
    struct search *search = &world->searches[command - 1];
    const struct {
        const char *key;
        uint64_t *to;
    } numbers[] = {{"reached", &search->reached},
                   {"known", &search->known},
                   {"supernodes", &search->supernodes}};
    struct report_field field;
    while (report_next(&fields, &field)) {
        if (field_is(&field, "content")) {
            take_hit(world, search, field.text);
        }
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            if (field_is(&field, numbers[i].key)) {
                *numbers[i].to = field.number;
            }
        }
    }
    if (how->last) {
        search->took_us = sim_now_us(world->sim) - search->asked_us;
        world->active[world->options.supernodes + search->wish.asker] = 0;
    }
}

/* True when a supernode that is neither silent nor hostile has registered the leaf. */
static bool is_registered(const struct world *world, uint32_t leaf) {
    struct node_id id = sim_node_id(world->sim, world->options.supernodes + leaf);
    for (uint32_t i = 0; i < world->options.supernodes; i++) {
        const struct leaf *at = map_get(&world->supernodes[i]->leaves, id.b);
        bool is_good = !sim_is_frozen(world->sim, i) && !is_hostile(world, i);
        if (is_good && at != NULL && at->link != NULL && at->list != NULL) {
            return true;
        }
    }
    return false;
}

static bool is_exposed(const struct world *world, uint32_t leaf) {
    struct node_id id = sim_node_id(world->sim, world->options.supernodes + leaf);
    for (uint32_t i = 0; i < world->options.supernodes && is_hostile(world, i); i++) {
        const struct leaf *at = map_get(&world->supernodes[i]->leaves, id.b);
        if (at != NULL && at->link != NULL) {
            return true;
        }
    }
    return false;
}

static bool has_bad_ones(const struct world *world) {
    const struct options *options = &world->options;
    return options->droppers + options->poisoners + options->forgers > 0;
}

/* Files that match and that those supernodes know of from somebody else. */
static uint32_t count_there(const struct world *world, const struct wish *wish) {
    uint32_t there = 0;
    for (uint32_t i = 0; i < catalog_count(world->catalog) && there < SEARCH_WANT; i++) {
        const struct item *item = catalog_item(world->catalog, i);
        bool is_there = false;
        for (uint32_t n = 0; catalog_matches(item, wish) && n < item->holder_count && !is_there;
             n++) {
            is_there = item->holders[n] != wish->asker && is_registered(world, item->holders[n]);
        }
        there += is_there;
    }
    return there;
}

static void ask(struct world *world) {
    struct search *search = &world->searches[world->asked];
    do {
        search->wish = catalog_wish(world->catalog);
        if (has_bad_ones(world) && search->wish.there <= SEARCH_WANT) {
            search->wish.there = count_there(world, &search->wish);
        }
    } while (search->wish.there == 0 || !is_registered(world, search->wish.asker) ||
             world->active[world->options.supernodes + search->wish.asker] != 0);
    uint32_t machine = world->options.supernodes + search->wish.asker;
    char text[CATALOG_NAME_BYTES];
    catalog_wish_text(&search->wish, text);
    struct command_arg args[1] = {{"text", text}};
    search->asked_us = sim_now_us(world->sim);
    search->is_exposed = is_exposed(world, search->wish.asker);
    uint64_t command = sim_command(world->sim, machine, "search", args, 1);
    CHECK(command == ++world->asked);
    world->active[machine] = world->asked;
}

static void silence(struct world *world) {
    uint32_t count = world->options.supernodes * world->options.droppers / 100;
    while (count > 0) {
        uint32_t which = (uint32_t)rng_below(&world->rng, world->options.supernodes);
        if (!sim_is_frozen(world->sim, which)) {
            sim_freeze(world->sim, which, UINT64_MAX);
            count--;
        }
    }
}

static void ask_all(struct world *world) {
    silence(world);
    while (world->asked < world->options.queries) {
        ask(world);
        sim_run(world->sim, sim_now_us(world->sim) + ASK_EACH_US);
    }
    sim_run(world->sim, sim_now_us(world->sim) + WAIT_US);
}

/* ---- The table ---- */

struct row {
    const char *name;
    uint32_t most; /* files there are for searches of this class */
    uint32_t count;
    double recall;
    uint64_t copies;
    uint64_t plain;
    uint64_t took_us;
    uint64_t slowest_us;
    uint32_t unanswered;
};

/* Return whether all was found that is wanted. */
static bool add_search(struct row *row, const struct search *search) {
    uint32_t wanted = search->wish.there < SEARCH_WANT ? search->wish.there : SEARCH_WANT;
    uint32_t found = search->found < wanted ? search->found : wanted;
    row->count++;
    row->recall += (double)found / wanted;
    row->copies += search->copies;
    row->plain += search->plain_copies;
    row->took_us += search->took_us;
    row->slowest_us = search->took_us > row->slowest_us ? search->took_us : row->slowest_us;
    row->unanswered += search->took_us == 0;
    return found == wanted;
}

static void print_missed(const struct search *search) {
    char text[CATALOG_NAME_BYTES];
    catalog_wish_text(&search->wish, text);
    printf("missed: \"%s\" found %u of %u, %llu of %llu supernodes reached, %llu answered, "
           "%llu copies, %.2f s\n",
           text, search->found, search->wish.there, (unsigned long long)search->reached,
           (unsigned long long)search->known, (unsigned long long)search->supernodes,
           (unsigned long long)search->copies, (double)search->took_us / 1e6);
}

static void print_row(const struct row *row) {
    double count = row->count > 0 ? row->count : 1;
    printf("%-16s %7u %8.4f %9.1f %10.1f %6.1f %% %8.2f %8.2f %10u\n", row->name, row->count,
           row->recall / count, (double)row->copies / count, (double)row->plain / count,
           row->plain > 0 ? 100.0 * (double)row->copies / (double)row->plain : 0.0,
           (double)row->took_us / count / 1e6, (double)row->slowest_us / 1e6, row->unanswered);
}

/* Print what the others had of the hostile ones. False when there was nothing of the kind: then the
 * run showed nothing. */
static bool report_hostile(const struct world *world) {
    const struct options *options = &world->options;
    uint64_t unmatched = 0;
    uint32_t poisoned = 0;
    for (uint32_t i = 0; i < options->supernodes; i++) {
        const struct supernode *supernode = world->supernodes[i];
        if (is_hostile(world, i)) {
            continue;
        }
        unmatched += supernode->counts.unmatched;
        for (uint32_t n = 0; n < supernode->neighbour_count; n++) {
            const struct summary *told = supernode->neighbours[n]->told.whole;
            poisoned += told != NULL && summary_is_full(told, SUMMARY_POISON_PERCENT);
        }
    }
    if (options->poisoners + options->forgers > 0) {
        printf(
            "%u %% poison, %u %% forge: %u poisoned summaries are known at the end, %llu answers "
            "were to nothing, %u links were ended for it\n",
            options->poisoners, options->forgers, poisoned, (unsigned long long)unmatched,
            world->parted);
    }
    return (options->poisoners == 0 || poisoned > 0) &&
           (options->forgers == 0 || world->parted > 0);
}

static bool has_found(const struct row *row, uint32_t recall_min) {
    return recall_min == 0 || (row->count > 0 && row->recall * 1000 >= recall_min * row->count);
}

/* Print what was measured; false when it misses what was asked for. */
static bool report(const struct world *world, double seconds) {
    struct row rows[ROWS] = {{.name = "1 file", .most = 1},
                             {.name = "2 to 10", .most = 10},
                             {.name = "11 to 99", .most = SEARCH_WANT - 1},
                             {.name = "100 and more", .most = UINT32_MAX},
                             {.name = "all"},
                             {.name = "hostile parent"}};
    uint64_t degree = 0;
    uint64_t known = 0;
    for (uint32_t i = 0; i < world->options.supernodes; i++) {
        degree += world->supernodes[i]->neighbour_count;
        known += world->supernodes[i]->hosts.hosts.count;
    }
    for (uint32_t i = 0; i < world->asked; i++) {
        uint32_t class = 0;
        while (world->searches[i].wish.there > rows[class].most) {
            class ++;
        }
        if (world->searches[i].is_exposed) {
            bool is_all = add_search(&rows[CLASSES + 1], &world->searches[i]);
            if (!is_all && world->options.verbose != 0) {
                print_missed(&world->searches[i]);
            }
            continue;
        }
        bool is_full = add_search(&rows[class], &world->searches[i]);
        (void)add_search(&rows[CLASSES], &world->searches[i]);
        if (!is_full && world->options.verbose != 0) {
            print_missed(&world->searches[i]);
        }
    }
    struct sim_counts counts = sim_counts(world->sim);
    printf("%u supernodes, mean degree %.1f, knowing %.0f; %u leaves with %u files each; %u %% "
           "silent; %llu events in %.1f s\n",
           world->options.supernodes, (double)degree / world->options.supernodes,
           (double)known / world->options.supernodes,
           world->options.supernodes * world->options.leaves, world->options.files,
           world->options.droppers, (unsigned long long)counts.events, seconds);
    printf("%-16s %7s %8s %9s %10s %8s %8s %8s %10s\n", "files there are", "queries", "recall",
           "copies", "plain", "share", "mean s", "max s", "unanswered");
    for (uint32_t i = 0; i < ROWS; i++) {
        if (i <= CLASSES || rows[i].count > 0) {
            print_row(&rows[i]);
        }
    }
    bool has_met = report_hostile(world);
    const struct row *all = &rows[CLASSES];
    bool is_found = has_found(all, world->options.recall_min) &&
                    has_found(&rows[CLASSES + 1], world->options.hostile_recall_min);
    bool is_cheap =
        world->options.share_max == 0 || all->copies * 100 <= all->plain * world->options.share_max;
    bool is_well = is_found && is_cheap && has_met && sim_failure(world->sim) == NULL;
    if (!is_well) {
        printf("FAILED: %s\n", !is_found   ? "too little is found"
                               : !is_cheap ? "too many copies"
                               : !has_met  ? "nobody was hostile"
                                           : sim_failure(world->sim));
    }
    return is_well;
}

/* ---- Beginning and end ---- */

static struct world *world_new(const struct options *options) {
    struct world *world = mem_new(sizeof *world);
    uint32_t leaves = options->supernodes * options->leaves;
    world->options = *options;
    rng_seed(&world->rng, options->seed);
    map_init(&world->by_id, sizeof(struct query_id), options->seed);
    struct sim_config config = {
        .seed = options->seed,
        .network = &world->network,
        .log_level = LOG_LEVEL_ERROR,
        .watch = {.context = world, .report = take_report, .message = saw_message}};
    world->sim = sim_new(&config);
    snprintf(world->network.name, sizeof world->network.name, "simulated");
    world->network.policy = NETWORK_OPEN;
    world->network.epoch_s = 3600;
    enum err err = network_seal(&world->network, sim_crypto(world->sim));
    CHECK(err == OK);
    world->supernodes = mem_array(options->supernodes, sizeof(struct supernode *));
    world->active = mem_array(options->supernodes + leaves, sizeof *world->active);
    world->searches = mem_array(options->queries, sizeof *world->searches);
    world->catalog = catalog_new(options->seed, leaves, options->files);
    add_machines(world);
    share_files(world);
    return world;
}

static void world_free(struct world *world) {
    for (uint32_t i = 0; i < world->options.queries; i++) {
        mem_free(world->searches[i].seen);
    }
    sim_free(world->sim);
    catalog_free(world->catalog);
    map_free(&world->by_id);
    mem_free(world->supernodes);
    mem_free(world->active);
    mem_free(world->searches);
    mem_free(world->item_of_file);
    mem_free(world);
}

static bool parse(struct options *options, int argc, char **argv) {
    const struct {
        const char *name;
        uint32_t *to;
        uint32_t min;
        uint32_t max;
    } rows[] = {{"--supernodes", &options->supernodes, 2, 10000},
                {"--leaves", &options->leaves, 1, 300},
                {"--files", &options->files, 1, 1000},
                {"--queries", &options->queries, 1, 100000},
                {"--seed", &options->seed, 0, UINT32_MAX},
                {"--droppers", &options->droppers, 0, 90},
                {"--poisoners", &options->poisoners, 0, 45},
                {"--forgers", &options->forgers, 0, 45},
                {"--recall-min", &options->recall_min, 0, 1000},
                {"--hostile-recall-min", &options->hostile_recall_min, 0, 1000},
                {"--share-max", &options->share_max, 0, 1000},
                {"--plain", &options->plain, 0, 1},
                {"--verbose", &options->verbose, 0, 1}};
    for (int i = 1; i < argc; i += 2) {
        size_t row = 0;
        while (row < sizeof rows / sizeof *rows && strcmp(rows[row].name, argv[i]) != 0) {
            row++;
        }
        char *end = NULL;
        unsigned long value = i + 1 < argc ? strtoul(argv[i + 1], &end, 10) : 0;
        if (row == sizeof rows / sizeof *rows || end == NULL || end == argv[i + 1] ||
            *end != '\0' || value < rows[row].min || value > rows[row].max) {
            return false;
        }
        *rows[row].to = (uint32_t)value;
    }
    return true;
}

int main(int argc, char **argv) {
    struct options options = {
        .supernodes = 10, .leaves = 20, .files = 50, .queries = 200, .seed = 1};
    if (!parse(&options, argc, argv)) {
        fprintf(stderr,
                "usage: %s [--supernodes N] [--leaves N] [--files N] [--queries N] [--seed N]\n"
                "  --leaves N      per supernode (20)\n"
                "  --files N       per leaf (50)\n"
                "  --droppers N    percent of the supernodes fall silent before the searches (0)\n"
                "  --poisoners N   percent claim to have every word (0)\n"
                "  --forgers N     percent repeat copies and forge answers (0)\n"
                "  --plain 1       flood to TTL 4 at once, for comparison (0)\n"
                "  --verbose 1     print the searches that missed something\n"
                "  --recall-min N  fail below so many thousandths\n"
                "  --hostile-recall-min N  the same for searches asked of hostile supernodes\n"
                "  --share-max N   fail above so many percent of a plain flood's copies\n",
                argv[0]);
        return 2;
    }
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    struct world *world = world_new(&options);
    start_machines(world);
    ask_all(world);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    bool is_well = report(world, seconds);
    world_free(world);
    return is_well ? 0 : 1;
}
