/* pack.c - deflates and inflates single messages with the protocol's preset dictionary. */
#include "common/pack.h"

#define ZLIB_CONST
#include <zlib.h>

#include "common/check.h"
#include "common/limits.h"
#include "common/mem.h"

#define RAW_WINDOW (-15) /* no zlib header, no checksum: TLS has a better one */
#define LEVEL 1 /* level 6 saves 1 byte of 28 on a query, 6 % of a list, for 2.5 times the work */
#define MEMORY_LEVEL 8
#define NOISE_ROOM 256 /* more than the heads of the blocks that end before noise and with it */

struct packer {
    z_stream deflater;
    z_stream inflater;
    uint8_t scratch[FRAME_PAYLOAD_MAX];
};

struct packer *packer_new(void) {
    struct packer *packer = mem_new(sizeof *packer);
    CHECK(deflateInit2(&packer->deflater, LEVEL, Z_DEFLATED, RAW_WINDOW, MEMORY_LEVEL,
                       Z_DEFAULT_STRATEGY) == Z_OK);
    CHECK(inflateInit2(&packer->inflater, RAW_WINDOW) == Z_OK);
    return packer;
}

void packer_free(struct packer *packer) {
    if (packer != NULL) {
        (void)deflateEnd(&packer->deflater);
        (void)inflateEnd(&packer->inflater);
        mem_free(packer);
    }
}

/* Deflate some more at this level. */
static void add_part(z_stream *stream, struct slice part, int level, int flush) {
    CHECK(deflateParams(stream, level, Z_DEFAULT_STRATEGY) == Z_OK);
    stream->next_in = part.data;
    stream->avail_in = (uInt)part.len;
    CHECK(deflate(stream, flush) == (flush == Z_FINISH ? Z_STREAM_END : Z_OK));
    CHECK(stream->avail_in == 0);
}

void packer_deflate_around(struct packer *packer, struct slice bytes, struct slice noise,
                           struct buf *out) {
    CHECK(bytes.len <= FRAME_PAYLOAD_MAX && noise.len <= bytes.len);
    z_stream *stream = &packer->deflater;
    struct slice dictionary = pack_dictionary();
    CHECK(deflateReset(stream) == Z_OK);
    CHECK(deflateSetDictionary(stream, dictionary.data, (uInt)dictionary.len) == Z_OK);
    size_t bound = deflateBound(stream, (uLong)bytes.len) + NOISE_ROOM;
    stream->next_out = buf_reserve(out, bound);
    stream->avail_out = (uInt)bound;
    struct slice rest = bytes;
    if (noise.len > 0) {
        struct slice before = {bytes.data, (size_t)(noise.data - bytes.data)};
        rest.data = noise.data + noise.len;
        rest.len = bytes.len - before.len - noise.len;
        if (before.len > 0) {
            add_part(stream, before, LEVEL, Z_NO_FLUSH);
        }
        add_part(stream, noise, 0, Z_NO_FLUSH);
    }
    add_part(stream, rest, LEVEL, Z_FINISH);
    out->len += bound - stream->avail_out;
}

void packer_deflate(struct packer *packer, struct slice bytes, struct buf *out) {
    packer_deflate_around(packer, bytes, (struct slice){0}, out);
}

enum err packer_inflate(struct packer *packer, struct slice bytes, size_t max,
                        struct slice *plain) {
    CHECK(max <= sizeof packer->scratch);
    *plain = (struct slice){0};
    if (bytes.len == 0 || bytes.len > FRAME_PAYLOAD_MAX) {
        return bytes.len == 0 ? ERR_FORMAT : ERR_LIMIT;
    }
    z_stream *stream = &packer->inflater;
    struct slice dictionary = pack_dictionary();
    CHECK(inflateReset(stream) == Z_OK);
    CHECK(inflateSetDictionary(stream, dictionary.data, (uInt)dictionary.len) == Z_OK);
    stream->next_in = bytes.data;
    stream->avail_in = (uInt)bytes.len;
    stream->next_out = packer->scratch;
    stream->avail_out = (uInt)max;
    int result = inflate(stream, Z_FINISH);
    if (result == Z_BUF_ERROR && stream->avail_out == 0) {
        return ERR_LIMIT;
    }
    if (result != Z_STREAM_END || stream->avail_in != 0) {
        return ERR_FORMAT;
    }
    *plain = (struct slice){packer->scratch, max - stream->avail_out};
    return OK;
}
