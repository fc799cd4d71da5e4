/* cluster_report.c - what a run leaves behind: its result, one log of everything, a page with
 * plots. */
#include "src/cluster/cluster_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/units.h"
#include "src/cluster/cluster_liars.h"
#include "src/cluster/cluster_traffic.h"

#define GNUPLOT_MS 30000
#define LOG_LINE_BYTES 2048

/* ---- The result ---- */

bool report_is_good(const struct cluster *cluster, uint32_t untidy) {
    bool good = untidy == 0 && cluster->counts.crashes == 0 && cluster->counts.downloads_wrong == 0;
    for (uint32_t i = 0; i < cluster->spec.check_count; i++) {
        good = good && cluster->outcomes[i].is_held;
    }
    return good;
}

/* Figures of liars, where there are any. */
static void put_liars(const struct cluster *cluster, json_t *result) {
    const struct liars *liars = &cluster->liars;
    if (cluster->spec.liars.identities > 0) {
        json_object_set_new(result, "liar_identities", json_real(cluster->spec.liars.identities));
        json_object_set_new(result, "liar_epochs", json_real(liars->epochs));
        json_object_set_new(result, "liar_seat_share", json_real(liars_seats(liars)));
        json_object_set_new(result, "liar_seat_share_max", json_real(liars->seat_share_max));
        json_object_set_new(result, "liar_bandwidth_share", json_real(liars_bandwidth(liars)));
        json_object_set_new(result, "liar_ratio", json_real(liars_ratio(liars)));
    }
}

/* How often a peer has become a supernode. */
static double promotions(const struct cluster *cluster) {
    double sum = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        sum += cluster->members[i].promotions;
    }
    return sum;
}

json_t *report_json(struct cluster *cluster, uint32_t untidy) {
    const struct cluster_counts *counts = &cluster->counts;
    json_t *checks = json_array();
    for (uint32_t i = 0; i < cluster->spec.check_count; i++) {
        const struct outcome *outcome = &cluster->outcomes[i];
        json_array_append_new(checks,
                              json_pack("{s:s,s:b,s:b,s:f}", "check", cluster->spec.checks[i].text,
                                        "measured", outcome->is_known, "held", outcome->is_held,
                                        "value", outcome->value));
    }
    json_t *result = json_pack("{s:s,s:b,s:i,s:i,s:f,s:o}", "name", cluster->spec.name, "good",
                               report_is_good(cluster, untidy), "supernodes",
                               (int)cluster->spec.supernodes, "peers", (int)cluster->spec.peers,
                               "seconds", (double)cluster->ended_ms / 1000, "checks", checks);
    const struct {
        const char *key;
        double value;
    } figures[] = {
        {"searches", (double)counts->searches},
        {"found", (double)counts->found},
        {"search_errors", (double)counts->search_errors},
        {"search_p50_ms", series_quantile(&cluster->latencies, 0.5)},
        {"search_p99_ms", series_quantile(&cluster->latencies, 0.99)},
        {"downloads", (double)counts->downloads},
        {"downloads_done", (double)counts->downloads_done},
        {"downloads_bytes", (double)counts->downloads_bytes},
        {"downloads_overhead", traffic_overhead(cluster)},
        {"downloads_failed", (double)counts->downloads_failed},
        {"downloads_wrong", (double)counts->downloads_wrong},
        {"agains", (double)cluster->agains.count},
        {"again_p50_ms", series_quantile(&cluster->agains, 0.5)},
        {"again_p99_ms", series_quantile(&cluster->agains, 0.99)},
        {"agains_warm", (double)cluster->agains_warm.count},
        {"again_warm_p99_ms", series_quantile(&cluster->agains_warm, 0.99)},
        {"kills_fetching", (double)counts->kills_fetching},
        {"gaps", (double)cluster->gaps.count},
        {"gap_p99_ms", series_quantile(&cluster->gaps, 0.99)},
        {"memory_total_max_bytes", (double)cluster->memory_total_max},
        {"promotions", promotions(cluster)},
        {"crashes", (double)counts->crashes},
        {"untidy_ends", (double)untidy},
    };
    json_object_set_new(result, "traffic", traffic_json(cluster));
    put_liars(cluster, result);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        json_object_set_new(result, figures[i].key, json_real(figures[i].value));
    }
    return result;
}

static char *path_in(const struct cluster *cluster, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", cluster->folder, name);
    return mem_string(path);
}

/* ---- One log ---- */

/* A log that is being merged: its next line, unless it is over. */
struct source {
    FILE *file;
    const char *name;
    char line[LOG_LINE_BYTES];
    bool has_line;
};

