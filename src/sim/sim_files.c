/* sim_files.c - disks: shared files whose bytes are computed when read, part files with a journal.
 *
 * Nothing but marks is kept for a part file: a block written is compared with what the file's
 * bytes must be, and one that is wrong fails the run, because nodes verify before they write.
 *
 *   block: absent -> written (in the page cache) -> durable (after a commit of its piece)
 *
 * With the power, written blocks are lost or kept at random; the journal keeps what was committed.
 * Jobs of one machine are done one after the other, as on one disk. */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/hashtree.h"
#include "common/mem.h"
#include "common/wire.h"
#include "src/sim/world.h"

#define SCAN_US 200000 /* from start to the first shared file */
#define SCAN_EACH_US 1000
#define JOB_US 300    /* a read or a write */
#define FLUSH_US 6000 /* fdatasync, rename */
#define HASH_BLOCK_US 8

enum block_mark { BLOCK_ABSENT, BLOCK_WRITTEN, BLOCK_DURABLE };

struct sim_file {
    struct content_id content;
    uint32_t piece_count;
    struct hash *pieces; /* NULL when the file has one piece */
};

struct share {
    uint32_t file;
    bool is_gone;
    bool is_false;
    char *name;
};

struct part {
    struct part *next;
    uint64_t number; /* the node's, while open */
    bool is_open;
    bool has_failed;
    struct content_id content;
    uint32_t file;    /* index, or UINT32_MAX for content nobody has */
    uint8_t *marks;   /* enum block_mark per block */
    uint8_t *journal; /* bitmap of pieces, first piece in the highest bit */
};

struct disk {
    struct share *shares;
    uint32_t share_count;
    uint32_t share_cap;
    struct part *parts;
    uint32_t *finished; /* files that downloads became */
    uint32_t finished_count;
    uint32_t finished_cap;
};

static struct disk *disk_of(struct machine *machine) {
    if (machine->disk == NULL) {
        machine->disk = mem_new(sizeof *machine->disk);
    }
    return machine->disk;
}

/* ---- Content ---- */

/* Write the bytes of one block of a file. */
static void fill_block(const struct sim *sim, uint32_t file, uint32_t block, uint8_t *to) {
    const uint64_t key[2] = {sim->config.seed, 0x66696c6573};
    const uint64_t which[2] = {htole64(file), htole64(block)};
    uint64_t state = siphash(key, which, sizeof which);
    uint32_t len = hashtree_block_bytes(sim->files[file].content.size, block);
    for (uint32_t at = 0; at < len; at += sizeof state) {
        state = state * 0xd1342543de82ef95 + 0x2545f4914f6cdd1d;
        uint64_t word = htole64(state ^ state >> 29);
        uint32_t part = len - at < sizeof word ? len - at : (uint32_t)sizeof word;
        memcpy(to + at, &word, part);
    }
}

static void hash_block(struct sim *sim, uint32_t file, uint32_t block, struct hash *out) {
    uint8_t bytes[BLOCK_BYTES];
    fill_block(sim, file, block, bytes);
    uint32_t len = hashtree_block_bytes(sim->files[file].content.size, block);
    crypto_hash(&sim->crypto, (struct slice){bytes, len}, out);
}

uint32_t sim_file_add(struct sim *sim, uint64_t size) {
    if (sim->file_count == sim->file_cap) {
        sim->file_cap = sim->file_cap > 0 ? sim->file_cap * 2 : 64;
        sim->files = mem_resize(sim->files, sim->file_cap, sizeof *sim->files);
    }
    uint32_t number = sim->file_count++;
    struct sim_file *file = &sim->files[number];
    *file = (struct sim_file){.content.size = size, .piece_count = hashtree_pieces(size)};
    file->pieces = mem_array(file->piece_count, sizeof *file->pieces);
    for (uint32_t piece = 0; piece < file->piece_count; piece++) {
        struct hash blocks[PIECE_BLOCKS];
        uint32_t count = hashtree_piece_blocks(size, piece);
        for (uint32_t i = 0; i < count; i++) {
            hash_block(sim, number, piece * PIECE_BLOCKS + i, &blocks[i]);
        }
        hashtree_piece(&sim->crypto, size, piece, blocks, &file->pieces[piece]);
    }
    hashtree_file_root(&sim->crypto, size, file->pieces, &file->content.root);
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &file->content);
    map_put(&sim->contents, key, (void *)(uintptr_t)(number + 1));
    return number;
}

