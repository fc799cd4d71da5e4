/* plan.c - works out which records a parent is sent, and in which order. */
#include "peer/plan.h"

#include <stdlib.h>

#include "common/mem.h"

static int compare_files(const void *a, const void *b) {
    struct file_record left = share_record(*(const struct shared_file *const *)a);
    struct file_record right = share_record(*(const struct shared_file *const *)b);
    return wire_file_record_compare(&left, &right);
}

static struct plan *plan_new(const struct share *share, uint32_t gone_max) {
    struct plan *plan = mem_new(sizeof *plan);
    plan->files = mem_array(share->listed, sizeof(const struct shared_file *));
    plan->gone = mem_array(gone_max, sizeof *plan->gone);
    return plan;
}

static void sort_files(struct plan *plan) {
    if (plan->file_count > 0) {
        qsort(plan->files, plan->file_count, sizeof(const struct shared_file *), compare_files);
    }
}

struct plan *plan_all(const struct share *share) {
    struct plan *plan = plan_new(share, 0);
    uint32_t cursor = 0;
    for (const struct shared_file *file; (file = share_next(share, &cursor)) != NULL;) {
        if (file->is_listed) {
            plan->files[plan->file_count++] = file;
        }
    }
    sort_files(plan);
    return plan;
}

static int compare_differences(const void *a, const void *b) {
    const struct difference *left = a;
    const struct difference *right = b;
    return (left->prefix > right->prefix) - (left->prefix < right->prefix);
}

struct plan *plan_changes(const struct share *share, uint64_t base) {
    uint32_t count;
    struct difference *differences = changes_after(share->changes, base, &count);
    struct plan *plan = plan_new(share, count);
    uint32_t cursor = 0;
    for (const struct shared_file *file; (file = share_next(share, &cursor)) != NULL;) {
        struct difference wanted = {.prefix = wire_record_prefix(&file->record_hash)};
        struct difference *found = NULL;
        if (file->is_listed && count > 0) {
            found = bsearch(&wanted, differences, count, sizeof *differences, compare_differences);
        }
        if (found != NULL) {
            found->is_there = true;
            if (!found->was_there) {
                plan->files[plan->file_count++] = file;
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (differences[i].was_there && !differences[i].is_there) {
            plan->gone[plan->gone_count++] = differences[i].prefix;
        }
    }
    mem_free(differences);
    sort_files(plan);
    return plan;
}

void plan_free(struct plan *plan) {
    if (plan != NULL) {
        mem_free(plan->files);
        mem_free(plan->gone);
        mem_free(plan);
    }
}

static uint32_t batch(uint32_t left) {
    return left < REG_RECORDS_MAX ? left : REG_RECORDS_MAX;
}

static void put_gone(struct plan *plan, struct buf *payload) {
    struct buf prefixes = {0};
    struct reg_remove remove = {.count = (uint16_t)batch(plan->gone_count - plan->gone_sent)};
    for (uint16_t i = 0; i < remove.count; i++) {
        buf_u64(&prefixes, plan->gone[plan->gone_sent++]);
    }
    remove.prefixes = (struct slice){prefixes.data, prefixes.len};
    wire_reg_remove_encode(payload, &remove);
    buf_free(&prefixes);
}

static void put_files(struct plan *plan, struct buf *payload) {
    uint32_t count = batch(plan->file_count - plan->files_sent);
    struct file_record *records = mem_array(count, sizeof *records);
    for (uint32_t i = 0; i < count; i++) {
        records[i] = share_record(plan->files[plan->files_sent + i]);
    }
    plan->files_sent += wire_reg_add_pack(payload, records, count);
    mem_free(records);
}

bool plan_next(struct plan *plan, uint8_t *type, struct buf *payload) {
    if (plan->gone_sent < plan->gone_count) {
        *type = MSG_REG_REMOVE;
        put_gone(plan, payload);
        return true;
    }
    if (plan->files_sent < plan->file_count) {
        *type = MSG_REG_ADD;
        put_files(plan, payload);
        return true;
    }
    return false;
}
