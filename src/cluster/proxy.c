/* proxy.c - makes the links between nodes worse: a program that stands between them. */
#include "src/cluster/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/mem.h"
#include "common/rng.h"
#include "common/units.h"
#include "src/cluster/process.h"

#define HELD_MAX (1024 * 1024) /* bytes on their way in one direction; then reading stops */
#define READ_BYTES 16384
#define SLICE_GAP_US 1000
#define SWEEP_MS 50
#define HOLD_US 20000 /* how often a black hole is looked at again */

/* Bytes on their way, or the end of them. */
struct chunk {
    struct chunk *next;
    int64_t due_us;
    struct evbuffer *bytes; /* NULL = the end */
};

/* One direction of a connection. */
struct lane {
    struct connection *connection;
    struct bufferevent *from;
    struct bufferevent *to;
    struct event *timer;
    struct chunk *first;
    struct chunk *last;
    size_t held;
    int64_t busy_until_us; /* when the line is free for more */
    bool has_end;          /* its sender has sent all */
    bool is_ending;        /* the end follows what is being written */
    bool is_over;          /* the end was passed on */
};

struct connection {
    struct connection *next;
    struct connection *previous;
    struct proxy *proxy;
    uint32_t target;
    int dialler; /* -1 = not one of the nodes */
    int64_t begun_us;
    struct lane lanes[2]; /* to the target, and back */
};

struct node {
    struct evconnlistener *listener;
    int netns; /* descriptor of its namespace; -1 = ours */
    struct sockaddr_in target;
    struct spec_link link;
    uint32_t group;
};

struct proxy {
    struct event_base *base;
    struct node nodes[SPEC_NODES_MAX];
    uint32_t node_count;
    int netns;              /* our own namespace */
    struct spec_link every; /* link */
    struct connection *connections;
    struct rng rng;
    struct evconnlistener *control;
    struct bufferevent *commander;
    bool is_commanded; /* it has said something */
    struct event *sweep;
};

/* ---- What a link is like ---- */

static void add_link(struct spec_link *link, const struct spec_link *more) {
    link->latency_ms += more->latency_ms;
    link->jitter_ms += more->jitter_ms;
    link->rate = spec_slower(link->rate, more->rate);
    link->slice = (uint32_t)spec_slower(link->slice, more->slice);
    link->reset_ms = (uint32_t)spec_slower(link->reset_ms, more->reset_ms);
    link->close_ms += more->close_ms;
    link->black_hole = link->black_hole || more->black_hole;
}

static struct spec_link link_of(const struct connection *connection) {
    const struct proxy *proxy = connection->proxy;
    struct spec_link link = proxy->every;
    add_link(&link, &proxy->nodes[connection->target].link);
    if (connection->dialler >= 0) {
        add_link(&link, &proxy->nodes[connection->dialler].link);
        link.black_hole = link.black_hole || proxy->nodes[connection->dialler].group !=
                                                 proxy->nodes[connection->target].group;
    }
    return link;
}

/* ---- Connections ---- */

static void free_lane(struct lane *lane) {
    while (lane->first != NULL) {
        struct chunk *chunk = lane->first;
        lane->first = chunk->next;
        if (chunk->bytes != NULL) {
            evbuffer_free(chunk->bytes);
        }
        mem_free(chunk);
    }
    if (lane->timer != NULL) {
        event_free(lane->timer);
    }
}

/* End both halves, with a reset or as they are. */
static void end_connection(struct connection *connection, bool reset) {
    struct proxy *proxy = connection->proxy;
    for (int i = 0; i < 2; i++) {
        struct bufferevent *half = connection->lanes[i].from;
        if (half != NULL) {
            const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
            evutil_socket_t fd = bufferevent_getfd(half);
            if (reset && fd >= 0) {
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            }
            bufferevent_free(half);
        }
        free_lane(&connection->lanes[i]);
    }
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        proxy->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    mem_free(connection);
}

static void arm(struct lane *lane, int64_t wait_us) {
    wait_us = wait_us < 0 ? 0 : wait_us;
    const struct timeval wait = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
    event_add(lane->timer, &wait);
}

static void add_chunk(struct lane *lane, struct evbuffer *bytes, int64_t due_us) {
    struct chunk *chunk = mem_new(sizeof *chunk);
    /* What was sent first arrives first, whatever the jitter. */
    chunk->due_us = lane->last != NULL && lane->last->due_us > due_us ? lane->last->due_us : due_us;
    chunk->bytes = bytes;
    if (lane->last != NULL) {
        lane->last->next = chunk;
    } else {
        lane->first = chunk;
        arm(lane, chunk->due_us - process_now_us());
    }
    lane->last = chunk;
}

