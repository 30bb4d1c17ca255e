/* Keys that may be on both sides. Every key of the giver's that the taker has too is
 * read from both, judged (core/slot/drain.h), and the judgement carried out (carry.c). */
#include "io/slot/conflict.h"

#include "io/slot/prints.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST = 8192, PIPELINE = 512, MAX_TRIES = 20 };

enum pr_code rebalance_judge_ask(const struct rebalance_judge *j, bool at_taker, const char *word,
                                 const char *second, redisReply **out, struct pr_err *err)
{
    const struct rebalance_copy_at at = rebalance_judge_at(j, at_taker);
    const char *argv[] = { word, second == NULL ? j->key : second, j->key };
    const size_t len[] = { strlen(word), second == NULL ? j->len : strlen(second), j->len };
    return rebalance_copy_ask(&at, second == NULL ? 2 : 3, argv, len, out, err);
}

/* --- one copy -------------------------------------------------------------------------------- */

static enum pr_code read_vertex(const struct rebalance_judge *j, bool at_taker,
                                struct rebalance_copy *is, struct pr_err *err)
{
    const char *argv[] = { "HMGET", j->key, "_v", "_e", "_m", "_x" };
    const size_t len[] = { 5, j->len, 2, 2, 2, 2 };
    const struct rebalance_copy_at at = rebalance_judge_at(j, at_taker);
    redisReply *got = NULL;
    const enum pr_code rc = rebalance_copy_ask(&at, 6, argv, len, &got, err);
    PR_AUTO(redisReply) *r = got;
    if (rc != PR_OK || r->type != REDIS_REPLY_ARRAY || r->elements != 4)
        return rc;
    const bool v = r->element[0]->str != NULL, e = r->element[1]->str != NULL;
    is->odd_vertex = r->element[2]->str != NULL || r->element[3]->str != NULL;
    is->vertex = v && e && !is->odd_vertex;
    is->epoch = e ? strtoull(r->element[1]->str, NULL, 10) : 0;
    is->version = v ? strtoull(r->element[0]->str, NULL, 10) : 0;
    return PR_OK;
}

/* Its idle time first: what follows touches the key. */
static enum pr_code read_copy(const struct rebalance_judge *j, bool at_taker,
                              struct rebalance_copy_read *c, struct pr_err *err)
{
    redisReply *r = NULL;
    *c = (struct rebalance_copy_read){ .is = { .idle_s = -1 } };
    enum pr_code rc = rebalance_judge_ask(j, at_taker, "OBJECT", "IDLETIME", &r, err);
    if (rc == PR_OK && r->type == REDIS_REPLY_INTEGER)
        c->is.idle_s = r->integer;
    rebalance_reply_drop(r);
    struct rebalance_pair *p = j->p;
    if (rc == PR_OK && p->giver_failed &&
        !rebalance_shard_noted(at_taker ? rebalance_taker(p) : rebalance_giver(p),
                               at_taker ? j->taker : j->giver,
                               p->over[rebalance_pair_giver(p)].first_us))
        c->is.idle_s = -1;
    if (rc == PR_EINVAL) /* under an LFU policy there is none */
        rc = PR_OK;
    if (rc == PR_OK)
        rc = rebalance_judge_ask(j, at_taker, "TYPE", NULL, &r, err);
    if (rc == PR_OK) {
        c->is.type = rebalance_key_type(r->str == NULL ? "" : r->str, r->len);
        rebalance_reply_drop(r);
        rc = rebalance_judge_ask(j, at_taker, "OBJECT", "ENCODING", &r, err);
        c->is.integer = rc == PR_OK && r->str != NULL && strcmp(r->str, "int") == 0;
        rebalance_reply_drop(r);
    }
    if (rc == PR_OK && c->is.type == REBALANCE_TYPE_HASH)
        rc = read_vertex(j, at_taker, &c->is, err);
    if (rc == PR_OK)
        rc = rebalance_judge_ask(j, at_taker, "DUMP", NULL, &c->dump, err);
    return rc;
}

