/* test_tls.c - who gets a link and who does not: every row of the TLS recipe, over memory. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "src/host/tls.h"
#include "tests/unit/testlib.h"

/* The other side, made wrong in one way. */
struct stranger {
    SSL_CTX *context;
    SSL *ssl;
    EVP_PKEY *key;
    X509 *certificate;
};

struct world {
    SSL_CTX *context;
    struct identity *identity;
    struct tls_peer peer;
    SSL *ours;
    int complaint; /* OpenSSL's first on our end, 0 = none */
    struct stranger stranger;
};

static EVP_PKEY *key_of(const char *type) {
    EVP_PKEY *key = strcmp(type, "EC") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                                            : EVP_PKEY_Q_keygen(NULL, NULL, type);
    assert_non_null(key);
    return key;
}

/* A certificate over `key`, signed by `signer`. */
static X509 *certificate_of(EVP_PKEY *key, EVP_PKEY *signer, bool with_extension) {
    X509 *x = X509_new();
    assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 7), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    assert_int_equal(X509_set_pubkey(x, key), 1);
    if (with_extension) {
        X509_EXTENSION *extension =
            X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "CA:TRUE");
        assert_int_equal(X509_add_ext(x, extension, -1), 1);
        X509_EXTENSION_free(extension);
    }
    bool is_ed25519 = EVP_PKEY_get_id(signer) == EVP_PKEY_ED25519;
    assert_true(X509_sign(x, signer, is_ed25519 ? NULL : EVP_sha256()) > 0);
    return x;
}

static int accept_anybody(X509_STORE_CTX *store, void *context) {
    (void)store;
    (void)context;
    return 1;
}

static int accept_any_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *context) {
    (void)ssl;
    (void)in_len;
    (void)context;
    *out = in + 1;
    *out_len = in[0];
    return SSL_TLSEXT_ERR_OK;
}

/* A correct other side that believes everything. */
static void stranger_init(struct stranger *stranger) {
    static const uint8_t alpn[] = "\x0b" TLS_ALPN;
    stranger->context = SSL_CTX_new(TLS_method());
    SSL_CTX_set_verify(stranger->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(stranger->context, accept_anybody, NULL);
    SSL_CTX_set_alpn_protos(stranger->context, alpn, sizeof alpn - 1);
    SSL_CTX_set_alpn_select_cb(stranger->context, accept_any_alpn, NULL);
    stranger->key = key_of("ED25519");
    stranger->certificate = certificate_of(stranger->key, stranger->key, false);
}

static void use(struct stranger *stranger) {
    SSL_CTX_use_certificate(stranger->context, stranger->certificate);
    assert_int_equal(SSL_CTX_use_PrivateKey(stranger->context, stranger->key), 1);
}

static void replace(struct stranger *stranger, EVP_PKEY *key, X509 *certificate) {
    X509_free(stranger->certificate);
    stranger->certificate = certificate;
    if (key != stranger->key) {
        EVP_PKEY_free(stranger->key);
        stranger->key = key;
    }
}

/* ---- The rows ---- */

static void make_right(struct stranger *stranger) {
    use(stranger);
}

static void make_without_certificate(struct stranger *stranger) {
    (void)stranger;
}

static void make_p256(struct stranger *stranger) {
    EVP_PKEY *key = key_of("EC");
    replace(stranger, key, certificate_of(key, key, false));
    use(stranger);
}

static void make_signed_by_other(struct stranger *stranger) {
    EVP_PKEY *other = key_of("ED25519");
    replace(stranger, stranger->key, certificate_of(stranger->key, other, false));
    EVP_PKEY_free(other);
    use(stranger);
}

static void make_two_certificates(struct stranger *stranger) {
    EVP_PKEY *other = key_of("ED25519");
    use(stranger);
    X509 *second = certificate_of(other, other, false);
    assert_int_equal(SSL_CTX_add_extra_chain_cert(stranger->context, second), 1);
    EVP_PKEY_free(other);
}

static void make_with_extension(struct stranger *stranger) {
    replace(stranger, stranger->key, certificate_of(stranger->key, stranger->key, true));
    use(stranger);
}

static void make_wrong_alpn(struct stranger *stranger) {
    static const uint8_t alpn[] = "\x02h2";
    use(stranger);
    SSL_CTX_set_alpn_protos(stranger->context, alpn, sizeof alpn - 1);
    SSL_CTX_set_alpn_select_cb(stranger->context, NULL, NULL); /* as server: ignores ours */
}

static void make_without_alpn(struct stranger *stranger) {
    use(stranger);
    SSL_CTX_set_alpn_protos(stranger->context, NULL, 0);
    SSL_CTX_set_alpn_select_cb(stranger->context, NULL, NULL);
}

static void make_tls12(struct stranger *stranger) {
    use(stranger);
    SSL_CTX_set_max_proto_version(stranger->context, TLS1_2_VERSION);
}

static void make_without_x25519(struct stranger *stranger) {
    use(stranger);
    assert_int_equal(SSL_CTX_set1_groups_list(stranger->context, "P-256"), 1);
}

static void make_large(struct stranger *stranger) {
    use(stranger);
    char name[600];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    X509 *x = stranger->certificate;
    for (int i = 0; i < 12; i++) {
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                   (const uint8_t *)name, 64, -1, 0);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "O", MBSTRING_ASC,
                                   (const uint8_t *)name, 64, -1, 0);
    }
    assert_true(X509_sign(x, stranger->key, NULL) > 0);
    assert_true(i2d_X509(x, NULL) > TLS_CERTIFICATE_MAX);
    use(stranger);
}

