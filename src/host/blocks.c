/* blocks.c - sends blocks of files: read by a worker, checked, then header and data go together.
 *
 * Blocks wait as small records, not as bytes: a link's blocks are read only while its output has
 * room, one job of at most JOB_BYTES at a time, so that a reader who stops costs at most
 * LINK_OUTPUT_SOFT of memory, and a limit on traffic less. NODE_BLOCK_SENT means that the block is
 * in the link's buffer. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/traffic.h"
#include "common/wire.h"
#include "src/host/conn.h"
#include "src/host/files.h"
#include "src/host/library.h"

#define JOB_BLOCKS 8
#define JOB_BYTES (JOB_BLOCKS * (BLOCK_BYTES + HEADER_MAX))
#define HEADER_MAX 32
#define QUEUE_MAX 1024 /* blocks that may wait on one link: 16 MiB of requests */

struct pending_block {
    struct pending_block *next;
    uint64_t token;
    uint64_t file;
    uint64_t offset;
    uint32_t len;
    uint8_t header_len;
    uint8_t header[HEADER_MAX];
};

/* Blocks of one file, one after the other in `bytes`, each behind its header. */
struct block_job {
    struct job job;
    struct conn *conn; /* pinned */
    struct source *source;
    struct pending_block *blocks;
    uint8_t *bytes;
    size_t len;
    enum err err;
};

static void tell(struct conn *conn, const struct pending_block *block, enum err reason) {
    struct node_event event = {
        .kind = reason == OK ? NODE_BLOCK_SENT : NODE_BLOCK_FAILED,
        .block = {.link = conn->link, .token = block->token, .reason = reason}};
    if (reason == OK) {
        traffic_sent(conn->node->env.traffic, MSG_BLOCK, block->header_len + block->len);
    }
    node_queue(conn->node, &event, NULL);
}

/* Tell and free a list of blocks. */
static void settle(struct conn *conn, struct pending_block *blocks, enum err reason) {
    while (blocks != NULL) {
        struct pending_block *next = blocks->next;
        if (conn->link != 0) { /* else the node has heard that the link is down */
            tell(conn, blocks, reason);
        }
        mem_free(blocks);
        blocks = next;
    }
}

static void run(struct job *base) {
    struct block_job *job = (struct block_job *)base;
    int fd;
    job->err = source_begin(job->source, &fd);
    if (job->err != OK) {
        return;
    }
    uint8_t *at = job->bytes;
    for (const struct pending_block *block = job->blocks; block != NULL && job->err == OK;
         block = block->next) {
        memcpy(at, block->header, block->header_len);
        at += block->header_len;
        job->err = read_exactly(fd, at, block->len, block->offset);
        at += block->len;
    }
    enum err believed = source_end(job->source, fd);
    job->err = job->err == OK ? believed : job->err;
}

static void done(struct job *base) {
    struct block_job *job = (struct block_job *)base;
    struct conn *conn = job->conn;
    struct host_node *node = conn->node;
    conn->blocks.is_reading = false;
    enum err err = job->err == OK && conn->state != CONN_UP ? ERR_CLOSED : job->err;
    if (err == OK) {
        conn_write_owned(conn, job->bytes, job->len);
        job->bytes = NULL;
    } else if (err == ERR_CHANGED) {
        library_changed(node, job->blocks->file);
    }
    settle(conn, job->blocks, err);
    mem_free(job->bytes);
    source_release(job->source);
    mem_free(job);
    blocks_pump(conn);
    conn_unpin(conn);
    node_run(node);
}

/* Take from the queue what one job sends: blocks of one file, within the byte limit. */
static struct pending_block *take_run(struct block_queue *queue, size_t most, size_t *len) {
    struct pending_block *first = queue->first;
    struct pending_block *last = NULL;
    struct pending_block *next = first;
    *len = 0;
    do {
        last = next;
        *len += last->header_len + last->len;
        queue->count--;
        next = last->next;
    } while (next != NULL && next->file == first->file &&
             *len + next->header_len + next->len <= most);
    last->next = NULL;
    queue->first = next;
    if (next == NULL) {
        queue->last = NULL;
    }
    return first;
}

/* Under a limit no more is read than it lets through soon. */
static size_t job_bytes(const struct conn *conn) {
    size_t ahead = flow_ahead(conn);
    return ahead < LINK_OUTPUT_SOFT / 2 ? ahead : JOB_BYTES;
}

static void start_job(struct conn *conn) {
    struct host_node *node = conn->node;
    size_t len;
    struct pending_block *blocks = take_run(&conn->blocks, job_bytes(conn), &len);
    struct source *source = file_source(node, blocks->file);
    if (source == NULL) {
        settle(conn, blocks, ERR_NOT_FOUND);
        return;
    }
    struct block_job *job = mem_new(sizeof *job);
    job->job = (struct job){.run = run, .done = done};
    job->conn = conn;
    job->source = source;
    job->blocks = blocks;
    job->bytes = mem_new(len);
    job->len = len;
    conn_pin(conn);
    conn->blocks.is_reading = true;
    workers_submit(node->host->workers, &job->job);
}

static bool wants_to_read(const struct conn *conn) {
    const struct block_queue *queue = &conn->blocks;
    return conn->state == CONN_UP && queue->first != NULL && !queue->is_reading &&
           conn_output(conn) <= flow_ahead(conn);
}

void blocks_pump(struct conn *conn) {
    while (wants_to_read(conn)) {
        start_job(conn); /* or fails blocks whose file is gone */
    }
}

void blocks_queue(struct conn *conn, const struct action *action, struct slice header) {
    CHECK(header.len <= HEADER_MAX && action->len >= 1 && action->len <= BLOCK_BYTES);
    struct block_queue *queue = &conn->blocks;
    struct pending_block *block = mem_new(sizeof *block);
    *block = (struct pending_block){.token = action->token,
                                    .file = action->file,
                                    .offset = action->offset,
                                    .len = action->len,
                                    .header_len = (uint8_t)header.len};
    memcpy(block->header, header.data, header.len);
    if (conn->state != CONN_UP || queue->count >= QUEUE_MAX) {
        settle(conn, block, conn->state == CONN_UP ? ERR_BUSY : ERR_CLOSED);
        return;
    }
    if (queue->last != NULL) {
        queue->last->next = block;
    } else {
        queue->first = block;
    }
    queue->last = block;
    queue->count++;
    conn_touch(conn);
}

void blocks_drop(struct conn *conn, enum err reason) {
    struct pending_block *blocks = conn->blocks.first;
    conn->blocks.first = NULL;
    conn->blocks.last = NULL;
    conn->blocks.count = 0;
    settle(conn, blocks, reason);
}
