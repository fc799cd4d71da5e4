/* test_rewritten.c - a file that is rewritten again and again while many ask for its blocks: what
 * is sent is what was promised or nothing, and the file is withdrawn soon. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "tests/unit/hostlib.h"

#define BLOCKS 256u
#define GENERATIONS 6u
#define OUTSTANDING 32u
#define HEADER_BYTES 16
#define NOTICED_S 5.0
#define WAIT_S 20.0
#define REST_US 3000000 /* until what was not written to is hashed */

/* A node that shares the file and sends blocks of it, one that reads them, and a thread that
 * writes. The bytes of a block say which it is, and of which generation. */
struct press {
    struct host *host;
    struct probe shelf;
    struct probe reader;
    char folder[64];
    char path[128];
    pthread_t writer;
    bool is_mapped;        /* the writer has it in its memory */
    uint32_t last;         /* generation */
    atomic_uint written;   /* the last generation that is there as a whole */
    atomic_uint enough;    /* ... and of which enough was sent */
    atomic_llong begun_us; /* of the next one */
    atomic_bool is_late;
    uint64_t file; /* 0 = it is not shared now */
    uint32_t promised;
    uint32_t next;
    uint32_t outstanding;
    uint32_t refused;
    uint32_t received[GENERATIONS + 1];
    uint32_t withdrawn;
    double slowest_s;
    struct buf bytes; /* received, not looked at yet */
};

static long long now_us(void) {
    return (long long)(seconds_now() * 1e6);
}

static void make_block(uint8_t block[BLOCK_BYTES], uint32_t generation, uint32_t index) {
    for (uint32_t i = 0; i < BLOCK_BYTES; i++) {
        block[i] = (uint8_t)(generation * 31 + index * 7 + i % 13);
    }
}