static enum pr_code equal(const struct rebalance_judge *j, const struct rebalance_copy_read *g,
                          const struct rebalance_copy_read *t, bool *out, struct pr_err *err)
{
    const struct rebalance_copy_at giver = rebalance_judge_at(j, false),
                                   taker = rebalance_judge_at(j, true);
    *out = g->dump->len == t->dump->len && memcmp(g->dump->str, t->dump->str, g->dump->len) == 0;
    if (*out || g->is.type != t->is.type)
        return PR_OK;
    return rebalance_copies_same(&giver, &taker, j->key, j->len, g->is.type, out, err);
}

/* --- judging ----------------------------------------------------------------------------- */

static bool was_in_flight(const struct rebalance_pair *p, const char *key, size_t len,
                          struct rebalance_sent *sent)
{
    struct rebalance_in_flight r;
    for (int i = 0; i < REBALANCE_LANES; i++)
        if (rebalance_in_flight_open(p->recent[i].data, p->recent[i].len, &r, NULL) == PR_OK &&
            rebalance_in_flight_find(&r, key, len, sent))
            return true;
    /* Who began it remembers the last batches; of others there is the record alone. Of one that
     * cannot be read nobody knows what it names. */
    if (!p->resumed)
        return false;
    return rebalance_in_flight_open(p->step->in_flight.data, p->step->in_flight.len, &r, NULL) !=
               PR_OK ||
           rebalance_in_flight_find(&r, key, len, sent);
}

static enum pr_code print_at(const struct rebalance_judge *j, bool at_taker, uint64_t *print,
                             struct pr_err *err)
{
    const struct rebalance_copy_at at = rebalance_judge_at(j, at_taker);
    const enum pr_code rc = rebalance_print_append(&at, j->key, j->len, err);
    return rc == PR_OK ? rebalance_print_read(&at, print, err) : rc;
}

/* What the prints say, under WATCH: of a state that the promoted giver did not inherit they say
 * nothing of its copy, nor of one that a restarted giver may have lost; but a copy that is as it
 * was sent was not written since, whatever was lost. Where the taker owns the slot its clients
 * write to its copy meanwhile. */
static enum pr_code compare_prints(const struct rebalance_judge *j,
                                   const struct rebalance_sent *was, struct rebalance_conflict *c,
                                   struct pr_err *err)
{
    const struct rebalance_copy_at giver = rebalance_judge_at(j, false),
                                   taker = rebalance_judge_at(j, true);
    uint64_t g = 0, t = 0;
    const bool inherited = rebalance_copies_inherited(j->info, &was->point);
    if (was->print == 0 || j->taker_owns || !c->source.vertex || !c->target.vertex ||
        !(inherited || c->source_restarted))
        return PR_OK;
    enum pr_code rc = print_at(j, false, &g, err);
    if (rc == PR_OK)
        rc = print_at(j, true, &t, err);
    c->source_as_sent = g == was->print;
    c->target_as_sent = inherited && t == was->print;
    if (rc == PR_OK && c->target_as_sent)
        rc = rebalance_copies_cover(&giver, &taker, j->key, j->len, &c->covers, err);
    return rc;
}

/* Still: a replica that has come in step may have acknowledged writes since. */
static bool no_replica_yet(const struct rebalance_judge *j)
{
    redisReply *got = NULL;
    if (pr_redis_command(j->giver, &got, NULL, "INFO replication") != PR_OK)
        return false;
    PR_AUTO(redisReply) *r = got;
    return r->str != NULL && rebalance_replicas_in_step(r->str) == 0;
}

