/* names.c - makes one file name that every file system and every shell survives. */
#include "common/names.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#define EXTENSION_MAX 16 /* bytes with the dot; a longer one is part of the name */

struct point_range {
    utf8proc_int32_t first;
    utf8proc_int32_t last;
};

/* Control characters, line separators, what reverses the reading order of text (UAX 9), and what
 * cannot be seen (Unicode, chapter 23; the joiners U+200C and U+200D are part of honest words). */
static const struct point_range unsafe_ranges[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x061c, 0x061c},
    {0x115f, 0x1160}, {0x180e, 0x180e}, {0x200b, 0x200b}, {0x200e, 0x200f},
    {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfdd0, 0xfdef},
    {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
};

/* Blanks of other widths: they become plain ones, which do not hide at either end. */
static const struct point_range blank_ranges[] = {
    {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
    {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
};

static bool is_among(utf8proc_int32_t point, const struct point_range *ranges, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

static bool is_unsafe(utf8proc_int32_t point) {
    if (point > 0 && point < 0x80 && strchr("/\\<>:\"|?*", (int)point) != NULL) {
        return true;
    }
    return (point & 0xfffe) == 0xfffe || /* no characters */
           is_among(point, unsafe_ranges, sizeof unsafe_ranges / sizeof *unsafe_ranges);
}

/* Append the name with '_' for every unsafe character and every byte that is not UTF-8. */
static void append_safe(struct buf *out, struct slice name) {
    size_t at = 0;
    while (at < name.len) {
        utf8proc_int32_t point;
        utf8proc_ssize_t len =
            utf8proc_iterate(name.data + at, (utf8proc_ssize_t)(name.len - at), &point);
        if (len <= 0) {
            buf_u8(out, '_');
            at++;
            continue;
        }
        if (is_unsafe(point)) {
            buf_u8(out, '_');
        } else if (is_among(point, blank_ranges, sizeof blank_ranges / sizeof *blank_ranges)) {
            buf_u8(out, ' ');
        } else {
            buf_append(out, name.data + at, (size_t)len);
        }
        at += (size_t)len;
    }
}

static void trim_end(struct buf *name) {
    while (name->len > 0 &&
           (name->data[name->len - 1] == '.' || name->data[name->len - 1] == ' ')) {
        name->len--;
    }
}

static void cover_start(struct buf *name) {
    for (size_t i = 0; i < name->len && strchr(".-~ ", name->data[i]) != NULL; i++) {
        name->data[i] = '_';
    }
}

/* Shorten to NAMES_DISK_MAX bytes at a character, taking from what stands before the extension. */
static void cut(struct buf *name) {
    if (name->len <= NAMES_DISK_MAX) {
        return;
    }
    size_t dot = name->len;
    while (dot > 0 && name->data[dot - 1] != '.') {
        dot--;
    }
    size_t extension = dot > 1 ? name->len - (dot - 1) : 0;
    if (extension > EXTENSION_MAX) {
        extension = 0;
    }
    size_t keep = NAMES_DISK_MAX - extension;
    while (keep > 0 && (name->data[keep] & 0xc0) == 0x80) {
        keep--;
    }
    memmove(name->data + keep, name->data + name->len - extension, extension);
    name->len = keep + extension;
}

/* True when Windows takes the name for a device: the part before the first dot, blanks at its end
 * and case aside (Microsoft, "Naming Files, Paths, and Namespaces"). */
static bool is_device(const struct buf *name) {
    static const char *const plain[] = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"};
    static const char *const numbered[] = {"COM", "LPT"};
    static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6",
                                         "7", "8", "9", "¹", "²", "³"};
    const uint8_t *dot = memchr(name->data, '.', name->len);
    size_t len = dot != NULL ? (size_t)(dot - name->data) : name->len;
    while (len > 0 && name->data[len - 1] == ' ') {
        len--;
    }
    char base[8] = {0};
    if (len >= sizeof base) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char letter = (char)name->data[i];
        base[i] = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
    }
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (strcmp(base, plain[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof numbered / sizeof numbered[0]; i++) {
        for (size_t j = 0; j < sizeof digits / sizeof digits[0]; j++) {
            if (strncmp(base, numbered[i], 3) == 0 && strcmp(base + 3, digits[j]) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void shorten(struct buf *name) {
    cut(name);
    trim_end(name);
}

void names_sanitise(struct slice name, char out[NAMES_DISK_MAX + 1]) {
    struct buf safe = {0};
    append_safe(&safe, name);
    trim_end(&safe);
    cover_start(&safe);
    shorten(&safe);
    if (safe.len == 0) {
        buf_append(&safe, "unnamed", 7);
    }
    if (is_device(&safe)) {
        buf_u8(&safe, '_');
        memmove(safe.data + 1, safe.data, safe.len - 1);
        safe.data[0] = '_';
        shorten(&safe);
    }
    memcpy(out, safe.data, safe.len);
    out[safe.len] = '\0';
    buf_free(&safe);
}

bool names_sanitise_path(struct slice path, char out[NAMES_PATH_MAX + 1]) {
    size_t used = 0;
    uint32_t depth = 0;
    for (size_t at = 0, end; at < path.len; at = end + 1) {
        const uint8_t *slash = memchr(path.data + at, '/', path.len - at);
        end = slash != NULL ? (size_t)(slash - path.data) : path.len;
        if (end == at) {
            continue;
        }
        char name[NAMES_DISK_MAX + 1];
        names_sanitise((struct slice){path.data + at, end - at}, name);
        size_t len = strlen(name);
        if (++depth > FOLDER_DEPTH_MAX + 1 || used + len + 1 > NAMES_PATH_MAX) {
            out[0] = '\0';
            return false;
        }
        if (used > 0) {
            out[used++] = '/';
        }
        memcpy(out + used, name, len);
        used += len;
    }
    out[used] = '\0';
    return true;
}
