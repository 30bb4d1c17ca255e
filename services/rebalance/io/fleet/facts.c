/* Puts tables and cluster together. */
#include "io/fleet/facts.h"

#include "core/topology.h"
#include "io/cluster_facts.h"
#include "io/fleet/facts_ask.h"
#include "io/fleet/facts_counts.h"
#include "io/topology_rows.h"

#include "prism/buf.h"
#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct load {
    struct pr_db *db;
    struct pr_cluster *c;
    const struct rebalance_config *cfg;
    struct pr_arena *arena;
    struct pr_err *err;
    struct rebalance_image image;
    int16_t *member_of;     /* [topology nodes] index into image.node */
    int *topology_of;       /* [image.nodes], -1 */
    struct node_says *says; /* [topology nodes] */
    struct rebalance_member *node;
    struct rebalance_group *shard;
    struct rebalance_slot_facts *slot;
    const char **zone;
    size_t zones;
};

static enum pr_code no_memory(struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "facts of the fleet");
}

static bool bit(const uint8_t *set, int slot)
{
    return ((unsigned)set[slot / 8] >> (slot % 8) & 1u) != 0;
}

/* --- who is there ------------------------------------------------------------------- */

/* What the watcher would write now: the tables may be a second behind. */
static enum pr_code load_image(struct load *l)
{
    const struct pr_topology *t = pr_cluster_topology(l->c);
    struct rebalance_registered reg;
    enum pr_code rc = rebalance_registered_load(l->db, l->arena, &reg, l->err);
    if (rc != PR_OK)
        return rc;
    l->member_of = pr_arena_alloc(l->arena, (t->nodes + 1) * sizeof *l->member_of);
    l->topology_of = pr_arena_alloc(l->arena, (reg.nodes + 1) * sizeof *l->topology_of);
    if (l->member_of == NULL || l->topology_of == NULL || reg.nodes > INT16_MAX)
        return no_memory(l->err);
    rc = rebalance_cluster_image(&reg, t, l->arena, &l->image, l->err);
    if (rc != PR_OK)
        return rc;
    for (size_t k = 0; k < t->nodes; k++)
        l->member_of[k] = REBALANCE_NONE;
    for (size_t i = 0; i < l->image.nodes; i++) {
        l->topology_of[i] = -1;
        for (size_t k = 0; k < t->nodes; k++)
            if (t->node[k].port == reg.node[i].port &&
                strcmp(t->node[k].host, reg.node[i].host) == 0) {
                l->topology_of[i] = (int)k;
                l->member_of[k] = (int16_t)i;
            }
    }
    return PR_OK;
}

static enum pr_code all_registered(const struct load *l)
{
    const struct pr_topology *t = pr_cluster_topology(l->c);
    for (size_t k = 0; k < t->nodes; k++)
        if (l->member_of[k] < 0 && !t->node[k].failed)
            return pr_fail(l->err, PR_EDATA,
                           "redis node %s:%d is in the cluster and not registered: its zone is "
                           "unknown",
                           t->node[k].host, t->node[k].port);
    return PR_OK;
}

static int16_t zone_index(struct load *l, const char *zone)
{
    for (size_t i = 0; i < l->zones; i++)
        if (strcmp(l->zone[i], zone) == 0)
            return (int16_t)i;
    return REBALANCE_NONE;
}

static int16_t shard_index(const struct load *l, const char *id)
{
    for (size_t i = 0; i < l->image.shards; i++)
        if (strcmp(l->image.shard[i].id, id) == 0)
            return (int16_t)i;
    return REBALANCE_NONE;
}

static int16_t node_index(const struct load *l, const char *id)
{
    for (size_t i = 0; i < l->image.nodes; i++)
        if (strcmp(l->image.node[i].id, id) == 0)
            return (int16_t)i;
    return REBALANCE_NONE;
}

