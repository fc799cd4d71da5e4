/* full_test.c - disks that are full at every step of a download: it pauses and says why, goes on by
 * itself when there is room, and is right.
 *
 * full_test [--rounds N] [--bin FOLDER]. The disks are tmpfs of our own, in a mount namespace of
 * our own; where that is not to be had, the test is skipped. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/mem.h"
#include "src/cluster/deal.h"
#include "src/cluster/localnet.h"

#define SKIPPED 77
#define VICTIMS 8 /* at a time, each with disks of its own */
#define FILE_BYTES (8 * PIECE_BYTES + 777)
#define DISK_BYTES (FILE_BYTES + PIECE_BYTES)
#define STATE_BYTES (2 << 20)
#define RATE "10M" /* of the source, for all of them: some seconds for a file */
#define SETTLE_MS 30000
#define ASK_MS 20000
#define FULL_MS 3000    /* so long it stays full */
#define BEGIN_MS 20000  /* until a download has come so far */
#define RESUME_MS 60000 /* what is promised */
#define FORGET_MS 90000 /* until a folder has been looked at */

enum disk { DOWNLOADS, STATE, BOTH };

/* When a disk becomes full. */
static const struct step {
    int percent; /* of the file is there; -1 = before it begins */
    enum disk disk;
    uint32_t left_percent; /* of the file, that still has room */
    bool may_finish;       /* all that it needs is there already */
} steps[] = {
    {-1, DOWNLOADS, 0, false},  {-1, DOWNLOADS, 50, false}, {-1, STATE, 0, true},
    {1, DOWNLOADS, 0, true},    {25, DOWNLOADS, 0, true},   {50, BOTH, 0, true},
    {75, DOWNLOADS, 0, true},   {90, BOTH, 0, true},        {-1, DOWNLOADS, 99, false},
    {10, STATE, 0, true},       {40, DOWNLOADS, 0, true},   {60, STATE, 0, true},
    {85, DOWNLOADS, 0, true},   {95, BOTH, 0, true},        {-1, BOTH, 0, false},
    {-1, DOWNLOADS, 10, false},
};
#define STEPS (sizeof steps / sizeof *steps)

enum phase { BEGINS, FULL, RESUMES, OVER };

struct victim {
    struct localnet_node *node;
    const struct step *step;
    enum phase phase;
    int64_t since_ms; /* when its phase began */
    bool was_paused;
    int64_t resumed_ms; /* how long that took */
    char said[400];
};

static struct test {
    struct owner *owner;
    struct localnet net;
    char *bin;
    char *original;
    char content[CONTENT_TEXT_BYTES];
    struct victim victims[VICTIMS];
    uint32_t tried;
    uint32_t paused;
    uint32_t failures;
    int64_t resumed_ms_max;
} test;

static _Noreturn void die(const char *what) {
    fprintf(stderr, "full_test: %s: %s\n", what, test.net.trouble);
    exit(1);
}

static void must(enum err err) {
    if (err != OK) {
        die(err_text(err));
    }
}

static void fault(const struct victim *victim, const char *what) {
    fprintf(stderr, "FAILED: full at %d %%, disk %d, %u %% left: %s; it said: %s\n",
            victim->step->percent, victim->step->disk, victim->step->left_percent, what,
            victim->said);
    test.failures++;
}

/* ---- Disks ---- */

static bool write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        close(fd);
    }
    return is_written;
}

