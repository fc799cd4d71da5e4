/* test_child.c - the supernode that a peer runs: started when certified, watched, never orphaned.
 *
 * Real processes: a peer, the supernode that it starts, and an anchor without a mind, which is this
 * program once more. It certifies whoever sends a candidacy. */
#include "tests/unit/hostlib.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <signal.h>

#include "common/links.h"
#include "common/wire_trust.h"
#include "src/cluster/process.h"
#include "src/host/config.h"
#include "src/host/host.h"

#define WAIT_MS 30000
#define EPOCH "60"
#define LIFE 6

/* ---- The anchor ---- */

struct anchor {
    const struct node_env *env;
    struct links links;
    struct timers timers;
};

static enum err admit(void *role, struct link *link, const struct hello *hello,
                      struct goaway *goaway) {
    (void)role;
    (void)link;
    (void)hello;
    (void)goaway;
    return OK;
}

static void opened(void *role, struct link *link, const struct hello *hello) {
    (void)role;
    (void)link;
    (void)hello;
}

static void certify(struct anchor *anchor, struct link *link, const struct node_id *subject,
                    uint8_t life) {
    const struct node_env *env = anchor->env;
    struct cert cert = {.subject = *subject,
                        .epoch = (uint32_t)(anchor->links.wall_s / env->network->epoch_s),
                        .life = life,
                        .signer_count = 1};
    struct buf covered = {0};
    struct buf bytes = {0};
    wire_cert_signed_bytes(&covered, &cert);
    struct signed_bytes body = {&env->network->id, RECORD_CERT, {covered.data, covered.len}};
    crypto_sign(env->crypto, &body, cert.signers[0].signature);
    wire_cert_encode(&bytes, &cert);
    links_send(link, MSG_CERT, (struct slice){bytes.data, bytes.len});
    buf_free(&covered);
    buf_free(&bytes);
}

static enum err message(void *role, struct link *link, uint8_t type, struct slice payload) {
    struct anchor *anchor = role;
    const struct signer_env signer = {anchor->env->crypto, &anchor->env->network->id};
    struct candidacy candidacy;
    if (type == MSG_CANDIDACY && wire_candidacy_decode(payload, &candidacy) == OK &&
        wire_candidacy_check_subject(&candidacy, &signer) == OK) {
        certify(anchor, link, &candidacy.subject, LIFE);
        certify(anchor, link, &candidacy.subject, LIFE + 1); /* a renewal while it starts */
    }
    return OK;
}

static void closed(void *role, struct link *link, enum err reason) {
    (void)role;
    (void)link;
    (void)reason;
}

static void anchor_step(void *self, const struct node_event *event, struct outbox *out) {
    struct anchor *anchor = self;
    links_begin(&anchor->links, event, out);
    if (event->kind == NODE_SHUTDOWN) {
        outbox_add(out, ACTION_STOPPED);
    } else if (event->kind == NODE_TIMER) {
        struct timer *timer;
        while ((timer = timers_take(&anchor->timers, event->mono_us)) != NULL) {
            links_timer(&anchor->links, timer);
        }
    } else {
        links_handle(&anchor->links, event);
    }
}

static uint64_t anchor_deadline(const void *self) {
    const struct anchor *anchor = self;
    return timers_next(&anchor->timers);
}

static void anchor_free(void *self) {
    struct anchor *anchor = self;
    timers_free(&anchor->timers);
    links_free(&anchor->links);
    mem_free(anchor);
}

static struct node anchor_make(const struct node_env *env, const void *config) {
    static const struct links_role role = {admit, opened, message, closed, NULL};
    static const struct node_ops ops = {anchor_step, anchor_deadline, anchor_free};
    struct anchor *anchor = mem_new(sizeof *anchor);
    (void)config;
    anchor->env = env;
    links_init(&anchor->links, env, &role, anchor, &anchor->timers);
    anchor->links.address_record_flags = ADDRESS_RECORD_SUPERNODE;
    return (struct node){&ops, anchor};
}

