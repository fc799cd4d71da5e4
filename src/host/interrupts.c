/* interrupts.c - Ctrl-C and SIGTERM, noticed where a command likes it: asking whether one is
 * pending needs neither a handler nor a global. */
#include "src/host/interrupts.h"

#include <signal.h>
#include <stddef.h>

void interrupts_hold(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

bool interrupts_pending(void *context) {
    sigset_t set;
    (void)context;
    return sigpending(&set) == 0 &&
           (sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1);
}
