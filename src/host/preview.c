/* preview.c - shows what of a folder would be shared, before anything is. */
#include "src/host/preview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/units.h"
#include "src/host/filter.h"
#include "src/host/hashcache.h"
#include "src/host/scan.h"
#include "src/host/terminal.h"

#define EXAMPLES 5

/* Examples are the largest files: what people would least like to share by accident. */
static int by_size(const void *a, const void *b) {
    const struct scanned *first = a, *second = b;
    return (first->stamp.size < second->stamp.size) - (first->stamp.size > second->stamp.size);
}

static void print_json(const struct scan *scan, const struct scan_root *root) {
    json_t *examples = json_array();
    for (uint32_t i = 0; i < scan->count && i < EXAMPLES; i++) {
        json_array_append_new(examples, json_string(scan->files[i].path));
    }
    json_t *object =
        json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:o}", "kind", "preview", "path", root->folder,
                  "files", (json_int_t)scan->count, "bytes", (json_int_t)scan->bytes, "private",
                  (json_int_t)scan->left.private, "filtered", (json_int_t)scan->left.filtered,
                  "unfit", (json_int_t)scan->left.unfit, "examples", examples);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    if (text != NULL) {
        puts(text);
    }
    free(text);
    json_decref(object);
}

/* ` as NAME`, when others are told another name. */
static void print_alias(const char *alias) {
    char clean[PATH_MAX];
    if (alias != NULL) {
        terminal_clean(clean, sizeof clean, alias, 0);
        printf(" as %s", clean);
    }
}

static void print_text(const struct scan *scan, const struct scan_root *root) {
    char size[UNITS_TEXT_BYTES], clean[PATH_MAX];
    units_bytes(size, scan->bytes);
    terminal_clean(clean, sizeof clean, root->folder, 0);
    printf("%s: %u files, %s would be shared", clean, scan->count, size);
    print_alias(filter_label(root->filter));
    printf("\n");
    for (uint32_t i = 0; i < scan->count && i < EXAMPLES; i++) {
        units_bytes(size, scan->files[i].stamp.size);
        terminal_clean(clean, sizeof clean, scan->files[i].path, 0);
        printf("  %10s  %s", size, clean);
        print_alias(filter_alias(root->filter, scan->files[i].path));
        printf("\n");
    }
    if (scan->count > EXAMPLES) {
        printf("  ... and %u smaller ones\n", scan->count - EXAMPLES);
    }
    if (scan->left.private > 0) {
        printf("left out: %u that look like keys, passwords, mail or wallets\n",
               scan->left.private);
    }
    if (scan->left.filtered > 0) {
        printf("left out: %u by your rules\n", scan->left.filtered);
    }
    if (scan->left.unfit > 0) {
        printf("left out: %u that cannot be shared (name, size, number, permission)\n",
               scan->left.unfit);
    }
}

/* A line from the terminal; anything but yes is no. */
static bool ask(const struct filter *filter) {
    const struct node_id *ids;
    uint32_t readers = filter_readers(filter, &ids);
    char line[16];
    if (readers == 0) {
        printf("Share this with everybody in the network? [y/N] ");
    } else {
        printf("Share this with %u node%s%s? [y/N] ", readers, readers == 1 ? "" : "s",
               filter_is_locked(filter) ? ", and let everybody see the names" : " only");
    }
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

bool preview_share(struct cli *cli, const struct share *share, struct host_error *error) {
    struct filter *filter = filter_new(share->filter, error);
    if (filter == NULL) {
        return false;
    }
    struct scan scan = {0};
    const struct scan_root root = {0, share->folder, filter};
    scan_folder(&scan, &root, NULL);
    if (scan.count > 1) {
        qsort(scan.files, scan.count, sizeof *scan.files, by_size);
    }
    (cli->settings.json ? print_json : print_text)(&scan, &root);
    bool asks = !cli->settings.yes && !cli->settings.json && terminal_is(stdout) && isatty(0) == 1;
    bool goes_on = !cli->settings.dry_run && (!asks || ask(filter));
    if (!goes_on && !cli->settings.json) {
        printf("nothing was changed\n");
    }
    scan_free(&scan);
    filter_free(filter);
    return goes_on;
}

void preview_first(const struct cli *cli, const struct shares *shares) {
    char cache[PATH_MAX];
    int len = snprintf(cache, sizeof cache, "%s/" HASHCACHE_FILE, cli->dir);
    bool is_first = len < (int)sizeof cache && access(cache, F_OK) != 0;
    bool is_shown = terminal_is(stdout) && !cli->settings.json && !cli->settings.quiet;
    for (uint32_t i = 0; is_first && is_shown && i < shares->count; i++) {
        struct filter *filter = filter_new(shares->filters[i], NULL); /* it was read before */
        struct scan scan = {0};
        const struct scan_root root = {0, shares->paths[i], filter};
        scan_folder(&scan, &root, NULL);
        if (scan.count > 0) {
            qsort(scan.files, scan.count, sizeof *scan.files, by_size);
            print_text(&scan, &root);
        }
        scan_free(&scan);
        filter_free(filter);
    }
    fflush(stdout);
}
