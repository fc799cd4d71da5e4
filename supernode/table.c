/* table.c - items with small stable numbers, chained by hash. */
#include "supernode/table.h"

#include "common/check.h"
#include "common/mem.h"

#define TABLE_CAP_MIN 16

static void chain(struct table *table, uint32_t number) {
    struct table_item *item = table->items[number];
    uint32_t *head = &table->heads[item->hash & (table->cap - 1)];
    item->next = *head;
    *head = number;
}

static void grow(struct table *table) {
    table->cap = table->cap < TABLE_CAP_MIN ? TABLE_CAP_MIN : table->cap * 2;
    table->items = mem_resize(table->items, table->cap, sizeof(struct table_item *));
    table->free_numbers = mem_resize(table->free_numbers, table->cap, sizeof(uint32_t));
    mem_free(table->heads);
    table->heads = mem_array(table->cap, sizeof(uint32_t));
    for (uint32_t i = 0; i < table->cap; i++) {
        table->heads[i] = TABLE_NONE;
    }
    for (uint32_t number = 0; number < table->used; number++) {
        if (table->items[number] != NULL) {
            chain(table, number);
        }
    }
}

uint32_t table_add(struct table *table, struct table_item *item) {
    uint32_t number;
    if (table->free_count > 0) {
        number = table->free_numbers[--table->free_count];
    } else {
        if (table->used == table->cap) {
            grow(table);
        }
        number = table->used++;
    }
    table->items[number] = item;
    chain(table, number);
    table->count++;
    return number;
}

void table_remove(struct table *table, uint32_t number) {
    struct table_item *item = table_item(table, number);
    uint32_t *at = &table->heads[item->hash & (table->cap - 1)];
    while (*at != number) {
        CHECK(*at != TABLE_NONE);
        at = &table->items[*at]->next;
    }
    *at = item->next;
    table->items[number] = NULL;
    table->free_numbers[table->free_count++] = number;
    table->count--;
}

struct table_item *table_item(const struct table *table, uint32_t number) {
    CHECK(number < table->used && table->items[number] != NULL);
    return table->items[number];
}

uint32_t table_first(const struct table *table, uint32_t hash) {
    return table->count == 0 ? TABLE_NONE : table->heads[hash & (table->cap - 1)];
}

void table_free(struct table *table) {
    mem_free(table->items);
    mem_free(table->free_numbers);
    mem_free(table->heads);
    *table = (struct table){0};
}
