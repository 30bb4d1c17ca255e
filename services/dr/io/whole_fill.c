#include "io/whole_private.h"

#include "prism/dp/library.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 600000, PROGRESS_S = 5 };

enum pr_code dr_whole_look(struct dr_whole_run *r, struct pr_err *err)
{
    dr_target_close(&r->target);
    const enum pr_code rc = dr_target_open(&r->target, r->w->seeds, &r->w->auth, err);
    if (rc != PR_OK || r->w->over_existing || r->target.keys == 0 || r->target.sealed)
        return rc;
    return pr_fail(err, PR_EEXISTS,
                   "the target holds %llu keys: nothing is restored over them unless told to",
                   (unsigned long long)r->target.keys);
}

/* --- copying ------------------------------------------------------------------------------------
 */

struct ticker {
    pthread_mutex_t mu;
    pthread_cond_t wake;
    bool stop;
    const struct dr_whole_progress *progress;
};

static void *tick(void *arg)
{
    struct ticker *t = arg;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    pthread_mutex_lock(&t->mu);
    while (!t->stop) {
        at.tv_sec += PROGRESS_S;
        if (pthread_cond_timedwait(&t->wake, &t->mu, &at) != 0 && !t->stop)
            pr_info(PR_EV("dr.restore_copying"), PR_I("keys", atomic_load(&t->progress->copied)),
                    PR_I("of", atomic_load(&t->progress->keys)));
    }
    pthread_mutex_unlock(&t->mu);
    return NULL;
}

static uint64_t source_keys(const struct dr_whole_run *r, struct pr_err *err, enum pr_code *rc)
{
    uint64_t sum = 0;
    for (size_t i = r->from; i < r->to && *rc == PR_OK; i++) {
        PR_AUTO(redisReply) *size = NULL;
        *rc = pr_redis_command(r->conn[i], &size, err, "DBSIZE");
        sum += *rc == PR_OK ? (uint64_t)size->integer : 0;
    }
    return sum;
}

/* Sent as many as are there, but for those whose time was up since. */
static enum pr_code check_sent(const struct dr_whole_run *r, const struct dr_copied *c,
                               struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    uint64_t mortal = 0;
    const uint64_t there = source_keys(r, err, &rc);
    for (int s = 0; s < DR_SLOTS; s++)
        mortal += c->mortal[s];
    return rc == PR_OK && (there > c->keys || there + mortal < c->keys)
               ? pr_fail(err, PR_EDATA, "%llu keys were sent of %llu: somebody else writes there",
                         (unsigned long long)c->keys, (unsigned long long)there)
               : rc;
}

static void add_up(struct dr_copied *to, const struct dr_copied *c)
{
    to->keys += c->keys;
    to->bytes += c->bytes;
    for (size_t s = 0; s < DR_SLOTS; s++) {
        to->slot[s] += c->slot[s];
        to->mortal[s] += c->mortal[s];
    }
}

