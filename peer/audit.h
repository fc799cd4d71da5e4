/* audit.h - shows a parent single blocks of what was registered with it, when it asks. */
#ifndef TRUNKLINE_PEER_AUDIT_H
#define TRUNKLINE_PEER_AUDIT_H

#include "common/links.h"
#include "common/ratelimit.h"

struct peer;

/* What one parent asks for: one file at a time, one block and one proof of it. */
struct audit {
    struct content_id content;
    struct ratelimit opens;
    uint32_t link; /* 0 = the place is free */
    uint32_t handle;
    bool is_open;
    bool is_block_due;
    bool is_proof_due;
};

/* A place for every leaf link. */
struct audits {
    struct audit of[PARENTS + 1];
};

enum err audit_take_open(struct peer *peer, struct link *link, struct slice payload);
enum err audit_take_block_request(struct peer *peer, struct link *link, struct slice payload);
enum err audit_take_hashes_request(struct peer *peer, struct link *link, struct slice payload);
enum err audit_take_shut(struct peer *peer, struct link *link, struct slice payload);
/* The disk did not give the block. */
void audit_block_failed(struct peer *peer, struct link *link, const struct node_event *event);
void audit_link_gone(struct peer *peer, const struct link *link);

#endif
