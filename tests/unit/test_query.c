/* test_query.c - the query language: what a text means, where it is wrong, which files match. */
#include "tests/unit/testlib.h"

#include <stdlib.h>

#include "common/mem.h"
#include "common/query.h"
#include "tests/query_naive.h"

static struct query_expr read_query(const char *text) {
    struct query_expr query;
    struct query_error error;
    enum err err = query_parse(test_slice(text), &query, &error);
    if (err != OK) {
        fail_msg("'%s': %s at %zu", text, error.why, error.at);
    }
    return query;
}

static const struct {
    const char *text;
    const char *means;
} meanings[] = {
    {"Blue  WHALE", "blue whale"},
    {"whale whale wal", "whale wal"},
    {"blue_whale (song)", "blue whale song"},
    {"artist - title", "artist title"},
    {"a - -- -! b", "a b"},
    {"don't", "don t"},
    {"blue\xe3\x80\x80whale\xc2\xa0song", "blue whale song"},
    {"\"song of the\" whale", "song of the whale \"song of the\""},
    {"\"Whale\"", "whale"},
    {"a\"b c\"d", "a b c d \"b c\""},
    {"\"the the\"", "the \"the the\""},
    {"whale -remix", "whale -remix"},
    {"-remix whale", "whale -remix"},
    {"whale -\"radio edit\"", "whale -\"radio edit\""},
    {"whale -sci-fi", "whale -\"sci fi\""},
    {"sci-fi", "sci fi"},
    {"whale -\"remix\"", "whale -remix"},
    {"title:whale", "title:whale"},
    {"TITLE:whale whale artist:whale", "title:whale artist:whale"},
    {"title:\"blue whale\"", "title:blue title:whale title:\"blue whale\""},
    {"album:a-b", "album:a album:b"},
    {"a type:Audio", "a type:audio"},
    {"a type:video,audio type:other", "a type:audio type:video type:other"},
    {"a type:\"image\"", "a type:image"},
    {"a ext:.MP3,flac", "a ext:\"mp3\" ext:\"flac\""},
    {"a language:pt-BR", "a language:pt-br"},
    {"a year:1994", "a year:1994..1994"},
    {"a year:=1994", "a year:1994..1994"},
    {"a year:1990..1999", "a year:1990..1999"},
    {"a year:1990..", "a year:1990.."},
    {"a year:..1999", "a year:1..1999"},
    {"a year:<1999", "a year:1..1998"},
    {"a year:<=1999", "a year:1..1999"},
    {"a year:>1999", "a year:2000.."},
    {"a year:>=0", "a year:1.."},
    {"a year:>=1990 year:<2000", "a year:1990..1999"},
    {"a size:10", "a size:10..10"},
    {"a size:>10M", "a size:10485761.."},
    {"a size:1M..10MiB", "a size:1048576..10485760"},
    {"a size:700M", "a size:734003200..735051775"},
    {"a size:=1.5G", "a size:1610612736..1717986917"},
    {"a size:>=1.5kb", "a size:1536.."},
    {"a size:1k..1.5k", "a size:1024..1536"},
    {"a size:<4T", "a size:1..4398046511103"},
    {"a size:..0.125k", "a size:1..128"},
    {"a bitrate:>=192", "a bitrate:192.."},
    {"a bitrate:320k", "a bitrate:320..320"},
    {"a duration:>3m", "a duration:181.."},
    {"a duration:3m", "a duration:180..239"},
    {"a duration:<1h", "a duration:1..3599"},
    {"a duration:>=1h30m20s", "a duration:5420.."},
    {"a duration:3:30", "a duration:210..210"},
    {"a duration:3:30..1:02:03", "a duration:210..3723"},
    {"a duration:>90", "a duration:91.."},
    {"a duration:1.5h..2h", "a duration:5400..7200"},
    {"a width:>=1920 height:1080p", "a width:1920.. height:1080..1080"},
    /* a colon that is no field's */
    {"http://x.org/y", "http x org y"},
    {"12:30 s01:e02", "12 30 s01 e02"},
    {"Alien: Romulus", "alien romulus"},
    {"std::sort", "std sort"},
    {"c:\\dir d:x", "c dir d x"},
    {"título:x", "titulo x"},
    {"\"re:zero\"", "re zero \"re zero\""},
    {"foo-title:x", "foo title x"},
    /* scripts without blanks */
    {"鯨の歌", "鯨の の歌"},
    {"\"鯨の歌\"", "鯨の の歌 \"鯨の の歌\""},
    {"鯨", "鯨"},
    {"鯨 live", "live 鯨"},
    {"第01話", "01 第 話"},
    {"live -鯨 -歌手", "live -鯨 -歌手"},
    {"live title:鯨", "live title:鯨"},
    {"한국어 음악", "한국 국어 음악"},
};

