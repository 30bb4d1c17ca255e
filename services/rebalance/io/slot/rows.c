#include "io/slot/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rebalance_slot_steps_free(struct rebalance_slot_step *steps, size_t n)
{
    for (size_t i = 0; steps != NULL && i < n; i++)
        pr_buf_done(&steps[i].in_flight);
    free(steps);
}

static enum pr_code read_row(const PGresult *res, int i, struct rebalance_slot_step *s,
                             struct pr_err *err)
{
    const char *state = pr_cell(res, i, 2);
    pr_buf_init(&s->in_flight, 0);
    s->step = (int)pr_cell_i64(res, i, 0);
    s->slot = (int)pr_cell_i64(res, i, 1);
    if (!rebalance_slot_state_parse(state, &s->at.state))
        return pr_fail(err, PR_EDATA, "step %d: state '%s'", s->step, state);
    s->at.back = pr_cell_bool(res, i, 3);
    s->expected_keys = (uint64_t)pr_cell_i64(res, i, 4);
    s->expected_bytes = (uint64_t)pr_cell_i64(res, i, 5);
    s->keys = (uint64_t)pr_cell_i64(res, i, 6);
    s->bytes = (uint64_t)pr_cell_i64(res, i, 7);
    s->fresh = s->at.state == REBALANCE_SLOT_PLANNED;
    s->on = s->at;
    s->failed_over = s->failed_over_on = pr_cell_bool(res, i, 9);
    s->atomic = pr_cell_bool(res, i, 10) && !s->fresh;
    s->served_on = s->served_on_on = pr_cell_bool(res, i, 11);
    const char *keys_hex = pr_cell(res, i, 8), *prints_hex = pr_cell(res, i, 12);
    if (keys_hex == NULL)
        return PR_OK;
    size_t n = 0, prints_n = 0;
    unsigned char *keys = PQunescapeBytea((const unsigned char *)keys_hex, &n);
    unsigned char *prints =
        prints_hex == NULL ? NULL : PQunescapeBytea((const unsigned char *)prints_hex, &prints_n);
    if (keys != NULL)
        rebalance_in_flight_join(keys, n, prints, prints == NULL ? 0 : prints_n, &s->in_flight);
    const bool failed = keys == NULL || s->in_flight.failed;
    PQfreemem(keys);
    PQfreemem(prints);
    return failed ? pr_fail(err, PR_ENOMEM, "step %d: its keys in flight", s->step) : PR_OK;
}

