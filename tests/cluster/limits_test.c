/* limits_test.c - nodes with few descriptors and little memory, and more wanted of them than they
 * have: they go on with what they do.
 *
 * limits_test [--cgroup FOLDER] [--bin FOLDER]: FOLDER is a memory cgroup that is ours to write to;
 * without one the limit of memory is RLIMIT_DATA. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/cluster/deal.h"
#include "src/cluster/localnet.h"
#include "src/cluster/procfs.h"

#define SETTLE_MS 30000
#define ASK_MS 20000
#define GET_MS 10000
#define LATE_AFTER_MS 1500 /* a download begins when all places have been taken for long */
#define LATE_MS 8000       /* ... and is over then */
#define LATE_BYTES (256 << 10)
#define CONNECTIONS 900 /* 300 to each of three */
#define HAMMER_MS 5000
#define FILE_BYTES (8 << 20)
#define FILE_RATE "2M"
#define CPU_PERCENT_MAX 20
#define LOG_LINES_PER_S 10
#define FDS_GROWN_MAX 5 /* a link that idles for a minute, the store of hashes */
#define FDS_MS 15000
#define MEMORY_MAX (48ULL << 20)
#define CGROUP_MAX (12ULL << 20) /* what it has when it comes in is not charged */
#define DATA_MAX (112ULL << 20)  /* stacks of threads that nobody uses count too */
#define INDEX_MEMORY "8M"

static struct test {
    struct owner *owner;
    struct localnet net;
    char *bin;
    char *original;
    char *late; /* another file */
    uint32_t failures;
} test;

static _Noreturn void die(const char *what) {
    fprintf(stderr, "limits_test: %s: %s\n", what, test.net.trouble);
    exit(1);
}

static void must(enum err err) {
    if (err != OK) {
        die(err_text(err));
    }
}

static void fault(const char *what, const struct localnet_node *node, double value) {
    fprintf(stderr, "FAILED: %s: %s, %.1f\n", node->name, what, value);
    test.failures++;
}

/* ---- What the system says of a process ---- */

static double cpu_s(const struct localnet_node *node) {
    return (double)procfs_cpu_ms(process_pid(node->process)) / 1000;
}

static uint32_t open_fds(const struct localnet_node *node) {
    return procfs_descriptors(process_pid(node->process));
}

static uint32_t log_lines(const struct localnet_node *node) {
    FILE *file = fopen(node->log, "re");
    uint32_t lines = 0;
    for (int c; file != NULL && (c = getc(file)) != EOF;) {
        lines += c == '\n';
    }
    if (file != NULL) {
        fclose(file);
    }
    return lines;
}

/* ---- Too many connections ---- */

struct hammer {
    int fds[CONNECTIONS];
    uint32_t made;
};

static struct localnet_node *node_of(uint32_t i) {
    return i == 0 ? &test.net.supernodes[0] : &test.net.peers[i - 1];
}
#define NODES 3   /* that many come to */
#define VISITOR 2 /* the peer who has links to none of the others */
#define NEWCOMER 3
#define PEERS 4

/* From an address of its own each, so that no share of one address is in the way. */
static int connect_to(const struct localnet_node *node, uint32_t number) {
    char host[32];
    snprintf(host, sizeof host, "%.*s", (int)strcspn(node->address, ":"), node->address);
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7ffd0001u + number % 60000)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(LOCALNET_PORT)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && inet_pton(AF_INET, host, &to.sin_addr) == 1 &&
        bind(fd, (struct sockaddr *)&from, sizeof from) == 0) {
        (void)connect(fd, (struct sockaddr *)&to, sizeof to);
    }
    return fd;
}

static bool is_closed(int fd) {
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOTCONN &&
                        errno != EINPROGRESS);
}

/* Everyone who was sent away comes back, some of them every time. */
static void hammer_on(struct hammer *hammer) {
    uint32_t again = 0;
    for (uint32_t i = 0; i < CONNECTIONS && again < 40; i++) {
        uint32_t at = (hammer->made + i) % CONNECTIONS;
        if (hammer->fds[at] < 0 || is_closed(hammer->fds[at])) {
            if (hammer->fds[at] >= 0) {
                close(hammer->fds[at]);
            }
            hammer->fds[at] = connect_to(node_of(at % NODES), hammer->made);
            hammer->made++;
            again++;
        }
    }
}

