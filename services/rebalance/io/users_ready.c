/* Which nodes know our users, and making them where they are missing. */
#include "io/users.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AT_ONCE = 32,       /* nodes; most answer within a millisecond, some never */
    PATIENCE_MS = 1000, /* with one node */
    AGAIN_US = 1000000
};

/* --- sets of ids ------------------------------------------------------------------ */

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, PR_NODE_ID);
}

static bool has(const struct rebalance_node_ids *s, const char *id)
{
    char key[PR_NODE_ID] = "";
    snprintf(key, sizeof key, "%s", id);
    return s->n > 0 && bsearch(key, s->id, s->n, sizeof *s->id, by_id) != NULL;
}

/* At the end: sort when all are there. */
static bool append(struct rebalance_node_ids *s, const char *id)
{
    if (s->n == s->cap) {
        const size_t cap = s->cap * 2 + 16;
        char(*bigger)[PR_NODE_ID] = realloc(s->id, cap * sizeof *bigger);
        if (bigger == NULL)
            return false;
        s->id = bigger;
        s->cap = cap;
    }
    memset(s->id[s->n], 0, sizeof *s->id);
    snprintf(s->id[s->n++], sizeof *s->id, "%s", id);
    return true;
}

static void sort(struct rebalance_node_ids *s)
{
    if (s->n > 1)
        qsort(s->id, s->n, sizeof *s->id, by_id);
}

static void keep_alive(struct rebalance_node_ids *s, const struct rebalance_node_ids *alive)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (has(alive, s->id[i]))
            memmove(s->id[kept++], s->id[i], sizeof *s->id);
    s->n = kept;
}

void rebalance_users_ready_done(struct rebalance_users_ready *r)
{
    free(r->made.id);
    free(r->late.id);
    *r = (struct rebalance_users_ready){ .again_us = 0 };
}

/* --- what is to be done --------------------------------------------------------------- */

static bool forget_the_dead(struct rebalance_users_ready *r, const struct pr_topology *t)
{
    struct rebalance_node_ids alive = { .n = 0 };
    bool ok = true;
    for (size_t i = 0; i < t->nodes && ok; i++)
        ok = t->node[i].failed || append(&alive, t->node[i].id);
    sort(&alive);
    if (ok) {
        keep_alive(&r->made, &alive);
        keep_alive(&r->late, &alive);
    }
    free(alive.id);
    return ok;
}

bool rebalance_users_due(struct rebalance_users_ready *r, const struct pr_topology *t,
                         int64_t now_us)
{
    if (!forget_the_dead(r, t))
        return false;
    bool late = false;
    for (size_t i = 0; i < t->nodes; i++) {
        if (t->node[i].failed || has(&r->made, t->node[i].id))
            continue;
        if (!has(&r->late, t->node[i].id))
            return true;
        late = true;
    }
    if (!late)
        r->says[0] = '\0';
    return late && now_us >= r->again_us;
}

/* --- doing it -------------------------------------------------------------------------- */

struct task { /* a node */
    const struct pr_node *node;
    enum pr_code rc;
    bool tried;
    struct pr_err err;
};

struct pass {
    const struct pr_redis_auth *service;
    const struct rebalance_user *user; /* [users] */
    size_t users;
    int64_t until_us;
    struct task *task; /* [n] */
    size_t n;
    atomic_size_t next;
};

static void one_node(const struct pass *p, struct task *k)
{
    struct pr_redis *conn = NULL;
    k->tried = true;
    k->rc = pr_redis_open(&conn, k->node->host, k->node->port, p->service, PATIENCE_MS, &k->err);
    for (size_t i = 0; i < p->users && k->rc == PR_OK; i++)
        k->rc = rebalance_user_make(conn, &p->user[i], &k->err);
    pr_redis_close(conn);
}

static void *take_nodes(void *arg)
{
    struct pass *p = arg;
    while (pr_mono_us() < p->until_us) {
        const size_t i = atomic_fetch_add(&p->next, 1);
        if (i >= p->n)
            break;
        one_node(p, &p->task[i]);
    }
    return NULL;
}

static void run(struct pass *p)
{
    pthread_t thread[AT_ONCE];
    size_t n = 0;
    while (n < AT_ONCE && n + 1 < p->n && pthread_create(&thread[n], NULL, take_nodes, p) == 0)
        n++;
    (void)take_nodes(p);
    for (size_t i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
}

/* Those that were never tried first: the late ones may be late again. */
static enum pr_code list(struct pass *p, const struct rebalance_users_ready *r,
                         const struct pr_topology *t, struct pr_err *err)
{
    p->task = calloc(t->nodes + 1, sizeof *p->task);
    if (p->task == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    for (int late = 0; late < 2; late++)
        for (size_t i = 0; i < t->nodes; i++) {
            const struct pr_node *node = &t->node[i];
            if (!node->failed && !has(&r->made, node->id) && has(&r->late, node->id) == (late == 1))
                p->task[p->n++].node = node;
        }
    return PR_OK;
}

/* Each that is late is told once, and again when it has come. */
static void tell(const struct rebalance_users_ready *r, const struct task *k)
{
    const bool was_late = has(&r->late, k->node->id);
    if (k->rc == PR_OK && was_late)
        pr_info(PR_EV("users.late_node_ready"), PR_S("host", k->node->host),
                PR_I("port", k->node->port));
    else if (k->rc != PR_OK && !was_late)
        pr_warn(PR_EV("users.node_late"), PR_S("host", k->node->host), PR_I("port", k->node->port),
                PR_E(&k->err));
}

static enum pr_code conclude(struct rebalance_users_ready *r, const struct pass *p,
                             struct pr_err *err)
{
    struct rebalance_node_ids late = { .n = 0 };
    const struct task *first = NULL, *refused = NULL;
    size_t missing = 0;
    bool ok = true;
    for (size_t i = 0; i < p->n && ok; i++) {
        const struct task *k = &p->task[i];
        if (k->tried)
            tell(r, k);
        if (k->tried && k->rc == PR_OK) {
            ok = append(&r->made, k->node->id);
            continue;
        }
        if (k->rc == PR_EFENCED || (k->rc == PR_EDENIED && refused == NULL))
            refused = k;
        if (k->tried || has(&r->late, k->node->id)) /* who was not tried is new next time, too */
            ok = append(&late, k->node->id);
        first = first == NULL ? k : first;
        missing++;
    }
    sort(&r->made);
    sort(&late);
    free(r->late.id);
    r->late = late;
    r->says[0] = '\0';
    if (first != NULL)
        snprintf(r->says, sizeof r->says, "our users are missing at %zu nodes, %s:%d first: %.100s",
                 missing, first->node->host, first->node->port,
                 first->tried ? first->err.text : "not tried yet");
    if (!ok)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", p->n);
    return refused == NULL ? PR_OK
                           : pr_fail(err, refused->rc, "node %s:%d: %s", refused->node->host,
                                     refused->node->port, refused->err.text);
}

enum pr_code rebalance_users_prepare(struct rebalance_users_ready *r, const struct pr_topology *t,
                                     const struct pr_redis_auth *service,
                                     const struct rebalance_user *u, size_t n, int64_t until_us,
                                     struct pr_err *err)
{
    struct pass p = { .service = service, .user = u, .users = n, .until_us = until_us };
    if (!forget_the_dead(r, t))
        return pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    enum pr_code rc = list(&p, r, t, err);
    if (rc == PR_OK) {
        run(&p);
        rc = conclude(r, &p, err);
    }
    r->again_us = pr_mono_us() + AGAIN_US;
    free(p.task);
    return rc;
}
