/* ids.c - compares, prints and reads the names of nodes, content and addresses. */
#include "common/ids.h"

#include <stdio.h>
#include <string.h>

#include "common/limits.h"

#define ID_DIGITS 52 /* base32 characters of 256 bits */
#define ID_GROUPS 4  /* each with one check character */
#define ID_GROUP_DIGITS 13
#define ID_LETTERS (ID_DIGITS + ID_GROUPS)
#define ID_DASHED 7 /* letters between dashes */
#define GAP_NONE SIZE_MAX

static const char base32_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* ---- Hexadecimal and decimal numbers ---- */

void hex_format(char *text, const void *bytes, size_t len) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[from[i] >> 4];
        text[2 * i + 1] = digits[from[i] & 15];
    }
    text[2 * len] = '\0';
}

/* Return 0 to 15, or -1 for anything else (also NUL). */
static int hex_value(char digit) {
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = digit == '\0' ? NULL : strchr(digits, digit);
    if (at == NULL) {
        return -1;
    }
    int value = (int)(at - digits);
    return value < 16 ? value : value - 6;
}

enum err hex_parse(void *bytes, size_t len, const char *text) {
    uint8_t *to = bytes;
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0) {
            return ERR_FORMAT;
        }
        to[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * len] == '\0' ? OK : ERR_FORMAT;
}

/* Read a decimal number of at most `max` at *text and move past it. */
static enum err parse_decimal(const char **text, uint64_t max, uint64_t *number) {
    const char *at = *text;
    uint64_t value = 0;
    while (*at >= '0' && *at <= '9') {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (max - digit) / 10) {
            return ERR_LIMIT;
        }
        value = value * 10 + digit;
        at++;
    }
    if (at == *text || (**text == '0' && at - *text > 1)) {
        return ERR_FORMAT;
    }
    *text = at;
    *number = value;
    return OK;
}

/* ---- Node ids ---- */

bool node_id_equal(const struct node_id *a, const struct node_id *b) {
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

/* Luhn mod 32 over 5-bit values, weights 1, 2, 1, ... from the left, as Syncthing's lib/protocol.
 * Doubling modulo 32 with the carry added permutes the values, so every single wrong letter shows.
 */
static uint8_t check_digit(const uint8_t *values, size_t count) {
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned addend = values[i] * (i % 2 == 0 ? 1u : 2u);
        sum += addend / 32 + addend % 32;
    }
    return (uint8_t)((32 - sum % 32) % 32);
}

/* Cut the id into 52 values of 5 bits, highest first; the last value has 4 spare zero bits. */
static void id_to_values(const struct node_id *id, uint8_t values[ID_DIGITS]) {
    for (size_t i = 0; i < ID_DIGITS; i++) {
        size_t bit = i * 5;
        unsigned pair = (unsigned)id->b[bit / 8] << 8;
        if (bit / 8 + 1 < sizeof id->b) {
            pair |= id->b[bit / 8 + 1];
        }
        values[i] = (uint8_t)(pair >> (11 - bit % 8) & 31);
    }
}

static void values_to_id(const uint8_t values[ID_DIGITS], struct node_id *id) {
    *id = (struct node_id){0};
    for (size_t i = 0; i < ID_DIGITS; i++) {
        size_t bit = i * 5;
        unsigned pair = (unsigned)values[i] << (11 - bit % 8);
        id->b[bit / 8] |= (uint8_t)(pair >> 8);
        if (bit / 8 + 1 < sizeof id->b) {
            id->b[bit / 8 + 1] |= (uint8_t)pair;
        }
    }
}

void node_id_format(char text[NODE_ID_TEXT_BYTES], const struct node_id *id) {
    uint8_t values[ID_DIGITS];
    id_to_values(id, values);
    size_t at = 0;
    for (size_t letter = 0; letter < ID_LETTERS; letter++) {
        size_t group = letter / (ID_GROUP_DIGITS + 1);
        size_t place = letter % (ID_GROUP_DIGITS + 1);
        const uint8_t *digits = values + group * ID_GROUP_DIGITS;
        uint8_t value =
            place < ID_GROUP_DIGITS ? digits[place] : check_digit(digits, ID_GROUP_DIGITS);
        if (letter > 0 && letter % ID_DASHED == 0) {
            text[at++] = '-';
        }
        text[at++] = base32_letters[value];
    }
    text[at] = '\0';
}

