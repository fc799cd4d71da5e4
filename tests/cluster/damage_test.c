/* damage_test.c - every file that a node keeps is deleted, cut short and altered before it starts:
 * nothing crashes, nothing wrong is believed, and an identity is never made anew by itself.
 *
 * damage_test [--cases N] [--seed N] [--bin FOLDER]: N alterations and N lengths of each file;
 * 0 = every length and as many alterations. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/mem.h"
#include "common/rng.h"
#include "src/cluster/deal.h"
#include "src/cluster/localnet.h"

#define CASES 1
#define SETTLE_MS 30000
#define ASK_MS 20000
#define START_MS 15000 /* to be ready, or to have given up */
#define LIMITED_MS 150000
#define FINISH_MS 20000 /* for the rest of the file */
#define FILE_BYTES (3 * PIECE_BYTES + 5000)
#define SLOW_RATE "1M"
#define CRASH_STATUS 128 /* + signal */

enum wanted {
    STOPS,   /* ends with an error that names it, or runs as the same node as before */
    RUNS,    /* as the same node; what was being fetched may be forgotten */
    FINISHES /* ... and it is fetched to its end */
};

/* A file that a node keeps; `deleted` says what must come of that, `damaged` of the rest. */
struct kept {
    enum localnet_role role;
    const char *place; /* a name in the state folder; or with a slash, below the owner's folder */
    enum wanted deleted;
    enum wanted damaged;
};

static const struct kept files[] = {
    {LOCALNET_PEER, "node.key", STOPS, STOPS},
    {LOCALNET_PEER, "/victim.network", STOPS, STOPS},
    {LOCALNET_PEER, "/victim.ini", STOPS, STOPS},
    {LOCALNET_PEER, "state.db", RUNS, RUNS},
    {LOCALNET_PEER, "state.db-wal", RUNS, RUNS},
    {LOCALNET_PEER, "state.db-shm", RUNS, RUNS},
    {LOCALNET_PEER, "hashes.db", FINISHES, FINISHES},
    {LOCALNET_PEER, "hashes.db-wal", FINISHES, FINISHES},
    {LOCALNET_PEER, "lock", FINISHES, FINISHES},
    {LOCALNET_PEER, "shares", FINISHES, STOPS},
    {LOCALNET_PEER, "journal", FINISHES, FINISHES},
    {LOCALNET_PEER, "part", FINISHES, FINISHES},
    {LOCALNET_SUPERNODE, "node.key", STOPS, STOPS},
    {LOCALNET_SUPERNODE, "cert", STOPS, STOPS},
    {LOCALNET_SUPERNODE, "state.db", RUNS, RUNS},
    {LOCALNET_SUPERNODE, "state.db-wal", RUNS, RUNS},
};

enum harm { DELETED, CUT, FLIPPED };
static const char *const harms[] = {"deleted", "cut", "flipped"};

static struct test {
    struct owner *owner;
    struct localnet net;
    struct rng rng;
    char *bin;
    char *original;
    char *ini;
    char *network;
    char *shelf; /* a folder that is shared by `peer share add` */
    char *log;
    char content[CONTENT_TEXT_BYTES];
    char ids[2][NODE_ID_TEXT_BYTES]; /* by role */
    uint32_t cases;
    uint32_t ran;
    uint32_t stopped;
    uint32_t finished;
    uint32_t failures;
} test;

static _Noreturn void die(const char *what) {
    char said[400] = "";
    FILE *log = test.log == NULL ? NULL : fopen(test.log, "re");
    if (log != NULL) {
        said[fread(said, 1, sizeof said - 1, log)] = '\0';
        fclose(log);
    }
    fprintf(stderr, "damage_test: %s: %s %s\n", what, test.net.trouble, said);
    exit(1);
}

static void must(enum err err) {
    if (err != OK) {
        die(err_text(err));
    }
}

