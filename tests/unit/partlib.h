/* partlib.h - a download by hand: a node that writes pieces of one file and lets the driver finish
 * it.
 */
#ifndef TRUNKLINE_TESTS_UNIT_PARTLIB_H
#define TRUNKLINE_TESTS_UNIT_PARTLIB_H

#include <signal.h>

#include "common/hashtree.h"
#include "src/host/crypto.h"
#include "tests/unit/hostlib.h"

#define FILE_BYTES (5u * PIECE_BYTES + 12345)
#define PIECES 6
#define ALL_PIECES 0xfc
#define FILE_NUMBER (FILE_PART | 77)

/* One run of a node that writes pieces of a file. */
struct fetch {
    struct host *host;
    struct probe probe;
    char downloads[64];
    uint8_t *bytes;
    struct content_id content;
    uint8_t wanted;        /* bits of the pieces to write */
    uint8_t later[PIECES]; /* ... and what to write after each commit, 0 = that was all */
    uint32_t turn;
    bool will_resume; /* write what the journal does not vouch for, whatever that is */
    void (*on_opened)(struct fetch *fetch);
    void (*on_told)(struct fetch *fetch, enum node_event_kind kind);
    uint8_t opened; /* what the journal vouched for */
    uint8_t committed;
    const char *name;
    bool will_finish;
    bool will_discard;
    bool dies_after_commit;
    char path[300]; /* after FINISHED */
    enum err reason;
};

