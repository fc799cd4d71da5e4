/* query_parse.c - reads a query term by term; each field is a row of one table. */
#include <string.h>

#include "common/check.h"
#include "common/query.h"
#include "common/query_number.h"

#define ANY_TEXT ((uint8_t)((1 << FILE_TEXTS) - 1))

struct parser {
    struct slice text;
    size_t at;
    struct query_expr *query;
    struct query_error *error;
};

struct term;
typedef enum err take_fn(struct parser *parser, const struct term *term);

struct field {
    const char *name;
    take_fn *take;
    uint8_t which; /* enum file_text or enum file_number */
};

/* -field:"value" */
struct term {
    size_t at; /* of its first byte */
    bool is_excluded;
    bool is_phrase;
    const struct field *field;
    size_t value_at;
    struct slice value;
};

static enum err fail_at(struct parser *parser, size_t at, enum err err, const char *why) {
    *parser->error = (struct query_error){at, why};
    return err;
}

/* ---- Words ---- */

struct sequence {
    struct words words; /* repeated ones again */
    bool is_whole;
};

static bool take_in_order(void *context, const struct word *word) {
    struct sequence *sequence = context;
    sequence->is_whole = sequence->words.count < QUERY_TERMS_MAX;
    if (sequence->is_whole) {
        sequence->words.words[sequence->words.count++] = *word;
    }
    return sequence->is_whole;
}

static enum err too_many_words(struct parser *parser, const struct term *term) {
    return fail_at(parser, term->at, ERR_LIMIT,
                   "too many words: at most 16; Chinese, Japanese and Korean count by pairs");
}

static enum err add_word(struct parser *parser, const struct term *term, const struct word *word) {
    struct query_expr *query = parser->query;
    bool is_piece = word_is_piece(word);
    struct words *words = is_piece ? &query->pieces : &query->words;
    uint8_t *texts = is_piece ? query->piece_texts : query->word_texts;
    uint32_t at = words_add(words, QUERY_TERMS_MAX, word);
    if (at == QUERY_TERMS_MAX) {
        return too_many_words(parser, term);
    }
    texts[at] |= term->field->which != TEXT_NAME ? (uint8_t)(1 << term->field->which) : 0;
    return OK;
}

static enum err add_phrase(struct parser *parser, const struct term *term,
                           const struct words *sequence) {
    struct query_expr *query = parser->query;
    if (query->phrase_count == QUERY_PHRASES_MAX) {
        return fail_at(parser, term->at, ERR_LIMIT, "too many phrases: at most 4");
    }
    struct query_phrase *phrase = &query->phrases[query->phrase_count++];
    phrase->is_excluded = term->is_excluded;
    phrase->texts = term->field->which != TEXT_NAME ? (uint8_t)(1 << term->field->which) : ANY_TEXT;
    phrase->count = (uint8_t)sequence->count;
    for (uint32_t i = 0; i < sequence->count; i++) {
        uint32_t at = words_add(&query->spoken, QUERY_TERMS_MAX, &sequence->words[i]);
        if (at == QUERY_TERMS_MAX) {
            return too_many_words(parser, term);
        }
        phrase->words[i] = (uint8_t)at;
    }
    return OK;
}

/* What is excluded and has several words, as "sci-fi", is meant as a phrase. */
static enum err take_words(struct parser *parser, const struct term *term) {
    struct sequence sequence = {.is_whole = true};
    CHECK(words_each(term->value, take_in_order, &sequence) == OK); /* checked at the start */
    const struct words *words = &sequence.words;
    if (!sequence.is_whole) {
        return too_many_words(parser, term);
    }
    if (words->count == 0) {
        bool is_decoration = !term->is_phrase && term->field->which == TEXT_NAME;
        return is_decoration ? OK
                             : fail_at(parser, term->value_at, ERR_FORMAT,
                                       "there is no letter or digit in it");
    }
    enum err err = OK;
    if (words->count > 1 && (term->is_phrase || term->is_excluded)) {
        err = add_phrase(parser, term, words);
    } else if (term->is_excluded) {
        uint32_t at = words_add(&parser->query->excluded, QUERY_TERMS_MAX, &words->words[0]);
        err = at < QUERY_TERMS_MAX ? OK : too_many_words(parser, term);
    }
    for (uint32_t i = 0; err == OK && !term->is_excluded && i < words->count; i++) {
        err = add_word(parser, term, &words->words[i]);
    }
    return err;
}

/* ---- Filters ---- */

