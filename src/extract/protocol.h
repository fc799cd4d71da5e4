/* protocol.h - what a peer and the program that reads its media files say to each other.
 *
 * The socket is SOCK_SEQPACKET, the program's descriptor 0; one packet is one message:
 *
 *     program: {EXTRACT_HELLO, u8 1 when libextractor is there or 0}                 once
 *     peer:    {EXTRACT_READ} with one open file (SCM_RIGHTS)                        per file
 *     program: {EXTRACT_ANSWER, metadata as in common/facts.h, up to FILE_META_MAX}  per file
 *
 * The peer believes none of it: an answer is read as a stranger's record would be. */
#ifndef TRUNKLINE_EXTRACT_PROTOCOL_H
#define TRUNKLINE_EXTRACT_PROTOCOL_H

#include "common/limits.h"

#define EXTRACT_PROGRAM "trunkline-extract"

/* Raised when what is read from the same file may differ: what was cached before is read again. */
#define EXTRACT_VERSION 1

enum { EXTRACT_HELLO = 'H', EXTRACT_READ = 'R', EXTRACT_ANSWER = 'A' };

#define EXTRACT_PACKET_MAX (1 + FILE_META_MAX)

#endif
