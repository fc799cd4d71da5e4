/* tree.c - finds the files of the tree in a fixed order and hands each to the rules. */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "tests/tidy/tidy.h"

#define PATH_BYTES 4096
#define DEPTH_MAX 16

/* Kinds of files that people write; everything else (vectors, corpora) is data. */
static const struct kind {
    const char *suffix;
    bool is_c;
} kinds[] = {{".c", true},    {".h", true},      {".md", false},   {".sh", false},
             {".txt", false}, {".cmake", false}, {".json", false}, {".1", false},
             {"/dev", false}, {".ci/run", false}};

/* Folders, from the root, that hold no sources of ours. */
static const char *const left_out[] = {".git", "build", "install", "tests/tidy/planted",
                                       "tests/fuzz/corpus"};

void fault_add(struct faults *faults, const char *format, ...) {
    char line[8192];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    size_t used = len < (int)sizeof line - 1 ? (size_t)len : sizeof line - 2;
    line[used] = '\n';
    buf_append(&faults->text, line, used + 1);
    faults->count++;
}

char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    struct buf all = {0};
    size_t got;
    while ((got = fread(buf_reserve(&all, 65536), 1, 65536, file)) > 0) {
        all.len += got;
    }
    fclose(file);
    buf_u8(&all, 0);
    return (char *)all.data;
}

static const struct kind *kind_of(const char *path) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t len = strlen(path), wanted = strlen(kinds[i].suffix);
        if (len >= wanted && strcmp(path + len - wanted, kinds[i].suffix) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

static void check_file(const char *root, const char *path, const struct kind *kind,
                       struct faults *faults) {
    char full[PATH_BYTES * 2];
    snprintf(full, sizeof full, "%s/%s", root, path);
    char *text = read_text(full);
    if (text == NULL) {
        fault_add(faults, "%s:1: unreadable: cannot be opened", path);
        return;
    }
    struct source source = {.root = root, .path = path, .text = text};
    if (kind->is_c) {
        source.prose = scan_prose(text);
        source.code = scan_code(text);
    }
    rules_check(&source, faults);
    mem_free(source.prose);
    mem_free(source.code);
    mem_free(text);
}

static bool is_left_out(const char *path, const char *skip) {
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        if (strcmp(path, left_out[i]) == 0) {
            return true;
        }
    }
    return skip != NULL && strcmp(path, skip) == 0;
}

static size_t check_folder(const char *root, const char *folder, const char *skip, int depth,
                           struct faults *faults) {
    char full[PATH_BYTES], path[PATH_BYTES], entry[PATH_BYTES * 2];
    snprintf(full, sizeof full, "%s/%s", root, folder);
    struct dirent **names;
    int count = depth < DEPTH_MAX ? scandir(full, &names, NULL, alphasort) : -1;
    size_t files = 0;
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        struct stat info;
        snprintf(path, sizeof path, "%s%s%s", folder, folder[0] == '\0' ? "" : "/", name);
        snprintf(entry, sizeof entry, "%s/%s", root, path);
        bool known = strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
                     !is_left_out(path, skip) && lstat(entry, &info) == 0;
        if (known && S_ISDIR(info.st_mode)) {
            files += check_folder(root, path, skip, depth + 1, faults);
        } else if (known && S_ISREG(info.st_mode) && kind_of(entry) != NULL) {
            check_file(root, path, kind_of(entry), faults);
            files++;
        }
        free(names[i]);
    }
    if (count >= 0) {
        free(names);
    }
    return files;
}

size_t tree_check(const char *root, const char *skip, struct faults *faults) {
    return check_folder(root, "", skip, 0, faults);
}
