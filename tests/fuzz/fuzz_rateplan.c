/* fuzz_rateplan.c - any text as a limit on traffic: what is accepted is written and read the same.
 */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/rateplan.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = mem_new(size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct rate_row row, back;
    const char *why = NULL, *at = NULL;
    enum err err = rate_row_parse(&row, text, &why, &at);
    CHECK(at >= text && at <= text + strlen(text));
    CHECK(err == OK || (err == ERR_CONFIG && why != NULL));
    if (err == OK) {
        char written[RATE_TEXT_BYTES];
        rate_row_format(written, &row);
        CHECK(strlen(written) < RATE_TEXT_BYTES - 1);
        CHECK(rate_row_parse(&back, written, &why, &at) == OK);
        CHECK(back.days == row.days && back.from == row.from && back.to == row.to);
        CHECK(memcmp(&back.rates, &row.rates, sizeof row.rates) == 0);
        struct rateplan plan = {0};
        CHECK(rateplan_add(&plan, &row) == OK);
        for (uint32_t minute = 0; minute < WEEK_MINUTES; minute += 60) {
            struct rates rates = rateplan_at(&plan, minute);
            for (int kind = 0; kind < RATE_KINDS; kind++) {
                CHECK(rates.of[kind] == 0 || rates.of[kind] == row.rates.of[kind]);
            }
        }
    }
    mem_free(text);
    return 0;
}