static enum pr_code copy_keys(struct dr_whole_run *r, struct ticker *t, struct pr_err *err)
{
    const struct dr_copy_of of = { .from = r->conn + r->from,
                                   .sources = r->to - r->from,
                                   .seeds = r->w->seeds,
                                   .auth = &r->w->auth,
                                   .threads = r->threads,
                                   .wait_ms = WAIT_MS,
                                   .progress = &r->progress->copied,
                                   .cancel = r->w->cancel };
    struct dr_copied *copied = malloc(sizeof *copied);
    pthread_t ticking;
    if (copied == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for copying");
    const bool ticks = pthread_create(&ticking, NULL, tick, t) == 0;
    enum pr_code rc = dr_copy_keys(&of, copied, err);
    if (ticks) {
        pthread_mutex_lock(&t->mu);
        t->stop = true;
        pthread_cond_signal(&t->wake);
        pthread_mutex_unlock(&t->mu);
        pthread_join(ticking, NULL);
    }
    if (rc == PR_OK) {
        add_up(&r->out->copied, copied);
        rc = check_sent(r, copied, err);
    }
    free(copied);
    return rc;
}

static struct dr_digest_side sources(const struct dr_whole_run *r)
{
    return (struct dr_digest_side){ r->conn + r->from, r->to - r->from };
}

/* Of a wave whose servers stop now. */
static enum pr_code digest_wave(struct dr_whole_run *r, struct pr_err *err)
{
    const struct dr_digest_side from = sources(r), none = { .n = 0 };
    struct dr_digest of_wave, nothing, *sum = &r->out->digest;
    const enum pr_code rc =
        dr_digest_both(&from, &none, r->threads, r->w->cancel, &of_wave, &nothing, err);
    sum->keys += of_wave.keys;
    sum->sum[0] += of_wave.sum[0];
    sum->sum[1] += of_wave.sum[1];
    return rc;
}

static enum pr_code copy_wave(struct dr_whole_run *r, void *ctx, struct pr_err *err)
{
    struct ticker t = { .mu = PTHREAD_MUTEX_INITIALIZER,
                        .wake = PTHREAD_COND_INITIALIZER,
                        .progress = r->progress };
    const int64_t begun = pr_mono_us();
    (void)ctx;
    enum pr_code rc = dr_wave_mend(r, err);
    if (rc == PR_OK && r->from == 0)
        rc = dr_target_functions(r->conn[0], &r->functions, err);
    if (rc == PR_OK)
        rc = copy_keys(r, &t, err);
    if (rc == PR_OK && r->wave < r->out->shards)
        rc = digest_wave(r, err);
    if (rc == PR_OK)
        pr_info(PR_EV("dr.restore_copied"), PR_I("keys", r->out->copied.keys),
                PR_I("bytes", r->out->copied.bytes), PR_I("ms", (pr_mono_us() - begun) / 1000));
    return rc;
}

/* --- comparing ----------------------------------------------------------------------------------
 */

/* Key by key in number: as many as were sent, but for those whose time was up since. */
static enum pr_code compare_counts(struct dr_whole_run *r, struct pr_err *err)
{
    static const char what[] = "the target holds %u keys of slot %d, %u were sent";
    const struct dr_copied *c = &r->out->copied;
    uint32_t *slot = calloc(DR_SLOTS, sizeof *slot);
    enum pr_code rc = slot != NULL ? dr_target_count(&r->target, slot, err)
                                   : pr_fail(err, PR_ENOMEM, "no memory for counting");
    for (int s = 0; s < DR_SLOTS && rc == PR_OK; s++)
        if (slot[s] > c->slot[s] || slot[s] + c->mortal[s] < c->slot[s])
            rc = pr_fail(err, PR_EDATA, what, slot[s], s, c->slot[s]);
    free(slot);
    return rc;
}

/* Servers that still run are digested beside the target. */
static enum pr_code compare_digests(struct dr_whole_run *r, struct pr_err *err)
{
    const struct dr_digest_side from = sources(r), to = { r->target.primary, r->target.primaries };
    struct dr_digest *sent = &r->out->digest, got, still;
    enum pr_code rc = dr_digest_both(&from, &to, r->threads, r->w->cancel, &still, &got, err);
    if (from.n > 0)
        *sent = still;
    if (rc == PR_OK && memcmp(sent, &got, sizeof got) != 0)
        rc = pr_fail(err, PR_EDATA,
                     "the digest of the target is not that of what was sent "
                     "(%llu and %llu keys)",
                     (unsigned long long)got.keys, (unsigned long long)sent->keys);
    return rc;
}

/* What the target holds is looked at as if it were restored shards: nothing is left to mend. */
static enum pr_code compare_ways(const struct dr_survey *s, struct pr_err *err)
{
    struct dr_mend m = { .vertices = 0 };
    struct dr_survey own = *s;
    int *owner = malloc(DR_SLOTS * sizeof *owner);
    enum pr_code rc = owner != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "no memory for slots");
    for (int i = 0; i < DR_SLOTS && rc == PR_OK; i++)
        owner[i] = DR_NO_SHARD;
    if (rc == PR_OK)
        rc = dr_mend(&(struct dr_mend_of){ .survey = &own, .owner = owner }, &m, err);
    const uint64_t wrong = m.dropped + m.homes_told + m.forward + m.rolled_back + m.lost;
    if (rc == PR_OK && wrong > 0)
        rc = pr_fail(err, PR_EDATA, "%llu keys of vertices in the target do not agree",
                     (unsigned long long)wrong);
    dr_mend_done(&m);
    free(owner);
    return rc;
}