static enum pr_code judge_it(const struct rebalance_judge *j, const struct rebalance_copy_read *g,
                             const struct rebalance_copy_read *t, bool is_equal,
                             enum rebalance_resolution *what, const char **why, struct pr_err *err)
{
    struct rebalance_sent sent = { .print = 0 };
    enum pr_code rc = PR_OK;
    const struct rebalance_pair *p = j->p;
    const int64_t now_us = pr_mono_us(), promoted_us = p->over[rebalance_pair_giver(p)].first_us;
    struct rebalance_conflict c = {
        .in_flight = was_in_flight(p, j->key, j->len, &sent),
        .source_failed_over = p->giver_failed,
        .source_restarted = p->restarted[rebalance_pair_giver(p)],
        .served_on = p->step->served_on,
        .gap_unacknowledged = !is_equal && p->gap_unacknowledged && no_replica_yet(j),
        .unanswered = rebalance_pair_unanswered(p, j->key, j->len),
        .kept = rebalance_pair_kept(p, j->key, j->len),
        .strings_are_set = p->run->cfg->strings_are_set,
        .equal = is_equal,
        .source_promoted_ms = promoted_us > 0 ? (now_us - promoted_us) / 1000 + 1 : 0,
        .source = g->is,
        .target = t->is,
    };
    /* The slot was handed over before the key was seen: the owner served clients since. */
    if (j->taker_owns && !is_equal && !p->giver_failed) {
        *why = "a left-over of a slot that the taker owns";
        *what = REBALANCE_KEEP_TARGET;
        return PR_OK;
    }
    if ((p->giver_failed || c.source_restarted) && c.in_flight && !is_equal)
        rc = compare_prints(j, &sent, &c, err);
    *what = rebalance_conflict_resolve(&c, why);
    return rc;
}

static void report(const struct rebalance_judge *j, enum rebalance_resolution what, const char *why)
{
    char name[80];
    size_t n = j->len < sizeof name - 1 ? j->len : sizeof name - 1;
    for (size_t i = 0; i < n; i++)
        name[i] = (char)(j->key[i] >= ' ' && j->key[i] <= '~' ? j->key[i] : '?');
    name[n] = '\0';
    pr_metrics_add(j->p->run->metrics, M_SLOT_CONFLICTS, rebalance_resolution_name(what), 1);
    pr_info(PR_EV("slot.conflict"), PR_I("plan", j->p->run->plan_id),
            PR_I("slot", j->p->step->slot), PR_S("key", name),
            PR_S("resolution", rebalance_resolution_name(what)), PR_S("why", why));
}

/* *again: a client wrote to it meanwhile. */
static enum pr_code one_try(const struct rebalance_judge *j, bool *again, struct pr_err *err)
{
    struct rebalance_copy_read g = { 0 }, t = { 0 };
    redisReply *r = NULL;
    enum rebalance_resolution what = REBALANCE_STOP;
    bool same = false;
    const char *why = "";
    enum pr_code rc = j->taker_owns ? PR_OK : rebalance_judge_ask(j, false, "WATCH", NULL, &r, err);
    rebalance_reply_drop(r);
    if (rc == PR_OK)
        rc = read_copy(j, false, &g, err);
    if (rc == PR_OK)
        rc = read_copy(j, true, &t, err);
    const bool both = rc == PR_OK && g.dump->str != NULL && t.dump->str != NULL;
    if (both)
        rc = equal(j, &g, &t, &same, err);
    if (rc == PR_OK && both)
        rc = judge_it(j, &g, &t, same, &what, &why, err);
    if (rc == PR_OK && both) {
        report(j, what, why);
        if (what != REBALANCE_STOP)
            rebalance_pair_cuts_over(j->p);
        rc = what == REBALANCE_STOP
                 ? pr_fail(err, PR_ECONFLICT, "key \"%.*s\" is on both sides: %s",
                           (int)(j->len < 80 ? j->len : 80), j->key, why)
                 : rebalance_judge_carry_out(j, &g, what, again, err);
    } else if (rc == PR_OK && g.dump->str != NULL && j->taker_owns) {
        report(j, REBALANCE_KEEP_SOURCE, "only the side that lost the slot has it");
        rc = rebalance_judge_move_over(j, &g, err);
    }
    rebalance_reply_drop(g.dump);
    rebalance_reply_drop(t.dump);
    if (!pr_redis_broken(j->giver) && rc != PR_EUNAVAIL && rc != PR_ETIMEOUT) {
        redisReply *un = NULL;
        if (pr_redis_command(j->giver, &un, NULL, "UNWATCH") == PR_OK)
            freeReplyObject(un);
    }
    return rc;
}

static enum pr_code one_key(const struct rebalance_judge *j, struct pr_err *err)
{
    for (int i = 0; i < MAX_TRIES; i++) {
        bool again = false;
        const enum pr_code rc = one_try(j, &again, err);
        if (rc != PR_OK || !again)
            return rc;
    }
    return pr_fail(err, PR_EUNAVAIL, "key \"%.*s\" is written to all the time",
                   (int)(j->len < 80 ? j->len : 80), j->key);
}

