#include "prism/io/service.h"
#include "prism/io/rest.h"

#include "http_internal.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "service_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_AGAIN_MS = 30 * 1000, /* what stays down is told again */
    CHECK_MS = 1000,          /* between two looks at the dependencies */
    BACKOFF_FIRST_MS = 250,
    BACKOFF_MAX_MS = 2000,
    REOPEN_MS = 10 * 1000, /* a start that NATS leaves hanging opens it anew */
};

#define METRIC PR_METRIC_ROW
static const struct pr_metric_row common_metrics[] = {
#include "prism/io/common_metrics.def"
};
#undef METRIC

/* ---- waiting and readiness ---- */

/* Waits at most ms; true when the service is to stop. */
static bool wait_stop(struct pr_shell *sh, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int rc = 0;
    pthread_mutex_lock(&sh->lock);
    while (!atomic_load(&sh->stopping) && rc == 0)
        rc = pthread_cond_timedwait(&sh->wake, &sh->lock, &until);
    pthread_mutex_unlock(&sh->lock);
    return atomic_load(&sh->stopping);
}

static void set_state(struct pr_shell *sh, enum pr_service_state s)
{
    pthread_mutex_lock(&sh->lock);
    sh->state = s;
    pthread_mutex_unlock(&sh->lock);
}

/* Notes the state of a dependency; logs changes, and every 30 s what is down. */
static void note(struct pr_shell *sh, struct pr_dependency *d, bool up, const struct pr_err *err)
{
    int64_t now_us = pr_mono_us();
    pthread_mutex_lock(&sh->lock);
    bool tell =
        d->up != up || d->logged_us == 0 || (!up && now_us - d->logged_us >= LOG_AGAIN_MS * 1000LL);
    d->up = up;
    (void)snprintf(d->reason, sizeof d->reason, "%s", up ? "" : err->text);
    if (tell)
        d->logged_us = now_us;
    pthread_mutex_unlock(&sh->lock);
    if (!tell)
        return;
    if (up)
        pr_info(PR_EV("dependency.up"), PR_S("dependency", d->name));
    else
        pr_warn(PR_EV("dependency.down"), PR_S("dependency", d->name),
                PR_S("code", pr_code_name(err->code)), PR_E(err));
}

void pr_service_not_ready(struct pr_service *svc, const char *name, const char *reason)
{
    struct pr_shell *sh = svc->internal;
    size_t i = 0;
    if (sh == NULL)
        return; /* never opened */
    pthread_mutex_lock(&sh->lock);
    while (i < sh->n_own && strcmp(sh->own[i].name, name) != 0)
        i++;
    if (i == sh->n_own && i < PR_OWN_REASONS)
        sh->own[sh->n_own++].name = name;
    if (i < PR_OWN_REASONS)
        (void)snprintf(sh->own[i].reason, sizeof sh->own[i].reason, "%s",
                       reason == NULL ? "" : reason);
    pthread_mutex_unlock(&sh->lock);
    if (i == PR_OWN_REASONS)
        pr_error(PR_EV("service.too_many_reasons"), PR_S("name", name));
}

bool pr_service_stopping(const struct pr_service *svc)
{
    const struct pr_shell *sh = svc->internal;
    return sh != NULL && atomic_load(&sh->stopping);
}

/* ---- dependencies ---- */

/* One look at PostgreSQL; only unretryable trouble of opening is returned. */
static enum pr_code check_db(struct pr_shell *sh, struct pr_err *err)
{
    struct pr_service *svc = sh->svc;
    enum pr_code rc =
        svc->db != NULL ? PR_OK : pr_db_open(&svc->db, svc->common.db_uri, svc->instance, err);
    if (rc != PR_OK)
        return rc;
    rc = pr_db_exec(svc->db, "SELECT 1", NULL, 0, NULL, err);
    note(sh, &sh->db, rc == PR_OK, err);
    return PR_OK;
}

/* What the probes may ask. */
static void share_bus(struct pr_shell *sh, struct pr_bus *bus)
{
    pthread_mutex_lock(&sh->bus_lock);
    sh->bus = bus;
    pthread_mutex_unlock(&sh->bus_lock);
}

static enum pr_code open_bus(struct pr_shell *sh, struct pr_err *err)
{
    struct pr_service *svc = sh->svc;
    const struct pr_bus_options o = { .url = svc->common.nats_url,
                                      .ca_path = svc->common.nats_ca_path,
                                      .user = svc->common.nats_user,
                                      .password = svc->common.nats_password,
                                      .name = svc->instance };
    enum pr_code rc = pr_bus_open(&svc->bus, &o, err);
    if (rc == PR_OK)
        share_bus(sh, svc->bus);
    else
        note(sh, &sh->nats, false, err);
    return rc == PR_EINVAL ? rc : PR_OK; /* even a refused user may be let in later */
}

static void close_bus(struct pr_shell *sh)
{
    struct pr_bus *bus = sh->svc->bus;
    share_bus(sh, NULL);
    sh->svc->bus = NULL;
    pr_bus_close(bus);
}

