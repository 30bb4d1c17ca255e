#include "io/shell.h"

#include "core/clock.h"
#include "io/answers.h"
#include "io/carry.h"
#include "io/collectors/bus.h"
#include "io/decider.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdlib.h>

struct autoscale_shell {
    struct pr_service *svc;
    struct pr_tenure *tenure;
    struct autoscale_seen seen;
    struct autoscale_bus members; /* what they publish */
    struct autoscale_answers *answers;
    struct autoscale_decider *decider;
    struct autoscale_carrier *carrier;
};

/* metadata-api waits for 55 s: so long one may wait here, and then take
 * PRISM_AUTOSCALE_SIMULATE_MS. */
static const struct pr_bus_apart what_ifs = { .waiting = 2, .patience_ms = 20000 };

static void on_lease(void *ctx, uint64_t epoch)
{
    pr_metrics_set(ctx, M_LEASE, NULL, epoch != 0);
    pr_info(PR_EV(epoch != 0 ? "autoscale.lease_held" : "autoscale.lease_not_held"),
            PR_I("epoch", epoch));
}

/* One replica decides and acts, whose clock agrees with the database's. */
static enum pr_code open_tenure(struct autoscale_shell *s, const struct autoscale_config *cfg,
                                struct pr_err *err)
{
    const struct pr_tenure_options o = { .db_uri = s->svc->common.db_uri,
                                         .lease = "autoscale",
                                         .holder = s->svc->instance,
                                         .ttl_ms = cfg->lease_ttl_ms,
                                         .max_apart_ms = AUTOSCALE_CLOCK_APART_MS,
                                         .changed = on_lease,
                                         .ctx = s->svc->metrics };
    return pr_tenure_start(&s->tenure, &o, err);
}

static enum pr_code open_bus(struct autoscale_shell *s, struct pr_err *err)
{
    struct pr_service *svc = s->svc;
    enum pr_code rc = pr_db_open(&s->members.db, svc->common.db_uri, "prism-autoscale-bus", err);
    s->members.now_ms = pr_now_ms;
    if (rc == PR_OK)
        rc = pr_bus_serve(svc->bus, "prism.rpc.autoscale.check", "autoscale",
                          autoscale_answers_check, s->answers, err);
    if (rc == PR_OK)
        rc = pr_bus_serve_apart(svc->bus, "prism.rpc.autoscale.simulate", "autoscale", &what_ifs,
                                autoscale_answers_simulate, s->answers, err);
    if (rc == PR_OK)
        rc = pr_bus_serve(svc->bus, "prism.rpc.autoscale.replay", "autoscale",
                          autoscale_answers_replay, s->answers, err);
    if (rc == PR_OK) /* one worker: its connection is not shared */
        rc = pr_bus_consume(svc->bus, "PRISM_METRICS", "autoscale", 1, autoscale_bus_on_member,
                            &s->members, err);
    return rc;
}

enum pr_code autoscale_shell_open(struct autoscale_shell **out, struct pr_service *svc,
                                  const struct autoscale_config *cfg, struct pr_err *err)
{
    enum pr_code rc = autoscale_config_check(cfg, err);
    struct autoscale_shell *s = rc == PR_OK ? calloc(1, sizeof *s) : NULL;
    if (s == NULL)
        return rc != PR_OK ? rc : pr_fail(err, PR_ENOMEM, "shell");
    *out = s;
    s->svc = svc;
    autoscale_seen_init(&s->seen);
    rc = autoscale_answers_open(&s->answers, svc, cfg, err);
    if (rc == PR_OK)
        rc = open_tenure(s, cfg, err);
    const struct autoscale_decider_options o = {
        .svc = svc, .cfg = cfg, .tenure = s->tenure, .seen = &s->seen
    };
    if (rc == PR_OK)
        rc = autoscale_decider_start(&s->decider, &o, err);
    if (rc == PR_OK)
        rc = autoscale_carrier_start(&s->carrier, &o, err);
    return rc == PR_OK ? open_bus(s, err) : rc;
}

void autoscale_shell_stop(struct autoscale_shell *s)
{
    if (s == NULL)
        return;
    autoscale_carrier_stop(s->carrier);
    autoscale_decider_stop(s->decider);
    s->carrier = NULL;
    s->decider = NULL;
    autoscale_answers_stop(s->answers);
    pr_tenure_stop(s->tenure); /* nobody acts under it any more */
    s->tenure = NULL;
}

void autoscale_shell_close(struct autoscale_shell *s)
{
    if (s == NULL)
        return;
    autoscale_answers_close(s->answers);
    pr_db_close(s->members.db);
    autoscale_seen_done(&s->seen);
    free(s);
}

enum pr_code autoscale_shell_tick(void *ctx, int64_t now_ms, struct pr_err *err)
{
    (void)now_ms;
    (void)err;
    struct autoscale_shell *s = ctx;
    struct pr_metrics *m = s->svc->metrics;
    pr_service_not_ready(
        s->svc, "clock",
        pr_tenure_clock_is_off(s->tenure) ? "it is more than a minute off the database's" : NULL);
    pr_metrics_set(m, M_BUS, "stored", (double)atomic_load(&s->members.stored));
    pr_metrics_set(m, M_BUS, "again", (double)atomic_load(&s->members.again));
    pr_metrics_set(m, M_BUS, "too_old", (double)atomic_load(&s->members.too_old));
    return PR_OK;
}
