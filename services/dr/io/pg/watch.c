#include "io/pg/watch.h"

#include "io/pg/backend.h"
#include "io/pg/primary.h"
#include "io/pg/repo.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/tenure.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LOOK_MS = 1000, STOP_MS = 5000, FDS = 5, STEADY_MS = 10000 };

struct dr_pg_watch {
    struct dr_pg_watch_options o;
    struct dr_pg_home home;
    struct pr_tenure *tenure;
    struct pr_db *admin, *db; /* of what is kept safe; of ours: the same server, mostly */
    int wake;                 /* eventfd */
    atomic_bool stop;
    pthread_t thread;
    bool running;

    /* the thread's */
    uint64_t epoch; /* 0: not ours */
    struct dr_pg_server server;
    struct dr_pg_lag lag;
    bool answers; /* the primary, when it was last asked */
    int64_t lag_ms, look_us, started_ms;
    struct dr_child *child; /* the receiver */
    struct dr_pg_receiver receiver;
    struct dr_pg_worker worker;
    uint32_t alarms;
    char error[DR_PG_WORDS], said[DR_PG_WORDS];
    bool unsaved, told;
};

static void ring(struct dr_pg_watch *w)
{
    const uint64_t one = 1;
    (void)!write(w->wake, &one, sizeof one);
}

static void on_lease(void *ctx, uint64_t epoch)
{
    (void)epoch;
    ring(ctx);
}

/* --- the receiver --------------------------------------------------------------------------------
 */

static void say(struct dr_pg_watch *w, const char *text)
{
    (void)snprintf(w->error, sizeof w->error, "%s", text);
    if (strcmp(w->said, text) == 0)
        return;
    (void)snprintf(w->said, sizeof w->said, "%s", text);
    if (text[0] != '\0')
        pr_warn(PR_EV("dr.pg.trouble"), PR_S("error", text));
}

static void receiver_ended(struct dr_pg_watch *w, int64_t now_ms)
{
    const struct pr_buf *words = dr_child_words(w->child);
    const bool steady = now_ms - w->started_ms > STEADY_MS;
    w->receiver.running = false;
    w->receiver.failures = steady ? 1 : w->receiver.failures + 1;
    w->receiver.ended_ms = now_ms;
    w->receiver.gone = dr_pg_receiver_gone(words->data != NULL ? words->data : "", words->len);
    pr_warn(PR_EV("dr.pg.receiver_ended"), PR_I("status", dr_child_status(w->child)),
            PR_I("in_a_row", w->receiver.failures));
    dr_child_stop(w->child, 0);
    w->child = NULL;
}

static enum pr_code receiver_start(struct dr_pg_watch *w, bool afresh, struct pr_err *err)
{
    char dir[DR_PG_PATH];
    enum pr_code rc = PR_OK;
    if (afresh)
        rc = dr_pg_slot_drop(w->admin, err);
    if (rc == PR_OK)
        rc = dr_pg_slot_make(w->admin, err);
    if (rc == PR_OK)
        rc = dr_pg_wal_dir(&w->home, w->server.system_id, afresh, dir, err);
    if (rc == PR_OK)
        rc = dr_pg_receiver_start(&w->home, dir, &w->child, err);
    if (rc == PR_OK) {
        w->receiver.running = true;
        w->receiver.gone = false;
        pr_metrics_add(w->o.metrics, M_PG_STARTS, NULL, 1);
    }
    return rc;
}

static void tend_receiver(struct dr_pg_watch *w, int64_t now_ms)
{
    const char *why;
    struct pr_err err = { 0 };
    if (w->child != NULL && !dr_child_runs(w->child))
        receiver_ended(w, now_ms);
    const enum dr_pg_receiver_do todo = dr_pg_receiver_next(&w->receiver, &w->server, now_ms, &why);
    if (todo == DR_PG_RECEIVER_WAIT)
        return;
    pr_info(PR_EV("dr.pg.receiver_starts"), PR_S("why", why),
            PR_I("afresh", todo == DR_PG_RECEIVER_AFRESH));
    w->started_ms = now_ms;
    if (receiver_start(w, todo == DR_PG_RECEIVER_AFRESH, &err) != PR_OK) {
        say(w, err.text);
        w->receiver.failures++;
        w->receiver.ended_ms = now_ms;
    }
}

