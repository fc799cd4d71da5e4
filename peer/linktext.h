/* linktext.h - reports the links of files, to be passed on to others of the network. */
#ifndef TRUNKLINE_PEER_LINKTEXT_H
#define TRUNKLINE_PEER_LINKTEXT_H

#include "common/filelink.h"
#include "common/node.h"
#include "peer/results.h"

struct peer;

/* True when a command asks for links (`links=1`). */
bool linktext_is_wanted(const struct node_event *command);

/* Add "link" to the present report: of a file that this node has (NULL = we ourselves). */
void linktext_report(const struct peer *peer, const struct content_id *content, struct slice name,
                     const struct node_place *place);
/* ... of a result, with the best of its sources. */
void linktext_report_result(const struct peer *peer, const struct result *result);

#endif
