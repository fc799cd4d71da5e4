/* search.h - asks the supernodes: for words, and for who has a content. */
#ifndef TRUNKLINE_PEER_SEARCH_H
#define TRUNKLINE_PEER_SEARCH_H

#include "common/links.h"
#include "common/query.h"
#include "common/ratelimit.h"
#include "peer/results.h"

struct peer;

/* How far a search has come: the entry supernodes widen it, we choose the next one. */
enum search_leg {
    LEG_FIRST,  /* one parent, to LADDER_RADIUS */
    LEG_SECOND, /* another, as far, with the same body: nobody answers twice */
    LEG_LAST    /* the first again, to TTL_POLICY */
};

/* A QUERY or LOCATE on its way. */
struct query {
    struct query *next;
    struct timer timer;
    uint64_t command; /* who waits for hits; 0 = a LOCATE for downloads */
    struct content_id content;
    char *text;              /* of a search */
    struct query_expr *expr; /* what it means */
    uint32_t dropped;        /* hits that are not what was asked for */
    struct map reported;     /* content key, or id of a holder -> struct tally */
    struct buf body;         /* compressed */
    struct query_id id;      /* of the body */
    struct node_id asked[2]; /* supernodes, by leg */
    struct coverage sum;     /* over the legs */
    uint64_t sent_us;        /* the present copy */
    uint16_t want;
    uint8_t leg;     /* enum search_leg */
    uint8_t ttl;     /* of the copy that is out */
    uint8_t tries;   /* bodies */
    bool is_out;     /* else it waits for a supernode */
    bool has_links;  /* hits are reported with their links */
    bool is_farther; /* the number of copies does not end it */
};

struct search {
    struct query *queries;
    uint32_t count;
    struct results results;
    struct ratelimit locates;
    uint64_t held_until_us; /* the parents take no more just now */
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
