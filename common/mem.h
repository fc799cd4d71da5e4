/* mem.h - memory that is there or the process ends; budgets refuse before that. */
#ifndef TRUNKLINE_COMMON_MEM_H
#define TRUNKLINE_COMMON_MEM_H

#include <stddef.h>

/* Return `bytes` of zeroed memory; never NULL. The caller frees it with mem_free. */
void *mem_new(size_t bytes);

/* Return zeroed memory for `count` items of `bytes` each; an overflow aborts. */
void *mem_array(size_t count, size_t bytes);

/* Resize to `count` items of `bytes` each, keeping contents; new bytes are not zeroed. */
void *mem_resize(void *memory, size_t count, size_t bytes);

/* Return a copy of `bytes` bytes; never NULL, also for zero bytes. */
void *mem_copy(const void *from, size_t bytes);

/* Return a copy of a string. */
char *mem_string(const char *text);

/* Free memory from the functions above; NULL is fine. */
void mem_free(void *memory);

/* Let malloc put in order what was freed of late. It does so when the next large piece is asked
 * for, and whoever asks after thousands were freed waits for all of them, 3 ms once. */
void mem_tidy(void);

#endif
