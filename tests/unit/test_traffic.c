/* test_traffic.c - messages are counted by type, and every type that is spoken has its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/traffic.h"
#include "common/wire.h"

static void test_every_message_has_a_place_of_its_own(void **state) {
    (void)state;
    const struct message_info *info;
    uint32_t count = 0;
    for (; (info = wire_message_at(count)) != NULL; count++) {
        assert_int_equal(wire_message_place((uint8_t)info->type), count);
        assert_ptr_equal(wire_message_info((uint8_t)info->type), info);
    }
    assert_in_range(count, 20, TRAFFIC_TYPES);
    assert_int_equal(wire_message_place(255), UINT32_MAX);
}

static void test_it_reports_what_it_counted(void **state) {
    (void)state;
    struct traffic traffic = {0};
    struct outbox out = {0};
    traffic_sent(&traffic, MSG_QUERY, 100);
    traffic_sent(&traffic, MSG_QUERY, 50);
    traffic_received(&traffic, MSG_QUERY, 7);
    traffic_received(&traffic, MSG_HITS, 1000);
    traffic_report(&traffic, &out, 1);
    static const struct {
        const char *key;
        uint64_t numbers[2]; /* of QUERY, of HITS */
    } wanted[] = {{"sent", {2, 0}},
                  {"sent_bytes", {150, 0}},
                  {"received", {1, 1}},
                  {"received_bytes", {7, 1000}}};
    uint32_t reports = 0;
    for (uint32_t i = 0; i < out.count; i++) {
        struct slice fields = outbox_bytes(&out, &out.actions[i]);
        struct report_field field;
        uint32_t seen = 0;
        while (report_next(&fields, &field)) {
            for (size_t j = 0; j < sizeof wanted / sizeof *wanted; j++) {
                if (field.key.len == strlen(wanted[j].key) &&
                    memcmp(field.key.data, wanted[j].key, field.key.len) == 0) {
                    assert_int_equal(field.number, wanted[j].numbers[reports]);
                    seen++;
                }
            }
        }
        assert_int_equal(seen, 4);
        reports++;
    }
    assert_int_equal(reports, 2);
    outbox_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_has_a_place_of_its_own),
        cmocka_unit_test(test_it_reports_what_it_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
