/* cluster_load.c - searches and downloads in a running cluster, each checked against what exists.
 *
 * A file exists while a running peer that is meant to have it runs. A search is for one file, by
 * the word that only it has; it is found, not found, or not answered. */
#include "src/cluster/cluster_load.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

#define SEARCH_MS 30000
#define GET_MS (15 * 60 * 1000)
#define SWEEP_FILES 200
#define SWEEP_AT_ONCE 4 /* searches of one peer */
#define DRAWS_MAX 200   /* tries to find a peer and a file that fit */

enum download_stage { DOWNLOAD_SEARCHING, DOWNLOAD_FETCHING, DOWNLOAD_CUT };

/* A download from its search to its end. A cut one goes on when its peer is started again. */
struct download {
    struct download *next;
    struct cluster *cluster;
    struct member *member;
    struct corpus_file *file;
    enum download_stage stage;
    int64_t begun_ms;
};

/* Some of its searches wait: a peer takes only so many commands at once. */
struct sweep {
    struct cluster *cluster;
    uint32_t check;
    uint32_t open; /* not answered yet, those that wait included */
    uint32_t waiting;
    struct wish {
        struct member *member;
        struct corpus_file *file;
    } wishes[SWEEP_FILES];        /* the first `waiting` of them */
    uint8_t busy[SPEC_NODES_MAX]; /* searches under way, by member */
    uint32_t asked;
    uint32_t found;
};

struct search {
    struct cluster *cluster;
    struct sweep *sweep; /* NULL = load */
    struct member *member;
    struct corpus_file *file;
    int64_t begun_us;
    int64_t begun_ms;
};

/* ---- Drawing ---- */

static struct member *peer_of(struct cluster *cluster, uint32_t number) {
    return &cluster->members[cluster->spec.supernodes + number];
}

/* Where this peer can reach it: somebody who has it runs on the same side of a split. */
static bool exists(struct cluster *cluster, const struct member *member,
                   const struct corpus_file *file) {
    for (uint32_t i = 0; i < cluster->corpus.copies; i++) {
        const struct member *holder = peer_of(cluster, corpus_holder(&cluster->corpus, file, i));
        if (holder->state == CLUSTER_RUNNING && holder->group == member->group) {
            return true;
        }
    }
    return false;
}

/* A running peer and a file that it does not have and somebody has; false when there is no luck. */
static bool draw(struct cluster *cluster, struct member **member, struct corpus_file **file) {
    const struct corpus *corpus = &cluster->corpus;
    const struct spec *spec = &cluster->spec;
    uint32_t peers = spec->load_last == 0 ? spec->peers : spec->load_last - spec->load_first + 1;
    for (int i = 0; i < DRAWS_MAX && corpus->count > 0; i++) {
        uint32_t number = spec->load_first + (uint32_t)rng_below(&cluster->rng, peers);
        *file = &corpus->files[rng_below(&cluster->rng, corpus->count)];
        *member = peer_of(cluster, number);
        if ((*member)->state == CLUSTER_RUNNING && !corpus_holds(corpus, *file, number) &&
            exists(cluster, *member, *file)) {
            return true;
        }
    }
    return false;
}

struct corpus_file *load_file_for(struct cluster *cluster, const struct member *member) {
    const struct corpus *corpus = &cluster->corpus;
    for (int i = 0; i < DRAWS_MAX && corpus->count > 0; i++) {
        struct corpus_file *file = &corpus->files[rng_below(&cluster->rng, corpus->count)];
        if (!corpus_holds(corpus, file, member->node->number) && exists(cluster, member, file)) {
            return file;
        }
    }
    return NULL;
}

/* ---- Searches ---- */

const json_t *load_hit(const json_t *answer, const struct corpus_file *file) {
    for (size_t i = 0; i < json_array_size(answer); i++) {
        const json_t *object = json_array_get(answer, i);
        if (strcmp(localnet_text(object, "kind"), "hit") == 0 &&
            strstr(localnet_text(object, "name"), file->word) != NULL) {
            return object;
        }
    }
    return NULL;
}

static void end_sweep(struct sweep *sweep) {
    struct cluster *cluster = sweep->cluster;
    struct outcome *outcome = &cluster->outcomes[sweep->check];
    outcome->is_known = true;
    outcome->value = sweep->asked == 0 ? 1 : (double)sweep->found / sweep->asked;
    cluster_note(cluster, "sweep: %" PRIu32 " of %" PRIu32 " files found", sweep->found,
                 sweep->asked);
    cluster->sweeps--;
    mem_free(sweep);
}

static void note_content(struct corpus_file *file, const json_t *hit) {
    if (hit != NULL) {
        snprintf(file->content, sizeof file->content, "%s", localnet_text(hit, "content"));
    }
}

static void go_on_sweeping(struct sweep *sweep, bool may_begin);

