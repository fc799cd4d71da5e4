/* config.h - the file that describes a network: reads it, writes it, and says what is wrong in it.
 *
 *     [network]
 *     name = campus
 *     policy = certified          ; or open
 *     profile = lan               ; or internet
 *     epoch = 3600                ; seconds
 *     anchor = ABCDEFG-...        ; one line per anchor, a node id each
 *     secret = 00112233...        ; hexadecimal, private networks only
 *     promotion = reputation      ; how supernodes are elected, or by-hand
 *     dwell = 7200                ; seconds between two changes of one node's role
 *     key_age = 24                ; epochs that a candidate must be known, from 16 supernodes on
 *     measure = 4M                ; of one stream that is measured
 *     supernodes_min = 3
 *     introducer = ABCDEFG-...@10.1.2.3:6346   ; one line per introducer
 *
 * Introducers are where to begin; they are not part of the network's id. */
#ifndef TRUNKLINE_HOST_CONFIG_H
#define TRUNKLINE_HOST_CONFIG_H

#include "common/hostcache.h"
#include "common/network.h"
#include "src/host/host.h"

#define NETWORK_EPOCH_S_DEFAULT 3600
#define NETWORK_EPOCH_S_MIN 4 /* of test networks; less is no time to measure in */
#define NETWORK_EPOCH_S_MAX (30 * 24 * 3600)

#define PROMOTION_DWELL_S_MAX (30 * 24 * 3600)
#define PROMOTION_MEASURE_MIN 65536
#define PROMOTION_SEATS_MAX 1000
/* Of a network file that does not say; supernodes are certified by hand there. */
#define PROMOTION_DEFAULTS                                                                         \
    { .dwell_s = 7200, .key_age = 24, .measure_bytes = MEASURE_BYTES_MAX, .seats_min = 3 }

struct network_file {
    struct network network; /* sealed by network_load */
    struct introducer introducers[INTRODUCERS_MAX];
    uint32_t introducer_count;
};

/* Read the file and seal the network. On ERR_NOT_FOUND, ERR_PERMISSION, ERR_IO or ERR_CONFIG
 * error->text is "file:line: what; remedy". Unknown sections and keys are errors. */
MUST_CHECK enum err network_load(const char *path, struct network_file *file,
                                 struct host_error *error);

/* Write a new file, durable and complete or not there at all. ERR_EXISTS when there is one, never
 * overwritten. Mode 0600 when the network has a secret, else 0644. */
MUST_CHECK enum err network_write(const char *path, const struct network_file *file,
                                  struct host_error *error);

#endif
