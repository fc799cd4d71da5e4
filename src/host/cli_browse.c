/* cli_browse.c - `peer browse`, and `peer get --folder`: what one node shares.
 *
 * The node tells its files in the order they appeared; they are shown by folder and name. */
#include "src/host/cli_browse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/units.h"
#include "src/host/failure.h"
#include "src/host/terminal.h"

#define PLACE_MAX 2048 /* bytes of NODE/FOLDER */

struct entry {
    char *folder;
    char *name;
    char *content;
    char *link; /* "" = not asked for */
    uint64_t size;
    bool is_locked;
};

struct browsing {
    struct cli *cli;
    char node[PLACE_MAX]; /* what stands before the first slash */
    const char *folder;   /* and behind it */
    char source[256];     /* the node, however it was named */
    struct entry *entries;
    uint32_t count;
    uint32_t cap;
    uint64_t bytes;
    uint32_t locked;
    bool is_partial;
    bool prints; /* each line as JSON as it comes */
};

/* ---- Asking ---- */

static void keep(struct browsing *browsing, const json_t *object) {
    if (browsing->count == browsing->cap) {
        browsing->cap = browsing->cap == 0 ? 64 : browsing->cap * 2;
        browsing->entries = mem_resize(browsing->entries, browsing->cap, sizeof *browsing->entries);
    }
    struct entry *entry = &browsing->entries[browsing->count++];
    *entry = (struct entry){.folder = mem_string(client_text(object, "folder")),
                            .name = mem_string(client_text(object, "name")),
                            .content = mem_string(client_text(object, "content")),
                            .link = mem_string(client_text(object, "link")),
                            .size = client_number(object, "size"),
                            .is_locked = json_is_true(json_object_get(object, "locked"))};
    browsing->locked += entry->is_locked;
}

static bool on_line(void *context, const json_t *object, const char *text) {
    struct browsing *browsing = context;
    const char *kind = client_text(object, "kind");
    if (browsing->prints) {
        puts(text);
    } else if (strcmp(kind, "file") == 0) {
        keep(browsing, object);
    } else if (strcmp(kind, "node") == 0) {
        snprintf(browsing->source, sizeof browsing->source, "%s", client_text(object, "id"));
    } else if (strcmp(kind, "end") == 0) {
        browsing->bytes = client_number(object, "bytes");
        browsing->is_partial = json_is_true(json_object_get(object, "partial"));
    }
    return true;
}

static int by_place(const void *a, const void *b) {
    const struct entry *one = a;
    const struct entry *other = b;
    int order = strcmp(one->folder, other->folder);
    return order != 0 ? order : strcmp(one->name, other->name);
}

/* Split NODE/FOLDER and ask; slashes at the end are for people. */
static enum err ask(struct browsing *browsing, const char *place, struct host_error *error) {
    int len = snprintf(browsing->node, sizeof browsing->node, "%s", place);
    if ((size_t)len >= sizeof browsing->node) {
        return fail(error, ERR_CONFIG, "`%.60s...` is too long", place);
    }
    while (len > 0 && browsing->node[len - 1] == '/') {
        browsing->node[--len] = '\0';
    }
    char *slash = strchr(browsing->node, '/');
    browsing->folder = slash != NULL ? slash + 1 : "";
    if (slash != NULL) {
        *slash = '\0';
    }
    const struct command_arg args[] = {
        {"node", browsing->node}, {"under", browsing->folder}, {"links", "1"}};
    struct client_call call = {.command = "browse",
                               .args = args,
                               .count = browsing->cli->settings.links ? 3 : 2,
                               .line = on_line,
                               .context = browsing};
    enum err err = cli_call(browsing->cli, &call, error);
    if (err == OK && browsing->count > 1) {
        qsort(browsing->entries, browsing->count, sizeof *browsing->entries, by_place);
    }
    return err;
}

static void free_entries(struct browsing *browsing) {
    for (uint32_t i = 0; i < browsing->count; i++) {
        mem_free(browsing->entries[i].folder);
        mem_free(browsing->entries[i].name);
        mem_free(browsing->entries[i].content);
        mem_free(browsing->entries[i].link);
    }
    mem_free(browsing->entries);
}

/* ---- browse ---- */