/* A wrong clock, theirs or ours, must not cut anybody off. */
static void redate(struct stranger *stranger, long from_s, long to_s) {
    X509 *x = stranger->certificate;
    X509_gmtime_adj(X509_getm_notBefore(x), from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), to_s);
    assert_true(X509_sign(x, stranger->key, NULL) > 0);
    use(stranger);
}

static void make_expired(struct stranger *stranger) {
    redate(stranger, -7200, -3600);
}

static void make_from_tomorrow(struct stranger *stranger) {
    redate(stranger, 86400, 2 * 86400);
}

static void make_with_aes256_only(struct stranger *stranger) {
    use(stranger);
    assert_int_equal(SSL_CTX_set_ciphersuites(stranger->context, "TLS_AES_256_GCM_SHA384"), 1);
}

static const struct row {
    const char *name;
    void (*make)(struct stranger *stranger);
    bool is_welcome;
} rows[] = {
    {"both Ed25519", make_right, true},
    {"no certificate", make_without_certificate, false},
    {"P-256", make_p256, false},
    {"not signed by its own key", make_signed_by_other, false},
    {"two certificates", make_two_certificates, false},
    {"an extension", make_with_extension, false},
    {"larger than 1 KiB", make_large, false},
    {"wrong ALPN", make_wrong_alpn, false},
    {"no ALPN", make_without_alpn, false},
    {"TLS 1.2", make_tls12, false},
    {"no X25519", make_without_x25519, false},
    {"another cipher", make_with_aes256_only, false},
    {"expired yesterday", make_expired, true},
    {"valid from tomorrow", make_from_tomorrow, true},
};

/* ---- Handshakes over memory ---- */

static void world_init(struct world *world) {
    struct host_error error;
    *world =
        (struct world){.context = tls_context_new(&error), .identity = identity_ephemeral(NULL)};
    assert_non_null(world->context);
    stranger_init(&world->stranger);
}

static void world_free(struct world *world) {
    SSL_free(world->ours);
    SSL_free(world->stranger.ssl);
    SSL_CTX_free(world->context);
    SSL_CTX_free(world->stranger.context);
    X509_free(world->stranger.certificate);
    EVP_PKEY_free(world->stranger.key);
    identity_free(world->identity);
    ERR_clear_error();
}

static void stranger_id(const struct stranger *stranger, struct node_id *id) {
    size_t len = sizeof id->b;
    if (EVP_PKEY_get_id(stranger->key) == EVP_PKEY_ED25519) {
        assert_int_equal(EVP_PKEY_get_raw_public_key(stranger->key, id->b, &len), 1);
    }
}

static void connect_ends(SSL *one, SSL *other) {
    BIO *a = NULL;
    BIO *b = NULL;
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(one, a, a);
    SSL_set_bio(other, b, b);
}

static void take_turns(struct world *world) {
    SSL_do_handshake(world->ours);
    unsigned long code = ERR_peek_error();
    if (world->complaint == 0 && code != 0) {
        world->complaint = ERR_GET_REASON(code);
    }
    ERR_clear_error();
    SSL_do_handshake(world->stranger.ssl);
    ERR_clear_error();
}

/* Run both handshakes until neither moves; return whether ours ended well. */
static bool shake_hands(struct world *world, bool we_dial) {
    world->peer.dialled = we_dial;
    world->ours = tls_new(world->context, world->identity, &world->peer);
    world->stranger.ssl = SSL_new(world->stranger.context);
    connect_ends(world->ours, world->stranger.ssl);
    if (we_dial) {
        SSL_set_connect_state(world->ours);
        SSL_set_accept_state(world->stranger.ssl);
    } else {
        SSL_set_accept_state(world->ours);
        SSL_set_connect_state(world->stranger.ssl);
    }
    for (int i = 0; i < 10; i++) {
        take_turns(world);
    }
    struct hash exporter;
    return tls_finish(world->ours, &exporter) == OK;
}

