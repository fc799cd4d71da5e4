/* names_check.h - what every name on disk must be, said without the code that makes it so. */
#ifndef TRUNKLINE_TESTS_NAMES_CHECK_H
#define TRUNKLINE_TESTS_NAMES_CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Read one character of UTF-8 and its length; 0 when it is none. */
static inline size_t names_check_point(const char *text, uint32_t *point) {
    const uint8_t *at = (const uint8_t *)text;
    size_t len = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    *point = len == 1 ? at[0] : at[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        *point = *point << 6 | (at[i] & 0x3f);
    }
    int is_fine = len > 0 && *point >= least[len] && *point <= 0x10ffff &&
                  (*point < 0xd800 || *point > 0xdfff);
    return is_fine ? len : 0;
}

/* What a reader cannot see, or not where it stands. */
static inline int names_check_hides(uint32_t point) {
    if ((point & 0xfffe) == 0xfffe) { /* no character */
        return 1;
    }
    static const uint32_t hidden[][2] = {
        {0, 0x1f},        {0x7f, 0xa0},     {0xad, 0xad},     {0x61c, 0x61c},    {0x115f, 0x1160},
        {0x1680, 0x1680}, {0x180e, 0x180e}, {0x2000, 0x200b}, {0x200e, 0x200f},  {0x2028, 0x202f},
        {0x205f, 0x206f}, {0x3000, 0x3000}, {0x3164, 0x3164}, {0xfdd0, 0xfdef},  {0xfeff, 0xfeff},
        {0xffa0, 0xffa0}, {0xfff9, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe007f}};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        if (point >= hidden[i][0] && point <= hidden[i][1]) {
            return point != ' ';
        }
    }
    return 0;
}

static inline int names_check_device(const char *name) {
    static const char *const devices[] = {"con",    "prn",     "aux",   "nul",
                                          "conin$", "conout$", "clock$"};
    size_t len = strcspn(name, ".");
    while (len > 0 && name[len - 1] == ' ') {
        len--;
    }
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        if (len == strlen(devices[i]) && strncasecmp(name, devices[i], len) == 0) {
            return 1;
        }
    }
    int is_port = strncasecmp(name, "com", 3) == 0 || strncasecmp(name, "lpt", 3) == 0;
    int is_numbered = (len == 4 && name[3] >= '0' && name[3] <= '9') ||
                      (len == 5 && name[3] == '\xc2' && strchr("\xb9\xb2\xb3", name[4]) != NULL);
    return is_port && is_numbered;
}

/* NULL, or what is wrong with it. */
static inline const char *names_complaint(const char *name) {
    size_t len = strlen(name);
    if (len < 1 || len > 240) {
        return "its length";
    }
    if (strpbrk(name, "/\\<>:\"|?*") != NULL) {
        return "a character that is no name's";
    }
    if (strchr(".-~ ", name[0]) != NULL || strchr(". ", name[len - 1]) != NULL) {
        return "how it begins or ends";
    }
    for (const char *at = name; *at != '\0';) {
        uint32_t point;
        size_t bytes = names_check_point(at, &point);
        if (bytes == 0) {
            return "not UTF-8";
        }
        if (names_check_hides(point)) {
            return "a hidden character";
        }
        at += bytes;
    }
    return names_check_device(name) ? "a device of Windows" : NULL;
}

#endif
