/* test_crash_states.c - the power goes at any moment, and the disk keeps of what was not synced
 * what it likes: no wrong piece is ever believed, the finished file is right or absent, and it goes
 * on.
 *
 * A download is recorded (disktap.h). From a random prefix of the record a disk is made: all that
 * was synced, and of the rest any sectors, torn or in any order, any sizes, any renames. A node
 * opens it and finishes the file; that is recorded as well and cut again. After ALICE (Pillai et
 * al., "All File Systems Are Not Created Equal", OSDI 2014).
 *
 *     unit_crash_states [--states N] [--seed S] */
#include "tests/unit/disktap.h"

#define SECTOR 4096
#define TORN 512
#ifndef STATES_CI
#define STATES_CI 300
#endif
#define STATES_PER_RECORD 25
#define NAMES_MAX 32

/* ---- Disks ---- */

struct inode {
    uint8_t *bytes; /* room of them are there */
    uint64_t size;
    size_t room; /* a journal needs little */
};

struct entry {
    char name[TAP_NAME]; /* "" = free */
    uint32_t file;
};

struct image {
    struct inode inodes[TAP_FILES];
    struct entry entries[NAMES_MAX];
};

#define INODE_ROOM (FILE_BYTES + SECTOR)
#define JOURNAL_ROOM (16 * SECTOR)

/* What a disk does with what was not synced. */
struct cut {
    struct rng rng;
    uint32_t end;       /* ops before it were done */
    uint32_t keep;      /* percent of the sectors */
    bool keeps_stale;   /* a sector not written has another file's old bytes, not zeros */
    bool keeps_order;   /* of renames: a prefix of them, else any */
    uint32_t last_name; /* ... until this op */
};

/* Which syncs the disk lies about: the checks must notice. */
static enum { HONEST, LIES_ON_DATA, LIES_ON_FOLDERS, LIES_ON_JOURNAL, LIES } disk;

static void image_free(struct image *image) {
    for (uint32_t i = 0; i < TAP_FILES; i++) {
        mem_free(image->inodes[i].bytes);
    }
    mem_free(image);
}

static struct image *image_copy(const struct image *from) {
    struct image *image = mem_copy(from, sizeof *from);
    for (uint32_t i = 0; i < TAP_FILES; i++) {
        if (from->inodes[i].bytes != NULL) {
            image->inodes[i].bytes = mem_copy(from->inodes[i].bytes, from->inodes[i].room);
        }
    }
    return image;
}

static struct entry *entry_of(struct image *image, const char *name) {
    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        if (strcmp(image->entries[i].name, name) == 0) {
            return &image->entries[i];
        }
    }
    return NULL;
}

static void entry_set(struct image *image, const char *name, uint32_t file) {
    struct entry *entry = entry_of(image, name);
    entry = entry != NULL ? entry : entry_of(image, "");
    assert_non_null(entry);
    memcpy(entry->name, name, TAP_NAME);
    entry->file = file;
}

static bool is_synced(const struct cut *cut, uint32_t at, enum tap_kind kind, uint32_t file) {
    for (uint32_t i = at + 1; i < cut->end; i++) {
        if (tap.ops[i].kind == kind && (kind != TAP_SYNC || tap.ops[i].file == file)) {
            return true;
        }
    }
    return false;
}

static bool ends_in(const struct tap_op *op, char folder) {
    return op->name[0] == folder || op->to[0] == folder;
}

static bool name_is_durable(const struct cut *cut, uint32_t at) {
    const struct tap_op *op = &tap.ops[at];
    return disk != LIES_ON_FOLDERS &&
           (!ends_in(op, 'p') || is_synced(cut, at, TAP_SYNC_PARTS, 0)) &&
           (!ends_in(op, 'd') || is_synced(cut, at, TAP_SYNC_DOWNLOADS, 0));
}

/* A file's kind is known by the first name it got. */
static bool lies_on(uint32_t file) {
    for (uint32_t i = 0; i < tap.count; i++) {
        if (tap.ops[i].kind == TAP_CREATE && tap.ops[i].file == file) {
            return disk == (tap_ends(tap.ops[i].name, ".part") ? LIES_ON_DATA : LIES_ON_JOURNAL);
        }
    }
    return false;
}

