/* identity.c - the node's Ed25519 key on disk, and what is made from it.
 *
 * A key is written to a temporary file, synced, and renamed without replacing, so that `node.key`
 * is either whole or not there, whenever the power fails. */
#include "src/host/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/crypto.h"
#include "src/host/failure.h"
#include "src/host/store_sqlite.h"

#define KEY_FILE "node.key"
#define KEY_FILE_NEW "node.key.new"
#define LOCK_FILE "lock"
#define ID_LINE "trunkline-id: "
#define PEM_BEGINS "-----BEGIN "
#define KEY_BYTES_MAX 4096 /* a PEM Ed25519 key has 119 */
#define VALID_BEFORE_S (24 * 3600)
#define VALID_DAYS 3650

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
    struct crypto *crypto;
    struct node_id id;
};

/* The certificate only carries the key: no extensions, no names (whoever gets it would keep them as
 * long as the link), dates nobody checks (a wrong clock must not cut people off). */
static X509 *make_certificate(EVP_PKEY *key) {
    X509 *x = X509_new();
    CHECK(x != NULL);
    bool ok = X509_set_version(x, X509_VERSION_3) == 1 &&
              ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(x), -VALID_BEFORE_S) != NULL &&
              X509_time_adj_ex(X509_getm_notAfter(x), VALID_DAYS, 0, NULL) != NULL &&
              X509_set_pubkey(x, key) == 1 && X509_sign(x, key, NULL) > 0;
    CHECK(ok);
    return x;
}

/* Take over a key. */
static struct identity *identity_of(EVP_PKEY *key) {
    struct identity *identity = mem_new(sizeof *identity);
    size_t len = sizeof identity->id.b;
    CHECK(EVP_PKEY_get_raw_public_key(key, identity->id.b, &len) == 1 &&
          len == sizeof identity->id.b);
    identity->key = key;
    identity->certificate = make_certificate(key);
    identity->crypto = crypto_make(key);
    return identity;
}

/* ---- The file ---- */