static void on_search(void *context, enum err err, const json_t *answer) {
    struct search *search = context;
    struct cluster *cluster = search->cluster;
    const json_t *hit = load_hit(answer, search->file);
    double ms = (double)(process_now_us() - search->begun_us) / 1000;
    /* Whoever was killed or frozen meanwhile has not answered, and nobody waits for him. */
    bool counts = err != ERR_SHUTDOWN && search->member->state == CLUSTER_RUNNING &&
                  exists(cluster, search->member, search->file);
    note_content(search->file, hit);
    fprintf(cluster->searches_csv, "%.3f,%s,%s,%s,%.2f,%s\n", (double)search->begun_ms / 1000,
            search->member->node->name, search->file->word,
            !counts       ? "void"
            : hit != NULL ? "found"
                          : "missed",
            ms, err_name(err));
    if (search->sweep != NULL) {
        search->sweep->asked += counts;
        search->sweep->found += counts && hit != NULL;
        search->sweep->open--;
        search->sweep->busy[search->member - cluster->members]--;
        go_on_sweeping(search->sweep, err != ERR_SHUTDOWN);
    } else if (counts) {
        cluster->counts.searches++;
        cluster->counts.found += hit != NULL;
        cluster->counts.search_errors += err != OK;
        if (err == OK) {
            series_add(&cluster->latencies, ms);
        }
    }
    mem_free(search);
}

void load_ask(struct cluster *cluster, const struct member *member, const struct corpus_file *file,
              asker_fn *done, void *context) {
    json_t *args = json_pack("{s:s,s:s}", "text", file->word, "want", "10");
    const struct ask ask = {
        .state_dir = member->node->dir, .command = "search", .args = args, .timeout_ms = SEARCH_MS};
    asker_start(cluster->asker, &ask, done, context);
    json_decref(args);
}

static void begin_search(struct cluster *cluster, struct sweep *sweep, struct member *member,
                         struct corpus_file *file) {
    struct search *search = mem_new(sizeof *search);
    *search = (struct search){cluster, sweep, member, file, process_now_us(), cluster_now(cluster)};
    load_ask(cluster, member, file, on_search, search);
}

/* Begin what waits and may begin; end the sweep when nothing is left of it. */
static void go_on_sweeping(struct sweep *sweep, bool may_begin) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sweep->waiting; i++) {
        const struct wish wish = sweep->wishes[i];
        if (!may_begin) {
            sweep->open--;
        } else if (sweep->busy[wish.member - sweep->cluster->members] < SWEEP_AT_ONCE) {
            sweep->busy[wish.member - sweep->cluster->members]++;
            begin_search(sweep->cluster, sweep, wish.member, wish.file);
        } else {
            sweep->wishes[kept++] = wish;
        }
    }
    sweep->waiting = kept;
    if (sweep->open == 0) {
        end_sweep(sweep);
    }
}

void load_sweep(struct cluster *cluster, uint32_t check) {
    struct sweep *sweep = mem_new(sizeof *sweep);
    sweep->cluster = cluster;
    sweep->check = check;
    cluster->sweeps++;
    for (uint32_t i = 0; i < SWEEP_FILES; i++) {
        struct wish *wish = &sweep->wishes[sweep->waiting];
        sweep->waiting += draw(cluster, &wish->member, &wish->file);
    }
    sweep->open = sweep->waiting;
    go_on_sweeping(sweep, true);
}

/* ---- Downloads ---- */

static void end_download(struct download *download, const char *outcome) {
    struct cluster *cluster = download->cluster;
    fprintf(cluster->downloads_csv, "%.3f,%s,%s,%" PRIu64 ",%s,%" PRId64 "\n",
            (double)download->begun_ms / 1000, download->member->node->name, download->file->word,
            download->file->size, outcome, cluster_now(cluster) - download->begun_ms);
    for (struct download **at = &cluster->downloads; *at != NULL; at = &(*at)->next) {
        if (*at == download) {
            *at = download->next;
            break;
        }
    }
    mem_free(download);
}

static void fail_download(struct download *download, const char *why) {
    struct cluster *cluster = download->cluster;
    cluster->counts.downloads_failed++;
    cluster_note(cluster, "%s could not fetch %s: %s", download->member->node->name,
                 download->file->word, why);
    end_download(download, why);
}

/* The only test that counts: byte for byte. */
static void check_download(struct download *download, const char *path) {
    struct cluster *cluster = download->cluster;
    bool same = corpus_is_same(&cluster->corpus, download->file, path);
    cluster->counts.downloads_done += same;
    cluster->counts.downloads_bytes += same ? download->file->size : 0;
    cluster->counts.downloads_wrong += !same;
    series_add(&cluster->fetches, (double)(cluster_now(cluster) - download->begun_ms));
    if (!same) {
        cluster_note(cluster, "WRONG BYTES: %s has another %s than was shared",
                     download->member->node->name, download->file->word);
    }
    end_download(download, same ? "done" : "wrong");
}