static void test_meaning(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(meanings); i++) {
        struct query_expr query = read_query(meanings[i].text);
        char means[QUERY_PRINT_MAX];
        query_print(&query, means);
        assert_string_equal(means, meanings[i].means);
        query = read_query(means);
        query_print(&query, means);
        assert_string_equal(means, meanings[i].means);
    }
}

/* What people type without a thought of a language is a query, and its words are those of a name.
 */
static void test_plain_texts(void **state) {
    (void)state;
    FILE *file = fopen(TESTS_DIR "/vectors/queries.txt", "r");
    assert_non_null(file);
    char line[QUERY_TEXT_MAX + 2];
    size_t count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#') {
            struct query_expr query = read_query(line);
            struct words words;
            assert_int_equal(words_split(test_slice(line), QUERY_TERMS_MAX, &words), OK);
            assert_true(query.is_plain && query.words.count == words.count);
            assert_true(words_contain(&query.words, &words));
            count++;
        }
    }
    fclose(file);
    assert_int_equal(count, 1000);
}

static void test_flags(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_plain;
        bool is_lone;
    } rows[] = {
        {"blue whale", true, false},    {"鯨の歌", true, false},        {"鯨", true, true},
        {"鯨 - 歌", true, true},        {"鯨 live", false, false},      {"a -b", false, false},
        {"a \"b c\"", false, false},    {"a type:audio", false, false}, {"a ext:x", false, false},
        {"a language:x", false, false}, {"a year:1", false, false},     {"title:a", false, false},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct query_expr query = read_query(rows[i].text);
        assert_int_equal(query.is_plain, rows[i].is_plain);
        assert_int_equal(query.is_lone, rows[i].is_lone);
    }
}

static void check_error(struct slice text, enum err err, size_t at, const char *why) {
    struct query_expr query;
    struct query_error error;
    enum err got = query_parse(text, &query, &error);
    if (got != err || error.at != at || strstr(error.why, why) == NULL) {
        fail_msg("'%.*s': %s at %zu: %s; not %s at %zu: %s", (int)text.len, (const char *)text.data,
                 err_name(got), error.at, got == OK ? "" : error.why, err_name(err), at, why);
    }
    assert_int_equal(query_parse(text, &query, NULL), err);
}

