/* kill_trials.c - peers that fetch are killed again and again, at any moment of their lives.
 *
 * One supernode, one quick source, one slow one; each victim fetches one file after the other and
 * is killed after a random time, on the way, while it finishes, and while it recovers from the kill
 * before. After each: no finished file is wrong, none is there twice, and what the journal vouches
 * for is on disk. Every download goes on by itself and ends.
 *
 *     kill_trials [--trials N] [--seed S] [--bin FOLDER] */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "common/rng.h"
#include "src/cluster/deal.h"
#include "src/cluster/localnet.h"
#include "src/host/journal.h"

#define QUICK 0 /* peers: two sources, then the victims */
#define SLOW 1
#define SOURCES 2
#define VICTIMS 4 /* the last one fetches from the slow source */
#define FILES 5
#define QUICK_RATE "40M"
#define SLOW_RATE "4M"
#define SLOW_PIECES_PER_S 4
/* Of the slow source: a second that is not yet in the journal, two pieces on their way to the disk,
 * and as much again for a machine that is busy. */
#define LOST_PIECES_MAX (2 * (SLOW_PIECES_PER_S + 2))
#define LOG_SHOWN 4000    /* bytes */
#define LIVES_SHORT 30    /* then it gets some time: LISTS_BURST restarts are not refused */
#define KILLS 300         /* of a run, when not told otherwise */
#define LIVES_MAX 300     /* of one download: it would never end */
#define LIFE_SHORT_MS 200 /* all but the two longest kinds of random_ms */
#define SETTLE_MS 60000
#define ASK_MS 20000
#define MIB (1024ULL * 1024)

struct original {
    char name[64];
    uint8_t *bytes;
    uint64_t size;
    struct content_id content;
    char text[CONTENT_TEXT_BYTES];
};

struct victim {
    struct localnet_node *node;
    char *run_log;
    const struct original *file; /* being fetched */
    uint32_t lives;              /* of this download */
    uint32_t lives_finished;     /* ... in which its file was there */
    int64_t due_ms;              /* when it dies */
    bool is_slow;
    bool has_journal; /* when it died */
};

static struct {
    const char *bin;
    char peer[4096]; /* the program */
    struct owner *owner;
    struct localnet net;
    struct rng rng;
    struct original files[FILES]; /* the last one is the slow source's */
    struct victim victims[VICTIMS];
    uint32_t kills;
    uint32_t kills_recovering; /* before it had opened what it had */
    uint32_t kills_with_pieces;
    uint32_t kills_finished; /* the file had its name */
    uint32_t downloads;
    uint32_t lost_max; /* pieces on disk that no journal vouched for, of the slow source */
} trial;

