#include "load.h"

#include "prism/io/log.h"
#include "prism/routes.h"
#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy(char *to, size_t cap, const PGresult *res, int row, int col)
{
    snprintf(to, cap, "%s", pr_cell(res, row, col));
}

void api_zone_read(const PGresult *res, int row, struct api_zone *z)
{
    copy(z->id, sizeof z->id, res, row, 0);
    copy(z->subnet, sizeof z->subnet, res, row, 1);
    z->capacity_ratio = pr_cell_real(res, row, 2);
    z->revision = (uint64_t)pr_cell_i64(res, row, 3);
}

void api_node_read(const PGresult *res, int row, struct api_node *n)
{
    copy(n->id, sizeof n->id, res, row, 0);
    copy(n->host, sizeof n->host, res, row, 1);
    n->port = (int)pr_cell_i64(res, row, 2);
    n->zone = API_NONE;
    copy(n->placement_group, sizeof n->placement_group, res, row, 4);
    copy(n->redis_id, sizeof n->redis_id, res, row, 5);
    copy(n->role, sizeof n->role, res, row, 6);
    copy(n->shard, sizeof n->shard, res, row, 7);
    copy(n->state, sizeof n->state, res, row, 8);
    n->slots = (int)pr_cell_i64(res, row, 9);
    copy(n->seen_at, sizeof n->seen_at, res, row, 10);
    n->revision = (uint64_t)pr_cell_i64(res, row, 11);
    n->generation = (uint64_t)pr_cell_i64(res, row, 12);
}

static void newer(struct api_topo *t, uint64_t revision)
{
    if (revision > t->revision)
        t->revision = revision;
}

static void *rows_of(struct api_topo *t, const PGresult *res, size_t size)
{
    return pr_arena_alloc(&t->arena, ((size_t)PQntuples(res) + 1) * size);
}

static enum pr_code load_store(struct pr_db *db, struct api_topo *t, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT partitions FROM store", NULL, 0, &res, err);
    if (rc != PR_OK || PQntuples(res) == 0)
        return rc;
    return api_topo_size(t, (uint32_t)pr_cell_i64(res, 0, 0), err);
}

static enum pr_code load_zones(struct pr_db *db, struct api_topo *t, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc =
        pr_db_exec(db, "SELECT " API_ZONE_COLUMNS " FROM zones z ORDER BY z.id COLLATE \"C\"", NULL,
                   0, &res, err);
    if (rc != PR_OK)
        return rc;
    t->zone = rows_of(t, res, sizeof *t->zone);
    if (t->zone == NULL)
        return pr_fail(err, PR_ENOMEM, "%d zones", PQntuples(res));
    t->zones = (size_t)PQntuples(res);
    for (size_t i = 0; i < t->zones; i++) {
        api_zone_read(res, (int)i, &t->zone[i]);
        newer(t, t->zone[i].revision);
    }
    return PR_OK;
}

static enum pr_code load_nodes(struct pr_db *db, struct api_topo *t, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc =
        pr_db_exec(db, "SELECT " API_NODE_COLUMNS " FROM nodes n ORDER BY n.id COLLATE \"C\"", NULL,
                   0, &res, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(res) > INT16_MAX)
        return pr_fail(err, PR_EFULL, "%d nodes, at most %d are handled", PQntuples(res),
                       INT16_MAX);
    t->node = rows_of(t, res, sizeof *t->node);
    if (t->node == NULL)
        return pr_fail(err, PR_ENOMEM, "%d nodes", PQntuples(res));
    t->nodes = (size_t)PQntuples(res);
    for (size_t i = 0; i < t->nodes; i++) {
        struct api_node *n = &t->node[i];
        api_node_read(res, (int)i, n);
        n->zone = api_topo_zone(t, pr_cell(res, (int)i, API_NODE_ZONE_COLUMN));
        newer(t, n->revision);
    }
    return PR_OK;
}

/* ids: comma separated; node ids hold no comma. */
static enum pr_code read_replicas(struct api_topo *t, struct api_shard *s, const char *ids,
                                  struct pr_err *err)
{
    size_t commas = 1;
    for (const char *c = ids; *c != '\0'; c++)
        commas += *c == ',';
    s->replica = pr_arena_alloc(&t->arena, commas * sizeof *s->replica);
    char *list = pr_arena_strdup(&t->arena, ids);
    if (s->replica == NULL || list == NULL)
        return pr_fail(err, PR_ENOMEM, "replicas of shard %s", s->id);
    char *save = NULL;
    for (char *id = strtok_r(list, ",", &save); id != NULL; id = strtok_r(NULL, ",", &save)) {
        int node = api_topo_node(t, id);
        if (node != API_NONE)
            s->replica[s->replicas++] = node;
    }
    return PR_OK;
}

