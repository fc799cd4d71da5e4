/* browse.c - the command `browse`: what another peer shares, page after page.
 *
 *   linking (dialled, or asked for a call) -> asked -> page -> asked ... -> end
 *                                               ^-- busy: again after a while
 */
#include "peer/browse.h"

#include <string.h>

#include "common/mem.h"
#include "peer/contact.h"
#include "peer/fetch.h"
#include "peer/linktext.h"
#include "peer/push.h"
#include "peer/search.h"
#include "peer/state.h"

#define TRIES 3 /* links: the first may be a wrong address, or the double of another */
#define AGAIN_MS 500

struct browse {
    struct browse *next;
    struct timer timer;
    struct contact contact;    /* its record is not kept */
    struct transfer *transfer; /* NULL while a call is awaited */
    uint64_t command;
    uint64_t after;
    uint32_t handle; /* of the page that is asked for; 0 = none */
    uint32_t files;
    uint32_t locked;
    uint64_t bytes;
    uint8_t tries;
    bool was_pushed;
    bool is_partial;
    bool has_links; /* wanted */
    char *under;
};

/* ---- The end ---- */

/* Let go of it and of its link, without a word. */
static void drop(struct peer *peer, struct browse *browse) {
    struct browse **at = &peer->browses;
    while (*at != browse) {
        at = &(*at)->next;
    }
    *at = browse->next;
    if (browse->transfer != NULL) {
        browse->transfer->browses--;
    }
    timers_cancel(&peer->timers, &browse->timer);
    mem_free(browse->under);
    mem_free(browse);
}

static void fail(struct peer *peer, struct browse *browse, enum err err, const char *text) {
    report_error(peer->links.out, browse->command, err, text);
    drop(peer, browse);
}

static void finish(struct peer *peer, struct browse *browse) {
    struct outbox *out = peer->links.out;
    report_begin(out, browse->command, "end");
    report_number(out, "files", browse->files);
    report_number(out, "locked", browse->locked);
    report_number(out, "bytes", browse->bytes);
    report_flag(out, "partial", browse->is_partial);
    report_done(out, browse->command);
    drop(peer, browse);
}

/* ---- Asking ---- */

static void wait_ms(struct peer *peer, struct browse *browse, uint64_t ms) {
    timers_set(&peer->timers, &browse->timer, peer_after_ms(peer, ms));
}

static void ask(struct peer *peer, struct browse *browse) {
    struct transfer *transfer = browse->transfer;
    struct browse_request request = {
        .handle = ++transfer->last_handle,
        .after = browse->after,
        .under = {(const uint8_t *)browse->under, strlen(browse->under)}};
    browse->handle = request.handle;
    struct buf payload = {0};
    wire_browse_encode(&payload, &request);
    peer_send(transfer->link, MSG_BROWSE, &payload);
    wait_ms(peer, browse, BROWSE_TIMEOUT_MS);
}

static void attach(struct peer *peer, struct browse *browse, struct transfer *transfer) {
    browse->transfer = transfer;
    transfer->browses++;
    if (transfer->link->open) {
        ask(peer, browse);
    }
}

static bool ask_for_call(struct peer *peer, struct browse *browse) {
    const struct node_id none = {{0}};
    const struct contact *contact = &browse->contact;
    bool is_asked =
        !browse->was_pushed && ((!node_id_equal(&contact->answerer, &none) &&
                                 push_ask(peer, &contact->answerer, &contact->told.id)) ||
                                push_ask_parents(peer, &contact->told.id));
    browse->was_pushed = browse->was_pushed || is_asked;
    return is_asked;
}

/* Reach it: by the link that is there, by dialling, or by being called. */
static void connect_browse(struct peer *peer, struct browse *browse) {
    struct address address;
    struct transfer *transfer = transfer_find(peer, &browse->contact.told.id);
    browse->tries++;
    wait_ms(peer, browse, BROWSE_TIMEOUT_MS);
    if (transfer != NULL) {
        attach(peer, browse, transfer);
        return;
    }
    struct contact contact = browse->contact;
    contact_recall(peer, &contact);
    browse->contact.answerer = contact.answerer;
    bool is_known = contact_address(peer, &contact, &address);
    bool calls =
        (!is_known || (browse->tries > 1 && !contact.is_proven)) && ask_for_call(peer, browse);
    if (calls) {
        return;
    }
    if (!is_known) {
        fail(peer, browse, ERR_NOT_FOUND,
             browse->tries > 1
                 ? "it does not answer; is it running, and can it be reached from here?"
                 : "nothing tells how to reach this node: search for something that it has, or "
                   "give its address too (ID@ADDRESS:PORT, as its `peer status` shows)");
        return;
    }
    attach(peer, browse, transfer_dial(peer, &browse->contact.told.id, &address, NULL));
}

