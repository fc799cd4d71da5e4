/* sqlite_file.c - opens a SQLite file; a damaged one does not keep the node from starting.
 *
 * Everything in these files can be learned again, so that a damaged one must not keep a node from
 * starting (Syncthing's users suffered years of crash loops): it is kept for a person to look at,
 * and a new one begun. A disk that is full or refuses is no damage: then the file stays where it is
 * and the node says what to do, since what was being fetched stands in it. */
#include "src/host/sqlite_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "src/host/failure.h"

#define PATH_BYTES 4096
#define BUSY_MS 2000

static bool execute(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* A pragma's first answer equals the text. */
static bool answers(sqlite3 *db, const char *sql, const char *wanted) {
    sqlite3_stmt *statement = NULL;
    bool is_so = false;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        is_so = text != NULL && sqlite3_stricmp(text, wanted) == 0;
    }
    sqlite3_finalize(statement);
    return is_so;
}

static bool is_empty(sqlite3 *db) {
    return answers(db, "SELECT count(*) FROM sqlite_schema", "0");
}

static bool make_tables(sqlite3 *db, const char *schema, int version) {
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", version);
    return execute(db, "BEGIN IMMEDIATE") && execute(db, schema) && execute(db, pragma) &&
           execute(db, "COMMIT");
}

/* What SQLite says went wrong, or `otherwise` when it only gave another answer than wanted. */
static int reason_of(sqlite3 *db, int otherwise) {
    int code = sqlite3_errcode(db);
    return code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE ? otherwise : code;
}

/* SQLITE_OK, or why the database cannot be used; SQLITE_CORRUPT also for one of another version. */
static int prepare(sqlite3 *db, const char *schema, int version) {
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%d", version);
    if (sqlite3_busy_timeout(db, BUSY_MS) != SQLITE_OK ||
        !answers(db, "PRAGMA journal_mode = WAL", "wal") ||
        !execute(db, "PRAGMA synchronous = NORMAL") ||
        (is_empty(db) && !make_tables(db, schema, version))) {
        return reason_of(db, SQLITE_CANTOPEN);
    }
    bool is_whole =
        answers(db, "PRAGMA user_version", wanted) && answers(db, "PRAGMA quick_check(1)", "ok");
    return is_whole ? SQLITE_OK : reason_of(db, SQLITE_CORRUPT);
}

/* NULL with the reason in *code. */
static sqlite3 *try_open(const char *path, const char *schema, int version, int *code) {
    sqlite3 *db = NULL;
    *code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (*code == SQLITE_OK) {
        *code = prepare(db, schema, version);
    }
    if (*code != SQLITE_OK) {
        sqlite3_close(db);
        return NULL;
    }
    chmod(path, 0600);
    return db;
}

/* Out of the way, with its write-ahead log. */
static void move_aside(const char *path, const struct log *log) {
    static const char *const endings[] = {"", "-wal", "-shm"};
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    long long now = (long long)time(NULL);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        snprintf(from, sizeof from, "%s%s", path, endings[i]);
        snprintf(to, sizeof to, "%s.bad-%lld%s", path, now, endings[i]);
        (void)rename(from, to);
    }
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    log_warn(log, "sqlite.damaged file=%s kept_as=%s.bad-%lld action=made_anew", name, name, now);
}

sqlite3 *sqlite_file_open(const char *path, const char *schema, int version, const struct log *log,
                          struct host_error *error) {
    int code = SQLITE_OK;
    sqlite3 *db = try_open(path, schema, version, &code);
    if (db == NULL && (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)) {
        move_aside(path, log);
        db = try_open(path, schema, version, &code);
    }
    if (db == NULL) {
        fail(error, code == SQLITE_FULL ? ERR_NO_SPACE : ERR_IO,
             "%.300s: the database cannot be opened: %s; check owner, mode and free space", path,
             sqlite3_errstr(code));
    }
    return db;
}
