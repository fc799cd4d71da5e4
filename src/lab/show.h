/* show.h - prints the steps of a demonstration: a title, facts with their times, a bar. */
#ifndef TRUNKLINE_LAB_SHOW_H
#define TRUNKLINE_LAB_SHOW_H

#include <stdint.h>
#include <stdio.h>

/* `[3/7] Supernodes start`. */
void show_step(uint32_t step, uint32_t steps, const char *title);

/* One fact; show_time then ends the line with the time since `start_ms` (process_now_ms). */
void show_result(const char *format, ...) __attribute__((format(printf, 1, 2)));
void show_time(int64_t start_ms);

struct show_progress {
    uint64_t done; /* bytes */
    uint64_t size; /* bytes */
    uint64_t rate; /* bytes per second */
    uint32_t sources;
};

/* A bar, redrawn in place on a terminal, else one line every other second; *shown_ms is 0 at first.
 */
void show_bar(const struct show_progress *progress, int64_t *shown_ms);
void show_bar_end(void);

/* The last lines of a file, so that a failure explains itself. */
void show_file_end(const char *path, FILE *to);

#endif
