/* sandbox.h - gives up everything but reading what is open and answering. */
#ifndef TRUNKLINE_EXTRACT_SANDBOX_H
#define TRUNKLINE_EXTRACT_SANDBOX_H

#include <stdbool.h>

/* For the rest of this process and for ever: no file can be opened, no socket made, no program or
 * process started, nothing written but to what is open; memory, processor time and descriptors are
 * limited, and it dies with the thread that started it. False when the system refuses any of it:
 * then touch nothing of a stranger's. */
bool sandbox_enter(void);

/* False in a build with AddressSanitizer, which needs more memory than there is. */
bool sandbox_limits_memory(void);

#endif
