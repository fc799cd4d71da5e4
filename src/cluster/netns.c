/* netns.c - a network of its own for every node: namespaces, a bridge between them, and faults of
 * packets. */
#include "src/cluster/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/mem.h"

#define TOOL_MS 60000
#define ADDRESSES_PER_BLOCK 250
#define BURST_MIN 16384    /* bytes that a shaped line passes on at once; tbf wants a full packet */
#define QUEUE_TIME "300ms" /* how long a packet waits for a shaped line before it is dropped */
#define PATH_BYTES 512
#define NODES_MAX (SPEC_NODES_MAX + 1) /* and a fleet */

enum tool { TOOL_IP, TOOL_NFT, TOOL_TC, TOOLS };

static const struct tool_row {
    const char *name;
    const char *package;
} tool_rows[TOOLS] = {[TOOL_IP] = {"ip", "iproute2"},
                      [TOOL_NFT] = {"nft", "nftables"},
                      [TOOL_TC] = {"tc", "iproute2"}};

struct line {
    int fd; /* of the namespace */
    struct spec_link link;
    uint32_t group;
    uint64_t rate; /* in force */
};

struct netns {
    struct owner *owner;
    char *tools[TOOLS]; /* their paths */
    int hub;            /* descriptor of the namespace with the bridge */
    struct spec_link every;
    uint32_t count;
    struct line lines[NODES_MAX];
};

static enum err refuse(char trouble[NETNS_TROUBLE_BYTES], enum err err, const char *what,
                       const char *why) {
    snprintf(trouble, NETNS_TROUBLE_BYTES, "network namespaces: %.100s: %.180s", what, why);
    return err;
}

/* ---- Tools ---- */

/* In PATH, and where root's PATH sometimes does not lead. */
static char *find_tool(const char *name) {
    static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin",
                                          "/usr/local/sbin"};
    char path[PATH_BYTES];
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s", folders[i], name);
        if (access(path, X_OK) == 0) {
            return mem_string(path);
        }
    }
    return NULL;
}

static enum err find_tools(struct netns *netns, char trouble[NETNS_TROUBLE_BYTES]) {
    if (geteuid() != 0) {
        return refuse(trouble, ERR_PERMISSION, "only for root", "use sudo, or go without --netns");
    }
    for (int i = 0; i < TOOLS; i++) {
        netns->tools[i] = find_tool(tool_rows[i].name);
        if (netns->tools[i] == NULL) {
            char what[64];
            snprintf(what, sizeof what, "there is no `%s`", tool_rows[i].name);
            refuse(trouble, ERR_NOT_FOUND, what, "");
            size_t len = strlen(trouble);
            snprintf(trouble + len, NETNS_TROUBLE_BYTES - len, "install %s", tool_rows[i].package);
            return ERR_NOT_FOUND;
        }
    }
    return OK;
}

/* Run a tool in a namespace; what it complains of is the trouble. */
static enum err run(struct netns *netns, int where, const char *const *argv,
                    char trouble[NETNS_TROUBLE_BYTES]) {
    char *log = owner_path(netns->owner, "netns.complaints");
    char said[160] = "";
    int status = -1;
    struct buf out = {0};
    unlink(log);
    const struct process_options options = {.argv = argv, .log = log, .netns = where};
    enum err err = process_capture(netns->owner, &options, TOOL_MS, &out, &status);
    buf_free(&out);
    if (err == OK && status != 0) {
        FILE *file = fopen(log, "re");
        if (file != NULL) {
            said[fread(said, 1, sizeof said - 1, file)] = '\0';
            said[strcspn(said, "\n")] = '\0';
            fclose(file);
        }
        err = ERR_IO;
    }
    mem_free(log);
    return err == OK ? OK : refuse(trouble, err, argv[0], said[0] != '\0' ? said : err_text(err));
}

/* Run a tool on a script: `ip -batch`, `nft -f`. */
static enum err run_script(struct netns *netns, int where, const struct buf *script, enum tool tool,
                           char trouble[NETNS_TROUBLE_BYTES]) {
    char *path = owner_path(netns->owner, "netns.script");
    FILE *file = fopen(path, "we");
    bool good = file != NULL && fwrite(script->data, 1, script->len, file) == script->len;
    good = file != NULL && fclose(file) == 0 && good;
    enum err err = good ? run(netns, where,
                              (const char *const[]){netns->tools[tool],
                                                    tool == TOOL_NFT ? "-f" : "-batch", path, NULL},
                              trouble)
                        : refuse(trouble, ERR_IO, path, strerror(errno));
    mem_free(path);
    return err;
}

static void put(struct buf *script, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct buf *script, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    CHECK(len >= 0 && (size_t)len < sizeof text);
    buf_append(script, text, (size_t)len);
}

/* ---- Namespaces ---- */

