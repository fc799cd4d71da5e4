/* cli_network.c - `supernode init`, `certify` and `id`: making a network and its members. */
#include "src/host/cli_network.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/policy.h"
#include "common/wire.h"
#include "src/host/certfile.h"
#include "src/host/config.h"
#include "src/host/failure.h"
#include "src/host/identity.h"
#include "src/host/textfile.h"

#define SECRET_BYTES 32
#define DAY_S 86400ULL
#define DAYS_DEFAULT 7
#define LIFE_MAX UINT8_MAX /* epochs: the width of the field */
#define NETWORK_FILE "network.ini"
#define PROMOTION_DEFAULT "reputation"

enum err cli_network_path(const struct cli *cli, char path[PATH_MAX], struct host_error *error) {
    if (cli->settings.network != NULL) {
        snprintf(path, PATH_MAX, "%s", cli->settings.network);
        return OK;
    }
    return snprintf(path, PATH_MAX, "%s/" NETWORK_FILE, cli->dir) < PATH_MAX
               ? OK
               : fail(error, ERR_CONFIG, "%.300s: the path is too long", cli->dir);
}

static void print_id(const struct cli *cli, const struct node_id *id) {
    char text[NODE_ID_TEXT_BYTES];
    node_id_format(text, id);
    printf(cli->settings.json ? "{\"kind\":\"id\",\"id\":\"%s\"}\n" : "%s\n", text);
}

/* ---- init ---- */

static enum err add_addresses(const struct cli *cli, const struct node_id *id,
                              struct network_file *file, struct host_error *error) {
    const struct option_list *addresses = &cli->settings.addresses;
    char id_text[NODE_ID_TEXT_BYTES];
    node_id_format(id_text, id);
    if (addresses->count > INTRODUCERS_MAX) {
        return fail(error, ERR_CONFIG, "more than %d addresses; a few are enough", INTRODUCERS_MAX);
    }
    for (uint32_t i = 0; i < addresses->count; i++) {
        char text[NODE_ID_TEXT_BYTES + HOST_NAME_MAX_BYTES + 16];
        snprintf(text, sizeof text, "%s@%s", id_text, addresses->values[i]);
        if (introducer_parse(&file->introducers[file->introducer_count++], text) != OK) {
            return fail(error, ERR_CONFIG,
                        "`%.200s` for address: expected HOST:PORT, such as 192.168.1.5:6346",
                        addresses->values[i]);
        }
    }
    return OK;
}

/* As network_load wants it: visible ASCII. */
static bool name_ok(const char *name) {
    size_t len = strlen(name);
    bool ok = len > 0 && len <= NETWORK_NAME_MAX;
    for (size_t i = 0; i < len; i++) {
        ok = ok && name[i] > ' ' && name[i] < 0x7f;
    }
    return ok;
}

static bool is_by_hand(const struct settings *settings) {
    return settings->promotion != NULL && strcmp(settings->promotion, "by-hand") == 0;
}

static enum err fill_network(const struct cli *cli, struct identity *identity,
                             struct network_file *file, struct host_error *error) {
    const struct settings *settings = &cli->settings;
    struct network *network = &file->network;
    const struct crypto *crypto = identity_crypto(identity);
    const char *name = settings->name != NULL ? settings->name : "trunkline";
    snprintf(network->name, sizeof network->name, "%s", name);
    network->policy = (enum network_policy)settings->policy;
    network->profile = (enum network_profile)settings->profile;
    network->epoch_s =
        settings->epoch_s > 0 ? (uint32_t)settings->epoch_s : NETWORK_EPOCH_S_DEFAULT;
    network->promotion = (struct promotion)PROMOTION_DEFAULTS;
    if (network->policy == NETWORK_CERTIFIED && !is_by_hand(settings)) {
        snprintf(network->promotion.policy, sizeof network->promotion.policy, "%s",
                 settings->promotion != NULL ? settings->promotion : PROMOTION_DEFAULT);
    }
    network->anchors[0] = *identity_id(identity);
    network->anchor_count = 1;
    if (settings->secret) {
        network->secret_len = SECRET_BYTES;
        crypto->fill_random(crypto->context, network->secret, SECRET_BYTES);
    }
    if (network_seal(network, crypto) != OK) {
        return fail(error, ERR_CONFIG, "such a network cannot be made; check the name");
    }
    return add_addresses(cli, identity_id(identity), file, error);
}

