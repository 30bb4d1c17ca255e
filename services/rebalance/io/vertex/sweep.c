/* Finding the vertices that belong elsewhere: SCAN over one primary. */
#include "io/vertex/worker.h"

#include "prism/io/log.h"
#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct destination { /* a batch being filled */
    struct pr_buf ids;
    size_t count;
};

struct suspect { /* a key that may be a stub */
    const char *id;
    size_t id_len;
    uint32_t from, to;
};

struct sweep {
    struct rebalance_worker *w;
    struct rebalance_run *run;
    int16_t source;         /* index of the link */
    uint64_t number;        /* of its connection when the sweep began */
    struct destination *to; /* [cap], by link */
    size_t cap;
    struct suspect *suspect; /* [suspects_cap] */
    size_t suspects, suspects_cap;
    bool moved_on; /* the source changed under the sweep */
};

static struct rebalance_link *source_link(struct sweep *s)
{
    return &s->w->links.link[s->source];
}

static void defer(struct sweep *s, const char *why)
{
    atomic_fetch_add(&s->run->deferred, 1);
    rebalance_run_left(s->run, why);
}

/* The sweep of this node cannot go on: a later sweep takes the rest. */
static void stop_here(struct sweep *s, const char *why)
{
    if (!s->moved_on)
        defer(s, why);
    s->moved_on = true;
}

static enum pr_code run_batch(struct sweep *s, size_t to, struct pr_err *err)
{
    struct rebalance_worker *w = s->w;
    struct destination *d = &s->to[to];
    char src[64], dst[64];
    if (d->ids.failed)
        return pr_fail(err, PR_ENOMEM, "a batch of %zu vertices", d->count);
    const int throttle_ms = atomic_load(&s->run->throttle_ms);
    if (throttle_ms > 0 && !rebalance_run_pause(s->run, (unsigned)throttle_ms * 1000))
        return pr_fail(err, PR_ECANCELED, "abandoned");
    if (atomic_load(&s->run->stop) != REBALANCE_RUN_ON)
        return PR_OK; /* draining: what was found is found again later */

    snprintf(src, sizeof src, "%s", source_link(s)->name);
    snprintf(dst, sizeof dst, "%s", w->links.link[to].name);
    struct rebalance_batch *b = &w->batch;
    b->plan_id = s->run->plan_id;
    b->number = atomic_fetch_add(&s->run->next_batch, 1);
    b->src = src;
    b->dst = dst;
    b->ids = d->ids.data;
    b->ids_bytes = d->ids.len;
    b->state = REBALANCE_PLANNED;
    b->canceling = false;
    b->epochs = b->earlier = 0;
    enum pr_code rc = rebalance_batch_run(w, err);
    pr_buf_reset(&d->ids);
    d->count = 0;
    return rc;
}

static enum pr_code make_room(struct sweep *s, struct pr_err *err)
{
    if (s->cap >= s->w->links.n)
        return PR_OK;
    struct destination *more = realloc(s->to, s->w->links.n * sizeof *more);
    if (more == NULL)
        return pr_fail(err, PR_ENOMEM, "batches for %zu nodes", s->w->links.n);
    s->to = more;
    for (; s->cap < s->w->links.n; s->cap++) {
        s->to[s->cap].count = 0;
        pr_buf_init(&s->to[s->cap].ids, 0);
    }
    return PR_OK;
}

static enum pr_code add_vertex(struct sweep *s, const char *id, size_t id_len, uint32_t from,
                               uint32_t to, struct pr_err *err)
{
    const int16_t link = s->w->links.of_slot[s->run->slot_of[to]];
    if (link < 0) {
        defer(s, "a slot has no owner");
        return PR_OK;
    }
    enum pr_code rc = make_room(s, err);
    if (rc != PR_OK)
        return rc;
    struct destination *d = &s->to[link];
    rebalance_batch_add(&d->ids, id, id_len, from, to);
    return ++d->count >= s->run->batch_vertices ? run_batch(s, (size_t)link, err) : PR_OK;
}

/* Decides about one key: nothing to do, move it, or ask first whether it is a stub. */
static enum pr_code look_at(struct sweep *s, const redisReply *key, struct pr_err *err)
{
    const struct rebalance_run *run = s->run;
    uint32_t at, to, now;
    const char *id;
    size_t id_len;
    if (key->str == NULL || !pr_key_parse_vertex(key->str, key->len, &at, &id, &id_len) ||
        at >= run->partitions)
        return PR_OK; /* staging, or not ours */
    const uint64_t hash = pr_vertex_hash(id, id_len);
    const uint32_t home = pr_home_partition(hash, run->partitions);
    const bool in_target = rebalance_table_find(run->target, hash, &to);
    const bool in_current = rebalance_table_find(run->current, hash, &now);
    if (!in_target)
        to = home;
    if (!in_current)
        now = home;
    if (to == at || (!in_target && !in_current))
        return PR_OK; /* there already; or its creator chose the place after the run */

