/* limits.h - every cap in the system, with unit and reason. Reaching one is counted and logged. */
#ifndef TRUNKLINE_COMMON_LIMITS_H
#define TRUNKLINE_COMMON_LIMITS_H

/* Frames and messages. LimeWire and gtk-gnutella used 65,536 too. */
#define FRAME_HEADER_BYTES 5
#define FRAME_PAYLOAD_MAX 65536 /* before and after inflation */
#define INFLATE_FREE_BYTES 1024 /* what any deflated payload may unfold to ... */
#define INFLATE_RATIO_MAX 64    /* ... and per byte of it: deflate reaches 1029, real lists 3 */
#define HELLO_BYTES_MAX 2048
#define AGENT_BYTES_MAX 64
#define QUERY_BODY_MAX 1024 /* inflated; gtk-gnutella drops longer queries */
#define QUERY_TEXT_MAX 256  /* bytes; CVE-2009-1830 was a long query */
#define QUERY_TERMS_MAX 16  /* words, and excluded words, and words of phrases; 16 bits of state */
#define QUERY_PHRASES_MAX 4 /* each is followed through every text of a candidate */
#define QUERY_EXTENSIONS_MAX 8 /* of one query */
#define HITS_RECORDS_MAX 50    /* per message, as gtk-gnutella and Kazaa */
#define HITS_HOLDERS_MAX 64    /* per message */
#define RECORD_HOLDERS_MAX 16
#define NODES_MAX 64 /* per message; CVE-2003-0397 was a long supernode list */
#define NAME_BYTES_MAX 255
#define FILE_META_MAX 512       /* bytes: all that is told of a file beside its name */
#define FILE_TEXT_BYTES_MAX 128 /* title, artist, album: ID3v2 titles of real files end before */
#define LANGUAGE_BYTES_MAX 35   /* a tag of RFC 5646, by its section 4.4.1 */
#define EXTENSION_BYTES_MAX 16  /* longer ones are the end of a sentence */
#define ADDRESSES_MAX 4         /* per address record */
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
#define HANDSHAKE_TIMEOUT_MS 10000    /* TLS and HELLO/WELCOME together */
#define HANDSHAKE_PRESSED_MS 2000     /* ... while others want its place */
#define HANDSHAKE_SILENT_MS 100       /* ... and it has not said a word */
#define PING_AFTER_MS 90000           /* of silence, as Syncthing */
#define DEAD_AFTER_MS 300000          /* of silence, as Syncthing */
#define PROBE_TIMEOUT_MS 4000         /* of silence when life is asked for: TCP sends thrice more */
#define PROBE_AFTER_MS 5000           /* of silence: who searches asks all parents for life */
#define LINK_OUTPUT_SOFT (256 * 1024) /* bytes queued: the node is told to stop */
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
#define UNPROVEN_DIAL_MS 600000 /* where nobody has answered yet: it may be a victim's address */
#define HOSTCACHE_MAX 1024

/* Search. */
#define TTL_POLICY 4
#define TTL_WIRE_MAX 15
#define QUERY_DEADLINE_MS 4000
#define QUERY_DEADLINE_STEP_MS 150 /* less per hop, so that parents outwait children */
#define QUERY_ID_KEEP_MS 60000
#define QUERY_IDS_MAX 90000 /* 1,500 a second for 60 s */
#define QUERIES_OPEN_MAX 8192
#define QUERY_RESULTS_MAX 200 /* records in one index's answer */
#define QUERY_ROUTED_MAX 500  /* records of a query passed back by one supernode ... */
#define ROUTED_SAME_MAX 4 /* ... of which so many of one content; more are not worth their way */
#define SEARCH_RESULTS_MAX 1000
#define SEARCH_WANT 100
#define LOCATE_WANT 20           /* sources */
#define LADDER_RADIUS 3          /* of the first asks; only then TTL_POLICY */
#define LADDER_STEP_MS 600       /* per hop of radius that a step of the ladder waits */
#define LADDER_COPIES_MAX 1500   /* of one search, before its last step */
#define LADDER_LINKS_PERCENT 320 /* links per reached supernode, in percent, when 95 % are */
#define LADDER_REACH_PERCENT 95  /* of the known supernodes is far enough */
#define TURN_BYTES_MAX 65536     /* copies of one link that wait: the burst of a neighbour */
#define TURN_QUANTUM 32    /* cost of what a link may have served in its turn: 8 new queries */
#define TURN_STEP_COST 256 /* and all links in one step: a millisecond */
#define TURN_COST_NEW 4    /* a query that is looked up; any other copy costs 1 */
#define MUTE_SILENCES 4    /* unanswered copies in a row, to stop asking a neighbour ... */
#define MUTE_MS 10000      /* ... more than once in this time */

