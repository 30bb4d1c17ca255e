#include "io/retention.h"

#include "io/region/journal.h"
#include "io/region/marker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000, THREADS = 16, HEAD = 4 << 10, PAGE = 10000 };

struct going {
    const struct dr_retain *r;
    struct dr_retained *out;
    struct pr_s3 *s3;
    struct dr_floor *floor; /* [floors] */
    size_t floors;
    char (*key)[DR_KEY]; /* [n] of a batch */
    size_t n;
};

/* --- deleting ------------------------------------------------------------------------------- */

static enum pr_code flush(struct going *g, struct pr_err *err)
{
    const char *key[BATCH];
    const size_t n = g->n;
    g->n = 0;
    if (n == 0 || g->r->dry)
        return PR_OK;
    if (g->r->sure != NULL && !g->r->sure(g->r->ctx))
        return pr_fail(err, PR_EFENCED, "retention: the lease is not ours");
    for (size_t i = 0; i < n; i++)
        key[i] = g->key[i];
    return pr_s3_delete_all(g->s3, key, n, err);
}

static enum pr_code drop(struct going *g, const struct dr_object *o, size_t *count,
                         struct pr_err *err)
{
    ++*count;
    g->out->bytes += o->size;
    if (g->r->goes != NULL)
        g->r->goes(g->r->ctx, o->key);
    memcpy(g->key[g->n++], o->key, DR_KEY);
    return g->n == BATCH ? flush(g, err) : PR_OK;
}

/* --- generations ------------------------------------------------------------------------------ */

static const struct dr_mark *mark_of(const struct dr_retain *r, const struct dr_generation *g)
{
    for (size_t i = 0; i < r->marks; i++)
        if (strcmp(r->mark[i].shard, g->shard) == 0 &&
            dr_generation_compare(&r->mark[i].id, &g->id) == 0)
            return &r->mark[i];
    return NULL;
}

static enum pr_code find_floor(struct going *g, const char *shard, struct pr_err *err)
{
    struct dr_generation *all = NULL;
    size_t n = 0, floors = 0;
    enum pr_code rc = dr_catalog_generations(g->s3, g->r->cluster, shard, &all, &n, err);
    struct dr_kept *kept = rc == PR_OK ? calloc(n + 1, sizeof *kept) : NULL;
    struct dr_floor *floor = rc == PR_OK ? calloc(n + 1, sizeof *floor) : NULL;
    if (rc == PR_OK && (kept == NULL || floor == NULL))
        rc = pr_fail(err, PR_ENOMEM, "no memory for the generations of shard %s", shard);
    for (size_t i = 0; rc == PR_OK && i < n; i++) {
        const struct dr_mark *m = mark_of(g->r, &all[i]);
        kept[i] = (struct dr_kept){ .id = all[i].id,
                                    .begun_ms = all[i].begun_ms,
                                    .ended_ms = all[i].ended_ms,
                                    .verified_ms = m != NULL ? m->verified_ms : 0,
                                    .damaged = m != NULL && m->damaged };
        memcpy(kept[i].shard, all[i].shard, DR_NAME);
    }
    struct dr_floor *f = &g->floor[g->floors++]; /* none, when no manifest can be read */
    (void)snprintf(f->shard, sizeof f->shard, "%s", shard);
    if (rc == PR_OK)
        dr_retention_floors(&g->r->rule, kept, n, floor, &floors);
    if (floors == 1)
        *f = floor[0];
    free(kept);
    free(floor);
    dr_generations_free(all, n);
    return rc;
}

static int by_shard(const void *a, const void *b)
{
    return strcmp(((const struct dr_floor *)a)->shard, ((const struct dr_floor *)b)->shard);
}

static enum pr_code find_floors(struct going *g, const struct dr_names *shards, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    g->floor = calloc(shards->n + 1, sizeof *g->floor);
    if (g->floor == NULL)
        return pr_fail(err, PR_ENOMEM, "retention: no memory for %zu shards", shards->n);
    for (size_t i = 0; rc == PR_OK && i < shards->n; i++)
        rc = find_floor(g, shards->name[i], err);
    if (rc == PR_OK)
        qsort(g->floor, g->floors, sizeof *g->floor, by_shard);
    return rc;
}

