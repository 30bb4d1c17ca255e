#include "refresh.h"

#include "load.h"
#include "prism/io/clock.h"
#include "prism/io/db.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { EVENT_GAP_MS = 50, RETRY_MS = 500 };

struct api_cell {
    pthread_mutex_t lock;
    struct api_snapshot *now;
};

struct api_cell *api_cell_new(void)
{
    struct api_cell *c = calloc(1, sizeof *c);
    if (c != NULL)
        pthread_mutex_init(&c->lock, NULL);
    return c;
}

void api_cell_free(struct api_cell *c)
{
    if (c == NULL)
        return;
    api_snapshot_unref(c->now);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

struct api_snapshot *api_cell_get(struct api_cell *c)
{
    pthread_mutex_lock(&c->lock);
    struct api_snapshot *s = c->now == NULL ? NULL : api_snapshot_ref(c->now);
    pthread_mutex_unlock(&c->lock);
    return s;
}

void api_cell_set(struct api_cell *c, struct api_snapshot *s)
{
    pthread_mutex_lock(&c->lock);
    struct api_snapshot *old = c->now;
    c->now = s;
    pthread_mutex_unlock(&c->lock);
    api_snapshot_unref(old); /* frees it here unless a reader still holds it */
}

struct api_refresher {
    struct api_cell *cell;
    pthread_mutex_t lock;
    pthread_cond_t asked, done; /* monotonic clock */
    pthread_t thread;
    bool running, stopping;
    int parts;                /* wanted */
    int64_t heard;            /* highest delta id named by an event */
    bool urgent;              /* somebody waits */
    uint64_t ask_no, done_no; /* every waiter's call has a number */
    enum pr_code last;
    atomic_bool failing; /* last, for look-ups, which take no lock */
    struct pr_err last_err;
    struct api_refresher_stats stats;

    struct pr_db *db; /* of the thread, like all below */
    int64_t token_ttl_ms, full_ms;
    int64_t tokens_due_ms, full_due_ms;
};

static int64_t mono_ms(void)
{
    return pr_mono_us() / 1000;
}

/* One read: the parts asked for, from one transaction. */
struct reading {
    int parts;
    int64_t heard;
    struct api_snapshot *have;
    struct api_topo *topo; /* new, or NULL */
    struct api_deltas *deltas;
    struct api_tokens *tokens;
};

static void reading_drop(struct reading *g)
{
    api_topo_unref(g->topo);
    api_deltas_unref(g->deltas);
    api_tokens_unref(g->tokens);
    g->topo = NULL;
    g->deltas = NULL;
    g->tokens = NULL;
}

static enum pr_code read_parts(struct pr_db *db, void *ctx, struct pr_err *err)
{
    static const struct api_deltas no_deltas;
    struct reading *g = ctx;
    reading_drop(g); /* of an attempt that was rolled back */
    enum pr_code rc = pr_db_exec(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
                                 NULL, 0, NULL, err);
    if (rc == PR_OK && (g->parts & API_TOKENS) != 0)
        rc = api_load_tokens(db, &g->tokens, err);
    if (rc == PR_OK && (g->parts & API_TOPO) != 0)
        rc = api_load_topo(db, &g->topo, err);
    if (rc == PR_OK && (g->parts & API_DELTAS) != 0)
        rc = api_load_deltas(db, g->have == NULL ? &no_deltas : g->have->deltas, g->heard,
                             g->topo != NULL ? g->topo->partitions : g->have->topo->partitions,
                             &g->deltas, err);
    return rc;
}

static enum pr_code publish(struct api_refresher *r, struct reading *g, int64_t began_ms,
                            struct pr_err *err)
{
    struct api_snapshot *old = g->have;
    if (old == NULL && g->deltas == NULL) /* an empty store has nothing new to tell */
        g->deltas = api_deltas_new();
    if (old == NULL && g->deltas == NULL)
        return pr_fail(err, PR_ENOMEM, "snapshot");
    struct api_snapshot *s = api_snapshot_new(g->topo != NULL ? g->topo : old->topo,
                                              g->deltas != NULL ? g->deltas : old->deltas,
                                              g->tokens != NULL ? g->tokens : old->tokens);
    if (s == NULL)
        return pr_fail(err, PR_ENOMEM, "snapshot");
    s->topo_at_ms = (g->parts & API_TOPO) != 0 ? began_ms : old->topo_at_ms;
    s->deltas_at_ms = (g->parts & API_DELTAS) != 0 ? began_ms : old->deltas_at_ms;
    s->tokens_at_ms = (g->parts & API_TOKENS) != 0 ? began_ms : old->tokens_at_ms;
    api_cell_set(r->cell, s);
    return PR_OK;
}

static enum pr_code refresh(struct api_refresher *r, int parts, int64_t heard, struct pr_err *err)
{
    struct reading g = { .parts = parts, .heard = heard, .have = api_cell_get(r->cell) };
    if (g.have == NULL)
        g.parts = API_EVERYTHING;
    const int64_t began_ms = mono_ms();
    enum pr_code rc = pr_db_tx(r->db, read_parts, &g, err);
    if (rc == PR_OK)
        rc = publish(r, &g, began_ms, err);
    if (rc == PR_OK && (g.parts & API_TOPO) != 0)
        r->full_due_ms = began_ms + r->full_ms;
    if (rc == PR_OK && (g.parts & API_TOKENS) != 0)
        r->tokens_due_ms = began_ms + r->token_ttl_ms;
    reading_drop(&g);
    api_snapshot_unref(g.have);
    return rc;
}

/* Waits, with the lock held, until there is something to read; returns what. */
static int next_parts(struct api_refresher *r, int64_t not_before_ms)
{
    for (;;) {
        const int64_t now = mono_ms();
        int due = (now >= r->tokens_due_ms ? API_TOKENS | API_DELTAS : 0) |
                  (now >= r->full_due_ms ? API_EVERYTHING : 0);
        if (r->stopping)
            return 0;
        if ((due | r->parts) != 0 && (r->urgent || now >= not_before_ms))
            return due | r->parts;
        int64_t until = r->tokens_due_ms < r->full_due_ms ? r->tokens_due_ms : r->full_due_ms;
        if (r->parts != 0 || until < not_before_ms)
            until = not_before_ms;
        (void)pr_cond_until(&r->asked, &r->lock, until * 1000);
    }
}

static void log_change(bool was_ok, enum pr_code rc, const struct pr_err *err)
{
    if (rc != PR_OK && was_ok)
        pr_warn(PR_EV("api.snapshot_stale"), PR_S("code", pr_code_name(rc)), PR_E(err));
    if (rc == PR_OK && !was_ok)
        pr_info(PR_EV("api.snapshot_fresh"));
}

static void *run(void *arg)
{
    struct api_refresher *r = arg;
    int64_t not_before_ms = 0;
    bool ok = true;
    pthread_mutex_lock(&r->lock);
    for (int parts; (parts = next_parts(r, not_before_ms)) != 0;) {
        const uint64_t serving = r->ask_no;
        const int64_t heard = r->heard;
        r->parts = 0;
        r->urgent = false;
        pthread_mutex_unlock(&r->lock);

        struct pr_err err = { 0 };
        enum pr_code rc = refresh(r, parts, heard, &err);
        log_change(ok, rc, &err);
        ok = rc == PR_OK;
        atomic_store(&r->failing, !ok);
        not_before_ms = mono_ms() + (ok ? EVENT_GAP_MS : RETRY_MS);

        pthread_mutex_lock(&r->lock);
        if (!ok)
            r->parts |= parts;
        r->last = rc;
        r->last_err = err;
        r->done_no = serving;
        r->stats.reads++;
        r->stats.failed += !ok;
        pthread_cond_broadcast(&r->done);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

enum pr_code api_refresher_new(struct api_refresher **out, struct api_cell *cell,
                               struct pr_err *err)
{
    struct api_refresher *r = calloc(1, sizeof *r);
    if (r == NULL)
        return pr_fail(err, PR_ENOMEM, "refresher");
    r->cell = cell;
    pthread_mutex_init(&r->lock, NULL);
    pr_cond_init(&r->asked);
    pr_cond_init(&r->done);
    *out = r;
    return PR_OK;
}

enum pr_code api_refresher_start(struct api_refresher *r, const char *db_uri, const char *name,
                                 int64_t token_ttl_ms, int64_t full_ms, struct pr_err *err)
{
    r->token_ttl_ms = token_ttl_ms;
    r->full_ms = full_ms;
    enum pr_code rc = pr_db_open(&r->db, db_uri, name, err);
    if (rc != PR_OK)
        return rc;
    int e = pthread_create(&r->thread, NULL, run, r);
    if (e != 0)
        return pr_fail(err, PR_EINTERNAL, "refresher thread: %s", strerror(e));
    r->running = true;
    return PR_OK;
}

void api_refresher_stop(struct api_refresher *r)
{
    if (r == NULL || !r->running)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_broadcast(&r->asked);
    pthread_cond_broadcast(&r->done);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    r->running = false;
}

void api_refresher_free(struct api_refresher *r)
{
    if (r == NULL)
        return;
    api_refresher_stop(r);
    pr_db_close(r->db);
    pthread_cond_destroy(&r->asked);
    pthread_cond_destroy(&r->done);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void api_refresher_ask(struct api_refresher *r, int parts, int64_t delta)
{
    pthread_mutex_lock(&r->lock);
    r->parts |= parts;
    if (delta > r->heard)
        r->heard = delta;
    pthread_cond_signal(&r->asked);
    pthread_mutex_unlock(&r->lock);
}

enum pr_code api_refresher_wait(struct api_refresher *r, int parts, int timeout_ms,
                                struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + (int64_t)timeout_ms * 1000;
    enum pr_code rc = PR_OK;
    pthread_mutex_lock(&r->lock);
    const uint64_t mine = ++r->ask_no;
    r->parts |= parts;
    r->urgent = true;
    pthread_cond_signal(&r->asked);
    while (rc == PR_OK && r->done_no < mine) {
        if (r->stopping)
            rc = pr_fail(err, PR_ECANCELED, "stopping");
        else if (!pr_cond_until(&r->done, &r->lock, until_us))
            rc = pr_fail(err, PR_ETIMEOUT, "PostgreSQL did not answer in %d ms", timeout_ms);
    }
    if (rc == PR_OK && r->last != PR_OK)
        rc = pr_fail(err, r->last, "%s", r->last_err.text);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

bool api_refresher_failing(struct api_refresher *r)
{
    return atomic_load(&r->failing);
}

void api_refresher_stats(struct api_refresher *r, struct api_refresher_stats *out)
{
    pthread_mutex_lock(&r->lock);
    *out = r->stats;
    pthread_mutex_unlock(&r->lock);
}