static struct localnet_node *victim_of(enum localnet_role role) {
    return role == LOCALNET_PEER ? &test.net.peers[1] : &test.net.supernodes[1];
}

/* ---- Files ---- */

static uint8_t *load(const char *path, size_t *size) {
    FILE *file = fopen(path, "rbe");
    struct stat status;
    if (file == NULL || fstat(fileno(file), &status) != 0) {
        return NULL;
    }
    uint8_t *bytes = mem_new((size_t)status.st_size + 1);
    *size = fread(bytes, 1, (size_t)status.st_size, file);
    fclose(file);
    return bytes;
}

static void run_tool(const char *const *argv) {
    struct buf out = {0};
    int status = -1;
    const struct process_options options = {.argv = argv};
    if (process_capture(test.owner, &options, ASK_MS, &out, &status) != OK || status != 0) {
        die(argv[0]);
    }
    buf_free(&out);
}

static const char *const places[] = {"peer-01", "peer-01.downloads", "supernode-01", "victim.ini",
                                     "victim.network"};

/* All that the victims keep, to and from a copy. */
static void copy_state(bool is_saved) {
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *live = owner_path(test.owner, "%s", places[i]);
        char *saved = owner_path(test.owner, "saved/%s", places[i]);
        const char *from = is_saved ? live : saved, *to = is_saved ? saved : live;
        run_tool((const char *const[]){"rm", "-rf", to, NULL});
        run_tool((const char *const[]){"cp", "-a", from, to, NULL});
        mem_free(live);
        mem_free(saved);
    }
}

static char *path_of(const struct kept *kept) {
    const struct localnet_node *node = victim_of(kept->role);
    if (kept->place[0] == '/') {
        return owner_path(test.owner, "%s", kept->place + 1);
    }
    if (strcmp(kept->place, "journal") == 0 || strcmp(kept->place, "part") == 0) {
        char root[72];
        snprintf(root, sizeof root, "%.64s", strchr(test.content, ':') + 1);
        return owner_path(test.owner, "%s.downloads/.trunkline/%s-%d.%s", node->name, root,
                          FILE_BYTES, kept->place);
    }
    return owner_path(test.owner, "%s/%s", node->name, kept->place);
}

/* ---- Starting ---- */

static void start(struct localnet_node *node) {
    char program[4096];
    bool is_peer = node->role == LOCALNET_PEER;
    snprintf(program, sizeof program, "%s/%s", test.bin, is_peer ? "peer" : "supernode");
    const char *const peer[] = {program,       "run",           "--dir",     node->dir,
                                "--config",    test.ini,        "--network", test.network,
                                "--downloads", node->downloads, NULL};
    const char *const supernode[] = {program,    "run",         "--dir",
                                     node->dir,  "--network",   test.net.network_file,
                                     "--listen", node->address, NULL};
    const struct process_options options = {.argv = is_peer ? peer : supernode, .log = test.log};
    unlink(test.log);
    must(process_start(test.owner, &options, &node->process));
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        die(path);
    }
}

static void learn_id(enum localnet_role role) {
    json_t *answer = NULL;
    must(localnet_ask(&test.net, victim_of(role), (const char *const[]){"status", NULL}, ASK_MS,
                      &answer));
    snprintf(test.ids[role], NODE_ID_TEXT_BYTES, "%s",
             localnet_text(localnet_find(answer, "status"), "id"));
    json_decref(answer);
}

static void make_inputs(void) {
    char path[4096], text[8192];
    test.original = owner_path(test.owner, "original.bin");
    test.ini = owner_path(test.owner, "victim.ini");
    test.network = owner_path(test.owner, "victim.network");
    test.shelf = owner_path(test.owner, "shelf");
    test.log = owner_path(test.owner, "victim.log");
    must(deal_generate(test.original, FILE_BYTES, 5));
    snprintf(path, sizeof path, "%s/one file of three pieces.bin", test.net.peers[0].files);
    if (link(test.original, path) != 0 || mkdir(test.shelf, 0755) != 0) {
        die(path);
    }
    snprintf(path, sizeof path, "%s/a leaflet.txt", test.shelf);
    must(deal_generate(path, 2000, 6));
    snprintf(path, sizeof path, "%s/saved", owner_folder(test.owner));
    mkdir(path, 0700);
    snprintf(text, sizeof text, "[peer]\nlisten = %s\nupload-slots = 4\n",
             test.net.peers[1].address);
    write_text(test.ini, text);
    run_tool((const char *const[]){"cp", test.net.network_file, test.network, NULL});
}

