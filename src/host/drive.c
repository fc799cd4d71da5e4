/* drive.c - how events reach a node: one queue, one timer, one place that calls step.
 *
 * What happens while a step's actions are carried out is queued and delivered with the next turn
 * of the loop (the node's timer is armed for now), so that a node which answers every failure with
 * another try cannot keep the loop from its sockets. Queued events come before newer ones. */
#include <time.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/heap.h"
#include "src/host/internal.h"
#include "src/host/pins.h"

#define NOT_ARMED UINT64_MAX
#define ARMED_NOW 0

struct queued {
    struct queued *next;
    struct node_event event;
    void *owned;
};

uint64_t clock_mono_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int64_t clock_wall_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

static void arm(struct host_node *node) {
    if (node->state == NODE_STOPPED) {
        return;
    }
    uint64_t due_us = node->first != NULL ? ARMED_NOW : node_deadline(node->node);
    if (due_us == node->timer_us) {
        return;
    }
    node->timer_us = due_us;
    if (due_us == NOT_ARMED) {
        event_del(&node->timer);
        return;
    }
    uint64_t now_us = clock_mono_us();
    uint64_t wait_us = due_us > now_us ? due_us - now_us : 0;
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
                           .tv_usec = (suseconds_t)(wait_us % 1000000)};
    event_add(&node->timer, &wait);
}

static void run_settle(struct job *job) {
    heap_settle(((struct heap_job *)job)->piece);
}

static void done_settle(struct job *job) {
    ((struct heap_job *)job)->piece = NULL;
}

static void settle_heap(struct host *host) {
    struct heap_job *job = &host->heap;
    if (job->piece == NULL && (job->piece = heap_grown()) != NULL) {
        job->job = (struct job){.run = run_settle, .done = done_settle};
        workers_submit(host->workers, &job->job);
    }
}

static void step(struct host_node *node, struct node_event *event) {
    struct host *host = node->host;
    CHECK(!host->stepping);
    if (node->state == NODE_STOPPED) {
        return;
    }
    event->mono_us = clock_mono_us();
    event->wall_s = clock_wall_s();
    host->stepping = true;
    node_step(node->node, event, &host->outbox);
    actions_run(node, &host->outbox);
    outbox_clear(&host->outbox);
    host->stepping = false;
    pins_step();
    settle_heap(host);
}

/* Deliver what was queued before this call; more may be queued meanwhile. */
static void drain(struct host_node *node) {
    const struct queued *last = node->last;
    for (struct queued *item; (item = node->first) != NULL;) {
        node->first = item->next;
        if (node->first == NULL) {
            node->last = NULL;
        }
        bool is_last = item == last;
        step(node, &item->event);
        mem_free(item->owned);
        mem_free(item);
        if (is_last) {
            break;
        }
    }
}

void node_queue(struct host_node *node, const struct node_event *event, void *owned) {
    struct queued *item = mem_new(sizeof *item);
    item->event = *event;
    item->owned = owned;
    if (node->last != NULL) {
        node->last->next = item;
    } else {
        node->first = item;
    }
    node->last = item;
    arm(node);
}

void node_queue_link(struct host_node *node, enum node_event_kind kind, uint32_t link,
                     enum err reason) {
    struct node_event event = {.kind = kind, .link = {.link = link, .reason = reason}};
    node_queue(node, &event, NULL);
}

void node_queue_dial_failed(struct host_node *node, uint32_t token, enum err reason,
                            uint16_t retry_after_s) {
    struct node_event event = {
        .kind = NODE_DIAL_FAILED,
        .dial = {.token = token, .reason = reason, .retry_after_s = retry_after_s}};
    node_queue(node, &event, NULL);
}

/* Not left to the timer alone: libevent takes an expired timer back when it is armed anew before
 * its callback ran, so that a node busy with its links would never hear of its deadline. */
static void tell_time(struct host_node *node) {
    if (node->state != NODE_STOPPED && node_deadline(node->node) <= clock_mono_us()) {
        struct node_event event = {.kind = NODE_TIMER};
        step(node, &event);
    }
}

void node_run(struct host_node *node) {
    if (!node->host->stepping) {
        drain(node);
        tell_time(node);
        arm(node);
    }
}

void node_bytes(struct host_node *node, uint32_t link, struct slice data) {
    drain(node);
    struct node_event event = {.kind = NODE_LINK_BYTES, .bytes = {.link = link, .data = data}};
    step(node, &event);
    arm(node);
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct host_node *node = context;
    node->timer_us = NOT_ARMED;
    node_run(node);
}

void drive_init(struct host_node *node) {
    node->timer_us = NOT_ARMED;
    evtimer_assign(&node->timer, node->host->base, on_timer, node);
}

void drive_free(struct host_node *node) {
    event_del(&node->timer);
    for (struct queued *item; (item = node->first) != NULL;) {
        node->first = item->next;
        mem_free(item->owned);
        mem_free(item);
    }
    node->last = NULL;
}
