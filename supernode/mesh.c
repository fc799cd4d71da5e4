/* mesh.c - keeps links to enough other supernodes, and knows whom to tell about whom. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"

#define RESOLVE_EVERY_MS 60000
#define NODES_ASKED 32 /* per NODES_REQUEST */
#define PROVE_MS 10000 /* for the checkpoints behind a certificate to come */

/* Between 3/4 and 5/4 of a time, so that neighbours do not fall into step. */
static uint64_t jittered_ms(struct supernode *supernode, uint64_t ms) {
    return ms * 3 / 4 + rng_below(&supernode->rng, ms / 2 + 1);
}

static void maintain_soon(struct supernode *supernode) {
    timers_set(&supernode->timers, &supernode->mesh_timer, supernode->links.mono_us);
}

/* ---- Introducers ---- */

/* True while the address of an introducer's name is worth asking for. */
static bool needs_address(const struct supernode *supernode, const struct introducer *introducer) {
    struct address literal;
    if (introducer_address(introducer, &literal) ||
        node_id_equal(&introducer->id, &supernode->env->id)) {
        return false;
    }
    const struct host *host = hostcache_find(&supernode->hosts, &introducer->id);
    return host == NULL || (!host->in_use && host->failures > 0);
}

void mesh_resolve(struct supernode *supernode) {
    for (uint32_t i = 0; i < supernode->config.introducer_count; i++) {
        const struct introducer *introducer = &supernode->config.introducers[i];
        if (needs_address(supernode, introducer)) {
            struct slice name = {(const uint8_t *)introducer->host, strlen(introducer->host)};
            struct action *action = outbox_add_bytes(supernode->links.out, ACTION_RESOLVE, name);
            action->token32 = i + 1;
        }
    }
    if (supernode->config.introducer_count > 0) {
        timers_set(&supernode->timers, &supernode->resolve_timer,
                   supernode_after_ms(supernode, jittered_ms(supernode, RESOLVE_EVERY_MS)));
    }
}

static void add_introducer(struct supernode *supernode, const struct introducer *introducer,
                           struct address address) {
    address.port = introducer->port;
    if (!node_id_equal(&introducer->id, &supernode->env->id)) {
        hostcache_add_introducer(&supernode->hosts, &introducer->id, &address);
        maintain_soon(supernode);
    }
}

void mesh_resolved(struct supernode *supernode, const struct node_event *event) {
    uint32_t number = event->resolved.token - 1;
    CHECK(number < supernode->config.introducer_count);
    if (event->resolved.count == 0) {
        log_warn(supernode->env->log, "mesh.introducer_unknown number=%u", number);
    } else if (!supernode->is_stopping) {
        add_introducer(supernode, &supernode->config.introducers[number],
                       event->resolved.addresses[0]);
    }
}

void mesh_init(struct supernode *supernode) {
    hostcache_init(&supernode->hosts, supernode->env);
    supernode->mesh_timer.kind = TIMER_MESH;
    supernode->resolve_timer.kind = TIMER_RESOLVE;
}

/* Without a certificate it runs, but alone: say so, since nothing else fails. */
static void check_own_certificate(const struct supernode *supernode) {
    const struct node_env *env = supernode->env;
    enum err err = admission_certified(supernode, &env->id, env->cert);
    if (err != OK && err != ERR_NOT_FOUND) {
        log_warn(
            env->log,
            "mesh.uncertified reason=%s remedy=\"other supernodes will not link with this one; "
            "have an anchor run `supernode certify ID` for this node's id and put the result "
            "into the state folder as `cert`\"",
            err == ERR_POLICY ? "outdated" : "missing_or_of_another");
    }
}

void mesh_start(struct supernode *supernode) {
    check_own_certificate(supernode);
    for (uint32_t i = 0; i < supernode->config.introducer_count; i++) {
        struct address address;
        if (introducer_address(&supernode->config.introducers[i], &address)) {
            add_introducer(supernode, &supernode->config.introducers[i], address);
        }
    }
    maintain_soon(supernode);
    mesh_resolve(supernode);
}

/* ---- Dialling ---- */