/* The victim knows the file and begins to fetch it; then both victims are killed. */
static void half_fetch(void) {
    json_t *answer = NULL;
    struct localnet_node *victim = victim_of(LOCALNET_PEER);
    int64_t until_ms = process_now_ms() + SETTLE_MS;
    while (test.content[0] == '\0' && process_now_ms() < until_ms) {
        must(localnet_ask(&test.net, victim, (const char *const[]){"search", "pieces", NULL},
                          ASK_MS, &answer));
        snprintf(test.content, sizeof test.content, "%s",
                 localnet_text(localnet_find(answer, "hit"), "content"));
        json_decref(answer);
    }
    must(localnet_ask(&test.net, victim,
                      (const char *const[]){"get", test.content, "--no-wait", NULL}, ASK_MS,
                      &answer));
    json_decref(answer);
    int64_t done = 0;
    while (done < PIECE_BYTES && process_now_ms() < until_ms) {
        process_sleep_ms(100);
        must(localnet_ask(&test.net, victim, (const char *const[]){"downloads", NULL}, ASK_MS,
                          &answer));
        done = localnet_number(localnet_find(answer, "download"), "done");
        json_decref(answer);
    }
    if (done < PIECE_BYTES || done >= FILE_BYTES) {
        die("the file was not half fetched");
    }
}

static void set_up(void) {
    must(localnet_init(&test.net, test.owner, test.bin, 2, 2));
    make_inputs();
    struct localnet_node *victim = victim_of(LOCALNET_PEER);
    char program[4096];
    snprintf(program, sizeof program, "%s/peer", test.bin);
    mkdir(victim->dir, 0700);
    run_tool((const char *const[]){program, "share", "add", test.shelf, "--private", "--dir",
                                   victim->dir, NULL});
    test.net.peers[0].upload_rate = SLOW_RATE;
    for (uint32_t i = 0; i < 2; i++) {
        must(localnet_start(&test.net, &test.net.supernodes[i]));
    }
    must(localnet_start(&test.net, &test.net.peers[0]));
    start(victim);
    must(localnet_await(&test.net, victim));
    learn_id(LOCALNET_PEER);
    learn_id(LOCALNET_SUPERNODE);
    half_fetch();
    process_sleep_ms(JOURNAL_MS_MAX + 200); /* for the journal to tell of a piece */
    localnet_cut(victim);
    localnet_cut(victim_of(LOCALNET_SUPERNODE));
    copy_state(true);
    localnet_stop(&test.net.peers[0]);
    test.net.peers[0].upload_rate = NULL;
    must(localnet_start(&test.net, &test.net.peers[0]));
}

/* ---- One case ---- */

struct trial {
    const struct kept *kept;
    enum harm harm;
    size_t at; /* length, or the number of the bit */
    char *path;
    uint8_t *damaged; /* what the file is then */
    size_t damaged_len;
};

static void fault(const struct trial *trial, const char *what) {
    char line[1000] = "";
    FILE *log = fopen(test.log, "re");
    if (log != NULL) {
        (void)fseek(log, -(long)sizeof line + 1, SEEK_END); /* it may be shorter */
        size_t got = fread(line, 1, sizeof line - 1, log);
        line[got] = '\0';
        fclose(log);
    }
    fprintf(stderr, "FAILED: %s %s %s at %zu: %s\n  it said: %s\n",
            trial->kept->role == LOCALNET_PEER ? "peer" : "supernode", trial->kept->place,
            harms[trial->harm], trial->at, what, line);
    test.failures++;
}

