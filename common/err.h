/* err.h - what can go wrong, one code and one text each. */
#ifndef TRUNKLINE_COMMON_ERR_H
#define TRUNKLINE_COMMON_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))

/* Zero is success. A stranger's bytes yield ERR_FORMAT .. ERR_POLICY; the machine the rest. */
enum err {
    OK = 0,
    ERR_FORMAT,      /* bytes that no correct sender makes */
    ERR_LIMIT,       /* more than limits.h allows */
    ERR_VERSION,     /* no common protocol version */
    ERR_CRITICAL,    /* an unknown message or field that must be understood */
    ERR_AUTH,        /* wrong key, signature, certificate or secret */
    ERR_POLICY,      /* understood, but this network does not allow it */
    ERR_UNEXPECTED,  /* a correct message at the wrong moment */
    ERR_BUSY,        /* full now, try later or elsewhere */
    ERR_NOT_FOUND,   /* no such thing here */
    ERR_CHANGED,     /* the file is no longer what was promised */
    ERR_MISMATCH,    /* bytes do not match their hash */
    ERR_TIMEOUT,     /* no answer in time */
    ERR_REFUSED,     /* the other side said no */
    ERR_UNREACHABLE, /* no route, nobody listening, name unknown */
    ERR_CLOSED,      /* the link ended */
    ERR_STALLED,     /* the other side does not read */
    ERR_DUPLICATE,   /* a second link or a second run of the same thing */
    ERR_SHUTDOWN,    /* we are going away */
    ERR_IO,          /* the disk failed */
    ERR_NO_SPACE,    /* the disk is full */
    ERR_EXISTS,      /* already there, not overwritten */
    ERR_PERMISSION,  /* the system does not let us */
    ERR_CONFIG,      /* a bad option or configuration line */
    ERR_COUNT
};

/* Return a constant, lower-case text without a full stop, such as "malformed message". */
const char *err_text(enum err err);

/* Return the constant one-word name used in logs and JSON, such as "format". */
const char *err_name(enum err err);

#endif
