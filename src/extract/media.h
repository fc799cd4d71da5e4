/* media.h - reads what the headers of common media files say: texts, bit rate, length, pixels.
 *
 * libextractor 1.11 tells neither bit rate nor length of anything without GStreamer, reads MP3 and
 * MP4 by nothing else, and runs another program for PDF, which a sandbox must not. What is missing
 * is read here: from the first bytes and the boxes that matter, in bounded time, from any bytes. */
#ifndef TRUNKLINE_EXTRACT_MEDIA_H
#define TRUNKLINE_EXTRACT_MEDIA_H

#include "common/buf.h"
#include "common/facts.h"

/* A file to read. Free `window` afterwards. */
struct media_input {
    int fd;            /* -1 = there is no more than head */
    uint64_t size;     /* bytes */
    struct slice head; /* its first bytes, or all */
    struct buf window; /* the last view beyond them */
};

/* What is known so far; all zero is nothing. */
struct media {
    uint8_t texts[FILE_TEXTS][FILE_TEXT_BYTES_MAX + 4]; /* UTF-8 */
    uint8_t text_len[FILE_TEXTS];
    uint64_t numbers[FILE_NUMBERS];
};

/* Read the headers of a file of any kind; what is unknown stays. */
void media_read(struct media_input *input, struct media *media);

/* Up to `len` bytes from `offset`; fewer at the end. Valid until the next call. */
struct slice media_view(struct media_input *input, uint64_t offset, size_t len);

/* Take a text or a number that is not known yet. Blanks around a text go, control characters in it
 * become blanks, and it is cut to what a record holds; one that is no UTF-8 is not taken. */
void media_text(struct media *media, enum file_text text, struct slice value);
void media_text_latin1(struct media *media, enum file_text text, struct slice value);
void media_text_utf16(struct media *media, enum file_text text, struct slice value, bool big);
void media_number(struct media *media, enum file_number number, uint64_t value);

/* The first four digits that stand together: "2003-05-01", "D:2003". */
void media_year(struct media *media, struct slice value);

/* Duration from units per second, then what the file's size makes of the bit rate. */
void media_length(struct media *media, const struct media_input *input, uint64_t units,
                  uint64_t per_second);

/* Append the metadata (file_facts_write). */
void media_write(struct buf *out, const struct media *media);

/* One format each; the first bytes have been recognised. */
void media_read_mp3(struct media_input *input, struct media *media);
void media_read_flac(struct media_input *input, struct media *media);
void media_read_ogg(struct media_input *input, struct media *media);
void media_read_mp4(struct media_input *input, struct media *media);
void media_read_png(struct media_input *input, struct media *media);
void media_read_gif(struct media_input *input, struct media *media);
void media_read_jpeg(struct media_input *input, struct media *media);
void media_read_pdf(struct media_input *input, struct media *media);

#endif
