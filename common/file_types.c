/* file_types.c - what kind of file an extension stands for. */
#include <stdlib.h>
#include <string.h>

#include "common/facts.h"

#define KNOWN_BYTES 8 /* of the longest extension below */

struct extension {
    char text[KNOWN_BYTES];
    enum file_type type;
};

/* Sorted by bytes. A disk image installs something more often than not: software. */
static const struct extension extensions[] = {
    {"3g2", FILE_VIDEO},      {"3gp", FILE_VIDEO},         {"7z", FILE_ARCHIVE},
    {"aac", FILE_AUDIO},      {"ac3", FILE_AUDIO},         {"ace", FILE_ARCHIVE},
    {"ai", FILE_IMAGE},       {"aif", FILE_AUDIO},         {"aifc", FILE_AUDIO},
    {"aiff", FILE_AUDIO},     {"alac", FILE_AUDIO},        {"amr", FILE_AUDIO},
    {"amv", FILE_VIDEO},      {"ape", FILE_AUDIO},         {"apk", FILE_SOFTWARE},
    {"app", FILE_SOFTWARE},   {"appimage", FILE_SOFTWARE}, {"ar", FILE_ARCHIVE},
    {"arc", FILE_ARCHIVE},    {"arj", FILE_ARCHIVE},       {"arw", FILE_IMAGE},
    {"asf", FILE_VIDEO},      {"au", FILE_AUDIO},          {"avi", FILE_VIDEO},
    {"avif", FILE_IMAGE},     {"azw", FILE_DOCUMENT},      {"azw3", FILE_DOCUMENT},
    {"bat", FILE_SOFTWARE},   {"bib", FILE_DOCUMENT},      {"bin", FILE_SOFTWARE},
    {"bmp", FILE_IMAGE},      {"br", FILE_ARCHIVE},        {"bz", FILE_ARCHIVE},
    {"bz2", FILE_ARCHIVE},    {"cab", FILE_ARCHIVE},       {"caf", FILE_AUDIO},
    {"cbr", FILE_DOCUMENT},   {"cbz", FILE_DOCUMENT},      {"chm", FILE_DOCUMENT},
    {"class", FILE_SOFTWARE}, {"cmd", FILE_SOFTWARE},      {"com", FILE_SOFTWARE},
    {"cpio", FILE_ARCHIVE},   {"cr2", FILE_IMAGE},         {"cr3", FILE_IMAGE},
    {"crx", FILE_SOFTWARE},   {"csv", FILE_DOCUMENT},      {"cur", FILE_IMAGE},
    {"dds", FILE_IMAGE},      {"deb", FILE_SOFTWARE},      {"dff", FILE_AUDIO},
    {"divx", FILE_VIDEO},     {"djv", FILE_DOCUMENT},      {"djvu", FILE_DOCUMENT},
    {"dll", FILE_SOFTWARE},   {"dmg", FILE_SOFTWARE},      {"dng", FILE_IMAGE},
    {"doc", FILE_DOCUMENT},   {"docm", FILE_DOCUMENT},     {"docx", FILE_DOCUMENT},
    {"dot", FILE_DOCUMENT},   {"dotx", FILE_DOCUMENT},     {"drc", FILE_VIDEO},
    {"dsf", FILE_AUDIO},      {"dts", FILE_AUDIO},         {"dv", FILE_VIDEO},
    {"eac3", FILE_AUDIO},     {"ear", FILE_SOFTWARE},      {"elf", FILE_SOFTWARE},
    {"emf", FILE_IMAGE},      {"eps", FILE_IMAGE},         {"epub", FILE_DOCUMENT},
    {"exe", FILE_SOFTWARE},   {"exr", FILE_IMAGE},         {"f4v", FILE_VIDEO},
    {"fb2", FILE_DOCUMENT},   {"flac", FILE_AUDIO},        {"flatpak", FILE_SOFTWARE},
    {"flv", FILE_VIDEO},      {"gem", FILE_SOFTWARE},      {"gif", FILE_IMAGE},
    {"gsm", FILE_AUDIO},      {"gz", FILE_ARCHIVE},        {"h264", FILE_VIDEO},
    {"h265", FILE_VIDEO},     {"hdr", FILE_IMAGE},         {"heic", FILE_IMAGE},
    {"heif", FILE_IMAGE},     {"hevc", FILE_VIDEO},        {"htm", FILE_DOCUMENT},
    {"html", FILE_DOCUMENT},  {"icns", FILE_IMAGE},        {"ico", FILE_IMAGE},
    {"ics", FILE_DOCUMENT},   {"img", FILE_SOFTWARE},      {"ipa", FILE_SOFTWARE},
    {"iso", FILE_SOFTWARE},   {"it", FILE_AUDIO},          {"jar", FILE_SOFTWARE},
    {"jfif", FILE_IMAGE},     {"jp2", FILE_IMAGE},         {"jpe", FILE_IMAGE},
    {"jpeg", FILE_IMAGE},     {"jpg", FILE_IMAGE},         {"js", FILE_SOFTWARE},
    {"json", FILE_DOCUMENT},  {"jxl", FILE_IMAGE},         {"kar", FILE_AUDIO},
    {"key", FILE_DOCUMENT},   {"kra", FILE_IMAGE},         {"lha", FILE_ARCHIVE},
    {"lit", FILE_DOCUMENT},   {"log", FILE_DOCUMENT},      {"lrc", FILE_DOCUMENT},
    {"lz", FILE_ARCHIVE},     {"lz4", FILE_ARCHIVE},       {"lzh", FILE_ARCHIVE},
    {"lzma", FILE_ARCHIVE},   {"lzo", FILE_ARCHIVE},       {"m1v", FILE_VIDEO},
    {"m2ts", FILE_VIDEO},     {"m2v", FILE_VIDEO},         {"m3u", FILE_AUDIO},
    {"m3u8", FILE_AUDIO},     {"m4a", FILE_AUDIO},         {"m4b", FILE_AUDIO},
    {"m4r", FILE_AUDIO},      {"m4v", FILE_VIDEO},         {"markdown", FILE_DOCUMENT},
    {"md", FILE_DOCUMENT},    {"mht", FILE_DOCUMENT},      {"mhtml", FILE_DOCUMENT},
    {"mid", FILE_AUDIO},      {"midi", FILE_AUDIO},        {"mjpeg", FILE_VIDEO},
    {"mk3d", FILE_VIDEO},     {"mka", FILE_AUDIO},         {"mkv", FILE_VIDEO},
    {"mobi", FILE_DOCUMENT},  {"mod", FILE_AUDIO},         {"mov", FILE_VIDEO},
    {"mp1", FILE_AUDIO},      {"mp2", FILE_AUDIO},         {"mp3", FILE_AUDIO},
    {"mp4", FILE_VIDEO},      {"mpa", FILE_AUDIO},         {"mpc", FILE_AUDIO},
    {"mpe", FILE_VIDEO},      {"mpeg", FILE_VIDEO},        {"mpg", FILE_VIDEO},
    {"mpv", FILE_VIDEO},      {"msi", FILE_SOFTWARE},      {"msix", FILE_SOFTWARE},
    {"msu", FILE_SOFTWARE},   {"mts", FILE_VIDEO},         {"mxf", FILE_VIDEO},
    {"nef", FILE_IMAGE},      {"nes", FILE_SOFTWARE},      {"nfo", FILE_DOCUMENT},
    {"nrg", FILE_SOFTWARE},   {"nsv", FILE_VIDEO},         {"numbers", FILE_DOCUMENT},
    {"odg", FILE_DOCUMENT},   {"odp", FILE_DOCUMENT},      {"ods", FILE_DOCUMENT},
    {"odt", FILE_DOCUMENT},   {"oga", FILE_AUDIO},         {"ogg", FILE_AUDIO},
    {"ogm", FILE_VIDEO},      {"ogv", FILE_VIDEO},         {"opus", FILE_AUDIO},
    {"orf", FILE_IMAGE},      {"org", FILE_DOCUMENT},      {"pages", FILE_DOCUMENT},
    {"par2", FILE_ARCHIVE},   {"pbm", FILE_IMAGE},         {"pcx", FILE_IMAGE},
    {"pdf", FILE_DOCUMENT},   {"pgm", FILE_IMAGE},         {"pkg", FILE_SOFTWARE},
    {"pls", FILE_AUDIO},      {"png", FILE_IMAGE},         {"pnm", FILE_IMAGE},
    {"pot", FILE_DOCUMENT},   {"ppm", FILE_IMAGE},         {"pps", FILE_DOCUMENT},
    {"ppsx", FILE_DOCUMENT},  {"ppt", FILE_DOCUMENT},      {"pptx", FILE_DOCUMENT},
    {"prc", FILE_DOCUMENT},   {"ps", FILE_DOCUMENT},       {"ps1", FILE_SOFTWARE},
    {"psd", FILE_IMAGE},      {"py", FILE_SOFTWARE},       {"pyz", FILE_SOFTWARE},
    {"qoi", FILE_IMAGE},      {"qt", FILE_VIDEO},          {"ra", FILE_AUDIO},
    {"raf", FILE_IMAGE},      {"ram", FILE_AUDIO},         {"rar", FILE_ARCHIVE},
    {"raw", FILE_IMAGE},      {"rb", FILE_SOFTWARE},       {"rm", FILE_VIDEO},
    {"rmvb", FILE_VIDEO},     {"rom", FILE_SOFTWARE},      {"rpm", FILE_SOFTWARE},
    {"rst", FILE_DOCUMENT},   {"rtf", FILE_DOCUMENT},      {"run", FILE_SOFTWARE},
    {"rw2", FILE_IMAGE},      {"s3m", FILE_AUDIO},         {"sh", FILE_SOFTWARE},
    {"sit", FILE_ARCHIVE},    {"sitx", FILE_ARCHIVE},      {"snap", FILE_SOFTWARE},
    {"snd", FILE_AUDIO},      {"so", FILE_SOFTWARE},       {"spx", FILE_AUDIO},
    {"srt", FILE_VIDEO},      {"ssa", FILE_VIDEO},         {"sub", FILE_VIDEO},
    {"svg", FILE_IMAGE},      {"svgz", FILE_IMAGE},        {"swf", FILE_VIDEO},
    {"sys", FILE_SOFTWARE},   {"tak", FILE_AUDIO},         {"tar", FILE_ARCHIVE},
    {"tbz", FILE_ARCHIVE},    {"tbz2", FILE_ARCHIVE},      {"tex", FILE_DOCUMENT},
    {"tga", FILE_IMAGE},      {"tgz", FILE_ARCHIVE},       {"tif", FILE_IMAGE},
    {"tiff", FILE_IMAGE},     {"tlz", FILE_ARCHIVE},       {"ts", FILE_VIDEO},
    {"tta", FILE_AUDIO},      {"txt", FILE_DOCUMENT},      {"txz", FILE_ARCHIVE},
    {"tzst", FILE_ARCHIVE},   {"vbs", FILE_SOFTWARE},      {"vcf", FILE_DOCUMENT},
    {"vdi", FILE_SOFTWARE},   {"vhd", FILE_SOFTWARE},      {"vhdx", FILE_SOFTWARE},
    {"vmdk", FILE_SOFTWARE},  {"vob", FILE_VIDEO},         {"voc", FILE_AUDIO},
    {"vtt", FILE_VIDEO},      {"war", FILE_SOFTWARE},      {"wasm", FILE_SOFTWARE},
    {"wav", FILE_AUDIO},      {"weba", FILE_AUDIO},        {"webm", FILE_VIDEO},
    {"webp", FILE_IMAGE},     {"whl", FILE_SOFTWARE},      {"wma", FILE_AUDIO},
    {"wmf", FILE_IMAGE},      {"wmv", FILE_VIDEO},         {"wpd", FILE_DOCUMENT},
    {"wps", FILE_DOCUMENT},   {"wv", FILE_AUDIO},          {"xbm", FILE_IMAGE},
    {"xcf", FILE_IMAGE},      {"xhtml", FILE_DOCUMENT},    {"xls", FILE_DOCUMENT},
    {"xlsm", FILE_DOCUMENT},  {"xlsx", FILE_DOCUMENT},     {"xm", FILE_AUDIO},
    {"xml", FILE_DOCUMENT},   {"xpi", FILE_SOFTWARE},      {"xpm", FILE_IMAGE},
    {"xps", FILE_DOCUMENT},   {"xz", FILE_ARCHIVE},        {"y4m", FILE_VIDEO},
    {"yaml", FILE_DOCUMENT},  {"yml", FILE_DOCUMENT},      {"z", FILE_ARCHIVE},
    {"zip", FILE_ARCHIVE},    {"zipx", FILE_ARCHIVE},      {"zst", FILE_ARCHIVE},
};

