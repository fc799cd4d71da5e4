/* bench_corpus.c - deals the file names of Debian's packages to peers. */
#include "tests/bench/bench_corpus.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/map.h"
#include "common/mem.h"
#include "common/rng.h"
#include "tests/bench/bench.h"

#define NAME_MIN 8
#define NAME_MAX_BYTES 200
#define ALBUM_MAX 20
#define PEER_MIN 100
#define PEER_MAX 1000
#define ZIPF_ROWS 200000

/* A run of names that stay together. */
struct album {
    size_t first;
    size_t count;
};

/* ---- Names ---- */

static char *read_names(void) {
    FILE *file = fopen(NAMES_FILE, "rb");
    if (file == NULL) {
        fprintf(stderr,
                "bench: no names to index at %s\n"
                "bench: `./dev bench index` fetches them with apt (46 MB); it needs Debian or a "
                "relative of it, and a network\n",
                NAMES_FILE);
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    size_t bytes = (size_t)ftell(file);
    rewind(file);
    char *text = mem_resize(NULL, bytes + 1, 1);
    if (fread(text, 1, bytes, file) != bytes) {
        bench_fail("cannot read %s", NAMES_FILE);
    }
    fclose(file);
    text[bytes] = '\0';
    return text;
}

/* The last three parts of a path. */
static char *last_parts(char *path) {
    char *at = path + strlen(path);
    for (int slashes = 0; at > path; at--) {
        slashes += at[-1] == '/';
        if (slashes == 3) {
            break;
        }
    }
    return at;
}

static bool is_plain(const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] >= 0x80 || name[i] < 0x20) {
            return false;
        }
    }
    return len >= NAME_MIN && len <= NAME_MAX_BYTES;
}

/* A set of the names seen so far, by two independent halves of 64 bits of hash. */
struct seen {
    uint64_t *hashes;
    size_t mask;
};

static bool is_new(struct seen *seen, const char *name) {
    static const uint64_t key[2] = {1, 2};
    uint64_t hash = siphash(key, name, strlen(name)) | 1;
    size_t at = (size_t)(hash >> 20) & seen->mask;
    while (seen->hashes[at] != 0 && seen->hashes[at] != hash) {
        at = (at + 1) & seen->mask;
    }
    bool was_there = seen->hashes[at] == hash;
    seen->hashes[at] = hash;
    return !was_there;
}

/* Cut the text into distinct names; return their number. */
static size_t cut_names(char *text, const char **names, size_t max) {
    struct seen seen = {.mask = ((size_t)1 << 24) - 1};
    seen.hashes = mem_array(seen.mask + 1, sizeof *seen.hashes);
    size_t count = 0;
    for (char *line = text, *end; count < max && (end = strchr(line, '\n')) != NULL;
         line = end + 1) {
        *end = '\0';
        const char *name = last_parts(line);
        if (is_plain(name) && is_new(&seen, name)) {
            names[count++] = name;
        }
    }
    mem_free(seen.hashes);
    return count;
}

/* ---- Dealing ---- */

static bool same_folder(const char *a, const char *b) {
    const char *slash = strrchr(a, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - a) + 1;
    return slash != NULL && strncmp(a, b, len) == 0 && strchr(b + len, '/') == NULL;
}

static size_t cut_albums(const char *const *names, size_t count, struct album *albums, bool apart) {
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        struct album *last = made == 0 ? NULL : &albums[made - 1];
        if (!apart && last != NULL && last->count < ALBUM_MAX &&
            same_folder(names[last->first], names[i])) {
            last->count++;
        } else {
            albums[made++] = (struct album){i, 1};
        }
    }
    return made;
}

static void shuffle(struct album *albums, size_t count, struct rng *rng) {
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)rng_below(rng, i);
        struct album swapped = albums[other];
        albums[other] = albums[i - 1];
        albums[i - 1] = swapped;
    }
}

static int compare_rows(const void *a, const void *b) {
    return strcmp(((const struct corpus_row *)a)->name, ((const struct corpus_row *)b)->name);
}

/* Sizes spread evenly over powers of two, 16 bytes to 16 GiB. */
static uint64_t draw_size(struct rng *rng) {
    uint64_t power = 4 + rng_below(rng, 30);
    uint64_t below = rng_below(rng, 1ULL << power);
    return (1ULL << power) + below;
}

