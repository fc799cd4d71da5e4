/* planted_symbols.c - calls what logic must not call, so that the symbol check has something to
 * find.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

size_t planted_symbols(const char *name);

size_t planted_symbols(const char *name) {
    const char *value = getenv(name);
    return (value == NULL ? 0 : strlen(value)) + (size_t)time(NULL);
}
