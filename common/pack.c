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

void packer_deflate(struct packer *packer, struct slice bytes, struct buf *out) {
    CHECK(bytes.len <= FRAME_PAYLOAD_MAX);
    z_stream *stream = &packer->deflater;
    struct slice dictionary = pack_dictionary();
    CHECK(deflateReset(stream) == Z_OK);
    CHECK(deflateSetDictionary(stream, dictionary.data, (uInt)dictionary.len) == Z_OK);
    size_t bound = deflateBound(stream, (uLong)bytes.len);
    stream->next_in = bytes.data;
    stream->avail_in = (uInt)bytes.len;
    stream->next_out = buf_reserve(out, bound);
    stream->avail_out = (uInt)bound;
    CHECK(deflate(stream, Z_FINISH) == Z_STREAM_END);
    out->len += bound - stream->avail_out;
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
