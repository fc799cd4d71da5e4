/* terminal.h - what may be printed: strangers' text without tricks, errors in one form. */
#ifndef TRUNKLINE_HOST_TERMINAL_H
#define TRUNKLINE_HOST_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Copy text that may come from strangers for printing: control characters, invalid UTF-8 and the
 * characters that turn the writing direction become '?'. At most `columns` wide (0 = no bound),
 * then cut with "..." at a character; `out` holds `size` bytes. */
void terminal_clean(char *out, size_t size, const char *text, uint32_t columns);

/* The width of a text on a terminal, in columns. */
uint32_t terminal_width_of(const char *text);

/* Columns and rows of the terminal behind a stream; 80 and 24 when it does not say. */
void terminal_size(FILE *stream, uint32_t *columns, uint32_t *rows);

bool terminal_is(FILE *stream);

#endif
