/* index_parts.h - what the files of the index share: its records, names, words and lists.
 *
 *     terms        word -> postings: record numbers                      index_terms.c, postings.c
 *     segments     number -> root, size, type, holders; 1,024 records    index_records.c
 *     groups       16 neighbours' names and metadata, front-coded        index_names.c
 *     contents     content id -> number                                  table.c
 *     lists        a leaf's numbers, as runs                             index.c
 *
 * A number is free, alive, or dead: dead from when its last holder goes until a sweep has taken it
 * out of all postings and the table (index_reclaim.c); only then is it given out again. So nothing
 * that is found by a number has to know where else it stands. */
#ifndef TRUNKLINE_SUPERNODE_INDEX_PARTS_H
#define TRUNKLINE_SUPERNODE_INDEX_PARTS_H

#include "common/map.h"
#include "common/query.h"
#include "supernode/index.h"
#include "supernode/pool.h"
#include "supernode/postings.h"
#include "supernode/table.h"

#define NONE UINT32_MAX

/* ---- Work ---- */

/* A step of index_reclaim is about half a microsecond: a record taken out of a list, a chunk of
 * postings looked at, or as much of something else. */
#define WORK_GROUP 8          /* steps to code 16 names anew, or read them, whichever they are */
#define PLACES_PER_WORK 64    /* of a table, each with a look at whether its record lives */
#define HOLDERS_PER_WORK 1024 /* looked through for one */
#define HOLDERS_COPIED_PER_WORK 32 /* to other memory, which malloc may have to ask for */

/* ---- Records ---- */

#define GROUP_RECORDS 16
#define SEGMENT_RECORDS POSTINGS_PAGE_NUMBERS
#define SEGMENT_WORDS (SEGMENT_RECORDS / 64) /* of bits of its records */
#define SEGMENT_GROUPS (SEGMENT_RECORDS / GROUP_RECORDS)
#define SEGMENTS_MAX (TABLE_NUMBERS_MAX / SEGMENT_RECORDS)
#define BITMAP_WORDS ((SEGMENTS_MAX + 63) / 64)

/* A segment's `rest` of a record: all that a filter reads of most records. A size class, the type,
 * and whether the content has more variants. Of these, one is the main one; the others are found
 * by name and metadata too. Classes rise with sizes: below SIZE_LOW, 32 to each power of two; from
 * there on, what stands above 32 bits. */
#define REST_CLASS 0x07ffU
#define SIZE_LOW (1ULL << 32)
#define CLASS_LOW 1023U /* the last of sizes below SIZE_LOW */
#define CLASS_STEP_BITS 5
#define REST_TYPE_SHIFT 11
#define REST_TYPE 0x7U
#define REST_HAS_VARIANTS 0x4000U
#define REST_IS_VARIANT 0x8000U

#define HOLDER_SET 0x80000000U /* a holder that is a block of lists: count, then their numbers */

/* What is read of a record once it is found, side by side. */
struct record {
    struct hash root;
    uint32_t size; /* the low 32 bits */
    uint32_t holder;
};

struct segment {
    uint64_t free_groups;  /* bit per group without any number in use */
    uint64_t holed_groups; /* ... with some free */
    uint16_t rest[SEGMENT_RECORDS];
    uint32_t names[SEGMENT_GROUPS]; /* block of front-coded names, POOL_NONE */
    uint64_t alive[SEGMENT_WORDS];
    uint64_t dead[2][SEGMENT_WORDS]; /* one since the sweep began, the other before */
    struct record records[SEGMENT_RECORDS];
};

/* The group that new records go to, not yet coded. */
struct open_group {
    uint32_t group; /* NONE = none is open */
    uint16_t present;
    uint16_t used; /* bytes of text */
    struct {
        uint16_t at;
        uint16_t name_len;
        uint16_t meta_len;
    } slots[GROUP_RECORDS];
    uint8_t text[GROUP_RECORDS * (NAME_BYTES_MAX + FILE_META_MAX)];
};

/* A record of a content that has more than one: they stand in a ring. */
struct variant {
    uint32_t number;
    uint32_t next;
    uint32_t before;
};

/* Found by number; a variant's own handle has 24 bits, for the table. One table that doubles would
 * be a step of 20 ms at 130,000 names of one content. */
#define VARIANT_BLOCK_BITS 8
#define VARIANT_PAGE_BITS 16
struct variants {
    struct pool pool;
    struct table table;
};

