/* Carrying out a fleet plan, wave by wave. What a step's row says is intent; what is
 * done is what the cluster reports, so running a plan again from its rows is always
 * safe: after a pause, a crash, or by another replica. */
#include "io/executor_private.h"

#include "io/cluster_facts.h"
#include "io/fleet/duties.h"
#include "io/fleet/facts.h"
#include "io/fleet/goal.h"
#include "io/fleet/preflight.h"
#include "io/fleet/repair.h"
#include "io/fleet/report.h"
#include "io/fleet/returns.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include "prism/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TICK_US = 20000, DRAIN_US = 10 * 1000 * 1000, BACK_US = 5 * 1000 * 1000, MAX_PAIRS = 16 };

struct fleet_run {
    struct rebalance_executor *e;
    struct rebalance_plan *plan;
    struct pr_arena arena;
    struct rebalance_order_in in; /* in the arena */
    const char *goal, *params, *fingerprint;
    struct rebalance_steps_seen seen;
    struct rebalance_report report;

    atomic_int stop; /* enum rebalance_stop, of everything that runs for the plan */
    atomic_bool roll_back;
    enum rebalance_order order;
    bool begun;                   /* the plan's row says running */
    bool paused;                  /* draining because of an order, which may be taken back */
    bool resumed;                 /* it was: what is allowed may be more than before */
    int64_t began_us, drained_us; /* drained_us 0: not draining */
    int64_t held_us, seen_us;     /* how long it was told to pause; until when that was added up */
    int64_t next_order_us, next_progress_us, next_cluster_us, next_back_us;
    bool taking_back;
    struct rebalance_slot_run *slots; /* of the wave in hand, NULL none */
    char doing[120];
};

static bool stopped(const struct fleet_run *x)
{
    return atomic_load(&x->stop) != REBALANCE_RUN_ON;
}

/* --- the row --------------------------------------------------------------------- */

