/* index_model.h - a supernode's index beside a naive model of it: lists of plain records, all
 * looked through. The unit test and the fuzz target drive it, each with dice of its own. */
#ifndef TRUNKLINE_TESTS_UNIT_INDEX_MODEL_H
#define TRUNKLINE_TESTS_UNIT_INDEX_MODEL_H

#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/facts.h"
#include "common/mem.h"
#include "supernode/index.h"

#define MODEL_LISTS 12
#define MODEL_FILES 60
#define MODEL_CONTENTS 12
#define MODEL_WORDS 14
#define MODEL_NAME_BYTES 64
#define MODEL_BUDGET (64u * 1024 * 1024)

struct model_file {
    struct file_record record; /* borrows from name and meta */
    char name[MODEL_NAME_BYTES];
    struct buf meta;
    struct file_facts facts;
    struct words keywords;
};

struct model_list {
    struct index_list *list; /* NULL = none */
    bool shown;
    uint32_t count;
    struct model_file *files[MODEL_FILES];
};

struct model {
    uint32_t (*draw)(void *context, uint32_t bound); /* a number below bound */
    void *context;
    struct index *index;
    struct index_answer *answer;
    struct model_list lists[MODEL_LISTS];
    uint32_t told;    /* words that the listener was told of */
    uint64_t checked; /* answers compared in full */
};

static inline uint32_t model_draw(struct model *model, uint32_t bound) {
    return model->draw(model->context, bound);
}

/* ---- Files ---- */

static inline const char *model_word(struct model *model) {
    static const char *const vocabulary[MODEL_WORDS] = {
        "whale", "blue", "song", "wind", "Caf\u00e9", "north",       "a",
        "b",     "c",    "d",    "e",    "2001",      "stra\u00dfe", "moon"};
    return vocabulary[model_draw(model, MODEL_WORDS)];
}

static inline struct slice model_slice(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

/* Sizes lie far apart, some beyond 32 bits; two contents share a root. */
static inline struct content_id model_content(uint32_t number) {
    struct content_id content = {.size = 1 + ((uint64_t)number << (number * 3))};
    content.root.b[31] = (uint8_t)(number / 2 * 2);
    return content;
}

static inline struct model_file *model_file_new(struct model *model) {
    static const char *const endings[] = {"", ".ogg", ".txt", ".mkv"};
    struct model_file *file = mem_new(sizeof *file);
    uint32_t words = 1 + model_draw(model, 4);
    for (uint32_t i = 0; i < words; i++) {
        strcat(file->name, i > 0 ? "-" : "");
        strcat(file->name, model_word(model));
    }
    strcat(file->name, endings[model_draw(model, 4)]);
    struct file_facts facts = {0};
    if (model_draw(model, 3) == 0) {
        facts.numbers[NUMBER_YEAR] = 1990 + model_draw(model, 4);
        facts.texts[TEXT_ALBUM] = model_slice(model_word(model));
    }
    file_facts_write(&file->meta, &facts);
    file->record.content = model_content(model_draw(model, MODEL_CONTENTS));
    file->record.name = model_slice(file->name);
    file->record.meta = (struct slice){file->meta.data, file->meta.len};
    file_facts_read(&file->record, &file->facts);
    file_keywords(&file->facts, &file->keywords);
    return file;
}

static inline void model_file_free(struct model_file *file) {
    buf_free(&file->meta);
    mem_free(file);
}

static inline bool model_slices_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool model_same(const struct file_record *a, const struct file_record *b) {
    return content_equal(&a->content, &b->content) && model_slices_equal(a->name, b->name) &&
           model_slices_equal(a->meta, b->meta);
}

/* The place of a file in a list; the list's count when it is not there. */
static inline uint32_t model_find(const struct model_list *list, const struct file_record *file) {
    uint32_t i = 0;
    while (i < list->count && !model_same(&list->files[i]->record, file)) {
        i++;
    }
    return i;
}

/* ---- Changes ---- */

static inline void model_add(struct model *model, struct model_list *list) {
    if (list->list == NULL) {
        list->list = index_list_new(model->index, list);
        list->shown = false;
    }
    if (list->count == MODEL_FILES) {
        return;
    }
    struct model_file *file = model_file_new(model);
    CHECK(index_list_add(list->list, &file->record) == OK);
    if (model_find(list, &file->record) == list->count) {
        list->files[list->count++] = file;
    } else {
        model_file_free(file);
    }
}

static inline void model_remove(struct model *model, struct model_list *list) {
    if (list->list == NULL) {
        return;
    }
    struct model_file *absent = model_file_new(model);
    bool is_there = model_find(list, &absent->record) < list->count;
    if (!is_there) {
        CHECK(!index_list_remove(list->list, &absent->record));
    }
    model_file_free(absent);
    if (list->count > 0) {
        uint32_t at = model_draw(model, list->count);
        CHECK(index_list_remove(list->list, &list->files[at]->record));
        model_file_free(list->files[at]);
        list->files[at] = list->files[--list->count];
    }
}

static inline void model_drop(struct model_list *list) {
    if (list->list == NULL) {
        return;
    }
    index_list_drop(list->list);
    list->list = NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        model_file_free(list->files[i]);
    }
    list->count = 0;
    list->shown = false;
}

