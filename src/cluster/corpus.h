/* corpus.h - the files of a test network: which there are, who has them, what finds them.
 *
 * Sizes and names come from the network's description, bytes from its seed: the same description
 * makes the same files. A file's name ends with a word of its own, so that a search can ask for it
 * alone. */
#ifndef TRUNKLINE_CLUSTER_CORPUS_H
#define TRUNKLINE_CLUSTER_CORPUS_H

#include "common/ids.h"
#include "common/rng.h"
#include "src/cluster/localnet.h"
#include "src/cluster/spec.h"

#define CORPUS_NAME_BYTES 200
#define CORPUS_WORD_BYTES 16

struct corpus_file {
    char name[CORPUS_NAME_BYTES];
    char word[CORPUS_WORD_BYTES]; /* that no other name has */
    uint64_t size;
    uint32_t first;                   /* its holders are first, first + stride, ... */
    char content[CONTENT_TEXT_BYTES]; /* once a search has shown it */
};

struct corpus {
    struct corpus_file *files;
    uint32_t count;
    uint32_t copies;
    uint32_t stride;
    uint32_t peers;
    char *folder; /* the originals, below the owner's scratch folder */
};

/* Make the files and lay them into the peers' folders. ERR_NOT_FOUND without any name to use,
 * ERR_NO_SPACE, ERR_IO; `trouble` says more. */
MUST_CHECK enum err corpus_make(struct corpus *corpus, const struct spec *spec,
                                struct localnet *net, char trouble[SPEC_TROUBLE_BYTES]);
void corpus_free(struct corpus *corpus);

/* The n-th peer that has the file, n below copies. */
uint32_t corpus_holder(const struct corpus *corpus, const struct corpus_file *file, uint32_t n);
bool corpus_holds(const struct corpus *corpus, const struct corpus_file *file, uint32_t peer);

/* True when a fetched file is the same, byte for byte. */
bool corpus_is_same(const struct corpus *corpus, const struct corpus_file *file, const char *path);

#endif
