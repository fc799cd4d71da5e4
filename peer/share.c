/* share.c - keeps the table of files this peer shares, and the root that names the whole list. */
#include "peer/share.h"

#include <string.h>

#include "common/check.h"
#include "common/hashtree.h"
#include "common/mem.h"

/* The metadata of a locked file's record (common/facts.h). */
static const uint8_t locked_meta[] = {20, 0, 1, 1};

struct group {
    uint32_t number;
    bool is_locked;
    uint32_t count;
    struct node_id *ids;
};

struct share_maps {
    struct map groups;     /* u32 -> struct group */
    struct map by_number;  /* u64 -> struct shared_file, in the order they appeared */
    struct map by_content; /* content key -> first struct shared_file of a chain */
    struct map folders;    /* hash of the text -> struct share_folder */
};

void share_init(struct share *share, uint64_t seed) {
    *share = (struct share){.seed = seed};
}

static struct share_maps *maps_of(struct share *share) {
    if (share->maps == NULL) {
        share->maps = mem_new(sizeof *share->maps);
        map_init(&share->maps->groups, sizeof(uint32_t), share->seed ^ 0x67726f757073);
        map_init(&share->maps->by_number, sizeof(uint64_t), share->seed ^ 0x73686172656e756d);
        map_init(&share->maps->by_content, CONTENT_KEY_BYTES, share->seed ^ 0x7368617265636f6e);
        map_init(&share->maps->folders, HASH_BYTES, share->seed ^ 0x666f6c64657273);
    }
    return share->maps;
}

uint32_t share_count(const struct share *share) {
    return share->maps != NULL ? share->maps->by_number.count : 0;
}

const struct shared_file *share_next(const struct share *share, uint32_t *cursor) {
    return share->maps != NULL ? map_next(&share->maps->by_number, cursor, NULL) : NULL;
}

static void free_group(struct group *group) {
    if (group != NULL) {
        mem_free(group->ids);
        mem_free(group);
    }
}

static void free_folder(struct share_folder *folder) {
    mem_free(folder->text);
    mem_free(folder);
}

/* Its folder goes with its last file. */
static void free_file(struct share_maps *maps, struct shared_file *file) {
    struct share_folder *folder = file->folder;
    if (folder != NULL && --folder->files == 0) {
        map_remove(&maps->folders, folder->key.b);
        free_folder(folder);
    }
    mem_free(file->pieces);
    mem_free(file->meta);
    mem_free(file->name);
    mem_free(file);
}

void share_free(struct share *share) {
    changes_free(share->changes);
    struct share_maps *maps = share->maps;
    uint32_t cursor = 0;
    struct shared_file *file = NULL;
    while (maps != NULL && (file = map_next(&maps->by_number, &cursor, NULL)) != NULL) {
        free_file(maps, file);
    }
    cursor = 0;
    for (struct group *group;
         maps != NULL && (group = map_next(&maps->groups, &cursor, NULL)) != NULL;) {
        free_group(group);
    }
    if (maps != NULL) {
        map_free(&maps->groups);
        map_free(&maps->by_number);
        map_free(&maps->by_content);
        map_free(&maps->folders);
        mem_free(maps);
    }
}

const struct shared_file *share_find(const struct share *share, const struct content_id *content) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, content);
    return share->maps != NULL ? map_get(&share->maps->by_content, key) : NULL;
}

/* ---- Who may have what ---- */

void share_group(struct share *share, const struct node_event *event) {
    struct slice ids = event->group.ids;
    uint32_t number = event->group.group;
    CHECK(number != 0 && ids.len % sizeof(struct node_id) == 0 &&
          ids.len / sizeof(struct node_id) <= SHARE_READERS_MAX);
    free_group(map_remove(&maps_of(share)->groups, &number));
    if (ids.len > 0) {
        struct group *group = mem_new(sizeof *group);
        group->number = number;
        group->is_locked = event->group.is_locked;
        group->count = (uint32_t)(ids.len / sizeof(struct node_id));
        group->ids = mem_copy(ids.data, ids.len);
        map_put(&share->maps->groups, &group->number, group);
    }
}

