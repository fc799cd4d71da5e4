/* fuzz_query_parse.c - any text is a query or an error inside it, prints as a text that reads
 * alike, and matches files as the plain way does. */

#include "tests/fuzz/fuzz.h"
#include "tests/query_naive.h"

/* A file that holds words of the query, so that they meet. */
static void match_both(const struct query_expr *query, struct slice text) {
    size_t half = text.len / 2;
    struct file_facts facts = {.language = {(const uint8_t *)"en-GB", 5}};
    facts.texts[TEXT_NAME] = text;
    facts.texts[TEXT_TITLE] = (struct slice){text.data + half, text.len - half};
    facts.texts[TEXT_ARTIST] = (struct slice){text.data, half};
    facts.extension = file_extension(facts.texts[TEXT_NAME]);
    facts.type = file_type_of(facts.extension);
    for (size_t i = 0; i < FILE_NUMBERS; i++) {
        facts.numbers[i] = i < text.len ? text.data[i] : 0;
    }
    CHECK(query_matches(query, &facts) == naive_matches(query, &facts));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct query_expr query;
    struct query_error error;
    struct slice text = {data, size};
    enum err err = query_parse(text, &query, &error);
    if (err != OK) {
        CHECK((err == ERR_FORMAT || err == ERR_LIMIT) && error.why != NULL && error.at <= size);
        return 0;
    }
    CHECK(query.words.count > 0 && query.words.count <= QUERY_TERMS_MAX);
    char means[QUERY_PRINT_MAX];
    char again[QUERY_PRINT_MAX];
    query_print(&query, means);
    match_both(&query, text);
    match_both(&query, (struct slice){(const uint8_t *)means, strlen(means)});
    if (strlen(means) <= QUERY_TEXT_MAX) {
        struct slice printed = {(const uint8_t *)means, strlen(means)};
        CHECK(query_parse(printed, &query, NULL) == OK);
        query_print(&query, again);
        CHECK(strcmp(means, again) == 0);
    }
    return 0;
}