struct slice file_extension(struct slice name) {
    size_t at = name.len;
    while (at > 0 && name.len - at <= EXTENSION_BYTES_MAX && name.data[at - 1] != '.' &&
           name.data[at - 1] != ' ') {
        at--;
    }
    bool is_one = at >= 2 && name.data[at - 1] == '.' && at < name.len &&
                  name.len - at <= EXTENSION_BYTES_MAX;
    return is_one ? (struct slice){name.data + at, name.len - at} : (struct slice){0};
}

/* Bytes as a number that sorts as they do (in one expression: compilers make it one load). */
static inline uint64_t sort_key(const char text[KNOWN_BYTES]) {
    const uint8_t *b = (const uint8_t *)text;
    return (uint64_t)b[0] << 56 | (uint64_t)b[1] << 48 | (uint64_t)b[2] << 40 |
           (uint64_t)b[3] << 32 | (uint64_t)b[4] << 24 | (uint64_t)b[5] << 16 |
           (uint64_t)b[6] << 8 | (uint64_t)b[7];
}

enum file_type file_type_of(struct slice extension) {
    char text[KNOWN_BYTES] = {0};
    if (extension.len > sizeof text) {
        return FILE_OTHER;
    }
    for (size_t i = 0; i < extension.len; i++) {
        uint8_t byte = extension.data[i];
        text[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
    }
    uint64_t wanted = sort_key(text);
    const struct extension *at = extensions;
    for (size_t left = sizeof extensions / sizeof *extensions; left > 1; left -= left / 2) {
        at += sort_key(at[left / 2].text) <= wanted ? left / 2 : 0;
    }
    return sort_key(at->text) == wanted ? at->type : FILE_OTHER;
}

const char *file_type_name(enum file_type type) {
    static const char *const names[FILE_TYPES] = {
        [FILE_AUDIO] = "audio",       [FILE_VIDEO] = "video",     [FILE_IMAGE] = "image",
        [FILE_DOCUMENT] = "document", [FILE_ARCHIVE] = "archive", [FILE_SOFTWARE] = "software",
        [FILE_OTHER] = "other",
    };
    return names[type];
}
