/* network.c - the id of a network, its anchors, and the proof of knowing its secret. */
#include "common/network.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

static int compare_ids(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct node_id));
}

static bool rules_are_complete(const struct network *network) {
    if (network->name[0] == '\0') {
        return false;
    }
    if (network->policy == NETWORK_CERTIFIED && network->anchor_count == 0) {
        return false;
    }
    for (uint32_t i = 1; i < network->anchor_count; i++) {
        if (node_id_equal(&network->anchors[i - 1], &network->anchors[i])) {
            return false;
        }
    }
    return true;
}

static void put_promotion(struct buf *canonical, const struct promotion *promotion) {
    size_t len = strlen(promotion->policy);
    if (len > 0) {
        buf_u8(canonical, (uint8_t)len);
        buf_append(canonical, promotion->policy, len);
        buf_u32(canonical, promotion->dwell_s);
        buf_u32(canonical, promotion->key_age);
        buf_u32(canonical, promotion->measure_bytes);
        buf_u16(canonical, promotion->seats_min);
    }
}

enum err network_seal(struct network *network, const struct crypto *crypto) {
    static const char prefix[] = "trunkline-network-1"; /* with its NUL */
    CHECK(network->anchor_count <= NETWORK_ANCHORS_MAX);
    qsort(network->anchors, network->anchor_count, sizeof network->anchors[0], compare_ids);
    if (!rules_are_complete(network)) {
        return ERR_CONFIG;
    }
    size_t name_len = strlen(network->name);
    struct buf canonical = {0};
    buf_append(&canonical, prefix, sizeof prefix);
    buf_u8(&canonical, (uint8_t)name_len);
    buf_append(&canonical, network->name, name_len);
    buf_u8(&canonical, (uint8_t)network->policy);
    buf_u8(&canonical, (uint8_t)network->profile);
    buf_u32(&canonical, network->epoch_s);
    buf_u8(&canonical, (uint8_t)network->anchor_count);
    buf_append(&canonical, network->anchors, network->anchor_count * sizeof network->anchors[0]);
    put_promotion(&canonical, &network->promotion);
    crypto_hash(crypto, (struct slice){canonical.data, canonical.len}, &network->id);
    buf_free(&canonical);
    return OK;
}

bool network_is_anchor(const struct network *network, const struct node_id *id) {
    return bsearch(id, network->anchors, network->anchor_count, sizeof network->anchors[0],
                   compare_ids) != NULL;
}

void network_auth(const struct network *network, const struct crypto *crypto,
                  const struct hash *exporter, bool dialled, struct hash *out) {
    if (network->secret_len == 0) {
        *out = (struct hash){0};
        return;
    }
    uint8_t message[HASH_BYTES + 1];
    memcpy(message, exporter->b, HASH_BYTES);
    message[HASH_BYTES] = dialled ? 0 : 1;
    crypto->hmac(crypto->context, (struct slice){network->secret, network->secret_len},
                 (struct slice){message, sizeof message}, out);
}

/* ---- Addresses ---- */

/* First bits of an address range, and whether the internet profile alone refuses it. */
struct range {
    uint8_t family;
    uint8_t bits;
    bool lan_may;
    uint8_t prefix[16];
};

/* IANA's special-purpose registries (RFC 6890), the ranges where no TCP peer can be. */
static const struct range ranges[] = {
    {ADDRESS_IPV4, 8, false, {0}},                /* this network */
    {ADDRESS_IPV4, 3, false, {224}},              /* multicast, reserved, broadcast */
    {ADDRESS_IPV4, 8, true, {127}},               /* loopback */
    {ADDRESS_IPV4, 8, true, {10}},                /* private */
    {ADDRESS_IPV4, 12, true, {172, 16}},          /* private */
    {ADDRESS_IPV4, 16, true, {192, 168}},         /* private */
    {ADDRESS_IPV4, 16, true, {169, 254}},         /* link-local */
    {ADDRESS_IPV4, 10, true, {100, 64}},          /* carrier-grade NAT */
    {ADDRESS_IPV6, 128, false, {0}},              /* unspecified */
    {ADDRESS_IPV6, 8, false, {0xff}},             /* multicast */
    {ADDRESS_IPV6, 96, false, {[10] = 255, 255}}, /* IPv4-mapped: written as IPv4 */
    {ADDRESS_IPV6, 128, true, {[15] = 1}},        /* loopback */
    {ADDRESS_IPV6, 7, true, {0xfc}},              /* unique local */
    {ADDRESS_IPV6, 10, true, {0xfe, 0x80}},       /* link-local */
};

static bool is_within(const struct address *address, const struct range *range) {
    if (address->family != range->family) {
        return false;
    }
    size_t whole = range->bits / 8;
    uint8_t mask = (uint8_t)(0xff00 >> range->bits % 8);
    return memcmp(address->ip, range->prefix, whole) == 0 &&
           (range->bits % 8 == 0 || ((address->ip[whole] ^ range->prefix[whole]) & mask) == 0);
}

bool network_may_dial(const struct network *network, const struct address *address) {
    if ((address->family != ADDRESS_IPV4 && address->family != ADDRESS_IPV6) ||
        address->port == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        bool is_allowed = ranges[i].lan_may && network->profile == NETWORK_LAN;
        if (is_within(address, &ranges[i]) && !is_allowed) {
            return false;
        }
    }
    return true;
}
