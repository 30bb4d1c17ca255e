#include "io/store_read.h"

#include "core/traffic.h"
#include "prism/slot.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static enum pr_code read_zones(struct pr_db *db, struct placement_store *s, struct pr_err *err)
{
    PGresult *res = NULL;
    enum pr_code rc = pr_db_exec(
        db, "SELECT id, capacity_ratio FROM zones ORDER BY id COLLATE \"C\"", NULL, 0, &res, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(res) > PLACEMENT_MAX_ZONES)
        rc = pr_fail(err, PR_EFULL, "%d zones, at most %d are supported", PQntuples(res),
                     PLACEMENT_MAX_ZONES);
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++) {
        struct placement_zone *z = &s->zone[s->zones++];
        *z = (struct placement_zone){ .capacity_ratio = pr_cell_real(res, i, 1) };
        const char *id = pr_cell(res, i, 0);
        if (strlen(id) >= sizeof z->id)
            rc = pr_fail(err, PR_EDATA, "zone id %.60s is too long", id);
        else
            memcpy(z->id, id, strlen(id) + 1);
    }
    PQclear(res);
    return rc;
}

static int zone_index(const struct placement_store *s, const char *id)
{
    for (uint32_t z = 0; id != NULL && z < s->zones; z++)
        if (strcmp(s->zone[z].id, id) == 0)
            return (int)z;
    return -1;
}

struct owners {
    int16_t zone[PR_SLOTS];   /* -1: unknown */
    uint16_t shard[PR_SLOTS]; /* by number, in order of their ids */
    uint16_t zone_of_shard[PR_SLOTS], block_of_shard[PR_SLOTS];
    uint32_t shards;
};

static enum pr_code places_of_partitions(struct owners *o, struct placement_store *s,
                                         struct pr_err *err)
{
    s->zone_of = malloc(s->partitions * sizeof *s->zone_of);
    s->block_of = malloc(s->partitions * sizeof *s->block_of);
    if (s->zone_of == NULL || s->block_of == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %u partitions", s->partitions);
    for (uint32_t p = 0; p < s->partitions; p++) {
        const uint16_t slot = pr_partition_slot(p);
        if (o->zone[slot] < 0)
            return pr_fail(err, PR_EINVAL, "nothing moves while the zone of slot %u is unknown",
                           slot);
        s->zone_of[p] = (uint16_t)o->zone[slot];
        o->zone_of_shard[o->shard[slot]] = s->zone_of[p];
    }
    s->blocks = placement_blocks(o->zone_of_shard, o->shards, s->zones, o->block_of_shard);
    for (uint32_t p = 0; p < s->partitions; p++)
        s->block_of[p] = o->block_of_shard[o->shard[pr_partition_slot(p)]];
    return PR_OK;
}

static enum pr_code read_slots(struct pr_db *db, struct placement_store *s, struct pr_err *err)
{
    struct owners *o = calloc(1, sizeof *o);
    PGresult *res = NULL;
    if (o == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for the owners of slots");
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT slot, zone_id, dense_rank() OVER (ORDER BY shard_id COLLATE \"C\") "
                   "FROM slots",
                   NULL, 0, &res, err);
    for (unsigned i = 0; i < PR_SLOTS; i++)
        o->zone[i] = -1;
    for (int i = 0; rc == PR_OK && i < PQntuples(res); i++) { /* the table allows 0..16383 only */
        const int64_t slot = pr_cell_i64(res, i, 0), rank = pr_cell_i64(res, i, 2);
        o->zone[slot] = (int16_t)zone_index(s, pr_cell(res, i, 1));
        o->shard[slot] = (uint16_t)(rank - 1);
        o->shards = (uint32_t)rank > o->shards ? (uint32_t)rank : o->shards;
    }
    if (rc == PR_OK && PQntuples(res) == 0)
        rc = pr_fail(err, PR_EINVAL, "no topology yet: no slot has a known primary");
    else if (rc == PR_OK)
        rc = places_of_partitions(o, s, err);
    PQclear(res);
    free(o);
    return rc;
}

enum pr_code placement_store_read(struct pr_db *db, struct placement_store *out, struct pr_err *err)
{
    PGresult *res = NULL;
    struct placement_store s = { 0 };
    enum pr_code rc = pr_db_exec(db, "SELECT partitions FROM store", NULL, 0, &res, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(res) == 1)
        s.partitions = (uint32_t)pr_cell_i64(res, 0, 0);
    else
        rc = pr_fail(err, PR_EINVAL, "the store's number of partitions is not set yet");
    PQclear(res);
    if (rc == PR_OK)
        rc = read_zones(db, &s, err);
    if (rc == PR_OK)
        rc = read_slots(db, &s, err);
    if (rc == PR_OK)
        *out = s;
    else
        placement_store_done(&s);
    return rc;
}

static int64_t binary_i64(const PGresult *res, int row, int col)
{
    uint64_t v;
    memcpy(&v, PQgetvalue(res, row, col), sizeof v);
    return (int64_t)be64toh(v);
}

/* Bases first, then deltas, oldest first: the order in which they count. */
static const char ROUTES_SQL[] =
    "SELECT 0::bigint AS part, home::bigint AS at, blob FROM route_bases WHERE kind = 'current' "
    "UNION ALL SELECT 1::bigint, id, blob FROM route_deltas ORDER BY 1, 2";

static enum pr_code read_routes(struct pr_db *db, struct placement_loaded *l, struct pr_err *err)
{
    enum pr_code rc = pr_db_exec_binary(db, ROUTES_SQL, NULL, 0, &l->routes, err);
    if (rc == PR_OK)
        rc = placement_today_init(&l->today, l->store.partitions, err);
    for (int i = 0; rc == PR_OK && i < PQntuples(l->routes); i++) {
        const struct placement_blob blob = { PQgetvalue(l->routes, i, 2),
                                             (size_t)PQgetlength(l->routes, i, 2) };
        const int64_t at = binary_i64(l->routes, i, 1);
        rc = binary_i64(l->routes, i, 0) == 0 ? placement_today_base(&l->today, at, blob, err)
                                              : placement_today_delta(&l->today, at, blob, err);
    }
    return rc;
}

static enum pr_code load(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct placement_loaded *l = ctx;
    placement_loaded_done(l); /* the transaction may be tried again */
    enum pr_code rc = pr_db_exec(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                                 NULL, 0, NULL, err);
    if (rc == PR_OK)
        rc = placement_store_read(db, &l->store, err);
    if (rc == PR_OK)
        rc = read_routes(db, l, err);
    return rc;
}

enum pr_code placement_load(struct pr_db *db, struct placement_loaded *out, struct pr_err *err)
{
    *out = (struct placement_loaded){ 0 };
    enum pr_code rc = pr_db_tx(db, load, out, err);
    if (rc != PR_OK)
        placement_loaded_done(out);
    return rc;
}

void placement_loaded_done(struct placement_loaded *l)
{
    placement_store_done(&l->store);
    placement_today_done(&l->today);
    PQclear(l->routes);
    *l = (struct placement_loaded){ 0 };
}
