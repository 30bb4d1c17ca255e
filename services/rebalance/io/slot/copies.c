#include "io/slot/copies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAG_S = 3 }; /* a replica that says nothing for longer is not waited for */

/* --- of a key ---------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    const redisReply *const *x = a, *const *y = b;
    const size_t n = (*x)->len < (*y)->len ? (*x)->len : (*y)->len;
    const int order = memcmp((*x)->str, (*y)->str, n);
    return order != 0 ? order : ((*x)->len > (*y)->len) - ((*x)->len < (*y)->len);
}

/* A member, or a field with the value behind it: the first of each decides. */
static void sort(redisReply *r, size_t width)
{
    if (r->elements > 0)
        qsort(r->element, r->elements / width, width * sizeof(struct redisReply *), by_text);
}

bool rebalance_copies_equal(redisReply *a, redisReply *b, size_t width)
{
    if (a->type != REDIS_REPLY_ARRAY || b->type != REDIS_REPLY_ARRAY ||
        a->elements != b->elements || a->elements % width != 0)
        return false;
    sort(a, width);
    sort(b, width);
    for (size_t i = 0; i < a->elements; i++)
        if (by_text(&a->element[i], &b->element[i]) != 0)
            return false;
    return true;
}

enum pr_code rebalance_copy_append(const struct rebalance_copy_at *at, int argc,
                                   const char *const *argv, const size_t *len, struct pr_err *err)
{
    static const char *const ASKING[] = { "ASKING" };
    const enum pr_code rc = at->asking ? pr_redis_append(at->conn, 1, ASKING, NULL, err) : PR_OK;
    return rc == PR_OK ? pr_redis_append(at->conn, argc, argv, len, err) : rc;
}

enum pr_code rebalance_copy_read(const struct rebalance_copy_at *at, redisReply **out,
                                 struct pr_err *err)
{
    redisReply *first = NULL;
    *out = NULL;
    enum pr_code rc = at->asking ? pr_redis_reply(at->conn, &first, err) : PR_OK;
    if (first != NULL)
        freeReplyObject(first);
    if (rc == PR_OK)
        rc = pr_redis_reply(at->conn, out, err);
    return rc == PR_OK ? pr_redis_reply_code(*out, err) : rc;
}

enum pr_code rebalance_copy_ask(const struct rebalance_copy_at *at, int argc,
                                const char *const *argv, const size_t *len, redisReply **out,
                                struct pr_err *err)
{
    *out = NULL;
    const enum pr_code rc = rebalance_copy_append(at, argc, argv, len, err);
    return rc == PR_OK ? rebalance_copy_read(at, out, err) : rc;
}

static const char *all_of(enum rebalance_key_type type)
{
    switch (type) {
    case REBALANCE_TYPE_STRING:
        return "GET";
    case REBALANCE_TYPE_HASH:
        return "HGETALL";
    case REBALANCE_TYPE_SET:
        return "SMEMBERS";
    default:
        return NULL;
    }
}

enum pr_code rebalance_copies_same(const struct rebalance_copy_at *a,
                                   const struct rebalance_copy_at *b, const char *key, size_t len,
                                   enum rebalance_key_type type, bool *same, struct pr_err *err)
{
    const char *const argv[] = { all_of(type), key };
    *same = false;
    if (argv[0] == NULL)
        return PR_OK;
    const size_t lens[] = { strlen(argv[0]), len };
    redisReply *got[2] = { NULL, NULL };
    enum pr_code rc = rebalance_copy_ask(a, 2, argv, lens, &got[0], err);
    if (rc == PR_OK)
        rc = rebalance_copy_ask(b, 2, argv, lens, &got[1], err);
    PR_AUTO(redisReply) *x = got[0];
    PR_AUTO(redisReply) *y = got[1];
    if (rc == PR_EINVAL && strncmp(err->text, "WRONGTYPE", 9) == 0)
        return PR_OK;
    if (rc != PR_OK)
        return rc;
    if (type == REBALANCE_TYPE_STRING)
        *same = x->str != NULL && y->str != NULL && by_text(&x, &y) == 0;
    else
        *same = rebalance_copies_equal(x, y, type == REBALANCE_TYPE_HASH ? 2 : 1);
    return PR_OK;
}

static bool is_number(const redisReply *r)
{
    char *end = NULL;
    if (r->str == NULL || r->len == 0)
        return false;
    (void)strtod(r->str, &end);
    return end == r->str + r->len;
}

/* Of the count of a vertex's writes it is asked elsewhere. */
static bool may_be_counted(const redisReply *field, const redisReply *a, const redisReply *b)
{
    const bool writes = field->len == 2 && memcmp(field->str, "_v", 2) == 0;
    return !writes && by_text(&a, &b) != 0 && is_number(a) && is_number(b);
}

bool rebalance_copies_covers(redisReply *x, redisReply *y)
{
    if (x->type != REDIS_REPLY_ARRAY || y->type != REDIS_REPLY_ARRAY || x->elements % 2 != 0 ||
        y->elements % 2 != 0)
        return false;
    sort(x, 2);
    sort(y, 2);
    size_t i = 0, k = 0;
    while (i < x->elements && k < y->elements) {
        const int order = by_text(&x->element[i], &y->element[k]);
        if (order > 0) /* y's field is not in x */
            return false;
        if (order == 0 && may_be_counted(x->element[i], x->element[i + 1], y->element[k + 1]))
            return false;
        i += 2;
        k += order == 0 ? 2 : 0;
    }
    return k >= y->elements;
}