bool share_is_visible(const struct share *share, const struct shared_file *file,
                      const struct node_id *id) {
    if (file->group == 0) {
        return true;
    }
    const struct group *group = map_get(&share->maps->groups, &file->group);
    for (uint32_t i = 0; group != NULL && i < group->count; i++) {
        if (node_id_equal(&group->ids[i], id)) {
            return true;
        }
    }
    return false;
}

const struct shared_file *share_find_for(const struct share *share,
                                         const struct content_id *content,
                                         const struct node_id *id) {
    const struct shared_file *file = share_find(share, content);
    while (file != NULL && !share_is_visible(share, file, id)) {
        file = file->same;
    }
    return file;
}

const struct shared_file *share_find_known(const struct share *share,
                                           const struct content_id *content) {
    const struct shared_file *known = NULL;
    for (const struct shared_file *file = share_find(share, content); file != NULL;
         file = file->same) {
        if (file->group == 0) {
            return file;
        }
        known = file->is_locked ? file : known;
    }
    return known;
}

/* True when everybody may see its record: what is open is not called locked beside that. */
static bool may_list(const struct share *share, const struct shared_file *file) {
    return file->group == 0 ||
           (file->is_locked && share_find_known(share, &file->content)->group != 0);
}

static void chain_file(struct share *share, struct shared_file *file) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &file->content);
    struct shared_file *first = map_get(&share->maps->by_content, key);
    if (first == NULL) {
        map_put(&share->maps->by_content, key, file);
        return;
    }
    file->same = first->same;
    first->same = file;
}

static void unchain_file(struct share *share, struct shared_file *file) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &file->content);
    struct shared_file *first = map_get(&share->maps->by_content, key);
    CHECK(first != NULL);
    if (first == file) {
        map_remove(&share->maps->by_content, key);
        if (file->same != NULL) {
            map_put(&share->maps->by_content, key, file->same);
        }
        return;
    }
    struct shared_file *before = first;
    while (before->same != file) {
        before = before->same;
        CHECK(before != NULL);
    }
    before->same = file->same;
}

/* A name on disk may hold backslashes and control characters (ASCII, U+0080 to U+009F); on the wire
 * it may not. */
static char *visible_name(struct slice name) {
    char *text = mem_new(name.len + 1);
    memcpy(text, name.data, name.len);
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.data[i];
        if (byte < 0x20 || byte == 0x7f || byte == '\\') {
            text[i] = '_';
        }
        if (byte == 0xc2 && i + 1 < name.len && name.data[i + 1] < 0xa0) {
            text[i] = '_';
            text[i + 1] = '_';
            i++;
        }
    }
    return text;
}

/* A folder as it may be told: of one that is too deep or too long the shared folder alone. */
static char *visible_folder(struct slice folder) {
    char *text = visible_name(folder);
    size_t len = folder.len;
    while (len > 0 && !wire_folder_ok((struct slice){(const uint8_t *)text, len})) {
        const char *slash = memchr(text, '/', len);
        len = slash != NULL ? (size_t)(slash - text) : 0;
    }
    text[len] = '\0';
    return text;
}

/* The one that all files of a folder share, counted; NULL when it is not told. */
static struct share_folder *hold_folder(struct share *share, const struct crypto *crypto,
                                        struct slice told) {
    if (told.len == 0) {
        return NULL;
    }
    char *text = visible_folder(told);
    size_t len = strlen(text);
    struct hash key;
    if (len == 0) {
        mem_free(text);
        return NULL;
    }
    crypto_hash(crypto, (struct slice){(const uint8_t *)text, len}, &key);
    struct share_folder *folder = map_get(&maps_of(share)->folders, key.b);
    if (folder == NULL) {
        folder = mem_new(sizeof *folder);
        *folder = (struct share_folder){.key = key, .len = (uint16_t)len, .text = text};
        map_put(&share->maps->folders, folder->key.b, folder);
    } else {
        mem_free(text);
    }
    folder->files++;
    return folder;
}

