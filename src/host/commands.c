/* commands.c - brings commands to a node and its reports back to whoever asked. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/internal.h"

struct command {
    uint64_t id;
    host_report_fn *report;
    void *context;
};

/* One piece of memory that holds name, table and texts; NODE_COMMAND borrows from it. */
static void *copy_command(struct node_event *event, const char *name,
                          const struct command_arg *args, uint32_t count) {
    size_t bytes = count * sizeof *args + strlen(name) + 1;
    for (uint32_t i = 0; i < count; i++) {
        bytes += strlen(args[i].key) + strlen(args[i].value) + 2;
    }
    struct command_arg *copy = mem_new(bytes);
    char *at = (char *)&copy[count];
    event->command.args = copy;
    event->command.count = count;
    event->command.name = at;
    at = stpcpy(at, name) + 1;
    for (uint32_t i = 0; i < count; i++) {
        copy[i].key = at;
        at = stpcpy(at, args[i].key) + 1;
        copy[i].value = at;
        at = stpcpy(at, args[i].value) + 1;
    }
    return copy;
}

uint64_t host_command(struct host_node *node, const struct host_request *request) {
    struct command *command = mem_new(sizeof *command);
    command->id = ++node->last_command;
    command->report = request->report;
    command->context = request->context;
    map_put(&node->commands, &command->id, command);
    struct node_event event = {.kind = NODE_COMMAND, .command = {.id = command->id}};
    void *owned = copy_command(&event, request->name, request->args, request->count);
    node_queue(node, &event, owned);
    return command->id;
}

void host_command_gone(struct host_node *node, uint64_t id) {
    struct command *command = map_remove(&node->commands, &id);
    if (command != NULL) {
        mem_free(command);
        struct node_event event = {.kind = NODE_COMMAND_GONE, .command = {.id = id}};
        node_queue(node, &event, NULL);
    }
}

void command_report(struct host_node *node, const struct action *action, struct slice bytes) {
    const struct command *found = map_get(&node->commands, &action->token);
    if (found == NULL) {
        return; /* whoever asked has gone */
    }
    struct command command = *found; /* the callback may call host_command_gone */
    if (action->last) {
        mem_free(map_remove(&node->commands, &command.id));
    }
    command.report(command.context, bytes, action->last, action->reason);
}

void commands_end(struct host_node *node) {
    uint32_t cursor = 0;
    for (struct command *command; (command = map_next(&node->commands, &cursor, NULL)) != NULL;) {
        struct command asked = *command;
        mem_free(map_remove(&node->commands, &asked.id));
        asked.report(asked.context, (struct slice){0}, true, ERR_SHUTDOWN);
    }
}