/* Summaries: Bloom filters of a supernode's words, 10 to 28 bits a word. */
#define SUMMARY_HASHES 7
#define SUMMARY_LOG2_MIN 10
#define SUMMARY_LOG2_MAX 24       /* 2 MiB: 1.4 million words */
#define SUMMARY_BITS_PER_WORD 14  /* at least, when it is built: a third of the bits are set */
#define SUMMARY_TIGHT_PERCENT 46  /* bits set: build a larger one; 11 bits a word */
#define SUMMARY_POISON_PERCENT 50 /* bits set: what another says so can match nothing */
#define SUMMARY_CHUNK_BYTES 32768
#define SUMMARY_DELTA_MAX 8192    /* bits per message */
#define SUMMARY_PUSH_MS 1000      /* additions are told together */
#define SUMMARY_COUNT_PART 16     /* of the leaves told: a larger change is told without words */
#define SUMMARY_PACE_MS 20        /* between two chunks for one neighbour */
#define SUMMARY_REBUILD_MS 600000 /* words that are gone leave the filter */
#define SUMMARY_SLICE_WORDS 4096  /* hashed per step of a rebuild, a third of a millisecond */
#define SUMMARY_GRACE_MS 30000    /* how long a neighbour without one gets every query */
#define SUMMARIES_BYTES_MAX (64 * 1024 * 1024) /* of all neighbours' filters */

/* Registration. */
#define LEAF_FILES_MAX 10000
#define LEAF_INDEX_BYTES_MAX (2 * 1024 * 1024)
#define INDEX_BYTES_MAX (512ULL * 1024 * 1024)
#define INDEX_BYTES_MIN (4 * 1024 * 1024) /* a configuration below that is a mistake */
#define INDEX_REFUSE_PERCENT 85
#define INDEX_SCAN_MAX 100000   /* records and holders looked at per query, some milliseconds */
#define INDEX_RECLAIM_SLICE 300 /* steps of taking departed lists apart at a time: under 1 ms */
#define REG_LISTS_MAX 32        /* on their way at a time */
#define REG_BYTES_MAX (8 * 1024 * 1024) /* that those are reckoned at ... */
#define REG_RECORD_BYTES 128            /* ... per record of a full list: its hash and itself */
#define REG_CHANGE_BYTES (128 * 1024)   /* ... and per difference; a larger one is no gain */
#define REG_SLICE_COST 2000             /* of lists that came, per step: under half a millisecond */
#define REG_TURN_MS 120000              /* for the longest list while others wait: 4 KiB/s */
#define REG_SILENT_MS 10000             /* without a word in one's turn while others wait */
#define REG_WATCH_MS 1000               /* how often that is looked at */
#define AUDIT_EVERY_MS 600000           /* on average, per leaf: 27 bytes a second of its uplink */
#define AUDIT_AGAIN_MS 180000           /* after a miss: for a rescan and a list */
#define AUDIT_FAILURES_MAX 3 /* records lost, less audits passed since, until a leaf goes */
#define AUDIT_EXCUSES_MAX 5  /* for a list on its way: a quarter of an hour */
#define AUDIT_BAN_S 3600
#define AUDITS_MILLI_PER_S 17 /* that a leaf answers: one a minute ... */
#define AUDITS_BURST 4        /* ... and some at once */
#define LOAD_EVERY_MS 10000   /* at least, between two LOADs of a leaf to one supernode */
#define LOADS_MILLI_PER_S 200 /* of one leaf that are taken: twice as many ... */
#define LOADS_BURST 4         /* ... and some at once, for links that come anew */
#define LEAF_KEEP_MS 600000   /* a departed leaf's list, so that its return is cheap */
#define WORD_BYTES_MAX 64
#define NAME_WORDS_MAX 24

