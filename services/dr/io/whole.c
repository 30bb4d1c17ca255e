#include "io/whole_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8 };

/* --- shards -------------------------------------------------------------------------------------
 */

static enum pr_code list_shards(struct dr_whole_run *r, struct pr_err *err)
{
    struct dr_names names = { .n = 0 };
    struct pr_s3 *s3 = NULL;
    struct dr_whole_done *out = r->out;
    enum pr_code rc = pr_s3_open(r->w->store, NULL, &s3, err);
    if (rc == PR_OK)
        rc = dr_catalog_shards(s3, r->w->cluster, &names, err);
    if (rc == PR_OK && names.n == 0)
        rc = pr_fail(err, PR_ENOTFOUND, "the bucket holds no shard of %s", r->w->cluster);
    if (rc == PR_OK) {
        out->shards = names.n;
        out->shard = calloc(names.n, sizeof *out->shard);
        r->server = calloc(names.n, sizeof *r->server);
        r->conn = calloc(names.n, sizeof(struct pr_redis *));
        if (out->shard == NULL || r->server == NULL || r->conn == NULL)
            rc = pr_fail(err, PR_ENOMEM, "no memory for %zu shards", names.n);
    }
    for (size_t i = 0; rc == PR_OK && i < names.n; i++)
        memcpy(out->shard[i].name, names.name[i], sizeof out->shard[i].name);
    if (rc == PR_OK)
        rc = dr_takes_read(s3, r->w->cluster, (const char(*)[DR_NAME])names.name, names.n,
                           r->w->until_ms, &r->takes, err);
    dr_names_done(&names);
    pr_s3_close(s3);
    return rc;
}

/* A server loads while the next shard is still being fetched. */
static enum pr_code fetch_shard(struct dr_whole_run *r, size_t i, struct pr_err *err)
{
    struct dr_whole_shard *s = &r->out->shard[i];
    char dir[4200];
    (void)snprintf(dir, sizeof dir, "%s/%s", r->dir, s->name);
    const struct dr_restore what = { .store = r->w->store,
                                     .codec = r->w->codec,
                                     .cluster = r->w->cluster,
                                     .shard = s->name,
                                     .until_ms = r->w->until_ms,
                                     .dir = dir,
                                     .threads = r->threads };
    const int64_t begun = pr_mono_us();
    enum pr_code rc = dr_restore_shard(&what, &s->restored, err);
    if (rc != PR_OK)
        return rc;
    const struct dr_restored *d = &s->restored;
    pr_info(PR_EV("dr.restore_fetched"), PR_S("shard", s->name), PR_I("shard_number", i + 1),
            PR_I("shards", r->out->shards), PR_I("bytes", d->base_bytes + d->stream_bytes),
            PR_I("ms", (pr_mono_us() - begun) / 1000), PR_I("until_ms", d->last_ms));
    if (d->gap || d->skipped > 0)
        pr_warn(PR_EV("dr.restore_damage"), PR_S("shard", s->name), PR_I("gap", d->gap),
                PR_I("skipped_generations", d->skipped), PR_S("why", d->why));
    if (i == 0 || d->last_ms < r->out->oldest_ms)
        r->out->oldest_ms = d->last_ms;
    if (i == 0 || d->last_ms > r->out->newest_ms)
        r->out->newest_ms = d->last_ms;
    return dr_quarantine_open(&r->server[i], dir, err);
}

