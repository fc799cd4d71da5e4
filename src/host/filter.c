/* filter.c - which files of a shared folder are shared. */
#include "src/host/filter.h"

#include <fnmatch.h>
#include <string.h>

#include "common/mem.h"
#include "common/names.h"
#include "common/units.h"
#include "src/host/failure.h"

struct filter {
    char *text;
    char *lines; /* the same, cut up */
    const char *only[FILTER_LINES_MAX];
    const char *exclude[FILTER_LINES_MAX];
    struct {
        const char *path;
        const char *name;
    } aliases[FILTER_LINES_MAX];
    const char *label;
    uint32_t only_count;
    uint32_t exclude_count;
    uint32_t alias_count;
    uint64_t min;
    uint64_t max;
    bool has_private;
    bool is_locked;
    uint32_t reader_count;
    struct node_id readers[SHARE_READERS_MAX];
};

/* Files of keys, passwords, wallets, mail and browsers. */
static const char *const private_files[] = {
    "id_rsa*",    "id_dsa*",        "id_ecdsa*",       "id_ed25519*",     "*.pem",
    "*.key",      "*.ppk",          "*.pfx",           "*.p12",           "*.jks",
    "*.keystore", "*.kdb",          "*.kdbx",          "*.keychain",      "*.keychain-db",
    "secring.*",  "*.gpg",          "*.ovpn",          "*.psafe3",        "*.1pif",
    "*.opvault",  "wallet.dat",     "*.wallet",        "*.pst",           "*.ost",
    "*.mbox",     "*.mbx",          "*.dbx",           "*.eml",           "*.emlx",
    "*.msf",      "logins.json",    "key[34].db",      "cookies.sqlite*", "places.sqlite*",
    "login data", "*password*.txt", "*password*.csv",  "*password*.xls*", "credentials*",
    "*.keytab",   "*.kwallet",      "*.agilekeychain", "ntuser.dat*",     "*.rdp",
};

static const char *const private_folders[] = {
    "maildir",   "mail",    "mailboxes", "thunderbird", "evolution",      "outlook*",
    "keychains", "wallets", "passwords", "private",     "password-store", "appdata",
};

static bool is_any(const char *const *patterns, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (fnmatch(patterns[i], name, FNM_CASEFOLD) == 0) {
            return true;
        }
    }
    return false;
}

static const char *last_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool is_private_folder(const char *name) {
    return is_any(private_folders, sizeof private_folders / sizeof *private_folders, name);
}

bool filter_is_private(const char *real) {
    char *copy = mem_string(real), *rest = copy;
    bool found = false;
    for (char *name; (name = strsep(&rest, "/")) != NULL;) {
        found = found || (name[0] != '\0' && is_private_folder(name));
    }
    mem_free(copy);
    return found;
}

/* ---- Reading ---- */

static enum err take_reader(struct filter *filter, const char *value, struct host_error *error) {
    if (filter->reader_count == SHARE_READERS_MAX) {
        return fail(error, ERR_LIMIT, "more than %d nodes for one folder", SHARE_READERS_MAX);
    }
    return node_id_parse(&filter->readers[filter->reader_count++], value) == OK
               ? OK
               : fail(error, ERR_CONFIG,
                      "`%.70s` is no node id; `peer status` shows there its own, as `id`", value);
}

/* Others see the name as it is given here, or it is refused. */
static enum err check_alias(const char *name, struct host_error *error) {
    char safe[NAMES_DISK_MAX + 1];
    names_sanitise((struct slice){(const uint8_t *)name, strlen(name)}, safe);
    return strcmp(name, safe) == 0
               ? OK
               : fail(error, ERR_CONFIG,
                      "`%.250s` cannot be the name of a file everywhere; `%s` can", name, safe);
}

/* "PATH=NAME", in the filter's own memory. */
static enum err take_alias(struct filter *filter, char *value, struct host_error *error) {
    char *name = strrchr(value, '=');
    if (name == NULL || name == value || value[0] == '/') {
        return fail(error, ERR_CONFIG,
                    "`%.250s` is no alias; write PATH=NAME, the path from the shared folder on",
                    value);
    }
    *name++ = '\0';
    filter->aliases[filter->alias_count].path = value;
    filter->aliases[filter->alias_count++].name = name;
    return check_alias(name, error);
}

/* The rules of which there may be several. */
static enum err take_listed(struct filter *filter, const char *key, char *value,
                            struct host_error *error) {
    if (filter->only_count + filter->exclude_count + filter->alias_count == FILTER_LINES_MAX) {
        return fail(error, ERR_LIMIT, "more than %d patterns and aliases for one folder",
                    FILTER_LINES_MAX);
    }
    if (key[0] == 'a') {
        return take_alias(filter, value, error);
    }
    if (key[0] == 'o') {
        filter->only[filter->only_count++] = value;
    } else {
        filter->exclude[filter->exclude_count++] = value;
    }
    return OK;
}

