#include "io/sources.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct watched {
    char shard[DR_NAME];
    unsigned missing; /* in so many readings, the latest included */
};

struct dr_sources {
    const char *zone;
    pthread_mutex_t mu;
    struct dr_source *source; /* [n], by name */
    size_t n;
    struct watched *watched; /* [n_watched] */
    size_t n_watched;
};

enum pr_code dr_sources_open(struct dr_sources **out, const char *zone, struct pr_err *err)
{
    struct dr_sources *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the shards");
    s->zone = zone;
    pthread_mutex_init(&s->mu, NULL);
    *out = s;
    return PR_OK;
}

void dr_sources_close(struct dr_sources *s)
{
    if (s == NULL)
        return;
    pthread_mutex_destroy(&s->mu);
    free(s->watched);
    free(s->source);
    free(s);
}

/* A row a member that is up; one of NULLs when none is. */
static const char MEMBERS[] =
    "SELECT s.id, n.host, n.port, n.id = s.primary_id FROM shards s "
    "LEFT JOIN nodes n ON n.shard_id = s.id AND n.state = 'up' WHERE s.slots > 0 OR EXISTS "
    "(SELECT 1 FROM dr_gives g WHERE s.id IN (g.giver, g.taker)) "
    "ORDER BY s.id COLLATE \"C\", n.id = s.primary_id, n.zone_id = $1 DESC, "
    "n.id COLLATE \"C\" DESC";
static const char SLOTS[] = "SELECT slot, shard_id FROM slots ORDER BY shard_id COLLATE \"C\"";

static int by_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct dr_source *)element)->shard);
}

static struct dr_source *find(struct dr_source *source, size_t n, const char *shard)
{
    return n == 0 ? NULL : bsearch(shard, source, n, sizeof *source, by_name);
}

static size_t read_members(const PGresult *rows, struct dr_source *source)
{
    size_t n = 0;
    for (int i = 0; i < PQntuples(rows); i++) {
        const char *name = pr_cell(rows, i, 0);
        if (!dr_name_ok(name))
            continue; /* names of nodes are ours, and are */
        if (n == 0 || strcmp(source[n - 1].shard, name) != 0) {
            source[n] = (struct dr_source){ .members = 0 };
            (void)snprintf(source[n++].shard, DR_NAME, "%s", name);
        }
        struct dr_source *s = &source[n - 1];
        if (s->members == DR_MEMBERS || pr_cell(rows, i, 1) == NULL)
            continue;
        struct dr_member *m = &s->member[s->members++];
        (void)snprintf(m->host, sizeof m->host, "%s", pr_cell(rows, i, 1));
        m->port = (int)pr_cell_i64(rows, i, 2);
        m->primary = pr_cell_bool(rows, i, 3);
    }
    return n;
}

static void read_slots(const PGresult *rows, struct dr_source *source, size_t n)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        struct dr_source *s = find(source, n, pr_cell(rows, i, 1));
        const int64_t slot = pr_cell_i64(rows, i, 0);
        if (s != NULL)
            s->slots[slot / 8] |= (uint8_t)(1u << slot % 8);
    }
}

struct reading {
    const char *zone;
    PGresult *members, *slots;
};

