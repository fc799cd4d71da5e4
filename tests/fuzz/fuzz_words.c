/* fuzz_words.c - any text splits into few, short, distinct words of valid UTF-8. */
#include <string.h>

#include "common/check.h"
#include "common/words.h"
#include "tests/fuzz/fuzz.h"

static void check_words(const struct words *words, uint32_t max) {
    CHECK(words->count <= max && words->count <= NAME_WORDS_MAX);
    for (uint32_t i = 0; i < words->count; i++) {
        const struct word *word = &words->words[i];
        CHECK(word->len >= 1 && word->len <= WORD_BYTES_MAX);
        CHECK(words_text_ok((struct slice){(const uint8_t *)word->text, word->len}));
        for (uint32_t other = 0; other < i; other++) {
            const struct word *before = &words->words[other];
            CHECK(before->len != word->len || memcmp(before->text, word->text, word->len) != 0);
        }
    }
    CHECK(words_contain(words, words));
}

/* The first byte is the number of words wanted. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    struct slice text = {data + 1, size - 1};
    struct words words, again;
    enum err err = words_split(text, data[0], &words);
    check_words(&words, data[0]);
    CHECK(err == OK || (err == ERR_FORMAT && words.count == 0));
    CHECK(err == OK || !words_text_ok(text));
    CHECK(words_split(text, data[0], &again) == err && words_contain(&again, &words));
    return 0;
}
