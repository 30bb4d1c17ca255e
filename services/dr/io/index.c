#include "io/index.h"

#include "core/chain.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 16, PAGE = 1000 };

/* --- generations ---------------------------------------------------------------------------- */

static enum pr_code no_memory(struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "no memory for what the bucket holds");
}

/* What follows a generation is the next name in the bucket, whether its manifest can be read or
 * not.
 */
static void set_windows(struct dr_index_shard *s, const struct dr_objects *found)
{
    for (size_t i = 0; i < s->n; i++) {
        struct dr_key next;
        const struct dr_object *o = NULL;
        for (size_t k = 0; k < found->n && o == NULL; k++)
            if (dr_key_parse(found->object[k].key, &next) &&
                dr_generation_compare(&next.generation, &s->g[i].id) > 0)
                o = &found->object[k];
        dr_window_of(&s->g[i], o != NULL ? &next.generation : NULL, o != NULL ? o->modified_ms : 0,
                     &s->window[i]);
    }
}

static enum pr_code note_damaged(struct dr_index_shard *s, const struct dr_objects *found,
                                 struct pr_err *err)
{
    s->damaged = calloc(found->n + 1, sizeof *s->damaged);
    if (s->damaged == NULL)
        return no_memory(err);
    for (size_t k = 0, g = 0; k < found->n; k++) { /* both in the order of names */
        struct dr_key at;
        if (!dr_key_parse(found->object[k].key, &at))
            continue;
        if (g < s->n && dr_generation_compare(&s->g[g].id, &at.generation) == 0)
            g++;
        else
            s->damaged[s->n_damaged++] = at.generation;
    }
    return PR_OK;
}

static enum pr_code look_at_shard(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct dr_index *ix = ctx;
    struct dr_index_shard *s = &ix->shard[i];
    struct dr_objects found = { .n = 0 };
    enum pr_code rc = dr_catalog_manifests(s3, ix->cluster, s->name, &found, err);
    if (rc == PR_OK)
        rc = dr_catalog_read_manifests(s3, &found, &s->g, &s->n, err);
    if (rc == PR_OK) {
        s->window = calloc(s->n + 1, sizeof *s->window);
        s->state = calloc(s->n + 1, sizeof *s->state);
        if (s->window == NULL || s->state == NULL)
            rc = no_memory(err);
        else
            set_windows(s, &found);
    }
    if (rc == PR_OK)
        rc = note_damaged(s, &found, err);
    dr_objects_done(&found);
    return rc;
}

static enum pr_code name_shards(struct dr_index *ix, struct pr_s3 *s3, const char *only,
                                struct pr_err *err)
{
    struct dr_names names = { .n = 0 };
    const enum pr_code rc = only == NULL ? dr_catalog_shards(s3, ix->cluster, &names, err) : PR_OK;
    const size_t n = only == NULL ? names.n : 1;
    if (rc != PR_OK)
        return rc;
    ix->shard = calloc(n + 1, sizeof *ix->shard);
    for (size_t i = 0; ix->shard != NULL && i < n; i++)
        (void)snprintf(ix->shard[ix->shards++].name, DR_NAME, "%s",
                       only != NULL ? only : names.name[i]);
    dr_names_done(&names);
    return ix->shard != NULL ? PR_OK : no_memory(err);
}

enum pr_code dr_index_open(struct dr_index *ix, const struct pr_s3_store *store,
                           const atomic_bool *cancel, const char *cluster, const char *shard,
                           struct pr_err *err)
{
    struct pr_s3 *s3 = NULL;
    *ix = (struct dr_index){ .store = store, .cancel = cancel };
    (void)snprintf(ix->cluster, sizeof ix->cluster, "%s", cluster);
    enum pr_code rc = pr_s3_open(store, cancel, &s3, err);
    if (rc == PR_OK)
        rc = name_shards(ix, s3, shard, err);
    if (rc == PR_OK)
        rc = dr_catalog_groups(s3, cluster, &ix->groups, err);
    pr_s3_close(s3);
    if (rc == PR_OK && (ix->have = calloc(ix->groups.n + 1, sizeof *ix->have)) == NULL)
        rc = no_memory(err);
    if (rc == PR_OK)
        rc = dr_each(store, cancel, THREADS, ix->shards, look_at_shard, ix, err);
    if (rc != PR_OK)
        dr_index_close(ix);
    return rc;
}

