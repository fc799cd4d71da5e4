/* test_extract_host.c - what a bad file does to the process that reads it costs that file alone. */
#include <stdlib.h>

#include "common/facts.h"
#include "src/extract/sandbox.h"
#include "tests/unit/hostlib.h"

#define FILES_MAX 16
#define LOOK_MS 20

struct told {
    uint64_t file;
    char name[64];
    char title[64];
    uint32_t times;
};

struct shelf {
    struct host *host;
    struct probe probe;
    char state[64];
    char folder[64];
    struct told told[FILES_MAX];
    uint32_t count;
    uint32_t expected; /* files to be read, well or not */
    const char *program;
    bool no_metadata;
    bool is_ready;
    struct driver_counts counts; /* at the end */
    char metadata[128];
};

static struct told *find(struct shelf *shelf, const char *name) {
    for (uint32_t i = 0; i < shelf->count; i++) {
        if (strcmp(shelf->told[i].name, name) == 0) {
            return &shelf->told[i];
        }
    }
    fail_msg("%s was never shared", name);
    return NULL;
}

static void note(struct shelf *shelf, const struct node_event *event) {
    struct told *told = shelf->told;
    while (told < shelf->told + shelf->count && told->file != event->shared.file) {
        told++;
    }
    if (told == shelf->told + shelf->count) {
        assert_true(shelf->count++ < FILES_MAX);
        told->file = event->shared.file;
        assert_int_equal(event->shared.pieces.len, event->shared.content.size > 1 << 20 ? 64 : 0);
    }
    snprintf(told->name, sizeof told->name, "%.*s", (int)event->shared.name.len,
             (const char *)event->shared.name.data);
    struct file_record record = {.name = event->shared.name, .meta = event->shared.meta};
    struct file_facts facts;
    file_facts_read(&record, &facts);
    snprintf(told->title, sizeof told->title, "%.*s", (int)facts.texts[TEXT_TITLE].len,
             (const char *)facts.texts[TEXT_TITLE].data);
    told->times++;
}

static void on_event(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct shelf *shelf = probe->context;
    (void)out;
    if (event->kind == NODE_SHARED) {
        note(shelf, event);
    }
    shelf->is_ready = shelf->is_ready || event->kind == NODE_SHARES_READY;
    const struct driver_counts *counts = probe->env->driver;
    bool has_given_up = strncmp(counts->metadata, "none", 4) == 0;
    if (event->kind != NODE_SHUTDOWN && shelf->is_ready &&
        (has_given_up || counts->metadata_read + counts->metadata_failed >= shelf->expected)) {
        shelf->counts = *counts;
        snprintf(shelf->metadata, sizeof shelf->metadata, "%s", counts->metadata);
        host_stop(shelf->host);
    } else if (shelf->is_ready) {
        probe_wake(probe, event, LOOK_MS);
    }
}

static void shelf_init(struct shelf *shelf) {
    *shelf = (struct shelf){.program = BIN_DIR "/extract_bad"};
    folder_make_temporary(shelf->state);
    folder_make_temporary(shelf->folder);
}

static void put(const struct shelf *shelf, const char *name, const char *word, size_t size) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", shelf->folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "%s %s ", word, name);
    for (size_t i = strlen(word) + strlen(name) + 2; i < size; i++) {
        fputc((int)(i % 251), file);
    }
    assert_int_equal(fclose(file), 0);
}

/* Share everything until so many files have been read. */
static void shelf_run(struct shelf *shelf, uint32_t expected) {
    struct host_error error = {0};
    const char *folders[] = {shelf->folder};
    struct host_config host = {.log_level = LOG_LEVEL_ERROR};
    shelf->host = host_new(&host, &error);
    assert_non_null(shelf->host);
    shelf->probe = (struct probe){.on = on_event, .context = shelf};
    shelf->count = 0;
    memset(shelf->told, 0, sizeof shelf->told);
    shelf->is_ready = false;
    shelf->expected = expected;
    struct host_node_config config = {.network = test_network(),
                                      .state_dir = shelf->state,
                                      .share_dirs = folders,
                                      .share_count = 1,
                                      .listen = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 47}},
                                      .make = probe_make,
                                      .role_config = &shelf->probe,
                                      .extract_program = shelf->program,
                                      .no_metadata = shelf->no_metadata,
                                      .seed = 3};
    shelf->probe.node = host_add(shelf->host, &config, &error);
    if (shelf->probe.node == NULL) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(host_run(shelf->host), 0);
    host_free(shelf->host);
}

static void shelf_free(struct shelf *shelf) {
    folder_remove(shelf->state);
    folder_remove(shelf->folder);
}