/* ---- The command ---- */

static const char *problem_of(const struct peer *peer, const struct contact *contact,
                              const char *under) {
    if (node_id_equal(&contact->told.id, &peer->env->id)) {
        return "this is the peer itself; `peer share list` shows what it shares";
    }
    if (contact->told.address.family != ADDRESS_NONE &&
        !network_may_dial(peer->env->network, &contact->told.address)) {
        return "this network's rules do not let a peer dial such an address";
    }
    return wire_folder_ok((struct slice){(const uint8_t *)under, strlen(under)})
               ? NULL
               : "not a folder: names with one slash between two, as `peer browse` shows them";
}

/* The first source of a search result, the best one if that can be told. */
static bool source_of_result(const struct peer *peer, uint32_t number, struct contact *contact) {
    const struct results *results = search_results(peer);
    const struct result *result = results != NULL ? results_number(results, number) : NULL;
    const struct known_holder *best = result != NULL ? result->holders : NULL;
    for (const struct known_holder *at = best; at != NULL; at = at->next) {
        bool is_better = (at->holder.flags & HOLDER_REACHABLE) != 0 &&
                         (best->holder.flags & HOLDER_REACHABLE) == 0;
        best = is_better ? at : best;
    }
    *contact = (struct contact){0};
    if (best != NULL) {
        contact->told.id = best->holder.id;
    }
    return best != NULL;
}

/* A node, or the number of a result; what is wrong, or NULL. */
static const char *read_node(const struct peer *peer, const char *text, struct contact *contact) {
    uint64_t number = 0;
    if (text != NULL && text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
        for (const char *at = text; *at != '\0' && number <= UINT32_MAX; at++) {
            number = number * 10 + (uint64_t)(*at - '0');
        }
        bool is_there = number <= UINT32_MAX && source_of_result(peer, (uint32_t)number, contact);
        return is_there ? NULL : "no search result has this number; search again";
    }
    enum err err = text != NULL ? node_place_parse(&contact->told, text) : ERR_FORMAT;
    if (err == ERR_MISMATCH) {
        return "a check character of the node id is wrong: it was mistyped; copy it again";
    }
    return err == OK ? NULL
                     : "not a node: the number of a search result, ID, or ID@ADDRESS:PORT with the "
                       "address in numbers";
}

void browse_command(struct peer *peer, const struct node_event *event) {
    const char *node = command_arg(event, "node");
    const char *under = command_arg(event, "under");
    struct contact contact = {0};
    under = under != NULL ? under : "";
    const char *problem = read_node(peer, node, &contact);
    problem = problem != NULL ? problem : problem_of(peer, &contact, under);
    if (problem != NULL) {
        report_error(peer->links.out, event->command.id, ERR_FORMAT, problem);
        return;
    }
    uint32_t count = 0;
    for (const struct browse *at = peer->browses; at != NULL; at = at->next) {
        count++;
    }
    if (count >= BROWSES_MAX) {
        report_error(peer->links.out, event->command.id, ERR_BUSY,
                     "too many nodes are being browsed; wait for one to end");
        return;
    }
    struct browse *browse = mem_new(sizeof *browse);
    browse->command = event->command.id;
    browse->has_links = linktext_is_wanted(event);
    browse->contact = contact;
    browse->under = mem_string(under);
    browse->timer.kind = TIMER_BROWSE;
    browse->timer.owner = browse;
    browse->next = peer->browses;
    peer->browses = browse;
    char id[NODE_PLACE_TEXT_BYTES];
    node_place_format(id, &browse->contact.told);
    report_begin(peer->links.out, browse->command, "node");
    report_text(peer->links.out, "id", id);
    connect_browse(peer, browse);
}

void browse_command_gone(struct peer *peer, uint64_t command) {
    for (struct browse *at = peer->browses, *next; at != NULL; at = next) {
        next = at->next;
        if (at->command == command) {
            drop(peer, at);
        }
    }
}

/* ---- Answers ---- */

static struct browse *find(const struct peer *peer, const struct link *link, uint32_t handle) {
    struct browse *browse = peer->browses;
    while (browse != NULL && (browse->transfer == NULL || browse->transfer != link->owner ||
                              browse->handle == 0 || browse->handle != handle)) {
        browse = browse->next;
    }
    return browse;
}

static void report_file(struct peer *peer, struct browse *browse,
                        const struct listing_entry *entry) {
    struct outbox *out = peer->links.out;
    char content[CONTENT_TEXT_BYTES];
    content_format(content, &entry->content);
    report_begin(out, browse->command, "file");
    report_slice(out, "folder", entry->folder);
    report_slice(out, "name", entry->name);
    report_number(out, "size", entry->content.size);
    report_text(out, "content", content);
    report_flag(out, "locked", entry->is_locked);
    if (browse->has_links) {
        linktext_report(peer, &entry->content, entry->name, &browse->contact.told);
    }
    browse->files++;
    browse->locked += entry->is_locked;
    browse->bytes += entry->content.size;
}

