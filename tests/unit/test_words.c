/* test_words.c - one text, one list of words, on every node; splitting twice changes nothing. */
#include "tests/unit/testlib.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/words.h"

#define JOINED_BYTES 2048 /* more than any text of the tests has */

/* Join words with '|'. */
static void join(const struct words *words, char out[4096]) {
    size_t at = 0;
    for (uint32_t i = 0; i < words->count; i++) {
        if (i > 0) {
            out[at++] = '|';
        }
        memcpy(out + at, words->words[i].text, words->words[i].len);
        at += words->words[i].len;
    }
    out[at] = '\0';
}

static void test_table(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"", ""},
        {" .-_()[] ", ""},
        {"Blue Whale Song.OGG", "blue|whale|song|ogg"},
        {"blue_whale-song", "blue|whale|song"},
        {"the The THE end", "the|end"},
        {"Café CAFE\xcc\x81 cafe", "cafe"}, /* composed, decomposed, without */
        {"Straße STRASSE", "strasse"},
        {"ΣΊΣΥΦΟΣ σίσυφος", "σισυφοσ"}, /* final sigma folds too */
        {"İstanbul", "istanbul"},
        {"ﬁnal ﬀ", "final|ff"},
        {"Ｆｕｌｌ ｗｉｄｔｈ", "full|width"},
        {"x² ½", "x2|1|2"}, /* 1, fraction slash, 2 */
        {"Ⅳ", "iv"},
        {"한국어 음악", "한국|국어|음악"},
        {"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "한"}, /* the same in conjoining jamo */
        {"中文 音乐", "中文|音乐"},
        {"鯨", "鯨"}, /* one character is a word */
        {"鯨の歌", "鯨の|の歌"},
        {"日本のアニメ", "日本|本の|のア|アニ|ニメ"}, /* across these scripts */
        {"ｱﾆﾒ アニメ", "アニ|ニメ"},                  /* half width */
        {"ガラスからす", "カラ|ラス|スか|から|らす"}, /* the voicing mark is a mark */
        {"スーパー", "スー|ーハ|ハー"},               /* a lengthening is a letter */
        {"第01話x264版", "第|01|話|x264|版"},
        {"人々〆〇", "人々|々〆|〆〇"},
        {"𠮷野家", "𠮷野|野家"}, /* beyond 16 bits */
        {"ไทย", "ไทย"},          /* no pairs: not one of these scripts */
        {"soft\xc2\xadhyphen zero\xe2\x80\x8bwidth", "softhyphen|zerowidth"},
        {"a\x01"
         "b",
         "a|b"},
        {"S01E02 1080p x264", "s01e02|1080p|x264"},
        {"don't", "don|t"},
        {"🐋 whale 🐋", "whale"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct words words;
        char text[4096];
        assert_int_equal(words_split(test_slice(rows[i].text), NAME_WORDS_MAX, &words), OK);
        join(&words, text);
        assert_string_equal(text, rows[i].words);
    }
}

static void test_invalid(void **state) {
    (void)state;
    static const char *const texts[] = {
        "\x80",
        "ok \xc3",
        "\xc0\xaf",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xff",
        "whale \xe2\x82 song",
    };
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct words words = {.count = 5};
        assert_int_equal(words_split(test_slice(texts[i]), NAME_WORDS_MAX, &words), ERR_FORMAT);
        assert_int_equal(words.count, 0);
        assert_false(words_text_ok(test_slice(texts[i])));
    }
}

static void test_limits(void **state) {
    (void)state;
    char text[2000];
    size_t at = 0;
    for (int i = 0; i < 40; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "w%d ", i);
    }
    struct words words;
    assert_int_equal(words_split(test_slice(text), 1000, &words), OK);
    assert_int_equal(words.count, NAME_WORDS_MAX);
    assert_int_equal(words_split(test_slice(text), QUERY_TERMS_MAX, &words), OK);
    assert_int_equal(words.count, QUERY_TERMS_MAX);
    assert_int_equal(words_split(test_slice(text), 0, &words), OK);
    assert_int_equal(words.count, 0);

    /* A long word is cut at a character, and the rest is not another word. */
    text[0] = 'x';
    for (size_t i = 0; i < 50; i++) {
        memcpy(text + 1 + 2 * i, "щ", 2);
    }
    strcpy(text + 101, " end");
    assert_int_equal(words_split(test_slice(text), NAME_WORDS_MAX, &words), OK);
    assert_int_equal(words.count, 2);
    assert_int_equal(words.words[0].len, WORD_BYTES_MAX - 1);
    assert_int_equal(words.words[1].len, 3);
}

