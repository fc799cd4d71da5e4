/* media.c - tells media files apart, and keeps what is read of one fit for a record. */
#include "src/extract/media.h"

#include <string.h>
#include <unistd.h>

#include "common/words.h"

struct slice media_view(struct media_input *input, uint64_t offset, size_t len) {
    if (offset >= input->size) {
        return (struct slice){0};
    }
    len = len < input->size - offset ? len : (size_t)(input->size - offset);
    if (offset <= input->head.len && len <= input->head.len - offset) {
        return (struct slice){input->head.data + offset, len};
    }
    if (input->fd < 0) {
        size_t left = offset < input->head.len ? input->head.len - (size_t)offset : 0;
        return (struct slice){left > 0 ? input->head.data + offset : NULL, left};
    }
    input->window.len = 0;
    uint8_t *to = buf_reserve(&input->window, len);
    ssize_t got = 1;
    while (input->window.len < len && got > 0) {
        got = pread(input->fd, to + input->window.len, len - input->window.len,
                    (off_t)(offset + input->window.len));
        input->window.len += got > 0 ? (size_t)got : 0;
    }
    return (struct slice){to, input->window.len};
}

/* ---- What is taken ---- */

void media_text(struct media *media, enum file_text text, struct slice value) {
    uint8_t *to = media->texts[text];
    while (value.len > 0 && (value.data[0] <= ' ' || value.data[0] == 0x7f)) {
        value.data++;
        value.len--;
    }
    size_t len = value.len < FILE_TEXT_BYTES_MAX ? value.len : FILE_TEXT_BYTES_MAX;
    while (len > 0 && len < value.len && (value.data[len] & 0xc0) == 0x80) {
        len--;
    }
    if (media->text_len[text] > 0 || len == 0) {
        return;
    }
    memcpy(to, value.data, len);
    for (size_t i = 0; i < len; i++) {
        to[i] = to[i] < ' ' || to[i] == 0x7f ? ' ' : to[i];
    }
    while (len > 0 && to[len - 1] == ' ') {
        len--;
    }
    if (words_text_ok((struct slice){to, len})) {
        media->text_len[text] = (uint8_t)len;
    }
}

/* UTF-8 of one character; those that are none are left out. */
static void put_character(struct buf *out, uint32_t code) {
    bool is_none = code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000);
    if (is_none) {
        return;
    }
    if (code < 0x80) {
        buf_u8(out, (uint8_t)code);
    } else if (code < 0x800) {
        buf_u8(out, (uint8_t)(0xc0 | code >> 6));
    } else if (code < 0x10000) {
        buf_u8(out, (uint8_t)(0xe0 | code >> 12));
    } else {
        buf_u8(out, (uint8_t)(0xf0 | code >> 18));
        buf_u8(out, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
    }
    if (code >= 0x800) {
        buf_u8(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
    }
    if (code >= 0x80) {
        buf_u8(out, (uint8_t)(0x80 | (code & 0x3f)));
    }
}

void media_text_latin1(struct media *media, enum file_text text, struct slice value) {
    struct buf utf8 = {0};
    for (size_t i = 0; i < value.len && i < 4 * FILE_TEXT_BYTES_MAX && value.data[i] != 0; i++) {
        put_character(&utf8, value.data[i]);
    }
    media_text(media, text, (struct slice){utf8.data, utf8.len});
    buf_free(&utf8);
}

void media_text_utf16(struct media *media, enum file_text text, struct slice value, bool big) {
    struct buf utf8 = {0};
    uint32_t high = 0;
    for (size_t i = 0; i + 1 < value.len && utf8.len < 4 * FILE_TEXT_BYTES_MAX; i += 2) {
        uint32_t unit = big ? (uint32_t)(value.data[i] << 8 | value.data[i + 1])
                            : (uint32_t)(value.data[i + 1] << 8 | value.data[i]);
        if (unit == 0) {
            break;
        }
        bool is_low = unit >= 0xdc00 && unit < 0xe000;
        if (high != 0 && is_low) {
            put_character(&utf8, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
        } else if (unit != 0xfeff) {
            put_character(&utf8, unit);
        }
        high = unit >= 0xd800 && unit < 0xdc00 ? unit : 0;
    }
    media_text(media, text, (struct slice){utf8.data, utf8.len});
    buf_free(&utf8);
}

void media_number(struct media *media, enum file_number number, uint64_t value) {
    if (media->numbers[number] == 0) {
        media->numbers[number] = value;
    }
}

void media_year(struct media *media, struct slice value) {
    uint32_t digits = 0;
    uint32_t year = 0;
    for (size_t i = 0; i < value.len && digits < 4; i++) {
        bool is_digit = value.data[i] >= '0' && value.data[i] <= '9';
        digits = is_digit ? digits + 1 : 0;
        year = is_digit ? year * 10 + value.data[i] - '0' : 0;
    }
    if (digits == 4) {
        media_number(media, NUMBER_YEAR, year);
    }
}

void media_length(struct media *media, const struct media_input *input, uint64_t units,
                  uint64_t per_second) {
    if (per_second == 0 || units == 0 || units / per_second > UINT32_MAX) {
        return;
    }
    double seconds = (double)units / (double)per_second;
    double kbit = (double)input->size * 8 / 1000 / seconds;
    media_number(media, NUMBER_DURATION, seconds < 1 ? 1 : (uint64_t)(seconds + 0.5));
    if (kbit >= 1 && kbit < UINT32_MAX) {
        media_number(media, NUMBER_BITRATE, (uint64_t)(kbit + 0.5));
    }
}

void media_write(struct buf *out, const struct media *media) {
    struct file_facts facts = {0};
    for (uint32_t i = TEXT_TITLE; i < FILE_TEXTS; i++) {
        facts.texts[i] = (struct slice){media->texts[i], media->text_len[i]};
    }
    memcpy(facts.numbers, media->numbers, sizeof facts.numbers);
    file_facts_write(out, &facts);
}

/* ---- Which format ---- */

static const struct format {
    void (*read)(struct media_input *input, struct media *media);
    uint8_t at;
    uint8_t len;
    const char *magic;
} formats[] = {
    {media_read_png, 0, 8, "\x89PNG\r\n\x1a\n"},
    {media_read_jpeg, 0, 3, "\xff\xd8\xff"},
    {media_read_gif, 0, 4, "GIF8"},
    {media_read_flac, 0, 4, "fLaC"},
    {media_read_ogg, 0, 4, "OggS"},
    {media_read_mp4, 4, 4, "ftyp"},
    {media_read_pdf, 0, 5, "%PDF-"},
    {media_read_mp3, 0, 3, "ID3"},
    {media_read_mp3, 0, 2, "\xff\xfb"},
    {media_read_mp3, 0, 2, "\xff\xfa"},
    {media_read_mp3, 0, 2, "\xff\xf3"},
    {media_read_mp3, 0, 2, "\xff\xf2"},
    {media_read_mp3, 0, 2, "\xff\xe3"},
};

void media_read(struct media_input *input, struct media *media) {
    struct slice first = media_view(input, 0, 16);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const struct format *format = &formats[i];
        if (first.len >= (size_t)format->at + format->len &&
            memcmp(first.data + format->at, format->magic, format->len) == 0) {
            format->read(input, media);
            return;
        }
    }
}