/* Transfer. */
#define SHARE_READERS_MAX 32 /* nodes named for one folder: their texts fit its rules */
#define UPLOAD_SLOTS 8
#define UPLOAD_SLOTS_CONFIG_MAX 1000 /* one slot holds one open file */
#define UPLOAD_SLOTS_PER_NODE 2
#define UPLOAD_SLOTS_FOR_SMALL 4         /* of so many slots the last one is kept for ... */
#define UPLOAD_SMALL_BYTES (1024 * 1024) /* ... files up to this size: a piece */
#define UPLOAD_QUEUE_MAX 100
#define UPLOAD_TURN_MS 60000            /* a transfer gives way to others after so long ... */
#define UPLOAD_TURN_BYTES (64ULL << 20) /* ... or so much, as eMule's 10 MB on faster lines */
#define SOURCES_ACTIVE_MAX 8
#define SOURCES_MAX 200
#define SOURCES_FEW 4      /* a download with fewer at work looks for more */
#define DOWNLOADS_MAX 1000 /* those that wait included: each is a line in the store */
#define HISTORY_MAX 1000   /* finished downloads remembered, a quarter of a MiB */
#define DOWNLOADS_ACTIVE 8 /* at a time, unless told otherwise: each has sources and pieces */
#define DOWNLOADS_ACTIVE_MAX 64
#define DOWNLOADS_OPEN_MAX 128  /* part files, those without a source included */
#define DOWNLOAD_GRACE_MS 30000 /* without any source: then its turn is another's */
#define BLOCK_TIMEOUT_MS 20000
#define SOURCE_TIMEOUT_MS 60000
#define JOURNAL_BLOCKS_MAX 16
#define JOURNAL_MS_MAX 1000

/* Browsing. */
#define FOLDER_BYTES_MAX 1024     /* where a file is, from the shared folder's name on */
#define FOLDER_DEPTH_MAX 32       /* components of that */
#define LISTING_FILES_MAX 1000    /* of one page: some 64 KiB */
#define LISTING_LOOK_MAX 10000    /* files looked at for one page: under a millisecond */
#define LISTING_MILLI_PER_S 2000  /* pages for one node: 1,000 files a second ... */
#define LISTING_BURST 8           /* ... half of LINK_OUTPUT_HARD at once */
#define LISTINGS_MILLI_PER_S 8000 /* for all of them: half a MiB a second */
#define LISTINGS_BURST 32
#define LISTING_ASKERS_MAX 256  /* remembered, so that none begins anew by coming back */
#define BROWSES_MAX 8           /* of others, at a time */
#define BROWSE_FILES_MAX 200000 /* of one host: a liar has no end of them */
#define BROWSE_TIMEOUT_MS 30000 /* for a link and for each page */
#define SOURCES_TOLD_MAX 8      /* in a link or by a command: kept with the download */

