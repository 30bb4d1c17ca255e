#include "core/choose_private.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

struct choose_site *choose_site_of(struct choose *c, const struct autoscale_node *n)
{
    return &c->site[n->group < 0 ? n->zone : c->fleet->zones + n->group];
}

void choose_leave(struct choose *c, int node)
{
    const struct autoscale_node *n = &c->in->node[node];
    c->out->leaves[c->out->n_leaves++] = node;
    choose_site_of(c, n)->give++;
    c->zone[n->zone].stay--;
}

static enum pr_code check_nodes(const struct autoscale_choose *in, struct pr_err *err)
{
    const struct autoscale_fleet *f = in->fleet;
    for (size_t i = 0; i < in->nodes; i++) {
        const struct autoscale_node *n = &in->node[i];
        const char *id = n->id == NULL ? "?" : n->id;
        if (n->zone < 0 || n->zone >= f->zones)
            return pr_fail(err, PR_EINVAL, "node %s: zone %d of %d", id, n->zone, f->zones);
        if (n->group >= f->groups)
            return pr_fail(err, PR_EINVAL, "node %s: placement group %d of %d", id, n->group,
                           f->groups);
        if (n->group >= 0 && f->group[n->group].zone != n->zone)
            return pr_fail(err, PR_EINVAL, "node %s: in zone %s, but its group %s is not", id,
                           f->zone[n->zone], f->group[n->group].name);
        if (!(n->traffic >= 0 && isfinite(n->traffic)))
            return pr_fail(err, PR_EINVAL, "node %s: its traffic is no number >= 0", id);
    }
    return PR_OK;
}

static void sites(struct choose *c)
{
    const struct autoscale_fleet *f = c->fleet;
    c->sites = f->zones + f->groups;
    for (int z = 0; z < f->zones; z++)
        c->site[z] = (struct choose_site){ .zone = z, .group = -1, .room = INT_MAX };
    for (int g = 0; g < f->groups; g++) {
        c->site[f->zones + g] =
            (struct choose_site){ .zone = f->group[g].zone, .group = g, .room = f->group[g].max };
        c->site[f->group[g].zone].room = 0; /* a zone that has groups is used through them */
    }
}

static void count(struct choose *c)
{
    int failed[AUTOSCALE_ZONES] = { 0 }, all[AUTOSCALE_ZONES] = { 0 };
    for (size_t i = 0; i < c->in->nodes; i++) {
        const struct autoscale_node *n = &c->in->node[i];
        struct choose_site *s = choose_site_of(c, n);
        if (s->room > 0 && s->room < INT_MAX) /* one that leaves needs its place until it is gone */
            s->room--;
        all[n->zone]++;
        failed[n->zone] += n->failed;
        if (!n->leaving) {
            c->zone[n->zone].stay++;
            c->staying++;
        }
    }
    for (int z = 0; z < c->fleet->zones; z++)
        c->zone[z].dead = all[z] > 0 && failed[z] == all[z];
}

/* How many members each zone should have, and between which bounds. */
static void ideals(struct choose *c, int to)
{
    const int zones = c->fleet->zones;
    double sum = 0;
    for (int z = 0; z < zones; z++)
        sum += c->in->zone_traffic[z];
    const double even = (double)to / zones;
    c->traffic_known = sum > 0;
    const bool known = sum > 0 && c->fleet->unit == 1;
    const int even_up = (to + zones - 1) / zones;
    int least = to / zones, most = even_up;
    if (known) {
        least = to * AUTOSCALE_EVEN_LEAST_PCT / 100 / zones;
        most = (int)ceil(even * AUTOSCALE_EVEN_MOST_PCT / 100);
    }
    if (c->in->rest > 0 && most > to - c->in->rest)
        most = to - c->in->rest > even_up ? to - c->in->rest : even_up;
    for (int z = 0; z < zones; z++) {
        struct choose_zone *p = &c->zone[z];
        const double wish = known ? to * (c->in->zone_traffic[z] / sum) : even;
        p->least = least;
        p->most = most;
        p->ideal = wish < least ? least : wish > most ? most : wish;
    }
}

