/* badpeer_rows.h - what badpeer does to a network, and how its links must end. */
#ifndef TRUNKLINE_TESTS_CLUSTER_BADPEER_ROWS_H
#define TRUNKLINE_TESTS_CLUSTER_BADPEER_ROWS_H

#include <stdbool.h>
#include <stdint.h>

enum target { AT_SUPERNODE, AT_PEER };

/* How its links must end: every one (ALL), at least one (SOME), or none (NONE). */
enum amount { ALL, SOME, NONE, ANY };

struct row {
    const char *mode;
    enum target target;
    bool is_certified; /* as the third supernode */
    bool is_listening;
    bool is_source; /* registers one of the big files, which an honest peer then fetches */
    uint32_t seconds;
    const char *end; /* of its links ... */
    enum amount amount;
    uint64_t answered_max; /* what it may be given; 0 = any */
    double p99_ms;         /* when more than P99_MS is promised: LADDER_STEP_MS a hop */
    const char *log;       /* what a node must have noted; NULL = nothing in particular */
    int64_t newcomer_ms;   /* in which a new file must be registered meanwhile; 0 = there is none */
    bool is_imposter;      /* stands where an honest peer stood */
    bool is_long_only;
};

static const struct row rows[] = {
    {.mode = "oversized", .end = "protocol", .amount = ALL},
    {.mode = "truncated", .end = "protocol", .amount = ALL},
    {.mode = "garbage", .end = "protocol", .amount = ALL},
    {.mode = "unexpected", .end = "protocol", .amount = ALL},
    {.mode = "bomb", .end = "protocol", .amount = ALL},
    {.mode = "oversized", .target = AT_PEER, .end = "protocol", .amount = ALL},
    {.mode = "truncated", .target = AT_PEER, .end = "protocol", .amount = ALL},
    {.mode = "bomb", .target = AT_PEER, .end = "protocol", .amount = ALL},
    {.mode = "wrong-tls", .end = "open", .amount = NONE},
    {.mode = "wrong-identity",
     .is_listening = true,
     .end = "closed",
     .amount = ALL,
     .log = "link.stranger"},
    {.mode = "not-certified",
     .end = "policy",
     .amount = ALL,
     .log = "supernode.refused purpose=2 error=auth"},
    {.mode = "same-query", .end = "protocol", .amount = ALL},
    {.mode = "wrong-query", .end = "protocol", .amount = ALL},
    {.mode = "query-flood", .seconds = 15, .end = "rate", .amount = ALL, .log = "leaf.banned"},
    {.mode = "wrong-lists", .end = "open", .amount = NONE},
    {.mode = "flood-list", .end = "full", .amount = ALL, .log = "leaf.list_refused"},
    {.mode = "evil-names", .end = "protocol", .amount = ALL},
    {.mode = "hoard-turns",
     .seconds = 14,
     .end = "rate",
     .amount = SOME,
     .log = "leaf.list_refused",
     .newcomer_ms = 13000,
     .is_long_only = true}, /* unit_supernode_register has it in virtual time */
    {.mode = "push-flood", .is_listening = true, .amount = ANY},
    {.mode = "forged-hits", .is_certified = true, .end = "protocol", .amount = ALL},
    {.mode = "wrong-hits", .is_certified = true, .seconds = 2, .amount = ANY},
    {.mode = "mute", .is_certified = true, .seconds = 2, .amount = ANY, .p99_ms = 1500},
    {.mode = "stale-answers",
     .is_certified = true,
     .seconds = 10,
     .end = "protocol",
     .amount = ALL},
    {.mode = "stale-queries", .is_certified = true, .end = "protocol", .amount = ALL},
    {.mode = "mesh-flood", .is_certified = true, .seconds = 2, .amount = ANY},
    {.mode = "poisoned-summary", .is_certified = true, .seconds = 2, .amount = ANY},
    {.mode = "wrong-summary", .is_certified = true, .end = "protocol", .amount = ALL},
    {.mode = "unasked-nodes", .is_certified = true, .end = "protocol", .amount = ALL},
    {.mode = "dialback-flood",
     .is_certified = true,
     .is_listening = true,
     .answered_max = 1,
     .amount = ANY},
    {.mode = "request-flood", .target = AT_PEER, .seconds = 2, .amount = ANY},
    {.mode = "wrong-requests", .target = AT_PEER, .end = "protocol", .amount = SOME},
    {.mode = "slow-reader", .end = "closed", .amount = ALL, .log = "conn.overflow"},
    {.mode = "slow-writer", .end = "open", .amount = NONE},
    {.mode = "wrong-blocks",
     .is_source = true,
     .end = "protocol",
     .amount = SOME,
     .log = "fetch.banned"},
    {.mode = "some-wrong-blocks",
     .is_source = true,
     .end = "protocol",
     .amount = SOME,
     .log = "fetch.banned"},
    {.mode = "wrong-sizes", .is_source = true, .end = "protocol", .amount = SOME},
    {.mode = "wrong-hashes", .is_source = true, .end = "protocol", .amount = SOME},
    {.mode = "unasked-blocks",
     .is_source = true,
     .end = "protocol",
     .amount = SOME,
     .log = "fetch.unasked"},
    {.mode = "lacks", .is_source = true, .amount = ANY},
    {.mode = "silent", .is_source = true, .amount = ANY},
    {.mode = "imposter", .is_imposter = true, .seconds = 3, .end = "open", .amount = NONE},
    {.mode = "bomb-flood", .seconds = 2, .end = "open", .amount = NONE},
    {.mode = "handshake-flood", .seconds = 4, .amount = ANY},
    {.mode = "slow-fetcher",
     .target = AT_PEER,
     .seconds = 100,
     .end = "open",
     .amount = NONE,
     .is_long_only = true},
};
#define ROWS (sizeof rows / sizeof *rows)

#endif
