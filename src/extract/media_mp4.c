/* media_mp4.c - MP4 and its kin: length, pixels and the texts of iTunes.
 *
 * Sources: ISO/IEC 14496-12 (boxes), Apple's QuickTime file format (the list of texts). */
#include <string.h>

#include "common/reader.h"
#include "src/extract/media.h"

#define BOXES_MAX 4096             /* looked at in one file */
#define MOOV_BYTES_MAX (16u << 20) /* of long films; the rest of a larger one is not read */
#define TAG(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

struct walk {
    struct media_input *input;
    struct media *media;
    uint32_t boxes;
};

/* The next box; false at the end, or where there is none. */
static bool next_box(struct walk *walk, struct reader *reader, uint32_t *type, struct slice *body) {
    uint64_t size = reader_u32(reader);
    *type = reader_u32(reader);
    uint64_t header = 8;
    if (size == 1) {
        size = reader_u64(reader);
        header = 16;
    }
    if (reader->failed || (size < header && size != 0) || walk->boxes++ >= BOXES_MAX) {
        return false;
    }
    uint64_t len = size == 0 ? UINT64_MAX : size - header;
    len = len < reader_left(reader) ? len : reader_left(reader);
    *body = reader_slice(reader, (size_t)len);
    return true;
}

static void read_movie_header(struct walk *walk, struct slice body) {
    struct reader reader = reader_of(body.data, body.len);
    bool is_wide = reader_u32(&reader) >> 24 == 1;
    reader_slice(&reader, is_wide ? 16 : 8);
    uint32_t per_second = reader_u32(&reader);
    uint64_t units = is_wide ? reader_u64(&reader) : reader_u32(&reader);
    if (!reader.failed) {
        media_length(walk->media, walk->input, units, per_second);
    }
}

/* Sound has no pixels: the first track that has some counts. */
static void read_track_header(struct walk *walk, struct slice body) {
    if (body.len >= 80) {
        struct reader reader = reader_of(body.data + body.len - 8, 8);
        media_number(walk->media, NUMBER_WIDTH, reader_u32(&reader) >> 16);
        media_number(walk->media, NUMBER_HEIGHT, reader_u32(&reader) >> 16);
    }
}

/* A text of iTunes: its first `data` box, of type 1 (UTF-8). */
static void read_item(struct walk *walk, uint32_t item, struct slice body) {
    struct reader reader = reader_of(body.data, body.len);
    uint32_t type = 0;
    struct slice value;
    if (!next_box(walk, &reader, &type, &value) || type != TAG('d', 'a', 't', 'a') ||
        value.len < 9 || value.data[3] != 1) {
        return;
    }
    value = (struct slice){value.data + 8, value.len - 8};
    if (item == TAG(0xa9, 'n', 'a', 'm')) {
        media_text(walk->media, TEXT_TITLE, value);
    } else if (item == TAG(0xa9, 'A', 'R', 'T')) {
        media_text(walk->media, TEXT_ARTIST, value);
    } else if (item == TAG(0xa9, 'a', 'l', 'b')) {
        media_text(walk->media, TEXT_ALBUM, value);
    } else if (item == TAG(0xa9, 'd', 'a', 'y')) {
        media_year(walk->media, value);
    }
}

static void read_items(struct walk *walk, struct slice body) {
    struct reader reader = reader_of(body.data, body.len);
    uint32_t type = 0;
    struct slice value;
    while (next_box(walk, &reader, &type, &value)) {
        read_item(walk, type, value);
    }
}

/* The boxes on the way moov/trak/tkhd and moov/udta/meta/ilst, by levels instead of recursion: a
 * box that holds others is gone through at once, as if they stood in its place. */
static void read_movie(struct walk *walk, struct slice body) {
    struct reader reader = reader_of(body.data, body.len);
    while (reader_left(&reader) >= 8 && walk->boxes < BOXES_MAX) {
        struct reader ahead = reader;
        uint32_t type = 0;
        struct slice value;
        if (!next_box(walk, &ahead, &type, &value)) {
            return;
        }
        bool is_meta = type == TAG('m', 'e', 't', 'a') && value.len >= 4;
        if (type == TAG('t', 'r', 'a', 'k') || type == TAG('u', 'd', 't', 'a') || is_meta) {
            const uint8_t *at = value.data + (is_meta ? 4 : 0); /* it has a version */
            size_t left = reader_left(&ahead);
            reader = reader_of(at, value.len - (is_meta ? 4 : 0) + left);
            continue;
        }
        if (type == TAG('m', 'v', 'h', 'd')) {
            read_movie_header(walk, value);
        } else if (type == TAG('t', 'k', 'h', 'd')) {
            read_track_header(walk, value);
        } else if (type == TAG('i', 'l', 's', 't')) {
            read_items(walk, value);
        }
        reader = ahead;
    }
}

void media_read_mp4(struct media_input *input, struct media *media) {
    struct walk walk = {.input = input, .media = media};
    uint64_t at = 0;
    while (at < input->size && walk.boxes++ < BOXES_MAX) {
        struct slice head = media_view(input, at, 16);
        struct reader reader = reader_of(head.data, head.len);
        uint64_t size = reader_u32(&reader);
        uint32_t type = reader_u32(&reader);
        uint64_t header = size == 1 ? 16 : 8;
        size = size == 1 ? reader_u64(&reader) : size == 0 ? input->size - at : size;
        if (reader.failed || size < header) {
            return;
        }
        if (type == TAG('m', 'o', 'o', 'v')) {
            uint64_t len = size - header < MOOV_BYTES_MAX ? size - header : MOOV_BYTES_MAX;
            read_movie(&walk, media_view(input, at + header, (size_t)len));
            return;
        }
        at = size < input->size - at ? at + size : input->size;
    }
}
