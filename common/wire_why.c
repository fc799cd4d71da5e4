/* wire_why.c - why somebody is a supernode, or is not: the question and its answer. */
#include "common/check.h"
#include "common/wire_codec.h"
#include "common/wire_trust.h"
#include "common/words.h"

void wire_why_encode(struct buf *out, const struct why *why) {
    buf_append(out, why->id.b, sizeof why->id.b);
    wire_put_tlvs(out, why->tlvs);
}

enum err wire_why_decode(struct slice payload, struct why *why) {
    *why = (struct why){0};
    struct reader reader = reader_of(payload.data, payload.len);
    reader_copy(&reader, why->id.b, sizeof why->id.b);
    enum err err = wire_get_tlvs(&reader, &why->tlvs);
    return wire_first(err, wire_tlvs_check(why->tlvs));
}

static enum err decision_rule(const struct decision *decision) {
    if (decision->evidence_count > DECISION_EVIDENCE_MAX) {
        return ERR_LIMIT;
    }
    bool is_fine = decision->verdict <= DECISION_VERDICT_MAX &&
                   (decision->gate & ~DECISION_GATES) == 0 && words_text_ok(decision->reason);
    return is_fine ? wire_tlvs_check(decision->tlvs) : ERR_FORMAT;
}

void wire_decision_encode(struct buf *out, const struct decision *decision) {
    CHECK(decision_rule(decision) == OK);
    buf_append(out, decision->id.b, sizeof decision->id.b);
    buf_u32(out, decision->epoch);
    buf_u8(out, decision->verdict);
    wire_put_text8(out, decision->reason);
    buf_u16(out, decision->members);
    buf_u16(out, decision->wanted);
    buf_u8(out, decision->gate);
    buf_u64(out, decision->score);
    buf_u64(out, decision->draw);
    buf_u64(out, decision->threshold);
    buf_u64(out, decision->rate);
    buf_u32(out, decision->witnessed_s);
    buf_u8(out, decision->evidence_count);
    for (uint8_t i = 0; i < decision->evidence_count; i++) {
        const struct decision_evidence *evidence = &decision->evidence[i];
        buf_append(out, evidence->issuer.b, sizeof evidence->issuer.b);
        buf_u32(out, evidence->epoch);
        buf_u64(out, evidence->bytes);
    }
    wire_put_tlvs(out, decision->tlvs);
}

enum err wire_decision_decode(struct slice payload, struct decision *decision) {
    *decision = (struct decision){0};
    struct reader reader = reader_of(payload.data, payload.len);
    reader_copy(&reader, decision->id.b, sizeof decision->id.b);
    decision->epoch = reader_u32(&reader);
    decision->verdict = reader_u8(&reader);
    decision->reason = wire_get_text8(&reader);
    decision->members = reader_u16(&reader);
    decision->wanted = reader_u16(&reader);
    decision->gate = reader_u8(&reader);
    decision->score = reader_u64(&reader);
    decision->draw = reader_u64(&reader);
    decision->threshold = reader_u64(&reader);
    decision->rate = reader_u64(&reader);
    decision->witnessed_s = reader_u32(&reader);
    decision->evidence_count = reader_u8(&reader);
    if (decision->evidence_count > DECISION_EVIDENCE_MAX) {
        return ERR_LIMIT;
    }
    for (uint8_t i = 0; i < decision->evidence_count; i++) {
        struct decision_evidence *evidence = &decision->evidence[i];
        reader_copy(&reader, evidence->issuer.b, sizeof evidence->issuer.b);
        evidence->epoch = reader_u32(&reader);
        evidence->bytes = reader_u64(&reader);
    }
    enum err err = wire_get_tlvs(&reader, &decision->tlvs);
    return wire_first(err, decision_rule(decision));
}

void wire_decision_receipts_put(struct buf *tlvs, uint8_t hosts) {
    buf_u8(tlvs, DECISION_TAG_RECEIPTS);
    buf_u16(tlvs, sizeof hosts);
    buf_u8(tlvs, hosts);
}

uint8_t wire_decision_receipts(const struct decision *decision) {
    struct slice value = wire_tlv_find(decision->tlvs, DECISION_TAG_RECEIPTS);
    return value.len == sizeof(uint8_t) ? value.data[0] : 0;
}
