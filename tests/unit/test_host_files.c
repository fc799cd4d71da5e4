/* test_host_files.c - downloads on disk: journal, resume, finish, and blocks served from files. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/hashtree.h"
#include "src/host/crypto.h"
#include "src/host/files.h"
#include "src/host/journal.h"
#include "tests/unit/hostlib.h"

/* ---- The journal as bytes ---- */

static const struct content_id content = {.root = {{1, 2, 3}}, .size = 20ull * PIECE_BYTES};

static struct buf journal_with(const uint8_t bitmap[3]) {
    struct buf bytes = {0};
    journal_begin(&bytes, &content);
    journal_pieces(&bytes, (struct slice){bitmap, 3}, 20);
    return bytes;
}

static void test_crc32c(void **state) {
    (void)state;
    uint8_t zeros[32] = {0};
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(zeros, sizeof zeros), 0x8a9136aa); /* RFC 3720, B.4 */
    assert_int_equal(crc32c("", 0), 0);
}

static void test_journal_round_trip(void **state) {
    (void)state;
    char name[JOURNAL_NAME_MAX + 1];
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 1000; i++) {
        uint8_t bitmap[3];
        rng_fill(&rng, bitmap, sizeof bitmap);
        bitmap[2] &= 0xf0;
        struct buf bytes = journal_with(bitmap);
        uint8_t read[3] = {0};
        size_t good = journal_read((struct slice){bytes.data, bytes.len}, &content, read, 20, name);
        assert_int_equal(good, bytes.len);
        assert_memory_equal(read, bitmap, sizeof read);
        buf_free(&bytes);
    }
}

/* Cut or flipped anywhere: what is believed is a prefix, and never a piece that was not written. */
static void test_journal_damaged(void **state) {
    (void)state;
    const uint8_t bitmap[3] = {0xa5, 0x00, 0x10};
    char name[JOURNAL_NAME_MAX + 1];
    struct buf bytes = journal_with(bitmap);
    for (size_t cut = 0; cut < bytes.len; cut++) {
        uint8_t read[3] = {0};
        size_t good = journal_read((struct slice){bytes.data, cut}, &content, read, 20, name);
        assert_true(good <= cut);
        assert_true((read[0] & ~bitmap[0]) == 0 && (read[2] & ~bitmap[2]) == 0);
    }
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        uint8_t read[3] = {0};
        bytes.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        size_t good = journal_read((struct slice){bytes.data, bytes.len}, &content, read, 20, name);
        assert_true(good < bytes.len);
        assert_true((read[0] & ~bitmap[0]) == 0 && read[1] == 0 && (read[2] & ~bitmap[2]) == 0);
        bytes.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    }
    struct content_id other = content;
    other.size++;
    uint8_t read[3] = {0};
    assert_int_equal(journal_read((struct slice){bytes.data, bytes.len}, &other, read, 20, name),
                     0);
    buf_free(&bytes);
}

/* ---- A download by hand ---- */

#define FILE_BYTES (5u * PIECE_BYTES + 12345)
#define PIECES 6
#define FILE_NUMBER (FILE_PART | 77)

/* One run of a node that writes pieces of a file. */
struct fetch {
    struct host *host;
    struct probe probe;
    char downloads[64];
    uint8_t *bytes;
    struct content_id content;
    uint8_t wanted; /* bits of the pieces to write */
    uint8_t opened; /* what the journal vouched for */
    uint8_t committed;
    const char *name;
    bool will_finish;
    bool will_discard;
    bool dies_after_commit;
    char path[300]; /* after FINISHED */
    enum err reason;
};