static enum pr_code drop_manifests(struct going *g, const char *shard, struct pr_err *err)
{
    struct dr_objects found;
    struct dr_key k;
    char prefix[DR_KEY];
    (void)snprintf(prefix, sizeof prefix, "%s/gen/%s/", g->r->cluster, shard);
    enum pr_code rc = dr_catalog_list(g->s3, prefix, "", 0, &found, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; rc == PR_OK && i < found.n; i++)
        if (dr_key_parse(found.object[i].key, &k) &&
            dr_retention_drops(g->floor, g->floors, shard, &k.generation))
            rc = drop(g, &found.object[i], &g->out->manifests, err);
    dr_objects_done(&found);
    return rc == PR_OK ? flush(g, err) : rc;
}

static bool has_manifest(const struct dr_objects *manifests, const struct dr_generation_id *id)
{
    struct dr_key k;
    for (size_t i = 0; i < manifests->n; i++)
        if (dr_key_parse(manifests->object[i].key, &k) &&
            dr_generation_compare(&k.generation, id) == 0)
            return true;
    return false;
}

/* [from, to): parts of one generation. */
static enum pr_code drop_parts(struct going *g, const char *shard, const struct dr_objects *parts,
                               size_t from, size_t to, const struct dr_objects *manifests,
                               struct pr_err *err)
{
    struct dr_key k;
    int64_t newest_ms = 0;
    enum pr_code rc = PR_OK;
    if (!dr_key_parse(parts->object[from].key, &k))
        return PR_OK;
    for (size_t i = from; i < to; i++)
        if (parts->object[i].modified_ms > newest_ms)
            newest_ms = parts->object[i].modified_ms;
    const bool old = dr_retention_drops(g->floor, g->floors, shard, &k.generation),
               orphan = !has_manifest(manifests, &k.generation) &&
                        dr_retention_orphan(&g->r->rule, newest_ms);
    if (!old && !orphan)
        return PR_OK;
    for (size_t i = from; rc == PR_OK && i < to; i++)
        rc = drop(g, &parts->object[i], old ? &g->out->parts : &g->out->orphans, err);
    return rc;
}

/* Parts are listed before manifests are: a base that was finished between has its manifest. */
static enum pr_code drop_bases(struct going *g, const char *shard, struct pr_err *err)
{
    struct dr_objects parts, manifests = { .n = 0 };
    char prefix[DR_KEY];
    size_t generation = 0; /* bytes of a key up to the end of its generation */
    (void)snprintf(prefix, sizeof prefix, "%s/base/%s/", g->r->cluster, shard);
    generation = strlen(prefix) + DR_GENERATION - 1;
    enum pr_code rc = dr_catalog_list(g->s3, prefix, "", 0, &parts, err);
    if (rc != PR_OK)
        return rc;
    (void)snprintf(prefix, sizeof prefix, "%s/gen/%s/", g->r->cluster, shard);
    rc = dr_catalog_list(g->s3, prefix, "", 0, &manifests, err);
    for (size_t from = 0, to = 0; rc == PR_OK && from < parts.n; from = to) {
        while (to < parts.n &&
               strncmp(parts.object[to].key, parts.object[from].key, generation) == 0)
            to++;
        rc = drop_parts(g, shard, &parts, from, to, &manifests, err);
    }
    dr_objects_done(&parts);
    dr_objects_done(&manifests);
    return rc == PR_OK ? flush(g, err) : rc;
}

/* --- containers ------------------------------------------------------------------------------- */

struct looking {
    struct going *g;
    const struct dr_objects *found;
    enum dr_verdict *verdict; /* [found] */
    atomic_size_t looked;
};

static enum dr_verdict judge(const struct going *g, const struct dr_objects *found, size_t i,
                             const struct dr_container *c)
{
    static const struct dr_piece nothing[1];
    struct dr_held h = { .modified_ms = found->object[i].modified_ms, .newest = i + 1 == found->n };
    if (c != NULL) {
        h.piece = c->pieces > 0 ? c->piece : nothing;
        h.pieces = c->pieces;
    }
    return dr_retention_container(&g->r->rule, g->floor, g->floors, &h);
}

