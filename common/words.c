/* words.c - cuts names and queries into the words that the index knows (utf8proc). */
#include "common/words.h"

#include <string.h>
#include <utf8proc.h>

#include "common/mem.h"

#define POINTS_INLINE 512 /* code points: enough for nearly every name without the heap */

/* NFKC with case folding, invisible characters dropped, marks stripped. */
static const utf8proc_option_t normal_form = UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE |
                                             UTF8PROC_CASEFOLD | UTF8PROC_IGNORE |
                                             UTF8PROC_STRIPMARK;

/* Scripts that write words without blanks between them, by blocks, after NFKC. */
static const struct {
    utf8proc_int32_t first;
    utf8proc_int32_t last;
} paired_blocks[] = {
    {0x1100, 0x11ff},   /* Hangul Jamo */
    {0x3005, 0x3007},   /* the Han marks for "again", "shut", "zero" */
    {0x3021, 0x3029},   /* Hangzhou numerals */
    {0x3031, 0x3035},   /* Kana repeat marks */
    {0x3038, 0x303c},   /* Hangzhou numerals, Han repeat marks */
    {0x3040, 0x30ff},   /* Hiragana, Katakana */
    {0x31f0, 0x31ff},   /* Katakana of Ainu */
    {0x3400, 0x4dbf},   /* Han extension A */
    {0x4e00, 0x9fff},   /* Han */
    {0xa960, 0xa97f},   /* Hangul Jamo extended A */
    {0xac00, 0xd7ff},   /* Hangul, Jamo extended B */
    {0xf900, 0xfaff},   /* Han for compatibility, the few that NFKC keeps */
    {0x1aff0, 0x1b16f}, /* Kana supplements */
    {0x20000, 0x3fffd}, /* Han extensions B and on */
};

static bool is_paired(utf8proc_int32_t point) {
    size_t i = 0;
    while (i < sizeof paired_blocks / sizeof *paired_blocks && paired_blocks[i].last < point) {
        i++;
    }
    return i < sizeof paired_blocks / sizeof *paired_blocks && paired_blocks[i].first <= point;
}

/* What a character is to a word. */
enum part { PART_NONE, PART_LETTER, PART_PAIRED };

