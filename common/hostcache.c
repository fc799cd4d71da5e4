/* hostcache.c - remembers supernodes, chooses whom to dial next, and whom to tell others about.
 *
 * In the store a host is: version u8 (1), last success u64 (Unix seconds, 0 = never), then its
 * address record. An introducer without a record lives in the configuration alone. */
#include "common/hostcache.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"

#define ENTRY_VERSION 1
#define ENTRY_HEAD_BYTES 9
#define ID_PART_MAX 128 /* of an introducer's text */

/* ---- Introducers ---- */

static bool host_name_is_fine(const char *host) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-._:";
    return host[0] != '\0' && strspn(host, letters) == strlen(host);
}

static enum err parse_port(const char *text, uint16_t *port) {
    char literal[32] = "0.0.0.0:";
    struct address address;
    size_t len = strlen(text);
    if (len > 5) {
        return ERR_CONFIG;
    }
    memcpy(literal + strlen(literal), text, len);
    if (address_parse(&address, literal, false) != OK) {
        return ERR_CONFIG;
    }
    *port = address.port;
    return OK;
}

enum err introducer_parse(struct introducer *introducer, const char *text) {
    struct introducer parsed = {0};
    const char *at = strchr(text, '@');
    if (at == NULL || at - text >= ID_PART_MAX) {
        return ERR_CONFIG;
    }
    char id[ID_PART_MAX] = {0};
    memcpy(id, text, (size_t)(at - text));
    const char *host = at + 1;
    const char *colon = strrchr(host, ':');
    if (node_id_parse(&parsed.id, id) != OK || colon == NULL) {
        return ERR_CONFIG;
    }
    size_t len = (size_t)(colon - host);
    bool is_bracketed = len >= 2 && host[0] == '[' && host[len - 1] == ']';
    if (is_bracketed) {
        host++;
        len -= 2;
    }
    if (len > HOST_NAME_MAX_BYTES) {
        return ERR_CONFIG;
    }
    memcpy(parsed.host, host, len);
    struct address literal;
    bool has_colon = strchr(parsed.host, ':') != NULL;
    if (!host_name_is_fine(parsed.host) || has_colon != is_bracketed ||
        parse_port(colon + 1, &parsed.port) != OK ||
        (is_bracketed && !introducer_address(&parsed, &literal))) {
        return ERR_CONFIG;
    }
    *introducer = parsed;
    return OK;
}

bool introducer_address(const struct introducer *introducer, struct address *address) {
    char text[HOST_NAME_MAX_BYTES + 8] = {0};
    bool is_ipv6 = strchr(introducer->host, ':') != NULL;
    size_t len = strlen(introducer->host);
    text[0] = '[';
    memcpy(text + 1, introducer->host, len);
    memcpy(text + 1 + len, "]:0", 3);
    if (!is_ipv6) {
        memcpy(text + 1 + len, ":0", 3);
    }
    if (address_parse(address, is_ipv6 ? text : text + 1, true) != OK) {
        return false;
    }
    address->port = introducer->port;
    return true;
}

/* ---- What is known ---- */

static struct slice key_of(const struct host *host) {
    return (struct slice){host->id.b, sizeof host->id.b};
}

struct slice hostcache_record(const struct hostcache *cache, const struct host *host) {
    struct slice entry;
    if (!host->has_record || !store_get(cache->env->store, STORE_HOSTS, key_of(host), &entry) ||
        entry.len < ENTRY_HEAD_BYTES) {
        return (struct slice){0};
    }
    return (struct slice){entry.data + ENTRY_HEAD_BYTES, entry.len - ENTRY_HEAD_BYTES};
}

/* True when the host's record is of this sequence or a later one. */
static bool is_outdated(const struct hostcache *cache, const struct host *host, uint64_t seq) {
    struct address_record known;
    struct slice bytes = host != NULL ? hostcache_record(cache, host) : (struct slice){0};
    return bytes.len > 0 && wire_address_record_decode(bytes, &known) == OK && seq <= known.seq;
}

