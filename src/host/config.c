/* config.c - the file that describes a network: reads it, writes it, and says what is wrong in it.
 */
#include "src/host/config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/policy.h"
#include "common/units.h"
#include "src/host/crypto.h"
#include "src/host/failure.h"
#include "src/host/textfile.h"

#define SECTION "network"

/* inih reports only the number of the first bad line; we count lines to know the text for it. */
struct reading {
    FILE *stream;
    struct network_file *file;
    bool seen[16]; /* by row of the table */
    int line;
    int failed_line; /* 0 = none so far */
    char failure[256];
};

static bool take_name(struct network_file *file, const char *value) {
    size_t len = strlen(value);
    bool is_plain = len >= 1 && len <= NETWORK_NAME_MAX;
    for (size_t i = 0; i < len; i++) {
        is_plain = is_plain && value[i] > ' ' && value[i] < 0x7f;
    }
    if (is_plain) {
        memcpy(file->network.name, value, len + 1);
    }
    return is_plain;
}

static bool take_policy(struct network_file *file, const char *value) {
    bool is_open = strcmp(value, "open") == 0;
    file->network.policy = is_open ? NETWORK_OPEN : NETWORK_CERTIFIED;
    return is_open || strcmp(value, "certified") == 0;
}

static bool take_profile(struct network_file *file, const char *value) {
    bool is_lan = strcmp(value, "lan") == 0;
    file->network.profile = is_lan ? NETWORK_LAN : NETWORK_INTERNET;
    return is_lan || strcmp(value, "internet") == 0;
}

static bool take_epoch(struct network_file *file, const char *value) {
    char *end = NULL;
    errno = 0;
    unsigned long seconds = strtoul(value, &end, 10);
    bool is_fine = errno == 0 && value[0] >= '0' && value[0] <= '9' && *end == '\0' &&
                   seconds >= NETWORK_EPOCH_S_MIN && seconds <= NETWORK_EPOCH_S_MAX;
    file->network.epoch_s = is_fine ? (uint32_t)seconds : 0;
    return is_fine;
}

static bool take_anchor(struct network_file *file, const char *value) {
    struct network *network = &file->network;
    if (network->anchor_count == NETWORK_ANCHORS_MAX ||
        node_id_parse(&network->anchors[network->anchor_count], value) != OK) {
        return false;
    }
    network->anchor_count++;
    return true;
}

static bool take_secret(struct network_file *file, const char *value) {
    size_t digits = strlen(value);
    size_t len = digits / 2;
    if (digits % 2 != 0 || len < 16 || len > NETWORK_SECRET_MAX ||
        hex_parse(file->network.secret, len, value) != OK) {
        return false;
    }
    file->network.secret_len = (uint32_t)len;
    return true;
}

static bool take_promotion(struct network_file *file, const char *value) {
    struct promotion *promotion = &file->network.promotion;
    if (strcmp(value, "by-hand") == 0) {
        promotion->policy[0] = '\0';
        return true;
    }
    if (policy_find(value) == NULL) {
        return false;
    }
    snprintf(promotion->policy, sizeof promotion->policy, "%s", value);
    return true;
}

/* A plain number within a range. */
static bool take_number(const char *value, uint32_t min, uint32_t max, uint32_t *number) {
    uint64_t read = 0;
    bool is_fine = units_parse_number(value, &read) == OK && read >= min && read <= max;
    *number = is_fine ? (uint32_t)read : *number;
    return is_fine;
}

static bool take_dwell(struct network_file *file, const char *value) {
    return take_number(value, 0, PROMOTION_DWELL_S_MAX, &file->network.promotion.dwell_s);
}

static bool take_key_age(struct network_file *file, const char *value) {
    return take_number(value, 0, TRUST_EPOCHS, &file->network.promotion.key_age);
}

static bool take_measure(struct network_file *file, const char *value) {
    uint64_t bytes = 0;
    bool is_fine = units_parse_bytes(value, &bytes) == OK && bytes >= PROMOTION_MEASURE_MIN &&
                   bytes <= MEASURE_BYTES_MAX;
    file->network.promotion.measure_bytes = (uint32_t)(is_fine ? bytes : 0);
    return is_fine;
}

static bool take_seats(struct network_file *file, const char *value) {
    uint32_t seats = 0;
    bool is_fine = take_number(value, 1, PROMOTION_SEATS_MAX, &seats);
    file->network.promotion.seats_min = (uint16_t)seats;
    return is_fine;
}

static bool take_introducer(struct network_file *file, const char *value) {
    if (file->introducer_count == INTRODUCERS_MAX ||
        introducer_parse(&file->introducers[file->introducer_count], value) != OK) {
        return false;
    }
    file->introducer_count++;
    return true;
}