static uint8_t *load(const char *path, uint64_t *size) {
    struct stat stat_of;
    FILE *file = fopen(path, "re");
    uint8_t *bytes = NULL;
    if (file != NULL && fstat(fileno(file), &stat_of) == 0) {
        bytes = mem_new((size_t)stat_of.st_size + 1);
        *size = fread(bytes, 1, (size_t)stat_of.st_size, file);
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

/* The end of what the last life said. */
static void show_log(const struct victim *victim) {
    uint64_t size = 0;
    uint8_t *log = load(victim->run_log, &size);
    uint64_t from = size > LOG_SHOWN ? size - LOG_SHOWN : 0;
    fprintf(stderr, "%s\n%.*s\n", victim->run_log, (int)(size - from),
            log != NULL ? (const char *)log + from : "");
    mem_free(log);
}

static void die(const char *what, const struct victim *victim) {
    if (victim != NULL) {
        show_log(victim);
    }
    fprintf(stderr, "kill_trials: after %u kills: %s: %s (%s)\n", trial.kills, what,
            victim != NULL ? victim->file->name : "", trial.net.trouble);
    owner_free(trial.owner);
    exit(1);
}

static void must(enum err err) {
    if (err != OK) {
        die(err_text(err), NULL);
    }
}

/* ---- Setting up ---- */

static void make_originals(void) {
    static const uint64_t sizes[FILES] = {MIB / 2, 3 * MIB + 77, 18 * MIB + 1, 33 * MIB, 56 * MIB};
    for (uint32_t i = 0; i < FILES; i++) {
        struct original *file = &trial.files[i];
        const struct localnet_node *holder = &trial.net.peers[i < FILES - 1 ? QUICK : SLOW];
        char path[4096];
        snprintf(file->name, sizeof file->name, "corpus volume%02u.bin", i);
        snprintf(path, sizeof path, "%s/%s", holder->files, file->name);
        must(deal_generate(path, sizes[i], 77 + i));
        file->bytes = load(path, &file->size);
    }
}

static bool learn_contents(void) {
    json_t *answer;
    must(localnet_ask(&trial.net, &trial.net.peers[SOURCES],
                      (const char *const[]){"search", "corpus", "--want", "100", NULL}, ASK_MS,
                      &answer));
    uint32_t found = 0;
    for (size_t i = 0; i < json_array_size(answer); i++) {
        const json_t *hit = json_array_get(answer, i);
        for (uint32_t j = 0; j < FILES; j++) {
            struct original *file = &trial.files[j];
            if (strcmp(localnet_text(hit, "name"), file->name) == 0) {
                snprintf(file->text, sizeof file->text, "%s", localnet_text(hit, "content"));
                found += content_parse(&file->content, file->text) == OK;
            }
        }
    }
    json_decref(answer);
    return found >= FILES;
}

static void start_network(void) {
    must(localnet_init(&trial.net, trial.owner, trial.bin, 1, SOURCES + VICTIMS));
    trial.net.peers[QUICK].upload_rate = QUICK_RATE;
    trial.net.peers[SLOW].upload_rate = SLOW_RATE;
    make_originals();
    must(localnet_start(&trial.net, &trial.net.supernodes[0]));
    for (uint32_t i = 0; i <= SOURCES; i++) { /* one victim asks for the names */
        must(localnet_start(&trial.net, &trial.net.peers[i]));
    }
    int64_t until_ms = process_now_ms() + SETTLE_MS;
    while (!learn_contents()) {
        if (process_now_ms() > until_ms) {
            die("the files are not found", NULL);
        }
        process_sleep_ms(200);
    }
    localnet_cut(&trial.net.peers[SOURCES]);
}

/* ---- A life ---- */

static int random_ms(const struct victim *victim) {
    if (victim->is_slow && rng_below(&trial.rng, 4) > 0) {
        return 1 + (int)rng_below(&trial.rng, 4000);
    }
    if (victim->lives > LIVES_SHORT) {
        return 1 + (int)rng_below(&trial.rng, 4000);
    }
    static const uint32_t most[] = {25, 50, 200, 500, 1000}; /* it opens its files at 20 or so */
    return 1 + (int)rng_below(&trial.rng, most[rng_below(&trial.rng, 5)]);
}

static void be_born(struct victim *victim) {
    struct localnet_node *node = victim->node;
    const char *const words[] = {trial.peer,      "run",         "--dir",
                                 node->dir,       "--network",   trial.net.network_file,
                                 "--listen",      node->address, "--downloads",
                                 node->downloads, "--verbose",   NULL};
    const struct process_options options = {.argv = words, .log = victim->run_log};
    unlink(victim->run_log);
    must(process_start(trial.owner, &options, &node->process));
    victim->due_ms = process_now_ms() + random_ms(victim);
    victim->lives++;
}

/* A node that restarts several times a second would soon be told to wait: LISTS_BURST. */
static void become_another(struct victim *victim) {
    struct localnet_node *node = victim->node;
    mem_free(node->dir);
    node->dir = owner_path(trial.owner, "%s-%u", node->name, trial.kills);
}

static char *control_socket(const struct victim *victim) {
    size_t size = strlen(victim->node->dir) + 16;
    char *path = mem_new(size);
    snprintf(path, size, "%s/control.sock", victim->node->dir);
    return path;
}

/* Ask for the next file; from then on nobody asks again. */
static void begin(struct victim *victim) {
    become_another(victim);
    uint64_t choice = rng_below(&trial.rng, FILES - 1);
    victim->file = &trial.files[victim->is_slow ? FILES - 1 : choice];
    victim->lives = 0;
    victim->has_journal = false;
    victim->lives_finished = 0;
    be_born(victim);
    char *socket = control_socket(victim);
    must(process_wait_socket(victim->node->process, socket, ASK_MS));
    mem_free(socket);
    json_t *answer;
    must(localnet_ask(&trial.net, victim->node,
                      (const char *const[]){"get", victim->file->text, "--name", victim->file->name,
                                            "--no-wait", NULL},
                      ASK_MS, &answer));
    json_decref(answer);
    victim->due_ms = process_now_ms() + random_ms(victim);
}

/* ---- After a death ---- */

static bool log_has(const struct victim *victim, const char *text) {
    uint64_t size = 0;
    uint8_t *log = load(victim->run_log, &size);
    bool has = log != NULL && memmem(log, size, text, strlen(text)) != NULL;
    mem_free(log);
    return has;
}

/* How many files have names; all of them must be right. */
static uint32_t check_finished(const struct victim *victim) {
    uint32_t count = 0;
    DIR *dir = opendir(victim->node->downloads);
    for (struct dirent *at; dir != NULL && (at = readdir(dir)) != NULL;) {
        char path[4096];
        uint64_t size = 0;
        if (at->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", victim->node->downloads, at->d_name);
        uint8_t *bytes = load(path, &size);
        if (bytes == NULL || size != victim->file->size ||
            memcmp(bytes, victim->file->bytes, size) != 0) {
            die("a finished file is wrong", victim);
        }
        mem_free(bytes);
        if (++count > 1) {
            die("a file is there twice", victim);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static void part_path(char to[4096], const struct victim *victim, const char *ending) {
    char root[2 * HASH_BYTES + 1];
    hex_format(root, victim->file->content.root.b, HASH_BYTES);
    snprintf(to, 4096, "%.3900s/.trunkline/%s-%llu.%s", victim->node->downloads, root,
             (unsigned long long)victim->file->size, ending);
}

static uint8_t *load_part(const struct victim *victim, const char *ending, uint64_t *size) {
    char path[4096];
    part_path(path, victim, ending);
    return load(path, size);
}

/* Compare piece `i` with the original. What nobody vouches for is spoilt afterwards: only the last
 * life's pieces are counted as lost, and who believes what is not in the journal finishes a wrong
 * file. */
static bool check_piece(const struct victim *victim, int fd, uint32_t i, bool is_vouched) {
    static uint8_t bytes[PIECE_BYTES];
    uint64_t offset = (uint64_t)i * PIECE_BYTES;
    uint64_t left = victim->file->size - offset;
    size_t len = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    bool is_right = pread(fd, bytes, len, (off_t)offset) == (ssize_t)len &&
                    memcmp(bytes, victim->file->bytes + offset, len) == 0;
    if (is_vouched && !is_right) {
        die("the journal vouches for a wrong piece", victim);
    }
    if (is_right && !is_vouched) {
        memset(bytes, 0x5a, len);
        if (pwrite(fd, bytes, len, (off_t)offset) != (ssize_t)len) {
            die("the part file cannot be written", victim);
        }
    }
    return is_right;
}

/* Compare the journal with what is on disk; return how many pieces it vouches for. */
static uint32_t check_part(struct victim *victim) {
    uint64_t journal_size = 0;
    uint8_t *journal = load_part(victim, "journal", &journal_size);
    victim->has_journal = journal != NULL;
    char path[4096];
    part_path(path, victim, "part");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat stat_of;
    uint32_t count = hashtree_pieces(victim->file->size);
    uint8_t bitmap[64] = {0};
    char name[JOURNAL_NAME_MAX + 1];
    uint32_t vouched = 0;
    uint32_t lost = 0;
    if (journal != NULL && fd >= 0 && fstat(fd, &stat_of) == 0 &&
        (uint64_t)stat_of.st_size == victim->file->size) {
        (void)journal_read((struct slice){journal, journal_size}, &victim->file->content, bitmap,
                           count, name);
        for (uint32_t i = 0; i < count; i++) {
            bool is_vouched = (bitmap[i / 8] & (0x80 >> i % 8)) != 0;
            vouched += is_vouched;
            lost += check_piece(victim, fd, i, is_vouched) && !is_vouched;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    mem_free(journal);
    if (victim->is_slow && lost > trial.lost_max) {
        trial.lost_max = lost;
    }
    if (victim->is_slow && lost > LOST_PIECES_MAX) {
        die("more than the last second is lost", victim);
    }
    return vouched;
}

static void end_download(const struct victim *victim) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", victim->node->downloads, victim->file->name);
    if (unlink(path) != 0) {
        die("the finished file has another name", victim);
    }
    trial.downloads++;
}

static void kill_one(struct victim *victim) {
    if (!process_running(victim->node->process)) {
        die("it ended by itself", victim);
    }
    localnet_cut(victim->node);
    trial.kills++;
    bool had_journal = victim->has_journal; /* when it was born */
    uint32_t finished = check_finished(victim);
    uint32_t vouched = check_part(victim);
    trial.kills_with_pieces += vouched > 0;
    trial.kills_finished += finished > 0;
    trial.kills_recovering += had_journal && !log_has(victim, "fetch.open");
    victim->lives_finished += finished > 0;
    if (victim->lives > LIVES_MAX) {
        die("a download does not go on", victim);
    }
}

/* The file has been there in some lives; is it forgotten, as it should be? */
static void go_on(struct victim *victim) {
    if (victim->lives_finished < 1 + rng_below(&trial.rng, 2)) {
        be_born(victim);
        return;
    }
    be_born(victim);
    char *socket = control_socket(victim);
    must(process_wait_socket(victim->node->process, socket, ASK_MS));
    mem_free(socket);
    json_t *answer = NULL;
    int64_t until_ms = process_now_ms() + ASK_MS;
    bool is_over = false;
    while (!is_over && process_now_ms() < until_ms) {
        must(localnet_ask(&trial.net, victim->node, (const char *const[]){"downloads", NULL},
                          ASK_MS, &answer));
        is_over = localnet_find(answer, "download") == NULL;
        json_decref(answer);
    }
    if (!is_over) {
        die("a finished download is not over", victim);
    }
    kill_one(victim);
    end_download(victim);
    begin(victim);
}

/* Who dies next: the one born last, if its life is short, or the first that is due. On a busy
 * machine all are overdue, and nobody would die young if all waited for all. */
static struct victim *next_victim(struct victim *last) {
    int64_t left_ms = last->due_ms - process_now_ms();
    if (left_ms > 0 && left_ms <= LIFE_SHORT_MS) {
        return last;
    }
    struct victim *next = &trial.victims[0];
    for (uint32_t i = 1; i < VICTIMS; i++) {
        next = trial.victims[i].due_ms < next->due_ms ? &trial.victims[i] : next;
    }
    return next;
}

static void run(uint32_t kills) {
    for (uint32_t i = 0; i < VICTIMS; i++) {
        struct victim *victim = &trial.victims[i];
        victim->node = &trial.net.peers[SOURCES + i];
        victim->run_log = owner_path(trial.owner, "victim-%u.log", i);
        victim->is_slow = i == VICTIMS - 1;
        mkdir(victim->node->downloads, 0700);
        begin(victim);
    }
    struct victim *next = &trial.victims[VICTIMS - 1];
    while (trial.kills < kills) {
        next = next_victim(next);
        int64_t wait_ms = next->due_ms - process_now_ms();
        if (wait_ms > 0) {
            process_sleep_ms((int)wait_ms);
        }
        kill_one(next);
        go_on(next);
        if (isatty(STDERR_FILENO)) {
            fprintf(stderr, "\r%u of %u kills%s", trial.kills, kills,
                    trial.kills < kills ? "" : "\n");
        }
    }
}

/* A few kills may miss a kind of moment by chance. */
static bool has_seen_enough(void) {
    return trial.kills < KILLS || (trial.kills_recovering > 0 && trial.kills_with_pieces > 0 &&
                                   trial.kills_finished > 0 && trial.downloads > 0);
}

static uint64_t number_of(const char *option, const char *text) {
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value == 0) {
        fprintf(stderr, "kill_trials: %s takes a number above 0, not '%s'\n", option, text);
        exit(2);
    }
    return value;
}

static void read_options(int argc, char **argv, uint32_t *kills, uint64_t *seed) {
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value != NULL && strcmp(argv[i], "--trials") == 0) {
            *kills = (uint32_t)number_of(argv[i], value);
        } else if (value != NULL && strcmp(argv[i], "--seed") == 0) {
            *seed = number_of(argv[i], value);
        } else if (value != NULL && strcmp(argv[i], "--bin") == 0) {
            trial.bin = value;
        } else {
            fprintf(stderr, "usage: kill_trials [--trials N] [--seed S] [--bin FOLDER]\n");
            exit(strcmp(argv[i], "--help") == 0 ? 0 : 2);
        }
    }
}

int main(int argc, char **argv) {
    uint32_t kills = KILLS;
    uint64_t seed = 1;
    trial.bin = BIN_DIR;
    read_options(argc, argv, &kills, &seed);
    snprintf(trial.peer, sizeof trial.peer, "%s/peer", trial.bin);
    rng_seed(&trial.rng, seed);
    trial.owner = owner_new("trunkline-kill");
    if (trial.owner == NULL) {
        perror("kill_trials");
        return 1;
    }
    int64_t start_ms = process_now_ms();
    start_network();
    run(kills);
    printf("%u kills in %lld s: %u while it recovered, %u with pieces in the journal, %u with the "
           "file finished; %u downloads ended, 0 files wrong, at most %u pieces of a source "
           "of " SLOW_RATE "iB/s lost\n",
           trial.kills, (long long)(process_now_ms() - start_ms) / 1000, trial.kills_recovering,
           trial.kills_with_pieces, trial.kills_finished, trial.downloads, trial.lost_max);
    bool is_good = has_seen_enough();
    if (!is_good) {
        fprintf(stderr, "kill_trials: not every kind of moment was met\n");
    }
    for (uint32_t i = 0; i < VICTIMS; i++) {
        mem_free(trial.victims[i].run_log);
    }
    for (uint32_t i = 0; i < FILES; i++) {
        mem_free(trial.files[i].bytes);
    }
    localnet_free(&trial.net);
    owner_free(trial.owner);
    return is_good ? 0 : 1;
}
