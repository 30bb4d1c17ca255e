#include "io/whole_private.h"

#include <string.h>
#include <xxhash.h>

/* Parts have as many shards each as can be. All must mean the same shards by the same numbers. */
enum pr_code dr_part_begin(struct dr_whole_run *r, struct pr_err *err)
{
    const struct dr_whole *w = r->w;
    struct dr_whole_done *out = r->out;
    const uint64_t number[] = { (uint64_t)w->until_ms, w->partitions, w->parts, out->shards };
    out->last = out->shards;
    r->exchange = (struct dr_exchange){
        .dir = w->exchange, .part = w->part, .of = w->parts, .silent_ms = DR_EXCHANGE_SILENT_MS
    };
    if (w->exchange == NULL)
        return PR_OK;
    if (w->parts > out->shards)
        return pr_fail(err, PR_EINVAL, "%u parts are more than the %zu shards", w->parts,
                       out->shards);
    out->first = out->shards * (w->part - 1) / w->parts;
    out->last = out->shards * w->part / w->parts;
    r->exchange.run = XXH64(w->cluster, strlen(w->cluster), 0);
    r->exchange.run = XXH64(number, sizeof number, r->exchange.run);
    for (size_t i = 0; i < out->shards; i++)
        r->exchange.run =
            XXH64(out->shard[i].name, strlen(out->shard[i].name) + 1, r->exchange.run);
    return dr_exchange_begin(&r->exchange, err);
}

/* All must judge by the same: who took which slots. */
static uint64_t takes_sum(const struct dr_whole_run *r)
{
    const struct dr_takes *t = &r->takes;
    return XXH64(t->number, r->out->shards * sizeof *t->number, t->unread);
}

static enum pr_code take_facts(void *ctx, const char *data, size_t n, struct pr_err *err)
{
    struct dr_whole_run *r = ctx;
    struct dr_reader in = { data, data + n, 0 };
    const size_t from = dr_read_u64(&in), to = dr_read_u64(&in);
    if (from > to || to > r->out->shards || (from < r->out->last && to > r->out->first))
        return pr_fail(err, PR_EDATA, "another part has shards %zu to %zu of %zu", from, to,
                       r->out->shards);
    if (dr_read_u64(&in) != takes_sum(r))
        return pr_fail(err, PR_EDATA,
                       "another part read something else about who took which slots: begin again");
    for (size_t i = from; i < to; i++) {
        struct dr_restored *d = &r->out->shard[i].restored;
        d->last_ms = (int64_t)dr_read_u64(&in);
        d->slot_epoch = dr_read_u64(&in);
        const char *slots = dr_read_bytes(&in, sizeof d->slots);
        if (slots != NULL)
            memcpy(d->slots, slots, sizeof d->slots);
    }
    return dr_survey_read(&in, from, to, &r->survey, err);
}

enum pr_code dr_part_facts(struct dr_whole_run *r, struct pr_err *err)
{
    const struct dr_whole_done *out = r->out;
    struct pr_buf b;
    if (r->exchange.dir == NULL)
        return PR_OK;
    pr_buf_init(&b, 0);
    pr_buf_u64le(&b, out->first);
    pr_buf_u64le(&b, out->last);
    pr_buf_u64le(&b, takes_sum(r));
    for (size_t i = out->first; i < out->last; i++) {
        const struct dr_restored *d = &out->shard[i].restored;
        pr_buf_u64le(&b, (uint64_t)d->last_ms);
        pr_buf_u64le(&b, d->slot_epoch);
        pr_buf_add(&b, d->slots, sizeof d->slots);
    }
    dr_survey_write(&r->survey, out->first, out->last, &b);
    enum pr_code rc = dr_exchange_put(&r->exchange, "facts", &b, err);
    pr_buf_done(&b);
    return rc == PR_OK ? dr_exchange_take(&r->exchange, "facts", take_facts, r, err) : rc;
}

static enum pr_code take_again(void *ctx, const char *data, size_t n, struct pr_err *err)
{
    struct dr_whole_run *r = ctx;
    struct dr_reader in = { data, data + n, 0 };
    return dr_survey_read(&in, 0, 0, &r->more, err);
}

enum pr_code dr_part_again(struct dr_whole_run *r, struct pr_err *err)
{
    struct pr_buf b;
    if (r->exchange.dir == NULL)
        return PR_OK;
    pr_buf_init(&b, 0);
    dr_survey_write(&r->more, 0, 0, &b);
    const enum pr_code rc = dr_exchange_put(&r->exchange, "again", &b, err);
    pr_buf_done(&b);
    return rc == PR_OK ? dr_exchange_take(&r->exchange, "again", take_again, r, err) : rc;
}
