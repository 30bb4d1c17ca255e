#include "io/takes.h"

#include "io/each.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading { /* what is listed, then fetched: a connection is for one thing at a time */
    struct found {
        uint64_t number, size;
    } * found;
    size_t n, room;
    bool failed;
    const char *cluster;
    struct dr_gives *gives; /* [n] */
};

enum { THREADS = 16 };

static bool list_one(void *ctx, const struct pr_s3_entry *e)
{
    struct reading *r = ctx;
    struct dr_key k;
    if (!dr_key_parse(e->key, &k) || k.kind != DR_KEY_MAP)
        return true;
    if (r->n == r->room) {
        struct found *more = realloc(r->found, (2 * r->room + 64) * sizeof *more);
        r->failed = more == NULL;
        if (r->failed)
            return false;
        r->found = more;
        r->room = 2 * r->room + 64;
    }
    r->found[r->n++] = (struct found){ k.epoch, e->size_bytes };
    return true;
}

static enum pr_code fetch(struct pr_s3 *s3, const char *cluster, const struct found *f,
                          struct dr_gives *out, struct pr_err *err)
{
    struct dr_key k = { .kind = DR_KEY_MAP, .epoch = f->number };
    char key[DR_KEY];
    (void)snprintf(k.cluster, sizeof k.cluster, "%s", cluster);
    enum pr_code rc = dr_key_print(&k, key, err);
    if (rc == PR_OK && (f->size == 0 || f->size > DR_GIVES_MAX))
        rc = pr_fail(err, PR_EDATA, "%s: %llu bytes", key, (unsigned long long)f->size);
    char *text = rc == PR_OK ? malloc((size_t)f->size) : NULL;
    if (rc == PR_OK && text == NULL)
        rc = pr_fail(err, PR_ENOMEM, "no memory for %s", key);
    if (rc == PR_OK)
        rc = pr_s3_get(s3, key, 0, text, (size_t)f->size, NULL, err);
    if (rc == PR_OK && dr_gives_parse(text, (size_t)f->size, out, err) != PR_OK)
        rc = pr_wrap(err, err->code, "%s", key);
    free(text);
    return rc;
}

static void apply(const struct dr_gives *g, uint64_t number, const char (*shard)[DR_NAME],
                  size_t shards, struct dr_takes *out)
{
    size_t i = 0;
    while (i < shards && strcmp(shard[i], g->taker) != 0)
        i++;
    for (int s = 0; i < shards && s < DR_SLOTS; s++)
        if ((g->slots[s / 8] >> s % 8 & 1) != 0 && number > out->number[i][s])
            out->number[i][s] = number;
}

static enum pr_code fetch_one(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct reading *r = ctx;
    return fetch(s3, r->cluster, &r->found[i], &r->gives[i], err);
}

static enum pr_code list_all(const struct pr_s3_store *store, struct reading *r, struct pr_err *err)
{
    char prefix[DR_KEY];
    struct pr_s3 *s3 = NULL;
    const struct pr_s3_list what = { .prefix = prefix };
    (void)snprintf(prefix, sizeof prefix, "%s/map/", r->cluster);
    enum pr_code rc = pr_s3_open(store, NULL, &s3, err);
    if (rc == PR_OK)
        rc = pr_s3_list(s3, &what, list_one, r, err);
    pr_s3_close(s3);
    if (rc == PR_OK && r->failed)
        rc = pr_fail(err, PR_ENOMEM, "no memory for %zu moves of slots", r->n);
    return rc;
}

enum pr_code dr_takes_read(const struct pr_s3_store *store, const char *cluster,
                           const char (*shard)[DR_NAME], size_t shards, int64_t until_ms,
                           struct dr_takes *out, struct pr_err *err)
{
    struct reading r = { .cluster = cluster };
    out->number = calloc(shards + 1, sizeof *out->number);
    enum pr_code rc = out->number != NULL ? list_all(store, &r, err)
                                          : pr_fail(err, PR_ENOMEM, "no memory for slots");
    if (rc == PR_OK && (r.gives = calloc(r.n + 1, sizeof *r.gives)) == NULL)
        rc = pr_fail(err, PR_ENOMEM, "no memory for %zu moves of slots", r.n);
    if (rc == PR_OK)
        rc = dr_each(store, NULL, THREADS, r.n, fetch_one, &r, err);
    for (size_t i = 0; rc == PR_OK && i < r.n; i++)
        if (r.gives[i].at_ms <= until_ms)
            apply(&r.gives[i], r.found[i].number, shard, shards, out);
    free(r.gives);
    free(r.found);
    return rc;
}

void dr_takes_done(struct dr_takes *t)
{
    free(t->number);
    t->number = NULL;
}
