/* test_facts.c - what a record tells of its file: metadata, extension, type, keywords. */
#include "tests/unit/testlib.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/facts.h"
#include "common/mem.h"
#include "tests/unit/wire_vectors.h"

#define LINE_MAX_BYTES 4096

static const char *const text_names[FILE_TEXTS] = {"name", "title", "artist", "album"};
static const char *const number_names[FILE_NUMBERS] = {"size",     "year",  "bitrate",
                                                       "duration", "width", "height"};

static void print_slice(char *out, const char *name, struct slice text) {
    size_t at = strlen(out);
    if (text.len > 0) {
        snprintf(out + at, LINE_MAX_BYTES - at, "%s%s=%.*s", at > 0 ? " " : "", name, (int)text.len,
                 (const char *)text.data);
    }
    for (; out[at] != '\0'; at++) {
        out[at] = out[at] == ' ' && strchr(out + at, '=') == NULL ? '_' : out[at];
    }
}

/* As the vectors say it: "title=a_b year=1994". */
static void print_facts(const struct file_facts *facts, char out[LINE_MAX_BYTES]) {
    out[0] = '\0';
    for (int i = TEXT_TITLE; i < FILE_TEXTS; i++) {
        print_slice(out, text_names[i], facts->texts[i]);
    }
    print_slice(out, "language", facts->language);
    for (int i = NUMBER_YEAR; i < FILE_NUMBERS; i++) {
        char number[24];
        snprintf(number, sizeof number, "%" PRIu64, facts->numbers[i]);
        print_slice(out, number_names[i], test_slice(facts->numbers[i] != 0 ? number : ""));
    }
    print_slice(out, "locked", test_slice(facts->is_locked ? "yes" : ""));
}

static struct file_record record_of(const char *name, struct slice meta) {
    return (struct file_record){.content = {.size = 1000}, .name = test_slice(name), .meta = meta};
}

static void check_line(char *line) {
    char *rest = NULL;
    const char *kind = strtok_r(line, " \n", &rest);
    const char *label = strtok_r(NULL, " \n", &rest);
    const char *digits = strtok_r(NULL, " \n", &rest);
    const char *wanted = strtok_r(NULL, "\n", &rest);
    assert_non_null(digits);
    struct buf bytes = {0};
    parse_bytes(digits, &bytes);
    struct slice meta = {bytes.data, bytes.len};
    assert_int_equal(wire_tlvs_check(meta), OK);
    struct file_record record = record_of("x", meta);
    struct file_facts facts;
    char known[LINE_MAX_BYTES];
    file_facts_read(&record, &facts);
    print_facts(&facts, known);
    if (strcmp(known, wanted != NULL ? wanted : "") != 0) {
        fail_msg("%s: '%s', not '%s'", label, known, wanted);
    }
    struct buf again = {0};
    file_facts_write(&again, &facts);
    bool is_same = again.len == bytes.len &&
                   (bytes.len == 0 || memcmp(again.data, bytes.data, bytes.len) == 0);
    assert_int_equal(is_same, strcmp(kind, "written") == 0);
    buf_free(&again);
    buf_free(&bytes);
}

static void test_vectors(void **state) {
    (void)state;
    FILE *file = fopen(TESTS_DIR "/vectors/facts.txt", "r");
    assert_non_null(file);
    char line[LINE_MAX_BYTES];
    size_t count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] != '#') {
            check_line(line);
            count++;
        }
    }
    fclose(file);
    assert_true(count >= 20);
}

/* Texts that are too long end at a character; what cannot be told is left out. */
static void test_write(void **state) {
    (void)state;
    char title[301];
    for (size_t i = 0; i < 100; i++) {
        memcpy(title + 3 * i, "鯨", 3);
    }
    title[300] = '\0';
    struct file_facts facts = {.language = test_slice("not a tag")};
    facts.texts[TEXT_NAME] = test_slice("never written");
    facts.texts[TEXT_TITLE] = test_slice(title);
    facts.texts[TEXT_ARTIST] = test_slice("a\nb");
    facts.numbers[NUMBER_SIZE] = 5;
    facts.numbers[NUMBER_YEAR] = 12000;
    facts.numbers[NUMBER_WIDTH] = 65536;
    facts.numbers[NUMBER_BITRATE] = 1ULL << 32;
    struct buf meta = {0};
    file_facts_write(&meta, &facts);
    struct file_record record = record_of("x", (struct slice){meta.data, meta.len});
    struct file_facts back;
    char known[LINE_MAX_BYTES];
    file_facts_read(&record, &back);
    print_facts(&back, known);
    title[126] = '\0'; /* 42 characters of 3 bytes; 43 would be 129 bytes */
    char wanted[LINE_MAX_BYTES] = "title=";
    strcat(wanted, title);
    assert_string_equal(known, wanted);
    buf_free(&meta);
}

