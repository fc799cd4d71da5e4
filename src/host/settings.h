/* settings.h - every option of the two programs: one row each in one table. */
#ifndef TRUNKLINE_HOST_SETTINGS_H
#define TRUNKLINE_HOST_SETTINGS_H

#include "src/host/options.h"

/* Places in the table; SETTING(name) is the bit that a command's `accepted` takes. */
enum setting {
    SETTING_HELP,
    SETTING_VERSION,
    SETTING_JSON,
    SETTING_DIR,
    SETTING_CONFIG,
    /* run */
    SETTING_NETWORK,
    SETTING_LISTEN,
    SETTING_ADVERTISE,
    SETTING_INTERFACE,
    SETTING_DIAL_ONLY,
    SETTING_INTRODUCER,
    SETTING_SHARE,
    SETTING_DOWNLOADS,
    SETTING_NO_METADATA,
    SETTING_NO_BROWSE,
    SETTING_UPLOAD_RATE,
    SETTING_LIMIT,
    SETTING_UPLOAD_SLOTS,
    SETTING_DOWNLOADS_ACTIVE,
    SETTING_CONSENT,
    SETTING_CAP_RATE,
    SETTING_CAP_BYTES,
    SETTING_SUPERNODE_LISTEN,
    SETTING_LEAVES,
    SETTING_LEAF_QUERY_RATE,
    SETTING_LEAF_QUERY_BURST,
    SETTING_INDEX_MEMORY,
    SETTING_MESH_QUERY_RATE,
    SETTING_MESH_LINKS,
    SETTING_FIXED_MESH,
    SETTING_PARENT_FD,
    SETTING_LOG,
    SETTING_VERBOSE,
    SETTING_QUIET,
    /* search, get, downloads */
    SETTING_WANT,
    SETTING_FARTHER,
    SETTING_LINKS,
    SETTING_NAME,
    SETTING_FOLDER,
    SETTING_NO_WAIT,
    SETTING_WATCH,
    SETTING_DONE,
    /* share */
    SETTING_ONLY,
    SETTING_EXCLUDE,
    SETTING_AS,
    SETTING_ALIAS,
    SETTING_MIN_SIZE,
    SETTING_MAX_SIZE,
    SETTING_PRIVATE,
    SETTING_FOR,
    SETTING_LOCKED,
    SETTING_DRY_RUN,
    SETTING_YES,
    /* init, certify */
    SETTING_ANCHOR,
    SETTING_POLICY,
    SETTING_PROFILE,
    SETTING_EPOCH,
    SETTING_PROMOTION,
    SETTING_SECRET,
    SETTING_ADDRESS,
    SETTING_DAYS,
    SETTING_OUT,
    SETTINGS
};
#define SETTING(name) (1ULL << SETTING_##name)

struct settings {
    bool help;
    bool version;
    bool json;
    const char *dir;
    const char *config;
    const char *network;
    struct address listen;    /* family 0 = not given */
    struct address advertise; /* family 0 = not given */
    const char *interface;
    bool dial_only;
    struct option_list introducers;
    struct option_list shares;
    const char *downloads;
    bool no_metadata;
    bool no_browse;
    uint64_t upload_rate;      /* bytes per second; 0 = unlimited */
    struct option_list limits; /* rows of a rateplan */
    uint64_t upload_slots;
    uint64_t downloads_active;
    bool consent;
    uint64_t cap_rate;               /* bytes per second; 0 = not given */
    uint64_t cap_bytes;              /* a day; 0 = not given */
    struct address supernode_listen; /* family 0 = not given */
    uint64_t leaves;
    uint64_t leaf_query_rate; /* thousandths per second */
    uint64_t leaf_query_burst;
    uint64_t index_memory;    /* bytes; 0 = INDEX_BYTES_MAX */
    uint64_t mesh_query_rate; /* per second of one neighbour */
    uint64_t mesh_links;
    bool fixed_mesh;
    uint64_t parent_fd; /* 0 = none */
    const char *log;
    bool verbose;
    bool quiet;
    uint64_t want;
    bool farther;
    bool links;
    const char *name;
    bool folder;
    bool no_wait;
    bool watch;
    bool done;
    struct option_list only;
    struct option_list exclude;
    const char *as;
    struct option_list aliases; /* PATH=NAME */
    const char *min_size;
    const char *max_size;
    bool private;
    struct option_list readers; /* --for */
    bool locked;
    bool dry_run;
    bool yes;
    bool anchor;
    uint64_t policy;  /* enum network_policy */
    uint64_t profile; /* enum network_profile */
    uint64_t epoch_s; /* 0 = not given */
    const char *promotion;
    bool secret;
    struct option_list addresses; /* HOST:PORT */
    uint64_t days;
    const char *out;
};

/* SETTINGS rows. */
extern const struct option_row settings_rows[];

#endif