/* Return 0 to 31, or -1 for what is no letter of an id. */
static int letter_value(char letter) {
    static const char typed[] = "abcdefghijklmnopqrstuvwxyz018";
    static const char meant[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZOIB";
    const char *slip = letter == '\0' ? NULL : strchr(typed, letter);
    char wanted = slip == NULL ? letter : meant[slip - typed];
    const char *at = wanted == '\0' ? NULL : strchr(base32_letters, wanted);
    return at == NULL ? -1 : (int)(at - base32_letters);
}

enum err node_id_parse(struct node_id *id, const char *text) {
    uint8_t values[ID_DIGITS];
    uint8_t checks[ID_GROUPS];
    size_t letters = 0;
    for (; *text != '\0'; text++) {
        if (strchr("- \t\r\n", *text) != NULL) {
            continue;
        }
        int value = letter_value(*text);
        if (value < 0 || letters == ID_LETTERS) {
            return ERR_FORMAT;
        }
        size_t group = letters / (ID_GROUP_DIGITS + 1);
        size_t place = letters % (ID_GROUP_DIGITS + 1);
        uint8_t *to =
            place < ID_GROUP_DIGITS ? &values[group * ID_GROUP_DIGITS + place] : &checks[group];
        *to = (uint8_t)value;
        letters++;
    }
    if (letters != ID_LETTERS) {
        return ERR_FORMAT;
    }
    for (size_t group = 0; group < ID_GROUPS; group++) {
        if (check_digit(values + group * ID_GROUP_DIGITS, ID_GROUP_DIGITS) != checks[group]) {
            return ERR_MISMATCH;
        }
    }
    if ((values[ID_DIGITS - 1] & 15) != 0) {
        return ERR_FORMAT; /* the spare bits are zero, so that an id has one text */
    }
    values_to_id(values, id);
    return OK;
}

void node_id_short(char text[NODE_ID_SHORT_BYTES], const struct node_id *id) {
    char whole[NODE_ID_TEXT_BYTES];
    node_id_format(whole, id);
    memcpy(text, whole, NODE_ID_SHORT_BYTES - 1);
    text[NODE_ID_SHORT_BYTES - 1] = '\0';
}

/* ---- Addresses ---- */

bool address_same_host(const struct address *a, const struct address *b) {
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool address_equal(const struct address *a, const struct address *b) {
    return address_same_host(a, b) && a->port == b->port;
}

static uint16_t ipv6_group(const struct address *address, size_t group) {
    return (uint16_t)(address->ip[group * 2] << 8 | address->ip[group * 2 + 1]);
}

/* Find the longest run of two or more zero groups, the first of equals (RFC 5952). */
static void longest_zeros(const struct address *address, size_t *start, size_t *count) {
    *start = 8;
    *count = 1;
    for (size_t i = 0; i < 8; i++) {
        size_t zeros = 0;
        while (i + zeros < 8 && ipv6_group(address, i + zeros) == 0) {
            zeros++;
        }
        if (zeros > *count) {
            *start = i;
            *count = zeros;
        }
    }
}

static void format_ipv6(char text[ADDRESS_TEXT_BYTES], const struct address *address) {
    size_t zeros_at;
    size_t zeros;
    longest_zeros(address, &zeros_at, &zeros);
    size_t at = 0;
    for (size_t i = 0; i < 8; i++) {
        if (i == zeros_at) {
            at += (size_t)snprintf(text + at, ADDRESS_TEXT_BYTES - at, "::");
            i += zeros - 1;
            continue;
        }
        bool is_first = i == 0 || i == zeros_at + zeros;
        at += (size_t)snprintf(text + at, ADDRESS_TEXT_BYTES - at, "%s%x", is_first ? "" : ":",
                               ipv6_group(address, i));
    }
}

void address_format(char text[ADDRESS_TEXT_BYTES], const struct address *address) {
    if (address->family == ADDRESS_IPV4) {
        const uint8_t *ip = address->ip;
        snprintf(text, ADDRESS_TEXT_BYTES, "%u.%u.%u.%u:%u", ip[0], ip[1], ip[2], ip[3],
                 address->port);
        return;
    }
    if (address->family == ADDRESS_IPV6) {
        char host[ADDRESS_TEXT_BYTES];
        format_ipv6(host, address);
        snprintf(text, ADDRESS_TEXT_BYTES, "[%.46s]:%u", host, address->port);
        return;
    }
    snprintf(text, ADDRESS_TEXT_BYTES, "none");
}

/* Read four decimal numbers at *text into ip and move past them. */
static enum err parse_ipv4(const char **text, uint8_t *ip) {
    for (size_t i = 0; i < 4; i++) {
        if (i > 0 && **text != '.') {
            return ERR_FORMAT;
        }
        *text += i > 0; /* the dot; never the NUL */
        uint64_t number;
        if (parse_decimal(text, 255, &number) != OK) {
            return ERR_FORMAT;
        }
        ip[i] = (uint8_t)number;
    }
    return OK;
}

/* Read one group of 1 to 4 hexadecimal digits and move past it. */
static enum err parse_group(const char **text, uint8_t to[2]) {
    unsigned value = 0;
    size_t digits = 0;
    for (; hex_value(**text) >= 0; (*text)++, digits++) {
        value = value << 4 | (unsigned)hex_value(**text);
        if (digits == 4) {
            return ERR_FORMAT;
        }
    }
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
    return digits > 0 ? OK : ERR_FORMAT;
}

/* The bytes read so far, and where among them "::" stood (GAP_NONE = nowhere). */
struct ipv6_parts {
    uint8_t bytes[16];
    size_t count;
    size_t gap;
};

/* Read one part: a group, or at the end a dotted quad. */
static enum err parse_part(const char **text, struct ipv6_parts *parts) {
    size_t span = strspn(*text, "0123456789");
    bool is_quad = (*text)[span] == '.';
    size_t bytes = is_quad ? 4 : 2;
    if (parts->count + bytes > sizeof parts->bytes) {
        return ERR_FORMAT;
    }
    uint8_t *to = parts->bytes + parts->count;
    parts->count += bytes;
    if (!is_quad) {
        return parse_group(text, to);
    }
    enum err err = parse_ipv4(text, to);
    return **text == ']' || **text == '\0' ? err : ERR_FORMAT; /* it comes last */
}

/* Read the text form of RFC 4291 up to ']' or the end and move past it. */
static enum err parse_ipv6(const char **text, uint8_t ip[16]) {
    struct ipv6_parts parts = {.gap = GAP_NONE};
    const char *at = *text;
    if (at[0] == ':' && at[1] == ':') {
        parts.gap = 0;
        at += 2;
    }
    while (*at != ']' && *at != '\0') {
        if (parse_part(&at, &parts) != OK) {
            return ERR_FORMAT;
        }
        if (at[0] == ':' && at[1] == ':') {
            if (parts.gap != GAP_NONE) {
                return ERR_FORMAT;
            }
            parts.gap = parts.count;
            at += 2;
        } else if (at[0] == ':' && at[1] != ']' && at[1] != '\0') {
            at++;
        } else if (*at != ']' && *at != '\0') {
            return ERR_FORMAT;
        }
    }
    bool has_gap = parts.gap != GAP_NONE;
    if (has_gap ? parts.count > 14 : parts.count != 16) {
        return ERR_FORMAT;
    }
    size_t head = has_gap ? parts.gap : 16;
    memset(ip, 0, 16);
    memcpy(ip, parts.bytes, head);
    memcpy(ip + 16 - (parts.count - head), parts.bytes + head, parts.count - head);
    *text = at;
    return OK;
}

enum err address_parse(struct address *address, const char *text, bool any_port) {
    struct address parsed = {0};
    enum err err;
    if (*text == '[') {
        parsed.family = ADDRESS_IPV6;
        text++;
        err = parse_ipv6(&text, parsed.ip);
        if (err == OK && *text++ != ']') {
            err = ERR_FORMAT;
        }
    } else {
        parsed.family = ADDRESS_IPV4;
        err = parse_ipv4(&text, parsed.ip);
    }
    uint64_t port = 0;
    if (err != OK || *text++ != ':' || parse_decimal(&text, UINT16_MAX, &port) != OK ||
        *text != '\0' || (port == 0 && !any_port)) {
        return ERR_FORMAT;
    }
    parsed.port = (uint16_t)port;
    *address = parsed;
    return OK;
}

/* ---- Content ids ---- */

bool content_equal(const struct content_id *a, const struct content_id *b) {
    return a->size == b->size && memcmp(a->root.b, b->root.b, sizeof a->root.b) == 0;
}

void content_key(uint8_t key[CONTENT_KEY_BYTES], const struct content_id *id) {
    memcpy(key, id->root.b, HASH_BYTES);
    for (size_t i = 0; i < 8; i++) {
        key[HASH_BYTES + i] = (uint8_t)(id->size >> (56 - 8 * i));
    }
}

void content_format(char text[CONTENT_TEXT_BYTES], const struct content_id *id) {
    char root[2 * HASH_BYTES + 1];
    hex_format(root, id->root.b, HASH_BYTES);
    snprintf(text, CONTENT_TEXT_BYTES, "trunkline:%s:%llu", root, (unsigned long long)id->size);
}

enum err content_parse(struct content_id *id, const char *text) {
    static const char scheme[] = "trunkline:";
    if (strncmp(text, scheme, strlen(scheme)) == 0) {
        text += strlen(scheme);
    }
    char root[2 * HASH_BYTES + 1] = {0};
    size_t digits = strcspn(text, ":");
    if (digits != 2 * HASH_BYTES || text[digits] != ':') {
        return ERR_FORMAT;
    }
    memcpy(root, text, digits);
    text += digits + 1;
    struct content_id parsed;
    enum err err = hex_parse(parsed.root.b, HASH_BYTES, root);
    if (err == OK) {
        err = parse_decimal(&text, FILE_BYTES_MAX, &parsed.size);
    }
    if (err == OK && (*text != '\0' || parsed.size == 0)) {
        err = ERR_FORMAT;
    }
    if (err == OK) {
        *id = parsed;
    }
    return err;
}