static enum pr_code load_shards(struct pr_db *db, struct api_topo *t, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT id, primary_id, array_to_string(replicas, ','), slots, "
                   "revision, coalesce(home_zone, '') FROM shards ORDER BY id COLLATE \"C\"",
                   NULL, 0, &res, err);
    if (rc != PR_OK)
        return rc;
    t->shard = rows_of(t, res, sizeof *t->shard);
    if (t->shard == NULL)
        return pr_fail(err, PR_ENOMEM, "%d shards", PQntuples(res));
    t->shards = (size_t)PQntuples(res);
    for (int i = 0; rc == PR_OK && i < PQntuples(res); i++) {
        struct api_shard *s = &t->shard[i];
        copy(s->id, sizeof s->id, res, i, 0);
        s->primary = api_topo_node(t, pr_cell(res, i, 1));
        s->slots = (int)pr_cell_i64(res, i, 3);
        s->revision = (uint64_t)pr_cell_i64(res, i, 4);
        copy(s->home_zone, sizeof s->home_zone, res, i, 5);
        newer(t, s->revision);
        rc = read_replicas(t, s, pr_cell(res, i, 2), err);
    }
    return rc;
}

static enum pr_code load_slots(struct pr_db *db, struct api_topo *t, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc = pr_db_exec(
        db, "SELECT slot, node_id, shard_id, coalesce(zone_id, '') FROM slots", NULL, 0, &res, err);
    if (rc != PR_OK)
        return rc;
    for (int i = 0; i < PQntuples(res); i++) {
        struct api_slot *s = &t->slot[pr_cell_i64(res, i, 0)]; /* 0..16383 by the table's check */
        s->node = (int16_t)api_topo_node(t, pr_cell(res, i, 1));
        s->shard = (int16_t)api_topo_shard(t, pr_cell(res, i, 2));
        s->zone = (int16_t)api_topo_zone(t, pr_cell(res, i, 3));
    }
    t->covered = (size_t)PQntuples(res);
    return PR_OK;
}

static enum pr_code load_partitions(struct pr_db *db, struct api_topo *t, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc = pr_db_exec(db,
                                 "SELECT id, vertices, bytes, "
                                 "coalesce(to_json(accessed_at)#>>'{}', ''), temperature "
                                 "FROM partitions WHERE id < $1",
                                 PR_ARGS(pr_i64(t->partitions)), &res, err);
    if (rc != PR_OK)
        return rc;
    for (int i = 0; i < PQntuples(res); i++) {
        struct api_load *l = &t->load[pr_cell_i64(res, i, 0)];
        l->vertices = pr_cell_i64(res, i, 1);
        l->bytes = pr_cell_i64(res, i, 2);
        copy(l->accessed_at, sizeof l->accessed_at, res, i, 3);
        copy(l->temperature, sizeof l->temperature, res, i, 4);
    }
    return PR_OK;
}

enum pr_code api_load_topo(struct pr_db *db, struct api_topo **out, struct pr_err *err)
{
    struct api_topo *t = api_topo_new();
    if (t == NULL)
        return pr_fail(err, PR_ENOMEM, "topology");
    enum pr_code rc = load_store(db, t, err);
    if (rc == PR_OK)
        rc = load_zones(db, t, err);
    if (rc == PR_OK)
        rc = load_nodes(db, t, err);
    if (rc == PR_OK)
        rc = load_shards(db, t, err);
    if (rc == PR_OK)
        rc = load_slots(db, t, err);
    if (rc == PR_OK && t->partitions > 0)
        rc = load_partitions(db, t, err);
    if (rc != PR_OK) {
        api_topo_unref(t);
        return rc;
    }
    *out = t;
    return PR_OK;
}

/* Rows from id on, in order, packed and sorted into *out. */
static enum pr_code fetch_deltas(struct pr_db *db, int64_t from, uint32_t partitions,
                                 struct pr_buf *out, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc =
        pr_db_exec_binary(db, "SELECT blob FROM route_deltas WHERE id >= $1 ORDER BY id",
                          PR_ARGS(pr_i64(from)), &res, err);
    for (int i = 0; rc == PR_OK && i < PQntuples(res); i++) {
        const char *blob = PQgetvalue(res, i, 0);
        size_t bytes = (size_t)PQgetlength(res, i, 0);
        rc = pr_routes_check(blob, bytes, partitions, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "route delta %d from id %lld on", i, (long long)from);
        pr_buf_add(out, blob, bytes);
    }
    if (rc == PR_OK && out->failed)
        rc = pr_fail(err, PR_ENOMEM, "route deltas of %zu bytes", out->len);
    if (rc == PR_OK && pr_routes_sort(out->data, out->len, &out->len) != PR_OK)
        rc = pr_fail(err, PR_ENOMEM, "sorting route deltas");
    return rc;
}