static void cut_write(struct cut *cut, struct inode *inode, const struct tap_op *op, bool is_sure) {
    for (size_t at = 0; at < op->len;) {
        uint64_t offset = op->offset + at;
        size_t len = SECTOR - offset % SECTOR;
        len = len < op->len - at ? len : op->len - at;
        uint64_t dice = rng_below(&cut->rng, 100);
        size_t kept = is_sure || dice < cut->keep ? len : 0;
        if (!is_sure && dice == 99) { /* torn */
            kept = len < TORN ? 0 : TORN * (size_t)rng_below(&cut->rng, len / TORN + 1);
        }
        assert_true(offset + len <= inode->room);
        memcpy(inode->bytes + offset, op->data + at, kept);
        if (kept < len && cut->keeps_stale) {
            memset(inode->bytes + offset + kept, 0x5a, len - kept);
        }
        at += len;
    }
    bool has_size = is_sure || rng_below(&cut->rng, 2) == 0;
    if (has_size && op->offset + op->len > inode->size) {
        inode->size = op->offset + op->len;
    }
}

static void cut_name(struct image *image, const struct tap_op *op) {
    struct entry *entry = entry_of(image, op->name);
    if (op->kind == TAP_CREATE) {
        entry_set(image, op->name, op->file);
    } else if (entry != NULL) { /* else it is not there, as its making was lost */
        uint32_t file = entry->file;
        memset(entry->name, 0, TAP_NAME);
        if (op->kind == TAP_RENAME) {
            entry_set(image, op->to, file);
        }
    }
}

static void cut_op(struct cut *cut, struct image *image, uint32_t at) {
    const struct tap_op *op = &tap.ops[at];
    struct inode *inode = &image->inodes[op->file];
    bool is_data = op->kind == TAP_WRITE || op->kind == TAP_SIZE || op->kind == TAP_CREATE;
    if (op->kind == TAP_CREATE) {
        inode->room = tap_ends(op->name, ".part") ? INODE_ROOM : JOURNAL_ROOM;
        inode->bytes = mem_new(inode->room);
    }
    bool is_sure = is_data && !lies_on(op->file) && is_synced(cut, at, TAP_SYNC, op->file);
    if (op->kind == TAP_WRITE) {
        cut_write(cut, inode, op, is_sure);
    } else if (op->kind == TAP_SIZE && (is_sure || rng_below(&cut->rng, 2) == 0)) {
        inode->size = op->offset;
    } else if (op->kind == TAP_CREATE || op->kind == TAP_RENAME || op->kind == TAP_UNLINK) {
        bool may_stay = cut->keeps_order ? at < cut->last_name : rng_below(&cut->rng, 2) == 0;
        if (may_stay || name_is_durable(cut, at)) {
            cut_name(image, op);
        }
    }
}

static struct cut cut_make(uint64_t seed) {
    static const uint32_t keeps[] = {0, 10, 50, 90, 100};
    struct cut cut = {0};
    rng_seed(&cut.rng, seed);
    cut.end = (uint32_t)rng_below(&cut.rng, tap.count + 1);
    cut.keep = keeps[rng_below(&cut.rng, LENGTH(keeps))];
    cut.keeps_stale = rng_below(&cut.rng, 2) == 0;
    cut.keeps_order = rng_below(&cut.rng, 2) == 0;
    cut.last_name = (uint32_t)rng_below(&cut.rng, cut.end + 1);
    return cut;
}

/* What is on the disk when the power goes. */
static struct image *image_after(const struct image *before, struct cut *cut) {
    struct image *image = image_copy(before);
    for (uint32_t i = 0; i < cut->end; i++) {
        cut_op(cut, image, i);
    }
    return image;
}

/* ---- Real folders ---- */

static void path_of(char to[300], const struct fetch *fetch, const char *name) {
    snprintf(to, 300, "%s/%s%s", fetch->downloads, name[0] == 'p' ? ".trunkline/" : "", name + 2);
}

static void clear_folder(const struct fetch *fetch) {
    folder_remove(fetch->downloads);
    assert_int_equal(mkdir(fetch->downloads, 0700), 0);
}

/* Lay an image out, and let the tap know its files by the same numbers. */
static void lay_out(struct fetch *fetch, const struct image *image) {
    char path[300];
    clear_folder(fetch);
    path_of(path, fetch, "p/");
    assert_int_equal(mkdir(path, 0700), 0);
    tap_clear();
    tap.files = TAP_FILES / 2; /* new ones get numbers from there */
    memset(tap.inodes, 0, sizeof tap.inodes);
    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        const struct entry *entry = &image->entries[i];
        if (entry->name[0] == '\0') {
            continue;
        }
        const struct inode *inode = &image->inodes[entry->file];
        assert_true(entry->file < TAP_FILES / 2);
        path_of(path, fetch, entry->name);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, inode->bytes, inode->size), inode->size);
        struct stat stat;
        assert_int_equal(fstat(fd, &stat), 0);
        tap.inodes[entry->file] = stat.st_ino;
        close(fd);
    }
}

