/* wire_browse.c - messages by which one peer looks through what another one shares. */
#include <string.h>

#include "common/check.h"
#include "common/wire_codec.h"

#define LISTING_HEADER_BYTES (4 + 8 + 1 + 2)

/* ---- Folders ---- */

/* Components as names are, one slash between two. */
bool wire_folder_ok(struct slice folder) {
    uint32_t depth = 0;
    size_t at = 0;
    if (folder.len > FOLDER_BYTES_MAX) {
        return false;
    }
    while (at < folder.len) {
        const uint8_t *slash = memchr(folder.data + at, '/', folder.len - at);
        size_t end = slash != NULL ? (size_t)(slash - folder.data) : folder.len;
        bool is_open = slash != NULL && end + 1 == folder.len; /* nothing behind the last slash */
        if (++depth > FOLDER_DEPTH_MAX || is_open ||
            !wire_name_ok((struct slice){folder.data + at, end - at})) {
            return false;
        }
        at = end + 1;
    }
    return true;
}

/* ---- BROWSE ---- */

static enum err browse_rule(const struct browse_request *request) {
    enum err err = request->under.len <= FOLDER_BYTES_MAX ? OK : ERR_LIMIT;
    err = wire_first(err, wire_folder_ok(request->under) ? OK : ERR_FORMAT);
    return wire_first(err, wire_tlvs_check(request->tlvs));
}

void wire_browse_encode(struct buf *out, const struct browse_request *request) {
    CHECK(browse_rule(request) == OK);
    buf_u32(out, request->handle);
    buf_u64(out, request->after);
    wire_put_bytes16(out, request->under);
    wire_put_tlvs(out, request->tlvs);
}

enum err wire_browse_decode(struct slice payload, struct browse_request *request) {
    *request = (struct browse_request){0};
    struct reader reader = reader_of(payload.data, payload.len);
    request->handle = reader_u32(&reader);
    request->after = reader_u64(&reader);
    request->under = wire_get_bytes16(&reader);
    enum err err = wire_get_tlvs(&reader, &request->tlvs);
    return wire_first(err, browse_rule(request));
}

/* ---- LISTING ---- */

static enum err entry_rule(const struct listing_entry *entry) {
    bool is_named = wire_name_ok(entry->name) && wire_folder_ok(entry->folder);
    return wire_first(wire_content_rule(&entry->content), is_named ? OK : ERR_FORMAT);
}

bool wire_listing_put(struct buf *entries, const struct listing_entry *entry) {
    CHECK(entry_rule(entry) == OK);
    size_t room = FRAME_PAYLOAD_MAX - LISTING_HEADER_BYTES - entries->len;
    if (CONTENT_KEY_BYTES + 1 + 2 + entry->folder.len + 1 + entry->name.len > room) {
        return false;
    }
    wire_put_content(entries, &entry->content);
    buf_u8(entries, entry->is_locked ? 1 : 0);
    wire_put_bytes16(entries, entry->folder);
    wire_put_text8(entries, entry->name);
    return true;
}

/* Read an entry; one that cannot be fails the reader. */
static enum err read_entry(struct reader *reader, struct listing_entry *entry) {
    *entry = (struct listing_entry){0};
    wire_get_content(reader, &entry->content);
    entry->is_locked = wire_get_bool(reader);
    entry->folder = wire_get_bytes16(reader);
    entry->name = wire_get_text8(reader);
    enum err err = reader->failed ? ERR_FORMAT : entry_rule(entry);
    reader->failed = err != OK;
    return err;
}

static enum err listing_rule(const struct listing *listing) {
    bool is_bounded = listing->count <= LISTING_FILES_MAX;
    return is_bounded ? wire_tlvs_check(listing->tlvs) : ERR_LIMIT;
}

void wire_listing_encode(struct buf *out, const struct listing *listing) {
    CHECK(listing_rule(listing) == OK);
    buf_u32(out, listing->handle);
    buf_u64(out, listing->next);
    buf_u8(out, listing->is_partial ? 1 : 0);
    buf_u16(out, listing->count);
    buf_append(out, listing->entries.data, listing->entries.len);
    wire_put_tlvs(out, listing->tlvs);
}

enum err wire_listing_decode(struct slice payload, struct listing *listing) {
    *listing = (struct listing){0};
    struct reader reader = reader_of(payload.data, payload.len);
    listing->handle = reader_u32(&reader);
    listing->next = reader_u64(&reader);
    listing->is_partial = wire_get_bool(&reader);
    listing->count = reader_u16(&reader);
    if (reader.failed || listing->count > LISTING_FILES_MAX) {
        return reader.failed ? ERR_FORMAT : ERR_LIMIT;
    }
    struct reader entries = reader;
    for (uint16_t i = 0; i < listing->count; i++) {
        struct listing_entry entry;
        enum err err = read_entry(&reader, &entry);
        if (err != OK) {
            return err;
        }
    }
    size_t len = reader_left(&entries) - reader_left(&reader);
    listing->entries = reader_slice(&entries, len);
    enum err err = wire_get_tlvs(&reader, &listing->tlvs);
    return wire_first(err, listing_rule(listing));
}

struct reader wire_listing_entries(const struct listing *listing) {
    return reader_of(listing->entries.data, listing->entries.len);
}

bool wire_listing_next(struct reader *entries, struct listing_entry *entry) {
    return reader_left(entries) > 0 && read_entry(entries, entry) == OK;
}
