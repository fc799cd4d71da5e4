/* fetch_queue.c - whose turn it is to be fetched, and the commands pause, resume, cancel, priority.
 *
 * So many downloads are active at a time, the most urgent ones first, then those that came first.
 * One that has had no source for a while does not keep others from their turn; it stays open and
 * goes on when a source comes. */
#include <string.h>

#include "common/mem.h"
#include "peer/fetch.h"
#include "peer/state.h"

const char *const fetch_priorities[] = {"high", "normal", "low"};

/* ---- Turns ---- */

static struct download *next_download(const struct peer *peer, uint32_t *cursor) {
    return peer->fetch != NULL ? map_next(&peer->fetch->downloads, cursor, NULL) : NULL;
}

static bool takes_a_turn(const struct peer *peer, const struct download *download) {
    if (download->state == DOWNLOAD_FETCHING && fetch_sources_connected(download) == 0) {
        return peer->links.mono_us - download->alone_us < DOWNLOAD_GRACE_MS * 1000ull;
    }
    return download->state == DOWNLOAD_OPENING || download->state == DOWNLOAD_FETCHING ||
           download->state == DOWNLOAD_FINISHING;
}

static bool is_before(const struct download *a, const struct download *b) {
    return a->priority != b->priority ? a->priority < b->priority : a->number < b->number;
}

/* The one that waits and is the next; NULL when nobody waits. */
static struct download *first_waiting(const struct peer *peer) {
    uint32_t cursor = 0;
    struct download *first = NULL;
    for (struct download *at; (at = next_download(peer, &cursor)) != NULL;) {
        if (at->state == DOWNLOAD_WAITING && (first == NULL || is_before(at, first))) {
            first = at;
        }
    }
    return first;
}

void fetch_turns(struct peer *peer) {
    if (peer->is_stopping || peer->fetch == NULL) {
        return;
    }
    uint32_t active = 0, open = 0, cursor = 0;
    for (struct download *at; (at = next_download(peer, &cursor)) != NULL;) {
        active += takes_a_turn(peer, at);
        open += at->state == DOWNLOAD_OPENING || at->state == DOWNLOAD_FETCHING ||
                at->state == DOWNLOAD_FINISHING;
    }
    struct download *next;
    while (active < peer->downloads_active && open < DOWNLOADS_OPEN_MAX &&
           (next = first_waiting(peer)) != NULL) {
        fetch_open(peer, next);
        active++;
        open++;
    }
}

/* ---- Commands ---- */

#define PREFIX_MIN 4 /* hexadecimal digits */

/* Whether a command means a download: by its number, its content, what that begins with, or all. */
struct choice {
    bool all;
    bool has_content;
    const char *prefix; /* lower-case hexadecimal digits; NULL = none */
    struct content_id content;
    uint32_t number;
};

static bool is_prefix(const char *text) {
    size_t len = strlen(text);
    return len >= PREFIX_MIN && len <= 2 * HASH_BYTES && strspn(text, "0123456789abcdef") == len;
}

static bool read_number(const char *text, uint32_t *number) {
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && value <= UINT32_MAX; at++) {
        value = value * 10 + (uint64_t)(*at - '0');
    }
    *number = (uint32_t)value;
    return at != text && *at == '\0' && value <= UINT32_MAX && value > 0;
}

static bool read_choice(const struct node_event *event, struct choice *choice) {
    const char *all = command_arg(event, "all");
    const char *content = command_arg(event, "content");
    const char *number = command_arg(event, "download");
    const char *prefix = command_arg(event, "prefix");
    *choice = (struct choice){.all = all != NULL && strcmp(all, "1") == 0, .prefix = prefix};
    if (prefix != NULL) {
        return is_prefix(prefix);
    }
    if (content != NULL) {
        choice->has_content = true;
        return content_parse(&choice->content, content) == OK;
    }
    return choice->all || (number != NULL && read_number(number, &choice->number));
}

static bool is_chosen(const struct choice *choice, const struct download *download) {
    if (choice->prefix != NULL) {
        char root[2 * HASH_BYTES + 1];
        hex_format(root, download->content.root.b, HASH_BYTES);
        return strncmp(root, choice->prefix, strlen(choice->prefix)) == 0;
    }
    return choice->all || (choice->has_content ? content_equal(&choice->content, &download->content)
                                               : choice->number == download->number);
}

