/* Which containers hold what is wanted: listed, then their heads are read. */
#include "io/index.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 16, PAGE = 1000 };

static enum pr_code no_memory(struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "no memory for what the bucket holds");
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
        if (more == NULL) {
            l->failed = true;
            return false;
        }
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
    if (c == NULL) {
        struct dr_object *to = dr_objects_add(&t->ix->unread);
        if (to == NULL)
            return no_memory(err);
        *to = t->found->object[i];
        return PR_OK;
    }
    if (!dr_key_parse(t->found->object[i].key, &k))
        return PR_OK;
    for (size_t p = 0; rc == PR_OK && p < c->pieces; p++) {
        struct dr_index_shard *s = dr_index_find(t->ix, c->piece[p].shard);
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
