#include "io/whole_private.h"

#include "core/owner.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8 };

/* --- shards -------------------------------------------------------------------------------------
 */

static enum pr_code read_takes(struct dr_whole_run *r, struct pr_err *err)
{
    const struct dr_whole_done *out = r->out;
    char(*name)[DR_NAME] = calloc(out->shards, sizeof *name);
    if (name == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu shards", out->shards);
    for (size_t i = 0; i < out->shards; i++)
        memcpy(name[i], out->shard[i].name, sizeof name[i]);
    const enum pr_code rc = dr_takes_read(r->w->store, r->w->cluster, (const char(*)[DR_NAME])name,
                                          out->shards, r->w->until_ms, &r->takes, err);
    free(name);
    if (rc == PR_OK && r->takes.objects > 0)
        pr_buf_str(&r->out->damaged, r->takes.damaged.data);
    return rc;
}

/* The bucket is read once for all shards. */
static enum pr_code list_shards(struct dr_whole_run *r, struct pr_err *err)
{
    struct dr_whole_done *out = r->out;
    struct dr_index *ix = &r->index;
    enum pr_code rc = dr_index_open(ix, r->w->store, r->w->cancel, r->w->cluster, NULL, err);
    if (rc == PR_OK && ix->shards == 0)
        rc = pr_fail(err, PR_ENOTFOUND, "the bucket holds no shard of %s", r->w->cluster);
    if (rc != PR_OK)
        return rc;
    out->shard = calloc(ix->shards, sizeof *out->shard);
    r->server = calloc(ix->shards, sizeof *r->server);
    r->conn = calloc(ix->shards, sizeof(struct pr_redis *));
    r->fetched = calloc(ix->shards, sizeof *r->fetched);
    if (out->shard == NULL || r->server == NULL || r->conn == NULL || r->fetched == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu shards", ix->shards);
    out->shards = ix->shards;
    atomic_store(&r->progress->shards, ix->shards);
    for (size_t i = 0; i < ix->shards; i++)
        memcpy(out->shard[i].name, ix->shard[i].name, sizeof out->shard[i].name);
    rc = dr_part_begin(r, err);
    if (rc != PR_OK)
        return rc;
    rc = read_takes(r, err);
    if (rc != PR_OK)
        return rc;
    dr_index_want_some(ix, out->first, out->last, r->w->until_ms);
    rc = dr_index_read(ix, err);
    if (rc == PR_OK)
        pr_info(PR_EV("dr.restore_listed"), PR_I("shards", ix->shards),
                PR_I("containers", ix->listed), PR_I("heads_read", ix->read),
                PR_I("ms", ix->took_ms));
    return rc;
}

/* --- slots --------------------------------------------------------------------------------------
 */

static bool claims(const struct dr_restored *d, uint32_t slot)
{
    return (d->slots[slot / 8] >> (slot % 8) & 1) != 0;
}

/* A slot that nobody owned and that holds nothing goes with the one before. */
static enum pr_code assign_slots(struct dr_whole_run *r, const struct dr_survey *s,
                                 struct pr_err *err)
{
    struct dr_claim *claim = calloc(s->shards + 1, sizeof *claim);
    int last = 0;
    if (claim == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu shards", s->shards);
    for (uint32_t slot = 0; slot < DR_SLOTS; slot++) {
        for (size_t i = 0; i < s->shards; i++) {
            const struct dr_restored *d = &r->out->shard[i].restored;
            claim[i] = (struct dr_claim){ .owned = claims(d, slot),
                                          .epoch = d->slot_epoch,
                                          .took = r->takes.number[i][slot],
                                          .keys = s->keys[i][slot] };
        }
        const int owner = dr_slot_owner(claim, s->shards);
        if (dr_slot_unsure(claim, s->shards, r->takes.unread)) {
            r->unsure[slot / 8] |= (uint8_t)(1u << slot % 8);
            r->out->unsure++;
        }
        last = owner != DR_NO_SHARD ? owner : last;
        r->owner[slot] = last;
    }
    free(claim);
    return PR_OK;
}

/* --- agreeing -----------------------------------------------------------------------------------
 */

static enum pr_code look(struct dr_whole_run *r, size_t shard, struct pr_err *err)
{
    const struct dr_survey_of of = { .conn = r->conn,
                                     .from = shard,
                                     .to = shard + 1,
                                     .partitions = r->partitions,
                                     .threads = 1,
                                     .cancel = r->w->cancel };
    return dr_survey_look(&of, &r->survey, &r->joining, err);
}

static bool asked(const struct dr_whole_run *r, const void *ctx, size_t shard)
{
    (void)ctx;
    return dr_survey_asks(&r->survey, shard);
}

static enum pr_code look_again(struct dr_whole_run *r, void *ctx, struct pr_err *err)
{
    (void)ctx;
    const struct dr_survey_of of = { .conn = r->conn,
                                     .from = r->from,
                                     .to = r->to,
                                     .partitions = r->partitions,
                                     .threads = r->threads,
                                     .cancel = r->w->cancel,
                                     .unsure = r->unsure };
    return dr_survey_look_again(&of, &r->survey, &r->more, err);
}

static void note_ends(struct dr_whole_done *out)
{
    out->oldest_ms = out->newest_ms = out->shard[0].restored.last_ms;
    for (size_t i = 1; i < out->shards; i++) {
        const int64_t ms = out->shard[i].restored.last_ms;
        out->oldest_ms = ms < out->oldest_ms ? ms : out->oldest_ms;
        out->newest_ms = ms > out->newest_ms ? ms : out->newest_ms;
    }
}

/* Every shard is fetched and loaded for it. */
static enum pr_code survey(struct dr_whole_run *r, struct pr_err *err)
{
    const size_t n = r->out->shards;
    enum pr_code rc = dr_survey_init(&r->survey, n, err);
    if (rc == PR_OK)
        rc = dr_wave_each(r, NULL, look, NULL, NULL, err);
    if (rc == PR_OK) {
        dr_survey_sort(&r->survey);
        rc = dr_part_facts(r, err);
    }
    if (rc == PR_OK)
        rc = assign_slots(r, &r->survey, err);
    if (rc == PR_OK)
        rc = dr_survey_init(&r->more, n, err);
    if (rc == PR_OK)
        rc = dr_wave_each(r, asked, NULL, look_again, NULL, err);
    if (rc == PR_OK)
        rc = dr_part_again(r, err);
    if (rc == PR_OK)
        rc = dr_survey_join(&r->survey, &r->more, err);
    dr_survey_done(&r->more);
    note_ends(r->out);
    if (rc == PR_OK)
        pr_info(PR_EV("dr.restore_surveyed"), PR_I("keys", r->survey.total),
                PR_I("of_vertices_away", r->survey.n));
    return rc;
}

/* Vertices say themselves which copy is newer; of other keys it matters who took their slot. */
static enum pr_code judge_doubts(struct dr_whole_run *r, struct pr_err *err)
{
    const struct dr_mend *m = &r->out->mend;
    const struct dr_takes *t = &r->takes;
    if (r->out->unsure == 0)
        return PR_OK;
    pr_warn(PR_EV("dr.restore_unsure"), PR_I("slots", r->out->unsure),
            PR_I("keys_that_differ", m->doubtful), PR_I("objects_damaged", t->objects),
            PR_I("accepted", r->w->accept_loss));
    r->out->refused = m->doubtful > 0 && !r->w->accept_loss;
    return r->out->refused
               ? pr_fail(err, PR_ECONFLICT,
                         "of %llu keys two shards have different values, and %s%.*s: nothing is "
                         "restored unless it is accepted that some may be the older ones, or an "
                         "earlier time is asked for",
                         (unsigned long long)m->doubtful,
                         t->objects > 0 ? "what says which is newer is damaged or missing: "
                                        : "nothing in the bucket says which is newer",
                         t->objects > 0 ? (int)strcspn(t->damaged.data, "\n") : 0,
                         t->objects > 0 ? t->damaged.data : "")
               : PR_OK;
}

/* Judged before anything is changed. */
static enum pr_code agree(struct dr_whole_run *r, struct pr_err *err)
{
    struct dr_mend *m = &r->out->mend;
    enum pr_code rc = survey(r, err);
    if (rc == PR_OK)
        rc = dr_mend(
            &(struct dr_mend_of){ .survey = &r->survey, .owner = r->owner, .unsure = r->unsure }, m,
            err);
    if (rc == PR_OK)
        pr_info(PR_EV("dr.restore_reconciled"), PR_I("vertices", m->vertices),
                PR_I("forward", m->forward), PR_I("rolled_back", m->rolled_back),
                PR_I("lost", m->lost), PR_I("homes_told", m->homes_told),
                PR_I("dropped", m->dropped));
    if (rc == PR_OK)
        rc = judge_doubts(r, err);
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
    dr_wave_kill(r);
    pthread_rwlock_destroy(&r->reading);
    pthread_mutex_destroy(&r->rooms.mu);
    pthread_mutex_destroy(&r->joining);
    free(r->conn);
    free(r->server);
    free(r->fetched);
    dr_index_close(&r->index);
    dr_survey_done(&r->survey);
    pr_buf_done(&r->functions);
    dr_target_close(&r->target);
    dr_takes_done(&r->takes);
    pr_db_close(r->db);
}

static enum pr_code restore(struct dr_whole_run *r, struct pr_err *err)
{
    const bool files = r->w->seeds == NULL;
    atomic_store(&r->progress->step, DR_WHOLE_FETCH);
    enum pr_code rc = dr_wave_begin(r, err);
    if (rc == PR_OK)
        rc = agree(r, err);
    if (rc == PR_OK)
        rc = files ? dr_whole_gather(r, err) : dr_whole_fill(r, err);
    if (rc == PR_OK && files)
        rc = dr_whole_publish(r, err);
    if (rc != PR_OK || !files) {
        dr_wave_kill(r);
        dr_whole_dir_remove(r);
    }
    return rc;
}

enum pr_code dr_whole_restore(const struct dr_whole *w, struct dr_whole_done *out,
                              struct pr_err *err)
{
    struct dr_whole_run *r = calloc(1, sizeof *r);
    *out = (struct dr_whole_done){ .shards = 0 };
    pr_buf_init(&out->damaged, 0);
    if (r == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for a restore");
    *r = (struct dr_whole_run){ .w = w,
                                .out = out,
                                .partitions = w->partitions,
                                .threads = w->threads > 0 ? w->threads : THREADS };
    r->progress = w->progress != NULL ? w->progress : &r->own;
    pr_buf_init(&r->functions, 0);
    pthread_rwlock_init(&r->reading, NULL);
    pthread_mutex_init(&r->rooms.mu, NULL);
    pthread_mutex_init(&r->joining, NULL);
    enum pr_code rc = open_database(r, err);
    if (rc == PR_OK && w->seeds != NULL)
        rc = dr_whole_look(r, err);
    if (rc == PR_OK)
        rc = list_shards(r, err);
    if (rc == PR_OK)
        rc = dr_whole_dir_begin(r, err);
    if (rc == PR_OK)
        rc = restore(r, err);
    if (rc != PR_OK)
        dr_exchange_give_up(&r->exchange);
    dr_exchange_end(&r->exchange); /* after it: what is silent gave up, or is done */
    close_run(r);
    free(r);
    return rc;
}

void dr_whole_done_free(struct dr_whole_done *d)
{
    dr_mend_done(&d->mend);
    pr_buf_done(&d->damaged);
    free(d->shard);
    *d = (struct dr_whole_done){ .shards = 0 };
}