/* ---- The list ---- */

static void note(struct share *share, const struct shared_file *file, bool is_added) {
    if (share->sequence > 0) {
        struct change change = {.prefix = wire_record_prefix(&file->record_hash),
                                .sequence = share->sequence + 1,
                                .is_added = is_added};
        changes_note(&share->changes, &change);
    }
}

/* Another file of the same record, listed, or such as could be; NULL = none. */
static struct shared_file *find_twin(const struct share *share, const struct shared_file *file,
                                     bool is_listed) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &file->content);
    struct shared_file *twin = map_get(&share->maps->by_content, key);
    while (twin != NULL && (twin == file || twin->is_listed != is_listed ||
                            (!is_listed && !may_list(share, twin)) ||
                            memcmp(twin->record_hash.b, file->record_hash.b, HASH_BYTES) != 0)) {
        twin = twin->same;
    }
    return twin;
}

/* List a file if there is room and its record is not listed yet. */
static void enlist(struct share *share, struct shared_file *file) {
    if (share->listed < LEAF_FILES_MAX && may_list(share, file) &&
        find_twin(share, file, true) == NULL) {
        file->is_listed = true;
        share->listed++;
        note(share, file, true);
    }
}

/* A listed file goes: a twin takes its place, or else whoever found no room before. */
static void delist(struct share *share, struct shared_file *file) {
    struct shared_file *twin = find_twin(share, file, false);
    file->is_listed = false;
    if (twin != NULL) {
        twin->is_listed = true;
        return;
    }
    note(share, file, false);
    bool was_full = share->listed-- == LEAF_FILES_MAX;
    uint32_t cursor = 0;
    for (struct shared_file *other = NULL;
         was_full && share->listed < LEAF_FILES_MAX &&
         (other = map_next(&share->maps->by_number, &cursor, NULL)) != NULL;) {
        if (!other->is_listed && other != file) {
            enlist(share, other);
        }
    }
}

/* What is for everybody came or went: locked files of the same content are listed without it. */
static void relist_locked(struct share *share, const struct content_id *content) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, content);
    struct shared_file *file =
        share->maps->groups.count > 0 ? map_get(&share->maps->by_content, key) : NULL;
    for (; file != NULL; file = file->same) {
        if (file->is_listed && !may_list(share, file)) {
            delist(share, file);
        } else if (!file->is_listed && file->is_locked) {
            enlist(share, file);
        }
    }
}

struct file_record share_record(const struct shared_file *file) {
    return (struct file_record){.content = file->content,
                                .name = {(const uint8_t *)file->name, file->name_len},
                                .meta = {file->meta, file->meta_len}};
}

/* The piece hashes of an event; of a file that is shared already, those that it has. */
static struct hash *take_pieces(struct share *share, const struct node_event *event) {
    const struct content_id *content = &event->shared.content;
    struct slice pieces = event->shared.pieces;
    uint32_t count = hashtree_pieces(content->size);
    struct hash *taken = NULL;
    if (count > 1 && pieces.len == 0 && share->maps != NULL) {
        struct shared_file *before = map_get(&share->maps->by_number, &event->shared.file);
        CHECK(before != NULL && content_equal(&before->content, content));
        taken = before->pieces;
        before->pieces = NULL;
    } else if (count > 1) {
        CHECK(pieces.len == (size_t)count * HASH_BYTES);
        taken = mem_copy(pieces.data, pieces.len);
    }
    return taken;
}

