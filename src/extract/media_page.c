/* media_page.c - PNG, GIF, JPEG and PDF: pixels, and what a document calls itself.
 *
 * Sources: ISO/IEC 15948 (PNG), ITU-T T.81 (JPEG), ISO 32000-1 (PDF). Of a PDF the dictionary that
 * the last trailer names as /Info is read when it stands in the clear; newer files pack it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/reader.h"
#include "src/extract/media.h"

#define JPEG_SEGMENTS_MAX 1000
#define PDF_TRAILER_BYTES 4096       /* before the end */
#define PDF_SEARCH_BYTES (64u << 20) /* from the end: where an object is looked for */
#define PDF_INFO_BYTES 8192
#define PDF_TEXT_BYTES 1024

void media_read_png(struct media_input *input, struct media *media) {
    struct slice head = media_view(input, 0, 24);
    if (head.len == 24 && memcmp(head.data + 12, "IHDR", 4) == 0) {
        struct reader reader = reader_of(head.data + 16, 8);
        media_number(media, NUMBER_WIDTH, reader_u32(&reader));
        media_number(media, NUMBER_HEIGHT, reader_u32(&reader));
    }
}

void media_read_gif(struct media_input *input, struct media *media) {
    struct slice head = media_view(input, 0, 10);
    if (head.len == 10) {
        media_number(media, NUMBER_WIDTH, (uint64_t)head.data[7] << 8 | head.data[6]);
        media_number(media, NUMBER_HEIGHT, (uint64_t)head.data[9] << 8 | head.data[8]);
    }
}

void media_read_jpeg(struct media_input *input, struct media *media) {
    uint64_t at = 2;
    for (uint32_t i = 0; i < JPEG_SEGMENTS_MAX; i++) {
        struct slice head = media_view(input, at, 9);
        if (head.len < 9 || head.data[0] != 0xff) {
            return;
        }
        uint8_t marker = head.data[1];
        bool is_frame =
            marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if (is_frame) {
            media_number(media, NUMBER_HEIGHT, (uint64_t)head.data[5] << 8 | head.data[6]);
            media_number(media, NUMBER_WIDTH, (uint64_t)head.data[7] << 8 | head.data[8]);
            return;
        }
        if (marker == 0xff) { /* fill */
            at++;
        } else if (marker == 0xda) { /* the picture itself, and no frame before it */
            return;
        } else {
            at += 2 + ((uint64_t)head.data[2] << 8 | head.data[3]);
        }
    }
}

/* ---- PDF ---- */

/* Where a text last stands, or NULL. */
static const uint8_t *find_last(struct slice in, const char *text) {
    size_t len = strlen(text);
    const uint8_t *last = NULL;
    const uint8_t *at = in.data;
    while (at != NULL && in.len > 0 && (size_t)(in.data + in.len - at) >= len) {
        at = memmem(at, (size_t)(in.data + in.len - at), text, len);
        last = at != NULL ? at : last;
        at = at != NULL ? at + 1 : NULL;
    }
    return last;
}

static uint8_t unescaped(uint8_t byte) {
    static const char from[] = "nrtbf";
    static const char to[] = "\n\r\t\b\f";
    const char *at = byte != 0 ? strchr(from, byte) : NULL;
    return at != NULL ? (uint8_t)to[at - from] : byte;
}

static bool is_octal(const struct reader *reader) {
    const uint8_t *at = reader->at;
    return reader_left(reader) > 0 && *at >= '0' && *at <= '7';
}

/* A string in brackets, after the first one. */
static void read_literal(struct reader *reader, struct buf *out) {
    uint32_t depth = 1;
    while (reader_left(reader) > 0 && out->len < PDF_TEXT_BYTES) {
        uint8_t byte = reader_u8(reader);
        depth += byte == '(' ? 1 : 0;
        depth -= byte == ')' ? 1 : 0;
        if (depth == 0) {
            return;
        }
        if (byte == '\\' && is_octal(reader)) {
            uint32_t value = 0;
            for (uint32_t i = 0; i < 3 && is_octal(reader); i++) {
                value = value * 8 + reader_u8(reader) - '0';
            }
            buf_u8(out, (uint8_t)value);
        } else if (byte == '\\') {
            buf_u8(out, unescaped(reader_u8(reader)));
        } else {
            buf_u8(out, byte);
        }
    }
}

