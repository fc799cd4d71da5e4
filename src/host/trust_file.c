/* trust_file.c - the evidence of promotion that a supernode has written down, read from outside. */
#include "src/host/trust_file.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "common/store.h"
#include "common/trust.h"
#include "src/host/store_sqlite.h"

void trust_file_each(const char *dir, trust_file_fn *each, void *context) {
    static const char all[] = "SELECT key, value FROM entries WHERE tab = ?1 ORDER BY key";
    char path[PATH_MAX];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    bool is_named = snprintf(path, sizeof path, "%s/" STORE_FILE, dir) < (int)sizeof path;
    if (is_named && access(path, R_OK) == 0 &&
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, all, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_int(statement, 1, STORE_TRUST) == SQLITE_OK) {
        while (sqlite3_step(statement) == SQLITE_ROW) {
            const uint8_t *key = sqlite3_column_blob(statement, 0);
            struct slice value = {sqlite3_column_blob(statement, 1),
                                  (size_t)sqlite3_column_bytes(statement, 1)};
            uint8_t type = sqlite3_column_bytes(statement, 0) > 0 ? trust_type(key[0]) : 0;
            if (type != 0) {
                each(context, type, value);
            }
        }
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
}