static void fetch_init(struct fetch *fetch) {
    *fetch = (struct fetch){.name = "song.ogg"};
    folder_make_temporary(fetch->downloads);
    fetch->bytes = mem_new(FILE_BYTES);
    for (size_t i = 0; i < FILE_BYTES; i++) {
        fetch->bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    struct hash pieces[PIECES];
    for (uint32_t piece = 0; piece < PIECES; piece++) {
        struct hash blocks[PIECE_BLOCKS];
        for (uint32_t i = 0; i < hashtree_piece_blocks(FILE_BYTES, piece); i++) {
            uint32_t block = piece * PIECE_BLOCKS + i;
            struct slice data = {fetch->bytes + (size_t)block * BLOCK_BYTES,
                                 hashtree_block_bytes(FILE_BYTES, block)};
            crypto_hash(crypto_keyless(), data, &blocks[i]);
        }
        hashtree_piece(crypto_keyless(), FILE_BYTES, piece, blocks, &pieces[piece]);
    }
    fetch->content.size = FILE_BYTES;
    hashtree_file_root(crypto_keyless(), FILE_BYTES, pieces, &fetch->content.root);
}

static void fetch_free(struct fetch *fetch) {
    folder_remove(fetch->downloads);
    mem_free(fetch->bytes);
}

static struct action *file_action(struct outbox *out, enum action_kind kind) {
    struct action *action = outbox_add(out, kind);
    action->file = FILE_NUMBER;
    return action;
}

static void write_pieces(const struct fetch *fetch, struct outbox *out) {
    for (uint32_t piece = 0; piece < PIECES; piece++) {
        if ((fetch->wanted & (0x80 >> piece)) != 0) {
            uint64_t offset = (uint64_t)piece * PIECE_BYTES;
            uint64_t left = FILE_BYTES - offset;
            struct action *action = file_action(out, ACTION_FILE_WRITE);
            action->offset = offset;
            action->len = left < PIECE_BYTES ? (uint32_t)left : PIECE_BYTES;
            action->owned = mem_copy(fetch->bytes + offset, action->len);
        }
    }
    struct action *commit =
        outbox_add_bytes(out, ACTION_FILE_COMMIT, (struct slice){&fetch->wanted, 1});
    commit->file = FILE_NUMBER;
}

static void after_commit(struct fetch *fetch, struct outbox *out) {
    if (fetch->dies_after_commit) {
        kill(getpid(), SIGKILL);
    }
    if (fetch->will_finish) {
        struct action *action = outbox_add_bytes(out, ACTION_FILE_FINISH, test_slice(fetch->name));
        action->file = FILE_NUMBER;
    } else {
        file_action(out, fetch->will_discard ? ACTION_FILE_DISCARD : ACTION_FILE_CLOSE);
        host_stop(fetch->host);
    }
}

static void fetch_script(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct fetch *fetch = probe->context;
    if (event->kind == NODE_START) {
        struct action *action =
            outbox_add_bytes(out, ACTION_FILE_OPEN, test_slice("ignored while it is a part"));
        action->file = FILE_NUMBER;
        action->content = fetch->content;
    } else if (event->kind == NODE_FILE_OPENED) {
        assert_int_equal(event->file.pieces.len, 1);
        fetch->opened = event->file.pieces.data[0];
        write_pieces(fetch, out);
    } else if (event->kind == NODE_FILE_COMMITTED) {
        fetch->committed = event->file.pieces.data[0];
        after_commit(fetch, out);
    } else if (event->kind == NODE_FILE_FINISHED) {
        snprintf(fetch->path, sizeof fetch->path, "%.*s", (int)event->file.name.len,
                 (const char *)event->file.name.data);
        host_stop(fetch->host);
    } else if (event->kind == NODE_FILE_FAILED) {
        fetch->reason = event->file.reason;
        host_stop(fetch->host);
    }
}

static void fetch_run(struct fetch *fetch) {
    struct host_error error;
    fetch->host = test_host();
    fetch->probe = (struct probe){.on = fetch_script, .context = fetch};
    fetch->reason = OK;
    fetch->path[0] = '\0';
    /* Below what fetch_free removes: a run that is killed cannot clear up. */
    snprintf(fetch->probe.folder, sizeof fetch->probe.folder, "%.50s/.state", fetch->downloads);
    struct host_node_config config = {.network = test_network(),
                                      .state_dir = fetch->probe.folder,
                                      .download_dir = fetch->downloads,
                                      .no_listen = true,
                                      .make = probe_make,
                                      .role_config = &fetch->probe,
                                      .seed = 3};
    assert_non_null(host_add(fetch->host, &config, &error));
    assert_int_equal(host_run(fetch->host), 0);
    test_host_done(fetch->host, &fetch->probe, 1);
}

static void assert_same_file(const struct fetch *fetch) {
    FILE *file = fopen(fetch->path, "re");
    assert_non_null(file);
    uint8_t *bytes = mem_new(FILE_BYTES + 1);
    assert_int_equal(fread(bytes, 1, FILE_BYTES + 1, file), FILE_BYTES);
    assert_memory_equal(bytes, fetch->bytes, FILE_BYTES);
    fclose(file);
    mem_free(bytes);
}

static uint32_t files_in(const char *folder, const char *below) {
    char path[400];
    snprintf(path, sizeof path, "%s%s", folder, below);
    DIR *dir = opendir(path);
    uint32_t count = 0;
    for (struct dirent *at; dir != NULL && (at = readdir(dir)) != NULL;) {
        count += at->d_name[0] != '.';
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static void test_write_resume_finish(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0xa0;
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0);
    assert_int_equal(fetch.committed, 0xa0);
    fetch.wanted = 0x5c; /* the rest, in a new process's life */
    fetch.will_finish = true;
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0xa0);
    assert_int_equal(fetch.reason, OK);
    assert_same_file(&fetch);
    assert_int_equal(files_in(fetch.downloads, "/.trunkline"), 0);
    struct stat stat_after;
    assert_int_equal(stat(fetch.path, &stat_after), 0);
    assert_int_equal(stat_after.st_mode & 0111, 0);
    /* The same again does not replace it. */
    fetch.wanted = 0xfc;
    char first[300];
    strcpy(first, fetch.path);
    fetch_run(&fetch);
    assert_non_null(strstr(fetch.path, "/song (2).ogg"));
    assert_same_file(&fetch);
    assert_string_not_equal(first, fetch.path);
    fetch_free(&fetch);
}

static void test_evil_names(void **state) {
    (void)state;
    static const char *const names[] = {
        "../../etc/passwd", "/etc/passwd", ".profile", "-rf", "..", "CON", "a/b\\c", ""};
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct fetch fetch;
        fetch_init(&fetch);
        fetch.wanted = 0xfc;
        fetch.will_finish = true;
        fetch.name = names[i];
        fetch_run(&fetch);
        assert_int_equal(fetch.reason, OK);
        char *folder = realpath(fetch.downloads, NULL);
        assert_memory_equal(fetch.path, folder, strlen(folder));
        assert_null(strchr(fetch.path + strlen(folder) + 1, '/'));
        assert_int_equal(files_in(fetch.downloads, ""), 1);
        free(folder);
        fetch_free(&fetch);
    }
}

