/* list_make.h - a made-up list of files such as people keep, in the order of REG_ADD. */
#ifndef TRUNKLINE_TESTS_LIST_MAKE_H
#define TRUNKLINE_TESTS_LIST_MAKE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/rng.h"
#include "common/wire.h"

#define TITLES 1000
#define LONG_LIST 10000
#define TITLE_BYTES 100
#define NAME_BYTES 200

struct list {
    char titles[TITLES][TITLE_BYTES];
    char names[LONG_LIST][NAME_BYTES];
    struct file_record records[LONG_LIST];
};

static inline void read_titles(struct list *list) {
    FILE *file = fopen(TESTS_DIR "/vectors/queries.txt", "r");
    CHECK(file != NULL);
    size_t count = 0;
    while (count < TITLES && fgets(list->titles[count], TITLE_BYTES, file) != NULL) {
        char *line = list->titles[count];
        line[strcspn(line, "/\\\n")] = '\0';
        count += line[0] != '#' && line[0] != '\0';
    }
    fclose(file);
    CHECK(count == TITLES);
}

/* What people keep: albums of twelve, pictures of a camera, films, documents. */
static inline void make_name(struct list *list, struct rng *rng, uint32_t number) {
    char name[NAME_BYTES];
    const char *title = list->titles[rng_below(rng, TITLES)];
    uint32_t group = number / 12;
    const char *artist = list->titles[(group / 3 * 131) % TITLES];
    const char *album = list->titles[(group * 57 + 11) % TITLES];
    unsigned year = 1960 + (unsigned)rng_below(rng, 64);
    unsigned time = (unsigned)rng_below(rng, 86400);
    switch (group % 5) {
    case 0:
    case 1:
        snprintf(name, NAME_BYTES, "%.40s - %.40s - %02u - %.60s.mp3", artist, album,
                 number % 12 + 1, title);
        break;
    case 2:
        snprintf(name, NAME_BYTES, "IMG_%u%02u%02u_%06u.jpg", year, group % 12 + 1, group % 28 + 1,
                 time);
        break;
    case 3:
        snprintf(name, NAME_BYTES, "%s (%u) 1080p.mkv", title, year);
        break;
    default:
        snprintf(name, NAME_BYTES, "%s.pdf", title);
    }
    memcpy(list->names[number], name, sizeof name);
}

static inline int compare_records(const void *a, const void *b) {
    return wire_file_record_compare(a, b);
}

/* Fill the first `count` records, in the order of REG_ADD. */
static inline void make_list(struct list *list, uint32_t count) {
    struct rng rng;
    rng_seed(&rng, 1);
    for (uint32_t i = 0; i < count; i++) {
        struct file_record *record = &list->records[i];
        make_name(list, &rng, i);
        uint64_t magnitude = 1ull << (16 + rng_below(&rng, 14)); /* 64 KiB to 1 GiB */
        record->content.size = magnitude + rng_below(&rng, magnitude);
        rng_fill(&rng, record->content.root.b, sizeof record->content.root.b);
        record->name = (struct slice){(const uint8_t *)list->names[i], strlen(list->names[i])};
    }
    qsort(list->records, count, sizeof *list->records, compare_records);
}

#endif