static enum pr_code may(const struct dr_whole_run *r, enum dr_whole_act act, struct pr_err *err)
{
    return r->w->may != NULL ? r->w->may(r->w->ctx, act, err) : PR_OK;
}

/* --- routes -------------------------------------------------------------------------------------
 */

static enum pr_code write_routes(struct dr_whole_run *r, const struct dr_survey *s,
                                 struct pr_err *err)
{
    struct pr_lease lease;
    enum pr_code rc = may(r, DR_WHOLE_ROUTES, err);
    if (rc == PR_OK)
        rc = dr_routes_begin(r->db, &lease, err);
    if (rc != PR_OK)
        return rc;
    rc = dr_routes_write(r->db, &lease, r->partitions, s, r->out->mend.epoch, &r->out->routes, err);
    dr_routes_end(r->db, &lease);
    r->out->routes_written = rc == PR_OK;
    return rc == PR_OK ? rc : pr_wrap(err, rc, "routes");
}

static enum pr_code look_through(struct dr_whole_run *r, struct pr_err *err)
{
    const struct dr_survey_of of = { .conn = r->target.primary,
                                     .to = r->target.primaries,
                                     .partitions = r->partitions,
                                     .threads = r->threads,
                                     .cancel = r->w->cancel };
    struct dr_survey s = { .n = 0 };
    enum pr_code rc = dr_survey(&of, &s, err);
    if (rc == PR_OK)
        rc = compare_ways(&s, err);
    if (rc == PR_OK && r->db != NULL)
        rc = write_routes(r, &s, err);
    dr_survey_done(&s);
    return rc;
}

/* The target is asked again: hours may have passed since. Unsealed last, when nothing is left that
 * could fail. */
enum pr_code dr_whole_fill(struct dr_whole_run *r, struct pr_err *err)
{
    enum pr_code rc = dr_whole_look(r, err);
    if (rc == PR_OK)
        rc = may(r, DR_WHOLE_EMPTY, err);
    if (rc == PR_OK)
        rc = dr_target_empty(&r->target, err);
    if (rc != PR_OK)
        return rc;
    pr_info(PR_EV("dr.restore_sealed"), PR_S("target", r->w->seeds));
    atomic_store(&r->progress->keys, r->survey.total);
    atomic_store(&r->progress->step, DR_WHOLE_COPY);
    rc = dr_wave_each(r, NULL, NULL, copy_wave, NULL, err);
    atomic_store(&r->progress->step, DR_WHOLE_COMPARE);
    if (rc == PR_OK)
        rc = compare_counts(r, err);
    if (rc == PR_OK)
        rc = compare_digests(r, err);
    if (rc == PR_OK)
        rc = look_through(r, err);
    if (rc == PR_OK)
        rc = may(r, DR_WHOLE_UNSEAL, err);
    if (rc == PR_OK)
        rc = dr_target_unseal(&r->target, &r->functions, err);
    if (rc == PR_OK)
        rc = pr_cluster_check(r->target.cluster, PR_LIBRARY_VERSION, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "the target stays sealed");
    pr_info(PR_EV("dr.restore_unsealed"), PR_S("target", r->w->seeds));
    return PR_OK;
}
