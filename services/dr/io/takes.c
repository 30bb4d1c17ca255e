#include "io/takes.h"

#include "io/catalog.h"

#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct move { /* a number's objects, and what they say */
    uint64_t number;
    const struct dr_object *copy[DR_GIVES_COPIES]; /* NULL: it is not in the bucket */
    bool damaged[DR_GIVES_COPIES];
    bool sound;
    struct dr_gives gives; /* sound: by the first copy that is */
};

struct reading {
    struct dr_objects found;
    struct move *move; /* [n] by number */
    size_t n;
};

enum { THREADS = 16, TRIES = 2 };

static enum pr_code get(struct pr_s3 *s3, const struct dr_object *o, struct dr_gives *out,
                        struct pr_err *err)
{
    if (o->size == 0 || o->size > DR_GIVES_MAX)
        return pr_fail(err, PR_EDATA, "%llu bytes", (unsigned long long)o->size);
    char *text = malloc((size_t)o->size);
    if (text == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %s", o->key);
    enum pr_code rc = pr_s3_get(s3, o->key, 0, text, (size_t)o->size, NULL, err);
    if (rc == PR_OK)
        rc = dr_gives_parse(text, (size_t)o->size, out, err);
    free(text);
    return rc;
}

/* The first copy that is sound. What looks damaged is read once more: it may have been on the way.
 */
static enum pr_code read_one(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct move *m = &((struct reading *)ctx)->move[i];
    for (size_t c = 0; c < DR_GIVES_COPIES && !m->sound; c++) {
        const struct dr_object *o = m->copy[c];
        enum pr_code rc = o != NULL ? get(s3, o, &m->gives, err) : PR_ENOTFOUND;
        for (int again = 1; again < TRIES && rc == PR_EDATA; again++)
            rc = get(s3, o, &m->gives, err);
        if (rc != PR_OK && rc != PR_EDATA && rc != PR_ENOTFOUND)
            return o != NULL ? pr_wrap(err, rc, "%s", o->key) : rc;
        m->sound = rc == PR_OK;
        m->damaged[c] = rc == PR_EDATA;
        if (rc == PR_ENOTFOUND)
            m->copy[c] = NULL;
    }
    return PR_OK;
}

static enum pr_code list_all(const struct pr_s3_store *store, const char *cluster,
                             struct reading *r, struct pr_err *err)
{
    char prefix[DR_KEY];
    struct pr_s3 *s3 = NULL;
    (void)snprintf(prefix, sizeof prefix, "%s/map/", cluster);
    enum pr_code rc = pr_s3_open(store, NULL, &s3, err);
    if (rc == PR_OK)
        rc = dr_catalog_list(s3, prefix, "", 0, &r->found, err);
    pr_s3_close(s3);
    r->move = rc == PR_OK ? calloc(r->found.n + 1, sizeof *r->move) : NULL;
    if (rc == PR_OK && r->move == NULL)
        rc = pr_fail(err, PR_ENOMEM, "no memory for %zu moves of slots", r->found.n);
    for (size_t i = 0; rc == PR_OK && i < r->found.n; i++) {
        struct dr_key k;
        if (!dr_key_parse(r->found.object[i].key, &k) || k.kind != DR_KEY_MAP ||
            k.seq >= DR_GIVES_COPIES)
            continue;
        if (r->n == 0 || r->move[r->n - 1].number != k.epoch)
            r->move[r->n++].number = k.epoch;
        r->move[r->n - 1].copy[k.seq] = &r->found.object[i];
    }
    return rc;
}

static void apply(const struct move *m, const char (*shard)[DR_NAME], size_t shards,
                  struct dr_takes *out)
{
    size_t i = 0;
    while (i < shards && strcmp(shard[i], m->gives.taker) != 0)
        i++;
    for (int s = 0; i < shards && s < DR_SLOTS; s++)
        if ((m->gives.slots[s / 8] >> s % 8 & 1) != 0 && m->number > out->number[i][s])
            out->number[i][s] = m->number;
}

static enum pr_code name_one(const struct move *m, const char *cluster, size_t copy,
                             struct dr_takes *out, struct pr_err *err)
{
    struct dr_key k = { .kind = DR_KEY_MAP, .epoch = m->number, .seq = copy };
    char key[DR_KEY];
    (void)snprintf(k.cluster, sizeof k.cluster, "%s", cluster);
    const enum pr_code rc = dr_key_print(&k, key, err);
    if (rc != PR_OK)
        return rc;
    pr_warn(PR_EV("dr.restore_map"), PR_S("object", key),
            PR_S("is", m->damaged[copy] ? "damaged" : "missing"),
            PR_S("so", m->sound ? "its copy is used" : "nobody knows who took these slots"));
    pr_buf_printf(&out->damaged, "%s\n", key);
    out->objects++;
    return PR_OK;
}

/* Of those written before there were copies the second is not missing. */
static enum pr_code name_damaged(const struct move *m, const char *cluster, struct dr_takes *out,
                                 struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t c = 0; c < DR_GIVES_COPIES && rc == PR_OK; c++)
        if (m->damaged[c] || (c == 0 && m->copy[c] == NULL))
            rc = name_one(m, cluster, c, out, err);
    if (!m->sound && m->number > out->unread)
        out->unread = m->number;
    return rc;
}

enum pr_code dr_takes_read(const struct pr_s3_store *store, const char *cluster,
                           const char (*shard)[DR_NAME], size_t shards, int64_t until_ms,
                           struct dr_takes *out, struct pr_err *err)
{
    struct reading r = { .n = 0 };
    *out = (struct dr_takes){ .number = calloc(shards + 1, sizeof *out->number) };
    pr_buf_init(&out->damaged, 0);
    enum pr_code rc = out->number != NULL ? list_all(store, cluster, &r, err)
                                          : pr_fail(err, PR_ENOMEM, "no memory for slots");
    if (rc == PR_OK)
        rc = dr_each(store, NULL, THREADS, r.n, read_one, &r, err);
    for (size_t i = 0; rc == PR_OK && i < r.n; i++) {
        rc = name_damaged(&r.move[i], cluster, out, err);
        if (r.move[i].sound && r.move[i].gives.at_ms <= until_ms)
            apply(&r.move[i], shard, shards, out);
    }
    if (rc == PR_OK && out->damaged.failed)
        rc = pr_fail(err, PR_ENOMEM, "no memory for names of damaged objects");
    free(r.move);
    dr_objects_done(&r.found);
    return rc;
}

void dr_takes_done(struct dr_takes *t)
{
    free(t->number);
    pr_buf_done(&t->damaged);
    *t = (struct dr_takes){ .objects = 0 };
}