static int64_t delay_us(struct lane *lane, const struct spec_link *link) {
    int64_t jitter = (int64_t)link->jitter_ms * 1000;
    int64_t more =
        jitter == 0 ? 0 : (int64_t)rng_below(&lane->connection->proxy->rng, (uint64_t)jitter + 1);
    return (int64_t)link->latency_ms * 1000 + more;
}

/* Take what has come and say when it is to go on. */
static void take_input(struct lane *lane) {
    struct evbuffer *input = bufferevent_get_input(lane->from);
    const struct spec_link link = link_of(lane->connection);
    size_t len;
    while ((len = evbuffer_get_length(input)) > 0) {
        size_t part = len < READ_BYTES ? len : READ_BYTES;
        part = link.slice > 0 && part > link.slice ? link.slice : part;
        int64_t now = process_now_us();
        lane->busy_until_us = lane->busy_until_us > now ? lane->busy_until_us : now;
        if (link.rate > 0) {
            lane->busy_until_us += (int64_t)(part * 1000000 / link.rate);
        }
        struct evbuffer *bytes = evbuffer_new();
        evbuffer_remove_buffer(input, bytes, part);
        add_chunk(lane, bytes, lane->busy_until_us + delay_us(lane, &link));
        lane->busy_until_us += link.slice > 0 ? SLICE_GAP_US : 0;
        lane->held += part;
    }
    if (lane->held > HELD_MAX) {
        bufferevent_disable(lane->from, EV_READ);
    }
}

static void on_readable(struct bufferevent *half, void *context) {
    struct connection *connection = context;
    take_input(&connection->lanes[connection->lanes[0].from == half ? 0 : 1]);
}

/* Pass on the end when all before it is written. True when that ended the connection. */
static bool pass_end(struct lane *lane) {
    struct connection *connection = lane->connection;
    if (!lane->is_ending || lane->is_over ||
        evbuffer_get_length(bufferevent_get_output(lane->to)) > 0) {
        return false;
    }
    lane->is_over = true;
    shutdown(bufferevent_getfd(lane->to), SHUT_WR);
    if (connection->lanes[0].is_over && connection->lanes[1].is_over) {
        end_connection(connection, false);
        return true;
    }
    return false;
}

static void on_written(struct bufferevent *half, void *context) {
    struct connection *connection = context;
    pass_end(&connection->lanes[connection->lanes[0].to == half ? 0 : 1]);
}

static void on_due(evutil_socket_t fd, short what, void *context) {
    struct lane *lane = context;
    struct connection *connection = lane->connection;
    (void)fd;
    (void)what;
    if (link_of(connection).black_hole) {
        arm(lane, HOLD_US);
        return;
    }
    while (lane->first != NULL && lane->first->due_us <= process_now_us()) {
        struct chunk *chunk = lane->first;
        lane->first = chunk->next;
        lane->last = lane->first == NULL ? NULL : lane->last;
        if (chunk->bytes != NULL) {
            lane->held -= evbuffer_get_length(chunk->bytes);
            bufferevent_write_buffer(lane->to, chunk->bytes);
            evbuffer_free(chunk->bytes);
        } else {
            lane->is_ending = true;
        }
        mem_free(chunk);
    }
    if (pass_end(lane)) {
        return;
    }
    if (lane->first != NULL) {
        arm(lane, lane->first->due_us - process_now_us());
    }
    if (lane->held <= HELD_MAX / 2 && !lane->has_end) {
        bufferevent_enable(lane->from, EV_READ);
    }
}

/* An end, or an error, goes the way of the bytes before it. */
static void on_event(struct bufferevent *half, short what, void *context) {
    struct connection *connection = context;
    struct lane *lane = &connection->lanes[connection->lanes[0].from == half ? 0 : 1];
    const struct spec_link link = link_of(connection);
    if ((what & BEV_EVENT_EOF) != 0) {
        take_input(lane);
        bufferevent_disable(half, EV_READ);
        lane->has_end = true;
        add_chunk(lane, NULL,
                  process_now_us() + delay_us(lane, &link) + (int64_t)link.close_ms * 1000);
    } else if ((what & BEV_EVENT_ERROR) != 0 && !link.black_hole) {
        end_connection(connection, true);
    } else if ((what & BEV_EVENT_ERROR) != 0) {
        bufferevent_disable(half, EV_READ | EV_WRITE); /* the other end must not notice */
    }
}

static int node_of(const struct proxy *proxy, const struct sockaddr_in *address) {
    for (uint32_t i = 0; i < proxy->node_count; i++) {
        if (proxy->nodes[i].target.sin_addr.s_addr == address->sin_addr.s_addr) {
            return (int)i;
        }
    }
    return -1;
}

