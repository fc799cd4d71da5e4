/* supernode_fake.h - the other end of a supernode's link in tests: does as told, keeps all it
 * hears.
 */
#ifndef TRUNKLINE_TESTS_UNIT_SUPERNODE_FAKE_H
#define TRUNKLINE_TESTS_UNIT_SUPERNODE_FAKE_H

#include <stdlib.h>

#include "common/links.h"
#include "supernode/core.h"
#include "tests/unit/supernode_net.h"

struct heard {
    uint32_t link;
    uint8_t type;
    struct buf payload;
};

struct fake {
    struct net_node *place;
    struct timers timers;
    struct links links;
    struct heard *heard;
    uint32_t count;
    uint32_t cap;
    uint32_t opened; /* links that we dialled */
    uint32_t closed;
    enum err last_reason;
    uint8_t last_purpose;
};

static inline enum err fake_admit(void *role, struct link *link, const struct hello *hello,
                                  struct goaway *goaway) {
    struct fake *fake = role;
    (void)hello;
    (void)goaway;
    fake->last_purpose = link->purpose;
    return OK;
}

static inline void fake_opened(void *role, struct link *link, const struct hello *hello) {
    struct fake *fake = role;
    (void)hello;
    fake->opened += link->token != 0;
}

static inline enum err fake_message(void *role, struct link *link, uint8_t type,
                                    struct slice payload) {
    struct fake *fake = role;
    if (fake->count == fake->cap) {
        fake->cap = fake->cap == 0 ? 8 : fake->cap * 2;
        fake->heard = mem_resize(fake->heard, fake->cap, sizeof *fake->heard);
    }
    struct heard *heard = &fake->heard[fake->count++];
    *heard = (struct heard){.link = link->number, .type = type};
    buf_append(&heard->payload, payload.data, payload.len);
    return OK;
}

static inline void fake_closed(void *role, struct link *link, enum err reason) {
    struct fake *fake = role;
    if (link->token != 0) { /* a probe that dialled us does not count */
        fake->closed++;
        fake->last_reason = reason;
    }
}

static const struct links_role fake_role = {fake_admit, fake_opened, fake_message, fake_closed,
                                            NULL};

static inline void fake_step(void *self, const struct node_event *event, struct outbox *out) {
    struct fake *fake = self;
    links_begin(&fake->links, event, out);
    (void)links_handle(&fake->links, event);
    for (struct timer *timer; (timer = timers_take(&fake->timers, event->mono_us)) != NULL;) {
        links_timer(&fake->links, timer);
    }
}

static inline uint64_t fake_deadline(const void *self) {
    return timers_next(&((const struct fake *)self)->timers);
}

static inline void fake_forget(struct fake *fake) {
    for (uint32_t i = 0; i < fake->count; i++) {
        buf_free(&fake->heard[i].payload);
    }
    fake->count = 0;
}

static inline void fake_free(void *self) {
    struct fake *fake = self;
    fake_forget(fake);
    links_free(&fake->links);
    timers_free(&fake->timers);
    mem_free(fake->heard);
    mem_free(fake);
}

static const struct node_ops fake_ops = {fake_step, fake_deadline, fake_free};

/* Start a fake end at a place of the net. */
static inline struct fake *fake_start(struct net_node *place) {
    struct fake *fake = mem_new(sizeof *fake);
    fake->place = place;
    links_init(&fake->links, &place->env, &fake_role, fake, &fake->timers);
    place->node = (struct node){&fake_ops, fake};
    net_start(place);
    return fake;
}

static inline struct fake *fake_add(struct net *net) {
    return fake_start(net_add(net));
}

/* Between fake_begin and fake_end the fake may call links functions. */
static inline void fake_begin(struct fake *fake) {
    struct node_event event = {.kind = NODE_TIMER, .mono_us = fake->place->net->now_us};
    event.wall_s = NET_WALL_S + (int64_t)(event.mono_us / 1000000);
    links_begin(&fake->links, &event, &fake->place->out);
}

static inline void fake_end(struct fake *fake) {
    net_carry_out(fake->place->net, fake->place);
}

static inline void fake_start_dial(struct fake *fake, const struct net_node *to,
                                   enum purpose purpose) {
    fake_begin(fake);
    links_dial(&fake->links, &to->env.id, &to->env.listen[0], purpose, NULL);
    fake_end(fake);
}

/* Dial and let a second pass; the link, or NULL when it did not open. */
static inline struct link *fake_dial(struct fake *fake, const struct net_node *to,
                                     enum purpose purpose) {
    fake_start_dial(fake, to, purpose);
    net_run(fake->place->net, 1000);
    struct link *link = links_find(&fake->links, &to->env.id, (uint8_t)purpose);
    return link != NULL && link->open ? link : NULL;
}

/* Send an encoded payload, which is freed. */
static inline void fake_send(struct link *link, uint8_t type, struct buf *payload) {
    struct fake *fake = link->links->context;
    fake_begin(fake);
    links_send(link, type, (struct slice){payload->data, payload->len});
    fake_end(fake);
    buf_free(payload);
}

