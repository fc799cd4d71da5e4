/* workers.c - a bounded pool of threads for what must not hold up the loop: disk and hashing.
 *
 * One lock guards the two queues, the strands and the list of finished jobs. The loop is woken by
 * an eventfd, written only when the finished list was empty: one wake-up completes many jobs. */
#include "src/host/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/check.h"
#include "common/mem.h"

#define STACK_BYTES (512 * 1024)

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job_queue fast;
    struct job_queue slow;
    struct job_queue finished;
    uint32_t slow_running;
    bool ending;
    atomic_bool stopping;
    uint32_t pending; /* the loop's */
    uint32_t count;
    pthread_t *threads;
    int wake_fd;
    struct event *completion;
};

static void push(struct job_queue *queue, struct job *job) {
    job->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = job;
    } else {
        queue->first = job;
    }
    queue->last = job;
}

static struct job *pop(struct job_queue *queue) {
    struct job *job = queue->first;
    if (job != NULL) {
        queue->first = job->next;
        if (queue->first == NULL) {
            queue->last = NULL;
        }
        job->next = NULL;
    }
    return job;
}

static void make_ready(struct workers *workers, struct job *job) {
    push(job->slow ? &workers->slow : &workers->fast, job);
    pthread_cond_signal(&workers->wake);
}

/* Take a job that may run now, or NULL. */
static struct job *take(struct workers *workers) {
    struct job *job = pop(&workers->fast);
    if (job == NULL && workers->slow_running + 1 < workers->count) {
        job = pop(&workers->slow);
        if (job != NULL) {
            workers->slow_running++;
        }
    }
    return job;
}

static void finish(struct workers *workers, struct job *job) {
    struct strand *strand = job->strand;
    if (strand != NULL) {
        struct job *next = pop(&strand->waiting);
        strand->busy = next != NULL;
        if (next != NULL) {
            make_ready(workers, next);
        }
    }
    if (job->slow) {
        workers->slow_running--;
        pthread_cond_signal(&workers->wake);
    }
    bool is_first = workers->finished.first == NULL;
    push(&workers->finished, job);
    if (is_first) {
        uint64_t one = 1;
        ssize_t written = write(workers->wake_fd, &one, sizeof one);
        CHECK(written == (ssize_t)sizeof one);
    }
}

/* Whole files are read only when nobody else wants the disk (ioprio_set(2); no C library wraps it).
 * A kernel without it reads them like the rest. */
static void let_others_read_first(bool is_slow) {
    enum { WHO_PROCESS = 1, CLASS_NONE = 0, CLASS_IDLE = 3, CLASS_SHIFT = 13 };
    static _Thread_local bool is_idle;
    if (is_slow != is_idle) {
        is_idle = is_slow;
        (void)syscall(SYS_ioprio_set, WHO_PROCESS, 0,
                      (is_slow ? CLASS_IDLE : CLASS_NONE) << CLASS_SHIFT);
    }
}

static void *work(void *context) {
    struct workers *workers = context;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct job *job = take(workers);
        if (job != NULL) {
            pthread_mutex_unlock(&workers->lock);
            let_others_read_first(job->slow);
            job->run(job);
            pthread_mutex_lock(&workers->lock);
            finish(workers, job);
        } else if (workers->ending) {
            break;
        } else {
            pthread_cond_wait(&workers->wake, &workers->lock);
        }
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* Complete what has finished; jobs that finish meanwhile come with the next wake-up. */
static void complete(struct workers *workers) {
    pthread_mutex_lock(&workers->lock);
    struct job_queue finished = workers->finished;
    workers->finished = (struct job_queue){0};
    pthread_mutex_unlock(&workers->lock);
    for (struct job *job; (job = pop(&finished)) != NULL;) {
        workers->pending--;
        job->done(job);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *context) {
    (void)what;
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    CHECK(got == (ssize_t)sizeof count || (got < 0 && (errno == EAGAIN || errno == EINTR)));
    complete(context);
}

static uint32_t start_threads(struct workers *workers, uint32_t wanted) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigset_t all;
    sigset_t before;
    sigfillset(&all); /* signals belong to the loop */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    uint32_t started = 0;
    while (started < wanted &&
           pthread_create(&workers->threads[started], &attributes, work, workers) == 0) {
        (void)pthread_setname_np(workers->threads[started], "worker");
        started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

struct workers *workers_new(struct event_base *base, uint32_t count) {
    struct workers *workers = mem_new(sizeof *workers);
    uint32_t wanted = count < 2 ? 2 : count;
    workers->count = wanted;
    workers->threads = mem_array(wanted, sizeof *workers->threads);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->wake, NULL);
    workers->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (workers->wake_fd >= 0) {
        workers->completion =
            event_new(base, workers->wake_fd, EV_READ | EV_PERSIST, on_wake, workers);
    }
    bool is_ready = workers->completion != NULL && event_add(workers->completion, NULL) == 0;
    uint32_t started = is_ready ? start_threads(workers, wanted) : 0;
    if (started < wanted) {
        pthread_mutex_lock(&workers->lock);
        workers->count = started;
        pthread_mutex_unlock(&workers->lock);
        workers_free(workers);
        return NULL;
    }
    return workers;
}

void workers_submit(struct workers *workers, struct job *job) {
    job->workers = workers;
    workers->pending++;
    pthread_mutex_lock(&workers->lock);
    struct strand *strand = job->strand;
    if (strand != NULL && strand->busy) {
        push(&strand->waiting, job);
    } else {
        if (strand != NULL) {
            strand->busy = true;
        }
        make_ready(workers, job);
    }
    pthread_mutex_unlock(&workers->lock);
}

uint32_t workers_pending(const struct workers *workers) {
    return workers->pending;
}

void workers_stop(struct workers *workers) {
    atomic_store(&workers->stopping, true);
}

bool workers_stopping(const struct workers *workers) {
    return atomic_load(&workers->stopping);
}

static void end_threads(struct workers *workers) {
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->count; i++) {
        pthread_join(workers->threads[i], NULL);
    }
}

void workers_free(struct workers *workers) {
    if (workers == NULL) {
        return;
    }
    workers_stop(workers);
    while (workers->count > 0 && workers->pending > 0) { /* completions may submit more */
        complete(workers);
        usleep(200);
    }
    end_threads(workers);
    complete(workers);
    if (workers->completion != NULL) {
        event_free(workers->completion);
    }
    if (workers->wake_fd >= 0) {
        close(workers->wake_fd);
    }
    pthread_cond_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->lock);
    mem_free(workers->threads);
    mem_free(workers);
}
