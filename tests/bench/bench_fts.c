/* bench_fts.c - FTS5 as a peer for measurements. */
#include "tests/bench/bench_fts.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "tests/bench/bench.h"

struct fts {
    const struct corpus *corpus;
    sqlite3 *db;
    sqlite3_stmt *put_file, *put_words, *drop_words, *drop_file, *search, *filter;
};

static void run(struct fts *fts, const char *sql) {
    char *error = NULL;
    if (sqlite3_exec(fts->db, sql, NULL, NULL, &error) != SQLITE_OK) {
        bench_fail("sqlite: %s: %s", sql, error);
    }
}

static sqlite3_stmt *prepare(struct fts *fts, const char *sql) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(fts->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        bench_fail("sqlite: %s: %s", sql, sqlite3_errmsg(fts->db));
    }
    return statement;
}

static void step(struct fts *fts, sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) {
        bench_fail("sqlite: %s", sqlite3_errmsg(fts->db));
    }
    sqlite3_reset(statement);
}

struct fts *fts_new(const struct corpus *corpus, size_t rows) {
    struct fts *fts = mem_new(sizeof *fts);
    fts->corpus = corpus;
    if (sqlite3_open(":memory:", &fts->db) != SQLITE_OK) {
        bench_fail("sqlite cannot start");
    }
    run(fts, "create table files(id integer primary key, name text, root blob, size int, type int,"
             " leaf int)");
    run(fts, "create virtual table words using fts5(name, content='files', content_rowid='id',"
             " detail=none, columnsize=0)");
    fts->put_file = prepare(fts, "insert into files values(?1,?2,?3,?4,?5,?6)");
    fts->put_words = prepare(fts, "insert into words(rowid, name) values(?1,?2)");
    fts->drop_words = prepare(fts, "insert into words(words, rowid, name) values('delete',?1,?2)");
    fts->drop_file = prepare(fts, "delete from files where id=?1");
#define COLUMNS "select files.id, files.name, files.root, files.size, files.leaf from words"
#define JOIN " join files on files.id = words.rowid where words match ?1"
    fts->search = prepare(fts, COLUMNS JOIN " limit 50");
    fts->filter = prepare(fts, COLUMNS JOIN " and files.type = ?2 and files.size >= ?3"
                                            " and files.size <= ?4 limit 50");
    fts_add(fts, 0, rows);
    return fts;
}

void fts_free(struct fts *fts) {
    sqlite3_finalize(fts->put_file);
    sqlite3_finalize(fts->put_words);
    sqlite3_finalize(fts->drop_words);
    sqlite3_finalize(fts->drop_file);
    sqlite3_finalize(fts->search);
    sqlite3_finalize(fts->filter);
    sqlite3_close(fts->db);
    mem_free(fts);
}

void fts_optimise(struct fts *fts) {
    run(fts, "insert into words(words) values('optimize')");
}

static enum file_type type_of(const struct file_record *file) {
    return file_type_of(file_extension(file->name));
}

void fts_add(struct fts *fts, size_t first, size_t count) {
    run(fts, "begin");
    for (size_t row = first; row < first + count; row++) {
        struct file_record file = corpus_record(fts->corpus, row);
        const char *name = fts->corpus->rows[row].name;
        sqlite3_bind_int64(fts->put_file, 1, (sqlite3_int64)row + 1);
        sqlite3_bind_text(fts->put_file, 2, name, -1, SQLITE_STATIC);
        sqlite3_bind_blob(fts->put_file, 3, file.content.root.b, 32, SQLITE_STATIC);
        sqlite3_bind_int64(fts->put_file, 4, (sqlite3_int64)file.content.size);
        sqlite3_bind_int(fts->put_file, 5, (int)type_of(&file));
        sqlite3_bind_int(fts->put_file, 6, (int)fts->corpus->rows[row].peer);
        step(fts, fts->put_file);
        sqlite3_bind_int64(fts->put_words, 1, (sqlite3_int64)row + 1);
        sqlite3_bind_text(fts->put_words, 2, name, -1, SQLITE_STATIC);
        step(fts, fts->put_words);
    }
    run(fts, "commit");
}

void fts_remove(struct fts *fts, size_t first, size_t count) {
    run(fts, "begin");
    for (size_t row = first; row < first + count; row++) {
        sqlite3_bind_int64(fts->drop_words, 1, (sqlite3_int64)row + 1);
        sqlite3_bind_text(fts->drop_words, 2, fts->corpus->rows[row].name, -1, SQLITE_STATIC);
        step(fts, fts->drop_words);
        sqlite3_bind_int64(fts->drop_file, 1, (sqlite3_int64)row + 1);
        step(fts, fts->drop_file);
    }
    run(fts, "commit");
}

/* FTS5 wants every word quoted, or it takes some for operators. */
static void quote(const struct corpus_query *query, char quoted[512]) {
    size_t len = 0;
    quoted[len++] = '"';
    for (const char *at = query->text; *at != '\0'; at++) {
        if (*at == ' ') {
            memcpy(quoted + len, "\" \"", 3);
            len += 3;
        } else {
            quoted[len++] = *at;
        }
    }
    memcpy(quoted + len, "\"", 2);
}

uint32_t fts_search(struct fts *fts, const struct corpus_query *query, bool is_filtered) {
    sqlite3_stmt *statement = is_filtered ? fts->filter : fts->search;
    char quoted[512];
    quote(query, quoted);
    sqlite3_bind_text(statement, 1, quoted, -1, SQLITE_STATIC);
    if (is_filtered) {
        struct file_record file = corpus_record(fts->corpus, query->row);
        sqlite3_bind_int(statement, 2, (int)type_of(&file));
        sqlite3_bind_int64(statement, 3, (sqlite3_int64)(file.content.size / 2));
        sqlite3_bind_int64(statement, 4, (sqlite3_int64)(file.content.size * 2));
    }
    uint32_t rows = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) { /* fetched, as an answer needs it */
        (void)sqlite3_column_text(statement, 1);
        (void)sqlite3_column_blob(statement, 2);
        (void)sqlite3_column_int64(statement, 3);
        (void)sqlite3_column_int(statement, 4);
        rows++;
    }
    sqlite3_reset(statement);
    return rows;
}