/* True for a file where it was asked for. */
static bool is_under(const struct browse *browse, struct slice folder) {
    size_t len = strlen(browse->under);
    return len == 0 || (folder.len >= len && memcmp(folder.data, browse->under, len) == 0 &&
                        (folder.len == len || folder.data[len] == '/'));
}

enum err browse_take_listing(struct peer *peer, struct link *link, struct slice payload) {
    struct transfer *transfer = link->owner;
    struct listing page;
    struct listing_entry entry;
    enum err err = wire_listing_decode(payload, &page);
    struct browse *browse = err == OK ? find(peer, link, page.handle) : NULL;
    if (browse == NULL) { /* nobody waits for it any more, or nobody ever did */
        bool is_flood = err == OK && ++transfer->unasked > FETCH_UNASKED_MAX;
        return is_flood ? ERR_UNEXPECTED : err;
    }
    browse->handle = 0;
    browse->is_partial = browse->is_partial || page.is_partial;
    bool is_sound = page.next == 0 || page.next > browse->after;
    struct reader entries = wire_listing_entries(&page);
    while (is_sound && wire_listing_next(&entries, &entry)) {
        is_sound = is_under(browse, entry.folder);
        if (is_sound && browse->files < BROWSE_FILES_MAX) {
            report_file(peer, browse, &entry);
        }
    }
    browse->after = page.next;
    if (!is_sound) {
        fail(peer, browse, ERR_FORMAT, "the node answers what makes no sense");
        return ERR_FORMAT;
    }
    if (browse->files >= BROWSE_FILES_MAX) {
        browse->is_partial = true;
        finish(peer, browse);
    } else if (page.next == 0) {
        finish(peer, browse);
    } else {
        ask(peer, browse);
    }
    return OK;
}

bool browse_take_reject(struct peer *peer, const struct link *link, const struct reject *reject) {
    struct browse *browse = find(peer, link, reject->handle);
    if (browse == NULL) {
        return false;
    }
    browse->handle = 0;
    if (reject->reason == REJECT_BUSY) {
        bool is_long = reject->retry_after_ms > BROWSE_TIMEOUT_MS;
        wait_ms(peer, browse, is_long ? BROWSE_TIMEOUT_MS : reject->retry_after_ms);
    } else {
        fail(peer, browse, ERR_REFUSED,
             reject->reason == REJECT_OFF ? "its owner does not let anybody browse it"
                                          : "the node refuses to be browsed");
    }
    return true;
}

/* ---- Links and time ---- */

void browse_link_opened(struct peer *peer, struct transfer *transfer) {
    for (struct browse *at = peer->browses; at != NULL; at = at->next) {
        if (at->transfer == NULL && node_id_equal(&at->contact.told.id, &transfer->link->id)) {
            attach(peer, at, transfer);
        } else if (at->transfer == transfer) {
            ask(peer, at);
        }
    }
}

void browse_link_gone(struct peer *peer, const struct transfer *transfer) {
    for (struct browse *at = peer->browses, *next; at != NULL; at = next) {
        next = at->next;
        if (at->transfer != transfer) {
            continue;
        }
        at->transfer->browses--;
        at->transfer = NULL;
        at->handle = 0;
        if (at->tries < TRIES) {
            wait_ms(peer, at, AGAIN_MS); /* not from here: the link is not quite gone yet */
        } else {
            fail(peer, at, ERR_UNREACHABLE,
                 "it does not answer; is it running, and can it be reached from here?");
        }
    }
}

void browse_timer(struct peer *peer, struct browse *browse) {
    bool is_linked = browse->transfer != NULL && browse->transfer->link->open;
    if (is_linked && browse->handle == 0) {
        ask(peer, browse);                                          /* it was busy */
    } else if (browse->transfer == NULL && browse->tries < TRIES) { /* no call came, or it broke */
        connect_browse(peer, browse);
    } else {
        fail(peer, browse, ERR_TIMEOUT,
             is_linked ? "the node does not answer; its program may be older than this command"
                       : "it does not answer; is it running, and can it be reached from here?");
    }
}

void browse_stop(struct peer *peer) {
    while (peer->browses != NULL) {
        fail(peer, peer->browses, ERR_SHUTDOWN, "the peer is stopping");
    }
}

void browse_free(struct peer *peer) {
    while (peer->browses != NULL) {
        struct browse *browse = peer->browses;
        peer->browses = browse->next;
        mem_free(browse->under);
        mem_free(browse);
    }
}
