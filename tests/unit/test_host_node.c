/* test_host_node.c - what the driver gives to a node: clocks, the four injections, names. */
#include <time.h>

#include "tests/unit/hostlib.h"

/* A node under a host that logs to a file in `folder`. */
struct stage {
    struct host *host;
    struct probe probe;
    char log[100];
    uint64_t last_us;
    uint32_t steps;
    uint32_t starts;
    uint64_t stored; /* token of the last NODE_STORED */
    uint32_t resolved;
};

static void stage_run(struct stage *stage, probe_fn *script) {
    struct host_error error = {0};
    struct host_config config = {.log_level = LOG_LEVEL_INFO, .log_file = stage->log};
    stage->host = host_new(&config, &error);
    assert_non_null(stage->host);
    stage->probe = (struct probe){.on = script, .context = stage};
    strcpy(stage->probe.folder, stage->log);
    *strrchr(stage->probe.folder, '/') = '\0';
    struct host_node_config node = {.network = test_network(),
                                    .state_dir = stage->probe.folder,
                                    .listen = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 61}},
                                    .make = probe_make,
                                    .role_config = &stage->probe};
    stage->probe.node = host_add(stage->host, &node, &error);
    assert_non_null(stage->probe.node);
    assert_int_equal(host_run(stage->host), 0);
    host_free(stage->host);
}

static void stage_init(struct stage *stage) {
    *stage = (struct stage){0};
    char folder[64];
    folder_make_temporary(folder);
    snprintf(stage->log, sizeof stage->log, "%s/log", folder);
}

static void stage_free(struct stage *stage) {
    folder_remove(stage->probe.folder);
}

/* ---- Clocks ---- */

static uint64_t mono_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

#define STEPS 20

static void read_clocks(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct stage *stage = probe->context;
    (void)out;
    uint64_t now_us = mono_now_us();
    assert_true(event->mono_us >= stage->last_us);
    assert_in_range(event->mono_us, now_us - 1000000, now_us);
    assert_in_range(event->wall_s, time(NULL) - 2, time(NULL) + 1); /* time() lags by a tick */
    if (event->kind == NODE_TIMER) {
        assert_true(event->mono_us >= stage->last_us + 5000); /* never before the deadline */
    }
    stage->last_us = event->mono_us;
    probe_wake(probe, event, 5);
    if (++stage->steps == STEPS) {
        host_stop(stage->host);
    }
}

static void test_two_clocks(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage_run(&stage, read_clocks);
    assert_true(stage.probe.counts[NODE_TIMER] >= STEPS - 4);
    stage_free(&stage);
}

/* ---- The four injections ---- */

static void use_crypto(const struct probe *probe) {
    const struct node_env *env = probe->env;
    struct slice message = test_slice("a message");
    uint8_t signature[SIGNATURE_BYTES];
    uint8_t random[2][32] = {{0}};
    assert_true(node_id_equal(&env->id, host_node_id(probe->node)));
    env->crypto->sign(env->crypto->context, message, signature);
    assert_true(env->crypto->verify(env->crypto->context, &env->id, message, signature));
    env->crypto->fill_random(env->crypto->context, random[0], sizeof random[0]);
    env->crypto->fill_random(env->crypto->context, random[1], sizeof random[1]);
    assert_memory_not_equal(random[0], random[1], sizeof random[0]);
    assert_true(env->seed != 0);
}

/* The first time it writes and waits for the disk; the second time it finds that. */
static void use_all(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct stage *stage = probe->context;
    const struct node_env *env = probe->env;
    struct slice value = {0};
    (void)out;
    if (event->kind == NODE_START) {
        use_crypto(probe);
        log_info(env->log, "stage.start number=%u", ++stage->starts);
        log_debug(env->log, "stage.hidden");
        bool is_kept = store_get(env->store, STORE_META, test_slice("key"), &value);
        assert_int_equal(is_kept, stage->starts == 2);
        store_put(env->store, STORE_META, test_slice("key"), test_slice("value"));
        store_sync(env->store, 4711);
    } else if (event->kind == NODE_STORED) {
        stage->stored = event->stored.token;
        host_stop(stage->host);
    }
}

static size_t log_has(const struct stage *stage, const char *text) {
    char line[600];
    size_t count = 0;
    FILE *file = fopen(stage->log, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, text) != NULL;
    }
    fclose(file);
    return count;
}

static void test_four_injections(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage);
    for (int i = 0; i < 2; i++) {
        stage.stored = 0;
        stage_run(&stage, use_all);
        assert_int_equal(stage.stored, 4711);
    }
    assert_int_equal(log_has(&stage, "stage.start number=1"), 1);
    assert_int_equal(log_has(&stage, "stage.start number=2"), 1);
    assert_int_equal(log_has(&stage, "stage.hidden"), 0);
    stage_free(&stage);
}

/* ---- Names ---- */

static const struct name {
    const char *text;
    size_t len;
    bool is_known;
} names[] = {{"localhost", 9, true},
             {"127.0.0.9", 9, true},
             {"", 0, false},
             {"local\0host", 10, false},
             {NULL, 300, false} /* too long for any name */};

static void look_up(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct stage *stage = probe->context;
    static uint8_t letters[300];
    if (event->kind == NODE_START) {
        memset(letters, 'a', sizeof letters);
        for (uint32_t i = 0; i < LENGTH(names); i++) {
            const void *text = names[i].text != NULL ? (const void *)names[i].text : letters;
            struct slice name = {text, names[i].len};
            outbox_add_bytes(out, ACTION_RESOLVE, name)->token32 = i + 1;
        }
    } else if (event->kind == NODE_RESOLVED) {
        const struct name *name = &names[event->resolved.token - 1];
        assert_int_equal(event->resolved.count > 0, name->is_known);
        for (uint32_t i = 0; i < event->resolved.count; i++) {
            assert_int_equal(event->resolved.addresses[i].port, 0);
        }
        stage->resolved |= 1u << event->resolved.token;
        if (stage->resolved == (1u << (LENGTH(names) + 1)) - 2) {
            host_stop(stage->host);
        }
    }
}

static void test_names_are_resolved(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage_run(&stage, look_up);
    assert_int_equal(stage.probe.counts[NODE_RESOLVED], LENGTH(names));
    stage_free(&stage);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_clocks),
        cmocka_unit_test(test_four_injections),
        cmocka_unit_test(test_names_are_resolved),
    };
    alarm(60);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
