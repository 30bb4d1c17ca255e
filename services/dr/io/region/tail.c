#include "io/region/tail.h"

#include "io/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAST = 64, HEAD = 32 << 10 };

const struct dr_tail_shard *dr_tail_find(const struct dr_tail *t, const char *shard)
{
    for (size_t i = 0; i < t->shards; i++)
        if (strcmp(t->shard[i].shard, shard) == 0)
            return &t->shard[i];
    return NULL;
}

bool dr_tail_reaches(const struct dr_tail *t, const char *replid, uint64_t offset)
{
    for (size_t i = 0; i < t->shards; i++)
        if (strcmp(t->shard[i].replid, replid) == 0 && t->shard[i].to >= offset)
            return true;
    return false;
}

static enum pr_code see(struct dr_tail *t, const struct dr_piece *p, struct pr_err *err)
{
    struct dr_tail_shard *s = (struct dr_tail_shard *)(uintptr_t)dr_tail_find(t, p->shard);
    if (s == NULL && t->shards == t->room) {
        const size_t room = 2 * t->room + 16;
        struct dr_tail_shard *more = realloc(t->shard, room * sizeof *more);
        if (more == NULL)
            return pr_fail(err, PR_ENOMEM, "no memory for the shards in the bucket");
        t->shard = more;
        t->room = room;
    }
    if (s == NULL) {
        s = &t->shard[t->shards++];
        *s = (struct dr_tail_shard){ .to = 0 };
        memcpy(s->shard, p->shard, sizeof s->shard);
    }
    if (p->last_ms >= s->last_ms) {
        memcpy(s->replid, p->replid, sizeof s->replid);
        s->to = p->to;
        s->last_ms = p->last_ms;
    }
    return PR_OK;
}

/* Epochs of a group are folders; the newest is the last. */
static bool last_folder(void *arg, const struct pr_s3_entry *e)
{
    (void)snprintf(arg, DR_KEY, "%s", e->key);
    return true;
}

static enum pr_code read_group(struct dr_tail *t, size_t i, struct pr_s3 *s3, const char *cluster,
                               struct pr_err *err)
{
    struct dr_objects found = { .n = 0 };
    char prefix[DR_KEY], folder[DR_KEY] = "";
    (void)snprintf(prefix, sizeof prefix, "%s/log/%s/", cluster, t->group[i].name);
    const struct pr_s3_list what = { .prefix = prefix, .delimiter = "/" };
    enum pr_code rc = pr_s3_list(s3, &what, last_folder, folder, err);
    if (rc == PR_OK && folder[0] != '\0')
        rc = dr_catalog_list(s3, folder, t->group[i].after, 0, &found, err);
    const size_t first = t->group[i].after[0] == '\0' && found.n > LAST ? found.n - LAST : 0;
    for (size_t k = first; rc == PR_OK && k < found.n; k++) {
        struct dr_container c = { .piece = NULL };
        rc = dr_catalog_head(s3, &found.object[k], HEAD, &c, err);
        for (size_t p = 0; rc == PR_OK && p < c.pieces; p++)
            rc = see(t, &c.piece[p], err);
        free(c.piece);
        if (rc == PR_EDATA || rc == PR_ENOTFOUND) /* the restore says what that means */
            rc = PR_OK;
        if (rc == PR_OK)
            memcpy(t->group[i].after, found.object[k].key, sizeof t->group[i].after);
    }
    dr_objects_done(&found);
    return rc;
}

enum pr_code dr_tail_read(struct dr_tail *t, struct pr_s3 *s3, const char *cluster,
                          struct pr_err *err)
{
    struct dr_names names = { .n = 0 };
    enum pr_code rc = PR_OK;
    if (t->group == NULL) {
        rc = dr_catalog_groups(s3, cluster, &names, err);
        if (rc == PR_OK && (t->group = calloc(names.n + 1, sizeof *t->group)) == NULL)
            rc = pr_fail(err, PR_ENOMEM, "no memory for the groups in the bucket");
        for (; rc == PR_OK && t->groups < names.n; t->groups++)
            memcpy(t->group[t->groups].name, names.name[t->groups], DR_NAME);
        dr_names_done(&names);
    }
    for (size_t i = 0; rc == PR_OK && i < t->groups; i++)
        rc = read_group(t, i, s3, cluster, err);
    return rc;
}

void dr_tail_done(struct dr_tail *t)
{
    free(t->shard);
    free(t->group);
    *t = (struct dr_tail){ .shards = 0 };
}