void dr_index_close(struct dr_index *ix)
{
    for (size_t i = 0; i < ix->shards; i++) {
        struct dr_index_shard *s = &ix->shard[i];
        dr_generations_free(s->g, s->n);
        free(s->window);
        free(s->state);
        free(s->damaged);
        dr_pieces_done(&s->pieces);
    }
    for (size_t i = 0; ix->have != NULL && i < ix->groups.n; i++)
        dr_objects_done(&ix->have[i]);
    free(ix->shard);
    free(ix->have);
    dr_names_done(&ix->groups);
    *ix = (struct dr_index){ .shards = 0 };
}

static int by_name(const void *name, const void *shard)
{
    return strcmp(name, ((const struct dr_index_shard *)shard)->name);
}

static struct dr_index_shard *find(struct dr_index *ix, const char *shard)
{
    return ix->shards > 0 ? bsearch(shard, ix->shard, ix->shards, sizeof *ix->shard, by_name)
                          : NULL;
}

struct dr_index_shard *dr_index_find(struct dr_index *ix, const char *shard)
{
    struct dr_index_shard *s = find(ix, shard);
    return s != NULL && s->n > 0 ? s : NULL;
}

size_t dr_index_damaged(struct dr_index *ix, const char *shard, const struct dr_generation_id *than,
                        struct dr_generation_id *newest)
{
    const struct dr_index_shard *s = find(ix, shard);
    size_t n = 0;
    for (size_t i = 0; s != NULL && i < s->n_damaged; i++)
        if (than == NULL || dr_generation_compare(&s->damaged[i], than) > 0) {
            *newest = s->damaged[i];
            n++;
        }
    return n;
}

void dr_index_want_one(struct dr_index_shard *s, size_t i)
{
    if (s->state[i] == DR_INDEX_KNOWN)
        s->state[i] = DR_INDEX_WANTED;
}

void dr_index_want(struct dr_index *ix, int64_t until_ms)
{
    dr_index_want_some(ix, 0, ix->shards, until_ms);
}

void dr_index_want_some(struct dr_index *ix, size_t from, size_t to, int64_t until_ms)
{
    for (size_t i = from; i < to; i++) {
        struct dr_index_shard *s = &ix->shard[i];
        const size_t g = dr_generation_choose(s->g, s->n, NULL, until_ms);
        if (g != SIZE_MAX)
            dr_index_want_one(s, g);
    }
}

void dr_index_want_all(struct dr_index *ix)
{
    for (size_t i = 0; i < ix->shards; i++)
        for (size_t g = 0; g < ix->shard[i].n; g++)
            dr_index_want_one(&ix->shard[i], g);
}

/* --- containers ------------------------------------------------------------------------------ */

/* Calls fn for the window of every wanted generation, until one says true; whether one did. */
static bool any(const struct dr_index *ix,
                bool (*fn)(const struct dr_window *w, uint64_t epoch, int64_t modified_ms),
                uint64_t epoch, int64_t modified_ms)
{
    for (size_t i = 0; i < ix->shards; i++)
        for (size_t g = 0; g < ix->shard[i].n; g++)
            if (ix->shard[i].state[g] == DR_INDEX_WANTED &&
                fn(&ix->shard[i].window[g], epoch, modified_ms))
                return true;
    return false;
}

static bool later(const struct dr_window *w, uint64_t epoch, int64_t modified_ms)
{
    return !dr_window_over(w, epoch, modified_ms);
}

/* Not before the first that is wanted. */
static bool begun(const struct dr_window *w, uint64_t epoch, int64_t modified_ms)
{
    return epoch >= w->epoch && (modified_ms == 0 || modified_ms >= w->from_ms);
}

struct listing { /* of a group */
    struct dr_index *ix;
    size_t group;
    uint64_t *epoch; /* [epochs] in the bucket */
    size_t epochs, room;
    struct dr_objects found; /* whose heads are to be read */
    size_t listed;
    bool failed;
    /* of a probe */
    struct dr_key first;
    int64_t first_ms;
    bool some;
};

static bool see_epoch(void *ctx, const struct pr_s3_entry *e)
{
    struct listing *l = ctx;
    char key[DR_KEY];
    struct dr_key k;
    if (snprintf(key, sizeof key, "%s%016x", e->key, 0) >= (int)sizeof key ||
        !dr_key_parse(key, &k) || k.kind != DR_KEY_LOG)
        return true;
    if (l->epochs == l->room) {
        const size_t room = l->room == 0 ? 64 : 2 * l->room;
        uint64_t *more = realloc(l->epoch, room * sizeof *more);
        l->failed = more == NULL;
        if (l->failed)
            return false;
        l->epoch = more;
        l->room = room;
    }
    l->epoch[l->epochs++] = k.epoch;
    return true;
}