static const struct {
    const char *text;
    size_t at;
    const char *why;
} mistakes[] = {
    {"", 0, "a word to look for"},
    {"  -  ", 0, "a word to look for"},
    {"type:audio -x", 0, "a word to look for"},
    {"whale \"song", 6, "quote has no end"},
    {"whale 7\" single", 7, "quote has no end"},
    {"whale \"\"", 7, "no letter"},
    {"whale title:...", 12, "no letter"},
    {"whale color:red", 6, "no such field; known are type, ext, size"},
    {"whale re:zero", 6, "quotes"},
    {"whale -color:red", 7, "no such field"},
    {"whale color:\"red\"", 6, "no such field"},
    {"whale -type:audio", 6, "only words and phrases"},
    {"whale type:", 11, "value is missing"},
    {"whale size: 10", 11, "value is missing"},
    {"whale type:song", 11, "known are audio"},
    {"whale type:audio,song", 17, "known are audio"},
    {"whale type:audio,", 17, "known are audio"},
    {"whale ext:tar.gz", 10, "last dot"},
    {"whale ext:mp3,.", 14, "last dot"},
    {"whale ext:abcdefghijklmnopq", 10, "last dot"},
    {"whale ext:\"a b\"", 11, "last dot"},
    {"whale language:12", 15, "code such as"},
    {"whale language:en language:de", 18, "only one language"},
    {"whale year:abc", 11, "a number is expected"},
    {"whale year:>", 12, "a number is expected"},
    {"whale year:..", 13, "a number is expected"},
    {"whale year:1990..x", 17, "a number is expected"},
    {"whale year:>=..5", 13, "a number is expected"},
    {"whale year:>5..6", 13, "not part of a number"},
    {"whale year:1990-1999", 15, "not part of a number"},
    {"whale year:1990..1999..", 21, "not part of a number"},
    {"whale year:1990s", 15, "digits alone"},
    {"whale year:1999..1990", 11, "no number in this range"},
    {"whale year:<1", 11, "no number in this range"},
    {"whale size:0", 11, "no number in this range"},
    {"whale size:10X", 13, "B, K, M, G or T"},
    {"whale size:10megabytes", 13, "B, K, M, G or T"},
    {"whale size:1.5", 12, "larger unit"},
    {"whale size:1.2345G", 12, "at most three"},
    {"whale size:99999999999999999999", 11, "too large"},
    {"whale size:>9999999T", 12, "too large"},
    {"whale size:1..1048576T", 14, "too large"},
    {"whale bitrate:1M", 15, "use k or none"},
    {"whale duration:3d", 16, "use s, m or h"},
    {"whale duration:1h30", 19, "a unit is missing"},
    {"whale duration:3:60", 17, "end at 59"},
    {"whale duration:1:2:3:4", 20, "not part of a number"},
    {"whale duration:3:", 17, "a number is expected"},
    {"whale year:>2000 year:<1990", 17, "contradicts"},
    {"whale \x01", 6, "control"},
    {"whale \xff", 6, "UTF-8"},
    {"whale\xe3\x80", 5, "UTF-8"},
};

static void test_errors(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(mistakes); i++) {
        check_error(test_slice(mistakes[i].text), ERR_FORMAT, mistakes[i].at, mistakes[i].why);
    }
}

static void test_limits(void **state) {
    (void)state;
    char text[300];
    memset(text, 'a', sizeof text);
    struct query_expr query;
    assert_int_equal(query_parse((struct slice){(uint8_t *)text, 256}, &query, NULL), OK);
    check_error((struct slice){(uint8_t *)text, 257}, ERR_LIMIT, 256, "256 bytes");
    check_error(test_slice("a \"b c\" \"d e\" \"f g\" -\"h i\" \"j k\""), ERR_LIMIT, 27,
                "at most 4");
    check_error(test_slice("x ext:a,b,c,d ext:e,f,g,h,i"), ERR_LIMIT, 26, "at most 8");
    const char *full = "a b c d e f g h i j k l m n o p";
    const char *over = "a b c d e f g h i j k l m n o p q";
    query = read_query(full);
    assert_int_equal(query.words.count, QUERY_TERMS_MAX);
    check_error(test_slice(over), ERR_LIMIT, 32, "at most 16");
    check_error(test_slice("a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q"), ERR_LIMIT, 0, "at most 16");
    check_error(test_slice("a -\"b c d e f g h i j\" -\"k l m n o p q r s\""), ERR_LIMIT, 23,
                "at most 16");
    check_error(test_slice("x -a -b -c -d -e -f -g -h -i -j -k -l -m -n -o -p -q"), ERR_LIMIT, 50,
                "at most 16");
    query = read_query("a b c d e f g h i j k l m n o p 鯨 -q a \"a b\""); /* each set for itself */
    assert_int_equal(query.pieces.count, 1);
}

/* ---- Matching ---- */

struct file {
    const char *name;
    const char *title;
    const char *artist;
    const char *album;
    const char *language;
    uint64_t numbers[FILE_NUMBERS];
};

static struct file_facts facts_of(const struct file *file) {
    struct file_facts facts = {0};
    facts.texts[TEXT_NAME] = test_slice(file->name);
    facts.texts[TEXT_TITLE] = test_slice(file->title != NULL ? file->title : "");
    facts.texts[TEXT_ARTIST] = test_slice(file->artist != NULL ? file->artist : "");
    facts.texts[TEXT_ALBUM] = test_slice(file->album != NULL ? file->album : "");
    facts.language = test_slice(file->language != NULL ? file->language : "");
    facts.extension = file_extension(facts.texts[TEXT_NAME]);
    facts.type = file_type_of(facts.extension);
    memcpy(facts.numbers, file->numbers, sizeof facts.numbers);
    return facts;
}

