#include "io/state.h"

#include "core/window.h"
#include "io/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 16 };

/* --- the newest generations in the bucket -------------------------------------------------- */

struct newest { /* of a shard; epoch 0: none */
    struct dr_generation_id begun, whole;
};

static void see(struct dr_generation_id *newest, const struct dr_generation_id *id)
{
    if (newest->epoch == 0 || dr_generation_compare(newest, id) < 0)
        *newest = *id;
}

/* "<cluster>/base/<shard>/<generation>/", folded: the name of any part. */
static bool see_base(void *ctx, const struct pr_s3_entry *e)
{
    struct newest *n = ctx;
    char key[DR_KEY];
    struct dr_key k;
    if (snprintf(key, sizeof key, "%s%05x", e->key, 0) < (int)sizeof key && dr_key_parse(key, &k) &&
        k.kind == DR_KEY_BASE)
        see(&n->begun, &k.generation);
    return true;
}

static bool see_manifest(void *ctx, const struct pr_s3_entry *e)
{
    struct newest *n = ctx;
    struct dr_key k;
    if (dr_key_parse(e->key, &k) && k.kind == DR_KEY_GENERATION)
        see(&n->whole, &k.generation);
    return true;
}

struct looking {
    const struct dr_taking *t;
    struct newest *newest; /* [t->names] */
};

static enum pr_code look(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    const struct looking *l = ctx;
    char prefix[DR_KEY];
    struct pr_s3_list what = { .prefix = prefix, .delimiter = "/" };
    /* Bases first: a manifest that comes between is of one that was seen. */
    (void)snprintf(prefix, sizeof prefix, "%s/base/%s/", l->t->cluster, l->t->name[i]);
    enum pr_code rc = pr_s3_list(s3, &what, see_base, &l->newest[i], err);
    what.delimiter = NULL;
    (void)snprintf(prefix, sizeof prefix, "%s/gen/%s/", l->t->cluster, l->t->name[i]);
    return rc == PR_OK ? pr_s3_list(s3, &what, see_manifest, &l->newest[i], err) : rc;
}

/* "<cluster>/log/<group>/<epoch>/", folded: the name of any container in it. */
static bool see_epoch(void *ctx, const struct pr_s3_entry *e)
{
    uint64_t *newest = ctx;
    char key[DR_KEY];
    struct dr_key k;
    if (snprintf(key, sizeof key, "%s%016x", e->key, 0) < (int)sizeof key &&
        dr_key_parse(key, &k) && k.kind == DR_KEY_LOG && k.epoch > *newest)
        *newest = k.epoch;
    return true;
}

/* floor: no epoch of the bucket is above it. */
static enum pr_code look_around(const struct dr_taking *t, struct newest *newest, uint64_t *floor,
                                struct pr_err *err)
{
    char prefix[DR_KEY];
    const struct pr_s3_list what = { .prefix = prefix, .delimiter = "/" };
    struct looking l = { .t = t, .newest = newest };
    *floor = 0;
    (void)snprintf(prefix, sizeof prefix, "%s/log/%s/", t->cluster, t->group);
    enum pr_code rc = pr_s3_list(t->s3, &what, see_epoch, floor, err);
    if (rc == PR_OK)
        rc = dr_each(t->store, t->cancel, THREADS, t->names, look, &l, err);
    for (size_t i = 0; rc == PR_OK && i < t->names; i++) {
        *floor = newest[i].begun.epoch > *floor ? newest[i].begun.epoch : *floor;
        *floor = newest[i].whole.epoch > *floor ? newest[i].whole.epoch : *floor;
    }
    return rc;
}

/* --- what PostgreSQL remembers ------------------------------------------------------------- */

struct taken {
    const struct dr_taking *t;
    uint64_t floor, epoch;
    PGresult *groups, *rows;
};

/* So that a shard is in one group, whichever way it is divided: whoever has a lease says first how
 * it counts, and leads only while nobody with a lease counts otherwise. One transaction after
 * another. */
static enum pr_code begin_turn(struct pr_db *db, const struct dr_taking *t, struct pr_err *err)
{
    const enum pr_code rc = pr_lease_check(db, t->lease, err);
    return rc == PR_OK ? pr_db_exec(db, "SELECT pg_advisory_xact_lock(hashtext('dr_groups'))", NULL,
                                    0, NULL, err)
                       : rc;
}

