/* filelink.c - the link of a file as people pass it on. */
#include "common/filelink.h"

#include <string.h>

#include "common/words.h"

#define KEY_MAX 16    /* of those that we know */
#define VALUE_MAX 512 /* decoded */

/* ---- Nodes and where they are ---- */

void node_place_format(char text[NODE_PLACE_TEXT_BYTES], const struct node_place *place) {
    node_id_format(text, &place->id);
    if (place->address.family != ADDRESS_NONE) {
        char address[ADDRESS_TEXT_BYTES];
        size_t len = strlen(text);
        address_format(address, &place->address);
        text[len] = '@';
        memcpy(text + len + 1, address, strlen(address) + 1);
    }
}

enum err node_place_parse(struct node_place *place, const char *text) {
    char id[NODE_ID_TEXT_BYTES + 1];
    size_t len = strcspn(text, "@");
    struct node_place read = {0};
    if (len >= sizeof id) {
        return ERR_FORMAT;
    }
    memcpy(id, text, len);
    id[len] = '\0';
    enum err err = node_id_parse(&read.id, id);
    if (err == OK && text[len] == '@') {
        err = address_parse(&read.address, text + len + 1, false);
    }
    if (err == OK) {
        *place = read;
    }
    return err;
}

/* ---- Reading ---- */

/* A walk over `key=value` pairs. */
struct reading {
    const char *text;
    const char *at;
    struct filelink *link;
    struct filelink_error *error;
    char key[KEY_MAX + 1]; /* "" = longer than any that we know */
    const char *value_at;
    char value[VALUE_MAX + 1];
    size_t value_len;
};

static enum err bad(struct reading *reading, const char *at, const char *why) {
    *reading->error = (struct filelink_error){(uint32_t)(at - reading->text), why};
    return ERR_FORMAT;
}

/* Decode up to the next `&` or the end. */
static enum err read_value(struct reading *reading) {
    reading->value_at = reading->at;
    reading->value_len = 0;
    while (*reading->at != '\0' && *reading->at != '&') {
        uint8_t byte = (uint8_t)*reading->at;
        const char *from = reading->at++;
        if (byte == '%') {
            char digits[3] = {0};
            memcpy(digits, reading->at, strnlen(reading->at, 2));
            if (strlen(digits) != 2 || hex_parse(&byte, 1, digits) != OK) {
                return bad(reading, from, "behind % come two hexadecimal digits");
            }
            reading->at += 2;
        } else if (byte <= ' ' || byte == 0x7f) {
            return bad(reading, from, "a blank or control character; write a blank as %20");
        }
        if (reading->value_len == VALUE_MAX) {
            return bad(reading, reading->value_at, "the value is too long");
        }
        reading->value[reading->value_len++] = (char)byte;
    }
    reading->value[reading->value_len] = '\0';
    return OK;
}

static enum err take_name(struct reading *reading) {
    struct filelink *link = reading->link;
    struct slice text = {(const uint8_t *)reading->value, reading->value_len};
    if (link->name[0] != '\0') {
        return bad(reading, reading->value_at, "a second name");
    }
    if (text.len < 1 || text.len > NAME_BYTES_MAX || !words_text_ok(text)) {
        return bad(reading, reading->value_at, "a name is 1 to 255 bytes of UTF-8 text");
    }
    memcpy(link->name, reading->value, text.len + 1);
    return OK;
}

/* The size as the link begins with it. */
static enum err take_size(struct reading *reading) {
    char content[CONTENT_TEXT_BYTES];
    content_format(content, &reading->link->content);
    bool is_same = strcmp(strrchr(content, ':') + 1, reading->value) == 0 &&
                   strlen(reading->value) == reading->value_len;
    return is_same
               ? OK
               : bad(reading, reading->value_at, "it is not the size that the link begins with");
}

static enum err take_network(struct reading *reading) {
    struct filelink *link = reading->link;
    if (link->has_network || reading->value_len != 2 * HASH_BYTES ||
        hex_parse(link->network.b, HASH_BYTES, reading->value) != OK) {
        return bad(reading, reading->value_at, "a network is one id of 64 hexadecimal digits");
    }
    link->has_network = true;
    return OK;
}