/* Lines that do not begin with a time belong to the one before: they are passed on with it. */
static void next_line(struct source *source) {
    source->has_line =
        source->file != NULL && fgets(source->line, sizeof source->line, source->file) != NULL;
}

static struct source *earliest(struct source *sources, uint32_t count) {
    struct source *first = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (sources[i].has_line &&
            (first == NULL || sources[i].line[0] != '2' ||
             strncmp(sources[i].line, first->line, strlen("2026-01-01T00:00:00.000Z")) < 0)) {
            first = &sources[i];
            if (first->line[0] != '2') {
                return first;
            }
        }
    }
    return first;
}

static bool merge_logs(struct cluster *cluster) {
    uint32_t count = cluster->member_count + 1;
    struct source *sources = mem_array(count, sizeof *sources);
    char *path = path_in(cluster, "timeline.log"), *merged = path_in(cluster, "merged.log");
    sources[0] = (struct source){.file = fopen(path, "re"), .name = "-- cluster --"};
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        const struct localnet_node *node = cluster->members[i].node;
        sources[i + 1] = (struct source){.file = fopen(node->log, "re"), .name = node->name};
    }
    FILE *to = fopen(merged, "we");
    for (uint32_t i = 0; i < count; i++) {
        next_line(&sources[i]);
    }
    struct source *source;
    while (to != NULL && (source = earliest(sources, count)) != NULL) {
        fprintf(to, "%-13s %s", source->name, source->line);
        next_line(source);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (sources[i].file != NULL) {
            fclose(sources[i].file);
        }
    }
    bool good = to != NULL && fclose(to) == 0;
    mem_free(sources);
    mem_free(path);
    mem_free(merged);
    return good;
}

/* ---- Plots ---- */

static const struct plot {
    const char *name;
    const char *title;
    const char *script; /* after the common head; NULL = what `put` writes */
    void (*put)(struct cluster *cluster, FILE *script);
} plots[] = {
    {"recall", "Searches that find what is there, per second",
     "set yrange [0:1.05]; set ylabel 'share found'\n"
     "plot 'searches.csv' using (floor($1)):(strcol(4) eq 'void' ? NaN : strcol(4) eq 'found' ? 1 "
     ": 0) smooth unique with lines lw 2 title 'found', "
     "'samples.csv' using 1:3 with lines lw 2 title 'peers registered'\n",
     NULL},
    {"memory", "Resident memory of all nodes",
     "set yrange [0:]; set ylabel 'MiB'\n"
     "plot 'samples.csv' using 1:($4/1048576) with lines lw 2 title 'all nodes'\n",
     NULL},
    {"traffic", "What the nodes have sent, by type of message", NULL, traffic_plot},
    {"latency", "How long searches take",
     "set logscale y; set ylabel 'ms'\n"
     "plot 'searches.csv' using 1:(strcol(4) eq 'void' ? NaN : $5) with points pt 7 ps 0.3 title "
     "'search'\n",
     NULL},
};

/* Its script stays in the run's folder, for whoever wants another picture. */
static bool write_script(struct cluster *cluster, const struct plot *plot, const char *name) {
    char *path = path_in(cluster, name);
    FILE *file = fopen(path, "we");
    mem_free(path);
    if (file == NULL) {
        return false;
    }
    fprintf(file,
            "set terminal svg size 800,300 background rgb 'white'\nset output '%s.svg'\n"
            "set datafile separator ','\nset key below\nset xlabel 's'\nset grid\n"
            "set xrange [0:]\n%s",
            plot->name, plot->script == NULL ? "" : plot->script);
    if (plot->put != NULL) {
        plot->put(cluster, file);
    }
    return fclose(file) == 0;
}

/* Run gnuplot in the run's folder. ERR_NOT_FOUND when there is none, ERR_FORMAT when there is
 * nothing to draw. */
static enum err draw(struct cluster *cluster, const struct plot *plot) {
    char name[32];
    snprintf(name, sizeof name, "%s.gp", plot->name);
    if (!write_script(cluster, plot, name)) {
        return ERR_IO;
    }
    struct buf out = {0};
    int status = -1;
    char *log = path_in(cluster, "gnuplot.log");
    const struct process_options options = {
        .argv = (const char *const[]){"gnuplot", name, NULL}, .cwd = cluster->folder, .log = log};
    enum err err = process_capture(cluster->owner, &options, GNUPLOT_MS, &out, &status);
    buf_free(&out);
    mem_free(log);
    return err == OK && status != 0 ? ERR_FORMAT : err;
}

static void write_text(FILE *file, const char *text) {
    for (; *text != '\0'; text++) {
        const char *special = *text == '<'   ? "&lt;"
                              : *text == '>' ? "&gt;"
                              : *text == '&' ? "&amp;"
                                             : NULL;
        if (special != NULL) {
            fputs(special, file);
        } else {
            fputc(*text, file);
        }
    }
}