/* --- what is told --------------------------------------------------------------------------------
 */

static void tell(struct dr_pg_watch *w, int64_t now_ms)
{
    struct pr_metrics *m = w->o.metrics;
    const struct dr_pg_repo *r = &w->worker.repo;
    const struct dr_pg_facts f = { .now_ms = now_ms,
                                   .lag_ms = w->lag_ms,
                                   .server = &w->server,
                                   .repo = r,
                                   .due_ms = dr_pg_due_ms(&w->worker.schedule, now_ms),
                                   .supervised = true };
    const uint32_t alarms = dr_pg_alarms(&f), changed = alarms ^ w->alarms;
    for (int i = 0; i < DR_PG_ALARMS; i++) {
        const bool on = (alarms >> i & 1) != 0;
        const char *name = dr_pg_alarm_name((enum dr_pg_alarm)i);
        pr_metrics_set(m, M_PG_ALARM, name, on);
        if ((changed >> i & 1) != 0)
            pr_log(on ? PR_WARN : PR_INFO, PR_EV(on ? "dr.pg.alarm" : "dr.pg.alarm_over"),
                   PR_S("alarm", name));
    }
    w->alarms = alarms;
    w->told = true;
    pr_metrics_set(m, M_PG_LAG, NULL, (double)w->lag_ms / 1e3);
    pr_metrics_set(m, M_PG_SLOT_BYTES, NULL, (double)w->server.slot_kept_bytes);
    pr_metrics_set(m, M_PG_ARCHIVE, NULL, (double)w->server.archive_waiting);
    pr_metrics_set(m, M_PG_REPO_BYTES, NULL, (double)r->bytes);
    if (r->any_ms > 0)
        pr_metrics_set(m, M_PG_BACKUP_AGE, NULL, (double)(now_ms - r->any_ms) / 1e3);
}

static void alarm_list(uint32_t alarms, char out[256])
{
    size_t n = 1;
    (void)snprintf(out, 256, "{");
    for (int i = 0; i < DR_PG_ALARMS; i++)
        if ((alarms >> i & 1) != 0)
            n += (size_t)snprintf(out + n, 256 - n, "%s%s", n > 1 ? "," : "",
                                  dr_pg_alarm_name((enum dr_pg_alarm)i));
    (void)snprintf(out + n, 256 - n, "}");
}

static const char SAVE[] =
    "INSERT INTO dr_pg AS t (id, backend, holder, epoch, lsn, flushed_lsn, timeline, lag_ms, "
    "attached, synchronous, slot, slot_bytes, archive_waiting, archived, newest_backup, backup_at, "
    "full_at, oldest_at, repository_bytes, job, alarms, error) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
    "to_timestamp(nullif($16::bigint, 0) / 1000.0), to_timestamp(nullif($17::bigint, 0) / 1000.0), "
    "to_timestamp(nullif($18::bigint, 0) / 1000.0), $19, $20, $21::text[], $22) "
    "ON CONFLICT (id) DO UPDATE SET (backend, holder, epoch, lsn, flushed_lsn, timeline, lag_ms, "
    "attached, synchronous, slot, slot_bytes, archive_waiting, archived, newest_backup, backup_at, "
    "full_at, oldest_at, repository_bytes, job, alarms, error, updated_at) = "
    "(excluded.backend, excluded.holder, excluded.epoch, excluded.lsn, excluded.flushed_lsn, "
    "excluded.timeline, excluded.lag_ms, excluded.attached, excluded.synchronous, excluded.slot, "
    "excluded.slot_bytes, excluded.archive_waiting, excluded.archived, excluded.newest_backup, "
    "excluded.backup_at, excluded.full_at, excluded.oldest_at, excluded.repository_bytes, "
    "excluded.job, excluded.alarms, excluded.error, now())";

