/* places.c - where state, configuration and downloads live when nobody says (XDG base folders). */
#include "src/host/places.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/failure.h"

const char *places_home(void) {
    const char *home = getenv("HOME");
    if (home != NULL && home[0] == '/') {
        return home;
    }
    const struct passwd *user = getpwuid(getuid());
    return user != NULL && user->pw_dir != NULL && user->pw_dir[0] == '/' ? user->pw_dir : NULL;
}

/* The variable's folder, or `below` the home folder; the specification ignores relative values. */
static enum err base(const char *variable, const char *below, char path[PATH_MAX],
                     struct host_error *error) {
    const char *value = getenv(variable);
    const char *home = places_home();
    int len = -1;
    if (value != NULL && value[0] == '/') {
        len = snprintf(path, PATH_MAX, "%s", value);
    } else if (home != NULL) {
        len = snprintf(path, PATH_MAX, "%s/%s", home, below);
    } else {
        return fail(error, ERR_CONFIG, "there is no home folder; say where with --dir FOLDER");
    }
    return len < PATH_MAX ? OK : fail(error, ERR_CONFIG, "%s: the path is too long", variable);
}

static enum err join(const char *folder, const char *program, const char *ending,
                     char path[PATH_MAX], struct host_error *error) {
    const char *slash = program[0] == '\0' ? "" : "/";
    int len = snprintf(path, PATH_MAX, "%s/trunkline%s%s%s", folder, slash, program, ending);
    return len < PATH_MAX ? OK : fail(error, ERR_CONFIG, "%.200s: the path is too long", folder);
}

enum err places_state(const char *program, char path[PATH_MAX], struct host_error *error) {
    char folder[PATH_MAX];
    enum err err = base("XDG_STATE_HOME", ".local/state", folder, error);
    return err != OK ? err : join(folder, program, "", path, error);
}

enum err places_config(const char *program, char path[PATH_MAX], struct host_error *error) {
    char folder[PATH_MAX];
    enum err err = base("XDG_CONFIG_HOME", ".config", folder, error);
    return err != OK ? err : join(folder, program, ".ini", path, error);
}

enum err places_downloads(char path[PATH_MAX], struct host_error *error) {
    char folder[PATH_MAX];
    enum err err = base("XDG_DOWNLOAD_DIR", "Downloads", folder, error);
    return err != OK ? err : join(folder, "", "", path, error);
}

char *places_program(const char *program) {
    static const char *const places[] = {"", "../libexec/trunkline/"};
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL) {
        return NULL;
    }
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        size_t size = strlen(self) + strlen(places[i]) + strlen(program) + 1;
        char *path = mem_new(size);
        snprintf(path, size, "%s%s%s", self, places[i], program);
        if (access(path, X_OK) == 0) {
            return path;
        }
        mem_free(path);
    }
    return NULL;
}