static enum pr_code load_zones(struct load *l)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(l->db, "SELECT id FROM zones ORDER BY id COLLATE \"C\"", NULL, 0, &got, l->err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    l->zones = (size_t)PQntuples(res);
    l->zone = pr_arena_alloc(l->arena, (l->zones + 1) * sizeof *l->zone);
    for (size_t i = 0; l->zone != NULL && i < l->zones; i++)
        if ((l->zone[i] = pr_arena_strdup(l->arena, pr_cell(res, (int)i, 0))) == NULL)
            return no_memory(l->err);
    return l->zone == NULL ? no_memory(l->err) : PR_OK;
}

/* --- nodes and shards ------------------------------------------------------------------ */

static void fill_node(struct load *l, size_t i, struct rebalance_node_facts *beside)
{
    const struct rebalance_node *row = &l->image.node[i];
    const int at = l->topology_of[i];
    struct node_says says = { 0 };
    bool failed = row->state == REBALANCE_NODE_FAILED;
    /* Back from a failure as a primary without slots: its row still names its shard,
     * for which it does nothing until it is taken in again. */
    const bool back = at >= 0 && !failed && row->role == REBALANCE_PRIMARY && row->slots == 0;
    if (at >= 0)
        says = l->says[at];
    else
        failed = !facts_ask_stranger(l->cfg, row->host, row->port, &says);
    l->node[i] =
        (struct rebalance_member){ .id = row->id,
                                   .zone = zone_index(l, row->zone),
                                   .shard = back ? REBALANCE_NONE : shard_index(l, row->shard),
                                   .primary = at >= 0 && row->slots > 0,
                                   .failed = failed,
                                   .member = at >= 0,
                                   .capacity_bytes = says.maxmemory_bytes,
                                   .used_bytes = says.used_bytes,
                                   .ops_per_s = says.ops_per_s };
    *beside = (struct rebalance_node_facts){ .redis_id = at >= 0 ? row->redis_id : "",
                                             .host = row->host,
                                             .port = row->port,
                                             .primary_redis_id = "" };
}

static enum pr_code load_nodes(struct load *l, struct rebalance_fleet_facts *out)
{
    const struct pr_topology *t = pr_cluster_topology(l->c);
    const size_t n = l->image.nodes;
    struct rebalance_node_facts *beside = pr_arena_alloc(l->arena, (n + 1) * sizeof *beside);
    l->node = pr_arena_alloc(l->arena, (n + 1) * sizeof *l->node);
    l->says = pr_arena_alloc(l->arena, (t->nodes + 1) * sizeof *l->says);
    if (beside == NULL || l->node == NULL || l->says == NULL)
        return no_memory(l->err);
    enum pr_code rc = facts_ask_members(l->c, l->says, l->err);
    if (rc == PR_EUNAVAIL) /* a connection that was closed since it was used last */
        rc = facts_ask_members(l->c, l->says, l->err);
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        fill_node(l, i, &beside[i]);
        if (l->topology_of[i] < 0)
            continue;
        beside[i].primary_redis_id =
            pr_arena_strdup(l->arena, t->node[l->topology_of[i]].primary_id);
        if (beside[i].primary_redis_id == NULL)
            rc = no_memory(l->err);
    }
    out->node = beside;
    return rc;
}

static enum pr_code load_shards(struct load *l)
{
    PGresult *got = NULL;
    const size_t n = l->image.shards;
    l->shard = pr_arena_alloc(l->arena, (n + 1) * sizeof *l->shard);
    if (l->shard == NULL)
        return no_memory(l->err);
    for (size_t i = 0; i < n; i++) {
        const int16_t p = node_index(l, l->image.shard[i].primary);
        const bool alive = p >= 0 && !l->node[p].failed;
        l->shard[i] =
            (struct rebalance_group){ .id = l->image.shard[i].id,
                                      .primary = alive ? p : REBALANCE_NONE,
                                      .home_zone = p >= 0 ? l->node[p].zone : REBALANCE_NONE };
    }
    enum pr_code rc = pr_db_exec(l->db, "SELECT id, home_zone FROM shards WHERE home_zone <> ''",
                                 NULL, 0, &got, l->err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res); i++) {
        const int16_t s = shard_index(l, pr_cell(res, i, 0));
        const int16_t z = zone_index(l, pr_cell(res, i, 1));
        if (s >= 0 && z >= 0)
            l->shard[s].home_zone = z;
    }
    return PR_OK;
}

