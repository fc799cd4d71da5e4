/* fetch_history.c - which downloads have finished, when and where: the last thousand, in the store.
 *
 * A key is a number u64 that rises; a value is: version u8 (1), when it finished u64 (Unix
 * seconds), how long it took u64 (ms), root 32, size u64, then the path. */
#include <string.h>

#include "peer/fetch.h"
#include "peer/state.h"

#define ENTRY_VERSION 1

static struct slice key_of(uint8_t key[8], uint64_t number) {
    for (int i = 0; i < 8; i++) {
        key[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    return (struct slice){key, 8};
}

/* Walk: the entry behind `*number`, 0 = the first; false at the end. */
static bool next_entry(const struct peer *peer, uint64_t *number, struct slice *value) {
    uint8_t bytes[8];
    struct slice key;
    if (!store_next(peer->env->store, STORE_DONE, key_of(bytes, *number), &key, value)) {
        return false;
    }
    struct reader reader = reader_of(key.data, key.len);
    *number = reader_u64(&reader);
    return !reader.failed;
}

/* What is there already is counted once, when the first one is added. */
static void load(struct peer *peer) {
    struct fetch *fetch = peer->fetch;
    struct slice value;
    if (fetch->is_history_known) {
        return;
    }
    fetch->is_history_known = true;
    while (next_entry(peer, &fetch->history_last, &value)) {
        fetch->history_count++;
    }
}

static void remove_entry(struct peer *peer, uint64_t number) {
    uint8_t key[8];
    store_remove(peer->env->store, STORE_DONE, key_of(key, number));
}

void fetch_history_add(struct peer *peer, const struct download *download, struct slice path) {
    struct fetch *fetch = peer->fetch;
    struct buf entry = {0};
    uint8_t key[8], content[CONTENT_KEY_BYTES];
    load(peer);
    content_key(content, &download->content);
    buf_u8(&entry, ENTRY_VERSION);
    buf_u64(&entry, peer->links.wall_s > 0 ? (uint64_t)peer->links.wall_s : 0);
    buf_u64(&entry, (peer->links.mono_us - download->started_us) / 1000);
    buf_append(&entry, content, sizeof content);
    buf_append(&entry, path.data, path.len < STORE_VALUE_MAX / 2 ? path.len : STORE_VALUE_MAX / 2);
    store_put(peer->env->store, STORE_DONE, key_of(key, ++fetch->history_last),
              (struct slice){entry.data, entry.len});
    buf_free(&entry);
    fetch->history_count++;
    uint64_t oldest = 0;
    struct slice value;
    while (fetch->history_count > HISTORY_MAX && next_entry(peer, &oldest, &value)) {
        remove_entry(peer, oldest);
        fetch->history_count--;
    }
}

/* Report an entry; one that makes no sense is left out. */
static void report_entry(struct peer *peer, uint64_t command, struct slice value) {
    struct reader reader = reader_of(value.data, value.len);
    struct content_id content;
    char text[CONTENT_TEXT_BYTES];
    uint8_t version = reader_u8(&reader);
    uint64_t finished_s = reader_u64(&reader);
    uint64_t took_ms = reader_u64(&reader);
    reader_copy(&reader, content.root.b, sizeof content.root.b);
    content.size = reader_u64(&reader);
    struct slice path = reader_slice(&reader, reader_left(&reader));
    if (reader.failed || version != ENTRY_VERSION) {
        return;
    }
    struct outbox *out = peer->links.out;
    content_format(text, &content);
    report_begin(out, command, "done-download");
    report_number(out, "finished", finished_s);
    report_number(out, "milliseconds", took_ms);
    report_number(out, "size", content.size);
    report_text(out, "content", text);
    report_slice(out, "path", path);
}

void fetch_history_command(struct peer *peer, const struct node_event *event) {
    const char *clear = command_arg(event, "clear");
    bool clears = clear != NULL && strcmp(clear, "1") == 0;
    uint64_t number = 0;
    struct slice value;
    while (next_entry(peer, &number, &value)) {
        if (clears) {
            remove_entry(peer, number);
        } else {
            report_entry(peer, event->command.id, value);
        }
    }
    if (clears && peer->fetch != NULL) {
        peer->fetch->history_count = 0;
    }
    report_done(peer->links.out, event->command.id);
}