const struct content_id *sim_file_content(const struct sim *sim, uint32_t file) {
    CHECK(file < sim->file_count);
    return &sim->files[file].content;
}

uint32_t sim_file_of(const struct sim *sim, const struct content_id *content) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, content);
    uintptr_t number = (uintptr_t)map_get(&sim->contents, key);
    return number == 0 ? UINT32_MAX : (uint32_t)(number - 1);
}

/* ---- Shared files ---- */

static void post_shared(struct sim *sim, struct machine *machine, uint32_t place,
                        uint64_t delay_us) {
    const struct share *share = &machine->disk->shares[place];
    const struct sim_file *file = &sim->files[share->file];
    struct post *post = post_new(machine, NODE_SHARED);
    post->event.shared.file = place + 1;
    post->event.shared.content = file->content;
    buf_append(&post->bytes, share->name, strlen(share->name));
    size_t name_len = post->bytes.len;
    if (file->piece_count > 1) {
        buf_append(&post->bytes, file->pieces, file->piece_count * sizeof(struct hash));
    }
    post->event.shared.name = (struct slice){post->bytes.data, name_len};
    post->event.shared.pieces =
        (struct slice){post->bytes.data + name_len, post->bytes.len - name_len};
    post_at(sim, post, sim->now_us + delay_us);
}

static void add_share(struct sim *sim, uint32_t number, const struct share *share) {
    CHECK(share->file < sim->file_count && number < sim->machine_count);
    struct machine *machine = sim->machines[number];
    struct disk *disk = disk_of(machine);
    if (disk->share_count == disk->share_cap) {
        disk->share_cap = disk->share_cap > 0 ? disk->share_cap * 2 : 4;
        disk->shares = mem_resize(disk->shares, disk->share_cap, sizeof *disk->shares);
    }
    disk->shares[disk->share_count++] = *share;
    if (machine->is_up) {
        post_shared(sim, machine, disk->share_count - 1, SCAN_EACH_US);
    }
}

void sim_share(struct sim *sim, uint32_t machine, uint32_t file, const char *name) {
    struct share share = {.file = file, .name = mem_string(name)};
    add_share(sim, machine, &share);
}

void sim_share_false(struct sim *sim, uint32_t machine, uint32_t file, const char *name) {
    struct share share = {.file = file, .name = mem_string(name), .is_false = true};
    add_share(sim, machine, &share);
}

void sim_spoil(struct sim *sim, uint32_t machine, uint32_t ppm) {
    CHECK(machine < sim->machine_count);
    sim->machines[machine]->spoil_ppm = ppm;
}

uint32_t sim_spoilt(const struct sim *sim, uint32_t machine) {
    CHECK(machine < sim->machine_count);
    return sim->machines[machine]->spoilt;
}

void sim_unshare(struct sim *sim, uint32_t number, uint32_t file) {
    struct machine *machine = sim->machines[number];
    struct disk *disk = disk_of(machine);
    for (uint32_t i = 0; i < disk->share_count; i++) {
        if (disk->shares[i].file != file || disk->shares[i].is_gone) {
            continue;
        }
        disk->shares[i].is_gone = true;
        if (machine->is_up) {
            struct post *post = post_new(machine, NODE_UNSHARED);
            post->event.shared.file = i + 1;
            post->event.shared.content = sim->files[file].content;
            post_at(sim, post, sim->now_us + SCAN_EACH_US);
        }
    }
}

