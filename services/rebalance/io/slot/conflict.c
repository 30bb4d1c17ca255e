/* Keys that may be on both sides. Every key of the giver's that the taker has too is
 * read from both, judged (core/slot/drain.h), and the judgement carried out so that
 * a client's write in between is never lost: a copy is deleted under WATCH, or moved
 * with REPLACE, which takes what is there at that moment. */
#include "io/slot/copies.h"
#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST = 8192, PIPELINE = 512, MAX_TRIES = 20 };

struct copy {
    struct rebalance_copy is;
    redisReply *dump; /* NULL or nil: absent */
};

struct judge {
    struct rebalance_pair *p;
    struct pr_redis *giver, *taker;
    bool taker_owns; /* the slot; the giver answers ASKING alone then, and no client */
    const char *key;
    size_t len;
};

/* --- commands ------------------------------------------------------------------------------ */

static enum pr_code append(struct pr_redis *conn, bool asking, const char *const *argv,
                           const size_t *len, int argc, struct pr_err *err)
{
    static const char *const ASKING[] = { "ASKING" };
    enum pr_code rc = asking ? pr_redis_append(conn, 1, ASKING, NULL, err) : PR_OK;
    return rc == PR_OK ? pr_redis_append(conn, argc, argv, len, err) : rc;
}

static enum pr_code read(struct pr_redis *conn, bool asking, redisReply **out, struct pr_err *err)
{
    redisReply *first = NULL;
    *out = NULL;
    enum pr_code rc = asking ? pr_redis_reply(conn, &first, err) : PR_OK;
    if (first != NULL)
        freeReplyObject(first);
    if (rc == PR_OK)
        rc = pr_redis_reply(conn, out, err);
    if (rc == PR_OK)
        rc = pr_redis_reply_code(*out, err);
    return rc;
}

/* One command about the key: word [second] key. */
static enum pr_code ask(const struct judge *j, bool at_taker, const char *word, const char *second,
                        redisReply **out, struct pr_err *err)
{
    struct pr_redis *conn = at_taker ? j->taker : j->giver;
    const bool asking = at_taker || j->taker_owns;
    const char *argv[] = { word, second == NULL ? j->key : second, j->key };
    const size_t len[] = { strlen(word), second == NULL ? j->len : strlen(second), j->len };
    enum pr_code rc = append(conn, asking, argv, len, second == NULL ? 2 : 3, err);
    *out = NULL;
    return rc == PR_OK ? read(conn, asking, out, err) : rc;
}

/* Before a write: its answer comes within the patience that we have, or never. */
static enum pr_code may_write(const struct judge *j, struct pr_redis *conn, struct pr_err *err)
{
    const int ms = rebalance_pair_patience_ms(j->p->run);
    pr_redis_set_timeout(conn, ms);
    return rebalance_pair_may_send(j->p, ms, err);
}

static void drop(redisReply *r)
{
    if (r != NULL)
        freeReplyObject(r);
}

/* --- one copy -------------------------------------------------------------------------------- */

static enum pr_code read_vertex(const struct judge *j, bool at_taker, struct rebalance_copy *is,
                                struct pr_err *err)
{
    const char *argv[] = { "HMGET", j->key, "_v", "_e", "_m", "_x" };
    const size_t len[] = { 5, j->len, 2, 2, 2, 2 };
    struct pr_redis *conn = at_taker ? j->taker : j->giver;
    const bool asking = at_taker || j->taker_owns;
    redisReply *got = NULL;
    enum pr_code rc = append(conn, asking, argv, len, 6, err);
    if (rc == PR_OK)
        rc = read(conn, asking, &got, err);
    PR_AUTO(redisReply) *r = got;
    if (rc != PR_OK || r->type != REDIS_REPLY_ARRAY || r->elements != 4)
        return rc;
    const bool v = r->element[0]->str != NULL, e = r->element[1]->str != NULL;
    is->odd_vertex = r->element[2]->str != NULL || r->element[3]->str != NULL;
    is->vertex = v && e && !is->odd_vertex;
    is->epoch = e ? strtoull(r->element[1]->str, NULL, 10) : 0;
    return PR_OK;
}

