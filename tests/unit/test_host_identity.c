/* test_host_identity.c - the key on disk: made once, never replaced, for its owner only. */
#include <fcntl.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "src/host/crypto.h"
#include "src/host/identity.h"
#include "tests/unit/hostlib.h"

struct desk {
    char folder[64];
    char state[80];
    char key[100];
};

static void desk_init(struct desk *desk) {
    folder_make_temporary(desk->folder);
    snprintf(desk->state, sizeof desk->state, "%s/state", desk->folder);
    snprintf(desk->key, sizeof desk->key, "%s/node.key", desk->state);
}

static struct node_id make(const struct desk *desk) {
    struct host_error error = {0};
    struct identity *identity = identity_open(desk->state, IDENTITY_LOAD_OR_MAKE, &error);
    if (identity == NULL) {
        fail_msg("%s", error.text);
    }
    struct node_id id = *identity_id(identity);
    identity_free(identity);
    return id;
}

static void test_made_once(void **state) {
    (void)state;
    struct desk desk;
    struct stat stat_after;
    struct host_error error = {0};
    desk_init(&desk);
    assert_null(identity_open(desk.state, IDENTITY_LOAD, &error));
    assert_int_equal(error.err, ERR_NOT_FOUND);
    struct node_id first = make(&desk);
    struct node_id second = make(&desk);
    assert_true(node_id_equal(&first, &second));
    assert_int_equal(stat(desk.key, &stat_after), 0);
    assert_int_equal(stat_after.st_mode & 0777, 0600);
    assert_int_equal(stat(desk.state, &stat_after), 0);
    assert_int_equal(stat_after.st_mode & 0777, 0700);
    struct identity *loaded = identity_open(desk.state, IDENTITY_LOAD, &error);
    assert_non_null(loaded);
    identity_free(loaded);
    folder_remove(desk.folder);
}

/* A crash while the first key was written leaves only the temporary file. */
static void test_crash_while_writing(void **state) {
    (void)state;
    struct desk desk;
    char path[120];
    desk_init(&desk);
    assert_int_equal(mkdir(desk.state, 0700), 0);
    snprintf(path, sizeof path, "%s.new", desk.key);
    file_make(path, 50, 1);
    struct node_id first = make(&desk);
    struct node_id second = make(&desk);
    assert_true(node_id_equal(&first, &second));
    assert_int_equal(access(path, F_OK), -1);
    folder_remove(desk.folder);
}

static void expect_refusal(const struct desk *desk, enum err err, const char *words) {
    struct host_error error = {0};
    assert_null(identity_open(desk->state, IDENTITY_LOAD_OR_MAKE, &error));
    assert_int_equal(error.err, err);
    if (strstr(error.text, words) == NULL || strstr(error.text, desk->key) == NULL) {
        fail_msg("%s", error.text);
    }
}

/* Cut at every length: refused, and left as it was found. */
static void test_damaged_key_is_kept(void **state) {
    (void)state;
    struct desk desk;
    uint8_t whole[512];
    desk_init(&desk);
    struct node_id id = make(&desk);
    int fd = open(desk.key, O_RDONLY);
    ssize_t len = read(fd, whole, sizeof whole);
    close(fd);
    assert_in_range(len, 150, 250);
    for (ssize_t cut = 0; cut < len - 1; cut++) {
        assert_int_equal(truncate(desk.key, cut), 0);
        expect_refusal(&desk, ERR_CONFIG, "restore it from a backup");
        struct stat stat_after;
        assert_int_equal(stat(desk.key, &stat_after), 0);
        assert_int_equal(stat_after.st_size, cut);
        fd = open(desk.key, O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, whole, (size_t)len), len);
        close(fd);
    }
    struct node_id again = make(&desk);
    assert_true(node_id_equal(&id, &again));
    folder_remove(desk.folder);
}

/* Any bit of it: refused, or still the same node. The key's own bytes carry no check. */
static void test_flipped_key_is_nobody_else(void **state) {
    (void)state;
    struct desk desk;
    uint8_t whole[512];
    struct host_error error;
    uint32_t refused = 0;
    desk_init(&desk);
    struct node_id id = make(&desk);
    int fd = open(desk.key, O_RDWR);
    ssize_t len = read(fd, whole, sizeof whole);
    for (ssize_t bit = 0; bit < len * 8; bit++) {
        uint8_t byte = (uint8_t)(whole[bit / 8] ^ 1u << bit % 8);
        assert_int_equal(pwrite(fd, &byte, 1, bit / 8), 1);
        struct identity *identity = identity_open(desk.state, IDENTITY_LOAD_OR_MAKE, &error);
        refused += identity == NULL;
        assert_true(identity == NULL || node_id_equal(identity_id(identity), &id));
        identity_free(identity);
        assert_int_equal(pwrite(fd, &whole[bit / 8], 1, bit / 8), 1);
    }
    assert_true(refused > (uint32_t)len * 8 - 32); /* line ends may be others */
    close(fd);
    folder_remove(desk.folder);
}

/* A folder that was in use has had a key. */
static void test_lost_key_is_not_made_anew(void **state) {
    (void)state;
    struct desk desk;
    char store[600];
    desk_init(&desk);
    (void)make(&desk);
    snprintf(store, sizeof store, "%s/state.db", desk.state);
    FILE *file = fopen(store, "we");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(unlink(desk.key), 0);
    expect_refusal(&desk, ERR_CONFIG, "the key is gone");
    assert_int_equal(unlink(store), 0);
    (void)make(&desk);
    folder_remove(desk.folder);
}