static void run_row(const struct row *row, bool we_dial) {
    struct world world;
    world_init(&world);
    row->make(&world.stranger);
    stranger_id(&world.stranger, &world.peer.wanted);
    bool is_welcome = shake_hands(&world, we_dial);
    if (is_welcome != row->is_welcome) {
        fail_msg("%s, we %s: %s", row->name, we_dial ? "dial" : "accept",
                 is_welcome ? "welcome" : "refused");
    }
    if (is_welcome) {
        struct node_id id;
        stranger_id(&world.stranger, &id);
        assert_true(node_id_equal(&world.peer.id, &id));
    }
    world_free(&world);
}

static void test_matrix_accepting(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        run_row(&rows[i], false);
    }
}

static void test_matrix_dialling(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        run_row(&rows[i], true);
    }
}

static void test_wrong_id_is_refused(void **state) {
    (void)state;
    struct world world;
    world_init(&world);
    make_right(&world.stranger);
    stranger_id(&world.stranger, &world.peer.wanted);
    world.peer.wanted.b[31] ^= 1;
    assert_false(shake_hands(&world, true));
    assert_false(world.peer.proven);
    world_free(&world);
}

/* Megabytes of certificates are refused by their length alone, before anything parses them. */
static void test_many_certificates_are_not_read(void **state) {
    (void)state;
    struct world world;
    world_init(&world);
    use(&world.stranger);
    for (size_t bytes = 0; bytes < TLS_CERTIFICATES_BYTES_MAX;) {
        X509 *more = certificate_of(world.stranger.key, world.stranger.key, false);
        bytes += (size_t)i2d_X509(more, NULL);
        assert_int_equal(SSL_CTX_add_extra_chain_cert(world.stranger.context, more), 1);
    }
    assert_false(shake_hands(&world, false));
    assert_int_equal(world.complaint, SSL_R_EXCESSIVE_MESSAGE_SIZE);
    world_free(&world);
}

/* Two of us: same exporter on both ends, no session to resume, no ticket. */
static void test_two_of_us(void **state) {
    (void)state;
    struct host_error error;
    SSL_CTX *context = tls_context_new(&error);
    struct identity *identities[2] = {identity_ephemeral(NULL), identity_ephemeral(NULL)};
    struct tls_peer peers[2] = {{.dialled = true, .wanted = *identity_id(identities[1])}, {0}};
    SSL *client = tls_new(context, identities[0], &peers[0]);
    SSL *server = tls_new(context, identities[1], &peers[1]);
    connect_ends(client, server);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int i = 0; i < 10; i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    struct hash exporters[2];
    assert_int_equal(tls_finish(client, &exporters[0]), OK);
    assert_int_equal(tls_finish(server, &exporters[1]), OK);
    assert_memory_equal(&exporters[0], &exporters[1], sizeof exporters[0]);
    assert_true(node_id_equal(&peers[1].id, identity_id(identities[0])));
    assert_string_equal(SSL_get_cipher_name(server), "TLS_AES_128_GCM_SHA256");
    char byte;
    assert_int_equal(SSL_read(client, &byte, 1), -1); /* a ticket would come here */
    assert_false(SSL_SESSION_is_resumable(SSL_get_session(client)));
    assert_null(SSL_get_servername(server, TLSEXT_NAMETYPE_host_name));
    SSL_free(client);
    SSL_free(server);
    identity_free(identities[0]);
    identity_free(identities[1]);
    SSL_CTX_free(context);
}

/* ---- One certificate as bytes, as a fuzzer would feed it ---- */

static void test_certificate_bytes(void **state) {
    (void)state;
    struct identity *identity = identity_ephemeral(NULL);
    uint8_t der[512];
    uint8_t *at = der;
    assert_in_range(i2d_X509(identity_certificate(identity), NULL), 150, 300);
    size_t len = (size_t)i2d_X509(identity_certificate(identity), &at);
    struct node_id id;
    assert_int_equal(tls_certificate_id((struct slice){der, len}, &id), OK);
    assert_true(node_id_equal(&id, identity_id(identity)));
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(tls_certificate_id((struct slice){der, cut}, &id), ERR_AUTH);
    }
    der[len] = 0;
    assert_int_equal(tls_certificate_id((struct slice){der, len + 1}, &id), ERR_AUTH);
    int accepted = 0;
    for (size_t bit = 0; bit < len * 8; bit++) {
        der[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        accepted += tls_certificate_id((struct slice){der, len}, &id) == OK;
        der[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    }
    assert_int_equal(accepted, 0); /* all of it is signed, the signature is strict */
    identity_free(identity);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix_accepting),
        cmocka_unit_test(test_matrix_dialling),
        cmocka_unit_test(test_wrong_id_is_refused),
        cmocka_unit_test(test_two_of_us),
        cmocka_unit_test(test_certificate_bytes),
        cmocka_unit_test(test_many_certificates_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
