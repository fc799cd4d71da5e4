/* certfile.h - a supernode's certificate as a text file that people can send each other.
 *
 *     -----BEGIN TRUNKLINE CERTIFICATE-----
 *     <hexadecimal digits of the encoded certificate, 64 a line>
 *     = <first 8 hexadecimal digits of SHA-256 over the encoded certificate>
 *     -----END TRUNKLINE CERTIFICATE-----
 *
 * Lines before the first and after the last are ignored, so that a mail may be saved as it is. */
#ifndef TRUNKLINE_HOST_CERTFILE_H
#define TRUNKLINE_HOST_CERTFILE_H

#include "common/buf.h"
#include "common/wire.h"
#include "src/host/host.h"

#define CERTFILE_NAME "cert" /* in the supernode's state folder */

/* Append the text of an encoded certificate (at most CERT_BYTES_MAX bytes). */
void certfile_format(struct buf *out, struct slice cert);

/* Read the text; append the encoded certificate. Return ERR_FORMAT with a text for people when it
 * is no such text, ERR_MISMATCH when it was damaged on its way. */
MUST_CHECK enum err certfile_parse(struct slice text, struct buf *cert, struct host_error *error);

/* Append the encoded certificate of a file: ERR_NOT_FOUND, ERR_PERMISSION, ERR_IO, or as above. */
MUST_CHECK enum err certfile_load(const char *path, struct buf *cert, struct host_error *error);

/* Write a new file (0644), durable; one that is there is replaced in one step. */
MUST_CHECK enum err certfile_write(const char *path, struct slice cert, struct host_error *error);

#endif