/* Do it; false when there is nothing to do it to. */
static bool damage(struct trial *trial) {
    size_t size = 0;
    uint8_t *bytes = load(trial->path, &size);
    bool is_done = bytes != NULL;
    if (trial->harm == CUT) {
        is_done = is_done && trial->at < size;
        size = trial->at;
    } else if (trial->harm == FLIPPED) {
        is_done = is_done && trial->at < size * 8;
        if (is_done) {
            bytes[trial->at / 8] ^= (uint8_t)(1u << trial->at % 8);
        }
    }
    if (is_done && trial->harm == DELETED) {
        is_done = unlink(trial->path) == 0;
    } else if (is_done) {
        FILE *file = fopen(trial->path, "r+e");
        is_done = file != NULL && fwrite(bytes, 1, size, file) == size && fflush(file) == 0 &&
                  ftruncate(fileno(file), (off_t)size) == 0;
        if (file != NULL) {
            fclose(file);
        }
    }
    trial->damaged = bytes;
    trial->damaged_len = size;
    return is_done;
}

static bool is_as_damaged(const struct trial *trial) {
    size_t size = 0;
    uint8_t *bytes = load(trial->path, &size);
    bool is_same = trial->harm == DELETED ? bytes == NULL
                                          : bytes != NULL && size == trial->damaged_len &&
                                                memcmp(bytes, trial->damaged, size) == 0;
    mem_free(bytes);
    return is_same;
}

static bool log_has(const char *text) {
    size_t size = 0;
    uint8_t *log = load(test.log, &size);
    bool has = log != NULL && memmem(log, size, text, strlen(text)) != NULL;
    mem_free(log);
    return has;
}

/* It has ended: by an error that names the file and leaves it as it is? */
static void check_stopped(const struct trial *trial, enum wanted wanted, int status) {
    const char *name = strrchr(trial->path, '/') + 1;
    test.stopped++;
    if (status >= CRASH_STATUS) {
        fault(trial, "it crashed");
    } else if (status == 0 || wanted != STOPS) {
        fault(trial, "it ended");
    } else if (!log_has(name)) {
        fault(trial, "the error does not name the file");
    } else if (!is_as_damaged(trial)) {
        fault(trial, "the file was changed");
    }
}

/* The file that was half fetched: wrong it may never be. */
static void check_file(const struct trial *trial, bool must_finish) {
    char path[4096];
    size_t size = 0, size_now = 0;
    bool has_waited = false;
    snprintf(path, sizeof path, "%s/one file of three pieces.bin",
             victim_of(LOCALNET_PEER)->downloads);
    int64_t until_ms = process_now_ms() + (must_finish ? FINISH_MS : 0);
    while (access(path, F_OK) != 0 && process_now_ms() < until_ms) {
        process_sleep_ms(20);
        /* One that restarts twice a second is told to wait after a while. */
        if (until_ms - process_now_ms() < 100 && !has_waited && log_has("reason=6 retry_s")) {
            has_waited = true;
            until_ms += LIMITED_MS;
        }
    }
    uint8_t *original = load(test.original, &size), *now = load(path, &size_now);
    if (now != NULL && (size != size_now || memcmp(original, now, size) != 0)) {
        fault(trial, "A WRONG FILE");
    } else if (now == NULL && must_finish) {
        fault(trial, "the download does not go on");
    }
    test.finished += now != NULL;
    mem_free(original);
    mem_free(now);
}