static struct host *add_host(struct hostcache *cache, const struct node_id *id) {
    struct host *host = mem_new(sizeof *host);
    host->id = *id;
    map_put(&cache->hosts, id->b, host);
    return host;
}

/* Store what must outlive the process; `record` may be borrowed from the store. */
static void save(struct hostcache *cache, struct host *host, struct slice record) {
    if (record.len == 0) {
        return;
    }
    struct buf entry = {0};
    buf_u8(&entry, ENTRY_VERSION);
    buf_u64(&entry, (uint64_t)host->succeeded_s);
    buf_append(&entry, record.data, record.len);
    store_put(cache->env->store, STORE_HOSTS, key_of(host), (struct slice){entry.data, entry.len});
    buf_free(&entry);
    host->has_record = true;
}

/* Set *address to the first that this network may dial. */
static bool choose_address(const struct hostcache *cache, const struct address_record *record,
                           struct address *address) {
    for (uint8_t i = 0; i < record->address_count; i++) {
        if (network_may_dial(cache->env->network, &record->addresses[i])) {
            *address = record->addresses[i];
            return true;
        }
    }
    return false;
}

/* Take one entry of the store; ERR_FORMAT or ERR_POLICY when it cannot be used. */
static enum err load_entry(struct hostcache *cache, struct slice key, struct slice value) {
    struct reader reader = reader_of(value.data, value.len);
    uint8_t version = reader_u8(&reader);
    uint64_t succeeded_s = reader_u64(&reader);
    if (reader.failed || version != ENTRY_VERSION || succeeded_s > INT64_MAX) {
        return ERR_FORMAT;
    }
    struct slice bytes = {reader.at, reader_left(&reader)};
    struct address_record record;
    enum err err = wire_address_record_decode(bytes, &record);
    if (err != OK) {
        return err;
    }
    if (key.len != sizeof record.key.b || memcmp(key.data, record.key.b, key.len) != 0 ||
        node_id_equal(&record.key, &cache->env->id)) {
        return ERR_FORMAT;
    }
    struct address address;
    if (!choose_address(cache, &record, &address)) {
        return ERR_POLICY;
    }
    if (cache->hosts.count >= HOSTCACHE_MAX) {
        return ERR_LIMIT;
    }
    struct host *host = add_host(cache, &record.key);
    host->address = address;
    host->succeeded_s = (int64_t)succeeded_s;
    host->has_record = true;
    return OK;
}

void hostcache_init(struct hostcache *cache, const struct node_env *env) {
    *cache = (struct hostcache){.env = env};
    map_init(&cache->hosts, sizeof(struct node_id), env->seed ^ 0x686f737463616368);
    uint8_t after[STORE_KEY_MAX];
    size_t after_len = 0;
    struct slice key;
    struct slice value;
    while (store_next(env->store, STORE_HOSTS, (struct slice){after, after_len}, &key, &value)) {
        CHECK(key.len <= sizeof after);
        memcpy(after, key.data, key.len);
        after_len = key.len;
        enum err err = load_entry(cache, key, value);
        if (err != OK) {
            log_warn(env->log, "hostcache.dropped reason=%s", err_name(err));
            store_remove(env->store, STORE_HOSTS, (struct slice){after, after_len});
        }
    }
}

void hostcache_free(struct hostcache *cache) {
    uint32_t cursor = 0;
    for (struct host *host; (host = map_next(&cache->hosts, &cursor, NULL)) != NULL;) {
        mem_free(host);
    }
    map_free(&cache->hosts);
}

struct host *hostcache_find(const struct hostcache *cache, const struct node_id *id) {
    return map_get(&cache->hosts, id->b);
}

static bool is_worse(const struct host *host, const struct host *than) {
    return host->failures != than->failures ? host->failures > than->failures
                                            : host->succeeded_s < than->succeeded_s;
}

