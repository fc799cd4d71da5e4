/* sim_idle_leaves.c - measures what one idle leaf costs, and fails above the target.
 *
 * A thousand leaves register at a few supernodes and then do nothing. Counted is what malloc has
 * handed out, its own headers included, before and after the nodes are freed, and so on; glibc's
 * per-thread cache is switched off, since it would count freed memory as used. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/sim/overlay.h"

#define LEAVES 1000
#define SUPERNODES 4
#define BYTES_MAX 2048 /* in one leaf's node */
#define REGISTER_US (120 * SECOND_US)
#define IDLE_US (900 * SECOND_US)

static int64_t bytes_used(void) {
    struct mallinfo2 info = mallinfo2();
    return (int64_t)(info.uordblks + info.hblkhd);
}

/* Start again with the per-thread cache off; return when it is. */
static void without_thread_cache(char **argv) {
    if (getenv("GLIBC_TUNABLES") == NULL) {
        setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
        execv("/proc/self/exe", argv);
    }
}

static void run_for(struct overlay *overlay, uint64_t us) {
    sim_run(overlay->sim, sim_now_us(overlay->sim) + us);
}

int main(int argc, char **argv) {
    (void)argc;
    without_thread_cache(argv);
    struct overlay *overlay = mem_new(sizeof *overlay);
    struct overlay_config config = {.seed = 1, .supernodes = SUPERNODES, .leaves_max = LEAVES};
    overlay_begin(overlay, &config);
    overlay_start_all(overlay);
    run_for(overlay, REGISTER_US);

    int64_t before = bytes_used();
    for (uint32_t i = 0; i < LEAVES; i++) {
        overlay_add_peer(overlay);
    }
    int64_t machines = bytes_used();
    overlay_start_all(overlay);
    run_for(overlay, REGISTER_US + IDLE_US);
    uint32_t links = sim_counts(overlay->sim).links_open;
    int64_t idle = bytes_used();
    for (uint32_t i = SUPERNODES; i < SUPERNODES + LEAVES; i++) {
        overlay_crash(overlay, i, SIM_POWER); /* frees the node and sets nothing in motion */
    }
    int64_t without_nodes = bytes_used();
    for (uint32_t i = SUPERNODES; i < SUPERNODES + LEAVES; i++) {
        sim_wipe(overlay->sim, i);
    }
    int64_t without_disks = bytes_used();

    int64_t node = (idle - without_nodes) / LEAVES;
    int64_t disk = (without_nodes - without_disks) / LEAVES;
    int64_t machine = (machines - before) / LEAVES;
    int64_t others = (without_disks - machines) / LEAVES;
    printf("%d idle leaves with %u links: %lld bytes per node, limit %d; beside it %lld for the "
           "simulated machine, %lld on its disk, %lld in links and supernodes\n",
           LEAVES, links, (long long)node, BYTES_MAX, (long long)machine, (long long)disk,
           (long long)others);
    const char *failure = sim_failure(overlay->sim);
    bool is_registered = links >= LEAVES * PARENTS;
    bool is_well = failure == NULL && is_registered && node <= BYTES_MAX;
    if (!is_well) {
        printf("FAILED: %s\n", failure != NULL  ? failure
                               : !is_registered ? "not every leaf has its parents"
                                                : "too many bytes per leaf");
    }
    overlay_end(overlay);
    mem_free(overlay);
    return is_well ? 0 : 1;
}
