/* blockhash.c - ACTION_FILE_HASH: the hashes of a run of blocks, read and hashed by a worker. */
#include "common/hashtree.h"
#include "common/mem.h"
#include "src/host/files.h"
#include "src/host/library.h"

struct hash_job {
    struct job job;
    struct host_node *node;
    struct source *source;
    uint64_t file;
    uint64_t token;
    uint64_t size;
    uint32_t first;
    uint32_t count;
    struct hash *hashes;
    enum err err;
};

static void run_hash(struct job *base) {
    struct hash_job *job = (struct hash_job *)base;
    int fd;
    job->err = source_begin(job->source, &fd);
    if (job->err == OK) {
        job->err = tree_of_blocks(fd, job->size, job->first, job->count, job->hashes);
        enum err believed = source_end(job->source, fd);
        job->err = job->err == OK ? believed : job->err;
    }
}

static void tell_hashed(struct hash_job *job) {
    struct node_event event = {.kind = job->err == OK ? NODE_FILE_HASHED : NODE_FILE_FAILED,
                               .file = {.file = job->file, .token = job->token}};
    if (job->err == OK) {
        event.file.hashes = (struct slice){job->hashes[0].b, job->count * sizeof *job->hashes};
        node_queue(job->node, &event, job->hashes);
        job->hashes = NULL;
    } else {
        event.file.reason = job->err;
        node_queue(job->node, &event, NULL);
    }
}

static void done_hash(struct job *base) {
    struct hash_job *job = (struct hash_job *)base;
    struct host_node *node = job->node;
    tell_hashed(job);
    if (job->err == ERR_CHANGED) {
        library_changed(node, job->file);
    }
    source_release(job->source);
    mem_free(job->hashes);
    mem_free(job);
    node_run(node);
}

void file_hash(struct host_node *node, const struct action *action) {
    struct hash_job *job = mem_new(sizeof *job);
    *job = (struct hash_job){.job = {.run = run_hash, .done = done_hash},
                             .node = node,
                             .file = action->file,
                             .token = action->token,
                             .size = file_bytes(node, action->file),
                             .first = (uint32_t)action->offset,
                             .count = action->len,
                             .source = file_source(node, action->file)};
    uint64_t blocks = job->size > 0 ? hashtree_blocks(job->size) : 0;
    bool is_inside = job->count > 0 && action->offset < blocks && job->count <= blocks &&
                     action->offset <= blocks - job->count;
    if (job->source == NULL || !is_inside) {
        job->err = ERR_NOT_FOUND;
        tell_hashed(job);
        if (job->source != NULL) {
            source_release(job->source);
        }
        mem_free(job);
        return;
    }
    job->hashes = mem_array(job->count, sizeof *job->hashes);
    workers_submit(node->host->workers, &job->job);
}