/* The longest expansion of NFKC (18 code points from one) goes through the heap. */
static void test_expansion(void **state) {
    (void)state;
    char text[1001] = "";
    for (size_t i = 0; i < 333; i++) {
        memcpy(text + 3 * i, "\xef\xb7\xba", 3); /* U+FDFA */
    }
    struct words words;
    assert_int_equal(words_split(test_slice(text), NAME_WORDS_MAX, &words), OK);
    assert_int_equal(words.count, 5); /* four words; where two ligatures meet, a joined one */
}

static void test_contain(void **state) {
    (void)state;
    struct words present;
    struct words wanted;
    assert_int_equal(words_split(test_slice("Blue Whale Song"), NAME_WORDS_MAX, &present), OK);
    static const struct {
        const char *text;
        bool is_there;
    } rows[] = {{"whale", true},     {"SONG blue", true}, {"", true},
                {"whales", false},   {"whal", false},     {"blue whale song extra", false},
                {"bluewhale", false}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        assert_int_equal(words_split(test_slice(rows[i].text), NAME_WORDS_MAX, &wanted), OK);
        assert_int_equal(words_contain(&present, &wanted), rows[i].is_there);
    }
}

static void test_text_ok(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_ok;
    } rows[] = {{"", true},
                {"plain ~", true},
                {"wal ß 한 🐋", true},
                {"tab\t", false},
                {"line\n", false},
                {"del\x7f", false},
                {"c1 \xc2\x85", false},
                {"nbsp \xc2\xa0", true},
                {"esc\x1b[31m", false}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        assert_int_equal(words_text_ok(test_slice(rows[i].text)), rows[i].is_ok);
    }
    assert_false(words_text_ok((struct slice){(const uint8_t *)"a\0b", 3}));
}

/* Append a random assigned or unassigned code point as UTF-8. */
static size_t append_random(struct rng *rng, char *to) {
    static const uint32_t tops[] = {0x80, 0x250, 0x800, 0x3000, 0xd800, 0x20000, 0x110000};
    uint32_t point = (uint32_t)rng_below(rng, tops[rng_below(rng, LENGTH(tops))]);
    if (point >= 0xd800 && point < 0xe000) {
        point = 0xfdfa;
    }
    if (point < 0x80) {
        to[0] = (char)point;
        return 1;
    }
    size_t tail = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const uint8_t heads[] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(heads[tail] | point >> (6 * tail));
    for (size_t i = 1; i <= tail; i++) {
        to[i] = (char)(0x80 | (point >> (6 * (tail - i)) & 0x3f));
    }
    return tail + 1;
}

/* Words split from words are the same words: index and query agree however often a text passes. */
static void test_idempotent(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 9);
    for (int round = 0; round < 50000; round++) {
        char text[512];
        size_t len = 0;
        while (len < 200) {
            len += append_random(&rng, text + len);
        }
        struct words once;
        struct words twice;
        char first[4096];
        char second[4096];
        struct slice slice = {(const uint8_t *)text, len};
        assert_int_equal(words_split(slice, NAME_WORDS_MAX, &once), OK);
        join(&once, first);
        assert_int_equal(words_split(test_slice(first), NAME_WORDS_MAX, &twice), OK);
        join(&twice, second);
        assert_string_equal(first, second);
        assert_true(words_text_ok(test_slice(first)));
    }
}

