/* What the two primaries say of jobs, and what they are told. */
#include "io/slot/job.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void rebalance_job_close(struct rebalance_job_desk *d)
{
    for (int k = 0; k < 2; k++) {
        pr_redis_close(d->conn[k]);
        d->conn[k] = NULL;
        d->node[k][0] = '\0';
    }
}

/* --- what is offered ---------------------------------------------------------------------- */

/* A server that does not know a subcommand answers nil for it, and one that knows neither
 * costs a round trip. */
static enum rebalance_job_dialect read_offer(const redisReply *r)
{
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 2)
        return REBALANCE_JOB_NONE;
    if (r->element[0]->type == REDIS_REPLY_ARRAY && r->element[0]->elements > 0)
        return REBALANCE_JOB_VALKEY;
    return r->element[1]->type == REDIS_REPLY_ARRAY && r->element[1]->elements > 0
               ? REBALANCE_JOB_REDIS
               : REBALANCE_JOB_NONE;
}

/* To the primary that was seen last, if there is one. */
static bool connect_to(struct rebalance_job_desk *d, int k)
{
    struct rebalance_shard_member m;
    redisReply *got = NULL;
    if (rebalance_pair_primary(d->p, k, &m, NULL) != PR_OK || !m.there || !m.primary)
        return false;
    if (d->conn[k] != NULL && !pr_redis_broken(d->conn[k]) && strcmp(d->node[k], m.id) == 0)
        return true;
    pr_redis_close(d->conn[k]);
    d->conn[k] = NULL;
    const int patience_ms = rebalance_pair_patience_ms(d->p->run);
    enum pr_code rc =
        pr_redis_open(&d->conn[k], m.host, m.port, &d->p->run->mover, patience_ms, NULL);
    if (rc == PR_EDENIED)
        atomic_store(&d->p->run->users_missing, true);
    if (rc == PR_OK)
        rc = pr_redis_command(d->conn[k], &got, NULL,
                              "COMMAND INFO cluster|migrateslots cluster|migration");
    if (rc == PR_OK) {
        d->offered[k] = read_offer(got);
        snprintf(d->node[k], sizeof d->node[k], "%s", m.id);
    }
    if (got != NULL)
        freeReplyObject(got);
    return rc == PR_OK;
}

/* --- reading what they say -------------------------------------------------------------------- */

struct entry { /* of a list of jobs; texts are the reply's, "" when not given */
    const char *id, *operation, *ranges, *source, *target, *state, *error;
    long long created, retries;
};

static void read_field(struct entry *e, const char *name, const redisReply *value)
{
    const struct {
        const char *name;
        const char **to;
    } texts[] = {
        { "name", &e->id },
        { "id", &e->id },
        { "operation", &e->operation },
        { "slot_ranges", &e->ranges },
        { "slots", &e->ranges },
        { "source_node", &e->source },
        { "source", &e->source },
        { "target_node", &e->target },
        { "dest", &e->target },
        { "state", &e->state },
        { "message", &e->error },
        { "last_error", &e->error },
    };
    if (value->type == REDIS_REPLY_INTEGER) {
        if (strcmp(name, "create_time") == 0)
            e->created = value->integer;
        if (strcmp(name, "retries") == 0)
            e->retries = value->integer;
        return;
    }
    for (size_t i = 0; i < PR_COUNT(texts) && value->str != NULL; i++)
        if (strcmp(texts[i].name, name) == 0)
            *texts[i].to = value->str;
}

static struct entry read_entry(const redisReply *r)
{
    struct entry e = { "", "", "", "", "", "", "", 0, 0 };
    for (size_t i = 0; i + 1 < r->elements; i += 2)
        if (r->element[i]->str != NULL)
            read_field(&e, r->element[i]->str, r->element[i + 1]);
    return e;
}

static bool imports(const struct entry *e)
{
    return strcasecmp(e->operation, "import") == 0;
}

/* Between our two shards, in our direction, whoever led them when it began, with one of
 * our slots. An entry that only follows another node's job names no nodes. */
