/* metadata_test.c - real processes: what a file says of itself is found by those who ask for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cluster/localnet.h"
#include "tests/unit/media_make.h"

#define SETTLE_MS 60000
#define SEARCH_MS 30000
#define STEP_MS 200

#define MUST(call)                                                                                 \
    do {                                                                                           \
        if ((call) != OK) {                                                                        \
            fail_msg("%s: %s", #call, net->trouble);                                               \
        }                                                                                          \
    } while (0)

static void lay(const struct localnet_node *peer, const char *name, const struct buf *bytes) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", peer->files, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes->data, 1, bytes->len, file), bytes->len);
    assert_int_equal(fclose(file), 0);
}

/* The same sound, so to speak, with 256 kbit/s or 128 of them. */
static void lay_sounds(const struct localnet_node *peer) {
    struct buf sound = {0};
    make_mp3(&sound, 60); /* more than one piece */
    lay(peer, "recording-one.mp3", &sound);
    for (size_t i = 10; i + 4 < sound.len; i++) {
        if (memcmp(sound.data + i, "\xff\xfb\xd4\x00", 4) == 0) {
            sound.data[i + 2] = 0x94;
        }
    }
    lay(peer, "recording-two.mp3", &sound);
    buf_free(&sound);
    make_png(&sound);
    lay(peer, "recording-cover.png", &sound);
    buf_free(&sound);
}

/* The names found, in one text. */
static void search(struct localnet *net, const char *words, const char *more, char names[256]) {
    json_t *answer = NULL;
    MUST(localnet_ask(net, &net->peers[1], (const char *const[]){"search", words, more, NULL},
                      SEARCH_MS, &answer));
    names[0] = '\0';
    for (size_t i = 0; i < json_array_size(answer); i++) {
        const json_t *hit = json_array_get(answer, i);
        if (strcmp(localnet_text(hit, "kind"), "hit") == 0) {
            strncat(names, localnet_text(hit, "name"), 255 - strlen(names));
            strncat(names, " ", 255 - strlen(names));
        }
    }
    json_decref(answer);
}

static void expect_found(struct localnet *net, const char *words, const char *filter,
                         const char *wanted) {
    char names[256];
    int64_t until = process_now_ms() + SETTLE_MS;
    search(net, words, filter, names);
    while (strcmp(names, wanted) != 0 && process_now_ms() < until) {
        process_sleep_ms(STEP_MS); /* registrations travel in the background */
        search(net, words, filter, names);
    }
    assert_string_equal(names, wanted);
}

/* What is shared anew with its metadata is served as before. */
static void expect_fetched(struct localnet *net) {
    json_t *answer = NULL;
    MUST(localnet_ask(net, &net->peers[1],
                      (const char *const[]){"search", "recording", "bitrate:>=192", NULL},
                      SEARCH_MS, &answer));
    char content[256];
    snprintf(content, sizeof content, "%s", localnet_text(localnet_find(answer, "hit"), "content"));
    json_decref(answer);
    MUST(localnet_ask(net, &net->peers[1], (const char *const[]){"get", content, NULL}, SETTLE_MS,
                      &answer));
    const json_t *finished = localnet_find(answer, "finished");
    assert_true(localnet_number(finished, "bytes") > 1 << 20);
    json_decref(answer);
}

static int64_t status(struct localnet *net, char metadata[128]) {
    json_t *answer = NULL;
    MUST(localnet_ask(net, &net->peers[0], (const char *const[]){"status", NULL}, SEARCH_MS,
                      &answer));
    const json_t *own = localnet_find(answer, "status");
    int64_t read = localnet_number(own, "metadata_read");
    snprintf(metadata, 128, "%s", localnet_text(own, "metadata"));
    assert_int_equal(localnet_number(own, "metadata_failed"), 0);
    json_decref(answer);
    return read;
}

static void metadata_is_found_by_others(void **state) {
    static struct localnet network;
    struct localnet *net = &network;
    char metadata[128];
    (void)state;
    struct owner *owner = owner_new("trunkline-metadata");
    assert_non_null(owner);
    MUST(localnet_init(net, owner, BIN_DIR, 1, 2));
    lay_sounds(&net->peers[0]);
    MUST(localnet_start(net, &net->supernodes[0]));
    MUST(localnet_start(net, &net->peers[0]));
    MUST(localnet_start(net, &net->peers[1]));
    for (uint32_t round = 0; round < 2; round++) {
        expect_found(net, "recording", "bitrate:>=192", "recording-one.mp3 ");
        expect_found(net, "recording", "bitrate:<192", "recording-two.mp3 ");
        expect_found(net, "recording", "width:640", "recording-cover.png ");
        expect_found(net, "artist:cetaceans", "bitrate:256", "recording-one.mp3 ");
        /* read once, then known from the cache; and it says when libextractor is missing */
        assert_int_equal(status(net, metadata), round == 0 ? 3 : 0);
        bool is_known = strncmp(metadata, "on", 2) == 0 ||
                        strncmp(metadata, "partly: libextractor is not installed", 37) == 0;
        assert_true(is_known);
        if (round == 0) {
            localnet_stop(&net->peers[0]);
            MUST(localnet_start(net, &net->peers[0]));
        }
    }
    expect_fetched(net);
    assert_int_equal(localnet_stop_all(net), 0);
    localnet_free(net);
    owner_free(owner);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(metadata_is_found_by_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
