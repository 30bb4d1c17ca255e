#include "io/slot/prints.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* CALL: of so many keys a call takes a third of what a call for each takes, and blocks the replica
 * for a fraction of a millisecond, unless they are heavy. GROUP: keys between two looks at the
 * clock. */
enum { CALL = 60, CALL_BYTES = 256 << 10, GROUP = 1024, MOST_US = 200000, REST_US = 2000000 };

static uint64_t number(const redisReply *text)
{
    if (text->str == NULL || text->len == 0)
        return 0;
    const uint64_t h = XXH3_64bits(text->str, text->len);
    return h != 0 ? h : 1;
}

/* --- connections ----------------------------------------------------------------------- */

static enum pr_code hurry(const struct rebalance_printer *w, struct pr_redis *conn,
                          struct pr_err *err)
{
    const int64_t left_us = w->until_us - pr_mono_us();
    if (left_us <= 0)
        return pr_fail(err, PR_ETIMEOUT, "prints: not within %d ms", MOST_US / 1000);
    pr_redis_set_timeout(conn, (int)(left_us / 1000) + 1);
    return PR_OK;
}

static enum pr_code hear(const struct rebalance_printer *w, struct pr_redis *conn, redisReply **out,
                         struct pr_err *err)
{
    const enum pr_code rc = hurry(w, conn, err);
    return rc == PR_OK ? pr_redis_reply(conn, out, err) : rc;
}

static bool replica_of_source(struct rebalance_pair *p, size_t from,
                              struct rebalance_shard_member *out)
{
    bool found = false;
    pthread_mutex_lock(&p->lock);
    const struct rebalance_shard *s = &p->shard[0];
    for (size_t i = 0; i < s->members && !found; i++) {
        const struct rebalance_shard_member *m = &s->member[(from + i) % s->members];
        found = m->there && !m->primary && !m->elsewhere;
        if (found)
            *out = *m;
    }
    pthread_mutex_unlock(&p->lock);
    return found;
}

static enum pr_code open_both(struct rebalance_pair *p, struct rebalance_printer *w,
                              struct pr_err *err)
{
    struct rebalance_shard_member m;
    redisReply *got = NULL;
    if (w->replica != NULL && !pr_redis_broken(w->replica) && w->taker != NULL &&
        !pr_redis_broken(w->taker))
        return PR_OK;
    rebalance_printer_close(w);
    if (!replica_of_source(p, w->next, &m))
        return pr_fail(err, PR_EUNAVAIL, "shard %s has no replica that answers", p->shard[0].id);
    enum pr_code rc =
        pr_redis_open(&w->replica, m.host, m.port, &p->run->mover, MOST_US / 1000, err);
    if (rc == PR_OK)
        rc = pr_redis_command(w->replica, &got, err, "READONLY");
    if (got != NULL)
        freeReplyObject(got);
    if (rc == PR_OK)
        rc = rebalance_pair_primary(p, 1, &m, err);
    return rc == PR_OK
               ? pr_redis_open(&w->taker, m.host, m.port, &p->run->mover, MOST_US / 1000, err)
               : rc;
}

/* --- keys that the target has already ---------------------------------------------------- */

static enum pr_code look_for_strays(struct rebalance_printer *w,
                                    const struct rebalance_piece *piece, size_t n, bool *strays,
                                    struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        char slot[8];
        const char *const argv[] = { "CLUSTER", "COUNTKEYSINSLOT", slot };
        snprintf(slot, sizeof slot, "%d", piece[i].step->slot);
        rc = pr_redis_append(w->taker, 3, argv, NULL, err);
    }
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        redisReply *got = NULL;
        rc = hear(w, w->taker, &got, err);
        PR_AUTO(redisReply) *r = got;
        strays[i] = rc != PR_OK || r->type != REDIS_REPLY_INTEGER || r->integer != 0;
    }
    return rc;
}

/* --- on a replica ---------------------------------------------------------------------- */

/* The end of the call that begins with key i. */
static size_t call_end(const struct rebalance_keys *k, size_t i)
{
    uint64_t bytes = 0;
    size_t end = i;
    while (end < k->n && end < i + CALL && (end == i || bytes + k->size[end].bytes <= CALL_BYTES))
        bytes += k->size[end++].bytes;
    return end;
}

/* One that is too heavy is a call of its own, which is not made. */
static bool is_asked(const struct rebalance_keys *k, size_t i)
{
    return k->size[i].bytes <= CALL_BYTES;
}

static enum pr_code append_calls(struct pr_redis *conn, const struct rebalance_keys *k,
                                 struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0, end; i < k->n && rc == PR_OK; i = end) {
        char count[8];
        const char *argv[3 + CALL] = { "FCALL_RO", "prism_print", count };
        size_t len[3 + CALL] = { 8, 11 };
        end = call_end(k, i);
        for (size_t j = i; j < end; j++)
            argv[3 + j - i] = rebalance_key_at(k, j, &len[3 + j - i]);
        len[2] = (size_t)snprintf(count, sizeof count, "%zu", end - i);
        if (is_asked(k, i))
            rc = pr_redis_append(conn, (int)(3 + end - i), argv, len, err);
    }
    return rc;
}

