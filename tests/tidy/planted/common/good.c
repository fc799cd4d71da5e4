/* good.c - breaks no rule, though its comments and strings look like it: { "#ifdef PEER" */
#include "common/good.h"

#include <stddef.h>
#include <string.h>

/* #include <time.h> } and FIXMEs are no whole word, mkstemp("XXXXXX") neither. */
int good(int value) {
    const char *text = "} { \" typedef struct";
    return value + (int)strlen(text) + '{' - '"';
}

static int takes_five(int (*call)(int a, int b, int c, int d, int e, int f), int b, int c, int d,
                      int e) {
    return call(b, c, d, e, 0, 0);
}

/* An attribute's parentheses are not the parameters. */
__attribute__((noinline, cold, format(printf, 1, 2), nonnull(1), warn_unused_result, used)) int
attributed(const char *format, ...) {
    return takes_five(NULL, 0, 0, 0, (int)strlen(format));
}
