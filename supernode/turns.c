/* turns.c - copies of queries wait per link and are served in turn, so that no link delays others.
 *
 * Deficit round robin (Shreedhar and Varghese, 1995) with the cost taken afterwards: a link is
 * served while it has credit, may overdraw it with its last copy, and gets a quantum more each time
 * its turn comes. A step serves so much and no more; the driver's loop reads from all links between
 * two steps.
 *
 *     next -> link 7 [copy copy copy ...] -> link 3 [copy] -> link 12 [copy copy] -> link 7 */
#include "supernode/turns.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"

#define COPY_HEAD 3 /* before a payload: type u8, length u16 */

struct turn {
    struct turn *next;
    struct turn *former;
    struct link *link;
    struct buf copies; /* each with its head */
    size_t at;         /* the first that waits */
    int32_t credit;
};

static struct turn *new_turn(struct turns *turns, struct link *link) {
    struct turn *turn = mem_new(sizeof *turn);
    turn->link = link;
    struct turn *next = turns->next != NULL ? turns->next : turn;
    turn->next = next;
    turn->former = turns->next != NULL ? next->former : turn;
    turn->former->next = turn;
    next->former = turn;
    turns->next = next;
    return turn;
}

static void end_turn(struct turns *turns, struct turn *turn) {
    supernode_port(turn->link)->turn = NULL;
    turn->former->next = turn->next;
    turn->next->former = turn->former;
    if (turns->next == turn) {
        turns->next = turn->next != turn ? turn->next : NULL;
    }
    buf_free(&turn->copies);
    mem_free(turn);
}

bool turns_add(struct supernode *supernode, struct link *link, uint8_t type, struct slice payload) {
    struct port *port = supernode_port(link);
    size_t waiting = port->turn != NULL ? port->turn->copies.len - port->turn->at : 0;
    if (waiting + COPY_HEAD + payload.len > TURN_BYTES_MAX) {
        return false;
    }
    if (port->turn == NULL) {
        port->turn = new_turn(&supernode->turns, link);
    }
    struct turn *turn = port->turn;
    if (turn->at > TURN_BYTES_MAX) {
        buf_consume(&turn->copies, turn->at);
        turn->at = 0;
    }
    buf_u8(&turn->copies, type);
    buf_u16(&turn->copies, (uint16_t)payload.len);
    buf_append(&turn->copies, payload.data, payload.len);
    return true;
}

/* Serve the first copy of a turn; return what it cost. */
static uint32_t serve_copy(struct supernode *supernode, struct turn *turn) {
    const uint8_t *head = turn->copies.data + turn->at;
    struct slice payload = {head + COPY_HEAD, (size_t)head[1] << 8 | head[2]};
    turn->at += COPY_HEAD + payload.len;
    uint32_t cost = 0;
    enum err err = flood_serve(supernode, turn->link, head[0], payload, &cost);
    if (err != OK) {
        log_info(supernode->env->log, "link.misbehaved link=%u error=%s", turn->link->number,
                 err_name(err));
        links_close(turn->link, GOAWAY_PROTOCOL, err);
    }
    return cost;
}

void turns_serve(struct supernode *supernode) {
    struct turns *turns = &supernode->turns;
    uint32_t spent = 0;
    while (turns->next != NULL && spent < TURN_STEP_COST) {
        struct turn *turn = turns->next;
        if (turn->link->closing || turn->at == turn->copies.len) {
            end_turn(turns, turn);
        } else if (turn->credit <= 0) {
            turn->credit += TURN_QUANTUM;
            turns->next = turn->credit > 0 ? turn : turn->next;
        } else {
            uint32_t cost = serve_copy(supernode, turn);
            spent += cost;
            turn->credit -= (int32_t)cost;
            turns->next = turn->credit > 0 ? turn : turn->next;
        }
    }
    if (turns->next != NULL) {
        timers_set(&supernode->timers, &turns->timer, supernode_next_step(supernode));
    }
}

void turns_drop(struct supernode *supernode, struct link *link) {
    struct turn *turn = supernode_port(link)->turn;
    if (turn != NULL) {
        end_turn(&supernode->turns, turn);
    }
}

void turns_free(struct supernode *supernode) {
    while (supernode->turns.next != NULL) {
        end_turn(&supernode->turns, supernode->turns.next);
    }
}
