/* cli.c - from the command line to a command: programs, their commands, help and errors. */
#include "src/host/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/host/control_json.h"
#include "src/host/failure.h"
#include "src/host/nodeconfig.h"
#include "src/host/places.h"
#include "src/host/terminal.h"

#define COMMON (SETTING(HELP) | SETTING(JSON) | SETTING(DIR) | SETTING(CONFIG))
#define COMMANDS_MAX 32
#define COMMAND_COLUMN 37 /* `share [list|add FOLDER|remove FOLDER]` fits */
#define STOP_WAIT_S 20    /* host_run needs at most 10 */

/* ---- Help ---- */

static void print_commands(const struct cli_program *program, FILE *to) {
    fprintf(to, "%s - %s\n\nUsage: %s COMMAND [OPTIONS]\n\nCommands:\n", program->name,
            program->help, program->name);
    for (uint32_t i = 0; i < program->count; i++) {
        const struct cli_command *command = &program->commands[i];
        char left[64];
        snprintf(left, sizeof left, "%s %s", command->name, command->words);
        fprintf(to, "  %-*s %s\n", COMMAND_COLUMN, left, command->help);
    }
    fprintf(to,
            "\n`%s COMMAND --help` tells more; `%s --version` the version. Exit codes: 0 done, "
            "1 failed, 2 wrong usage.\n",
            program->name, program->name);
}

static void print_command(const struct cli *cli) {
    const struct cli_command *command = cli->command;
    printf("%s %s - %s\n\nUsage: %s %s [OPTIONS] %s\n", cli->program->name, command->name,
           command->help, cli->program->name, command->name, command->words);
    if (command->more != NULL) {
        printf("\n%s\n", command->more);
    }
    printf("\nOptions:\n");
    options_help(&cli->options, stdout);
}

static const struct cli_command *find_command(const struct cli_program *program, const char *name) {
    for (uint32_t i = 0; i < program->count; i++) {
        if (strcmp(program->commands[i].name, name) == 0) {
            return &program->commands[i];
        }
    }
    return NULL;
}

static int unknown_command(const struct cli_program *program, const char *name) {
    const char *names[COMMANDS_MAX];
    uint32_t count = program->count < COMMANDS_MAX ? program->count : COMMANDS_MAX;
    char clean[64];
    for (uint32_t i = 0; i < count; i++) {
        names[i] = program->commands[i].name;
    }
    terminal_clean(clean, sizeof clean, name, 40);
    if (name[0] == '-') {
        fprintf(stderr, "%s: `%s` comes before the command; write `%s COMMAND [OPTIONS]`\n",
                program->name, clean, program->name);
        return CLI_USAGE;
    }
    const char *nearest = options_nearest(name, names, count);
    fprintf(stderr,
            nearest != NULL ? "%s: unknown command `%s`; did you mean `%s`?\n"
                            : "%s: unknown command `%s`; `%s --help` lists them\n",
            program->name, clean, nearest != NULL ? nearest : program->name);
    return CLI_USAGE;
}

/* ---- Errors ---- */

int cli_fail(const struct cli *cli, const struct host_error *error) {
    char text[2 * sizeof error->text];
    terminal_clean(text, sizeof text, error->text, 0);
    fprintf(stderr, "%s: %s\n", cli->program->name, text);
    if (cli->settings.json) {
        struct buf line = {0};
        control_json_error(&line, error->err, error->text);
        fwrite(line.data, 1, line.len, stdout);
        buf_free(&line);
    }
    return error->err == ERR_CONFIG ? CLI_USAGE : CLI_FAILED;
}

/* ---- Reading what was given ---- */

static enum err check_words(const struct cli *cli, struct host_error *error) {
    const struct cli_command *command = cli->command;
    uint32_t count = cli->options.words.count;
    if (count < command->words_min) {
        return fail(error, ERR_CONFIG, "`%s` needs %s; `%s %s --help` tells more", command->name,
                    command->words, cli->program->name, command->name);
    }
    if (count > command->words_max) {
        return fail(error, ERR_CONFIG, "`%s` does not know what to do with `%.60s`; `%s %s --help`",
                    command->name, cli->options.words.values[command->words_max],
                    cli->program->name, command->name);
    }
    return OK;
}

