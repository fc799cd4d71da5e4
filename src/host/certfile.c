/* certfile.c - a supernode's certificate as a text file that people can send each other. */
#include "src/host/certfile.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "src/host/crypto.h"
#include "src/host/failure.h"
#include "src/host/textfile.h"

#define BEGIN "-----BEGIN TRUNKLINE CERTIFICATE-----"
#define END "-----END TRUNKLINE CERTIFICATE-----"
#define LINE_BYTES 32 /* 64 digits */
#define SUM_BYTES 4
#define CERTFILE_BYTES_MAX 65536 /* a saved mail around it may be long */

static void checksum(struct slice cert, uint8_t sum[SUM_BYTES]) {
    struct hash hash;
    crypto_hash(crypto_keyless(), cert, &hash);
    memcpy(sum, hash.b, SUM_BYTES);
}

void certfile_format(struct buf *out, struct slice cert) {
    char digits[2 * LINE_BYTES + 2];
    buf_append(out, BEGIN "\n", sizeof BEGIN);
    for (size_t at = 0; at < cert.len; at += LINE_BYTES) {
        size_t len = cert.len - at < LINE_BYTES ? cert.len - at : LINE_BYTES;
        hex_format(digits, cert.data + at, len);
        digits[2 * len] = '\n';
        buf_append(out, digits, 2 * len + 1);
    }
    uint8_t sum[SUM_BYTES];
    checksum(cert, sum);
    hex_format(digits, sum, SUM_BYTES);
    buf_append(out, "= ", 2);
    buf_append(out, digits, (size_t)2 * SUM_BYTES);
    buf_append(out, "\n" END "\n", sizeof END + 1);
}

/* The characters between the two lines without white space, or an empty buffer. */
static struct buf extract(struct slice text) {
    struct buf inner = {0};
    const uint8_t *end = text.data + text.len;
    const uint8_t *at = text.len == 0 ? NULL : memmem(text.data, text.len, BEGIN, strlen(BEGIN));
    if (at == NULL) {
        return inner;
    }
    at += strlen(BEGIN);
    const uint8_t *stop = memmem(at, (size_t)(end - at), END, strlen(END));
    for (; stop != NULL && at < stop; at++) {
        if (strchr(" \t\r\n", *at) == NULL) {
            buf_u8(&inner, *at);
        }
    }
    return inner;
}

/* Decode `digits=sum`; false when it has not that form or is too long. */
static bool decode(struct buf *inner, struct buf *cert, uint8_t sum[SUM_BYTES]) {
    buf_u8(inner, '\0');
    char *digits = (char *)inner->data;
    char *equal = strchr(digits, '=');
    if (equal == NULL || equal == digits || strlen(equal + 1) != (size_t)2 * SUM_BYTES) {
        return false;
    }
    *equal = '\0';
    size_t len = strlen(digits) / 2;
    if (len > CERT_BYTES_MAX || hex_parse(sum, SUM_BYTES, equal + 1) != OK) {
        return false;
    }
    uint8_t bytes[CERT_BYTES_MAX];
    if (hex_parse(bytes, len, digits) != OK) {
        return false;
    }
    buf_append(cert, bytes, len);
    return true;
}

enum err certfile_parse(struct slice text, struct buf *cert, struct host_error *error) {
    size_t before = cert->len;
    struct buf inner = extract(text);
    uint8_t sum[SUM_BYTES] = {0};
    uint8_t wanted[SUM_BYTES] = {0};
    bool ok = inner.len > 0 && decode(&inner, cert, sum);
    buf_free(&inner);
    if (!ok) {
        return fail(error, ERR_FORMAT,
                    "not a certificate; it begins with " BEGIN
                    " as `supernode certify` printed it");
    }
    struct slice bytes = {cert->data + before, cert->len - before};
    checksum(bytes, wanted);
    struct cert decoded;
    if (memcmp(sum, wanted, SUM_BYTES) != 0) {
        cert->len = before;
        return fail(error, ERR_MISMATCH, "the certificate was damaged on its way; copy it again");
    }
    if (wire_cert_decode(bytes, &decoded) != OK) {
        cert->len = before;
        return fail(error, ERR_FORMAT, "a certificate of another version; ask for a new one");
    }
    return OK;
}

enum err certfile_load(const char *path, struct buf *cert, struct host_error *error) {
    struct buf text = {0};
    enum err err = textfile_load(path, CERTFILE_BYTES_MAX, &text, error);
    if (err == OK) {
        struct host_error inner = {0};
        err = certfile_parse((struct slice){text.data, text.len}, cert, &inner);
        if (err != OK) {
            err = fail(error, err, "%.200s: %.300s", path, inner.text);
        }
    }
    buf_free(&text);
    return err;
}

enum err certfile_write(const char *path, struct slice cert, struct host_error *error) {
    struct buf text = {0};
    certfile_format(&text, cert);
    enum err err = textfile_replace(path, 0644, (struct slice){text.data, text.len}, error);
    buf_free(&text);
    return err;
}
