/* bench_query_body.c - bytes of a deflated query body, with and without the protocol dictionary. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "common/pack.h"
#include "common/rng.h"
#include "common/wire.h"
#include "tests/bench/bench.h"

#define QUERIES 1000

/* Raw deflate without a dictionary, at its best level: what a peer without ours would send. */
static size_t deflate_alone(struct slice bytes) {
    z_stream stream = {0};
    uint8_t out[4096];
    if (deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
        bench_fail("zlib cannot start");
    }
    stream.next_in = (uint8_t *)(uintptr_t)bytes.data;
    stream.avail_in = (uInt)bytes.len;
    stream.next_out = out;
    stream.avail_out = sizeof out;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) {
        bench_fail("zlib cannot deflate a query");
    }
    size_t len = stream.total_out;
    deflateEnd(&stream);
    return len;
}

void bench_query_body(const struct bench *bench) {
    FILE *file = fopen(TESTS_DIR "/vectors/queries.txt", "r");
    if (file == NULL) {
        bench_fail("cannot read %s", TESTS_DIR "/vectors/queries.txt");
    }
    static double ours[QUERIES], alone[QUERIES];
    struct packer *packer = packer_new();
    struct rng rng;
    rng_seed(&rng, 1);
    size_t count = 0;
    char line[QUERY_TEXT_MAX + 2];
    while (count < QUERIES && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0') {
            continue;
        }
        struct query_body body = {.kind = QUERY_WORDS,
                                  .text = {(const uint8_t *)line, strlen(line)}};
        rng_fill(&rng, body.salt, sizeof body.salt);
        struct buf plain = {0}, packed = {0};
        wire_query_body_encode(&plain, &body);
        struct slice bytes = {plain.data, plain.len};
        packer_deflate(packer, bytes, &packed);
        ours[count] = (double)packed.len;
        alone[count++] = (double)deflate_alone(bytes);
        buf_free(&plain);
        buf_free(&packed);
    }
    fclose(file);
    packer_free(packer);
    bench_figure(bench, &(struct figure){.name = "query body median",
                                         .value = bench_percentile(ours, count, 50),
                                         .unit = "B",
                                         .peer = "zlib -9 without dictionary",
                                         .peer_value = bench_percentile(alone, count, 50),
                                         .target = 55});
}
