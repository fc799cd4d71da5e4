/* process.h - starts, watches and ends real processes; nothing it started outlives it.
 *
 * One owner per program holds everything: its processes and a scratch folder. Each process leads a
 * group of its own and dies with its owner (PR_SET_PDEATHSIG, so start them from the main thread).
 * The owner ends its processes when it is freed, at exit, on SIGINT, SIGTERM and SIGHUP; after a
 * kill -9 of the owner its guard does (guard.h). Only what was started here is ever signalled:
 * groups are signalled while their leader has not been reaped, so their number cannot be another's.
 */
#ifndef TRUNKLINE_CLUSTER_PROCESS_H
#define TRUNKLINE_CLUSTER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"

#define PROCESSES_MAX 512 /* of one owner, those that ended and wait included */
#define PROCESS_CAPTURE_MAX (16 * 1024 * 1024) /* bytes of output kept in memory */

struct owner;
struct process;

/* Start the owner, its guard and its scratch folder `PREFIX-XXXXXX` below $TMPDIR or /tmp. Only
 * one may exist in a program. NULL when the system refuses (errno says why). */
struct owner *owner_new(const char *prefix);

/* End all processes, the guard, and remove the scratch folder. */
void owner_free(struct owner *owner);

/* The scratch folder's path, without a slash at the end. */
const char *owner_folder(const struct owner *owner);

/* Format a path below the scratch folder; the caller frees it with mem_free. */
char *owner_path(const struct owner *owner, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct process_options {
    const char *const *argv; /* ends with NULL; a name without slash is looked for in PATH */
    const char *const *env;  /* more NAME=VALUE, ends with NULL; may be NULL */
    const char *cwd;         /* NULL = ours */
    const char *log; /* file to append standard output and error to; NULL = standard error stays */
    bool pipe;       /* standard output comes to us: process_line, process_capture */
    uint64_t descriptors_max; /* RLIMIT_NOFILE; 0 = as ours */
    uint64_t memory_max;      /* RLIMIT_DATA, bytes; 0 = as ours */
    int netns;                /* descriptor of the network namespace that it lives in; 0 = ours */
};

/* Start a process; standard input is /dev/null. ERR_NOT_FOUND or ERR_PERMISSION when the program
 * cannot be run, ERR_LIMIT beyond PROCESSES_MAX, ERR_IO when the system refuses. */
MUST_CHECK enum err process_start(struct owner *owner, const struct process_options *options,
                                  struct process **process);

pid_t process_pid(const struct process *process);

/* False once it has ended; it stays known until process_free. */
bool process_running(struct process *process);

/* Wait for its end: OK and *status = exit status or 128 + signal, or ERR_TIMEOUT. */
MUST_CHECK enum err process_wait(struct process *process, int timeout_ms, int *status);

/* SIGTERM to its group and, after the grace, SIGKILL. Return the status as process_wait does. */
int process_stop(struct process *process, int grace_ms);

/* Send SIGTERM and do not wait: to stop many at once, ask all, then stop each. */
void process_ask_to_stop(struct process *process);

/* SIGKILL to its group, at once. */
void process_kill(struct process *process);

/* SIGSTOP and SIGCONT to its group. */
void process_freeze(struct process *process);
void process_thaw(struct process *process);

/* End it if it runs and forget it. */
void process_free(struct process *process);

/* Wait until something is true. ERR_CLOSED when the process ended before, ERR_TIMEOUT. */
typedef bool process_test_fn(void *context);
MUST_CHECK enum err process_wait_until(struct process *process, process_test_fn *test,
                                       void *context, int timeout_ms);
/* ... its log has this text, in what this process wrote; */
MUST_CHECK enum err process_wait_log(struct process *process, const char *text, int timeout_ms);
/* ... a file exists; */
MUST_CHECK enum err process_wait_file(struct process *process, const char *path, int timeout_ms);
/* ... a UNIX socket takes connections. */
MUST_CHECK enum err process_wait_socket(struct process *process, const char *path, int timeout_ms);

/* Read one line of a piped process, without its newline, as a string in `line` (overwritten).
 * ERR_TIMEOUT, or ERR_CLOSED at the end of its output. */
MUST_CHECK enum err process_line(struct process *process, struct buf *line, int timeout_ms);

/* Run a command to its end and keep its standard output in `out` (appended; a NUL follows that is
 * not counted). OK with *status as process_wait, ERR_TIMEOUT (it was killed), ERR_LIMIT (its output
 * was too long), or as process_start. */
MUST_CHECK enum err process_capture(struct owner *owner, const struct process_options *options,
                                    int timeout_ms, struct buf *out, int *status);

/* A clock that only goes forward. */
int64_t process_now_us(void);
int64_t process_now_ms(void);
void process_sleep_ms(int ms);

#endif
