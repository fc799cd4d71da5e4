/* media_audio.c - FLAC and Ogg: how long it plays, and with how many bits.
 *
 * Sources: RFC 9639 (FLAC), RFC 3533 (Ogg), RFC 7845 (Opus in Ogg), the Vorbis I specification. */
#include <string.h>
#include <strings.h>

#include "common/reader.h"
#include "src/extract/media.h"

#define OGG_TAIL_BYTES 131072 /* two pages of the largest size: one of them begins in it */
#define OPUS_HZ 48000         /* whatever was put in */
#define COMMENTS_MAX 200
#define COMMENT_BYTES_MAX 65536 /* looked at: texts stand before pictures */
#define FLAC_BLOCKS_MAX 128

static uint32_t little_u32(const uint8_t *at) {
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static uint32_t reader_little(struct reader *reader) {
    struct slice bytes = reader_slice(reader, 4);
    return reader->failed ? 0 : little_u32(bytes.data);
}

static void take_comment(struct media *media, struct slice comment) {
    static const struct {
        const char *name;
        enum file_text text;
    } texts[] = {{"TITLE=", TEXT_TITLE}, {"ARTIST=", TEXT_ARTIST}, {"ALBUM=", TEXT_ALBUM}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t len = strlen(texts[i].name);
        if (comment.len > len && strncasecmp((const char *)comment.data, texts[i].name, len) == 0) {
            media_text(media, texts[i].text, (struct slice){comment.data + len, comment.len - len});
        }
    }
    if (comment.len > 5 && strncasecmp((const char *)comment.data, "DATE=", 5) == 0) {
        media_year(media, (struct slice){comment.data + 5, comment.len - 5});
    }
}

/* Vorbis comments: who made it, then `NAME=value` in UTF-8. */
static void read_comments(struct media *media, struct slice bytes) {
    struct reader reader = reader_of(bytes.data, bytes.len);
    reader_slice(&reader, reader_little(&reader));
    uint32_t count = reader_little(&reader);
    for (uint32_t i = 0; i < count && i < COMMENTS_MAX; i++) {
        struct slice comment = reader_slice(&reader, reader_little(&reader));
        if (reader.failed) {
            return;
        }
        take_comment(media, comment);
    }
}

static void read_flac_comments(struct media_input *input, struct media *media) {
    uint64_t at = 4;
    for (uint32_t i = 0; i < FLAC_BLOCKS_MAX; i++) {
        struct slice head = media_view(input, at, 4);
        struct reader reader = reader_of(head.data, head.len);
        uint8_t type = reader_u8(&reader);
        uint32_t len = reader_u24(&reader);
        if (!reader.failed && (type & 0x7f) == 4) {
            read_comments(media, media_view(input, at + 4,
                                            len < COMMENT_BYTES_MAX ? len : COMMENT_BYTES_MAX));
        }
        if (reader.failed || (type & 0x80) != 0) {
            return;
        }
        at += 4 + (uint64_t)len;
    }
}

void media_read_flac(struct media_input *input, struct media *media) {
    struct slice head = media_view(input, 0, 42);
    struct reader reader = reader_of(head.data, head.len);
    reader_slice(&reader, 18); /* name, header of the block, sizes of blocks and frames */
    uint64_t packed = reader_u64(&reader);
    if (!reader.failed && (head.data[4] & 0x7f) == 0) {
        media_length(media, input, packed & 0xfffffffff, packed >> 44);
    }
    read_flac_comments(input, media);
}

/* The position of the last page of a stream that has one. */
static uint64_t last_position(struct media_input *input, uint32_t serial) {
    uint64_t from = input->size > OGG_TAIL_BYTES ? input->size - OGG_TAIL_BYTES : 0;
    struct slice tail = media_view(input, from, OGG_TAIL_BYTES);
    uint64_t last = 0;
    for (size_t at = 0; at + 27 <= tail.len; at++) {
        const uint8_t *page = tail.data + at;
        if (memcmp(page, "OggS", 4) == 0 && little_u32(page + 14) == serial) {
            uint64_t position = (uint64_t)little_u32(page + 10) << 32 | little_u32(page + 6);
            last = position >> 63 == 0 ? position : last; /* -1 = none ends here */
        }
    }
    return last;
}

/* The second page begins with the comments. */
static void read_ogg_comments(struct media_input *input, struct media *media, uint64_t page) {
    struct slice bytes = media_view(input, page, 27 + 255 + COMMENT_BYTES_MAX);
    if (bytes.len < 27 || memcmp(bytes.data, "OggS", 4) != 0) {
        return;
    }
    size_t header = 27u + bytes.data[26];
    struct slice packet = {bytes.data + header, bytes.len > header ? bytes.len - header : 0};
    size_t name = packet.len >= 8 && memcmp(packet.data, "OpusTags", 8) == 0 ? 8 : 7;
    if (packet.len >= 8 && (name == 8 || memcmp(packet.data, "\x03vorbis", 7) == 0)) {
        read_comments(media, (struct slice){packet.data + name, packet.len - name});
    }
}

/* Bytes of the page that begins here; its header is whole. */
static uint64_t page_bytes(const uint8_t *page) {
    uint64_t bytes = 27u + page[26];
    for (uint32_t i = 0; i < page[26]; i++) {
        bytes += page[27 + i];
    }
    return bytes;
}

void media_read_ogg(struct media_input *input, struct media *media) {
    struct slice head = media_view(input, 0, 27 + 255 + 30);
    if (head.len < 27 || head.len < 27u + head.data[26] + 30) {
        return;
    }
    const uint64_t second = page_bytes(head.data);
    const uint8_t *packet = head.data + 27 + head.data[26];
    uint32_t serial = little_u32(head.data + 14);
    uint32_t hz = memcmp(packet, "OpusHead", 8) == 0 ? OPUS_HZ : 0;
    if (memcmp(packet, "\x01vorbis", 7) == 0) {
        uint32_t nominal = little_u32(packet + 20);
        hz = little_u32(packet + 12);
        media_number(media, NUMBER_BITRATE, nominal >> 31 == 0 ? (nominal + 500) / 1000 : 0);
    }
    media_length(media, input, last_position(input, serial), hz); /* views: packet is gone */
    read_ogg_comments(input, media, second);
}