static void check_bus(struct pr_shell *sh)
{
    struct pr_err err = { 0 };
    if (sh->svc->bus != NULL)
        note(sh, &sh->nats, pr_bus_ready(sh->svc->bus, &err) == PR_OK, &err);
}

/* Until both answer; NATS alone for who can work without PostgreSQL. */
static enum pr_code connect_all(struct pr_shell *sh, struct pr_err *err)
{
    int64_t backoff_ms = BACKOFF_FIRST_MS, opened_us = 0;
    for (;;) {
        enum pr_code rc = check_db(sh, err);
        if (rc != PR_OK)
            return rc;
        /* libnats gives up for good when it is refused twice: begin again. */
        if (sh->svc->bus != NULL && !sh->nats.up && pr_mono_us() - opened_us > REOPEN_MS * 1000LL)
            close_bus(sh);
        if (sh->svc->bus == NULL) {
            if ((rc = open_bus(sh, err)) != PR_OK)
                return rc;
            opened_us = pr_mono_us();
        }
        check_bus(sh);
        const bool db_will_do = sh->db.up || sh->svc->def.without_db;
        if (db_will_do && sh->nats.up)
            return PR_OK;
        if (wait_stop(sh, backoff_ms))
            return pr_fail(err, PR_ECANCELED, "stopped while waiting for %s",
                           db_will_do ? sh->nats.name : sh->db.name);
        backoff_ms = backoff_ms * 2 < BACKOFF_MAX_MS ? backoff_ms * 2 : BACKOFF_MAX_MS;
    }
}

/* ---- open ---- */

static struct pr_shell *new_shell(struct pr_service *svc)
{
    struct pr_shell *sh = calloc(1, sizeof *sh);
    if (sh == NULL)
        return NULL;
    pr_cond_init(&sh->wake);
    (void)pthread_mutex_init(&sh->lock, NULL);
    (void)pthread_mutex_init(&sh->bus_lock, NULL);
    sh->svc = svc;
    sh->db = (struct pr_dependency){ .name = "postgresql", .reason = "not asked yet" };
    sh->nats = (struct pr_dependency){ .name = "nats", .reason = "not asked yet" };
    sh->start_us = pr_mono_us();
    sh->signal_fd = sh->quit_fd = -1;
    sh->common = pr_metrics_new(common_metrics, PR_COUNT(common_metrics));
    svc->metrics = pr_metrics_new(svc->def.metrics, svc->def.n_metrics);
    svc->internal = sh; /* pr_service_close frees it, whatever is missing */
    return sh->common == NULL || svc->metrics == NULL ? NULL : sh;
}

static void name_instance(struct pr_service *svc)
{
    char host[32] = "?";
    (void)gethostname(host, sizeof host - 1); /* cut when longer */
    (void)snprintf(svc->instance, sizeof svc->instance, "%.20s-%s-%d", svc->def.name, host,
                   (int)getpid());
}

/* As many connections as the system grants: in a fleet of 1000 nodes one each is already
 * about the usual soft limit. Nothing here uses select. */
static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    const rlim_t before = files.rlim_cur;
    files.rlim_cur = files.rlim_max;
    const bool raised = setrlimit(RLIMIT_NOFILE, &files) == 0;
    pr_info(PR_EV("service.file_limit"), PR_I("files", raised ? files.rlim_cur : before),
            PR_I("before", before));
}