enum pr_code rebalance_slot_steps_load(struct pr_db *db, int64_t plan_id, int wave, const char *src,
                                       const char *dst, struct rebalance_slot_step **steps,
                                       size_t *n, struct pr_err *err)
{
    PGresult *got = NULL;
    *steps = NULL;
    *n = 0;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT step, slot, state, back, keys, bytes, moved_keys, moved_bytes, in_flight, "
        "failed_over, atomic, served_on, "
        /* of a record that an older release has written since they say nothing */
        "CASE WHEN substring(prints FOR 32) = sha256(in_flight) THEN substring(prints FROM 33) END "
        "FROM steps WHERE plan_id = $1 AND wave = $2 "
        "AND kind = 'slot' AND src_node = $3 AND dst_node = $4 AND state NOT IN ('verified', "
        "'rolled_back') "
        "ORDER BY state = 'planned', step",
        PR_ARGS(pr_i64(plan_id), pr_i64(wave), pr_text(src), pr_text(dst)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const int rows = PQntuples(res);
    struct rebalance_slot_step *s = calloc((size_t)rows + 1, sizeof *s);
    if (s == NULL)
        return pr_fail(err, PR_ENOMEM, "%d slots of plan %lld", rows, (long long)plan_id);
    for (int i = 0; i < rows && rc == PR_OK; i++)
        rc = read_row(res, i, &s[i], err);
    if (rc != PR_OK) {
        rebalance_slot_steps_free(s, (size_t)rows);
        return rc;
    }
    *steps = s;
    *n = (size_t)rows;
    return PR_OK;
}

/* --- writing ----------------------------------------------------------------------- */

struct arrays { /* PostgreSQL's text form: {1,2,3} */
    struct pr_buf step, slot, state, back, failed_over, served_on, atomic, at, length, keys, bytes,
        error, blob, prints_at, prints_length, prints;
};

static void arrays_done(struct arrays *a)
{
    struct pr_buf *const all[] = { &a->step,        &a->slot,      &a->state,         &a->back,
                                   &a->failed_over, &a->served_on, &a->atomic,        &a->at,
                                   &a->length,      &a->keys,      &a->bytes,         &a->error,
                                   &a->blob,        &a->prints_at, &a->prints_length, &a->prints };
    for (size_t i = 0; i < PR_COUNT(all); i++)
        pr_buf_done(all[i]);
}

static void put(struct pr_buf *b, bool first, const char *value)
{
    pr_buf_str(b, first ? "{" : ",");
    pr_buf_str(b, value);
}

static void put_number(struct pr_buf *b, bool first, uint64_t v)
{
    pr_buf_printf(b, "%s%llu", first ? "{" : ",", (unsigned long long)v);
}

/* Quotes and backslashes would end the element: shown as blanks. */
static void put_quoted(struct pr_buf *b, bool first, const char *text)
{
    pr_buf_str(b, first ? "{\"" : ",\"");
    for (const char *p = text; *p != '\0'; p++)
        pr_buf_add(b, *p == '"' || *p == '\\' ? " " : p, 1);
    pr_buf_str(b, "\"");
}

static bool end(struct arrays *a)
{
    struct pr_buf *const all[] = { &a->step,        &a->slot,         &a->state,  &a->back,
                                   &a->failed_over, &a->served_on,    &a->atomic, &a->at,
                                   &a->length,      &a->keys,         &a->bytes,  &a->error,
                                   &a->prints_at,   &a->prints_length };
    bool failed = a->blob.failed || a->prints.failed;
    for (size_t i = 0; i < PR_COUNT(all); i++) {
        pr_buf_str(all[i], "}");
        failed = failed || all[i]->failed;
    }
    return !failed;
}

/* Its record, in two parts. */
static bool put_record(struct arrays *a, bool first, const struct pr_buf *record)
{
    struct pr_buf keys, prints;
    pr_buf_init(&keys, 0);
    pr_buf_init(&prints, 0);
    rebalance_in_flight_part(record->data, record->len, &keys, &prints);
    put_number(&a->at, first, a->blob.len + 1);
    put_number(&a->length, first, keys.len);
    put_number(&a->prints_at, first, a->prints.len + 1);
    put_number(&a->prints_length, first, prints.len);
    pr_buf_add(&a->blob, keys.data, keys.len);
    pr_buf_add(&a->prints, prints.data, prints.len);
    const bool failed = keys.failed || prints.failed;
    pr_buf_done(&keys);
    pr_buf_done(&prints);
    return !failed;
}

static bool fill(struct arrays *a, struct rebalance_slot_step *const *steps, size_t n)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        const struct rebalance_slot_step *s = steps[i];
        put_number(&a->step, i == 0, (uint64_t)s->step);
        put_number(&a->slot, i == 0, (uint64_t)s->slot);
        put(&a->state, i == 0, rebalance_slot_state_name(s->at.state));
        put(&a->back, i == 0, s->at.back ? "t" : "f");
        put(&a->failed_over, i == 0, s->failed_over ? "t" : "f");
        put(&a->served_on, i == 0, s->served_on ? "t" : "f");
        put(&a->atomic, i == 0, s->atomic ? "t" : "f");
        ok = put_record(a, i == 0, &s->in_flight) && ok;
        put_number(&a->keys, i == 0, s->keys);
        put_number(&a->bytes, i == 0, s->bytes);
        put_quoted(&a->error, i == 0, s->error);
    }
    return end(a) && ok;
}

