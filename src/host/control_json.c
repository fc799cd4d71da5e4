/* control_json.c - commands and their answers as JSON: one object asks, one object a line answers.
 */
#include "src/host/control_json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"

#define PREFIX "/v1/"
#define KEY_BYTES_MAX 255 /* a report's key has an u8 length */

enum err control_json_name(const char *path, struct control_request *request) {
    size_t prefix = strlen(PREFIX);
    if (strncmp(path, PREFIX, prefix) != 0) {
        return ERR_NOT_FOUND;
    }
    const char *name = path + prefix;
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz-");
    if (len == 0 || len > COMMAND_NAME_MAX || name[len] != '\0') {
        return ERR_NOT_FOUND;
    }
    memcpy(request->name, name, len + 1);
    return OK;
}

/* The text of a value, mem_* memory, or NULL when it is none of text, number and flag. */
static char *text_of(const json_t *value) {
    char number[24];
    switch (json_typeof(value)) {
    case JSON_STRING:
        return mem_string(json_string_value(value));
    case JSON_INTEGER:
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return mem_string(number);
    case JSON_TRUE:
        return mem_string("1");
    case JSON_FALSE:
        return mem_string("0");
    default:
        return NULL;
    }
}

static enum err take_members(json_t *object, struct control_request *request, const char **why) {
    const char *key = NULL;
    json_t *value = NULL;
    if (json_object_size(object) > COMMAND_ARGS_MAX) {
        *why = "too many arguments";
        return ERR_LIMIT;
    }
    json_object_foreach(object, key, value) {
        char *text = text_of(value);
        if (text == NULL) {
            *why = "arguments are texts, whole numbers, true or false";
            return ERR_FORMAT;
        }
        request->texts[request->count] = text;
        request->args[request->count++] = (struct command_arg){.key = key, .value = text};
    }
    return OK;
}

enum err control_json_arguments(struct slice body, struct control_request *request,
                                const char **why) {
    if (body.len == 0) {
        return OK;
    }
    json_t *object = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    request->json = object;
    if (!json_is_object(object)) {
        *why = "the body is not one JSON object";
        return ERR_FORMAT;
    }
    return take_members(object, request, why);
}

const char *control_json_argument(const struct control_request *request, const char *key) {
    for (uint32_t i = 0; i < request->count; i++) {
        if (strcmp(request->args[i].key, key) == 0) {
            return request->args[i].value;
        }
    }
    return NULL;
}

void control_json_free(struct control_request *request) {
    for (uint32_t i = 0; i < request->count; i++) {
        mem_free(request->texts[i]);
    }
    json_decref(request->json);
    *request = (struct control_request){0};
}

/* ---- Answers ---- */

static int append(const char *bytes, size_t len, void *out) {
    buf_append(out, bytes, len);
    return 0;
}

/* Append the object as a line; takes it. */
static void append_line(struct buf *out, json_t *object) {
    CHECK(json_dump_callback(object, append, out, JSON_COMPACT) == 0);
    buf_u8(out, '\n');
    json_decref(object);
}

static json_t *value_of(const struct report_field *field) {
    json_t *text = NULL;
    switch (field->type) {
    case REPORT_TEXT:
        text = json_stringn((const char *)field->text.data, field->text.len);
        return text != NULL ? text : json_string("?");
    case REPORT_NUMBER:
        return field->number <= INT64_MAX ? json_integer((json_int_t)field->number) : json_null();
    case REPORT_FLAG:
        return json_boolean(field->number != 0);
    }
    return json_null();
}

void control_json_report(struct buf *out, struct slice fields) {
    json_t *object = json_object();
    struct report_field field;
    CHECK(object != NULL);
    while (report_next(&fields, &field)) {
        char key[KEY_BYTES_MAX + 1];
        memcpy(key, field.key.data, field.key.len);
        key[field.key.len] = '\0';
        json_object_set_new(object, key, value_of(&field));
    }
    append_line(out, object);
}

void control_json_line(struct buf *out, const char *kind, const char *key, const char *value) {
    json_t *object = json_object();
    CHECK(object != NULL);
    json_object_set_new(object, "kind", json_string(kind));
    if (key != NULL) {
        json_t *text = json_string(value);
        json_object_set_new(object, key, text != NULL ? text : json_string("?"));
    }
    append_line(out, object);
}

void control_json_error(struct buf *out, enum err err, const char *text) {
    json_t *object = json_object();
    CHECK(object != NULL);
    json_t *safe = json_string(text);
    json_object_set_new(object, "kind", json_string("error"));
    json_object_set_new(object, "error", json_string(err_name(err)));
    json_object_set_new(object, "text", safe != NULL ? safe : json_string(err_text(err)));
    append_line(out, object);
}
