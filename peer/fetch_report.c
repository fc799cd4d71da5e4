/* fetch_report.c - the commands get and downloads, and what those who wait are told. */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/names.h"
#include "peer/fetch.h"
#include "peer/search.h"
#include "peer/state.h"

const char *fetch_error_text(enum err err) {
    static const struct {
        enum err err;
        const char *text;
    } rows[] = {
        {ERR_NO_SPACE,
         "the disk is full; make room in the download folder, it then goes on by itself"},
        {ERR_IO, "the disk failed; see the log, then get it again"},
        {ERR_PERMISSION, "the download folder cannot be written; check its owner and mode"},
        {ERR_MISMATCH, "the finished file was wrong again and again; check the disk"},
        {ERR_DUPLICATE, "another process is fetching this file into the same folder"},
        {ERR_EXISTS, "there are too many files of this name in the download folder"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].err == err) {
            return rows[i].text;
        }
    }
    return err_text(err);
}

static const char *state_name(const struct download *download) {
    static const char *const names[DOWNLOAD_STATES] = {
        [DOWNLOAD_OPENING] = "opening",     [DOWNLOAD_FETCHING] = "fetching",
        [DOWNLOAD_FINISHING] = "verifying", [DOWNLOAD_PAUSED] = "paused",
        [DOWNLOAD_FAILED] = "failed",       [DOWNLOAD_WAITING] = "queued",
        [DOWNLOAD_HELD] = "paused",
    };
    return names[download->state];
}

static void report_content(struct outbox *out, const struct content_id *content) {
    char text[CONTENT_TEXT_BYTES];
    content_format(text, content);
    report_text(out, "content", text);
}

static void report_eta(struct outbox *out, const struct download *download) {
    uint64_t rate = download->bytes_per_s;
    if (download->state == DOWNLOAD_FETCHING && rate > 0) {
        report_number(out, "eta_s",
                      (download->content.size - download->received + rate - 1) / rate);
    }
}

/* Of the sources whose queue it waits in, the one that should come first. */
static void report_queue(struct peer *peer, const struct download *download) {
    struct outbox *out = peer->links.out;
    const struct source *first = NULL;
    uint32_t count = 0;
    for (const struct source *at = download->sources; at != NULL; at = at->next) {
        bool is_queued = at->state == SOURCE_QUEUED && at->queue_position > 0;
        count += is_queued;
        if (is_queued && (first == NULL || at->queue_due_us < first->queue_due_us)) {
            first = at;
        }
    }
    report_number(out, "queued", count);
    if (first == NULL) {
        return;
    }
    uint64_t now_us = peer->links.mono_us;
    uint64_t left_us = first->queue_due_us > now_us ? first->queue_due_us - now_us : 0;
    report_number(out, "queue_position", first->queue_position);
    if (first->queue_due_us != 0) {
        report_number(out, "queue_eta_s", (left_us + 999999) / 1000000);
    }
}

/* ---- Those who wait ---- */

void fetch_report_progress(struct peer *peer, const struct download *download) {
    struct outbox *out = peer->links.out;
    for (const struct waiter *at = download->waiters; at != NULL; at = at->next) {
        report_begin(out, at->command, "progress");
        report_content(out, &download->content);
        report_number(out, "done", download->received);
        report_number(out, "size", download->content.size);
        report_number(out, "rate", download->bytes_per_s);
        report_number(out, "sources", fetch_sources_working(download));
        report_number(out, "known", download->source_count);
        report_number(out, "locked", fetch_sources_locked(download));
        report_queue(peer, download);
        report_text(out, "state", state_name(download));
        if (download->error != OK) {
            report_text(out, "error", err_name(download->error));
        }
        report_eta(out, download);
    }
}

static struct waiter *take_waiter(struct download *download) {
    struct waiter *waiter = download->waiters;
    if (waiter != NULL) {
        download->waiters = waiter->next;
    }
    return waiter;
}

void fetch_report_finished(struct peer *peer, struct download *download, struct slice path) {
    struct outbox *out = peer->links.out;
    uint64_t took_us = peer->links.mono_us - download->started_us;
    for (struct waiter *waiter; (waiter = take_waiter(download)) != NULL;) {
        report_begin(out, waiter->command, "finished");
        report_content(out, &download->content);
        report_slice(out, "path", path);
        report_number(out, "bytes", download->content.size);
        report_number(out, "seconds", (took_us + 500000) / 1000000);
        report_number(out, "milliseconds", took_us / 1000);
        report_done(out, waiter->command);
        mem_free(waiter);
    }
}

