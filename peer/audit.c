/* audit.c - answers a supernode that wants to see a block of what was registered with it.
 *
 * Such requests are few, small, and not in the way of uploads: they take no slot and no part of the
 * upload rate. Whoever asks for more than AUDITS_MILLI_PER_S is told that we are busy. */
#include "peer/audit.h"

#include "common/hashtree.h"
#include "common/mem.h"
#include "peer/serve.h"
#include "peer/state.h"

static struct audit *find(const struct peer *peer, uint32_t link) {
    for (int i = 0; peer->audits != NULL && i <= PARENTS; i++) {
        if (peer->audits->of[i].link == link) {
            return &peer->audits->of[i];
        }
    }
    return NULL;
}

/* The open audit with this handle, or NULL. */
static struct audit *find_open(const struct peer *peer, const struct link *link, uint32_t handle) {
    struct audit *audit = find(peer, link->number);
    return audit != NULL && audit->is_open && audit->handle == handle ? audit : NULL;
}

/* There are as many places as leaf links, and who goes leaves his. */
static struct audit *place_for(struct peer *peer, const struct link *link) {
    struct audit *audit = find(peer, link->number);
    if (peer->audits == NULL) {
        peer->audits = mem_new(sizeof *peer->audits);
    }
    if (audit == NULL) {
        audit = find(peer, 0);
        *audit = (struct audit){.link = link->number};
    }
    return audit;
}

static void reject(struct link *link, uint32_t handle, enum reject_reason reason) {
    struct reject reject = {
        .handle = handle, .reason = (uint8_t)reason, .retry_after_ms = UPLOAD_RETRY_MS};
    serve_reject(link, &reject);
}

enum err audit_take_open(struct peer *peer, struct link *link, struct slice payload) {
    struct open_file open;
    enum err err = wire_open_decode(payload, &open);
    if (err != OK) {
        return err;
    }
    struct audit *audit = place_for(peer, link);
    audit->is_open = false;
    if (!ratelimit_take(&audit->opens, AUDITS_MILLI_PER_S, AUDITS_BURST, 1, peer->links.mono_us)) {
        reject(link, open.handle, REJECT_BUSY);
    } else if (share_find_known(&peer->share, &open.content) == NULL) {
        log_info(peer->env->log, "audit.not_shared link=%u", link->number);
        reject(link, open.handle, REJECT_NOT_FOUND);
    } else {
        audit->content = open.content;
        audit->handle = open.handle;
        audit->is_open = true;
        audit->is_block_due = true;
        audit->is_proof_due = true;
        struct have have = {.handle = open.handle, .all = true};
        struct buf answer = {0};
        wire_have_encode(&answer, &have);
        peer_send(link, MSG_HAVE, &answer);
    }
    return OK;
}

enum err audit_take_block_request(struct peer *peer, struct link *link, struct slice payload) {
    struct block_request request;
    enum err err = wire_block_request_decode(payload, &request);
    struct audit *audit = err == OK ? find_open(peer, link, request.handle) : NULL;
    if (audit == NULL) {
        return err; /* to one that we rejected */
    }
    if (request.count != 1 || request.first >= hashtree_blocks(audit->content.size)) {
        return ERR_LIMIT;
    }
    const struct shared_file *file = share_find_known(&peer->share, &audit->content);
    if (file == NULL || !audit->is_block_due) {
        reject(link, request.handle, file == NULL ? REJECT_NOT_FOUND : REJECT_BUSY);
        return OK;
    }
    if (file->group != 0) { /* it is proven, not shown */
        reject(link, request.handle, REJECT_LOCKED);
        return OK;
    }
    audit->is_block_due = false;
    struct link_block block = {.token = request.handle,
                               .handle = request.handle,
                               .index = request.first,
                               .file = file->number,
                               .offset = (uint64_t)request.first * BLOCK_BYTES,
                               .len = hashtree_block_bytes(audit->content.size, request.first)};
    links_send_block(link, &block);
    return OK;
}

void audit_block_failed(struct peer *peer, struct link *link, const struct node_event *event) {
    uint32_t handle = (uint32_t)event->block.token;
    if (find_open(peer, link, handle) != NULL && !link->closing) {
        log_info(peer->env->log, "audit.unreadable link=%u reason=%s", link->number,
                 err_name(event->block.reason));
        reject(link, handle, serve_reason(event->block.reason));
    }
}

enum err audit_take_hashes_request(struct peer *peer, struct link *link, struct slice payload) {
    struct hashes_request request;
    enum err err = wire_hashes_request_decode(payload, &request);
    struct audit *audit = err == OK ? find_open(peer, link, request.handle) : NULL;
    if (audit == NULL) {
        return err;
    }
    if (request.layer != 0 || request.count != 1 ||
        !hashtree_run_ok(audit->content.size, 0, request.first, 1)) {
        return ERR_LIMIT;
    }
    if (!audit->is_proof_due) {
        reject(link, request.handle, REJECT_BUSY);
        return OK;
    }
    audit->is_proof_due = false;
    serve_audit_hashes(peer, link, &audit->content, &request);
    return OK;
}

enum err audit_take_shut(struct peer *peer, struct link *link, struct slice payload) {
    struct shut_file shut;
    enum err err = wire_shut_decode(payload, &shut);
    struct audit *audit = err == OK ? find_open(peer, link, shut.handle) : NULL;
    if (audit != NULL) {
        audit->is_open = false;
    }
    return err;
}

void audit_link_gone(struct peer *peer, const struct link *link) {
    struct audit *audit = link->number != 0 ? find(peer, link->number) : NULL;
    if (audit != NULL) {
        *audit = (struct audit){0};
    }
}
