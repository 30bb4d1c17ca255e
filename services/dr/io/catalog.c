#include "io/catalog.h"

#include "format/manifest.h"

#include "prism/io/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As many at a time as S3 may be asked for one prefix: 64 of 20 ms are 3,200 a second. A head of 16
 * pieces is 4 KB. */
enum { FIRST_LOOK = 4 << 10, THREADS = 64, FEW = 8, MANIFEST_MAX = 64 << 20 };

/* --- names below a prefix ---------------------------------------------------------------- */

void dr_names_done(struct dr_names *n)
{
    free(n->name);
    *n = (struct dr_names){ .n = 0 };
}

struct naming {
    struct dr_names *out;
    size_t skip; /* bytes of the prefix */
    bool failed;
};

static bool see_name(void *ctx, const struct pr_s3_entry *e)
{
    struct naming *g = ctx;
    struct dr_names *o = g->out;
    const size_t len = strcspn(e->key + g->skip, "/");
    if (!e->folded || len == 0 || len >= DR_NAME)
        return true;
    if (o->n == o->room) {
        const size_t room = o->room == 0 ? 64 : 2 * o->room;
        void *more = realloc(o->name, room * sizeof *o->name);
        if (more == NULL) {
            g->failed = true;
            return false;
        }
        o->name = more;
        o->room = room;
    }
    memcpy(o->name[o->n], e->key + g->skip, len);
    o->name[o->n++][len] = '\0';
    return true;
}

static enum pr_code names_below(struct pr_s3 *s3, const char *cluster, const char *kind,
                                struct dr_names *out, struct pr_err *err)
{
    char prefix[DR_KEY];
    *out = (struct dr_names){ .n = 0 };
    struct naming g = { .out = out };
    g.skip = (size_t)snprintf(prefix, sizeof prefix, "%s/%s/", cluster, kind);
    const struct pr_s3_list what = { .prefix = prefix, .delimiter = "/" };
    enum pr_code rc = pr_s3_list(s3, &what, see_name, &g, err);
    if (rc == PR_OK && g.failed)
        rc = pr_fail(err, PR_ENOMEM, "no memory for the names below %s", prefix);
    if (rc != PR_OK)
        dr_names_done(out);
    return rc;
}

enum pr_code dr_catalog_groups(struct pr_s3 *s3, const char *cluster, struct dr_names *out,
                               struct pr_err *err)
{
    return names_below(s3, cluster, "log", out, err);
}

enum pr_code dr_catalog_shards(struct pr_s3 *s3, const char *cluster, struct dr_names *out,
                               struct pr_err *err)
{
    return names_below(s3, cluster, "gen", out, err);
}

enum pr_code dr_catalog_based(struct pr_s3 *s3, const char *cluster, struct dr_names *out,
                              struct pr_err *err)
{
    return names_below(s3, cluster, "base", out, err);
}

/* --- keys below a prefix ------------------------------------------------------------------ */

void dr_objects_done(struct dr_objects *o)
{
    free(o->object);
    *o = (struct dr_objects){ .n = 0 };
}

struct listing {
    struct dr_objects *out;
    size_t most;
    bool failed;
};

struct dr_object *dr_objects_add(struct dr_objects *o)
{
    if (o->n == o->room) {
        const size_t room = o->room == 0 ? 256 : 2 * o->room;
        struct dr_object *more = realloc(o->object, room * sizeof *more);
        if (more == NULL)
            return NULL;
        o->object = more;
        o->room = room;
    }
    return &o->object[o->n++];
}

static bool see_object(void *ctx, const struct pr_s3_entry *e)
{
    struct listing *l = ctx;
    struct dr_key k;
    if (!dr_key_parse(e->key, &k))
        return true; /* not ours */
    struct dr_object *one = dr_objects_add(l->out);
    l->failed = one == NULL;
    if (l->failed)
        return false;
    (void)snprintf(one->key, DR_KEY, "%s", e->key);
    one->size = e->size_bytes;
    one->modified_ms = e->modified_ms;
    return l->out->n != l->most;
}