static bool see_first(void *ctx, const struct pr_s3_entry *e)
{
    struct listing *l = ctx;
    l->some = dr_key_parse(e->key, &l->first);
    l->first_ms = e->modified_ms;
    return !l->some;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct dr_object *)a)->key, ((const struct dr_object *)b)->key);
}

static bool was_read(const struct dr_objects *have, const char *key)
{
    struct dr_object o;
    if (have->n == 0)
        return false;
    (void)snprintf(o.key, sizeof o.key, "%s", key);
    return bsearch(&o, have->object, have->n, sizeof o, by_key) != NULL;
}

static bool see_container(void *ctx, const struct pr_s3_entry *e)
{
    struct listing *l = ctx;
    struct dr_key k;
    if (!dr_key_parse(e->key, &k))
        return true;
    l->listed++;
    if (!any(l->ix, later, k.epoch, e->modified_ms))
        return false;
    if (!any(l->ix, dr_window_may, k.epoch, e->modified_ms) ||
        was_read(&l->ix->have[l->group], e->key))
        return true;
    const struct dr_object o = { .size = e->size_bytes, .modified_ms = e->modified_ms };
    struct dr_object *to = dr_objects_add(&l->found);
    l->failed = to == NULL;
    if (l->failed)
        return false;
    *to = o;
    (void)snprintf(to->key, DR_KEY, "%s", e->key);
    return true;
}

/* Keys of an epoch behind seq; seq UINT64_MAX: from the first. */
static enum pr_code list_behind(struct listing *l, struct pr_s3 *s3, uint64_t epoch, uint64_t seq,
                                pr_s3_entry_fn *see, struct pr_err *err)
{
    char prefix[DR_KEY], after[DR_KEY];
    const int n = snprintf(prefix, sizeof prefix, "%s/log/%s/%016llx/", l->ix->cluster,
                           l->ix->groups.name[l->group], (unsigned long long)epoch);
    (void)snprintf(after, sizeof after, "%.*s%016llx", n, prefix, (unsigned long long)seq);
    const struct pr_s3_list what = { .prefix = prefix,
                                     .start_after = seq != UINT64_MAX ? after : NULL };
    return pr_s3_list(s3, &what, see, l, err);
}

/* Whether what lies behind seq begins before all that is wanted; what an epoch's leader writes lies
 * in the order of seq and time. */
static enum pr_code too_early(struct listing *l, struct pr_s3 *s3, uint64_t epoch, uint64_t seq,
                              bool *early, struct pr_err *err)
{
    l->some = false;
    const enum pr_code rc = list_behind(l, s3, epoch, seq, see_first, err);
    *early = l->some && !any(l->ix, begun, epoch, l->first_ms);
    return rc;
}

/* Where in an epoch the first container lies that may be wanted: a few listings in place of one for
 * each thousand. *seq: the one before, UINT64_MAX: from the first. */
static enum pr_code find_begin(struct listing *l, struct pr_s3 *s3, uint64_t epoch, uint64_t *seq,
                               struct pr_err *err)
{
    bool early;
    *seq = UINT64_MAX;
    enum pr_code rc = too_early(l, s3, epoch, UINT64_MAX, &early, err);
    if (rc != PR_OK || !early)
        return rc;
    uint64_t low = l->first.seq, high = low; /* low is too early; what is behind high is not */
    for (uint64_t step = PAGE; rc == PR_OK && early; step *= 2) {
        high = low + step;
        rc = too_early(l, s3, epoch, high, &early, err);
        if (rc == PR_OK && early)
            low = l->first.seq;
    }
    while (rc == PR_OK && high > low && high - low > PAGE) {
        const uint64_t mid = low + (high - low) / 2;
        rc = too_early(l, s3, epoch, mid, &early, err);
        if (rc == PR_OK && early)
            low = l->first.seq;
        else
            high = mid;
    }
    *seq = low;
    return rc;
}

static enum pr_code list_epoch(struct listing *l, struct pr_s3 *s3, uint64_t epoch,
                               struct pr_err *err)
{
    uint64_t seq;
    if (!any(l->ix, begun, epoch, 0))
        return PR_OK; /* older than all that is wanted */
    enum pr_code rc = find_begin(l, s3, epoch, &seq, err);
    if (rc == PR_OK)
        rc = list_behind(l, s3, epoch, seq, see_container, err);
    return rc == PR_OK && l->failed ? no_memory(err) : rc;
}

