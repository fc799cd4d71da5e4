/* conduct.c - what a neighbour's silence and misdeeds in searches come to. */
#include "supernode/conduct.h"

#include "supernode/core.h"

void conduct_was_silent(const struct supernode *supernode, struct neighbour *neighbour) {
    if (neighbour->silences == 0) {
        neighbour->last_word_us = neighbour->link->heard_us;
    }
    if (neighbour->silences < MUTE_SILENCES) {
        neighbour->silences++;
        neighbour->was_cut = neighbour->link->heard_us == neighbour->last_word_us;
    }
    neighbour->mute_us = supernode_after_ms(supernode, MUTE_MS);
}

void conduct_answered(struct neighbour *neighbour) {
    neighbour->silences = 0;
}

/* Who hung or was cut off is asked again once it is heard; not who speaks and does not answer, and
 * not ever again. */
static void forgive(const struct supernode *supernode, struct neighbour *neighbour) {
    uint64_t now_us = supernode->links.mono_us;
    bool is_back = neighbour->was_cut && neighbour->link->heard_us > neighbour->last_word_us;
    if (neighbour->silences == MUTE_SILENCES && is_back &&
        (neighbour->forgiven_us == 0 || now_us - neighbour->forgiven_us >= MUTE_MS * 1000ull)) {
        neighbour->silences = 0;
        neighbour->forgiven_us = now_us;
    }
}

bool conduct_is_mute(const struct supernode *supernode, struct neighbour *neighbour) {
    const struct link *link = neighbour->link;
    if (link->stalled || link->closing || neighbour->is_leaving || conduct_is_parting(link)) {
        return true;
    }
    uint64_t now_us = supernode->links.mono_us;
    forgive(supernode, neighbour);
    if (neighbour->silences < MUTE_SILENCES || neighbour->mute_us <= now_us) {
        neighbour->mute_us = supernode_after_ms(supernode, MUTE_MS);
        return false;
    }
    return true;
}

bool conduct_is_parting(const struct link *link) {
    return supernode_port(link)->misdeeds >= MISDEEDS_MAX;
}
