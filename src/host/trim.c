/* trim.c - gives unused pages of the heap back to the system after a crowd of links.
 *
 * A handshake takes three times what a link keeps. After many at once the heap is full of holes
 * that only the next crowd would fill; looking for them takes a millisecond for each 25 MB. */
#include <malloc.h>

#include "common/check.h"
#include "src/host/internal.h"

#define CALM_MS 1000 /* since the last link came up or was freed */
#define EVERY_MS 5000

static void on_trim(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct host *host = context;
    host->trimmed_us = clock_mono_us();
    (void)malloc_trim(0);
}

void trim_soon(struct host *host) {
    uint64_t now_us = clock_mono_us();
    uint64_t due_us = now_us + CALM_MS * 1000;
    uint64_t earliest_us = host->trimmed_us + EVERY_MS * 1000;
    uint64_t wait_us = (due_us > earliest_us ? due_us : earliest_us) - now_us;
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
                           .tv_usec = (suseconds_t)(wait_us % 1000000)};
    event_add(host->trim, &wait);
}

void trim_init(struct host *host) {
    host->trim = evtimer_new(host->base, on_trim, host);
    CHECK(host->trim != NULL);
}

void trim_free(struct host *host) {
    event_free(host->trim);
}
