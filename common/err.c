/* err.c - the table of error names and texts. */
#include "common/err.h"

#include "common/check.h"

static const struct {
    const char *name;
    const char *text;
} texts[ERR_COUNT] = {
    [OK] = {"ok", "no error"},
    [ERR_FORMAT] = {"format", "malformed data"},
    [ERR_LIMIT] = {"limit", "a limit was exceeded"},
    [ERR_VERSION] = {"version", "no common protocol version"},
    [ERR_CRITICAL] = {"critical", "an unknown field or message that must be understood"},
    [ERR_AUTH] = {"auth", "wrong key, signature, certificate or secret"},
    [ERR_POLICY] = {"policy", "not allowed in this network"},
    [ERR_UNEXPECTED] = {"unexpected", "a message at the wrong moment"},
    [ERR_BUSY] = {"busy", "busy, try again later"},
    [ERR_NOT_FOUND] = {"not-found", "not found"},
    [ERR_CHANGED] = {"changed", "the file has changed"},
    [ERR_MISMATCH] = {"mismatch", "the data does not match its hash"},
    [ERR_TIMEOUT] = {"timeout", "no answer in time"},
    [ERR_REFUSED] = {"refused", "refused by the other side"},
    [ERR_UNREACHABLE] = {"unreachable", "cannot be reached"},
    [ERR_CLOSED] = {"closed", "the link was closed"},
    [ERR_STALLED] = {"stalled", "the other side does not read"},
    [ERR_DUPLICATE] = {"duplicate", "there is one already"},
    [ERR_SHUTDOWN] = {"shutdown", "shutting down"},
    [ERR_IO] = {"io", "input/output error"},
    [ERR_NO_SPACE] = {"no-space", "no space left on the disk"},
    [ERR_EXISTS] = {"exists", "already exists"},
    [ERR_PERMISSION] = {"permission", "permission denied"},
    [ERR_CONFIG] = {"config", "bad configuration"},
};

const char *err_text(enum err err) {
    CHECK((unsigned)err < ERR_COUNT);
    return texts[err].text;
}

const char *err_name(enum err err) {
    CHECK((unsigned)err < ERR_COUNT);
    return texts[err].name;
}
