/* Where the traffic is: of zones, and what it says of shards' primaries. */
#include "core/choose_private.h"
#include "core/decide_private.h"

#include <stdarg.h>
#include <stdio.h>

/* An edge is read from both of its ends: one inside a zone twice there, one between two zones
 * once in each. */
bool autoscale_zone_traffic(const double *matrix, int zones, double *share)
{
    double all = 0;
    for (int a = 0; a < zones; a++) {
        share[a] = 0;
        for (int b = 0; b < zones; b++)
            share[a] += matrix[a * zones + b] * (a == b ? 2 : 1);
        all += share[a];
    }
    for (int a = 0; a < zones; a++)
        share[a] = all > 0 ? share[a] / all : 0;
    return all > 0;
}

void choose_say(struct choose *c, const char *fmt, ...)
{
    char text[sizeof c->out->place_why];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    draft_note(c->out->place_why, sizeof c->out->place_why, "%s", text);
}

static const char *from(const struct choose *c)
{
    const char *says = c->in->traffic_from;
    return says != NULL && says[0] != '\0' ? says : "as given";
}

/* "a 20 %, b 50 %, c 30 % of the traffic (placement run 12)" */
void choose_say_traffic(struct choose *c, const char *begin)
{
    char text[256] = "";
    size_t n = 0;
    double all = 0;
    for (int z = 0; z < c->fleet->zones; z++)
        all += c->in->zone_traffic[z];
    for (int z = 0; z < c->fleet->zones && n < sizeof text; z++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %.0f %%", z > 0 ? ", " : "",
                              c->fleet->zone[z], c->in->zone_traffic[z] * 100 / all);
    choose_say(c, "%s: %s (%s)", begin, text, from(c));
}

/* --- primaries of new shards ---------------------------------------------------------------- */

static int room_for(const struct choose *c, int zone)
{
    int room = 0;
    for (int s = 0; s < c->sites; s++)
        if (c->site[s].zone == zone)
            room += c->site[s].get - c->site[s].primaries;
    return room;
}

/* The zone with the fewest primaries, of equals the one with most traffic, then the first: what
 * rebalance does with nodes in that order. One that has none has no slots to give: slots change
 * their shard and never their zone. */
static int zone_of_primary(const struct choose *c, const int *in)
{
    int best = -1;
    for (int z = 0; z < c->fleet->zones; z++) {
        if (in[z] == 0 || c->zone[z].dead || room_for(c, z) == 0)
            continue;
        if (best < 0 || in[z] < in[best] ||
            (in[z] == in[best] && c->in->zone_traffic[z] > c->in->zone_traffic[best]))
            best = z;
    }
    return best;
}

static bool tied(const struct choose *c, const int *in, int zone)
{
    for (int z = 0; z < c->fleet->zones; z++)
        if (z != zone && in[z] == in[zone] && !c->zone[z].dead && room_for(c, z) > 0)
            return true;
    return false;
}

void choose_primaries(struct choose *c, int shards)
{
    int in[AUTOSCALE_ZONES] = { 0 }, more[AUTOSCALE_ZONES] = { 0 };
    bool by_traffic = false;
    int placed = 0;
    for (size_t i = 0; i < c->in->nodes; i++) {
        const struct autoscale_node *n = &c->in->node[i];
        in[n->zone] += n->primary && !n->failed && !n->leaving;
    }
    for (; placed < shards; placed++) {
        const int zone = zone_of_primary(c, in);
        if (zone < 0)
            break;
        by_traffic = by_traffic || (c->traffic_known && tied(c, in, zone));
        int s = 0;
        while (c->site[s].zone != zone || c->site[s].get == c->site[s].primaries)
            s++;
        c->site[s].primaries++;
        in[zone]++;
        more[zone]++;
    }
    if (placed == 0)
        return;
    char text[160] = "";
    size_t n = 0;
    for (int z = 0; z < c->fleet->zones && n < sizeof text; z++)
        if (more[z] > 0)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %d", n > 0 ? ", " : "",
                                  c->fleet->zone[z], more[z]);
    choose_say(c, "primaries of new shards: %s, where the fewest are", text);
    if (by_traffic)
        choose_say_traffic(c, "of equal zones where most traffic is");
}
