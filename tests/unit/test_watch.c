/* test_watch.c - who is told of a changed folder; what is said when the kernel has lost count, or
 * has nothing to give. */
#include <dlfcn.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "src/host/watch.h"
#include "tests/unit/hostlib.h"

struct scene {
    struct event_base *base;
    struct watch *watch;
    char folders[2][64];
    int numbers[2];
    int owners[2]; /* their addresses are */
    uint32_t told[2];
    uint32_t told_all;
};

static void on_changed(void *context, void *owner) {
    struct scene *scene = context;
    for (int i = 0; i < 2; i++) {
        scene->told[i] += owner == &scene->owners[i];
    }
    scene->told_all += owner == NULL;
}

static void listen_on(struct scene *scene) {
    scene->told[0] = scene->told[1] = scene->told_all = 0;
    event_base_loop(scene->base, EVLOOP_NONBLOCK);
}

static void scene_init(struct scene *scene) {
    static const struct log silent;
    *scene = (struct scene){.base = event_base_new()};
    scene->watch = watch_new(scene->base, &silent, on_changed, scene);
    for (int i = 0; i < 2; i++) {
        folder_make_temporary(scene->folders[i]);
        int fd = open(scene->folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        scene->numbers[i] = watch_folder(scene->watch, fd);
        close(fd);
        watch_keep(scene->watch, &scene->owners[i], &scene->numbers[i], 1);
    }
}

static void scene_free(struct scene *scene) {
    watch_free(scene->watch);
    event_base_free(scene->base);
    folder_remove(scene->folders[0]);
    folder_remove(scene->folders[1]);
}

static void put(const struct scene *scene, int folder, uint32_t number) {
    char path[100];
    snprintf(path, sizeof path, "%s/%u", scene->folders[folder], number);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void the_owner_is_told(void **state) {
    (void)state;
    struct scene scene;
    scene_init(&scene);
    assert_true(scene.numbers[0] >= 0);
    put(&scene, 1, 0);
    listen_on(&scene);
    assert_true(scene.told[1] > 0 && scene.told[0] == 0 && scene.told_all == 0);
    watch_keep(scene.watch, &scene.owners[1], NULL, 0); /* not any more */
    put(&scene, 1, 1);
    listen_on(&scene);
    assert_true(scene.told[1] == 0 && scene.told_all == 0);
    scene_free(&scene);
}

/* More has happened than the kernel keeps: nobody knows where, so that all look everywhere. */
static void when_events_are_lost_all_are_told(void **state) {
    (void)state;
    struct scene scene;
    unsigned most = 0;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    assert_int_equal(file != NULL && fscanf(file, "%u", &most) == 1, 1);
    fclose(file);
    scene_init(&scene);
    for (uint32_t i = 0; i <= most / 2; i++) { /* each is made, and closed */
        put(&scene, 0, i);
    }
    put(&scene, 1, 0); /* this one is lost */
    listen_on(&scene);
    for (int i = 0; i < 100 && scene.told_all == 0; i++) {
        event_base_loop(scene.base, EVLOOP_NONBLOCK);
    }
    assert_int_equal(scene.told[1], 0);
    assert_int_equal(scene.told_all, 1);
    scene_free(&scene);
}

static bool has_none;

int inotify_init1(int flags) {
    typedef int real_fn(int);
    real_fn *real = (real_fn *)(uintptr_t)dlsym(RTLD_NEXT, "inotify_init1");
    if (has_none) {
        errno = EMFILE;
        return -1;
    }
    return real(flags);
}

/* As for a folder beyond max_user_watches the answer is that it is not watched; unit_library shows
 * what becomes of such. */
static void a_system_without_watches_is_none(void **state) {
    (void)state;
    struct scene scene;
    has_none = true;
    scene_init(&scene);
    has_none = false;
    assert_null(scene.watch);
    assert_int_equal(scene.numbers[0], -1);
    scene_free(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_is_told),
        cmocka_unit_test(when_events_are_lost_all_are_told),
        cmocka_unit_test(a_system_without_watches_is_none),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