static enum pr_code list_group(void *ctx, struct pr_s3 *s3, size_t group, struct pr_err *err)
{
    struct listing *l = (struct listing *)ctx + group;
    char prefix[DR_KEY];
    (void)snprintf(prefix, sizeof prefix, "%s/log/%s/", l->ix->cluster, l->ix->groups.name[group]);
    const struct pr_s3_list what = { .prefix = prefix, .delimiter = "/" };
    enum pr_code rc = pr_s3_list(s3, &what, see_epoch, l, err);
    if (rc == PR_OK && l->failed)
        rc = no_memory(err);
    for (size_t i = 0; rc == PR_OK && i < l->epochs; i++)
        rc = list_epoch(l, s3, l->epoch[i], err);
    return rc;
}

/* --- heads ----------------------------------------------------------------------------------- */

struct taking {
    struct dr_index *ix;
    const struct dr_objects *found;
};

static bool needed(const struct dr_index_shard *s)
{
    for (size_t g = s->n; g-- > 0;)
        if (s->state[g] != DR_INDEX_KNOWN)
            return true;
    return false;
}

static enum pr_code take(void *ctx, size_t i, const struct dr_container *c, struct pr_err *err)
{
    const struct taking *t = ctx;
    struct dr_key k;
    enum pr_code rc = PR_OK;
    if (!dr_key_parse(t->found->object[i].key, &k))
        return PR_OK;
    for (size_t p = 0; rc == PR_OK && p < c->pieces; p++) {
        struct dr_index_shard *s = find(t->ix, c->piece[p].shard);
        if (s != NULL && needed(s))
            rc = dr_pieces_add(&s->pieces, k.name, c, p, err);
    }
    return rc;
}

static enum pr_code remember(struct dr_objects *have, const struct dr_objects *found,
                             struct pr_err *err)
{
    for (size_t i = 0; i < found->n; i++) {
        struct dr_object *to = dr_objects_add(have);
        if (to == NULL)
            return no_memory(err);
        *to = found->object[i];
    }
    if (have->n > 0)
        qsort(have->object, have->n, sizeof *have->object, by_key);
    return PR_OK;
}

/* All groups' heads in one go: a group alone may have too few to keep every connection at work. */
static enum pr_code read_heads(struct dr_index *ix, struct listing *l, struct pr_err *err)
{
    struct dr_objects all = { .n = 0 };
    struct taking t = { ix, &all };
    enum pr_code rc = PR_OK;
    for (size_t g = 0; rc == PR_OK && g < ix->groups.n; g++) {
        ix->listed += l[g].listed;
        rc = remember(&all, &l[g].found, err);
    }
    if (rc == PR_OK)
        rc = dr_catalog_heads(ix->store, ix->cancel, &all, take, &t, err);
    for (size_t g = 0; rc == PR_OK && g < ix->groups.n; g++)
        rc = remember(&ix->have[g], &l[g].found, err);
    ix->read += rc == PR_OK ? all.n : 0;
    dr_objects_done(&all);
    return rc;
}

static enum pr_code read_wanted(struct dr_index *ix, struct pr_err *err)
{
    struct listing *l = calloc(ix->groups.n + 1, sizeof *l);
    if (l == NULL)
        return no_memory(err);
    for (size_t g = 0; g < ix->groups.n; g++)
        l[g] = (struct listing){ .ix = ix, .group = g };
    enum pr_code rc = dr_each(ix->store, ix->cancel, THREADS, ix->groups.n, list_group, l, err);
    if (rc == PR_OK)
        rc = read_heads(ix, l, err);
    for (size_t g = 0; g < ix->groups.n; g++) {
        dr_objects_done(&l[g].found);
        free(l[g].epoch);
    }
    free(l);
    return rc;
}

static bool always(const struct dr_window *w, uint64_t epoch, int64_t modified_ms)
{
    (void)w;
    (void)epoch;
    (void)modified_ms;
    return true;
}

enum pr_code dr_index_read(struct dr_index *ix, struct pr_err *err)
{
    const int64_t begun_us = pr_mono_us();
    if (!any(ix, always, 0, 0))
        return PR_OK;
    if (ix->begun_ms == 0)
        ix->begun_ms = pr_now_ms();
    const enum pr_code rc = read_wanted(ix, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; i < ix->shards; i++)
        for (size_t g = 0; g < ix->shard[i].n; g++)
            if (ix->shard[i].state[g] == DR_INDEX_WANTED)
                ix->shard[i].state[g] = DR_INDEX_READ;
    ix->took_ms += (pr_mono_us() - begun_us) / 1000;
    return PR_OK;
}
