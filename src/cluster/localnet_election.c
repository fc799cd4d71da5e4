/* localnet_election.c - a local network whose supernodes are elected: its file, and what a peer
 * that would be one is started with. */
#include "src/cluster/localnet_election.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "src/cluster/procfs.h"

enum err localnet_election_rules(const struct localnet_election *election, const char *path) {
    struct buf text = {0};
    char line[512];
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "epoch = ", 8) == 0) {
            snprintf(line, sizeof line, "epoch = %" PRIu64 "\n", election->epoch_s);
        }
        buf_append(&text, line, strlen(line));
    }
    bool is_fine = file != NULL && fclose(file) == 0;
    int len = snprintf(line, sizeof line,
                       "promotion = %s\ndwell = %" PRIu64 "\nkey_age = 0\nmeasure = %" PRIu64
                       "\nsupernodes_min = %" PRIu64 "\n",
                       election->policy, election->dwell_s, election->measure, election->minimum);
    buf_append(&text, line, (size_t)len);
    file = is_fine ? fopen(path, "we") : NULL;
    is_fine = file != NULL && fwrite(text.data, 1, text.len, file) == text.len;
    is_fine = (file == NULL || fclose(file) == 0) && is_fine;
    buf_free(&text);
    return is_fine ? OK : ERR_IO;
}

enum err localnet_election_prepare(const struct localnet_election *election, const char *dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/supernode", dir);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return ERR_IO;
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return ERR_IO;
    }
    snprintf(path, sizeof path, "%s/supernode/supernode.ini", dir);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return ERR_IO;
    }
    /* Programs ask faster than people. */
    fprintf(file, "[supernode]\nleaf-query-rate = 1000\nleaf-query-burst = 1000\n");
    if (election->leaves > 0) {
        fprintf(file, "leaves = %" PRIu32 "\n", election->leaves);
    }
    return fclose(file) == 0 ? OK : ERR_IO;
}

bool localnet_election_serves(const char *dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/supernode", dir);
    return procfs_listener(path) != 0;
}
