/* cluster_traffic.c - what a cluster's nodes have sent, by type of message. */
#include "src/cluster/cluster_traffic.h"

#include <inttypes.h>
#include <string.h>

#include "common/wire.h"

#define LINES_DRAWN 8

/* The place of a message by its name; UINT32_MAX when it is none. */
static uint32_t place_of(const char *name) {
    const struct message_info *info;
    for (uint32_t i = 0; (info = wire_message_at(i)) != NULL; i++) {
        if (strcmp(info->name, name) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* Their counters only go up; one that is less than before belongs to a new process. */
static uint64_t step(uint64_t *seen, uint64_t now) {
    uint64_t more = now >= *seen ? now - *seen : now;
    *seen = now;
    return more;
}

void traffic_take(struct cluster *cluster, struct member *member, const json_t *answer) {
    for (size_t i = 0; i < json_array_size(answer); i++) {
        const json_t *row = json_array_get(answer, i);
        uint32_t place = strcmp(localnet_text(row, "kind"), "traffic") == 0
                             ? place_of(localnet_text(row, "message"))
                             : UINT32_MAX;
        if (place < TRAFFIC_TYPES) {
            struct traffic_count *seen = &member->traffic[place], *all = &cluster->traffic[place];
            all->messages += step(&seen->messages, (uint64_t)localnet_number(row, "sent"));
            all->bytes += step(&seen->bytes, (uint64_t)localnet_number(row, "sent_bytes"));
        }
    }
}

void traffic_forget(struct member *member) {
    memset(member->traffic, 0, sizeof member->traffic);
}

void traffic_header(FILE *file) {
    const struct message_info *info;
    fprintf(file, "time_s");
    for (uint32_t i = 0; (info = wire_message_at(i)) != NULL; i++) {
        fprintf(file, ",%s", info->name);
    }
    fputc('\n', file);
}

void traffic_row(struct cluster *cluster, FILE *file) {
    fprintf(file, "%.1f", (double)cluster_now(cluster) / 1000);
    for (uint32_t i = 0; wire_message_at(i) != NULL; i++) {
        fprintf(file, ",%" PRIu64, cluster->traffic[i].bytes);
    }
    fputc('\n', file);
}

/* The place with the most bytes of those that are not drawn yet; UINT32_MAX when none has any. */
static uint32_t largest(const struct cluster *cluster, const bool drawn[TRAFFIC_TYPES]) {
    uint32_t most = UINT32_MAX;
    for (uint32_t i = 0; wire_message_at(i) != NULL; i++) {
        if (!drawn[i] && cluster->traffic[i].bytes > 0 &&
            (most == UINT32_MAX || cluster->traffic[i].bytes > cluster->traffic[most].bytes)) {
            most = i;
        }
    }
    return most;
}

void traffic_plot(struct cluster *cluster, FILE *script) {
    bool drawn[TRAFFIC_TYPES] = {false};
    fprintf(script, "set logscale y; set ylabel 'KiB'\nplot ");
    for (int i = 0; i < LINES_DRAWN; i++) {
        uint32_t place = largest(cluster, drawn);
        if (place == UINT32_MAX) {
            break;
        }
        drawn[place] = true;
        fprintf(script,
                "%s'traffic.csv' using 1:($%" PRIu32
                "/1024.0) with lines lw 2 title '%s' noenhanced",
                i == 0 ? "" : ", ", place + 2, wire_message_at(place)->name);
    }
    fputc('\n', script);
}

double traffic_overhead(const struct cluster *cluster) {
    const struct traffic_count *blocks = &cluster->traffic[wire_message_place(MSG_BLOCK)];
    uint64_t headers = blocks->messages * (FRAME_HEADER_BYTES + BLOCK_HEADER_BYTES);
    double wanted = (double)cluster->counts.downloads_bytes;
    double sent = (double)(blocks->bytes - headers);
    return wanted > 0 && sent > wanted ? sent / wanted - 1 : 0;
}

json_t *traffic_json(const struct cluster *cluster) {
    json_t *all = json_object();
    const struct message_info *info;
    for (uint32_t i = 0; (info = wire_message_at(i)) != NULL; i++) {
        const struct traffic_count *count = &cluster->traffic[i];
        if (count->messages > 0) {
            json_object_set_new(all, info->name,
                                json_pack("{s:I,s:I}", "messages", (json_int_t)count->messages,
                                          "bytes", (json_int_t)count->bytes));
        }
    }
    return all;
}