static void write_checks(const struct cluster *cluster, FILE *file) {
    fprintf(file, "<table><tr><th>check<th>measured<th>held</tr>\n");
    for (uint32_t i = 0; i < cluster->spec.check_count; i++) {
        const struct outcome *outcome = &cluster->outcomes[i];
        fprintf(file, "<tr><td>");
        write_text(file, cluster->spec.checks[i].text);
        fprintf(file, "<td>%.4g<td class=%s</tr>\n", outcome->value,
                outcome->is_held ? "good>yes" : "bad>no");
    }
    fprintf(file, "</table>\n");
}

static void write_figures(FILE *file, const json_t *result) {
    const char *key;
    json_t *value;
    fprintf(file, "<table>\n");
    json_object_foreach((json_t *)(uintptr_t)result, key, value) {
        if (json_is_real(value)) {
            fprintf(file, "<tr><td>%s<td>%.10g</tr>\n", key, json_real_value(value));
        }
    }
    fprintf(file, "</table>\n");
}

static void write_traffic(FILE *file, const json_t *result) {
    const char *name;
    json_t *count;
    fprintf(file, "<table><tr><th>message<th>sent<th>bytes</tr>\n");
    json_object_foreach(json_object_get(result, "traffic"), name, count) {
        fprintf(file, "<tr><td>%s<td>%" PRId64 "<td>%" PRId64 "</tr>\n", name,
                localnet_number(count, "messages"), localnet_number(count, "bytes"));
    }
    fprintf(file, "</table>\n");
}

static void write_timeline(const struct cluster *cluster, FILE *file) {
    char *path = path_in(cluster, "timeline.log");
    FILE *timeline = fopen(path, "re");
    char line[LOG_LINE_BYTES];
    fprintf(file, "<pre>");
    while (timeline != NULL && fgets(line, sizeof line, timeline) != NULL) {
        write_text(file, line);
    }
    fprintf(file, "</pre>\n");
    if (timeline != NULL) {
        fclose(timeline);
    }
    mem_free(path);
}

static bool write_page(struct cluster *cluster, uint32_t untidy, const json_t *result) {
    char *path = path_in(cluster, "report.html");
    FILE *file = fopen(path, "we");
    mem_free(path);
    if (file == NULL) {
        return false;
    }
    fprintf(file,
            "<!doctype html><meta charset=utf-8><title>%s</title>\n"
            "<style>body{font:15px sans-serif;max-width:60em;margin:2em auto}td,th{padding:2px "
            "12px;text-align:left}.good{color:green}.bad{color:red;font-weight:bold}"
            "pre{font-size:12px;overflow:auto}</style>\n"
            "<h1>%s: %s</h1><p>%u supernodes and %u peers, %.0f seconds, seed %" PRIu64 "</p>\n",
            cluster->spec.name, cluster->spec.name,
            report_is_good(cluster, untidy) ? "every check held"
                                            : "<span class=bad>not good</span>",
            cluster->spec.supernodes, cluster->spec.peers, (double)cluster->ended_ms / 1000,
            cluster->spec.seed);
    write_checks(cluster, file);
    enum err err = OK;
    for (size_t i = 0; i < sizeof plots / sizeof *plots && err != ERR_NOT_FOUND; i++) {
        err = draw(cluster, &plots[i]);
        if (err == OK) {
            fprintf(file, "<h2>%s</h2><img src=%s.svg alt=\"%s\">\n", plots[i].title, plots[i].name,
                    plots[i].title);
        }
    }
    if (err == ERR_NOT_FOUND) {
        fprintf(file, "<p>There are no plots: install gnuplot-nox and run it again.</p>\n");
    }
    fprintf(file, "<h2>Figures</h2>\n");
    write_figures(file, result);
    fprintf(file, "<h2>Messages</h2>\n");
    write_traffic(file, result);
    fprintf(file, "<h2>What happened</h2>\n");
    write_timeline(cluster, file);
    return fclose(file) == 0;
}

bool report_write(struct cluster *cluster, uint32_t untidy) {
    json_t *result = report_json(cluster, untidy);
    char *path = path_in(cluster, "result.json");
    fflush(NULL); /* the rows that the plots are drawn from */
    bool good = json_dump_file(result, path, JSON_INDENT(1)) == 0 && merge_logs(cluster) &&
                write_page(cluster, untidy, result);
    if (!good) {
        snprintf(cluster->trouble, sizeof cluster->trouble, "cannot write in %.600s: %s",
                 cluster->folder, strerror(errno));
    }
    mem_free(path);
    json_decref(result);
    return good;
}
