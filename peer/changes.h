/* changes.h - which records came and went in the list of late, so that a difference can be told. */
#ifndef TRUNKLINE_PEER_CHANGES_H
#define TRUNKLINE_PEER_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

/* One record that came or went. */
struct change {
    uint64_t prefix;   /* of the record's hash */
    uint64_t sequence; /* of the list that first shows it */
    bool is_added;
};

/* A log, oldest first, of everything after the list `since`. NULL = nothing has changed. */
struct changes {
    uint64_t since;
    uint32_t count;
    uint32_t cap;
    struct change *log;
};

/* Note a change that list `sequence` shows first; the log is made when it is NULL. Of more than
 * CHANGES_MAX the older half is forgotten. */
void changes_note(struct changes **changes, const struct change *change);

/* The list is `sequence` after all: later changes came to nothing. */
void changes_settle(struct changes *changes, uint64_t sequence);

void changes_free(struct changes *changes);

/* What became of a record between two lists. */
struct difference {
    uint64_t prefix;
    bool was_there;
    bool is_there; /* for the caller to find out */
};

/* Return the records touched after list `base`, rising by prefix, and set *count; free with
 * mem_free. */
struct difference *changes_after(const struct changes *changes, uint64_t base, uint32_t *count);

#endif
