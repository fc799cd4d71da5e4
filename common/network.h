/* network.h - which network this is: its anchors, its rules, and the id inside every signature. */
#ifndef TRUNKLINE_COMMON_NETWORK_H
#define TRUNKLINE_COMMON_NETWORK_H

#include <stdbool.h>

#include "common/crypto.h"

#define NETWORK_NAME_MAX 64
#define NETWORK_ANCHORS_MAX 16
#define NETWORK_SECRET_MAX 64

enum network_policy { NETWORK_CERTIFIED, NETWORK_OPEN };
enum network_profile { NETWORK_LAN, NETWORK_INTERNET };

#define PROMOTION_NAME_MAX 15
/* How supernodes are elected: rules that all of them must apply alike. */
struct promotion {
    char policy[PROMOTION_NAME_MAX + 1]; /* "" = they are not: anchors certify by hand */
    uint32_t dwell_s;                    /* no node changes its role twice within this time */
    uint32_t key_age;                    /* epochs, once there are 16 supernodes */
    uint32_t measure_bytes;              /* of one stream that is measured */
    uint16_t seats_min;                  /* supernodes that there should be at least */
};

/* Read from the network's config file by src/host/config.c. */
struct network {
    char name[NETWORK_NAME_MAX + 1];
    enum network_policy policy;
    enum network_profile profile;
    uint32_t epoch_s;
    struct node_id anchors[NETWORK_ANCHORS_MAX]; /* sorted, none twice */
    uint32_t anchor_count;
    uint8_t secret[NETWORK_SECRET_MAX]; /* private networks; not part of the id */
    uint32_t secret_len;
    struct promotion promotion;
    struct hash id;
};

/* The length of an epoch in seconds, at least 1. */
static inline uint32_t network_epoch_s(const struct network *network) {
    return network->epoch_s > 0 ? network->epoch_s : 1;
}

/* Sort the anchors and set the id: SHA-256 of "trunkline-network-1\0", name (u8 length, bytes),
 * policy u8, profile u8, epoch u32, number of anchors u8, anchors; where supernodes are elected,
 * also the policy's name (u8 length, bytes), dwell u32, key age u32, bytes measured u32 and minimum
 * u16. Return ERR_CONFIG when the name is empty, an anchor stands twice, or a certified network has
 * no anchor. */
MUST_CHECK enum err network_seal(struct network *network, const struct crypto *crypto);

/* True when the id is one of the anchors. */
bool network_is_anchor(const struct network *network, const struct node_id *id);

/* HELLO.auth of a private network: HMAC(secret, exporter[32] . direction u8), where direction is 0
 * for the side that dialled. All zero when the network has no secret. */
void network_auth(const struct network *network, const struct crypto *crypto,
                  const struct hash *exporter, bool dialled, struct hash *out);

/* True for an address that a stranger's record may make us dial: a unicast address with a port; in
 * the internet profile no private, loopback or link-local one (RFC 6890). */
bool network_may_dial(const struct network *network, const struct address *address);

#endif
