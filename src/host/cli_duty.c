/* cli_duty.c - `peer supernode` and `peer why`: to serve as a supernode, too, and who is chosen. */
#include "src/host/cli_duty.h"

#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/store.h"
#include "common/units.h"
#include "src/host/failure.h"
#include "src/host/identity.h"
#include "src/host/store_sqlite.h"
#include "src/host/terminal.h"

/* A call whose lines are printed as they come, or by `print`. */
struct printing {
    const struct cli *cli;
    void (*print)(const json_t *object, const char *kind);
};

static bool on_line(void *context, const json_t *object, const char *text) {
    const struct printing *printing = context;
    if (printing->cli->settings.json) {
        puts(text);
    } else {
        printing->print(object, client_text(object, "kind"));
    }
    return true;
}

static int call(struct cli *cli, const char *command, const struct command_arg *args,
                uint32_t count, void (*print)(const json_t *object, const char *kind)) {
    struct host_error error = {0};
    struct printing printing = {cli, print};
    struct client_call asked = {
        .command = command, .args = args, .count = count, .line = on_line, .context = &printing};
    return cli_call(cli, &asked, &error) == OK ? CLI_OK : cli_fail(cli, &error);
}

static const char *bytes_of(const json_t *object, const char *key, char text[UNITS_TEXT_BYTES]) {
    units_bytes(text, client_number(object, key));
    return text;
}

/* ---- consent and withdraw ---- */

static void print_consent(const json_t *object, const char *kind) {
    char rate[UNITS_TEXT_BYTES];
    char day[UNITS_TEXT_BYTES];
    (void)kind;
    printf("this peer would serve as a supernode, too: up to %s/s and %s a day\n",
           bytes_of(object, "rate", rate), bytes_of(object, "day_bytes", day));
    if (json_is_false(json_object_get(object, "reachable"))) {
        printf("but it does not listen (--dial-only), so that it cannot be measured nor chosen\n");
    }
}

static void print_withdrawn(const json_t *object, const char *kind) {
    (void)kind;
    printf("this peer no longer serves as a supernode%s\n",
           json_is_true(json_object_get(object, "draining"))
               ? "; the one it runs hands its peers over and ends"
               : "");
    if (json_is_true(json_object_get(object, "configured"))) {
        printf("until it is started again: --consent, or `consent` in its configuration file, "
               "asks for it\n");
    }
}

