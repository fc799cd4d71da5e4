/* sqlite_file.c - opens a SQLite file that may be damaged without ever refusing to start.
 *
 * Everything in these files can be learned again, so that a damaged one must not keep a node from
 * starting (Syncthing's users suffered years of crash loops): it is kept for a person to look at,
 * and a new one begun. */
#include "src/host/sqlite_file.h"

#include <stdio.h>
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

static sqlite3 *try_open(const char *path, const char *schema, int version) {
    sqlite3 *db = NULL;
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%d", version);
    bool ok =
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(db, BUSY_MS) == SQLITE_OK &&
        answers(db, "PRAGMA journal_mode = WAL", "wal") &&
        execute(db, "PRAGMA synchronous = NORMAL") &&
        (!is_empty(db) || make_tables(db, schema, version)) &&
        answers(db, "PRAGMA user_version", wanted) && answers(db, "PRAGMA quick_check(1)", "ok");
    if (!ok) {
        sqlite3_close(db);
        return NULL;
    }
    chmod(path, 0600);
    return db;
}

/* Out of the way, with its write-ahead log. */
static void move_aside(const char *path) {
    static const char *const endings[] = {"", "-wal", "-shm"};
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    long long now = (long long)time(NULL);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        snprintf(from, sizeof from, "%s%s", path, endings[i]);
        snprintf(to, sizeof to, "%s.bad-%lld%s", path, now, endings[i]);
        (void)rename(from, to);
    }
}

sqlite3 *sqlite_file_open(const char *path, const char *schema, int version, const struct log *log,
                          struct host_error *error) {
    sqlite3 *db = try_open(path, schema, version);
    if (db == NULL && access(path, F_OK) == 0) {
        move_aside(path);
        log_warn(log, "sqlite.damaged action=moved_aside_and_made_anew");
        db = try_open(path, schema, version);
    }
    if (db == NULL) {
        fail(error, ERR_IO, "%.400s: the database cannot be made; check owner, mode and free space",
             path);
    }
    return db;
}
