#include "io/gate_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { READ_US = 200000, TICK_US = 50000 };

struct dr_group *dr_gates_group(const struct dr_gates *g, const char *shard)
{
    return g->o.group[dr_group_of(shard, (uint32_t)g->o.groups)];
}

void dr_gates_changed(struct dr_gates *g)
{
    if (g == NULL)
        return;
    pthread_mutex_lock(&g->mu);
    g->changed = true;
    pthread_cond_signal(&g->woken);
    pthread_mutex_unlock(&g->mu);
}

static bool rest(struct dr_gates *g, int64_t until_us)
{
    pthread_mutex_lock(&g->mu);
    while (!g->stop && !(g->changed && g->givers > 0) && pr_cond_until(&g->woken, &g->mu, until_us))
        ;
    g->changed = false;
    const bool go_on = !g->stop;
    pthread_mutex_unlock(&g->mu);
    return go_on;
}

/* What fails is tried again: until then what is held back stays so. */
static void complain(struct dr_gates *g, enum pr_code rc, const struct pr_err *err)
{
    if (rc != PR_OK && rc != PR_EFENCED && !g->failing)
        pr_warn(PR_EV("dr.gate_failed"), PR_S("code", pr_code_name(rc)), PR_E(err));
    g->failing = rc != PR_OK && rc != PR_EFENCED;
}

static void *run(void *arg)
{
    struct dr_gates *g = arg;
    int64_t next_us = 0, until_us;
    do {
        if (pr_mono_us() >= next_us) {
            struct pr_err err = { 0 };
            enum pr_code rc = dr_gates_read(g, &err);
            dr_gates_look(g); /* before it is told: it is held back by then */
            if (rc == PR_OK)
                rc = dr_gates_admit(g, &err);
            if (rc == PR_OK)
                rc = dr_gates_end(g, &err);
            complain(g, rc, &err);
            next_us = pr_mono_us() + READ_US;
        } else {
            dr_gates_look(g);
        }
        until_us = pr_mono_us() + TICK_US;
        if (g->givers == 0 || until_us > next_us)
            until_us = next_us;
    } while (rest(g, until_us));
    return NULL;
}

/* --- start and stop -----------------------------------------------------------------------------
 */

enum pr_code dr_gates_start(struct dr_gates **out, const struct dr_gates_options *o,
                            struct pr_err *err)
{
    struct dr_gates *g = calloc(1, sizeof *g);
    if (g == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the gates");
    g->o = *o;
    pthread_mutex_init(&g->mu, NULL);
    pr_cond_init(&g->woken);
    enum pr_code rc = pr_db_open(&g->db, o->db_uri, "prism-dr-gate", err);
    if (rc == PR_OK)
        rc = pr_s3_open(&o->store->s3, &g->cancel, &g->s3, err);
    if (rc == PR_OK && pthread_create(&g->thread, NULL, run, g) != 0)
        rc = pr_fail(err, PR_ENOMEM, "no thread for the gates");
    g->runs = rc == PR_OK;
    if (rc != PR_OK)
        dr_gates_close(g);
    else
        *out = g;
    return rc;
}

void dr_gates_stop(struct dr_gates *g)
{
    if (g == NULL || !g->runs)
        return;
    pthread_mutex_lock(&g->mu);
    g->stop = true;
    pthread_cond_signal(&g->woken);
    pthread_mutex_unlock(&g->mu);
    atomic_store(&g->cancel, true);
    pthread_join(g->thread, NULL);
    g->runs = false;
}

void dr_gates_close(struct dr_gates *g)
{
    if (g == NULL)
        return;
    dr_gates_stop(g);
    dr_gates_disconnect(g);
    for (size_t i = 0; i < g->givers; i++)
        free(g->giver[i]);
    free(g->giver);
    free(g->ending);
    free(g->far);
    free(g->row);
    pr_s3_close(g->s3);
    pr_db_close(g->db);
    pthread_cond_destroy(&g->woken);
    pthread_mutex_destroy(&g->mu);
    free(g);
}