static void on_get(void *context, enum err err, const json_t *answer) {
    struct download *download = context;
    const json_t *finished = localnet_find(answer, "finished");
    if (finished != NULL) {
        check_download(download, localnet_text(finished, "path"));
    } else if (err == ERR_CLOSED || download->member->state != CLUSTER_RUNNING) {
        download->stage = DOWNLOAD_CUT;
        if (localnet_find(answer, "queued") == NULL) {
            download->cluster->counts.downloads--; /* nothing was promised */
            end_download(download, "void");
        }
    } else {
        const json_t *error = localnet_find(answer, "error");
        fail_download(download, error == NULL ? err_name(err) : localnet_text(error, "error"));
    }
}

static void on_found(void *context, enum err err, const json_t *answer) {
    struct download *download = context;
    struct cluster *cluster = download->cluster;
    const json_t *hit = load_hit(answer, download->file);
    note_content(download->file, hit);
    if (hit == NULL) {
        /* A search that was not answered is counted where searches are. */
        bool counts = err == OK && download->member->state == CLUSTER_RUNNING &&
                      exists(cluster, download->member, download->file);
        cluster->counts.searches += counts;
        end_download(download, "not found");
        return;
    }
    download->stage = DOWNLOAD_FETCHING;
    cluster->counts.downloads++;
    /* With its name: if the peer is started anew meanwhile it knows nothing of the search. */
    json_t *args = json_pack("{s:s,s:s,s:s}", "content", download->file->content, "name",
                             download->file->name, "wait", "1");
    const struct ask ask = {.state_dir = download->member->node->dir,
                            .command = "get",
                            .args = args,
                            .timeout_ms = GET_MS};
    asker_start(cluster->asker, &ask, on_get, download);
    json_decref(args);
}

static bool is_fetching(const struct cluster *cluster, const struct member *member,
                        const struct corpus_file *file) {
    for (const struct download *at = cluster->downloads; at != NULL; at = at->next) {
        if (at->member == member && at->file == file) {
            return true;
        }
    }
    return false;
}

bool load_is_fetching(const struct cluster *cluster, const struct member *member) {
    for (const struct download *at = cluster->downloads; at != NULL; at = at->next) {
        if (at->member == member && at->stage != DOWNLOAD_SEARCHING) {
            return true;
        }
    }
    return false;
}

static void begin_download(struct cluster *cluster) {
    struct member *member;
    struct corpus_file *file;
    char path[4096];
    if (!draw(cluster, &member, &file) || is_fetching(cluster, member, file)) {
        return;
    }
    snprintf(path, sizeof path, "%s/%s", member->node->downloads, file->name);
    if (access(path, F_OK) == 0) {
        return; /* it has it from before */
    }
    struct download *download = mem_new(sizeof *download);
    *download = (struct download){.next = cluster->downloads,
                                  .cluster = cluster,
                                  .member = member,
                                  .file = file,
                                  .begun_ms = cluster_now(cluster)};
    cluster->downloads = download;
    load_ask(cluster, member, file, on_found, download);
}

void load_look_at_cut(struct cluster *cluster) {
    char path[4096];
    struct download *next;
    for (struct download *at = cluster->downloads; at != NULL; at = next) {
        next = at->next;
        snprintf(path, sizeof path, "%s/%s", at->member->node->downloads, at->file->name);
        if (at->stage == DOWNLOAD_CUT && access(path, F_OK) == 0) {
            cluster_note(cluster, "%s went on and has %s", at->member->node->name, at->file->word);
            check_download(at, path);
        }
    }
}

/* Those of peers that do not run are nobody's fault. */
uint32_t load_open_downloads(const struct cluster *cluster) {
    uint32_t open = 0;
    for (const struct download *at = cluster->downloads; at != NULL; at = at->next) {
        open += at->member->state == CLUSTER_RUNNING;
    }
    return open;
}

void load_close(struct cluster *cluster) {
    struct download *next;
    for (struct download *at = cluster->downloads; at != NULL; at = next) {
        next = at->next;
        if (at->member->state == CLUSTER_RUNNING && at->stage != DOWNLOAD_SEARCHING) {
            fail_download(at, "not over");
        } else {
            end_download(at, "void");
        }
    }
}

/* ---- Pace ---- */

static bool is_due(int64_t *due_ms, int64_t now, uint64_t milli_per_s) {
    if (milli_per_s == 0 || now < *due_ms) {
        return false;
    }
    int64_t step = (int64_t)(1000000 / milli_per_s);
    *due_ms += step;
    return true;
}

void load_tick(struct cluster *cluster) {
    int64_t now = cluster_now(cluster);
    while (is_due(&cluster->search_due_ms, now, cluster->spec.search_milli)) {
        struct member *member;
        struct corpus_file *file;
        if (draw(cluster, &member, &file)) {
            begin_search(cluster, NULL, member, file);
        }
    }
    while (is_due(&cluster->download_due_ms, now, cluster->spec.download_milli)) {
        begin_download(cluster);
    }
}
