/* sim_crypto.c - the stand-in for SHA-256, HMAC and Ed25519: fast, repeatable, and no secret.
 *
 * The hash absorbs stripes of four 64-bit words into four lanes with a multiply and a rotation
 * each, then mixes the lanes with SipHash's rounds. It spreads well and is worth nothing against an
 * attacker. A signature is a hash of the message under a key that follows from the signer's id;
 * every one begins with the words `simulated`, so none can be taken for a real one. */
#include <endian.h>
#include <string.h>

#include "src/sim/world.h"

#define STRIPE_BYTES 32
#define SIGNATURE_LABEL "simulated-only"

static const uint64_t lane_factors[4] = {0x9e3779b185ebca87, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9,
                                         0x85ebca77c2b2ae63};

struct absorber {
    uint64_t lanes[4];
    uint64_t total;
    uint8_t tail[STRIPE_BYTES];
};

static uint64_t rotate(uint64_t value, int by) {
    return value << by | value >> (64 - by);
}

static void absorb_stripe(uint64_t lanes[4], const uint8_t *at) {
    uint64_t words[4];
    memcpy(words, at, sizeof words);
    for (int i = 0; i < 4; i++) {
        lanes[i] = rotate((lanes[i] ^ le64toh(words[i])) * lane_factors[i], 31) + lane_factors[i];
    }
}

static void absorb(struct absorber *absorber, struct slice bytes) {
    size_t held = absorber->total % STRIPE_BYTES;
    absorber->total += bytes.len;
    if (held > 0 && bytes.len > 0) {
        size_t part = STRIPE_BYTES - held < bytes.len ? STRIPE_BYTES - held : bytes.len;
        memcpy(absorber->tail + held, bytes.data, part);
        bytes.data += part;
        bytes.len -= part;
        if (held + part < STRIPE_BYTES) {
            return;
        }
        absorb_stripe(absorber->lanes, absorber->tail);
    }
    for (; bytes.len >= STRIPE_BYTES; bytes.len -= STRIPE_BYTES, bytes.data += STRIPE_BYTES) {
        absorb_stripe(absorber->lanes, bytes.data);
    }
    if (bytes.len > 0) {
        memcpy(absorber->tail, bytes.data, bytes.len);
    }
}

static void mix_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static void finish(struct absorber *absorber, struct hash *out) {
    size_t held = absorber->total % STRIPE_BYTES;
    memset(absorber->tail + held, 0, STRIPE_BYTES - held);
    absorb_stripe(absorber->lanes, absorber->tail);
    uint64_t *v = absorber->lanes;
    v[0] ^= absorber->total;
    for (int i = 0; i < 4; i++) {
        uint64_t word = 0;
        mix_round(v);
        mix_round(v);
        word = htole64(v[0] ^ v[1] ^ v[2] ^ v[3]);
        memcpy(out->b + 8 * i, &word, sizeof word);
        v[2] ^= 0xff;
    }
}

static void begin(struct absorber *absorber, uint64_t purpose) {
    *absorber = (struct absorber){.lanes = {purpose ^ 0x73696d756c617465, 0x6f76657274696d65,
                                            purpose + 0x6e6f742061736861, 0x32353620796f7521}};
}

enum { PURPOSE_HASH, PURPOSE_MAC, PURPOSE_SIGN_LEFT, PURPOSE_SIGN_RIGHT, PURPOSE_KEY };

static void hash_two(uint64_t purpose, struct slice first, struct slice second, struct hash *out) {
    struct absorber absorber;
    begin(&absorber, purpose);
    absorb(&absorber, first);
    absorb(&absorber, second);
    finish(&absorber, out);
}

static void stand_in_sha256(void *context, struct slice first, struct slice second,
                            struct hash *out) {
    (void)context;
    hash_two(PURPOSE_HASH, first, second, out);
}

static void stand_in_hmac(void *context, struct slice key, struct slice message, struct hash *out) {
    (void)context;
    struct hash hashed_key;
    hash_two(PURPOSE_KEY, key, (struct slice){0}, &hashed_key);
    hash_two(PURPOSE_MAC, (struct slice){hashed_key.b, sizeof hashed_key.b}, message, out);
}

static void signature_of(const struct node_id *signer, struct slice message,
                         uint8_t signature[SIGNATURE_BYTES]) {
    struct hash left;
    struct hash right;
    struct slice id = {signer->b, sizeof signer->b};
    hash_two(PURPOSE_SIGN_LEFT, id, message, &left);
    hash_two(PURPOSE_SIGN_RIGHT, id, message, &right);
    memset(signature, 0, SIGNATURE_BYTES);
    memcpy(signature, SIGNATURE_LABEL, sizeof SIGNATURE_LABEL);
    memcpy(signature + 16, left.b, 32);
    memcpy(signature + 48, right.b, 16);
}

static void stand_in_sign(void *context, struct slice message, uint8_t signature[SIGNATURE_BYTES]) {
    struct sim *sim = context;
    struct node_id id = sim->acting != NULL ? sim->acting->env.id : sim_node_id(sim, sim->signer);
    signature_of(&id, message, signature);
}

static bool stand_in_verify(void *context, const struct node_id *signer, struct slice message,
                            const uint8_t signature[SIGNATURE_BYTES]) {
    (void)context;
    uint8_t wanted[SIGNATURE_BYTES];
    signature_of(signer, message, wanted);
    return memcmp(wanted, signature, sizeof wanted) == 0;
}

static void stand_in_random(void *context, void *to, size_t len) {
    struct sim *sim = context;
    rng_fill(&sim->rng, to, len);
}

void sim_crypto_init(struct sim *sim) {
    sim->crypto = (struct crypto){.context = sim,
                                  .sha256 = stand_in_sha256,
                                  .sign = stand_in_sign,
                                  .verify = stand_in_verify,
                                  .hmac = stand_in_hmac,
                                  .fill_random = stand_in_random};
}

const struct crypto *sim_crypto(struct sim *sim) {
    return &sim->crypto;
}

void sim_sign_as(struct sim *sim, uint32_t machine) {
    sim->signer = machine;
}

struct node_id sim_node_id(const struct sim *sim, uint32_t machine) {
    uint64_t words[2] = {htole64(sim->config.seed), htole64(machine)};
    struct hash hash;
    hash_two(PURPOSE_KEY, (struct slice){(const uint8_t *)words, sizeof words},
             (struct slice){(const uint8_t *)"node", 4}, &hash);
    struct node_id id;
    memcpy(id.b, hash.b, sizeof id.b);
    return id;
}
