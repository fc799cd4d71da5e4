/* command.c - the table of a peer's commands, and those that only look. */
#include "peer/command.h"

#include <string.h>

#include "peer/fetch.h"
#include "peer/search.h"
#include "peer/serve.h"
#include "peer/state.h"

static const char *parent_state_name(uint8_t state) {
    static const char *const names[] = {
        [PARENT_DIALLING] = "dialling",
        [PARENT_STANDBY] = "standby",
        [PARENT_REGISTERING] = "registering",
        [PARENT_REGISTERED] = "registered",
    };
    return names[state];
}

static void report_parent(struct peer *peer, uint64_t command, const struct parent *parent) {
    struct outbox *out = peer->links.out;
    char id[NODE_ID_TEXT_BYTES];
    char address[ADDRESS_TEXT_BYTES];
    node_id_format(id, &parent->link->id);
    address_format(address, &parent->host->address);
    report_begin(out, command, "parent");
    report_text(out, "id", id);
    report_text(out, "address", address);
    report_text(out, "state", parent_state_name(parent->state));
    report_number(out, "round_trip_us", parent->link->round_trip_us);
}

static const char *peer_state(const struct peer *peer) {
    if (uplink_count(peer, PARENT_REGISTERED) > 0) {
        return "connected";
    }
    return uplink_count(peer, PARENT_STANDBY) > 0 ? "registering" : "searching for supernodes";
}

static void status_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    uint64_t command = event->command.id;
    char id[NODE_ID_TEXT_BYTES];
    node_id_format(id, &peer->env->id);
    report_begin(out, command, "status");
    report_text(out, "id", id);
    report_text(out, "state", peer_state(peer));
    report_number(out, "parents", uplink_count(peer, PARENT_REGISTERED));
    report_number(out, "known_supernodes", peer->hosts.hosts.count);
    report_number(out, "files", peer->share.by_number.count);
    report_number(out, "bytes", peer->share.bytes);
    report_flag(out, "ready", peer->share.ready);
    report_number(out, "uploads", serve_uploads(peer));
    report_number(out, "uploads_queued", serve_queued(peer));
    report_number(out, "uploaded_bytes", peer->serve != NULL ? peer->serve->bytes : 0);
    report_number(out, "downloads", peer->fetch != NULL ? peer->fetch->downloads.count : 0);
    report_number(out, "uptime_s", (peer->links.mono_us - peer->started_us) / 1000000);
    for (uint32_t i = 0; i <= PARENTS; i++) {
        if (peer->uplink.parents[i] != NULL) {
            report_parent(peer, command, peer->uplink.parents[i]);
        }
    }
    report_done(out, command);
}

static void share_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    uint64_t command = event->command.id;
    report_begin(out, command, "share");
    report_number(out, "files", peer->share.by_number.count);
    report_number(out, "bytes", peer->share.bytes);
    report_flag(out, "ready", peer->share.ready);
    uint32_t cursor = 0;
    for (const struct shared_file *file;
         (file = map_next(&peer->share.by_number, &cursor, NULL)) != NULL;) {
        char content[CONTENT_TEXT_BYTES];
        content_format(content, &file->content);
        report_begin(out, command, "file");
        report_text(out, "name", file->name);
        report_number(out, "size", file->content.size);
        report_text(out, "content", content);
    }
    report_done(out, command);
}

static const struct {
    const char *name;
    void (*run)(struct peer *peer, const struct node_event *event);
} commands[] = {
    {"search", search_command},
    {"get", fetch_get_command},
    {"status", status_command},
    {"share", share_command},
    {"downloads", fetch_downloads_command},
    {"cancel", fetch_cancel_command},
};

void command_take(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    if (peer->is_stopping) {
        report_error(out, event->command.id, ERR_SHUTDOWN, "the peer is stopping");
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, event->command.name) == 0) {
            commands[i].run(peer, event);
            return;
        }
    }
    report_error(out, event->command.id, ERR_NOT_FOUND, "a peer has no such command");
}

void command_gone(struct peer *peer, uint64_t command) {
    search_command_gone(peer, command);
    fetch_command_gone(peer, command);
}