/* Fetching. */
#define FETCH_PIECES_MAX 32      /* 1 MiB each in memory per download: 2 per source, and writes */
#define FETCH_PIECES_NODE_MAX 96 /* ... of all downloads; each may always have one */
#define FETCH_PIPELINE 2         /* pieces asked of one source at a time */
#define FETCH_QUEUED_MAX 16      /* sources that a download waits for in their queues */
#define FETCH_TICK_MS 500        /* progress, timeouts */
#define FETCH_RETRY_MS 30000     /* a disk that is full or failing */
#define FETCH_DISK_TRIES 5       /* failures of the disk, without a piece in between, to give up */
#define FETCH_UNASKED_MAX 256    /* blocks nobody asked for, to close the link */
#define FETCH_BANS_MAX 1024      /* liars remembered */
#define FETCH_TRUST_WRONG 2      /* points that a wrong block costs; a right piece gives one back */
#define FETCH_TRUST_BAN (-7)     /* points at which a node is banned ... */
#define FETCH_WRONG_BLOCKS_MAX 4 /* ... however many right pieces lie between these */
#define FETCH_PAROLE_BLOCKS 256  /* right ones in a row, proven singly, until a node is trusted */
#define FETCH_FORGIVE_BLOCKS 1024 /* right ones in a row, until wrong ones are forgotten */
#define FETCH_PAROLE_SHARE 4      /* until then: one block more for so many right ones */
#define FETCH_LOST_MAX 8 /* runs of a source that others were asked for: it may still send them */
#define FETCH_SETTLED_MAX 16   /* pieces whose block hashes are kept to judge such, 2 KiB each */
#define FETCH_HASHES_MS 250    /* that an answer with hashes may take; then another is asked */
#define FETCH_LATE_MS_MIN 2000 /* twice the expected time is at least this: disks and queues */
#define FETCH_RAREST_LOOK 1024 /* wanted pieces among which the rarest is picked */
#define FETCH_PROBE_MS 10000   /* between two sources that make room for untried ones */
#define FETCH_BAN_MS_MIN 60000 /* four times longer each time */
#define FETCH_BAN_MS_MAX 3600000
#define SOURCE_RETRY_MS_MIN 2000 /* doubled with every failure */
#define SOURCE_RETRY_MS_MAX 300000
#define LOCATE_MS_MIN 30000 /* between two searches for sources of one download; doubled */
#define LOCATE_MS_MAX 300000
#define LOCATE_MILLI_PER_S 125 /* of all downloads, two copies each: half of LEAF_QUERIES_PER_S */
#define LOCATE_BURST 4

/* Serving. */
#define SERVINGS_MAX 16       /* open handles per link */
#define UPLOAD_BLOCKS_MAX 256 /* asked and not yet sent, per link */
#define UPLOAD_FLIGHT_MIN 4   /* blocks with the driver, per handle: at first, on a slow line */
#define UPLOAD_FLIGHT_MAX 16  /* blocks with the driver, per link: two of its disk jobs */
#define UPLOAD_SLOT_IDLE_MS 10000
#define UPLOAD_STALL_MS 30000   /* without progress, to be cut: the slot is others' */
#define UPLOAD_OFFER_MS 5000    /* to take a slot that was offered: round trips and a step */
#define UPLOAD_RETRY_MS 2000    /* how soon one who is sent away asks again ... */
#define UPLOAD_QUEUED_MS 30000  /* ... and one who is queued: it is told its turn anyhow */
#define UPLOAD_TELL_MS 1000     /* between two places told to one who waits */
#define UPLOAD_ETA_STEP_MS 5000 /* an estimate off by this and a quarter is told again */
#define UPLOAD_HASH_JOBS_MAX 4  /* per link: each reads 1 MiB */
#define UPLOAD_PROOF_HASHES_PER_S 500000                         /* a fifth of a core */
#define UPLOAD_PROOF_HASHES_BURST (FILE_BYTES_MAX / PIECE_BYTES) /* one proof of any file */
#define UPLOAD_HAVE_MS 2000     /* between two bitmaps of a growing file */
#define UPLOAD_BITMAP_MAX 65000 /* bytes: larger files are not served while they are fetched */
#define TRANSFER_IDLE_MS 60000  /* links without open handles */
#define PUSH_AGAIN_MS 600000    /* callbacks to one address */
#define PUSH_ASK_MS 30000       /* between two requests for a callback of one node */
#define PUSH_ADDRESSES_MAX 256
#define PUSH_LINKS_MAX 8 /* dialled for a PUSH alone, at a time */
#define CALLBACK_WAIT_MS 10000