/* An error that one call is answered with, such as of a key that is elsewhere, is of its keys
 * alone. */
static enum pr_code read_calls(struct rebalance_printer *w, struct rebalance_keys *k,
                               struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0, end; i < k->n && rc == PR_OK; i = end) {
        redisReply *got = NULL;
        end = call_end(k, i);
        if (!is_asked(k, i))
            continue;
        rc = hear(w, w->replica, &got, err);
        PR_AUTO(redisReply) *r = got;
        if (rc != PR_OK || r->type != REDIS_REPLY_ARRAY || r->elements != end - i)
            continue;
        for (size_t j = i; j < end; j++)
            k->print[j] = number(r->element[j - i]);
    }
    return rc;
}

static enum pr_code read_point(struct rebalance_printer *w, struct rebalance_written *point,
                               struct pr_err *err)
{
    redisReply *got = NULL;
    enum pr_code rc = hear(w, w->replica, &got, err);
    PR_AUTO(redisReply) *r = got;
    if (rc == PR_OK)
        rc = pr_redis_reply_code(r, err);
    if (rc == PR_OK && (r->str == NULL || strstr(r->str, "role:slave") == NULL))
        rc = pr_fail(err, PR_EUNAVAIL, "it is no replica");
    if (rc == PR_OK)
        *point = rebalance_copies_point(r->str);
    return rc;
}

/* All that is printed is of one history, and whoever came as far as its end has it. */
static enum pr_code take_group(struct rebalance_printer *w, struct rebalance_piece *piece, size_t n,
                               struct pr_err *err)
{
    static const char *const INFO[] = { "INFO", "replication" };
    struct rebalance_written before = { .offset = -1 }, after = { .offset = -1 };
    bool strays[REBALANCE_WINDOW_SLOTS];
    enum pr_code rc = look_for_strays(w, piece, n, strays, err);
    if (rc == PR_OK)
        rc = pr_redis_append(w->replica, 2, INFO, NULL, err);
    for (size_t i = 0; i < n && rc == PR_OK; i++)
        if (!strays[i])
            rc = append_calls(w->replica, &piece[i].keys, err);
    if (rc == PR_OK)
        rc = pr_redis_append(w->replica, 2, INFO, NULL, err);
    if (rc == PR_OK)
        rc = read_point(w, &before, err);
    for (size_t i = 0; i < n && rc == PR_OK; i++)
        if (!strays[i])
            rc = read_calls(w, &piece[i].keys, err);
    if (rc == PR_OK)
        rc = read_point(w, &after, err);
    if (rc == PR_OK && strcmp(before.history, after.history) != 0)
        rc = pr_fail(err, PR_EUNAVAIL, "it follows another primary meanwhile");
    for (size_t i = 0; i < n; i++)
        if (rc == PR_OK)
            piece[i].keys.point = after;
        else
            memset(piece[i].keys.print, 0, piece[i].keys.n * sizeof *piece[i].keys.print);
    return rc;
}

void rebalance_prints_take(struct rebalance_pair *p, struct rebalance_printer *w,
                           struct rebalance_piece *piece, size_t n)
{
    struct pr_err err = { 0 };
    if (n == 0 || pr_mono_us() < w->rest_until_us)
        return;
    w->until_us = pr_mono_us() + MOST_US;
    enum pr_code rc = open_both(p, w, &err);
    for (size_t from = 0, end; from < n && rc == PR_OK; from = end) {
        size_t keys = 0;
        for (end = from; end < n && (end == from || keys + piece[end].keys.n <= GROUP); end++)
            keys += piece[end].keys.n;
        rc = take_group(w, piece + from, end - from, &err);
    }
    if (rc == PR_OK)
        return;
    rebalance_printer_close(w); /* answers may be outstanding */
    w->next++;
    w->rest_until_us = pr_mono_us() + REST_US;
    pr_debug(PR_EV("slot.no_prints"), PR_S("shard", p->shard[0].id), PR_E(&err));
}

void rebalance_printer_close(struct rebalance_printer *w)
{
    pr_redis_close(w->replica);
    pr_redis_close(w->taker);
    w->replica = w->taker = NULL;
}

/* --- of one copy ------------------------------------------------------------------------ */

enum pr_code rebalance_print_append(const struct rebalance_copy_at *at, const char *key, size_t len,
                                    struct pr_err *err)
{
    const char *const argv[] = { "FCALL_RO", "prism_print", "1", key };
    const size_t lens[] = { 8, 11, 1, len };
    return rebalance_copy_append(at, 4, argv, lens, err);
}

enum pr_code rebalance_print_read(const struct rebalance_copy_at *at, uint64_t *print,
                                  struct pr_err *err)
{
    redisReply *got = NULL;
    const enum pr_code rc = rebalance_copy_read(at, &got, err);
    PR_AUTO(redisReply) *r = got;
    *print = 0;
    if (r == NULL) /* nothing came */
        return rc;
    if (r->type == REDIS_REPLY_ARRAY && r->elements == 1)
        *print = number(r->element[0]);
    return PR_OK;
}
