/* search.h - asks the supernodes: for words, and for who has a content. */
#ifndef TRUNKLINE_PEER_SEARCH_H
#define TRUNKLINE_PEER_SEARCH_H

#include "common/links.h"
#include "common/query.h"
#include "common/ratelimit.h"
#include "peer/results.h"

struct peer;

/* A QUERY or LOCATE on its way. */
struct query {
    struct query *next;
    struct timer timer;
    uint64_t command; /* who waits for hits; 0 = a LOCATE for downloads */
    struct content_id content;
    char *text;              /* of a search */
    struct query_expr *expr; /* what it means */
    struct map reported;     /* content key -> struct tally */
    uint32_t dropped;        /* hits that are not what was asked for */
    struct query_id id;      /* of the copy that is out */
    struct node_id via;      /* the supernode that was asked */
    uint16_t want;
    uint8_t tries;
    bool is_out; /* else it waits for a supernode */
};

struct search {
    struct query *queries;
    uint32_t count;
    struct results results;
    struct ratelimit locates;
};

/* The command. */
void search_command(struct peer *peer, const struct node_event *event);
/* Whoever asked has gone. */
void search_command_gone(struct peer *peer, uint64_t command);

/* Ask who has a content; answers go to fetch_found. False when there is nobody to ask now, the
 * rate allows no more, or it is being asked already. */
bool search_locate(struct peer *peer, const struct content_id *content);

/* The results so far; NULL when nothing was searched yet. */
const struct results *search_results(const struct peer *peer);

void search_parent_opened(struct peer *peer);
void search_parent_lost(struct peer *peer, const struct node_id *id);
enum err search_take_hits(struct peer *peer, struct link *link, struct slice payload);
enum err search_take_end(struct peer *peer, struct link *link, struct slice payload);
/* TIMER_QUERY. */
void search_timer(struct peer *peer, struct query *query);
/* Answer every waiting command with an error. */
void search_stop(struct peer *peer);
void search_free(struct peer *peer);

#endif
