#include "io/view_private.h"

#include "io/samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS };

/* Somebody who was asked to leave, and has not been asked back. */
static bool leaves(const struct autoscale_known *k, const char *id)
{
    return k->carry != NULL && autoscale_carry_leaves(k->carry, id);
}

int view_zone(const struct autoscale_fleet *f, const char *zone)
{
    for (int z = 0; z < f->zones; z++)
        if (strcmp(f->zone[z], zone) == 0)
            return z;
    return -1;
}

static int group_of(const struct autoscale_fleet *f, const char *group, int zone)
{
    for (int g = 0; g < f->groups; g++)
        if (strcmp(f->group[g].name, group) == 0 && f->group[g].zone == zone)
            return g;
    return -1;
}

/* began: it runs, or did once. */
static void add_member(struct filling *f, const char *id, bool began, bool ready, bool leaving,
                       bool failed)
{
    f->since[f->members] = (struct autoscale_since){ .id = id, .began = began, .ready = ready };
    f->member[f->members++] = (struct autoscale_member){
        .id = id,
        .cpu_pct = NAN,
        .memory_pct = NAN,
        .network_bps = NAN,
        .ready = ready,
        .leaving = leaving,
        .failed = failed,
    };
}

static void of_cluster(struct filling *f)
{
    const struct autoscale_known *k = f->k;
    const struct autoscale_fleet *fleet = &f->fleet->setup->fleet;
    f->actual = 0;
    for (size_t i = 0; i < k->rows; i++) {
        const struct autoscale_node_row *r = &k->row[i];
        const int zone = view_zone(fleet, r->zone);
        const bool leaving = leaves(k, r->id);
        if (zone < 0 || (!r->member && !leaving))
            continue;
        f->node[f->in->nodes++] = (struct autoscale_node){
            .id = r->id,
            .shard = r->member ? r->shard : "",
            .zone = zone,
            .group = group_of(fleet, r->group, zone),
            .primary = r->primary && r->useful,
            .slots = r->member ? r->slots : 0,
            .unsized = r->member, /* until its figures are read */
            .leaving = leaving,
            .failed = r->member && !r->up,
        };
        f->actual += r->member && !leaving;
        f->in->view.serving += r->useful;
        if (r->member)
            add_member(f, r->id, r->up, r->useful, leaving, !r->up);
    }
}

/* Who cannot be named at the provider cannot be chosen either: it goes by numbers there. */
static void of_provider(struct filling *f)
{
    const struct autoscale_known *k = f->k;
    const struct autoscale_report *r = &k->sight.report;
    bool named = true, known = true;
    int leaving = 0;
    f->actual = 0;
    for (size_t t = 0; t < r->targets; t++) {
        named = named && k->sight.names[t];
        known = known && r->target[t].code == PR_OK;
        f->actual += r->target[t].desired;
        f->in->view.serving += r->target[t].in_service;
    }
    for (size_t i = 0; i < r->instances; i++) {
        const struct autoscale_instance *m = &r->instance[i];
        const bool goes = m->life == AUTOSCALE_LEAVING || leaves(k, m->id);
        if (m->life == AUTOSCALE_STANDBY || m->life == AUTOSCALE_GONE)
            continue;
        leaving += m->life != AUTOSCALE_LEAVING && goes;
        const bool began = m->life == AUTOSCALE_IN_SERVICE;
        const bool failed = began && !m->healthy;
        add_member(f, m->id, began, began && m->healthy, goes, failed);
        f->since[f->members - 1].started_ms = m->started_ms;
        f->since[f->members - 1].ready_since_ms = m->ready_since_ms;
        if (named)
            f->node[f->in->nodes++] = (struct autoscale_node){
                .id = m->id,
                .shard = "",
                .zone = k->sight.zone[m->target],
                .group = k->sight.group[m->target],
                .leaving = goes,
                .failed = failed,
            };
    }
    f->actual = known ? f->actual - leaving : -1;
}

/* Means of the minute; a figure that no member can have is none. */
static const char MEMBERS_SQL[] =
    "SELECT member, avg(cpu_pct) FILTER (WHERE cpu_pct BETWEEN 0 AND 110), "
    "avg(memory_pct) FILTER (WHERE memory_pct BETWEEN 0 AND 110), "
    "avg(network_bps) FILTER (WHERE network_bps >= 0 AND network_bps < 'Infinity'), "
    "(extract(epoch FROM max(at) FILTER (WHERE cpu_pct BETWEEN 0 AND 110 OR memory_pct BETWEEN 0 "
    "AND 110 OR network_bps BETWEEN 0 AND 1e15)) * 1000)::bigint, "
    "max(zone), avg(data_bytes) FILTER (WHERE data_bytes BETWEEN 0 AND 1e18) FROM "
    "autoscale_readings WHERE fleet = $1 AND member <> '' "
    "AND at > " VIEW_AT("$2::bigint") " AND at <= " VIEW_AT(
        "$3::bigint") " GROUP BY member ORDER BY member "
                      "COLLATE \"C\"";

