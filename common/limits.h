/* limits.h - every cap in the system, with unit and reason. Reaching one is counted and logged. */
#ifndef TRUNKLINE_COMMON_LIMITS_H
#define TRUNKLINE_COMMON_LIMITS_H

/* Frames and messages. LimeWire and gtk-gnutella used 65,536 too. */
#define FRAME_HEADER_BYTES 5
#define FRAME_PAYLOAD_MAX 65536 /* before and after inflation */
#define HELLO_BYTES_MAX 2048
#define AGENT_BYTES_MAX 64
#define QUERY_BODY_MAX 1024 /* inflated; gtk-gnutella drops longer queries */
#define QUERY_TEXT_MAX 256  /* bytes; CVE-2009-1830 was a long query */
#define QUERY_TERMS_MAX 16
#define HITS_RECORDS_MAX 50 /* per message, as gtk-gnutella and Kazaa */
#define HITS_HOLDERS_MAX 64 /* per message */
#define RECORD_HOLDERS_MAX 16
#define NODES_MAX 64 /* per message; CVE-2003-0397 was a long supernode list */
#define NAME_BYTES_MAX 255
#define ADDRESSES_MAX 4 /* per address record */
#define ADDRESS_RECORD_BYTES_MAX 512
#define CERT_SIGNERS_MAX 16
#define REG_RECORDS_MAX 2000 /* per batch */
#define TLV_BYTES_MAX 4096   /* all trailing fields of one message */

/* Files. 16 KiB leaves as in BEP 52; a 1 MiB piece is what one source is asked for at a time. */
#define BLOCK_BYTES 16384
#define PIECE_BLOCKS 64
#define PIECE_BYTES (BLOCK_BYTES * PIECE_BLOCKS)
#define FILE_BYTES_MAX (1ULL << 42) /* 4 TiB: 2^28 blocks, 128 MiB of piece hashes */
#define BLOCK_REQUEST_MAX 64        /* blocks per request */
#define HASHES_MAX 512              /* hashes per answer, 16 KiB */
#define PROOF_MAX 32                /* uncle hashes: a tree is at most 28 layers high */

/* A link. */
#define DIAL_TIMEOUT_MS 15000
#define HANDSHAKE_TIMEOUT_MS 10000     /* TLS and HELLO/WELCOME together */
#define PING_AFTER_MS 90000            /* of silence, as Syncthing */
#define DEAD_AFTER_MS 300000           /* of silence, as Syncthing */
#define LINK_OUTPUT_SOFT (256 * 1024)  /* bytes queued: the node is told to stop */
#define LINK_OUTPUT_HARD (1024 * 1024) /* bytes queued: the link is closed, as Bitcoin's 1 MB */
#define CLOSE_FLUSH_MS 5000            /* to flush before the socket is dropped */

/* Overlay shape. */
#define LEAVES_MAX 300 /* per supernode, as gtk-gnutella; a config row */
#define PARENTS 2
#define MESH_FULL_MAX 25 /* supernodes known: link to all up to here */
#define MESH_DIAL_MEDIUM 12
#define MESH_MEDIUM_MAX 300
#define MESH_DIAL_LARGE 8
#define MESH_ACCEPT_MAX 24
#define TRANSFER_LINKS_MAX 200 /* per peer */
#define REDIAL_MS_MIN 1000
#define REDIAL_MS_MAX 300000
#define HOSTCACHE_MAX 1024

/* Search. */
#define TTL_POLICY 4
#define TTL_WIRE_MAX 15
#define QUERY_DEADLINE_MS 4000
#define QUERY_DEADLINE_STEP_MS 150 /* less per hop, so that parents outwait children */
#define QUERY_ID_KEEP_MS 60000
#define QUERY_IDS_MAX 90000 /* 1,500 a second for 60 s */
#define QUERIES_OPEN_MAX 8192
#define QUERY_RESULTS_MAX 200 /* records routed back per query by one supernode */
#define SEARCH_RESULTS_MAX 1000
#define SEARCH_WANT 100

/* Registration. */
#define LEAF_FILES_MAX 10000
#define LEAF_INDEX_BYTES_MAX (2 * 1024 * 1024)
#define INDEX_BYTES_MAX (512ULL * 1024 * 1024)
#define INDEX_REFUSE_PERCENT 85
#define INDEX_SCAN_MAX 100000    /* records and holders looked at per query, some milliseconds */
#define INDEX_RECLAIM_SLICE 1000 /* records of departed leaves taken apart per step */
#define LEAF_KEEP_MS 600000      /* a departed leaf's list, so that its return is cheap */
#define WORD_BYTES_MAX 64
#define NAME_WORDS_MAX 24

/* Transfer. */
#define UPLOAD_SLOTS 8
#define UPLOAD_SLOTS_PER_NODE 2
#define UPLOAD_QUEUE_MAX 100
#define SOURCES_ACTIVE_MAX 8
#define SOURCES_MAX 200
#define DOWNLOADS_MAX 64
#define BLOCK_TIMEOUT_MS 20000
#define SOURCE_TIMEOUT_MS 60000
#define JOURNAL_BLOCKS_MAX 16
#define JOURNAL_MS_MAX 1000

/* Rates: tokens per second and burst. */
#define LEAF_QUERIES_PER_S 0.5
#define LEAF_QUERIES_BURST 10
#define MESH_QUERIES_PER_S 200
#define MESH_QUERIES_BURST 400
#define NODES_PER_S 0.1
#define NODES_BURST 4
#define HANDSHAKES_PENDING_MAX 256
#define HANDSHAKES_PER_S 200

/* Commands. */
#define COMMAND_ARGS_MAX 16
#define COMMAND_BYTES_MAX 65536

#endif