static inline void fake_close(struct link *link) {
    struct fake *fake = link->links->context;
    fake_begin(fake);
    links_close(link, GOAWAY_SHUTDOWN, ERR_SHUTDOWN);
    fake_end(fake);
    net_run(fake->place->net, 1000);
}

/* The n-th message of a type since fake_forget (0 = the first), or NULL. */
static inline const struct heard *fake_nth(const struct fake *fake, uint8_t type, uint32_t n) {
    for (uint32_t i = 0; i < fake->count; i++) {
        if (fake->heard[i].type == type && n-- == 0) {
            return &fake->heard[i];
        }
    }
    return NULL;
}

static inline uint32_t fake_count(const struct fake *fake, uint8_t type) {
    uint32_t count = 0;
    while (fake_nth(fake, type, count) != NULL) {
        count++;
    }
    return count;
}

static inline struct slice heard_payload(const struct heard *heard) {
    assert_non_null(heard);
    return (struct slice){heard->payload.data, heard->payload.len};
}

/* ---- Registration ---- */

struct fake_file {
    uint8_t content;
    const char *name;
};

static inline struct file_record fake_record(const struct fake_file *file) {
    struct file_record record = {.content.size = file->content + 1u,
                                 .name = test_slice(file->name)};
    record.content.root.b[0] = 1;
    record.content.root.b[31] = file->content;
    return record;
}

static inline struct reg_state fake_state(const struct fake *fake, uint64_t index_id,
                                          const struct fake_file *files, uint32_t count) {
    struct reg_state state = {.index_id = index_id, .sequence = 1, .count = count};
    struct hash *hashes = mem_array(count, sizeof *hashes);
    for (uint32_t i = 0; i < count; i++) {
        struct file_record record = fake_record(&files[i]);
        wire_file_record_hash(&record, &fake->place->crypto, &hashes[i]);
    }
    assert_true(wire_list_root(&fake->place->crypto, hashes, count, &state.root));
    mem_free(hashes);
    return state;
}

static inline void fake_send_state(struct link *link, uint8_t type, const struct reg_state *state) {
    struct buf payload = {0};
    wire_reg_state_encode(&payload, state);
    fake_send(link, type, &payload);
}

static inline int fake_compare_records(const void *a, const void *b) {
    return wire_file_record_compare(a, b);
}

/* Send files as a list or as what is added to one. */
static inline void fake_send_files(struct link *link, const struct fake_file *files,
                                   uint32_t count) {
    struct file_record *records = mem_array(count, sizeof *records);
    for (uint32_t i = 0; i < count; i++) {
        records[i] = fake_record(&files[i]);
    }
    qsort(records, count, sizeof *records, fake_compare_records);
    for (uint32_t sent = 0; sent < count;) {
        struct buf payload = {0};
        sent += wire_reg_add_pack(&payload, records + sent, count - sent);
        fake_send(link, MSG_REG_ADD, &payload);
    }
    mem_free(records);
}

/* Say that a file is gone. */
static inline void fake_send_gone(struct link *link, const struct fake_file *file) {
    struct fake *fake = link->links->context;
    struct file_record record = fake_record(file);
    struct hash hash;
    wire_file_record_hash(&record, &fake->place->crypto, &hash);
    struct reg_remove remove = {.count = 1, .prefixes = {hash.b, RECORD_PREFIX_BYTES}};
    struct buf payload = {0};
    wire_reg_remove_encode(&payload, &remove);
    fake_send(link, MSG_REG_REMOVE, &payload);
}

/* The last REG_STATUS; verdict 0 = none. */
static inline struct reg_status fake_status(const struct fake *fake) {
    struct reg_status status = {0};
    uint32_t count = fake_count(fake, MSG_REG_STATUS);
    if (count > 0) {
        const struct heard *heard = fake_nth(fake, MSG_REG_STATUS, count - 1);
        assert_int_equal(wire_reg_status_decode(heard_payload(heard), &status), OK);
    }
    return status;
}

static inline uint8_t fake_verdict(const struct fake *fake) {
    return fake_status(fake).verdict;
}

/* Register a whole list and return the last verdict. */
static inline uint8_t fake_register(struct link *link, uint64_t index_id,
                                    const struct fake_file *files, uint32_t count) {
    struct fake *fake = link->links->context;
    struct net *net = fake->place->net;
    struct reg_state state = fake_state(fake, index_id, files, count);
    fake_forget(fake);
    fake_send_state(link, MSG_REG_BEGIN, &state);
    net_run(net, 500);
    if (fake_verdict(fake) != REG_SEND_ALL) {
        return fake_verdict(fake);
    }
    fake_send_files(link, files, count);
    fake_send_state(link, MSG_REG_COMMIT, &state);
    net_run(net, 500);
    return fake_verdict(fake);
}

/* ---- Searching ---- */

struct fake_query {
    uint8_t ttl;
    uint8_t hops;
    uint16_t want;
    uint16_t deadline_ms;
    const char *text; /* NULL = locate */
    struct content_id content;
    uint8_t salt;
};

