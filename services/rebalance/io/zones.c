#include "io/zones.h"

#include "prism/buf.h"
#include "prism/io/log.h"
#include "prism/io/outbox.h"
#include "prism/v1/rebalance.pb-c.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { EVENT_BYTES = 512 }; /* six ids of 64 bytes at most, and numbers */

struct looking {
    const struct pr_lease *lease;
    const struct pr_topology *topology;
    const struct rebalance_registered *before;
    const struct rebalance_image *image;
    struct pr_arena *arena;
    struct rebalance_zones_watch *watch;
    struct rebalance_zones zones;
    double *took_s; /* [zones.failovers] until it was seen; of those that ended */
    bool open;      /* rows are open */
    uint64_t hash;  /* of zones.zone */
};

/* --- what is known ------------------------------------------------------------------- */

static const char *keep(struct pr_arena *arena, const PGresult *res, int row, int col)
{
    return pr_arena_strdup(arena, pr_cell(res, row, col));
}

static enum pr_code load_failovers(struct pr_db *db, struct pr_arena *arena,
                                   struct rebalance_zones_in *in, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT id, shard_id, zone_id, from_node, ended_at IS NULL, (extract(epoch FROM "
                   "clock_timestamp() - failed_at) * 1000)::bigint FROM failovers WHERE ended_at "
                   "IS NULL OR failed_at > now() - $1 * interval '1 ms' ORDER BY id",
                   PR_ARGS(pr_i64(REBALANCE_ZONE_WINDOW_MS)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const size_t n = (size_t)PQntuples(res);
    struct rebalance_failover *f = pr_arena_alloc(arena, (n + 1) * sizeof *f);
    for (size_t i = 0; f != NULL && i < n; i++) {
        f[i] = (struct rebalance_failover){ .id = pr_cell_i64(res, (int)i, 0),
                                            .shard = keep(arena, res, (int)i, 1),
                                            .zone = keep(arena, res, (int)i, 2),
                                            .from = keep(arena, res, (int)i, 3),
                                            .open = pr_cell_bool(res, (int)i, 4),
                                            .failed_ago_ms = pr_cell_i64(res, (int)i, 5) };
        if (f[i].shard == NULL || f[i].zone == NULL || f[i].from == NULL)
            f = NULL;
    }
    in->failover = f;
    in->failovers = n;
    return f == NULL ? pr_fail(err, PR_ENOMEM, "%zu fail-overs", n) : PR_OK;
}

static enum pr_code load_incidents(struct pr_db *db, struct pr_arena *arena,
                                   struct rebalance_zones_in *in, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT id, zone_id, whole, quorum, covered_at IS NOT NULL, "
                   "coalesce((extract(epoch FROM clock_timestamp() - back_at) * 1000)::bigint, -1) "
                   "FROM zone_incidents WHERE ended_at IS NULL ORDER BY id",
                   NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const size_t n = (size_t)PQntuples(res);
    struct rebalance_incident *o = pr_arena_alloc(arena, (n + 1) * sizeof *o);
    for (size_t i = 0; o != NULL && i < n; i++) {
        const bool back = pr_cell_i64(res, (int)i, 5) != -1;
        const int64_t ago = pr_cell_i64(res, (int)i, 5);
        o[i] = (struct rebalance_incident){ .id = pr_cell_i64(res, (int)i, 0),
                                            .zone = keep(arena, res, (int)i, 1),
                                            .whole = pr_cell_bool(res, (int)i, 2),
                                            .quorum = pr_cell_bool(res, (int)i, 3),
                                            .covered = pr_cell_bool(res, (int)i, 4),
                                            /* the database's clock may have been set back */
                                            .back_ago_ms = !back     ? -1
                                                           : ago < 0 ? 0
                                                                     : ago };
        if (o[i].zone == NULL)
            o = NULL;
    }
    in->incident = o;
    in->incidents = n;
    return o == NULL ? pr_fail(err, PR_ENOMEM, "%zu incidents", n) : PR_OK;
}

/* Measured against the newest sign of life of anybody, so that the clocks of that node and ours
 * do not matter. */
static enum pr_code silence(const struct looking *l, const int64_t **out, struct pr_err *err)
{
    const struct pr_topology *t = l->topology;
    int64_t *ms = pr_arena_alloc(l->arena, (l->image->nodes + 1) * sizeof *ms);
    int64_t newest = 0;
    if (ms == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", l->image->nodes);
    for (size_t i = 0; i < t->nodes; i++)
        newest = t->node[i].pong_ms > newest ? t->node[i].pong_ms : newest;
    for (size_t i = 0; i < l->image->nodes; i++) {
        ms[i] = 0;
        for (size_t k = 0; k < t->nodes; k++)
            if (t->node[k].pong_ms > 0 && strcmp(t->node[k].id, l->image->node[i].redis_id) == 0)
                ms[i] = newest - t->node[k].pong_ms;
    }
    *out = ms;
    return PR_OK;
}

/* --- events ---------------------------------------------------------------------------- */

static enum pr_code tell_zone(struct pr_db *db, const struct rebalance_incident_change *c,
                              int64_t id, const char *state, struct pr_err *err)
{
    uint8_t packed[EVENT_BYTES];
    Prism__V1__ZoneEvent e = PRISM__V1__ZONE_EVENT__INIT;
    e.incident_id = (uint64_t)id;
    e.zone = (char *)(uintptr_t)c->zone;
    e.state = (char *)(uintptr_t)state;
    e.whole = c->whole;
    e.quorum = c->quorum;
    e.nodes = (uint32_t)c->nodes;
    e.failed = (uint32_t)c->failed;
    e.uncovered_slots = (uint32_t)c->uncovered;
    assert(prism__v1__zone_event__get_packed_size(&e) <= sizeof packed);
    return pr_outbox_add(db, "prism.evt.topology.zone", packed,
                         prism__v1__zone_event__pack(&e, packed), err);
}

static const char *const outcome[] = { [REBALANCE_FAILOVER_BEGAN] = NULL,
                                       [REBALANCE_FAILOVER_PROMOTED] = "promoted",
                                       [REBALANCE_FAILOVER_RETURNED] = "returned",
                                       [REBALANCE_FAILOVER_GONE] = "gone" };

static enum pr_code tell_failover(struct pr_db *db, const struct rebalance_failover_change *c,
                                  const PGresult *row, struct pr_err *err)
{
    uint8_t packed[EVENT_BYTES];
    Prism__V1__FailoverEvent e = PRISM__V1__FAILOVER_EVENT__INIT;
    e.failover_id = (uint64_t)pr_cell_i64(row, 0, 0);
    e.ms = pr_cell_i64(row, 0, 1);
    e.incident_id = (uint64_t)pr_cell_i64(row, 0, 2);
    e.shard = (char *)(uintptr_t)c->shard;
    e.zone = (char *)(uintptr_t)c->zone;
    e.from_node = (char *)(uintptr_t)c->from;
    e.to_node = (char *)(uintptr_t)c->to;
    e.outcome = (char *)(uintptr_t)outcome[c->what];
    assert(prism__v1__failover_event__get_packed_size(&e) <= sizeof packed);
    return pr_outbox_add(db, "prism.evt.topology.failover", packed,
                         prism__v1__failover_event__pack(&e, packed), err);
}

/* --- rows ----------------------------------------------------------------------------------- */

static enum pr_code write_incident(struct pr_db *db, const struct rebalance_incident_change *c,
                                   struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        c->id == 0
            ? pr_db_exec(db,
                         "INSERT INTO zone_incidents (zone_id, whole, quorum, nodes, failed, "
                         "primaries, all_primaries, uncovered, seen_at, covered_at) VALUES ($1, "
                         "$2, $3, $5, $6, $7, $8, $9, now() - $10 * interval '1 ms', CASE WHEN $4 "
                         "THEN now() END) RETURNING id",
                         PR_ARGS(pr_text(c->zone), pr_bool(c->whole), pr_bool(c->quorum),
                                 pr_bool(c->covered), pr_i64(c->nodes), pr_i64(c->failed),
                                 pr_i64(c->primaries), pr_i64(c->all_primaries),
                                 pr_i64(c->uncovered), pr_i64(c->silent_ms)),
                         &got, err)
            : pr_db_exec(
                  db,
                  "WITH was AS (SELECT covered_at IS NULL AS bare FROM zone_incidents WHERE id = "
                  "$1) UPDATE zone_incidents SET whole = $2, quorum = $3, covered_at = CASE WHEN "
                  "$4 THEN coalesce(covered_at, now()) END, back_at = CASE WHEN $5 THEN "
                  "coalesce(back_at, now()) END, ended_at = CASE WHEN $6 THEN now() END, nodes = "
                  "greatest(nodes, $7), failed = greatest(failed, $8), primaries = "
                  "greatest(primaries, $9), uncovered = greatest(uncovered, $10) FROM was WHERE id "
                  "= $1 RETURNING id, bare",
                  PR_ARGS(pr_i64(c->id), pr_bool(c->whole), pr_bool(c->quorum), pr_bool(c->covered),
                          pr_bool(c->back), pr_bool(c->ended), pr_i64(c->nodes), pr_i64(c->failed),
                          pr_i64(c->primaries), pr_i64(c->uncovered)),
                  &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *row = got;
    const int64_t id = pr_cell_i64(row, 0, 0);
    if (c->id == 0)
        return tell_zone(db, c, id, "failed", err);
    if (c->covered && pr_cell_bool(row, 0, 1))
        rc = tell_zone(db, c, id, "covered", err);
    return rc == PR_OK && c->ended ? tell_zone(db, c, id, "recovered", err) : rc;
}

/* Of an incident when the zone of the primary has one: it may have begun before. */
static enum pr_code write_failover(struct pr_db *db, const struct rebalance_failover_change *c,
                                   double *took_s, struct pr_err *err)
{
    PGresult *got = NULL;
    const char *how = outcome[c->what];
    enum pr_code rc =
        c->id == 0
            ? pr_db_exec(
                  db,
                  "INSERT INTO failovers (shard_id, zone_id, from_node, to_node, outcome, "
                  "seen_at, ended_at) VALUES ($1, $2, $3, nullif($4, ''), $5::text, now() - $6 * "
                  "interval '1 ms', CASE WHEN $5::text IS NOT NULL THEN now() END) RETURNING id, "
                  "$6::bigint, 0",
                  PR_ARGS(pr_text(c->shard), pr_text(c->zone), pr_text(c->from), pr_text(c->to),
                          pr_text(how), pr_i64(c->silent_ms)),
                  &got, err)
            : pr_db_exec(db,
                         "UPDATE failovers SET to_node = nullif($2, ''), outcome = $3, ended_at = "
                         "now() WHERE id = $1 RETURNING id, (extract(epoch FROM now() - seen_at) * "
                         "1000)::bigint, coalesce(incident_id, 0)",
                         PR_ARGS(pr_i64(c->id), pr_text(c->to), pr_text(how)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *row = got;
    *took_s = (double)pr_cell_i64(row, 0, 1) / 1000;
    return how == NULL ? PR_OK : tell_failover(db, c, row, err);
}

static enum pr_code join_incidents(struct pr_db *db, struct pr_err *err)
{
    return pr_db_exec(db,
                      "UPDATE failovers f SET incident_id = i.id FROM zone_incidents i WHERE "
                      "i.ended_at IS NULL AND f.zone_id = i.zone_id AND f.incident_id IS NULL AND "
                      "f.failed_at > i.failed_at - $1 * interval '1 ms'",
                      PR_ARGS(pr_i64(REBALANCE_ZONE_WINDOW_MS)), NULL, err);
}

static const char *alarms_of(struct pr_arena *arena, const struct rebalance_zone *z)
{
    const char *text = "";
    for (int i = 0; i < REBALANCE_ALARMS && text != NULL; i++)
        if ((z->alarms & 1U << i) != 0)
            text = pr_arena_printf(arena, "%s%s%s", text, text[0] == '\0' ? "" : ",",
                                   rebalance_zone_alarm_name(1 << i));
    return text;
}

static enum pr_code write_states(struct pr_db *db, const struct looking *l, struct pr_err *err)
{
    enum pr_code rc = pr_db_exec(db, "DELETE FROM zone_states", NULL, 0, NULL, err);
    for (size_t i = 0; i < l->zones.zones && rc == PR_OK; i++) {
        const struct rebalance_zone *z = &l->zones.zone[i];
        const char *alarms = alarms_of(l->arena, z);
        rc = alarms == NULL
                 ? pr_fail(err, PR_ENOMEM, "zone %s", z->id)
                 : pr_db_exec(db,
                              "INSERT INTO zone_states (zone_id, state, nodes, failed, primaries, "
                              "all_primaries, uncovered, alarms) VALUES ($1, $2, $3, $4, $5, $6, "
                              "$7, string_to_array($8, ','))",
                              PR_ARGS(pr_text(z->id), pr_text(rebalance_zone_state_name(z->state)),
                                      pr_i64(z->nodes), pr_i64(z->failed), pr_i64(z->primaries),
                                      pr_i64(l->zones.primaries), pr_i64(l->zones.uncovered),
                                      pr_text(alarms)),
                              NULL, err);
    }
    return rc;
}

static uint64_t mix(uint64_t h, int64_t v)
{
    return (h ^ (uint64_t)v) * 1099511628211U;
}

static uint64_t hash_of(const struct rebalance_zones *o)
{
    uint64_t h = mix(14695981039346656037U, o->primaries);
    h = mix(h, o->uncovered);
    for (size_t i = 0; i < o->zones; i++) {
        const struct rebalance_zone *z = &o->zone[i];
        for (const char *c = z->id; *c != '\0'; c++)
            h = mix(h, (unsigned char)*c);
        h = mix(mix(mix(h, z->nodes), z->failed), z->primaries);
        h = mix(mix(h, (int64_t)z->alarms), 256 + (int64_t)z->state);
    }
    return h == 0 ? 1 : h;
}

static enum pr_code write_all(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct looking *l = ctx;
    struct rebalance_zones *o = &l->zones;
    struct rebalance_zones_in in = { .before = l->before->node, .image = l->image };
    enum pr_code rc = pr_lease_check(db, l->lease, err);
    if (rc == PR_OK)
        rc = load_failovers(db, l->arena, &in, err);
    if (rc == PR_OK)
        rc = load_incidents(db, l->arena, &in, err);
    if (rc == PR_OK)
        rc = silence(l, &in.silent_ms, err);
    if (rc == PR_OK)
        rc = rebalance_zones_judge(&in, l->arena, o, err);
    if (rc != PR_OK)
        return rc;
    l->took_s = pr_arena_alloc(l->arena, (o->failovers + 1) * sizeof *l->took_s);
    if (l->took_s == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu fail-overs", o->failovers);
    for (size_t i = 0; i < o->incidents && rc == PR_OK; i++)
        if (o->incident[i].changed)
            rc = write_incident(db, &o->incident[i], err);
    for (size_t i = 0; i < o->failovers && rc == PR_OK; i++)
        rc = write_failover(db, &o->failover[i], &l->took_s[i], err);
    if (rc == PR_OK && o->incidents > 0 && (in.failovers > 0 || o->failovers > 0))
        rc = join_incidents(db, err);
    l->open = in.failovers > 0 || o->failovers > 0 || o->incidents > 0;
    l->hash = hash_of(o);
    return rc == PR_OK && l->hash != l->watch->shown ? write_states(db, l, err) : rc;
}

/* --- saying so ----------------------------------------------------------------------------------
 */

static void log_all(const struct looking *l, struct pr_metrics *metrics)
{
    const struct rebalance_zones *o = &l->zones;
    for (size_t i = 0; i < o->failovers; i++) {
        const struct rebalance_failover_change *c = &o->failover[i];
        if (c->what == REBALANCE_FAILOVER_BEGAN) {
            pr_warn(PR_EV("primary.failed"), PR_S("shard", c->shard), PR_S("node", c->from),
                    PR_S("zone", c->zone));
            continue;
        }
        pr_info(PR_EV("failover.seen"), PR_S("shard", c->shard), PR_S("outcome", outcome[c->what]),
                PR_S("from", c->from), PR_S("to", c->to), PR_R("seconds", l->took_s[i]));
        pr_metrics_add(metrics, M_FAILOVERS, outcome[c->what], 1);
        if (c->what == REBALANCE_FAILOVER_PROMOTED)
            pr_metrics_observe(metrics, M_FAILOVER_SECONDS, NULL, l->took_s[i]);
    }
    for (size_t i = 0; i < o->incidents; i++) {
        const struct rebalance_incident_change *c = &o->incident[i];
        if (c->id == 0)
            pr_metrics_add(metrics, M_INCIDENTS, c->zone, 1);
        if (c->changed)
            pr_warn(PR_EV(c->id == 0 ? "zone.failed"
                          : c->ended ? "zone.recovered"
                                     : "zone.changed"),
                    PR_S("zone", c->zone), PR_I("whole", c->whole), PR_I("quorum", c->quorum),
                    PR_I("covered", c->covered), PR_I("back", c->back), PR_I("nodes", c->nodes),
                    PR_I("failed", c->failed), PR_I("uncovered_slots", c->uncovered));
    }
}

static void show(const struct looking *l, struct pr_metrics *metrics)
{
    const struct rebalance_zones *o = &l->zones;
    rebalance_zones_forget(l->watch, metrics); /* zones that are no more */
    for (size_t i = 0; i < o->zones; i++) {
        const struct rebalance_zone *z = &o->zone[i];
        pr_metrics_set(metrics, M_ZONE_FAILED, z->id, z->failed);
        pr_metrics_set(metrics, M_ZONE_DOWN, z->id, z->state == REBALANCE_ZONE_DOWN);
        pr_metrics_set(metrics, M_ZONE_PRIMARIES, z->id, z->primaries);
        pr_metrics_set(metrics, M_ZONE_MAJORITY, z->id,
                       (z->alarms & REBALANCE_ALARM_MAJORITY) != 0);
        if ((z->alarms & REBALANCE_ALARM_MAJORITY) != 0)
            pr_warn(PR_EV("zone.majority"), PR_S("zone", z->id), PR_I("primaries", z->primaries),
                    PR_I("of", o->primaries));
    }
    pr_metrics_set(metrics, M_NO_QUORUM, NULL, o->primaries > 0 && !o->quorum);
    pr_metrics_set(metrics, M_UNCOVERED, NULL, o->uncovered);
}

void rebalance_zones_forget(struct rebalance_zones_watch *w, struct pr_metrics *metrics)
{
    static const int of_zone[] = { M_ZONE_FAILED, M_ZONE_DOWN, M_ZONE_PRIMARIES, M_ZONE_MAJORITY };
    for (size_t i = 0; i < PR_COUNT(of_zone); i++)
        pr_metrics_drop(metrics, of_zone[i], NULL);
    pr_metrics_set(metrics, M_NO_QUORUM, NULL, 0);
    pr_metrics_set(metrics, M_UNCOVERED, NULL, 0);
    *w = (struct rebalance_zones_watch){ .busy = true };
}

/* Nothing to ask the database while nothing is open, nobody failed, and nothing changed. */
static bool is_calm(const struct rebalance_zones_watch *w,
                    const struct rebalance_registered *before, const struct rebalance_image *image)
{
    if (w->busy || w->shown == 0)
        return false;
    for (size_t i = 0; i < image->nodes; i++)
        if (image->node[i].state == REBALANCE_NODE_FAILED ||
            !rebalance_node_same(&before->node[i], &image->node[i]))
            return false;
    return true;
}

enum pr_code rebalance_zones_look(struct rebalance_zones_watch *w, struct pr_db *db,
                                  const struct pr_lease *lease, struct pr_metrics *metrics,
                                  const struct pr_topology *topology,
                                  const struct rebalance_registered *before,
                                  const struct rebalance_image *image, struct pr_arena *arena,
                                  struct pr_err *err)
{
    struct looking l = { .lease = lease,
                         .topology = topology,
                         .before = before,
                         .image = image,
                         .arena = arena,
                         .watch = w };
    if (is_calm(w, before, image))
        return PR_OK;
    const enum pr_code rc = pr_db_tx(db, write_all, &l, err);
    if (rc != PR_OK)
        return rc;
    log_all(&l, metrics);
    if (l.hash != w->shown)
        show(&l, metrics);
    w->shown = l.hash;
    w->busy = l.open;
    return PR_OK;
}