/* A file without a pass phrase must not stop to ask for one on the terminal. */
static int no_pass_phrase(char *to, int size, int writing, void *context) {
    (void)to;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

/* The key's 32 bytes carry no check of their own: one bit less right is another node. So the id
 * stands before them, in a line of its own; files of older versions have none. False when the text
 * begins with neither. */
static bool take_id_line(const char **text, size_t *len, char id[NODE_ID_TEXT_BYTES]) {
    size_t prefix = strlen(ID_LINE), line = prefix + NODE_ID_TEXT_BYTES - 1;
    id[0] = '\0';
    if (*len > line && memcmp(*text, ID_LINE, prefix) == 0 && (*text)[line] == '\n') {
        snprintf(id, NODE_ID_TEXT_BYTES, "%.*s", NODE_ID_TEXT_BYTES - 1, *text + prefix);
        *text += line + 1;
        *len -= line + 1;
        return true;
    }
    return *len > strlen(PEM_BEGINS) && memcmp(*text, PEM_BEGINS, strlen(PEM_BEGINS)) == 0;
}

static void id_of(EVP_PKEY *key, char text[NODE_ID_TEXT_BYTES]) {
    struct node_id id;
    size_t len = sizeof id.b;
    CHECK(EVP_PKEY_get_raw_public_key(key, id.b, &len) == 1 && len == sizeof id.b);
    node_id_format(text, &id);
}

static bool is_key_of(EVP_PKEY *key, const char *wanted) {
    char text[NODE_ID_TEXT_BYTES];
    id_of(key, text);
    return wanted[0] == '\0' || strcmp(text, wanted) == 0;
}

static EVP_PKEY *parse_key(const char *pem, size_t len) {
    char id[NODE_ID_TEXT_BYTES];
    if (!take_id_line(&pem, &len, id)) {
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    CHECK(bio != NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);
    BIO_free(bio);
    if (key != NULL && (EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 || !is_key_of(key, id))) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static enum err check_mode(int fd, const char *path, struct host_error *error) {
    struct stat stat;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        return fail(error, ERR_CONFIG, "%s: not a regular file; move it away", path);
    }
    if ((stat.st_mode & 077) != 0) {
        return fail(error, ERR_PERMISSION,
                    "%s: the private key is open to others (mode %04o); run: chmod 600 '%s'", path,
                    (unsigned)stat.st_mode & 07777, path);
    }
    return OK;
}

/* Read the key. ERR_NOT_FOUND when there is none. */
static enum err load_key(int dir, const char *path, EVP_PKEY **key, struct host_error *error) {
    int fd = openat(dir, KEY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT
                   ? fail(error, ERR_NOT_FOUND,
                          "%s: there is no key here; run this node once, or name another folder",
                          path)
                   : fail_errno(error, path, "cannot be opened");
    }
    enum err err = check_mode(fd, path, error);
    if (err == OK) {
        char pem[KEY_BYTES_MAX + 1];
        ssize_t len = read(fd, pem, sizeof pem);
        *key = len > 0 && len <= KEY_BYTES_MAX ? parse_key(pem, (size_t)len) : NULL;
        OPENSSL_cleanse(pem, sizeof pem);
        if (*key == NULL) {
            err = fail(error, ERR_CONFIG,
                       "%s: damaged, or not a readable Ed25519 key; restore it from a backup, or "
                       "move it away "
                       "to start as a new node",
                       path);
        }
    }
    close(fd);
    return err;
}

static bool write_all(int fd, const char *bytes, size_t len) {
    ssize_t written = write(fd, bytes, len); /* a few hundred bytes: whole or failed */
    return written >= 0 && (size_t)written == len && fsync(fd) == 0;
}

static enum err save_key(int dir, const char *path, EVP_PKEY *key, struct host_error *error) {
    BIO *bio = BIO_new(BIO_s_secmem());
    char id[NODE_ID_TEXT_BYTES];
    id_of(key, id);
    CHECK(bio != NULL && BIO_printf(bio, "%s%s\n", ID_LINE, id) > 0 &&
          PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    char *pem = NULL;
    long len = BIO_get_mem_data(bio, &pem);
    enum err err = OK;
    unlinkat(dir, KEY_FILE_NEW, 0); /* left by a crash: it was never in use */
    int fd = openat(dir, KEY_FILE_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || !write_all(fd, pem, (size_t)len) ||
        renameat2(dir, KEY_FILE_NEW, dir, KEY_FILE, RENAME_NOREPLACE) != 0 || fsync(dir) != 0) {
        err = fail_errno(error, path, "cannot be written");
        unlinkat(dir, KEY_FILE_NEW, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    BIO_free(bio);
    return err;
}

/* ---- Opening ---- */

static int open_folder(const char *state_dir, bool make, struct host_error *error) {
    if (make && mkdir(state_dir, 0700) != 0 && errno != EEXIST) {
        fail_errno(error, state_dir, "the state folder cannot be made");
        return -1;
    }
    int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        fail_errno(error, state_dir, "the state folder cannot be opened");
    }
    return dir;
}

struct identity *identity_open(const char *state_dir, enum identity_mode mode,
                               struct host_error *error) {
    bool may_make = mode == IDENTITY_LOAD_OR_MAKE;
    int dir = open_folder(state_dir, may_make, error);
    if (dir < 0) {
        return NULL;
    }
    char path[400];
    snprintf(path, sizeof path, "%s/%s", state_dir, KEY_FILE);
    EVP_PKEY *key = NULL;
    enum err err = load_key(dir, path, &key, error);
    if (err == ERR_NOT_FOUND && may_make && faccessat(dir, STORE_FILE, F_OK, 0) == 0) {
        err = fail(error, ERR_CONFIG,
                   "%s: the key is gone, but this folder was in use; restore it from a backup, or "
                   "move " STORE_FILE " away to start as a new node",
                   path);
    } else if (err == ERR_NOT_FOUND && may_make) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        CHECK(key != NULL);
        err = save_key(dir, path, key, error);
    }
    close(dir);
    if (err != OK) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return identity_of(key);
}

struct identity *identity_ephemeral(const uint8_t *seed) {
    EVP_PKEY *key = seed != NULL
                        ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, HASH_BYTES)
                        : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    CHECK(key != NULL);
    return identity_of(key);
}

void identity_free(struct identity *identity) {
    if (identity != NULL) {
        crypto_delete(identity->crypto);
        X509_free(identity->certificate);
        EVP_PKEY_free(identity->key);
        mem_free(identity);
    }
}

const struct node_id *identity_id(const struct identity *identity) {
    return &identity->id;
}

const struct crypto *identity_crypto(struct identity *identity) {
    return identity->crypto;
}

EVP_PKEY *identity_key(const struct identity *identity) {
    return identity->key;
}

X509 *identity_certificate(const struct identity *identity) {
    return identity->certificate;
}

int state_lock(const char *state_dir, struct host_error *error) {
    int dir = open_folder(state_dir, true, error);
    if (dir < 0) {
        return -1;
    }
    int fd = openat(dir, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    close(dir);
    if (fd < 0) {
        fail_errno(error, state_dir, "the lock file cannot be made");
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        fail(error, ERR_DUPLICATE,
             "%s: another node is running on this folder; stop it, or give this one a folder of "
             "its own",
             state_dir);
        close(fd);
        return -1;
    }
    return fd;
}
