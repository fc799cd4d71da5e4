/* store_sqlite.c - the store that survives: tables in memory, written to SQLite by a worker.
 *
 * Reads are answered by a memory store that is loaded at the start. Writes go to it and to a list;
 * one job at a time takes the whole list into one transaction, so that the slower the disk, the
 * larger the groups. A group that somebody waits for is committed with synchronous = FULL. */
#include "src/host/store_sqlite.h"

#include <sqlite3.h>
#include <stdio.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/sqlite_file.h"

#define VERSION 1
#define BACKLOG_MAX 16384 /* writes kept while the disk refuses them */
#define SCHEMA                                                                                     \
    "CREATE TABLE entries (tab INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, "         \
    "PRIMARY KEY (tab, key)) WITHOUT ROWID"

enum kind { WRITE_PUT, WRITE_REMOVE, WRITE_SYNC };

struct write {
    struct write *next;
    enum kind kind;
    enum store_table table;
    uint64_t token;
    size_t key_len;
    size_t value_len;
    uint8_t bytes[]; /* key, then value */
};

struct sqlite_store {
    struct store store; /* first: struct store is what callers hold */
    struct store *memory;
    struct store_sqlite_config config;
    sqlite3 *db; /* the job's, while one is out */
    sqlite3_stmt *put;
    sqlite3_stmt *remove;
    struct write *first;
    struct write *last;
    struct write *writing; /* in the job that is out */
    bool is_durable;       /* the connection commits with synchronous = FULL */
    bool has_failed;       /* said once, until it works again */
    struct strand strand;
};

struct write_job {
    struct job job;
    struct sqlite_store *store;
    bool ok;
};

static struct sqlite_store *upcast(struct store *store) {
    return (struct sqlite_store *)store;
}

/* ---- On the worker ---- */

static bool put_entry(struct sqlite_store *store, const struct write *write) {
    sqlite3_stmt *statement = write->kind == WRITE_PUT ? store->put : store->remove;
    sqlite3_bind_int(statement, 1, (int)write->table);
    sqlite3_bind_blob(statement, 2, write->bytes, (int)write->key_len, SQLITE_STATIC);
    if (write->kind == WRITE_PUT) {
        sqlite3_bind_blob(statement, 3, write->bytes + write->key_len, (int)write->value_len,
                          SQLITE_STATIC);
    }
    bool ok = sqlite3_step(statement) == SQLITE_DONE;
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return ok;
}