static enum err take_source(struct reading *reading) {
    struct filelink *link = reading->link;
    if (link->source_count == SOURCES_TOLD_MAX) {
        return bad(reading, reading->value_at, "more than 8 sources");
    }
    enum err err = strlen(reading->value) == reading->value_len
                       ? node_place_parse(&link->sources[link->source_count], reading->value)
                       : ERR_FORMAT;
    if (err != OK) {
        return bad(reading, reading->value_at,
                   err == ERR_MISMATCH
                       ? "a check character of the source's id is wrong: copy the link again"
                       : "a source is ID or ID@ADDRESS:PORT, the address in numbers");
    }
    link->source_count++;
    return OK;
}

static enum err read_pair(struct reading *reading) {
    static const struct {
        const char *key;
        enum err (*take)(struct reading *reading);
    } rows[] = {{"name", take_name},
                {"size", take_size},
                {"network", take_network},
                {"source", take_source}};
    size_t len = strcspn(reading->at, "=&");
    const char *key = reading->at;
    if (len == 0 || key[len] != '=') {
        return bad(reading, key, "expected key=value");
    }
    reading->at += len + 1;
    enum err err = read_value(reading);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && err == OK; i++) {
        if (len == strlen(rows[i].key) && memcmp(key, rows[i].key, len) == 0) {
            return rows[i].take(reading);
        }
    }
    return err;
}

enum err filelink_parse(struct filelink *link, const char *text, struct filelink_error *error) {
    char content[CONTENT_TEXT_BYTES];
    struct filelink read = {0};
    struct reading reading = {.text = text, .link = &read, .error = error};
    size_t len = strcspn(text, "?");
    if (strnlen(text, FILELINK_BYTES_MAX + 1) > FILELINK_BYTES_MAX) {
        return bad(&reading, text, "it is longer than 4096 bytes");
    }
    if (len < sizeof content) {
        memcpy(content, text, len);
        content[len] = '\0';
    }
    if (len >= sizeof content || content_parse(&read.content, content) != OK) {
        return bad(&reading, text, "it does not begin with trunkline:<64 hex digits>:<size>");
    }
    reading.at = text + len + (text[len] == '?');
    enum err err = OK;
    while (err == OK && *reading.at != '\0') {
        err = read_pair(&reading);
        if (err == OK && *reading.at == '&' && *++reading.at == '\0') {
            err = bad(&reading, reading.at, "expected key=value");
        }
    }
    if (err == OK) {
        *link = read;
    }
    return err;
}

/* ---- Writing ---- */

static void put_text(struct buf *out, const char *text) {
    buf_append(out, text, strlen(text));
}

/* RFC 3986, section 3.4: what may stand in a query as it is, `&`, `=` and `+` aside. */
static void put_value(struct buf *out, const char *text) {
    for (; *text != '\0'; text++) {
        char byte = *text;
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || strchr("-._~@:", byte) != NULL;
        char escaped[4] = {byte};
        if (!is_plain) {
            escaped[0] = '%';
            hex_format(escaped + 1, &byte, 1);
        }
        put_text(out, escaped);
    }
}

static void put_pair(struct buf *out, const char *key, const char *value, bool *is_first) {
    buf_u8(out, *is_first ? '?' : '&');
    put_text(out, key);
    buf_u8(out, '=');
    put_value(out, value);
    *is_first = false;
}

void filelink_format(struct buf *out, const struct filelink *link) {
    char text[CONTENT_TEXT_BYTES];
    bool is_first = true;
    content_format(text, &link->content);
    put_text(out, text);
    if (link->name[0] != '\0') {
        put_pair(out, "name", link->name, &is_first);
    }
    if (link->has_network) {
        hex_format(text, link->network.b, HASH_BYTES);
        put_pair(out, "network", text, &is_first);
    }
    for (uint8_t i = 0; i < link->source_count; i++) {
        char source[NODE_PLACE_TEXT_BYTES];
        node_place_format(source, &link->sources[i]);
        put_pair(out, "source", source, &is_first);
    }
}