struct records {
    struct segment **segments; /* NULL = free */
    uint32_t segment_cap;
    uint32_t segments_live;
    uint64_t **alive;             /* per segment, in it: bit per number */
    uint32_t dead_at;             /* which of a segment's two is of the dead; a sweep swaps them */
    uint64_t roomy[BITMAP_WORDS]; /* bit per segment with free_groups */
    uint64_t holed[BITMAP_WORDS]; /* ... with holed_groups */
    uint32_t live;
    uint32_t dead_count;
    uint32_t condemned_count;
    struct table contents;
    struct variants variants;
    struct open_group open;
};

/* ---- Words ---- */

#define TERM_BLOCK_BITS 8 /* of a term's number, which is a handle: 24 bits, for the table */
#define TERM_PAGE_BITS 16

/* A word that is interned, and its postings. */
struct term {
    uint32_t list;
    uint8_t len; /* 0 = this number is free */
    char text[];
};

struct terms {
    struct pool pool;
    struct table table;
};

/* Words of records added, each with a run of them, that are not yet in any postings: a record
 * shares most words with its neighbour, and what many words need can be fetched at once. */
#define PENDING_RUNS 64
struct pending_run {
    struct word word;
    uint64_t hash;
    struct run run;
    struct term *term; /* while they are put into the postings */
};
struct pending {
    struct words next; /* of the record to be added next */
    uint32_t number;   /* of the record added last */
    uint32_t last_count;
    uint8_t last[NAME_WORDS_MAX]; /* places of its words in runs */
    uint32_t count;
    struct pending_run runs[PENDING_RUNS];
};

/* ---- The whole ---- */

/* Decodes a group's names one after the other; looks into `index` only while it reads. */
struct name_reader {
    uint32_t group; /* NONE at first */
    uint32_t slot;  /* the one that stands in name and meta */
    uint16_t present;
    bool has_meta;
    const uint8_t *at;
    uint32_t name_len;
    uint32_t meta_len;
    uint8_t name[NAME_BYTES_MAX];
    uint8_t meta[FILE_META_MAX];
};

struct index_list {
    struct index *index;
    void *owner;
    struct run *runs; /* of its numbers, ascending */
    uint32_t run_count;
    uint32_t run_cap;
    uint32_t files;
    uint32_t number;
    bool shown;
    uint64_t charge; /* bytes, as if nobody shared them */
    struct index_list *next_dropped;
};

/* A list's number. Searches look at nothing else of a list. */
struct list_place {
    struct index_list *list; /* NULL = the number is free */
    void *owner;             /* NULL while it is hidden */
};

/* Where a sweep stands. */
enum sweep_phase { SWEEP_IDLE, SWEEP_TERMS, SWEEP_CONTENTS, SWEEP_SEGMENTS };

struct index {
    uint64_t bytes;
    uint64_t bytes_max;
    uint64_t sip_key[2];
    struct pool pool;
    struct records records;
    struct terms terms;
    struct pending pending;
    index_word_fn *listener;
    void *listener_context;
    struct list_place *lists; /* by number */
    uint32_t list_cap;
    uint32_t list_count;
    uint32_t list_hint; /* no number below is free */
    uint32_t leaves;
    uint64_t files;
    struct index_list *dropped; /* to be taken apart, oldest first */
    struct index_list **dropped_end;
    enum sweep_phase phase;
    uint32_t sweep_at;          /* word, shard or segment */
    uint32_t sweep_from;        /* number inside a word's postings, group inside a segment */
    struct name_reader scratch; /* for index_list_next */
};

/* ---- index.c: lists ---- */

/* Free a list without records, and its number. */
void lists_free(struct index *index, struct index_list *list);

/* Take a number out of a list that has some. */
uint32_t lists_pop(struct index_list *list);

/* ---- index_names.c: names and metadata ---- */

/* Read the texts of a record in use; they borrow from the reader. The group must not change between
 * two reads of one reader. */
void names_read(const struct index *index, struct name_reader *reader, uint32_t number,
                struct slice *name, struct slice *meta);

/* Fetch the names of a record's group into the cache. */
void names_prefetch(const struct index *index, uint32_t number);

/* Put the texts of a new record into the open group. */
void names_put(struct index *index, uint32_t number, const struct file_record *file);

/* Start to fill a group, and finish with the one that is open: code what lives of it. */
void names_open(struct index *index, uint32_t group);
void names_close(struct index *index);

/* Code a group anew when half of its names or more are of the dead. */
void names_thin(struct index *index, uint32_t group);

/* ---- index_records.c ---- */

void records_init(struct index *index);
void records_free(struct index *index);

