/* meter.h - how often something happens: the count of the last whole second. */
#ifndef TRUNKLINE_COMMON_METER_H
#define TRUNKLINE_COMMON_METER_H

#include <stdint.h>

/* All zero is a meter that has counted nothing. */
struct meter {
    uint64_t second; /* of the caller's clock, counted in `now` */
    uint32_t now;
    uint32_t last; /* in the second before */
};

void meter_count(struct meter *meter, uint64_t now_us);

/* What was counted in the second before the present one. */
uint32_t meter_per_s(const struct meter *meter, uint64_t now_us);

#endif