bool sim_has_file(const struct sim *sim, uint32_t machine, uint32_t file) {
    const struct disk *disk = sim->machines[machine]->disk;
    if (disk == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < disk->share_count; i++) {
        if (disk->shares[i].file == file && !disk->shares[i].is_gone) {
            return true;
        }
    }
    for (uint32_t i = 0; i < disk->finished_count; i++) {
        if (disk->finished[i] == file) {
            return true;
        }
    }
    return false;
}

void sim_files_started(struct sim *sim, struct machine *machine) {
    uint64_t delay_us = SCAN_US;
    uint32_t count = machine->disk != NULL ? machine->disk->share_count : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!machine->disk->shares[i].is_gone) {
            post_shared(sim, machine, i, delay_us);
            delay_us += SCAN_EACH_US;
        }
    }
    post_at(sim, post_new(machine, NODE_SHARES_READY), sim->now_us + delay_us);
}

/* ---- Part files ---- */

static struct part *part_open(const struct machine *machine, uint64_t number) {
    struct part *part = machine->disk != NULL ? machine->disk->parts : NULL;
    while (part != NULL && (!part->is_open || part->number != number)) {
        part = part->next;
    }
    return part;
}

static bool bit_is_set(const uint8_t *bits, uint32_t at) {
    return (bits[at / 8] & (0x80 >> at % 8)) != 0;
}

static size_t journal_bytes(const struct part *part) {
    return (hashtree_pieces(part->content.size) + 7) / 8;
}

static struct part *part_new(struct sim *sim, struct disk *disk, const struct content_id *content) {
    struct part *part = mem_new(sizeof *part);
    part->content = *content;
    part->file = sim_file_of(sim, content);
    part->marks = mem_new(hashtree_blocks(content->size));
    part->journal = mem_new(journal_bytes(part));
    part->next = disk->parts;
    disk->parts = part;
    return part;
}

static void part_remove(struct disk *disk, struct part *part) {
    struct part **at = &disk->parts;
    while (*at != part) {
        at = &(*at)->next;
    }
    *at = part->next;
    mem_free(part->marks);
    mem_free(part->journal);
    mem_free(part);
}

void sim_files_crashed(struct sim *sim, struct machine *machine, enum sim_crash how) {
    struct part *part = machine->disk != NULL ? machine->disk->parts : NULL;
    for (; part != NULL; part = part->next) {
        part->is_open = false;
        part->has_failed = false;
        uint32_t blocks = hashtree_blocks(part->content.size);
        for (uint32_t i = 0; how == SIM_POWER && i < blocks; i++) {
            if (part->marks[i] == BLOCK_WRITTEN && rng_below(&sim->rng, 2) == 0) {
                part->marks[i] = BLOCK_ABSENT;
            }
        }
    }
}

/* ---- Jobs ---- */

/* Each job is decided when the node asks and done, in order, when the disk gets to it. */

static bool fail_job(struct post *post, enum err reason) {
    if (post->job.kind == ACTION_SEND_BLOCK) {
        post->event.kind = NODE_BLOCK_FAILED;
        post->event.block.reason = reason;
        return true;
    }
    uint64_t token = post->job.token;
    post->event = (struct node_event){.kind = NODE_FILE_FAILED};
    post->event.file.file = post->job.file;
    post->event.file.token = token;
    post->event.file.reason = reason;
    struct part *part = part_open(post->machine, post->job.file);
    if (part != NULL && post->job.kind != ACTION_FILE_HASH) {
        part->has_failed = true;
    }
    return true;
}

/* The index of the file that a number means to a machine, or UINT32_MAX. */
static uint32_t file_behind(const struct machine *machine, uint64_t number) {
    if ((number & FILE_PART) != 0) {
        const struct part *part = part_open(machine, number);
        return part != NULL ? part->file : UINT32_MAX;
    }
    const struct disk *disk = machine->disk;
    bool is_there = disk != NULL && number >= 1 && number <= disk->share_count &&
                    !disk->shares[number - 1].is_gone;
    return is_there ? disk->shares[number - 1].file : UINT32_MAX;
}

