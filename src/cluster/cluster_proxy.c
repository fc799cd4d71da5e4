/* cluster_proxy.c - the links of a cluster go through a proxy, so that they can be made worse. */
#include "src/cluster/cluster_proxy.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/cluster/proxy.h"

#define START_MS 10000
#define ANSWER_MS 2000
#define HIDDEN_PORT (LOCALNET_PORT + 1) /* where the nodes themselves listen */

static enum err trouble(struct cluster *cluster, const char *what) {
    snprintf(cluster->trouble, sizeof cluster->trouble, "the proxy of the links: %s", what);
    return ERR_IO;
}

/* Send a line and wait for `ok`. */
static enum err say(struct cluster *cluster, const char *line) {
    char answer[256] = "it does not answer";
    size_t len = strlen(line);
    struct pollfd ready = {.fd = cluster->proxy_control, .events = POLLIN};
    if (send(cluster->proxy_control, line, len, MSG_NOSIGNAL) == (ssize_t)len &&
        poll(&ready, 1, ANSWER_MS) > 0) {
        ssize_t got = read(cluster->proxy_control, answer, sizeof answer - 1);
        answer[got > 0 ? got : 0] = '\0';
    }
    return strcmp(answer, "ok\n") == 0 ? OK : trouble(cluster, answer);
}

static bool connect_to(struct cluster *cluster, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    cluster->proxy_control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return cluster->proxy_control >= 0 &&
           connect(cluster->proxy_control, (struct sockaddr *)&address, sizeof address) == 0;
}

static enum err start(struct cluster *cluster) {
    char program[4096];
    char *socket = owner_path(cluster->owner, "proxy.sock");
    char *log = owner_path(cluster->owner, "proxy.log");
    snprintf(program, sizeof program, "%s/lab", cluster->net.bin);
    const struct process_options options = {
        .argv = (const char *const[]){program, "proxy", socket, NULL}, .log = log};
    enum err err = process_start(cluster->owner, &options, &cluster->proxy);
    err = err != OK ? err : process_wait_socket(cluster->proxy, socket, START_MS);
    if (err != OK || !connect_to(cluster, socket)) {
        err = trouble(cluster, err != OK ? err_text(err) : strerror(errno));
    }
    mem_free(socket);
    mem_free(log);
    return err;
}

/* What everybody is told stays; the node itself goes one port up. */
static enum err put_behind(struct cluster *cluster, struct localnet_node *node) {
    char line[PROXY_LINE_BYTES];
    memcpy(node->advertise, node->address, sizeof node->advertise);
    snprintf(node->address, sizeof node->address, "%.*s:%d", (int)strcspn(node->advertise, ":"),
             node->advertise, HIDDEN_PORT);
    int len = snprintf(line, sizeof line, "node %s %s", node->advertise, node->address);
    if (node->netns != 0) {
        len += snprintf(line + len, sizeof line - (size_t)len, " /proc/%d/fd/%d", (int)getpid(),
                        node->netns);
    }
    snprintf(line + len, sizeof line - (size_t)len, "\n");
    return say(cluster, line);
}

/* Where nodes have namespaces, those see to rates and to what is dropped. */
static enum err set(struct cluster *cluster, const char *which, const struct spec_link *wanted) {
    char line[PROXY_LINE_BYTES];
    struct spec_link ours = *wanted;
    const struct spec_link *link = &ours;
    if (cluster->netns != NULL) {
        ours.rate = 0;
        ours.black_hole = false;
    }
    snprintf(line, sizeof line,
             "set %s %" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %d\n",
             which, link->latency_ms, link->jitter_ms, link->rate, link->slice, link->reset_ms,
             link->close_ms, link->black_hole);
    return say(cluster, line);
}

enum err cluster_proxy_start(struct cluster *cluster) {
    char why[NETNS_TROUBLE_BYTES];
    enum err err = start(cluster);
    if (err == OK && cluster->netns != NULL &&
        netns_keep_port(cluster->netns, HIDDEN_PORT, why) != OK) {
        err = trouble(cluster, why);
    }
    for (uint32_t i = 0; i < cluster->member_count && err == OK; i++) {
        err = put_behind(cluster, cluster->members[i].node);
    }
    return err == OK ? set(cluster, "every", &cluster->spec.link) : err;
}

void cluster_proxy_set(struct cluster *cluster, const struct localnet_node *node,
                       const struct spec_link *link) {
    char which[16];
    snprintf(which, sizeof which, "%" PRIu32, localnet_index(&cluster->net, node));
    if (set(cluster, which, link) != OK) {
        cluster_note(cluster, "%s", cluster->trouble);
    }
}

void cluster_proxy_group(struct cluster *cluster, const struct localnet_node *node,
                         uint32_t group) {
    char line[PROXY_LINE_BYTES];
    snprintf(line, sizeof line, "group %" PRIu32 " %" PRIu32 "\n",
             localnet_index(&cluster->net, node), group);
    if (say(cluster, line) != OK) {
        cluster_note(cluster, "%s", cluster->trouble);
    }
}
