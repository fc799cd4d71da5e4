/* workers.h - a bounded pool of threads for what must not hold up the loop: disk and hashing.
 *
 * A job runs on a worker and is completed on the loop. Jobs of one strand run one after the other,
 * in the order of submission.  Slow jobs (whole files) never occupy the last free worker, and
 * let everybody else's disk traffic pass. */
#ifndef TRUNKLINE_HOST_WORKERS_H
#define TRUNKLINE_HOST_WORKERS_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct workers;
struct job;

struct job_queue {
    struct job *first;
    struct job *last;
};

/* All zero is an idle strand. Keep it until the last of its jobs is done. */
struct strand {
    struct job_queue waiting;
    bool busy;
};

/* Embed it as the first member. `run` works on a worker, `done` on the loop and may free the job.
 */
struct job {
    void (*run)(struct job *job);
    void (*done)(struct job *job);
    struct workers *workers; /* set by workers_submit */
    struct strand *strand;   /* NULL = in any order */
    struct job *next;
    bool slow;
};

/* Start `count` (at least 2 are made) threads that complete on the base. NULL when the system
 * refuses. */
struct workers *workers_new(struct event_base *base, uint32_t count);

/* Hand over a job; from the loop only. */
void workers_submit(struct workers *workers, struct job *job);

/* Jobs not yet done. */
uint32_t workers_pending(const struct workers *workers);

/* Ask long jobs to give up; they poll workers_stopping from any thread. */
void workers_stop(struct workers *workers);
bool workers_stopping(const struct workers *workers);

/* Run and complete every job that is left, then end the threads. */
void workers_free(struct workers *workers);

#endif
