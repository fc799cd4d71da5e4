/* catalog.h - files for large simulated networks: names of Zipf-like words, rare things rare. */
#ifndef TRUNKLINE_TESTS_SIM_CATALOG_H
#define TRUNKLINE_TESTS_SIM_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#define CATALOG_WORDS_MAX 6 /* of a name */
#define CATALOG_NAME_BYTES 64

/* A file and who shares it. */
struct item {
    uint32_t words[CATALOG_WORDS_MAX]; /* ranks, 1 = the commonest */
    uint32_t word_count;
    uint32_t holder_count;
    uint32_t *holders; /* leaves */
};

struct catalog;

/* Deal `each` files to each of `leaves`: half of them nobody else has, the others with a chance
 * that falls with one over their rank. */
struct catalog *catalog_new(uint64_t seed, uint32_t leaves, uint32_t each);
void catalog_free(struct catalog *catalog);

uint32_t catalog_count(const struct catalog *catalog);
const struct item *catalog_item(const struct catalog *catalog, uint32_t number);
/* The number of the `n`-th file of a leaf. */
uint32_t catalog_of_leaf(const struct catalog *catalog, uint32_t leaf, uint32_t n);

void catalog_name(const struct item *item, char name[CATALOG_NAME_BYTES]);

/* What somebody searches for. */
struct wish {
    uint32_t asker; /* leaf */
    uint32_t words[CATALOG_WORDS_MAX];
    uint32_t word_count;
    uint32_t there; /* files that match and that somebody else shares */
};

/* Draw a leaf that asks for one to three words of a file that some other leaf shares. */
struct wish catalog_wish(struct catalog *catalog);
void catalog_wish_text(const struct wish *wish, char text[CATALOG_NAME_BYTES]);
bool catalog_matches(const struct item *item, const struct wish *wish);

#endif