static enum pr_code read_both(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct reading *r = ctx;
    PQclear(r->members);
    PQclear(r->slots);
    r->members = r->slots = NULL;
    enum pr_code rc =
        pr_db_exec(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", NULL, 0, NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, MEMBERS, PR_ARGS(pr_text(r->zone)), &r->members, err);
    return rc == PR_OK ? pr_db_exec(db, SLOTS, NULL, 0, &r->slots, err) : rc;
}

enum pr_code dr_sources_refresh(struct dr_sources *s, struct pr_db *db, struct pr_err *err)
{
    struct reading r = { .zone = s->zone };
    enum pr_code rc = pr_db_tx(db, read_both, &r, err);
    PR_AUTO(PGresult) *members = r.members;
    PR_AUTO(PGresult) *slots = r.slots;
    if (rc != PR_OK)
        return rc;
    struct dr_source *source = calloc((size_t)PQntuples(members) + 1, sizeof *source);
    if (source == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the shards");
    const size_t n = read_members(members, source);
    read_slots(slots, source, n);
    pthread_mutex_lock(&s->mu);
    struct dr_source *old = s->source;
    s->source = source;
    s->n = n;
    for (size_t i = 0; n > 0 && i < s->n_watched;
         i++) { /* without any shard: a table that was lost */
        struct watched *w = &s->watched[i];
        w->missing = find(source, n, w->shard) == NULL ? w->missing + 1 : 0;
    }
    pthread_mutex_unlock(&s->mu);
    free(old);
    return PR_OK;
}

bool dr_sources_find(struct dr_sources *s, const char *shard, struct dr_source *out)
{
    pthread_mutex_lock(&s->mu);
    const struct dr_source *found = find(s->source, s->n, shard);
    if (found != NULL)
        *out = *found;
    pthread_mutex_unlock(&s->mu);
    return found != NULL;
}

bool dr_sources_known(struct dr_sources *s)
{
    pthread_mutex_lock(&s->mu);
    const bool known = s->n > 0;
    pthread_mutex_unlock(&s->mu);
    return known;
}

static struct watched *watched_of(struct dr_sources *s, const char *shard)
{
    for (size_t i = 0; i < s->n_watched; i++)
        if (strcmp(s->watched[i].shard, shard) == 0)
            return &s->watched[i];
    return NULL;
}

void dr_sources_watch(struct dr_sources *s, const char *shard)
{
    pthread_mutex_lock(&s->mu);
    struct watched *w = watched_of(s, shard);
    struct watched *more =
        w == NULL ? realloc(s->watched, (s->n_watched + 1) * sizeof *more) : NULL;
    if (more != NULL) { /* else it is not gone */
        s->watched = more;
        w = &s->watched[s->n_watched++];
        (void)snprintf(w->shard, sizeof w->shard, "%s", shard);
    }
    if (w != NULL)
        w->missing = 0;
    pthread_mutex_unlock(&s->mu);
}

bool dr_sources_gone(struct dr_sources *s, const char *shard)
{
    pthread_mutex_lock(&s->mu);
    const struct watched *w = watched_of(s, shard);
    const bool gone = w != NULL && w->missing >= DR_GONE_READS;
    pthread_mutex_unlock(&s->mu);
    return gone;
}

uint32_t dr_group_of(const char *shard, uint32_t groups)
{
    return (uint32_t)(XXH64(shard, strlen(shard), 0) % groups);
}

enum pr_code dr_sources_of_group(struct dr_sources *s, uint32_t g, uint32_t groups,
                                 char (**names)[DR_NAME], size_t *n, struct pr_err *err)
{
    *n = 0;
    pthread_mutex_lock(&s->mu);
    *names = calloc(s->n + 1, sizeof **names);
    for (size_t i = 0; *names != NULL && i < s->n; i++)
        if (dr_group_of(s->source[i].shard, groups) == g)
            memcpy((*names)[(*n)++], s->source[i].shard, DR_NAME);
    pthread_mutex_unlock(&s->mu);
    return *names != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "no memory for the shards of a group");
}

enum pr_code dr_sources_connect(struct dr_sources *s, const struct dr_config *cfg,
                                struct pr_cluster **out, struct pr_err *err)
{
    const struct pr_redis_auth auth = { cfg->redis_user, cfg->redis_password };
    struct pr_buf seeds;
    pr_buf_init(&seeds, 0);
    pthread_mutex_lock(&s->mu);
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < s->source[i].members; j++)
            pr_buf_printf(&seeds, "%s%s:%d", seeds.len > 0 ? "," : "", s->source[i].member[j].host,
                          s->source[i].member[j].port);
    pthread_mutex_unlock(&s->mu);
    const enum pr_code rc =
        seeds.len == 0 || seeds.failed
            ? pr_fail(err, PR_EUNAVAIL, "no node of the cluster is known")
            : pr_cluster_open(out, seeds.data, &auth, (int)cfg->redis_timeout_ms, err);
    pr_buf_done(&seeds);
    return rc;
}