void netns_address(uint32_t node, char text[NETNS_ADDRESS_BYTES]) {
    snprintf(text, NETNS_ADDRESS_BYTES, "10.77.%" PRIu32 ".%" PRIu32,
             node / ADDRESSES_PER_BLOCK % 256, node % ADDRESSES_PER_BLOCK + 1);
}

int netns_of(const struct netns *netns, uint32_t node) {
    CHECK(node < netns->count);
    return netns->lines[node].fd;
}

static int open_own(void) {
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* Make so many of them and come back to ours. */
static bool make_namespaces(struct netns *netns) {
    int own = open_own();
    bool good = own >= 0;
    for (uint32_t i = 0; good && i <= netns->count; i++) {
        int *fd = i == 0 ? &netns->hub : &netns->lines[i - 1].fd;
        good = unshare(CLONE_NEWNET) == 0;
        *fd = good ? open_own() : -1;
        good = *fd >= 0;
    }
    int error = errno;
    if (own >= 0) {
        CHECK(setns(own, CLONE_NEWNET) == 0);
        close(own);
    }
    errno = error;
    return good;
}

/* A bridge with a cable to each node. No IPv6: its neighbour discovery would be told to everybody.
 */
static enum err lay_cables(struct netns *netns, char trouble[NETNS_TROUBLE_BYTES]) {
    struct buf script = {0};
    put(&script, "link set lo up\nlink add hub type bridge\nlink set hub addrgenmode none up\n");
    for (uint32_t i = 0; i < netns->count; i++) {
        put(&script, "link add v%" PRIu32 " type veth peer name eth0 netns /proc/%d/fd/%d\n", i,
            (int)getpid(), netns->lines[i].fd);
        put(&script, "link set v%" PRIu32 " addrgenmode none master hub up\n", i);
    }
    enum err err = run_script(netns, netns->hub, &script, TOOL_IP, trouble);
    buf_free(&script);
    return err;
}

/* A packet is no larger than on a real line, so that losing one loses no more than that. */
static enum err plug_in(struct netns *netns, uint32_t node, char trouble[NETNS_TROUBLE_BYTES]) {
    struct buf script = {0};
    char address[NETNS_ADDRESS_BYTES];
    netns_address(node, address);
    put(&script,
        "link set lo up\naddress add %s/16 dev eth0\n"
        "link set eth0 addrgenmode none gso_max_segs 1 up\n",
        address);
    enum err err = run_script(netns, netns->lines[node].fd, &script, TOOL_IP, trouble);
    buf_free(&script);
    return err;
}

enum err netns_new(struct netns **made, struct owner *owner, uint32_t nodes,
                   char trouble[NETNS_TROUBLE_BYTES]) {
    CHECK(nodes <= NODES_MAX);
    struct netns *netns = mem_new(sizeof *netns);
    *netns = (struct netns){.owner = owner, .hub = -1, .count = nodes};
    for (uint32_t i = 0; i < nodes; i++) {
        netns->lines[i].fd = -1;
    }
    enum err err = find_tools(netns, trouble);
    if (err == OK && !make_namespaces(netns)) {
        err = refuse(trouble, errno == EPERM || errno == EINVAL ? ERR_PERMISSION : ERR_IO,
                     "the system makes none", strerror(errno));
    }
    err = err != OK ? err : lay_cables(netns, trouble);
    for (uint32_t i = 0; i < nodes && err == OK; i++) {
        err = plug_in(netns, i, trouble);
    }
    err = err != OK ? err : netns_apply(netns, trouble);
    if (err != OK) {
        netns_free(netns);
        netns = NULL;
    }
    *made = netns;
    return err;
}

void netns_free(struct netns *netns) {
    if (netns == NULL) {
        return;
    }
    for (int i = 0; i < TOOLS; i++) {
        mem_free(netns->tools[i]);
    }
    for (uint32_t i = 0; i < netns->count; i++) {
        if (netns->lines[i].fd >= 0) {
            close(netns->lines[i].fd);
        }
    }
    if (netns->hub >= 0) {
        close(netns->hub);
    }
    mem_free(netns);
}

enum err netns_take_block(struct netns *netns, uint32_t node, const char *block,
                          char trouble[NETNS_TROUBLE_BYTES]) {
    CHECK(node < netns->count);
    return run(netns, netns->lines[node].fd,
               (const char *const[]){netns->tools[TOOL_IP], "route", "add", "local", block, "dev",
                                     "lo", NULL},
               trouble);
}

enum err netns_keep_port(struct netns *netns, uint16_t port, char trouble[NETNS_TROUBLE_BYTES]) {
    struct buf script = {0};
    enum err err = OK;
    put(&script,
        "rule add pref 100 ipproto tcp sport %u lookup 100\n"
        "route add local default dev lo table 100\n",
        port);
    for (uint32_t i = 0; i < netns->count && err == OK; i++) {
        err = run_script(netns, netns->lines[i].fd, &script, TOOL_IP, trouble);
    }
    buf_free(&script);
    return err;
}

/* ---- Faults ---- */

void netns_set_every(struct netns *netns, const struct spec_link *link) {
    netns->every = *link;
}

void netns_set(struct netns *netns, uint32_t node, const struct spec_link *link) {
    CHECK(node < netns->count);
    netns->lines[node].link = *link;
}

void netns_set_group(struct netns *netns, uint32_t node, uint32_t group) {
    CHECK(node < netns->count);
    netns->lines[node].group = group;
}

static bool is_dark(const struct line *line) {
    return line->link.black_hole;
}

static bool is_apart(const struct line *line) {
    return line->group != 0;
}

/* ` { 10.77.0.3, 10.77.0.9 }` of those that are so; false, and nothing, when none is. */
static bool put_set(const struct netns *netns, bool (*is)(const struct line *), struct buf *set) {
    char address[NETNS_ADDRESS_BYTES];
    set->len = 0;
    for (uint32_t i = 0; i < netns->count; i++) {
        if (is(&netns->lines[i])) {
            netns_address(i, address);
            put(set, "%s%s", set->len == 0 ? "{ " : ", ", address);
        }
    }
    if (set->len > 0) {
        buf_append(set, " }", 2);
    }
    return set->len > 0;
}

/* What the bridge drops. A packet is up against the loss of every line, and of both ends'. */
static void put_rules(const struct netns *netns, struct buf *script) {
    static const char *const ends[] = {"saddr", "daddr"};
    struct buf set = {0};
    char address[NETNS_ADDRESS_BYTES];
    put(script, "table bridge links\ndelete table bridge links\ntable bridge links {\n"
                "chain forward {\ntype filter hook forward priority 0; policy accept;\n");
    if (netns->every.black_hole) {
        put(script, "meta protocol ip drop\n");
    }
    for (int i = 0; i < 2 && put_set(netns, is_dark, &set); i++) {
        put(script, "ip %s ", ends[i]);
        buf_append(script, set.data, set.len);
        put(script, " drop\n");
    }
    for (int i = 0; i < 2 && put_set(netns, is_apart, &set); i++) {
        put(script, "ip %s ", ends[i]);
        buf_append(script, set.data, set.len);
        put(script, " ip %s != ", ends[1 - i]);
        buf_append(script, set.data, set.len);
        put(script, " drop\n");
    }
    if (netns->every.loss > 0) {
        put(script, "meta protocol ip numgen random mod %d < %" PRIu32 " drop\n", SPEC_LOSS_ALL,
            netns->every.loss);
    }
    for (uint32_t i = 0; i < netns->count; i++) {
        netns_address(i, address);
        for (int end = 0; end < 2 && netns->lines[i].link.loss > 0; end++) {
            put(script, "ip %s %s numgen random mod %d < %" PRIu32 " drop\n", ends[end], address,
                SPEC_LOSS_ALL, netns->lines[i].link.loss);
        }
    }
    put(script, "}\n}\n");
    buf_free(&set);
}

/* Both ends of a node's cable send at this rate from now on; 0 = as fast as they can. */
static enum err shape(struct netns *netns, uint32_t node, uint64_t rate,
                      char trouble[NETNS_TROUBLE_BYTES]) {
    char device[16], bits[32], burst[32];
    enum err err = OK;
    uint64_t bytes = rate / 50 > BURST_MIN ? rate / 50 : BURST_MIN;
    snprintf(bits, sizeof bits, "%" PRIu64 "bit", rate * 8);
    snprintf(burst, sizeof burst, "%" PRIu64, bytes);
    for (int end = 0; end < 2 && err == OK; end++) {
        int where = end == 0 ? netns->hub : netns->lines[node].fd;
        snprintf(device, sizeof device, end == 0 ? "v%" PRIu32 : "eth0", node);
        const char *tc = netns->tools[TOOL_TC];
        err = rate == 0
                  ? run(netns, where,
                        (const char *const[]){tc, "qdisc", "del", "dev", device, "root", NULL},
                        trouble)
                  : run(netns, where,
                        (const char *const[]){tc, "qdisc", "replace", "dev", device, "root", "tbf",
                                              "rate", bits, "burst", burst, "latency", QUEUE_TIME,
                                              NULL},
                        trouble);
    }
    return err;
}

enum err netns_apply(struct netns *netns, char trouble[NETNS_TROUBLE_BYTES]) {
    struct buf script = {0};
    put_rules(netns, &script);
    enum err err = run_script(netns, netns->hub, &script, TOOL_NFT, trouble);
    buf_free(&script);
    for (uint32_t i = 0; i < netns->count && err == OK; i++) {
        struct line *line = &netns->lines[i];
        uint64_t rate = spec_slower(netns->every.rate, line->link.rate);
        if (rate != line->rate) {
            err = shape(netns, i, rate, trouble);
            line->rate = err == OK ? rate : line->rate;
        }
    }
    return err;
}