/* Append the compressed body. */
static inline void fake_body(const struct fake *fake, const struct fake_query *query,
                             struct buf *out) {
    struct query_body body = {.salt = {query->salt, 1, 2, 3, 4, 5, 6, 7}};
    body.kind = query->text != NULL ? QUERY_WORDS : QUERY_CONTENT;
    if (query->text != NULL) {
        body.text = test_slice(query->text);
    }
    body.content = query->content;
    struct buf plain = {0};
    wire_query_body_encode(&plain, &body);
    packer_deflate(fake->place->env.packer, (struct slice){plain.data, plain.len}, out);
    buf_free(&plain);
}

static inline void fake_ask(struct link *link, const struct fake_query *query) {
    struct fake *fake = link->links->context;
    struct buf body = {0};
    fake_body(fake, query, &body);
    struct query_header header = {.ttl = query->ttl,
                                  .hops = query->hops,
                                  .want = query->want > 0 ? query->want : 100,
                                  .deadline_ms = query->deadline_ms > 0 ? query->deadline_ms
                                                                        : QUERY_DEADLINE_MS,
                                  .body = {body.data, body.len}};
    struct buf payload = {0};
    wire_query_encode(&payload, &header);
    fake_send(link, query->text != NULL ? MSG_QUERY : MSG_LOCATE, &payload);
    buf_free(&body);
}

/* What came back for all queries since fake_forget. */
struct fake_result {
    uint32_t records;
    uint32_t lasts;           /* answers: END, or HITS marked last */
    struct coverage coverage; /* of the last answer */
};

static inline struct fake_result fake_result(const struct fake *fake) {
    struct fake_result result = {0};
    struct hits *hits = mem_new(sizeof *hits);
    for (uint32_t i = 0; i < fake->count; i++) {
        struct slice payload = heard_payload(&fake->heard[i]);
        struct query_end end;
        if (fake->heard[i].type == MSG_HITS) {
            assert_int_equal(wire_hits_decode(payload, hits), OK);
            result.records += hits->hit_count;
            if (hits->last) {
                result.lasts++;
                result.coverage = hits->coverage;
            }
        } else if (fake->heard[i].type == MSG_END) {
            assert_int_equal(wire_end_decode(payload, &end), OK);
            result.lasts++;
            result.coverage = end.coverage;
        }
    }
    mem_free(hits);
    return result;
}

/* ---- Supernodes ---- */

/* Give a supernode its introducers: literal addresses of other places. */
static inline void net_introduce(struct supernode_config *config, const struct net_node *other) {
    struct introducer *introducer = &config->introducers[config->introducer_count++];
    introducer->id = other->env.id;
    introducer->port = NET_PORT;
    snprintf(introducer->host, sizeof introducer->host, "%u.%u.%u.%u", other->host.ip[0],
             other->host.ip[1], other->host.ip[2], other->host.ip[3]);
}

static inline struct supernode *supernode_of(const struct net_node *place) {
    return place->node.self;
}

static inline struct net_node *start(struct net *net, const struct supernode_config *config) {
    struct net_node *place = net_add(net);
    place->node = supernode_new(&place->env, config);
    net_start(place);
    return place;
}

static inline struct net_node *start_plain(struct net *net) {
    struct supernode_config config = {0};
    return start(net, &config);
}

/* Another supernode that knows the first. */
static inline struct net_node *start_friend(struct net *net, const struct net_node *first) {
    struct supernode_config config = {0};
    net_introduce(&config, first);
    struct net_node *place = start(net, &config);
    net_run(net, 2000);
    return place;
}

static inline struct goaway last_goaway(const struct fake *fake) {
    struct goaway goaway = {0};
    uint32_t count = fake_count(fake, MSG_GOAWAY);
    if (count > 0) {
        const struct heard *heard = fake_nth(fake, MSG_GOAWAY, count - 1);
        assert_int_equal(wire_goaway_decode(heard_payload(heard), &goaway), OK);
    }
    return goaway;
}

static inline struct hits first_hits(const struct fake *fake) {
    struct hits hits;
    assert_int_equal(wire_hits_decode(heard_payload(fake_nth(fake, MSG_HITS, 0)), &hits), OK);
    return hits;
}

static inline struct fake_result ask(struct link *link, const char *text, uint8_t ttl,
                                     uint8_t salt) {
    struct fake *fake = link->links->context;
    struct fake_query query = {.ttl = ttl, .text = text, .salt = salt};
    fake_forget(fake);
    fake_ask(link, &query);
    net_run(fake->place->net, 1000);
    return fake_result(fake);
}

/* No supernode waits for anything, and none was blamed. */
static inline void nothing_is_left(const struct net *net, uint32_t places) {
    for (uint32_t i = 0; i < places; i++) {
        const struct net_node *place = net->nodes[i];
        if (place->node.self != NULL && !place->is_hung) {
            assert_int_equal(supernode_of(place)->flood.wave_count, 0);
            assert_int_equal(supernode_of(place)->counts.unmatched, 0);
        }
    }
}

#endif
