/* filter.c - which files of a shared folder are shared. */
#include "src/host/filter.h"

#include <fnmatch.h>
#include <string.h>

#include "common/mem.h"
#include "common/units.h"
#include "src/host/failure.h"

struct filter {
    char *text;
    char *lines; /* the same, cut up */
    const char *only[FILTER_LINES_MAX];
    const char *exclude[FILTER_LINES_MAX];
    uint32_t only_count;
    uint32_t exclude_count;
    uint64_t min;
    uint64_t max;
    bool has_private;
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

static enum err take_rule(struct filter *filter, const char *key, const char *value,
                          struct host_error *error) {
    if (strcmp(key, "only") == 0 || strcmp(key, "exclude") == 0) {
        if (filter->only_count + filter->exclude_count == FILTER_LINES_MAX) {
            return fail(error, ERR_LIMIT, "more than %d patterns for one folder", FILTER_LINES_MAX);
        }
        if (key[0] == 'o') {
            filter->only[filter->only_count++] = value;
        } else {
            filter->exclude[filter->exclude_count++] = value;
        }
        return OK;
    }
    bool is_min = strcmp(key, "min") == 0;
    if (is_min || strcmp(key, "max") == 0) {
        return units_parse_bytes(value, is_min ? &filter->min : &filter->max) == OK
                   ? OK
                   : fail(error, ERR_CONFIG, "`%.40s` is no size; write such as 100K or 2G", value);
    }
    filter->has_private = strcmp(key, "private") == 0 && strcmp(value, "yes") == 0;
    return filter->has_private
               ? OK
               : fail(error, ERR_CONFIG,
                      "`%.40s %.40s` is no rule; there are only, exclude, min, max and private yes",
                      key, value);
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
    if (err == OK && filter->min > filter->max) {
        err = fail(error, ERR_CONFIG, "no file is at least min and at most max bytes long");
    }
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