static inline struct segment *segment_of(const struct index *index, uint32_t number) {
    return index->records.segments[number / SEGMENT_RECORDS];
}

static inline bool record_is_alive(const struct index *index, uint32_t number) {
    const uint64_t *alive = index->records.alive[number / SEGMENT_RECORDS];
    return (alive[number % SEGMENT_RECORDS / 64] >> (number % 64) & 1) != 0;
}

static inline uint32_t size_class(uint64_t size) {
    if (size >= SIZE_LOW) {
        return CLASS_LOW + (uint32_t)(size >> 32);
    }
    uint32_t power = size == 0 ? 0 : 63 - (uint32_t)__builtin_clzll(size);
    uint32_t step = (uint32_t)(size << CLASS_STEP_BITS >> power) & ((1U << CLASS_STEP_BITS) - 1);
    return power << CLASS_STEP_BITS | step;
}

static inline uint64_t record_size(const struct segment *segment, uint32_t at) {
    uint64_t class = segment->rest[at] & REST_CLASS;
    return (class > CLASS_LOW ? (class - CLASS_LOW) << 32 : 0) | segment->records[at].size;
}

static inline struct content_id record_content(const struct index *index, uint32_t number) {
    const struct segment *segment = segment_of(index, number);
    uint32_t at = number % SEGMENT_RECORDS;
    return (struct content_id){segment->records[at].root, record_size(segment, at)};
}

/* The hash of a content id; what is looked up by it next is being fetched into the cache. */
uint64_t records_hash(const struct index *index, const struct content_id *content);

/* Fetch into the cache what a filter reads of a record; what an answer reads of it besides. */
static inline void records_prefetch_rest(const struct index *index, uint32_t number) {
    __builtin_prefetch(&segment_of(index, number)->rest[number % SEGMENT_RECORDS]);
}

static inline void records_prefetch(const struct index *index, uint32_t number) {
    const struct segment *segment = segment_of(index, number);
    uint32_t at = number % SEGMENT_RECORDS;
    __builtin_prefetch(&segment->records[at].root);
    __builtin_prefetch(&segment->records[at].holder);
    __builtin_prefetch(&segment->names[at / GROUP_RECORDS]);
}

/* The living record that is this file, or NONE; `main` is the main variant of its content. */
uint32_t records_find(const struct index *index, const struct file_record *file, uint32_t main);

/* The living main variant of a content, or NONE; the variant after one, back to the main one. */
uint32_t records_find_content(const struct index *index, const struct content_id *content,
                              uint64_t hash);
uint32_t records_next_variant(const struct index *index, uint32_t number);

/* Make a record that is not there yet, without holders and words; `main` is the living main variant
 * of its content, or NONE. */
uint32_t records_make(struct index *index, const struct file_record *file, enum file_type type,
                      uint64_t hash, uint32_t main);

/* Note a list as holder, or take it back; a record without holders is dead. Return how much work
 * that was. */
void records_hold(struct index *index, uint32_t number, uint32_t list);
uint32_t records_let_go(struct index *index, uint32_t number, uint32_t list);

/* The lists that hold a record; *one is room for a single one. */
const uint32_t *records_holders(const struct index *index, uint32_t number, uint32_t *one,
                                uint32_t *count);

/* Begin a sweep: what is dead now is condemned. */
void records_condemn(struct index *index);

/* Code what the open group holds; the next record opens one anew. */
void records_close(struct index *index);

/* End it for one segment, group by group from *from (0 at first) on: its condemned numbers may be
 * given out again. True at its end. *work grows by what it took; a step is some 64 of it. */
bool records_free_condemned(struct index *index, uint32_t segment, uint32_t *from, uint32_t *work);

/* ---- index_terms.c: the words of all records ---- */

void terms_init(struct index *index);
void terms_free(struct index *index);

/* The numbers of words, NONE where there is none. */
void terms_find(const struct index *index, const struct words *words, uint32_t *numbers);

static inline struct term *term_of(const struct index *index, uint32_t number) {
    return pool_at(&index->terms.pool, number);
}

/* Where to put the words of the next record, for terms_join. */
struct words *terms_next(struct index *index);

/* Enter the words at terms_next for a new record. */
void terms_join(struct index *index, uint32_t number);

/* Enter what is pending: postings are whole afterwards. */
void terms_flush(struct index *index);

/* Sweep the postings of a term from *from on; true when they are done. */
bool terms_sweep(struct index *index, uint32_t number, uint32_t *from, uint32_t *work);

#endif