/* One row per key; `remedy` ends "this is not ...". */
static const struct row {
    const char *key;
    bool may_repeat;
    bool (*take)(struct network_file *file, const char *value);
    const char *remedy;
} rows[] = {
    {"name", false, take_name, "a name has 1 to 64 printable ASCII characters without blanks"},
    {"policy", false, take_policy, "write `certified` or `open`"},
    {"profile", false, take_profile, "write `lan` or `internet`"},
    {"epoch", false, take_epoch, "write a number of seconds from 4 to 2592000"},
    {"anchor", true, take_anchor,
     "write a node id as `supernode status` shows it, at most 16 of them"},
    {"secret", false, take_secret, "write 32 to 128 hexadecimal digits, an even number"},
    {"promotion", false, take_promotion,
     "write `by-hand`, or how supernodes are elected: " POLICY_NAMES},
    {"dwell", false, take_dwell, "write a number of seconds from 0 to 2592000"},
    {"key_age", false, take_key_age, "write a number of epochs from 0 to 24"},
    {"measure", false, take_measure, "write a size from 64K to 4M"},
    {"supernodes_min", false, take_seats, "write a number from 1 to 1000"},
    {"introducer", true, take_introducer, "write ID@HOST:PORT, at most 16 of them"},
};
#define ROWS (sizeof rows / sizeof *rows)

static void note(struct reading *reading, const char *what, const char *key, const char *remedy) {
    if (reading->failed_line == 0) {
        reading->failed_line = reading->line;
        snprintf(reading->failure, sizeof reading->failure, "%s%s%.60s%s; %s", what,
                 key[0] != '\0' ? " `" : "", key, key[0] != '\0' ? "`" : "", remedy);
    }
}

static char *read_line(char *text, int size, void *context) {
    struct reading *reading = context;
    char *got = fgets(text, size, reading->stream);
    if (got == NULL) {
        return NULL;
    }
    reading->line++;
    const char *remedy = NULL;
    const char *problem = ini_line_problem(got, size, &remedy);
    if (problem != NULL) {
        note(reading, problem, "", remedy);
    }
    return got;
}

static int take_line(void *context, const char *section, const char *key, const char *value) {
    struct reading *reading = context;
    if (strcmp(section, SECTION) != 0) {
        note(reading, section[0] == '\0' ? "no section before" : "unknown section",
             section[0] == '\0' ? key : section, "everything goes below [network]");
        return 0;
    }
    size_t i = 0;
    while (i < ROWS && strcmp(rows[i].key, key) != 0) {
        i++;
    }
    if (i == ROWS) {
        note(reading, "unknown key", key,
             "keys are name, policy, profile, epoch, anchor, promotion, dwell, key_age, "
             "measure, supernodes_min, secret, introducer");
        return 0;
    }
    if (reading->seen[i] && !rows[i].may_repeat) {
        note(reading, "given twice:", key, "remove one of the lines");
        return 0;
    }
    reading->seen[i] = true;
    if (!rows[i].take(reading->file, value)) {
        note(reading, "bad value of", key, rows[i].remedy);
        return 0;
    }
    return 1;
}

/* What is wrong with the file as a whole. */
static enum err check(const char *path, struct network_file *file, struct host_error *error) {
    struct network *network = &file->network;
    if (network->name[0] == '\0') {
        return fail(error, ERR_CONFIG, "%.200s: the network has no name; add `name = ...`", path);
    }
    if (network->policy == NETWORK_CERTIFIED && network->anchor_count == 0) {
        return fail(error, ERR_CONFIG,
                    "%.200s: a certified network needs an anchor; add `anchor = ID`, or write "
                    "`policy = open`",
                    path);
    }
    if (network_seal(network, crypto_keyless()) != OK) {
        return fail(error, ERR_CONFIG, "%.200s: an anchor stands twice; remove one of the lines",
                    path);
    }
    return OK;
}

enum err network_load(const char *path, struct network_file *file, struct host_error *error) {
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        return fail_errno(error, path, "the network file cannot be opened");
    }
    *file = (struct network_file){.network = {.epoch_s = NETWORK_EPOCH_S_DEFAULT,
                                              .profile = NETWORK_INTERNET,
                                              .promotion = PROMOTION_DEFAULTS}};
    struct reading reading = {.stream = stream, .file = file};
    errno = 0;
    int first = ini_parse_stream(read_line, &reading, take_line, &reading);
    bool is_unread = ferror(stream) != 0;
    enum err err = is_unread ? fail_errno(error, path, "the network file cannot be read") : OK;
    fclose(stream);
    if (err != OK) {
        return err;
    }
    if (first > 0 && (reading.failed_line == 0 || first < reading.failed_line)) {
        return fail(error, ERR_CONFIG,
                    "%.200s:%d: not a line of the form `key = value`; correct it", path, first);
    }
    if (reading.failed_line > 0) {
        return fail(error, ERR_CONFIG, "%.200s:%d: %s", path, reading.failed_line, reading.failure);
    }
    return check(path, file, error);
}