static enum err make_network(const struct cli *cli, struct identity *identity,
                             struct host_error *error) {
    struct network_file file = {0};
    char path[PATH_MAX];
    enum err err = cli_network_path(cli, path, error);
    err = err != OK ? err : fill_network(cli, identity, &file, error);
    err = err != OK ? err : network_write(path, &file, error);
    if (err == OK && !cli->settings.json) {
        printf("made the network `%s`: %s\n"
               "  Hand that file to every peer and supernode of the network%s.\n"
               "  Start this supernode: supernode run --dir %s\n",
               file.network.name, path,
               file.network.secret_len > 0 ? "; it holds the network's secret" : "", cli->dir);
        if (file.introducer_count == 0) {
            printf("  It says nothing yet about where to begin: add --introducer to the others, or "
                   "make it with --address HOST:PORT.\n");
        }
    }
    return err;
}

/* The options that only mean something together with --anchor. */
static const char *needs_anchor(const struct cli *cli) {
    uint64_t only = SETTING(NAME) | SETTING(POLICY) | SETTING(PROFILE) | SETTING(EPOCH) |
                    SETTING(PROMOTION) | SETTING(SECRET) | SETTING(ADDRESS) | SETTING(NETWORK);
    for (uint32_t i = 0; i < SETTINGS; i++) {
        if (((cli->options.given & only) >> i & 1u) != 0) {
            return settings_rows[i].name;
        }
    }
    return NULL;
}

/* What can be wrong with a new network is found before its anchor's key is made. */
static enum err check_wishes(const struct cli *cli, struct host_error *error) {
    char path[PATH_MAX];
    struct network_file tried = {0};
    const struct node_id nobody = {0};
    if (cli->settings.name != NULL && !name_ok(cli->settings.name)) {
        return fail(error, ERR_CONFIG,
                    "the name needs 1 to %d letters, digits or signs, without blanks",
                    NETWORK_NAME_MAX);
    }
    const char *promotion = cli->settings.promotion;
    if (promotion != NULL && !is_by_hand(&cli->settings) && policy_find(promotion) == NULL) {
        return fail(
            error, ERR_CONFIG,
            "`%.40s` for promotion: write by-hand, or how supernodes are elected: " POLICY_NAMES,
            promotion);
    }
    enum err err = add_addresses(cli, &nobody, &tried, error);
    err = err != OK ? err : cli_network_path(cli, path, error);
    if (err == OK && access(path, F_OK) == 0) {
        err = fail(error, ERR_EXISTS,
                   "%.300s is there already and is not overwritten; choose another folder with "
                   "--dir",
                   path);
    }
    return err;
}

int cli_init(struct cli *cli) {
    struct host_error error = {0};
    const char *orphan = needs_anchor(cli);
    enum err err = OK;
    if (!cli->settings.anchor && orphan != NULL) {
        err = fail(&error, ERR_CONFIG, "`--%s` belongs to making a network; add --anchor", orphan);
    }
    if (err == OK && cli->settings.anchor) {
        err = check_wishes(cli, &error);
    }
    err = err != OK ? err : folder_make(cli->dir, &error);
    if (err != OK) {
        return cli_fail(cli, &error);
    }
    struct identity *identity = identity_open(cli->dir, IDENTITY_LOAD_OR_MAKE, &error);
    if (identity == NULL) {
        return cli_fail(cli, &error);
    }
    print_id(cli, identity_id(identity));
    if (cli->settings.anchor) {
        err = make_network(cli, identity, &error);
    }
    identity_free(identity);
    return err == OK ? CLI_OK : cli_fail(cli, &error);
}

/* ---- id ---- */

int cli_id(struct cli *cli) {
    struct host_error error = {0};
    struct identity *identity = identity_open(cli->dir, IDENTITY_LOAD, &error);
    if (identity == NULL) {
        if (error.err == ERR_NOT_FOUND) {
            (void)fail(&error, ERR_NOT_FOUND, "there is no key in %.300s; make one with `%s init`",
                       cli->dir, cli->program->name);
        }
        return cli_fail(cli, &error);
    }
    print_id(cli, identity_id(identity));
    identity_free(identity);
    return CLI_OK;
}

/* ---- certify ---- */