static enum pr_code grow(struct choose *c, int *to, struct pr_err *err)
{
    const int members = *to - c->in->from;
    int back = 0;
    const enum pr_code rc = choose_back(c, members, &back, err);
    if (rc != PR_OK)
        return rc;
    const int got = choose_new(c, members - back, true);
    if (c->fleet->unit > 1)
        choose_primaries(c, got / c->fleet->unit);
    else if (got > 0 && c->traffic_known)
        choose_say_traffic(c, "new ones go where the traffic is, as far as evenness allows");
    *to = c->in->from + back + got;
    if (back + got < members)
        (void)snprintf(c->limited, c->limited_bytes,
                       "placement groups have room for %d of %d members", back + got, members);
    return PR_OK;
}

/* Orders that have not been carried out yet are taken back before anybody leaves. */
static int take_back_orders(struct choose *c, int members)
{
    int taken = 0;
    while (taken < members) {
        struct choose_site *best = NULL;
        double most = 0;
        for (int s = 0; s < c->sites; s++) {
            struct choose_site *p = &c->site[s];
            const double has = c->zone[p->zone].stay - c->zone[p->zone].ideal;
            if (p->ordered > 0 && (best == NULL || has > most)) {
                best = p;
                most = has;
            }
        }
        if (best == NULL)
            break;
        best->ordered--;
        best->unordered++;
        best->give++;
        c->zone[best->zone].stay--;
        taken++;
    }
    return taken;
}

/* Leaves orders standing after all. */
static void order_again(struct choose *c, int members)
{
    for (int s = 0; s < c->sites && members > 0; s++)
        for (struct choose_site *p = &c->site[s]; p->unordered > 0 && members > 0; members--) {
            p->unordered--;
            p->give--;
        }
}

static enum pr_code shrink(struct choose *c, int *to, struct pr_err *err)
{
    const int from = c->in->from, unreported = from > c->staying ? from - c->staying : 0;
    const int orders = take_back_orders(c, unreported < from - *to ? unreported : from - *to);
    int leavers = c->staying - *to, gone = 0;
    if (c->in->nodes == 0 || leavers <= 0)
        return PR_OK;
    if (leavers > AUTOSCALE_CHOSEN)
        leavers = AUTOSCALE_CHOSEN / c->fleet->unit * c->fleet->unit;
    const enum pr_code rc = c->fleet->unit == 1 ? choose_singles(c, leavers, &gone, err)
                                                : choose_shards(c, leavers, &gone, err);
    if (rc != PR_OK)
        return rc;
    if (c->fleet->unit == 1 && c->traffic_known && gone > 0)
        choose_say_traffic(c, "those go who are in zones with more than their part of the traffic");
    const int extra = c->staying > from ? c->staying - from : 0;
    const int left = from - orders - (gone > extra ? gone - extra : 0);
    const int whole = left == *to ? left : autoscale_fleet_whole(c->fleet, left, true);
    *to = whole < from ? whole : from;
    order_again(c, *to - left); /* fewer may leave than were asked for: whole units all the same */
    return PR_OK;
}

static void report(const struct choose *c)
{
    for (int s = 0; s < c->sites; s++) {
        const struct choose_site *p = &c->site[s];
        if (p->give + p->get + p->back > 0)
            c->out->place[c->out->places++] = (struct autoscale_place){
                .zone = p->zone,
                .group = p->group,
                .give = p->give,
                .get = p->get,
                .back = p->back,
                .primaries = p->primaries,
            };
    }
}

enum pr_code autoscale_choose(const struct autoscale_choose *in, struct autoscale_decision *out,
                              int *to, char *limited, size_t limited_bytes, struct pr_err *err)
{
    struct choose c = {
        .in = in,
        .fleet = in->fleet,
        .out = out,
        .limited = limited,
        .limited_bytes = limited_bytes,
    };
    *to = in->to;
    limited[0] = '\0';
    out->places = out->n_leaves = out->n_returns = 0;
    out->place_why[0] = '\0';
    enum pr_code rc = check_nodes(in, err);
    if (rc != PR_OK || in->to == in->from)
        return rc;
    sites(&c);
    count(&c);
    ideals(&c, in->to);
    if (in->from > c.staying) /* ordered, and not there yet: where they were wanted */
        (void)choose_new(&c, in->from - c.staying, false);
    rc = in->to > in->from ? grow(&c, to, err) : shrink(&c, to, err);
    if (*to == in->from) { /* a fleet that stays as it is loses nobody */
        out->n_leaves = 0;
        out->place_why[0] = '\0';
    } else if (rc == PR_OK) {
        report(&c);
    }
    return rc;
}
