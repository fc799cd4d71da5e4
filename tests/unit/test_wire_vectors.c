/* test_wire_vectors.c - replays tests/vectors/wire: verdicts, exact bytes, prefixes, byte flips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/mem.h"
#include "tests/unit/wire_vectors.h"
#include "tests/wire_codecs.h"

static const struct codec {
    const char *name;
    recode_function *recode;
} codecs[] = {
#define ROW(name, tag) {#name, recode_##name},
    WIRE_CODECS(ROW)
#undef ROW
};

#define CODECS (sizeof codecs / sizeof *codecs)
/* Bytes up to which every other value of every byte is tried; every single bit; beyond, one flip of
 * each byte: the longest vectors are mostly file bytes and hashes. */
#define ALL_VALUES_MAX 200
#define ALL_BITS_MAX 1500
/* Behind its first bytes a long vector (a summary's table) is flipped at every so many bytes. */
#define ALL_BYTES_MAX 4096
#define STRIDE 17

/* Recode an exactly sized copy, so that a read beyond it is seen by the sanitizers; what is
 * accepted must come out as it went in. */
static enum err recode(const struct codec *codec, const uint8_t *bytes, size_t len) {
    uint8_t *copy = mem_copy(bytes, len);
    struct buf again = {0};
    enum err err = codec->recode((struct slice){copy, len}, &again);
    if (err == OK) {
        assert_int_equal(again.len, len);
        assert_memory_equal(again.data, bytes, len);
    } else {
        assert_true(err == ERR_FORMAT || err == ERR_LIMIT || err == ERR_CRITICAL);
    }
    buf_free(&again);
    mem_free(copy);
    return err;
}

static void check_prefixes(const struct codec *codec, const struct vector *vector) {
    size_t accepted = 0;
    for (size_t len = 0; len < vector->bytes.len; len++) {
        accepted += recode(codec, vector->bytes.data, len) == OK;
    }
    if (accepted != vector->whole_prefixes) {
        fail_msg("%s %s: %zu prefixes are accepted, not %zu", codec->name, vector->label, accepted,
                 vector->whole_prefixes);
    }
}

/* The flip after this one; 256 and more = done. */
static unsigned next_flip(unsigned flip, size_t len) {
    if (len > ALL_BITS_MAX) {
        return 256;
    }
    return len > ALL_VALUES_MAX ? flip * 2 : flip + 1;
}

static size_t next_byte(size_t at) {
    return at + (at < ALL_BYTES_MAX ? 1 : STRIDE);
}

static void check_flips(const struct codec *codec, const struct vector *vector) {
    for (size_t at = 0; at < vector->bytes.len; at = next_byte(at)) {
        uint8_t kept = vector->bytes.data[at];
        for (unsigned flip = 1; flip < 256; flip = next_flip(flip, vector->bytes.len)) {
            vector->bytes.data[at] = (uint8_t)(kept ^ flip);
            (void)recode(codec, vector->bytes.data, vector->bytes.len);
        }
        vector->bytes.data[at] = kept;
    }
}

static void check_vector(const struct codec *codec, const struct vector *vector) {
    enum err err = recode(codec, vector->bytes.data, vector->bytes.len);
    if (err != vector->verdict) {
        fail_msg("%s %s: the verdict is %s, not %s", codec->name, vector->label, err_name(err),
                 err_name(vector->verdict));
    }
    if (err == OK) {
        check_prefixes(codec, vector);
        check_flips(codec, vector);
    }
}

static void test_vectors(void **state) {
    const struct codec *codec = *state;
    FILE *file = vectors_open(codec->name);
    size_t accepted = 0, refused = 0;
    for (struct vector vector; vectors_next(file, &vector); buf_free(&vector.bytes)) {
        check_vector(codec, &vector);
        *(vector.verdict == OK ? &accepted : &refused) += 1;
    }
    fclose(file);
    assert_true(accepted > 0 && refused > 0);
}

int main(void) {
    struct CMUnitTest tests[CODECS];
    for (size_t i = 0; i < CODECS; i++) {
        tests[i] = (struct CMUnitTest){.name = codecs[i].name,
                                       .test_func = test_vectors,
                                       .initial_state = (void *)(uintptr_t)&codecs[i]};
    }
    return cmocka_run_group_tests_name("wire vectors", tests, NULL, NULL);
}