static bool is_ours(const struct rebalance_job_desk *d, int k, const struct entry *e)
{
    if (imports(e) != (k == 1) || !rebalance_job_holds(e->ranges, &d->slots))
        return false;
    return (e->source[0] == '\0' || rebalance_shard_has(&d->p->shard[0], e->source)) &&
           (e->target[0] == '\0' || rebalance_shard_has(&d->p->shard[1], e->target));
}

/* The newest of ours on side k, or the one that runs; what else runs is in the way. Both
 * servers name the newest first, and not all of them count more than seconds. */
static void read_jobs(struct rebalance_job_desk *d, int k, const redisReply *r,
                      struct entry *newest)
{
    struct rebalance_job_sight *best = &d->seen[k];
    long long created = -1;
    for (size_t i = 0; i < r->elements; i++) {
        const struct entry e = read_entry(r->element[i]);
        const enum rebalance_job_phase phase =
            rebalance_job_phase(d->offered[k], imports(&e), e.state, e.error);
        const bool runs = rebalance_job_runs(phase), ours = is_ours(d, k, &e);
        if (runs && !ours) {
            d->view.foreign = true;
            d->view.binds =
                d->view.binds || (d->offered[k] == REBALANCE_JOB_VALKEY && k == 0 && !imports(&e));
        }
        if (!ours || rebalance_job_runs(best->phase) || (!runs && e.created <= created))
            continue;
        *best = (struct rebalance_job_sight){ .phase = phase, .retries = (unsigned)e.retries };
        snprintf(best->id, sizeof best->id, "%s", e.id);
        created = e.created;
        *newest = e;
    }
}

/* What is told of our user may be about to change: whoever makes it anew resets it first.
 * True: the answer is one. */
static bool read_answer(struct rebalance_job_desk *d, const redisReply *r)
{
    enum { PATIENCE_US = 2000000 };
    struct pr_err why = { 0 };
    const int64_t now_us = pr_mono_us();
    const enum pr_code rc = pr_redis_reply_code(r, &why);
    if (rc == PR_OK)
        return true;
    snprintf(d->error, sizeof d->error, "%.190s", why.text);
    if (rc != PR_EDENIED)
        return false;
    d->denied_us = d->denied_us == 0 ? now_us : d->denied_us;
    d->denied = d->denied || now_us - d->denied_us > PATIENCE_US;
    return d->denied; /* to look is not allowed, so neither is to begin */
}

static enum rebalance_job_owner owner_of(struct rebalance_job_desk *d, const struct pr_topology *t,
                                         int slot)
{
    const struct rebalance_shard *s = &d->p->shard[0], *g = &d->p->shard[1];
    const char *id = t->slot_owner[slot] < 0 ? "" : t->node[t->slot_owner[slot]].id;
    if (id[0] == '\0')
        return REBALANCE_JOB_BY_FORMER;
    if (!s->gone && strcmp(id, d->node[0]) == 0)
        return REBALANCE_JOB_BY_SOURCE;
    if (strcmp(id, d->node[1]) == 0)
        return REBALANCE_JOB_BY_TARGET;
    return rebalance_shard_has(s, id) || rebalance_shard_has(g, id) ? REBALANCE_JOB_BY_FORMER
                                                                    : REBALANCE_JOB_BY_THIRD;
}

struct answers {
    redisReply *nodes, *jobs; /* jobs NULL: not asked */
};

static bool ask(struct rebalance_job_desk *d, int k)
{
    static const char *const NODES[] = { "CLUSTER", "NODES" };
    static const char *const LIST[] = { "CLUSTER", "GETSLOTMIGRATIONS" };
    static const char *const STATUS[] = { "CLUSTER", "MIGRATION", "STATUS", "ALL" };
    const bool valkey = d->offered[k] == REBALANCE_JOB_VALKEY;
    pr_redis_set_timeout(d->conn[k], rebalance_pair_patience_ms(d->p->run));
    /* What runs first: one that ends in between is then found to have landed. */
    return (d->offered[k] == REBALANCE_JOB_NONE ||
            pr_redis_append(d->conn[k], valkey ? 2 : 4, valkey ? LIST : STATUS, NULL, NULL) ==
                PR_OK) &&
           pr_redis_append(d->conn[k], 2, NODES, NULL, NULL) == PR_OK &&
           pr_redis_flush(d->conn[k], NULL) == PR_OK;
}