static struct autoscale_member *find_member(struct filling *f, const char *id)
{
    for (size_t i = 0; i < f->members; i++)
        if (strcmp(f->member[i].id, id) == 0)
            return &f->member[i];
    return NULL;
}

static int by_node_id(const void *key, const void *node)
{
    return strcmp(key, ((const struct autoscale_node *)node)->id);
}

/* What a node of the cluster holds; the table has them by id, and so have we. */
static void size_node(struct filling *f, const char *id, double bytes)
{
    struct autoscale_node *n =
        isnan(bytes) || f->in->nodes == 0
            ? NULL
            : bsearch(id, f->node, f->in->nodes, sizeof *f->node, by_node_id);
    if (n != NULL && n->unsized) {
        n->bytes = (uint64_t)bytes;
        n->unsized = false;
    }
}

/* Where the traffic is, of single nodes: what members of each zone carry. */
static enum pr_code add_figures(struct filling *f, struct pr_err *err)
{
    PGresult *got = NULL;
    double sum = 0;
    const struct autoscale_fleet *fleet = &f->fleet->setup->fleet;
    enum pr_code rc = pr_db_exec(
        f->db, MEMBERS_SQL,
        PR_ARGS(pr_text(f->fleet->name), pr_i64(f->at_ms - MINUTE), pr_i64(f->at_ms)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "readings of fleet %s", f->fleet->name);
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res); i++) {
        struct autoscale_member *m = find_member(f, pr_cell(res, i, 0));
        const double bps = autoscale_cell_real(res, i, 3);
        const char *zone = pr_cell(res, i, 5);
        const int z = view_zone(fleet, zone == NULL ? "" : zone);
        if (z >= 0 && bps > 0 && fleet->unit == 1) {
            f->in->zone_traffic[z] += bps;
            sum += bps;
        }
        if (f->fleet->setup->kind == AUTOSCALE_REDIS)
            size_node(f, pr_cell(res, i, 0), autoscale_cell_real(res, i, 6));
        if (m == NULL)
            continue;
        const double cpu = autoscale_cell_real(res, i, 1), memory = autoscale_cell_real(res, i, 2);
        m->cpu_pct = cpu > 100 ? 100 : cpu;
        m->memory_pct = memory > 100 ? 100 : memory;
        m->network_bps = bps;
        m->metric_at_ms = pr_cell(res, i, 4) == NULL ? 0 : pr_cell_i64(res, i, 4);
        m->metric_window_ms = MINUTE;
    }
    for (int z = 0; z < fleet->zones && sum > 0; z++)
        f->in->zone_traffic[z] /= sum;
    if (sum > 0)
        (void)snprintf(f->in->traffic_from, sizeof f->in->traffic_from, "members' network");
    return PR_OK;
}

static bool has_hpa(const struct autoscale_settings *s)
{
    for (size_t i = 0; i < s->policies; i++)
        if (s->policy[i].kind == AUTOSCALE_HPA)
            return true;
    return false;
}

static int by_since_id(const void *a, const void *b)
{
    return strcmp(((const struct autoscale_since *)a)->id, ((const struct autoscale_since *)b)->id);
}

/* A provider may name somebody in two of its groups. */
static size_t distinct(struct autoscale_since *s, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(s[kept - 1].id, s[i].id) != 0)
            s[kept++] = s[i];
    return kept;
}

static void date_members(struct filling *f)
{
    const struct autoscale_sinces before = f->k->since;
    qsort(f->since, f->members, sizeof *f->since, by_since_id);
    const size_t n = distinct(f->since, f->members);
    autoscale_since_fold(&before, f->at_ms, f->since, n);
    f->k->since = (struct autoscale_sinces){ .at_ms = f->at_ms, .one = f->since, .n = n };
    for (size_t i = 0; i < f->members; i++) {
        const struct autoscale_since *s = autoscale_since_find(&f->k->since, f->member[i].id);
        f->member[i].started_ms = s->started_ms;
        f->member[i].ready_since_ms = s->ready_since_ms;
    }
}

enum pr_code view_members(struct filling *f, struct pr_err *err)
{
    const struct autoscale_setup *setup = f->fleet->setup;
    const size_t most = f->k->rows + (f->k->provider ? f->k->sight.report.instances : 0) + 1;
    f->node = pr_arena_alloc(&f->k->arena, most * sizeof *f->node);
    f->member = pr_arena_alloc(&f->k->arena, most * sizeof *f->member);
    f->since = pr_arena_alloc(&f->k->arena, most * sizeof *f->since);
    if (f->node == NULL || f->member == NULL || f->since == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu members", most);
    f->in->node = f->node;
    if (setup->kind == AUTOSCALE_REDIS)
        of_cluster(f);
    else if (f->k->provider)
        of_provider(f);
    const enum pr_code rc = add_figures(f, err);
    f->k->dated = has_hpa(&setup->settings) && (f->k->provider || setup->kind == AUTOSCALE_REDIS);
    if (f->k->dated)
        date_members(f);
    if (has_hpa(&setup->settings)) { /* nobody else asks about single ones */
        f->in->view.member = f->member;
        f->in->view.members = f->members;
    }
    return rc;
}
