#include "io/slot/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key lighter than this blocks nobody, whatever its type. */
enum { LARGE_BYTES = 16384, PIPELINE = 64 };

void rebalance_keys_done(struct rebalance_keys *k)
{
    pr_buf_done(&k->text);
    free(k->at);
    free(k->size);
    free(k->print);
    *k = (struct rebalance_keys){ 0 };
}

void rebalance_keys_reset(struct rebalance_keys *k)
{
    pr_buf_reset(&k->text);
    k->n = 0;
    k->point = (struct rebalance_written){ .history = "" };
}

static bool reserve(struct rebalance_keys *k, size_t n)
{
    if (n <= k->cap)
        return true;
    size_t *at = realloc(k->at, (n + 1) * sizeof *at);
    if (at != NULL)
        k->at = at;
    struct rebalance_key_size *size = realloc(k->size, n * sizeof *size);
    if (size != NULL)
        k->size = size;
    uint64_t *print = realloc(k->print, n * sizeof *print);
    if (print != NULL)
        k->print = print;
    if (at == NULL || size == NULL || print == NULL)
        return false;
    k->cap = n;
    return true;
}

enum pr_code rebalance_keys_add(struct rebalance_keys *k, const redisReply *list,
                                struct pr_err *err)
{
    if (!reserve(k, k->n + list->elements))
        return pr_fail(err, PR_ENOMEM, "%zu keys", list->elements);
    for (size_t i = 0; i < list->elements; i++) {
        if (list->element[i]->str == NULL)
            return pr_fail(err, PR_EDATA, "GETKEYSINSLOT: something that is no key");
        k->at[k->n] = k->text.len;
        k->size[k->n] = (struct rebalance_key_size){ 0 };
        k->print[k->n] = 0;
        pr_buf_add(&k->text, list->element[i]->str, list->element[i]->len);
        k->at[++k->n] = k->text.len;
    }
    return k->text.failed ? pr_fail(err, PR_ENOMEM, "%zu keys", k->n) : PR_OK;
}

void rebalance_keys_record(const struct rebalance_keys *k, size_t from, size_t n,
                           struct pr_buf *record)
{
    if (n > 0 && k->point.history[0] != '\0')
        rebalance_in_flight_point(record, &k->point);
    for (size_t i = from; i < from + n; i++) {
        size_t len;
        const char *key = rebalance_key_at(k, i, &len);
        rebalance_in_flight_print(record, key, len, k->print[i]);
    }
}

/* --- sizes --------------------------------------------------------------------------- */

static enum pr_code send_one(const struct rebalance_keys *k, size_t i, struct pr_redis *conn,
                             const char *word, const char *second, struct pr_err *err)
{
    static const char *const ASKING[] = { "ASKING" };
    size_t len;
    const char *key = rebalance_key_at(k, i, &len);
    const char *argv[] = { word, second != NULL ? second : key, key };
    const size_t argvlen[] = { strlen(word), second != NULL ? strlen(second) : len, len };
    const enum pr_code rc = k->asking ? pr_redis_append(conn, 1, ASKING, NULL, err) : PR_OK;
    return rc == PR_OK ? pr_redis_append(conn, second != NULL ? 3 : 2, argv, argvlen, err) : rc;
}

static enum pr_code read_one(const struct rebalance_keys *k, struct pr_redis *conn, redisReply **r,
                             struct pr_err *err)
{
    redisReply *asked = NULL;
    enum pr_code rc = k->asking ? pr_redis_reply(conn, &asked, err) : PR_OK;
    if (asked != NULL)
        freeReplyObject(asked);
    return rc == PR_OK ? pr_redis_reply(conn, r, err) : rc;
}

static enum pr_code read_sizes(struct rebalance_keys *k, size_t from, size_t n,
                               struct pr_redis *conn, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = from; i < from + n && rc == PR_OK; i++) {
        redisReply *got = NULL;
        rc = read_one(k, conn, &got, err);
        PR_AUTO(redisReply) *r = got;
        if (rc == PR_OK)
            rc = pr_redis_reply_code(r, err);
        if (rc == PR_OK) /* nil: deleted meanwhile */
            k->size[i].bytes = r->type == REDIS_REPLY_INTEGER ? (uint64_t)r->integer : 0;
    }
    return rc;
}