void fetch_report_error(struct peer *peer, struct download *download, enum err err,
                        const char *text) {
    for (struct waiter *waiter; (waiter = take_waiter(download)) != NULL;) {
        report_error(peer->links.out, waiter->command, err, text);
        mem_free(waiter);
    }
}

void fetch_command_gone(struct peer *peer, uint64_t command) {
    uint32_t cursor = 0;
    struct download *download = NULL;
    while (peer->fetch != NULL &&
           (download = map_next(&peer->fetch->downloads, &cursor, NULL)) != NULL) {
        for (struct waiter **at = &download->waiters; *at != NULL;) {
            struct waiter *waiter = *at;
            if (waiter->command == command) {
                *at = waiter->next;
                mem_free(waiter);
            } else {
                at = &waiter->next;
            }
        }
    }
}

/* ---- get ---- */

/* What to fetch: a link, or the number of a result. */
struct wish {
    struct content_id content;
    struct filelink link;        /* all zero when it was a number */
    const struct result *result; /* NULL when nothing was found of it yet */
    const char *problem;
    bool is_misread; /* ... at byte `at` of the link */
    uint32_t at;
};

static void read_link(const struct peer *peer, const char *text, struct wish *wish) {
    struct filelink_error error = {0};
    if (filelink_parse(&wish->link, text, &error) != OK) {
        wish->problem = error.why;
        wish->is_misread = true;
        wish->at = error.at;
    } else if (wish->link.has_network &&
               memcmp(wish->link.network.b, peer->env->network->id.b, HASH_BYTES) != 0) {
        wish->problem = "this link is for another network; only a peer of that one can fetch it";
    } else {
        wish->content = wish->link.content;
    }
}

static bool parse_number(const char *text, uint32_t *number) {
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && value <= UINT32_MAX; at++) {
        value = value * 10 + (uint64_t)(*at - '0');
    }
    *number = (uint32_t)value;
    return *at == '\0' && at != text && value <= UINT32_MAX;
}

static struct wish read_wish(struct peer *peer, const struct node_event *event) {
    struct wish wish = {0};
    const struct results *results = search_results(peer);
    const char *content = command_arg(event, "content");
    const char *number_text = command_arg(event, "number");
    uint32_t number;
    if (content != NULL) {
        read_link(peer, content, &wish);
        bool is_known = wish.problem == NULL && results != NULL;
        wish.result = is_known ? results_find(results, &wish.content) : NULL;
    } else if (number_text == NULL || !parse_number(number_text, &number)) {
        wish.problem = "say what to get: the number of a search result, or a content id";
    } else {
        wish.result = results != NULL ? results_number(results, number) : NULL;
        wish.problem =
            wish.result == NULL ? "no search result has this number; search again" : NULL;
        wish.content = wish.result != NULL ? wish.result->content : wish.content;
    }
    return wish;
}

static struct slice wish_name(const struct wish *wish, const char *name,
                              char safe[NAMES_DISK_MAX + 1]) {
    char fallback[2 * HASH_BYTES + 1];
    hex_format(fallback, wish->content.root.b, HASH_BYTES);
    if (name == NULL || name[0] == '\0') {
        name = wish->link.name[0] != '\0' ? wish->link.name
               : wish->result != NULL     ? wish->result->name
                                          : fallback;
    }
    names_sanitise((struct slice){(const uint8_t *)name, strlen(name)}, safe);
    return (struct slice){(const uint8_t *)safe, strlen(safe)};
}

/* The folder it is to go to, sanitised; false when there is no such. */
static bool wish_folder(const struct node_event *event, char folder[NAMES_PATH_MAX + 1]) {
    const char *text = command_arg(event, "folder");
    struct slice path = {(const uint8_t *)text, text != NULL ? strlen(text) : 0};
    uint32_t steps = 1;
    for (size_t i = 0; i < path.len; i++) {
        steps += path.data[i] == '/';
    }
    return steps <= FOLDER_DEPTH_MAX && path.len <= FOLDER_BYTES_MAX &&
           names_sanitise_path(path, folder);
}

/* The nodes of `source`, with blanks between; false when one of them is none. */
static bool wish_sources(const struct node_event *event, struct node_place places[SOURCES_TOLD_MAX],
                         uint32_t *count) {
    const char *at = command_arg(event, "source");
    *count = 0;
    while (at != NULL && *at != '\0') {
        char text[NODE_PLACE_TEXT_BYTES];
        size_t len = strcspn(at, " ");
        if (len >= sizeof text || *count == SOURCES_TOLD_MAX) {
            return false;
        }
        memcpy(text, at, len);
        text[len] = '\0';
        if (node_place_parse(&places[(*count)++], text) != OK) {
            return false;
        }
        at += len + (at[len] == ' ');
    }
    return true;
}

