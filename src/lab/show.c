/* show.c - prints the steps of a demonstration: a title, facts with their times, a bar. */
#include "src/lab/show.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "src/cluster/process.h"

#define COLUMN_OF_TIMES 86
#define BAR_CELLS 32
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

void show_bytes(char text[SHOW_BYTES], uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    snprintf(text, SHOW_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

void show_bar(const struct show_progress *progress, int64_t *shown_ms) {
    bool terminal = isatty(1);
    int64_t now = process_now_ms();
    uint64_t done = progress->done, size = progress->size, rate = progress->rate;
    if (size == 0 || (!terminal && now - *shown_ms < BAR_LINE_MS)) {
        return;
    }
    *shown_ms = now;
    char bar[BAR_CELLS + 1], text[SHOW_BYTES], speed[SHOW_BYTES];
    int full = (int)(done * BAR_CELLS / size);
    for (int i = 0; i < BAR_CELLS; i++) {
        bar[i] = i < full ? '#' : '-';
    }
    bar[BAR_CELLS] = '\0';
    show_bytes(text, done);
    show_bytes(speed, rate);
    printf("%s      [%s] %3d%%  %9s  %9s/s  %u sources  ETA %llu s%s", terminal ? "\r" : "", bar,
           (int)(done * 100 / size), text, speed, progress->sources,
           (unsigned long long)(rate == 0 ? 0 : (size - done + rate - 1) / rate),
           terminal ? "  \033[K" : "\n");
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