/* --- slots -------------------------------------------------------------------------------- */

static enum pr_code count_keys(struct load *l)
{
    const struct pr_topology *t = pr_cluster_topology(l->c);
    uint32_t *keys = pr_arena_alloc(l->arena, REBALANCE_SLOTS * sizeof *keys);
    uint8_t(*owned)[2048] = pr_arena_alloc(l->arena, (t->nodes + 1) * sizeof *owned);
    struct counted *k = pr_arena_alloc(l->arena, (t->nodes + 1) * sizeof *k);
    size_t n = 0;
    if (keys == NULL || owned == NULL || k == NULL)
        return no_memory(l->err);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (l->image.owner[s] >= 0)
            owned[l->image.owner[s]][s / 8] =
                (uint8_t)(owned[l->image.owner[s]][s / 8] | 1u << (s % 8));
    for (size_t i = 0; i < t->nodes; i++)
        if (t->node[i].primary && !t->node[i].failed)
            k[n++] = (struct counted){ t->node[i].id, owned[i], keys };
    const enum pr_code rc = facts_count_keys(l->c, k, n, l->err);
    for (int s = 0; s < REBALANCE_SLOTS && rc == PR_OK; s++)
        if (l->image.owner[s] >= 0) {
            l->slot[s].keys = keys[s];
            l->slot[s].bytes = keys[s] * l->says[l->image.owner[s]].key_bytes;
        }
    return rc;
}

/* Memory and load of each slot where the server tells them: the load is the node's,
 * shared out by the CPU time that each slot took. */
static enum pr_code slot_stats(struct load *l, bool *told)
{
    const struct pr_topology *t = pr_cluster_topology(l->c);
    struct slot_stat *stat = pr_arena_alloc(l->arena, REBALANCE_SLOTS * sizeof *stat);
    double *cpu = pr_arena_alloc(l->arena, (t->nodes + 1) * sizeof *cpu);
    if (stat == NULL || cpu == NULL)
        return no_memory(l->err);
    for (size_t i = 0; i < t->nodes; i++) {
        struct pr_redis *conn = NULL;
        redisReply *got = NULL;
        if (!t->node[i].primary || t->node[i].failed)
            continue;
        if (pr_cluster_conn(l->c, t->node[i].id, &conn, NULL) != PR_OK ||
            pr_redis_command(conn, &got, NULL, "CLUSTER SLOT-STATS SLOTSRANGE 0 16383") != PR_OK)
            return PR_OK; /* not offered, or not to us: the estimate stays */
        PR_AUTO(redisReply) *r = got;
        if (!facts_read_slot_stats(r, stat))
            return PR_OK;
    }
    *told = true;
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (l->image.owner[s] >= 0)
            cpu[l->image.owner[s]] += stat[s].cpu_us;
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        const int owner = l->image.owner[s];
        if (owner >= 0 && cpu[owner] > 0)
            l->slot[s].ops_per_s = l->says[owner].ops_per_s * stat[s].cpu_us / cpu[owner];
        if (owner >= 0 && stat[s].memory_bytes > 0)
            l->slot[s].bytes = stat[s].memory_bytes;
    }
    return PR_OK;
}