static void deal(struct corpus *corpus, struct rng *rng) {
    for (size_t at = 0; at < corpus->count; corpus->peers++) {
        double share = (double)rng_below(rng, 1 << 20) / (1 << 20);
        size_t files = (size_t)(PEER_MIN * pow((double)PEER_MAX / PEER_MIN, share));
        files = files < corpus->count - at ? files : corpus->count - at;
        qsort(corpus->rows + at, files, sizeof *corpus->rows, compare_rows);
        for (size_t i = 0; i < files; i++) {
            corpus->rows[at + i].peer = corpus->peers;
            corpus->rows[at + i].size = draw_size(rng);
        }
        at += files;
    }
}

struct corpus *corpus_new(size_t max, bool shuffled) {
    char *text = read_names();
    if (text == NULL) {
        return NULL;
    }
    const size_t names_max = 5000000;
    const char **names = mem_array(names_max, sizeof *names);
    size_t count = cut_names(text, names, names_max);
    if (count < max) {
        bench_fail("%s has only %zu names; remove it to fetch them anew", NAMES_FILE, count);
    }
    struct album *albums = mem_array(count, sizeof *albums);
    struct rng rng;
    rng_seed(&rng, 1);
    size_t made = cut_albums(names, count, albums, false);
    shuffle(albums, made, &rng);
    struct corpus *corpus = mem_new(sizeof *corpus);
    corpus->text = text;
    corpus->rows = mem_array(max, sizeof *corpus->rows);
    for (size_t i = 0; i < made; i++) {
        for (size_t n = 0; n < albums[i].count && corpus->count < max; n++) {
            corpus->rows[corpus->count++].name = names[albums[i].first + n];
        }
    }
    if (shuffled) { /* the same rows, albums destroyed */
        for (size_t i = 0; i < max; i++) {
            names[i] = corpus->rows[i].name;
        }
        made = cut_albums(names, max, albums, true);
        shuffle(albums, made, &rng);
        for (size_t i = 0; i < max; i++) {
            corpus->rows[i].name = names[albums[i].first];
        }
    }
    deal(corpus, &rng);
    mem_free(albums);
    mem_free(names);
    return corpus;
}

void corpus_free(struct corpus *corpus) {
    if (corpus != NULL) {
        mem_free(corpus->text);
        mem_free(corpus->rows);
        mem_free(corpus);
    }
}

/* ---- Records and queries ---- */

struct file_record corpus_record(const struct corpus *corpus, size_t row) {
    const struct corpus_row *from = &corpus->rows[row];
    struct file_record file = {.content.size = from->size};
    file.name = (struct slice){(const uint8_t *)from->name, strlen(from->name)};
    for (uint64_t i = 0; i < sizeof file.content.root.b / 8; i++) {
        uint64_t key[2] = {i, 77}, number = row;
        uint64_t part = siphash(key, &number, sizeof number);
        memcpy(file.content.root.b + i * 8, &part, sizeof part);
    }
    return file;
}

/* A rank below `ranks` by Zipf's law: the inverse of the logarithm that its sums come to. */
static size_t draw_rank(size_t ranks, struct rng *rng) {
    double share = (double)(rng_u64(rng) >> 11) / (double)(1ULL << 53);
    size_t rank = (size_t)exp(share * log((double)ranks + 1)) - 1;
    return rank < ranks ? rank : ranks - 1;
}

void corpus_draw(const struct corpus *corpus, size_t rows, struct rng *rng,
                 struct corpus_query *query) {
    size_t ranks = rows < ZIPF_ROWS ? rows : ZIPF_ROWS;
    query->row = (size_t)((draw_rank(ranks, rng) * 2654435761ULL) % rows);
    struct file_record file = corpus_record(corpus, query->row);
    struct file_facts facts;
    struct words words;
    file_facts_read(&file, &facts);
    file_keywords(&facts, &words);
    uint64_t dice = rng_below(rng, 100);
    uint32_t wanted = dice < 30 ? 1 : dice < 75 ? 2 : 3;
    bool is_missed = rng_below(rng, 100) < 5;
    size_t len = 0;
    for (uint32_t i = 0; i < wanted && words.count > 0; i++) {
        uint32_t at = (uint32_t)rng_below(rng, words.count);
        len += (size_t)snprintf(query->text + len, sizeof query->text - len, "%s%.*s",
                                i > 0 ? " " : "", words.words[at].len, words.words[at].text);
        words.words[at] = words.words[--words.count];
    }
    if (is_missed) {
        snprintf(query->text + len, sizeof query->text - len, " zq%llxqz",
                 (unsigned long long)rng_below(rng, 1 << 20));
    }
}
