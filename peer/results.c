/* results.c - keeps the last thousand contents that searches have found, numbered for people. */
#include "peer/results.h"

#include <string.h>

#include "common/mem.h"

void results_init(struct results *results, uint64_t seed) {
    *results = (struct results){0};
    map_init(&results->by_content, CONTENT_KEY_BYTES, seed ^ 0x726573756c747363);
    map_init(&results->by_number, sizeof(uint32_t), seed ^ 0x726573756c74736e);
}

static void free_result(struct result *result) {
    while (result->holders != NULL) {
        struct known_holder *known = result->holders;
        result->holders = known->next;
        mem_free((void *)known->holder.address_record.data);
        mem_free(known);
    }
    mem_free(result->name);
    mem_free(result);
}

void results_free(struct results *results) {
    uint32_t cursor = 0;
    for (struct result *result; (result = map_next(&results->by_number, &cursor, NULL)) != NULL;) {
        free_result(result);
    }
    map_free(&results->by_number);
    map_free(&results->by_content);
}

static void drop_oldest(struct results *results) {
    uint32_t cursor = 0;
    struct result *oldest = map_next(&results->by_number, &cursor, NULL);
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &oldest->content);
    map_remove(&results->by_content, key);
    map_remove(&results->by_number, &oldest->number);
    free_result(oldest);
}

struct result *results_add(struct results *results, const struct content_id *content,
                           struct slice name) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, content);
    struct result *result = map_get(&results->by_content, key);
    if (result == NULL) {
        if (results->by_number.count >= SEARCH_RESULTS_MAX) {
            drop_oldest(results);
        }
        result = mem_new(sizeof *result);
        result->number = ++results->last_number;
        result->content = *content;
        map_put(&results->by_content, key, result);
        map_put(&results->by_number, &result->number, result);
    }
    bool is_same = result->name != NULL && strlen(result->name) == name.len &&
                   memcmp(result->name, name.data, name.len) == 0;
    if (!is_same) {
        mem_free(result->name);
        result->name = mem_new(name.len + 1);
        memcpy(result->name, name.data, name.len);
    }
    return result;
}

void result_add_holder(struct result *result, const struct holder *holder,
                       const struct node_id *answerer) {
    struct known_holder *known = result->holders;
    while (known != NULL && !node_id_equal(&known->holder.id, &holder->id)) {
        known = known->next;
    }
    if (known == NULL) {
        if (result->holder_count >= RESULT_SOURCES_MAX) {
            return;
        }
        known = mem_new(sizeof *known);
        known->next = result->holders;
        result->holders = known;
        result->holder_count++;
    }
    struct slice record = known->holder.address_record;
    if (holder->address_record.len > 0) {
        mem_free((void *)record.data);
        record.data = mem_copy(holder->address_record.data, holder->address_record.len);
        record.len = holder->address_record.len;
    }
    known->holder = *holder;
    known->holder.address_record = record;
    known->answerer = *answerer;
}

const struct result *results_find(const struct results *results, const struct content_id *content) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, content);
    return map_get(&results->by_content, key);
}

const struct result *results_number(const struct results *results, uint32_t number) {
    return map_get(&results->by_number, &number);
}