/* Asking. */
#define SEARCHES_MAX 32     /* of one peer at a time */
#define SEARCH_HOLD_MS 5000 /* after all parents refused one: a fifth of what would end a link */
#define SEARCH_HOLD_MS_MAX 20000 /* ... when the last of them says how long */
#define SEARCH_SILENT_MS 1000    /* no sign of life from a parent: the search goes to another one */
#define SEARCH_PARENT_MS 5000    /* how long a search waits for the first supernode */
#define RESULT_SOURCES_MAX 32    /* kept per result */
#define PARENT_TIMEOUT_MS 60000  /* a supernode that does not answer a registration */
#define REGISTER_SCAN_MS 5000    /* a scan that takes longer is not waited for */
#define REGISTER_DELAY_MS 1000   /* after a change, so that many make one list */
#define REGISTER_DELAY_MS_MAX 10000
#define CHANGES_MAX 512 /* remembered, 12 KiB: a parent that missed more gets the whole list */
#define REGISTER_WAIT_MS_MAX 1800000 /* for a turn that a supernode promises */
#define REGISTER_TRIES 8 /* lists asked for without a success, to look for another parent */
#define LOSSES_FORGOTTEN_MS 3600000 /* without one more */
#define REGISTER_BATCHES 2          /* of 64 KiB per step */
#define NODES_WANTED 8              /* asked of each supernode */
#define NODES_AGAIN_MS_MIN 5000     /* while parents are missing; doubled */
#define NODES_AGAIN_MS_MAX 300000
#define RESOLVE_MS_MIN 5000
#define RESOLVE_MS_MAX 300000

/* Limits that people set. */
#define RATE_MIN 4096           /* bytes per second: below it no supernode keeps a leaf */
#define RATE_MAX (100ULL << 30) /* bytes per second */
#define RATE_ROWS_MAX 16        /* of the week's plan */

/* Rates: tokens per second and burst. */
#define LEAF_QUERIES_PER_S 0.5
#define LEAF_QUERIES_BURST 10
#define LEAF_QUERIES_EXCESS 5    /* times that rate ... */
#define LEAF_QUERIES_EXCESS_S 60 /* ... for so long, as in eMule's Kademlia: the link ends */
#define LEAF_BANNED_S 600        /* and the leaf stays away so long */
#define MESH_QUERIES_PER_S 200
#define MESH_QUERIES_BURST 400
#define MESH_RATES_MAX 256 /* neighbours, parted ones included: 20 kB; full again in 2 s */
#define NODES_PER_S 0.1
#define NODES_BURST 4
#define HANDSHAKES_PENDING_MAX 256 /* 11 MiB of OpenSSL's memory */
#define HANDSHAKES_PER_S 200       /* a tenth of a core */
#define HANDSHAKES_BURST_S 1       /* so many seconds' worth at once */
#define HANDSHAKES_SHARE_PENDING 4 /* of one address, while there are too many; as go-libp2p: */
#define HANDSHAKES_SHARE_MILLI_PER_S 200
#define HANDSHAKES_SHARE_BURST 16
#define GATE_ADDRESSES_MAX 4096 /* remembered; as many again that nodes have proven */

/* A supernode and its guests. */
#define VISITORS_MAX 64         /* links for NODES alone and probes, at a time */
#define VISITOR_MS 30000        /* until such a link is closed as idle */
#define LEAVES_DEPARTED_MAX 600 /* whose lists are kept: twice LEAVES_MAX */
#define PROBES_MAX 4096         /* targets of dial-backs remembered */
#define PROBE_KEEP_MS 600000    /* a target is dialled at most once in this time */
#define PROBE_ASKERS_MAX 4      /* who wait for the same answer: both parents, and to spare */
#define DIALBACK_TRIES 3        /* per stay of a leaf */
#define DIALBACKS_AT_ONCE 16    /* that are dialled; those that take longer than ... */
#define DIALBACK_SLOW_MS 1000   /* ... this do not count: who is unreachable holds up nobody */
#define DIALBACKS_PER_S 1       /* asked by one neighbour: LEAVES_MAX per PROBE_KEEP_MS */
#define DIALBACKS_BURST 64
#define PUSHES_PER_S 2 /* by one link */
#define PUSHES_BURST 20
#define LISTS_MILLI_PER_S 500 /* registrations begun by one leaf */
#define LISTS_BURST 60
#define MISDEEDS_MAX 16        /* unmatched answers and repeated copies before a link is closed */
#define MISDEEDS_OWED_MAX 256  /* ... that still waits for answers to its copies */
#define GOAWAY_ALTERNATIVES 16 /* supernodes named when we refuse or leave */
#define NODES_EVERY_MS 60000   /* neighbours are asked whom they know */
#define STOP_MS 3000           /* to say goodbye */