/* Its idle time first: what follows touches the key. */
static enum pr_code read_copy(const struct judge *j, bool at_taker, struct copy *c,
                              struct pr_err *err)
{
    redisReply *r = NULL;
    *c = (struct copy){ .is = { .idle_s = -1 } };
    enum pr_code rc = ask(j, at_taker, "OBJECT", "IDLETIME", &r, err);
    if (rc == PR_OK && r->type == REDIS_REPLY_INTEGER)
        c->is.idle_s = r->integer;
    drop(r);
    if (rc == PR_EINVAL) /* under an LFU policy there is none */
        rc = PR_OK;
    if (rc == PR_OK)
        rc = ask(j, at_taker, "TYPE", NULL, &r, err);
    if (rc == PR_OK) {
        c->is.type = rebalance_key_type(r->str == NULL ? "" : r->str, r->len);
        drop(r);
        rc = ask(j, at_taker, "OBJECT", "ENCODING", &r, err);
        c->is.integer = rc == PR_OK && r->str != NULL && strcmp(r->str, "int") == 0;
        drop(r);
    }
    if (rc == PR_OK && c->is.type == REBALANCE_TYPE_HASH)
        rc = read_vertex(j, at_taker, &c->is, err);
    if (rc == PR_OK)
        rc = ask(j, at_taker, "DUMP", NULL, &c->dump, err);
    return rc;
}

/* Dumps of equal hash tables differ: their order is each node's own. So do those of equal
 * strings: who gives keys does not compress them, and its successor does. */
static enum pr_code equal(const struct judge *j, const struct copy *g, const struct copy *t,
                          bool *out, struct pr_err *err)
{
    *out = g->dump->len == t->dump->len && memcmp(g->dump->str, t->dump->str, g->dump->len) == 0;
    const bool hash = g->is.type == REBALANCE_TYPE_HASH, set = g->is.type == REBALANCE_TYPE_SET,
               string = g->is.type == REBALANCE_TYPE_STRING;
    if (*out || g->is.type != t->is.type || (!hash && !set && !string))
        return PR_OK;
    redisReply *a = NULL, *b = NULL;
    const char *all = string ? "GET" : hash ? "HGETALL" : "SMEMBERS";
    enum pr_code rc = ask(j, false, all, NULL, &a, err);
    if (rc == PR_OK)
        rc = ask(j, true, all, NULL, &b, err);
    if (rc == PR_OK && string)
        *out = a->str != NULL && b->str != NULL && a->len == b->len &&
               memcmp(a->str, b->str, a->len) == 0;
    else if (rc == PR_OK)
        *out = rebalance_copies_equal(a, b, hash ? 2 : 1);
    drop(a);
    drop(b);
    return rc;
}

/* --- carrying it out -------------------------------------------------------------------------- */

/* Deletes the giver's copy unless it changed since WATCH. *changed: it did. Where the
 * taker owns the slot nobody can have changed it. */
static enum pr_code delete_watched(const struct judge *j, bool *changed, struct pr_err *err)
{
    redisReply *r = NULL;
    enum pr_code rc = may_write(j, j->giver, err);
    if (rc == PR_OK && j->taker_owns) {
        rc = ask(j, false, "UNLINK", NULL, &r, err);
        drop(r);
        return rc;
    }
    if (rc != PR_OK)
        return rc;
    return rebalance_copy_unlink(j->giver, false, j->key, j->len, changed, err);
}

/* The giver's copy g, as it is when MIGRATE runs, takes the place of the taker's. */
static enum pr_code move_over(const struct judge *j, const struct copy *g, struct pr_err *err)
{
    struct rebalance_pair *p = j->p;
    const struct rebalance_shard_member *to = rebalance_shard_primary(rebalance_taker(p));
    char port[8], timeout[16];
    const struct rebalance_key_size size = { .type = g->is.type, .bytes = g->dump->len };
    const int ms =
        rebalance_migrate_timeout_ms(rebalance_key_block_ms(&size, p->limits.slowness), &p->limits);
    snprintf(port, sizeof port, "%d", to->port);
    snprintf(timeout, sizeof timeout, "%d", ms);
    const char *argv[] = {
        "MIGRATE",           to->host, port,  "", "0", timeout, "REPLACE", "AUTH2", p->carrier.name,
        p->carrier.password, "KEYS",   j->key
    };
    size_t len[PR_COUNT(argv)];
    for (size_t i = 0; i + 1 < PR_COUNT(argv); i++)
        len[i] = strlen(argv[i]);
    len[PR_COUNT(argv) - 1] = j->len;
    redisReply *r = NULL;
    struct pr_err why = { 0 };
    enum pr_code rc = rebalance_pair_may_send(p, 2 * ms, &why);
    if (rc == PR_EINVAL) /* trying again would not help */
        return pr_fail(err, PR_ECONFLICT, "key \"%.*s\" is on both sides: its MIGRATE %.100s",
                       (int)(j->len < 80 ? j->len : 80), j->key, why.text);
    if (rc != PR_OK)
        return pr_fail(err, rc, "%s", why.text);
    rebalance_in_flight_add(&p->recent[0], j->key, j->len); /* its DEL is to be replicated too */
    p->deleted[0] = (struct rebalance_written){ .history = "" };
    rc = append(j->giver, false, argv, len, (int)PR_COUNT(argv), err);
    if (rc == PR_OK) {
        pr_redis_set_timeout(j->giver, 2 * ms);
        rc = read(j->giver, false, &r, err);
    }
    /* What it sent before it gave up would replace what clients write meanwhile. */
    if (rc != PR_OK && (pr_redis_broken(j->giver) || (r != NULL && r->str != NULL)))
        p->view.stray = true;
    drop(r);
    return rc;
}