static bool hear(struct rebalance_job_desk *d, int k, struct answers *a)
{
    if (d->offered[k] != REBALANCE_JOB_NONE && pr_redis_reply(d->conn[k], &a->jobs, NULL) != PR_OK)
        return false;
    return pr_redis_reply(d->conn[k], &a->nodes, NULL) == PR_OK &&
           a->nodes->type != REDIS_REPLY_ERROR && a->nodes->str != NULL;
}

static void read_places(struct rebalance_job_desk *d, const struct answers a[2])
{
    struct pr_topology t[2] = { { 0 }, { 0 } };
    bool read[2] = { false, false };
    struct rebalance_job_view *v = &d->view;
    for (int k = 0; k < 2; k++)
        read[k] =
            a[k].nodes != NULL && pr_topology_parse(a[k].nodes->str, NULL, &t[k], NULL) == PR_OK;
    d->nodes = read[1] ? t[1].nodes : d->nodes;
    v->source_there = v->source_there && read[0];
    v->target_there = v->target_there && read[1];
    for (size_t i = 0; i < d->n && read[1] && (read[0] || v->source_gone); i++) {
        const int slot = d->step[i]->slot;
        const enum rebalance_job_owner by_target = owner_of(d, &t[1], slot);
        d->place[i] = rebalance_job_place(read[0] ? owner_of(d, &t[0], slot) : by_target, by_target,
                                          v->source_gone);
        v->place[d->place[i]]++;
    }
    for (int k = 0; k < 2; k++)
        if (read[k])
            pr_topology_done(&t[k]);
}

static bool look_at_shards(struct rebalance_job_desk *d)
{
    struct rebalance_pair *p = d->p;
    struct rebalance_shard *const both[2] = { &p->shard[0], &p->shard[1] };
    pthread_mutex_lock(&p->lock); /* the probes read who the primaries are */
    const bool changed = rebalance_shards_look(both, (unsigned)p->step->slot);
    pthread_mutex_unlock(&p->lock);
    rebalance_pair_miss_users(p);
    for (int k = 0; k < 2; k++)
        if (p->shard[k].changes != p->seen_changes[k])
            rebalance_pair_succeeded(p, k);
    return changed;
}

void rebalance_job_look(struct rebalance_job_desk *d)
{
    struct rebalance_job_view *v = &d->view;
    struct answers a[2] = { { NULL, NULL }, { NULL, NULL } };
    struct entry newest[2] = { { .id = "" }, { .id = "" } };
    const char *why;
    bool up[2];
    if (look_at_shards(d))
        v->settled = v->agreed = false;
    v->source_gone = d->p->shard[0].gone;
    v->target_gone = d->p->shard[1].gone;
    v->foreign = v->binds = false;
    memset(v->place, 0, sizeof v->place);
    memset(d->seen, 0, sizeof d->seen);
    d->state[0] = d->error[0] = '\0';
    for (int k = 0; k < 2; k++)
        up[k] = connect_to(d, k) && ask(d, k);
    for (int k = 0; k < 2; k++) {
        up[k] = up[k] && hear(d, k, &a[k]);
        if (!up[k]) { /* what it still answers belongs to no question of ours */
            pr_redis_close(d->conn[k]);
            d->conn[k] = NULL;
            d->node[k][0] = '\0';
        }
        if (a[k].jobs != NULL && !read_answer(d, a[k].jobs))
            up[k] = false;
        else if (a[k].jobs != NULL && a[k].jobs->type == REDIS_REPLY_ARRAY)
            read_jobs(d, k, a[k].jobs, &newest[k]);
    }
    d->denied_us = up[0] && up[1] && !d->denied ? 0 : d->denied_us;
    v->source_there = up[0];
    v->target_there = up[1];
    read_places(d, a);
    rebalance_job_recall(&d->memory, d->seen, d->bytes, pr_mono_us(), v);
    const int asked = d->offered[0] == REBALANCE_JOB_VALKEY ? 0 : 1; /* it knows a job best */
    const int knows = d->seen[asked].phase == v->phase ? asked : !asked;
    if (v->phase != REBALANCE_JOB_ABSENT && d->error[0] == '\0') {
        snprintf(d->state, sizeof d->state, "%s", newest[knows].state);
        snprintf(d->error, sizeof d->error, "%s", newest[knows].error);
    }
    d->dialect = rebalance_job_agree(d->offered[0], d->offered[1], &why);
    if (v->place[REBALANCE_JOB_LANDED] < d->n)
        v->settled = v->agreed = false;
    for (int k = 0; k < 2; k++) {
        if (a[k].jobs != NULL)
            freeReplyObject(a[k].jobs);
        if (a[k].nodes != NULL)
            freeReplyObject(a[k].nodes);
    }
}

