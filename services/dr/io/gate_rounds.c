/* Rounds of the givers that are led here. */
#include "io/gate_private.h"

#include "core/durable.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_US = 100000, ASK_MS = 1000, SULK_US = 1000000 };

/* --- where a primary is -------------------------------------------------------------------------
 */

static struct dr_asked *asked_of(struct dr_gates *g, const char *shard)
{
    for (size_t i = 0; i < g->n_asked; i++)
        if (strcmp(g->asked[i].shard, shard) == 0)
            return &g->asked[i];
    struct dr_asked *more = realloc(g->asked, (g->n_asked + 1) * sizeof *more);
    if (more == NULL)
        return NULL;
    g->asked = more;
    struct dr_asked *a = &g->asked[g->n_asked++];
    *a = (struct dr_asked){ .port = 0 };
    (void)snprintf(a->shard, sizeof a->shard, "%s", shard);
    return a;
}

static void hang_up(struct dr_asked *a)
{
    pr_redis_close(a->conn);
    a->conn = NULL;
}

void dr_gates_disconnect(struct dr_gates *g)
{
    for (size_t i = 0; i < g->n_asked; i++)
        hang_up(&g->asked[i]);
    free(g->asked);
    g->asked = NULL;
    g->n_asked = 0;
}

static enum pr_code connect_to(struct dr_gates *g, struct dr_asked *a, struct pr_err *err)
{
    const struct pr_redis_auth auth = { g->o.cfg->redis_user, g->o.cfg->redis_password };
    struct dr_source s;
    const struct dr_member *primary = NULL;
    if (!dr_sources_find(g->o.sources, a->shard, &s))
        return pr_fail(err, PR_ENOTFOUND, "there is no shard %s", a->shard);
    for (size_t i = 0; i < s.members; i++)
        if (s.member[i].primary)
            primary = &s.member[i];
    if (primary == NULL)
        return pr_fail(err, PR_EUNAVAIL, "shard %s has no primary that is up", a->shard);
    if (a->conn != NULL && (a->port != primary->port || strcmp(a->host, primary->host) != 0))
        hang_up(a);
    if (a->conn != NULL)
        return PR_OK;
    memcpy(a->host, primary->host, sizeof a->host);
    a->port = primary->port;
    return pr_redis_open(&a->conn, a->host, a->port, &auth, ASK_MS, err);
}

static enum pr_code ask(struct dr_asked *a, struct dr_where *out, struct pr_err *err)
{
    static const char ROLE[] = "role:master",
                      ID[] = "master_replid:", OFFSET[] = "master_repl_offset:";
    redisReply *got = NULL;
    const enum pr_code rc = pr_redis_command(a->conn, &got, err, "INFO replication");
    PR_AUTO(redisReply) *r = got;
    if (rc != PR_OK)
        return rc;
    const char *text = r->str != NULL ? r->str : "", *id = strstr(text, ID),
               *at = strstr(text, OFFSET);
    if (strstr(text, ROLE) == NULL || id == NULL || at == NULL ||
        sscanf(id + sizeof ID - 1, "%40[0-9a-f]", out->replid) != 1 || !dr_replid_ok(out->replid))
        return pr_fail(err, PR_EUNAVAIL, "%s:%d is no primary, or does not say where it is",
                       a->host, a->port);
    out->offset = strtoull(at + sizeof OFFSET - 1, NULL, 10);
    return PR_OK;
}

