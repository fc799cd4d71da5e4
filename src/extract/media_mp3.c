/* media_mp3.c - MPEG audio: tags of ID3v2 and ID3v1, then the first frame's header.
 *
 * Sources: ISO/IEC 11172-3 and 13818-3 (frames), id3.org's documents of ID3v2.2 to 2.4 (tags). The
 * number of frames is in the first one when the rate varies ("Xing", or "Info" when it does not).
 */
#include <string.h>

#include "common/reader.h"
#include "src/extract/media.h"

#define TAG_BYTES_MAX (1u << 20) /* texts stand before pictures, and pictures may be large */
#define TAG_FRAMES_MAX 64
#define SYNC_BYTES_MAX 65536 /* padding between tag and sound */

struct mpeg_frame {
    uint32_t kbit;
    uint32_t hz;
    uint32_t samples;
    uint32_t bytes;
    uint32_t side_bytes; /* between the header and a Xing header */
};

static uint32_t synchsafe(uint32_t value) {
    return (value & 0x7f) | (value >> 1 & 0x3f80) | (value >> 2 & 0x1fc000) |
           (value >> 3 & 0xfe00000);
}

static void take_text(struct media *media, enum file_text text, struct slice value) {
    uint8_t encoding = value.data[0];
    struct slice rest = {value.data + 1, value.len - 1};
    if (encoding == 0) {
        media_text_latin1(media, text, rest);
    } else if (encoding == 1 && rest.len >= 2) {
        media_text_utf16(media, text, rest, rest.data[0] == 0xfe);
    } else if (encoding == 2) {
        media_text_utf16(media, text, rest, true);
    } else if (encoding == 3) {
        const uint8_t *end = memchr(rest.data, 0, rest.len);
        rest.len = end != NULL ? (size_t)(end - rest.data) : rest.len;
        media_text(media, text, rest);
    }
}

static void take_frame(struct media *media, const char *name, struct slice value) {
    static const struct {
        const char *name;
        enum file_text text;
    } texts[] = {{"TIT2", TEXT_TITLE}, {"TT2", TEXT_TITLE},  {"TPE1", TEXT_ARTIST},
                 {"TP1", TEXT_ARTIST}, {"TALB", TEXT_ALBUM}, {"TAL", TEXT_ALBUM}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            take_text(media, texts[i].text, value);
        }
    }
    if (strcmp(name, "TYER") == 0 || strcmp(name, "TDRC") == 0 || strcmp(name, "TYE") == 0) {
        media_year(media, value);
    }
}

/* The tag at the beginning; return its bytes. */
static uint64_t read_tag(struct media_input *input, struct media *media) {
    struct slice head = media_view(input, 0, 10);
    if (head.len < 10 || memcmp(head.data, "ID3", 3) != 0) {
        return 0;
    }
    uint8_t version = head.data[3];
    uint32_t size = synchsafe((uint32_t)head.data[6] << 24 | (uint32_t)head.data[7] << 16 |
                              (uint32_t)head.data[8] << 8 | head.data[9]);
    struct slice tag = media_view(input, 10, size < TAG_BYTES_MAX ? size : TAG_BYTES_MAX);
    struct reader reader = reader_of(tag.data, tag.len);
    bool is_old = version == 2;
    for (uint32_t i = 0; i < TAG_FRAMES_MAX && version >= 2 && version <= 4; i++) {
        char name[5] = {0};
        reader_copy(&reader, name, is_old ? 3 : 4);
        uint32_t len = is_old ? reader_u24(&reader) : reader_u32(&reader);
        len = version == 4 ? synchsafe(len) : len;
        if (!is_old) {
            (void)reader_u16(&reader); /* flags */
        }
        struct slice value = reader_slice(&reader, len);
        if (reader.failed || name[0] == 0) {
            break;
        }
        if (value.len >= 2) {
            take_frame(media, name, value);
        }
    }
    return 10 + (uint64_t)size;
}

