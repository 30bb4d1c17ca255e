#include "core/zones.h"

#include "core/takeover.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 16384 };

const char *rebalance_zone_state_name(enum rebalance_zone_state s)
{
    static const char *const name[] = { "empty", "up", "hurt", "down" };
    return (size_t)s < PR_COUNT(name) ? name[s] : "empty";
}

const char *rebalance_zone_alarm_name(int bit)
{
    static const char *const name[REBALANCE_ALARMS] = { "down", "majority", "no-quorum" };
    for (int i = 0; i < REBALANCE_ALARMS; i++)
        if (bit == 1 << i)
            return name[i];
    return "";
}

struct judging {
    const struct rebalance_zones_in *in;
    const struct rebalance_image *image;
    struct pr_arena *arena;
    struct rebalance_zones *out;
};

static bool is_member(const struct rebalance_node *n)
{
    return n->state == REBALANCE_UP || n->state == REBALANCE_NODE_FAILED;
}

static int node_at(const struct rebalance_image *image, const char *id)
{
    for (size_t i = 0; i < image->nodes; i++)
        if (strcmp(image->node[i].id, id) == 0)
            return (int)i;
    return -1;
}

static const struct rebalance_shard *shard_at(const struct rebalance_image *image, const char *id)
{
    for (size_t i = 0; i < image->shards; i++)
        if (strcmp(image->shard[i].id, id) == 0)
            return &image->shard[i];
    return NULL;
}

static bool is_failed(const struct rebalance_image *image, const char *node)
{
    const int at = node_at(image, node);
    return at >= 0 && image->node[at].state == REBALANCE_NODE_FAILED;
}

/* --- zones --------------------------------------------------------------------------- */

static struct rebalance_zone *zone_at(const struct judging *j, const char *id)
{
    for (size_t z = 0; z < j->out->zones; z++)
        if (strcmp(j->out->zone[z].id, id) == 0)
            return &j->out->zone[z];
    return NULL;
}

static int by_zone(const void *a, const void *b)
{
    return strcmp(((const struct rebalance_zone *)a)->id, ((const struct rebalance_zone *)b)->id);
}

static enum pr_code list_zones(struct judging *j, struct pr_err *err)
{
    const size_t most = j->image->nodes + j->in->incidents;
    j->out->zone = pr_arena_alloc(j->arena, (most + 1) * sizeof *j->out->zone);
    if (j->out->zone == NULL)
        return pr_fail(err, PR_ENOMEM, "zones of %zu nodes", j->image->nodes);
    for (size_t i = 0; i < most; i++) {
        const char *id = i < j->image->nodes ? j->image->node[i].zone
                                             : j->in->incident[i - j->image->nodes].zone;
        if (id[0] != '\0' && zone_at(j, id) == NULL)
            j->out->zone[j->out->zones++] = (struct rebalance_zone){ .id = id };
    }
    qsort(j->out->zone, j->out->zones, sizeof *j->out->zone, by_zone);
    return PR_OK;
}

static void count_node(struct judging *j, const struct rebalance_node *n)
{
    struct rebalance_zone *z = zone_at(j, n->zone);
    const bool failed = n->state == REBALANCE_NODE_FAILED;
    if (!is_member(n))
        return;
    if (n->slots > 0) {
        j->out->primaries++;
        j->out->live += !failed;
        j->out->uncovered += failed ? n->slots : 0;
    }
    if (z == NULL)
        return;
    z->nodes++;
    z->failed += failed;
    z->primaries += n->slots > 0;
    z->lost += n->slots > 0 && failed;
    z->unplaced += !failed && n->role == REBALANCE_PRIMARY && n->slots == 0 && n->shard[0] != '\0';
}