/* Promotion. */
#define TRUST_EPOCHS 24     /* of rows and checkpoints that are kept: the age of a key */
#define CERT_VALID_EPOCHS 6 /* of one that a quorum signed */
#define MEASURE_BYTES_MAX (4 * 1024 * 1024) /* of one stream ... */
#define MEASURE_FILES_MAX 16                /* that a candidate offers to be measured by */
#define MEASURE_RUNS_MAX 16       /* of their blocks that are asked for: of one piece each */
#define MEASURE_BLIND 32          /* places for candidates that no receipt speaks for, of 64 */
#define HINTS_MAX 2048            /* candidates that receipts speak for; 100 bytes each */
#define HINT_HOSTS_MAX 3          /* addresses whose receipts for one count: 8 times the chance */
#define RECEIPTS_LEAF_MAX 8       /* subjects that one leaf speaks for in an epoch */
#define RECEIPTS_MILLI_PER_S 1000 /* of one leaf that are looked at */
#define RECEIPTS_BURST 16
#define RECEIPT_BYTES_MIN (1 << 20) /* less than a piece is no transfer to speak of */
#define MEASURERS 3                 /* ... of so many supernodes in an epoch: 288 MiB a day */
#define MESH_UNPROVEN_MAX 8         /* neighbours whose certificates wait for their checkpoint */
#define CANDIDATES_MAX 8192         /* known to a supernode; 600 bytes each, 8 KB if condemned */
#define CANDIDATES_SPONSOR_MAX 512  /* of these that one supernode stands for: its leaves */
#define MEASURE_LINKS_MAX 8         /* to one candidate at a time */
#define CANDIDACIES_MILLI_PER_S 500 /* of one leaf; a candidate sends one in an epoch */
#define CANDIDACIES_BURST 10
#define TRUST_RECORDS_PER_S 2000 /* of one neighbour: signatures that are looked at */
#define TRUST_RECORDS_BURST 16000
#define TRUST_WANTED_MAX 16000        /* records that one neighbour is asked for at a time */
#define TRUST_PENDING_BYTES (1 << 19) /* of records that cannot be judged yet */

/* A supernode that leaves. */
#define HANDOVER_MS 4000           /* for the lists of its leaves to reach others, at most ... */
#define HANDOVER_MS_MIN 1500       /* ... and at least: the leaves register elsewhere meanwhile */
#define HANDOVER_TICK_MS 5         /* between two steps of sending ... */
#define HANDOVER_STEP_BYTES 131072 /* ... of so much */
#define HANDOVER_BATCH 500         /* records that are copied and put in order at a time */
#define SNAPSHOT_KEEP_MS 60000     /* that a list is shown on another's word, not its leaf's */
#define SNAPSHOTS_MAX 600          /* of one neighbour: as many as departed leaves are kept */
#define FILL_MS 10000              /* between two looks at who has too few leaves */
#define FILL_LEAVES_MIN 8          /* below the mean, at least, to be filled */
#define FILL_LEAVES_MAX 16         /* sent on at a time, and at most ... */
#define FILL_SHARE 16              /* ... such a part of those there are, ... */
#define FILL_PART 4                /* ... and such a part of what is lacking, by all together */
#define FILL_VAIN_MAX 4            /* times that leaves are sent where none arrives */
#define FILL_ARRIVE_PART 3         /* of those that were sent to one have arrived, at least ... */
#define FILL_FORGET_MS 3600000     /* ... and half of them have left since, or it is tried anew */
#define FILL_SENT_MAX 256          /* supernodes that leaves were sent to, remembered */
#define FILL_KEEP_MS 15000         /* that the list of a leaf which was sent on is still shown */
#define FILL_RETRY_S 120           /* until it may come back */
#define FILL_DIAL_MS 5000          /* that such a leaf waits for the supernode it was told of */

