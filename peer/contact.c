/* contact.c - how a node can be reached, by what people, links and searches tell of it. */
#include "peer/contact.h"

#include "peer/search.h"
#include "peer/state.h"

void contact_recall(const struct peer *peer, struct contact *contact) {
    const struct results *results = search_results(peer);
    uint32_t cursor = 0;
    const struct result *result = NULL;
    while (results != NULL && (result = map_next(&results->by_number, &cursor, NULL)) != NULL) {
        for (const struct known_holder *at = result->holders; at != NULL; at = at->next) {
            if (node_id_equal(&at->holder.id, &contact->told.id)) { /* the latest is the best */
                bool has_record = at->holder.address_record.len > 0;
                contact->record = has_record ? at->holder.address_record : contact->record;
                contact->answerer = at->answerer;
                contact->is_proven = (at->holder.flags & HOLDER_REACHABLE) != 0;
            }
        }
    }
}

static bool record_address(const struct peer *peer, const struct contact *contact,
                           struct address *address) {
    const struct node_env *env = peer->env;
    struct address_record record;
    if (contact->record.len == 0 || wire_address_record_decode(contact->record, &record) != OK ||
        !node_id_equal(&record.key, &contact->told.id) ||
        wire_address_record_check(&record, env->crypto, &env->network->id, peer->links.wall_s) !=
            OK) {
        return false;
    }
    for (uint8_t i = 0; i < record.address_count; i++) {
        if (network_may_dial(env->network, &record.addresses[i])) {
            *address = record.addresses[i];
            return true;
        }
    }
    return false;
}

bool contact_address(const struct peer *peer, const struct contact *contact,
                     struct address *address) {
    if (record_address(peer, contact, address)) {
        return true;
    }
    *address = contact->told.address;
    return contact->told.address.family != ADDRESS_NONE &&
           network_may_dial(peer->env->network, address);
}
