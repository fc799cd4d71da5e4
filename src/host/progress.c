/* progress.c - one line that says how far a download is. */
#include "src/host/progress.h"

#include <inttypes.h>
#include <string.h>

#include "src/host/terminal.h"
#include "src/host/units.h"

#define BAR_COLUMNS_MIN 8
#define BAR_COLUMNS_MAX 60
#define LINE_EVERY_US 2000000

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

void progress_format(char line[PROGRESS_LINE_BYTES], const struct progress_state *state,
                     uint32_t columns) {
    char done[UNITS_TEXT_BYTES];
    char size[UNITS_TEXT_BYTES];
    char rate[UNITS_TEXT_BYTES];
    char eta[UNITS_TEXT_BYTES];
    char text[PROGRESS_LINE_BYTES / 2];
    char bar[BAR_COLUMNS_MAX + 8] = "";
    uint32_t percent = percent_of(state);
    units_bytes(done, state->done);
    units_bytes(size, state->size);
    units_bytes(rate, state->rate);
    units_duration(eta, state->eta_s);
    int len =
        snprintf(text, sizeof text, "%3" PRIu32 "%%  %s of %s  %s/s  %" PRIu64 " source%s  ETA %s",
                 percent, done, size, rate, state->sources, state->sources == 1 ? "" : "s", eta);
    uint32_t rest = columns > (uint32_t)len + 4 ? columns - (uint32_t)len - 4 : 0;
    if (rest >= BAR_COLUMNS_MIN) {
        draw_bar(bar, rest < BAR_COLUMNS_MAX ? rest : BAR_COLUMNS_MAX, percent);
    }
    snprintf(line, PROGRESS_LINE_BYTES, "%s%s", bar, text);
}

void progress_start(struct progress *progress, FILE *out) {
    *progress = (struct progress){.out = out, .terminal = terminal_is(out)};
}

void progress_show(struct progress *progress, const struct progress_state *state, uint64_t now_us) {
    char line[PROGRESS_LINE_BYTES];
    uint32_t columns = 0;
    uint32_t rows = 0;
    terminal_size(progress->out, &columns, &rows);
    if (progress->terminal) {
        progress_format(line, state, columns);
        fprintf(progress->out, "\r\033[K%s", line);
        progress->drawn = true;
    } else if (progress->printed_us == 0 || now_us - progress->printed_us >= LINE_EVERY_US) {
        progress_format(line, state, columns);
        fprintf(progress->out, "%s\n", line);
        progress->printed_us = now_us;
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