/* Write `key` over the key on disk, encrypted with a passphrase when `cipher` is one. */
static void write_key(const struct desk *desk, EVP_PKEY *key, const EVP_CIPHER *cipher) {
    static const unsigned char pass[] = "x";
    FILE *file = fopen(desk->key, "we");
    assert_non_null(file);
    assert_non_null(key);
    assert_int_equal(PEM_write_PrivateKey(file, key, cipher, cipher == NULL ? NULL : pass,
                                          cipher == NULL ? 0 : sizeof pass - 1, NULL, NULL),
                     1);
    assert_int_equal(fclose(file), 0);
    EVP_PKEY_free(key);
}

static void test_key_of_another_kind(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    make(&desk);
    write_key(&desk, EVP_EC_gen("P-256"), NULL);
    expect_refusal(&desk, ERR_CONFIG, "Ed25519");
    write_key(&desk, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_aes_128_cbc());
    expect_refusal(&desk, ERR_CONFIG, "not a readable Ed25519 key"); /* and does not ask */
    folder_remove(desk.folder);
}

static void test_open_to_others(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    make(&desk);
    static const mode_t modes[] = {0640, 0604, 0660, 0666, 0610, 0601};
    for (size_t i = 0; i < LENGTH(modes); i++) {
        assert_int_equal(chmod(desk.key, modes[i]), 0);
        expect_refusal(&desk, ERR_PERMISSION, "chmod 600");
    }
    assert_int_equal(unlink(desk.key), 0);
    assert_int_equal(symlink("/etc/hostname", desk.key), 0);
    expect_refusal(&desk, ERR_PERMISSION, "symbolic links");
    assert_int_equal(unlink(desk.key), 0);
    assert_int_equal(mkfifo(desk.key, 0600), 0);
    expect_refusal(&desk, ERR_CONFIG, "not a regular file"); /* and does not wait */
    folder_remove(desk.folder);
}

static void test_lock(void **state) {
    (void)state;
    struct desk desk;
    struct host_error error = {0};
    desk_init(&desk);
    int lock = state_lock(desk.state, &error);
    assert_true(lock >= 0);
    assert_int_equal(state_lock(desk.state, &error), -1);
    assert_int_equal(error.err, ERR_DUPLICATE);
    make(&desk); /* signing while the daemon runs needs no lock */
    close(lock);
    lock = state_lock(desk.state, &error);
    assert_true(lock >= 0);
    close(lock);
    folder_remove(desk.folder);
}

/* ---- Cryptography against published vectors ---- */

static void bytes_of(const char *hex, uint8_t *to, size_t len) {
    assert_int_equal(hex_parse(to, len, hex), OK);
}

/* RFC 8032, section 7.1, test 2. */
static void test_ed25519_vector(void **state) {
    (void)state;
    uint8_t seed[32];
    uint8_t wanted_id[32];
    uint8_t wanted[SIGNATURE_BYTES];
    uint8_t signature[SIGNATURE_BYTES];
    const uint8_t message[1] = {0x72};
    bytes_of("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", seed, 32);
    bytes_of("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", wanted_id, 32);
    bytes_of("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
             "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
             wanted, SIGNATURE_BYTES);
    struct identity *identity = identity_ephemeral(seed);
    const struct crypto *crypto = identity_crypto(identity);
    assert_memory_equal(identity_id(identity)->b, wanted_id, 32);
    for (int i = 0; i < 3; i++) { /* the context is used again */
        crypto->sign(crypto->context, (struct slice){message, 1}, signature);
        assert_memory_equal(signature, wanted, SIGNATURE_BYTES);
        assert_true(crypto->verify(crypto->context, identity_id(identity),
                                   (struct slice){message, 1}, signature));
    }
    signature[5] ^= 1;
    assert_false(crypto->verify(crypto->context, identity_id(identity), (struct slice){message, 1},
                                signature));
    static const struct node_id nobody = {{0xff, 0xff}};
    assert_false(crypto->verify(crypto->context, &nobody, (struct slice){message, 1}, wanted));
    identity_free(identity);
}

static void check_hashes(const struct crypto *crypto) {
    struct hash hash;
    uint8_t wanted[HASH_BYTES];
    bytes_of("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", wanted, 32);
    crypto->sha256(crypto->context, test_slice("abc"), (struct slice){0}, &hash);
    assert_memory_equal(hash.b, wanted, 32);
    crypto->sha256(crypto->context, test_slice("a"), test_slice("bc"), &hash);
    assert_memory_equal(hash.b, wanted, 32);
    bytes_of("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", wanted, 32);
    crypto->hmac(crypto->context, test_slice("Jefe"), test_slice("what do ya want for nothing?"),
                 &hash); /* RFC 4231, test case 2 */
    assert_memory_equal(hash.b, wanted, 32);
    crypto->hmac(crypto->context, (struct slice){0}, (struct slice){0}, &hash);
    bytes_of("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", wanted, 32);
    assert_memory_equal(hash.b, wanted, 32);
}

static void test_hash_vectors(void **state) {
    (void)state;
    struct crypto *crypto = crypto_make(NULL);
    check_hashes(crypto);
    check_hashes(crypto_keyless());
    uint8_t random[2][32];
    crypto->fill_random(crypto->context, random[0], 32);
    crypto->fill_random(crypto->context, random[1], 32);
    assert_memory_not_equal(random[0], random[1], 32);
    crypto_delete(crypto);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_once),
        cmocka_unit_test(test_crash_while_writing),
        cmocka_unit_test(test_damaged_key_is_kept),
        cmocka_unit_test(test_key_of_another_kind),
        cmocka_unit_test(test_flipped_key_is_nobody_else),
        cmocka_unit_test(test_lost_key_is_not_made_anew),
        cmocka_unit_test(test_open_to_others),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_ed25519_vector),
        cmocka_unit_test(test_hash_vectors),
    };
    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
