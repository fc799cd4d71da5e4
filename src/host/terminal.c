/* terminal.c - what may be printed: strangers' text without tricks, errors in one form. */
#include "src/host/terminal.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#define COLUMNS_DEFAULT 80
#define ROWS_DEFAULT 24
#define CUT "..."
#define CUT_COLUMNS 3

/* False for what moves the cursor, hides text or turns its direction (UAX 44 Cc, Cf, Zl, Zp). */
static bool is_printable(utf8proc_int32_t point) {
    utf8proc_category_t category = utf8proc_category(point);
    return category != UTF8PROC_CATEGORY_CC && category != UTF8PROC_CATEGORY_CF &&
           category != UTF8PROC_CATEGORY_ZL && category != UTF8PROC_CATEGORY_ZP &&
           category != UTF8PROC_CATEGORY_CS && category != UTF8PROC_CATEGORY_CN;
}

struct character {
    utf8proc_ssize_t bytes; /* consumed */
    const char *text;       /* to print */
    size_t len;
    uint32_t columns;
};

static struct character next_character(const char *text) {
    utf8proc_int32_t point = -1;
    utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &point);
    if (bytes <= 0 || !is_printable(point)) {
        return (struct character){
            .bytes = bytes <= 0 ? 1 : bytes, .text = "?", .len = 1, .columns = 1};
    }
    return (struct character){.bytes = bytes,
                              .text = text,
                              .len = (size_t)bytes,
                              .columns = (uint32_t)utf8proc_charwidth(point)};
}

uint32_t terminal_width_of(const char *text) {
    uint32_t columns = 0;
    while (*text != '\0') {
        struct character character = next_character(text);
        columns += character.columns;
        text += character.bytes;
    }
    return columns;
}

void terminal_clean(char *out, size_t size, const char *text, uint32_t columns) {
    bool cut = columns != 0 && terminal_width_of(text) > columns;
    uint32_t limit = cut ? (columns > CUT_COLUMNS ? columns - CUT_COLUMNS : 0) : UINT32_MAX;
    size_t at = 0;
    uint32_t used = 0;
    while (*text != '\0') {
        struct character character = next_character(text);
        if (used + character.columns > limit ||
            at + character.len + sizeof CUT > size) { /* room for the dots and the NUL */
            cut = true;
            break;
        }
        memcpy(out + at, character.text, character.len);
        at += character.len;
        used += character.columns;
        text += character.bytes;
    }
    snprintf(out + at, size - at, "%s", cut ? CUT : "");
}

void terminal_size(FILE *stream, uint32_t *columns, uint32_t *rows) {
    struct winsize size;
    bool known = ioctl(fileno(stream), TIOCGWINSZ, &size) == 0;
    *columns = known && size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
    *rows = known && size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
}

bool terminal_is(FILE *stream) {
    return isatty(fileno(stream)) == 1;
}
