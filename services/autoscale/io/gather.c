#include "io/gather.h"

#include "io/samples.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdlib.h>
#include <string.h>

enum {
    PAST_MS = 15 * AUTOSCALE_MINUTE_MS, /* of sources that keep a past, after a pause */
    REDIS_LEAST_MS = 1200,              /* real: answers closer than a second say nothing of CPU */
    OVERLAP_MS = 3 * AUTOSCALE_MINUTE_MS, /* asked again: what was said late comes after all */
    CLOUDWATCH_SETTLE_MS = AUTOSCALE_MINUTE_MS,
    AGAIN_MS = 10000, /* a clock that is wrong is looked at */
};

void autoscale_gather_done(struct autoscale_gather *g)
{
    autoscale_redis_forget(&g->redis);
    *g = (struct autoscale_gather){ 0 };
}

struct asking {
    struct autoscale_gather_ctx *ctx;
    const struct autoscale_fleet_row *fleet;
    struct autoscale_gather *g;
    struct autoscale_readings *out;
    struct autoscale_redis redis;
    struct autoscale_prometheus prometheus;
    struct autoscale_cloudwatch cloudwatch;
    struct pr_aws_keys keys;
    char aws_url[160];
};

/* --- where to ask ------------------------------------------------------------------------ */

static int by_redis_id(const void *a, const void *b)
{
    return strcmp(((const struct autoscale_redis_name *)a)->redis_id,
                  ((const struct autoscale_redis_name *)b)->redis_id);
}