static uint8_t lower(uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool equal_folded(struct slice text, const char *name) {
    bool is_same = text.len == strlen(name);
    for (size_t i = 0; is_same && i < text.len; i++) {
        is_same = lower(text.data[i]) == (uint8_t)name[i];
    }
    return is_same;
}

/* The next of "a,b,c"; false after the last. */
static bool next_item(struct slice value, size_t *at, struct slice *item) {
    if (*at > value.len) {
        return false;
    }
    *item = (struct slice){value.data + *at, 0};
    while (*at + item->len < value.len && item->data[item->len] != ',') {
        item->len++;
    }
    *at += item->len + 1;
    return true;
}

static size_t item_at(const struct term *term, struct slice item) {
    return term->value_at + (size_t)(item.data - term->value.data);
}

static enum err take_types(struct parser *parser, const struct term *term) {
    size_t at = 0;
    for (struct slice item; next_item(term->value, &at, &item);) {
        uint8_t type = 0;
        while (type < FILE_TYPES && !equal_folded(item, file_type_name((enum file_type)type))) {
            type++;
        }
        if (type == FILE_TYPES) {
            return fail_at(parser, item_at(term, item), ERR_FORMAT,
                           "not a type; known are audio, video, image, document, archive, "
                           "software and other");
        }
        parser->query->types |= (uint8_t)(1 << type);
    }
    return OK;
}

static struct word lower_word(struct slice text) {
    struct word word = {.len = (uint8_t)text.len};
    for (size_t i = 0; i < text.len; i++) {
        word.text[i] = (char)lower(text.data[i]);
    }
    return word;
}

static enum err take_extensions(struct parser *parser, const struct term *term) {
    struct query_expr *query = parser->query;
    size_t at = 0;
    for (struct slice item; next_item(term->value, &at, &item);) {
        size_t start = item_at(term, item);
        bool is_dotted = item.len > 0 && item.data[0] == '.';
        item = (struct slice){item.data + is_dotted, item.len - is_dotted};
        bool is_one = item.len >= 1 && item.len <= EXTENSION_BYTES_MAX &&
                      memchr(item.data, '.', item.len) == NULL &&
                      memchr(item.data, ' ', item.len) == NULL;
        if (!is_one) {
            return fail_at(parser, start, ERR_FORMAT,
                           "an extension is what follows the last dot of a name, such as mp3");
        }
        if (query->extension_count == QUERY_EXTENSIONS_MAX) {
            return fail_at(parser, start, ERR_LIMIT, "too many extensions: at most 8");
        }
        query->extensions[query->extension_count++] = lower_word(item);
    }
    return OK;
}

static enum err take_language(struct parser *parser, const struct term *term) {
    if (!file_language_ok(term->value)) {
        return fail_at(parser, term->value_at, ERR_FORMAT,
                       "a language is a code such as en, pt-BR or yue");
    }
    if (parser->query->language.len > 0) {
        return fail_at(parser, term->at, ERR_FORMAT, "only one language can be asked for");
    }
    parser->query->language = lower_word(term->value);
    return OK;
}

/* Several ranges of one number hold together. */
static enum err take_number(struct parser *parser, const struct term *term) {
    struct query_expr *query = parser->query;
    struct query_range range;
    struct query_range *kept = &query->ranges[term->field->which];
    enum err err = query_number_parse(term->value, (enum file_number)term->field->which, &range,
                                      parser->error);
    if (err != OK) {
        parser->error->at += term->value_at;
        return err;
    }
    if ((query->ranged >> term->field->which & 1) != 0) {
        range.min = range.min > kept->min ? range.min : kept->min;
        range.max = range.max < kept->max ? range.max : kept->max;
    }
    if (range.min > range.max) {
        return fail_at(parser, term->at, ERR_FORMAT, "contradicts what was asked before");
    }
    *kept = range;
    query->ranged |= (uint8_t)(1 << term->field->which);
    return OK;
}

/* ---- Terms ---- */

static const struct field words_field = {"", take_words, TEXT_NAME};
static const struct field fields[] = {
    {"type", take_types, 0},
    {"ext", take_extensions, 0},
    {"size", take_number, NUMBER_SIZE},
    {"year", take_number, NUMBER_YEAR},
    {"bitrate", take_number, NUMBER_BITRATE},
    {"duration", take_number, NUMBER_DURATION},
    {"width", take_number, NUMBER_WIDTH},
    {"height", take_number, NUMBER_HEIGHT},
    {"title", take_words, TEXT_TITLE},
    {"artist", take_words, TEXT_ARTIST},
    {"album", take_words, TEXT_ALBUM},
    {"language", take_language, 0},
};
#define UNKNOWN_FIELD                                                                              \
    "no such field; known are type, ext, size, year, bitrate, duration, width, height, title, "    \
    "artist, album and language; put text with a colon in quotes"

/* Bytes of the blank at a place: ASCII's, the one that does not break, the ideographic. 0 = none.
 */
static size_t blank_at(struct slice text, size_t at) {
    static const char *const blanks[] = {" ", "\xc2\xa0", "\xe3\x80\x80"};
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        size_t len = strlen(blanks[i]);
        if (text.len - at >= len && memcmp(text.data + at, blanks[i], len) == 0) {
            return len;
        }
    }
    return 0;
}

