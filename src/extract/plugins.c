/* plugins.c - libextractor, when it is installed, for the formats and texts that media.c lacks.
 *
 * Loaded at run time: who has it not shares all the same. Its plugins run inside this process,
 * since it is the sandbox already. That of GIF takes width for height. Those that bring a whole
 * framework with them, run programs or unpack archives are left out (gstreamer, pdf, archive,
 * exiv2, ole2, thumbnails ...). */
#include "src/extract/plugins.h"

#include <dlfcn.h>
#include <iconv.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

/* From the interface of libextractor.so.3, as its extractor.h has it. */
#define LIBRARY "libextractor.so.3"
#define OPTION_IN_PROCESS 2
#define FORMAT_UTF8 1
enum {
    TYPE_TITLE = 4,
    TYPE_AUTHOR = 13,
    TYPE_PUBLICATION_YEAR = 21,
    TYPE_PUBLICATION_DATE = 24,
    TYPE_CREATOR = 52,
    TYPE_UNKNOWN_DATE = 57,
    TYPE_CREATION_DATE = 58,
    TYPE_DIMENSIONS = 112,
    TYPE_ALBUM = 129,
    TYPE_ARTIST = 130,
    TYPE_PERFORMER = 134,
};
typedef int found_fn(void *context, const char *plugin, int type, int format, const char *mime,
                     const char *data, size_t len);
typedef void *add_fn(void *list, const char *name, const char *options, int flags);
typedef void extract_fn(void *list, const char *file, const void *data, size_t size,
                        found_fn *found, void *context);

static const char *const names[] = {"png", "jpeg", "ogg",  "flac", "riff",
                                    "wav", "odf",  "mpeg", "tiff"};

struct plugins {
    void *list;
    extract_fn *extract;
};

static int on_found(void *context, const char *plugin, int type, int format, const char *mime,
                    const char *data, size_t len) {
    static const struct {
        int type;
        enum file_text text;
    } texts[] = {{TYPE_TITLE, TEXT_TITLE},      {TYPE_ARTIST, TEXT_ARTIST},
                 {TYPE_PERFORMER, TEXT_ARTIST}, {TYPE_AUTHOR, TEXT_ARTIST},
                 {TYPE_CREATOR, TEXT_ARTIST},   {TYPE_ALBUM, TEXT_ALBUM}};
    struct media *media = context;
    (void)plugin;
    (void)mime;
    if (format != FORMAT_UTF8 || data == NULL || len == 0) {
        return 0;
    }
    struct slice value = {(const uint8_t *)data, strnlen(data, len)};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].type == type) {
            media_text(media, texts[i].text, value);
        }
    }
    char number[32] = {0};
    memcpy(number, data, value.len < sizeof number - 1 ? value.len : sizeof number - 1);
    unsigned width = 0;
    unsigned height = 0;
    if (type == TYPE_DIMENSIONS && sscanf(number, "%5ux%5u", &width, &height) == 2) {
        media_number(media, NUMBER_WIDTH, width);
        media_number(media, NUMBER_HEIGHT, height);
    }
    if (type == TYPE_PUBLICATION_YEAR || type == TYPE_PUBLICATION_DATE ||
        type == TYPE_UNKNOWN_DATE || type == TYPE_CREATION_DATE) {
        media_year(media, value);
    }
    return 0;
}

/* ISO C has no conversion from an object's pointer to a function's; POSIX asks for this one. */
static bool find(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

struct plugins *plugins_open(void) {
    struct plugins *plugins = mem_new(sizeof *plugins);
    add_fn *add = NULL;
    void *library = dlopen(LIBRARY, RTLD_NOW);
    if (library == NULL || !find(library, "EXTRACTOR_plugin_add", &add) ||
        !find(library, "EXTRACTOR_extract", &plugins->extract)) {
        mem_free(plugins);
        return NULL;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        plugins->list = add(plugins->list, names[i], NULL, OPTION_IN_PROCESS);
    }
    (void)iconv_open("UTF-8", "ISO-8859-1"); /* kept open: a module of the C library */
    static const uint8_t nothing[64] = {0};
    struct media media = {0};
    plugins_read(plugins, (struct slice){nothing, sizeof nothing}, &media); /* loads them */
    return plugins;
}

void plugins_read(struct plugins *plugins, struct slice bytes, struct media *media) {
    if (plugins != NULL && bytes.len > 0) {
        plugins->extract(plugins->list, NULL, bytes.data, bytes.len, on_found, media);
    }
}