/* Drop the worst host that nobody needs, the oldest of equals; false when there is none. */
static bool make_room(struct hostcache *cache) {
    struct host *worst = NULL;
    uint32_t cursor = 0;
    for (struct host *host; (host = map_next(&cache->hosts, &cursor, NULL)) != NULL;) {
        bool may_go = !host->introducer && !host->in_use;
        if (may_go && (worst == NULL || is_worse(host, worst))) {
            worst = host;
        }
    }
    if (worst == NULL) {
        return false;
    }
    store_remove(cache->env->store, STORE_HOSTS, key_of(worst));
    map_remove(&cache->hosts, worst->id.b);
    mem_free(worst);
    return true;
}

struct host *hostcache_add_introducer(struct hostcache *cache, const struct node_id *id,
                                      const struct address *address) {
    if (node_id_equal(id, &cache->env->id)) {
        return NULL;
    }
    struct host *host = hostcache_find(cache, id);
    if (host == NULL) {
        if (cache->hosts.count >= HOSTCACHE_MAX) {
            make_room(cache); /* at most INTRODUCERS_MAX more when it cannot */
        }
        host = add_host(cache, id);
    }
    host->introducer = true;
    host->address = *address;
    return host;
}

/* Read a record and check all that its sender may have got wrong. */
static enum err check_record(const struct hostcache *cache, struct slice bytes, int64_t wall_s,
                             struct address_record *record, struct address *address) {
    const struct node_env *env = cache->env;
    if (bytes.len > ADDRESS_RECORD_BYTES_MAX) {
        return ERR_FORMAT;
    }
    enum err err = wire_address_record_decode(bytes, record);
    if (err != OK) {
        return err;
    }
    if (node_id_equal(&record->key, &env->id)) {
        return ERR_DUPLICATE;
    }
    if (is_outdated(cache, hostcache_find(cache, &record->key), record->seq)) {
        return OK; /* nothing will change, so the signature need not be looked at */
    }
    if (!choose_address(cache, record, address)) {
        return ERR_POLICY;
    }
    return wire_address_record_check(record, env->crypto, &env->network->id, wall_s);
}

enum err hostcache_add(struct hostcache *cache, struct slice bytes, int64_t wall_s) {
    struct address_record record;
    struct address address;
    enum err err = check_record(cache, bytes, wall_s, &record, &address);
    if (err != OK) {
        return err;
    }
    struct host *host = hostcache_find(cache, &record.key);
    if (is_outdated(cache, host, record.seq)) {
        return OK;
    }
    if (host == NULL) {
        if (cache->hosts.count >= HOSTCACHE_MAX && !make_room(cache)) {
            return ERR_LIMIT;
        }
        host = add_host(cache, &record.key);
    }
    host->address = address;
    save(cache, host, bytes);
    return OK;
}

/* ---- Dialling ---- */

struct host *hostcache_pick(struct hostcache *cache, struct rng *rng, uint64_t now_us,
                            uint64_t *wait_us) {
    uint32_t fewest = UINT32_MAX;
    uint32_t equals = 0;
    *wait_us = UINT64_MAX;
    uint32_t cursor = 0;
    for (struct host *host; (host = map_next(&cache->hosts, &cursor, NULL)) != NULL;) {
        if (host->in_use) {
            continue;
        }
        *wait_us = host->retry_us < *wait_us ? host->retry_us : *wait_us;
        if (host->is_first && host->retry_us <= now_us) {
            return host;
        }
        if (host->retry_us > now_us || host->failures > fewest) {
            continue;
        }
        equals = host->failures < fewest ? 1 : equals + 1;
        fewest = host->failures;
    }
    if (equals == 0) {
        return NULL;
    }
    uint64_t skip = rng_below(rng, equals);
    cursor = 0;
    for (struct host *host; (host = map_next(&cache->hosts, &cursor, NULL)) != NULL;) {
        if (!host->in_use && host->retry_us <= now_us && host->failures == fewest && skip-- == 0) {
            return host;
        }
    }
    return NULL;
}

