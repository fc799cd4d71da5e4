/* media_make.h - small media files of seven formats, made byte by byte, for tests. */
#ifndef TRUNKLINE_TESTS_UNIT_MEDIA_MAKE_H
#define TRUNKLINE_TESTS_UNIT_MEDIA_MAKE_H

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "common/buf.h"

static inline void put_text(struct buf *out, const char *text) {
    buf_append(out, text, strlen(text));
}

static inline void put_zeros(struct buf *out, size_t count) {
    memset(buf_reserve(out, count), 0, count);
    out->len += count;
}

static inline void put_little(struct buf *out, uint64_t value, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        buf_u8(out, (uint8_t)(value >> 8 * i));
    }
}

static inline void put_id3(struct buf *out, const char *name, const char *text) {
    put_text(out, name);
    buf_u32(out, (uint32_t)strlen(text) + 1);
    buf_u16(out, 0);
    buf_u8(out, 3);
    put_text(out, text);
}

/* ID3v2.4 and `seconds` of frames of 256 kbit/s at 48 kHz: 768 bytes for 24 ms. */
static inline void make_mp3(struct buf *out, uint32_t seconds) {
    struct buf tag = {0};
    put_id3(&tag, "TIT2", "Blue Whale Song");
    put_id3(&tag, "TPE1", "The Cetaceans");
    put_id3(&tag, "TALB", "Deep Water");
    put_id3(&tag, "TDRC", "1997-04-01");
    put_text(out, "ID3\4");
    buf_u16(out, 0);
    buf_u16(out, 0);
    buf_u16(out, (uint16_t)((tag.len >> 7 & 0x7f) << 8 | (tag.len & 0x7f)));
    buf_append(out, tag.data, tag.len);
    buf_free(&tag);
    for (uint32_t i = 0; i < seconds * 1000 / 24; i++) {
        buf_u32(out, 0xfffbd400);
        put_zeros(out, 764);
    }
}

static inline void put_comments(struct buf *out) {
    static const char *const comments[] = {"TITLE=Blue Whale Song", "artist=The Cetaceans",
                                           "ALBUM=Deep Water", "DATE=1997"};
    put_little(out, 4, 4);
    put_text(out, "test");
    put_little(out, 4, 4);
    for (size_t i = 0; i < 4; i++) {
        put_little(out, strlen(comments[i]), 4);
        put_text(out, comments[i]);
    }
}

/* Ten seconds, as far as the header says, in 1,000,000 bytes: 800 kbit/s. */
static inline void make_flac(struct buf *out) {
    struct buf comments = {0};
    put_comments(&comments);
    put_text(out, "fLaC");
    buf_u32(out, 34);
    buf_u16(out, 4096);
    buf_u16(out, 4096);
    put_zeros(out, 6);
    buf_u64(out, 44100ull << 44 | 1ull << 41 | 15ull << 36 | 441000);
    put_zeros(out, 16);
    buf_u32(out, 0x84000000u | (uint32_t)comments.len);
    buf_append(out, comments.data, comments.len);
    buf_free(&comments);
    put_zeros(out, 1000000 - out->len);
}

static inline void put_page(struct buf *out, uint8_t flags, uint64_t position,
                            const struct buf *packet) {
    put_text(out, "OggS");
    buf_u8(out, 0);
    buf_u8(out, flags);
    put_little(out, position, 8);
    put_little(out, 77, 4); /* serial */
    put_zeros(out, 8);      /* page, checksum */
    buf_u8(out, (uint8_t)(packet->len / 255 + 1));
    for (size_t i = 0; i < packet->len / 255; i++) {
        buf_u8(out, 255);
    }
    buf_u8(out, (uint8_t)(packet->len % 255));
    buf_append(out, packet->data, packet->len);
}

/* Vorbis of nominally 192 kbit/s, two minutes by its last page. */
static inline void make_ogg(struct buf *out) {
    struct buf packet = {0};
    put_text(&packet, "\1vorbis");
    put_little(&packet, 0, 4);
    buf_u8(&packet, 2);
    put_little(&packet, 44100, 4);
    put_little(&packet, 0, 4);
    put_little(&packet, 192000, 4);
    put_little(&packet, 0, 4);
    buf_u16(&packet, 0xb801);
    put_page(out, 2, 0, &packet);
    packet.len = 0;
    put_text(&packet, "\3vorbis");
    put_comments(&packet);
    buf_u8(&packet, 1);
    put_page(out, 0, 0, &packet);
    packet.len = 0;
    put_zeros(&packet, 100);
    put_page(out, 4, 120 * 44100, &packet);
    buf_free(&packet);
}

