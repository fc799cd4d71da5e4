/* cluster_control.c - how another terminal finds a running cluster and changes it. */
#include "src/cluster/cluster_control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/cluster/cluster_links.h"
#include "src/cluster/spec_event.h"

#define LINE_BYTES 256
#define PATIENCE_MS 200 /* for a line that was begun */
#define ANSWER_MS 10000

/* The run's folder may lie deeper than a UNIX address has room for: go through its descriptor. */
static bool name_socket(const char *folder, struct sockaddr_un *address, int *folder_fd) {
    *folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/control.sock",
             *folder_fd);
    return *folder_fd >= 0;
}

static void remove_file(const struct cluster *cluster, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", cluster->folder, name);
    unlink(path);
}

static json_t *describe(const struct cluster *cluster) {
    json_t *nodes = json_array();
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        const struct localnet_node *node = cluster->members[i].node;
        json_array_append_new(nodes,
                              json_pack("{s:s,s:s,s:s,s:s,s:s,s:i}", "name", node->name, "role",
                                        node->role == LOCALNET_PEER ? "peer" : "supernode", "dir",
                                        node->dir, "address", node->address, "log", node->log,
                                        "promotions", (int)cluster->members[i].promotions));
    }
    return json_pack("{s:s,s:i,s:s,s:s,s:o}", "name", cluster->spec.name, "pid", (int)getpid(),
                     "bin", cluster->net.bin, "scratch", owner_folder(cluster->owner), "nodes",
                     nodes);
}

/* Whoever reads it meanwhile gets the old one or the new one. */
static bool write_description(const struct cluster *cluster) {
    char path[4096], part[4096 + 8];
    snprintf(path, sizeof path, "%s/cluster.json", cluster->folder);
    snprintf(part, sizeof part, "%s.part", path);
    json_t *description = describe(cluster);
    bool good = json_dump_file(description, part, JSON_INDENT(1)) == 0 && rename(part, path) == 0;
    json_decref(description);
    return good;
}

void cluster_control_describe(struct cluster *cluster) {
    if (cluster->control >= 0 && !write_description(cluster)) {
        cluster_note(cluster, "cluster.json cannot be written: %s", strerror(errno));
    }
}

enum err cluster_control_open(struct cluster *cluster) {
    struct sockaddr_un address;
    int folder_fd;
    remove_file(cluster, "control.sock");
    bool good = write_description(cluster);
    cluster->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    good = name_socket(cluster->folder, &address, &folder_fd) && good && cluster->control >= 0 &&
           bind(cluster->control, (struct sockaddr *)&address, sizeof address) == 0 &&
           listen(cluster->control, 8) == 0;
    int error = errno;
    if (folder_fd >= 0) {
        close(folder_fd);
    }
    if (!good) {
        snprintf(cluster->trouble, sizeof cluster->trouble, "cannot listen in %.600s: %s",
                 cluster->folder, strerror(error));
    }
    return good ? OK : ERR_IO;
}

static void take_line(struct cluster *cluster, const char *line, char answer[LINE_BYTES * 2]) {
    char why[SPEC_TROUBLE_BYTES];
    struct spec_event event;
    if (strcmp(line, "stop") == 0) {
        cluster->is_stopping = true;
    } else if (strncmp(line, "fault ", 6) != 0) {
        snprintf(answer, LINE_BYTES * 2, "error there is no such request\n");
        return;
    } else if (spec_event_read(&event, &cluster->spec, line + 6, why) != OK) {
        snprintf(answer, LINE_BYTES * 2, "error %s\n", why);
        return;
    } else if (cluster_links_refuse(cluster, &event) != NULL) {
        snprintf(answer, LINE_BYTES * 2, "error %s\n", cluster_links_refuse(cluster, &event));
        return;
    } else {
        cluster_apply(cluster, &event);
    }
    snprintf(answer, LINE_BYTES * 2, "ok\n");
}

/* Read up to the newline; false when none comes in time. */
static bool read_line(int fd, char line[LINE_BYTES]) {
    size_t len = 0;
    int64_t until = process_now_ms() + PATIENCE_MS;
    while (len < LINE_BYTES - 1) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = until - process_now_ms();
        if (poll(&ready, 1, left < 0 ? 0 : (int)left) <= 0) {
            return false;
        }
        ssize_t got = read(fd, line + len, LINE_BYTES - 1 - len);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
        line[len] = '\0';
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
            return true;
        }
    }
    return false;
}

void cluster_control_step(struct cluster *cluster) {
    int fd;
    while (cluster->control >= 0 &&
           (fd = accept4(cluster->control, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        char line[LINE_BYTES], answer[LINE_BYTES * 2] = "error no line came\n";
        if (read_line(fd, line)) {
            take_line(cluster, line, answer);
        }
        if (send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            cluster_note(cluster, "an answer was not taken: %s", strerror(errno));
        }
        close(fd);
    }
}

void cluster_control_close(struct cluster *cluster) {
    if (cluster->control >= 0) {
        close(cluster->control);
        cluster->control = -1;
        remove_file(cluster, "control.sock");
        remove_file(cluster, "cluster.json");
    }
}

/* ---- The other terminal ---- */

enum err cluster_control_send(const char *folder, const char *line, char *answer, size_t bytes) {
    struct sockaddr_un address;
    int folder_fd;
    char text[LINE_BYTES];
    answer[0] = '\0';
    int len = snprintf(text, sizeof text, "%s\n", line);
    if (len >= (int)sizeof text) {
        snprintf(answer, bytes, "that is too long");
        return ERR_REFUSED;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there = name_socket(folder, &address, &folder_fd) && fd >= 0 &&
                 connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (folder_fd >= 0) {
        close(folder_fd);
    }
    size_t got = 0;
    if (there && send(fd, text, (size_t)len, MSG_NOSIGNAL) == len) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t more;
        while (got + 1 < bytes && poll(&ready, 1, ANSWER_MS) > 0 &&
               (more = read(fd, answer + got, bytes - 1 - got)) > 0) {
            got += (size_t)more;
        }
    }
    answer[got] = '\0';
    answer[strcspn(answer, "\n")] = '\0';
    if (fd >= 0) {
        close(fd);
    }
    if (!there) {
        return ERR_NOT_FOUND;
    }
    if (strncmp(answer, "error ", 6) == 0) {
        memmove(answer, answer + 6, strlen(answer + 6) + 1);
        return ERR_REFUSED;
    }
    return strcmp(answer, "ok") == 0 ? OK : ERR_IO;
}

bool cluster_control_runs(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/" CLUSTER_LOCK, folder);
    int lock = open(path, O_RDWR | O_CLOEXEC);
    bool runs = lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) != 0;
    if (lock >= 0) {
        close(lock);
    }
    return runs;
}

enum err cluster_control_read(const char *folder, json_t **description) {
    char path[4096];
    snprintf(path, sizeof path, "%s/cluster.json", folder);
    *description =
        cluster_control_runs(folder) ? json_load_file(path, JSON_REJECT_DUPLICATES, NULL) : NULL;
    return *description != NULL ? OK : ERR_NOT_FOUND;
}