struct host *hostcache_pick_back(struct hostcache *cache) {
    uint32_t cursor = 0;
    for (struct host *host; (host = map_next(&cache->hosts, &cursor, NULL)) != NULL;) {
        if (!host->in_use && host->sent_us_on) {
            host->sent_us_on = false;
            return host;
        }
    }
    return NULL;
}

void hostcache_succeeded(struct hostcache *cache, struct host *host, int64_t wall_s) {
    host->failures = 0;
    host->retry_us = 0;
    host->succeeded_s = wall_s > 0 ? wall_s : 1;
    save(cache, host, hostcache_record(cache, host));
}

/* True for an address that only others told us, where nobody has answered yet. */
static bool is_hearsay(const struct host *host) {
    return !host->introducer && host->succeeded_s == 0;
}

/* Many ids may name one victim. */
static void spare_address(struct hostcache *cache, const struct address *address,
                          uint64_t retry_us) {
    uint32_t cursor = 0;
    for (struct host *host; (host = map_next(&cache->hosts, &cursor, NULL)) != NULL;) {
        if (is_hearsay(host) && host->retry_us < retry_us &&
            address_equal(&host->address, address)) {
            host->retry_us = retry_us;
        }
    }
}

void hostcache_failed(struct hostcache *cache, struct host *host, struct rng *rng,
                      uint32_t retry_after_s, uint64_t now_us) {
    bool may_be_a_victims = is_hearsay(host) && retry_after_s == 0; /* a GOAWAY is an answer */
    if (host->failures < UINT8_MAX) {
        host->failures++;
    }
    uint64_t span_ms = REDIAL_MS_MAX;
    if (host->failures < 16 && (uint64_t)REDIAL_MS_MIN << host->failures < span_ms) {
        span_ms = (uint64_t)REDIAL_MS_MIN << host->failures;
    }
    uint64_t jitter_us = rng_below(rng, span_ms * 1000) + 1;
    host->retry_us = now_us + (uint64_t)retry_after_s * 1000000 + jitter_us;
    if (may_be_a_victims) {
        host->retry_us += UNPROVEN_DIAL_MS * 1000ull;
        spare_address(cache, &host->address, host->retry_us);
    }
}

void hostcache_put_off(struct host *host, uint32_t seconds) {
    host->retry_us += seconds * 1000000ull;
}

/* ---- Telling others ---- */

struct candidate {
    const struct host *host;
    uint64_t draw;  /* orders equals at random */
    uint32_t place; /* makes the order total */
};

static int compare_candidates(const void *left, const void *right) {
    const struct candidate *a = left;
    const struct candidate *b = right;
    if (a->host->succeeded_s != b->host->succeeded_s) {
        return a->host->succeeded_s > b->host->succeeded_s ? -1 : 1;
    }
    if (a->draw != b->draw) {
        return a->draw < b->draw ? -1 : 1;
    }
    return (a->place > b->place) - (a->place < b->place);
}

void hostcache_sample(const struct hostcache *cache, struct rng *rng, uint32_t count,
                      const struct node_id *except, struct record_list *list) {
    list->count = 0;
    struct candidate *candidates = mem_array(cache->hosts.count, sizeof *candidates);
    uint32_t found = 0;
    uint32_t cursor = 0;
    for (struct host *host; (host = map_next(&cache->hosts, &cursor, NULL)) != NULL;) {
        bool is_excepted = except != NULL && node_id_equal(&host->id, except);
        if (host->succeeded_s != 0 && host->has_record && !is_excepted) {
            candidates[found] = (struct candidate){.host = host, .place = found};
            candidates[found++].draw = rng_u64(rng);
        }
    }
    qsort(candidates, found, sizeof *candidates, compare_candidates);
    count = count < NODES_MAX ? count : NODES_MAX;
    for (uint32_t i = 0; i < found && i < count; i++) {
        list->records[list->count++] = hostcache_record(cache, candidates[i].host);
    }
    mem_free(candidates);
}