/* What the base says it holds must have been loaded, whatever the stream then did to it. */
static enum pr_code load_shard(struct dr_whole_run *r, size_t i, struct pr_err *err)
{
    struct dr_whole_shard *s = &r->out->shard[i];
    PR_AUTO(redisReply) *size = NULL;
    uint64_t loaded = 0;
    enum pr_code rc = dr_quarantine_await(&r->server[i], err);
    if (rc == PR_OK)
        rc = dr_quarantine_connect(&r->server[i], &r->conn[i], err);
    if (rc == PR_OK)
        rc = dr_quarantine_loaded(r->conn[i], &loaded, err);
    if (rc == PR_OK)
        rc = pr_redis_command(r->conn[i], &size, err, "DBSIZE");
    if (rc != PR_OK)
        return pr_wrap(err, rc, "shard %s", s->name);
    s->keys = (uint64_t)size->integer;
    if (s->restored.base_keys != UINT64_MAX && loaded != s->restored.base_keys)
        return pr_fail(err, PR_EDATA, "shard %s: %llu keys of its base were loaded, it had %llu",
                       s->name, (unsigned long long)loaded,
                       (unsigned long long)s->restored.base_keys);
    pr_info(PR_EV("dr.restore_loaded"), PR_S("shard", s->name), PR_I("keys", s->keys));
    return PR_OK;
}

static enum pr_code bring_back(struct dr_whole_run *r, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < r->out->shards && rc == PR_OK; i++)
        rc = fetch_shard(r, i, err);
    for (size_t i = 0; i < r->out->shards && rc == PR_OK; i++)
        rc = load_shard(r, i, err);
    return rc;
}

/* --- slots --------------------------------------------------------------------------------------
 */

static bool claims(const struct dr_restored *d, uint32_t slot)
{
    return (d->slots[slot / 8] >> (slot % 8) & 1) != 0;
}

/* Of those that hold keys of the slot: who took it last; else who owned it by the newest map, as of
 * all when nobody holds any. When all its keys are on one shard it is that one, whatever an older
 * map says. */
static int owner_of(const struct dr_whole_run *r, const struct dr_survey *s, uint32_t slot)
{
    int best = DR_NO_SHARD, holders = 0, holder = DR_NO_SHARD;
    for (size_t i = 0; i < s->shards; i++)
        if (s->keys[i][slot] > 0) {
            holders++;
            holder = (int)i;
        }
    if (holders == 1)
        return holder;
    for (size_t i = 0; i < s->shards; i++) {
        const uint64_t n = r->takes.number[i][slot];
        if (s->keys[i][slot] > 0 && n > 0 &&
            (best == DR_NO_SHARD || n > r->takes.number[best][slot]))
            best = (int)i;
    }
    if (best != DR_NO_SHARD)
        return best;
    for (size_t i = 0; i < s->shards; i++) {
        const struct dr_restored *d = &r->out->shard[i].restored;
        if (claims(d, slot) && (holders == 0 || s->keys[i][slot] > 0) &&
            (best == DR_NO_SHARD || d->slot_epoch > r->out->shard[best].restored.slot_epoch))
            best = (int)i;
    }
    return best != DR_NO_SHARD ? best : holder;
}

/* A slot that nobody owned and that holds nothing goes with the one before. */
static void assign_slots(struct dr_whole_run *r, const struct dr_survey *s)
{
    int last = 0;
    for (uint32_t slot = 0; slot < DR_SLOTS; slot++) {
        const int owner = owner_of(r, s, slot);
        last = owner != DR_NO_SHARD ? owner : last;
        r->owner[slot] = last;
    }
}

/* --- agreeing -----------------------------------------------------------------------------------
 */