/* ---- Questions ---- */

/* What is asked: a query, or a content. */
struct model_question {
    struct query_expr query;
    struct content_id content;
    bool is_content;
};

static inline bool model_matches(const struct model_question *question,
                                 const struct model_file *file) {
    return question->is_content ? content_equal(&file->record.content, &question->content)
                                : words_contain(&file->keywords, &question->query.words) &&
                                      query_matches(&question->query, &file->facts);
}

/* Every record of the answer must be right, with the holders it has, and stand once. */
static inline uint32_t model_check_found(const struct model *model,
                                         const struct model_question *question,
                                         const struct model_list *except) {
    const struct index_answer *answer = model->answer;
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct index_found *found = &answer->found[i];
        bool is_apart = false;
        for (uint32_t other = i; other-- > 0;) {
            const struct file_record *before = &answer->found[other].file;
            bool is_variant = content_equal(&before->content, &found->file.content);
            CHECK(!model_same(before, &found->file));
            CHECK(!is_variant || !is_apart); /* variants stand together */
            is_apart = is_apart || !is_variant;
        }
        CHECK(found->holder_count > 0 && found->holder_count <= RECORD_HOLDERS_MAX);
        for (uint32_t n = 0; n < found->holder_count; n++) {
            const struct model_list *list = found->holders[n];
            uint32_t at = model_find(list, &found->file);
            CHECK(list != except && list->shown && at < list->count);
            CHECK(model_matches(question, list->files[at]));
            for (uint32_t other = 0; other < n; other++) {
                CHECK(found->holders[other] != list);
            }
        }
        pairs += found->holder_count;
    }
    return pairs;
}

static inline void model_compare(struct model *model, const struct model_question *question,
                                 const struct index_ask *ask) {
    const struct model_list *except = ask->except;
    uint32_t expected = 0;
    for (int i = 0; i < MODEL_LISTS; i++) {
        const struct model_list *list = &model->lists[i];
        for (uint32_t n = 0; list->shown && list != except && n < list->count; n++) {
            expected += model_matches(question, list->files[n]);
        }
    }
    uint32_t pairs = model_check_found(model, question, except);
    CHECK(model->answer->count <= ask->max);
    CHECK(model->answer->truncated ? model->answer->count == ask->max && pairs < expected
                                   : pairs == expected);
    model->checked += !model->answer->truncated;
}

static inline void model_draw_query(struct model *model, struct query_expr *query) {
    static const char *const filters[] = {"",
                                          "",
                                          "",
                                          " type:audio",
                                          " size:>2K",
                                          " size:<100",
                                          " -whale",
                                          " -\"blue song\"",
                                          " year:1991..1992",
                                          " ext:txt,ogg",
                                          " \"wind north\"",
                                          " album:moon",
                                          " size:9B..129B",
                                          " type:audio,video size:1..5G"};
    char text[QUERY_TEXT_MAX];
    uint32_t words = 1 + model_draw(model, 3);
    text[0] = '\0';
    for (uint32_t i = 0; i < words; i++) {
        strcat(text, i > 0 ? " " : "");
        strcat(text, model_word(model));
    }
    strcat(text, filters[model_draw(model, sizeof filters / sizeof *filters)]);
    CHECK(query_parse(model_slice(text), query, NULL) == OK);
}