/* `unit_child anchor FOLDER PORT` */
static int anchor_run(const char *dir, const char *port) {
    struct host_error error = {0};
    struct network_file network = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/network.ini", dir);
    struct host_config config = {.log_level = LOG_LEVEL_INFO, .handle_signals = true};
    struct host_node_config node = {.network = &network.network,
                                    .state_dir = dir,
                                    .listen = {.family = ADDRESS_IPV4,
                                               .ip = {127, 0, 0, 1},
                                               .port = (uint16_t)strtoul(port, NULL, 10)},
                                    .make = anchor_make};
    struct host *host = host_new(&config, &error);
    if (host == NULL || network_load(path, &network, &error) != OK ||
        host_add(host, &node, &error) == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    int code = host_run(host);
    host_free(host);
    return code;
}

/* ---- The world ---- */

struct world {
    struct owner *owner;
    const char *root;
    const char *self;
    struct process *anchor;
    struct process *peer;
    struct buf out;
    int status;
    char log[256];
    size_t log_from; /* what the peer of now has written begins here */
};

static void run(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void run(struct world *world, const char *format, ...) {
    char line[2048];
    va_list list;
    int len = snprintf(line, sizeof line, "export HOME='%s/home'; ", world->root);
    va_start(list, format);
    vsnprintf(line + len, sizeof line - (size_t)len, format, list);
    va_end(list);
    const char *const argv[] = {"/bin/sh", "-c", line, NULL};
    struct process_options options = {.argv = argv, .cwd = world->root};
    world->out.len = 0;
    assert_int_equal(process_capture(world->owner, &options, WAIT_MS, &world->out, &world->status),
                     OK);
}

static struct process *start(struct world *world, const char *const *argv, const char *log) {
    struct process *process = NULL;
    char home[300];
    snprintf(home, sizeof home, "HOME=%s/home", world->root);
    const char *const env[] = {home, NULL};
    struct process_options options = {.argv = argv, .env = env, .cwd = world->root, .log = log};
    assert_int_equal(process_start(world->owner, &options, &process), OK);
    return process;
}

static uint16_t free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static void start_peer(struct world *world, const char *option) {
    struct stat stat_of = {0};
    world->log_from = stat(world->log, &stat_of) == 0 ? (size_t)stat_of.st_size : 0;
    const char *const argv[] = {
        BIN_DIR "/peer", "run",      "--dir",       "p",           "--network",
        "a/network.ini", "--listen", "127.0.0.1:0", "--downloads", "down",
        "--share",       "shared",   option,        NULL};
    world->peer = start(world, argv, world->log);
}

/* The number after the last `text` in what the peer and its supernode have written; 0 = none. */
static pid_t logged(const struct world *world, const char *text, uint32_t *times) {
    FILE *file = fopen(world->log, "re");
    char line[1024];
    long found = 0;
    *times = 0;
    assert_non_null(file);
    fseek(file, (long)world->log_from, SEEK_SET);
    while (fgets(line, sizeof line, file) != NULL) {
        const char *at = strstr(line, text);
        if (at != NULL) {
            found = strtol(at + strlen(text), NULL, 10);
            ++*times;
        }
    }
    fclose(file);
    return (pid_t)found;
}

static bool is_alive(pid_t pid) {
    char path[64];
    char text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *state = strrchr(text, ')');
    return state != NULL && state[2] != 'Z' && state[2] != 'X';
}

/* Wait until `peer supernode status` says so. */
static void wait_state(struct world *world, const char *wanted) {
    int64_t end_ms = process_now_ms() + WAIT_MS;
    char part[64];
    snprintf(part, sizeof part, "\"state\":\"%s\"", wanted);
    do {
        run(world, BIN_DIR "/peer supernode status --dir p --json 2>/dev/null");
        if (world->status == 0 && strstr((char *)world->out.data, part) != NULL) {
            return;
        }
        process_sleep_ms(100);
    } while (process_now_ms() < end_ms);
    fail_msg("never %s: %s", wanted, (char *)world->out.data);
}

static uint64_t status_number(struct world *world, const char *key) {
    run(world, BIN_DIR "/peer supernode status --dir p --json");
    assert_int_equal(world->status, 0);
    char *end = strchr((char *)world->out.data, '\n');
    json_t *line =
        json_loadb((char *)world->out.data, (size_t)(end - (char *)world->out.data), 0, NULL);
    uint64_t number = (uint64_t)json_integer_value(json_object_get(line, key));
    json_decref(line);
    return number;
}

static void wait_gone(pid_t pid, int ms) {
    int64_t end_ms = process_now_ms() + ms;
    while (is_alive(pid) && process_now_ms() < end_ms) {
        process_sleep_ms(10);
    }
    assert_false(is_alive(pid));
}

static const char *self_path;

static int set_up(void **state) {
    struct world *world = mem_new(sizeof *world);
    world->owner = owner_new("test_child");
    assert_non_null(world->owner);
    world->root = owner_folder(world->owner);
    world->self = self_path;
    snprintf(world->log, sizeof world->log, "%s/peer.log", world->root);
    uint16_t port = free_port();
    run(world,
        "mkdir home down shared && echo whale >shared/whale.txt && " BIN_DIR
        "/supernode init --anchor --dir a --epoch " EPOCH " --address 127.0.0.1:%u",
        port);
    assert_int_equal(world->status, 0);
    char text[8];
    char anchor_log[300];
    snprintf(text, sizeof text, "%u", port);
    snprintf(anchor_log, sizeof anchor_log, "%s/anchor.log", world->root);
    const char *const argv[] = {world->self, "anchor", "a", text, NULL};
    world->anchor = start(world, argv, anchor_log);
    assert_int_equal(process_wait_log(world->anchor, "ready", WAIT_MS), OK);
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    owner_free(world->owner);
    buf_free(&world->out);
    mem_free(world);
    return 0;
}

/* ---- Tests ---- */

static void a_certified_peer_runs_one_and_keeps_it(void **state) {
    struct world *world = *state;
    uint32_t times;
    start_peer(world, "--consent");
    wait_state(world, "serving");
    pid_t first = logged(world, "child.started pid=", &times);
    assert_int_equal(times, 1);
    assert_true(is_alive(first));
    run(world, "stat -c %%a p/supernode p/supernode/node.key && " BIN_DIR
               "/supernode status --dir p/supernode --json");
    assert_non_null(strstr((char *)world->out.data, "700\n600\n"));
    assert_non_null(strstr((char *)world->out.data, "\"certified\":true"));
    /* A later certificate reaches the one that runs, which stays the same. */
    assert_int_equal(process_wait_log(world->peer, "node.cert_read", 2 * WAIT_MS), OK);
    assert_true(is_alive(first));
    /* It crashes: another one, and the peer has not noticed otherwise. */
    assert_int_equal(kill(first, SIGKILL), 0);
    int64_t end_ms = process_now_ms() + WAIT_MS;
    pid_t second = first;
    while (second == first && process_now_ms() < end_ms) {
        process_sleep_ms(50);
        second = logged(world, "child.started pid=", &times);
    }
    assert_int_equal(times, 2);
    wait_state(world, "serving");
    assert_int_equal(status_number(world, "today_failures"), 1);
    assert_true(status_number(world, "today_cpu_ms") > 0);
    assert_true(process_running(world->peer));
    /* The peer crashes: nothing of it is left. */
    process_kill(world->peer);
    wait_gone(second, 1000);
    process_free(world->peer);
}

/* kill -9 of the peer alone, not of its group. */
static void an_orphan_ends_by_itself(void **state) {
    struct world *world = *state;
    uint32_t times;
    start_peer(world, "--consent");
    wait_state(world, "serving"); /* at once: the certificate is kept */
    pid_t child = logged(world, "child.started pid=", &times);
    assert_int_equal(kill(process_pid(world->peer), SIGKILL), 0);
    wait_gone(child, 1000);
    assert_int_equal(process_wait_log(world->peer, "parent.gone", 0), OK);
    process_free(world->peer);
}

static void it_is_drained_when_it_is_not_wanted(void **state) {
    struct world *world = *state;
    uint32_t times;
    start_peer(world, "--consent");
    wait_state(world, "serving");
    pid_t child = logged(world, "child.started pid=", &times);
    run(world, BIN_DIR "/peer supernode withdraw --dir p");
    assert_int_equal(world->status, 0);
    assert_non_null(strstr((char *)world->out.data, "hands its peers over"));
    assert_non_null(strstr((char *)world->out.data, "until it is started again"));
    wait_state(world, "no consent");
    assert_false(is_alive(child));
    char text[64];
    snprintf(text, sizeof text, "child.ended pid=%d status=", (int)child);
    assert_int_equal(logged(world, text, &times), 0);
    assert_int_equal(times, 1);
    run(world, BIN_DIR "/peer supernode consent --yes --cap-rate 2M --cap-bytes 3G --dir p");
    assert_int_equal(world->status, 0);
    assert_non_null(strstr((char *)world->out.data, "2.0 MiB/s and 3.0 GiB a day"));
    wait_state(world, "serving");
    child = logged(world, "child.started pid=", &times);
    assert_int_equal(times, 2);
    /* A polite end of the peer waits for that of its supernode. */
    run(world, BIN_DIR "/peer stop --dir p");
    assert_int_equal(world->status, 0);
    assert_false(is_alive(child));
    snprintf(text, sizeof text, "child.ended pid=%d status=", (int)child);
    assert_int_equal(logged(world, text, &times), 0);
    assert_int_equal(times, 1);
    process_free(world->peer);
    /* What was agreed to is remembered. */
    start_peer(world, NULL);
    wait_state(world, "serving");
    assert_int_equal(status_number(world, "rate"), 2 << 20);
    assert_int_equal(process_stop(world->peer, 15000), 0);
    process_free(world->peer);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "anchor") == 0) {
        return anchor_run(argv[2], argv[3]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certified_peer_runs_one_and_keeps_it),
        cmocka_unit_test(an_orphan_ends_by_itself),
        cmocka_unit_test(it_is_drained_when_it_is_not_wanted),
    };
    char self[256];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    self_path = self;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
