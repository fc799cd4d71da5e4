/* scan.c - reads C just well enough to know code from comments and where functions are. */
#include <ctype.h>
#include <string.h>

#include "common/mem.h"
#include "tests/tidy/tidy.h"

enum place { CODE, LINE_COMMENT, COMMENT, STRING, CHARACTER, DIRECTIVE };

/* One step of the scanner at *at: the next place. Skips what an escape hides. */
static enum place next_place(enum place place, const char *text, const char **at) {
    const char *p = *at;
    switch (place) {
    case CODE:
    case DIRECTIVE:
        if (p[0] == '/' && (p[1] == '*' || p[1] == '/')) {
            *at += 1;
            return p[1] == '*' ? COMMENT : LINE_COMMENT;
        }
        if (place == DIRECTIVE) {
            return p[0] == '\n' && p > text && p[-1] != '\\' ? CODE : DIRECTIVE;
        }
        return p[0] == '"' ? STRING : p[0] == '\'' ? CHARACTER : CODE;
    case LINE_COMMENT:
        return p[0] == '\n' ? CODE : LINE_COMMENT;
    case COMMENT:
        if (p[0] == '*' && p[1] == '/') {
            *at += 1;
            return CODE;
        }
        return COMMENT;
    case STRING:
    case CHARACTER:
        if (p[0] == '\\' && p[1] != '\0') {
            *at += 1;
            return place;
        }
        return p[0] == (place == STRING ? '"' : '\'') || p[0] == '\n' ? CODE : place;
    }
    return CODE;
}

/* True for a '#' that is the first thing on its line. */
static bool begins_directive(const char *text, const char *at) {
    if (*at != '#') {
        return false;
    }
    while (at > text && (at[-1] == ' ' || at[-1] == '\t')) {
        at--;
    }
    return at == text || at[-1] == '\n';
}

/* What blanking leaves: code alone, or all but literals. */
static bool is_kept(enum place before, enum place after, bool comments) {
    bool literal = before == STRING || before == CHARACTER || after == STRING || after == CHARACTER;
    return comments ? !literal : before == CODE && after == CODE;
}

static char *blank(const char *text, bool comments) {
    char *code = mem_string(text);
    enum place place = CODE;
    for (const char *p = text; *p != '\0'; p++) {
        if (place == CODE && begins_directive(text, p)) {
            place = DIRECTIVE;
        }
        const char *from = p;
        enum place before = place;
        place = next_place(place, text, &p);
        bool keep = is_kept(before, place, comments);
        for (const char *q = from; q <= p; q++) {
            if (!keep && *q != '\n') {
                code[q - text] = ' ';
            }
        }
    }
    return code;
}

char *scan_code(const char *text) {
    return blank(text, false);
}

char *scan_prose(const char *text) {
    return blank(text, true);
}

size_t scan_line(const char *text, const char *at) {
    size_t line = 1;
    for (const char *p = text; p < at; p++) {
        line += *p == '\n';
    }
    return line;
}

/* The parameter list's opening parenthesis in a declaration, past any attribute; NULL if none. */
static const char *parameter_list(const char *from, const char *end) {
    static const char attribute[] = "__attribute__";
    int depth = 0;
    bool in_attribute = false;
    for (const char *p = from; p < end; p++) {
        if (*p == '(' && depth++ == 0) {
            const char *before = p;
            while (before > from && isspace((unsigned char)before[-1])) {
                before--;
            }
            size_t len = sizeof attribute - 1;
            in_attribute =
                (size_t)(before - from) >= len && memcmp(before - len, attribute, len) == 0;
            if (!in_attribute) {
                return p;
            }
        }
        depth -= *p == ')';
    }
    return NULL;
}

static size_t count_parameters(const char *list, const char *end) {
    size_t commas = 0, letters = 0;
    int depth = 0;
    for (const char *p = list; p < end; p++) {
        depth += (*p == '(') - (*p == ')');
        if (depth == 0) {
            break;
        }
        commas += depth == 1 && *p == ',';
        letters += isalnum((unsigned char)*p) != 0;
    }
    return letters == 0 || (commas == 0 && letters == 4 && strncmp(list + 1, "void", 4) == 0)
               ? 0
               : commas + 1;
}

/* Callbacks whose parameters a library chose. */
static bool is_imposed(const char *path, const char *declaration, const char *list) {
    static const struct {
        const char *path;
        const char *name;
    } imposed[] = {
        /* SSL_CTX_set_alpn_select_cb */
        {"src/host/tls.c", "choose_alpn"},
        {"src/host/tls.c", "count_extras"},
        /* EXTRACTOR_MetaDataProcessor */
        {"src/extract/plugins.c", "on_found"},
        {"tests/unit/test_tls.c", "accept_any_alpn"},
    };
    for (size_t i = 0; i < sizeof imposed / sizeof *imposed; i++) {
        size_t len = strlen(imposed[i].name);
        if (strcmp(path, imposed[i].path) == 0 && list - declaration > (ptrdiff_t)len &&
            memcmp(list - len, imposed[i].name, len) == 0) {
            return true;
        }
    }
    return false;
}

static void check_function(const struct source *source, const char *declaration,
                           const char *opening, const char *closing, struct faults *faults) {
    size_t line = scan_line(source->code, opening);
    size_t lines = scan_line(source->code, closing) - line + 1;
    if (lines > FUNCTION_LINES_MAX) {
        fault_add(faults, "%s:%zu: function: %zu lines, at most %d", source->path, line, lines,
                  FUNCTION_LINES_MAX);
    }
    const char *list = parameter_list(declaration, opening);
    size_t parameters = list == NULL ? 0 : count_parameters(list, opening);
    if (parameters > PARAMETERS_MAX && !is_imposed(source->path, declaration, list)) {
        fault_add(faults, "%s:%zu: parameters: %zu, at most %d", source->path, line, parameters,
                  PARAMETERS_MAX);
    }
}

void scan_functions(const struct source *source, struct faults *faults) {
    const char *declaration = source->code, *opening = NULL;
    char last = '\0'; /* the last character of code before this one */
    int depth = 0;
    for (const char *p = source->code; *p != '\0'; p++) {
        if (*p == '{' && depth++ == 0) {
            opening = last == ')' ? p : NULL;
        } else if (*p == '}' && --depth == 0) {
            if (opening != NULL) {
                check_function(source, declaration, opening, p, faults);
            }
            declaration = p + 1;
        } else if (*p == ';' && depth == 0) {
            declaration = p + 1;
        }
        if (!isspace((unsigned char)*p)) {
            last = *p;
        }
    }
    if (depth != 0) {
        fault_add(faults, "%s:1: braces: they do not match", source->path);
    }
}
