/* guard.c - a small process that clears up behind an owner of processes, however that one ended. */
#include "src/cluster/guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ENVIRONMENT_READ_MAX (256 * 1024) /* bytes; ours is near the front of far smaller ones */
#define SWEEPS_MAX 200                    /* rounds of 10 ms until nothing is left */

void guard_token(char token[GUARD_TOKEN_BYTES]) {
    uint64_t random[2] = {0, 0};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        random[0] = (uint64_t)now.tv_nsec ^ ((uint64_t)now.tv_sec << 30);
        random[1] = (uint64_t)getpid();
    }
    snprintf(token, GUARD_TOKEN_BYTES, "%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
}

/* True when the environment that this process was started with holds the token. */
static bool carries(const char *pid, const char *token, char *scratch) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    size_t len = 0;
    ssize_t got;
    while (len < ENVIRONMENT_READ_MAX &&
           (got = read(fd, scratch + len, ENVIRONMENT_READ_MAX - len)) > 0) {
        len += (size_t)got;
    }
    close(fd);
    return memmem(scratch, len, token, strlen(token)) != NULL;
}

/* A killed process whose parent has not looked yet is no longer anybody's trouble. */
static bool is_zombie(const char *pid) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return true;
    }
    ssize_t got = read(fd, line, sizeof line - 1);
    close(fd);
    if (got <= 0) {
        return true;
    }
    line[got] = '\0';
    const char *state = strrchr(line, ')');
    return state == NULL || state[1] == '\0' || state[2] == 'Z' || state[2] == 'X';
}

int guard_sweep(const char *token) {
    char *scratch = malloc(ENVIRONMENT_READ_MAX);
    DIR *proc = opendir("/proc");
    int killed = 0;
    const struct dirent *entry;
    while (scratch != NULL && proc != NULL && (entry = readdir(proc)) != NULL) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 1 && pid != getpid() && !is_zombie(entry->d_name) &&
            carries(entry->d_name, token, scratch)) {
            kill(pid, SIGKILL);
            killed++;
        }
    }
    if (proc != NULL) {
        closedir(proc);
    }
    free(scratch);
    return killed;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    (void)remove(path);
    return 0;
}

void guard_remove_folder(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Closing all that the owner has open keeps its pipes and files from being held by us. */
static void close_all_but(int keep) {
    if (keep > 3) {
        close_range(3, (unsigned)keep - 1, 0);
    }
    close_range((unsigned)keep + 1, ~0U, 0);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        close(null);
    }
}

/* Runs in the guard. The owner's terminal signals must not reach it, hence the session. */
static _Noreturn void stand_guard(int fd, const char *token, const char *scratch) {
    setsid();
    prctl(PR_SET_NAME, "trunkline-guard");
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        signal(ignored[i], SIG_IGN);
    }
    close_all_but(fd);
    char byte;
    while (read(fd, &byte, 1) < 0 && errno == EINTR) {
    }
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    for (int round = 0; round < SWEEPS_MAX && guard_sweep(token) > 0; round++) {
        nanosleep(&pause, NULL);
    }
    if (scratch != NULL) {
        guard_remove_folder(scratch);
    }
    _exit(0);
}

enum err guard_start(struct guard *guard, const char *token, const char *scratch) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return ERR_IO;
    }
    guard->pid = fork();
    if (guard->pid == 0) {
        close(ends[1]);
        stand_guard(ends[0], token, scratch);
    }
    close(ends[0]);
    guard->pipe = ends[1];
    if (guard->pid < 0) {
        close(ends[1]);
        return ERR_IO;
    }
    return OK;
}

void guard_finish(const struct guard *guard) {
    close(guard->pipe);
    while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
