#include "io/index.h"

#include "core/chain.h"
#include "core/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 16 };

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
    dr_objects_done(&ix->unread);
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

/* Of the piece's own group those behind it; with the base alone nobody knows the group. */
bool dr_index_unread(const struct dr_index *ix, const struct dr_index_shard *s, size_t i,
                     size_t piece, const char **key)
{
    for (size_t k = 0; k < ix->unread.n; k++) {
        const struct dr_object *o = &ix->unread.object[k];
        const struct dr_located *at = piece == SIZE_MAX ? NULL : &s->pieces.piece[piece];
        struct dr_key c;
        if (!dr_key_parse(o->key, &c) || !dr_window_may(&s->window[i], c.epoch, o->modified_ms))
            continue;
        if (at != NULL && (strcmp(c.name, s->pieces.group[piece]) != 0 || c.epoch < at->epoch ||
                           (c.epoch == at->epoch && c.seq < at->seq)))
            continue;
        *key = o->key;
        return true;
    }
    return false;
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
