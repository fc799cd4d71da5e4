/* meter.c - counts per second of a clock that is handed in. */
#include "common/meter.h"

#define SECOND_US 1000000

void meter_count(struct meter *meter, uint64_t now_us) {
    uint64_t second = now_us / SECOND_US;
    if (second != meter->second) {
        meter->last = meter_per_s(meter, now_us);
        meter->now = 0;
        meter->second = second;
    }
    meter->now++;
}

uint32_t meter_per_s(const struct meter *meter, uint64_t now_us) {
    uint64_t second = now_us / SECOND_US;
    if (second == meter->second) {
        return meter->last;
    }
    return second == meter->second + 1 ? meter->now : 0;
}