/* How many neighbours to dial, in a network of this size. */
static uint32_t dial_target(const struct supernode *supernode) {
    uint32_t known = supernode->hosts.hosts.count;
    if (supernode->config.mesh_dial_max > 0) {
        return supernode->config.mesh_dial_max;
    }
    if (known <= MESH_FULL_MAX) {
        return MESH_FULL_MAX;
    }
    return known <= MESH_MEDIUM_MAX ? MESH_DIAL_MEDIUM : MESH_DIAL_LARGE;
}

static uint32_t count_dialled(const struct supernode *supernode) {
    uint32_t dialled = 0;
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        dialled += link->purpose == PURPOSE_MESH && link->token != 0 && !link->closing;
    }
    return dialled;
}

static struct neighbour *new_neighbour(struct link *link) {
    struct neighbour *neighbour = mem_new(sizeof *neighbour);
    neighbour->link = link;
    neighbour->timer.kind = TIMER_NEIGHBOUR;
    neighbour->timer.owner = neighbour;
    link->owner = neighbour;
    return neighbour;
}

static void dial(struct supernode *supernode, struct host *host) {
    struct link *link =
        links_dial(&supernode->links, &host->id, &host->address, PURPOSE_MESH, NULL);
    new_neighbour(link);
    host->in_use = true;
}

void mesh_maintain(struct supernode *supernode) {
    uint64_t now_us = supernode->links.mono_us;
    uint64_t wait_us = TIMERS_NEVER;
    uint32_t dialled = count_dialled(supernode);
    uint32_t target = dial_target(supernode);
    while (!supernode->is_stopping && dialled < target) {
        struct host *host = hostcache_pick(&supernode->hosts, &supernode->rng, now_us, &wait_us);
        if (host == NULL) {
            break;
        }
        dial(supernode, host);
        dialled++;
    }
    if (dialled < target && wait_us != TIMERS_NEVER && !supernode->is_stopping) {
        timers_set(&supernode->timers, &supernode->mesh_timer,
                   wait_us > now_us ? wait_us : now_us + 1000);
    }
}

/* ---- Whom to tell about whom ---- */

/* Remember a supernode. `seen` is where a link to it shows it to be, NULL when we only heard of
 * it. A record whose address nobody has seen may be dialled, but is not passed on. */
static void learn(struct supernode *supernode, struct slice encoded, const struct address *seen) {
    struct address_record record;
    if (supernode->config.fixed_mesh || encoded.len == 0 ||
        wire_address_record_decode(encoded, &record) != OK ||
        (record.flags & ADDRESS_RECORD_SUPERNODE) == 0) {
        return;
    }
    struct hostcache *hosts = &supernode->hosts;
    const struct host *known = hostcache_find(hosts, &record.key);
    struct address before = known != NULL ? known->address : (struct address){0};
    enum err err = hostcache_add(hosts, encoded, supernode->links.wall_s);
    struct host *host = hostcache_find(hosts, &record.key);
    if (err != OK || host == NULL) {
        log_debug(supernode->env->log, "mesh.record_refused error=%s", err_name(err));
        return;
    }
    host->in_use = links_find(&supernode->links, &host->id, PURPOSE_MESH) != NULL;
    if (seen != NULL && address_record_is_at(&record, seen)) {
        hostcache_succeeded(hosts, host, supernode->links.wall_s);
    } else if (seen != NULL || !address_same_host(&before, &host->address)) {
        host->succeeded_s = 0;
    }
}

enum err mesh_take_nodes(struct supernode *supernode, struct link *link, struct slice payload) {
    struct neighbour *neighbour = link->owner;
    struct nodes nodes;
    enum err err = wire_nodes_decode(payload, &nodes);
    if (err == OK && (!neighbour->nodes_wanted || nodes.list.count > NODES_ASKED)) {
        err = ERR_UNEXPECTED;
    }
    if (err != OK) {
        return err;
    }
    neighbour->nodes_wanted = false;
    for (uint8_t i = 0; i < nodes.list.count; i++) {
        learn(supernode, nodes.list.records[i], NULL);
    }
    maintain_soon(supernode);
    return OK;
}

