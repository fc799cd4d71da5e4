/* overlay.c - builds an overlay in a simulated world and keeps account of what it is asked. */
#include "tests/sim/overlay.h"

#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/wire.h"
#include "tests/sim/checks.h"

#define EPOCH_S 3600
#define CERT_EPOCHS_BEFORE 24 /* clocks are stepped back, too */
#define CERT_EPOCHS 96
#define HIDDEN_EVERY 5        /* one peer of so many cannot be dialled */
#define SHARED_WIDELY_EVERY 5 /* one file of so many has PUBLISHED_HOLDERS sources */
#define NAME_BYTES 96
#define DURABLE_US SECOND_US /* what a node has written is on the disk by then */

/* ---- Reports ---- */

static bool field_is(const struct report_field *field, const char *key) {
    return field->key.len == strlen(key) && memcmp(field->key.data, key, field->key.len) == 0;
}

/* True when the report is of this kind. */
static bool report_is(struct slice fields, const char *kind) {
    struct report_field field;
    return report_next(&fields, &field) && field_is(&field, "kind") &&
           field.text.len == strlen(kind) && memcmp(field.text.data, kind, field.text.len) == 0;
}

static bool report_names_content(struct slice fields, const struct content_id *content) {
    char wanted[CONTENT_TEXT_BYTES];
    content_format(wanted, content);
    struct report_field field;
    while (report_next(&fields, &field)) {
        if (field_is(&field, "content") && field.text.len == strlen(wanted) &&
            memcmp(field.text.data, wanted, field.text.len) == 0) {
            return true;
        }
    }
    return false;
}

/* How many other nodes a node says it is linked to for good. */
static uint64_t report_links(struct slice fields) {
    struct report_field field;
    while (report_next(&fields, &field)) {
        if (field.type == REPORT_NUMBER &&
            (field_is(&field, "parents") || field_is(&field, "neighbours"))) {
            return field.number;
        }
    }
    return 0;
}

static void take_report(void *context, uint64_t command, struct slice fields,
                        const struct action *how) {
    struct overlay *overlay = context;
    if (command == 0 || command > overlay->request_count) {
        sim_fail(overlay->sim, "a report for command %llu, which nobody gave",
                 (unsigned long long)command);
        return;
    }
    struct request *request = &overlay->requests[command];
    if (request->is_answered) {
        sim_fail(overlay->sim, "machine %u reports on a command after its last report",
                 request->machine);
        return;
    }
    bool is_search = request->kind == REQUEST_SEARCH;
    if (is_search && report_is(fields, "hit")) {
        uint32_t file = overlay->published[request->published].file;
        request->is_hit |= report_names_content(fields, sim_file_content(overlay->sim, file));
    }
    if (request->kind == REQUEST_GET && report_is(fields, "queued")) {
        request->queued_us = sim_now_us(overlay->sim);
    }
    if (request->kind == REQUEST_STATUS && report_is(fields, "status")) {
        request->linked = report_links(fields);
    }
    if (how->last) {
        request->is_answered = true;
        request->answered_us = sim_now_us(overlay->sim);
        request->err = how->reason;
    }
}

/* ---- Machines ---- */

static struct node make_peer(const struct node_env *env, void *context) {
    struct overlay *overlay = context;
    return peer_new(env, &overlay->peer_config);
}

static struct node make_supernode(const struct node_env *env, void *context) {
    struct overlay *overlay = context;
    return supernode_new(env, &overlay->supernode_config);
}

static void make_network(struct overlay *overlay) {
    struct network *network = &overlay->network;
    snprintf(network->name, sizeof network->name, "simulated");
    network->policy = NETWORK_CERTIFIED;
    network->profile = NETWORK_LAN;
    network->epoch_s = EPOCH_S;
    network->anchors[0] = sim_node_id(overlay->sim, 0);
    network->anchor_count = 1;
    enum err err = network_seal(network, sim_crypto(overlay->sim));
    CHECK(err == OK);
    struct introducer introducer = {.id = network->anchors[0], .port = sim_address(0).port};
    sim_host_name(introducer.host, 0);
    overlay->supernode_config.introducers[0] = introducer;
    overlay->supernode_config.introducer_count = 1;
    overlay->supernode_config.leaves_max = overlay->config.leaves_max;
    overlay->peer_config.introducers[0] = introducer;
    overlay->peer_config.introducer_count = 1;
}

