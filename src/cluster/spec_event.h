/* spec_event.h - one event of a schedule, or of `lab cluster fault`, as people write it. */
#ifndef TRUNKLINE_CLUSTER_SPEC_EVENT_H
#define TRUNKLINE_CLUSTER_SPEC_EVENT_H

#include "src/cluster/spec.h"

/* Change one property of a link: `latency=50ms`, `rate=1M`, `black-hole=yes`, `clear`. False when
 * it is none. */
bool spec_link_read(struct spec_link *link, const char *text);

/* Note what the links of a network must be for this event: has_faults, has_delays, has_loss. */
void spec_event_needs(const struct spec_event *event, struct spec *spec);

#endif