static enum pr_code save_row(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct dr_pg_watch *w = ctx;
    const struct dr_pg_server *s = &w->server;
    const struct dr_pg_repo *r = &w->worker.repo;
    char lsn[24], flushed[24], alarms[256];
    struct pr_lease lease;
    enum pr_code rc = pr_tenure_lease(w->tenure, &lease, err);
    if (rc == PR_OK)
        rc = pr_lease_check(db, &lease, err);
    if (rc != PR_OK)
        return rc;
    dr_pg_lsn_print(s->lsn, lsn);
    dr_pg_lsn_print(s->flushed_lsn, flushed);
    alarm_list(w->alarms, alarms);
    return pr_db_exec(
        db, SAVE,
        PR_ARGS(pr_text(w->o.cfg->cluster), pr_text(w->o.cfg->pg_backend), pr_text(w->o.holder),
                pr_i64((int64_t)lease.epoch), pr_text(lsn), pr_text(flushed), pr_i64(s->timeline),
                pr_i64(w->lag_ms), pr_bool(s->attached), pr_bool(s->synchronous),
                pr_text(dr_pg_slot_name(s->slot)), pr_i64(s->slot_kept_bytes),
                pr_i64(s->archive_waiting), pr_text(s->archived), pr_text(r->newest),
                pr_i64(r->any_ms), pr_i64(r->full_ms), pr_i64(r->oldest_ms), pr_i64(r->bytes),
                pr_text(dr_pg_job_name(w->worker.job)), pr_text(alarms),
                pr_text(w->error[0] != '\0' ? w->error : w->worker.error)),
        NULL, err);
}

static void save(struct dr_pg_watch *w)
{
    struct pr_err err = { 0 };
    const enum pr_code rc = pr_db_tx(w->db, save_row, w, &err);
    if (rc == PR_EFENCED)
        pr_tenure_lost(w->tenure, w->epoch);
    else if (rc != PR_OK && !w->unsaved)
        pr_warn(PR_EV("dr.pg.not_saved"), PR_S("code", pr_code_name(rc)), PR_E(&err));
    w->unsaved = rc != PR_OK;
}

/* --- turns ---------------------------------------------------------------------------------------
 */

static void look(struct dr_pg_watch *w, int64_t now_ms)
{
    struct pr_err err = { 0 };
    char why[DR_PG_WORDS];
    const enum pr_code rc = dr_pg_look(w->admin, now_ms, &w->server, &err);
    w->look_us = pr_mono_us();
    w->answers = rc == PR_OK;
    if (rc != PR_OK)
        say(w, err.text);
    else if (!dr_pg_settings_ok(&w->server, why))
        say(w, why);
    else
        say(w, "");
    if (w->server.at_ms > 0)
        w->lag_ms = dr_pg_lag_step(&w->lag, &w->server, now_ms);
}

/* What was said while leading would stand for ever. Only when another leads and says it: while
 * PostgreSQL is away nobody can hold the lease, and that is what the alarms are about. */
static void unsay(struct dr_pg_watch *w)
{
    static const int said[] = { M_PG_LAG, M_PG_SLOT_BYTES, M_PG_ARCHIVE, M_PG_BACKUP_AGE };
    for (size_t i = 0; i < PR_COUNT(said); i++)
        pr_metrics_set(w->o.metrics, said[i], NULL, 0);
    for (int i = 0; i < DR_PG_ALARMS; i++)
        pr_metrics_set(w->o.metrics, M_PG_ALARM, dr_pg_alarm_name((enum dr_pg_alarm)i), 0);
    w->alarms = 0;
    w->told = false;
}

static void end_turn_at_leading(struct dr_pg_watch *w)
{
    dr_child_stop(w->child, STOP_MS);
    w->child = NULL;
    w->receiver = (struct dr_pg_receiver){ .seed = (uint64_t)getpid() };
    dr_pg_worker_stop(&w->worker);
    w->server = (struct dr_pg_server){ 0 };
    w->lag = (struct dr_pg_lag){ 0 };
    w->epoch = 0;
}

static void turn(struct dr_pg_watch *w)
{
    const uint64_t epoch = pr_tenure_epoch(w->tenure);
    const int64_t now_ms = pr_now_ms();
    if (epoch != w->epoch) {
        end_turn_at_leading(w);
        w->epoch = epoch;
        if (epoch != 0)
            pr_info(PR_EV("dr.pg.leads"), PR_I("epoch", epoch));
    }
    if (epoch == 0 && w->told && pr_tenure_taken(w->tenure))
        unsay(w);
    if (epoch == 0)
        return;
    const bool due = pr_mono_us() - w->look_us >= LOOK_MS * 1000LL;
    if (due)
        look(w, now_ms);
    tend_receiver(w, now_ms);
    dr_pg_worker_turn(&w->worker, &w->server, w->answers, now_ms);
    if (due) {
        tell(w, now_ms);
        save(w);
    }
}

