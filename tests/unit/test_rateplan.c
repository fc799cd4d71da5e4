/* test_rateplan.c - limits by the hours of the week: what is read, what is refused, what holds. */
#include "tests/unit/testlib.h"

#include "common/rateplan.h"

#define K 1024ull
#define M (1024 * K)

enum { MON, TUE, WED, THU, FRI, SAT, SUN };

static uint32_t at(uint32_t day, uint32_t hour, uint32_t minute) {
    return day * DAY_MINUTES + hour * 60 + minute;
}

static struct rate_row read(const char *text) {
    struct rate_row row;
    const char *why, *where;
    if (rate_row_parse(&row, text, &why, &where) != OK) {
        fail_msg("`%s`: %s at `%s`", text, why, where);
    }
    return row;
}

static void add(struct rateplan *plan, const char *text) {
    struct rate_row row = read(text);
    assert_int_equal(rateplan_add(plan, &row), OK);
}

static uint64_t rate(const struct rateplan *plan, uint32_t minute, enum rate_kind kind) {
    return rateplan_at(plan, minute).of[kind];
}

static void rows_are_read(void **state) {
    (void)state;
    struct rate_row row = read("  Mon-Fri 08:00-18:00 up=500K DOWN=2M\t");
    assert_int_equal(row.days, 0x1f);
    assert_int_equal(row.from, 480);
    assert_int_equal(row.to, 1080);
    assert_int_equal(row.rates.of[RATE_UP], 500 * K);
    assert_int_equal(row.rates.of[RATE_DOWN], 2 * M);
    assert_true(row.rates.of[RATE_OVERLAY] == RATE_UNSET);
    assert_int_equal(read("sat,sun uploads=none").days, 0x60);
    assert_int_equal(read("fri-mon,wed overlay=10k").days, 0x75);
    assert_int_equal(read("22:00-24:00 downloads=1.5M").to, 1440);
    assert_true(rate_row_is_always(&(struct rate_row){.days = ALL_DAYS}));
    assert_int_equal(read("22:00-24:00 up=1M").days, ALL_DAYS); /* found by fuzz_rateplan */
    row = read("up=4096");
    assert_true(rate_row_is_always(&row));
}

static void nonsense_is_refused_where_it_stands(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *where;
        const char *why;
    } rows[] = {
        {"", "", "names no limit"},
        {"mon-fri 08:00-18:00", "", "names no limit"},
        {"moon up=1M", "moon", "expected [mon-fri]"},
        {"mon- up=1M", "mon-", "expected [mon-fri]"},
        {"mon, up=1M", "mon,", "expected [mon-fri]"},
        {"8:00-18:00 up=1M", "8:00-18:00", "expected [mon-fri]"},
        {"08:00-18:60 up=1M", "08:00-18:60", "expected [mon-fri]"},
        {"08:00-25:00 up=1M", "08:00-25:00", "expected [mon-fri]"},
        {"24:00-08:00 up=1M", "24:00-08:00", "expected [mon-fri]"},
        {"08:00-08:00 up=1M", "08:00-08:00", "expected [mon-fri]"},
        {"08:00-09:00 mon up=1M", "mon up=1M", "expected [mon-fri]"},
        {"up=1M mon", "mon", "expected [mon-fri]"},
        {"up=fast", "up=fast", "bytes per second"},
        {"up=1K", "up=1K", "bytes per second from 4K"},
        {"up=101G", "up=101G", "to 100G"},
        {"up=", "up=", "bytes per second"},
        {"sideways=1M", "sideways=1M", "the limits are up, down"},
        {"=1M", "=1M", "the limits are up, down"},
        {"up=1M up=2M", "up=2M", "twice"},
        {"uppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp=1M", "uppp",
         "too long"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rate_row row;
        const char *why, *where;
        assert_int_equal(rate_row_parse(&row, rows[i].text, &why, &where), ERR_CONFIG);
        assert_non_null(strstr(why, rows[i].why));
        assert_int_equal(strncmp(where, rows[i].where, strlen(rows[i].where)), 0);
    }
}

static void what_is_written_is_read_again(void **state) {
    (void)state;
    static const char *const texts[] = {
        "up=500K down=2M",
        "mon,tue,wed,thu,fri 08:00-18:00 up=500K",
        "sat,sun up=none overlay=4097",
        "22:30-06:15 up=1G down=107374182400 uploads=3M downloads=4K overlay=1000000",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[RATE_TEXT_BYTES], again[RATE_TEXT_BYTES];
        struct rate_row row = read(texts[i]);
        rate_row_format(text, &row);
        struct rate_row back = read(text);
        rate_row_format(again, &back);
        assert_string_equal(text, again);
        assert_memory_equal(&row.rates, &back.rates, sizeof row.rates);
        assert_true(row.days == back.days && row.from == back.from && row.to == back.to);
        assert_string_equal(text, i == 3 ? "22:30-06:15 up=1G down=100G uploads=3M downloads=4K "
                                           "overlay=1000000"
                                         : texts[i]);
    }
    char text[RATE_TEXT_BYTES];
    struct rates rates = {{[RATE_UP] = 500 * K}};
    rates_format(text, &rates);
    assert_string_equal(text, "up=500K");
    rates_format(text, &(struct rates){0});
    assert_string_equal(text, "none");
}