enum pr_code pr_service_open(struct pr_service *svc, const struct pr_service_def *def, int argc,
                             char **argv, struct pr_err *err)
{
    *svc = (struct pr_service){ .def = *def };
    name_instance(svc);
    enum pr_code rc = pr_service_args(svc, argc, argv, err);
    if (rc != PR_OK)
        return rc;
    raise_file_limit();
    struct pr_shell *sh = new_shell(svc);
    if (sh == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory");
    rc = pr_service_signals(sh, err); /* before any other thread, which would get them */
    if (rc == PR_OK && def->configured != NULL)
        rc = def->configured(def->configured_ctx, &svc->common, err);
    if (rc == PR_OK)
        rc = pr_service_listen(sh, err);
    if (rc != PR_OK)
        return rc;
    pr_info(PR_EV("service.starting"), PR_S("instance", svc->instance),
            PR_S("version", PRISM_VERSION), PR_S("bind", svc->common.http_bind),
            PR_I("port", pr_http_port(svc->http)));
    if (svc->https != NULL)
        pr_info(PR_EV("service.tls"), PR_S("bind", def->http->bind),
                PR_I("port", pr_http_port(svc->https)));
    rc = connect_all(sh, err);
    if (rc == PR_OK && !sh->db.up)
        pr_bus_pause(svc->bus, true); /* as when it goes away later */
    if (rc == PR_OK && def->relay)
        rc = pr_relay_start(&svc->relay, svc->common.db_uri, svc->instance, svc->bus, err);
    return rc;
}

/* ---- run ---- */

/* PostgreSQL down: nothing is consumed, so nothing can fail for its lack. */
static void check_dependencies(struct pr_shell *sh)
{
    struct pr_err err = { 0 };
    bool was_up = sh->db.up; /* only this thread writes it */
    (void)check_db(sh, &err);
    if (was_up != sh->db.up)
        pr_bus_pause(sh->svc->bus, !sh->db.up);
    check_bus(sh);
}

struct turn {
    enum pr_code (*tick)(void *ctx, int64_t now_ms, struct pr_err *err);
    void *ctx;
    enum pr_code failing; /* of the last tick */
    int64_t logged_us;
};

static enum pr_code run_tick(struct pr_shell *sh, struct turn *t, struct pr_err *err)
{
    int64_t from_us = pr_mono_us();
    enum pr_code rc = t->tick(t->ctx, pr_now_ms(), err);
    int64_t now_us = pr_mono_us();
    pr_metrics_observe(sh->common, PR_M_TICK_TIME, NULL, (double)(now_us - from_us) / 1e6);
    if (rc == PR_OK) {
        if (t->failing != PR_OK)
            pr_info(PR_EV("tick.recovered"));
        t->failing = PR_OK;
        return PR_OK;
    }
    if (!pr_retryable(rc))
        return rc == PR_ECANCELED && atomic_load(&sh->stopping) ? PR_OK : rc;
    pr_metrics_add(sh->common, PR_M_TICK_FAILURES, NULL, 1);
    if (t->failing == PR_OK || now_us - t->logged_us >= LOG_AGAIN_MS * 1000LL) {
        pr_warn(PR_EV("tick.failed"), PR_S("code", pr_code_name(rc)), PR_E(err));
        t->logged_us = now_us;
    }
    t->failing = rc;
    return PR_OK;
}

enum pr_code pr_service_run(struct pr_service *svc,
                            enum pr_code (*tick)(void *ctx, int64_t now_ms, struct pr_err *err),
                            void *ctx, int tick_ms, struct pr_err *err)
{
    struct pr_shell *sh = svc->internal;
    struct turn turn = { .tick = tick, .ctx = ctx };
    struct pr_err unused;
    int64_t tick_us = (int64_t)(tick_ms < 1 ? 1 : tick_ms) * 1000, next_tick_us = 0;
    int64_t next_check_us = 0, wait_ms;
    enum pr_code rc = PR_OK;

    set_state(sh, PR_RUNNING);
    if (svc->def.http != NULL)
        pr_http_hold(svc->https != NULL ? svc->https : svc->http, 1, false);
    pr_info(PR_EV("service.running"));
    do {
        int64_t now_us = pr_mono_us();
        if (now_us >= next_check_us) {
            check_dependencies(sh);
            next_check_us = now_us + CHECK_MS * 1000LL;
        }
        if (tick != NULL && now_us >= next_tick_us) {
            rc = run_tick(sh, &turn, err == NULL ? &unused : err);
            next_tick_us = now_us + tick_us;
        }
        int64_t next_us =
            tick != NULL && next_tick_us < next_check_us ? next_tick_us : next_check_us;
        wait_ms = (next_us - pr_mono_us() + 999) / 1000;
    } while (rc == PR_OK && !wait_stop(sh, wait_ms > 0 ? wait_ms : 0));
    pr_service_drain(svc);
    return rc;
}

/* ---- end ---- */

void pr_service_drain(struct pr_service *svc)
{
    struct pr_shell *sh = svc->internal;
    if (sh == NULL)
        return;
    set_state(sh, PR_DRAINING);
    if (svc->bus != NULL)
        pr_bus_pause(svc->bus, true);
    struct pr_http *https = svc->https, *http = svc->http;
    svc->https = svc->http = NULL;
    pr_http_close(https);
    pr_http_close(http);
    pr_relay_stop(svc->relay);
    svc->relay = NULL;
    close_bus(sh); /* waits for running handlers */
}

void pr_service_close(struct pr_service *svc)
{
    struct pr_shell *sh = svc->internal;
    pr_service_drain(svc);
    pr_db_close(svc->db);
    svc->db = NULL;
    if (sh != NULL) {
        pr_service_signals_end(sh);
        pr_info(PR_EV("service.stopped"));
        pr_metrics_free(sh->common);
        (void)pthread_cond_destroy(&sh->wake);
        (void)pthread_mutex_destroy(&sh->lock);
        (void)pthread_mutex_destroy(&sh->bus_lock);
        free(sh);
        svc->internal = NULL;
    }
    pr_metrics_free(svc->metrics);
    svc->metrics = NULL;
    if (svc->def.name != NULL)
        pr_service_free_settings(svc);
}

int pr_service_exit(enum pr_code rc, const struct pr_err *err)
{
    if (rc == PR_OK || rc == PR_ECANCELED)
        return EXIT_SUCCESS;
    pr_error(PR_EV("service.failed"), PR_S("code", pr_code_name(rc)), PR_E(err));
    return EXIT_FAILURE;
}
