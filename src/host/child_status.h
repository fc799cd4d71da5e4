/* child_status.h - asks a program in another state folder how it does, without waiting for it. */
#ifndef TRUNKLINE_HOST_CHILD_STATUS_H
#define TRUNKLINE_HOST_CHILD_STATUS_H

#include <event2/event.h>
#include <sys/types.h>

#include "common/ids.h"

struct child_status;

/* What its `status` says. */
struct child_report {
    struct address address;
    bool is_certified;
    uint32_t leaves;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t cpu_ms;
};

/* NULL when it did not answer. Called once, from the loop; the question is freed after it. */
typedef void child_status_fn(void *context, const struct child_report *report);

/* Ask; NULL when nothing listens there. */
struct child_status *child_status_ask(struct event_base *base, const char *state_dir,
                                      child_status_fn *done, void *context);
/* Forget the question: `done` is not called. NULL is fine. */
void child_status_free(struct child_status *status);

/* The processor time that a process has used; 0 when it is gone. */
uint64_t child_status_cpu_ms(pid_t pid);

#endif