static enum pr_code agree(struct dr_whole_run *r, struct pr_err *err)
{
    const struct dr_survey_of of = { .conn = r->conn,
                                     .shards = r->out->shards,
                                     .partitions = r->partitions,
                                     .threads = r->threads };
    struct dr_survey s = { .n = 0 };
    struct dr_mend *m = &r->out->mend;
    enum pr_code rc = dr_survey(&of, &s, err);
    if (rc == PR_OK) {
        assign_slots(r, &s);
        pr_info(PR_EV("dr.restore_surveyed"), PR_I("keys", s.total), PR_I("of_vertices_away", s.n));
        rc = dr_mend(&(struct dr_mend_of){ &s, r->owner, r->conn }, m, err);
    }
    dr_survey_done(&s);
    if (rc == PR_OK)
        pr_info(PR_EV("dr.restore_reconciled"), PR_I("vertices", m->vertices),
                PR_I("forward", m->forward), PR_I("rolled_back", m->rolled_back),
                PR_I("lost", m->lost), PR_I("homes_told", m->homes_told),
                PR_I("dropped", m->dropped));
    if (rc != PR_OK || m->lost + m->rolled_back == 0)
        return rc;
    pr_error(PR_EV("dr.restore_lost"), PR_I("lost", m->lost), PR_I("rolled_back", m->rolled_back),
             PR_I("accepted", r->w->accept_loss), PR_I("agree_until_ms", r->out->oldest_ms));
    r->out->refused = !r->w->accept_loss;
    return r->out->refused
               ? pr_fail(err, PR_ECONFLICT,
                         "%llu vertices would be lost and %llu rolled back; nothing is "
                         "restored unless that is accepted, or an earlier time asked for",
                         (unsigned long long)m->lost, (unsigned long long)m->rolled_back)
               : PR_OK;
}

/* --- all ----------------------------------------------------------------------------------------
 */

static enum pr_code open_database(struct dr_whole_run *r, struct pr_err *err)
{
    uint32_t partitions = 0;
    if (r->w->db_uri == NULL)
        return PR_OK;
    enum pr_code rc = pr_db_open(&r->db, r->w->db_uri, "prism-dr-restore", err);
    if (rc == PR_OK)
        rc = dr_routes_partitions(r->db, &partitions, err);
    if (rc == PR_OK && r->partitions > 0 && r->partitions != partitions)
        rc = pr_fail(err, PR_EINVAL, "the store has %u partitions, not %u", partitions,
                     r->partitions);
    r->partitions = partitions;
    return rc;
}

static void close_run(struct dr_whole_run *r)
{
    for (size_t i = 0; i < r->out->shards; i++) {
        if (r->conn != NULL)
            pr_redis_close(r->conn[i]);
        if (r->server != NULL)
            dr_quarantine_close(&r->server[i]);
    }
    free(r->conn);
    free(r->server);
    dr_target_close(&r->target);
    dr_takes_done(&r->takes);
    pr_db_close(r->db);
}

enum pr_code dr_whole_restore(const struct dr_whole *w, struct dr_whole_done *out,
                              struct pr_err *err)
{
    struct dr_whole_run *r = calloc(1, sizeof *r);
    *out = (struct dr_whole_done){ .shards = 0 };
    if (r == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for a restore");
    *r = (struct dr_whole_run){ .w = w,
                                .out = out,
                                .partitions = w->partitions,
                                .threads = w->threads > 0 ? w->threads : THREADS };
    enum pr_code rc = open_database(r, err);
    if (rc == PR_OK && w->seeds != NULL)
        rc = dr_whole_look(r, err);
    if (rc == PR_OK)
        rc = list_shards(r, err);
    if (rc == PR_OK)
        rc = dr_whole_dir_begin(r, err);
    if (rc == PR_OK) {
        rc = bring_back(r, err);
        if (rc == PR_OK)
            rc = agree(r, err);
        if (rc == PR_OK)
            rc = w->seeds != NULL ? dr_whole_fill(r, err) : dr_whole_gather(r, err);
        if (rc == PR_OK && w->seeds == NULL)
            rc = dr_whole_publish(r, err);
        if (rc != PR_OK || w->seeds != NULL) {
            for (size_t i = 0; i < out->shards; i++)
                dr_quarantine_close(&r->server[i]);
            dr_whole_dir_remove(r);
        }
    }
    close_run(r);
    free(r);
    return rc;
}

void dr_whole_done_free(struct dr_whole_done *d)
{
    dr_mend_done(&d->mend);
    free(d->shard);
    *d = (struct dr_whole_done){ .shards = 0 };
}
