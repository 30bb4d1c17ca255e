#include "io/shell.h"

#include "core/alarm.h"
#include "io/beat.h"
#include "io/durable.h"
#include "io/failover.h"
#include "io/gate.h"
#include "io/group.h"
#include "io/life.h"
#include "io/pg/watch.h"
#include "io/store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Of prism.rpc.dr.failover: a plan looks through the bucket. */
enum { WAITING = 16, PATIENCE_MS = 30000 };

struct dr_shell {
    struct pr_service *svc;
    const struct dr_config *cfg;
    struct dr_store store;
    struct dr_sources *sources;
    struct dr_group **group; /* [groups]; NULL before the topology was read once */
    size_t groups;
    struct dr_durable *durable;
    struct dr_failover *failover;
    struct dr_beat *beat;
    _Atomic(struct dr_gates *) gates; /* its groups wake it */
    struct dr_life *life;
    struct dr_pg_watch *pg; /* NULL: PostgreSQL is left alone */
    struct dr_guard *guard; /* NULL: no owner is looked at */
    struct dr_config led;   /* cfg, with the name that the owner ships under */
    char data[DR_NAME];
};

enum pr_code dr_shell_open(struct dr_shell **out, struct pr_service *svc,
                           const struct dr_config *cfg, struct pr_err *err)
{
    enum pr_code rc = dr_config_check(cfg, err);
    struct dr_shell *s = rc == PR_OK ? calloc(1, sizeof *s) : NULL;
    if (s == NULL)
        return rc != PR_OK ? rc : pr_fail(err, PR_ENOMEM, "shell");
    *out = s;
    s->svc = svc;
    s->cfg = cfg;
    s->led = *cfg;
    rc = dr_store_init(&s->store, cfg, err);
    if (rc == PR_OK && cfg->site[0] != '\0')
        rc = dr_guard_start(&s->guard, cfg, &s->store.s3, err);
    const struct dr_pg_watch_options pg = {
        .cfg = cfg, .db_uri = svc->common.db_uri, .holder = svc->instance, .metrics = svc->metrics
    };
    if (rc == PR_OK) /* first: until it runs, commits may wait for it */
        rc = dr_pg_watch_start(&s->pg, &pg, err);
    if (rc == PR_OK)
        rc = dr_sources_open(&s->sources, cfg->zone, err);
    if (rc == PR_OK)
        rc = dr_durable_open(&s->durable, err);
    if (rc == PR_OK)
        rc = dr_failover_open(&s->failover, cfg, svc->common.db_uri, err);
    if (rc == PR_OK)
        rc = pr_bus_serve_later(svc->bus, "prism.rpc.dr.durable", dr_durable_ask, s->durable, err);
    const struct pr_bus_apart apart = { WAITING, PATIENCE_MS };
    return rc == PR_OK ? pr_bus_serve_apart(svc->bus, "prism.rpc.dr.failover", "dr", &apart,
                                            dr_failover_ask, s->failover, err)
                       : rc;
}

static void changed(void *shell)
{
    struct dr_shell *s = shell;
    dr_durable_changed(s->durable);
    dr_gates_changed(atomic_load(&s->gates));
}