static void judge_zones(struct judging *j)
{
    struct rebalance_zones *o = j->out;
    size_t inhabited = 0;
    for (size_t i = 0; i < j->image->nodes; i++)
        count_node(j, &j->image->node[i]);
    o->uncovered += SLOTS - j->image->slots_owned;
    o->quorum = o->live >= rebalance_quorum(o->primaries);
    for (size_t z = 0; z < o->zones; z++)
        inhabited += o->zone[z].nodes > 0;
    for (size_t k = 0; k < o->zones; k++) {
        struct rebalance_zone *z = &o->zone[k];
        z->state = z->nodes == 0           ? REBALANCE_ZONE_EMPTY
                   : z->failed == 0        ? REBALANCE_ZONE_UP
                   : z->failed == z->nodes ? REBALANCE_ZONE_DOWN
                                           : REBALANCE_ZONE_HURT;
        /* With one zone there is nobody to take over anyway. */
        if (inhabited > 1 && z->primaries > 0 && 2 * z->primaries >= o->primaries)
            z->alarms |= REBALANCE_ALARM_MAJORITY;
        if (z->state == REBALANCE_ZONE_DOWN)
            z->alarms |= REBALANCE_ALARM_DOWN;
        if (!o->quorum && z->lost > 0)
            z->alarms |= REBALANCE_ALARM_NO_QUORUM;
    }
}

/* --- fail-overs -------------------------------------------------------------------------- */

static void change_failover(struct judging *j, const struct rebalance_failover_change *c)
{
    j->out->failover[j->out->failovers++] = *c;
}

/* Of a row that is open: what has become of it. */
static void follow(struct judging *j, const struct rebalance_failover *f)
{
    const struct rebalance_shard *s = shard_at(j->image, f->shard);
    struct rebalance_failover_change c = {
        .id = f->id, .shard = f->shard, .zone = f->zone, .from = f->from, .to = ""
    };
    if (s == NULL)
        c.what = REBALANCE_FAILOVER_GONE;
    else if (is_failed(j->image, s->primary))
        return; /* it, or another that led in between and failed as well */
    else if (strcmp(s->primary, f->from) == 0)
        c.what = REBALANCE_FAILOVER_RETURNED;
    else {
        c.what = REBALANCE_FAILOVER_PROMOTED;
        c.to = s->primary;
    }
    change_failover(j, &c);
}

static const struct rebalance_failover *known(const struct judging *j, const char *shard,
                                              const char *from, bool open)
{
    for (size_t i = 0; i < j->in->failovers; i++) {
        const struct rebalance_failover *f = &j->in->failover[i];
        if (strcmp(f->shard, shard) == 0 && (from == NULL || strcmp(f->from, from) == 0) &&
            (!open || f->open))
            return f;
    }
    return NULL;
}

/* A primary that fails; and one that failed and was replaced between two looks. */
static void notice(struct judging *j)
{
    for (size_t i = 0; i < j->image->nodes; i++) {
        const struct rebalance_node *n = &j->image->node[i], *b = &j->in->before[i];
        if (n->state != REBALANCE_NODE_FAILED)
            continue;
        struct rebalance_failover_change c = { .what = REBALANCE_FAILOVER_BEGAN,
                                               .shard = n->shard,
                                               .zone = n->zone,
                                               .from = n->id,
                                               .to = "",
                                               .silent_ms = j->in->silent_ms[i] };
        if (n->slots > 0 && n->shard[0] != '\0' && known(j, n->shard, NULL, true) == NULL) {
            change_failover(j, &c);
            continue;
        }
        const struct rebalance_shard *s = shard_at(j->image, b->shard);
        if (n->slots > 0 || b->slots == 0 || b->role != REBALANCE_PRIMARY || s == NULL ||
            strcmp(s->primary, n->id) == 0 || is_failed(j->image, s->primary) ||
            known(j, s->id, n->id, false) != NULL)
            continue;
        c.what = REBALANCE_FAILOVER_PROMOTED;
        c.shard = s->id;
        c.to = s->primary;
        change_failover(j, &c);
    }
}