/* The configuration file: one that was named must exist, the default one may be missing. */
static enum err read_config(struct cli *cli, struct host_error *error) {
    char path[PATH_MAX];
    if (cli->settings.config != NULL) {
        return nodeconfig_load(cli->settings.config, cli->program->name, &cli->options, error);
    }
    if (places_config(cli->program->name, path, error) != OK) {
        return OK; /* without a home folder there is no default file either */
    }
    enum err err = nodeconfig_load(path, cli->program->name, &cli->options, error);
    return err == ERR_NOT_FOUND ? OK : err;
}

/* Absolute, so that messages and sockets mean the same wherever they are read. */
static enum err choose_dir(struct cli *cli, struct host_error *error) {
    const char *dir = cli->settings.dir;
    char here[PATH_MAX];
    if (dir == NULL) {
        return places_state(cli->program->name, cli->dir, error);
    }
    int len = -1;
    if (dir[0] == '/') {
        len = snprintf(cli->dir, sizeof cli->dir, "%s", dir);
    } else if (getcwd(here, sizeof here) != NULL) {
        len = snprintf(cli->dir, sizeof cli->dir, "%s/%s", here, dir);
    }
    return len > 0 && (size_t)len < sizeof cli->dir
               ? OK
               : fail(error, ERR_CONFIG, "%.300s: the path is too long", dir);
}

static enum err read_all(struct cli *cli, int argc, char *const *argv, struct host_error *error) {
    enum err err = options_parse(&cli->options, argc, argv, error);
    if (err != OK || cli->settings.help) {
        return err;
    }
    err = check_words(cli, error);
    err = err != OK ? err : read_config(cli, error);
    return err != OK ? err : choose_dir(cli, error);
}

static int run_command(struct cli *cli, int argc, char *const *argv) {
    struct host_error error = {0};
    enum err err = read_all(cli, argc, argv, &error);
    if (err != OK) {
        return cli_fail(cli, &error);
    }
    if (cli->settings.help) {
        print_command(cli);
        return CLI_OK;
    }
    return cli->command->run(cli);
}

static bool is_help(const char *name) {
    return strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0;
}

static bool is_version(const char *name) {
    return strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0;
}

static int start_command(const struct cli_program *program, bool help, int argc,
                         char *const *argv) {
    const struct cli_command *command = find_command(program, argv[0]);
    if (command == NULL) {
        return unknown_command(program, argv[0]);
    }
    struct cli cli = {.program = program, .command = command};
    cli.options = (struct options){.rows = settings_rows,
                                   .row_count = SETTINGS,
                                   .accepted = command->accepted | COMMON,
                                   .values = &cli.settings,
                                   .dash_words = command->dash_words};
    int code = CLI_OK;
    if (help) {
        print_command(&cli);
    } else {
        code = run_command(&cli, argc - 1, argv + 1);
    }
    options_free(&cli.options);
    return code;
}

static int dispatch(const struct cli_program *program, int argc, char *const *argv) {
    const char *name = argc > 1 ? argv[1] : "";
    bool help = is_help(name);
    if (is_version(name)) {
        printf("%s (trunkline) " TRUNKLINE_VERSION "\n", program->name);
        return CLI_OK;
    }
    if (argc < 2 || (help && argc == 2)) {
        print_commands(program, help ? stdout : stderr);
        return help ? CLI_OK : CLI_USAGE;
    }
    int skip = help ? 2 : 1;
    return start_command(program, help, argc - skip, argv + skip);
}

/* Where a standard stream is closed, a socket or the database would get its number, and whatever is
 * printed would go there. */
static void open_standard_streams(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

int cli_main(const struct cli_program *program, int argc, char *const *argv) {
    open_standard_streams();
    int code = dispatch(program, argc, argv);
    if (fflush(stdout) != 0 && code == CLI_OK) {
        fprintf(stderr, "%s: standard output: %s\n", program->name, strerror(errno));
        code = CLI_FAILED;
    }
    return code;
}

/* ---- Commands of both programs ---- */

enum err cli_call(struct cli *cli, struct client_call *call, struct host_error *error) {
    call->program = cli->program->name;
    call->state_dir = cli->dir;
    return client_run(call, error);
}

int cli_stop(struct cli *cli) {
    struct host_error error = {0};
    if (client_stop(cli->program->name, cli->dir, STOP_WAIT_S, &error) != OK) {
        return cli_fail(cli, &error);
    }
    printf(cli->settings.json ? "{\"kind\":\"stopped\"}\n" : "stopped\n");
    return CLI_OK;
}