static enum pr_code declare(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct dr_taking *t = ctx;
    const enum pr_code rc = begin_turn(db, t, err);
    return rc == PR_OK ? pr_db_exec(db,
                                    "INSERT INTO dr_groups (id, groups, epoch, seq, holder) "
                                    "VALUES ($1, $2::int, 0, -1, $3) ON CONFLICT (id) DO UPDATE "
                                    "SET groups = excluded.groups",
                                    PR_ARGS(pr_text(t->group), pr_i64(t->groups),
                                            pr_text(t->lease->holder)),
                                    NULL, err)
                       : rc;
}

static enum pr_code agree(struct pr_db *db, const struct dr_taking *t, struct pr_err *err)
{
    PGresult *found = NULL;
    enum pr_code rc = begin_turn(db, t, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "SELECT g.id, g.groups, l.holder FROM dr_groups g "
                        "JOIN leases l ON l.name = 'dr-' || g.id WHERE g.id <> $2 AND "
                        "g.groups <> $1::int AND l.expires_at > clock_timestamp() LIMIT 1",
                        PR_ARGS(pr_i64(t->groups), pr_text(t->group)), &found, err);
    PR_AUTO(PGresult) *other = found;
    return rc == PR_OK && PQntuples(other) > 0
               ? pr_fail(err, PR_ECONFLICT,
                         "group %s: PRISM_DR_GROUPS is %u, but %s has group %s of %s", t->group,
                         t->groups, pr_cell(other, 0, 2), pr_cell(other, 0, 0),
                         pr_cell(other, 0, 1))
               : rc;
}

static enum pr_code take(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct taken *k = ctx;
    PGresult *found = NULL;
    enum pr_code rc = agree(db, k->t, err);
    if (rc == PR_OK) /* a database that was restored from a backup counts from further back */
        rc = pr_db_exec(db,
                        "SELECT CASE WHEN n > $1::bigint THEN n "
                        "ELSE setval('dr_epochs', $1::bigint + 1) END "
                        "FROM nextval('dr_epochs') AS n",
                        PR_ARGS(pr_i64((int64_t)k->floor)), &found, err);
    if (rc != PR_OK)
        return rc;
    k->epoch = (uint64_t)pr_cell_i64(found, 0, 0);
    PQclear(found);
    PQclear(k->groups);
    PQclear(k->rows);
    k->groups = k->rows = NULL;
    rc = pr_db_exec(db, "SELECT id, epoch, seq FROM dr_groups", NULL, 0, &k->groups, err);
    return rc == PR_OK ? pr_db_exec(db,
                                    "SELECT shard_id, generation_epoch, generation_n, replid, "
                                    "durable_offset, encode(chain, 'hex'), group_id, "
                                    "(extract(epoch FROM beat_at) * 1000)::bigint FROM dr_shards "
                                    "WHERE generation_epoch > 0 ORDER BY shard_id COLLATE \"C\"",
                                    NULL, 0, &k->rows, err)
                       : rc;
}

static bool unhex(const char *hex, uint8_t out[DR_HASH])
{
    for (size_t i = 0; i < DR_HASH; i++) {
        unsigned byte;
        if (hex == NULL || sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        out[i] = (uint8_t)byte;
    }
    return true;
}

static struct dr_saved *find(struct dr_state *st, const char *shard)
{
    for (size_t i = 0; i < st->shards; i++)
        if (strcmp(st->shard[i].shard, shard) == 0)
            return &st->shard[i];
    return NULL;
}

static enum pr_code use_rows(const PGresult *rows, struct dr_state *st, struct pr_err *err)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        struct dr_saved *s = find(st, pr_cell(rows, i, 0));
        if (s == NULL)
            continue;
        s->at.generation.epoch = (uint64_t)pr_cell_i64(rows, i, 1);
        s->at.generation.n = (uint32_t)pr_cell_i64(rows, i, 2);
        (void)snprintf(s->at.replid, sizeof s->at.replid, "%s", pr_cell(rows, i, 3));
        s->at.offset = (uint64_t)pr_cell_i64(rows, i, 4);
        (void)snprintf(s->group, sizeof s->group, "%s", pr_cell(rows, i, 6));
        s->beat_ms = pr_cell(rows, i, 7) != NULL ? pr_cell_i64(rows, i, 7) : 0;
        if (!unhex(pr_cell(rows, i, 5), s->at.chain))
            return pr_fail(err, PR_EDATA, "dr_shards: the chain of shard %s is no hash", s->shard);
    }
    return PR_OK;
}

/* --- where they are ----------------------------------------------------------------------------
 */

