/* log.h - one stable fact per line, handed to whoever drives the node. */
#ifndef TRUNKLINE_COMMON_LOG_H
#define TRUNKLINE_COMMON_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Injected by the driver. Lines above `level` are not even formatted. */
struct log {
    enum log_level level;
    void (*write)(void *context, enum log_level level, const char *line);
    void *context;
};

/* Write `event key=value ...`. The format holds only our own words and numbers, never bytes of
 * a stranger. A line is cut at 400 bytes. NULL as log is silent. */
void log_line(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(log, ...) log_line(log, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(log, ...) log_line(log, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(log, ...) log_line(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_line(log, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