/* word key [members...] at the taker. */
static enum pr_code tell_taker(const struct judge *j, const char *const *head,
                               const size_t *head_len, int n_head, const redisReply *rest,
                               bool skip_vertex_fields, struct pr_err *err)
{
    const size_t max = (size_t)n_head + rest->elements;
    const char **argv = calloc(max, sizeof(*argv));
    size_t *len = calloc(max, sizeof *len), n = 0;
    redisReply *r = NULL;
    enum pr_code rc = argv == NULL || len == NULL
                          ? pr_fail(err, PR_ENOMEM, "%zu members", rest->elements)
                          : PR_OK;
    for (int i = 0; rc == PR_OK && i < n_head; i++, n++) {
        argv[n] = head[i];
        len[n] = head_len[i];
    }
    for (size_t i = 0; rc == PR_OK && i < rest->elements; i++) {
        const redisReply *e = rest->element[i];
        if (skip_vertex_fields && i % 2 == 0 && e->len == 2 &&
            (memcmp(e->str, "_v", 2) == 0 || memcmp(e->str, "_e", 2) == 0)) {
            i++;
            continue;
        }
        argv[n] = e->str;
        len[n++] = e->len;
    }
    if (rc == PR_OK)
        rc = may_write(j, j->taker, err);
    if (rc == PR_OK)
        rc = append(j->taker, true, argv, len, (int)n, err);
    if (rc == PR_OK)
        rc = read(j->taker, true, &r, err);
    drop(r);
    free(argv);
    free(len);
    return rc;
}

static enum pr_code unite(const struct judge *j, struct pr_err *err)
{
    redisReply *members = NULL;
    const char *head[] = { "SADD", j->key };
    const size_t len[] = { 4, j->len };
    enum pr_code rc = ask(j, false, "SMEMBERS", NULL, &members, err);
    if (rc == PR_OK && members->elements > 0)
        rc = tell_taker(j, head, len, 2, members, false, err);
    drop(members);
    return rc;
}

static enum pr_code overlay(const struct judge *j, struct pr_err *err)
{
    static const char SCRIPT[] =
        "for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end "
        "if redis.call('HEXISTS', KEYS[1], '_v') == 1 then "
        "redis.call('HINCRBY', KEYS[1], '_v', 1) end return 1";
    redisReply *fields = NULL;
    const char *head[] = { "EVAL", SCRIPT, "1", j->key };
    const size_t len[] = { 4, sizeof SCRIPT - 1, 1, j->len };
    enum pr_code rc = ask(j, false, "HGETALL", NULL, &fields, err);
    if (rc == PR_OK)
        rc = tell_taker(j, head, len, 4, fields, true, err);
    drop(fields);
    return rc;
}

/* Who waits for replicas of a write to the copy that is gone must not be told that
 * they have it. Our other connections come back by themselves. */
static enum pr_code cut_clients(const struct judge *j, struct pr_err *err)
{
    redisReply *r = NULL;
    const enum pr_code rc =
        pr_redis_command(j->giver, &r, err, "CLIENT KILL TYPE normal SKIPME yes");
    drop(r);
    return rc;
}

static enum pr_code carry_out(const struct judge *j, const struct copy *g,
                              enum rebalance_resolution what, bool *changed, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    switch (what) {
    case REBALANCE_KEEP_SOURCE:
        return move_over(j, g, err);
    case REBALANCE_EITHER: /* a write since the comparison is at the giver, if it owns the slot */
        return j->taker_owns ? delete_watched(j, changed, err) : move_over(j, g, err);
    case REBALANCE_UNION_SETS:
        rc = unite(j, err);
        break;
    case REBALANCE_OVERLAY:
        rc = overlay(j, err);
        break;
    case REBALANCE_KEEP_TARGET:
    case REBALANCE_STOP:
        break;
    }
    if (rc == PR_OK)
        rc = delete_watched(j, changed, err);
    const bool cut = !*changed && j->p->giver_failed && !j->taker_owns;
    return rc == PR_OK && cut ? cut_clients(j, err) : rc;
}

/* --- judging ----------------------------------------------------------------------------- */