static bool block_is_there(const struct machine *machine, uint64_t number, uint32_t block) {
    if ((number & FILE_PART) == 0) {
        return !machine->disk->shares[number - 1].is_false;
    }
    const struct part *part = part_open(machine, number);
    return part != NULL && part->marks[block] != BLOCK_ABSENT;
}

/* Read the block a node wants sent, as the disk has it: zeroes where nothing was written. */
static bool run_send(struct sim *sim, struct post *post) {
    const struct action *job = &post->job;
    uint32_t file = file_behind(post->machine, job->file);
    if (file == UINT32_MAX) {
        return fail_job(post, ERR_CHANGED);
    }
    uint32_t block = (uint32_t)(job->offset / BLOCK_BYTES);
    uint64_t size = sim->files[file].content.size;
    bool is_block = job->offset % BLOCK_BYTES == 0 && job->offset < size &&
                    job->len == hashtree_block_bytes(size, block);
    if (!is_block) {
        sim_fail(sim, "machine %u sends %u bytes at %llu: not a block", post->machine->number,
                 job->len, (unsigned long long)job->offset);
        return false;
    }
    if (sim_chance(sim, sim->faults.disk_ppm)) {
        return fail_job(post, ERR_IO);
    }
    uint8_t *data = buf_reserve(&post->bytes, job->len);
    memset(data, 0, job->len);
    if (block_is_there(post->machine, job->file, block)) {
        fill_block(sim, file, block, data);
    }
    bool is_spoilt = sim_chance(sim, post->machine->spoil_ppm);
    post->machine->spoilt += is_spoilt;
    if (sim_chance(sim, sim->faults.rot_ppm) || is_spoilt) {
        data[rng_below(&sim->rng, job->len)] ^= 0x10;
        sim->counts.rotten++;
    }
    post->bytes.len += job->len;
    struct slice message = {post->bytes.data, post->bytes.len};
    return sim_net_send(sim, post->machine, job->link, message) || fail_job(post, ERR_CLOSED);
}

static bool run_open(struct sim *sim, struct post *post) {
    struct disk *disk = disk_of(post->machine);
    struct part *part = disk->parts;
    while (part != NULL && !content_equal(&part->content, &post->job.content)) {
        part = part->next;
    }
    if (part == NULL) {
        part = part_new(sim, disk, &post->job.content);
    }
    if (part->is_open) {
        sim_fail(sim, "machine %u opens one part file twice", post->machine->number);
        return false;
    }
    part->is_open = true;
    part->has_failed = false;
    part->number = post->job.file;
    post->bytes.len = 0; /* the wanted name, which counts only when it is finished */
    buf_append(&post->bytes, part->journal, journal_bytes(part));
    post->event.file.pieces = (struct slice){post->bytes.data, post->bytes.len};
    return true;
}

/* Compare what is written with what the file must be. */
static void write_block(struct sim *sim, struct post *post, struct part *part, uint64_t offset) {
    uint32_t block = (uint32_t)(offset / BLOCK_BYTES);
    uint32_t len = hashtree_block_bytes(part->content.size, block);
    uint8_t wanted[BLOCK_BYTES];
    bool is_right = part->file != UINT32_MAX;
    if (is_right) {
        fill_block(sim, part->file, block, wanted);
        is_right = memcmp(wanted, post->job.owned + (offset - post->job.offset), len) == 0;
    }
    if (!is_right) {
        sim_fail(sim, "machine %u writes wrong bytes to block %u", post->machine->number, block);
        return;
    }
    if (part->marks[block] == BLOCK_ABSENT) {
        part->marks[block] = BLOCK_WRITTEN;
    }
}

