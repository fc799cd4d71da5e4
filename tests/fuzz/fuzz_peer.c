/* fuzz_peer.c - a whole peer, with one shared file, under any sequence of messages and times. */
#include "common/hashtree.h"
#include "peer/peer.h"
#include "tests/fuzz/fuzz_node.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct node make(const struct node_env *env) {
    struct peer_config config = {.upload_slots = 2};
    return peer_new(env, &config);
}

/* A shared file of three pieces, so that OPEN and requests find something, and a search. */
static void prepare(struct fuzz_node *fuzz) {
    struct hash pieces[3];
    memset(pieces, 1, sizeof pieces);
    struct node_event event = {.kind = NODE_SHARED};
    event.shared.file = 1;
    event.shared.content.size = 2 * PIECE_BYTES + 5;
    hashtree_file_root(&fuzz->crypto, event.shared.content.size, pieces,
                       &event.shared.content.root);
    memset(event.shared.content.root.b, 1, HASH_BYTES); /* one that an input can name */
    event.shared.name = (struct slice){(const uint8_t *)"a shared file", 13};
    event.shared.pieces = (struct slice){pieces[0].b, sizeof pieces};
    fuzz_step(fuzz, &event);
    event = (struct node_event){.kind = NODE_SHARES_READY};
    fuzz_step(fuzz, &event);
    struct command_arg arg = {"text", "a"};
    event = (struct node_event){.kind = NODE_COMMAND};
    event.command.id = 1;
    event.command.name = "search";
    event.command.count = 1;
    event.command.args = &arg;
    fuzz_step(fuzz, &event);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    fuzz_node_run(bytes, len, make, prepare);
    return 0;
}
