/* sandbox.c - gives up everything but reading what is open and answering.
 *
 * A list of the system calls that are left (seccomp(2), filters in the classic BPF of bpf(4)); all
 * others fail with EPERM, so that a library that would like to have something goes on without. Even
 * opening for reading is gone: whoever takes over this process could otherwise have a private file
 * told to the network as a title. */
#include "src/extract/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/limits.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#else
#define ARCH 0 /* numbers of its calls never checked: no sandbox, no metadata */
#endif

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1 /* keeps terabytes of addresses for itself */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifndef HAS_ASAN
#define HAS_ASAN 0
#endif

#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define LOAD(field)                                                                                \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define CALL(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), ALLOW

/* Low half of the third argument, in memory order. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_HALF 0
#else
#define LOW_HALF 4
#endif
#define PROTECTION                                                                                 \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args[2]) + LOW_HALF)

/* A mapping that could be run as a program is refused. */
#define MAPS(name)                                                                                 \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 4), PROTECTION,                            \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), REFUSE, ALLOW

static struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    LOAD(nr),
    MAPS(mmap),
    MAPS(mprotect),
    CALL(read),
    CALL(pread64),
    CALL(write), /* to the socket, and to what the parent gave as standard error */
    CALL(writev),
    CALL(lseek),
    CALL(fstat),
#ifdef __NR_newfstatat
    CALL(newfstatat), /* how the C library asks about a descriptor */
#endif
    CALL(recvmsg),
    CALL(sendto),
    CALL(close),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(brk),
    CALL(futex),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(sigaltstack),
    CALL(getpid),
    CALL(gettid),
    CALL(clock_gettime),
    CALL(gettimeofday),
    CALL(getrandom),
    CALL(sched_yield),
    CALL(restart_syscall),
    CALL(exit),
    CALL(exit_group),
    REFUSE,
};

static bool limit(int what, rlim_t most) {
    struct rlimit value = {most, most};
    return setrlimit((__rlimit_resource_t)what, &value) == 0;
}

static bool set_limits(void) {
    return (HAS_ASAN || (limit(RLIMIT_AS, EXTRACT_ADDRESS_BYTES_MAX) &&
                         limit(RLIMIT_DATA, EXTRACT_MEMORY_BYTES_MAX))) &&
           limit(RLIMIT_CPU, EXTRACT_CPU_S_MAX) && limit(RLIMIT_FSIZE, 0) &&
           limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, EXTRACT_FDS_MAX);
}

bool sandbox_limits_memory(void) {
    return !HAS_ASAN;
}

bool sandbox_enter(void) {
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    return ARCH != 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 &&
           close_range(3, ~0u, 0) == 0 && set_limits() && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}