static enum pr_code load_slots(struct load *l, struct rebalance_fleet_facts *out)
{
    uint8_t open[2048];
    l->slot = pr_arena_alloc(l->arena, REBALANCE_SLOTS * sizeof *l->slot);
    if (l->slot == NULL)
        return no_memory(l->err);
    enum pr_code rc = rebalance_cluster_open_slots(l->db, l->c, open, l->err);
    for (int s = 0; s < REBALANCE_SLOTS && rc == PR_OK; s++) {
        const int owner = l->image.owner[s];
        const int16_t member = owner < 0 ? REBALANCE_NONE : l->member_of[owner];
        l->slot[s].moved_from = REBALANCE_NONE;
        l->slot[s].shard = member < 0 ? REBALANCE_NONE : l->node[member].shard;
        l->slot[s].open = bit(open, s);
        out->open_slots += l->slot[s].open;
    }
    if (rc == PR_OK)
        rc = count_keys(l);
    return rc == PR_OK ? slot_stats(l, &out->slot_stats) : rc;
}

static enum pr_code load_history(struct load *l)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(l->db,
                                 "SELECT slot, from_shard, (extract(epoch FROM moved_at) * 1000)"
                                 "::bigint FROM slot_history",
                                 NULL, 0, &got, l->err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res); i++) {
        struct rebalance_slot_facts *s = &l->slot[pr_cell_i64(res, i, 0)];
        s->moved_from = shard_index(l, pr_cell(res, i, 1));
        s->moved_at_ms = pr_cell_i64(res, i, 2);
    }
    return PR_OK;
}

static enum pr_code load_pins(struct load *l)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(l->db, "SELECT kind, value FROM pins", NULL, 0, &got, l->err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res); i++) {
        const char *kind = pr_cell(res, i, 0), *value = pr_cell(res, i, 1);
        const int16_t s = shard_index(l, value), n = node_index(l, value);
        const long slot = strtol(value, NULL, 10);
        if (strcmp(kind, "slot") == 0 && slot >= 0 && slot < REBALANCE_SLOTS)
            l->slot[slot].pinned = true;
        else if (strcmp(kind, "shard") == 0 && s >= 0)
            l->shard[s].pinned = true;
        else if (strcmp(kind, "node") == 0 && n >= 0)
            l->node[n].pinned = true;
    }
    return PR_OK;
}

/* --- all of it ------------------------------------------------------------------------------ */

/* As the setting says, else as most shards have (the more, when two counts tie). */
static int wanted_replicas(const struct load *l)
{
    int shards_with[64] = { 0 }, best = 0;
    if (l->cfg->replicas > 0)
        return (int)l->cfg->replicas;
    for (size_t i = 0; i < l->image.shards; i++) {
        int n = 0;
        for (size_t k = 0; k < l->image.nodes; k++)
            n += l->node[k].shard == (int16_t)i && (int16_t)k != l->shard[i].primary;
        shards_with[n < 63 ? n : 63]++;
    }
    for (int n = 0; n < 64; n++)
        if (shards_with[n] > 0 && shards_with[n] >= shards_with[best])
            best = n;
    return best;
}

static double mean_key_bytes(const struct load *l)
{
    const struct pr_topology *t = pr_cluster_topology(l->c);
    double bytes = 0, keys = 0;
    for (size_t i = 0; i < t->nodes; i++)
        if (t->node[i].primary) {
            keys += (double)l->says[i].keys;
            bytes += (double)l->says[i].keys * l->says[i].key_bytes;
        }
    return keys > 0 ? bytes / keys : 0;
}

