#include "api_health.h"

#include "prism/slot.h"

#include <stdio.h>
#include <string.h>

static void PR_PRINTF(2, 3) because(struct api_health *h, const char *fmt, ...)
{
    h->state = "degraded";
    if (h->reasons == API_MAX_REASONS) {
        h->more = true;
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(h->reason[h->reasons++], sizeof h->reason[0], fmt, ap);
    va_end(ap);
}

static void judge_shard(const struct api_topo *t, const struct api_shard *s, struct api_health *h)
{
    const struct api_node *primary = s->primary == API_NONE ? NULL : &t->node[s->primary];
    if (s->replicas == 0 && s->slots > 0)
        because(h, "shard %s has no replica", s->id);
    for (int i = 0; i < s->replicas; i++) {
        const struct api_node *r = &t->node[s->replica[i]];
        if (primary != NULL && primary->zone != API_NONE && r->zone == primary->zone)
            because(h, "replica %s is in zone %s of its primary %s", r->id, t->zone[r->zone].id,
                    primary->id);
    }
}

/* A primary of a shard that has another: nobody follows it, and it follows nobody. */
static bool came_back(const struct api_topo *t, const struct api_node *n)
{
    if (strcmp(n->state, "up") != 0 || strcmp(n->role, "primary") != 0 || n->slots > 0)
        return false;
    const int shard = api_topo_shard(t, n->shard);
    return shard != API_NONE && t->shard[shard].primary != API_NONE &&
           &t->node[t->shard[shard].primary] != n;
}

void api_health_judge(const struct api_topo *t, struct api_health *out)
{
    *out = (struct api_health){ .state = t->nodes == 0 ? "empty" : "ok" };
    if (t->nodes == 0)
        return;
    if (t->covered < PR_SLOTS)
        because(out, "%zu of %d slots have no owner", PR_SLOTS - t->covered, PR_SLOTS);
    for (size_t i = 0; i < t->nodes; i++) {
        const struct api_node *n = &t->node[i];
        if (strcmp(n->state, "failed") == 0)
            because(out, "node %s has failed", n->id);
        if (strcmp(n->state, "up") == 0 && n->zone == API_NONE)
            because(out, "node %s has no known zone: nothing of it moves", n->id);
        if (came_back(t, n))
            because(out,
                    "node %s came back from a failure and serves nothing: plan explain says "
                    "what becomes of it",
                    n->id);
    }
    for (size_t i = 0; i < t->shards; i++)
        judge_shard(t, &t->shard[i], out);
}

double api_cost_usd_per_month(const struct api_cost_in *in, double cross_share)
{
    return in->traffic_bytes_per_s / 1e9 * API_MONTH_S * cross_share * in->usd_per_gb *
           in->billed_sides;
}
