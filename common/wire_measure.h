/* wire_measure.h - measuring a candidate by what it shares: the files it offers for that, and the
 * blocks that are asked for at once. docs/PROTOCOL.md draws each layout. */
#ifndef TRUNKLINE_COMMON_WIRE_MEASURE_H
#define TRUNKLINE_COMMON_WIRE_MEASURE_H

#include "common/wire.h"

/* ---- MEASURE_FILES: n u8 (1 to MEASURE_FILES_MAX) x content (root 32, size u64), TLVs: what a
 * candidate shares with everybody and may be measured by. Its place is the handle of a file. ----
 */
struct measure_files {
    uint8_t count;
    struct content_id files[MEASURE_FILES_MAX];
    struct slice tlvs;
};
void wire_measure_files_encode(struct buf *out, const struct measure_files *files);
MUST_CHECK enum err wire_measure_files_decode(struct slice payload, struct measure_files *files);

/* ---- MEASURE_BLOCKS: bytes u32 (1 to MEASURE_BYTES_MAX), ms u16 (at least 1), n u8 (1 to
 * MEASURE_RUNS_MAX) x {file u8, first u32, count u8 (1 to PIECE_BLOCKS)}, TLVs: send these blocks
 * as fast as may be, up to so many bytes, for so long. Answered by BLOCK. ---- */
struct measure_run {
    uint8_t file; /* below MEASURE_FILES_MAX */
    uint32_t first;
    uint8_t count;
};
struct measure_blocks {
    uint32_t bytes;
    uint16_t ms;
    uint8_t count;
    struct measure_run runs[MEASURE_RUNS_MAX];
    struct slice tlvs;
};
void wire_measure_blocks_encode(struct buf *out, const struct measure_blocks *blocks);
MUST_CHECK enum err wire_measure_blocks_decode(struct slice payload, struct measure_blocks *blocks);

#endif