static enum pr_code look(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct looking *l = ctx;
    struct dr_container c = { .piece = NULL };
    if (l->verdict[i] != DR_LOOK)
        return PR_OK;
    atomic_fetch_add(&l->looked, 1);
    const enum pr_code rc = dr_catalog_head(s3, &l->found->object[i], HEAD, &c, err);
    if (rc == PR_OK)
        l->verdict[i] = judge(l->g, l->found, i, &c);
    free(c.piece);
    return rc == PR_EDATA || rc == PR_ENOTFOUND ? PR_OK : rc;
}

static enum pr_code drop_containers(struct going *g, const char *group, struct pr_err *err)
{
    struct dr_objects found;
    struct looking l = { .g = g, .found = &found };
    char prefix[DR_KEY];
    (void)snprintf(prefix, sizeof prefix, "%s/log/%s/", g->r->cluster, group);
    enum pr_code rc = dr_catalog_list(g->s3, prefix, "", 0, &found, err);
    if (rc != PR_OK)
        return rc;
    l.verdict = calloc(found.n + 1, sizeof *l.verdict);
    if (l.verdict == NULL)
        rc = pr_fail(err, PR_ENOMEM, "retention: no memory for %zu containers", found.n);
    for (size_t i = 0; rc == PR_OK && i < found.n; i++)
        l.verdict[i] = judge(g, &found, i, NULL);
    if (rc == PR_OK)
        rc = dr_each(g->r->store, g->r->cancel, THREADS, found.n, look, &l, err);
    for (size_t i = 0; rc == PR_OK && i < found.n; i++)
        if (l.verdict[i] == DR_GOES)
            rc = drop(g, &found.object[i], &g->out->containers, err);
        else
            g->out->stay++;
    g->out->looked += atomic_load(&l.looked);
    free(l.verdict);
    dr_objects_done(&found);
    return rc == PR_OK ? flush(g, err) : rc;
}

/* --- who took slots --------------------------------------------------------------------------- */

static enum pr_code drop_maps(struct going *g, struct pr_err *err)
{
    struct dr_objects found;
    struct dr_key k;
    char prefix[DR_KEY];
    uint64_t newest = 0;
    (void)snprintf(prefix, sizeof prefix, "%s/map/", g->r->cluster);
    enum pr_code rc = dr_catalog_list(g->s3, prefix, "", 0, &found, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; i < found.n; i++)
        if (dr_key_parse(found.object[i].key, &k) && k.epoch > newest)
            newest = k.epoch;
    for (size_t i = 0; rc == PR_OK && i < found.n; i++) {
        if (!dr_key_parse(found.object[i].key, &k) || k.kind != DR_KEY_MAP)
            continue;
        const struct dr_held_map m = { .number = k.epoch,
                                       .modified_ms = found.object[i].modified_ms,
                                       .newest = k.epoch == newest };
        if (dr_retention_map(g->floor, g->floors, g->r->live, &m))
            rc = drop(g, &found.object[i], &g->out->maps, err);
    }
    dr_objects_done(&found);
    return rc == PR_OK ? flush(g, err) : rc;
}

/* Uploads in parts that nobody finished. */
static enum pr_code sweep(struct going *g, const char *name, struct pr_err *err)
{
    char prefix[DR_NAME + 1];
    (void)snprintf(prefix, sizeof prefix, "%s/", name);
    return g->r->dry ? PR_OK
                     : pr_s3_sweep(g->s3, prefix, g->r->rule.now_ms - DR_ORPHAN_MS,
                                   &g->out->uploads, err);
}

/* --- earlier names ----------------------------------------------------------------------------
 */

static enum pr_code drop_below(struct going *g, const char *name, const char *kind,
                               struct pr_err *err)
{
    char prefix[DR_KEY], after[DR_KEY] = "";
    enum pr_code rc = PR_OK;
    (void)snprintf(prefix, sizeof prefix, "%s/%s/", name, kind);
    for (bool more = true; more && rc == PR_OK;) {
        struct dr_objects found;
        rc = dr_catalog_list(g->s3, prefix, after, PAGE, &found, err);
        if (rc != PR_OK)
            return rc;
        more = found.n == PAGE;
        if (more)
            memcpy(after, found.object[found.n - 1].key, DR_KEY);
        for (size_t i = 0; i < found.n && rc == PR_OK; i++)
            rc = drop(g, &found.object[i], &g->out->earlier, err);
        dr_objects_done(&found);
        if (rc == PR_OK)
            rc = flush(g, err);
    }
    return rc;
}

