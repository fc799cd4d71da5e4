/* linktext.c - reports the links of files, to be passed on to others of the network. */
#include "peer/linktext.h"

#include <string.h>

#include "peer/contact.h"
#include "peer/state.h"

#define RESULT_SOURCES 2 /* told in a link: it is to be read aloud at need */

bool linktext_is_wanted(const struct node_event *command) {
    const char *links = command_arg(command, "links");
    return links != NULL && strcmp(links, "1") == 0;
}

static void report(const struct peer *peer, struct filelink *link, struct slice name) {
    struct buf text = {0};
    link->has_network = true;
    link->network = peer->env->network->id;
    if (name.len <= NAME_BYTES_MAX) {
        memcpy(link->name, name.data, name.len);
    }
    filelink_format(&text, link);
    report_slice(peer->links.out, "link", (struct slice){text.data, text.len});
    buf_free(&text);
}

void linktext_report(const struct peer *peer, const struct content_id *content, struct slice name,
                     const struct node_place *place) {
    struct filelink link = {.content = *content, .source_count = 1};
    const struct node_env *env = peer->env;
    if (place != NULL) {
        link.sources[0] = *place;
    } else {
        link.sources[0].id = env->id;
        if (env->listen_count > 0) {
            link.sources[0].address = env->listen[0];
        }
    }
    report(peer, &link, name);
}

void linktext_report_result(const struct peer *peer, const struct result *result) {
    struct filelink link = {.content = result->content};
    for (int wants_proven = 1; wants_proven >= 0; wants_proven--) {
        for (const struct known_holder *at = result->holders; at != NULL; at = at->next) {
            const struct contact contact = {.told = {.id = at->holder.id},
                                            .record = at->holder.address_record};
            bool is_proven = (at->holder.flags & HOLDER_REACHABLE) != 0;
            struct node_place place = {.id = at->holder.id};
            if (link.source_count < RESULT_SOURCES && is_proven == (wants_proven == 1) &&
                contact_address(peer, &contact, &place.address)) {
                link.sources[link.source_count++] = place;
            }
        }
    }
    report(peer, &link, (struct slice){(const uint8_t *)result->name, strlen(result->name)});
}
