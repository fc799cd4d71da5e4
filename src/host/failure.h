/* failure.h - fills a host_error: what went wrong and the remedy, in one sentence for people. */
#ifndef TRUNKLINE_HOST_FAILURE_H
#define TRUNKLINE_HOST_FAILURE_H

#include "src/host/host.h"

/* Set *error (NULL is fine) and return err. */
enum err fail(struct host_error *error, enum err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "subject: what: <errno's text>; <remedy>" with the code of failure_of(errno). */
enum err fail_errno(struct host_error *error, const char *subject, const char *what);

/* What an errno of files and sockets means to a node. */
enum err failure_of(int number);

#endif