/* --- telling them -------------------------------------------------------------------------- */

/* As it is, not in a script with a deadline as SETSLOT is: a server may expect that a
 * connection stands behind it. One that arrives late begins what was wanted once: it is
 * seen to run, and nothing is begun beside it. */
static enum pr_code tell(struct rebalance_job_desk *d, int k, int argc, const char *const *argv,
                         redisReply **got, struct pr_err *err)
{
    *got = NULL;
    enum pr_code rc = pr_redis_append(d->conn[k], argc, argv, NULL, err);
    if (rc == PR_OK)
        rc = pr_redis_reply(d->conn[k], got, err);
    return rc == PR_OK ? pr_redis_reply_code(*got, err) : rc;
}

enum pr_code rebalance_job_start(struct rebalance_job_desk *d, struct pr_err *err)
{
    enum { HEAD = 3, TAIL = 2 };
    int slot[REBALANCE_JOB_SLOTS];
    struct rebalance_job_range range[REBALANCE_JOB_SLOTS];
    char number[2 * REBALANCE_JOB_SLOTS][8];
    const char *argv[HEAD + 2 * REBALANCE_JOB_SLOTS + TAIL] = { "CLUSTER", "MIGRATESLOTS",
                                                                "SLOTSRANGE" };
    size_t n = 0;
    int argc = HEAD;
    const bool valkey = d->dialect == REBALANCE_JOB_VALKEY;
    if (!valkey) {
        argv[1] = "MIGRATION";
        argv[2] = "IMPORT";
    }
    for (size_t i = 0; i < d->n; i++)
        if (d->place[i] == REBALANCE_JOB_STAYED)
            slot[n++] = d->step[i]->slot;
    const size_t ranges = rebalance_job_ranges(slot, n, range);
    for (size_t i = 0; i < ranges; i++) {
        snprintf(number[2 * i], sizeof number[0], "%d", range[i].first);
        snprintf(number[2 * i + 1], sizeof number[0], "%d", range[i].last);
        argv[argc++] = number[2 * i];
        argv[argc++] = number[2 * i + 1];
    }
    if (valkey) {
        argv[argc++] = "NODE";
        argv[argc++] = d->node[1];
    }
    redisReply *got = NULL;
    const enum pr_code rc = tell(d, valkey ? 0 : 1, argc, argv, &got, err);
    if (got != NULL)
        freeReplyObject(got);
    return rc;
}

/* The side that was asked for it is the one to ask; the other may be none that offers it. */
enum pr_code rebalance_job_cancel(struct rebalance_job_desk *d, struct pr_err *err)
{
    const char *id = d->seen[rebalance_job_runs(d->seen[1].phase) ? 1 : 0].id;
    const char *const all[] = { "CLUSTER", "CANCELSLOTMIGRATIONS" };
    const char *const one[] = { "CLUSTER", "MIGRATION", "CANCEL", "ID", id };
    redisReply *got = NULL;
    enum pr_code rc;
    if (d->offered[0] == REBALANCE_JOB_VALKEY)
        rc = tell(d, 0, PR_COUNT(all), all, &got, err);
    else if (d->offered[1] == REBALANCE_JOB_REDIS)
        rc = tell(d, 1, PR_COUNT(one), one, &got, err);
    else
        rc = pr_fail(err, PR_EINVAL, "no primary takes a job back");
    if (rc == PR_OK && got->type == REDIS_REPLY_INTEGER && got->integer == 0)
        rc = pr_fail(err, PR_EINVAL, "the target knows no job %s that runs", id);
    if (got != NULL)
        freeReplyObject(got);
    return rc;
}
