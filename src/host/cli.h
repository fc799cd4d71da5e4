/* cli.h - from the command line to a command: programs, their commands, help and errors. */
#ifndef TRUNKLINE_HOST_CLI_H
#define TRUNKLINE_HOST_CLI_H

#include <limits.h>

#include "src/host/client.h"
#include "src/host/settings.h"

#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 2

struct cli;

struct cli_command {
    const char *name;
    const char *words; /* for the help: "WORDS..." or "" */
    const char *help;  /* one line */
    const char *more;  /* paragraphs for `COMMAND --help`; NULL = none */
    uint64_t accepted; /* SETTING bits beside help, json, dir and config */
    uint32_t words_min;
    uint32_t words_max;
    bool dash_words; /* `-word` is a word of it */
    int (*run)(struct cli *cli);
};

struct cli_program {
    const char *name; /* "peer"; also the section of its configuration file */
    const char *help;
    const struct cli_command *commands;
    uint32_t count;
    /* A peer's: where its consent to serve is kept in STORE_META, and what is to stand there. */
    const char *consent_key;
    void (*consent_kept)(struct slice before, uint64_t rate, uint64_t day_bytes, struct buf *after);
};

/* What a command works with. */
struct cli {
    const struct cli_program *program;
    const struct cli_command *command;
    struct options options;   /* .words are the command's words */
    struct settings settings; /* from the command line, then from the configuration file */
    char dir[PATH_MAX];       /* the state folder */
};

/* Find the command, read options and configuration, run it. Return the exit code: 0, 1 after a
 * failure, 2 when the command was not given properly. */
int cli_main(const struct cli_program *program, int argc, char *const *argv);

/* Print what went wrong to standard error (with --json also as a line to standard output) and
 * return CLI_FAILED, or CLI_USAGE for ERR_CONFIG. */
int cli_fail(const struct cli *cli, const struct host_error *error);

/* Send a command to the program that runs in the state folder. */
MUST_CHECK enum err cli_call(struct cli *cli, struct client_call *call, struct host_error *error);

/* Commands of both programs. */
int cli_stop(struct cli *cli);
int cli_status(struct cli *cli);

#endif
