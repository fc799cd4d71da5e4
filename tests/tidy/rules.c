/* rules.c - what each kind of file must and must not have, as tables. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/tidy/tidy.h"

/* Who may include whom. The longest folder that a path begins with decides. */
static const struct edge {
    const char *from;
    const char *to[8];
} edges[] = {
    {"common/", {"common/"}},
    {"peer/", {"common/", "peer/"}},
    {"supernode/", {"common/", "supernode/"}},
    {"src/host/", {"common/", "src/host/", "src/extract/protocol.h"}},
    {"src/extract/", {"common/", "src/extract/"}},
    {"src/sim/", {"common/", "src/sim/"}},
    {"src/cluster/", {"common/", "src/cluster/"}},
    {"src/lab/", {"common/", "peer/", "supernode/", "src/sim/", "src/cluster/", "src/lab/"}},
    {"src/fleet/", {"common/", "peer/", "supernode/", "src/host/", "src/cluster/", "src/fleet/"}},
    {"src/peer_main.c", {"common/", "peer/", "src/host/"}},
    {"src/supernode_main.c", {"common/", "supernode/", "src/host/"}},
    {"src/extract_main.c", {"common/", "src/extract/"}},
    {"src/lab_main.c", {"common/", "src/lab/", "src/fleet/"}},
    {"tests/", {"common/", "peer/", "supernode/", "src/", "tests/"}},
};

/* The folders that decide and never act, and all the system headers they may have. */
static const char *const pure_folders[] = {"common/", "peer/", "supernode/"};
static const char *const pure_headers[] = {"inttypes.h", "limits.h", "stdarg.h",  "stdbool.h",
                                           "stddef.h",   "stdint.h", "stdio.h",   "stdlib.h",
                                           "string.h",   "zlib.h",   "utf8proc.h"};

/* Split here so that this file does not hold them. */
static const char *const forbidden_words[] = {"TO"
                                              "DO",
                                              "FIX"
                                              "ME",
                                              "XX"
                                              "X"};

/* Ways of libevent 2.1 and OpenSSL 3 that look right and are not, each seen to fail. */
static const struct pitfall {
    const char *name;
    const char *why;
} pitfalls[] = {
    {"bufferevent_ssl_renegotiate", "TLS 1.3 has no such thing; it fires CONNECTED again"},
    {"bufferevent_openssl_filter_new", "recurses without end with deferred callbacks"},
    {"bufferevent_openssl_set_allow_dirty_shutdown", "has no effect with OpenSSL 3"},
    {"bufferevent_set_rate_limit", "counts bytes of TLS, not ours"},
    {"SSL_read_early_data", "early data can be replayed"},
    {"SSL_set_tlsext_host_name", "a name in the clear; a node is known by its key"},
};

static const char *const role_words[] = {"PEER", "SUPERNODE", "LEAF", "ROLE"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool begins_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends_with(const char *text, const char *suffix) {
    size_t len = strlen(text), wanted = strlen(suffix);
    return len >= wanted && strcmp(text + len - wanted, suffix) == 0;
}

static bool begins_with_any(const char *text, const char *const *prefixes, size_t count) {
    for (size_t i = 0; i < count && prefixes[i] != NULL; i++) {
        if (begins_with(text, prefixes[i])) {
            return true;
        }
    }
    return false;
}

static const struct edge *edge_of(const char *path) {
    const struct edge *best = NULL;
    for (size_t i = 0; i < COUNT(edges); i++) {
        if (begins_with(path, edges[i].from) &&
            (best == NULL || strlen(edges[i].from) > strlen(best->from))) {
            best = &edges[i];
        }
    }
    return best;
}

static void check_quoted(const struct source *source, size_t line, const char *name,
                         struct faults *faults) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", source->root, name);
    if (strchr(name, '/') == NULL || strstr(name, "..") != NULL || access(path, F_OK) != 0) {
        fault_add(faults, "%s:%zu: relative: \"%s\" is not a path from the root", source->path,
                  line, name);
        return;
    }
    const struct edge *edge = edge_of(source->path);
    if (edge == NULL || !begins_with_any(name, edge->to, COUNT(edge->to))) {
        fault_add(faults, "%s:%zu: edge: may not include \"%s\"", source->path, line, name);
    }
}

static void check_system(const struct source *source, size_t line, const char *name,
                         struct faults *faults) {
    if (!begins_with_any(source->path, pure_folders, COUNT(pure_folders))) {
        return;
    }
    for (size_t i = 0; i < COUNT(pure_headers); i++) {
        if (strcmp(name, pure_headers[i]) == 0) {
            return;
        }
    }
    fault_add(faults, "%s:%zu: purity: <%s> has no place in logic", source->path, line, name);
}

static void check_include(const struct source *source, size_t line, const char *rest,
                          struct faults *faults) {
    char name[1024];
    char kind = '\0';
    if (sscanf(rest, " %c%1000[^\">]", &kind, name) == 2 && (kind == '"' || kind == '<')) {
        (kind == '"' ? check_quoted : check_system)(source, line, name, faults);
    }
}

/* `#ifndef ..._H` is an include guard; any other condition that names a role is a shortcut. */
static void check_condition(const struct source *source, size_t line, const char *rest,
                            struct faults *faults) {
    bool guard = begins_with(rest, "ndef") && ends_with(rest, "_H");
    for (size_t i = 0; !guard && i < COUNT(role_words); i++) {
        if (strstr(rest, role_words[i]) != NULL) {
            fault_add(faults, "%s:%zu: role: code that depends on %s", source->path, line,
                      role_words[i]);
            return;
        }
    }
}