static bool run_write(struct sim *sim, struct post *post) {
    struct part *part = part_open(post->machine, post->job.file);
    if (part == NULL || part->has_failed) {
        return false;
    }
    if (sim_chance(sim, sim->faults.disk_ppm)) {
        return fail_job(post, ERR_NO_SPACE);
    }
    uint64_t end = post->job.offset + post->job.len;
    bool is_whole = post->job.offset % BLOCK_BYTES == 0 && end <= part->content.size &&
                    (end % BLOCK_BYTES == 0 || end == part->content.size);
    if (!is_whole) {
        sim_fail(sim, "machine %u writes parts of blocks", post->machine->number);
        return false;
    }
    for (uint64_t at = post->job.offset; at < end; at += BLOCK_BYTES) {
        write_block(sim, post, part, at);
    }
    return true;
}

static void commit_piece(struct sim *sim, struct post *post, struct part *part, uint32_t piece) {
    uint32_t count = hashtree_piece_blocks(part->content.size, piece);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *mark = &part->marks[piece * PIECE_BLOCKS + i];
        if (*mark == BLOCK_ABSENT) {
            sim_fail(sim, "machine %u commits piece %u without block %u", post->machine->number,
                     piece, i);
        }
        *mark = BLOCK_DURABLE;
    }
    part->journal[piece / 8] |= (uint8_t)(0x80 >> piece % 8);
}

static bool run_commit(struct sim *sim, struct post *post) {
    struct part *part = part_open(post->machine, post->job.file);
    if (part == NULL || part->has_failed) {
        return false;
    }
    if (sim_chance(sim, sim->faults.disk_ppm)) {
        return fail_job(post, ERR_IO);
    }
    uint32_t pieces = hashtree_pieces(part->content.size);
    for (uint32_t piece = 0; piece < pieces && piece / 8 < post->bytes.len; piece++) {
        if (bit_is_set(post->bytes.data, piece)) {
            commit_piece(sim, post, part, piece);
        }
    }
    post->event.file.pieces = (struct slice){post->bytes.data, post->bytes.len};
    return true;
}

static bool run_hash(struct sim *sim, struct post *post) {
    uint32_t file = file_behind(post->machine, post->job.file);
    if (file == UINT32_MAX) {
        return fail_job(post, ERR_CHANGED);
    }
    if (sim_chance(sim, sim->faults.disk_ppm)) {
        return fail_job(post, ERR_IO);
    }
    uint32_t blocks = hashtree_blocks(sim->files[file].content.size);
    for (uint32_t i = 0; i < post->job.len; i++) {
        uint32_t block = (uint32_t)post->job.offset + i;
        struct hash hash = {0};
        if (block < blocks && block_is_there(post->machine, post->job.file, block)) {
            hash_block(sim, file, block, &hash);
        }
        buf_append(&post->bytes, hash.b, sizeof hash.b);
    }
    post->event.file.hashes = (struct slice){post->bytes.data, post->bytes.len};
    return true;
}

static void keep_finished(struct disk *disk, uint32_t file) {
    if (disk->finished_count == disk->finished_cap) {
        disk->finished_cap = disk->finished_cap > 0 ? disk->finished_cap * 2 : 4;
        disk->finished = mem_resize(disk->finished, disk->finished_cap, sizeof *disk->finished);
    }
    disk->finished[disk->finished_count++] = file;
}

/* Verify as a whole and rename. All blocks written were compared, so what is there is right. */
static bool run_finish(struct sim *sim, struct post *post) {
    struct part *part = part_open(post->machine, post->job.file);
    if (part == NULL || part->has_failed) {
        return false;
    }
    if (sim_chance(sim, sim->faults.disk_ppm)) {
        return fail_job(post, ERR_IO);
    }
    uint32_t blocks = hashtree_blocks(part->content.size);
    for (uint32_t i = 0; i < blocks; i++) {
        if (part->marks[i] == BLOCK_ABSENT) {
            sim_fail(sim, "machine %u finishes a file without block %u", post->machine->number, i);
            return false;
        }
    }
    struct content_id content = part->content;
    keep_finished(post->machine->disk, part->file);
    part_remove(post->machine->disk, part);
    sim->counts.finished++;
    sim_trace_line(sim, post->machine, "finished %llu bytes", (unsigned long long)content.size);
    if (sim->config.watch.finished != NULL) {
        sim->config.watch.finished(sim->config.watch.context, post->machine->number, &content);
    }
    post->event.file.name = (struct slice){post->bytes.data, post->bytes.len};
    return true;
}

