/* watch.h - tells which owner's folders have changed, for all nodes of a process (inotify). */
#ifndef TRUNKLINE_HOST_WATCH_H
#define TRUNKLINE_HOST_WATCH_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"

struct watch;

/* Something in a folder of this owner is new, gone or different; NULL = of anybody. On the loop. */
typedef void watch_fn(void *context, void *owner);

/* One per process: a user may have few of them (128 here). NULL when the system has none to give;
 * the functions below take NULL and then watch nothing. */
struct watch *watch_new(struct event_base *base, const struct log *log, watch_fn *changed,
                        void *context);
void watch_free(struct watch *watch);

/* On any thread: begin to watch an open folder, before its entries are read. Return a number for
 * watch_keep, or -1 when it cannot be watched (often the user's limit, see inotify(7)). */
int watch_folder(const struct watch *watch, int folder_fd);

/* These folders (numbers of watch_folder, in any order) are all that an owner has now; others that
 * it had are forgotten. */
void watch_keep(struct watch *watch, void *owner, const int *folders, uint32_t count);

#endif