static void check_directive(const struct source *source, size_t line, const char *text,
                            struct faults *faults) {
    static const struct {
        const char *word;
        void (*check)(const struct source *, size_t, const char *, struct faults *);
    } rows[] = {{"include", check_include}, {"if", check_condition}, {"elif", check_condition}};
    while (*text == ' ' || *text == '#') {
        text++;
    }
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (begins_with(text, rows[i].word)) {
            rows[i].check(source, line, text + strlen(rows[i].word), faults);
        }
    }
}

static bool is_word(const char *line, const char *at, size_t len) {
    return (at == line || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[len]);
}

static void check_words(const struct source *source, size_t number, const char *line,
                        struct faults *faults) {
    for (size_t i = 0; i < COUNT(forbidden_words); i++) {
        const char *at = strstr(line, forbidden_words[i]);
        if (at != NULL && is_word(line, at, strlen(forbidden_words[i]))) {
            fault_add(faults, "%s:%zu: word: %s", source->path, number, forbidden_words[i]);
        }
    }
}

static char *copy_line(const char *from, size_t len) {
    char *line = mem_new(len + 1);
    memcpy(line, from, len);
    return line;
}

/* The rules that look at one line. Return the number of lines. */
static size_t check_lines(const struct source *source, struct faults *faults) {
    const char *all = source->prose != NULL ? source->prose : source->text;
    size_t number = 0, at = 0;
    while (all[at] != '\0') {
        size_t len = strcspn(all + at, "\n");
        char *words = copy_line(all + at, len), *line = copy_line(source->text + at, len);
        number++;
        check_words(source, number, words, faults);
        if (source->code != NULL && line[strspn(line, " \t")] == '#') {
            check_directive(source, number, line, faults);
        }
        mem_free(line);
        mem_free(words);
        at += len + (all[at + len] == '\n');
    }
    return number;
}

static void check_first_line(const struct source *source, struct faults *faults) {
    char wanted[300];
    const char *slash = strrchr(source->path, '/');
    snprintf(wanted, sizeof wanted, "/* %s - ", slash == NULL ? source->path : slash + 1);
    if (!begins_with(source->text, wanted)) {
        fault_add(faults, "%s:1: purpose: the first line must begin with `%s`", source->path,
                  wanted);
    }
}

/* A type of functions may be named; a struct, enum or union is called what it is. */
static void check_typedef(const struct source *source, struct faults *faults) {
    static const char *const hidden[] = {"typedef struct", "typedef enum", "typedef union"};
    for (size_t i = 0; i < COUNT(hidden); i++) {
        const char *at = source->code;
        while ((at = strstr(at, hidden[i])) != NULL) {
            if (at[strcspn(at, "({;")] != '(') {
                fault_add(faults, "%s:%zu: typedef: say struct, enum or union where it is used",
                          source->path, scan_line(source->code, at));
            }
            at++;
        }
    }
}

static bool is_identifier(const char *text, const char *at, size_t len) {
    bool begins = at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_');
    return begins && !isalnum((unsigned char)at[len]) && at[len] != '_';
}

static void check_pitfalls(const struct source *source, struct faults *faults) {
    for (size_t i = 0; i < COUNT(pitfalls); i++) {
        size_t len = strlen(pitfalls[i].name);
        for (const char *at = source->code; (at = strstr(at, pitfalls[i].name)) != NULL; at++) {
            if (is_identifier(source->code, at, len)) {
                fault_add(faults, "%s:%zu: pitfall: %s: %s", source->path,
                          scan_line(source->code, at), pitfalls[i].name, pitfalls[i].why);
            }
        }
    }
    /* A high mark on input stalls or spins (what SSL has read is not told again). */
    for (const char *at = source->code; (at = strstr(at, "bufferevent_setwatermark")) != NULL;
         at++) {
        const char *read = strstr(at, "EV_READ");
        if (read != NULL && read < at + strcspn(at, ";{")) {
            fault_add(faults, "%s:%zu: pitfall: a watermark on input", source->path,
                      scan_line(source->code, at));
        }
    }
}

/* A header with includes and nothing else but its guard only hides who needs what. */
static void check_umbrella(const struct source *source, struct faults *faults) {
    size_t defines = 0;
    for (const char *at = source->text; (at = strstr(at, "\n#define")) != NULL; at++) {
        defines++;
    }
    if (ends_with(source->path, ".h") && strstr(source->text, "\n#include") != NULL &&
        defines <= 1 && source->code[strspn(source->code, " \t\n")] == '\0') {
        fault_add(faults, "%s:1: umbrella: a header that only includes others", source->path);
    }
}

void rules_check(const struct source *source, struct faults *faults) {
    size_t lines = check_lines(source, faults);
    for (size_t i = 0; i < COUNT(pure_folders); i++) {
        if (begins_with(source->path, pure_folders[i]) &&
            strcmp(source->path + strlen(pure_folders[i]), "README.md") == 0) {
            listing_check(source, faults);
        }
    }
    if (source->code == NULL) {
        return;
    }
    if (lines > FILE_LINES_MAX) {
        fault_add(faults, "%s:1: file: %zu lines, at most %d", source->path, lines, FILE_LINES_MAX);
    }
    check_first_line(source, faults);
    check_typedef(source, faults);
    check_umbrella(source, faults);
    check_pitfalls(source, faults);
    scan_functions(source, faults);
}