/* A socket of the node's namespace. There the address of the one who dials is a stranger's
 * (netns_keep_port). */
static int new_socket(const struct proxy *proxy, const struct node *node) {
    const int yes = 1;
    if (node->netns >= 0 && setns(node->netns, CLONE_NEWNET) != 0) {
        return -1;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (node->netns >= 0) {
        CHECK(setns(proxy->netns, CLONE_NEWNET) == 0);
        setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &yes, sizeof yes);
    }
    return fd;
}

/* Dial on from the address that the connection came from: limits by address stay true. */
static struct bufferevent *dial(struct proxy *proxy, uint32_t target,
                                const struct sockaddr_in *from) {
    int fd = new_socket(proxy, &proxy->nodes[target]);
    const struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr = from->sin_addr};
    const int yes = 1;
    if (fd < 0 || bind(fd, (const struct sockaddr *)&source, sizeof source) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct bufferevent *half = bufferevent_socket_new(proxy->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (bufferevent_socket_connect(half, (struct sockaddr *)&proxy->nodes[target].target,
                                   sizeof proxy->nodes[target].target) != 0) {
        bufferevent_free(half);
        return NULL;
    }
    return half;
}

static void on_dialled(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                       int len, void *context) {
    struct proxy *proxy = context;
    uint32_t target = 0;
    const int yes = 1;
    (void)len;
    while (target + 1 < proxy->node_count && proxy->nodes[target].listener != listener) {
        target++;
    }
    const struct sockaddr_in *address = (const struct sockaddr_in *)(const void *)from;
    struct bufferevent *out = dial(proxy, target, address);
    if (out == NULL) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct bufferevent *in = bufferevent_socket_new(proxy->base, fd, BEV_OPT_CLOSE_ON_FREE);
    struct connection *connection = mem_new(sizeof *connection);
    *connection = (struct connection){.next = proxy->connections,
                                      .proxy = proxy,
                                      .target = target,
                                      .dialler = node_of(proxy, address),
                                      .begun_us = process_now_us()};
    if (proxy->connections != NULL) {
        proxy->connections->previous = connection;
    }
    proxy->connections = connection;
    connection->lanes[0] = (struct lane){.connection = connection, .from = in, .to = out};
    connection->lanes[1] = (struct lane){.connection = connection, .from = out, .to = in};
    for (int i = 0; i < 2; i++) {
        struct lane *lane = &connection->lanes[i];
        lane->timer = evtimer_new(proxy->base, on_due, lane);
        bufferevent_setcb(lane->from, on_readable, on_written, on_event, connection);
        bufferevent_enable(lane->from, EV_READ | EV_WRITE);
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *context) {
    struct proxy *proxy = context;
    struct connection *next;
    (void)fd;
    (void)what;
    for (struct connection *at = proxy->connections; at != NULL; at = next) {
        next = at->next;
        uint32_t reset_ms = link_of(at).reset_ms;
        if (reset_ms > 0 && process_now_us() - at->begun_us >= (int64_t)reset_ms * 1000) {
            end_connection(at, true);
        }
    }
}

/* ---- Control ---- */

static bool read_address(const char *text, struct sockaddr_in *address) {
    int len = sizeof *address;
    return evutil_parse_sockaddr_port(text, (struct sockaddr *)address, &len) == 0 &&
           address->sin_family == AF_INET;
}

static bool listen_at(struct proxy *proxy, struct node *node, const struct sockaddr_in *address) {
    const int yes = 1;
    int fd = new_socket(proxy, node);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        if (fd >= 0) {
            evutil_closesocket(fd);
        }
        return false;
    }
    node->listener = evconnlistener_new(proxy->base, on_dialled, proxy,
                                        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 128, fd);
    return node->listener != NULL;
}

static const char *add_node(struct proxy *proxy, const char *listen, const char *target,
                            const char *netns) {
    struct sockaddr_in address = {0};
    struct node *node = &proxy->nodes[proxy->node_count];
    if (proxy->node_count == SPEC_NODES_MAX) {
        return "too many nodes";
    }
    *node = (struct node){.netns = -1};
    if (netns[0] != '\0') {
        node->netns = open(netns, O_RDONLY | O_CLOEXEC);
    }
    if (netns[0] != '\0' && node->netns < 0) {
        return strerror(errno);
    }
    if (!read_address(listen, &address) || !read_address(target, &node->target)) {
        return "that is no address";
    }
    if (!listen_at(proxy, node, &address)) {
        return strerror(errno);
    }
    proxy->node_count++;
    return NULL;
}

static const char *take_line(struct proxy *proxy, const char *line) {
    char listen[64], target[64], which[16], netns[64] = "";
    struct spec_link link = {0};
    unsigned hole;
    uint32_t group;
    uint64_t node;
    if (sscanf(line, "group %15s %" SCNu32, which, &group) == 2) {
        if (units_parse_number(which, &node) != OK || node >= proxy->node_count) {
            return "there is no such node";
        }
        proxy->nodes[node].group = group;
        return NULL;
    }
    if (sscanf(line, "node %63s %63s %63s", listen, target, netns) >= 2) {
        return add_node(proxy, listen, target, netns);
    }
    if (sscanf(line,
               "set %15s %" SCNu32 " %" SCNu32 " %" SCNu64 " %" SCNu32 " %" SCNu32 " %" SCNu32
               " %u",
               which, &link.latency_ms, &link.jitter_ms, &link.rate, &link.slice, &link.reset_ms,
               &link.close_ms, &hole) != 8) {
        return "that is neither a node nor a link";
    }
    link.black_hole = hole != 0;
    if (strcmp(which, "every") == 0) {
        proxy->every = link;
    } else if (units_parse_number(which, &node) == OK && node < proxy->node_count) {
        proxy->nodes[node].link = link;
    } else {
        return "there is no such node";
    }
    return NULL;
}

static void on_command(struct bufferevent *commander, void *context) {
    struct proxy *proxy = context;
    struct evbuffer *input = bufferevent_get_input(commander);
    char *line;
    while ((line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF)) != NULL) {
        proxy->is_commanded = true;
        const char *why = take_line(proxy, line);
        evbuffer_add_printf(bufferevent_get_output(commander), why == NULL ? "ok\n" : "error %s\n",
                            why);
        free(line);
    }
}