/* After a record was cut: numbers of files that are gone are free for the next record. */
static void renumber(struct image *image) {
    struct inode inodes[TAP_FILES] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        struct entry *entry = &image->entries[i];
        if (entry->name[0] != '\0') { /* two names of one file become two files */
            const struct inode *inode = &image->inodes[entry->file];
            inodes[count] = *inode;
            inodes[count].bytes = mem_copy(inode->bytes, inode->room);
            entry->file = count++;
        }
    }
    for (uint32_t i = 0; i < TAP_FILES; i++) {
        mem_free(image->inodes[i].bytes);
    }
    memcpy(image->inodes, inodes, sizeof inodes);
}

/* ---- What must hold ---- */

static struct {
    uint32_t states;
    uint32_t resumed; /* some pieces were believed */
    uint32_t adopted; /* only the name was missing */
    uint32_t absent;  /* began anew */
    uint32_t double_cuts;
    uint32_t wrong; /* claims that broke */
    const char *why;
} seen;

static void wrong(const char *why) {
    seen.wrong++;
    seen.why = why;
}

static bool read_file(const char *path, uint8_t *bytes, size_t *len) {
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        *len = fread(bytes, 1, INODE_ROOM, file);
        fclose(file);
    }
    return file != NULL;
}

/* Every visible file is the right one; return how many there are. */
static uint32_t check_visible(const struct fetch *fetch) {
    uint32_t count = 0;
    DIR *dir = opendir(fetch->downloads);
    uint8_t *bytes = mem_new(INODE_ROOM);
    for (struct dirent *at; dir != NULL && (at = readdir(dir)) != NULL;) {
        char path[400];
        size_t len = 0;
        if (at->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", fetch->downloads, at->d_name);
        count++;
        if (!read_file(path, bytes, &len) || len != FILE_BYTES ||
            memcmp(bytes, fetch->bytes, FILE_BYTES) != 0) {
            wrong("a finished file is wrong");
        }
    }
    closedir(dir);
    mem_free(bytes);
    return count;
}

/* While the node has just opened it: what is believed must be there. */
static void check_opened(struct fetch *fetch) {
    char path[300];
    char root[2 * HASH_BYTES + 1];
    uint8_t *bytes = mem_new(INODE_ROOM);
    size_t len = 0;
    hex_format(root, fetch->content.root.b, HASH_BYTES);
    snprintf(path, sizeof path, "%s/.trunkline/%s-%u.part", fetch->downloads, root, FILE_BYTES);
    if (!read_file(path, bytes, &len)) { /* then it has its name */
        snprintf(path, sizeof path, "%s/song.ogg", fetch->downloads);
        seen.adopted += read_file(path, bytes, &len);
    }
    for (uint32_t piece = 0; piece < PIECES; piece++) {
        uint64_t offset = (uint64_t)piece * PIECE_BYTES;
        uint64_t left = FILE_BYTES - offset;
        size_t size = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        bool is_believed = (fetch->opened & (0x80 >> piece)) != 0;
        if (is_believed &&
            (len != FILE_BYTES || memcmp(bytes + offset, fetch->bytes + offset, size) != 0)) {
            wrong("a wrong piece is believed");
        }
    }
    mem_free(bytes);
}

static void note_told(struct fetch *fetch, enum node_event_kind kind) {
    pthread_mutex_lock(&tap.lock);
    bool is_commit = kind == NODE_FILE_COMMITTED;
    tap_add(is_commit ? TAP_COMMITTED : TAP_FINISHED, 0)->offset = fetch->committed;
    pthread_mutex_unlock(&tap.lock);
}

static void record(struct fetch *fetch) {
    tap.is_on = true;
    fetch_run(fetch);
    tap.is_on = false;
}

/* The promises made before the cut. */
static uint8_t promised(const struct cut *cut, bool *is_finished) {
    uint8_t pieces = 0;
    *is_finished = false;
    for (uint32_t i = 0; i < cut->end; i++) {
        pieces |= tap.ops[i].kind == TAP_COMMITTED ? (uint8_t)tap.ops[i].offset : 0;
        *is_finished = *is_finished || tap.ops[i].kind == TAP_FINISHED;
    }
    return pieces;
}

/* Open what a crash has left, check it, and finish the file. The way there is the new record. */
static void recover(struct fetch *fetch, struct image *image, uint8_t pieces, bool is_finished) {
    renumber(image);
    lay_out(fetch, image);
    seen.states++;
    uint32_t visible = check_visible(fetch);
    if (is_finished) {
        if (visible != 1) {
            wrong("a file that was told finished is gone");
        }
        return; /* the store no longer asks for it */
    }
    fetch->will_resume = true;
    memset(fetch->later, 0, sizeof fetch->later);
    record(fetch);
    if (fetch->reason != OK) {
        wrong("a download cannot go on");
    } else if (check_visible(fetch) != 1) {
        wrong("a file is there twice, or not at all");
    }
    if ((pieces & ~fetch->opened) != 0) {
        wrong("a piece that was told committed is lost");
    }
    seen.resumed += fetch->opened != 0;
    seen.absent += fetch->opened == 0;
}

static void record_first(struct fetch *fetch, struct rng *rng) {
    static const struct image empty;
    lay_out(fetch, &empty);
    tap.files = 0;
    uint8_t left = ALL_PIECES;
    memset(fetch->later, 0, sizeof fetch->later);
    for (uint32_t i = 0; left != 0;) { /* batches of any pieces, in any order */
        uint8_t batch = left & (uint8_t)rng_u64(rng);
        if (batch == 0 || i == PIECES) {
            batch = left;
        }
        *(i == 0 ? &fetch->wanted : &fetch->later[i - 1]) = batch;
        left &= (uint8_t)~batch;
        i++;
    }
    fetch->will_resume = false;
    record(fetch);
    assert_int_equal(fetch->reason, OK);
}

/* Keep a record aside while another one is made. */
static struct disktap *tap_save(void) {
    struct disktap *saved = mem_copy(&tap, sizeof tap);
    tap.count = 0;
    return saved;
}

static void tap_restore(struct disktap *saved) {
    tap_clear();
    memcpy(tap.ops, saved->ops, saved->count * sizeof *tap.ops);
    tap.count = saved->count;
}

/* The power goes again while it recovers. */
static void cut_again(struct fetch *fetch, const struct image *before, uint8_t pieces,
                      uint64_t seed) {
    bool is_finished;
    struct cut cut = cut_make(seed);
    struct image *image = image_after(before, &cut);
    pieces |= promised(&cut, &is_finished);
    recover(fetch, image, pieces, is_finished);
    seen.double_cuts++;
    image_free(image);
}

/* Nothing has to reach a real disk. */
static void use_memory(struct fetch *fetch) {
    char path[64] = "/dev/shm/trunkline-test.XXXXXX";
    if (mkdtemp(path) != NULL) {
        folder_remove(fetch->downloads);
        memcpy(fetch->downloads, path, sizeof path);
    }
}

static void replay(uint32_t states, uint64_t seed) {
    struct image *empty = mem_new(sizeof *empty);
    struct fetch fetch;
    struct rng rng;
    memset(&seen, 0, sizeof seen);
    rng_seed(&rng, seed);
    fetch_init(&fetch);
    use_memory(&fetch);
    fetch.will_finish = true;
    fetch.on_told = note_told;
    while (seen.states < states) {
        fetch.on_opened = NULL;
        record_first(&fetch, &rng);
        fetch.on_opened = check_opened;
        struct disktap *first = tap_save();
        for (uint32_t i = 0; i < STATES_PER_RECORD && seen.states < states; i++) {
            tap_restore(first);
            bool is_finished;
            struct cut cut = cut_make(rng_u64(&rng));
            struct image *image = image_after(empty, &cut);
            uint8_t pieces = promised(&cut, &is_finished);
            tap.count = 0; /* first's */
            recover(&fetch, image, pieces, is_finished);
            if (!is_finished && rng_below(&rng, 3) == 0) {
                cut_again(&fetch, image, pieces, rng_u64(&rng));
            }
            image_free(image);
        }
        tap_restore(first);
        tap_clear();
        mem_free(first);
    }
    fetch_free(&fetch);
    image_free(empty);
}

static uint32_t states = STATES_CI;
static uint64_t seed = 1;

static void test_any_crash(void **state) {
    (void)state;
    disk = HONEST;
    replay(states, seed);
    print_message(
        "%u crash states, %u of them in a recovery: %u began with pieces, %u anew, %u had "
        "the name already\n",
        seen.states, seen.double_cuts, seen.resumed, seen.absent, seen.adopted);
    if (seen.wrong > 0) {
        fail_msg("%u claims broke, the last: %s", seen.wrong, seen.why);
    }
    assert_true(seen.resumed > states / 10 && seen.absent > 0 && seen.adopted > 0 &&
                seen.double_cuts > 0);
}

/* A disk that only says that it has synced breaks the promises, and the checks see it. */
static void test_the_checks_see_lies(void **state) {
    (void)state;
    for (uint32_t lie = LIES_ON_DATA; lie < LIES; lie++) {
        disk = lie;
        replay(60, seed);
        print_message("lie %u: %u claims broke, the last: %s\n", lie, seen.wrong, seen.why);
        assert_true(seen.wrong > 0);
    }
    disk = HONEST;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_crash),
        cmocka_unit_test(test_the_checks_see_lies),
    };
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--states") == 0) {
            states = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[i + 1], NULL, 10);
        }
    }
    alarm(states <= STATES_CI ? 290 : 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