/* Any bytes, exactly sized: read without leaving them, and read alike when written again. */
static void test_noise(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 41);
    for (int round = 0; round < 100000; round++) {
        uint8_t noise[24];
        size_t len = rng_below(&rng, sizeof noise);
        for (size_t i = 0; i < len; i++) {
            noise[i] = (uint8_t)rng_below(&rng, rng_below(&rng, 3) == 0 ? 256 : 20);
        }
        uint8_t *copy = mem_copy(noise, len);
        struct file_record record = record_of("a.mp3", (struct slice){copy, len});
        struct file_facts facts;
        struct buf meta = {0};
        char before[LINE_MAX_BYTES];
        char after[LINE_MAX_BYTES];
        file_facts_read(&record, &facts);
        print_facts(&facts, before);
        file_facts_write(&meta, &facts);
        struct file_record again = record_of("a.mp3", (struct slice){meta.data, meta.len});
        assert_int_equal(wire_tlvs_check(again.meta), OK);
        file_facts_read(&again, &facts);
        print_facts(&facts, after);
        assert_string_equal(before, after);
        buf_free(&meta);
        mem_free(copy);
    }
}

static void test_extension(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const char *extension;
        enum file_type type;
    } rows[] = {
        {"a.mp3", "mp3", FILE_AUDIO},
        {"A.B.FLAC", "FLAC", FILE_AUDIO},
        {"a.3g2", "3g2", FILE_VIDEO},
        {"film.mkv", "mkv", FILE_VIDEO},
        {"a.jpeg", "jpeg", FILE_IMAGE},
        {"a.pdf", "pdf", FILE_DOCUMENT},
        {"a.tar.gz", "gz", FILE_ARCHIVE},
        {"a.zst", "zst", FILE_ARCHIVE},
        {"a.iso", "iso", FILE_SOFTWARE},
        {"a.7z", "7z", FILE_ARCHIVE},
        {"a.mp", "mp", FILE_OTHER},
        {"a.mp3x", "mp3x", FILE_OTHER},
        {"a.Ж", "Ж", FILE_OTHER},
        {"mp3", "", FILE_OTHER},
        {".mp3", "", FILE_OTHER},
        {"a.", "", FILE_OTHER},
        {"Mr. Smith", "", FILE_OTHER},
        {"a.abcdefghijklmnop", "abcdefghijklmnop", FILE_OTHER},
        {"a.abcdefghijklmnopq", "", FILE_OTHER},
        {"", "", FILE_OTHER},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct slice extension = file_extension(test_slice(rows[i].name));
        assert_int_equal(extension.len, strlen(rows[i].extension));
        assert_memory_equal(extension.len > 0 ? extension.data : (const uint8_t *)"",
                            rows[i].extension, extension.len);
        assert_int_equal(file_type_of(extension), rows[i].type);
        struct file_record record = record_of(rows[i].name, (struct slice){0});
        struct file_facts facts;
        file_facts_read(&record, &facts);
        assert_int_equal(facts.type, rows[i].type);
        assert_int_equal(facts.numbers[NUMBER_SIZE], 1000);
    }
    assert_int_equal(file_type_of(test_slice("longer than any extension")), FILE_OTHER);
}

static void test_keywords(void **state) {
    (void)state;
    struct file_facts facts = {0};
    facts.texts[TEXT_NAME] = test_slice("Whale song.mp3");
    facts.texts[TEXT_TITLE] = test_slice("Song of the Deep");
    facts.texts[TEXT_ALBUM] = test_slice("鯨の歌");
    struct words words;
    file_keywords(&facts, &words);
    static const char *const wanted[] = {"whale", "song", "mp3",  "of",
                                         "the",   "deep", "鯨の", "の歌"};
    assert_int_equal(words.count, LENGTH(wanted));
    for (size_t i = 0; i < LENGTH(wanted); i++) {
        assert_int_equal(words.words[i].len, strlen(wanted[i]));
        assert_memory_equal(words.words[i].text, wanted[i], strlen(wanted[i]));
    }
    facts.texts[TEXT_NAME] = test_slice("a b c d e f g h i j k l m n o p q r s t u v w x y z");
    file_keywords(&facts, &words);
    assert_int_equal(words.count, NAME_WORDS_MAX);
    facts.texts[TEXT_NAME] = test_slice("\xff");
    facts.texts[TEXT_TITLE] = test_slice("ok");
    facts.texts[TEXT_ALBUM] = test_slice("");
    file_keywords(&facts, &words);
    assert_int_equal(words.count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),  cmocka_unit_test(test_write),
        cmocka_unit_test(test_noise),    cmocka_unit_test(test_extension),
        cmocka_unit_test(test_keywords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
