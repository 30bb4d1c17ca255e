#include "io/catalog.h"

#include "format/manifest.h"

#include "prism/io/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_LOOK = 32 << 10, THREADS = 16, MANIFEST_MAX = 64 << 20 };

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
        g->failed = more == NULL;
        if (g->failed)
            return false;
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

static bool see_object(void *ctx, const struct pr_s3_entry *e)
{
    struct listing *l = ctx;
    struct dr_objects *o = l->out;
    struct dr_key k;
    if (!dr_key_parse(e->key, &k))
        return true; /* not ours */
    if (o->n == o->room) {
        const size_t room = o->room == 0 ? 256 : 2 * o->room;
        struct dr_object *more = realloc(o->object, room * sizeof *more);
        l->failed = more == NULL;
        if (l->failed)
            return false;
        o->object = more;
        o->room = room;
    }
    struct dr_object *one = &o->object[o->n++];
    (void)snprintf(one->key, DR_KEY, "%s", e->key);
    one->size = e->size_bytes;
    one->modified_ms = e->modified_ms;
    return o->n != l->most;
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

struct reading {
    const struct dr_objects *from;
    const char *group;
    bool (*wanted)(void *ctx, const struct dr_piece *p);
    void *ctx;
    pthread_mutex_t mu;
    struct dr_pieces *out;
};

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

static enum pr_code keep(struct reading *r, const struct dr_container *c, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    pthread_mutex_lock(&r->mu);
    for (size_t i = 0; rc == PR_OK && i < c->pieces; i++) {
        struct dr_pieces *o = r->out;
        if (r->wanted != NULL && !r->wanted(r->ctx, &c->piece[i]))
            continue;
        if (o->n == o->room && !grow(o)) {
            rc = pr_fail(err, PR_ENOMEM, "no memory for the pieces of group %s", r->group);
            break;
        }
        o->piece[o->n] = (struct dr_located){
            .piece = c->piece[i], .epoch = c->epoch, .seq = c->seq, .index = i
        };
        (void)snprintf(o->group[o->n++], DR_NAME, "%s", r->group);
    }
    pthread_mutex_unlock(&r->mu);
    return rc;
}

static enum pr_code read_head(struct pr_s3 *s3, const struct dr_object *o, struct dr_container *c,
                              struct pr_err *err)
{
    uint8_t check[DR_HASH];
    size_t n = o->size < FIRST_LOOK ? (size_t)o->size : FIRST_LOOK, need = 0;
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
enum pr_code dr_catalog_head(struct pr_s3 *s3, const struct dr_object *o, struct dr_container *c,
                             struct pr_err *err)
{
    const enum pr_code rc = read_head(s3, o, c, err);
    return rc == PR_EDATA ? read_head(s3, o, c, err) : rc;
}

static enum pr_code read_one(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct reading *r = ctx;
    const struct dr_object *o = &r->from->object[i];
    struct dr_container c = { .piece = NULL };
    enum pr_code rc = dr_catalog_head(s3, o, &c, err);
    if (rc == PR_EDATA || rc == PR_ENOTFOUND) {
        pr_warn(PR_EV("dr.container_unreadable"), PR_S("key", o->key), PR_E(err));
        return PR_OK;
    }
    if (rc == PR_OK)
        rc = keep(r, &c, err);
    free(c.piece);
    return rc;
}

enum pr_code dr_catalog_group(const struct pr_s3_store *store, const atomic_bool *cancel,
                              const char *cluster, const char *group, const char *after,
                              bool (*wanted)(void *ctx, const struct dr_piece *p), void *ctx,
                              struct dr_pieces *out, struct pr_err *err)
{
    struct dr_objects found = { .n = 0 };
    struct pr_s3 *s3 = NULL;
    char prefix[DR_KEY];
    struct reading r = { .from = &found, .group = group, .wanted = wanted, .ctx = ctx, .out = out };
    (void)snprintf(prefix, sizeof prefix, "%s/log/%s/", cluster, group);
    enum pr_code rc = pr_s3_open(store, cancel, &s3, err);
    if (rc == PR_OK)
        rc = dr_catalog_list(s3, prefix, after, 0, &found, err);
    pr_s3_close(s3);
    pthread_mutex_init(&r.mu, NULL);
    if (rc == PR_OK)
        rc = dr_each(store, cancel, THREADS, found.n, read_one, &r, err);
    pthread_mutex_destroy(&r.mu);
    dr_objects_done(&found);
    return rc;
}

static bool of_shard(void *ctx, const struct dr_piece *p)
{
    return strcmp(*(const char *const *)ctx, p->shard) == 0;
}

enum pr_code dr_catalog_pieces(const struct pr_s3_store *store, struct pr_s3 *s3,
                               const atomic_bool *cancel, const char *cluster, const char *shard,
                               struct dr_pieces *out, struct pr_err *err)
{
    struct dr_names groups;
    enum pr_code rc = dr_catalog_groups(s3, cluster, &groups, err);
    for (size_t i = 0; rc == PR_OK && i < groups.n; i++)
        rc = dr_catalog_group(store, cancel, cluster, groups.name[i], "",
                              shard != NULL ? of_shard : NULL, &shard, out, err);
    dr_names_done(&groups);
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

static enum pr_code skip_manifest(const char *key, struct dr_generation_ids *damaged,
                                  struct pr_err *err)
{
    struct dr_key k;
    pr_warn(PR_EV("dr.manifest_unreadable"), PR_S("key", key), PR_E(err));
    if (damaged == NULL || err->code != PR_EDATA || !dr_key_parse(key, &k))
        return PR_OK;
    struct dr_generation_id *more = realloc(damaged->id, (damaged->n + 1) * sizeof *more);
    if (more == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the generations of shard %s", k.name);
    damaged->id = more;
    more[damaged->n++] = k.generation;
    return PR_OK;
}

enum pr_code dr_catalog_generations(struct pr_s3 *s3, const char *cluster, const char *shard,
                                    struct dr_generation **out, size_t *n,
                                    struct dr_generation_ids *damaged, struct pr_err *err)
{
    struct dr_objects found = { .n = 0 };
    char prefix[DR_KEY];
    *n = 0;
    if (damaged != NULL)
        *damaged = (struct dr_generation_ids){ .n = 0 };
    (void)snprintf(prefix, sizeof prefix, "%s/gen/%s/", cluster, shard);
    enum pr_code rc = dr_catalog_list(s3, prefix, "", 0, &found, err);
    *out = rc == PR_OK ? calloc(found.n + 1, sizeof **out) : NULL;
    if (rc == PR_OK && *out == NULL)
        rc = pr_fail(err, PR_ENOMEM, "no memory for the generations of shard %s", shard);
    for (size_t i = 0; rc == PR_OK && i < found.n; i++) {
        rc = dr_catalog_manifest(s3, found.object[i].key, &(*out)[*n], err);
        *n += rc == PR_OK;
        if (rc == PR_EDATA || rc == PR_ENOTFOUND)
            rc = skip_manifest(found.object[i].key, damaged, err);
    }
    dr_objects_done(&found);
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
