/* tls.c - TLS 1.3 between two Ed25519 keys: the one context of a host, and who is on a link.
 *
 * There are no authorities: a certificate only carries a key, so chain building is replaced by one
 * callback that accepts exactly one self-signed Ed25519 certificate and compares its key with the
 * id that was dialled. Dates are not looked at: a wrong clock must not cut people off.
 *
 * IGNORE_UNEXPECTED_EOF is safe because every frame carries its length and every byte of a file is
 * hashed: a truncation attack is a dropped connection. RELEASE_BUFFERS brings an idle link from 50
 * to 17 KiB. What was not written is written again from where it then lies (MOVING_WRITE_BUFFER).
 */
#include "src/host/tls.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>

#include "common/check.h"
#include "src/host/failure.h"

static const uint8_t alpn_wire[] = "\x0b" TLS_ALPN;
#define ALPN_WIRE_BYTES (sizeof alpn_wire - 1)

static enum err certificate_id(X509 *x, struct node_id *id) {
    EVP_PKEY *key = X509_get0_pubkey(x);
    int der_len = i2d_X509(x, NULL);
    size_t len = sizeof id->b;
    bool is_ours = key != NULL && der_len > 0 && der_len <= TLS_CERTIFICATE_MAX &&
                   X509_get_ext_count(x) == 0 && EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 &&
                   X509_get_signature_nid(x) == NID_ED25519 && X509_verify(x, key) == 1 &&
                   EVP_PKEY_get_raw_public_key(key, id->b, &len) == 1 && len == sizeof id->b;
    ERR_clear_error();
    return is_ours ? OK : ERR_AUTH;
}

enum err tls_certificate_id(struct slice der, struct node_id *id) {
    if (der.len > TLS_CERTIFICATE_MAX) {
        return ERR_AUTH;
    }
    const uint8_t *at = der.data;
    X509 *x = d2i_X509(NULL, &at, (long)der.len);
    ERR_clear_error();
    bool is_whole = x != NULL && at == der.data + der.len;
    enum err err = is_whole ? certificate_id(x, id) : ERR_AUTH;
    X509_free(x);
    return err;
}

static int verify_callback(X509_STORE_CTX *store, void *context) {
    (void)context;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_peer *peer = tls_peer_of(ssl);
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
    peer->proven = sent != NULL && sk_X509_num(sent) == 1 &&
                   certificate_id(sk_X509_value(sent, 0), &peer->id) == OK &&
                   (!peer->dialled || node_id_equal(&peer->id, &peer->wanted));
    X509_STORE_CTX_set_error(store, peer->proven ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    return peer->proven;
}

/* New keys and session tickets bring nothing, and OpenSSL takes one after the other inside of one
 * SSL_read, as long as they come. Who sends many of them is not listened to any more: it cannot be
 * told so from here, but the socket can be taken away. */
static void count_extras(int is_sent, int version, int type, const void *bytes, size_t len,
                         SSL *ssl, void *context) {
    (void)version;
    (void)context;
    const uint8_t *message = bytes;
    bool is_extra = is_sent == 0 && type == SSL3_RT_HANDSHAKE && len > 0 &&
                    (message[0] == SSL3_MT_KEY_UPDATE || message[0] == SSL3_MT_NEWSESSION_TICKET);
    if (is_extra && ++tls_peer_of(ssl)->extras > TLS_EXTRAS_MAX) {
        (void)BIO_set_fd(SSL_get_rbio(ssl), -1, BIO_NOCLOSE);
    }
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *context) {
    (void)ssl;
    (void)context;
    unsigned char *chosen = NULL;
    int found = SSL_select_next_proto(&chosen, out_len, alpn_wire, ALPN_WIRE_BYTES, in, in_len);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void configure(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1); /* one system call a record, not two */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_max_cert_list(context, TLS_CERTIFICATES_BYTES_MAX);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify_callback, NULL);
    SSL_CTX_set_alpn_select_cb(context, choose_alpn, NULL);
    SSL_CTX_set_msg_callback(context, count_extras);
    bool ok = SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
              SSL_CTX_set1_groups_list(context, "X25519") == 1 &&
              SSL_CTX_set1_sigalgs_list(context, "ed25519") == 1 &&
              SSL_CTX_set1_client_sigalgs_list(context, "ed25519") == 1 &&
              SSL_CTX_set_ciphersuites(
                  context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
              SSL_CTX_set_num_tickets(context, 0) == 1 &&
              SSL_CTX_set_alpn_protos(context, alpn_wire, ALPN_WIRE_BYTES) == 0;
    CHECK(ok);
}

SSL_CTX *tls_context_new(struct host_error *error) {
    if (OpenSSL_version_num() < (unsigned long)TLS_OPENSSL_MIN) {
        fail(error, ERR_VERSION, "%s is too old; version 3.0.14 or later is needed",
             OpenSSL_version(OPENSSL_VERSION));
        return NULL;
    }
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    CHECK(context != NULL);
    configure(context);
    return context;
}

SSL *tls_new(SSL_CTX *context, const struct identity *identity, struct tls_peer *peer) {
    SSL *ssl = SSL_new(context);
    CHECK(ssl != NULL);
    bool ok = SSL_use_certificate(ssl, identity_certificate(identity)) == 1 &&
              SSL_use_PrivateKey(ssl, identity_key(identity)) == 1 &&
              SSL_set_app_data(ssl, (char *)peer) == 1;
    CHECK(ok);
    return ssl;
}

struct tls_peer *tls_peer_of(const SSL *ssl) {
    return (struct tls_peer *)SSL_get_app_data(ssl);
}

enum err tls_finish(SSL *ssl, struct hash *exporter) {
    const struct tls_peer *peer = tls_peer_of(ssl);
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    bool is_ours = SSL_is_init_finished(ssl) && peer->proven &&
                   SSL_get_verify_result(ssl) == X509_V_OK && SSL_version(ssl) == TLS1_3_VERSION &&
                   alpn_len == strlen(TLS_ALPN) && memcmp(alpn, TLS_ALPN, alpn_len) == 0;
    if (!is_ours || SSL_export_keying_material(ssl, exporter->b, sizeof exporter->b, TLS_EXPORTER,
                                               strlen(TLS_EXPORTER), NULL, 0, 0) != 1) {
        return ERR_AUTH;
    }
    return OK;
}

/* ---- Before TLS ---- */

void tls_say_busy(int fd, uint64_t turn) {
    uint8_t shift = TLS_BUSY_SHIFT_MIN + turn % (TLS_BUSY_SHIFT_MAX - TLS_BUSY_SHIFT_MIN + 1);
    uint8_t alert[] = {SSL3_RT_ALERT,
                       TLS1_2_VERSION_MAJOR,
                       TLS1_2_VERSION_MINOR,
                       0,
                       2,
                       SSL3_AL_FATAL,
                       (uint8_t)(TLS_ALERT_BUSY + shift)};
    (void)send(fd, alert, sizeof alert, MSG_DONTWAIT | MSG_NOSIGNAL); /* it may have gone */
}

uint16_t tls_busy_s(unsigned long error) {
    int shift = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET - TLS_ALERT_BUSY;
    bool is_busy = ERR_GET_LIB(error) == ERR_LIB_SSL && shift >= TLS_BUSY_SHIFT_MIN &&
                   shift <= TLS_BUSY_SHIFT_MAX;
    return is_busy ? (uint16_t)(1U << shift) : 0;
}