static void the_week_has_its_hours(void **state) {
    (void)state;
    struct rateplan plan = {0};
    add(&plan, "mon-fri 08:00-18:00 up=500K down=2M");
    add(&plan, "up=5M"); /* whatever the order, what holds always gives way */
    assert_int_equal(rate(&plan, at(MON, 7, 59), RATE_UP), 5 * M);
    assert_int_equal(rate(&plan, at(MON, 8, 0), RATE_UP), 500 * K);
    assert_int_equal(rate(&plan, at(FRI, 17, 59), RATE_UP), 500 * K);
    assert_int_equal(rate(&plan, at(FRI, 18, 0), RATE_UP), 5 * M);
    assert_int_equal(rate(&plan, at(SAT, 12, 0), RATE_UP), 5 * M);
    assert_int_equal(rate(&plan, at(TUE, 12, 0), RATE_DOWN), 2 * M);
    assert_int_equal(rate(&plan, at(SUN, 12, 0), RATE_DOWN), 0);
    add(&plan, "wed 12:00-13:00 up=none"); /* the last one counts */
    assert_int_equal(rate(&plan, at(WED, 12, 30), RATE_UP), 0);
    assert_int_equal(rate(&plan, at(WED, 12, 30), RATE_DOWN), 2 * M);
    assert_int_equal(rate(&plan, at(WED, 13, 0), RATE_UP), 500 * K);
}

static void nights_end_on_the_next_day(void **state) {
    (void)state;
    struct rateplan plan = {0};
    add(&plan, "fri,sun 22:00-06:00 up=1M");
    assert_int_equal(rate(&plan, at(FRI, 5, 0), RATE_UP), 0);
    assert_int_equal(rate(&plan, at(FRI, 22, 0), RATE_UP), M);
    assert_int_equal(rate(&plan, at(SAT, 5, 59), RATE_UP), M);
    assert_int_equal(rate(&plan, at(SAT, 6, 0), RATE_UP), 0);
    assert_int_equal(rate(&plan, at(SAT, 23, 0), RATE_UP), 0);
    assert_int_equal(rate(&plan, at(SUN, 23, 59), RATE_UP), M);
    assert_int_equal(rate(&plan, at(MON, 0, 0), RATE_UP), M); /* the week begins anew */
    assert_int_equal(rate(&plan, at(MON, 6, 0), RATE_UP), 0);
    add(&plan, "tue 18:00-24:00 down=1M");
    assert_int_equal(rate(&plan, at(TUE, 23, 59), RATE_DOWN), M);
    assert_int_equal(rate(&plan, at(WED, 0, 0), RATE_DOWN), 0);
    add(&plan, "03:00-04:00 uploads=1M"); /* every day */
    assert_int_equal(rate(&plan, at(MON, 3, 30), RATE_UPLOADS), M);
    assert_int_equal(rate(&plan, at(SUN, 3, 30), RATE_UPLOADS), M);
    assert_int_equal(rate(&plan, at(SUN, 4, 0), RATE_UPLOADS), 0);
    add(&plan, "thu overlay=8K");
    assert_int_equal(rate(&plan, at(THU, 0, 0), RATE_OVERLAY), 8 * K);
    assert_int_equal(rate(&plan, at(FRI, 0, 0), RATE_OVERLAY), 0);
}

static void the_same_time_is_one_row(void **state) {
    (void)state;
    struct rateplan plan = {0};
    add(&plan, "up=1M down=1M");
    add(&plan, "up=2M");
    assert_int_equal(plan.count, 1);
    assert_int_equal(rate(&plan, 0, RATE_UP), 2 * M);
    assert_int_equal(rate(&plan, 0, RATE_DOWN), M);
    for (uint32_t i = 1; i < RATE_ROWS_MAX; i++) {
        char text[64];
        snprintf(text, sizeof text, "%02u:00-23:30 up=1M", i);
        add(&plan, text);
    }
    struct rate_row more = read("mon up=1M");
    assert_int_equal(rateplan_add(&plan, &more), ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read),
        cmocka_unit_test(nonsense_is_refused_where_it_stands),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(the_week_has_its_hours),
        cmocka_unit_test(nights_end_on_the_next_day),
        cmocka_unit_test(the_same_time_is_one_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