/* At the base of that generation. One that cannot be read is begun anew. */
static enum pr_code use_manifest(const struct dr_taking *t, const struct dr_generation_id *id,
                                 struct dr_saved *s, struct pr_err *err)
{
    struct dr_generation *g = NULL;
    size_t n = 0;
    s->at.generation.epoch = 0;
    const enum pr_code rc = dr_catalog_generations(t->s3, t->cluster, s->shard, &g, &n, err);
    for (size_t i = 0; rc == PR_OK && i < n; i++) {
        if (dr_generation_compare(&g[i].id, id) == 0) {
            s->at = (struct dr_position){ .generation = *id, .offset = g[i].offset };
            memcpy(s->at.replid, g[i].replid, sizeof s->at.replid);
            memcpy(s->at.chain, g[i].chain, DR_HASH);
            memcpy(s->group, g[i].group, sizeof s->group);
            s->begun_ms = g[i].begun_ms;
        }
        dr_generation_done(&g[i]);
    }
    free(g);
    return rc;
}

static enum pr_code use_newest(const struct dr_taking *t, const struct newest *newest,
                               struct dr_state *st, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; rc == PR_OK && i < st->shards; i++) {
        struct dr_saved *s = &st->shard[i];
        const struct newest *n = &newest[i];
        if (n->whole.epoch != 0 && (s->at.generation.epoch == 0 ||
                                    dr_generation_compare(&s->at.generation, &n->whole) != 0))
            rc = use_manifest(t, &n->whole, s, err);
        else if (n->whole.epoch == 0)
            s->at.generation.epoch = 0; /* the bucket is another, or was emptied */
        if (n->begun.epoch != 0 && dr_generation_compare(&n->begun, &n->whole) > 0)
            s->at.generation.epoch = 0;
        if (s->at.generation.epoch == 0)
            s->at = (struct dr_position){ .offset = 0 };
    }
    return rc;
}

static bool of_ours(void *ctx, const struct dr_piece *p)
{
    const struct dr_saved *s = find(ctx, p->shard);
    return s != NULL && s->at.generation.epoch != 0 && p->to > s->at.offset &&
           dr_generation_compare(&s->at.generation, &p->generation) == 0;
}

/* The same way that a restore would take. */
static enum pr_code follow(struct dr_saved *s, const struct dr_pieces *tail, struct pr_err *err)
{
    struct dr_generation from = { .id = s->at.generation, .offset = s->at.offset };
    struct dr_route route = { .n = 0 };
    if (s->at.generation.epoch == 0)
        return PR_OK;
    memcpy(from.shard, s->shard, sizeof from.shard);
    memcpy(from.replid, s->at.replid, sizeof from.replid);
    memcpy(from.chain, s->at.chain, DR_HASH);
    const enum pr_code rc = dr_chain_route(&from, tail->piece, tail->n, INT64_MAX, &route, err);
    if (rc == PR_OK) {
        s->at.offset = route.to;
        memcpy(s->at.replid, route.replid, sizeof s->at.replid);
        memcpy(s->at.chain, route.chain, DR_HASH);
        free(route.take);
    }
    return rc;
}

struct tail {
    struct dr_state *st;
    const char *group;
    struct dr_pieces pieces;
};

static enum pr_code keep(void *ctx, size_t i, const struct dr_container *c, struct pr_err *err)
{
    struct tail *t = ctx;
    enum pr_code rc = PR_OK;
    (void)i;
    for (size_t p = 0; c != NULL && rc == PR_OK && p < c->pieces; p++)
        if (of_ours(t->st, &c->piece[p]))
            rc = dr_pieces_add(&t->pieces, t->group, c, p, err);
    return rc;
}

/* What no shard of the group can have anything in, by its date. */
static void leave_out(struct dr_objects *found, const struct dr_state *st, const char *group)
{
    size_t kept = 0;
    for (size_t i = 0; i < found->n; i++) {
        const struct dr_object *o = &found->object[i];
        bool may = false;
        for (size_t k = 0; k < st->shards && !may; k++) {
            const struct dr_saved *s = &st->shard[k];
            const struct dr_generation g = { .id = s->at.generation, .begun_ms = s->begun_ms };
            struct dr_window w;
            dr_window_of(&g, NULL, 0, &w);
            may = strcmp(s->group, group) == 0 && s->at.generation.epoch != 0 &&
                  (s->begun_ms == 0 || dr_window_may(&w, s->at.generation.epoch, o->modified_ms));
        }
        if (may)
            found->object[kept++] = *o;
    }
    found->n = kept;
}

/* Where the containers of a group begin that count: behind what its row says, or in the oldest
 * epoch of a generation; none older has pieces of it. False: nobody has anything there. */