enum err mesh_take_nodes_request(struct supernode *supernode, struct link *link,
                                 struct slice payload) {
    struct nodes_request request;
    enum err err = wire_nodes_request_decode(payload, &request);
    if (err != OK) {
        return err;
    }
    struct port *port = supernode_port(link);
    if (!ratelimit_take(&port->nodes, (uint64_t)(NODES_PER_S * 1000), NODES_BURST, 1,
                        supernode->links.mono_us)) {
        supernode->counts.nodes_limited++;
        log_debug(supernode->env->log, "mesh.nodes_limited link=%u", link->number);
        return OK;
    }
    struct nodes nodes = {0};
    struct slice own = links_own_record(&supernode->links, link);
    uint32_t room = own.len > 0 ? request.count - 1u : request.count;
    hostcache_sample(&supernode->hosts, &supernode->rng, room, &link->id, &nodes.list);
    if (own.len > 0) {
        nodes.list.records[nodes.list.count++] = own;
    }
    struct buf answer = {0};
    wire_nodes_encode(&answer, &nodes);
    supernode_send(link, MSG_NODES, &answer);
    return OK;
}

enum err mesh_take_goaway(struct supernode *supernode, struct link *link, struct slice payload) {
    struct goaway goaway;
    enum err err = wire_goaway_decode(payload, &goaway);
    if (err != OK || link->purpose != PURPOSE_MESH) {
        return err;
    }
    struct neighbour *neighbour = link->owner;
    log_info(supernode->env->log, "mesh.goaway link=%u reason=%u retry_s=%u", link->number,
             goaway.reason, goaway.retry_after_s);
    neighbour->is_leaving = true;
    neighbour->is_spare = goaway.reason == GOAWAY_IDLE;
    neighbour->retry_s = goaway.retry_after_s;
    for (uint8_t i = 0; i < goaway.alternatives.count; i++) {
        learn(supernode, goaway.alternatives.records[i], NULL);
    }
    maintain_soon(supernode);
    return OK;
}

/* ---- Life of a mesh link ---- */

static void ask_for_nodes(struct supernode *supernode, struct neighbour *neighbour) {
    struct nodes_request request = {.count = NODES_ASKED};
    struct buf payload = {0};
    wire_nodes_request_encode(&payload, &request);
    supernode_send(neighbour->link, MSG_NODES_REQUEST, &payload);
    neighbour->nodes_wanted = true;
    timers_set(&supernode->timers, &neighbour->timer,
               supernode_after_ms(supernode, jittered_ms(supernode, NODES_EVERY_MS)));
}

static enum err certified(const struct supernode *supernode, const struct neighbour *neighbour) {
    return admission_certified(supernode, &neighbour->link->id,
                               (struct slice){neighbour->cert.data, neighbour->cert.len});
}

static bool may_stay(const struct supernode *supernode, const struct neighbour *neighbour) {
    enum err err = certified(supernode, neighbour);
    return err == OK || (err == ERR_NOT_FOUND && !neighbour->is_unproven);
}

void mesh_neighbour_timer(struct supernode *supernode, struct neighbour *neighbour) {
    mesh_prove(supernode); /* it may have become so without a record: the next epoch began */
    if (!may_stay(supernode, neighbour)) {
        log_info(supernode->env->log, "mesh.certificate_expired link=%u", neighbour->link->number);
        links_close(neighbour->link, GOAWAY_POLICY, ERR_POLICY);
        return;
    }
    bool is_dialled = neighbour->link->token != 0;
    if (is_dialled && count_dialled(supernode) > dial_target(supernode)) {
        log_info(supernode->env->log, "mesh.spare link=%u", neighbour->link->number);
        neighbour->is_spare = true; /* of the time when the network was smaller, or looked so */
        links_close(neighbour->link, GOAWAY_IDLE, ERR_SHUTDOWN);
        return;
    }
    ask_for_nodes(supernode, neighbour);
}

static void add_neighbour(struct supernode *supernode, struct neighbour *neighbour) {
    if (supernode->neighbour_count == supernode->neighbour_cap) {
        supernode->neighbour_cap = supernode->neighbour_cap < 4 ? 4 : supernode->neighbour_cap * 2;
        supernode->neighbours =
            mem_resize(supernode->neighbours, supernode->neighbour_cap, sizeof(struct neighbour *));
    }
    supernode->neighbours[supernode->neighbour_count++] = neighbour;
    neighbour->is_open = true;
}

