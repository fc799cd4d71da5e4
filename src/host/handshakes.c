/* handshakes.c - callers who have not yet proven who they are, and which of them makes room. */
#include "src/host/handshakes.h"

#include <string.h>

#include "common/check.h"
#include "src/host/conn.h"

void handshakes_begin(struct handshakes *handshakes, struct conn *conn, uint64_t now_us) {
    CHECK(handshakes->count < HANDSHAKES_PENDING_MAX);
    handshakes->open[handshakes->count].conn = conn;
    handshakes->open[handshakes->count].begun_us = now_us;
    handshakes->count++;
}

void handshakes_end(struct handshakes *handshakes, const struct conn *conn) {
    uint32_t at = 0;
    while (at < handshakes->count && handshakes->open[at].conn != conn) {
        at++;
    }
    CHECK(at < handshakes->count);
    handshakes->count--;
    memmove(&handshakes->open[at], &handshakes->open[at + 1],
            (handshakes->count - at) * sizeof handshakes->open[0]);
}

/* It has sent nothing, not even what we have not read yet. */
static bool is_silent(const struct conn *conn) {
    char byte;
    return BIO_number_read(SSL_get_rbio(conn->ssl)) == 0 &&
           recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* NULL when all are too young. */
static struct conn *find(const struct handshakes *handshakes, uint64_t now_us) {
    for (uint32_t i = 0; i < handshakes->count; i++) {
        struct conn *conn = handshakes->open[i].conn;
        uint64_t age_us = now_us - handshakes->open[i].begun_us;
        if (age_us < HANDSHAKE_SILENT_MS * 1000ull) {
            return NULL; /* those that follow are younger */
        }
        if (age_us >= HANDSHAKE_PRESSED_MS * 1000ull || is_silent(conn)) {
            return conn;
        }
    }
    return NULL;
}

bool handshakes_can_yield(const struct handshakes *handshakes, uint64_t now_us) {
    return find(handshakes, now_us) != NULL;
}

bool handshakes_yield(struct handshakes *handshakes, uint64_t now_us) {
    struct conn *conn = find(handshakes, now_us);
    if (conn != NULL) {
        conn_kill(conn, ERR_BUSY);
    }
    return conn != NULL;
}
