/* facts.c - reads and writes what a record tells of its file beside the name. */
#include "common/facts.h"

#include <string.h>

#include "common/check.h"

/* Tags of the metadata; the numbers stand in the order of enum file_number. */
#define TAG_TITLE 2
#define TAG_ARTIST 4
#define TAG_ALBUM 6
#define TAG_LANGUAGE 8
#define TAG_YEAR 10
#define TAG_HEIGHT 18
#define TAG_LOCKED 20

#define TLV_HEADER_BYTES 3
_Static_assert(3 * (TLV_HEADER_BYTES + FILE_TEXT_BYTES_MAX) + TLV_HEADER_BYTES +
                       LANGUAGE_BYTES_MAX + 5 * (TLV_HEADER_BYTES + 4) + TLV_HEADER_BYTES + 1 <=
                   FILE_META_MAX,
               "all metadata of a file fits its record");

/* Numbers in the order of their tags, from TAG_YEAR on. */
static const struct {
    enum file_number number;
    uint8_t bytes;
    uint32_t max;
} tagged_numbers[] = {
    {NUMBER_YEAR, 2, 9999},           {NUMBER_BITRATE, 4, UINT32_MAX},
    {NUMBER_DURATION, 4, UINT32_MAX}, {NUMBER_WIDTH, 2, UINT16_MAX},
    {NUMBER_HEIGHT, 2, UINT16_MAX},
};

static bool text_is_ok(struct slice text) {
    return text.len >= 1 && text.len <= FILE_TEXT_BYTES_MAX && words_text_ok(text);
}

bool file_language_ok(struct slice language) {
    bool is_ok = language.len >= 1 && language.len <= LANGUAGE_BYTES_MAX;
    for (size_t i = 0; is_ok && i < language.len; i++) {
        uint8_t byte = language.data[i];
        bool is_letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
        is_ok = is_letter || (i > 0 && (byte == '-' || (byte >= '0' && byte <= '9')));
    }
    return is_ok;
}

static void read_number(uint8_t tag, struct slice value, struct file_facts *facts) {
    size_t row = (size_t)(tag - TAG_YEAR) / 2;
    struct reader reader = reader_of(value.data, value.len);
    uint32_t number = tagged_numbers[row].bytes == 2 ? reader_u16(&reader) : reader_u32(&reader);
    if (reader_done(&reader) && number <= tagged_numbers[row].max) {
        facts->numbers[tagged_numbers[row].number] = number;
    }
}

/* `tag` is even: a record with an odd one is refused before. */
static void read_fact(uint8_t tag, struct slice value, struct file_facts *facts) {
    if (tag >= TAG_TITLE && tag <= TAG_ALBUM && text_is_ok(value)) {
        facts->texts[TEXT_TITLE + (tag - TAG_TITLE) / 2] = value;
    } else if (tag == TAG_LANGUAGE && file_language_ok(value)) {
        facts->language = value;
    } else if (tag >= TAG_YEAR && tag <= TAG_HEIGHT) {
        read_number(tag, value, facts);
    } else if (tag == TAG_LOCKED) {
        facts->is_locked = value.len == 1 && value.data[0] == 1;
    }
}

void file_facts_read(const struct file_record *file, struct file_facts *facts) {
    *facts = (struct file_facts){0};
    facts->extension = file_extension(file->name);
    facts->type = file_type_of(facts->extension);
    facts->texts[TEXT_NAME] = file->name;
    facts->numbers[NUMBER_SIZE] = file->content.size;
    struct reader reader = reader_of(file->meta.data, file->meta.len);
    while (!reader.failed && reader_left(&reader) > 0) {
        uint8_t tag = reader_u8(&reader);
        uint16_t len = reader_u16(&reader);
        struct slice value = reader_slice(&reader, len);
        if (!reader.failed) {
            read_fact(tag, value, facts);
        }
    }
}

static void put_tlv(struct buf *out, uint8_t tag, struct slice value) {
    buf_u8(out, tag);
    buf_u16(out, (uint16_t)value.len);
    buf_append(out, value.data, value.len);
}

/* The text, or as much of it as fits in whole characters. */
static struct slice cut_text(struct slice text) {
    if (text.len > FILE_TEXT_BYTES_MAX) {
        text.len = FILE_TEXT_BYTES_MAX;
        while (text.len > 0 && (text.data[text.len] & 0xc0) == 0x80) {
            text.len--;
        }
    }
    return text;
}

void file_facts_write(struct buf *out, const struct file_facts *facts) {
    for (uint8_t i = TEXT_TITLE; i < FILE_TEXTS; i++) {
        struct slice text = cut_text(facts->texts[i]);
        if (text_is_ok(text)) {
            put_tlv(out, (uint8_t)(TAG_TITLE + 2 * (i - TEXT_TITLE)), text);
        }
    }
    if (file_language_ok(facts->language)) {
        put_tlv(out, TAG_LANGUAGE, facts->language);
    }
    for (uint8_t row = 0; row < sizeof tagged_numbers / sizeof *tagged_numbers; row++) {
        uint64_t number = facts->numbers[tagged_numbers[row].number];
        uint8_t tag = (uint8_t)(TAG_YEAR + 2 * row);
        if (number == 0 || number > tagged_numbers[row].max) {
            continue;
        }
        uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                            (uint8_t)(number >> 8), (uint8_t)number};
        uint8_t len = tagged_numbers[row].bytes;
        put_tlv(out, tag, (struct slice){bytes + sizeof bytes - len, len});
    }
    if (facts->is_locked) {
        put_tlv(out, TAG_LOCKED, (struct slice){(const uint8_t[]){1}, 1});
    }
}

void file_keywords(const struct file_facts *facts, struct words *keywords) {
    keywords->count = 0;
    for (uint8_t i = 0; i < FILE_TEXTS && keywords->count < NAME_WORDS_MAX; i++) {
        enum err err = words_collect(facts->texts[i], NAME_WORDS_MAX, keywords);
        CHECK(err == OK || err == ERR_FORMAT); /* not a text: no words, still found by content */
    }
}
