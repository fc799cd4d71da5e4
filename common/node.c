/* node.c - the driver's side of the contract in memory: arguments, the outbox, reports. */
#include "common/node.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/reader.h"

#define OUTBOX_KEEP_BYTES (512 * 1024) /* of one driver: a busy one pays for fresh pages else */
#define REPORT_KEEP_BYTES (32 * 1024)  /* ... after an answer to people, who ask now and then */
#define REPORT_TEXT_MAX UINT16_MAX

const char *command_arg(const struct node_event *command, const char *key) {
    for (uint32_t i = 0; i < command->command.count; i++) {
        if (strcmp(command->command.args[i].key, key) == 0) {
            return command->command.args[i].value;
        }
    }
    return NULL;
}

/* ---- The outbox ---- */

struct action *outbox_add(struct outbox *out, enum action_kind kind) {
    if (out->count == out->cap) {
        out->cap = out->cap < 4 ? 4 : out->cap * 2;
        out->actions = mem_resize(out->actions, out->cap, sizeof *out->actions);
    }
    struct action *action = &out->actions[out->count++];
    *action = (struct action){.kind = kind, .bytes_at = out->bytes.len};
    return action;
}

struct action *outbox_add_bytes(struct outbox *out, enum action_kind kind, struct slice bytes) {
    struct action *action = outbox_add(out, kind);
    action->bytes_len = bytes.len;
    buf_append(&out->bytes, bytes.data, bytes.len);
    return action;
}

void outbox_write(struct outbox *out, uint32_t link, struct slice bytes) {
    struct action *last = out->count > 0 ? &out->actions[out->count - 1] : NULL;
    if (last == NULL || last->kind != ACTION_WRITE || last->link != link) {
        last = outbox_add(out, ACTION_WRITE);
        last->link = link;
    }
    buf_append(&out->bytes, bytes.data, bytes.len);
    last->bytes_len += bytes.len;
}

struct slice outbox_bytes(const struct outbox *out, const struct action *action) {
    if (action->bytes_len == 0) {
        return (struct slice){0};
    }
    return (struct slice){out->bytes.data + action->bytes_at, action->bytes_len};
}

void outbox_clear(struct outbox *out) {
    bool is_report = out->count > 0 && out->actions[out->count - 1].kind == ACTION_REPORT;
    size_t keep = is_report ? REPORT_KEEP_BYTES : OUTBOX_KEEP_BYTES;
    for (uint32_t i = 0; i < out->count; i++) {
        mem_free(out->actions[i].owned);
    }
    out->count = 0;
    out->bytes.len = 0;
    if (out->bytes.cap > keep) {
        buf_free(&out->bytes);
    }
    if (out->cap * sizeof *out->actions > keep) {
        mem_free(out->actions);
        out->actions = NULL;
        out->cap = 0;
    }
}

void outbox_free(struct outbox *out) {
    outbox_clear(out);
    mem_free(out->actions);
    buf_free(&out->bytes);
    *out = (struct outbox){0};
}

/* ---- Reports: fields {type u8, key (u8 length, bytes), value}, where a text is a u16 length and
 * its bytes, a number a u64, a flag a u8 ---- */

/* Start a field in the report that was begun last. */
static struct action *begin_field(struct outbox *out, enum report_type type, const char *key) {
    CHECK(out->count > 0 && out->actions[out->count - 1].kind == ACTION_REPORT);
    size_t key_len = strlen(key);
    CHECK(key_len > 0 && key_len <= UINT8_MAX);
    buf_u8(&out->bytes, (uint8_t)type);
    buf_u8(&out->bytes, (uint8_t)key_len);
    buf_append(&out->bytes, key, key_len);
    return &out->actions[out->count - 1];
}

static void end_field(struct outbox *out, struct action *report) {
    report->bytes_len = out->bytes.len - report->bytes_at;
}

void report_begin(struct outbox *out, uint64_t command, const char *kind) {
    struct action *action = outbox_add(out, ACTION_REPORT);
    action->token = command;
    report_text(out, "kind", kind);
}

void report_slice(struct outbox *out, const char *key, struct slice value) {
    struct action *report = begin_field(out, REPORT_TEXT, key);
    size_t len = value.len;
    if (len > REPORT_TEXT_MAX) {
        len = REPORT_TEXT_MAX;
        while (len > 0 && (value.data[len] & 0xc0) == 0x80) {
            len--; /* never half a character */
        }
    }
    buf_u16(&out->bytes, (uint16_t)len);
    buf_append(&out->bytes, value.data, len);
    end_field(out, report);
}

void report_text(struct outbox *out, const char *key, const char *value) {
    report_slice(out, key, (struct slice){(const uint8_t *)value, strlen(value)});
}

void report_number(struct outbox *out, const char *key, uint64_t value) {
    struct action *report = begin_field(out, REPORT_NUMBER, key);
    buf_u64(&out->bytes, value);
    end_field(out, report);
}

void report_flag(struct outbox *out, const char *key, bool value) {
    struct action *report = begin_field(out, REPORT_FLAG, key);
    buf_u8(&out->bytes, value ? 1 : 0);
    end_field(out, report);
}

void report_done(struct outbox *out, uint64_t command) {
    report_begin(out, command, "done");
    out->actions[out->count - 1].last = true;
}

void report_error(struct outbox *out, uint64_t command, enum err err, const char *text) {
    report_begin(out, command, "error");
    report_text(out, "error", err_name(err));
    report_text(out, "text", text);
    struct action *action = &out->actions[out->count - 1];
    action->reason = err;
    action->last = true;
}

bool report_next(struct slice *bytes, struct report_field *field) {
    struct reader reader = reader_of(bytes->data, bytes->len);
    *field = (struct report_field){.type = reader_u8(&reader)};
    field->key = reader_slice(&reader, reader_u8(&reader));
    switch (field->type) {
    case REPORT_TEXT:
        field->text = reader_slice(&reader, reader_u16(&reader));
        break;
    case REPORT_NUMBER:
        field->number = reader_u64(&reader);
        break;
    case REPORT_FLAG:
        field->number = reader_u8(&reader);
        break;
    default:
        return false;
    }
    if (reader.failed) {
        return false;
    }
    *bytes = (struct slice){reader.at, reader_left(&reader)};
    return true;
}