static enum part part_of(utf8proc_int32_t point) {
    if (point < 0x80) {
        bool is_letter = (point >= 'a' && point <= 'z') || (point >= '0' && point <= '9');
        return is_letter ? PART_LETTER : PART_NONE;
    }
    utf8proc_category_t category = utf8proc_category(point);
    bool is_letter = (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
                     (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
    if (!is_letter) {
        return PART_NONE;
    }
    return is_paired(point) ? PART_PAIRED : PART_LETTER;
}

/* Append a character; false once the word is full (the rest of it is left out). */
static bool append_point(struct word *word, utf8proc_int32_t point) {
    utf8proc_uint8_t bytes[4];
    if (point < 0x80) {
        if (word->len == WORD_BYTES_MAX) {
            return false;
        }
        word->text[word->len++] = (char)point;
        return true;
    }
    size_t len = (size_t)utf8proc_encode_char(point, bytes);
    if (word->len + len > WORD_BYTES_MAX) {
        return false;
    }
    memcpy(word->text + word->len, bytes, len);
    word->len = (uint8_t)(word->len + len);
    return true;
}

/* Normalised text, being cut. */
struct cut {
    const utf8proc_int32_t *points;
    size_t count;
    word_fn *take;
    void *context;
};

/* Hand out the word that begins at `at`; *next is where its run ends. */
static bool cut_letters(const struct cut *cut, size_t at, size_t *next) {
    struct word word = {0};
    bool is_full = false;
    for (; at < cut->count && part_of(cut->points[at]) == PART_LETTER; at++) {
        is_full = is_full || !append_point(&word, cut->points[at]);
    }
    *next = at;
    return cut->take(cut->context, &word);
}

static bool cut_pairs(const struct cut *cut, size_t at, size_t *next) {
    bool is_more = true;
    size_t end = at;
    while (end < cut->count && part_of(cut->points[end]) == PART_PAIRED) {
        end++;
    }
    *next = end;
    do {
        struct word word = {0};
        (void)append_point(&word, cut->points[at]);
        if (at + 1 < end) {
            (void)append_point(&word, cut->points[at + 1]);
        }
        is_more = cut->take(cut->context, &word);
        at++;
    } while (is_more && at + 1 < end);
    return is_more;
}

static void cut_words(const struct cut *cut) {
    bool is_more = true;
    for (size_t at = 0; is_more && at < cut->count;) {
        switch (part_of(cut->points[at])) {
        case PART_NONE:
            at++;
            break;
        case PART_LETTER:
            is_more = cut_letters(cut, at, &at);
            break;
        case PART_PAIRED:
            is_more = cut_pairs(cut, at, &at);
            break;
        }
    }
}

static bool is_ascii(struct slice text) {
    uint8_t all = 0;
    for (size_t i = 0; i < text.len; i++) {
        all |= text.data[i];
    }
    return all < 0x80;
}

#define GROUP 64      /* characters that are folded at once, a bit of a number for each */
#define SHORT_WORD 16 /* copied as a whole */

static inline void put_eight(char *to, uint64_t bytes) {
    for (uint32_t i = 0; i < 8; i++) {
        to[i] = (char)(bytes >> (8 * i));
    }
}

/* Write eight ASCII characters in lower case; return a bit for each that is a letter or a digit.
 * All bytes are below 0x80: a sum stays in its byte, and its highest bit says whether the character
 * reaches a limit. */
static inline uint64_t fold_eight(const char *from, char *to) {
    const uint64_t ones = 0x0101010101010101, highs = 0x80 * ones;
    uint64_t bytes = word_bytes(from), lower = bytes | 0x20 * ones;
    uint64_t letters = (lower + (0x80 - 'a') * ones) & ~(lower + (0x7f - 'z') * ones) & highs;
    uint64_t digits = (bytes + (0x80 - '0') * ones) & ~(bytes + (0x7f - '9') * ones) & highs;
    bytes |= letters >> 2; /* 0x20: lower case */
    put_eight(to, bytes);
    return ((letters | digits) >> 7) * 0x0102040810204080 >> 56;
}

/* Fold the first GROUP characters, or all; return a bit for each that stands in a word. */
static inline uint64_t fold_group(struct slice text, char folded[GROUP]) {
    char padded[GROUP] = {0};
    const char *from = (const char *)text.data;
    uint64_t bits = 0;
    if (text.len < GROUP) {
        memcpy(padded, text.data, text.len);
        from = padded;
    }
    for (uint32_t at = 0; at < GROUP && at < text.len; at += 8) {
        bits |= fold_eight(from + at, folded + at) << at;
    }
    return bits;
}

/* How many bits from `first` on are set, `first` among them. */
static inline uint32_t run_length(uint64_t bits, uint32_t first) {
    uint64_t others = ~(bits >> first);
    return others == 0 ? GROUP : (uint32_t)__builtin_ctzll(others);
}

/* Set a word of at most SHORT_WORD characters, as many of which are there to be read. What stands
 * behind it in its first eight bytes becomes zero, as words.h says. */
static inline void set_short(struct word *word, const char *text, uint32_t len) {
    uint64_t kept = len < 7 ? ~(UINT64_MAX << (8 * len)) : UINT64_MAX;
    memcpy(word->text, text, SHORT_WORD);
    put_eight((char *)word, (word_bytes(text) & kept) << 8 | len);
}

/* Append characters, of which SHORT_WORD are there to be read; what is too long is left out. */
static inline void append_run(struct word *word, const char *text, uint32_t len) {
    if (word->len == 0 && len <= SHORT_WORD) {
        set_short(word, text, len);
        return;
    }
    uint32_t room = WORD_BYTES_MAX - word->len;
    memcpy(word->text + word->len, text, len < room ? len : room);
    word->len = (uint8_t)(word->len + (len < room ? len : room));
}

/* ASCII is its own normal form but for case: most names and queries need no tables. */
static inline void cut_ascii(struct slice text, word_fn *take, void *context) {
    char folded[GROUP + SHORT_WORD];
    struct word word;
    word.len = 0;
    bool is_more = true;
    for (size_t at = 0; at < text.len && is_more; at += GROUP) {
        uint64_t bits = fold_group((struct slice){text.data + at, text.len - at}, folded);
        if (word.len > 0 && (bits & 1) == 0) { /* it ended with the group before */
            is_more = take(context, &word);
            word.len = 0;
        }
        while (bits != 0 && is_more) {
            uint32_t first = (uint32_t)__builtin_ctzll(bits), len = run_length(bits, first);
            append_run(&word, folded + first, len);
            if (first + len == GROUP) {
                break; /* and may go on in the next */
            }
            is_more = take(context, &word);
            word.len = 0;
            bits &= UINT64_MAX << (first + len);
        }
    }
    if (word.len > 0 && is_more) {
        (void)take(context, &word);
    }
}

static utf8proc_ssize_t cut_unicode(struct slice text, word_fn *take, void *context) {
    utf8proc_int32_t inline_points[POINTS_INLINE];
    utf8proc_int32_t *points = inline_points;
    utf8proc_ssize_t len = (utf8proc_ssize_t)text.len;
    utf8proc_ssize_t count = utf8proc_decompose(text.data, len, points, POINTS_INLINE, normal_form);
    if (count > POINTS_INLINE) {
        points = mem_array((size_t)count, sizeof *points);
        count = utf8proc_decompose(text.data, len, points, count, normal_form);
    }
    if (count > 0) {
        count = utf8proc_normalize_utf32(points, count, normal_form);
    }
    if (count > 0) {
        struct cut cut = {points, (size_t)count, take, context};
        cut_words(&cut);
    }
    if (points != inline_points) {
        mem_free(points);
    }
    return count;
}

enum err words_each(struct slice text, word_fn *take, void *context) {
    if (is_ascii(text)) {
        cut_ascii(text, take, context);
        return OK;
    }
    return cut_unicode(text, take, context) < 0 ? ERR_FORMAT : OK;
}

/* ---- Sets of words ---- */

bool word_is_piece(const struct word *word) {
    utf8proc_int32_t point = 0;
    utf8proc_ssize_t len =
        utf8proc_iterate((const utf8proc_uint8_t *)word->text, word->len, &point);
    return len == word->len && is_paired(point);
}

uint32_t words_find(const struct words *words, const struct word *word) {
    uint32_t i = 0;
    while (i < words->count && !word_equal(&words->words[i], word)) {
        i++;
    }
    return i;
}

uint32_t words_add(struct words *words, uint32_t max, const struct word *word) {
    uint32_t at = words_find(words, word);
    if (at == words->count && at < max) {
        words->words[words->count++] = *word;
    }
    return at;
}

struct splitting {
    struct words *words;
    uint32_t max;
};

static inline bool take_distinct(void *context, const struct word *word) {
    struct splitting *splitting = context;
    words_add(splitting->words, splitting->max, word);
    return splitting->words->count < splitting->max;
}

enum err words_collect(struct slice text, uint32_t max, struct words *words) {
    struct splitting splitting = {words, max < NAME_WORDS_MAX ? max : NAME_WORDS_MAX};
    if (is_ascii(text)) { /* once more, so that the compiler sees what takes the words */
        cut_ascii(text, take_distinct, &splitting);
        return OK;
    }
    return words_each(text, take_distinct, &splitting);
}

enum err words_split(struct slice text, uint32_t max, struct words *words) {
    words->count = 0;
    return words_collect(text, max, words);
}

bool words_contain(const struct words *present, const struct words *wanted) {
    for (uint32_t i = 0; i < wanted->count; i++) {
        if (words_find(present, &wanted->words[i]) == present->count) {
            return false;
        }
    }
    return true;
}

/* How many of the first bytes are printable ASCII, eight at a time. Beside one that is not others
 * may seem not to be either. */
static size_t ascii_span(struct slice text) {
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    size_t at = 0;
    for (uint64_t bytes; at + sizeof bytes <= text.len; at += sizeof bytes) {
        memcpy(&bytes, text.data + at, sizeof bytes);
        if (((bytes - 0x20 * ones) | bytes | (bytes + ones)) & highs) { /* < 0x20, > 0x7f, 0x7f */
            break;
        }
    }
    return at;
}

size_t words_text_span(struct slice text) {
    size_t at = ascii_span(text);
    while (at < text.len) {
        if (text.data[at] >= 0x20 && text.data[at] < 0x7f) { /* as most are */
            at++;
            continue;
        }
        utf8proc_int32_t point;
        utf8proc_ssize_t len =
            utf8proc_iterate(text.data + at, (utf8proc_ssize_t)(text.len - at), &point);
        bool is_control = point < 0x20 || (point >= 0x7f && point < 0xa0);
        if (len <= 0 || is_control) {
            break;
        }
        at += (size_t)len;
    }
    return at;
}

bool words_text_ok(struct slice text) {
    return words_text_span(text) == text.len;
}