/* A certificate from the anchor, valid around the start of the world. */
static void certify(struct overlay *overlay, uint32_t machine, uint32_t now_epoch,
                    struct buf *encoded) {
    struct cert cert = {.subject = sim_node_id(overlay->sim, machine),
                        .epoch = now_epoch - CERT_EPOCHS_BEFORE,
                        .life = CERT_EPOCHS,
                        .signer_count = 1};
    struct buf body = {0};
    wire_cert_signed_bytes(&body, &cert);
    struct signed_bytes bytes = {
        .network_id = &overlay->network.id, .type = RECORD_CERT, .body = {body.data, body.len}};
    sim_sign_as(overlay->sim, 0);
    crypto_sign(sim_crypto(overlay->sim), &bytes, cert.signers[0].signature);
    wire_cert_encode(encoded, &cert);
    buf_free(&body);
}

bool overlay_is_hidden(uint32_t machine) {
    return machine % HIDDEN_EVERY == 0;
}

static void add_supernode(struct overlay *overlay) {
    struct sim_machine_config config = {.make = make_supernode, .context = overlay};
    struct buf cert = {0};
    uint32_t number = overlay->machines++;
    if (number > 0) {
        certify(overlay, number, (uint32_t)(sim_wall_s(overlay->sim) / EPOCH_S), &cert);
    }
    config.cert = (struct slice){cert.data, cert.len};
    sim_add(overlay->sim, &config);
    buf_free(&cert);
}

uint32_t overlay_add_peer(struct overlay *overlay) {
    struct sim_machine_config config = {.make = make_peer,
                                        .context = overlay,
                                        .cannot_listen = overlay_is_hidden(overlay->machines)};
    overlay->machines++;
    return sim_add(overlay->sim, &config);
}

/* ---- Files ---- */

/* Mostly a few blocks; one in ten has more than one piece. */
static uint64_t draw_size(struct overlay *overlay) {
    static const uint32_t blocks_max[10] = {1, 1, 2, 2, 3, 3, 12, 24, 40, 140};
    uint32_t most = blocks_max[sim_below(overlay->sim, 10)];
    uint64_t blocks = sim_below(overlay->sim, most);
    return blocks * BLOCK_BYTES + 1 + sim_below(overlay->sim, BLOCK_BYTES);
}

/* The words a file is found by: one that no other file has, and some that many have. */
static void file_words(char text[NAME_BYTES], uint32_t published) {
    snprintf(text, NAME_BYTES, "whale%05u", published);
}

/* Holders name one file differently. */
static const struct name_form {
    const char *before;
    const char *after;
} name_forms[] = {{"Blue ", " Song.ogg"},
                  {"", " - live at sea (remaster).mp3"},
                  {"the_", "_collection.pdf"},
                  {"Gr\xc3\xb6\xc3\x9f"
                   "er als ",
                   ".tar.gz"}};
#define NAME_FORMS (sizeof name_forms / sizeof *name_forms)

static void publish(struct overlay *overlay, uint32_t holders) {
    struct published *published = &overlay->published[overlay->published_count];
    published->file = sim_file_add(overlay->sim, draw_size(overlay));
    char word[NAME_BYTES];
    file_words(word, overlay->published_count);
    while (published->holder_count < holders) {
        uint32_t machine =
            overlay->config.supernodes + (uint32_t)sim_below(overlay->sim, overlay->config.peers);
        if (sim_has_file(overlay->sim, machine, published->file)) {
            continue;
        }
        char name[2 * NAME_BYTES];
        const struct name_form *form = &name_forms[sim_below(overlay->sim, NAME_FORMS)];
        snprintf(name, sizeof name, "%s%s%s", form->before, word, form->after);
        sim_share(overlay->sim, machine, published->file, name);
        published->holders[published->holder_count++] = machine;
    }
    overlay->published_count++;
}

static void add_files(struct overlay *overlay) {
    uint32_t count = overlay->config.peers * 5 / 4;
    count = count < PUBLISHED_MAX ? count : PUBLISHED_MAX;
    for (uint32_t i = 0; i < count; i++) {
        publish(overlay, i % SHARED_WIDELY_EVERY == 0 ? PUBLISHED_HOLDERS : 1);
    }
}

/* ---- Life ---- */

static void print_line(void *context, const char *line) {
    (void)context;
    puts(line);
}

static void saw_message(void *context, const struct sim_message *message) {
    struct overlay *overlay = context;
    checks_message(overlay->checks, message);
    if (overlay->saw_message != NULL) {
        overlay->saw_message(overlay->context, message);
    }
}

static void saw_link_gone(void *context, uint32_t link) {
    struct overlay *overlay = context;
    checks_link_gone(overlay->checks, link);
}