static inline void model_ask(struct model *model) {
    struct index_ask ask = {.max = QUERY_RESULTS_MAX, .spread = model_draw(model, 1000)};
    if (model_draw(model, 2) == 0) {
        ask.except = &model->lists[model_draw(model, MODEL_LISTS)];
    }
    if (model_draw(model, 4) == 0) {
        ask.max = model_draw(model, 5);
    }
    struct model_question question = {.is_content = model_draw(model, 3) == 0};
    if (question.is_content) {
        question.content = model_content(model_draw(model, MODEL_CONTENTS + 1));
        index_locate(model->index, &question.content, &ask, model->answer);
    } else {
        model_draw_query(model, &question.query);
        index_search(model->index, &question.query, &ask, model->answer);
    }
    model_compare(model, &question, &ask);
}

/* Walk a list; every record must come once. */
static inline void model_walk(const struct model_list *list) {
    uint32_t cursor = 0, count = 0;
    struct file_record file;
    bool seen[MODEL_FILES] = {false};
    while (list->list != NULL && index_list_next(list->list, &cursor, &file)) {
        uint32_t at = model_find(list, &file);
        CHECK(at < list->count && !seen[at]);
        seen[at] = true;
        count++;
    }
    CHECK(count == list->count);
}

/* Every word of every shown list must be known, and nothing that is no word. */
static inline void model_walk_words(const struct model *model) {
    static struct words known; /* NAME_WORDS_MAX is more than there are */
    uint32_t cursor = 0;
    struct slice text;
    known.count = 0;
    while (index_word_next(model->index, &cursor, &text)) {
        struct word word = {.len = (uint8_t)text.len};
        CHECK(text.len > 0 && text.len <= WORD_BYTES_MAX && words_text_span(text) == text.len);
        memcpy(word.text, text.data, text.len);
        CHECK(words_find(&known, &word) == known.count);
        words_add(&known, NAME_WORDS_MAX, &word);
    }
    CHECK(known.count == index_count(model->index).words && known.count <= model->told);
    for (int i = 0; i < MODEL_LISTS; i++) {
        for (uint32_t n = 0; model->lists[i].shown && n < model->lists[i].count; n++) {
            CHECK(words_contain(&known, &model->lists[i].files[n]->keywords));
        }
    }
}

static inline void model_check_counts(const struct model *model) {
    struct index_counts counts = index_count(model->index);
    uint32_t leaves = 0, records = 0;
    uint64_t files = 0;
    for (int i = 0; i < MODEL_LISTS; i++) {
        const struct model_list *list = &model->lists[i];
        leaves += list->shown;
        files += list->shown ? list->count : 0;
        records += list->count;
        CHECK(list->list == NULL || index_list_files(list->list) == list->count);
    }
    CHECK(counts.leaves == leaves && counts.files == files);
    CHECK((counts.bytes > 0) >= (records > 0));
}

/* ---- The whole ---- */

static inline void model_told(void *context, struct slice word) {
    struct model *model = context;
    CHECK(word.len > 0);
    model->told++;
}

static inline struct model *model_new(uint64_t seed, uint32_t (*draw)(void *, uint32_t),
                                      void *context) {
    struct model *model = mem_new(sizeof *model);
    model->draw = draw;
    model->context = context;
    model->answer = mem_new(sizeof *model->answer);
    model->index = index_new(seed, MODEL_BUDGET);
    index_listen(model->index, model_told, model);
    return model;
}

/* Do one thing, any. */
static inline void model_step(struct model *model) {
    struct model_list *list = &model->lists[model_draw(model, MODEL_LISTS)];
    switch (model_draw(model, 12)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        model_add(model, list);
        break;
    case 5:
        model_remove(model, list);
        break;
    case 6:
        if (list->list != NULL) {
            list->shown = !list->shown;
            index_list_show(list->list, list->shown);
        }
        break;
    case 7:
        if (model_draw(model, 4) == 0) {
            model_drop(list);
        }
        break;
    case 8:
        (void)index_reclaim(model->index, model_draw(model, 60));
        break;
    case 9:
        model_walk(list);
        if (model_draw(model, 4) == 0) {
            model_walk_words(model);
        }
        break;
    default:
        model_ask(model);
        break;
    }
    model_check_counts(model);
}

/* Drop all that is there; nothing may be left of it. */
static inline void model_free(struct model *model) {
    for (int i = 0; i < MODEL_LISTS; i++) {
        model_drop(&model->lists[i]);
    }
    while (index_reclaim(model->index, 1000)) {
    }
    CHECK(index_count(model->index).bytes == 0 && index_count(model->index).words == 0);
    index_free(model->index);
    mem_free(model->answer);
    mem_free(model);
}

#endif
