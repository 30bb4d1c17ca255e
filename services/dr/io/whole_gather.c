#include "io/whole_private.h"

#include "prism/slot.h"

#include <stdlib.h>

struct kept {                             /* a key whose owner does not run now */
    size_t owner, key, key_len, dump_len; /* the dump is behind the key in text */
    long long expires_ms;                 /* 0: never */
};

struct gather {
    struct dr_whole_run *r;
    size_t shard;
    struct kept *kept; /* [n] */
    size_t n, room;
    struct pr_buf text;
};

static enum pr_code restore_key(struct dr_whole_run *r, size_t to, const char *key, size_t key_len,
                                const char *dump, size_t dump_len, long long expires_ms,
                                struct pr_err *err)
{
    PR_AUTO(redisReply) *put = NULL;
    return pr_redis_command(r->conn[to], &put, err, "RESTORE %b %lld %b REPLACE ABSTTL", key,
                            key_len, expires_ms, dump, dump_len);
}

static enum pr_code keep(struct gather *g, size_t owner, const redisReply *key,
                         const redisReply *dump, long long expires_ms, struct pr_err *err)
{
    if (g->n == g->room) {
        const size_t room = g->room == 0 ? 64 : 2 * g->room;
        struct kept *more = realloc(g->kept, room * sizeof *more);
        if (more == NULL)
            return pr_fail(err, PR_ENOMEM, "no memory for keys of slots that were being moved");
        g->kept = more;
        g->room = room;
    }
    g->kept[g->n++] = (struct kept){ owner, g->text.len, key->len, dump->len, expires_ms };
    pr_buf_add(&g->text, key->str, key->len);
    pr_buf_add(&g->text, dump->str, dump->len);
    return g->text.failed
               ? pr_fail(err, PR_ENOMEM, "no memory for keys of slots that were being moved")
               : PR_OK;
}

/* An owner that is of another wave gets it at the end: what is wrong there is dropped first. */
static enum pr_code hand_over(struct gather *g, const redisReply *key, size_t to,
                              struct pr_err *err)
{
    PR_AUTO(redisReply) *expires = NULL, *dump = NULL, *gone = NULL;
    struct dr_whole_run *r = g->r;
    struct pr_redis *from = r->conn[g->shard];
    enum pr_code rc = pr_redis_command(from, &expires, err, "PEXPIRETIME %b", key->str, key->len);
    if (rc == PR_OK)
        rc = pr_redis_command(from, &dump, err, "DUMP %b", key->str, key->len);
    if (rc != PR_OK || dump->type != REDIS_REPLY_STRING) /* nil: its time is up */
        return rc;
    const long long at_ms = expires->integer > 0 ? expires->integer : 0;
    rc = r->conn[to] != NULL
             ? restore_key(r, to, key->str, key->len, dump->str, dump->len, at_ms, err)
             : keep(g, to, key, dump, at_ms, err);
    if (rc == PR_OK)
        rc = pr_redis_command(from, &gone, err, "UNLINK %b", key->str, key->len);
    r->out->gathered += rc == PR_OK;
    return rc;
}

static enum pr_code gather_page(void *ctx, const redisReply *keys, struct pr_err *err)
{
    struct gather *g = ctx;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < keys->elements && rc == PR_OK; i++) {
        const redisReply *k = keys->element[i];
        const size_t owner = (size_t)g->r->owner[pr_slot_of_key(k->str, k->len)];
        if (owner != g->shard)
            rc = hand_over(g, k, owner, err);
    }
    return rc;
}

static enum pr_code take_out(struct dr_whole_run *r, void *ctx, struct pr_err *err)
{
    struct gather *g = ctx;
    enum pr_code rc = dr_wave_mend(r, err);
    for (g->shard = r->from; g->shard < r->to && rc == PR_OK; g->shard++)
        rc = dr_scan(r->conn[g->shard], r->w->cancel, gather_page, g, err);
    return rc;
}

static bool gets_some(const struct dr_whole_run *r, const void *ctx, size_t shard)
{
    const struct gather *g = ctx;
    (void)r;
    for (size_t i = 0; i < g->n; i++)
        if (g->kept[i].owner == shard)
            return true;
    return false;
}

static enum pr_code put_in(struct dr_whole_run *r, void *ctx, struct pr_err *err)
{
    const struct gather *g = ctx;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < g->n && rc == PR_OK; i++) {
        const struct kept *k = &g->kept[i];
        const char *key = g->text.data + k->key;
        if (r->conn[k->owner] != NULL)
            rc = restore_key(r, k->owner, key, k->key_len, key + k->key_len, k->dump_len,
                             k->expires_ms, err);
    }
    return rc;
}

static bool here(const struct dr_whole_run *r, size_t shard)
{
    return shard >= r->out->first && shard < r->out->last;
}

static enum pr_code take_keys(void *ctx, const char *data, size_t n, struct pr_err *err)
{
    struct gather *g = ctx;
    struct dr_reader in = { data, data + n, 0 };
    enum pr_code rc = PR_OK;
    while (in.at < in.end && rc == PR_OK) {
        const size_t owner = dr_read_u64(&in);
        const long long expires_ms = (long long)dr_read_u64(&in);
        redisReply key = { .len = dr_read_u64(&in) }, dump = { .len = dr_read_u64(&in) };
        key.str = (char *)(uintptr_t)dr_read_bytes(&in, key.len);
        dump.str = (char *)(uintptr_t)dr_read_bytes(&in, dump.len);
        if (in.failed)
            rc = pr_fail(err, PR_EDATA, "keys of another part are cut short");
        else if (here(g->r, owner))
            rc = keep(g, owner, &key, &dump, expires_ms, err);
    }
    return rc;
}

/* Keys whose owner another part has, and those that others have for us. */
static enum pr_code exchange_keys(struct gather *g, struct pr_err *err)
{
    const struct dr_exchange *x = &g->r->exchange;
    struct pr_buf b;
    if (x->dir == NULL)
        return PR_OK;
    pr_buf_init(&b, 0);
    for (size_t i = 0; i < g->n; i++) {
        const struct kept *k = &g->kept[i];
        if (here(g->r, k->owner))
            continue;
        pr_buf_u64le(&b, k->owner);
        pr_buf_u64le(&b, (uint64_t)k->expires_ms);
        pr_buf_u64le(&b, k->key_len);
        pr_buf_u64le(&b, k->dump_len);
        pr_buf_add(&b, g->text.data + k->key, k->key_len + k->dump_len);
    }
    const enum pr_code rc = dr_exchange_put(x, "keys", &b, err);
    pr_buf_done(&b);
    return rc == PR_OK ? dr_exchange_take(x, "keys", take_keys, g, err) : rc;
}

/* Few: those of slots that were being moved. */
enum pr_code dr_whole_gather(struct dr_whole_run *r, struct pr_err *err)
{
    struct gather g = { .r = r };
    pr_buf_init(&g.text, 0);
    enum pr_code rc = dr_wave_each(r, NULL, NULL, take_out, &g, err);
    if (rc == PR_OK)
        rc = exchange_keys(&g, err);
    if (rc == PR_OK)
        rc = dr_wave_each(r, gets_some, NULL, put_in, &g, err);
    free(g.kept);
    pr_buf_done(&g.text);
    return rc;
}
