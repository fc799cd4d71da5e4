/* results.h - what searches have found: numbered contents and who holds them. */
#ifndef TRUNKLINE_PEER_RESULTS_H
#define TRUNKLINE_PEER_RESULTS_H

#include "common/map.h"
#include "common/wire.h"

/* Somebody who has a file, as a supernode tells it. */
struct known_holder {
    struct known_holder *next;
    struct holder holder;    /* its record is owned here */
    struct node_id answerer; /* the supernode it is a leaf of; zero = unknown */
};

struct result {
    uint32_t number; /* for people; valid until the result is dropped */
    struct content_id content;
    char *name; /* the last that matched */
    struct known_holder *holders;
    uint32_t holder_count;
};

struct results {
    struct map by_content; /* content key -> struct result */
    struct map by_number;  /* u32 -> struct result, oldest first */
    uint32_t last_number;
};

void results_init(struct results *results, uint64_t seed);
void results_free(struct results *results);

/* Return the result of a content, made when it is new (then the oldest beyond SEARCH_RESULTS_MAX
 * goes); `name` becomes its name. */
struct result *results_add(struct results *results, const struct content_id *content,
                           struct slice name);

/* Add or renew a holder; beyond RESULT_SOURCES_MAX nothing happens. */
void result_add_holder(struct result *result, const struct holder *holder,
                       const struct node_id *answerer);

/* NULL when it is unknown, or was dropped. */
const struct result *results_find(const struct results *results, const struct content_id *content);
const struct result *results_number(const struct results *results, uint32_t number);

#endif