/* True when what follows a name and a colon could be meant as a value: not in "std::sort",
 * "http://x" or "Alien: Romulus". */
static bool is_value(struct slice text, size_t at) {
    if (at == text.len || blank_at(text, at) > 0) {
        return false;
    }
    return text.data[at] >= 0x80 || strchr(":/\\", text.data[at]) == NULL;
}

/* Read "name:" when it stands here and is meant as a field. */
static enum err read_field(struct parser *parser, struct term *term) {
    struct slice name = {parser->text.data + parser->at, 0};
    size_t left = parser->text.len - parser->at;
    while (name.len < left && lower(name.data[name.len]) >= 'a' &&
           lower(name.data[name.len]) <= 'z') {
        name.len++;
    }
    size_t value_at = parser->at + name.len + 1;
    if (name.len < 2 || name.len == left || name.data[name.len] != ':') {
        return OK;
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (equal_folded(name, fields[i].name)) {
            term->field = &fields[i];
            parser->at = value_at;
            return term->is_excluded ? fail_at(parser, term->at, ERR_FORMAT,
                                               "only words and phrases can be excluded")
                                     : OK;
        }
    }
    return is_value(parser->text, value_at)
               ? fail_at(parser, value_at - name.len - 1, ERR_FORMAT, UNKNOWN_FIELD)
               : OK;
}

/* Read what stands between quotes, or up to the next blank or quote. */
static enum err read_value(struct parser *parser, struct term *term) {
    struct slice text = parser->text;
    size_t quote = parser->at;
    term->is_phrase = quote < text.len && text.data[quote] == '"';
    term->value_at = quote + term->is_phrase;
    size_t end = term->value_at;
    while (end < text.len && text.data[end] != '"' &&
           (term->is_phrase || blank_at(text, end) == 0)) {
        end++;
    }
    if (term->is_phrase && end == text.len) {
        return fail_at(parser, quote, ERR_FORMAT, "this quote has no end");
    }
    if (end == term->value_at && !term->is_phrase) {
        return fail_at(parser, end, ERR_FORMAT, "a value is missing right behind the colon");
    }
    term->value = (struct slice){text.data + term->value_at, end - term->value_at};
    parser->at = end + term->is_phrase;
    return OK;
}

static enum err take_term(struct parser *parser) {
    struct term term = {.at = parser->at, .field = &words_field};
    bool is_last = parser->at + 1 == parser->text.len;
    term.is_excluded = parser->text.data[parser->at] == '-' && !is_last &&
                       blank_at(parser->text, parser->at + 1) == 0;
    parser->at += term.is_excluded;
    enum err err = read_field(parser, &term);
    if (err == OK) {
        err = read_value(parser, &term);
    }
    return err == OK ? term.field->take(parser, &term) : err;
}

/* ---- The whole ---- */

/* Nothing but single characters: they are the words then. */
static void promote_pieces(struct query_expr *query) {
    query->is_lone = query->words.count == 0 && query->pieces.count > 0;
    if (query->is_lone) {
        query->words = query->pieces;
        memcpy(query->word_texts, query->piece_texts, sizeof query->word_texts);
        query->pieces.count = 0;
    }
}

static bool is_plain(const struct query_expr *query) {
    bool is_bound = false;
    for (uint32_t i = 0; i < query->words.count; i++) {
        is_bound = is_bound || query->word_texts[i] != 0;
    }
    return !is_bound && query->pieces.count == 0 && query->excluded.count == 0 &&
           query->phrase_count == 0 && query->types == 0 && query->extension_count == 0 &&
           query->language.len == 0 && query->ranged == 0;
}

static enum err parse(struct parser *parser) {
    struct slice text = parser->text;
    if (text.len > QUERY_TEXT_MAX) {
        return fail_at(parser, QUERY_TEXT_MAX, ERR_LIMIT,
                       "the text is too long: at most 256 bytes");
    }
    size_t good = words_text_span(text);
    if (good < text.len) {
        return fail_at(parser, good, ERR_FORMAT, "not UTF-8, or a control character");
    }
    enum err err = OK;
    while (err == OK && parser->at < text.len) {
        size_t blank = blank_at(text, parser->at);
        parser->at += blank;
        err = blank == 0 ? take_term(parser) : OK;
    }
    promote_pieces(parser->query);
    if (err == OK && parser->query->words.count == 0) {
        err = fail_at(parser, 0, ERR_FORMAT,
                      "a word to look for is missing; filters and excluded words only narrow");
    }
    return err;
}

enum err query_parse(struct slice text, struct query_expr *query, struct query_error *error) {
    struct query_error unused;
    struct parser parser = {text, 0, query, error != NULL ? error : &unused};
    memset(query, 0, sizeof *query);
    *parser.error = (struct query_error){0};
    enum err err = parse(&parser);
    query->is_plain = is_plain(query);
    return err;
}