static uint32_t count_chosen(const struct peer *peer, const struct choice *choice) {
    uint32_t cursor = 0, count = 0;
    for (const struct download *at; (at = next_download(peer, &cursor)) != NULL;) {
        count += is_chosen(choice, at);
    }
    return count;
}

/* Does something to a download; false when there was nothing to do. */
typedef bool change_fn(struct peer *peer, struct download *download, uint32_t value);

static void report_changed(struct peer *peer, uint64_t command, const struct content_id *content,
                           const char *name) {
    char text[CONTENT_TEXT_BYTES];
    content_format(text, content);
    report_begin(peer->links.out, command, "changed");
    report_text(peer->links.out, "content", text);
    report_text(peer->links.out, "name", name);
}

/* Do it to every download that is meant. The table may lose the one at hand, no other. */
static void change(struct peer *peer, const struct node_event *event, change_fn *fn,
                   uint32_t value) {
    struct outbox *out = peer->links.out;
    struct choice choice;
    uint32_t cursor = 0, chosen = 0;
    if (!read_choice(event, &choice)) {
        report_error(out, event->command.id, ERR_FORMAT,
                     "say which: the number of a download or how its id begins (`peer downloads`), "
                     "a link, or all");
        return;
    }
    if (choice.prefix != NULL && count_chosen(peer, &choice) > 1) {
        report_error(out, event->command.id, ERR_LIMIT,
                     "several downloads begin like that; say more of it");
        return;
    }
    for (struct download *at; (at = next_download(peer, &cursor)) != NULL;) {
        if (is_chosen(&choice, at)) {
            const struct content_id content = at->content; /* what is cancelled is gone then */
            char *name = mem_string(at->name);
            chosen++;
            if (fn(peer, at, value)) {
                report_changed(peer, event->command.id, &content, name);
            }
            mem_free(name);
        }
    }
    if (chosen == 0 && !choice.all) {
        report_error(out, event->command.id, ERR_NOT_FOUND,
                     "there is no such download; `peer downloads` lists them");
        return;
    }
    report_done(out, event->command.id);
    fetch_turns(peer);
}

static bool pause(struct peer *peer, struct download *download, uint32_t value) {
    (void)value;
    if (download->state == DOWNLOAD_HELD || download->state == DOWNLOAD_FAILED ||
        download->state == DOWNLOAD_FINISHING) {
        return false;
    }
    fetch_rest(peer, download, DOWNLOAD_HELD);
    download->error = OK;
    fetch_save(peer, download);
    fetch_report_progress(peer, download);
    return true;
}

static bool resume(struct peer *peer, struct download *download, uint32_t value) {
    (void)value;
    if (download->state != DOWNLOAD_HELD && download->state != DOWNLOAD_FAILED &&
        download->state != DOWNLOAD_PAUSED) {
        return false;
    }
    timers_cancel(&peer->timers, &download->tick);
    download->state = DOWNLOAD_WAITING;
    download->error = OK;
    download->disk_failures = 0;
    fetch_save(peer, download);
    return true;
}

static bool prioritise(struct peer *peer, struct download *download, uint32_t value) {
    download->priority = (uint8_t)value;
    fetch_save(peer, download);
    return true;
}

static bool cancel(struct peer *peer, struct download *download, uint32_t value) {
    (void)value;
    fetch_cancel(peer, download);
    return true;
}

void fetch_pause_command(struct peer *peer, const struct node_event *event) {
    change(peer, event, pause, 0);
}

void fetch_resume_command(struct peer *peer, const struct node_event *event) {
    change(peer, event, resume, 0);
}

void fetch_cancel_command(struct peer *peer, const struct node_event *event) {
    change(peer, event, cancel, 0);
}

void fetch_priority_command(struct peer *peer, const struct node_event *event) {
    const char *text = command_arg(event, "priority");
    for (uint32_t i = 0; text != NULL && i < PRIORITIES; i++) {
        if (strcmp(text, fetch_priorities[i]) == 0) {
            change(peer, event, prioritise, i);
            return;
        }
    }
    report_error(peer->links.out, event->command.id, ERR_FORMAT,
                 "the priority is high, normal or low");
}