/* Markers and journals stay: they are few, and say what happened. */
static enum pr_code drop_life(struct going *g, const char *name, struct pr_err *err)
{
    static const char *const kind[] = { "gen", "base", "log", "map" };
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < sizeof kind / sizeof kind[0] && rc == PR_OK; i++)
        rc = drop_below(g, name, kind[i], err);
    return rc == PR_OK ? sweep(g, name, err) : rc;
}

/* While one is under way an abort may name what it began with again. */
static enum pr_code has_ended(struct going *g, bool *ended, struct pr_err *err)
{
    struct dr_journal j;
    const enum pr_code rc = dr_journal_open(&j, g->s3, g->r->home, err);
    *ended = rc == PR_OK && j.number > 0 && j.state.ended;
    dr_journal_done(&j);
    return rc;
}

static enum pr_code drop_earlier(struct going *g, bool bare, struct pr_err *err)
{
    struct dr_marker newest, m;
    bool ended = false;
    if (g->r->home == NULL)
        return PR_OK;
    enum pr_code rc = dr_marker_newest(g->s3, g->r->home, &newest, err);
    if (rc != PR_OK || newest.epoch == 0 || strcmp(newest.data, g->r->cluster) != 0 ||
        !dr_retention_life(&g->r->rule, g->floor, g->floors, bare, newest.at_ms))
        return rc;
    rc = has_ended(g, &ended, err);
    if (rc != PR_OK || !ended)
        return rc;
    if (strcmp(g->r->home, newest.data) != 0)
        rc = drop_life(g, g->r->home, err);
    for (uint64_t epoch = 1; epoch < newest.epoch && rc == PR_OK; epoch++) {
        rc = dr_marker_read(g->s3, g->r->home, epoch, &m, err);
        if (rc == PR_OK && strcmp(m.data, newest.data) != 0 && strcmp(m.data, g->r->home) != 0)
            rc = drop_life(g, m.data, err);
    }
    return rc;
}

/* --- all ---------------------------------------------------------------------------------------
 */

static bool has_bare(const struct dr_names *shards, const struct dr_names *based)
{
    for (size_t i = 0, k = 0; i < based->n; i++) {
        while (k < shards->n && strcmp(shards->name[k], based->name[i]) < 0)
            k++;
        if (k == shards->n || strcmp(shards->name[k], based->name[i]) != 0)
            return true;
    }
    return false;
}

static enum pr_code retain(struct going *g, struct pr_err *err)
{
    struct dr_names shards = { .n = 0 }, based = { .n = 0 }, groups = { .n = 0 };
    enum pr_code rc = dr_catalog_shards(g->s3, g->r->cluster, &shards, err);
    if (rc == PR_OK)
        rc = dr_catalog_based(g->s3, g->r->cluster, &based, err);
    if (rc == PR_OK)
        rc = dr_catalog_groups(g->s3, g->r->cluster, &groups, err);
    if (rc == PR_OK)
        rc = find_floors(g, &shards, err);
    for (size_t i = 0; rc == PR_OK && i < shards.n; i++)
        rc = drop_manifests(g, shards.name[i], err);
    for (size_t i = 0; rc == PR_OK && i < based.n; i++)
        rc = drop_bases(g, based.name[i], err);
    for (size_t i = 0; rc == PR_OK && i < groups.n; i++)
        rc = drop_containers(g, groups.name[i], err);
    if (rc == PR_OK)
        rc = drop_maps(g, err);
    if (rc == PR_OK)
        rc = sweep(g, g->r->cluster, err);
    if (rc == PR_OK)
        rc = drop_earlier(g, has_bare(&shards, &based), err);
    dr_names_done(&shards);
    dr_names_done(&based);
    dr_names_done(&groups);
    return rc;
}

enum pr_code dr_retain(const struct dr_retain *r, struct dr_retained *out, struct pr_err *err)
{
    struct going g = { .r = r, .out = out, .key = calloc(BATCH, DR_KEY) };
    *out = (struct dr_retained){ .bytes = 0 };
    enum pr_code rc = g.key != NULL ? pr_s3_open(r->store, r->cancel, &g.s3, err)
                                    : pr_fail(err, PR_ENOMEM, "retention: no memory");
    if (rc == PR_OK)
        rc = retain(&g, err);
    pr_s3_close(g.s3);
    free(g.key);
    free(g.floor);
    return rc;
}
