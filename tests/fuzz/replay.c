/* replay.c - feeds every file of a folder to a fuzz target, so that its corpus is also a test. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/mem.h"
#include "tests/fuzz/fuzz.h"

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "replay: cannot open %s\n", path);
        return 1;
    }
    struct buf all = {0};
    size_t got;
    while ((got = fread(buf_reserve(&all, 65536), 1, 65536, file)) > 0) {
        all.len += got;
    }
    int failed = ferror(file) != 0;
    fclose(file);
    /* An exact copy, so that a read beyond it is seen by the sanitizers. */
    uint8_t *exact = mem_copy(all.data, all.len);
    (void)LLVMFuzzerTestOneInput(exact, all.len);
    mem_free(exact);
    buf_free(&all);
    return failed;
}

static int by_name(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    struct dirent **entries;
    int count = scandir(argv[1], &entries, by_name, alphasort);
    if (count <= 0) {
        fprintf(stderr, "replay: no files in %s\n", argv[1]);
        return 1;
    }
    int failures = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        failures += replay_file(path);
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs replayed, %d unreadable\n", count, failures);
    return failures > 0 ? 1 : 0;
}
