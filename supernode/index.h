/* index.h - which leaf has which file: an inverted index over the words of names.
 *
 * A record is one (content, name, metadata) variant and exists once, with its holders; each
 * leaf's list is a set of records. A list is built hidden, shown as a whole, hidden at once when
 * its leaf departs, and reclaimed in slices. The inside may change; this interface may not. */
#ifndef TRUNKLINE_SUPERNODE_INDEX_H
#define TRUNKLINE_SUPERNODE_INDEX_H

#include "common/query.h"

struct index;
struct index_list;

/* Return an empty index that refuses more at INDEX_REFUSE_PERCENT of `bytes_max`. `seed` keys its
 * hashes. Free with index_free. */
struct index *index_new(uint64_t seed, uint64_t bytes_max);
void index_free(struct index *index);

/* True when its memory is past what it may take: register nobody else. */
bool index_is_full(const struct index *index);

/* Start a list, hidden and empty. `owner` (borrowed, not NULL) comes back as holder. */
struct index_list *index_list_new(struct index *index, void *owner);

/* Add a record (copied); one that is in the list already changes nothing. Return ERR_LIMIT and add
 * nothing past LEAF_FILES_MAX, LEAF_INDEX_BYTES_MAX, or when the index is full. */
MUST_CHECK enum err index_list_add(struct index_list *list, const struct file_record *file);

/* Take a record out of the list, wherever it stands; false when it is not there. */
bool index_list_remove(struct index_list *list, const struct file_record *file);

/* Walk a list: set *file to the next record and advance *cursor (0 at first); false at the end. It
 * borrows until the next call of any function of this index; the list must not change meanwhile. */
bool index_list_next(const struct index_list *list, uint32_t *cursor, struct file_record *file);

/* Let searches see the list, or not: at once, whatever its length. */
void index_list_show(struct index_list *list, bool shown);

/* Records in the list. */
uint32_t index_list_files(const struct index_list *list);

/* Hide the list and give it up; the pointer is void. Its memory comes back with index_reclaim. */
void index_list_drop(struct index_list *list);

/* Do up to `steps` steps (each a record or so, well under a microsecond) of taking dropped lists
 * apart and of reusing what dead records held; true when more is left. The cost in all is that of
 * the records, not of the words' popularity. */
bool index_reclaim(struct index *index, uint32_t steps);

/* Who asks for how much. */
struct index_ask {
    uint32_t max;       /* records wanted, at most QUERY_RESULTS_MAX */
    const void *except; /* an owner who does not get his own files back; NULL = none */
    uint32_t spread;    /* any number: where to start among many holders */
};

/* One record with up to RECORD_HOLDERS_MAX of its holders; it borrows from the answer. */
struct index_found {
    struct file_record file;
    uint32_t holder_count; /* at least 1 */
    void *holders[RECORD_HOLDERS_MAX];
};

/* Records of one content id stand together. */
struct index_answer {
    uint32_t count;
    bool truncated; /* there is more: `max` or INDEX_SCAN_MAX was reached */
    struct index_found found[QUERY_RESULTS_MAX];
    uint32_t text_len;
    uint8_t text[QUERY_RESULTS_MAX * (NAME_BYTES_MAX + FILE_META_MAX)];
};

/* Find the shown records that match. */
void index_search(const struct index *index, const struct query_expr *query,
                  const struct index_ask *ask, struct index_answer *answer);

/* Find the shown records of a content id. */
void index_locate(const struct index *index, const struct content_id *content,
                  const struct index_ask *ask, struct index_answer *answer);

/* Walk the distinct words that names and texts have brought in, in any order: *cursor is 0 at
 * first. The words of a list are there at the latest when it is shown, and stay while it is hidden.
 * The word borrows until the index changes; words that come or go during a walk over several steps
 * may be missed or repeated. */
bool index_word_next(const struct index *index, uint32_t *cursor, struct slice *word);

/* Be told of each word that was not there before, at the latest as its list is shown (borrowed for
 * the call). One listener; NULL = nobody. */
typedef void index_word_fn(void *context, struct slice word);
void index_listen(struct index *index, index_word_fn *listener, void *context);

struct index_counts {
    uint32_t leaves;  /* lists shown */
    uint64_t files;   /* records in lists shown, counted once per list */
    uint32_t records; /* distinct, hidden ones included */
    uint32_t words;   /* distinct */
    uint64_t bytes;   /* of memory */
};
struct index_counts index_count(const struct index *index);

#endif
