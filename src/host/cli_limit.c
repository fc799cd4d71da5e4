/* cli_limit.c - limits on traffic: collected at the start, shown and changed while a node runs. */
#include "src/host/cli_limit.h"

#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/units.h"
#include "src/host/failure.h"

/* ---- At the start ---- */

static enum err add_row(struct rateplan *plan, const struct rate_row *row,
                        struct host_error *error) {
    if (rateplan_add(plan, row) != OK) {
        return fail(error, ERR_CONFIG, "more than %d limits for different times; name fewer",
                    RATE_ROWS_MAX);
    }
    return OK;
}

enum err cli_limit_collect(struct cli_node *node, struct host_error *error) {
    const struct settings *settings = &node->cli->settings;
    struct rate_row row = {.days = ALL_DAYS};
    enum err err = OK;
    for (int kind = 0; kind < RATE_KINDS; kind++) {
        row.rates.of[kind] = RATE_UNSET;
    }
    row.rates.of[RATE_UPLOADS] = settings->upload_rate;
    if (settings->upload_rate != 0) {
        err = add_row(&node->limits, &row, error);
    }
    for (uint32_t i = 0; i < settings->limits.count && err == OK; i++) {
        const char *why, *at;
        CHECK(rate_row_parse(&row, settings->limits.values[i], &why, &at) == OK); /* was checked */
        err = add_row(&node->limits, &row, error);
    }
    node->config.limits = &node->limits;
    return err;
}

/* ---- In the running program ---- */

static void report_traffic(struct outbox *out, const struct driver_counts *counts) {
    static const char *const keys[TRAFFICS][DIRECTIONS] = {
        [TRAFFIC_FILES] = {"files_out_bytes", "files_in_bytes"},
        [TRAFFIC_OVERLAY] = {"overlay_out_bytes", "overlay_in_bytes"}};
    report_begin(out, 0, "traffic");
    for (enum traffic_class traffic = 0; traffic < TRAFFICS; traffic++) {
        for (enum direction direction = 0; direction < DIRECTIONS; direction++) {
            report_number(out, keys[traffic][direction], counts->wire[direction][traffic]);
        }
    }
}

static void show(const struct cli_node *node, struct buf *lines) {
    const struct rateplan *plan = host_limits(node->node);
    struct rates rates = host_rates(node->node);
    struct outbox out = {0};
    char text[RATE_TEXT_BYTES];
    rates_format(text, &rates);
    report_begin(&out, 0, "now");
    report_text(&out, "limits", text);
    for (int kind = 0; kind < RATE_KINDS; kind++) {
        report_number(&out, rate_kinds[kind], rates.of[kind]);
    }
    report_traffic(&out, host_counts(node->host));
    for (uint32_t i = 0; i < plan->count; i++) {
        rate_row_format(text, &plan->rows[i]);
        report_begin(&out, 0, "limit");
        report_text(&out, "text", text);
    }
    for (uint32_t i = 0; i < out.count; i++) {
        control_json_report(lines, outbox_bytes(&out, &out.actions[i]));
    }
    outbox_free(&out);
}

static enum err change(const struct cli_node *node, const char *text, struct host_error *error) {
    struct rateplan plan = *host_limits(node->node);
    struct rate_row row;
    const char *why, *at;
    if (strcmp(text, "none") == 0) {
        plan.count = 0;
    } else if (rate_row_parse(&row, text, &why, &at) != OK) {
        return fail(error, ERR_CONFIG, "limit `%.150s`, at `%.*s`: %s", text,
                    (int)strcspn(at, " \t"), at, why);
    } else if (add_row(&plan, &row, error) != OK) {
        return error->err;
    }
    host_limit(node->node, &plan);
    return OK;
}

bool cli_limit_answer(struct cli_node *node, const struct control_request *request,
                      struct buf *lines, struct host_error *error) {
    const char *text = control_json_argument(request, "limit");
    if (strcmp(request->name, "limit") != 0) {
        return false;
    }
    if (text == NULL || change(node, text, error) == OK) {
        show(node, lines);
    }
    return true;
}

/* ---- The command ---- */

static void print_traffic(const json_t *object) {
    char out[UNITS_TEXT_BYTES], in[UNITS_TEXT_BYTES];
    units_bytes(out, client_number(object, "files_out_bytes"));
    units_bytes(in, client_number(object, "files_in_bytes"));
    printf("moved  files %s out, %s in", out, in);
    units_bytes(out, client_number(object, "overlay_out_bytes"));
    units_bytes(in, client_number(object, "overlay_in_bytes"));
    printf("; overlay %s out, %s in\n", out, in);
}

static bool print_line(void *context, const json_t *object, const char *text) {
    const struct cli *cli = context;
    const char *kind = client_text(object, "kind");
    if (cli->settings.json) {
        puts(text);
    } else if (strcmp(kind, "now") == 0) {
        printf("now    %s\n", client_text(object, "limits"));
    } else if (strcmp(kind, "traffic") == 0) {
        print_traffic(object);
    } else if (strcmp(kind, "limit") == 0) {
        printf("limit  %s\n", client_text(object, "text"));
    }
    return true;
}

int cli_limit(struct cli *cli) {
    const struct option_list *words = &cli->options.words;
    struct host_error error = {0};
    struct buf text = {0};
    for (uint32_t i = 0; i < words->count; i++) {
        buf_append(&text, words->values[i], strlen(words->values[i]));
        buf_u8(&text, i + 1 < words->count ? ' ' : '\0');
    }
    struct command_arg arg = {"limit", (const char *)text.data};
    struct client_call call = {.command = "limit",
                               .args = &arg,
                               .count = words->count > 0 ? 1 : 0,
                               .line = print_line,
                               .context = cli};
    int code = cli_call(cli, &call, &error) == OK ? CLI_OK : cli_fail(cli, &error);
    buf_free(&text);
    return code;
}
