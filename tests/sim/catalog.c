/* catalog.c - files for large simulated networks: names of Zipf-like words, rare things rare. */
#include "tests/sim/catalog.h"

#include <string.h>

#include "common/mem.h"
#include "common/rng.h"

#define WORD_OCTAVES 17 /* 131,071 words */
#define NAME_WORDS_MIN 3
#define SYLLABLES 100

struct numbers {
    uint32_t *at;
    uint32_t count;
    uint32_t cap;
};

struct catalog {
    struct rng rng;
    uint32_t leaves;
    uint32_t each;
    struct item *items;
    uint32_t count;
    uint32_t common;         /* items that any leaf may draw; the others have one holder */
    uint32_t *of_leaf;       /* leaves x each */
    struct numbers *by_word; /* rank -> items */
};

/* A rank from 1 below 2^octaves, with a chance of about one over it. */
static uint32_t draw_rank(struct rng *rng, uint32_t octaves) {
    uint32_t octave = (uint32_t)rng_below(rng, octaves);
    return (1u << octave) + (uint32_t)rng_below(rng, 1u << octave);
}

static void push(struct numbers *numbers, uint32_t number) {
    if (numbers->count == numbers->cap) {
        numbers->cap = numbers->cap < 4 ? 4 : numbers->cap * 2;
        numbers->at = mem_resize(numbers->at, numbers->cap, sizeof *numbers->at);
    }
    numbers->at[numbers->count++] = number;
}

static bool has_word(const uint32_t *words, uint32_t count, uint32_t word) {
    for (uint32_t i = 0; i < count; i++) {
        if (words[i] == word) {
            return true;
        }
    }
    return false;
}

static uint32_t new_item(struct catalog *catalog) {
    struct item *item = &catalog->items[catalog->count];
    uint32_t wanted =
        NAME_WORDS_MIN + (uint32_t)rng_below(&catalog->rng, CATALOG_WORDS_MAX - NAME_WORDS_MIN + 1);
    while (item->word_count < wanted) {
        uint32_t word = draw_rank(&catalog->rng, WORD_OCTAVES);
        if (!has_word(item->words, item->word_count, word)) {
            item->words[item->word_count++] = word;
            push(&catalog->by_word[word], catalog->count);
        }
    }
    return catalog->count++;
}

static bool is_held(const struct item *item, uint32_t leaf) {
    return item->holder_count > 0 && item->holders[item->holder_count - 1] == leaf;
}

static void hold(struct catalog *catalog, uint32_t number, uint32_t leaf, uint32_t n) {
    struct item *item = &catalog->items[number];
    item->holders = mem_resize(item->holders, item->holder_count + 1, sizeof *item->holders);
    item->holders[item->holder_count++] = leaf;
    catalog->of_leaf[leaf * catalog->each + n] = number;
}

/* Leaves are dealt to one after the other, so a leaf that has an item is its last holder. */
static void deal(struct catalog *catalog, uint32_t leaf, uint32_t octaves) {
    for (uint32_t n = 0; n < catalog->each; n++) {
        uint32_t number = draw_rank(&catalog->rng, octaves) - 1;
        if (n % 2 == 0 || is_held(&catalog->items[number], leaf)) {
            number = new_item(catalog);
        }
        hold(catalog, number, leaf, n);
    }
}

struct catalog *catalog_new(uint64_t seed, uint32_t leaves, uint32_t each) {
    struct catalog *catalog = mem_new(sizeof *catalog);
    rng_seed(&catalog->rng, seed);
    catalog->leaves = leaves;
    catalog->each = each;
    uint32_t octaves = 4;
    while (1u << octaves < leaves * each / 8) {
        octaves++;
    }
    catalog->items = mem_array((1u << octaves) + (size_t)leaves * each, sizeof *catalog->items);
    catalog->of_leaf = mem_array((size_t)leaves * each, sizeof *catalog->of_leaf);
    catalog->by_word = mem_array(1u << WORD_OCTAVES, sizeof *catalog->by_word);
    for (uint32_t i = 1; i < 1u << octaves; i++) {
        new_item(catalog);
    }
    for (uint32_t leaf = 0; leaf < leaves; leaf++) {
        deal(catalog, leaf, octaves);
    }
    return catalog;
}

void catalog_free(struct catalog *catalog) {
    for (uint32_t i = 0; i < catalog->count; i++) {
        mem_free(catalog->items[i].holders);
    }
    for (uint32_t i = 0; i < 1u << WORD_OCTAVES; i++) {
        mem_free(catalog->by_word[i].at);
    }
    mem_free(catalog->items);
    mem_free(catalog->of_leaf);
    mem_free(catalog->by_word);
    mem_free(catalog);
}

uint32_t catalog_count(const struct catalog *catalog) {
    return catalog->count;
}

const struct item *catalog_item(const struct catalog *catalog, uint32_t number) {
    return &catalog->items[number];
}

uint32_t catalog_of_leaf(const struct catalog *catalog, uint32_t leaf, uint32_t n) {
    return catalog->of_leaf[leaf * catalog->each + n];
}

/* ---- Texts ---- */

/* A word that can be said: one syllable per two decimal digits of its rank. */
static char *put_word(char *at, uint32_t rank) {
    static const char consonants[] = "bcdfghjklmnpqrstvwxz";
    static const char vowels[] = "aeiou";
    for (; rank > 0; rank /= SYLLABLES) {
        *at++ = consonants[rank % SYLLABLES / 5];
        *at++ = vowels[rank % 5];
    }
    return at;
}

static void put_words(char *text, const uint32_t *words, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        text = put_word(text, words[i]);
        *text++ = ' ';
    }
    text[-1] = '\0';
}

void catalog_name(const struct item *item, char name[CATALOG_NAME_BYTES]) {
    put_words(name, item->words, item->word_count);
}

void catalog_wish_text(const struct wish *wish, char text[CATALOG_NAME_BYTES]) {
    put_words(text, wish->words, wish->word_count);
}

/* ---- Wishes ---- */

bool catalog_matches(const struct item *item, const struct wish *wish) {
    for (uint32_t i = 0; i < wish->word_count; i++) {
        if (!has_word(item->words, item->word_count, wish->words[i])) {
            return false;
        }
    }
    return true;
}

/* Shared by somebody else than this leaf. */
static bool is_there(const struct item *item, uint32_t leaf) {
    return item->holder_count > 1 || (item->holder_count == 1 && item->holders[0] != leaf);
}

struct wish catalog_wish(struct catalog *catalog) {
    struct wish wish = {.asker = (uint32_t)rng_below(&catalog->rng, catalog->leaves)};
    const struct item *item;
    do {
        uint64_t which = rng_below(&catalog->rng, (uint64_t)catalog->leaves * catalog->each);
        item = &catalog->items[catalog->of_leaf[which]];
    } while (!is_there(item, wish.asker));
    uint32_t wanted = 1 + (uint32_t)rng_below(&catalog->rng, 3);
    while (wish.word_count < wanted) {
        uint32_t word = item->words[rng_below(&catalog->rng, item->word_count)];
        if (!has_word(wish.words, wish.word_count, word)) {
            wish.words[wish.word_count++] = word;
        }
    }
    const struct numbers *numbers = &catalog->by_word[wish.words[0]];
    for (uint32_t i = 0; i < numbers->count; i++) {
        const struct item *other = &catalog->items[numbers->at[i]];
        wish.there += is_there(other, wish.asker) && catalog_matches(other, &wish);
    }
    return wish;
}