static bool was_in_flight(const struct rebalance_pair *p, const char *key, size_t len)
{
    struct rebalance_in_flight r;
    for (int i = 0; i < REBALANCE_LANES; i++)
        if (rebalance_in_flight_open(p->recent[i].data, p->recent[i].len, &r, NULL) == PR_OK &&
            rebalance_in_flight_has(&r, key, len))
            return true;
    /* Who began it remembers the last batches; of others there is the record alone. */
    return p->resumed &&
           rebalance_in_flight_open(p->step->in_flight.data, p->step->in_flight.len, &r, NULL) ==
               PR_OK &&
           rebalance_in_flight_has(&r, key, len);
}

/* Still: a replica that has come in step may have acknowledged writes since. */
static bool no_replica_yet(const struct judge *j)
{
    redisReply *got = NULL;
    if (pr_redis_command(j->giver, &got, NULL, "INFO replication") != PR_OK)
        return false;
    PR_AUTO(redisReply) *r = got;
    return r->str != NULL && rebalance_replicas_in_step(r->str) == 0;
}

static enum rebalance_resolution judge_it(const struct judge *j, const struct copy *g,
                                          const struct copy *t, bool is_equal, const char **why)
{
    const struct rebalance_pair *p = j->p;
    const int64_t now_us = pr_mono_us(), promoted_us = p->promoted_us[rebalance_pair_giver(p)];
    const struct rebalance_conflict c = {
        .in_flight = was_in_flight(p, j->key, j->len),
        .source_failed_over = p->giver_failed,
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
        return REBALANCE_KEEP_TARGET;
    }
    return rebalance_conflict_resolve(&c, why);
}

static void report(const struct judge *j, enum rebalance_resolution what, const char *why)
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
static enum pr_code one_try(const struct judge *j, bool *again, struct pr_err *err)
{
    struct copy g = { 0 }, t = { 0 };
    redisReply *r = NULL;
    bool same = false;
    const char *why = "";
    enum pr_code rc = j->taker_owns ? PR_OK : ask(j, false, "WATCH", NULL, &r, err);
    drop(r);
    if (rc == PR_OK)
        rc = read_copy(j, false, &g, err);
    if (rc == PR_OK)
        rc = read_copy(j, true, &t, err);
    const bool both = rc == PR_OK && g.dump->str != NULL && t.dump->str != NULL;
    if (both)
        rc = equal(j, &g, &t, &same, err);
    if (rc == PR_OK && both) {
        const enum rebalance_resolution what = judge_it(j, &g, &t, same, &why);
        report(j, what, why);
        rc = what == REBALANCE_STOP
                 ? pr_fail(err, PR_ECONFLICT, "key \"%.*s\" is on both sides: %s",
                           (int)(j->len < 80 ? j->len : 80), j->key, why)
                 : carry_out(j, &g, what, again, err);
    } else if (rc == PR_OK && g.dump->str != NULL && j->taker_owns) {
        report(j, REBALANCE_KEEP_SOURCE, "only the side that lost the slot has it");
        rc = move_over(j, &g, err);
    }
    drop(g.dump);
    drop(t.dump);
    if (!pr_redis_broken(j->giver) && rc != PR_EUNAVAIL && rc != PR_ETIMEOUT) {
        redisReply *un = NULL;
        if (pr_redis_command(j->giver, &un, NULL, "UNWATCH") == PR_OK)
            freeReplyObject(un);
    }
    return rc;
}

static enum pr_code one_key(const struct judge *j, struct pr_err *err)
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
static enum pr_code on_both(struct judge *j, const redisReply *keys, size_t from, size_t n,
                            bool *both, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        const char *argv[] = { "EXISTS", keys->element[from + i]->str };
        const size_t len[] = { 6, keys->element[from + i]->len };
        rc = append(j->taker, true, argv, len, 2, err);
    }
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        redisReply *r = NULL;
        rc = read(j->taker, true, &r, err);
        both[i] = rc == PR_OK && r->type == REDIS_REPLY_INTEGER && r->integer > 0;
        drop(r);
    }
    return rc;
}

static enum pr_code judge_keys(struct judge *j, const redisReply *keys, struct pr_err *err)
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
    drop(r);
    return rc;
}

enum pr_code rebalance_pair_resolve(struct rebalance_pair *p, bool taker_owns, struct pr_err *err)
{
    struct judge j = { .p = p, .taker_owns = taker_owns };
    redisReply *got = NULL;
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
    drop(got);
    got = NULL;
    if (rc == PR_OK)
        rc = pr_redis_command(j.giver, &got, err, "CLUSTER GETKEYSINSLOT %d %d", p->step->slot,
                              count);
    if (rc == PR_OK && !taker_owns)
        rc = rebalance_pair_judge_cuts(p, j.giver, j.taker, err);
    if (rc == PR_OK)
        rc = judge_keys(&j, got, err);
    drop(got); /* the mark is seen, and closed, by the machine */
    rebalance_pair_unlink(p);
    return rc;
}