static enum pr_code judge_failovers(struct judging *j, struct pr_err *err)
{
    const size_t most = j->in->failovers + j->image->nodes;
    j->out->failover = pr_arena_alloc(j->arena, (most + 1) * sizeof *j->out->failover);
    if (j->out->failover == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu fail-overs", most);
    for (size_t i = 0; i < j->in->failovers; i++)
        if (j->in->failover[i].open)
            follow(j, &j->in->failover[i]);
    notice(j);
    return PR_OK;
}

/* --- incidents --------------------------------------------------------------------------- */

/* Primaries of the zone that failed within the window and are still away. */
static int struck(const struct judging *j, const char *zone)
{
    int n = 0;
    for (size_t i = 0; i < j->in->failovers; i++) {
        const struct rebalance_failover *f = &j->in->failover[i];
        n += strcmp(f->zone, zone) == 0 && f->failed_ago_ms <= REBALANCE_ZONE_WINDOW_MS &&
             is_failed(j->image, f->from);
    }
    for (size_t i = 0; i < j->out->failovers; i++) /* those of this look have no row yet */
        n += j->out->failover[i].id == 0 && strcmp(j->out->failover[i].zone, zone) == 0;
    return n;
}

static int64_t newest_sign(const struct judging *j, const char *zone)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < j->image->nodes; i++)
        if (j->image->node[i].state == REBALANCE_NODE_FAILED &&
            strcmp(j->image->node[i].zone, zone) == 0 && j->in->silent_ms[i] < least)
            least = j->in->silent_ms[i];
    return least == INT64_MAX ? 0 : least;
}

static void fill(const struct judging *j, const struct rebalance_zone *z,
                 struct rebalance_incident_change *c)
{
    c->nodes = z->nodes;
    c->failed = z->failed;
    c->primaries = z->primaries;
    c->all_primaries = j->out->primaries;
    c->uncovered = j->out->uncovered;
}

static void begin(struct judging *j, const struct rebalance_zone *z)
{
    struct rebalance_incident_change c = { .zone = z->id,
                                           .whole = z->state == REBALANCE_ZONE_DOWN,
                                           .quorum = j->out->quorum,
                                           .covered = j->out->uncovered == 0,
                                           .changed = true,
                                           .silent_ms = newest_sign(j, z->id) };
    fill(j, z, &c);
    j->out->incident[j->out->incidents++] = c;
}

/* Over when every node of the zone that is still wanted has been back, and in its place, for a
 * while; and when all of them were taken out of the cluster. */
static void go_on(struct judging *j, const struct rebalance_incident *i)
{
    const struct rebalance_zone *z = zone_at(j, i->zone);
    const bool back = z->failed == 0 && z->unplaced == 0;
    struct rebalance_incident_change c = {
        .id = i->id,
        .zone = i->zone,
        .whole = i->whole || z->state == REBALANCE_ZONE_DOWN,
        .quorum = i->quorum && (j->out->quorum || i->covered),
        .covered = i->covered || j->out->uncovered == 0,
        .back = back,
        .ended = back && (z->nodes == 0 || i->back_ago_ms >= REBALANCE_ZONE_CALM_MS)
    };
    c.changed = c.whole != i->whole || c.quorum != i->quorum || c.covered != i->covered ||
                c.back != (i->back_ago_ms >= 0) || c.ended;
    fill(j, z, &c);
    j->out->incident[j->out->incidents++] = c;
}

