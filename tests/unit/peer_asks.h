/* peer_asks.h - gives commands to nodes of a small world and reads what they report. */
#ifndef TRUNKLINE_TESTS_UNIT_PEER_ASKS_H
#define TRUNKLINE_TESTS_UNIT_PEER_ASKS_H

#include "tests/unit/peer_world.h"

static inline uint64_t world_command_args(struct world_node *node, const char *name,
                                          const struct command_arg *args, uint32_t count) {
    struct node_event event = {.kind = NODE_COMMAND};
    event.command.id = ++node->world->last_command;
    event.command.name = name;
    event.command.count = count;
    event.command.args = args;
    uint64_t id = event.command.id;
    world_step(node, &event);
    return id;
}

static inline uint64_t world_command(struct world_node *node, const char *name, const char *key,
                                     const char *value) {
    struct command_arg args[2] = {{key, value}, {"wait", "1"}};
    return world_command_args(node, name, args, key != NULL ? 2 : 0);
}

static inline uint64_t world_get(struct world_node *node, const struct world_file *file) {
    char text[CONTENT_TEXT_BYTES];
    content_format(text, &file->content);
    return world_command(node, "get", "content", text);
}

/* The value of a field; its text goes to `text` when that is not NULL. */
static inline bool world_field(const struct world_report *report, const char *key, char *text,
                               uint64_t *number) {
    struct slice bytes = {report->fields.data, report->fields.len};
    struct report_field field;
    while (report_next(&bytes, &field)) {
        if (field.key.len == strlen(key) && memcmp(field.key.data, key, field.key.len) == 0) {
            if (text != NULL) {
                memcpy(text, field.text.data, field.text.len);
                text[field.text.len] = '\0';
            }
            if (number != NULL) {
                *number = field.number;
            }
            return true;
        }
    }
    return false;
}

/* The `nth` (from 0) report of a kind to a command, or NULL. */
static inline const struct world_report *
world_reported(const struct world_node *node, uint64_t command, const char *kind, uint32_t nth) {
    for (const struct world_report *at = node->reports; at != NULL; at = at->next) {
        char text[1024];
        if (at->command == command && world_field(at, "kind", text, NULL) &&
            strcmp(text, kind) == 0 && nth-- == 0) {
            return at;
        }
    }
    return NULL;
}

static inline uint32_t world_count(const struct world_node *node, uint64_t command,
                                   const char *kind) {
    uint32_t count = 0;
    while (world_reported(node, command, kind, count) != NULL) {
        count++;
    }
    return count;
}

static inline uint64_t world_number(const struct world_report *report, const char *key) {
    uint64_t number = 0;
    assert_non_null(report);
    assert_true(world_field(report, key, NULL, &number));
    return number;
}

#endif