/* A peer that would be a supernode, too. */
#define MEASURES_EPOCH_MAX 16        /* streams that a candidate sends in an epoch ... */
#define MEASURES_SAME_MAX 2          /* ... to one supernode */
#define MEASURE_STEP_BYTES 65536     /* of all streams, between two looks at the links */
#define MEASURE_IDLE_MS 10000        /* a link on which nothing is asked for so long ends */
#define DUTY_RATE (1ULL << 20)       /* bytes a second that a peer gives, unless told else */
#define DUTY_RATE_MIN (16ULL << 10)  /* less would carry no supernode */
#define DUTY_DAY_BYTES (20ULL << 30) /* a quarter of that rate */
#define DUTY_DAY_BYTES_MIN (64ULL << 20)
#define DUTY_WINDOW_MS 300000 /* over which a supernode's mean rate is held to it */
#define DUTY_REST_S 3600      /* after it was over it */
#define REASONS_MAX 8         /* questions of one peer at a time */
#define REASONS_WAIT_MS 5000

/* Commands. */
#define COMMAND_ARGS_MAX 16
#define COMMAND_BYTES_MAX 65536

/* ---- Who is promoted ---- */

#define RANK_TELEPORT_MILLI 500              /* of all trust begins anew at the anchors */
#define RANK_ROW_CAP_PERCENT 20              /* of one supernode's row for one subject */
#define RANK_NODES_MAX 65536                 /* candidates: twice Kazaa's supernodes */
#define RANK_EDGES_MAX (64 * RANK_NODES_MAX) /* 32 MiB */
#define SEATS_MIN 3                          /* supernodes of any network that has candidates */
#define SEATS_MAX 8192
#define SEATS_USE_HIGH 70     /* percent of the slots for leaves: one seat more */
#define SEATS_USE_LOW 30      /* one less */
#define SEATS_STAY_PERCENT 25 /* by so much better tickets are needed to unseat a supernode */
#define SEATS_TERM_EPOCHS 3   /* that one number holds for a key */
#define SEATS_HISTORY (2 * SEATS_TERM_EPOCHS - 1) /* decisions whose masses count */
#define SEATS_QUORUM_SHARED 4   /* supernodes from which an anchor does not sign alone */
#define SEATS_COMMITTEE 16      /* supernodes who may sign, in larger networks ... */
#define SEATS_COMMITTEE_SIGN 11 /* ... who must; 20 % of liars capture 3.3e-5 of them */

/* ---- Metadata of media files, read by a process of its own ---- */

#define EXTRACT_MAP_BYTES_MAX (1ULL << 30) /* of a file: tags stand at the ends, by far smaller */
#define EXTRACT_ADDRESS_BYTES_MAX (3ULL << 29)  /* that, libraries and memory */
#define EXTRACT_MEMORY_BYTES_MAX (192ULL << 20) /* pictures in tags, tables of films */
#define EXTRACT_CPU_S_MAX 60   /* of one process; honest files take milliseconds each */
#define EXTRACT_FDS_MAX 8      /* standard ones, one file and room */
#define EXTRACT_WALL_MS 10000  /* per file: a disk that sleeps takes seconds to wake up */
#define EXTRACT_TELL_MS 10000  /* together: lists that always change are never registered */
#define EXTRACT_FILES_MAX 1000 /* per process: what leaks goes with it */
#define EXTRACT_FAILURES_MAX 3 /* processes in a row that never answered: something is wrong */

#endif