static enum pr_code judge_incidents(struct judging *j, struct pr_err *err)
{
    const size_t most = j->in->incidents + j->out->zones;
    j->out->incident = pr_arena_alloc(j->arena, (most + 1) * sizeof *j->out->incident);
    if (j->out->incident == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu incidents", most);
    for (size_t z = 0; z < j->out->zones; z++) {
        const struct rebalance_zone *zone = &j->out->zone[z];
        const struct rebalance_incident *open = NULL;
        for (size_t i = 0; i < j->in->incidents && open == NULL; i++)
            if (strcmp(j->in->incident[i].zone, zone->id) == 0)
                open = &j->in->incident[i];
        if (open != NULL)
            go_on(j, open);
        else if (zone->state == REBALANCE_ZONE_DOWN ||
                 (zone->failed > 0 && struck(j, zone->id) >= REBALANCE_ZONE_SEVERAL))
            begin(j, zone);
    }
    return PR_OK;
}

enum pr_code rebalance_zones_judge(const struct rebalance_zones_in *in, struct pr_arena *arena,
                                   struct rebalance_zones *out, struct pr_err *err)
{
    struct judging j = { .in = in, .image = in->image, .arena = arena, .out = out };
    *out = (struct rebalance_zones){ .zones = 0 };
    enum pr_code rc = list_zones(&j, err);
    if (rc != PR_OK)
        return rc;
    judge_zones(&j);
    rc = judge_failovers(&j, err);
    return rc == PR_OK ? judge_incidents(&j, err) : rc;
}

/* --- spares ----------------------------------------------------------------------------------- */

/* Live members of a shard, and whether one is in the zone; all: failed ones too. */
static int members(const struct rebalance_image *image, const char *shard, const char *zone,
                   bool all, bool *here)
{
    int n = 0;
    for (size_t i = 0; i < image->nodes; i++) {
        const struct rebalance_node *m = &image->node[i];
        if (!is_member(m) || strcmp(m->shard, shard) != 0 || (!all && m->state != REBALANCE_UP))
            continue;
        n++;
        if (here != NULL && strcmp(m->zone, zone) == 0)
            *here = true;
    }
    return n;
}

static int usual_replicas(const struct rebalance_image *image)
{
    int best = 0, votes = 0;
    for (size_t s = 0; s < image->shards; s++) {
        const int n = members(image, image->shard[s].id, "", true, NULL) - 1;
        int same = 0;
        for (size_t o = 0; o < image->shards; o++)
            same += members(image, image->shard[o].id, "", true, NULL) - 1 == n;
        if (same > votes || (same == votes && n > best)) {
            best = n;
            votes = same;
        }
    }
    return best;
}

enum pr_code rebalance_zones_spares(const struct rebalance_image *image, int wanted,
                                    struct pr_arena *arena, const char ***out, size_t *n,
                                    struct pr_err *err)
{
    *n = 0;
    *out = pr_arena_alloc(arena, (image->nodes + 1) * sizeof **out);
    bool *used = pr_arena_alloc(arena, image->nodes + 1);
    if (*out == NULL || used == NULL)
        return pr_fail(err, PR_ENOMEM, "spares of %zu nodes", image->nodes);
    memset(used, 0, image->nodes + 1);
    wanted = wanted > 0 ? wanted : usual_replicas(image);
    for (int have = 0; have < wanted; have++) /* the poorest first */
        for (size_t s = 0; s < image->shards; s++) {
            const struct rebalance_shard *shard = &image->shard[s];
            if (is_failed(image, shard->primary) ||
                members(image, shard->id, "", false, NULL) - 1 != have)
                continue;
            for (size_t i = 0; i < image->nodes; i++) {
                const struct rebalance_node *m = &image->node[i];
                bool here = false;
                if (used[i] || m->state != REBALANCE_UP || m->shard[0] != '\0' || m->slots > 0 ||
                    m->zone[0] == '\0')
                    continue;
                (void)members(image, shard->id, m->zone, false, &here);
                if (here)
                    continue;
                used[i] = true;
                (*out)[(*n)++] = m->id;
                break;
            }
        }
    return PR_OK;
}

bool rebalance_zones_may_stand_in(const struct rebalance_stand_ins *made)
{
    int64_t rest_ms = 5000;
    for (unsigned i = 0; i < made->refused && rest_ms < REBALANCE_STAND_IN_MS; i++)
        rest_ms *= 2;
    return !made->begun && (made->refused == 0 || made->refused_ago_ms >= rest_ms);
}