/* It runs: as the same node? */
static void check_running(const struct trial *trial, enum wanted wanted) {
    struct localnet_node *node = victim_of(trial->kept->role);
    json_t *answer = NULL;
    test.ran++;
    if (localnet_ask(&test.net, node, (const char *const[]){"status", NULL}, ASK_MS, &answer) !=
        OK) {
        fault(trial, "it does not answer");
        return;
    }
    const char *id = localnet_text(localnet_find(answer, "status"), "id");
    bool is_same = strcmp(id, test.ids[trial->kept->role]) == 0;
    if (!is_same) {
        fault(trial, "it is another node");
    }
    json_decref(answer);
    if (trial->kept->role == LOCALNET_PEER) {
        check_file(trial, wanted == FINISHES);
    }
    if (!process_running(node->process)) {
        fault(trial, "it ended after a while");
    }
}

static void try_one(const struct kept *kept, enum harm harm, size_t at) {
    struct trial trial = {.kept = kept, .harm = harm, .at = at, .path = path_of(kept)};
    enum wanted wanted = harm == DELETED ? kept->deleted : kept->damaged;
    struct localnet_node *node = victim_of(kept->role);
    copy_state(false);
    if (damage(&trial)) {
        int status = 0;
        char socket[4096];
        snprintf(socket, sizeof socket, "%s/control.sock", node->dir);
        start(node);
        enum err err = process_wait_socket(node->process, socket, START_MS);
        if (err == OK) {
            check_running(&trial, wanted);
        } else if (err == ERR_CLOSED && process_wait(node->process, 0, &status) == OK) {
            check_stopped(&trial, wanted, status);
        } else {
            fault(&trial, "it neither starts nor gives up");
        }
        localnet_cut(node);
    }
    mem_free(trial.damaged);
    mem_free(trial.path);
}

static void try_file(const struct kept *kept) {
    char *path = path_of(kept);
    struct stat status = {0};
    copy_state(false);
    if (stat(path, &status) != 0) {
        fprintf(stderr, "damage_test: there is no %s\n", path);
        test.failures++;
    }
    size_t size = (size_t)status.st_size;
    uint32_t before = test.ran + test.stopped;
    try_one(kept, DELETED, 0);
    uint32_t cases = test.cases > 0 ? test.cases : size > 4096 ? 4096 : (uint32_t)size;
    cases = cases > size ? (uint32_t)size : cases;
    for (uint32_t i = 0; i < cases; i++) {
        /* Lengths that lie evenly between nothing and all of it; then any bits. */
        try_one(kept, CUT, test.cases == 0 && cases == size ? i : size * (2 * i + 1) / (2 * cases));
        try_one(kept, FLIPPED, rng_below(&test.rng, size * 8));
    }
    printf("%-9s %-15s %u times\n", kept->role == LOCALNET_PEER ? "peer" : "supernode", kept->place,
           test.ran + test.stopped - before);
    fflush(stdout);
    mem_free(path);
}

int main(int argc, char **argv) {
    uint64_t seed = 1;
    const char *bin = BIN_DIR, *only = NULL;
    test.cases = CASES;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--cases") == 0) {
            test.cases = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--bin") == 0) {
            bin = argv[i + 1];
        } else if (strcmp(argv[i], "--file") == 0) {
            only = argv[i + 1];
        }
    }
    test.bin = mem_string(bin);
    rng_seed(&test.rng, seed);
    test.owner = owner_new("trunkline-damage");
    if (test.owner == NULL) {
        perror("damage_test");
        return 1;
    }
    int64_t start_ms = process_now_ms();
    set_up();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (only == NULL || strcmp(only, files[i].place) == 0) {
            try_file(&files[i]);
        }
    }
    printf("%u starts with damaged files in %lld s: %u ran, %u stopped with an error, 0 crashed; "
           "the download was finished %u times, never wrong; %u failures\n",
           test.ran + test.stopped, (long long)(process_now_ms() - start_ms) / 1000, test.ran,
           test.stopped, test.finished, test.failures);
    localnet_free(&test.net);
    mem_free(test.original);
    mem_free(test.ini);
    mem_free(test.network);
    mem_free(test.shelf);
    mem_free(test.log);
    mem_free(test.bin);
    owner_free(test.owner);
    return test.failures == 0 ? 0 : 1;
}
