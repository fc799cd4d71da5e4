/* bench_slices.c - the longest steps of an index in the cases that are worst for it: one addition,
 * and one slice of reclaiming.
 *
 * A step is a thousandth of a second or less, and a neighbour on the machine takes as much. So each
 * case runs several times, the same each time, and of the n-th step the shortest time counts. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/limits.h"
#include "common/mem.h"
#include "src/host/pins.h"
#include "supernode/index.h"
#include "tests/bench/bench.h"

#define ROUNDS 3
#define NAME_MAX_BYTES 128
#define STEP_MS_MAX 1

/* The times of steps that are the same in each round. */
struct steps {
    double *us;
    size_t count; /* of this round so far */
    size_t known; /* of the rounds before */
    size_t cap;
};

struct trial {
    struct index *index;
    struct steps additions;
    struct steps slices;
};

static double thread_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void note(struct steps *steps, double us) {
    if (steps->count == steps->cap) {
        steps->cap = steps->cap == 0 ? 4096 : 2 * steps->cap;
        steps->us = mem_resize(steps->us, steps->cap, sizeof *steps->us);
    }
    double before = steps->count < steps->known ? steps->us[steps->count] : us;
    steps->us[steps->count++] = us < before ? us : before;
}

static void round_over(struct steps *steps) {
    if (steps->known != 0 && steps->known != steps->count) {
        bench_fail("%zu steps, and %zu in another round", steps->count, steps->known);
    }
    steps->known = steps->count;
    steps->count = 0;
}

static double longest_us(struct steps *steps) {
    double longest = bench_percentile(steps->us, steps->known, 100);
    mem_free(steps->us);
    return longest;
}

/* ---- What the cases do ---- */

static struct file_record file_of(uint64_t content, const char *name) {
    struct file_record file = {.content.size = content + 1,
                               .name = {(const uint8_t *)name, strlen(name)}};
    memcpy(file.content.root.b, &content, sizeof content);
    return file;
}

static struct index_list *begin_list(const struct trial *trial) {
    static int owner;
    return index_list_new(trial->index, &owner);
}

/* False when the index or the list is full. */
static bool add(struct trial *trial, struct index_list *list, uint64_t content, const char *name) {
    struct file_record file = file_of(content, name);
    double start_us = thread_us();
    enum err err = index_list_add(list, &file);
    pins_step(); /* as after each step of a supernode */
    note(&trial->additions, thread_us() - start_us);
    return err == OK;
}

static void drop_all(struct trial *trial, struct index_list **lists, uint32_t count) {
    for (uint32_t i = count; i-- > 0;) { /* among holders the one sought is the last */
        index_list_drop(lists[i]);
    }
    for (bool is_more = true; is_more;) {
        double start_us = thread_us();
        is_more = index_reclaim(trial->index, INDEX_RECLAIM_SLICE);
        pins_step();
        note(&trial->slices, thread_us() - start_us);
    }
}

/* ---- The cases ---- */

static void names_of_one_content(struct trial *trial) {
    enum { LISTS = 40, NAMES = 5000 };
    struct index_list *lists[LISTS];
    for (uint32_t i = 0; i < LISTS; i++) {
        lists[i] = begin_list(trial);
        for (uint32_t n = 0; n < NAMES; n++) {
            char name[NAME_MAX_BYTES];
            snprintf(name, sizeof name, "same thing number%u part %u.ogg", i * NAMES + n, n % 7);
            (void)add(trial, lists[i], 7, name);
        }
    }
    drop_all(trial, lists, LISTS);
}

static void files_that_all_have(struct trial *trial) {
    enum { LISTS = 20000, FILES = 100 };
    static struct index_list *lists[LISTS];
    for (uint32_t i = 0; i < LISTS; i++) {
        lists[i] = begin_list(trial);
        for (uint32_t n = 0; n < FILES; n++) {
            char name[NAME_MAX_BYTES];
            snprintf(name, sizeof name, "popular song %u.ogg", n);
            (void)add(trial, lists[i], n, name);
        }
    }
    drop_all(trial, lists, LISTS);
}

/* Names of the same words, each with a word of its own; every other file goes at once, so that the
 * runs of numbers in all words burst. */
static void every_other_goes(struct trial *trial, uint32_t words) {
    enum { LISTS = 100 };
    struct index_list *lists[LISTS];
    for (uint32_t i = 0; i < LISTS; i++) {
        bool has_room = true;
        lists[i] = begin_list(trial);
        for (uint32_t n = 0; n < LEAF_FILES_MAX && has_room; n++) {
            char name[NAME_MAX_BYTES];
            uint32_t number = i * LEAF_FILES_MAX + n;
            int len = snprintf(name, sizeof name, "n%u", number);
            for (uint32_t w = 0; w < words; w++) {
                len += snprintf(name + len, sizeof name - (size_t)len, " w%c", 'a' + (int)w);
            }
            has_room = add(trial, lists[i], number, name);
            struct file_record file = file_of(number, name);
            if (n % 2 == 0 && has_room && !index_list_remove(lists[i], &file)) {
                bench_fail("a file is not in the list it was added to");
            }
        }
    }
    drop_all(trial, lists, LISTS);
}

static void every_other_of_three_words(struct trial *trial) {
    every_other_goes(trial, 3);
}

static void every_other_of_twenty_words(struct trial *trial) {
    every_other_goes(trial, 20);
}

void bench_slices(const struct bench *bench) {
    static const struct {
        const char *name;
        void (*run)(struct trial *trial);
    } cases[] = {{"200,000 names, 1 content", names_of_one_content},
                 {"100 files, 20,000 lists", files_that_all_have},
                 {"3 words, every other", every_other_of_three_words},
                 {"20 words, every other", every_other_of_twenty_words}};
    pins_init();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trial trial = {0};
        for (int round = 0; round < ROUNDS; round++) {
            trial.index = index_new(2, INDEX_BYTES_MAX);
            cases[i].run(&trial);
            index_free(trial.index);
            round_over(&trial.additions);
            round_over(&trial.slices);
        }
        bench_figure(bench,
                     &(struct figure){cases[i].name, longest_us(&trial.slices) / 1000, "ms",
                                      "its longest addition", longest_us(&trial.additions) / 1000,
                                      STEP_MS_MAX, BETTER_LOW});
    }
}
