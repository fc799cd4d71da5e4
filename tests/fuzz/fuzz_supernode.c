/* fuzz_supernode.c - a whole supernode under any sequence of messages, links and times. */
#include "supernode/supernode.h"
#include "tests/fuzz/fuzz_node.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct node make(const struct node_env *env) {
    struct supernode_config config = {.leaves_max = 3};
    return supernode_new(env, &config);
}

static void prepare(struct fuzz_node *fuzz) {
    (void)fuzz;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    fuzz_node_run(bytes, len, make, prepare);
    return 0;
}