static void hammer_end(struct hammer *hammer) {
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        if (hammer->fds[i] >= 0) {
            close(hammer->fds[i]);
        }
    }
}

/* ---- The network ---- */

static void start_network(uint64_t descriptors) {
    char path[4096];
    test.owner = owner_new("trunkline-limits");
    if (test.owner == NULL) {
        die(strerror(errno));
    }
    must(localnet_init(&test.net, test.owner, test.bin, 1, PEERS));
    test.original = owner_path(test.owner, "original.bin");
    must(deal_generate(test.original, FILE_BYTES, 3));
    snprintf(path, sizeof path, "%s/the one large file.bin", test.net.peers[0].files);
    if (link(test.original, path) != 0) {
        die(path);
    }
    test.late = owner_path(test.owner, "late.bin");
    must(deal_generate(test.late, LATE_BYTES, 4));
    snprintf(path, sizeof path, "%s/the late small one.bin", test.net.peers[1].files);
    if (link(test.late, path) != 0) {
        die(path);
    }
    test.net.peers[0].upload_rate = FILE_RATE;
    for (uint32_t i = 0; i < NODES; i++) {
        node_of(i)->descriptors_max = descriptors;
    }
}

static void end_network(void) {
    if (localnet_stop_all(&test.net) > 0) {
        fprintf(stderr, "FAILED: %s\n", test.net.trouble);
        test.failures++;
    }
    localnet_free(&test.net);
    mem_free(test.original);
    mem_free(test.late);
    owner_free(test.owner);
}

static bool find(const struct localnet_node *from, const char *words,
                 char content[CONTENT_TEXT_BYTES]) {
    json_t *answer = NULL;
    if (localnet_ask(&test.net, from, (const char *const[]){"search", words, NULL}, ASK_MS,
                     &answer) != OK) {
        return false;
    }
    snprintf(content, CONTENT_TEXT_BYTES, "%s",
             localnet_text(localnet_find(answer, "hit"), "content"));
    json_decref(answer);
    return content[0] != '\0';
}

static bool is_same(const char *original, const char *copy) {
    const char *const words[] = {"cmp", "-s", original, copy, NULL};
    const struct process_options options = {.argv = words};
    struct buf out = {0};
    int status = 1;
    enum err err = process_capture(test.owner, &options, ASK_MS, &out, &status);
    buf_free(&out);
    return err == OK && status == 0;
}

/* ---- Descriptors ---- */

struct before {
    double cpu_s;
    uint32_t fds;
    uint32_t lines;
};

static void check_nodes(const struct before *before, double seconds) {
    for (uint32_t i = 0; i < NODES; i++) {
        struct localnet_node *node = node_of(i);
        if (!process_running(node->process)) {
            die("a node ended by itself");
        }
        double percent = 100 * (cpu_s(node) - before[i].cpu_s) / seconds;
        double lines = (log_lines(node) - before[i].lines) / seconds;
        if (percent > CPU_PERCENT_MAX) {
            fault("percent of a processor", node, percent);
        }
        if (lines > LOG_LINES_PER_S) {
            fault("lines of log a second", node, lines);
        }
        printf("  %s: %.1f %% of a processor, %.1f lines a second\n", node->name, percent, lines);
    }
}

static void check_fds_back(const struct before *before) {
    for (uint32_t i = 0; i < NODES; i++) {
        int64_t until_ms = process_now_ms() + FDS_MS;
        while (open_fds(node_of(i)) > before[i].fds + FDS_GROWN_MAX &&
               process_now_ms() < until_ms) {
            process_sleep_ms(200);
        }
        if (open_fds(node_of(i)) > before[i].fds + FDS_GROWN_MAX) {
            fault("descriptors more than before", node_of(i), open_fds(node_of(i)) - before[i].fds);
        }
    }
}

/* A download that begins in the flood, from somebody to whom there is no link yet. */
struct late {
    char content[CONTENT_TEXT_BYTES];
    struct process *get;
    int64_t begun_ms;
    int64_t took_ms; /* 0 = not over */
};