/* Fill and sign. */
static enum err make_cert(const struct cli *cli, const struct network *network,
                          const struct identity *identity, struct cert *cert,
                          struct host_error *error) {
    uint32_t signer = 0;
    uint64_t seconds = (cli->settings.days > 0 ? cli->settings.days : DAYS_DEFAULT) * DAY_S;
    uint64_t life = (seconds + network->epoch_s - 1) / network->epoch_s + 1; /* + the running one */
    while (signer < network->anchor_count &&
           !node_id_equal(&network->anchors[signer], identity_id(identity))) {
        signer++;
    }
    if (signer == network->anchor_count) {
        return fail(error, ERR_PERMISSION,
                    "the key in %.250s is no anchor of this network; run this where `supernode "
                    "init --anchor` was run",
                    cli->dir);
    }
    if (life > LIFE_MAX && cli->settings.days > 0) {
        return fail(error, ERR_CONFIG,
                    "a certificate of this network lasts at most %u days (%d epochs of %u s); use "
                    "fewer --days",
                    (unsigned)((uint64_t)(LIFE_MAX - 1) * network->epoch_s / DAY_S), LIFE_MAX,
                    (unsigned)network->epoch_s);
    }
    cert->epoch = (uint32_t)((uint64_t)time(NULL) / network->epoch_s);
    cert->life = (uint8_t)(life > LIFE_MAX ? LIFE_MAX : life);
    cert->signer_count = 1;
    cert->signers[0].signer = (uint16_t)signer;
    return OK;
}

static void sign_cert(struct cert *cert, const struct network *network, struct identity *identity,
                      struct buf *out) {
    struct buf body = {0};
    wire_cert_signed_bytes(&body, cert);
    struct signed_bytes bytes = {
        .network_id = &network->id, .type = RECORD_CERT, .body = {body.data, body.len}};
    crypto_sign(identity_crypto(identity), &bytes, cert->signers[0].signature);
    wire_cert_encode(out, cert);
    buf_free(&body);
}

static enum err put_cert(const struct cli *cli, struct slice encoded, struct host_error *error) {
    struct buf text = {0};
    if (cli->settings.out != NULL) {
        return certfile_write(cli->settings.out, encoded, error);
    }
    certfile_format(&text, encoded);
    bool done = fwrite(text.data, 1, text.len, stdout) == text.len;
    buf_free(&text);
    return done ? OK : fail_errno(error, "standard output", "cannot be written");
}

static void say_certified(const struct cli *cli, const struct network *network,
                          const struct cert *cert) {
    char until[32];
    char id[NODE_ID_TEXT_BYTES];
    time_t end = (time_t)((uint64_t)(cert->epoch + cert->life) * network->epoch_s);
    struct tm parts;
    gmtime_r(&end, &parts);
    strftime(until, sizeof until, "%Y-%m-%d %H:%M UTC", &parts);
    node_id_format(id, &cert->subject);
    if (cli->settings.json && cli->settings.out != NULL) {
        printf("{\"kind\":\"certified\",\"id\":\"%s\",\"until_s\":%lld}\n", id, (long long)end);
    }
    fprintf(stderr,
            "%s may be a supernode until %s; put the certificate into its state folder as "
            "`" CERTFILE_NAME "`\n",
            id, until);
}

static enum err certify(const struct cli *cli, struct identity *identity, struct cert *cert,
                        struct host_error *error) {
    struct network_file file = {0};
    struct buf encoded = {0};
    char path[PATH_MAX];
    enum err err = cli_network_path(cli, path, error);
    err = err != OK ? err : network_load(path, &file, error);
    err = err != OK ? err : make_cert(cli, &file.network, identity, cert, error);
    if (err == OK) {
        sign_cert(cert, &file.network, identity, &encoded);
        err = put_cert(cli, (struct slice){encoded.data, encoded.len}, error);
    }
    if (err == OK) {
        say_certified(cli, &file.network, cert);
    }
    buf_free(&encoded);
    return err;
}

int cli_certify(struct cli *cli) {
    struct host_error error = {0};
    struct cert cert = {0};
    enum err err = node_id_parse(&cert.subject, cli->options.words.values[0]);
    if (err != OK) {
        (void)fail(&error, ERR_CONFIG,
                   err == ERR_MISMATCH ? "a check character of the node id is wrong, so it was "
                                         "mistyped; copy it again"
                                       : "that is no node id; `supernode id` prints the one of a "
                                         "supernode");
        return cli_fail(cli, &error);
    }
    struct identity *identity = identity_open(cli->dir, IDENTITY_LOAD, &error);
    if (identity == NULL) {
        return cli_fail(cli, &error);
    }
    err = certify(cli, identity, &cert, &error);
    identity_free(identity);
    return err == OK ? CLI_OK : cli_fail(cli, &error);
}