static enum pr_code write_intents(struct pr_db *db, const struct rebalance_slot_write *w,
                                  struct pr_err *err)
{
    struct arrays a = { 0 };
    enum pr_code rc = PR_OK;
    if (!fill(&a, w->intent, w->intents))
        rc = pr_fail(err, PR_ENOMEM, "%zu steps", w->intents);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "UPDATE steps s SET state = v.state, back = v.back, lease_epoch = $2, "
            "in_flight = CASE WHEN v.n > 0 THEN substring($8::bytea FROM v.at FOR v.n) END, "
            "prints = CASE WHEN v.prints_n > 0 THEN "
            "sha256(substring($8::bytea FROM v.at FOR v.n)) || "
            "substring($12::bytea FROM v.prints_at FOR v.prints_n) END, "
            "failed_over = v.failed_over, atomic = v.atomic, served_on = v.served_on, "
            "updated_at = now() "
            "FROM unnest($3::int[], $4::text[], $5::bool[], $6::int[], $7::int[], $9::bool[], "
            "$10::bool[], $11::bool[], $13::int[], $14::int[]) AS v(step, state, back, at, n, "
            "failed_over, atomic, served_on, prints_at, prints_n) WHERE s.plan_id = $1 AND s.step "
            "= v.step",
            PR_ARGS(pr_i64(w->plan_id), pr_i64((int64_t)w->lease->epoch), pr_text(a.step.data),
                    pr_text(a.state.data), pr_text(a.back.data), pr_text(a.at.data),
                    pr_text(a.length.data), pr_bytes(a.blob.data, a.blob.len),
                    pr_text(a.failed_over.data), pr_text(a.atomic.data), pr_text(a.served_on.data),
                    pr_bytes(a.prints.data, a.prints.len), pr_text(a.prints_at.data),
                    pr_text(a.prints_length.data)),
            NULL, err);
    arrays_done(&a);
    return rc;
}

static enum pr_code write_ends(struct pr_db *db, const struct rebalance_slot_write *w,
                               struct pr_err *err)
{
    struct arrays a = { 0 };
    enum pr_code rc = PR_OK;
    if (!fill(&a, w->end, w->ends))
        rc = pr_fail(err, PR_ENOMEM, "%zu steps", w->ends);
    /* A stuck step keeps its keys in flight, and what is known of them: whoever goes on
     * needs that. */
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "UPDATE steps s SET state = v.state, back = v.back, lease_epoch = $2, "
            "in_flight = CASE WHEN v.state = 'stuck' THEN s.in_flight END, "
            "prints = CASE WHEN v.state = 'stuck' THEN s.prints END, moved_keys = v.keys, "
            "moved_bytes = v.bytes, error = nullif(v.error, ''), failed_over = v.failed_over, "
            "served_on = v.served_on AND v.state = 'stuck', updated_at = now() "
            "FROM unnest($3::int[], $4::text[], $5::bool[], $6::bigint[], $7::bigint[], "
            "$8::text[], $9::bool[], $10::bool[]) "
            "AS v(step, state, back, keys, bytes, error, failed_over, served_on) "
            "WHERE s.plan_id = $1 AND s.step = v.step",
            PR_ARGS(pr_i64(w->plan_id), pr_i64((int64_t)w->lease->epoch), pr_text(a.step.data),
                    pr_text(a.state.data), pr_text(a.back.data), pr_text(a.keys.data),
                    pr_text(a.bytes.data), pr_text(a.error.data), pr_text(a.failed_over.data),
                    pr_text(a.served_on.data)),
            NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "INSERT INTO slot_history AS h (slot, plan_id, from_shard, to_shard) "
            "SELECT v.slot, $1, $2, $3 FROM unnest($4::int[], $5::text[]) AS v(slot, state) "
            "WHERE v.state = 'verified' ON CONFLICT (slot) DO UPDATE SET "
            "plan_id = excluded.plan_id, from_shard = excluded.from_shard, "
            "to_shard = excluded.to_shard, moved_at = now()",
            PR_ARGS(pr_i64(w->plan_id), pr_text(w->src_shard), pr_text(w->dst_shard),
                    pr_text(a.slot.data), pr_text(a.state.data)),
            NULL, err);
    arrays_done(&a);
    return rc;
}

static enum pr_code write_all(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct rebalance_slot_write *w = ctx;
    enum pr_code rc = pr_lease_check(db, w->lease, err);
    if (rc == PR_OK && w->intents > 0)
        rc = write_intents(db, w, err);
    if (rc == PR_OK && w->ends > 0)
        rc = write_ends(db, w, err);
    return rc;
}

static void took(struct rebalance_slot_step *s)
{
    s->on = s->at;
    s->failed_over_on = s->failed_over;
    s->served_on_on = s->served_on;
}

enum pr_code rebalance_slot_steps_write(struct pr_db *db, const struct rebalance_slot_write *w,
                                        struct pr_err *err)
{
    struct rebalance_slot_write copy = *w;
    if (w->intents + w->ends == 0)
        return PR_OK;
    const enum pr_code rc = pr_db_tx(db, write_all, &copy, err);
    for (size_t i = 0; rc == PR_OK && i < w->intents; i++)
        took(w->intent[i]);
    for (size_t i = 0; rc == PR_OK && i < w->ends; i++)
        took(w->end[i]);
    return rc;
}