static void late_go_on(struct late *late, int64_t hammered_ms) {
    int status = -1;
    if (late->begun_ms == 0 && hammered_ms >= LATE_AFTER_MS) {
        const char *const words[] = {"get", late->content, NULL};
        late->begun_ms = process_now_ms();
        must(localnet_command(&test.net, &test.net.peers[VISITOR], words, &late->get));
    }
    if (late->get != NULL && process_wait(late->get, 0, &status) == OK) {
        late->took_ms = process_now_ms() - late->begun_ms;
        process_free(late->get);
        late->get = NULL;
        if (status != 0) {
            fault("the late download failed", &test.net.peers[VISITOR], status);
        }
    }
}

static void late_check(struct late *late) {
    const struct localnet_node *node = &test.net.peers[VISITOR];
    char copy[4096];
    snprintf(copy, sizeof copy, "%s/the late small one.bin", node->downloads);
    if (late->took_ms == 0 || late->took_ms > LATE_MS) {
        fault("ms and more for a download begun among strangers", node,
              (double)(process_now_ms() - late->begun_ms));
    } else if (!is_same(test.late, copy)) {
        fault("the late download is another file", node, 0);
    }
    if (late->get != NULL) {
        process_free(late->get);
    }
}

/* Both searches and the late download go on meanwhile. */
static double hammer_nodes(struct hammer *hammer, struct late *late, uint32_t *asked,
                           uint32_t *found) {
    char content[CONTENT_TEXT_BYTES];
    int64_t begun_ms = process_now_ms(), search_ms = begun_ms;
    int64_t now_ms = begun_ms;
    memset(hammer->fds, -1, sizeof hammer->fds);
    hammer->made = 0;
    while (now_ms < begun_ms + HAMMER_MS ||
           (late->took_ms == 0 && now_ms < late->begun_ms + LATE_MS)) {
        hammer_on(hammer);
        if (now_ms >= search_ms) {
            search_ms = now_ms + 500;
            *asked += 1;
            *found += find(&test.net.peers[1], "large file", content);
        }
        late_go_on(late, now_ms - begun_ms);
        process_sleep_ms(20);
        now_ms = process_now_ms();
    }
    return (double)(now_ms - begun_ms) / 1000;
}

static void run_descriptors(uint64_t most) {
    static struct hammer hammer;
    struct before before[NODES];
    struct late late = {0};
    char content[CONTENT_TEXT_BYTES], copy[4096];
    struct process *get = NULL;
    struct localnet_node *fetcher = &test.net.peers[1];
    uint32_t found = 0, asked = 0;
    start_network(most);
    must(localnet_start(&test.net, &test.net.supernodes[0]));
    for (uint32_t i = 0; i <= VISITOR; i++) {
        must(localnet_start(&test.net, &test.net.peers[i]));
    }
    must(localnet_settle(&test.net, SETTLE_MS));
    for (uint32_t i = 0; i < NODES; i++) {
        before[i] = (struct before){cpu_s(node_of(i)), open_fds(node_of(i)), log_lines(node_of(i))};
    }
    if (!find(fetcher, "large file", content) ||
        !find(&test.net.peers[VISITOR], "late small", late.content)) {
        die("a file is not found");
    }
    /* Under way when they come: a link that is there is served on. */
    must(localnet_command(&test.net, fetcher, (const char *const[]){"get", content, NULL}, &get));
    process_sleep_ms(500);
    double seconds = hammer_nodes(&hammer, &late, &asked, &found);
    int status = -1;
    bool is_fetched = process_wait(get, GET_MS, &status) == OK && status == 0;
    snprintf(copy, sizeof copy, "%s/the one large file.bin", fetcher->downloads);
    if (!is_fetched || !is_same(test.original, copy)) {
        fault("the file was not fetched", fetcher, status);
    }
    if (found < asked) {
        fault("searches found nothing", fetcher, asked - found);
    }
    late_check(&late);
    check_nodes(before, seconds);
    process_free(get);
    hammer_end(&hammer);
    check_fds_back(before);
    int64_t ended_ms = process_now_ms();
    must(localnet_start(&test.net, &test.net.peers[NEWCOMER])); /* and a newcomer is let in */
    must(localnet_settle(&test.net, SETTLE_MS));
    printf("%llu descriptors: %u connections came, %u of %u searches found the file, which was "
           "%sfetched; a download begun meanwhile took %lld ms; a newcomer joined %lld ms later\n",
           (unsigned long long)most, hammer.made, found, asked, is_fetched ? "" : "not ",
           (long long)late.took_ms, (long long)(process_now_ms() - ended_ms));
    fflush(stdout);
    end_network();
}