static enum pr_code merge_deltas(struct pr_db *db, const struct api_deltas *have,
                                 const struct api_delta_step *step, uint32_t partitions,
                                 struct api_deltas *d, struct pr_err *err)
{
    static const struct pr_buf none;
    struct pr_buf fresh;
    pr_buf_init(&fresh, 0);
    enum pr_code rc = PR_OK;
    if (step->first < d->n && partitions > 0)
        rc = fetch_deltas(db, d->id[step->first], partitions, &fresh, err);
    if (rc == PR_OK)
        rc = api_deltas_merge(step->rebuild ? &none : &have->routes, fresh.data, fresh.len,
                              &d->routes);
    if (rc == PR_ENOMEM)
        rc = pr_fail(err, rc, "merging route deltas");
    pr_buf_done(&fresh);
    return rc;
}

static enum pr_code read_ids(struct pr_db *db, struct api_deltas *d, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT id FROM route_deltas ORDER BY id", NULL, 0, &res, err);
    if (rc != PR_OK)
        return rc;
    d->n = (size_t)PQntuples(res);
    d->id = calloc(d->n + 1, sizeof *d->id);
    if (d->id == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu route deltas", d->n);
    for (size_t i = 0; i < d->n; i++)
        d->id[i] = pr_cell_i64(res, (int)i, 0);
    return PR_OK;
}

static enum pr_code read_run(struct pr_db *db, struct api_deltas *d, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc = pr_db_exec(db,
                                 "SELECT id, revision FROM placement_runs WHERE state = 'done' "
                                 "AND coalesce(params->>'kind', 'placement') = 'placement' "
                                 "ORDER BY id DESC LIMIT 1",
                                 NULL, 0, &res, err);
    if (rc != PR_OK || PQntuples(res) == 0)
        return rc;
    d->run = pr_cell_i64(res, 0, 0);
    d->revision = (uint64_t)pr_cell_i64(res, 0, 1);
    return PR_OK;
}

enum pr_code api_load_deltas(struct pr_db *db, const struct api_deltas *have, int64_t heard,
                             uint32_t partitions, struct api_deltas **out, struct pr_err *err)
{
    struct api_deltas *d = api_deltas_new();
    if (d == NULL)
        return pr_fail(err, PR_ENOMEM, "route deltas");
    enum pr_code rc = read_ids(db, d, err);
    if (rc == PR_OK)
        rc = read_run(db, d, err);
    if (rc == PR_OK) {
        struct api_delta_step step = api_deltas_step(have, d->id, d->n, heard);
        if (step.same && d->run == have->run && d->revision == have->revision) {
            api_deltas_unref(d);
            *out = NULL;
            return PR_OK;
        }
        d->generation = have->generation + (step.folded ? 1 : 0);
        d->newest = heard > have->newest ? heard : have->newest;
        if (d->n > 0 && d->id[d->n - 1] > d->newest)
            d->newest = d->id[d->n - 1];
        rc = merge_deltas(db, have, &step, partitions, d, err);
    }
    if (rc != PR_OK) {
        api_deltas_unref(d);
        return rc;
    }
    *out = d;
    return PR_OK;
}

enum pr_code api_load_tokens(struct pr_db *db, struct api_tokens **out, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc = pr_db_exec(db,
                                 "SELECT encode(hash, 'hex'), name, role, revoked_at IS NOT NULL, "
                                 "CASE WHEN isfinite(expires_at) THEN "
                                 "(extract(epoch FROM expires_at) * 1000)::bigint END "
                                 "FROM api_tokens",
                                 NULL, 0, &res, err);
    if (rc != PR_OK)
        return rc;
    struct api_tokens *t = api_tokens_new((size_t)PQntuples(res));
    if (t == NULL)
        return pr_fail(err, PR_ENOMEM, "%d API tokens", PQntuples(res));
    for (int i = 0; i < PQntuples(res); i++) {
        struct api_token *k = &t->token[i];
        const char *hex = pr_cell(res, i, 0);
        if (strlen(hex) != 2 * API_HASH_BYTES || !api_role_parse(pr_cell(res, i, 2), &k->role)) {
            pr_warn(PR_EV("api.token_unusable"), PR_S("token", pr_cell(res, i, 1)));
            k->revoked = true; /* one bad row must not lock everybody out */
            continue;
        }
        for (int b = 0; b < API_HASH_BYTES; b++) {
            const char byte[3] = { hex[2 * b], hex[2 * b + 1], '\0' };
            k->hash[b] = (unsigned char)strtoul(byte, NULL, 16);
        }
        copy(k->name, sizeof k->name, res, i, 1);
        k->revoked = pr_cell_bool(res, i, 3);
        k->expires_ms = pr_cell(res, i, 4) == NULL ? INT64_MAX : pr_cell_i64(res, i, 4);
    }
    *out = t;
    return PR_OK;
}
