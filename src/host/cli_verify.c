/* cli_verify.c - `supernode verify`: a certificate, its signatures and its quorum, by the evidence
 * that a supernode keeps in its state folder. Nothing is asked of anybody. */
#include "src/host/cli_verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/seats.h"
#include "common/trust.h"
#include "src/host/certfile.h"
#include "src/host/cli_network.h"
#include "src/host/config.h"
#include "src/host/crypto.h"
#include "src/host/failure.h"
#include "src/host/trust_file.h"

struct loading {
    struct trust *trust;
    uint32_t taken;
};

static void take(void *context, uint8_t type, struct slice bytes) {
    struct loading *loading = context;
    struct trust_record *added;
    loading->taken += trust_take(loading->trust, type, bytes, &added) == OK;
}

static void format_time(char text[32], const struct network *network, uint32_t epoch) {
    time_t at = (time_t)((uint64_t)epoch * network_epoch_s(network));
    struct tm parts;
    gmtime_r(&at, &parts);
    strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &parts);
}

/* What it says, and who signed it. */
static void show(const struct cli *cli, const struct trust *trust, const struct cert *cert) {
    char id[NODE_ID_TEXT_BYTES], from[32], until[32];
    node_id_format(id, &cert->subject);
    format_time(from, trust->env.network, cert->epoch);
    format_time(until, trust->env.network, cert->epoch + cert->life);
    if (!cli->settings.json) {
        printf("supernode  %s\nvalid      %s to %s\n", id, from, until);
    }
    for (uint8_t i = 0; i < cert->signer_count; i++) {
        bool is_valid;
        const struct node_id *key = trust_signer(trust, cert, &cert->signers[i], &is_valid);
        char signer[NODE_ID_TEXT_BYTES] = "nobody who may";
        if (key != NULL) {
            node_id_format(signer, key);
        }
        bool is_anchor = key != NULL && network_is_anchor(trust->env.network, key);
        const char *line = cli->settings.json
                               ? "{\"kind\":\"signature\",\"by\":\"%s\",\"role\":\"%s\","
                                 "\"valid\":%s}\n"
                               : "signed by  %s, %s, %s\n";
        printf(line, signer, is_anchor ? "anchor" : "member",
               cli->settings.json ? (is_valid ? "true" : "false")
                                  : (is_valid ? "valid" : "NOT VALID"));
    }
}

static const char *reason_of(enum err err) {
    switch (err) {
    case OK:
        return "valid now";
    case ERR_POLICY:
        return "not its time: outdated, or not yet valid";
    case ERR_NOT_FOUND:
        return "signed under a checkpoint that is not known here; run this where a supernode of "
               "the network has run lately";
    default:
        return "too few valid signatures, or a proof of fraud against it";
    }
}

static int conclude(const struct cli *cli, const struct trust *trust, const struct cert *cert,
                    enum err err) {
    static const struct hash by_hand;
    bool is_by_hand = memcmp(cert->checkpoint.b, by_hand.b, sizeof by_hand.b) == 0;
    const struct trust_checkpoint *checkpoint =
        cert->epoch > 0 ? trust_checkpoint_at(trust, cert->epoch - 1) : NULL;
    uint32_t members = !is_by_hand && checkpoint != NULL ? checkpoint->checkpoint.members : 0;
    struct quorum quorum = seats_quorum(members);
    uint32_t needed = is_by_hand ? 1 : quorum.signatures;
    if (cli->settings.json) {
        printf("{\"kind\":\"verdict\",\"valid\":%s,\"reason\":\"%s\",\"by_hand\":%s,"
               "\"members\":%" PRIu32 ",\"needed\":%" PRIu32 "}\n",
               err == OK ? "true" : "false", reason_of(err), is_by_hand ? "true" : "false", members,
               needed);
    } else if (is_by_hand) {
        printf("quorum     an anchor's word, given by hand\nverdict    %s\n", reason_of(err));
    } else {
        printf("quorum     %" PRIu32 " of %" PRIu32 " signatures%s, in a network of %" PRIu32
               "\nverdict    %s\n",
               needed, quorum.of, quorum.needs_anchor ? ", an anchor's among them" : "", members,
               reason_of(err));
    }
    return err == OK ? CLI_OK : CLI_FAILED;
}

/* The word is a node id, or a file. */
static enum err find(const struct trust *trust, const char *word, struct buf *cert,
                     struct host_error *error) {
    struct node_id id;
    if (node_id_parse(&id, word) != OK) {
        return certfile_load(word, cert, error);
    }
    return trust_cert_of(trust, &id, cert)
               ? OK
               : fail(error, ERR_NOT_FOUND,
                      "no elected supernode of that id is known here; give the file with its "
                      "certificate, or run this in the state folder of one that has run lately");
}

int cli_verify(struct cli *cli) {
    struct host_error error = {0};
    struct network_file file = {0};
    char path[PATH_MAX];
    enum err err = cli_network_path(cli, path, &error);
    err = err != OK ? err : network_load(path, &file, &error);
    if (err != OK) {
        return cli_fail(cli, &error);
    }
    struct trust trust;
    const struct trust_env env = {.network = &file.network, .crypto = crypto_keyless(), .seed = 1};
    trust_init(&trust, &env);
    trust_advance(&trust, (uint32_t)((uint64_t)time(NULL) / network_epoch_s(&file.network)));
    struct loading loading = {.trust = &trust};
    trust_file_each(cli->dir, take, &loading);
    struct buf bytes = {0};
    struct cert cert;
    int code;
    err = find(&trust, cli->options.words.values[0], &bytes, &error);
    if (err != OK || wire_cert_decode((struct slice){bytes.data, bytes.len}, &cert) != OK) {
        code = cli_fail(cli, &error);
    } else {
        uint32_t until;
        show(cli, &trust, &cert);
        err = trust_certified(&trust, &cert.subject, (struct slice){bytes.data, bytes.len}, &until);
        if (!cli->settings.json) {
            printf("evidence   %" PRIu32 " records in %s\n", loading.taken, cli->dir);
        }
        code = conclude(cli, &trust, &cert, err);
    }
    buf_free(&bytes);
    trust_free(&trust);
    return code;
}