/* A line from the terminal; anything but yes is no. */
static bool ask(const struct settings *settings) {
    char rate[UNITS_TEXT_BYTES];
    char day[UNITS_TEXT_BYTES];
    char line[16];
    units_bytes(rate, settings->cap_rate > 0 ? settings->cap_rate : DUTY_RATE);
    units_bytes(day, settings->cap_bytes > 0 ? settings->cap_bytes : DUTY_DAY_BYTES);
    printf("The network may then choose this machine to run a supernode: it would index what up to "
           "a few\nhundred peers share and answer their searches, with up to %s/s and %s a day. "
           "Others\nmeasure its line first. `peer supernode withdraw` ends it at any time.\n"
           "Do you agree? [y/N] ",
           rate, day);
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

/* What it says there now, and then that and the consent. False when there is nothing to write to.
 */
static bool write_consent(const struct cli *cli, sqlite3 *db) {
    const struct settings *settings = &cli->settings;
    static const char get[] = "SELECT value FROM entries WHERE tab = ?1 AND key = CAST(?2 AS BLOB)";
    static const char set[] = "INSERT OR REPLACE INTO entries VALUES (?1, CAST(?2 AS BLOB), ?3)";
    sqlite3_stmt *statement = NULL;
    struct buf after = {0};
    struct slice before = {0};
    if (sqlite3_prepare_v2(db, get, -1, &statement, NULL) != SQLITE_OK) {
        return false;
    }
    sqlite3_bind_int(statement, 1, STORE_META);
    sqlite3_bind_text(statement, 2, cli->program->consent_key, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        before = (struct slice){sqlite3_column_blob(statement, 0),
                                (size_t)sqlite3_column_bytes(statement, 0)};
    }
    cli->program->consent_kept(before, settings->cap_rate, settings->cap_bytes, &after);
    sqlite3_finalize(statement);
    statement = NULL;
    bool is_good =
        sqlite3_prepare_v2(db, set, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_int(statement, 1, STORE_META) == SQLITE_OK &&
        sqlite3_bind_text(statement, 2, cli->program->consent_key, -1, SQLITE_STATIC) ==
            SQLITE_OK &&
        sqlite3_bind_blob(statement, 3, after.data, (int)after.len, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_DONE;
    sqlite3_finalize(statement);
    buf_free(&after);
    return is_good;
}

/* No peer runs, and none can start meanwhile: remember it for the next one. False when a peer runs,
 * or has never run here: it can be asked, or can say what is wrong. */
static bool consent_for_later(const struct cli *cli) {
    char path[PATH_MAX];
    struct host_error ignored = {0};
    sqlite3 *db = NULL;
    bool is_named = snprintf(path, sizeof path, "%s/" STORE_FILE, cli->dir) < (int)sizeof path;
    if (!is_named || access(path, R_OK | W_OK) != 0) {
        return false;
    }
    int lock = state_lock(cli->dir, &ignored);
    if (lock < 0) {
        return false;
    }
    bool is_written = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
                      write_consent(cli, db);
    sqlite3_close(db);
    close(lock);
    return is_written;
}

static int consent(struct cli *cli) {
    const struct settings *settings = &cli->settings;
    bool asks = !settings->yes && !settings->json && terminal_is(stdout) && isatty(0) == 1;
    if (asks && !ask(settings)) {
        printf("nothing was changed\n");
        return CLI_OK;
    }
    if (consent_for_later(cli)) {
        printf(settings->json ? "{\"kind\":\"supernode\",\"consents\":true,\"running\":false}\n"
                              : "this peer would serve as a supernode, too, from its next start "
                                "on\n");
        return CLI_OK;
    }
    char rate[32];
    char day[32];
    struct command_arg args[2];
    uint32_t count = 0;
    if (settings->cap_rate > 0) {
        snprintf(rate, sizeof rate, "%" PRIu64, settings->cap_rate);
        args[count++] = (struct command_arg){"rate", rate};
    }
    if (settings->cap_bytes > 0) {
        snprintf(day, sizeof day, "%" PRIu64, settings->cap_bytes);
        args[count++] = (struct command_arg){"bytes", day};
    }
    return call(cli, "supernode-consent", args, count, print_consent);
}

/* ---- status ---- */

static void print_today(const json_t *object) {
    char all[UNITS_TEXT_BYTES];
    char in[UNITS_TEXT_BYTES];
    char out[UNITS_TEXT_BYTES];
    char measured[UNITS_TEXT_BYTES];
    uint64_t cpu_ms = client_number(object, "today_cpu_ms");
    uint64_t leaf_s = client_number(object, "today_leaf_s");
    printf("%-18s %s of %s\n", "bytes today", bytes_of(object, "today_bytes", all),
           bytes_of(object, "day_bytes", in));
    printf("%-18s %s in, %s out\n", "  supernode", bytes_of(object, "today_in_bytes", in),
           bytes_of(object, "today_out_bytes", out));
    printf("%-18s %s in %" PRIu64 " measurements\n", "  being measured",
           bytes_of(object, "today_measured_bytes", measured),
           client_number(object, "today_measurements"));
    printf("%-18s %s at a time, %s in an epoch\n", "  at most",
           bytes_of(object, "measure_bytes_max", in),
           bytes_of(object, "measure_epoch_bytes_max", out));
    printf("%-18s %" PRIu64 ".%" PRIu64 " s\n", "processor today", cpu_ms / 1000,
           cpu_ms / 100 % 10);
    printf("%-18s %" PRIu64 " at a time, %" PRIu64 ".%" PRIu64 " peer hours\n", "helped today",
           client_number(object, "today_leaves_most"), leaf_s / 3600, leaf_s / 360 % 10);
    if (client_number(object, "today_failures") > 0) {
        printf("%-18s %" PRIu64 " times today; its log says why\n", "ended by itself",
               client_number(object, "today_failures"));
    }
}

static void print_status(const json_t *object, const char *kind) {
    char text[UNITS_TEXT_BYTES];
    char clean[128];
    (void)kind;
    terminal_clean(clean, sizeof clean, client_text(object, "state"), 0);
    printf("%-18s %s\n", "state", clean);
    if (json_object_get(object, "id") != NULL) {
        terminal_clean(clean, sizeof clean, client_text(object, "id"), 0);
        printf("%-18s %s\n", "supernode", clean);
    }
    if (json_object_get(object, "listens") != NULL) {
        terminal_clean(clean, sizeof clean, client_text(object, "listens"), 0);
        printf("%-18s %s, %" PRIu64 " leaves\n", "listens on", clean,
               client_number(object, "leaves"));
    }
    if (client_number(object, "certified_s") > 0) {
        units_duration(text, client_number(object, "certified_s"));
        printf("%-18s for %s more\n", "certified", text);
    }
    if (json_object_get(object, "rate") != NULL) {
        printf("%-18s %s/s\n", "gives up to", bytes_of(object, "rate", text));
        print_today(object);
    } else {
        printf("`peer supernode consent` would let the network choose this peer\n");
    }
}

int cli_duty(struct cli *cli) {
    const struct option_list *words = &cli->options.words;
    const char *verb = words->count > 0 ? words->values[0] : "status";
    struct host_error error = {0};
    if (strcmp(verb, "consent") == 0) {
        return consent(cli);
    }
    if (strcmp(verb, "withdraw") == 0) {
        return call(cli, "supernode-withdraw", NULL, 0, print_withdrawn);
    }
    if (strcmp(verb, "status") == 0) {
        return call(cli, "supernode-status", NULL, 0, print_status);
    }
    (void)fail(&error, ERR_CONFIG,
               "`peer supernode %.40s` is no command; consent, withdraw and status are", verb);
    return cli_fail(cli, &error);
}

/* ---- why ---- */

#define WHOLE_SCORE 1152921504606846976.0 /* 2^60 */
#define WHOLE_DRAW 281474976710656.0      /* 2^48 */

static void print_gates(const json_t *object) {
    static const struct {
        const char *key;
        const char *yes;
        const char *no;
    } rows[] = {
        {"member", "is a supernode now", "is no supernode now"},
        {"consent", "has said this epoch that it would serve",
         "has not said this epoch that it would serve"},
        {"dialled", "enough supernodes have reached and measured it",
         "too few supernodes have reached and measured it"},
        {"uptime", "has been there for long enough", "has not been there for long enough"},
        {"caps", "gives as much as the network asks for", "gives less than the network asks for"},
        {"honest", "nobody has proven a fraud of it", "a fraud of it is proven"},
        {"of_age", "its key is old enough", "its key is too young"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool holds = json_is_true(json_object_get(object, rows[i].key));
        printf("  %s %s\n", holds ? "yes" : "no ", holds ? rows[i].yes : rows[i].no);
    }
}

/* What a policy goes by: parts of all trust, or its own measure. */
static void print_score(const json_t *object) {
    const char *policy = client_text(object, "policy");
    uint64_t score = client_number(object, "score");
    char clean[64];
    terminal_clean(clean, sizeof clean, policy, 0);
    if (strcmp(policy, "reputation") == 0 || strcmp(policy, "eigentrust") == 0) {
        printf("score %.4f %% of all trust", (double)score * 100 / WHOLE_SCORE);
    } else {
        printf("score %" PRIu64 " by the policy `%s`", score, clean);
    }
    printf("; drew %.6f, a seat is below %.6f\n",
           (double)client_number(object, "draw") / WHOLE_DRAW,
           (double)client_number(object, "threshold") / WHOLE_DRAW);
}

static const char *verdict_of(const json_t *object) {
    const char *verdict = client_text(object, "verdict");
    bool is_member = json_is_true(json_object_get(object, "member"));
    if (strcmp(verdict, "kept") == 0) {
        return is_member ? "stays a supernode" : "is no supernode";
    }
    if (strcmp(verdict, "promoted") == 0) {
        return "becomes a supernode";
    }
    return strcmp(verdict, "demoted") == 0 ? "is to be a supernode no longer" : "is no candidate";
}

static void print_decision(const json_t *object) {
    char clean[512];
    char rate[UNITS_TEXT_BYTES];
    char seen[UNITS_TEXT_BYTES];
    terminal_clean(clean, sizeof clean, client_text(object, "id"), 0);
    printf("%s %s", clean, verdict_of(object));
    terminal_clean(clean, sizeof clean, client_text(object, "reason"), 0);
    printf("%s%s\n", clean[0] != '\0' ? ": " : "", clean);
    if (client_number(object, "epoch") == 0 ||
        strcmp(client_text(object, "verdict"), "unknown") == 0) {
        return;
    }
    printf("epoch %" PRIu64 ": %" PRIu64 " supernodes, %" PRIu64 " wanted\n",
           client_number(object, "epoch"), client_number(object, "members"),
           client_number(object, "wanted"));
    print_gates(object);
    print_score(object);
    units_duration(seen, client_number(object, "witnessed_s"));
    printf("measured at %s/s, seen for %s\n", bytes_of(object, "rate", rate), seen);
    printf("receipts of peers at %" PRIu64
           " addresses suggest measuring it; no part of the score\n",
           client_number(object, "receipts"));
}

static void print_why(const json_t *object, const char *kind) {
    char clean[128];
    char bytes[UNITS_TEXT_BYTES];
    if (strcmp(kind, "decision") == 0) {
        print_decision(object);
        return;
    }
    terminal_clean(clean, sizeof clean, client_text(object, "issuer"), 0);
    printf("  %s measured %s in epoch %" PRIu64 "\n", clean, bytes_of(object, "bytes", bytes),
           client_number(object, "epoch"));
}

int cli_why(struct cli *cli) {
    const struct option_list *words = &cli->options.words;
    struct command_arg id = {"id", words->count > 0 ? words->values[0] : ""};
    return call(cli, "why", &id, words->count > 0 ? 1 : 0, print_why);
}