/* A string of hexadecimal digits, after the `<`. */
static void read_hex(struct reader *reader, struct buf *out) {
    static const char digits[] = "0123456789abcdef";
    uint32_t value = 1;
    while (reader_left(reader) > 0 && out->len < PDF_TEXT_BYTES) {
        int byte = tolower(reader_u8(reader));
        const char *at = byte != 0 ? strchr(digits, byte) : NULL;
        if (byte == '>') {
            return;
        }
        value = at != NULL ? value << 4 | (uint32_t)(at - digits) : value;
        if (value >= 0x100) {
            buf_u8(out, (uint8_t)value);
            value = 1;
        }
    }
}

/* The string that follows a name; empty when there is none. */
static void read_string(struct slice info, const char *name, struct buf *out) {
    const uint8_t *at = memmem(info.data, info.len, name, strlen(name));
    out->len = 0;
    if (at == NULL) {
        return;
    }
    at += strlen(name);
    struct reader reader = reader_of(at, (size_t)(info.data + info.len - at));
    uint8_t byte = reader_u8(&reader);
    while (reader_left(&reader) > 0 && isspace(byte)) {
        byte = reader_u8(&reader);
    }
    if (byte == '(') {
        read_literal(&reader, out);
    } else if (byte == '<') {
        read_hex(&reader, out);
    }
}

static void take_string(struct media *media, enum file_text text, const struct buf *value) {
    struct slice bytes = {value->data, value->len};
    bool is_utf16 = value->len >= 2 && value->data[0] == 0xfe && value->data[1] == 0xff;
    bool is_utf8 = value->len >= 3 && memcmp(value->data, "\xef\xbb\xbf", 3) == 0;
    if (is_utf16) {
        media_text_utf16(media, text, bytes, true);
    } else if (is_utf8) {
        media_text(media, text, (struct slice){bytes.data + 3, bytes.len - 3});
    } else if (value->len > 0) {
        media_text_latin1(media, text, bytes); /* nearly what PDF calls its own encoding */
    }
}

/* The dictionary of the object that the last trailer names. */
static struct slice find_info(struct media_input *input) {
    uint64_t from = input->size > PDF_TRAILER_BYTES ? input->size - PDF_TRAILER_BYTES : 0;
    struct slice tail = media_view(input, from, PDF_TRAILER_BYTES);
    const uint8_t *name = find_last(tail, "/Info");
    char digits[12] = {0};
    char object[32];
    size_t len = 0;
    if (name == NULL) {
        return (struct slice){0};
    }
    for (name += 5; name < tail.data + tail.len; name++) {
        if (isdigit(*name) && len < sizeof digits - 1) {
            digits[len++] = (char)*name;
        } else if (len > 0 || !isspace(*name)) {
            break;
        }
    }
    snprintf(object, sizeof object, "\n%s 0 obj", digits);
    from = input->size > PDF_SEARCH_BYTES ? input->size - PDF_SEARCH_BYTES : 0;
    struct slice all = len > 0 ? media_view(input, from, PDF_SEARCH_BYTES) : (struct slice){0};
    const uint8_t *at = find_last(all, object);
    if (at == NULL) {
        return (struct slice){0};
    }
    size_t left = (size_t)(all.data + all.len - at);
    const uint8_t *end = memmem(at, left, "endobj", 6);
    left = end != NULL ? (size_t)(end - at) : left;
    return (struct slice){at, left < PDF_INFO_BYTES ? left : PDF_INFO_BYTES};
}

void media_read_pdf(struct media_input *input, struct media *media) {
    struct slice info = find_info(input);
    struct buf value = {0};
    if (info.len == 0) {
        return;
    }
    read_string(info, "/Title", &value);
    take_string(media, TEXT_TITLE, &value);
    read_string(info, "/Author", &value);
    take_string(media, TEXT_ARTIST, &value);
    read_string(info, "/CreationDate", &value);
    media_year(media, (struct slice){value.data, value.len});
    buf_free(&value);
}
