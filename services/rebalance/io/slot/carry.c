/* Carries a judgement of a key on both sides out so that a client's write in between is
 * never lost: a copy is deleted under WATCH, or moved with REPLACE, which takes what is
 * there at that moment. */
#include "io/slot/conflict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Before a write: its answer comes within the patience that we have, or never. */
static enum pr_code may_write(const struct rebalance_judge *j, struct pr_redis *conn,
                              struct pr_err *err)
{
    const int ms = rebalance_pair_patience_ms(j->p->run);
    pr_redis_set_timeout(conn, ms);
    return rebalance_pair_may_send(j->p, ms, err);
}

/* Deletes the giver's copy unless it changed since WATCH. *changed: it did. Where the
 * taker owns the slot nobody can have changed it. */
static enum pr_code delete_watched(const struct rebalance_judge *j, bool *changed,
                                   struct pr_err *err)
{
    redisReply *r = NULL;
    enum pr_code rc = may_write(j, j->giver, err);
    if (rc == PR_OK && j->taker_owns) {
        rc = rebalance_judge_ask(j, false, "UNLINK", NULL, &r, err);
        rebalance_reply_drop(r);
        return rc;
    }
    if (rc != PR_OK)
        return rc;
    return rebalance_copy_unlink(j->giver, false, j->key, j->len, changed, err);
}

enum pr_code rebalance_judge_move_over(const struct rebalance_judge *j,
                                       const struct rebalance_copy_read *g, struct pr_err *err)
{
    struct rebalance_pair *p = j->p;
    const struct rebalance_copy_at at = { j->giver, false };
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
    pr_redis_set_timeout(j->giver, 2 * ms);
    rc = rebalance_copy_ask(&at, (int)PR_COUNT(argv), argv, len, &r, err);
    /* What it sent before it gave up would replace what clients write meanwhile. */
    if (rc != PR_OK && (pr_redis_broken(j->giver) || (r != NULL && r->str != NULL)))
        p->view.stray = true;
    rebalance_reply_drop(r);
    return rc;
}

/* word key [members...] at the taker. */
static enum pr_code tell_taker(const struct rebalance_judge *j, const char *const *head,
                               const size_t *head_len, int n_head, const redisReply *rest,
                               bool skip_vertex_fields, struct pr_err *err)
{
    const struct rebalance_copy_at at = rebalance_judge_at(j, true);
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
        rc = rebalance_copy_ask(&at, (int)n, argv, len, &r, err);
    rebalance_reply_drop(r);
    free(argv);
    free(len);
    return rc;
}

static enum pr_code unite(const struct rebalance_judge *j, struct pr_err *err)
{
    redisReply *members = NULL;
    const char *head[] = { "SADD", j->key };
    const size_t len[] = { 4, j->len };
    enum pr_code rc = rebalance_judge_ask(j, false, "SMEMBERS", NULL, &members, err);
    if (rc == PR_OK && members->elements > 0)
        rc = tell_taker(j, head, len, 2, members, false, err);
    rebalance_reply_drop(members);
    return rc;
}

static enum pr_code overlay(const struct rebalance_judge *j, struct pr_err *err)
{
    static const char SCRIPT[] =
        "for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end "
        "if redis.call('HEXISTS', KEYS[1], '_v') == 1 then "
        "redis.call('HINCRBY', KEYS[1], '_v', 1) end return 1";
    redisReply *fields = NULL;
    const char *head[] = { "EVAL", SCRIPT, "1", j->key };
    const size_t len[] = { 4, sizeof SCRIPT - 1, 1, j->len };
    enum pr_code rc = rebalance_judge_ask(j, false, "HGETALL", NULL, &fields, err);
    if (rc == PR_OK)
        rc = tell_taker(j, head, len, 4, fields, true, err);
    rebalance_reply_drop(fields);
    return rc;
}

/* Who waits for replicas of a write to the copy that is gone must not be told that
 * they have it. Our other connections come back by themselves. */
static enum pr_code cut_clients(const struct rebalance_judge *j, struct pr_err *err)
{
    redisReply *r = NULL;
    const enum pr_code rc =
        pr_redis_command(j->giver, &r, err, "CLIENT KILL TYPE normal SKIPME yes");
    rebalance_reply_drop(r);
    return rc;
}

enum pr_code rebalance_judge_carry_out(const struct rebalance_judge *j,
                                       const struct rebalance_copy_read *g,
                                       enum rebalance_resolution what, bool *changed,
                                       struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    switch (what) {
    case REBALANCE_KEEP_SOURCE:
        return rebalance_judge_move_over(j, g, err);
    case REBALANCE_EITHER: /* a write since the comparison is at the giver, if it owns the slot */
        return j->taker_owns ? delete_watched(j, changed, err)
                             : rebalance_judge_move_over(j, g, err);
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
