/* facts.h - what is known of a shared file: its type, texts and numbers, from its record.
 *
 * The metadata of a record is TLVs {tag u8, length u16, value}, all optional:
 *
 *     2 title   4 artist   6 album      text, 1 to FILE_TEXT_BYTES_MAX bytes
 *     8 language                        tag of RFC 5646, 1 to LANGUAGE_BYTES_MAX bytes
 *    10 year u16   12 bitrate u32   14 duration u32   16 width u16   18 height u16
 *    20 locked u8                      1: its owner lets only those fetch it whom he has named
 *
 * Numbers are big-endian and not 0. All tags are even: who does not know one keeps it and goes on.
 * A value that is not as told here counts as unknown, and the record stands: it is a stranger's
 * claim about his file, and nothing but a search depends on it. */
#ifndef TRUNKLINE_COMMON_FACTS_H
#define TRUNKLINE_COMMON_FACTS_H

#include "common/wire.h"
#include "common/words.h"

/* What a file is, told by its extension. */
enum file_type {
    FILE_AUDIO,
    FILE_VIDEO,
    FILE_IMAGE,
    FILE_DOCUMENT,
    FILE_ARCHIVE,
    FILE_SOFTWARE,
    FILE_OTHER,
    FILE_TYPES
};

/* Texts of a file that words are taken from. */
enum file_text { TEXT_NAME, TEXT_TITLE, TEXT_ARTIST, TEXT_ALBUM, FILE_TEXTS };

/* Numbers of a file that can be filtered. 0 = unknown. */
enum file_number {
    NUMBER_SIZE, /* bytes */
    NUMBER_YEAR,
    NUMBER_BITRATE,  /* kbit/s */
    NUMBER_DURATION, /* seconds */
    NUMBER_WIDTH,    /* pixels */
    NUMBER_HEIGHT,
    FILE_NUMBERS
};

/* Slices borrow from the record. */
struct file_facts {
    enum file_type type;
    struct slice extension; /* without the dot, as written; empty = none */
    struct slice texts[FILE_TEXTS];
    struct slice language; /* lower-case or not */
    uint64_t numbers[FILE_NUMBERS];
    bool is_locked; /* its owner lets only some fetch it */
};

/* Read a record's facts. */
void file_facts_read(const struct file_record *file, struct file_facts *facts);

/* Append the metadata of title, artist, album, language, the numbers but the size, and the lock, at
 * most FILE_META_MAX bytes. Texts are cut at a character; what is unknown, or would count as
 * unknown, is left out. */
void file_facts_write(struct buf *out, const struct file_facts *facts);

/* What follows the last dot of a name: 1 to EXTENSION_BYTES_MAX bytes without a blank. Empty when
 * there is no such thing, or nothing before the dot. */
struct slice file_extension(struct slice name);

/* True for what can be a tag of RFC 5646: letters, digits and hyphens that begin with a letter. */
bool file_language_ok(struct slice language);

/* The type of an extension, in any case. */
enum file_type file_type_of(struct slice extension);

/* "audio", "video" ... */
const char *file_type_name(enum file_type type);

/* The keywords under which a file is found: of its name, then of title, artist and album, distinct,
 * at most NAME_WORDS_MAX. */
void file_keywords(const struct file_facts *facts, struct words *keywords);

#endif
