/* pool.c - blocks in pages of one size each. */
#include "supernode/pool.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"

#define PAGE_BYTES 4096 /* of shared pages; a larger block has a page to itself */
#define FINE_BYTES 64   /* below, sizes are multiples of 4; above, 16 to each power of two */
#define NOTHING UINT16_MAX

/* The class of a size up to PAGE_BYTES, and the size that all blocks of the class have. */
static uint32_t class_of(uint32_t bytes, uint32_t *block_bytes) {
    if (bytes <= FINE_BYTES) {
        uint32_t fours = (bytes + 3) / 4;
        *block_bytes = fours * 4;
        return fours - 1;
    }
    uint32_t power = 31 - (uint32_t)__builtin_clz(bytes - 1);
    uint32_t step = 1U << (power - 4);
    uint32_t steps = (bytes - (1U << power) + step - 1) / step; /* 1 to 16 */
    *block_bytes = (1U << power) + steps * step;
    return (power - 5) * 16 + steps - 1;
}

void pool_init(struct pool *pool, uint64_t *bytes, uint32_t block_bits, uint32_t page_bits) {
    *pool = (struct pool){
        .bytes = bytes, .block_bits = block_bits, .page_bits = page_bits, .free_page = POOL_NONE};
    for (uint32_t i = 0; i < POOL_CLASSES; i++) {
        pool->with_room[i] = POOL_NONE;
    }
}

static uint64_t directory_bytes(const struct pool *pool) {
    return pool->page_cap == 0 ? 0 : pool->page_cap * sizeof(struct pool_page) + MALLOC_BYTES;
}

static void free_directory(struct pool *pool) {
    *pool->bytes -= directory_bytes(pool);
    mem_free(pool->pages);
    pool_init(pool, pool->bytes, pool->block_bits, pool->page_bits);
}

static uint64_t page_bytes(const struct pool_page *page) {
    return (uint64_t)page->block_bytes * page->blocks + MALLOC_BYTES;
}

void pool_free(struct pool *pool) {
    for (uint32_t i = 0; i < pool->page_count; i++) {
        if (pool->pages[i].memory != NULL) {
            *pool->bytes -= page_bytes(&pool->pages[i]);
            mem_free(pool->pages[i].memory);
        }
    }
    free_directory(pool);
}

/* ---- Pages ---- */

static uint32_t page_number(struct pool *pool) {
    uint32_t number = pool->free_page;
    if (number != POOL_NONE) {
        pool->free_page = pool->pages[number].next;
        return number;
    }
    if (pool->page_count == pool->page_cap) {
        CHECK(pool->page_count < 1U << pool->page_bits);
        *pool->bytes -= directory_bytes(pool);
        pool->page_cap = pool->page_cap < 16 ? 16 : pool->page_cap + pool->page_cap / 8;
        pool->pages = mem_resize(pool->pages, pool->page_cap, sizeof *pool->pages);
        *pool->bytes += directory_bytes(pool);
    }
    return pool->page_count++;
}

static uint32_t make_page(struct pool *pool, uint32_t block_bytes, uint32_t blocks) {
    uint32_t number = page_number(pool);
    struct pool_page *page = &pool->pages[number];
    *page =
        (struct pool_page){.memory = mem_resize(NULL, 1, (size_t)blocks * block_bytes + POOL_SLACK),
                           .block_bytes = block_bytes,
                           .blocks = (uint16_t)blocks,
                           .first_free = NOTHING,
                           .next = POOL_NONE,
                           .before = POOL_NONE};
    *pool->bytes += page_bytes(page);
    pool->pages_live++;
    return number;
}

static void free_page(struct pool *pool, uint32_t number) {
    struct pool_page *page = &pool->pages[number];
    *pool->bytes -= page_bytes(page);
    mem_free(page->memory);
    page->memory = NULL;
    page->next = pool->free_page;
    pool->free_page = number;
    if (--pool->pages_live == 0) {
        free_directory(pool);
    }
}