/* Block by block, not in their order, so that at any time some are old and some new. */
static void write_generation(struct press *press, uint32_t generation) {
    static uint8_t block[BLOCK_BYTES];
    int fd = open(press->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    atomic_store(&press->begun_us, now_us());
    for (uint32_t i = 0; i < BLOCKS; i++) {
        uint32_t index = i * 101 % BLOCKS;
        make_block(block, generation, index);
        assert_int_equal(pwrite(fd, block, sizeof block, (off_t)index * BLOCK_BYTES), sizeof block);
        usleep(generation > 1 ? 300 : 0);
    }
    close(fd);
    atomic_store(&press->written, generation);
}

/* The same by a mapping, with a rest in the middle: the first bytes of a page give the file a new
 * time, those after the rest do not, and nobody is told of any. */
static void map_generation(struct press *press, uint32_t generation) {
    int fd = open(press->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    uint8_t *bytes = mmap(NULL, BLOCKS * BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    close(fd);
    atomic_store(&press->begun_us, now_us());
    for (uint32_t i = 0; i < BLOCKS; i++) {
        uint32_t index = i * 101 % BLOCKS;
        make_block(bytes + index * BLOCK_BYTES, i < BLOCKS / 2 ? generation : generation - 1,
                   index);
    }
    usleep(REST_US);
    for (uint32_t i = BLOCKS / 2; i < BLOCKS; i++) {
        uint32_t index = i * 101 % BLOCKS;
        make_block(bytes + index * BLOCK_BYTES, generation, index);
    }
    atomic_store(&press->written, generation);
    munmap(bytes, BLOCKS * BLOCK_BYTES);
}

static void *keep_writing(void *context) {
    struct press *press = context;
    for (uint32_t generation = 2; generation <= press->last; generation++) {
        double end_s = seconds_now() + WAIT_S;
        while (atomic_load(&press->enough) < generation - 1 && seconds_now() < end_s) {
            usleep(1000);
        }
        if (atomic_load(&press->enough) < generation - 1) {
            atomic_store(&press->is_late, true);
            return NULL;
        }
        (press->is_mapped ? map_generation : write_generation)(press, generation);
    }
    return NULL;
}

static void ask(struct press *press, struct outbox *out) {
    while (press->file != 0 && press->outstanding < OUTSTANDING) {
        char header[HEADER_BYTES + 1];
        uint32_t index = press->next++ * 37 % BLOCKS;
        snprintf(header, sizeof header, "%08x%08x", press->promised, index);
        struct action *action = outbox_add_bytes(out, ACTION_SEND_BLOCK, test_slice(header));
        action->link = press->shelf.link;
        action->file = press->file;
        action->offset = (uint64_t)index * BLOCK_BYTES;
        action->len = BLOCK_BYTES;
        action->token = press->next;
        press->outstanding++;
    }
}

static void lend(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct press *press = probe->context;
    switch (event->kind) {
    case NODE_SHARED:
        press->file = event->shared.file;
        press->promised = atomic_load(&press->written); /* it was at rest when it was hashed */
        break;
    case NODE_UNSHARED:
        press->file = 0;
        press->withdrawn++;
        double took_s = (double)(now_us() - atomic_load(&press->begun_us)) / 1e6;
        press->slowest_s = took_s > press->slowest_s ? took_s : press->slowest_s;
        break;
    case NODE_SHARES_READY:
        probe_add(press->host, &press->reader, 44);
        break;
    case NODE_BLOCK_FAILED:
        press->refused++;
        press->outstanding--;
        break;
    case NODE_BLOCK_SENT:
        press->outstanding--;
        break;
    default:
        break;
    }
    bool is_over = press->received[press->last] >= 8 * BLOCKS || atomic_load(&press->is_late);
    if (is_over) {
        host_stop(press->host);
    } else if (probe->counts[NODE_LINK_UP] > 0) {
        ask(press, out);
    }
    probe_wake(probe, event, 10);
}

static void take_blocks(struct press *press) {
    static uint8_t wanted[BLOCK_BYTES];
    size_t at = 0;
    while (press->bytes.len - at >= HEADER_BYTES + BLOCK_BYTES) {
        uint32_t generation, index;
        char header[HEADER_BYTES + 1] = "";
        memcpy(header, press->bytes.data + at, HEADER_BYTES);
        assert_int_equal(sscanf(header, "%8x%8x", &generation, &index), 2);
        assert_in_range(generation, 1, GENERATIONS);
        make_block(wanted, generation, index);
        assert_memory_equal(press->bytes.data + at + HEADER_BYTES, wanted, BLOCK_BYTES);
        press->received[generation]++;
        if (press->received[generation] == 8 * BLOCKS) {
            atomic_store(&press->enough, generation);
        }
        at += HEADER_BYTES + BLOCK_BYTES;
    }
    memmove(press->bytes.data, press->bytes.data + at, press->bytes.len - at);
    press->bytes.len -= at;
}

static void read_all(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct press *press = probe->context;
    if (event->kind == NODE_START) {
        probe_dial(&press->shelf, out, 1);
    } else if (event->kind == NODE_LINK_BYTES) {
        buf_append(&press->bytes, event->bytes.data.data, event->bytes.data.len);
        take_blocks(press);
    }
}

static void start_shelf(struct press *press, const char *state) {
    struct host_error error;
    const char *folders[] = {press->folder};
    press->shelf = (struct probe){.on = lend, .context = press};
    press->reader = (struct probe){.on = read_all, .context = press};
    struct host_node_config config = {.network = test_network(),
                                      .state_dir = state,
                                      .share_dirs = folders,
                                      .share_count = 1,
                                      .listen = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 43}},
                                      .make = probe_make,
                                      .role_config = &press->shelf,
                                      .seed = 4};
    press->host = test_host();
    press->shelf.node = host_add(press->host, &config, &error);
    assert_non_null(press->shelf.node);
}

static void press_run(bool is_mapped, uint32_t last) {
    struct press *press = mem_new(sizeof *press);
    press->is_mapped = is_mapped;
    press->last = last;
    char state[64];
    folder_make_temporary(state);
    folder_make_temporary(press->folder);
    snprintf(press->path, sizeof press->path, "%s/paper", press->folder);
    write_generation(press, 1);
    start_shelf(press, state);
    assert_int_equal(pthread_create(&press->writer, NULL, keep_writing, press), 0);
    assert_int_equal(host_run(press->host), 0);
    pthread_join(press->writer, NULL);
    assert_false(atomic_load(&press->is_late));
    uint32_t received = 0;
    for (uint32_t i = 1; i <= press->last; i++) {
        assert_true(press->received[i] >= 8 * BLOCKS);
        received += press->received[i];
    }
    print_message("%u blocks right, %u refused; the slowest withdrawn after %.3f s\n", received,
                  press->refused, press->slowest_s);
    assert_true(press->refused > 0); /* some were asked for while it was written */
    assert_in_range(press->withdrawn, press->last - 1, 100 * press->last);
    assert_true(press->slowest_s < NOTICED_S);
    host_free(press->host);
    folder_remove(press->reader.folder);
    folder_remove(press->folder);
    folder_remove(state);
    buf_free(&press->bytes);
    mem_free(press);
}

static void test_never_a_wrong_block(void **state) {
    (void)state;
    press_run(false, GENERATIONS);
}

static void test_never_a_wrong_block_of_a_mapping(void **state) {
    (void)state;
    if (folder_is_overlaid()) {
        skip();
    }
    press_run(true, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_a_wrong_block),
        cmocka_unit_test(test_never_a_wrong_block_of_a_mapping),
    };
    alarm(180);
    return cmocka_run_group_tests_name("rewritten", tests, NULL, NULL);
}
