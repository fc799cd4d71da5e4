/* resolve.c - looks host names up without blocking the loop, by libevent's resolver.
 *
 * The resolver is made when the first name is asked for, so that it costs nothing at start. */
#include <event2/dns.h>
#include <event2/util.h>
#include <string.h>

#include "common/mem.h"
#include "src/host/internal.h"
#include "src/host/sockets.h"

#define HOST_NAME_MAX_LEN 253
#define LOOKUPS_MAX 16 /* per node at once */

struct lookup {
    struct host_node *node;
    uint32_t token;
};

static void tell(struct host_node *node, uint32_t token, const struct evutil_addrinfo *found) {
    struct node_event event = {.kind = NODE_RESOLVED, .resolved = {.token = token}};
    for (; found != NULL && event.resolved.count < ADDRESSES_MAX; found = found->ai_next) {
        struct address address = socket_address_read(found->ai_addr);
        address.port = 0;
        if (address.family != ADDRESS_NONE) {
            event.resolved.addresses[event.resolved.count++] = address;
        }
    }
    node_queue(node, &event, NULL);
}

static void on_answer(int error, struct evutil_addrinfo *found, void *context) {
    struct lookup *lookup = context;
    struct host_node *node = lookup->node;
    node->resolving--;
    if (error != EVUTIL_EAI_CANCEL) {
        tell(node, lookup->token, error == 0 ? found : NULL);
    }
    if (found != NULL) {
        evutil_freeaddrinfo(found);
    }
    mem_free(lookup);
}

void resolve_name(struct host_node *node, uint32_t token, struct slice name) {
    struct host *host = node->host;
    char text[HOST_NAME_MAX_LEN + 1];
    if (host->dns == NULL) {
        host->dns = evdns_base_new(host->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                                   EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    }
    if (host->dns == NULL || name.len == 0 || name.len > HOST_NAME_MAX_LEN ||
        memchr(name.data, 0, name.len) != NULL || node->resolving >= LOOKUPS_MAX) {
        tell(node, token, NULL);
        return;
    }
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    struct lookup *lookup = mem_new(sizeof *lookup);
    lookup->node = node;
    lookup->token = token;
    node->resolving++;
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_flags = EVUTIL_AI_ADDRCONFIG};
    evdns_getaddrinfo(host->dns, text, NULL, &hints, on_answer, lookup); /* may answer at once */
}