/* Wrong bytes are never given a name, and the journal forgets them. */
static void test_mismatch(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0xfc;
    fetch.will_finish = true;
    fetch.bytes[3 * PIECE_BYTES + 5] ^= 1;
    fetch_run(&fetch);
    assert_int_equal(fetch.reason, ERR_MISMATCH);
    assert_int_equal(files_in(fetch.downloads, ""), 0);
    fetch.bytes[3 * PIECE_BYTES + 5] ^= 1;
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0);
    assert_int_equal(fetch.reason, OK);
    assert_same_file(&fetch);
    fetch_free(&fetch);
}

static void test_discard(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0xf0;
    fetch.will_discard = true;
    fetch_run(&fetch);
    assert_int_equal(files_in(fetch.downloads, "/.trunkline"), 0);
    fetch_free(&fetch);
}

/* A part file that is gone or was cut is not believed, whatever its journal says. */
static void test_lost_part_file(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0xf0;
    fetch_run(&fetch);
    char command[200];
    snprintf(command, sizeof command, "truncate -s 1000 %s/.trunkline/*.part", fetch.downloads);
    assert_int_equal(system(command), 0);
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0);
    fetch_free(&fetch);
}

/* A torn record at the end: what was before counts, the torn bytes are kept aside. */
static void test_torn_journal(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0x80;
    fetch_run(&fetch);
    char command[200];
    snprintf(command, sizeof command, "printf torn >> %s/.trunkline/*.journal", fetch.downloads);
    assert_int_equal(system(command), 0);
    fetch.wanted = 0x40;
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0x80);
    assert_int_equal(files_in(fetch.downloads, "/.trunkline"), 3); /* part, journal, .bad */
    fetch.wanted = 0;
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0xc0);
    fetch_free(&fetch);
}

/* Killed right after COMMITTED was told: every piece that was told is there. */
static void test_killed(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct fetch fetch;
        fetch_init(&fetch);
        fetch.wanted = (uint8_t)(0x80 >> i | 0x04);
        fetch.dies_after_commit = true;
        pid_t pid = fork();
        if (pid == 0) {
            alarm(30);
            fetch_run(&fetch);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        fetch.dies_after_commit = false;
        uint8_t told = fetch.wanted;
        fetch.wanted = 0;
        fetch_run(&fetch);
        assert_int_equal(fetch.opened, told);
        fetch_free(&fetch);
    }
}

/* No room: a clear reason, at once and not at 99 %. */
static void test_no_space(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0xfc;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {PIECE_BYTES, PIECE_BYTES};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        alarm(30);
        fetch_run(&fetch);
        _exit(fetch.reason == ERR_NO_SPACE && fetch.committed == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    fetch_free(&fetch);
}

/* ---- Below a folder, and nowhere else ---- */

static void test_open_beneath(void **state) {
    (void)state;
    char folder[64];
    char path[200];
    folder_make_temporary(folder);
    snprintf(path, sizeof path, "%s/sub", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/sub/file", folder);
    file_make(path, 10, 1);
    int fd = open_beneath(folder, "sub/file");
    assert_true(fd >= 0);
    close(fd);
    snprintf(path, sizeof path, "%s/link", folder);
    assert_int_equal(symlink("/etc", path), 0);
    assert_int_equal(open_beneath(folder, "link/passwd"), -1);
    assert_int_equal(open_beneath(folder, "link"), -1);
    assert_int_equal(open_beneath(folder, "sub//file"), -1);
    assert_int_equal(open_beneath(folder, ""), -1);
    assert_int_equal(open_beneath(folder, "nothing/file"), -1);
    folder_remove(folder);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c),          cmocka_unit_test(test_journal_round_trip),
        cmocka_unit_test(test_journal_damaged), cmocka_unit_test(test_write_resume_finish),
        cmocka_unit_test(test_evil_names),      cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_discard),         cmocka_unit_test(test_lost_part_file),
        cmocka_unit_test(test_torn_journal),    cmocka_unit_test(test_killed),
        cmocka_unit_test(test_no_space),        cmocka_unit_test(test_open_beneath),
    };
    alarm(110);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
