/* test_extract.c - media files made by code, read by the program in its sandbox; what that may not.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/facts.h"
#include "src/extract/media.h"
#include "src/extract/protocol.h"
#include "src/extract/sandbox.h"
#include "tests/unit/hostlib.h"
#include "tests/unit/media_make.h"

struct extractor {
    pid_t pid;
    int fd;
    bool has_library;
};

static struct extractor extractor_start(void) {
    int ends[2];
    uint8_t hello[8];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    struct extractor extractor = {.pid = fork(), .fd = ends[0]};
    assert_true(extractor.pid >= 0);
    if (extractor.pid == 0) {
        dup2(ends[1], 0);
        execl(BIN_DIR "/" EXTRACT_PROGRAM, EXTRACT_PROGRAM, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    assert_int_equal(recv(extractor.fd, hello, sizeof hello, 0), 2);
    assert_int_equal(hello[0], EXTRACT_HELLO);
    extractor.has_library = hello[1] == 1;
    return extractor;
}

/* Its end is what it says when there is no more to read. */
static void extractor_stop(struct extractor *extractor) {
    int status = 0;
    close(extractor->fd);
    assert_int_equal(waitpid(extractor->pid, &status, 0), extractor->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void extractor_ask(const struct extractor *extractor, int file) {
    uint8_t type = EXTRACT_READ;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {&type, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof file), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &file, sizeof file);
    assert_int_equal(sendmsg(extractor->fd, &message, 0), 1);
}

/* What the program says of these bytes; `packet` keeps the texts. */
static struct file_facts read_facts(const struct extractor *extractor, const struct buf *bytes,
                                    uint8_t packet[EXTRACT_PACKET_MAX]) {
    int file = memfd_create("media", MFD_CLOEXEC);
    assert_int_equal(write(file, bytes->data, bytes->len), bytes->len);
    extractor_ask(extractor, file);
    ssize_t got = recv(extractor->fd, packet, EXTRACT_PACKET_MAX, 0);
    close(file);
    assert_true(got >= 1 && packet[0] == EXTRACT_ANSWER);
    struct file_record record = {.meta = {packet + 1, (size_t)got - 1}};
    assert_int_equal(wire_tlvs_check(record.meta), OK);
    struct file_facts facts;
    file_facts_read(&record, &facts);
    return facts;
}

struct expected {
    const char *kind;
    void (*make)(struct buf *out);
    const char *title; /* NULL = libextractor reads the usual one */
    const char *artist;
    const char *album;
    uint32_t year, kbit, seconds, width, height;
};

static void make_long_mp3(struct buf *out) {
    make_mp3(out, 60);
}

static const struct expected seven[] = {
    {"mp3", make_long_mp3, "Blue Whale Song", "The Cetaceans", "Deep Water", 1997, 256, 60, 0, 0},
    {"ogg", make_ogg, "Blue Whale Song", "The Cetaceans", "Deep Water", 1997, 192, 120, 0, 0},
    {"flac", make_flac, "Blue Whale Song", "The Cetaceans", "Deep Water", 1997, 800, 10, 0, 0},
    {"pdf", make_pdf, "Blue Whale Song", "The Cetaceans", "", 1997, 0, 0, 0, 0},
    {"png", make_png, NULL, "", "", 0, 0, 0, 640, 480},
    {"jpeg", make_jpeg, "", "", "", 0, 0, 0, 1024, 768},
    {"mp4", make_mp4, "Blue Whale Song", "The Cetaceans", "", 1997, 18, 90, 1280, 720},
    {"gif", make_gif, "", "", "", 0, 0, 0, 320, 200},
};

static void check_text(const char *kind, struct slice text, const char *wanted) {
    if (text.len != strlen(wanted) || (text.len > 0 && memcmp(text.data, wanted, text.len) != 0)) {
        fail_msg("%s: `%.*s` instead of `%s`", kind, (int)text.len, (const char *)text.data,
                 wanted);
    }
}

static void formats_are_read(void **state) {
    (void)state;
    struct extractor extractor = extractor_start();
    for (size_t i = 0; i < sizeof seven / sizeof *seven; i++) {
        const struct expected *wanted = &seven[i];
        struct buf bytes = {0};
        uint8_t packet[EXTRACT_PACKET_MAX];
        const char *title = wanted->title != NULL   ? wanted->title
                            : extractor.has_library ? "Blue Whale Song"
                                                    : "";
        wanted->make(&bytes);
        struct file_facts facts = read_facts(&extractor, &bytes, packet);
        check_text(wanted->kind, facts.texts[TEXT_TITLE], title);
        check_text(wanted->kind, facts.texts[TEXT_ARTIST], wanted->artist);
        check_text(wanted->kind, facts.texts[TEXT_ALBUM], wanted->album);
        assert_int_equal(facts.numbers[NUMBER_YEAR], wanted->year);
        assert_int_equal(facts.numbers[NUMBER_BITRATE], wanted->kbit);
        assert_int_equal(facts.numbers[NUMBER_DURATION], wanted->seconds);
        assert_int_equal(facts.numbers[NUMBER_WIDTH], wanted->width);
        assert_int_equal(facts.numbers[NUMBER_HEIGHT], wanted->height);
        buf_free(&bytes);
    }
    extractor_stop(&extractor);
}

/* Cut anywhere, or with any byte turned: an answer comes all the same, from the same process. */
static void damaged_files_are_read(void **state) {
    (void)state;
    struct extractor extractor = extractor_start();
    uint32_t salt = 1;
    for (size_t i = 0; i < sizeof seven / sizeof *seven; i++) {
        struct buf bytes = {0};
        uint8_t packet[EXTRACT_PACKET_MAX];
        seven[i].make(&bytes);
        size_t head = bytes.len < 400 ? bytes.len : 400;
        for (uint32_t round = 0; round < 60; round++) {
            struct buf damaged = {0};
            salt = salt * 1664525 + 1013904223;
            size_t cut = round % 2 == 0 ? 1 + salt % head : bytes.len;
            buf_append(&damaged, bytes.data, cut);
            damaged.data[(salt >> 8) % (cut < head ? cut : head)] ^= (uint8_t)(salt >> 16);
            read_facts(&extractor, &damaged, packet);
            buf_free(&damaged);
        }
        buf_free(&bytes);
    }
    extractor_stop(&extractor);
}

/* ---- The sandbox ---- */

/* Each returns true when the system let it through. */
static bool opens_socket(void) {
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

/* Files of this run; the attempts are forks, which know them too. */
static char kept[64], escaped[64];

static bool opens_for_writing(void) {
    return open(escaped, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
}

static bool opens_for_reading(void) {
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool starts_program(void) {
    char *const words[] = {(char *)"true", NULL};
    execv("/bin/true", words);
    return errno != EPERM;
}

static bool starts_process(void) {
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        _exit(0);
    }
    return pid > 0;
}

static bool maps_code(void) {
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static bool kills_parent(void) {
    return kill(getppid(), 0) == 0 || syscall(SYS_kill, 1, 0) == 0;
}

static bool removes_file(void) {
    return unlink(kept) == 0;
}

static bool raises_limit(void) {
    struct rlimit limit = {1000, 1000};
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static const struct {
    const char *name;
    bool (*attempt)(void);
} attempts[] = {
    {"socket", opens_socket},    {"open for writing", opens_for_writing},
    {"open", opens_for_reading}, {"exec", starts_program},
    {"clone", starts_process},   {"map code", maps_code},
    {"kill", kills_parent},      {"unlink", removes_file},
    {"setrlimit", raises_limit},
};

/* The status of a child that tries: 1 = it got through. */
static int status_of(bool (*attempt)(void), bool is_inside) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (is_inside && !sandbox_enter()) {
            _exit(99);
        }
        _exit(attempt() ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void nothing_gets_out(void **state) {
    (void)state;
    snprintf(kept, sizeof kept, "/tmp/trunkline-kept-%d", (int)getpid());
    snprintf(escaped, sizeof escaped, "/tmp/trunkline-escaped-%d", (int)getpid());
    int fd = open(kept, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        int status = status_of(attempts[i].attempt, true);
        if (status != 0) {
            fail_msg("%s: status %d", attempts[i].name, status);
        }
    }
    assert_int_equal(unlink(kept), 0);
    assert_int_equal(access(escaped, F_OK), -1);
}

/* Outside they work, or nothing was shown above. */
static void attempts_are_real(void **state) {
    (void)state;
    assert_int_equal(status_of(opens_socket, false), 1);
    assert_int_equal(status_of(opens_for_reading, false), 1);
    assert_int_equal(status_of(starts_process, false), 1);
    assert_int_equal(status_of(maps_code, false), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_are_read),
        cmocka_unit_test(damaged_files_are_read),
        cmocka_unit_test(nothing_gets_out),
        cmocka_unit_test(attempts_are_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