static enum pr_code node_timeout(struct load *l, int64_t *out)
{
    const struct pr_topology *t = pr_cluster_topology(l->c);
    for (size_t i = 0; i < t->nodes; i++) {
        struct pr_redis *conn = NULL;
        redisReply *got = NULL;
        if (!t->node[i].primary || t->node[i].failed)
            continue;
        enum pr_code rc = pr_cluster_conn(l->c, t->node[i].id, &conn, l->err);
        if (rc == PR_OK)
            rc = pr_redis_command(conn, &got, l->err, "CONFIG GET cluster-node-timeout");
        if (rc != PR_OK)
            return rc;
        PR_AUTO(redisReply) *r = got;
        *out = r->elements == 2 ? strtoll(r->element[1]->str, NULL, 10) : 0;
        return PR_OK;
    }
    return PR_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One line a member, sorted, then the owners of runs of slots by their Redis id. */
static enum pr_code digest(const struct load *l, char out[REBALANCE_FINGERPRINT])
{
    const struct pr_topology *t = pr_cluster_topology(l->c);
    char **line = pr_arena_alloc(l->arena, (t->nodes + 1) * sizeof(char *));
    struct pr_buf b;
    if (line == NULL)
        return no_memory(l->err);
    for (size_t k = 0; k < t->nodes; k++) {
        const int16_t i = l->member_of[k];
        line[k] =
            pr_arena_printf(l->arena, "%s %s %s %s\n", t->node[k].id,
                            t->node[k].primary ? "primary" : t->node[k].primary_id,
                            i < 0 ? "?" : l->image.node[i].id, i < 0 ? "?" : l->image.node[i].zone);
        if (line[k] == NULL)
            return no_memory(l->err);
    }
    qsort(line, t->nodes, sizeof(char *), by_text);
    pr_buf_init(&b, 0);
    for (size_t k = 0; k < t->nodes; k++)
        pr_buf_str(&b, line[k]);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (s == 0 || l->image.owner[s] != l->image.owner[s - 1])
            pr_buf_printf(&b, "%d %s\n", s,
                          l->image.owner[s] < 0 ? "-" : t->node[l->image.owner[s]].id);
    const XXH128_hash_t h = XXH3_128bits(b.data, b.len);
    const bool failed = b.failed;
    pr_buf_done(&b);
    snprintf(out, REBALANCE_FINGERPRINT, "%016llx%016llx", (unsigned long long)h.high64,
             (unsigned long long)h.low64);
    return failed ? no_memory(l->err) : PR_OK;
}

enum pr_code rebalance_fleet_load(struct pr_db *db, struct pr_cluster *c,
                                  const struct rebalance_config *cfg, struct pr_arena *arena,
                                  struct rebalance_fleet_facts *out, struct pr_err *err)
{
    struct load l = { .db = db, .c = c, .cfg = cfg, .arena = arena, .err = err };
    *out = (struct rebalance_fleet_facts){ .open_slots = 0 };
    enum pr_code rc = pr_cluster_refresh(c, err);
    if (rc == PR_OK)
        rc = load_image(&l);
    if (rc == PR_OK)
        rc = all_registered(&l);
    if (rc == PR_OK)
        rc = load_zones(&l);
    if (rc == PR_OK)
        rc = load_nodes(&l, out);
    if (rc == PR_OK)
        rc = load_shards(&l);
    if (rc == PR_OK)
        rc = load_slots(&l, out);
    if (rc == PR_OK)
        rc = load_history(&l);
    if (rc == PR_OK)
        rc = load_pins(&l);
    if (rc == PR_OK)
        rc = node_timeout(&l, &out->node_timeout_ms);
    if (rc == PR_OK)
        rc = digest(&l, out->fingerprint);
    if (rc != PR_OK)
        return rc;
    out->key_bytes = mean_key_bytes(&l);
    out->fleet = (struct rebalance_fleet){ .node = l.node,
                                           .nodes = l.image.nodes,
                                           .shard = l.shard,
                                           .shards = l.image.shards,
                                           .zone = l.zone,
                                           .zones = l.zones,
                                           .slot = l.slot,
                                           .replicas = wanted_replicas(&l),
                                           .now_ms = pr_now_ms() };
    return PR_OK;
}

enum pr_code rebalance_fingerprint(struct pr_db *db, struct pr_cluster *c,
                                   char out[REBALANCE_FINGERPRINT], struct pr_err *err)
{
    struct pr_arena arena;
    pr_arena_init(&arena, 0);
    struct load l = { .db = db, .c = c, .arena = &arena, .err = err };
    enum pr_code rc = pr_cluster_refresh(c, err);
    if (rc == PR_OK)
        rc = load_image(&l);
    if (rc == PR_OK)
        rc = digest(&l, out);
    pr_arena_done(&arena);
    return rc;
}