/* Until something is said, or the next look is due. */
static void rest(struct dr_pg_watch *w)
{
    struct pollfd fd[FDS] = { { .fd = w->wake, .events = POLLIN } };
    nfds_t n = 1;
    uint64_t count;
    if (w->child != NULL) {
        dr_child_fds(w->child, &fd[n]);
        n += 2;
    }
    if (w->worker.child != NULL) {
        dr_child_fds(w->worker.child, &fd[n]);
        n += 2;
    }
    const int64_t left_ms = LOOK_MS - (pr_mono_us() - w->look_us) / 1000;
    const int ms = w->epoch == 0 ? LOOK_MS : left_ms < 20 ? 20 : (int)left_ms;
    if (poll(fd, n, ms) > 0 && (fd[0].revents & POLLIN) != 0)
        (void)!read(w->wake, &count, sizeof count);
}

static void *run(void *arg)
{
    struct dr_pg_watch *w = arg;
    while (!atomic_load(&w->stop)) {
        turn(w);
        rest(w);
    }
    end_turn_at_leading(w);
    return NULL;
}

/* --- start and stop ------------------------------------------------------------------------------
 */

static enum pr_code connect_all(struct dr_pg_watch *w, struct pr_err *err)
{
    char *admin = NULL, *ours = NULL;
    enum pr_code rc = dr_pg_conninfo(w->o.cfg->pg_uri, NULL, &admin, err);
    /* The lease, too, must not wait for the receiver: only who holds it starts the receiver. */
    if (rc == PR_OK)
        rc = dr_pg_conninfo(w->o.db_uri, NULL, &ours, err);
    if (rc == PR_OK)
        rc = pr_db_open(&w->admin, admin, "prism-dr-pg", err);
    if (rc == PR_OK)
        rc = pr_db_open(&w->db, ours, "prism-dr-pg", err);
    const struct pr_tenure_options t = { .db_uri = ours,
                                         .lease = "dr-pg",
                                         .holder = w->o.holder,
                                         .ttl_ms = w->o.cfg->lease_ttl_ms,
                                         .changed = on_lease,
                                         .ctx = w };
    if (rc == PR_OK)
        rc = pr_tenure_start(&w->tenure, &t, err);
    free(admin);
    free(ours);
    return rc;
}

enum pr_code dr_pg_watch_start(struct dr_pg_watch **out, const struct dr_pg_watch_options *o,
                               struct pr_err *err)
{
    const struct dr_pg_backend *backend = NULL;
    *out = NULL;
    if (o->cfg->pg_uri[0] == '\0')
        return PR_OK;
    enum pr_code rc = dr_pg_backend_find(o->cfg->pg_backend, &backend, err);
    struct dr_pg_watch *w = rc == PR_OK ? calloc(1, sizeof *w) : NULL;
    if (w == NULL)
        return rc != PR_OK ? rc : pr_fail(err, PR_ENOMEM, "no memory to look after PostgreSQL");
    w->o = *o;
    w->receiver.seed = (uint64_t)getpid();
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = w->wake >= 0 ? dr_pg_home_open(&w->home, o->cfg, err)
                      : pr_fail(err, PR_ENOMEM, "eventfd: %s", strerror(errno));
    if (rc == PR_OK)
        rc = dr_pg_worker_init(&w->worker, &w->home, o->metrics, err);
    if (rc == PR_OK)
        rc = connect_all(w, err);
    if (rc == PR_OK && pthread_create(&w->thread, NULL, run, w) != 0)
        rc = pr_fail(err, PR_ENOMEM, "no thread to look after PostgreSQL");
    w->running = rc == PR_OK;
    if (rc != PR_OK)
        dr_pg_watch_stop(w);
    else
        *out = w;
    return rc;
}

void dr_pg_watch_stop(struct dr_pg_watch *w)
{
    if (w == NULL)
        return;
    atomic_store(&w->stop, true);
    ring(w);
    if (w->running)
        pthread_join(w->thread, NULL);
    pr_tenure_stop(w->tenure);
    pr_db_close(w->admin);
    pr_db_close(w->db);
    dr_pg_home_close(&w->home);
    if (w->wake >= 0)
        close(w->wake);
    free(w);
}