enum pr_code dr_gates_where(struct dr_gates *g, const char *shard, struct dr_where *out,
                            struct pr_err *err)
{
    struct dr_asked *a = asked_of(g, shard);
    if (a == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for a connection to shard %s", shard);
    if (pr_mono_us() < a->not_before_us)
        return pr_fail(err, PR_EUNAVAIL, "shard %s did not answer a moment ago", shard);
    enum pr_code rc = connect_to(g, a, err);
    if (rc == PR_OK)
        rc = ask(a, out, err);
    if (rc != PR_OK) { /* others must not wait for it all the time */
        hang_up(a);
        a->not_before_us = pr_mono_us() + SULK_US;
    }
    return rc;
}

/* When whoever leads or led the shard wrote of it last; its clock may have been ahead of ours. */
static int64_t floor_of(const struct dr_gates *g, const char *shard)
{
    for (size_t i = 0; i < g->fars; i++)
        if (strcmp(g->far[i].shard, shard) == 0)
            return g->far[i].durable_ms;
    return 0;
}

bool dr_gates_reached(struct dr_gates *g, const char *shard, const struct dr_where *at, int64_t *ms,
                      bool *never)
{
    struct dr_shard_status is;
    *never = false;
    if (dr_group_durable(dr_gates_group(g, shard), shard, &is)) {
        const struct dr_history h = { is.replid, is.before, is.before_to, is.durable.offset };
        const enum dr_verdict v = is.durable.generation.epoch != 0
                                      ? dr_durable_judge(&h, at->replid, at->offset)
                                      : DR_NOT_YET;
        *never = v == DR_NEVER;
        *ms = is.durable_ms > 0 ? is.durable_ms : floor_of(g, shard);
        return v == DR_REACHED;
    }
    for (size_t i = 0; i < g->fars; i++)
        if (strcmp(g->far[i].shard, shard) == 0) {
            *ms = g->far[i].durable_ms;
            return strcmp(g->far[i].replid, at->replid) == 0 && g->far[i].offset >= at->offset;
        }
    return false;
}

/* --- a giver -------------------------------------------------------------------------------------
 */

static bool gives(const struct dr_gates *g, const char *shard)
{
    for (size_t i = 0; i < g->rows; i++)
        if (dr_gives_counts(&g->row[i]) && strcmp(g->row[i].give.giver, shard) == 0)
            return true;
    return false;
}

/* The same taker was seen in a row before. */
static bool repeats(const struct dr_gates *g, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (dr_gives_counts(&g->row[i]) &&
            strcmp(g->row[i].give.giver, g->row[at].give.giver) == 0 &&
            strcmp(g->row[i].give.taker, g->row[at].give.taker) == 0)
            return true;
    return false;
}

/* Of a taker that left the cluster all is durable that it ever had: it gave its slots away before,
 * and is followed until that is. One that is only not to be found now is waited for. */
static void begin_round(struct dr_gates *g, struct dr_giver *v, const struct dr_gate_mark *mark)
{
    struct pr_err err;
    const int64_t now_us = pr_mono_us();
    if (now_us - v->begun_us < ROUND_US || dr_gate_begin(&v->gate, mark) == NULL)
        return;
    v->begun_us = now_us;
    for (size_t i = 0; i < g->rows; i++) {
        const char *taker = g->row[i].give.taker;
        struct dr_where at;
        if (!dr_gives_counts(&g->row[i]) || strcmp(g->row[i].give.giver, v->name) != 0 ||
            repeats(g, i) || dr_sources_gone(g->o.sources, taker))
            continue;
        if (dr_gates_where(g, taker, &at, &err) != PR_OK ||
            !dr_gate_ask(&v->gate, taker, at.replid, at.offset)) {
            pr_debug(PR_EV("dr.gate_unasked"), PR_S("giver", v->name), PR_E(&err));
            dr_gate_drop_newest(&v->gate);
            return;
        }
    }
}

/* Newest first: what one has reached is reached for those before. */
static int64_t judge(struct dr_gates *g, struct dr_giver *v)
{
    int64_t floor_ms = 0;
    for (size_t i = 0; i < v->gate.rounds; i++)
        for (size_t k = 0; k < v->gate.round[i].needs; k++) {
            struct dr_gate_need *need = &v->gate.round[i].need[k];
            struct dr_where at = { .offset = need->offset };
            int64_t ms = 0;
            bool never;
            memcpy(at.replid, need->replid, sizeof at.replid);
            need->reached = need->reached || dr_gates_reached(g, need->taker, &at, &ms, &never);
            floor_ms = ms > floor_ms ? ms : floor_ms;
        }
    return floor_ms;
}

static const char *first_missing(const struct dr_gate *gate)
{
    for (size_t k = 0; gate->rounds > 0 && k < gate->round[0].needs; k++)
        if (!gate->round[0].need[k].reached)
            return gate->round[0].need[k].taker;
    return NULL;
}

/* --- all of them
 * ---------------------------------------------------------------------------------- */

struct found {
    struct dr_gate_mark mark;
    char name[DR_NAME];
};
struct looking {
    struct dr_gates *g;
    struct found *found; /* [n] givers */
    size_t n, room;
    bool unopened;
};

/* Under the group's lock. */
static bool see(void *ctx, struct dr_shard *s)
{
    struct looking *l = ctx;
    struct dr_gates *g = l->g;
    struct dr_gate_mark mark;
    int64_t born_us;
    const char *name = dr_shard_name(s);
    const bool closed = dr_shard_gate_mark(s, &mark, &born_us);
    if (!gives(g, name)) {
        if (closed && g->read_us > born_us)
            dr_shard_gate_open(s, floor_of(g, name));
        l->unopened = l->unopened || (closed && g->read_us <= born_us);
        return closed && g->read_us > born_us;
    }
    dr_shard_gate_hold(s);
    if (l->n == l->room) {
        struct found *more = realloc(l->found, (2 * l->room + 8) * sizeof *more);
        if (more == NULL)
            return false; /* it stays held back until there is memory */
        l->found = more;
        l->room = 2 * l->room + 8;
    }
    l->found[l->n].mark = mark;
    (void)snprintf(l->found[l->n++].name, DR_NAME, "%s", name);
    return false;
}

static struct dr_giver *giver_of(struct dr_gates *g, const char *name)
{
    for (size_t i = 0; i < g->givers; i++)
        if (strcmp(g->giver[i]->name, name) == 0)
            return g->giver[i];
    struct dr_giver **more = realloc(g->giver, (g->givers + 1) * sizeof(struct dr_giver *));
    struct dr_giver *v = calloc(1, sizeof *v);
    g->giver = more != NULL ? more : g->giver;
    if (more == NULL || v == NULL) {
        free(v);
        return NULL;
    }
    (void)snprintf(v->name, sizeof v->name, "%s", name);
    g->giver[g->givers++] = v;
    return v;
}

struct passing {
    const char *name;
    const struct dr_gate_mark *mark; /* NULL: none */
    int64_t floor_ms;
    const char *missing;
};

static bool let_pass(void *ctx, struct dr_shard *s)
{
    const struct passing *p = ctx;
    if (strcmp(dr_shard_name(s), p->name) != 0)
        return false;
    dr_shard_gate_waits(s, p->missing != NULL ? p->missing : "");
    if (p->mark != NULL)
        dr_shard_gate_pass(s, p->mark, p->floor_ms);
    return p->mark != NULL;
}

static void go_on(struct dr_gates *g, const struct found *f)
{
    struct dr_giver *v = giver_of(g, f->name);
    struct dr_gate_mark mark;
    if (v == NULL)
        return;
    v->here = true;
    begin_round(g, v, &f->mark);
    struct passing p = { .name = v->name, .floor_ms = judge(g, v) };
    if (dr_gate_pass(&v->gate, &mark))
        p.mark = &mark;
    p.missing = first_missing(&v->gate);
    dr_group_shards(dr_gates_group(g, v->name), let_pass, &p);
}

void dr_gates_look(struct dr_gates *g)
{
    struct looking l = { .g = g };
    for (size_t i = 0; i < g->o.groups; i++)
        dr_group_shards(g->o.group[i], see, &l);
    for (size_t i = 0; i < g->givers; i++)
        g->giver[i]->here = false;
    for (size_t i = 0; i < l.n; i++)
        go_on(g, &l.found[i]);
    for (size_t i = g->givers; i-- > 0;) {
        if (g->giver[i]->here)
            continue;
        free(g->giver[i]);
        g->giver[i] = g->giver[--g->givers];
    }
    g->unopened = l.unopened;
    free(l.found);
}