static void link_page(struct pool *pool, uint32_t *head, uint32_t number) {
    pool->pages[number].before = POOL_NONE;
    pool->pages[number].next = *head;
    if (*head != POOL_NONE) {
        pool->pages[*head].before = number;
    }
    *head = number;
}

static void unlink_page(struct pool *pool, uint32_t *head, uint32_t number) {
    const struct pool_page *page = &pool->pages[number];
    if (page->before != POOL_NONE) {
        pool->pages[page->before].next = page->next;
    } else {
        *head = page->next;
    }
    if (page->next != POOL_NONE) {
        pool->pages[page->next].before = page->before;
    }
}

/* ---- Blocks ---- */

uint32_t pool_take(struct pool *pool, uint32_t bytes) {
    uint32_t bytes_min = PAGE_BYTES >> pool->block_bits;
    bytes = bytes > bytes_min ? bytes : bytes_min;
    if (bytes > PAGE_BYTES) {
        uint32_t number = make_page(pool, bytes, 1);
        pool->pages[number].used = 1;
        return number << pool->block_bits;
    }
    uint32_t block_bytes;
    uint32_t *head = &pool->with_room[class_of(bytes, &block_bytes)];
    if (*head == POOL_NONE) {
        link_page(pool, head, make_page(pool, block_bytes, PAGE_BYTES / block_bytes));
    }
    uint32_t number = *head;
    struct pool_page *page = &pool->pages[number];
    uint16_t block = page->first_free;
    if (block != NOTHING) {
        memcpy(&page->first_free, page->memory + (size_t)block * block_bytes, sizeof block);
        if (page->first_free != NOTHING) { /* the next one's number, before it is asked for */
            __builtin_prefetch(page->memory + (size_t)page->first_free * block_bytes);
        }
    } else {
        block = page->fresh++;
    }
    if (++page->used == page->blocks) {
        unlink_page(pool, head, number);
    }
    return number << pool->block_bits | block;
}

static struct pool_page *page_of(const struct pool *pool, uint32_t handle) {
    return &pool->pages[handle >> pool->block_bits];
}

void *pool_at(const struct pool *pool, uint32_t handle) {
    const struct pool_page *page = page_of(pool, handle);
    uint32_t block = handle & ((1U << pool->block_bits) - 1);
    return page->memory + (size_t)block * page->block_bytes;
}

uint32_t pool_bytes(const struct pool *pool, uint32_t handle) {
    return page_of(pool, handle)->block_bytes;
}

void pool_give(struct pool *pool, uint32_t handle) {
    struct pool_page *page = page_of(pool, handle);
    uint32_t number = handle >> pool->block_bits;
    uint16_t block = (uint16_t)(handle & ((1U << pool->block_bits) - 1));
    CHECK(page->memory != NULL && block < page->fresh + (page->block_bytes > PAGE_BYTES));
    if (page->block_bytes > PAGE_BYTES) {
        free_page(pool, number);
        return;
    }
    uint32_t block_bytes;
    uint32_t *head = &pool->with_room[class_of(page->block_bytes, &block_bytes)];
    if (page->used == page->blocks) {
        link_page(pool, head, number);
    }
    memcpy(page->memory + (size_t)block * block_bytes, &page->first_free, sizeof block);
    page->first_free = block;
    if (--page->used == 0) {
        unlink_page(pool, head, number);
        free_page(pool, number);
    }
}

uint32_t pool_next(const struct pool *pool, uint32_t cursor) {
    uint32_t number = cursor >> pool->block_bits;
    uint32_t block = cursor & ((1U << pool->block_bits) - 1);
    while (number < pool->page_count) {
        const struct pool_page *page = &pool->pages[number];
        if (page->memory != NULL && block < page->fresh) {
            return number << pool->block_bits | block;
        }
        number++;
        block = 0;
    }
    return POOL_NONE;
}
