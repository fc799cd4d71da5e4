/* progress.h - one line that says how far a download is. */
#ifndef TRUNKLINE_HOST_PROGRESS_H
#define TRUNKLINE_HOST_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress_state {
    uint64_t done; /* bytes */
    uint64_t size; /* bytes, more than 0 */
    uint64_t rate; /* bytes per second */
    uint64_t sources;
    uint64_t eta_s;   /* UINT64_MAX = unknown */
    const char *note; /* says why nothing moves, instead of rate, sources and time; or NULL */
};

/* Format `[#####-----]  50%  128.0 MiB of 256.0 MiB  31.9 MiB/s  4 sources  ETA 0:04` without a
 * line end; the bar takes what the rest leaves of `columns`, or goes when that is too little. */
#define PROGRESS_LINE_BYTES 512
void progress_format(char line[PROGRESS_LINE_BYTES], const struct progress_state *state,
                     uint32_t columns);

/* Where and how often lines appear: redrawn in place on a terminal, else one every 2 s, and every
 * minute when nothing changes. */
struct progress {
    FILE *out;
    bool terminal;
    bool drawn;          /* an unfinished line stands on the terminal */
    uint64_t printed_us; /* when the last line went out; 0 = never */
    char last[PROGRESS_LINE_BYTES];
};

void progress_start(struct progress *progress, FILE *out);
/* Show the state; now_us is any monotonic clock. */
void progress_show(struct progress *progress, const struct progress_state *state, uint64_t now_us);
/* Remove the unfinished line, so that other text may be printed. */
void progress_clear(struct progress *progress);

#endif