/* Keep what is told of a file; that it is locked is told by its folder alone. */
static void set_meta(struct shared_file *file, struct slice meta) {
    struct buf kept = {0};
    struct reader reader = reader_of(meta.data, meta.len);
    while (reader_left(&reader) > 0) {
        uint8_t tag = reader_u8(&reader);
        struct slice value = reader_slice(&reader, reader_u16(&reader));
        CHECK(!reader.failed); /* the driver has looked */
        if (tag < locked_meta[0]) {
            buf_u8(&kept, tag);
            buf_u16(&kept, (uint16_t)value.len);
            buf_append(&kept, value.data, value.len);
        }
    }
    if (file->is_locked && kept.len + sizeof locked_meta > FILE_META_MAX) {
        kept.len = 0;
    }
    if (file->is_locked) {
        buf_append(&kept, locked_meta, sizeof locked_meta);
    }
    file->meta_len = (uint16_t)kept.len;
    file->meta = kept.len > 0 ? mem_copy(kept.data, kept.len) : NULL;
    buf_free(&kept);
}

/* Take a file out of everything but the table by number. */
static void unlist(struct share *share, struct shared_file *file) {
    if (file->is_listed) {
        delist(share, file);
    }
    unchain_file(share, file);
    relist_locked(share, &file->content);
    share->bytes -= file->content.size;
    share->version++;
}

void share_add(struct share *share, const struct crypto *crypto, const struct node_event *event) {
    struct slice name = event->shared.name;
    uint64_t size = event->shared.content.size;
    struct slice meta = event->shared.meta;
    CHECK(name.len >= 1 && name.len <= NAME_BYTES_MAX && size >= 1 && size <= FILE_BYTES_MAX);
    CHECK(meta.len <= FILE_META_MAX);
    struct hash *pieces = take_pieces(share, event);
    struct shared_file *before =
        share->maps != NULL ? map_get(&share->maps->by_number, &event->shared.file) : NULL;
    if (before != NULL) {
        unlist(share, before);
    }
    struct shared_file *file = mem_new(sizeof *file);
    file->number = event->shared.file;
    file->content = event->shared.content;
    file->group = event->shared.group;
    if (file->group != 0) {
        const struct group *group = map_get(&maps_of(share)->groups, &file->group);
        file->is_locked = group != NULL && group->is_locked;
    }
    file->name_len = (uint16_t)name.len;
    file->name = visible_name(name);
    file->pieces = pieces;
    file->folder = hold_folder(share, crypto, event->shared.folder);
    set_meta(file, meta);
    struct file_record record = share_record(file);
    wire_file_record_hash(&record, crypto, &file->record_hash);
    map_put(&maps_of(share)->by_number, &file->number, file); /* in the place of `before` */
    if (before != NULL) {
        free_file(share->maps, before);
    }
    chain_file(share, file);
    relist_locked(share, &file->content); /* it too, when it is locked */
    if (!file->is_listed) {
        enlist(share, file);
    }
    share->bytes += size;
    share->version++;
}

void share_remove(struct share *share, uint64_t number) {
    struct share_maps *maps = share->maps;
    struct shared_file *file = maps != NULL ? map_remove(&maps->by_number, &number) : NULL;
    if (file != NULL) {
        unlist(share, file);
        free_file(maps, file);
    }
}

void share_root(const struct share *share, const struct crypto *crypto, struct hash *root) {
    struct hash *hashes = mem_array(share->listed, sizeof *hashes);
    uint32_t count = 0;
    uint32_t cursor = 0;
    for (const struct shared_file *file; (file = share_next(share, &cursor)) != NULL;) {
        if (file->is_listed) {
            hashes[count++] = file->record_hash;
        }
    }
    bool is_set = wire_list_root(crypto, hashes, count, root);
    CHECK(is_set && count == share->listed);
    mem_free(hashes);
}

void share_settle(struct share *share, uint64_t sequence) {
    changes_settle(share->changes, sequence);
    share->sequence = sequence;
}

uint64_t share_reach(const struct share *share) {
    return share->changes != NULL ? share->sequence - share->changes->since : 0;
}