/* Fixed fields of blanks or zeros at the end. */
static void read_old_tag(struct media_input *input, struct media *media) {
    if (input->size < 128) {
        return;
    }
    struct slice tag = media_view(input, input->size - 128, 128);
    if (tag.len == 128 && memcmp(tag.data, "TAG", 3) == 0) {
        media_text_latin1(media, TEXT_TITLE, (struct slice){tag.data + 3, 30});
        media_text_latin1(media, TEXT_ARTIST, (struct slice){tag.data + 33, 30});
        media_text_latin1(media, TEXT_ALBUM, (struct slice){tag.data + 63, 30});
        media_year(media, (struct slice){tag.data + 93, 4});
    }
}

/* Layer III only; false for what is no header. */
static bool read_header(const uint8_t *at, struct mpeg_frame *frame) {
    static const uint16_t kbits[2][15] = {
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}};
    static const uint32_t rates[3] = {44100, 48000, 32000};
    uint32_t version = at[1] >> 3 & 3; /* 3 = MPEG 1, 2 = MPEG 2, 0 = MPEG 2.5 */
    uint32_t layer = at[1] >> 1 & 3;   /* 1 = layer III */
    uint32_t rate = at[2] >> 4;
    uint32_t hz = at[2] >> 2 & 3;
    if (at[0] != 0xff || (at[1] & 0xe0) != 0xe0 || version == 1 || layer != 1 || rate == 0 ||
        rate == 15 || hz == 3) {
        return false;
    }
    bool is_first = version == 3;
    bool is_mono = at[3] >> 6 == 3;
    frame->kbit = kbits[is_first][rate];
    frame->hz = is_first ? rates[hz] : version == 2 ? rates[hz] / 2 : rates[hz] / 4;
    frame->samples = is_first ? 1152 : 576;
    frame->bytes = frame->samples / 8 * frame->kbit * 1000 / frame->hz + (at[2] >> 1 & 1);
    frame->side_bytes = is_first ? (is_mono ? 17 : 32) : (is_mono ? 9 : 17);
    return true;
}

static void read_sound(struct media_input *input, struct media *media, uint64_t from) {
    struct slice sound = media_view(input, from, SYNC_BYTES_MAX);
    struct mpeg_frame frame = {0};
    struct mpeg_frame next;
    size_t at = 0;
    bool is_found = false;
    for (; !is_found && at + 4 <= sound.len; at += is_found ? 0 : 1) {
        is_found =
            read_header(sound.data + at, &frame) &&
            (at + frame.bytes + 4 > sound.len || read_header(sound.data + at + frame.bytes, &next));
    }
    if (!is_found) {
        return;
    }
    struct reader reader = reader_of(sound.data + at, sound.len - at);
    reader_slice(&reader, 4 + frame.side_bytes);
    struct slice name = reader_slice(&reader, 4);
    uint32_t flags = reader_u32(&reader);
    uint32_t frames = reader_u32(&reader);
    bool is_counted = !reader.failed && (flags & 1) != 0 && frames > 0 &&
                      (memcmp(name.data, "Xing", 4) == 0 || memcmp(name.data, "Info", 4) == 0);
    uint64_t bytes = input->size - from - at;
    if (is_counted) {
        uint64_t kbit = bytes * 8 * frame.hz / frame.samples / frames / 1000;
        bool varies = name.data[0] == 'X';
        media_number(media, NUMBER_BITRATE, varies && kbit <= 320 ? kbit : frame.kbit);
        media_length(media, input, (uint64_t)frames * frame.samples, frame.hz);
    } else {
        media_number(media, NUMBER_BITRATE, frame.kbit);
        media_length(media, input, bytes, (uint64_t)frame.kbit * 125);
    }
}

void media_read_mp3(struct media_input *input, struct media *media) {
    uint64_t from = read_tag(input, media);
    read_old_tag(input, media);
    if (from < input->size) {
        read_sound(input, media, from);
    }
}
