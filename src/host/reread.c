/* reread.c - reads back the pieces of a part file that have become durable, beside the download.
 *
 * A finished file is verified as a whole, by what stands in the file. To read all of it at the end
 * would take a part of the download's time in which nothing is received; so each piece is read
 * once it is written and synced, and only what an earlier run of the program wrote is left for the
 * end. */
#include <string.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "src/host/files.h"

struct reread {
    struct job job; /* first */
    struct host_node *node;
    uint64_t file;
    uint64_t size;
    struct source *source; /* NULL = it is gone */
    struct buf bitmap;
    struct hash *roots; /* of the pieces of the bitmap, in their order */
    enum err err;
};

static bool is_meant(struct slice bitmap, uint32_t piece) {
    return piece / 8 < bitmap.len && (bitmap.data[piece / 8] & (0x80 >> piece % 8)) != 0;
}

static void run(struct job *base) {
    struct reread *reread = (struct reread *)base;
    const struct slice bitmap = {reread->bitmap.data, reread->bitmap.len};
    uint32_t count = hashtree_pieces(reread->size);
    struct hash *root = reread->roots;
    int fd = -1;
    reread->err = reread->source != NULL ? source_begin(reread->source, &fd) : ERR_NOT_FOUND;
    for (uint32_t piece = 0; piece < count && reread->err == OK; piece++) {
        if (is_meant(bitmap, piece)) {
            reread->err = workers_stopping(base->workers)
                              ? ERR_SHUTDOWN
                              : tree_of_piece(fd, reread->size, piece, root++);
        }
    }
    if (fd >= 0) {
        enum err believed = source_end(reread->source, fd);
        reread->err = reread->err == OK ? believed : reread->err;
    }
}

static void done(struct job *base) {
    struct reread *reread = (struct reread *)base;
    struct host_node *node = reread->node;
    size_t len = reread->err == OK ? reread->bitmap.len : 0;
    parts_reread(node, reread->file, (struct slice){reread->bitmap.data, len}, reread->roots);
    if (reread->source != NULL) {
        source_release(reread->source);
    }
    buf_free(&reread->bitmap);
    mem_free(reread->roots);
    mem_free(reread);
    node_run(node);
}

void reread_start(struct host_node *node, uint64_t file, uint64_t size, struct slice bitmap) {
    struct reread *reread = mem_new(sizeof *reread);
    reread->job = (struct job){.run = run, .done = done, .slow = true};
    reread->node = node;
    reread->file = file;
    reread->size = size;
    reread->source = file_source(node, file);
    uint32_t count = 0;
    for (uint32_t piece = 0; piece < hashtree_pieces(size); piece++) {
        count += is_meant(bitmap, piece);
    }
    reread->roots = mem_array(count, sizeof *reread->roots);
    buf_append(&reread->bitmap, bitmap.data, bitmap.len);
    workers_submit(node->host->workers, &reread->job);
}
