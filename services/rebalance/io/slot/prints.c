#include "io/slot/prints.h"

#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* CALL: of so many keys a call takes a third of what a call for each takes, and blocks the replica
 * for a fraction of a millisecond. */
enum { CALL = 60, REST_US = 2000000, HEAVY_BYTES = 1 << 20 };

static uint64_t number(const redisReply *text)
{
    if (text->str == NULL || text->len == 0)
        return 0;
    const uint64_t h = XXH3_64bits(text->str, text->len);
    return h != 0 ? h : 1;
}

/* --- on a replica ---------------------------------------------------------------------- */

static bool replica_of(struct rebalance_pair *p, int k, size_t from,
                       struct rebalance_shard_member *out)
{
    bool found = false;
    pthread_mutex_lock(&p->lock);
    const struct rebalance_shard *s = &p->shard[k];
    for (size_t i = 0; i < s->members && !found; i++) {
        const struct rebalance_shard_member *m = &s->member[(from + i) % s->members];
        found = m->there && !m->primary && !m->elsewhere;
        if (found)
            *out = *m;
    }
    pthread_mutex_unlock(&p->lock);
    return found;
}

static enum pr_code connect_to(struct rebalance_pair *p, struct rebalance_printer *w, int k,
                               struct pr_err *err)
{
    struct rebalance_shard_member m;
    redisReply *got = NULL;
    if (w->conn != NULL && !pr_redis_broken(w->conn))
        return PR_OK;
    rebalance_printer_close(w);
    if (!replica_of(p, k, w->next, &m))
        return pr_fail(err, PR_EUNAVAIL, "shard %s has no replica that answers", p->shard[k].id);
    enum pr_code rc = pr_redis_open(&w->conn, m.host, m.port, &p->run->mover,
                                    rebalance_pair_patience_ms(p->run), err);
    if (rc == PR_OK)
        rc = pr_redis_command(w->conn, &got, err, "READONLY");
    if (got != NULL)
        freeReplyObject(got);
    return rc;
}

/* Lighter keys than that, by what they weigh: the function itself knows what is too much. */
static bool is_asked(const struct rebalance_keys *k, size_t i)
{
    return k->size[i].bytes < HEAVY_BYTES;
}

/* How many keys from i on go in one call; those between that are too heavy are left out. */
static size_t call_end(const struct rebalance_keys *k, size_t i)
{
    size_t asked = 0;
    while (i < k->n && asked < CALL)
        asked += is_asked(k, i++);
    return i;
}

static enum pr_code append_calls(struct pr_redis *conn, const struct rebalance_keys *k,
                                 struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0, end; i < k->n && rc == PR_OK; i = end) {
        char count[8];
        const char *argv[3 + CALL] = { "FCALL_RO", "prism_print", count };
        size_t len[3 + CALL] = { 8, 11 }, n = 3;
        end = call_end(k, i);
        for (size_t j = i; j < end; j++)
            if (is_asked(k, j)) {
                argv[n] = rebalance_key_at(k, j, &len[n]);
                n++;
            }
        len[2] = (size_t)snprintf(count, sizeof count, "%zu", n - 3);
        if (n > 3)
            rc = pr_redis_append(conn, (int)n, argv, len, err);
    }
    return rc;
}

static enum pr_code read_calls(struct pr_redis *conn, struct rebalance_keys *k, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0, end; i < k->n && rc == PR_OK; i = end) {
        redisReply *got = NULL;
        size_t asked = 0, at = 0;
        end = call_end(k, i);
        for (size_t j = i; j < end; j++)
            asked += is_asked(k, j);
        if (asked == 0)
            continue;
        rc = pr_redis_reply(conn, &got, err);
        PR_AUTO(redisReply) *r = got;
        if (rc == PR_OK)
            rc = pr_redis_reply_code(r, err);
        if (rc == PR_OK && (r->type != REDIS_REPLY_ARRAY || r->elements != asked))
            rc = pr_fail(err, PR_EDATA, "prism_print answered nonsense");
        for (size_t j = i; j < end && rc == PR_OK; j++)
            if (is_asked(k, j))
                k->print[j] = number(r->element[at++]);
    }
    return rc;
}

static enum pr_code take(struct rebalance_pair *p, struct rebalance_printer *w, int k,
                         struct rebalance_keys *const *lists, size_t n, struct pr_err *err)
{
    static const char *const INFO[] = { "INFO", "replication" };
    redisReply *got = NULL;
    enum pr_code rc = connect_to(p, w, k, err);
    for (size_t i = 0; i < n && rc == PR_OK; i++)
        rc = append_calls(w->conn, lists[i], err);
    if (rc == PR_OK) /* after them: whoever came as far has all that was printed */
        rc = pr_redis_append(w->conn, 2, INFO, NULL, err);
    for (size_t i = 0; i < n && rc == PR_OK; i++)
        rc = read_calls(w->conn, lists[i], err);
    if (rc == PR_OK)
        rc = pr_redis_reply(w->conn, &got, err);
    PR_AUTO(redisReply) *info = got;
    if (rc == PR_OK)
        rc = pr_redis_reply_code(info, err);
    for (size_t i = 0; i < n && rc == PR_OK; i++)
        lists[i]->point = rebalance_copies_point(info->str == NULL ? "" : info->str);
    return rc;
}

void rebalance_prints_take(struct rebalance_pair *p, struct rebalance_printer *w, int k,
                           struct rebalance_keys *const *lists, size_t n)
{
    struct pr_err err = { 0 };
    if (pr_mono_us() < w->rest_until_us || take(p, w, k, lists, n, &err) == PR_OK)
        return;
    for (size_t i = 0; i < n; i++) /* of some there may be prints, but no point */
        memset(lists[i]->print, 0, lists[i]->n * sizeof *lists[i]->print);
    rebalance_printer_close(w); /* answers may be outstanding */
    w->next++;
    w->rest_until_us = pr_mono_us() + REST_US;
    pr_debug(PR_EV("slot.no_prints"), PR_S("shard", p->shard[k].id), PR_E(&err));
}

void rebalance_printer_close(struct rebalance_printer *w)
{
    pr_redis_close(w->conn);
    w->conn = NULL;
}

/* --- of one copy ------------------------------------------------------------------------ */

enum pr_code rebalance_print_append(const struct rebalance_copy_at *at, const char *key, size_t len,
                                    struct pr_err *err)
{
    const char *const argv[] = { "FCALL_RO", "prism_print", "1", key };
    const size_t lens[] = { 8, 11, 1, len };
    return rebalance_copy_append(at, 4, argv, lens, err);
}

enum pr_code rebalance_print_read(const struct rebalance_copy_at *at, uint64_t *print, bool *asks,
                                  struct pr_err *err)
{
    redisReply *got = NULL;
    const enum pr_code rc = rebalance_copy_read(at, &got, err);
    PR_AUTO(redisReply) *r = got;
    *print = 0;
    *asks = false;
    if (r == NULL) /* nothing came */
        return rc;
    if (r->type == REDIS_REPLY_ARRAY && r->elements == 1)
        *print = number(r->element[0]);
    *asks = r->type == REDIS_REPLY_ERROR && strncmp(r->str, "ASK ", 4) == 0;
    return PR_OK;
}