enum pr_code dr_catalog_list(struct pr_s3 *s3, const char *prefix, const char *after, size_t most,
                             struct dr_objects *out, struct pr_err *err)
{
    const struct pr_s3_list what = { .prefix = prefix, .start_after = after };
    struct listing l = { .out = out, .most = most };
    *out = (struct dr_objects){ .n = 0 };
    enum pr_code rc = pr_s3_list(s3, &what, see_object, &l, err);
    if (rc == PR_OK && l.failed)
        rc = pr_fail(err, PR_ENOMEM, "no memory for the names below %s", prefix);
    if (rc != PR_OK)
        dr_objects_done(out);
    return rc;
}

/* --- heads of containers -------------------------------------------------------------------- */

void dr_pieces_done(struct dr_pieces *p)
{
    free(p->piece);
    free(p->group);
    *p = (struct dr_pieces){ .n = 0 };
}

static bool grow(struct dr_pieces *p)
{
    const size_t room = p->room == 0 ? 1024 : 2 * p->room;
    struct dr_located *piece = realloc(p->piece, room * sizeof *piece);
    if (piece != NULL)
        p->piece = piece;
    void *group = piece == NULL ? NULL : realloc(p->group, room * sizeof *p->group);
    if (group == NULL)
        return false;
    p->group = group;
    p->room = room;
    return true;
}

enum pr_code dr_pieces_add(struct dr_pieces *o, const char *group, const struct dr_container *c,
                           size_t i, struct pr_err *err)
{
    if (o->n == o->room && !grow(o))
        return pr_fail(err, PR_ENOMEM, "no memory for the pieces of group %s", group);
    o->piece[o->n] =
        (struct dr_located){ .piece = c->piece[i], .epoch = c->epoch, .seq = c->seq, .index = i };
    (void)snprintf(o->group[o->n++], DR_NAME, "%s", group);
    return PR_OK;
}

static enum pr_code read_head(struct pr_s3 *s3, const struct dr_object *o, size_t first,
                              struct dr_container *c, struct pr_err *err)
{
    uint8_t check[DR_HASH];
    size_t n = o->size < first ? (size_t)o->size : first, need = 0;
    if (o->size == 0)
        return pr_fail(err, PR_EDATA, "%s is empty", o->key);
    for (;;) {
        char *data = malloc(n);
        if (data == NULL)
            return pr_fail(err, PR_ENOMEM, "no memory for the head of %s", o->key);
        enum pr_code rc = pr_s3_get(s3, o->key, 0, data, n, NULL, err);
        if (rc == PR_OK)
            rc = dr_container_read(data, n, o->size, c, check, &need, err);
        free(data);
        if (rc != PR_OK || need <= n)
            return rc;
        n = need;
    }
}

/* What is damaged is read once more: it may have been on the way. */
enum pr_code dr_catalog_head(struct pr_s3 *s3, const struct dr_object *o, size_t first,
                             struct dr_container *c, struct pr_err *err)
{
    const enum pr_code rc = read_head(s3, o, first, c, err);
    return rc == PR_EDATA ? read_head(s3, o, first, c, err) : rc;
}

struct reading {
    const struct dr_objects *from;
    dr_head_fn *each;
    void *ctx;
    atomic_size_t look; /* what the largest head so far took */
    pthread_mutex_t mu;
};

static enum pr_code read_one(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct reading *r = ctx;
    const struct dr_object *o = &r->from->object[i];
    struct dr_container c = { .piece = NULL };
    enum pr_code rc = dr_catalog_head(s3, o, atomic_load(&r->look), &c, err);
    const bool unreadable = rc == PR_EDATA || rc == PR_ENOTFOUND;
    if (unreadable)
        pr_warn(PR_EV("dr.container_unreadable"), PR_S("key", o->key), PR_E(err));
    else if (rc != PR_OK)
        return rc;
    const size_t took = unreadable ? 0 : dr_container_head_bytes(c.pieces);
    pthread_mutex_lock(&r->mu);
    if (took > atomic_load(&r->look)) /* the next ones are as large, as likely as not */
        atomic_store(&r->look, took);
    rc = r->each(r->ctx, i, unreadable ? NULL : &c, err);
    pthread_mutex_unlock(&r->mu);
    free(c.piece);
    return rc;
}

