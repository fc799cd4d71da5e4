/* status.c - answers questions about the peer itself: its parents, its files, its traffic. */
#include "peer/status.h"

#include "common/traffic.h"
#include "peer/fetch.h"
#include "peer/linktext.h"
#include "peer/receipts.h"
#include "peer/serve.h"
#include "peer/state.h"

static const char *const parent_states[] = {
    [PARENT_DIALLING] = "dialling",
    [PARENT_STANDBY] = "standby",
    [PARENT_REGISTERING] = "registering",
    [PARENT_REGISTERED] = "registered",
};

static void report_node(struct outbox *out, const struct node_id *id,
                        const struct address *address) {
    char id_text[NODE_ID_TEXT_BYTES], address_text[ADDRESS_TEXT_BYTES];
    node_id_format(id_text, id);
    report_text(out, "id", id_text);
    if (address != NULL) {
        address_format(address_text, address);
        report_text(out, "address", address_text);
    }
}

static const char *state_of(const struct peer *peer) {
    if (uplink_count(peer, PARENT_REGISTERED) > 0) {
        return "registered";
    }
    return uplink_count(peer, PARENT_STANDBY) > 0 ? "connected" : "searching for supernodes";
}

static void report_parent(const struct peer *peer, uint64_t command, const struct parent *parent) {
    struct outbox *out = peer->links.out;
    report_begin(out, command, "parent");
    report_node(out, &parent->link->id, &parent->link->remote);
    bool updates = parent->state == PARENT_REGISTERING && parent->was_registered;
    report_text(out, "state", updates ? "updating" : parent_states[parent->state]);
    report_number(out, "round_trip_us", parent->link->round_trip_us);
}

/* What is yet to be read of the shared files, if anything is. */
static void report_hashing(const struct peer *peer) {
    const struct driver_counts *driver = peer->env->driver;
    if (driver != NULL && driver->hashing_files > 0) {
        report_number(peer->links.out, "hashing_files", driver->hashing_files);
        report_number(peer->links.out, "hashing_bytes", driver->hashing_bytes);
    }
}

/* What sockets have moved, and what limits that. */
static void report_traffic(struct outbox *out, const struct driver_counts *driver) {
    static const struct {
        const char *key;
        enum direction direction;
        enum traffic_class traffic;
    } rows[] = {{"files_out_bytes", DIRECTION_OUT, TRAFFIC_FILES},
                {"files_in_bytes", DIRECTION_IN, TRAFFIC_FILES},
                {"overlay_out_bytes", DIRECTION_OUT, TRAFFIC_OVERLAY},
                {"overlay_in_bytes", DIRECTION_IN, TRAFFIC_OVERLAY}};
    if (driver == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        report_number(out, rows[i].key, driver->wire[rows[i].direction][rows[i].traffic]);
    }
    report_text(out, "limits", driver->limits != NULL ? driver->limits : "none");
}

void peer_status_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    const struct node_env *env = peer->env;
    uint64_t command = event->command.id;
    report_begin(out, command, "status");
    report_node(out, &env->id, env->listen_count > 0 ? &env->listen[0] : NULL);
    report_text(out, "state", state_of(peer));
    if (uplink_count(peer, PARENT_STANDBY) == 0 && peer->uplink.trouble != OK) {
        report_text(out, "trouble", uplink_advice(peer));
    }
    report_number(out, "parents", uplink_count(peer, PARENT_REGISTERED));
    report_number(out, "known", peer->hosts.hosts.count);
    report_number(out, "files", share_count(&peer->share));
    report_number(out, "bytes", peer->share.bytes);
    report_flag(out, "scanned", peer->share.ready);
    report_hashing(peer);
    if (env->driver != NULL && env->driver->metadata != NULL) {
        report_text(out, "metadata", env->driver->metadata);
        report_number(out, "metadata_read", env->driver->metadata_read);
        report_number(out, "metadata_failed", env->driver->metadata_failed);
    }
    report_traffic(out, env->driver);
    report_number(out, "uploads", serve_uploads(peer));
    report_number(out, "upload_queue", serve_queued(peer));
    report_number(out, "uploaded", peer->serve != NULL ? peer->serve->bytes : 0);
    report_number(out, "downloads", peer->fetch != NULL ? peer->fetch->downloads.count : 0);
    report_number(out, "receipts", receipts_sent(peer));
    report_number(out, "uptime_s", (peer->links.mono_us - peer->started_us) / 1000000);
    for (uint32_t i = 0; i <= PARENTS; i++) {
        if (peer->uplink.parents[i] != NULL) {
            report_parent(peer, command, peer->uplink.parents[i]);
        }
    }
    traffic_report(env->traffic, out, command);
    report_done(out, command);
}

void peer_share_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    uint64_t command = event->command.id;
    report_begin(out, command, "share");
    report_number(out, "files", share_count(&peer->share));
    report_number(out, "bytes", peer->share.bytes);
    report_flag(out, "ready", peer->share.ready);
    report_hashing(peer);
    uint32_t cursor = 0;
    const struct shared_file *file;
    while ((file = share_next(&peer->share, &cursor)) != NULL) {
        char content[CONTENT_TEXT_BYTES];
        content_format(content, &file->content);
        report_begin(out, command, "file");
        report_slice(out, "name", (struct slice){(const uint8_t *)file->name, file->name_len});
        report_number(out, "size", file->content.size);
        report_text(out, "content", content);
        if (linktext_is_wanted(event)) {
            linktext_report(peer, &file->content,
                            (struct slice){(const uint8_t *)file->name, file->name_len}, NULL);
        }
    }
    report_done(out, command);
}
