/* hashcache.c - remembers the hashes of shared files, so that nothing is hashed twice. */
#include "src/host/hashcache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "common/wire.h"
#include "src/host/sqlite_file.h"

#define VERSION 3
#define SCHEMA                                                                                     \
    "CREATE TABLE hashes (path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, "  \
    "ctime INTEGER NOT NULL, inode INTEGER NOT NULL, root BLOB NOT NULL, pieces BLOB NOT NULL) "   \
    "WITHOUT ROWID;"                                                                               \
    "CREATE INDEX inodes ON hashes (inode, mtime, size);"                                          \
    "CREATE TABLE described (root BLOB PRIMARY KEY, size INTEGER NOT NULL, by INTEGER NOT NULL, "  \
    "meta BLOB NOT NULL) WITHOUT ROWID"

struct hashcache {
    sqlite3 *db;
    sqlite3_stmt *get;
    sqlite3_stmt *get_moved;
    sqlite3_stmt *put;
    sqlite3_stmt *remove;
    sqlite3_stmt *described;
    sqlite3_stmt *describe;
};

static bool prepare(struct hashcache *cache) {
    return sqlite3_prepare_v2(cache->db,
                              "SELECT size, mtime, ctime, inode, root, pieces FROM hashes "
                              "WHERE path = ?1",
                              -1, &cache->get, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(cache->db,
                              "SELECT size, mtime, ctime, inode, root, pieces, path FROM hashes "
                              "WHERE inode = ?1 AND mtime = ?2 AND size = ?3 LIMIT 8",
                              -1, &cache->get_moved, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(cache->db,
                              "INSERT OR REPLACE INTO hashes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                              -1, &cache->put, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(cache->db, "DELETE FROM hashes WHERE path = ?1", -1, &cache->remove,
                              NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(cache->db,
                              "SELECT by, meta FROM described WHERE root = ?1 AND size = ?2", -1,
                              &cache->described, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(cache->db, "INSERT OR REPLACE INTO described VALUES (?1, ?2, ?3, ?4)",
                              -1, &cache->describe, NULL) == SQLITE_OK;
}

struct hashcache *hashcache_open(const char *state_dir, const struct log *log) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", state_dir, HASHCACHE_FILE);
    struct host_error error;
    sqlite3 *db = sqlite_file_open(path, SCHEMA, VERSION, log, &error);
    if (db == NULL) {
        log_warn(log, "hashcache.missing reason=\"%s\"", error.text);
        return NULL;
    }
    struct hashcache *cache = mem_new(sizeof *cache);
    cache->db = db;
    if (!prepare(cache)) {
        hashcache_close(cache);
        return NULL;
    }
    return cache;
}

void hashcache_close(struct hashcache *cache) {
    if (cache != NULL) {
        sqlite3_finalize(cache->get);
        sqlite3_finalize(cache->get_moved);
        sqlite3_finalize(cache->put);
        sqlite3_finalize(cache->remove);
        sqlite3_finalize(cache->described);
        sqlite3_finalize(cache->describe);
        sqlite3_close(cache->db);
        mem_free(cache);
    }
}

static void execute(struct hashcache *cache, const char *sql) {
    if (cache != NULL) { /* a cache that cannot be written costs time, nothing else */
        sqlite3_exec(cache->db, sql, NULL, NULL, NULL);
    }
}

void hashcache_begin(struct hashcache *cache) {
    execute(cache, "BEGIN");
}

void hashcache_commit(struct hashcache *cache) {
    execute(cache, "COMMIT");
}

static void bind_path(sqlite3_stmt *statement, const char *path) {
    sqlite3_bind_blob(statement, 1, path, (int)strlen(path), SQLITE_STATIC);
}

static bool same_file(sqlite3_stmt *row, const struct stamp *stamp) {
    return (uint64_t)sqlite3_column_int64(row, 0) == stamp->size &&
           (uint64_t)sqlite3_column_int64(row, 1) == stamp->mtime_ns &&
           (uint64_t)sqlite3_column_int64(row, 2) == stamp->ctime_ns &&
           (uint64_t)sqlite3_column_int64(row, 3) == stamp->inode;
}

static bool read_row(sqlite3_stmt *row, uint64_t size, struct content_id *content,
                     struct hash **pieces) {
    uint32_t count = hashtree_pieces(size);
    size_t wanted = count > 1 ? count * sizeof **pieces : 0;
    const void *root = sqlite3_column_blob(row, 4);
    bool is_whole = sqlite3_column_bytes(row, 4) == HASH_BYTES;
    const void *hashes = sqlite3_column_blob(row, 5);
    if (!is_whole || (size_t)sqlite3_column_bytes(row, 5) != wanted) {
        return false;
    }
    memcpy(content->root.b, root, HASH_BYTES);
    content->size = size;
    *pieces = wanted > 0 ? mem_copy(hashes, wanted) : NULL;
    return true;
}

bool hashcache_get(struct hashcache *cache, const char *path, const struct stamp *stamp,
                   struct content_id *content, struct hash **pieces) {
    if (cache == NULL) {
        return false;
    }
    bind_path(cache->get, path);
    bool is_known = sqlite3_step(cache->get) == SQLITE_ROW && same_file(cache->get, stamp) &&
                    read_row(cache->get, stamp->size, content, pieces);
    sqlite3_reset(cache->get);
    return is_known;
}

/* True when the path of a row leads to another file now, or to none. */
static bool has_left(sqlite3_stmt *row, const struct stamp *stamp) {
    char path[4096];
    int len = sqlite3_column_bytes(row, 6);
    if (len <= 0 || (size_t)len >= sizeof path) {
        return false;
    }
    memcpy(path, sqlite3_column_blob(row, 6), (size_t)len);
    path[len] = '\0';
    struct stat stat;
    return lstat(path, &stat) != 0 ? errno == ENOENT || errno == ENOTDIR
                                   : stat.st_ino != stamp->inode;
}

bool hashcache_take_moved(struct hashcache *cache, const struct stamp *stamp,
                          struct content_id *content, struct hash **pieces) {
    if (cache == NULL) {
        return false;
    }
    sqlite3_stmt *rows = cache->get_moved;
    sqlite3_bind_int64(rows, 1, (sqlite3_int64)stamp->inode);
    sqlite3_bind_int64(rows, 2, (sqlite3_int64)stamp->mtime_ns);
    sqlite3_bind_int64(rows, 3, (sqlite3_int64)stamp->size);
    char *left = NULL;
    while (left == NULL && sqlite3_step(rows) == SQLITE_ROW) {
        if (has_left(rows, stamp) && read_row(rows, stamp->size, content, pieces)) {
            size_t len = (size_t)sqlite3_column_bytes(rows, 6);
            left = mem_new(len + 1); /* zeroed: terminated */
            memcpy(left, sqlite3_column_blob(rows, 6), len);
        }
    }
    sqlite3_reset(rows);
    bool is_moved = left != NULL;
    if (is_moved) {
        hashcache_remove(cache, left);
        mem_free(left);
    }
    return is_moved;
}

void hashcache_put(struct hashcache *cache, const char *path, const struct stamp *stamp,
                   const struct content_id *content, const struct hash *pieces) {
    if (cache == NULL) {
        return;
    }
    uint32_t count = hashtree_pieces(content->size);
    size_t bytes = count > 1 ? count * sizeof *pieces : 0;
    bind_path(cache->put, path);
    sqlite3_bind_int64(cache->put, 2, (sqlite3_int64)stamp->size);
    sqlite3_bind_int64(cache->put, 3, (sqlite3_int64)stamp->mtime_ns);
    sqlite3_bind_int64(cache->put, 4, (sqlite3_int64)stamp->ctime_ns);
    sqlite3_bind_int64(cache->put, 5, (sqlite3_int64)stamp->inode);
    sqlite3_bind_blob(cache->put, 6, content->root.b, HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob64(cache->put, 7, bytes > 0 ? (const void *)pieces : "", bytes, SQLITE_STATIC);
    sqlite3_step(cache->put);
    sqlite3_reset(cache->put);
    sqlite3_clear_bindings(cache->put);
}

static void bind_content(sqlite3_stmt *statement, const struct content_id *content) {
    sqlite3_bind_blob(statement, 1, content->root.b, HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)content->size);
}

uint32_t hashcache_described(struct hashcache *cache, const struct content_id *content,
                             struct buf *meta) {
    uint32_t by = 0;
    if (cache != NULL) {
        bind_content(cache->described, content);
        if (sqlite3_step(cache->described) == SQLITE_ROW) {
            const void *bytes = sqlite3_column_blob(cache->described, 1);
            int len = sqlite3_column_bytes(cache->described, 1);
            struct slice value = {bytes, len > 0 ? (size_t)len : 0};
            bool is_ok = value.len <= FILE_META_MAX && wire_tlvs_check(value) == OK;
            by = is_ok ? (uint32_t)sqlite3_column_int64(cache->described, 0) : 0;
            buf_append(meta, value.data, is_ok ? value.len : 0);
        }
        sqlite3_reset(cache->described);
    }
    return by;
}

void hashcache_describe(struct hashcache *cache, const struct content_id *content,
                        struct slice meta, uint32_t by) {
    if (cache != NULL) {
        bind_content(cache->describe, content);
        sqlite3_bind_int64(cache->describe, 3, by);
        sqlite3_bind_blob64(cache->describe, 4, meta.len > 0 ? (const void *)meta.data : "",
                            meta.len, SQLITE_STATIC);
        sqlite3_step(cache->describe);
        sqlite3_reset(cache->describe);
        sqlite3_clear_bindings(cache->describe);
    }
}

void hashcache_remove(struct hashcache *cache, const char *path) {
    if (cache != NULL) {
        bind_path(cache->remove, path);
        sqlite3_step(cache->remove);
        sqlite3_reset(cache->remove);
    }
}