static bool first_of_group(const struct taken *k, const char *group, const struct dr_state *st,
                           struct dr_key *key, bool *first)
{
    *first = true; /* the epoch's first container counts, too */
    for (size_t i = 0; i < st->shards; i++)
        if (strcmp(st->shard[i].group, group) == 0 && st->shard[i].at.generation.epoch != 0 &&
            st->shard[i].at.generation.epoch < key->epoch)
            key->epoch = st->shard[i].at.generation.epoch;
    if (key->epoch == UINT64_MAX)
        return false;
    for (int i = 0; i < PQntuples(k->groups); i++) {
        const uint64_t epoch = (uint64_t)pr_cell_i64(k->groups, i, 1);
        const int64_t seq = pr_cell_i64(k->groups, i, 2);
        if (strcmp(pr_cell(k->groups, i, 0), group) != 0 || epoch < key->epoch)
            continue;
        key->epoch = epoch;
        key->seq = seq < 0 ? 0 : (uint64_t)seq;
        *first = seq < 0;
    }
    return true;
}

static enum pr_code read_group(const struct taken *k, struct tail *tail, struct pr_err *err)
{
    struct dr_key key = { .kind = DR_KEY_LOG, .epoch = UINT64_MAX };
    struct dr_objects found = { .n = 0 };
    char after[DR_KEY], prefix[DR_KEY];
    bool first;
    if (!first_of_group(k, tail->group, tail->st, &key, &first))
        return PR_OK;
    (void)snprintf(key.cluster, sizeof key.cluster, "%s", k->t->cluster);
    (void)snprintf(key.name, sizeof key.name, "%s", tail->group);
    enum pr_code rc = dr_key_print(&key, after, err);
    if (rc != PR_OK)
        return rc;
    if (first)
        *strrchr(after, '/') = '\0';
    (void)snprintf(prefix, sizeof prefix, "%s/log/%s/", k->t->cluster, tail->group);
    rc = dr_catalog_list(k->t->s3, prefix, after, 0, &found, err);
    if (rc == PR_OK) {
        leave_out(&found, tail->st, tail->group);
        rc = dr_catalog_heads(k->t->store, k->t->cancel, &found, keep, tail, err);
    }
    dr_objects_done(&found);
    return rc;
}

/* What was written after the rows were; a shard that came from another group has it there. */
static enum pr_code read_tail(const struct taken *k, struct dr_state *st, struct pr_err *err)
{
    struct tail tail = { .st = st };
    enum pr_code rc = PR_OK;
    for (size_t i = 0; rc == PR_OK && i < st->shards; i++) {
        size_t before = 0;
        while (before < i && strcmp(st->shard[before].group, st->shard[i].group) != 0)
            before++;
        tail.group = st->shard[i].group;
        if (before == i && tail.group[0] != '\0')
            rc = read_group(k, &tail, err);
    }
    for (size_t i = 0; rc == PR_OK && i < st->shards; i++)
        rc = follow(&st->shard[i], &tail.pieces, err);
    dr_pieces_done(&tail.pieces);
    return rc;
}

enum pr_code dr_state_take_over(const struct dr_taking *t, struct dr_state *out, struct pr_err *err)
{
    struct taken k = { .t = t };
    struct newest *newest = calloc(t->names + 1, sizeof *newest);
    *out = (struct dr_state){ .shard = calloc(t->names + 1, sizeof *out->shard) };
    enum pr_code rc = newest != NULL && out->shard != NULL
                          ? look_around(t, newest, &k.floor, err)
                          : pr_fail(err, PR_ENOMEM, "no memory for the state of a group");
    for (; rc == PR_OK && out->shards < t->names; out->shards++)
        memcpy(out->shard[out->shards].shard, t->name[out->shards], DR_NAME);
    if (rc == PR_OK)
        rc = pr_db_tx(t->db, declare, (void *)(uintptr_t)t, err);
    if (rc == PR_OK)
        rc = pr_db_tx(t->db, take, &k, err);
    if (rc == PR_OK)
        rc = use_rows(k.rows, out, err);
    if (rc == PR_OK)
        rc = use_newest(t, newest, out, err);
    if (rc == PR_OK)
        rc = dr_state_keys(t, out, err);
    if (rc == PR_OK)
        rc = read_tail(&k, out, err);
    PQclear(k.rows);
    PQclear(k.groups);
    free(newest);
    out->epoch = k.epoch;
    if (rc != PR_OK)
        dr_state_done(out);
    return rc;
}

void dr_state_done(struct dr_state *st)
{
    free(st->shard);
    *st = (struct dr_state){ .shards = 0 };
}
