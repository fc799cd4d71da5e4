/* tls.h - TLS 1.3 between two Ed25519 keys: the one context of a host, and who is on a link. */
#ifndef TRUNKLINE_HOST_TLS_H
#define TRUNKLINE_HOST_TLS_H

#include <openssl/ssl.h>

#include "src/host/host.h"
#include "src/host/identity.h"

#define TLS_ALPN "trunkline/1"
#define TLS_EXPORTER "EXPORTER-trunkline-auth"
#define TLS_CERTIFICATE_MAX 1024        /* bytes of DER; ours has about 200 */
#define TLS_CERTIFICATES_BYTES_MAX 4096 /* the whole message, refused before it is parsed */
#define TLS_EXTRAS_MAX 100              /* new keys and tickets of one link: 2^24 records each */
#define TLS_OPENSSL_MIN 0x300000e0L     /* 3.0.14: CVE-2022-0778, CVE-2024-2511 are fixed */

/* Who is turned away before TLS hears why in TLS's own terms: a fatal alert of a description that
 * RFC 8446 leaves unassigned, which any TLS takes as an error. It is not authentic, nor is what
 * else could end a dial, so that it asks for seconds only. */
#define TLS_ALERT_BUSY 224 /* + n: come back in 2^n seconds */
#define TLS_BUSY_SHIFT_MIN 1
#define TLS_BUSY_SHIFT_MAX 4

/* One end of a link. Lives as long as its SSL. */
struct tls_peer {
    bool dialled;
    struct node_id wanted; /* dialled: whom we want */
    bool proven;           /* the certificate was accepted: */
    struct node_id id;
    uint32_t extras; /* messages of TLS itself since the handshake */
};

/* Make the context. NULL with *error set when OpenSSL is too old. One loop, one context: OpenSSL 3
 * slows down when threads share one. */
SSL_CTX *tls_context_new(struct host_error *error);

/* Make one end with this identity; tls_peer_of finds `peer` again. */
SSL *tls_new(SSL_CTX *context, const struct identity *identity, struct tls_peer *peer);
struct tls_peer *tls_peer_of(const SSL *ssl);

/* After the handshake: ERR_AUTH unless the other side proved its id and chose our protocol, else
 * OK with the exporter's 32 bytes. */
MUST_CHECK enum err tls_finish(SSL *ssl, struct hash *exporter);

/* Tell a caller who is turned away to come back later, `turn` by turn in other so many seconds, so
 * that a crowd does not come back at once. */
void tls_say_busy(int fd, uint64_t turn);

/* Seconds that an error of OpenSSL's asks to wait; 0 when it is another error. */
uint16_t tls_busy_s(unsigned long error);

/* The id in one DER certificate. ERR_AUTH unless it is an Ed25519 certificate signed by its own
 * key, without extensions, at most TLS_CERTIFICATE_MAX bytes, with nothing after it. */
MUST_CHECK enum err tls_certificate_id(struct slice der, struct node_id *id);

#endif
