/* command.c - the table of a peer's commands. */
#include "peer/command.h"

#include <string.h>

#include "peer/browse.h"
#include "peer/duty.h"
#include "peer/fetch.h"
#include "peer/reasons.h"
#include "peer/search.h"
#include "peer/state.h"
#include "peer/status.h"

static const struct {
    const char *name;
    void (*run)(struct peer *peer, const struct node_event *event);
} commands[] = {
    {"search", search_command},
    {"browse", browse_command},
    {"get", fetch_get_command},
    {"status", peer_status_command},
    {"share", peer_share_command},
    {"downloads", fetch_downloads_command},
    {"history", fetch_history_command},
    {"cancel", fetch_cancel_command},
    {"pause", fetch_pause_command},
    {"resume", fetch_resume_command},
    {"priority", fetch_priority_command},
    {"supernode-consent", duty_consent_command},
    {"supernode-withdraw", duty_withdraw_command},
    {"supernode-status", duty_status_command},
    {"why", reasons_command},
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
    browse_command_gone(peer, command);
    reasons_command_gone(peer, command);
}
