/* cluster_links.c - what the links of a cluster are like: told to the proxy between its nodes, or
 * to their network namespaces, or to both. */
#include "src/cluster/cluster_links.h"

#include "src/cluster/cluster_proxy.h"
#include "src/cluster/spec_event.h"

enum err cluster_links_prepare(struct cluster *cluster) {
    const struct spec *spec = &cluster->spec;
    char why[NETNS_TROUBLE_BYTES] = "packets are only lost where each node has a network of its "
                                    "own: run it as root with --netns, or with `netns = yes` "
                                    "below [network]";
    enum err err = OK;
    if (spec->is_netns) {
        err = netns_new(&cluster->netns, cluster->owner,
                        spec->supernodes + spec->peers + (spec->fleet_peers > 0), why);
        cluster->is_lacking = err != OK;
    } else if (spec->has_loss) {
        err = ERR_CONFIG;
    }
    if (err != OK) {
        snprintf(cluster->trouble, sizeof cluster->trouble, "%s", why);
    }
    return err;
}

static enum err apply(struct cluster *cluster) {
    char why[NETNS_TROUBLE_BYTES];
    enum err err = netns_apply(cluster->netns, why);
    if (err != OK) {
        snprintf(cluster->trouble, sizeof cluster->trouble, "%s", why);
    }
    return err;
}

enum err cluster_links_start(struct cluster *cluster) {
    const struct spec *spec = &cluster->spec;
    enum err err = OK;
    if (spec->has_delays || (spec->has_faults && cluster->netns == NULL)) {
        err = cluster_proxy_start(cluster);
    }
    if (err == OK && cluster->netns != NULL) {
        netns_set_every(cluster->netns, &spec->link);
        err = apply(cluster);
    }
    return err;
}

const char *cluster_links_refuse(const struct cluster *cluster, const struct spec_event *event) {
    struct spec needs = {.is_netns = false};
    spec_event_needs(event, &needs);
    if (needs.has_loss && cluster->netns == NULL) {
        return "packets are only lost with --netns";
    }
    bool needs_proxy = needs.has_delays || (needs.has_faults && cluster->netns == NULL);
    return needs_proxy && cluster->proxy == NULL
               ? "its links are direct; put `latency = 0` below [link] in its file"
               : NULL;
}

void cluster_links_set(struct cluster *cluster, const struct localnet_node *node,
                       const struct spec_link *link) {
    if (cluster->proxy != NULL) {
        cluster_proxy_set(cluster, node, link);
    }
    if (cluster->netns != NULL) {
        netns_set(cluster->netns, localnet_index(&cluster->net, node), link);
    }
}

void cluster_links_group(struct cluster *cluster, const struct localnet_node *node,
                         uint32_t group) {
    if (cluster->netns != NULL) {
        netns_set_group(cluster->netns, localnet_index(&cluster->net, node), group);
    } else {
        cluster_proxy_group(cluster, node, group);
    }
}

void cluster_links_apply(struct cluster *cluster) {
    if (cluster->netns != NULL && apply(cluster) != OK) {
        cluster_note(cluster, "%s", cluster->trouble);
    }
}