static enum err take_rule(struct filter *filter, const char *key, char *value,
                          struct host_error *error) {
    if (strcmp(key, "only") == 0 || strcmp(key, "exclude") == 0 || strcmp(key, "alias") == 0) {
        return take_listed(filter, key, value, error);
    }
    if (strcmp(key, "as") == 0) {
        filter->label = value;
        return check_alias(value, error);
    }
    if (strcmp(key, "for") == 0) {
        return take_reader(filter, value, error);
    }
    bool is_min = strcmp(key, "min") == 0;
    if (is_min || strcmp(key, "max") == 0) {
        return units_parse_bytes(value, is_min ? &filter->min : &filter->max) == OK
                   ? OK
                   : fail(error, ERR_CONFIG, "`%.40s` is no size; write such as 100K or 2G", value);
    }
    bool *flag = strcmp(key, "private") == 0  ? &filter->has_private
                 : strcmp(key, "locked") == 0 ? &filter->is_locked
                                              : NULL;
    if (flag == NULL || strcmp(value, "yes") != 0) {
        return fail(error, ERR_CONFIG,
                    "`%.40s %.40s` is no rule; there are only, exclude, min, max, as, alias, for, "
                    "locked yes and private yes",
                    key, value);
    }
    *flag = true;
    return OK;
}

static enum err check_rules(const struct filter *filter, struct host_error *error) {
    if (filter->min > filter->max) {
        return fail(error, ERR_CONFIG, "no file is at least min and at most max bytes long");
    }
    return filter->is_locked && filter->reader_count == 0
               ? fail(error, ERR_CONFIG,
                      "locked for whom? name with --for those who may fetch the files")
               : OK;
}

struct filter *filter_new(const char *text, struct host_error *error) {
    struct filter *filter = mem_new(sizeof *filter);
    *filter = (struct filter){.text = mem_string(text == NULL ? "" : text), .max = UINT64_MAX};
    filter->lines = mem_string(filter->text);
    char *rest = filter->lines;
    enum err err = OK;
    if (strlen(filter->text) > FILTER_BYTES_MAX) {
        err = fail(error, ERR_LIMIT, "the rules of one folder have at most %d bytes",
                   FILTER_BYTES_MAX);
    }
    for (char *line; err == OK && (line = strsep(&rest, "\n")) != NULL;) {
        char *value = strchr(line, ' ');
        if (line[0] == '\0') {
            continue;
        }
        if (value == NULL || value[1] == '\0') {
            err = fail(error, ERR_CONFIG, "`%.60s` is no rule: its value is missing", line);
        } else {
            *value++ = '\0';
            err = take_rule(filter, line, value, error);
        }
    }
    err = err != OK ? err : check_rules(filter, error);
    if (err != OK) {
        filter_free(filter);
        return NULL;
    }
    return filter;
}

void filter_free(struct filter *filter) {
    if (filter != NULL) {
        mem_free(filter->text);
        mem_free(filter->lines);
        mem_free(filter);
    }
}

bool filter_lets_private(const struct filter *filter) {
    return filter->has_private;
}

const char *filter_label(const struct filter *filter) {
    return filter->label;
}

const char *filter_alias(const struct filter *filter, const char *path) {
    for (uint32_t i = 0; i < filter->alias_count; i++) {
        if (strcmp(filter->aliases[i].path, path) == 0) {
            return filter->aliases[i].name;
        }
    }
    return NULL;
}

uint32_t filter_readers(const struct filter *filter, const struct node_id **ids) {
    *ids = filter->readers;
    return filter->reader_count;
}

bool filter_is_locked(const struct filter *filter) {
    return filter->is_locked;
}

uint32_t filter_closeness(const struct filter *filter) {
    return filter->reader_count == 0 ? 0 : filter->is_locked ? 1 : 2;
}

const char *filter_text(const struct filter *filter) {
    return filter->text;
}

/* ---- Judging ---- */

static bool matches(const char *pattern, const char *path) {
    const char *subject = strchr(pattern, '/') != NULL ? path : last_of(path);
    return fnmatch(pattern, subject, FNM_CASEFOLD) == 0;
}

static bool matches_one(const char *const *patterns, uint32_t count, const char *path) {
    for (uint32_t i = 0; i < count; i++) {
        if (matches(patterns[i], path)) {
            return true;
        }
    }
    return false;
}

enum filter_verdict filter_file(const struct filter *filter, const char *path, uint64_t size) {
    if (!filter->has_private &&
        is_any(private_files, sizeof private_files / sizeof *private_files, last_of(path))) {
        return FILTER_PRIVATE;
    }
    bool is_out = size < filter->min || size > filter->max ||
                  matches_one(filter->exclude, filter->exclude_count, path) ||
                  (filter->only_count > 0 && !matches_one(filter->only, filter->only_count, path));
    return is_out ? FILTER_OUT : FILTER_IN;
}

enum filter_verdict filter_folder(const struct filter *filter, const char *path) {
    if (!filter->has_private && is_private_folder(last_of(path))) {
        return FILTER_PRIVATE;
    }
    return matches_one(filter->exclude, filter->exclude_count, path) ? FILTER_OUT : FILTER_IN;
}
