/* badpeer.c - a node that does wrong on purpose: `badpeer MODE --network FILE --to ADDRESS ID`.
 *
 * Only for networks of one's own: it is what the tests of a cluster set upon it. */
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/mem.h"
#include "common/units.h"
#include "src/host/certfile.h"
#include "src/host/config.h"
#include "tests/cluster/badpeer.h"

#define SECONDS_DEFAULT 3

static const struct bad_mode *const tables[] = {bad_frame_modes, bad_leaf_modes, bad_mesh_modes,
                                                bad_transfer_modes};

static const struct bad_mode *find_mode(const char *name) {
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const struct bad_mode *mode = tables[i]; mode->name != NULL; mode++) {
            if (strcmp(mode->name, name) == 0) {
                return mode;
            }
        }
    }
    return NULL;
}

static _Noreturn void usage(void) {
    fprintf(stderr, "badpeer MODE --network FILE --to ADDRESS ID --from ADDRESS [--as PURPOSE]\n"
                    "        [--listen ADDRESS] [--dir FOLDER] [--seconds N]\n"
                    "        [--file PATH --content ID --name TEXT]\nModes:\n");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const struct bad_mode *mode = tables[i]; mode->name != NULL; mode++) {
            fprintf(stderr, "  %s\n", mode->name);
        }
    }
    exit(2);
}

static const char *value_of(char **argv, const char *option) {
    for (char **at = argv; *at != NULL; at++) {
        if (strcmp(*at, option) == 0) {
            return at[1];
        }
    }
    return NULL;
}

static void must(enum err err, const char *what) {
    if (err != OK) {
        bad_fail("%s: %s", what, err_text(err));
    }
}

static void read_target(struct bad *bad, char **argv) {
    for (char **at = argv; *at != NULL; at++) {
        if (strcmp(*at, "--to") == 0 && at[1] != NULL && at[2] != NULL) {
            must(address_parse(&bad->target, at[1], false), at[1]);
            must(node_id_parse(&bad->target_id, at[2]), at[2]);
            return;
        }
    }
    usage();
}

static void read_address(struct address *address, const char *text) {
    if (text != NULL) {
        must(address_parse(address, text, true), text);
    }
}

/* Who we are: the supernode whose folder it is, or nobody in particular. */
static void read_identity(struct bad *bad, const char *dir) {
    struct host_error error = {0};
    bad->identity =
        dir == NULL ? identity_ephemeral(NULL) : identity_open(dir, IDENTITY_LOAD, &error);
    if (bad->identity == NULL) {
        bad_fail("%s", error.text);
    }
    if (dir != NULL) {
        char path[4096];
        snprintf(path, sizeof path, "%s/" CERTFILE_NAME, dir);
        must(certfile_load(path, &bad->cert, &error), path);
    }
}

static void read_options(struct bad *bad, char **argv) {
    struct host_error error = {0};
    static struct network_file network;
    const char *path = value_of(argv, "--network"), *seconds = value_of(argv, "--seconds");
    const char *content = value_of(argv, "--content"), *as = value_of(argv, "--as");
    uint64_t number = SECONDS_DEFAULT;
    if (path == NULL || value_of(argv, "--from") == NULL) {
        usage();
    }
    must(network_load(path, &network, &error), error.text);
    bad->network = network.network;
    read_target(bad, argv);
    read_address(&bad->from, value_of(argv, "--from"));
    read_address(&bad->listen, value_of(argv, "--listen"));
    must(seconds == NULL ? OK : units_parse_number(seconds, &number), "--seconds");
    must(content == NULL ? OK : content_parse(&bad->content, content), "--content");
    bad->seconds = (uint32_t)number;
    bad->file = value_of(argv, "--file");
    bad->name = value_of(argv, "--name");
    bad->purpose = as != NULL && strcmp(as, "transfer") == 0 ? PURPOSE_TRANSFER : bad->purpose;
    read_identity(bad, value_of(argv, "--dir"));
}

int main(int argc, char **argv) {
    const struct bad_mode *mode = argc > 1 ? find_mode(argv[1]) : NULL;
    if (mode == NULL) {
        usage();
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    struct host_error error = {0};
    static struct bad bad;
    bad.mode = mode->name;
    bad.purpose = mode->purpose;
    bad.begun_ms = bad_now_ms();
    bad.tls = tls_context_new(&error);
    bad.packer = packer_new();
    rng_seed(&bad.rng, 5);
    if (bad.tls == NULL) {
        bad_fail("%s", error.text);
    }
    read_options(&bad, argv);
    mode->run(&bad);
    bad_report(&bad);
    identity_free(bad.identity);
    buf_free(&bad.cert);
    packer_free(bad.packer);
    SSL_CTX_free(bad.tls);
    return 0;
}
