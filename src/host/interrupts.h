/* interrupts.h - Ctrl-C and SIGTERM, noticed where a command likes it. */
#ifndef TRUNKLINE_HOST_INTERRUPTS_H
#define TRUNKLINE_HOST_INTERRUPTS_H

#include <stdbool.h>

/* From now on they stay pending instead of ending the program in the middle of a line. */
void interrupts_hold(void);
/* True when one came; `context` is not looked at (it fits client_call). */
bool interrupts_pending(void *context);

#endif