static void on_commander_gone(struct bufferevent *commander, short what, void *context) {
    struct proxy *proxy = context;
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0) {
        return;
    }
    if (proxy->is_commanded) {
        event_base_loopbreak(proxy->base);
    } else { /* somebody looked whether we are there */
        bufferevent_free(commander);
        proxy->commander = NULL;
    }
}

static void on_commander(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                         int len, void *context) {
    struct proxy *proxy = context;
    (void)listener;
    (void)from;
    (void)len;
    if (proxy->is_commanded) {
        close(fd);
        return;
    }
    if (proxy->commander != NULL) { /* it only looked */
        bufferevent_free(proxy->commander);
    }
    proxy->commander = bufferevent_socket_new(proxy->base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(proxy->commander, on_command, NULL, on_commander_gone, proxy);
    bufferevent_enable(proxy->commander, EV_READ | EV_WRITE);
}

static bool listen_for_commands(struct proxy *proxy, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    proxy->control = evconnlistener_new_bind(proxy->base, on_commander, proxy,
                                             LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 8,
                                             (struct sockaddr *)&address, sizeof address);
    return proxy->control != NULL;
}

static void allow_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int proxy_run(const char *control_path) {
    struct proxy *proxy = mem_new(sizeof *proxy);
    const struct timeval sweep = {.tv_usec = SWEEP_MS * 1000};
    signal(SIGPIPE, SIG_IGN);
    allow_descriptors();
    rng_seed(&proxy->rng, 1);
    proxy->netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    proxy->base = event_base_new();
    bool good = proxy->base != NULL && listen_for_commands(proxy, control_path);
    if (good) {
        proxy->sweep = event_new(proxy->base, -1, EV_PERSIST, on_sweep, proxy);
        event_add(proxy->sweep, &sweep);
        event_base_dispatch(proxy->base);
    } else {
        fprintf(stderr, "lab proxy: %s: %s\n", control_path, strerror(errno));
    }
    while (proxy->connections != NULL) {
        end_connection(proxy->connections, false);
    }
    for (uint32_t i = 0; i < proxy->node_count; i++) {
        evconnlistener_free(proxy->nodes[i].listener);
        if (proxy->nodes[i].netns >= 0) {
            close(proxy->nodes[i].netns);
        }
    }
    if (proxy->netns >= 0) {
        close(proxy->netns);
    }
    if (proxy->commander != NULL) {
        bufferevent_free(proxy->commander);
    }
    if (proxy->sweep != NULL) {
        event_free(proxy->sweep);
    }
    if (proxy->control != NULL) {
        evconnlistener_free(proxy->control);
    }
    if (proxy->base != NULL) {
        event_base_free(proxy->base);
    }
    mem_free(proxy);
    return good ? 0 : 1;
}