static bool execute(struct sqlite_store *store, const char *sql) {
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Somebody waits for the disk: then the commit must reach it. */
static void choose_durability(struct sqlite_store *store, const struct write *writes) {
    bool is_wanted = false;
    for (; writes != NULL; writes = writes->next) {
        is_wanted = is_wanted || writes->kind == WRITE_SYNC;
    }
    if (is_wanted != store->is_durable) {
        store->is_durable =
            execute(store, is_wanted ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
                ? is_wanted
                : store->is_durable;
    }
}

static bool commit(struct sqlite_store *store, const struct write *writes) {
    choose_durability(store, writes);
    bool ok = execute(store, "BEGIN IMMEDIATE");
    for (; writes != NULL && ok; writes = writes->next) {
        ok = writes->kind == WRITE_SYNC || put_entry(store, writes);
    }
    ok = ok && execute(store, "COMMIT");
    if (!ok && sqlite3_get_autocommit(store->db) == 0) {
        execute(store, "ROLLBACK");
    }
    return ok;
}

static void run(struct job *base) {
    struct write_job *job = (struct write_job *)base;
    job->ok = commit(job->store, job->store->writing);
}

/* ---- On the loop ---- */

static void start_writing(struct sqlite_store *store);

static void free_writes(struct sqlite_store *store, struct write *writes, bool tell) {
    while (writes != NULL) {
        struct write *next = writes->next;
        if (tell && writes->kind == WRITE_SYNC && store->config.synced != NULL) {
            store->config.synced(store->config.context, writes->token);
        }
        mem_free(writes);
        writes = next;
    }
}

/* A full disk must not stop the node: it goes on from memory, nothing is confirmed, and the same
 * writes are tried again with the next one. */
static void put_back(struct sqlite_store *store, struct write *writes) {
    struct write *last = writes;
    uint32_t count = 1;
    for (; last->next != NULL; last = last->next) {
        count++;
    }
    last->next = store->first;
    store->first = writes;
    store->last = store->last != NULL ? store->last : last;
    if (!store->has_failed) {
        log_error(store->config.log, "store.failed reason=\"%s\"", sqlite3_errmsg(store->db));
    }
    store->has_failed = true;
    while (count-- > BACKLOG_MAX) { /* what is oldest is overwritten soonest */
        struct write *oldest = store->first;
        store->first = oldest->next;
        mem_free(oldest);
    }
}

static void done(struct job *base) {
    struct write_job *job = (struct write_job *)base;
    struct sqlite_store *store = job->store;
    struct write *writes = store->writing;
    store->writing = NULL;
    if (job->ok) {
        store->has_failed = false;
        free_writes(store, writes, true);
        start_writing(store);
    } else {
        put_back(store, writes);
    }
    mem_free(job);
}

static void start_writing(struct sqlite_store *store) {
    if (store->first == NULL || store->writing != NULL) {
        return;
    }
    store->writing = store->first;
    store->first = NULL;
    store->last = NULL;
    struct write_job *job = mem_new(sizeof *job);
    job->job = (struct job){.run = run, .done = done, .strand = &store->strand};
    job->store = store;
    workers_submit(store->config.workers, &job->job);
}

static struct write *add_write(struct sqlite_store *store, enum kind kind, size_t bytes) {
    struct write *write = mem_new(sizeof *write + bytes);
    write->kind = kind;
    if (store->last != NULL) {
        store->last->next = write;
    } else {
        store->first = write;
    }
    store->last = write;
    return write;
}

static void queue_entry(struct sqlite_store *store, const struct write *row, struct slice key,
                        struct slice value) {
    struct write *write = add_write(store, row->kind, key.len + value.len);
    write->table = row->table;
    write->key_len = key.len;
    write->value_len = value.len;
    struct buf into = {.data = write->bytes, .cap = key.len + value.len};
    buf_append(&into, key.data, key.len);
    buf_append(&into, value.data, value.len);
    start_writing(store);
}

static bool sqlite_get(struct store *store, enum store_table table, struct slice key,
                       struct slice *value) {
    return store_get(upcast(store)->memory, table, key, value);
}

static void sqlite_put(struct store *base, enum store_table table, struct slice key,
                       struct slice value) {
    struct sqlite_store *store = upcast(base);
    /* Before memory changes: key and value may be borrowed from there. */
    queue_entry(store, &(struct write){.kind = WRITE_PUT, .table = table}, key, value);
    store_put(store->memory, table, key, value);
}

static void sqlite_remove(struct store *base, enum store_table table, struct slice key) {
    struct sqlite_store *store = upcast(base);
    queue_entry(store, &(struct write){.kind = WRITE_REMOVE, .table = table}, key,
                (struct slice){0});
    store_remove(store->memory, table, key);
}

static bool sqlite_next(struct store *store, enum store_table table, struct slice after,
                        struct slice *key, struct slice *value) {
    return store_next(upcast(store)->memory, table, after, key, value);
}

static void sqlite_sync(struct store *base, uint64_t token) {
    struct sqlite_store *store = upcast(base);
    struct write *write = add_write(store, WRITE_SYNC, 0);
    write->token = token;
    start_writing(store);
}

static void sqlite_free(struct store *base) {
    struct sqlite_store *store = upcast(base);
    CHECK(store->writing == NULL);
    if (store->first != NULL && !commit(store, store->first)) {
        log_error(store->config.log, "store.failed_at_end reason=\"%s\"",
                  sqlite3_errmsg(store->db));
    }
    free_writes(store, store->first, false);
    sqlite3_finalize(store->put);
    sqlite3_finalize(store->remove);
    sqlite3_close(store->db);
    store_free(store->memory);
    mem_free(store);
}

/* ---- Opening ---- */

static struct slice column(sqlite3_stmt *statement, int place) {
    const void *bytes = sqlite3_column_blob(statement, place);
    return (struct slice){bytes, (size_t)sqlite3_column_bytes(statement, place)};
}

/* Rows that no version of ours wrote are skipped: a stranger's file must not reach a CHECK. */
static bool load(struct sqlite_store *store) {
    sqlite3_stmt *statement = NULL;
    int code =
        sqlite3_prepare_v2(store->db, "SELECT tab, key, value FROM entries", -1, &statement, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t table = sqlite3_column_int64(statement, 0);
        struct slice key = column(statement, 1);
        struct slice value = column(statement, 2);
        if (table >= 0 && table < STORE_TABLES && key.len >= 1 && key.len <= STORE_KEY_MAX &&
            value.len <= STORE_VALUE_MAX) {
            store_put(store->memory, (enum store_table)table, key, value);
        }
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE;
}

static bool prepare(struct sqlite_store *store) {
    return load(store) &&
           sqlite3_prepare_v2(store->db, "INSERT OR REPLACE INTO entries VALUES (?1, ?2, ?3)", -1,
                              &store->put, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(store->db, "DELETE FROM entries WHERE tab = ?1 AND key = ?2", -1,
                              &store->remove, NULL) == SQLITE_OK;
}

struct store *store_sqlite_open(const struct store_sqlite_config *config,
                                struct host_error *error) {
    static const struct store_ops ops = {
        .get = sqlite_get,
        .put = sqlite_put,
        .remove = sqlite_remove,
        .next = sqlite_next,
        .sync = sqlite_sync,
        .free = sqlite_free,
    };
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", config->state_dir, STORE_FILE);
    sqlite3 *db = sqlite_file_open(path, SCHEMA, VERSION, config->log, error);
    if (db == NULL) {
        return NULL;
    }
    struct sqlite_store *store = mem_new(sizeof *store);
    store->store.ops = &ops;
    store->config = *config;
    store->memory = store_memory_new(NULL, NULL);
    store->db = db;
    if (!prepare(store)) {
        error->err = ERR_IO;
        snprintf(error->text, sizeof error->text,
                 "%.400s: the database cannot be read; move it away", path);
        sqlite_free(&store->store);
        return NULL;
    }
    return &store->store;
}