enum pr_code dr_catalog_heads(const struct pr_s3_store *store, const atomic_bool *cancel,
                              const struct dr_objects *of, dr_head_fn *each, void *ctx,
                              struct pr_err *err)
{
    struct reading r = { .from = of, .each = each, .ctx = ctx, .look = FIRST_LOOK };
    pthread_mutex_init(&r.mu, NULL);
    const size_t threads = 1 + of->n / FEW; /* a connection for a few takes longer than they do */
    const enum pr_code rc = dr_each(store, cancel, threads < THREADS ? (unsigned)threads : THREADS,
                                    of->n, read_one, &r, err);
    pthread_mutex_destroy(&r.mu);
    return rc;
}

/* --- generations ---------------------------------------------------------------------------- */

static enum pr_code read_manifest(struct pr_s3 *s3, const char *key, struct dr_generation *out,
                                  struct pr_err *err)
{
    struct pr_buf json;
    pr_buf_init(&json, MANIFEST_MAX);
    enum pr_code rc = pr_s3_read(s3, key, &json, NULL, err);
    if (rc == PR_OK)
        rc = dr_generation_read(json.data, json.len, out, err);
    pr_buf_done(&json);
    return rc;
}

enum pr_code dr_catalog_manifest(struct pr_s3 *s3, const char *key, struct dr_generation *out,
                                 struct pr_err *err)
{
    const enum pr_code rc = read_manifest(s3, key, out, err);
    return rc == PR_EDATA ? read_manifest(s3, key, out, err) : rc;
}

enum pr_code dr_catalog_generations(struct pr_s3 *s3, const char *cluster, const char *shard,
                                    struct dr_generation **out, size_t *n, struct pr_err *err)
{
    struct dr_objects found = { .n = 0 };
    *n = 0;
    enum pr_code rc = dr_catalog_manifests(s3, cluster, shard, &found, err);
    if (rc == PR_OK)
        rc = dr_catalog_read_manifests(s3, &found, out, n, err);
    dr_objects_done(&found);
    return rc;
}

enum pr_code dr_catalog_manifests(struct pr_s3 *s3, const char *cluster, const char *shard,
                                  struct dr_objects *out, struct pr_err *err)
{
    char prefix[DR_KEY];
    (void)snprintf(prefix, sizeof prefix, "%s/gen/%s/", cluster, shard);
    return dr_catalog_list(s3, prefix, "", 0, out, err);
}

enum pr_code dr_catalog_read_manifests(struct pr_s3 *s3, const struct dr_objects *found,
                                       struct dr_generation **out, size_t *n, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    *n = 0;
    *out = calloc(found->n + 1, sizeof **out);
    if (*out == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu generations", found->n);
    for (size_t i = 0; rc == PR_OK && i < found->n; i++) {
        rc = dr_catalog_manifest(s3, found->object[i].key, &(*out)[*n], err);
        *n += rc == PR_OK;
        if (rc == PR_EDATA || rc == PR_ENOTFOUND) {
            pr_warn(PR_EV("dr.manifest_unreadable"), PR_S("key", found->object[i].key), PR_E(err));
            rc = PR_OK;
        }
    }
    if (rc != PR_OK) {
        dr_generations_free(*out, *n);
        *out = NULL;
    }
    return rc;
}

void dr_generations_free(struct dr_generation *g, size_t n)
{
    for (size_t i = 0; g != NULL && i < n; i++)
        dr_generation_done(&g[i]);
    free(g);
}