    if (rebalance_slot_open(s->run, run->slot_of[at]) ||
        rebalance_slot_open(s->run, run->slot_of[to]) ||
        rebalance_slot_open(s->run, run->slot_of[home])) {
        defer(s, "a slot is open (migrating or importing)");
        return PR_OK;
    }
    if (now == at && !run->verify)
        return add_vertex(s, id, id_len, at, to, err);
    if (s->suspects == s->suspects_cap) {
        const size_t cap = s->suspects_cap == 0 ? 1024 : s->suspects_cap * 2;
        struct suspect *more = realloc(s->suspect, cap * sizeof *more);
        if (more == NULL)
            return pr_fail(err, PR_ENOMEM, "%zu keys of a sweep", cap);
        s->suspect = more;
        s->suspects_cap = cap;
    }
    s->suspect[s->suspects++] = (struct suspect){ id, id_len, at, to };
    return PR_OK;
}

static bool send_questions(struct sweep *s)
{
    struct rebalance_link *link = source_link(s);
    for (size_t i = 0; i < s->suspects; i++) {
        const struct suspect *k = &s->suspect[i];
        char key[PR_MAX_KEY_BYTES];
        const char *argv[] = { "HGET", key, "_m" };
        const size_t len[] = { 4, pr_key_vertex(key, k->from, k->id, k->id_len), 2 };
        if (link->conn == NULL || pr_redis_append(link->conn, 3, argv, len, NULL) != PR_OK)
            return false;
    }
    return true;
}

/* Keeps the suspects that hold no stub. */
static bool keep_living(struct sweep *s)
{
    struct rebalance_link *link = source_link(s);
    size_t kept = 0;
    bool ok = send_questions(s);
    for (size_t i = 0; i < s->suspects && ok; i++) {
        struct pr_err err;
        redisReply *r = NULL;
        ok = pr_redis_reply(link->conn, &r, &err) == PR_OK;
        if (ok && r->type == REDIS_REPLY_NIL)
            s->suspect[kept++] = s->suspect[i];
        else if (ok && r->type == REDIS_REPLY_ERROR)
            stop_here(s, r->str);
        if (r != NULL)
            freeReplyObject(r);
    }
    s->suspects = ok ? kept : 0;
    if (!ok) {
        rebalance_link_break(link);
        stop_here(s, "the connection broke during the sweep");
    }
    return ok;
}

/* One page of SCAN; the reply's keys are borrowed by the suspects. */
static enum pr_code take_page(struct sweep *s, const redisReply *keys, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    s->suspects = 0;
    for (size_t i = 0; i < keys->elements && rc == PR_OK; i++)
        rc = look_at(s, keys->element[i], err);
    if (rc != PR_OK || s->suspects == 0 || s->moved_on || !keep_living(s))
        return rc;
    for (size_t i = 0; i < s->suspects && rc == PR_OK; i++) {
        const struct suspect *k = &s->suspect[i];
        rc = add_vertex(s, k->id, k->id_len, k->from, k->to, err);
    }
    return rc;
}

static redisReply *scan(struct sweep *s, const char *cursor)
{
    struct pr_err err = { 0 };
    struct rebalance_link *link = source_link(s);
    redisReply *r = NULL;
    enum pr_code rc = rebalance_link_connect(&s->w->links, link, &err);
    if (rc == PR_OK && s->number == 0)
        s->number = link->number;
    if (rc == PR_OK && link->number != s->number) /* a restarted node knows no cursors */
        rc = pr_fail(&err, PR_EUNAVAIL, "node %s was connected to again", link->name);
    if (rc == PR_OK)
        rc = pr_redis_command(link->conn, &r, &err, "SCAN %s COUNT 1000", cursor);
    if (rc == PR_EDENIED)
        atomic_store(&s->run->users_missing, true);
    if (rc == PR_OK && r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
        r->element[0]->str != NULL && r->element[1]->type == REDIS_REPLY_ARRAY)
        return r;
    if (r != NULL)
        freeReplyObject(r);
    stop_here(s, err.text[0] != '\0' ? err.text : "SCAN answered nonsense");
    return NULL;
}

static enum pr_code sweep_all(struct sweep *s, struct pr_err *err)
{
    char cursor[32] = "0";
    enum pr_code rc = PR_OK;
    do {
        redisReply *got = scan(s, cursor);
        if (got == NULL)
            break;
        PR_AUTO(redisReply) *r = got;
        snprintf(cursor, sizeof cursor, "%s", r->element[0]->str);
        rc = take_page(s, r->element[1], err);
    } while (rc == PR_OK && !s->moved_on && strcmp(cursor, "0") != 0 &&
             atomic_load(&s->run->stop) == REBALANCE_RUN_ON);
    for (size_t i = 0; i < s->cap && rc == PR_OK; i++)
        if (s->to[i].count > 0)
            rc = run_batch(s, i, err);
    return rc;
}

enum pr_code rebalance_sweep(struct rebalance_worker *w, const char *node_id, struct pr_err *err)
{
    struct sweep s = { .w = w, .run = w->run, .source = -1 };
    for (size_t i = 0; i < w->links.n; i++)
        if (strcmp(w->links.link[i].node_id, node_id) == 0)
            s.source = (int16_t)i;
    if (s.source < 0) {
        defer(&s, "a node is no primary any more");
        return PR_OK;
    }
    enum pr_code rc = sweep_all(&s, err);
    for (size_t i = 0; i < s.cap; i++)
        pr_buf_done(&s.to[i].ids);
    free(s.to);
    free(s.suspect);
    return rc;
}