static enum pr_code load_texts(struct fleet_run *x, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(x->e->db, "SELECT goal, params, fingerprint FROM plans WHERE id = $1",
                   PR_ARGS(pr_i64(x->plan->id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) != 1)
        return pr_fail(err, PR_ENOTFOUND, "plan %lld does not exist", (long long)x->plan->id);
    x->goal = pr_arena_strdup(&x->arena, pr_cell(res, 0, 0));
    x->params = pr_arena_strdup(&x->arena, pr_cell(res, 0, 1));
    const char *fp = pr_cell(res, 0, 2);
    x->fingerprint = pr_arena_strdup(&x->arena, fp == NULL ? "" : fp);
    if (x->goal == NULL || x->params == NULL || x->fingerprint == NULL)
        return pr_fail(err, PR_ENOMEM, "a fleet plan");
    return rebalance_goal_read(x->goal, x->params, NULL, &x->arena, &x->in, err);
}

/* --- beside the work --------------------------------------------------------------- */

/* why: what it waits for or is slowed down by. */
static void say(struct fleet_run *x, char *why, size_t why_size, char *out, size_t size)
{
    const char *late = x->e->ready.says;
    why[0] = '\0';
    if (x->slots != NULL)
        rebalance_slot_run_says(x->slots, why, why_size);
    else if (x->e->held_up_plan == x->plan->id && x->e->held_up[0] != '\0')
        snprintf(why, why_size, "waiting: %s", x->e->held_up);
    snprintf(out, size, "wave %d of %d: %s%s%s%s%s", x->seen.wave, x->seen.waves, x->doing,
             why[0] != '\0' ? ", " : "", why, late[0] != '\0' ? "; " : "", late);
    if (why[0] == '\0')
        snprintf(why, why_size, "%s", late);
}

/* Slots may be held open for hours: that says nothing about how fast they move. */
static double ran_s(struct fleet_run *x, int64_t now_us)
{
    if (x->paused && x->seen_us > 0)
        x->held_us += now_us - x->seen_us;
    x->seen_us = now_us;
    return (double)(now_us - x->began_us - x->held_us) / 1e6;
}

static void look_how_far(struct fleet_run *x, int64_t now_us, const char *why)
{
    const struct rebalance_report_in in = {
        .seen = &x->seen,
        .slots = x->slots,
        .waits_for = why,
        .running_s = x->plan->active_s + ran_s(x, now_us),
    };
    rebalance_report_look(&x->report, &in, now_us);
}

static void report(struct fleet_run *x, int64_t now_us, const char *phase)
{
    char text[400], why[240];
    struct pr_err err = { 0 };
    struct rebalance_steps_seen seen;
    if (rebalance_steps_see(x->e->db, x->plan->id, &seen, &err) == PR_OK)
        x->seen = seen;
    say(x, why, sizeof why, text, sizeof text);
    if (why[0] == '\0' && x->order == REBALANCE_PAUSE)
        snprintf(why, sizeof why, "told to stop by a person");
    look_how_far(x, now_us, why);
    pr_utf8_mend(text, strlen(text)); /* what servers say may be in it, cut anywhere */
    const enum pr_code rc =
        rebalance_report_write(&x->report, x->e, x->plan, phase != NULL ? phase : text, &err);
    if (rc == PR_EFENCED)
        atomic_store(&x->stop, REBALANCE_ABANDON);
    else if (rc != PR_OK && !pr_retryable(rc))
        pr_warn(PR_EV("plan.progress_not_written"), PR_I("plan", x->plan->id), PR_E(&err));
}

static void drain(struct fleet_run *x, int64_t now_us)
{
    int on = REBALANCE_RUN_ON;
    (void)atomic_compare_exchange_strong(&x->stop, &on, REBALANCE_FINISH);
    if (x->drained_us == 0)
        x->drained_us = now_us;
}

static void read_order(struct fleet_run *x, int64_t now_us)
{
    struct pr_err err = { 0 };
    if (rebalance_plan_order(x->e->db, x->plan->id, &x->order, &err) != PR_OK)
        return;
    if (x->order == REBALANCE_GO) { /* resumed while slots were held open */
        int finish = REBALANCE_FINISH;
        if (x->paused && !atomic_load(&x->e->stopping) &&
            atomic_compare_exchange_strong(&x->stop, &finish, REBALANCE_RUN_ON))
            x->paused = false, x->drained_us = 0, x->resumed = true;
        return;
    }
    if (x->order == REBALANCE_CANCEL)
        atomic_store(&x->roll_back, true);
    x->paused = x->paused || atomic_load(&x->stop) == REBALANCE_RUN_ON;
    drain(x, now_us);
}

/* Nothing but slots that are held open: the next holder of the lease holds them. */
static bool only_held(const struct fleet_run *x)
{
    return x->slots != NULL &&
           atomic_load(&x->slots->holding) >= atomic_load(&x->slots->workers_left);
}

static void tend(void *ctx);

static struct rebalance_duty_ctx duty_ctx(struct fleet_run *x)
{
    return (struct rebalance_duty_ctx){ .cfg = x->e->o.cfg,
                                        .db = x->e->db,
                                        .cluster = x->e->cluster,
                                        .user = &x->e->user[REBALANCE_USER_FLEET],
                                        .lease = &x->e->lease,
                                        .plan_id = x->plan->id,
                                        .lease_left_ms = rebalance_lease_left_ms,
                                        .lease_ctx = x->e,
                                        .stop = &x->stop,
                                        .tend = tend,
                                        .tend_ctx = x };
}

/* A fail-over in mid-plan can leave a former primary that follows nobody, and replicas
 * that follow it: the plan may then wait for the very replicas that the shard lacks. */
static void take_back(struct fleet_run *x, int64_t now_us)
{
    const struct rebalance_duty_ctx ctx = duty_ctx(x);
    if (x->slots == NULL || x->taking_back || now_us < x->next_back_us)
        return;
    x->taking_back = true; /* it tends, too, while it waits */
    rebalance_returns_take(&ctx);
    x->taking_back = false;
    x->next_back_us = pr_mono_us() + BACK_US;
}

/* Everything that has its own rhythm; called every few ms while something runs. */
static void tend(void *ctx)
{
    struct fleet_run *x = ctx;
    struct rebalance_executor *e = x->e;
    struct pr_err err = { 0 };
    const int64_t now_us = pr_mono_us();
    if (atomic_load(&e->stopping)) {
        drain(x, now_us);
        if (now_us - x->drained_us > DRAIN_US || only_held(x))
            atomic_store(&x->stop, REBALANCE_ABANDON);
    }
    if (now_us >= x->next_order_us) {
        read_order(x, now_us);
        x->next_order_us = now_us + 300000;
    }
    if (now_us >= x->next_progress_us) {
        report(x, now_us, NULL);
        x->next_progress_us = now_us + 500000;
    }
    const bool missing = x->slots != NULL && atomic_exchange(&x->slots->users_missing, false);
    if (now_us >= x->next_cluster_us || missing) {
        rebalance_takeover_tend(e);
        rebalance_chains_tend(e);
        if (pr_cluster_refresh(e->cluster, &err) == PR_OK &&
            rebalance_tend_users(e, missing, &err) == PR_EFENCED)
            atomic_store(&x->stop, REBALANCE_ABANDON);
        x->next_cluster_us = pr_mono_us() + 1000000;
    }
    take_back(x, now_us);
}

/* --- one wave ------------------------------------------------------------------------ */

static enum pr_code run_duties(struct fleet_run *x, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = rebalance_steps_duties(x->e->db, x->plan->id, x->seen.wave, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const struct rebalance_duty_ctx ctx = duty_ctx(x);
    for (int i = 0; i < PQntuples(res) && rc == PR_OK && !stopped(x) && x->seen.stuck == 0; i++) {
        struct rebalance_duty_step step = { .step = (int)pr_cell_i64(res, i, 0),
                                            .kind = pr_cell(res, i, 1),
                                            .shard = pr_cell(res, i, 2),
                                            .src = pr_cell(res, i, 3),
                                            .dst = pr_cell(res, i, 4),
                                            .state = pr_cell(res, i, 5) };
        snprintf(x->doing, sizeof x->doing, "%s %.60s", step.kind, step.dst);
        rc = rebalance_duty(&ctx, &step, err);
        x->seen.stuck += step.stuck;
        x->e->held_up_plan = x->plan->id; /* it is begun again, and takes as long again */
        snprintf(x->e->held_up, sizeof x->e->held_up, "%.*s", (int)sizeof x->e->held_up - 1,
                 pr_retryable(rc) ? err->text : "");
    }
    return rc;
}

static enum pr_code new_slot_run(struct fleet_run *x, struct rebalance_slot_run *run,
                                 const PGresult *pairs, struct pr_err *err)
{
    struct rebalance_executor *e = x->e;
    const size_t n = (size_t)PQntuples(pairs);
    struct rebalance_slot_pair *pair = pr_arena_alloc(&x->arena, (n + 1) * sizeof *pair);
    if (pair == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu node pairs", n);
    for (size_t i = 0; i < n; i++) {
        snprintf(pair[i].src, sizeof pair[i].src, "%s", pr_cell(pairs, (int)i, 0));
        snprintf(pair[i].dst, sizeof pair[i].dst, "%s", pr_cell(pairs, (int)i, 1));
    }
    *run = (struct rebalance_slot_run){
        .cfg = e->o.cfg,
        .db_uri = e->o.db_uri,
        .metrics = e->o.metrics,
        .seeds = e->seeds,
        .service = { .user = e->o.cfg->redis_user[0] == '\0' ? NULL : e->o.cfg->redis_user,
                     .password = e->o.cfg->redis_password },
        .mover = { .user = e->user[REBALANCE_USER_FLEET].name,
                   .password = e->user[REBALANCE_USER_FLEET].password },
        .lease = e->lease,
        .lease_left_ms = rebalance_lease_left_ms,
        .lease_ctx = e,
        .plan_id = x->plan->id,
        .wave = x->seen.wave,
        .pair = pair,
        .pairs = n,
        .allow_big_keys = x->in.allow_big_keys,
        .allow_no_replicas = x->in.allow_no_replicas,
        .stop = &x->stop,
        .roll_back = &x->roll_back,
    };
    pthread_mutex_init(&run->lock, NULL);
    return PR_OK;
}

/* Threads take pairs until none is left; this one tends to everything else. */
static enum pr_code run_pairs(struct fleet_run *x, struct rebalance_slot_run *run,
                              struct pr_err *err)
{
    pthread_t thread[MAX_PAIRS];
    size_t want = (size_t)(x->in.pairs > 0 ? x->in.pairs : x->e->o.cfg->pairs), n = 0;
    want = want < run->pairs ? want : run->pairs;
    want = want < MAX_PAIRS ? want : MAX_PAIRS;
    atomic_store(&run->workers_left, want);
    while (n < want && pthread_create(&thread[n], NULL, rebalance_slot_worker_main, run) == 0)
        n++;
    atomic_fetch_sub(&run->workers_left, want - n);
    x->slots = run;
    snprintf(x->doing, sizeof x->doing, "moving slots between %zu pairs", run->pairs);
    while (atomic_load(&run->workers_left) > 0) {
        tend(x);
        const struct timespec ts = { 0, TICK_US * 1000 };
        (void)nanosleep(&ts, NULL);
    }
    x->slots = NULL;
    for (size_t i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
    if (n == 0)
        return pr_fail(err, PR_ENOMEM, "no thread for a pair of nodes");
    if (run->fatal.code != PR_OK) {
        *err = run->fatal;
        return run->fatal.code;
    }
    return PR_OK;
}

/* Also while stopping: pairs with an open slot close it. */
static enum pr_code run_slots(struct fleet_run *x, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = rebalance_steps_pairs(x->e->db, x->plan->id, x->seen.wave, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return PR_OK;
    struct rebalance_slot_run *run = malloc(sizeof *run);
    if (run == NULL)
        return pr_fail(err, PR_ENOMEM, "a wave");
    rc = new_slot_run(x, run, res, err);
    if (rc == PR_OK) {
        rc = run_pairs(x, run, err);
        pthread_mutex_destroy(&run->lock);
    }
    free(run);
    return rc;
}

static enum pr_code run_waves(struct fleet_run *x, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    while (rc == PR_OK) {
        if (x->resumed) { /* as where it is begun */
            rc = load_texts(x, err);
            if (rc == PR_OK)
                rc = rebalance_steps_unstick(x->e->db, &x->e->lease, x->plan->id, err);
        }
        if (rc == PR_OK)
            rc = rebalance_steps_see(x->e->db, x->plan->id, &x->seen, err);
        if (rc != PR_OK || x->seen.wave == 0 || x->seen.stuck > 0)
            return rc;
        x->resumed = false;
        if (stopped(x) && atomic_load(&x->stop) == REBALANCE_ABANDON)
            return PR_OK;
        rc = run_duties(x, err);
        x->report.wave_bytes = x->seen.bytes_verified;
        if (rc == PR_OK && x->seen.stuck == 0)
            rc = run_slots(x, err);
        if (stopped(x))
            break;
    }
    const enum pr_code seen = rebalance_steps_see(x->e->db, x->plan->id, &x->seen, NULL);
    return rc == PR_OK ? seen : rc;
}

/* --- the plan --------------------------------------------------------------------------- */

/* Before anything is touched. The fingerprint binds the plan to what it was
 * computed from; once begun, the plan itself changes the cluster. */
static enum pr_code check(struct fleet_run *x, struct pr_err *err)
{
    struct rebalance_executor *e = x->e;
    char now[REBALANCE_FINGERPRINT];
    enum pr_code rc = rebalance_fingerprint(e->db, e->cluster, now, err);
    if (rc != PR_OK)
        return rc;
    /* A repair has computed nothing from it: it looks at what it finds. */
    if (!x->in.repair && strcmp(now, x->fingerprint) != 0)
        return pr_fail(err, PR_EINVAL,
                       "the cluster is no longer as it was when the plan was made (another node, "
                       "role, owner of a slot or zone): make a new plan");
    return rebalance_preflight_plan(e->db, e->cluster, e->o.cfg, x->plan->id, err);
}

static enum pr_code finish(struct fleet_run *x, const char *state, const char *error,
                           struct pr_err *err)
{
    char result[400];
    const double seconds = (double)(pr_mono_us() - x->began_us) / 1e6;
    snprintf(result, sizeof result,
             "{\"steps\": %" PRId64 ", \"verified\": %" PRId64 ", \"slots\": %" PRId64
             ", \"keys\": %" PRId64 ", \"bytes\": %" PRId64
             ", \"seconds\": %.3f, \"keys_per_s\": %.0f}",
             x->seen.steps, x->seen.verified, x->seen.slots_verified, x->seen.moved_keys,
             x->seen.moved_bytes, x->plan->active_s + seconds,
             (double)x->seen.moved_keys / (x->plan->active_s + seconds + 1e-9));
    look_how_far(x, pr_mono_us(), "");
    return rebalance_finish(x->e, x->plan, state, result, error, err);
}

static enum pr_code stick(struct fleet_run *x, const char *why, struct pr_err *err)
{
    look_how_far(x, pr_mono_us(), "");
    rebalance_executor_post(x->e, NULL);
    return rebalance_plan_stuck(x->e->db, &x->e->lease, x->plan, why, err);
}

/* Not stuck: nobody will go on with it, and a repair is refused while a plan is unfinished. */
static enum pr_code leave_canceled(struct fleet_run *x, const char *why, struct pr_err *err)
{
    char left[360];
    snprintf(left, sizeof left, "canceled, but something is left open, repair it: %s", why);
    return finish(x, "failed", left, err);
}

static enum pr_code end_canceled(struct fleet_run *x, struct pr_err *err)
{
    const bool stuck = x->seen.stuck > 0;
    if (!stuck && x->seen.slots_open > 0) /* it is begun again, and closes them */
        return pr_fail(err, PR_EUNAVAIL, "%lld slots are not closed yet",
                       (long long)x->seen.slots_open);
    const enum pr_code rc = rebalance_steps_cancel(x->e->db, &x->e->lease, x->plan->id, err);
    if (rc != PR_OK)
        return rc;
    return stuck ? leave_canceled(x, x->seen.stuck_why, err) : finish(x, "canceled", NULL, err);
}

static enum pr_code repair(struct fleet_run *x, struct pr_err *err)
{
    char text[600] = "";
    const struct rebalance_duty_ctx ctx = duty_ctx(x);
    struct rebalance_repair_report done = { 0 };
    snprintf(x->doing, sizeof x->doing, "repairing open slots and stray keys");
    enum pr_code rc = rebalance_repair(&ctx, &done, err);
    if (rc == PR_ECANCELED && stopped(x) && atomic_load(&x->stop) != REBALANCE_ABANDON)
        return PR_OK; /* told to */
    if (rc != PR_OK || stopped(x))
        return rc;
    rebalance_repair_json(&done, text, sizeof text);
    return done.left == 0 ? rebalance_finish(x->e, x->plan, "done", text, NULL, err)
                          : rebalance_finish(x->e, x->plan, "failed", text, done.first_left, err);
}

static enum pr_code carry_out(struct fleet_run *x, struct pr_err *err)
{
    struct rebalance_executor *e = x->e;
    enum pr_code rc = rebalance_report_load(&x->report, e->db, x->plan, err);
    if (rc == PR_OK)
        rc = rebalance_steps_see(e->db, x->plan->id, &x->seen, err);
    if (rc == PR_OK && x->order != REBALANCE_PAUSE) { /* else what is open is looked after */
        x->seen.stuck = 0;                            /* they are tried again */
        x->seen.stuck_why[0] = '\0';
        look_how_far(x, pr_mono_us(), "");
        x->plan->told = &x->report.told;
        rc = rebalance_plan_begin(e->db, &e->lease, x->plan, err);
        snprintf(x->report.rows.state, sizeof x->report.rows.state, "running");
        if (rc == PR_OK)
            rc = rebalance_steps_unstick(e->db, &e->lease, x->plan->id, err);
    }
    if (rc != PR_OK)
        return rc;
    x->begun = true;
    x->plan->told = &x->report.told;
    pr_info(PR_EV("plan.begins"), PR_I("plan", x->plan->id), PR_S("goal", x->goal));
    if (x->in.repair)
        rc = repair(x, err);
    else
        rc = run_waves(x, err);
    if (rc != PR_OK)
        return rc;
    if (!rebalance_executor_lives(e) || atomic_load(&x->stop) == REBALANCE_ABANDON)
        return pr_fail(err, PR_ECANCELED, "plan %lld is left as it is", (long long)x->plan->id);
    if (x->order == REBALANCE_CANCEL)
        return end_canceled(x, err);
    if (x->seen.stuck > 0)
        return stick(x, x->seen.stuck_why, err);
    if (stopped(x)) { /* paused, halted, or this replica stops */
        report(x, pr_mono_us(), x->order == REBALANCE_PAUSE ? "paused" : "interrupted");
        return PR_OK;
    }
    return x->in.repair ? PR_OK : finish(x, "done", NULL, err);
}

/* What waiting would not mend. */
static bool ends_plan(enum pr_code rc)
{
    return rc == PR_EDATA || rc == PR_EINVAL || rc == PR_EFULL || rc == PR_EINTERNAL ||
           rc == PR_ENOTFOUND || rc == PR_ECONFLICT || rc == PR_EDENIED;
}

static enum pr_code open_run(struct fleet_run *x, struct pr_err *err)
{
    struct rebalance_executor *e = x->e;
    enum pr_code rc = load_texts(x, err);
    if (rc == PR_OK)
        rc = rebalance_connect(e, err);
    if (rc == PR_OK)
        rc = pr_cluster_refresh(e->cluster, err);
    if (rc == PR_OK && strcmp(x->plan->state, "approved") == 0)
        rc = check(x, err);
    return rc == PR_OK ? rebalance_tend_users(e, false, err) : rc;
}

enum pr_code rebalance_fleet_execute(struct rebalance_executor *e, struct rebalance_plan *plan,
                                     struct pr_err *err)
{
    struct fleet_run x = { .e = e, .plan = plan, .began_us = pr_mono_us() };
    const bool fresh = strcmp(plan->state, "approved") == 0;
    const bool paused = strcmp(plan->state, "paused") == 0 || plan->halted;
    const bool canceled = plan->cancel_requested || strcmp(plan->state, "canceled") == 0;
    if (canceled && (fresh || strcmp(plan->state, "canceled") == 0))
        return finish(&x, "canceled", NULL, err);
    x.order = canceled ? REBALANCE_CANCEL : paused ? REBALANCE_PAUSE : REBALANCE_GO;
    x.paused = x.order == REBALANCE_PAUSE;
    rebalance_executor_runs(e, &x.stop);
    enum pr_code rc = open_run(&x, err);
    if (rc == PR_OK && canceled) { /* paused: what is open is closed, then it ends */
        atomic_store(&x.roll_back, true);
        drain(&x, pr_mono_us());
    } else if (rc == PR_OK && x.paused) /* here before, by an executor that is no more */
        drain(&x, pr_mono_us());
    if (rc == PR_OK)
        rc = carry_out(&x, err);
    rebalance_executor_runs(e, NULL);
    if (ends_plan(rc)) {
        struct pr_err why = *err;
        pr_error(PR_EV("plan.failed"), PR_I("plan", plan->id), PR_E(&why));
        rc = fresh && !x.begun             ? finish(&x, "failed", why.text, err)
             : x.order == REBALANCE_CANCEL ? leave_canceled(&x, why.text, err)
                                           : stick(&x, why.text, err);
    } else if (rc != PR_OK && rc != PR_EFENCED && rc != PR_ECANCELED) {
        if (rebalance_plan_waits(e->db, &e->lease, plan, err->text) == PR_EFENCED)
            rc = PR_EFENCED;
    }
    if (x.begun)
        rebalance_plan_active(e->db, &e->lease, plan, ran_s(&x, pr_mono_us()));
    plan->told = NULL;
    pr_arena_done(&x.arena);
    return rc;
}