static void print_entry(const struct browsing *browsing, uint32_t at) {
    const struct entry *entry = &browsing->entries[at];
    char clean[PLACE_MAX], size[UNITS_TEXT_BYTES];
    if (at == 0 || strcmp(entry->folder, browsing->entries[at - 1].folder) != 0) {
        terminal_clean(clean, sizeof clean, entry->folder[0] != '\0' ? entry->folder : ".", 0);
        printf("%s/\n", clean);
    }
    units_bytes(size, entry->size);
    terminal_clean(clean, sizeof clean, entry->name, 0);
    printf("  %10s  %s%s\n", size, clean, entry->is_locked ? "  (locked)" : "");
    if (browsing->cli->settings.links) {
        terminal_clean(clean, sizeof clean, entry->link, 0);
        printf("              %s\n", clean);
    }
}

int cli_browse(struct cli *cli) {
    struct host_error error = {0};
    struct browsing browsing = {.cli = cli, .prints = cli->settings.json};
    enum err err = ask(&browsing, cli->options.words.values[0], &error);
    for (uint32_t i = 0; i < browsing.count; i++) {
        print_entry(&browsing, i);
    }
    if (err == OK && !cli->settings.json) {
        char size[UNITS_TEXT_BYTES];
        units_bytes(size, browsing.bytes);
        printf("%" PRIu32 " file%s, %s", browsing.count, browsing.count == 1 ? "" : "s", size);
        if (browsing.locked > 0) {
            printf("; %" PRIu32 " locked: its owner lets only nodes that he has named fetch them",
                   browsing.locked);
        }
        printf("%s\n", browsing.is_partial ? "; there may be more, it is still being scanned" : "");
    }
    free_entries(&browsing);
    return err == OK ? CLI_OK : cli_fail(cli, &error);
}

/* ---- get --folder ---- */

struct tally {
    uint32_t asked;
    uint32_t there; /* among the shared files already */
    uint32_t locked;
    uint64_t bytes;
};

/* Where a file goes: from the last component of the folder that was asked for on. */
static const char *target_of(const struct browsing *browsing, const struct entry *entry) {
    const char *slash = strrchr(browsing->folder, '/');
    size_t above = slash != NULL ? (size_t)(slash + 1 - browsing->folder) : 0;
    return strlen(entry->folder) >= above ? entry->folder + above : entry->folder;
}

static bool on_queued(void *context, const json_t *object, const char *text) {
    const struct browsing *browsing = context;
    (void)object;
    if (browsing->cli->settings.json) {
        puts(text);
    }
    return true;
}

static enum err get_entry(struct browsing *browsing, const struct entry *entry,
                          struct host_error *error) {
    const struct command_arg args[] = {{"content", entry->content},
                                       {"name", entry->name},
                                       {"folder", target_of(browsing, entry)},
                                       {"source", browsing->source}};
    struct client_call call = {
        .command = "get", .args = args, .count = 4, .line = on_queued, .context = browsing};
    return cli_call(browsing->cli, &call, error);
}

static enum err get_all(struct browsing *browsing, struct tally *tally, struct host_error *error) {
    for (uint32_t i = 0; i < browsing->count; i++) {
        const struct entry *entry = &browsing->entries[i];
        if (entry->is_locked) {
            tally->locked++;
            continue;
        }
        struct host_error why = {0};
        enum err err = get_entry(browsing, entry, &why);
        if (err == ERR_EXISTS) {
            tally->there++;
        } else if (err == ERR_LIMIT) {
            return fail(error, err,
                        "%" PRIu32 " of %" PRIu32 " files are being fetched, more cannot wait at "
                        "a time; ask for the folder again later for the rest",
                        tally->asked, browsing->count);
        } else if (err != OK) {
            *error = why;
            return err;
        } else {
            tally->asked++;
            tally->bytes += entry->size;
        }
    }
    return OK;
}

static void print_tally(const struct tally *tally) {
    char size[UNITS_TEXT_BYTES];
    units_bytes(size, tally->bytes);
    printf("fetching %" PRIu32 " file%s (%s)", tally->asked, tally->asked == 1 ? "" : "s", size);
    if (tally->there > 0) {
        printf("; %" PRIu32 " here already", tally->there);
    }
    if (tally->locked > 0) {
        printf("; %" PRIu32 " locked", tally->locked);
    }
    printf("\n");
}

enum err browse_get_folder(struct cli *cli, const char *place, struct host_error *error) {
    struct browsing browsing = {.cli = cli};
    struct tally tally = {0};
    enum err err = ask(&browsing, place, error);
    if (err == OK && browsing.count == 0) {
        err = fail(error, ERR_NOT_FOUND,
                   "there is no such folder, or nothing in it; `peer browse` shows what there is");
    }
    err = err != OK ? err : get_all(&browsing, &tally, error);
    if (!cli->settings.json && (err == OK || tally.asked > 0)) {
        print_tally(&tally);
    }
    free_entries(&browsing);
    return err;
}