static void a_bad_file_costs_itself(void **state) {
    /* A process that has served before gets another chance: who hangs is first, and does it once.
     */
    static const char *const bad[] = {"HANGS", "BLOAT", "LARGE", "NOISE", "CRASH"};
    const char *instead = sandbox_limits_memory() ? NULL : "CRASH"; /* in the place of BLOAT */
    (void)state;
    struct shelf shelf;
    shelf_init(&shelf);
    for (size_t i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "%zu-bad.mp3", 2 * i);
        put(&shelf, name, i == 1 && instead != NULL ? instead : bad[i], 1000);
        snprintf(name, sizeof name, "%zu-good.mp3", 2 * i + 1);
        put(&shelf, name, "GOOD ", 1000);
    }
    double start_s = seconds_now();
    shelf_run(&shelf, 10);
    double took_ms = (seconds_now() - start_s) * 1000;
    assert_true(took_ms >= EXTRACT_WALL_MS && took_ms < EXTRACT_WALL_MS + 10000);
    assert_int_equal(shelf.count, 10);
    assert_int_equal(shelf.counts.metadata_failed, 5);
    assert_int_equal(shelf.counts.metadata_read, 5);
    assert_string_equal(shelf.metadata, "on");
    for (uint32_t i = 0; i < 10; i++) {
        bool is_good = strstr(shelf.told[i].name, "good") != NULL;
        assert_string_equal(shelf.told[i].title, is_good ? "fine" : "");
        assert_int_equal(shelf.told[i].times, is_good ? 2 : 1);
    }
    shelf_run(&shelf, 0); /* all of it is known, the bad ones too */
    assert_int_equal(shelf.counts.metadata_failed + shelf.counts.metadata_read, 0);
    assert_string_equal(shelf.metadata, "on, nothing read yet");
    assert_int_equal(shelf.count, 10);
    assert_string_equal(find(&shelf, "3-good.mp3")->title, "fine");
    assert_int_equal(find(&shelf, "3-good.mp3")->times, 1);
    assert_string_equal(find(&shelf, "2-bad.mp3")->title, "");
    shelf_free(&shelf);
}

/* An answer that nobody asked for ends the process, not what it said before. */
static void a_second_answer_is_not_believed(void **state) {
    (void)state;
    struct shelf shelf;
    shelf_init(&shelf);
    put(&shelf, "a.mp3", "TWICE", 1000);
    put(&shelf, "b.mp3", "GOOD ", 1 << 20 | 1);
    put(&shelf, "c.txt", "CRASH", 1000);
    shelf_run(&shelf, 2);
    assert_string_equal(find(&shelf, "a.mp3")->title, "once");
    assert_string_equal(find(&shelf, "c.txt")->title, "");
    assert_int_equal(shelf.counts.metadata_failed, 0); /* a text is not even tried */
    shelf_free(&shelf);
}

static void without_the_program_files_are_shared(void **state) {
    (void)state;
    struct shelf shelf;
    char mute[100];
    shelf_init(&shelf);
    put(&shelf, "a.mp3", "GOOD ", 1000);
    shelf.program = "/nonexistent/trunkline-extract";
    shelf_run(&shelf, 1);
    assert_string_equal(shelf.metadata, "none: trunkline-extract cannot be started");
    assert_int_equal(shelf.count, 1);
    snprintf(mute, sizeof mute, "%s/mute", shelf.state);
    assert_int_equal(symlink(BIN_DIR "/extract_bad", mute), 0);
    shelf.program = mute;
    shelf_run(&shelf, 1);
    assert_non_null(strstr(shelf.metadata, "none: trunkline-extract ends at once"));
    assert_int_equal(shelf.count, 1);
    shelf.no_metadata = true;
    shelf_run(&shelf, 0);
    assert_string_equal(shelf.metadata, "off");
    assert_string_equal(find(&shelf, "a.mp3")->title, "");
    shelf_free(&shelf);
}

static void without_libextractor_it_says_so(void **state) {
    (void)state;
    struct shelf shelf;
    char without[100];
    shelf_init(&shelf);
    put(&shelf, "a.mp3", "GOOD ", 1000);
    snprintf(without, sizeof without, "%s/without", shelf.state);
    assert_int_equal(symlink(BIN_DIR "/extract_bad", without), 0);
    shelf.program = without;
    shelf_run(&shelf, 1);
    assert_non_null(strstr(shelf.metadata, "partly: libextractor is not installed"));
    assert_string_equal(find(&shelf, "a.mp3")->title, "fine");
    shelf.program = BIN_DIR "/extract_bad"; /* once it is there, files are read again */
    shelf_run(&shelf, 1);
    assert_int_equal(shelf.counts.metadata_read, 1);
    shelf_run(&shelf, 0);
    assert_int_equal(shelf.counts.metadata_read, 0);
    shelf_free(&shelf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_file_costs_itself),
        cmocka_unit_test(a_second_answer_is_not_believed),
        cmocka_unit_test(without_the_program_files_are_shared),
        cmocka_unit_test(without_libextractor_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
