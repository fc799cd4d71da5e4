/* status.c - answers the commands of whoever runs this supernode. */
#include <string.h>

#include "common/traffic.h"
#include "supernode/core.h"

static void report_id(struct outbox *out, const struct node_id *id) {
    char text[NODE_ID_TEXT_BYTES];
    node_id_format(text, id);
    report_text(out, "id", text);
}

static void report_address(struct outbox *out, const struct address *address) {
    char text[ADDRESS_TEXT_BYTES];
    address_format(text, address);
    report_text(out, "address", text);
}

static uint32_t count_files(const struct leaf *leaf) {
    return leaf->list != NULL ? index_list_files(leaf->list) : 0;
}

static void report_counts(struct outbox *out, const struct supernode_counts *counts) {
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {
        {"queries", counts->queries},
        {"copies", counts->copies},
        {"duplicates", counts->duplicates},
        {"relayed", counts->relayed},
        {"spared", counts->spared},
        {"limited", counts->limited},
        {"unread", counts->unread},
        {"banned", counts->banned},
        {"hits", counts->hits},
        {"hits_routed", counts->hits_routed},
        {"hits_dropped", counts->hits_dropped},
        {"unmatched", counts->unmatched},
        {"timeouts", counts->timeouts},
        {"registrations", counts->registrations},
        {"unchanged", counts->unchanged},
        {"changes", counts->changes},
        {"mismatches", counts->mismatches},
        {"waits", counts->waits},
        {"audits", counts->audits},
        {"audits_failed", counts->audits_failed},
        {"banished", counts->banished},
        {"refused", counts->refused},
        {"nodes_limited", counts->nodes_limited},
        {"dialbacks", counts->dialbacks},
        {"snapshots", counts->snapshots},
        {"sent_on", counts->sent_on},
        {"dialbacks_limited", counts->dialbacks_limited},
        {"loads_limited", counts->loads_limited},
        {"pushes", counts->pushes},
        {"pushes_dropped", counts->pushes_dropped},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        report_number(out, rows[i].key, rows[i].value);
    }
}

static void report_election(const struct supernode *supernode) {
    struct outbox *out = supernode->links.out;
    const struct trust *trust = &supernode->trust;
    const struct trust_checkpoint *latest = trust->latest;
    if (supernode->env->network->promotion.policy[0] == '\0') {
        return;
    }
    report_text(out, "promotion", supernode->env->network->promotion.policy);
    report_number(out, "epoch", trust->now_epoch);
    report_number(out, "checkpoint", latest != NULL ? latest->checkpoint.epoch : 0);
    report_number(out, "members", latest != NULL ? latest->checkpoint.members : 0);
    report_number(out, "wanted", supernode->election.decide.wanted);
    report_number(out, "candidates", trust->candidates.count);
    report_number(out, "evidence", trust_count(trust));
    report_number(out, "evidence_refused", trust->refused);
    report_number(out, "frauds", trust->frauds.count);
    report_number(out, "measured", supernode->counts.measured);
    report_number(out, "measured_blocks", supernode->counts.measured_blocks);
    report_number(out, "receipts", supernode->counts.receipts);
    report_number(out, "receipts_ignored", supernode->counts.receipts_ignored);
}

static void report_self(struct supernode *supernode, uint64_t command) {
    struct outbox *out = supernode->links.out;
    struct index_counts index = index_count(supernode->index);
    report_begin(out, command, "status");
    report_id(out, &supernode->env->id);
    if (supernode->env->listen_count > 0) {
        report_address(out, &supernode->env->listen[0]);
    }
    report_flag(out, "certified",
                admission_certified(supernode, &supernode->env->id, election_cert(supernode)) ==
                    OK);
    report_election(supernode);
    report_number(out, "leaves", supernode->leaf_links);
    report_number(out, "files", index.files);
    report_number(out, "records", index.records);
    report_number(out, "words", index.words);
    report_number(out, "index_bytes", index.bytes);
    report_number(out, "neighbours", supernode->neighbour_count);
    report_number(out, "known", supernode->hosts.hosts.count);
    report_number(out, "open", supernode->flood.wave_count);
    report_number(out, "coming", supernode->intake.lists);
    report_number(out, "waiting", supernode->intake.waiting_count);
    report_counts(out, &supernode->counts);
    if (supernode->env->driver != NULL) {
        report_number(out, "bytes_in", supernode->env->driver->bytes_in);
        report_number(out, "bytes_out", supernode->env->driver->bytes_out);
        report_number(out, "handshakes_failed", supernode->env->driver->failed);
    }
    report_flag(out, "stopping", supernode->is_stopping);
}

