/* peer.h - an ordinary peer: registers what it shares, searches, fetches, serves. Pure. */
#ifndef TRUNKLINE_PEER_PEER_H
#define TRUNKLINE_PEER_PEER_H

#include "common/hostcache.h"
#include "common/node.h"

struct peer_config {
    struct introducer introducers[INTRODUCERS_MAX];
    uint32_t introducer_count;
    uint32_t upload_slots;       /* 0 = UPLOAD_SLOTS */
    uint64_t upload_bytes_per_s; /* 0 = unlimited */
    uint32_t downloads_active;   /* 0 = DOWNLOADS_ACTIVE */
    bool no_browse;              /* nobody is shown what is shared */
    uint32_t search_wait_ms;     /* 0 = QUERY_DEADLINE_MS + 1 s */
    bool consents;               /* to run a supernode, too, as long as this peer runs ... */
    uint64_t duty_rate;          /* ... at so many bytes a second; 0 = what was last agreed to */
    uint64_t duty_day_bytes;     /* ... and so many a day; likewise */
};

/* Return a peer; config is copied, env borrowed for the node's life. Free with node_free.
 *
 * Commands and their reports (every command ends with report_done or report_error):
 *   search text= [want=] [farther=1]
 *                             "hit" {number, name, size, content, sources, reachable, speed, free
 *                             and busy (sources known to be so), [queue (shortest of these)], type,
 *                             [title, artist, album, year, bitrate (kbit/s), duration (s), width,
 *                             height, language]} for a new content id or a changed source count;
 *                             "end" {supernodes, leaves, files (that answered), refused, truncated,
 *                             hits, dropped (were no match), [note], reached, known (supernodes;
 *                             known 0 = more than can be told), copies, farther (it stopped for
 *                             their number; farther=1 would have gone on)}. An error in the text
 *                             also has {position (byte), reason}
 *                             `links=1` for search, browse and share: each file also has its
 *                             {link} (common/filelink.h)
 *   browse node= [under=]     what a node (the number of a result: its first source; ID, or
 *                             ID@ADDRESS:PORT) shares, in one folder of it: "node" {id} first,
 *                             "file" {folder, name, size, content, locked} each, then "end" {files,
 *                             locked, bytes, partial (there may be more)}
 *   get content=|number= [name=] [folder=] [source=] [wait=1]
 *                             `content` is a link; `folder` is below the download folder, `source`
 *                             nodes as for browse with blanks between. "queued" {content, name,
 *                             folder, size}; with wait=1 "progress" {content, done, size, rate,
 *                             sources, eta_s, queued, [queue_position, queue_eta_s]} twice a
 *                             second, then "finished" {content, path, bytes, seconds}
 *   status                    "status" {id, state, parents, files, bytes, uploads, downloads, ...}
 *                             and one "parent" {id, address, state, round_trip_us} per parent, and
 *                             one "traffic" {message, sent, sent_bytes, received,
 *                             received_bytes} per type of message
 *   share                     "share" {files, bytes, ready}; "file" {name, size, content} each
 *   downloads                 "download" {content, number, name, folder, size, done, state,
 *                             priority, sources, known, locked (sources that say so), rate,
 *                             [eta_s], queued (sources that let us wait), [queue_position,
 *                             queue_eta_s] of the first of these} each
 *   history [clear=1]         "done-download" {finished (Unix s), milliseconds, size, content,
 *                             path} each, the oldest first; or they are forgotten
 *   cancel|pause|resume download=|content=|prefix=|all=1
 *                             (a prefix is of the hash, 4 digits and more) discard, stop for now,
 *                             or go on; "changed" {content, name} each
 *   priority ... priority=high|normal|low
 *                             which of those that wait are fetched first
 *   supernode-consent [rate=] [bytes=]
 *                             would run a supernode, too, from now on: at so many bytes a second
 *                             and a day. "consent" {rate, day_bytes, reachable}
 *   supernode-withdraw        no longer. "withdrawn" {configured: asked for again at the start}
 *   supernode-status          "duty" {state, consents, rate, day_bytes, [id, certified_until,
 *                             listens], today_bytes, today_measured_bytes, today_measurements,
 *                             leaves, ...} what it is and what it has cost today
 *   why [id=]                 "decision" {id, policy, verdict, reason, epoch, members, wanted,
 *                             one flag per gate, score, draw and threshold (2^48 = 1), rate,
 *                             witnessed_s} and one
 *                             "evidence" {issuer, epoch, bytes} each: what a parent says of the
 *                             last decision on a node; without an id on this peer's supernode */
struct node peer_new(const struct node_env *env, const struct peer_config *config);

#endif