static void remove_neighbour(struct supernode *supernode, const struct neighbour *neighbour) {
    uint32_t i = 0;
    while (supernode->neighbours[i] != neighbour) {
        i++;
        CHECK(i < supernode->neighbour_count);
    }
    supernode->neighbour_count--;
    memmove(&supernode->neighbours[i], &supernode->neighbours[i + 1],
            (supernode->neighbour_count - i) * sizeof(struct neighbour *));
}

/* It may be a supernode: from now on searches go that way. */
static void accept(struct supernode *supernode, struct neighbour *neighbour) {
    struct link *link = neighbour->link;
    add_neighbour(supernode, neighbour);
    learn(supernode, (struct slice){neighbour->record.data, neighbour->record.len}, &link->remote);
    buf_free(&neighbour->record);
    struct host *host = hostcache_find(&supernode->hosts, &link->id);
    if (host != NULL) {
        host->in_use = true;
        host->failures = 0;
        host->retry_us = 0;
    }
    log_info(supernode->env->log, "mesh.opened link=%u dialled=%d neighbours=%u", link->number,
             link->token != 0, supernode->neighbour_count);
    ask_for_nodes(supernode, neighbour);
    summaries_opened(supernode, neighbour);
    fill_look_on(supernode);
}

void mesh_opened(struct supernode *supernode, struct link *link, const struct hello *hello) {
    struct neighbour *neighbour = link->token != 0 ? link->owner : new_neighbour(link);
    buf_append(&neighbour->cert, hello->cert.data, hello->cert.len);
    buf_append(&neighbour->record, hello->address_record.data, hello->address_record.len);
    evidence_tell_all(supernode, neighbour);
    enum err err = certified(supernode, neighbour);
    if (err == ERR_NOT_FOUND) {
        neighbour->is_unproven = true;
        timers_set(&supernode->timers, &neighbour->timer, supernode_after_ms(supernode, PROVE_MS));
        log_info(supernode->env->log, "mesh.unproven link=%u", link->number);
        return;
    }
    if (err != OK) { /* one that we dialled: others were not admitted */
        log_info(supernode->env->log, "mesh.not_certified link=%u error=%s", link->number,
                 err_name(err));
        links_close(link, GOAWAY_POLICY, err);
        return;
    }
    accept(supernode, neighbour);
}

uint32_t mesh_unproven(const struct supernode *supernode) {
    uint32_t count = 0;
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        const struct neighbour *neighbour = link->owner;
        count += link->purpose == PURPOSE_MESH && neighbour != NULL && neighbour->is_unproven;
    }
    return count;
}

void mesh_prove(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        struct neighbour *neighbour = link->owner;
        bool waits = link->purpose == PURPOSE_MESH && link->open && !link->closing &&
                     neighbour != NULL && neighbour->is_unproven;
        if (waits && certified(supernode, neighbour) == OK) {
            neighbour->is_unproven = false;
            accept(supernode, neighbour);
        }
    }
}

void mesh_free_neighbour(struct supernode *supernode, struct neighbour *neighbour) {
    summaries_closed(supernode, neighbour);
    evidence_closed(supernode, neighbour);
    handover_closed(supernode, neighbour);
    timers_cancel(&supernode->timers, &neighbour->timer);
    buf_free(&neighbour->cert);
    buf_free(&neighbour->record);
    mem_free(neighbour);
}

void mesh_closed(struct supernode *supernode, struct link *link, enum err reason) {
    struct neighbour *neighbour = link->owner;
    struct host *host = hostcache_find(&supernode->hosts, &link->id);
    if (host != NULL && links_find(&supernode->links, &link->id, PURPOSE_MESH) == NULL) {
        host->in_use = false;
        if (!neighbour->is_spare) {
            hostcache_failed(&supernode->hosts, host, &supernode->rng, neighbour->retry_s,
                             supernode->links.mono_us);
            hostcache_put_off(host, link->busy_s);
        }
    }
    if (neighbour->is_open) {
        remove_neighbour(supernode, neighbour);
        log_info(supernode->env->log, "mesh.closed link=%u reason=%s neighbours=%u", link->number,
                 err_name(reason), supernode->neighbour_count);
    }
    mesh_free_neighbour(supernode, neighbour);
    maintain_soon(supernode);
}

void mesh_free(struct supernode *supernode) {
    hostcache_free(&supernode->hosts);
    mem_free(supernode->neighbours);
}