static enum pr_code start_groups(struct dr_shell *s, struct pr_err *err)
{
    s->group = calloc((size_t)s->cfg->groups, sizeof(struct dr_group *));
    if (s->group == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the groups");
    enum pr_code rc = PR_OK;
    while (rc == PR_OK && s->groups < (size_t)s->cfg->groups) {
        const struct dr_group_options o = { .number = (uint32_t)s->groups,
                                            .groups = (uint32_t)s->cfg->groups,
                                            .db_uri = s->svc->common.db_uri,
                                            .holder = s->svc->instance,
                                            .cfg = &s->led,
                                            .store = &s->store.s3,
                                            .codec = &s->store.codec,
                                            .sources = s->sources,
                                            .metrics = s->svc->metrics,
                                            .guard = s->guard,
                                            .changed = changed,
                                            .ctx = s };
        rc = dr_group_start(&s->group[s->groups], &o, err);
        s->groups += rc == PR_OK;
    }
    dr_durable_groups(s->durable, s->group, s->groups);
    const struct dr_beat_options o = { .cfg = &s->led,
                                       .sources = s->sources,
                                       .group = s->group,
                                       .groups = s->groups,
                                       .metrics = s->svc->metrics };
    const struct dr_life_options life = { .db_uri = s->svc->common.db_uri,
                                          .holder = s->svc->instance,
                                          .cfg = &s->led,
                                          .store = &s->store,
                                          .home = s->guard != NULL ? s->cfg->cluster : NULL,
                                          .metrics = s->svc->metrics };
    const struct dr_gates_options gates = { .db_uri = s->svc->common.db_uri,
                                            .cfg = &s->led,
                                            .store = &s->store,
                                            .sources = s->sources,
                                            .group = s->group,
                                            .groups = s->groups };
    struct dr_gates *started = NULL;
    if (rc == PR_OK)
        rc = dr_gates_start(&started, &gates, err);
    atomic_store(&s->gates, started);
    if (rc == PR_OK)
        rc = dr_beat_start(&s->beat, &o, err);
    return rc == PR_OK ? dr_life_start(&s->life, &life, err) : rc;
}

struct figures {               /* added up over shards */
    int64_t now_ms, oldest_ms; /* as of when the least durable shard is */
    int streaming, base, detached, alarm[DR_ALARMS];
    int64_t held_ms; /* the longest that one waits for a taker */
    uint64_t spool_bytes;
};

static void add(void *ctx, const char *name, const struct dr_shard_status *is)
{
    struct figures *f = ctx;
    const int64_t as_of_ms = dr_shard_as_of(is);
    (void)name;
    f->streaming += is->streaming;
    f->base += !is->streaming && is->base_bytes > 0;
    f->detached += !is->streaming && is->base_bytes == 0;
    f->spool_bytes += is->spool_bytes;
    if (is->held_ms > 0 && f->now_ms - is->held_ms > f->held_ms)
        f->held_ms = f->now_ms - is->held_ms;
    f->oldest_ms = as_of_ms < f->oldest_ms ? as_of_ms : f->oldest_ms;
    for (unsigned i = 0; i < DR_ALARMS; i++)
        f->alarm[i] += (is->alarms >> i & 1) != 0;
}

/* Also while PostgreSQL is away. */
static void measure(struct dr_shell *s, int64_t now_ms)
{
    struct pr_metrics *m = s->svc->metrics;
    struct figures f = { .now_ms = now_ms, .oldest_ms = now_ms };
    int led = 0, troubled = 0;
    for (size_t i = 0; i < s->groups; i++) {
        char trouble[DR_TROUBLE];
        led += dr_group_leads(s->group[i]);
        dr_group_each(s->group[i], now_ms, add, &f, trouble);
        troubled += trouble[0] != '\0';
    }
    pr_metrics_set(m, M_LEASES, NULL, led);
    pr_metrics_set(m, M_SHARDS, "streaming", f.streaming);
    pr_metrics_set(m, M_SHARDS, "base", f.base);
    pr_metrics_set(m, M_SHARDS, "detached", f.detached);
    pr_metrics_set(m, M_SPOOL_BYTES, NULL, (double)f.spool_bytes);
    pr_metrics_set(m, M_LAG, NULL, (double)(now_ms - f.oldest_ms) / 1e3);
    pr_metrics_set(m, M_HELD, NULL, (double)f.held_ms / 1e3);
    for (unsigned i = 0; i < DR_ALARMS; i++)
        pr_metrics_set(m, M_ALARM, dr_alarm_name((enum dr_alarm)i), f.alarm[i]);
    pr_metrics_set(m, M_ALARM, "bucket", troubled);
    pr_metrics_set(m, M_ALARM, "site", s->guard != NULL && !dr_guard_ours(s->guard));
}

static void stop_groups(struct dr_shell *s)
{
    dr_life_stop(s->life);
    s->life = NULL;
    dr_beat_stop(s->beat);
    s->beat = NULL;
    if (s->durable != NULL)
        dr_durable_groups(s->durable, NULL, 0);
    dr_gates_stop(atomic_load(&s->gates));
    for (size_t i = 0; i < s->groups; i++)
        dr_group_stop(s->group[i]);
    dr_gates_close(atomic_exchange(&s->gates, NULL));
    free(s->group);
    s->group = NULL;
    s->groups = 0;
}

/* While another site owns the store what runs goes on, so that its last writes get to the bucket;
 * nothing is begun. When a fail-over brought the store here it ships under another name than
 * before: what is in the bucket under the old one is of an earlier life of the store. */
static enum pr_code follow_owner(struct dr_shell *s, struct pr_err *err)
{
    char data[DR_NAME];
    if (s->guard == NULL)
        return s->group == NULL ? start_groups(s, err) : PR_OK;
    if (dr_guard_owner(s->guard, data) != DR_OWNER_US ||
        (s->group != NULL && strcmp(data, s->data) == 0))
        return PR_OK;
    /* PostgreSQL may still name the old side's nodes. */
    if (!dr_failover_settled(s->failover, dr_guard_failover(s->guard)))
        return PR_OK;
    if (s->group != NULL)
        stop_groups(s);
    memcpy(s->data, data, sizeof s->data);
    s->led.cluster = s->data;
    dr_guard_use(s->guard, data);
    return start_groups(s, err);
}

enum pr_code dr_shell_tick(void *shell, int64_t now_ms, struct pr_err *err)
{
    struct dr_shell *s = shell;
    measure(s, now_ms);
    const enum pr_code rc = dr_sources_refresh(s->sources, s->svc->db, err);
    return rc == PR_OK ? follow_owner(s, err) : rc;
}

void dr_shell_stop(struct dr_shell *s)
{
    if (s == NULL)
        return;
    dr_failover_stop(s->failover); /* goes on elsewhere, or later: the journal has it */
    dr_durable_stop(s->durable);
    stop_groups(s);
    dr_guard_stop(s->guard);
    s->guard = NULL;
    dr_pg_watch_stop(s->pg); /* last, for the same reason */
    s->pg = NULL;
}

void dr_shell_close(struct dr_shell *s)
{
    if (s == NULL)
        return;
    dr_failover_close(s->failover);
    dr_durable_close(s->durable);
    dr_sources_close(s->sources);
    dr_store_done(&s->store);
    free(s);
}