/* ---- Memory ---- */

/* True when the node is in the cgroup, with its limit. */
static bool confine(const char *cgroup, const struct localnet_node *node) {
    static const char *const limits[] = {"memory.max", "memory.limit_in_bytes"};
    char path[4096];
    bool is_limited = false;
    for (size_t i = 0; cgroup != NULL && i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", cgroup, limits[i]);
        FILE *file = access(path, W_OK) == 0 ? fopen(path, "we") : NULL;
        if (file != NULL) {
            bool is_written = fprintf(file, "%llu", CGROUP_MAX) > 0;
            is_limited = (fclose(file) == 0 && is_written) || is_limited;
        }
    }
    snprintf(path, sizeof path, "%s/cgroup.procs", cgroup == NULL ? "" : cgroup);
    FILE *file = is_limited ? fopen(path, "we") : NULL;
    bool is_in = file != NULL && fprintf(file, "%d", (int)process_pid(node->process)) > 0;
    return file != NULL && fclose(file) == 0 && is_in;
}

static void run_memory(const char *cgroup) {
    struct localnet_node *supernode = &test.net.supernodes[0], *peer = &test.net.peers[1];
    char badpeer[4096], from[64], content[CONTENT_TEXT_BYTES];
    struct buf out = {0};
    int status = -1;
    start_network(0);
    supernode->index_memory = INDEX_MEMORY;
    supernode->memory_max = cgroup == NULL ? DATA_MAX : 0;
    must(localnet_start(&test.net, supernode));
    if (cgroup != NULL && !confine(cgroup, supernode)) {
        die("the cgroup cannot be used; it needs memory.max and cgroup.procs to write to");
    }
    for (uint32_t i = 0; i < 2; i++) {
        must(localnet_start(&test.net, &test.net.peers[i]));
    }
    must(localnet_settle(&test.net, SETTLE_MS));
    snprintf(badpeer, sizeof badpeer, "%s/badpeer", test.bin);
    snprintf(from, sizeof from, "%.*s.250:0",
             (int)(strrchr(supernode->address, '.') - supernode->address), supernode->address);
    const char *const words[] = {badpeer, "fill-index",       "--network",   test.net.network_file,
                                 "--to",  supernode->address, supernode->id, "--from",
                                 from,    "--seconds",        "1",           NULL};
    const struct process_options options = {.argv = words};
    must(process_capture(test.owner, &options, ASK_MS * 3, &out, &status));
    json_t *report = json_loads((const char *)out.data, 0, NULL);
    if (!process_running(supernode->process)) {
        die("the supernode ended by itself");
    }
    uint64_t memory = localnet_memory_max(supernode);
    if (localnet_number(report, "full") == 0 || localnet_number(report, "answered") == 0) {
        fault("no list was taken, or none refused", supernode,
              (double)localnet_number(report, "answered"));
    }
    if (memory > MEMORY_MAX) {
        fault("MiB of memory", supernode, (double)memory / (1 << 20));
    }
    if (!find(peer, "large file", content)) {
        fault("a search finds nothing now", peer, 0);
    }
    printf("memory, limited by %s: %lld lists of 5,000 files were taken, the next was refused; at "
           "most %.1f MiB\n",
           cgroup == NULL ? "RLIMIT_DATA, as no cgroup was named" : cgroup,
           (long long)localnet_number(report, "answered"), (double)memory / (1 << 20));
    json_decref(report);
    buf_free(&out);
    end_network();
}

int main(int argc, char **argv) {
    const char *bin = BIN_DIR, *cgroup = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        bin = strcmp(argv[i], "--bin") == 0 ? argv[i + 1] : bin;
        cgroup = strcmp(argv[i], "--cgroup") == 0 ? argv[i + 1] : cgroup;
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    test.bin = mem_string(bin);
    static const uint64_t descriptors[] = {64, 128, 256};
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++) {
        run_descriptors(descriptors[i]);
    }
    run_memory(cgroup);
    mem_free(test.bin);
    printf("%u failures\n", test.failures);
    return test.failures == 0 ? 0 : 1;
}
