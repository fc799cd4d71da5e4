/* hostlib.h - what tests of the driver share: scripted nodes, folders that vanish, strangers. */
#ifndef TRUNKLINE_TESTS_UNIT_HOSTLIB_H
#define TRUNKLINE_TESTS_UNIT_HOSTLIB_H

#include <dirent.h>
#include <ftw.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/host.h"
#include "src/host/tls.h"
#include "tests/unit/testlib.h"

/* ---- Folders ---- */

static inline void folder_make_temporary(char path[64]) {
    strcpy(path, "/tmp/trunkline-test.XXXXXX");
    assert_non_null(mkdtemp(path));
}

/* True where temporary files are on an overlay, as in containers: it cannot tell who writes to a
 * mapped file. */
static inline bool folder_is_overlaid(void) {
    struct statfs system;
    assert_int_equal(statfs("/tmp", &system), 0);
    return system.f_type == OVERLAYFS_SUPER_MAGIC;
}

static inline int folder_remove_entry(const char *path, const struct stat *stat, int type,
                                      struct FTW *walk) {
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void folder_remove(const char *path) {
    nftw(path, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Write a file of `size` bytes that depend on their place and on `salt`. */
static inline void file_make(const char *path, size_t size, uint32_t salt) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    uint64_t state = salt * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        fputc((int)(state >> 56), file);
    }
    assert_int_equal(fclose(file), 0);
}

static inline int fds_open(void) {
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    int count = 0;
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

/* ---- A node whose logic is a test's ---- */

struct probe;
typedef void probe_fn(struct probe *probe, const struct node_event *event, struct outbox *out);

struct probe {
    probe_fn *on;
    void *context;
    const struct node_env *env;
    struct host_node *node;
    uint64_t wake_us; /* wanted NODE_TIMER; 0 = none */
    uint32_t counts[NODE_EVENT_KINDS];
    uint32_t link; /* of the last NODE_LINK_UP */
    struct node_id remote_id;
    struct hash exporter;
    size_t bytes;    /* received */
    enum err reason; /* of the last DOWN, DIAL_FAILED, FILE_FAILED */
    char folder[64];
};

static inline void probe_note(struct probe *probe, const struct node_event *event) {
    probe->counts[event->kind]++;
    switch (event->kind) {
    case NODE_LINK_UP:
        probe->link = event->up.link;
        probe->remote_id = event->up.id;
        probe->exporter = event->up.exporter;
        break;
    case NODE_LINK_BYTES:
        probe->bytes += event->bytes.data.len;
        break;
    case NODE_LINK_DOWN:
        probe->reason = event->link.reason;
        break;
    case NODE_DIAL_FAILED:
        probe->reason = event->dial.reason;
        break;
    case NODE_FILE_FAILED:
        probe->reason = event->file.reason;
        break;
    default:
        break;
    }
}

static inline void probe_step(void *self, const struct node_event *event, struct outbox *out) {
    struct probe *probe = self;
    if (event->kind == NODE_TIMER && probe->wake_us > event->mono_us) {
        return;
    }
    if (event->kind == NODE_TIMER) {
        probe->wake_us = 0;
    }
    probe_note(probe, event);
    if (probe->on != NULL) {
        probe->on(probe, event, out);
    }
    if (event->kind == NODE_SHUTDOWN) {
        outbox_add(out, ACTION_STOPPED);
    }
}

static inline uint64_t probe_deadline(const void *self) {
    const struct probe *probe = self;
    return probe->wake_us == 0 ? UINT64_MAX : probe->wake_us;
}

static inline void probe_free(void *self) {
    (void)self;
}

static inline struct node probe_make(const struct node_env *env, const void *config) {
    static const struct node_ops ops = {probe_step, probe_deadline, probe_free};
    struct probe *probe = (struct probe *)(uintptr_t)config;
    probe->env = env;
    return (struct node){&ops, probe};
}

static inline void probe_wake(struct probe *probe, const struct node_event *event, uint32_t ms) {
    probe->wake_us = event->mono_us + ms * 1000ull;
}

/* ---- Hosts ---- */

static inline struct host *test_host(void) {
    struct host_error error = {0};
    struct host_config config = {.log_level = LOG_LEVEL_ERROR};
    struct host *host = host_new(&config, &error);
    if (host == NULL) {
        fail_msg("%s", error.text);
    }
    return host;
}

static inline const struct network *test_network(void) {
    static const struct network network = {.name = "test", .policy = NETWORK_OPEN};
    return &network;
}

/* Add a scripted node on 127.0.0.`last_octet` with a state folder of its own. */
static inline void probe_add(struct host *host, struct probe *probe, uint8_t last_octet) {
    struct host_error error = {0};
    folder_make_temporary(probe->folder);
    struct host_node_config config = {
        .network = test_network(),
        .state_dir = probe->folder,
        .listen = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, last_octet}},
        .make = probe_make,
        .role_config = probe,
        .seed = last_octet};
    probe->node = host_add(host, &config, &error);
    if (probe->node == NULL) {
        fail_msg("%s", error.text);
    }
}

static inline void probe_dial(const struct probe *to, struct outbox *out, uint32_t token) {
    struct action *action = outbox_add(out, ACTION_DIAL);
    action->token32 = token;
    action->id = *host_node_id(to->node);
    action->address = host_node_address(to->node);
}

static inline void probe_act(struct outbox *out, enum action_kind kind, uint32_t link) {
    struct action *action = outbox_add(out, kind);
    action->link = link;
}

static inline void test_host_done(struct host *host, struct probe *probes, size_t count) {
    host_free(host);
    for (size_t i = 0; i < count; i++) {
        folder_remove(probes[i].folder);
    }
}

static inline double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- A stranger: a blocking end of TLS without libevent ---- */

struct stranger {
    SSL_CTX *context;
    SSL *ssl;
    struct identity *identity;
    struct tls_peer peer;
    int fd;
};

static inline int stranger_connect(const struct address *address) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    memcpy(&to.sin_addr, address->ip, 4);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Shake hands over a connected socket; false when it fails. */
static inline bool stranger_start(struct stranger *stranger, int fd, const struct node_id *wanted) {
    stranger->fd = fd;
    stranger->context = tls_context_new(NULL);
    stranger->identity = identity_ephemeral(NULL);
    stranger->peer.dialled = wanted != NULL;
    if (wanted != NULL) {
        stranger->peer.wanted = *wanted;
    }
    stranger->ssl = tls_new(stranger->context, stranger->identity, &stranger->peer);
    SSL_set_fd(stranger->ssl, fd);
    return (wanted != NULL ? SSL_connect(stranger->ssl) : SSL_accept(stranger->ssl)) == 1;
}

static inline void stranger_free(struct stranger *stranger) {
    SSL_free(stranger->ssl);
    SSL_CTX_free(stranger->context);
    identity_free(stranger->identity);
    if (stranger->fd >= 0) {
        close(stranger->fd);
    }
}

#endif