static const struct file whale = {
    "Blue Whale - Song of the Deep.MP3", "Song of the Deep", "The Blue Whales", "Ocean", "en-GB",
    {5000000, 1994, 192, 210, 0, 0}};
static const struct file anime = {"番組第01話 青い鯨の歌.mkv", NULL, NULL, NULL, NULL, {7}};
static const struct {
    const struct file *file;
    const char *query;
    bool is_match;
} matches[] = {
    {&whale, "whale", true},
    {&whale, "deep blue", true},
    {&whale, "whal", false},
    {&whale, "whale ocean", true}, /* name and album together */
    {&whale, "whale missing", false},
    {&whale, "\"song of the\"", true},
    {&whale, "\"of song the\"", false},
    {&whale, "\"the deep mp3\"", true},
    {&whale, "\"deep ocean\"", false}, /* never across two texts */
    {&whale, "\"deep the blue\"", false},
    {&whale, "whale -remix", true},
    {&whale, "whale -ocean", false},
    {&whale, "whale -\"of the\"", false},
    {&whale, "whale -\"the of\"", true},
    {&whale, "title:song", true},
    {&whale, "title:blue", false},
    {&whale, "artist:blue title:song album:ocean", true},
    {&whale, "title:song artist:song", false},
    {&whale, "artist:\"blue whales\"", true},
    {&whale, "title:\"blue whale\"", false},
    {&whale, "whale type:audio", true},
    {&whale, "whale type:video", false},
    {&whale, "whale type:video,audio", true},
    {&whale, "whale ext:mp3", true},
    {&whale, "whale ext:ogg,mp3", true},
    {&whale, "whale ext:mp", false},
    {&whale, "whale language:en", true},
    {&whale, "whale language:EN-gb", true},
    {&whale, "whale language:e", false},
    {&whale, "whale language:en-gb-x", false},
    {&whale, "whale size:5000000", true},
    {&whale, "whale size:>5000000", false},
    {&whale, "whale size:4M..5M", true},
    {&whale, "whale year:1990..1999", true},
    {&whale, "whale year:1995..", false},
    {&whale, "whale bitrate:>=192 duration:3:30", true},
    {&whale, "whale width:>0", false}, /* unknown */
    {&whale, "whale width:..99999", false},
    {&anime, "鯨の歌", true},
    {&anime, "青い鯨", true},
    {&anime, "い鯨 歌", true},
    {&anime, "鯨", false}, /* alone it looks for where it stands alone */
    {&anime, "話", true},
    {&anime, "第01話", true}, /* the first in a pair, the last alone */
    {&anime, "\"第01話\"", true},
    {&anime, "\"番01話\"", false},
    {&anime, "mkv \"話 青\"", true},
    {&anime, "\"01 青\"", false},
    {&anime, "\"話 青\"", false},
    {&anime, "\"鯨の歌 mkv\"", true},
    {&anime, "mkv 鯨", true},
    {&anime, "mkv 海", false},
    {&anime, "mkv -鯨", false},
    {&anime, "mkv -海", true},
    {&anime, "mkv -鯨の歌", false},
    {&anime, "mkv -歌の鯨", true},
    {&anime, "mkv title:鯨", false},
};

static void test_matches(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(matches); i++) {
        struct query_expr query = read_query(matches[i].query);
        struct file_facts facts = facts_of(matches[i].file);
        if (query_matches(&query, &facts) != matches[i].is_match) {
            fail_msg("'%s' and '%s'", matches[i].query, matches[i].file->name);
        }
        assert_int_equal(naive_matches(&query, &facts), matches[i].is_match);
    }
}

/* ---- Random queries and files over few words, so that everything happens often ---- */

static const char *const pool[] = {"a",  "b",    "c",      "whale",   "鯨",       "歌",
                                   "の", "鯨の", "鯨の歌", "\"a b\"", "\"鯨 a\"", "\"a 鯨の\"",
                                   "é",  "a-b",  "第01話", "A",       "b.a",      "c"};
static const char *const pool_filters[] = {
    "type:audio",   "type:video,image", "ext:a",      "ext:b,mp3",   "size:>2",
    "size:..3",     "year:1..3",        "year:=2",    "language:en", "-",
    "duration:>1s", "height:>=2",       "bitrate:<3", "width:1"};