/* A mount namespace; with a user namespace around it when we are not root. */
static bool enter_namespace(void) {
    char map[64];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return false;
    }
    if (uid != 0) {
        snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
        bool is_mapped = write_file("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
        if (!is_mapped || !write_file("/proc/self/setgroups", "deny") ||
            !write_file("/proc/self/gid_map", map)) {
            return false;
        }
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool mount_disk(const char *folder, size_t bytes) {
    char options[64];
    snprintf(options, sizeof options, "size=%zu,mode=0700", bytes);
    return mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
}

/* Take all room of a disk but so much. */
static void fill(const char *folder, size_t left) {
    static const uint8_t zeros[4096];
    char path[4096];
    snprintf(path, sizeof path, "%s/filler", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    off_t size = 0;
    for (ssize_t got; fd >= 0 && (got = write(fd, zeros, sizeof zeros)) > 0;) {
        size += got;
    }
    if (fd < 0 || (left > 0 && ftruncate(fd, size > (off_t)left ? size - (off_t)left : 0) != 0)) {
        die("a disk cannot be filled");
    }
    close(fd);
}

static void fill_disks(const struct victim *victim) {
    enum disk disk = victim->step->disk;
    if (disk != STATE) {
        fill(victim->node->downloads, (size_t)FILE_BYTES / 100 * victim->step->left_percent);
    }
    if (disk != DOWNLOADS) {
        fill(victim->node->dir, 0);
    }
}

static void make_room(const struct victim *victim) {
    const char *const folders[] = {victim->node->downloads, victim->node->dir};
    for (int i = 0; i < 2; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/filler", folders[i]);
        unlink(path);
    }
}

/* ---- The network ---- */

static void set_up(void) {
    char path[4096];
    must(localnet_init(&test.net, test.owner, test.bin, 1, 1 + VICTIMS));
    test.original = owner_path(test.owner, "original.bin");
    must(deal_generate(test.original, FILE_BYTES, 8));
    snprintf(path, sizeof path, "%s/the file for small disks.bin", test.net.peers[0].files);
    if (link(test.original, path) != 0) {
        die(path);
    }
    test.net.peers[0].upload_rate = RATE;
    must(localnet_start(&test.net, &test.net.supernodes[0]));
    must(localnet_start(&test.net, &test.net.peers[0]));
    for (uint32_t i = 0; i < VICTIMS; i++) {
        struct localnet_node *node = &test.net.peers[1 + i];
        mkdir(node->dir, 0700);
        if (!mount_disk(node->downloads, DISK_BYTES) || !mount_disk(node->dir, STATE_BYTES)) {
            die(strerror(errno));
        }
        must(localnet_start(&test.net, node));
    }
    must(localnet_settle(&test.net, SETTLE_MS));
    json_t *answer = NULL;
    must(localnet_ask(&test.net, &test.net.peers[1],
                      (const char *const[]){"search", "small disks", NULL}, ASK_MS, &answer));
    snprintf(test.content, sizeof test.content, "%s",
             localnet_text(localnet_find(answer, "hit"), "content"));
    json_decref(answer);
}

static void tear_down(void) {
    for (uint32_t i = 0; i < VICTIMS; i++) {
        struct localnet_node *node = &test.net.peers[1 + i];
        if (process_running(node->process)) {
            localnet_stop(node);
        } else {
            fprintf(stderr, "FAILED: %s ended by itself\n", node->name);
            test.failures++;
        }
        umount2(node->downloads, MNT_DETACH);
        umount2(node->dir, MNT_DETACH);
    }
    (void)localnet_stop_all(&test.net);
    localnet_free(&test.net);
    mem_free(test.original);
    owner_free(test.owner);
}

/* ---- A download ---- */

static void enter(struct victim *victim, enum phase phase) {
    victim->phase = phase;
    victim->since_ms = process_now_ms();
}

static void copy_path(const struct victim *victim, char path[4096]) {
    snprintf(path, 4096, "%.3900s/the file for small disks.bin", victim->node->downloads);
}

static bool is_there(const struct victim *victim) {
    char path[4096];
    copy_path(victim, path);
    return access(path, F_OK) == 0;
}

static void begin(struct victim *victim, const struct step *step) {
    json_t *answer = NULL;
    *victim = (struct victim){.node = victim->node, .step = step};
    enter(victim, BEGINS);
    if (step->percent < 0) {
        fill_disks(victim);
        enter(victim, FULL);
    }
    must(localnet_ask(&test.net, victim->node,
                      (const char *const[]){"get", test.content, "--no-wait", "--name",
                                            "the file for small disks.bin", NULL},
                      ASK_MS, &answer));
    json_decref(answer);
}

static bool is_right(const struct victim *victim) {
    char path[4096];
    copy_path(victim, path);
    const char *const words[] = {"cmp", "-s", test.original, path, NULL};
    const struct process_options options = {.argv = words};
    struct buf out = {0};
    int status = 1;
    must(process_capture(test.owner, &options, ASK_MS, &out, &status));
    buf_free(&out);
    return status == 0;
}

/* How far it is, in percent; notes what it says of itself. */
static int64_t look(struct victim *victim) {
    json_t *answer = NULL;
    must(localnet_ask(&test.net, victim->node, (const char *const[]){"downloads", NULL}, ASK_MS,
                      &answer));
    const json_t *download = localnet_find(answer, "download");
    int64_t done = localnet_number(download, "done") * 100 / FILE_BYTES;
    char *text = json_dumps(download, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text != NULL && victim->phase <= FULL) {
        snprintf(victim->said, sizeof victim->said, "%s", text);
    }
    victim->was_paused = victim->was_paused ||
                         (strcmp(localnet_text(download, "state"), "paused") == 0 &&
                          strstr(localnet_text(download, "error"), "the disk is full") != NULL);
    free(text);
    json_decref(answer);
    return done;
}

static void end(struct victim *victim) {
    test.paused += victim->was_paused;
    if (!victim->was_paused && !victim->step->may_finish) {
        fault(victim, "it did not pause, or did not say why");
    }
    if (!is_right(victim)) {
        fault(victim, "A WRONG FILE");
    }
    test.resumed_ms_max =
        victim->resumed_ms > test.resumed_ms_max ? victim->resumed_ms : test.resumed_ms_max;
    enter(victim, OVER);
}

static void go_on(struct victim *victim) {
    int64_t now_ms = process_now_ms(), passed_ms = now_ms - victim->since_ms;
    int64_t done = look(victim);
    if (victim->phase == BEGINS && (done >= victim->step->percent || is_there(victim))) {
        fill_disks(victim);
        enter(victim, FULL);
    } else if (victim->phase == FULL && passed_ms >= FULL_MS) {
        if (is_there(victim) && !victim->step->may_finish) {
            fault(victim, "it is there, without room for it");
        }
        make_room(victim);
        enter(victim, RESUMES);
    } else if (victim->phase == RESUMES && is_there(victim)) {
        victim->resumed_ms = passed_ms;
        end(victim);
    } else if (passed_ms > (victim->phase == RESUMES ? RESUME_MS : BEGIN_MS)) {
        fault(victim, "it does not go on");
        make_room(victim);
        enter(victim, OVER);
    }
}

static int64_t shared_files(const struct victim *victim) {
    json_t *answer = NULL;
    must(localnet_ask(&test.net, victim->node, (const char *const[]){"status", NULL}, ASK_MS,
                      &answer));
    int64_t files = localnet_number(localnet_find(answer, "status"), "files");
    json_decref(answer);
    return files;
}

/* Until its peer knows, too: what it shares it does not fetch. */
static void forget(struct victim *victim) {
    char path[4096];
    int64_t until_ms = process_now_ms() + FORGET_MS;
    copy_path(victim, path);
    unlink(path);
    while (shared_files(victim) > 0) {
        if (process_now_ms() > until_ms) {
            die("a deleted file is still shared");
        }
        process_sleep_ms(50);
    }
}

static void run_round(uint32_t round) {
    uint32_t open = VICTIMS;
    for (uint32_t i = 0; i < VICTIMS; i++) {
        struct victim *victim = &test.victims[i];
        victim->node = &test.net.peers[1 + i];
        begin(victim, &steps[(round * VICTIMS + i) % STEPS]);
        test.tried++;
    }
    while (open > 0) {
        open = 0;
        for (uint32_t i = 0; i < VICTIMS; i++) {
            struct victim *victim = &test.victims[i];
            if (victim->phase != OVER) {
                go_on(victim);
                open += victim->phase != OVER;
            }
        }
        process_sleep_ms(20);
    }
    for (uint32_t i = 0; i < VICTIMS; i++) {
        forget(&test.victims[i]);
    }
}

int main(int argc, char **argv) {
    uint32_t rounds = 1;
    const char *bin = BIN_DIR;
    for (int i = 1; i + 1 < argc; i += 2) {
        rounds =
            strcmp(argv[i], "--rounds") == 0 ? (uint32_t)strtoul(argv[i + 1], NULL, 10) : rounds;
        bin = strcmp(argv[i], "--bin") == 0 ? argv[i + 1] : bin;
    }
    if (!enter_namespace()) {
        printf("skipped: no mount namespace of our own to be had (%s); run it as root, or where "
               "unprivileged user namespaces are allowed\n",
               strerror(errno));
        return SKIPPED;
    }
    test.bin = mem_string(bin);
    test.owner = owner_new("trunkline-full");
    if (test.owner == NULL) {
        die(strerror(errno));
    }
    int64_t begun_ms = process_now_ms();
    set_up();
    for (uint32_t i = 0; i < rounds; i++) {
        run_round(i);
    }
    tear_down();
    printf("%u downloads met a full disk in %lld s: %u paused and said so, every one went on at "
           "most %.1f s after there was room, 0 wrong files; %u failures\n",
           test.tried, (long long)(process_now_ms() - begun_ms) / 1000, test.paused,
           (double)test.resumed_ms_max / 1000, test.failures);
    mem_free(test.bin);
    return test.failures == 0 ? 0 : 1;
}
