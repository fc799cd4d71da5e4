/* show.c - prints the steps of a demonstration: a title, facts with their times, a bar. */
#include "src/lab/show.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/units.h"
#include "src/cluster/process.h"

#define COLUMNS 80 /* of a terminal that does not say, and of no terminal */
#define COLUMN_OF_TIMES (COLUMNS - 10)
#define BAR_CELLS_MIN 8
#define BAR_CELLS_MAX 32
#define BAR_LINE_MS 2000
#define FILE_END_BYTES 2000

void show_step(uint32_t step, uint32_t steps, const char *title) {
    bool bold = isatty(1);
    printf("\n%s[%u/%u] %s%s\n", bold ? "\033[1m" : "", step, steps, title, bold ? "\033[0m" : "");
    fflush(stdout);
}

void show_result(const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("      ");
    int printed = 6 + vprintf(format, args);
    va_end(args);
    printf("%*s", printed < COLUMN_OF_TIMES ? COLUMN_OF_TIMES - printed : 1, "");
}

void show_time(int64_t start_ms) {
    printf("%7.2f s\n", (double)(process_now_ms() - start_ms) / 1000);
    fflush(stdout);
}

static int columns_of_terminal(void) {
    struct winsize size;
    return ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS;
}

/* What stands right of the bar. */
static int format_progress(char text[COLUMNS], const struct show_progress *progress) {
    char done[UNITS_TEXT_BYTES], speed[UNITS_TEXT_BYTES];
    uint64_t left = progress->size - progress->done, rate = progress->rate;
    units_bytes(done, progress->done);
    units_bytes(speed, rate);
    return snprintf(text, COLUMNS, "%3d%% %10s %10s/s  %u sources  ETA %llu s",
                    (int)(progress->done * 100 / progress->size), done, speed, progress->sources,
                    (unsigned long long)(rate == 0 ? 0 : (left + rate - 1) / rate));
}

/* A line that is longer than the terminal is wide could not be drawn over: the bar gives way. */
void show_bar(const struct show_progress *progress, int64_t *shown_ms) {
    bool terminal = isatty(1);
    int64_t now = process_now_ms();
    if (progress->size == 0 || (!terminal && now - *shown_ms < BAR_LINE_MS)) {
        return;
    }
    *shown_ms = now;
    char text[COLUMNS], bar[BAR_CELLS_MAX + 1];
    int columns = columns_of_terminal() - 1; /* the last one may wrap */
    int cells = columns - format_progress(text, progress) - (int)strlen("      [] ");
    cells = cells < BAR_CELLS_MAX ? cells : BAR_CELLS_MAX;
    printf("%s", terminal ? "\r" : "");
    if (cells >= BAR_CELLS_MIN) {
        int full = (int)(progress->done * (uint64_t)cells / progress->size);
        memset(bar, '#', (size_t)full);
        memset(bar + full, '-', (size_t)(cells - full));
        printf("      [%.*s] ", cells, bar);
    }
    printf("%.*s%s", columns, text, terminal ? "\033[K" : "\n");
    fflush(stdout);
}

void show_bar_end(void) {
    if (isatty(1)) {
        printf("\r\033[K");
        fflush(stdout);
    }
}

void show_file_end(const char *path, FILE *to) {
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return;
    }
    char text[FILE_END_BYTES + 1];
    if (fseek(file, -FILE_END_BYTES, SEEK_END) != 0) {
        rewind(file);
    }
    size_t len = fread(text, 1, FILE_END_BYTES, file);
    text[len] = '\0';
    fclose(file);
    fprintf(to, "\n--- end of %s\n%s---\n", path, text);
}
