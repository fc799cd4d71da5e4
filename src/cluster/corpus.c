/* corpus.c - the files of a test network: which there are, who has them, what finds them. */
#include "src/cluster/corpus.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/cluster/deal.h"
#include "src/cluster/names.h"

#define COMPARE_BYTES (1 << 16)

/* ---- Files ---- */

/* Small files are many and large ones few: the logarithm is what is spread evenly. */
static uint64_t draw_size(struct rng *rng, uint64_t least, uint64_t most) {
    double place = (double)(rng_u64(rng) >> 11) / 9007199254740992.0;
    double size = exp(log((double)least) + place * (log((double)most) - log((double)least)));
    return size < (double)least ? least : (uint64_t)size > most ? most : (uint64_t)size;
}

uint32_t corpus_holder(const struct corpus *corpus, const struct corpus_file *file, uint32_t n) {
    return (file->first + n * corpus->stride) % corpus->peers;
}

bool corpus_holds(const struct corpus *corpus, const struct corpus_file *file, uint32_t peer) {
    for (uint32_t i = 0; i < corpus->copies; i++) {
        if (corpus_holder(corpus, file, i) == peer) {
            return true;
        }
    }
    return false;
}

static char *path_of(const struct corpus *corpus, const struct corpus_file *file) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", corpus->folder, file->name);
    return mem_string(path);
}

/* One copy on the disk, linked into the holders' folders: they are separate processes all the
 * same. */
static bool lay_file(const struct corpus *corpus, const struct corpus_file *file,
                     const struct localnet *net, const char *original) {
    char to[4096];
    for (uint32_t i = 0; i < corpus->copies; i++) {
        snprintf(to, sizeof to, "%s/%s", net->peers[corpus_holder(corpus, file, i)].files,
                 file->name);
        if (link(original, to) != 0) {
            return false;
        }
    }
    return true;
}

static enum err make_files(struct corpus *corpus, const struct spec *spec, struct localnet *net,
                           const struct names *names, char trouble[SPEC_TROUBLE_BYTES]) {
    struct rng rng;
    rng_seed(&rng, spec->seed);
    for (uint32_t i = 0; i < corpus->count; i++) {
        struct corpus_file *file = &corpus->files[i];
        snprintf(file->word, sizeof file->word, "i%06u", i);
        names_with_word(names, i, file->word, file->name, sizeof file->name);
        file->size = draw_size(&rng, spec->size_min, spec->size_max);
        file->first = i % corpus->peers;
        char *path = path_of(corpus, file);
        enum err err = deal_generate(path, file->size, rng_u64(&rng));
        if (err == OK && !lay_file(corpus, file, net, path)) {
            err = errno == ENOSPC ? ERR_NO_SPACE : ERR_IO;
        }
        if (err != OK) {
            snprintf(trouble, SPEC_TROUBLE_BYTES, "cannot make %.200s: %s", path, err_text(err));
        }
        mem_free(path);
        if (err != OK) {
            return err;
        }
    }
    return OK;
}

enum err corpus_make(struct corpus *corpus, const struct spec *spec, struct localnet *net,
                     char trouble[SPEC_TROUBLE_BYTES]) {
    *corpus = (struct corpus){.copies = spec->copies, .peers = spec->peers};
    if (spec->peers == 0 || spec->files == 0) {
        return OK;
    }
    corpus->stride = spec->peers / spec->copies;
    corpus->count = (uint32_t)((uint64_t)spec->files * spec->peers / spec->copies);
    corpus->files = mem_array(corpus->count, sizeof *corpus->files);
    corpus->folder = owner_path(net->owner, "originals");
    struct names names;
    enum err err = names_load(&names, spec->names, corpus->count, trouble);
    if (err == OK && mkdir(corpus->folder, 0700) != 0) {
        snprintf(trouble, SPEC_TROUBLE_BYTES, "%.200s: %s", corpus->folder, strerror(errno));
        err = ERR_IO;
    }
    err = err != OK ? err : make_files(corpus, spec, net, &names, trouble);
    names_free(&names);
    return err;
}

void corpus_free(struct corpus *corpus) {
    mem_free(corpus->files);
    mem_free(corpus->folder);
    *corpus = (struct corpus){0};
}

bool corpus_is_same(const struct corpus *corpus, const struct corpus_file *file, const char *path) {
    char *original = path_of(corpus, file);
    FILE *first = fopen(original, "rbe"), *second = fopen(path, "rbe");
    bool same = first != NULL && second != NULL;
    uint8_t *a = mem_new(2 * COMPARE_BYTES), *b = a + COMPARE_BYTES;
    size_t got = COMPARE_BYTES;
    while (same && got == COMPARE_BYTES) {
        got = fread(a, 1, COMPARE_BYTES, first);
        same = fread(b, 1, COMPARE_BYTES, second) == got && memcmp(a, b, got) == 0;
    }
    mem_free(a);
    if (first != NULL) {
        fclose(first);
    }
    if (second != NULL) {
        fclose(second);
    }
    mem_free(original);
    return same;
}
