/* liars.c - a fleet of liars: how its peers are made, and how many seats they won. */
#include "src/fleet/liars.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/network.h"
#include "common/trust.h"
#include "src/fleet/liar_supernode.h"
#include "src/host/trust_file.h"

#define SCRIPT_BYTES 4200
#define DUTY_BYTES (1ULL << 50)

struct liars {
    struct liars_config config;
    struct ring ring;
    char *script;         /* what they run as their supernode */
    char *keys_path;      /* for that: the keys of all */
    struct node_id *keys; /* rising */
    uint32_t key_count;
    uint32_t seen_epoch; /* of the last checkpoint that was told of */
};

/* ---- Making them ---- */

static char *path_in(const char *dir, const char *name) {
    char path[SCRIPT_BYTES];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return mem_string(path);
}

/* A driver starts `PROGRAM run ...`: this one adds what else it takes. */
static bool write_script(const struct liars *liars) {
    char self[4096] = "";
    FILE *file =
        readlink("/proc/self/exe", self, sizeof self - 1) > 0 ? fopen(liars->script, "we") : NULL;
    if (file == NULL) {
        return false;
    }
    fprintf(file, "#!/bin/sh\n" LIAR_ACCOMPLICES "='%s' exec '%s' liar \"$@\"\n", liars->keys_path,
            self);
    bool is_written = fclose(file) == 0;
    return is_written && chmod(liars->script, 0700) == 0;
}

struct liars *liars_new(const struct liars_config *config) {
    struct liars *liars = mem_new(sizeof *liars);
    liars->config = *config;
    liars->ring.line.rate = config->line;
    liars->ring.room = config->identities;
    liars->ring.liars = mem_array(config->identities, sizeof(struct liar *));
    liars->keys = mem_array(config->identities, sizeof *liars->keys);
    liars->script = path_in(config->dir, "supernode");
    liars->keys_path = path_in(config->dir, "accomplices");
    if (!write_script(liars)) {
        liars_free(liars);
        return NULL;
    }
    return liars;
}

void liars_free(struct liars *liars) {
    if (liars != NULL) {
        mem_free(liars->ring.liars);
        mem_free(liars->keys);
        mem_free(liars->script);
        mem_free(liars->keys_path);
        mem_free(liars);
    }
}

void liars_enlist(struct liars *liars, struct host_node_config *config, struct liar_role *role) {
    role->peer.consents = true;
    role->peer.duty_rate = liars->config.line;
    role->peer.duty_day_bytes = DUTY_BYTES;
    role->ring = &liars->ring;
    config->make = liar_make;
    config->role_config = role;
    config->child = (struct child_config){
        .program = liars->script, .network = liars->config.network, .log_level = LOG_LEVEL_INFO};
}

/* ---- Whom to praise ---- */

static int compare_ids(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct node_id));
}

static void list_keys(struct liars *liars) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < liars->ring.count; i++) {
        const struct node_id *key = liar_subject(liars->ring.liars[i]);
        if (key != NULL) {
            liars->keys[count++] = *key;
        }
    }
    qsort(liars->keys, count, sizeof *liars->keys, compare_ids);
    FILE *file = count != liars->key_count ? fopen(liars->keys_path, "we") : NULL;
    if (file != NULL) {
        fwrite(liars->keys, sizeof *liars->keys, count, file);
        fclose(file);
    }
    liars->key_count = count;
}

/* ---- What became of it ---- */

struct tally {
    uint32_t elected;
    uint32_t liars;
    uint32_t named; /* entries in rows of honest supernodes: streams of which something came */
    uint32_t liars_named;
    uint64_t bytes;
    uint64_t liar_bytes;
};

struct looking {
    const struct liars *liars;
    uint32_t epoch; /* that is told of; 0 = look for the next one */
    uint32_t next;
    struct tally tally;
};

static bool is_liar(const struct liars *liars, const struct node_id *id) {
    return trust_place(liars->keys, liars->key_count, id) >= 0;
}

static void count_members(struct looking *looking, struct slice bytes) {
    struct members members;
    if (wire_members_decode(bytes, &members) != OK) {
        return;
    }
    if (members.epoch > looking->liars->seen_epoch &&
        (looking->next == 0 || members.epoch < looking->next)) {
        looking->next = members.epoch;
    }
    for (uint16_t i = 0; i < members.count && members.epoch == looking->epoch; i++) {
        struct node_id id;
        memcpy(id.b, members.keys.data + i * sizeof id.b, sizeof id.b);
        bool is_elected = !network_is_anchor(looking->liars->config.rules, &id);
        looking->tally.elected += is_elected;
        looking->tally.liars += is_elected && is_liar(looking->liars, &id);
    }
}

static void count_row(struct looking *looking, struct slice bytes) {
    struct row_record row;
    if (wire_row_decode(bytes, &row) != OK || row.epoch != looking->epoch ||
        is_liar(looking->liars, &row.issuer)) {
        return;
    }
    for (uint8_t i = 0; i < row.count; i++) {
        uint64_t counted = wire_row_bytes(&row, row.entries[i].weight);
        bool lies = is_liar(looking->liars, &row.entries[i].subject);
        looking->tally.named++;
        looking->tally.liars_named += lies;
        looking->tally.bytes += counted;
        looking->tally.liar_bytes += lies ? counted : 0;
    }
}

static void count(void *context, uint8_t type, struct slice bytes) {
    if (type == MSG_MEMBERS) {
        count_members(context, bytes);
    } else if (type == MSG_ROW) {
        count_row(context, bytes);
    }
}

static void print_epoch(const struct liars *liars, uint32_t epoch, const struct tally *tally) {
    const char *format =
        liars->config.json ? "{\"kind\":\"seats\",\"epoch\":%" PRIu32 ",\"elected\":%" PRIu32
                             ",\"liars\":%" PRIu32 ",\"named\":%" PRIu32 ",\"liars_named\":%" PRIu32
                             ",\"bytes\":%" PRIu64 ",\"liar_bytes\":%" PRIu64 "}\n"
                           : "epoch %" PRIu32 ": %" PRIu32 " elected, %" PRIu32
                             " of them liars; %" PRIu32 " streams measured, %" PRIu32
                             " of liars; %" PRIu64 " bytes, %" PRIu64 " of liars\n";
    printf(format, epoch, tally->elected, tally->liars, tally->named, tally->liars_named,
           tally->bytes, tally->liar_bytes);
}

void liars_look(struct liars *liars) {
    list_keys(liars);
    struct looking looking = {.liars = liars};
    if (liars->config.watch == NULL) {
        return;
    }
    trust_file_each(liars->config.watch, count, &looking);
    while (looking.next != 0) {
        looking = (struct looking){.liars = liars, .epoch = looking.next};
        liars->seen_epoch = looking.epoch;
        trust_file_each(liars->config.watch, count, &looking);
        print_epoch(liars, looking.epoch, &looking.tally);
    }
}