static void report_queued(struct peer *peer, uint64_t command, const struct download *download) {
    struct outbox *out = peer->links.out;
    report_begin(out, command, "queued");
    report_content(out, &download->content);
    report_text(out, "name", download->name);
    report_text(out, "folder", download->folder);
    report_number(out, "size", download->content.size);
    report_number(out, "sources", download->source_count);
}

static void add_sources(struct peer *peer, const struct result *result) {
    const struct known_holder *known = result != NULL ? result->holders : NULL;
    for (; known != NULL; known = known->next) {
        fetch_found(peer, &result->content, &known->holder, &known->answerer);
    }
}

/* Start it with all that the command says; NULL when that was wrong, which is told then. */
static struct download *begin(struct peer *peer, const struct node_event *event,
                              const struct wish *wish) {
    struct outbox *out = peer->links.out;
    char safe[NAMES_DISK_MAX + 1], folder[NAMES_PATH_MAX + 1];
    struct node_place places[SOURCES_TOLD_MAX];
    uint32_t count;
    if (!wish_folder(event, folder)) {
        report_error(out, event->command.id, ERR_FORMAT, "the folder is too deep or its way long");
        return NULL;
    }
    if (!wish_sources(event, places, &count)) {
        report_error(out, event->command.id, ERR_FORMAT,
                     "a source is ID or ID@ADDRESS:PORT, the address in numbers; at most 8");
        return NULL;
    }
    struct slice name = wish_name(wish, command_arg(event, "name"), safe);
    struct download *download = fetch_begin(peer, &wish->content, name, folder);
    if (download == NULL) {
        report_error(out, event->command.id, ERR_LIMIT, "too many downloads; cancel one or wait");
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        fetch_told(peer, download, &places[i]);
    }
    for (uint8_t i = 0; i < wish->link.source_count; i++) {
        fetch_told(peer, download, &wish->link.sources[i]);
    }
    if (count + wish->link.source_count > 0) {
        fetch_save(peer, download);
    }
    add_sources(peer, wish->result);
    return download;
}

static void report_problem(struct peer *peer, uint64_t command, const struct wish *wish) {
    char text[200];
    if (wish->is_misread) {
        snprintf(text, sizeof text, "the link cannot be read at character %u: %s", wish->at + 1,
                 wish->problem);
    } else {
        snprintf(text, sizeof text, "%s", wish->problem);
    }
    report_error(peer->links.out, command, wish->is_misread ? ERR_FORMAT : ERR_NOT_FOUND, text);
}

void fetch_get_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    uint64_t command = event->command.id;
    struct wish wish = read_wish(peer, event);
    if (wish.problem != NULL) {
        report_problem(peer, command, &wish);
        return;
    }
    if (share_find(&peer->share, &wish.content) != NULL) {
        report_error(out, command, ERR_EXISTS,
                     "this file is already among the shared files (`peer share list`)");
        return;
    }
    struct download *download = begin(peer, event, &wish);
    if (download == NULL) {
        return;
    }
    report_queued(peer, command, download);
    const char *wait = command_arg(event, "wait");
    if (wait == NULL || strcmp(wait, "1") != 0) {
        report_done(out, command);
        return;
    }
    struct waiter *waiter = mem_new(sizeof *waiter);
    waiter->command = command;
    waiter->next = download->waiters;
    download->waiters = waiter;
    fetch_continue(peer, download);
}

/* ---- downloads ---- */

void fetch_downloads_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    uint32_t cursor = 0;
    const struct download *download = NULL;
    while (peer->fetch != NULL &&
           (download = map_next(&peer->fetch->downloads, &cursor, NULL)) != NULL) {
        report_begin(out, event->command.id, "download");
        report_content(out, &download->content);
        report_number(out, "number", download->number);
        report_text(out, "name", download->name);
        report_text(out, "folder", download->folder);
        report_number(out, "size", download->content.size);
        report_number(out, "done", download->file != 0 ? download->received : download->at_rest);
        report_text(out, "state", state_name(download));
        report_text(out, "priority", fetch_priorities[download->priority]);
        report_number(out, "sources", fetch_sources_working(download));
        report_number(out, "known", download->source_count);
        report_number(out, "locked", fetch_sources_locked(download));
        report_queue(peer, download);
        report_number(out, "rate", download->bytes_per_s);
        report_eta(out, download);
        if (download->error != OK) {
            report_text(out, "error", fetch_error_text(download->error));
        }
    }
    report_done(out, event->command.id);
}