enum pr_code rebalance_copies_cover(const struct rebalance_copy_at *a,
                                    const struct rebalance_copy_at *b, const char *key, size_t len,
                                    bool *covers, struct pr_err *err)
{
    static const char *const HGETALL = "HGETALL";
    const char *const argv[] = { HGETALL, key };
    const size_t lens[] = { strlen(HGETALL), len };
    redisReply *got[2] = { NULL, NULL };
    enum pr_code rc = rebalance_copy_ask(a, 2, argv, lens, &got[0], err);
    if (rc == PR_OK)
        rc = rebalance_copy_ask(b, 2, argv, lens, &got[1], err);
    PR_AUTO(redisReply) *x = got[0];
    PR_AUTO(redisReply) *y = got[1];
    *covers = false;
    if (rc != PR_OK)
        return rc;
    *covers = rebalance_copies_covers(x, y);
    return PR_OK;
}

/* ASKING before MULTI holds for everything up to EXEC. */
enum pr_code rebalance_copy_unlink(struct pr_redis *conn, bool asking, const char *key, size_t len,
                                   bool *changed, struct pr_err *err)
{
    static const char *const ASKING[] = { "ASKING" }, *const MULTI[] = { "MULTI" },
                             *const EXEC[] = { "EXEC" };
    const char *const argv[] = { "UNLINK", key };
    const size_t lens[] = { 6, len };
    struct pr_err why = { .text = "" };
    enum pr_code rc = asking ? pr_redis_append(conn, 1, ASKING, NULL, err) : PR_OK, first = PR_OK;
    if (rc == PR_OK)
        rc = pr_redis_append(conn, 1, MULTI, NULL, err);
    if (rc == PR_OK)
        rc = pr_redis_append(conn, 2, argv, lens, err);
    if (rc == PR_OK)
        rc = pr_redis_append(conn, 1, EXEC, NULL, err);
    for (int i = asking ? -1 : 0; i < 3 && rc == PR_OK; i++) {
        redisReply *got = NULL;
        rc = pr_redis_reply(conn, &got, err);
        PR_AUTO(redisReply) *r = got;
        if (rc == PR_OK && first == PR_OK)
            first = pr_redis_reply_code(r, &why);
        *changed = rc == PR_OK && i == 2 && r->type == REDIS_REPLY_NIL;
    }
    return rc != PR_OK || first == PR_OK ? rc : pr_fail(err, first, "%s", why.text);
}

/* --- of a primary's writes ----------------------------------------------------------- */

static long long number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at == NULL ? -1 : strtoll(at + strlen(name), NULL, 10);
}

long long rebalance_copies_written(const char *info)
{
    return number_after(info, "master_repl_offset:");
}

void rebalance_copies_forks(const char *info, int64_t now_us, struct rebalance_forks *f)
{
    static const char *const running[] = { "rdb_bgsave_in_progress:1", "aof_rewrite_in_progress:1",
                                           "module_fork_in_progress:1" };
    const long long total = number_after(info, "total_forks:");
    if (total != f->total || f->none_since_us == INT64_MAX)
        f->none_since_us = now_us;
    if (total < 0)
        f->none_since_us = INT64_MAX;
    for (size_t i = 0; i < PR_COUNT(running); i++)
        if (strstr(info, running[i]) != NULL)
            f->none_since_us = INT64_MAX;
    f->total = total;
}

static void history_after(const char *info, const char *name, char out[REBALANCE_ID])
{
    const char *at = strstr(info, name);
    out[0] = '\0';
    if (at != NULL)
        snprintf(out, REBALANCE_ID, "%.40s", at + strlen(name));
}

void rebalance_copies_reign(const char *info, struct rebalance_reign *out)
{
    history_after(info, "master_replid:", out->history);
    history_after(info, "master_replid2:", out->before);
    history_after(info, "run_id:", out->run);
}

struct rebalance_written rebalance_copies_point(const char *info)
{
    struct rebalance_written w = { .offset = rebalance_copies_written(info) };
    if (w.offset >= 0)
        history_after(info, "master_replid:", w.history);
    return w;
}

/* second_repl_offset is the first byte that the old history and the new one do not share. */
bool rebalance_copies_inherited(const char *info, const struct rebalance_written *point)
{
    struct rebalance_reign r;
    rebalance_copies_reign(info, &r);
    return strlen(point->history) == REBALANCE_ID - 1 && strcmp(r.before, point->history) == 0 &&
           point->offset < number_after(info, "second_repl_offset:");
}

long long rebalance_copies_acked(const char *info)
{
    long long least = -1;
    for (const char *p = strstr(info, "state=online"); p != NULL;
         p = strstr(p + 1, "state=online")) {
        const long long at = number_after(p, "offset="), lag = number_after(p, "lag=");
        if (lag <= MAX_LAG_S && (least < 0 || at < least))
            least = at;
    }
    return least;
}
