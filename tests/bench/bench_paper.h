/* bench_paper.h - peers whose files exist on paper only: names and contents drawn from a seed.
 *
 * The logic is a peer's, the links are real; what a library would have found on disk is told to it
 * by us. Nobody may download from them. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_PAPER_H
#define TRUNKLINE_TESTS_BENCH_BENCH_PAPER_H

#include "tests/bench/bench_network.h"

#define PAPER_NAME_BYTES 128

/* What paper peers share, and when. */
struct paper {
    struct peer_config peer; /* set by paper_peer */
    uint32_t first;          /* number of the first file; no other peer should have it */
    uint32_t files;
    const char *state;     /* its folder; NULL = one in the owner's */
    const bool *may_share; /* the files appear once this is true; borrowed, NULL = at once */
};

/* The name of a file: artist, album, track and title; 20 files have artist and album in common. */
void paper_name(char name[PAPER_NAME_BYTES], uint32_t number);
/* Words that are in that name, and in few others. */
void paper_query(char text[PAPER_NAME_BYTES], uint32_t number);
/* What a supernode would keep of it. `name` is where the record borrows from. */
void paper_record(struct file_record *record, char name[PAPER_NAME_BYTES], uint32_t number);

/* Add such a peer, a leaf of one supernode that cannot be dialled. */
struct host_node *paper_peer(struct host *host, const struct bench_network *network,
                             uint32_t supernode, const struct paper *paper);

/* Run the loop until a supernode's leaves have registered so many files in all. */
void paper_wait(struct host *host, const struct bench_network *network, uint64_t files);

#endif