/* A limit, how near it is, and how often it was reached. */
struct limit {
    const char *name;
    uint64_t now;
    uint64_t max;
    uint64_t refused;
};

static void report_limits(struct outbox *out, uint64_t command, const struct limit *limits,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        report_begin(out, command, "limit");
        report_text(out, "name", limits[i].name);
        report_number(out, "now", limits[i].now);
        report_number(out, "max", limits[i].max);
        report_number(out, "refused", limits[i].refused);
    }
}

static void report_guests(const struct supernode *supernode, uint64_t command) {
    const struct supernode_counts *counts = &supernode->counts;
    const struct supernode_config *config = &supernode->config;
    uint64_t now_us = supernode->links.mono_us;
    const struct limit limits[] = {
        {"leaves", supernode->leaf_links, config->leaves_max, counts->refused_leaves},
        {"neighbours", admission_accepted(supernode), MESH_ACCEPT_MAX, counts->refused_neighbours},
        {"visitors", supernode->visitors, VISITORS_MAX, counts->refused_visitors},
        {"leaf_queries_per_s", meter_per_s(&supernode->leaf_queries, now_us),
         config->leaf_queries_milli_per_s * supernode->leaf_links / 1000, counts->limited_leaves},
        {"mesh_queries_per_s", meter_per_s(&supernode->mesh_queries, now_us),
         (uint64_t)config->mesh_queries_per_s * supernode->neighbour_count,
         counts->limited - counts->limited_leaves},
        {"searches_open", supernode->flood.wave_count, QUERIES_OPEN_MAX, counts->refused_waves},
        {"registrations", supernode->intake.lists, REG_LISTS_MAX, counts->refused_lists},
        {"index_bytes", index_count(supernode->index).bytes,
         config->index_bytes_max / 100 * INDEX_REFUSE_PERCENT, counts->refused_room},
    };
    report_limits(supernode->links.out, command, limits, sizeof limits / sizeof limits[0]);
}

static void report_driver(const struct supernode *supernode, uint64_t command) {
    const struct driver_counts *driver = supernode->env->driver;
    const struct limit limits[] = {
        {"handshakes", driver->handshakes, HANDSHAKES_PENDING_MAX, driver->refused_full},
        {"handshakes_per_s", meter_per_s(&driver->accepting, supernode->links.mono_us),
         HANDSHAKES_PER_S, driver->refused_share},
    };
    report_limits(supernode->links.out, command, limits, sizeof limits / sizeof limits[0]);
}

static void report_leaves(struct supernode *supernode, uint64_t command) {
    struct outbox *out = supernode->links.out;
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        if (leaf->link != NULL) {
            report_begin(out, command, "leaf");
            report_id(out, &leaf->id);
            report_address(out, &leaf->address);
            report_number(out, "files", count_files(leaf));
            report_flag(out, "reachable", leaf->reach == REACH_PROVEN);
        }
    }
}

static void report_neighbours(struct supernode *supernode, uint64_t command) {
    struct outbox *out = supernode->links.out;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        const struct link *link = supernode->neighbours[i]->link;
        report_begin(out, command, "neighbour");
        report_id(out, &link->id);
        report_address(out, &link->remote);
        report_flag(out, "dialled", link->token != 0);
        report_number(out, "round_trip_us", link->round_trip_us);
    }
}

void status_command(struct supernode *supernode, const struct node_event *event) {
    struct outbox *out = supernode->links.out;
    uint64_t command = event->command.id;
    if (strcmp(event->command.name, "status") != 0) {
        report_error(out, command, ERR_CONFIG,
                     "a supernode answers \"status\" only; searches and downloads are a peer's");
        return;
    }
    report_self(supernode, command);
    report_guests(supernode, command);
    if (supernode->env->driver != NULL) {
        report_driver(supernode, command);
    }
    report_leaves(supernode, command);
    report_neighbours(supernode, command);
    traffic_report(supernode->env->traffic, out, command);
    report_done(out, command);
}