/* --- all of them ------------------------------------------------------------------------- */

/* Which of the keys the taker has too. */
static enum pr_code on_both(struct rebalance_judge *j, const redisReply *keys, size_t from,
                            size_t n, bool *both, struct pr_err *err)
{
    const struct rebalance_copy_at at = rebalance_judge_at(j, true);
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        const char *argv[] = { "EXISTS", keys->element[from + i]->str };
        const size_t len[] = { 6, keys->element[from + i]->len };
        rc = rebalance_copy_append(&at, 2, argv, len, err);
    }
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        redisReply *r = NULL;
        rc = rebalance_copy_read(&at, &r, err);
        both[i] = rc == PR_OK && r->type == REDIS_REPLY_INTEGER && r->integer > 0;
        rebalance_reply_drop(r);
    }
    return rc;
}

static enum pr_code judge_keys(struct rebalance_judge *j, const redisReply *keys,
                               struct pr_err *err)
{
    bool both[PIPELINE];
    enum pr_code rc = PR_OK;
    for (size_t from = 0; from < keys->elements && rc == PR_OK; from += PIPELINE) {
        const size_t left = keys->elements - from, n = left < PIPELINE ? left : PIPELINE;
        rc = on_both(j, keys, from, n, both, err);
        for (size_t i = 0; i < n && rc == PR_OK; i++) {
            j->key = keys->element[from + i]->str;
            j->len = keys->element[from + i]->len;
            if (rebalance_pair_leaves(j->p))
                rc = pr_fail(err, PR_ECANCELED, "slot %d is left as it is", j->p->step->slot);
            else if (both[i] || j->taker_owns)
                rc = one_key(j, err);
        }
    }
    return rc;
}

static enum pr_code import_from_taker(struct rebalance_pair *p, struct pr_redis *conn,
                                      struct pr_err *err)
{
    redisReply *r = NULL;
    const struct rebalance_shard_member *taker = rebalance_shard_primary(rebalance_taker(p));
    enum pr_code rc = rebalance_pair_may_send(p, rebalance_pair_patience_ms(p->run), err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &r, err, "CLUSTER SETSLOT %d IMPORTING %s", p->step->slot,
                              taker->id);
    rebalance_reply_drop(r);
    return rc;
}

enum pr_code rebalance_pair_resolve(struct rebalance_pair *p, bool taker_owns, struct pr_err *err)
{
    struct rebalance_judge j = { .p = p, .taker_owns = taker_owns };
    redisReply *got = NULL, *info = NULL;
    rebalance_pair_unlink(p); /* answers of before would be taken for ours */
    enum pr_code rc = rebalance_pair_reader(p, &j.giver, err);
    if (rc == PR_OK)
        rc = rebalance_pair_taker(p, &j.taker, err);
    /* Who does not own a slot answers about its keys only while it imports it. */
    if (rc == PR_OK && taker_owns)
        rc = import_from_taker(p, j.giver, err);
    /* All keys: after a fail-over any of them may be there again. As many as there
     * are: they are not moved between two questions. */
    if (rc == PR_OK)
        rc = pr_redis_command(j.giver, &got, err, "CLUSTER COUNTKEYSINSLOT %d", p->step->slot);
    const int count = rc == PR_OK ? (int)got->integer + LIST : 0;
    rebalance_reply_drop(got);
    got = NULL;
    if (rc == PR_OK)
        rc = pr_redis_command(j.giver, &got, err, "CLUSTER GETKEYSINSLOT %d %d", p->step->slot,
                              count);
    if (rc == PR_OK)
        rc = pr_redis_command(j.giver, &info, err, "INFO replication");
    j.info = rc == PR_OK && info->str != NULL ? info->str : "";
    if (rc == PR_OK && !taker_owns)
        rc = rebalance_pair_judge_cuts(p, j.giver, j.taker, err);
    if (rc == PR_OK)
        rc = judge_keys(&j, got, err);
    rebalance_reply_drop(info);
    rebalance_reply_drop(got); /* the mark is seen, and closed, by the machine */
    rebalance_pair_unlink(p);
    return rc;
}