void overlay_begin(struct overlay *overlay, const struct overlay_config *config) {
    *overlay = (struct overlay){.config = *config};
    struct sim_config sim_config = {.seed = config->seed,
                                    .network = &overlay->network,
                                    .log_level = LOG_LEVEL_DEBUG,
                                    .trace = config->trace,
                                    .watch = {.context = overlay,
                                              .line = print_line,
                                              .report = take_report,
                                              .message = saw_message,
                                              .link_gone = saw_link_gone}};
    overlay->sim = sim_new(&sim_config);
    overlay->checks = checks_new(overlay->sim, config->supernodes);
    make_network(overlay);
    for (uint32_t i = 0; i < config->supernodes; i++) {
        add_supernode(overlay);
    }
    for (uint32_t i = 0; i < config->peers; i++) {
        overlay_add_peer(overlay);
    }
    if (config->has_files) {
        add_files(overlay);
    }
}

void overlay_end(struct overlay *overlay) {
    sim_free(overlay->sim);
    checks_free(overlay->checks);
}

uint32_t overlay_machines(const struct overlay *overlay) {
    return overlay->machines;
}

void overlay_start_all(struct overlay *overlay) {
    for (uint32_t i = 0; i < overlay_machines(overlay); i++) {
        if (!sim_is_up(overlay->sim, i)) {
            sim_start(overlay->sim, i);
        }
    }
}

static void lose_requests(struct overlay *overlay, uint32_t machine) {
    for (uint32_t i = 1; i <= overlay->request_count; i++) {
        struct request *request = &overlay->requests[i];
        if (request->machine != machine || request->is_answered || request->is_lost) {
            continue;
        }
        request->is_lost = true;
        request->is_owed =
            request->queued_us > 0 && sim_now_us(overlay->sim) - request->queued_us > DURABLE_US;
    }
}

void overlay_crash(struct overlay *overlay, uint32_t machine, enum sim_crash how) {
    lose_requests(overlay, machine);
    sim_crash(overlay->sim, machine, how);
}

void overlay_shutdown(struct overlay *overlay, uint32_t machine) {
    lose_requests(overlay, machine);
    sim_shutdown(overlay->sim, machine);
}

/* ---- Asking ---- */

static uint32_t ask(struct overlay *overlay, const struct request *what, const char *command,
                    const struct command_arg *args, uint32_t count) {
    if (overlay->request_count + 1 >= REQUESTS_MAX) {
        return 0;
    }
    uint64_t id = sim_command(overlay->sim, what->machine, command, args, count);
    overlay->request_count++;
    CHECK(id == overlay->request_count);
    overlay->requests[id] = *what;
    overlay->requests[id].asked_us = sim_now_us(overlay->sim);
    return (uint32_t)id;
}

uint32_t overlay_search(struct overlay *overlay, uint32_t machine, uint32_t published) {
    char word[NAME_BYTES];
    file_words(word, published);
    struct command_arg args[1] = {{"text", word}};
    struct request request = {.kind = REQUEST_SEARCH, .machine = machine, .published = published};
    return ask(overlay, &request, "search", args, 1);
}

uint32_t overlay_get(struct overlay *overlay, uint32_t machine, uint32_t published) {
    char content[CONTENT_TEXT_BYTES];
    content_format(content, sim_file_content(overlay->sim, overlay->published[published].file));
    struct command_arg args[2] = {{"content", content}, {"wait", "1"}};
    struct request request = {.kind = REQUEST_GET, .machine = machine, .published = published};
    return ask(overlay, &request, "get", args, 2);
}

uint32_t overlay_status(struct overlay *overlay, uint32_t machine) {
    struct request request = {.kind = REQUEST_STATUS, .machine = machine};
    return ask(overlay, &request, "status", NULL, 0);
}

/* Of two peers that cannot be dialled neither can fetch from the other. */
static bool all_are_hidden(const struct published *published) {
    bool all = true;
    for (uint32_t i = 0; i < published->holder_count; i++) {
        all = all && overlay_is_hidden(published->holders[i]);
    }
    return all;
}

uint32_t overlay_random_asker(struct overlay *overlay, uint32_t index) {
    const struct published *published = &overlay->published[index];
    bool must_listen = all_are_hidden(published);
    for (uint32_t tries = 0; tries < 8 * overlay->config.peers; tries++) {
        uint32_t machine =
            overlay->config.supernodes + (uint32_t)sim_below(overlay->sim, overlay->config.peers);
        bool is_fit = sim_is_up(overlay->sim, machine) &&
                      !sim_has_file(overlay->sim, machine, published->file) &&
                      !(must_listen && overlay_is_hidden(machine));
        if (is_fit) {
            return machine;
        }
    }
    return UINT32_MAX;
}