static size_t draw_query(struct rng *rng, char *text, size_t room) {
    size_t at = 0;
    uint32_t terms = 1 + (uint32_t)rng_below(rng, 5);
    for (uint32_t i = 0; i < terms; i++) {
        static const char *const heads[] = {"", "", "", "-", "title:", "artist:", "album:"};
        const char *head = heads[rng_below(rng, LENGTH(heads))];
        const char *tail = pool[rng_below(rng, LENGTH(pool))];
        if (rng_below(rng, 5) == 0) {
            head = "";
            tail = pool_filters[rng_below(rng, LENGTH(pool_filters))];
        }
        at += (size_t)snprintf(text + at, room - at, "%s%s ", head, tail);
    }
    return at;
}

static void draw_text(struct rng *rng, char *text, size_t room) {
    static const char *const glue[] = {" ", "", "-", "."};
    uint32_t words = (uint32_t)rng_below(rng, 7);
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < words; i++) {
        const char *word = pool[rng_below(rng, LENGTH(pool))];
        const char *between = glue[rng_below(rng, LENGTH(glue))];
        at += (size_t)snprintf(text + at, room - at, "%s%s", word, between);
    }
}

static void test_random_matches(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 31);
    uint32_t matched = 0;
    uint32_t queries = 0;
    for (uint32_t round = 0; round < 60000; round++) {
        char text[QUERY_PRINT_MAX];
        char texts[FILE_TEXTS][200];
        struct query_expr query;
        draw_query(&rng, text, sizeof text);
        if (query_parse(test_slice(text), &query, NULL) != OK) {
            continue;
        }
        queries++;
        struct file file = {texts[0], texts[1], texts[2], texts[3], "en", {0}};
        for (size_t i = 0; i < FILE_TEXTS; i++) {
            draw_text(&rng, texts[i], sizeof texts[i]);
        }
        for (size_t i = 0; i < FILE_NUMBERS; i++) {
            file.numbers[i] = rng_below(&rng, 5);
        }
        struct file_facts facts = facts_of(&file);
        bool is_match = naive_matches(&query, &facts);
        if (query_matches(&query, &facts) != is_match) {
            fail_msg("'%s' and '%s' '%s' '%s' '%s'", text, texts[0], texts[1], texts[2], texts[3]);
        }
        matched += is_match;
        struct words keywords;
        file_keywords(&facts, &keywords);
        if (is_match) { /* what matches is found by an index of keywords */
            assert_true(keywords.count == NAME_WORDS_MAX || words_contain(&keywords, &query.words));
        } else if (query.is_plain) {
            assert_false(words_contain(&keywords, &query.words));
        }
        char means[QUERY_PRINT_MAX];
        query_print(&query, means);
        if (strlen(means) <= QUERY_TEXT_MAX) {
            query = read_query(means);
            query_print(&query, text);
            assert_string_equal(text, means);
        }
    }
    assert_true(queries > 20000 && matched > 1000);
}

/* Any bytes: a query or an error inside the text, the same each time. */
static void test_noise(void **state) {
    (void)state;
    static const char alphabet[] = "ab1 \"-:.,<>=0MG\xe3\x80\x80鯨titlesizetypeext";
    struct rng rng;
    rng_seed(&rng, 32);
    for (uint32_t round = 0; round < 100000; round++) {
        char text[40];
        size_t len = rng_below(&rng, sizeof text);
        for (size_t i = 0; i < len; i++) {
            text[i] = alphabet[rng_below(&rng, sizeof alphabet - 1)];
        }
        uint8_t *copy = mem_copy(text, len); /* exactly sized: a read beyond is seen */
        struct query_expr query;
        struct query_error error;
        enum err err = query_parse((struct slice){copy, len}, &query, &error);
        assert_true(err == OK || err == ERR_FORMAT || err == ERR_LIMIT);
        assert_true(err == OK ? query.words.count > 0 : error.at <= len && error.why != NULL);
        mem_free(copy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meaning),        cmocka_unit_test(test_plain_texts),
        cmocka_unit_test(test_flags),          cmocka_unit_test(test_errors),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_matches),
        cmocka_unit_test(test_random_matches), cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
