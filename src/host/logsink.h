/* logsink.h - where log lines go: standard error or a file of bounded size, at a bounded rate. */
#ifndef TRUNKLINE_HOST_LOGSINK_H
#define TRUNKLINE_HOST_LOGSINK_H

#include "common/log.h"
#include "src/host/host.h"

struct log_sink;

#define LOG_FILE_BYTES (16 * 1024 * 1024) /* then it becomes FILE.1, and that FILE.2 */
#define LOG_FILES 3
#define LOG_TROUBLE_PER_S 10 /* warnings and errors; more are counted, not written */

/* `path` NULL = standard error. NULL with *error set when the file cannot be opened. */
struct log_sink *log_sink_new(const char *path, struct host_error *error);
/* The log to hand to nodes: write it from any thread. */
struct log log_sink_log(struct log_sink *sink, enum log_level level);
void log_sink_free(struct log_sink *sink);

#endif
