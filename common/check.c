/* check.c - the end of a process whose own logic is wrong. */
#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *claim, const char *file, int line) {
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, claim);
    abort();
}