static enum pr_code load_redis(struct asking *a, struct pr_err *err)
{
    const struct autoscale_config *cfg = a->ctx->cfg;
    struct pr_arena *arena = a->out->arena;
    PGresult *got = NULL;
    size_t n = 0;
    enum pr_code rc = pr_db_exec(
        a->ctx->db,
        "SELECT redis_id, id, coalesce(zone_id, ''), host || ':' || port, state IN ('up', "
        "'failed') FROM nodes ORDER BY state <> 'up', id",
        NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    struct pr_buf seeds;
    pr_buf_init(&seeds, 0);
    struct autoscale_redis_name *name =
        pr_arena_alloc(arena, ((size_t)PQntuples(res) + 1) * sizeof *name);
    for (int i = 0; i < PQntuples(res) && name != NULL; i++) {
        if (pr_cell_bool(res, i, 4))
            pr_buf_printf(&seeds, "%s%s", seeds.len > 0 ? "," : "", pr_cell(res, i, 3));
        if (pr_cell(res, i, 0) == NULL)
            continue;
        struct autoscale_redis_name *to = &name[n++];
        *to = (struct autoscale_redis_name){ pr_arena_strdup(arena, pr_cell(res, i, 0)),
                                             pr_arena_strdup(arena, pr_cell(res, i, 1)),
                                             pr_arena_strdup(arena, pr_cell(res, i, 2)) };
        if (to->redis_id == NULL || to->id == NULL || to->zone == NULL)
            rc = PR_ENOMEM;
    }
    a->redis = (struct autoscale_redis){
        .seeds = cfg->redis_seeds[0] != '\0'
                     ? cfg->redis_seeds
                     : pr_arena_strdup(arena, seeds.data == NULL ? "" : seeds.data),
        .auth = { .user = cfg->redis_user[0] == '\0' ? NULL : cfg->redis_user,
                  .password = cfg->redis_password },
        .timeout_ms = (int)cfg->redis_timeout_ms,
        .name = name,
        .names = n,
    };
    if (rc != PR_OK || name == NULL || a->redis.seeds == NULL || seeds.failed)
        rc = pr_fail(err, PR_ENOMEM, "%d nodes", PQntuples(res));
    else
        qsort(name, n, sizeof *name, by_redis_id);
    pr_buf_done(&seeds);
    return rc;
}

static void set_prometheus(struct asking *a)
{
    const struct autoscale_config *cfg = a->ctx->cfg;
    a->prometheus = (struct autoscale_prometheus){
        .url = cfg->prometheus_url,
        .bearer_file = cfg->prometheus_token_file[0] == '\0' ? NULL : cfg->prometheus_token_file,
        .ca_file = cfg->prometheus_ca_file[0] == '\0' ? NULL : cfg->prometheus_ca_file,
        .timeout_ms = cfg->request_ms,
    };
}

/* Without keys CloudWatch is asked all the same, and says that it was not let in: a failure of
 * that source and no other. */
static void set_cloudwatch(struct asking *a)
{
    const struct autoscale_config *cfg = a->ctx->cfg;
    struct pr_aws_source from;
    struct pr_err why = { 0 };
    enum pr_code rc = PR_OK;
    if (a->ctx->ring == NULL) {
        rc = pr_aws_source_of(&PR_AWS_SETTINGS(cfg, "prism-autoscale", cfg->request_ms), &from,
                              &why);
        if (rc == PR_OK)
            rc = pr_aws_keyring_open(&from, &a->ctx->ring, &why);
        explicit_bzero(&from, sizeof from);
    }
    if (rc == PR_OK)
        rc = pr_aws_keys(a->ctx->ring, pr_now_ms(), &a->keys, &why);
    if (rc != PR_OK)
        pr_warn(PR_EV("aws.no_keys"), PR_S("fleet", a->fleet->name), PR_E(&why));
    (void)snprintf(a->aws_url, sizeof a->aws_url, "https://monitoring.%.60s.amazonaws.com%s",
                   cfg->aws_region, strncmp(cfg->aws_region, "cn-", 3) == 0 ? ".cn" : "");
    a->cloudwatch = (struct autoscale_cloudwatch){
        .url = cfg->aws_cloudwatch_url[0] != '\0' ? cfg->aws_cloudwatch_url : a->aws_url,
        .region = cfg->aws_region,
        .keys = &a->keys,
        .ca_file = cfg->aws_ca_file[0] == '\0' ? NULL : cfg->aws_ca_file,
        .timeout_ms = cfg->call_ms,
        .settle_ms = CLOUDWATCH_SETTLE_MS,
    };
}

/* --- one turn ---------------------------------------------------------------------------- */

static bool minutely(enum autoscale_source_kind kind)
{
    return kind == AUTOSCALE_SOURCE_PROMETHEUS || kind == AUTOSCALE_SOURCE_CLOUDWATCH;
}

static void said(const struct asking *a, size_t i, const struct autoscale_source *s,
                 const struct autoscale_asked *asked)
{
    const char *name = autoscale_source_kind_name(s->kind);
    const char *now = asked->rc == PR_OK ? "" : asked->err.text;
    char *before = a->g->said[i];
    if (asked->rc != PR_OK)
        pr_metrics_add(a->ctx->svc->metrics, M_COLLECT_ERRORS, name, 1);
    pr_metrics_observe(a->ctx->svc->metrics, M_COLLECT_SECONDS, NULL, (double)asked->took_us / 1e6);
    if (strncmp(before, now, sizeof a->g->said[i] - 1) == 0)
        return;
    (void)snprintf(before, sizeof a->g->said[i], "%.*s", (int)sizeof a->g->said[i] - 1, now);
    if (asked->rc != PR_OK)
        pr_warn(PR_EV("collector.failed"), PR_S("fleet", a->fleet->name), PR_S("source", name),
                PR_S("code", pr_code_name(asked->rc)), PR_S("why", now));
    else
        pr_info(PR_EV("collector.answers"), PR_S("fleet", a->fleet->name), PR_S("source", name));
}

/* Stored by source, for the metric's sake: there are few. */
static enum pr_code store(const struct asking *a, int64_t now_ms, struct pr_err *err)
{
    struct autoscale_put put = { 0 };
    if (a->out->n == 0)
        return PR_OK;
    const enum pr_code rc = autoscale_readings_put(a->ctx->db, a->fleet->name, now_ms,
                                                   a->out->reading, a->out->n, &put, err);
    pr_metrics_add(a->ctx->svc->metrics, M_READINGS, "stored", (double)put.stored);
    pr_metrics_add(a->ctx->svc->metrics, M_READINGS, "again", (double)put.again);
    pr_metrics_add(a->ctx->svc->metrics, M_READINGS, "refused", (double)put.refused);
    if (a->out->note[0] != '\0')
        pr_info(PR_EV("collector.note"), PR_S("fleet", a->fleet->name), PR_S("note", a->out->note));
    return rc;
}

static enum pr_code ask_some(struct asking *a, const struct autoscale_sources *due,
                             const size_t *at, int rhythm, int64_t now_ms, struct pr_err *err)
{
    struct autoscale_asked asked[AUTOSCALE_SOURCES];
    struct autoscale_gather *g = a->g;
    const int64_t good = g->good_ms[rhythm];
    const int64_t from = good == 0 || good > now_ms ? now_ms - PAST_MS : good - OVERLAP_MS;
    const struct autoscale_span when = { .now_ms = now_ms,
                                         .from_ms =
                                             from < now_ms - PAST_MS ? now_ms - PAST_MS : from };
    bool redis = false;
    for (size_t i = 0; i < due->n; i++)
        redis = redis || due->source[i].kind == AUTOSCALE_SOURCE_REDIS;
    enum pr_code rc = redis ? load_redis(a, err) : PR_OK;
    if (rc != PR_OK)
        return rc;
    const struct autoscale_endpoints where = {
        .redis = redis && a->redis.seeds[0] != '\0' ? &a->redis : NULL,
        .prometheus = a->ctx->cfg->prometheus_url[0] != '\0' ? &a->prometheus : NULL,
        .cloudwatch = a->ctx->cfg->aws_region[0] != '\0' ? &a->cloudwatch : NULL,
        .bus = a->ctx->svc->bus,
        .bus_timeout_ms = (int)a->ctx->cfg->request_ms,
    };
    g->asked_ms[rhythm] = now_ms;
    if (autoscale_collect(&where, due, &when, &g->redis, a->out, asked) == 0)
        g->good_ms[rhythm] = now_ms;
    for (size_t i = 0; i < due->n; i++) {
        said(a, at[i], &due->source[i], &asked[i]);
        if (asked[i].rc == PR_EDENIED && due->source[i].kind == AUTOSCALE_SOURCE_CLOUDWATCH &&
            a->ctx->ring != NULL)
            (void)pr_aws_keys_refused(a->ctx->ring, &a->keys);
    }
    return store(a, now_ms, err);
}

static bool is_due(const struct autoscale_gather *g, const struct autoscale_config *cfg, int rhythm,
                   int64_t now_ms)
{
    const int64_t least = (int64_t)(REDIS_LEAST_MS * cfg->clock_rate);
    int64_t every =
        rhythm == AUTOSCALE_GATHER_MINUTELY ? AUTOSCALE_MINUTE_MS : cfg->gather_s * 1000;
    every = every > least ? every : least;
    const int64_t since = now_ms - g->asked_ms[rhythm];
    return g->asked_ms[rhythm] == 0 || since < 0 || since >= every;
}

enum pr_code autoscale_gather_turn(struct autoscale_gather *g, struct autoscale_gather_ctx *ctx,
                                   const struct autoscale_fleet_row *fleet, int64_t now_ms,
                                   struct pr_err *err)
{
    const struct autoscale_sources *all = &fleet->setup->sources;
    struct autoscale_sources *due = calloc(1, sizeof *due);
    enum pr_code rc = due == NULL ? pr_fail(err, PR_ENOMEM, "sources of a fleet") : PR_OK;
    for (int rhythm = 0; rc == PR_OK && rhythm < AUTOSCALE_GATHER_RHYTHMS; rhythm++) {
        size_t at[AUTOSCALE_SOURCES];
        bool aws = false;
        due->n = 0;
        for (size_t i = 0; i < all->n && is_due(g, ctx->cfg, rhythm, now_ms); i++)
            if (all->source[i].kind != AUTOSCALE_SOURCE_BUS &&
                minutely(all->source[i].kind) == (rhythm == AUTOSCALE_GATHER_MINUTELY)) {
                aws = aws || all->source[i].kind == AUTOSCALE_SOURCE_CLOUDWATCH;
                at[due->n] = i;
                due->source[due->n++] = all->source[i];
            }
        if (due->n == 0)
            continue;
        struct pr_arena arena;
        pr_arena_init(&arena, 0);
        struct autoscale_readings out = { .arena = &arena };
        struct asking a = { .ctx = ctx, .fleet = fleet, .g = g, .out = &out };
        set_prometheus(&a);
        if (aws)
            set_cloudwatch(&a);
        rc = ask_some(&a, due, at, rhythm, now_ms, err);
        explicit_bzero(&a.keys, sizeof a.keys);
        pr_arena_done(&arena);
    }
    free(due);
    return rc;
}

/* --- minutes ----------------------------------------------------------------------------- */

static int64_t settle_ms(const struct autoscale_setup *s)
{
    int most = 10;
    if (s->settle_s >= 0)
        return (int64_t)s->settle_s * 1000;
    for (size_t i = 0; i < s->sources.n; i++) {
        const enum autoscale_source_kind kind = s->sources.source[i].kind;
        const int needs = kind == AUTOSCALE_SOURCE_CLOUDWATCH   ? 120
                          : kind == AUTOSCALE_SOURCE_PROMETHEUS ? 20
                                                                : 10;
        most = needs > most ? needs : most;
    }
    return (int64_t)most * 1000;
}

bool autoscale_gather_due(struct autoscale_gather *g, const struct autoscale_fleet_row *fleet,
                          int64_t now_ms)
{
    const int64_t over = now_ms - settle_ms(fleet->setup);
    if (g->waits)
        return now_ms < g->looked_ms || now_ms - g->looked_ms >= AGAIN_MS;
    return (g->merged_ms > 0 && now_ms < g->merged_ms) ||
           over / AUTOSCALE_MINUTE_MS * AUTOSCALE_MINUTE_MS > g->merged_ms;
}

static enum pr_code merge(struct autoscale_gather_ctx *ctx, const struct pr_lease *lease,
                          const struct autoscale_fleet_row *fleet, struct autoscale_merge *in,
                          const struct autoscale_due *due, struct pr_arena *arena,
                          struct pr_err *err)
{
    struct autoscale_merged minute[AUTOSCALE_CATCH_UP];
    struct autoscale_reading *reading = NULL;
    size_t n = 0;
    enum pr_code rc = autoscale_readings_load(
        ctx->db, arena, fleet->name, due->first_ms - 2 * (int64_t)AUTOSCALE_MINUTE_MS,
        due->last_ms + AUTOSCALE_READING_AHEAD_MS, &reading, &in->readings, err);
    in->reading = reading;
    for (int64_t end = due->first_ms; rc == PR_OK && end <= due->last_ms && n < PR_COUNT(minute);
         end += AUTOSCALE_MINUTE_MS) {
        in->end_ms = end;
        rc = autoscale_merge(in, arena, &minute[n++], err);
    }
    return rc == PR_OK
               ? autoscale_samples_put(ctx->db, lease, fleet->name, in->now_ms, minute, n, err)
               : rc;
}

enum pr_code autoscale_gather_merge(struct autoscale_gather *g, struct autoscale_gather_ctx *ctx,
                                    const struct pr_lease *lease,
                                    const struct autoscale_fleet_row *fleet,
                                    const char *const *expected, size_t members, int64_t now_ms,
                                    int64_t *newest_ms, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    *newest_ms = 0;
    if (g->merged_ms == 0)
        rc = autoscale_samples_newest(ctx->db, fleet->name, &g->merged_ms, err);
    if (rc != PR_OK)
        return rc;
    const struct autoscale_due due =
        autoscale_merge_due(g->merged_ms, now_ms, settle_ms(fleet->setup));
    if (due.first_ms > due.last_ms || due.last_ms <= g->merged_ms)
        return PR_OK; /* minutes that are still open are merged again with the next one */
    struct pr_arena arena;
    pr_arena_init(&arena, 0);
    struct autoscale_merge in = { .now_ms = now_ms, .expected = expected, .members = members };
    rc = merge(ctx, lease, fleet, &in, &due, &arena, err);
    pr_arena_done(&arena);
    if (rc != PR_OK)
        return rc;
    g->merged_ms = due.last_ms;
    *newest_ms = due.last_ms;
    return PR_OK;
}