static inline void fetch_init(struct fetch *fetch) {
    *fetch = (struct fetch){.name = "song.ogg"};
    folder_make_temporary(fetch->downloads);
    fetch->bytes = mem_new(FILE_BYTES);
    for (size_t i = 0; i < FILE_BYTES; i++) {
        fetch->bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    struct hash pieces[PIECES];
    for (uint32_t piece = 0; piece < PIECES; piece++) {
        struct hash blocks[PIECE_BLOCKS];
        for (uint32_t i = 0; i < hashtree_piece_blocks(FILE_BYTES, piece); i++) {
            uint32_t block = piece * PIECE_BLOCKS + i;
            struct slice data = {fetch->bytes + (size_t)block * BLOCK_BYTES,
                                 hashtree_block_bytes(FILE_BYTES, block)};
            crypto_hash(crypto_keyless(), data, &blocks[i]);
        }
        hashtree_piece(crypto_keyless(), FILE_BYTES, piece, blocks, &pieces[piece]);
    }
    fetch->content.size = FILE_BYTES;
    hashtree_file_root(crypto_keyless(), FILE_BYTES, pieces, &fetch->content.root);
}

static inline void fetch_free(struct fetch *fetch) {
    folder_remove(fetch->downloads);
    mem_free(fetch->bytes);
}

static inline struct action *file_action(struct outbox *out, enum action_kind kind) {
    struct action *action = outbox_add(out, kind);
    action->file = FILE_NUMBER;
    return action;
}

static inline void write_pieces(const struct fetch *fetch, struct outbox *out) {
    for (uint32_t piece = 0; piece < PIECES; piece++) {
        if ((fetch->wanted & (0x80 >> piece)) != 0) {
            uint64_t offset = (uint64_t)piece * PIECE_BYTES;
            uint64_t left = FILE_BYTES - offset;
            struct action *action = file_action(out, ACTION_FILE_WRITE);
            action->offset = offset;
            action->len = left < PIECE_BYTES ? (uint32_t)left : PIECE_BYTES;
            action->owned = mem_copy(fetch->bytes + offset, action->len);
        }
    }
    struct action *commit =
        outbox_add_bytes(out, ACTION_FILE_COMMIT, (struct slice){&fetch->wanted, 1});
    commit->file = FILE_NUMBER;
}

static inline void after_commit(struct fetch *fetch, struct outbox *out) {
    if (fetch->turn < PIECES && fetch->later[fetch->turn] != 0) {
        fetch->wanted = fetch->later[fetch->turn++];
        write_pieces(fetch, out);
        return;
    }
    if (fetch->dies_after_commit) {
        kill(getpid(), SIGKILL);
    }
    if (fetch->will_finish) {
        struct action *action = outbox_add_bytes(out, ACTION_FILE_FINISH, test_slice(fetch->name));
        action->file = FILE_NUMBER;
    } else {
        file_action(out, fetch->will_discard ? ACTION_FILE_DISCARD : ACTION_FILE_CLOSE);
        host_stop(fetch->host);
    }
}

static inline void fetch_script(struct probe *probe, const struct node_event *event,
                                struct outbox *out) {
    struct fetch *fetch = probe->context;
    if (event->kind == NODE_START) {
        struct action *action =
            outbox_add_bytes(out, ACTION_FILE_OPEN, test_slice("ignored while it is a part"));
        action->file = FILE_NUMBER;
        action->content = fetch->content;
    } else if (event->kind == NODE_FILE_OPENED) {
        assert_int_equal(event->file.pieces.len, 1);
        fetch->opened = event->file.pieces.data[0];
        if (fetch->on_opened != NULL) {
            fetch->on_opened(fetch);
        }
        fetch->wanted = fetch->will_resume ? ALL_PIECES & ~fetch->opened : fetch->wanted;
        write_pieces(fetch, out);
    } else if (event->kind == NODE_FILE_COMMITTED) {
        fetch->committed |= event->file.pieces.data[0];
        if (fetch->on_told != NULL) {
            fetch->on_told(fetch, event->kind);
        }
        after_commit(fetch, out);
    } else if (event->kind == NODE_FILE_FINISHED) {
        snprintf(fetch->path, sizeof fetch->path, "%.*s", (int)event->file.name.len,
                 (const char *)event->file.name.data);
        if (fetch->on_told != NULL) {
            fetch->on_told(fetch, event->kind);
        }
        host_stop(fetch->host);
    } else if (event->kind == NODE_FILE_FAILED) {
        fetch->reason = event->file.reason;
        host_stop(fetch->host);
    }
}

static inline void fetch_run(struct fetch *fetch) {
    struct host_error error;
    fetch->host = test_host();
    fetch->probe = (struct probe){.on = fetch_script, .context = fetch};
    fetch->reason = OK;
    fetch->turn = 0;
    fetch->committed = 0;
    fetch->path[0] = '\0';
    /* Below what fetch_free removes: a run that is killed cannot clear up. */
    snprintf(fetch->probe.folder, sizeof fetch->probe.folder, "%.50s/.state", fetch->downloads);
    struct host_node_config config = {.network = test_network(),
                                      .state_dir = fetch->probe.folder,
                                      .download_dir = fetch->downloads,
                                      .no_listen = true,
                                      .make = probe_make,
                                      .role_config = &fetch->probe,
                                      .seed = 3};
    assert_non_null(host_add(fetch->host, &config, &error));
    assert_int_equal(host_run(fetch->host), 0);
    test_host_done(fetch->host, &fetch->probe, 1);
}

static inline void assert_same_file(const struct fetch *fetch) {
    FILE *file = fopen(fetch->path, "re");
    assert_non_null(file);
    uint8_t *bytes = mem_new(FILE_BYTES + 1);
    assert_int_equal(fread(bytes, 1, FILE_BYTES + 1, file), FILE_BYTES);
    assert_memory_equal(bytes, fetch->bytes, FILE_BYTES);
    fclose(file);
    mem_free(bytes);
}

static inline uint32_t files_in(const char *folder, const char *below) {
    char path[400];
    snprintf(path, sizeof path, "%s%s", folder, below);
    DIR *dir = opendir(path);
    uint32_t count = 0;
    for (struct dirent *at; dir != NULL && (at = readdir(dir)) != NULL;) {
        count += at->d_name[0] != '.';
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

#endif
