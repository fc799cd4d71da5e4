/* cli_status.c - `status` of both programs: whatever the node reports, readable. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "src/host/cli.h"
#include "src/host/terminal.h"

#define VALUE_BYTES 256

static bool ends_with(const char *text, const char *ending) {
    size_t len = strlen(text);
    size_t tail = strlen(ending);
    return len >= tail && strcmp(text + len - tail, ending) == 0;
}

/* Units stand at the end of a key: *_bytes, *_us, *_s. */
static void format_number(char value[VALUE_BYTES], const char *key, uint64_t number) {
    char text[UNITS_TEXT_BYTES];
    if (ends_with(key, "bytes") || strcmp(key, "size") == 0 || strcmp(key, "rate") == 0) {
        units_bytes(text, number);
        snprintf(value, VALUE_BYTES, "%s", text);
    } else if (ends_with(key, "_us") && number == 0) {
        snprintf(value, VALUE_BYTES, "unknown"); /* not measured yet */
    } else if (ends_with(key, "_us")) {
        snprintf(value, VALUE_BYTES, "%" PRIu64 ".%" PRIu64 " ms", number / 1000,
                 number / 100 % 10);
    } else if (ends_with(key, "_s")) {
        units_duration(text, number);
        snprintf(value, VALUE_BYTES, "%s", text);
    } else {
        snprintf(value, VALUE_BYTES, "%" PRIu64, number);
    }
}

static void format_value(char value[VALUE_BYTES], const char *key, const json_t *field) {
    if (json_is_integer(field)) {
        format_number(value, key, (uint64_t)json_integer_value(field));
    } else if (json_is_boolean(field)) {
        snprintf(value, VALUE_BYTES, "%s", json_is_true(field) ? "yes" : "no");
    } else if (json_is_string(field)) {
        terminal_clean(value, VALUE_BYTES, json_string_value(field), 0);
    } else {
        snprintf(value, VALUE_BYTES, "unknown");
    }
}

/* The key as words without the unit, which the value shows. */
static void format_key(char label[64], const char *key) {
    size_t len = strlen(key);
    len -= ends_with(key, "_us") ? 3 : 0;
    len -= ends_with(key, "_s") && !ends_with(key, "_us") ? 2 : 0;
    len = len < 63 ? len : 63;
    for (size_t i = 0; i < len; i++) {
        label[i] = key[i] == '_' ? ' ' : key[i];
    }
    label[len] = '\0';
}

static bool on_status(void *context, const json_t *object, const char *text) {
    const struct cli *cli = context;
    const char *kind = client_text(object, "kind");
    bool whole = strcmp(kind, "status") == 0;
    const char *key = NULL;
    json_t *field = NULL;
    if (cli->settings.json) {
        puts(text);
        return true;
    }
    if (strcmp(kind, "traffic") == 0) { /* a table for programs */
        return true;
    }
    if (!whole) {
        printf("%s", kind);
    }
    json_object_foreach((json_t *)(uintptr_t)object, key, field) {
        char label[64];
        char value[VALUE_BYTES];
        if (strcmp(key, "kind") == 0) {
            continue;
        }
        format_key(label, key);
        format_value(value, key, field);
        if (whole) {
            printf("%-18s %s\n", label, value);
        } else if (json_is_string(field)) {
            printf("  %s", value);
        } else {
            printf("  %s %s", label, value);
        }
    }
    printf("%s", whole ? "" : "\n");
    return true;
}

int cli_status(struct cli *cli) {
    struct host_error error = {0};
    struct client_call call = {.command = "status", .line = on_status, .context = cli};
    return cli_call(cli, &call, &error) == OK ? CLI_OK : cli_fail(cli, &error);
}