static enum pr_code ask_one(const struct rebalance_keys *k, size_t i, struct pr_redis *conn,
                            const char *word, redisReply **r, struct pr_err *err)
{
    enum pr_code rc = send_one(k, i, conn, word, NULL, err);
    return rc == PR_OK ? read_one(k, conn, r, err) : rc;
}

/* Type and number of elements of one large key. */
static enum pr_code weigh(struct rebalance_keys *k, size_t i, struct pr_redis *conn,
                          struct pr_err *err)
{
    static const char *const LENGTH[] = { [REBALANCE_TYPE_LIST] = "LLEN",
                                          [REBALANCE_TYPE_SET] = "SCARD",
                                          [REBALANCE_TYPE_ZSET] = "ZCARD",
                                          [REBALANCE_TYPE_HASH] = "HLEN",
                                          [REBALANCE_TYPE_STREAM] = "XLEN" };
    redisReply *got = NULL;
    enum pr_code rc = ask_one(k, i, conn, "TYPE", &got, err);
    if (rc != PR_OK)
        return rc;
    k->size[i].type = rebalance_key_type(got->str == NULL ? "" : got->str, got->len);
    freeReplyObject(got);
    const enum rebalance_key_type type = k->size[i].type;
    if ((size_t)type >= PR_COUNT(LENGTH) || LENGTH[type] == NULL)
        return PR_OK;
    got = NULL;
    rc = ask_one(k, i, conn, LENGTH[type], &got, err);
    if (rc != PR_OK)
        return rc;
    if (got->type == REDIS_REPLY_INTEGER)
        k->size[i].elements = (uint64_t)got->integer;
    freeReplyObject(got);
    return PR_OK;
}

enum pr_code rebalance_keys_size(struct rebalance_keys *k, size_t from, struct pr_redis *conn,
                                 struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = from; i < k->n && rc == PR_OK;) {
        const size_t n = k->n - i < PIPELINE ? k->n - i : PIPELINE;
        for (size_t j = i; j < i + n && rc == PR_OK; j++)
            rc = send_one(k, j, conn, "MEMORY", "USAGE", err);
        if (rc == PR_OK)
            rc = read_sizes(k, i, n, conn, err);
        for (size_t j = i; j < i + n && rc == PR_OK; j++)
            if (k->size[j].bytes >= LARGE_BYTES)
                rc = weigh(k, j, conn, err);
        i += n;
    }
    return rc;
}

enum pr_code rebalance_keys_scan(struct rebalance_keys *k, struct pr_redis *conn, unsigned slot,
                                 size_t max, struct pr_err *err)
{
    redisReply *got = NULL;
    const size_t from = k->n;
    enum pr_code rc =
        pr_redis_command(conn, &got, err, "CLUSTER GETKEYSINSLOT %u %d", slot, (int)max);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *list = got;
    rc = rebalance_keys_add(k, list, err);
    return rc == PR_OK ? rebalance_keys_size(k, from, conn, err) : rc;
}

enum pr_code rebalance_keys_judge(const struct rebalance_keys *k, size_t from,
                                  const struct rebalance_drain_limits *limits, bool allow_big,
                                  struct pr_err *err)
{
    for (size_t i = from; i < k->n; i++) {
        struct rebalance_key_judgement j;
        size_t len;
        if (k->size[i].bytes < LARGE_BYTES)
            continue;
        const char *key = rebalance_key_at(k, i, &len);
        rebalance_key_judge(key, len, &k->size[i], limits, &j);
        if (j.verdict == REBALANCE_KEY_REFUSED ||
            (j.verdict == REBALANCE_KEY_NEEDS_APPROVAL && !allow_big))
            return pr_fail(err, PR_EFULL, "%s", j.why);
    }
    return PR_OK;
}