static inline void put_chunk(struct buf *out, const char *type, const struct buf *body) {
    buf_u32(out, (uint32_t)body->len);
    size_t from = out->len;
    put_text(out, type);
    buf_append(out, body->data, body->len);
    buf_u32(out, (uint32_t)crc32(0, out->data + from, (uInt)(out->len - from)));
}

/* 640 by 480, with a title that only libextractor reads. */
static inline void make_png(struct buf *out) {
    struct buf body = {0};
    put_text(out, "\x89PNG\r\n\x1a\n");
    buf_u32(&body, 640);
    buf_u32(&body, 480);
    buf_u8(&body, 8);
    put_zeros(&body, 4);
    put_chunk(out, "IHDR", &body);
    body.len = 0;
    put_text(&body, "Title");
    buf_u8(&body, 0);
    put_text(&body, "Blue Whale Song");
    put_chunk(out, "tEXt", &body);
    body.len = 0;
    put_chunk(out, "IEND", &body);
    buf_free(&body);
}

/* 1024 by 768, after a segment to be passed over. */
static inline void make_jpeg(struct buf *out) {
    buf_u32(out, 0xffd8ffe0);
    buf_u16(out, 16);
    put_text(out, "JFIF");
    put_zeros(out, 10);
    buf_u16(out, 0xffc0);
    buf_u16(out, 11);
    buf_u8(out, 8);
    buf_u16(out, 768);
    buf_u16(out, 1024);
    buf_u32(out, 0x01011100);
    buf_u16(out, 0xffd9);
}

static inline size_t box_begin(struct buf *out, const char *type) {
    size_t at = out->len;
    buf_u32(out, 0);
    buf_append(out, type, 4);
    return at;
}

static inline void box_end(struct buf *out, size_t at) {
    uint32_t len = (uint32_t)(out->len - at);
    for (uint32_t i = 0; i < 4; i++) {
        out->data[at + i] = (uint8_t)(len >> (24 - 8 * i));
    }
}

static inline void put_item(struct buf *out, const char *type, const char *text) {
    size_t item = box_begin(out, type);
    size_t data = box_begin(out, "data");
    buf_u32(out, 1);
    buf_u32(out, 0);
    put_text(out, text);
    box_end(out, data);
    box_end(out, item);
}

/* 90 seconds of 1280 by 720; the index comes last, as cameras write it. */
static inline void make_mp4(struct buf *out) {
    size_t box = box_begin(out, "ftyp");
    put_text(out, "isom");
    buf_u32(out, 0);
    box_end(out, box);
    box = box_begin(out, "mdat");
    put_zeros(out, 200000);
    box_end(out, box);
    size_t moov = box_begin(out, "moov");
    box = box_begin(out, "mvhd");
    put_zeros(out, 12);
    buf_u32(out, 1000);
    buf_u32(out, 90000);
    put_zeros(out, 80);
    box_end(out, box);
    size_t trak = box_begin(out, "trak");
    box = box_begin(out, "tkhd");
    put_zeros(out, 76);
    buf_u32(out, 1280u << 16);
    buf_u32(out, 720u << 16);
    box_end(out, box);
    box_end(out, trak);
    size_t udta = box_begin(out, "udta");
    size_t meta = box_begin(out, "meta");
    buf_u32(out, 0);
    size_t ilst = box_begin(out, "ilst");
    put_item(out, "\xa9nam", "Blue Whale Song");
    put_item(out,
             "\xa9"
             "ART",
             "The Cetaceans");
    put_item(out,
             "\xa9"
             "day",
             "1997");
    box_end(out, ilst);
    box_end(out, meta);
    box_end(out, udta);
    box_end(out, moov);
}

static inline void make_pdf(struct buf *out) {
    put_text(out, "%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"
                  "7 0 obj\n<< /Title (Blue \\127hale Song) /Author <FEFF005400680065002000430065"
                  "00740061006300650061006E0073> /CreationDate (D:19970401) >>\nendobj\n"
                  "trailer\n<< /Root 1 0 R /Info 7 0 R >>\nstartxref\n0\n%%EOF\n");
}

/* 320 by 200. */
static inline void make_gif(struct buf *out) {
    put_text(out, "GIF89a");
    put_little(out, 320, 2);
    put_little(out, 200, 2);
    put_little(out, 0, 3);
    buf_u8(out, 0x2c);
    put_little(out, 0, 4);
    put_little(out, 1, 2);
    put_little(out, 1, 2);
    put_little(out, 0x80, 1);
    put_zeros(out, 6);
    put_text(out, "\2\2\x44\1");
    buf_u8(out, 0);
    put_text(out, ";");
}

#endif