/* ---- Writing ---- */

static void append_text(struct buf *out, const char *text) {
    buf_append(out, text, strlen(text));
}

static void append_line(struct buf *out, const char *key, const char *value) {
    append_text(out, key);
    append_text(out, " = ");
    append_text(out, value);
    append_text(out, "\n");
}

static void append_number(struct buf *out, const char *key, uint32_t number) {
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    append_line(out, key, text);
}

static void format_promotion(struct buf *out, const struct promotion *promotion) {
    if (promotion->policy[0] == '\0') {
        return;
    }
    append_text(out, "# How supernodes are elected; part of the network's id, too.\n");
    append_line(out, "promotion", promotion->policy);
    append_number(out, "dwell", promotion->dwell_s);
    append_number(out, "key_age", promotion->key_age);
    append_number(out, "measure", promotion->measure_bytes);
    append_number(out, "supernodes_min", promotion->seats_min);
}

static void format_file(struct buf *out, const struct network_file *file) {
    const struct network *network = &file->network;
    char text[NODE_ID_TEXT_BYTES + HOST_NAME_MAX_BYTES + 16];
    append_text(out, "# A Trunkline network. Everybody in it has the same name, policy, profile,\n"
                     "# epoch and anchors; introducers are where to begin.\n[" SECTION "]\n");
    append_line(out, "name", network->name);
    append_line(out, "policy", network->policy == NETWORK_OPEN ? "open" : "certified");
    append_line(out, "profile", network->profile == NETWORK_LAN ? "lan" : "internet");
    append_number(out, "epoch", network->epoch_s);
    for (uint32_t i = 0; i < network->anchor_count; i++) {
        node_id_format(text, &network->anchors[i]);
        append_line(out, "anchor", text);
    }
    format_promotion(out, &network->promotion);
    if (network->secret_len > 0) {
        char digits[2 * NETWORK_SECRET_MAX + 1];
        hex_format(digits, network->secret, network->secret_len);
        append_text(out, "# Whoever knows this secret may join.\n");
        append_line(out, "secret", digits);
    }
    for (uint32_t i = 0; i < file->introducer_count; i++) {
        const struct introducer *introducer = &file->introducers[i];
        char id[NODE_ID_TEXT_BYTES];
        node_id_format(id, &introducer->id);
        bool is_ipv6 = strchr(introducer->host, ':') != NULL;
        snprintf(text, sizeof text, "%s@%s%s%s:%u", id, is_ipv6 ? "[" : "", introducer->host,
                 is_ipv6 ? "]" : "", introducer->port);
        append_line(out, "introducer", text);
    }
}

static bool write_bytes(int fd, const struct buf *bytes) {
    size_t done = 0;
    while (done < bytes->len) {
        ssize_t put = write(fd, bytes->data + done, bytes->len - done);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return fsync(fd) == 0;
}

static bool sync_folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = mem_string(slash != NULL ? path : ".");
    if (slash != NULL) {
        folder[slash == path ? 1 : slash - path] = '\0';
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    mem_free(folder);
    return ok;
}

enum err network_write(const char *path, const struct network_file *file,
                       struct host_error *error) {
    struct buf bytes = {0};
    format_file(&bytes, file);
    size_t size = strlen(path) + sizeof ".new";
    char *path_new = mem_new(size);
    snprintf(path_new, size, "%s.new", path);
    mode_t mode = file->network.secret_len > 0 ? 0600 : 0644;
    enum err err = OK;
    (void)unlink(path_new); /* left by a crash: it was never in use */
    int fd = open(path_new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    bool ok = fd >= 0 && write_bytes(fd, &bytes) &&
              renameat2(AT_FDCWD, path_new, AT_FDCWD, path, RENAME_NOREPLACE) == 0 &&
              sync_folder_of(path);
    if (!ok) {
        err = fail_errno(error, path, "the network file cannot be written");
        (void)unlink(path_new);
    }
    if (fd >= 0) {
        close(fd);
    }
    mem_free(path_new);
    buf_free(&bytes);
    return err;
}