/* Words of all lengths, each where readable memory ends, alike but for one character or none. */
static void test_equal(void **state) {
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    struct word *last = (struct word *)(pages + page) - 1;
    struct word other;
    for (uint32_t len = 1; len <= WORD_BYTES_MAX; len++) {
        for (uint32_t i = 0; i < WORD_BYTES_MAX; i++) {
            last->text[i] = i < len ? 'a' : i < 7 ? '\0' : 'x';
            other.text[i] = i < len ? 'a' : i < 7 ? '\0' : 'y';
        }
        last->len = other.len = (uint8_t)len;
        assert_true(word_equal(last, &other));
        for (uint32_t i = 0; i < len; i++) {
            other.text[i] = 'b';
            assert_false(word_equal(last, &other));
            other.text[i] = 'a';
        }
        other.len--;
        other.text[len - 1] = '\0';
        assert_false(word_equal(last, &other));
    }
    assert_int_equal(munmap(pages, 2 * page), 0);
}

static bool take_joined(void *context, const struct word *word) {
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, JOINED_BYTES - len, "%.*s|", word->len, word->text);
    for (uint32_t i = word->len; i < 7; i++) {
        assert_int_equal(word->text[i], 0); /* or equal words would seem to differ */
    }
    return true;
}

/* Plain ASCII has a short way: it must be the way of all, for any length of text and of words. */
static void test_ascii(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 11);
    for (int round = 0; round < 20000; round++) {
        char text[400], plain[JOINED_BYTES] = "", tail[JOINED_BYTES] = "";
        size_t len = rng_below(&rng, 1 + rng_below(&rng, 300)), word = 1 + rng_below(&rng, 100);
        for (size_t i = 0; i < len; i++) {
            bool is_any = rng_below(&rng, word) == 0; /* letter or not */
            text[i] = (char)(is_any ? 1 + rng_below(&rng, 127) : 'A' + rng_below(&rng, 26));
        }
        memcpy(text + len, " щ", sizeof " щ");
        assert_int_equal(words_each((struct slice){(uint8_t *)text, len}, take_joined, plain), OK);
        assert_int_equal(words_each(test_slice(text), take_joined, tail), OK);
        strcat(plain, "щ|");
        assert_string_equal(plain, tail);
    }
}

static void test_pieces(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_piece;
    } rows[] = {{"鯨", true},  {"ア", true},  {"한", true},    {"𠮷", true}, {"ㇿ", true},
                {"㐀", true},  {"鿿", true}, {"힣", true},    {"々", true}, {"ー", true},
                {"ㄅ", false}, {"ꀀ", false}, {"鯨の", false}, {"a", false}, {"щ", false},
                {"ไ", false},  {"1", false}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct words words;
        assert_int_equal(words_split(test_slice(rows[i].text), 2, &words), OK);
        assert_int_equal(words.count, 1);
        assert_int_equal(word_is_piece(&words.words[0]), rows[i].is_piece);
    }
}

static bool take_three(void *context, const struct word *word) {
    struct words *words = context;
    words->words[words->count++] = *word;
    return words->count < 3;
}

/* In order, repeated ones too, until enough. */
static void test_each(void **state) {
    (void)state;
    struct words words = {0};
    char text[4096];
    assert_int_equal(words_each(test_slice("b a b c"), take_three, &words), OK);
    join(&words, text);
    assert_string_equal(text, "b|a|b");
    words.count = 0;
    assert_int_equal(words_each(test_slice("青い鯨の歌 x"), take_three, &words), OK);
    join(&words, text);
    assert_string_equal(text, "青い|い鯨|鯨の");
    words.count = 0;
    assert_int_equal(words_each(test_slice("a b \xff"), take_three, &words), ERR_FORMAT);
    assert_int_equal(words.count, 0);
}

/* Any bytes: an answer, never a crash, and both functions agree on what is UTF-8. */
static void test_noise(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 10);
    for (int round = 0; round < 50000; round++) {
        uint8_t noise[24];
        rng_fill(&rng, noise, sizeof noise);
        size_t len = rng_below(&rng, 6);
        struct words words;
        enum err err = words_split((struct slice){noise, len}, NAME_WORDS_MAX, &words);
        assert_true(err == OK || err == ERR_FORMAT);
        if (words_text_ok((struct slice){noise, len})) {
            assert_int_equal(err, OK);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),      cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_expansion),
        cmocka_unit_test(test_contain),    cmocka_unit_test(test_text_ok),
        cmocka_unit_test(test_idempotent), cmocka_unit_test(test_noise),
        cmocka_unit_test(test_equal),      cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_pieces),     cmocka_unit_test(test_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