static bool run_close(struct sim *sim, struct post *post) {
    (void)sim;
    struct part *part = part_open(post->machine, post->job.file);
    if (part != NULL) {
        part->is_open = false;
    }
    return false;
}

static bool run_discard(struct sim *sim, struct post *post) {
    (void)sim;
    struct part *part = part_open(post->machine, post->job.file);
    if (part != NULL) {
        part_remove(post->machine->disk, part);
    }
    return false;
}

struct job_kind {
    bool (*run)(struct sim *sim, struct post *post);
    enum node_event_kind done;
    uint32_t base_us;
};

static const struct job_kind job_kinds[] = {
    [ACTION_SEND_BLOCK] = {run_send, NODE_BLOCK_SENT, JOB_US},
    [ACTION_FILE_OPEN] = {run_open, NODE_FILE_OPENED, FLUSH_US},
    [ACTION_FILE_WRITE] = {run_write, NODE_FILE_WRITTEN, JOB_US},
    [ACTION_FILE_COMMIT] = {run_commit, NODE_FILE_COMMITTED, FLUSH_US},
    [ACTION_FILE_HASH] = {run_hash, NODE_FILE_HASHED, JOB_US},
    [ACTION_FILE_FINISH] = {run_finish, NODE_FILE_FINISHED, FLUSH_US},
    [ACTION_FILE_CLOSE] = {run_close, NODE_EVENT_KINDS, JOB_US},
    [ACTION_FILE_DISCARD] = {run_discard, NODE_EVENT_KINDS, JOB_US},
};

void sim_files_job(struct sim *sim, struct machine *machine, struct action *action) {
    const struct job_kind *kind = &job_kinds[action->kind];
    struct post *post = post_new(machine, kind->done);
    post->run = kind->run;
    post->job = *action;
    action->owned = NULL;
    if (action->kind == ACTION_SEND_BLOCK) {
        post->event.block.link = action->link;
        post->event.block.token = action->token;
    } else {
        post->event.file.file = action->file;
        post->event.file.token = action->token;
        post->event.file.offset = action->offset;
        post->event.file.len = action->len;
    }
    struct slice bytes = outbox_bytes(&sim->outbox, action);
    buf_append(&post->bytes, bytes.data, bytes.len);
    uint64_t took_us = kind->base_us / 2 + rng_below(&sim->rng, kind->base_us);
    if (action->kind == ACTION_FILE_HASH) {
        took_us += (uint64_t)action->len * HASH_BLOCK_US;
    }
    uint64_t start_us = machine->disk_free_us > sim->now_us ? machine->disk_free_us : sim->now_us;
    machine->disk_free_us = start_us + took_us;
    post_at(sim, post, machine->disk_free_us);
}

/* ---- The end ---- */

void sim_files_free_machine(struct machine *machine) {
    struct disk *disk = machine->disk;
    if (disk == NULL) {
        return;
    }
    while (disk->parts != NULL) {
        part_remove(disk, disk->parts);
    }
    for (uint32_t i = 0; i < disk->share_count; i++) {
        mem_free(disk->shares[i].name);
    }
    mem_free(disk->shares);
    mem_free(disk->finished);
    mem_free(disk);
}

void sim_files_free(struct sim *sim) {
    for (uint32_t i = 0; i < sim->file_count; i++) {
        mem_free(sim->files[i].pieces);
    }
    mem_free(sim->files);
}
