/* watch.c - tells which owner's folders have changed, for all nodes of a process (inotify).
 *
 * The kernel numbers folders, the same folder always alike; each number leads to the owners who
 * scanned it last. A change in a folder whose scan is not over yet has no owner: it is told to
 * anybody. Nobody is told twice for one batch of events of one folder. */
#include "src/host/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/check.h"
#include "common/map.h"
#include "common/mem.h"

#define CHANGES                                                                                    \
    (IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM |              \
     IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)
#define READS_MAX 16 /* per turn of the loop; the rest comes with the next */

struct ownership {
    struct ownership *next;
    void *owner;
    uint64_t round; /* of watch_keep in which it was last named */
};

struct folder {
    uint32_t number;
    struct ownership *owners;
};

struct watch {
    int fd;
    const struct log *log;
    watch_fn *changed;
    void *context;
    struct event *readable;
    struct map folders; /* u32 -> struct folder */
    uint64_t round;
};

static void tell_owners(struct watch *watch, int number) {
    uint32_t key = (uint32_t)number;
    const struct folder *folder = map_get(&watch->folders, &key);
    if (folder == NULL) {
        watch->changed(watch->context, NULL);
        return;
    }
    for (const struct ownership *at = folder->owners; at != NULL; at = at->next) {
        watch->changed(watch->context, at->owner);
    }
}

static void take_events(struct watch *watch, const char *bytes, size_t len) {
    int told = -1;
    for (size_t at = 0; at < len;) {
        struct inotify_event event;
        memcpy(&event, bytes + at, sizeof event);
        at += sizeof event + event.len;
        if ((event.mask & IN_Q_OVERFLOW) != 0) {
            log_info(watch->log, "watch.overflow");
            watch->changed(watch->context, NULL);
        } else if ((event.mask & CHANGES) != 0 && event.wd != told) {
            told = event.wd;
            tell_owners(watch, event.wd);
        }
    }
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    (void)what;
    struct watch *watch = context;
    alignas(struct inotify_event) char bytes[16384];
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got <= 0) {
            break;
        }
        take_events(watch, bytes, (size_t)got);
    }
}

struct watch *watch_new(struct event_base *base, const struct log *log, watch_fn *changed,
                        void *context) {
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
        log_info(log, "watch.none reason=%s", errno == EMFILE ? "too_many" : "unsupported");
        return NULL;
    }
    struct watch *watch = mem_new(sizeof *watch);
    watch->fd = fd;
    watch->log = log;
    watch->changed = changed;
    watch->context = context;
    map_init(&watch->folders, sizeof(uint32_t), 0x77617463);
    watch->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, watch);
    if (watch->readable == NULL || event_add(watch->readable, NULL) != 0) {
        watch_free(watch);
        return NULL;
    }
    return watch;
}

int watch_folder(const struct watch *watch, int folder_fd) {
    if (watch == NULL) {
        return -1;
    }
    char path[64]; /* of the open folder itself, whatever stands at its name by now */
    snprintf(path, sizeof path, "/proc/self/fd/%d", folder_fd);
    return inotify_add_watch(watch->fd, path, CHANGES | IN_ONLYDIR);
}

static struct folder *folder_of(struct watch *watch, int number) {
    uint32_t key = (uint32_t)number;
    struct folder *folder = map_get(&watch->folders, &key);
    if (folder == NULL) {
        folder = mem_new(sizeof *folder);
        folder->number = key;
        map_put(&watch->folders, &key, folder);
    }
    return folder;
}

static struct ownership *ownership_of(struct folder *folder, void *owner) {
    struct ownership *at = folder->owners;
    while (at != NULL && at->owner != owner) {
        at = at->next;
    }
    if (at == NULL) {
        at = mem_new(sizeof *at);
        at->owner = owner;
        at->next = folder->owners;
        folder->owners = at;
    }
    return at;
}

/* Take an owner from a folder that this round has not named. */
static void disown(struct folder *folder, const void *owner, uint64_t round) {
    struct ownership **at = &folder->owners;
    while (*at != NULL && (*at)->owner != owner) {
        at = &(*at)->next;
    }
    struct ownership *found = *at;
    if (found != NULL && found->round != round) {
        *at = found->next;
        mem_free(found);
    }
}

void watch_keep(struct watch *watch, void *owner, const int *folders, uint32_t count) {
    if (watch == NULL) {
        return;
    }
    watch->round++;
    for (uint32_t i = 0; i < count; i++) {
        ownership_of(folder_of(watch, folders[i]), owner)->round = watch->round;
    }
    uint32_t cursor = 0;
    for (struct folder *folder; (folder = map_next(&watch->folders, &cursor, NULL)) != NULL;) {
        disown(folder, owner, watch->round);
        if (folder->owners == NULL) {
            /* Fails harmlessly when the folder is gone: the kernel has forgotten it by itself. */
            (void)inotify_rm_watch(watch->fd, (int)folder->number);
            map_remove(&watch->folders, &folder->number);
            mem_free(folder);
        }
    }
}

void watch_free(struct watch *watch) {
    if (watch == NULL) {
        return;
    }
    if (watch->readable != NULL) {
        event_free(watch->readable);
    }
    uint32_t cursor = 0;
    for (struct folder *folder; (folder = map_next(&watch->folders, &cursor, NULL)) != NULL;) {
        while (folder->owners != NULL) {
            struct ownership *next = folder->owners->next;
            mem_free(folder->owners);
            folder->owners = next;
        }
        mem_free(folder);
    }
    map_free(&watch->folders);
    close(watch->fd);
    mem_free(watch);
}
