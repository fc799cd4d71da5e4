/* progress.c - one line that says how far a download is. */
#include "src/host/progress.h"

#include <inttypes.h>
#include <string.h>

#include "common/units.h"
#include "src/host/terminal.h"

#define BAR_COLUMNS_MIN 8
#define BAR_COLUMNS_MAX 60
#define LINE_EVERY_US 2000000
#define SAME_EVERY_US 60000000 /* a sign of life when nothing changes */

static uint32_t percent_of(const struct progress_state *state) {
    if (state->size == 0 || state->done >= state->size) {
        return state->done >= state->size ? 100 : 0;
    }
    /* sizes are below 2^43, so that this cannot overflow */
    return (uint32_t)(state->done * 100 / state->size);
}

static void draw_bar(char bar[BAR_COLUMNS_MAX + 8], uint32_t columns, uint32_t percent) {
    uint32_t filled = columns * percent / 100;
    bar[0] = '[';
    memset(bar + 1, '#', filled);
    memset(bar + 1 + filled, '-', columns - filled);
    memcpy(bar + 1 + columns, "] ", 3);
}

/* What stands right of the bar. */
static void format_text(char text[PROGRESS_LINE_BYTES / 2], const struct progress_state *state) {
    char done[UNITS_TEXT_BYTES];
    char size[UNITS_TEXT_BYTES];
    char rate[UNITS_TEXT_BYTES];
    char eta[UNITS_TEXT_BYTES];
    char motion[PROGRESS_LINE_BYTES / 4];
    units_bytes(done, state->done);
    units_bytes(size, state->size);
    units_bytes(rate, state->rate);
    units_duration(eta, state->eta_s);
    if (state->note != NULL) {
        snprintf(motion, sizeof motion, "%s", state->note);
    } else {
        snprintf(motion, sizeof motion, "%s/s  %" PRIu64 " source%s  ETA %s", rate, state->sources,
                 state->sources == 1 ? "" : "s", eta);
    }
    snprintf(text, PROGRESS_LINE_BYTES / 2, "%3" PRIu32 "%%  %s of %s  %s", percent_of(state), done,
             size, motion);
}

void progress_format(char line[PROGRESS_LINE_BYTES], const struct progress_state *state,
                     uint32_t columns) {
    char text[PROGRESS_LINE_BYTES / 2];
    char bar[BAR_COLUMNS_MAX + 8] = "";
    format_text(text, state);
    uint32_t len = (uint32_t)strlen(text);
    uint32_t rest = columns > len + 4 ? columns - len - 4 : 0;
    if (rest >= BAR_COLUMNS_MIN) {
        draw_bar(bar, rest < BAR_COLUMNS_MAX ? rest : BAR_COLUMNS_MAX, percent_of(state));
    }
    snprintf(line, PROGRESS_LINE_BYTES, "%s%s", bar, text);
}

void progress_start(struct progress *progress, FILE *out) {
    *progress = (struct progress){.out = out, .terminal = terminal_is(out)};
}

/* A file or a pipe: now and then a line. */
static void print_line(struct progress *progress, const char *line, uint64_t now_us) {
    uint64_t pause_us = strcmp(line, progress->last) == 0 ? SAME_EVERY_US : LINE_EVERY_US;
    if (progress->printed_us == 0 || now_us - progress->printed_us >= pause_us) {
        fprintf(progress->out, "%s\n", line);
        progress->printed_us = now_us;
        snprintf(progress->last, sizeof progress->last, "%s", line);
    }
}

void progress_show(struct progress *progress, const struct progress_state *state, uint64_t now_us) {
    char line[PROGRESS_LINE_BYTES];
    uint32_t columns = 0;
    uint32_t rows = 0;
    terminal_size(progress->out, &columns, &rows);
    progress_format(line, state, columns);
    if (progress->terminal) {
        fprintf(progress->out, "\r\033[K%s", line);
        progress->drawn = true;
    } else {
        print_line(progress, line, now_us);
    }
    fflush(progress->out);
}

void progress_clear(struct progress *progress) {
    if (progress->drawn) {
        fputs("\r\033[K", progress->out);
        fflush(progress->out);
        progress->drawn = false;
    }
}
