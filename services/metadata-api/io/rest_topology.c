/* /v1/partitions and /v1/topology: what the cluster looks like. */
#include "api.h"
#include "api_check.h"
#include "api_health.h"
#include "prism/slot.h"

#include <string.h>

static json_t *text_or_null(const char *s)
{
    return s[0] == '\0' ? json_null() : json_string(s);
}

static json_t *partition_json(const struct api_topo *t, uint32_t p)
{
    const struct api_place at = api_place_of(t, p);
    const struct api_load *l = &t->load[p];
    const bool known = l->temperature[0] != '\0';
    return json_pack("{s:i,s:i,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id", (int)p, "slot", (int)at.slot,
                     "node", at.node == NULL ? json_null() : json_string(at.node->id), "shard",
                     at.shard == NULL ? json_null() : json_string(at.shard->id), "zone",
                     at.zone == NULL ? json_null() : json_string(at.zone->id), "vertices",
                     known ? json_integer(l->vertices) : json_null(), "bytes",
                     known ? json_integer(l->bytes) : json_null(), "accessedAt",
                     text_or_null(l->accessed_at), "temperature", text_or_null(l->temperature));
}

static bool partition_wanted(const struct api_topo *t, uint32_t p, const char *zone, int slot)
{
    const struct api_place at = api_place_of(t, p);
    if (slot != API_NONE && at.slot != slot)
        return false;
    return zone == NULL || (at.zone != NULL && strcmp(at.zone->id, zone) == 0);
}

void api_partition_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "zone", "slot", "temperature" };
    const char *filter[3];
    struct api_page page;
    uint64_t slot = 0, after = 0;
    if (!api_page_begin(&page, "partitions", filters, 3, filter, req, res))
        return;
    if (filter[1] != NULL && !api_number_parse(filter[1], PR_SLOTS - 1, &slot)) {
        json_decref(page.items);
        pr_http_problem(res, 400, "Bad slot", "a number from 0 to 16383", "slot");
        return;
    }
    PR_AUTO(api_snapshot) *s = api_look(ctx, req, res);
    const struct api_topo *t = s->topo;
    uint32_t p = 0;
    if (page.after[0] != '\0' && api_number_parse(page.after, PR_MAX_PARTITIONS, &after))
        p = (uint32_t)after + 1;
    for (; p < t->partitions; p++) {
        char key[16];
        snprintf(key, sizeof key, "%u", p);
        if (partition_wanted(t, p, filter[0], filter[1] == NULL ? API_NONE : (int)slot) &&
            (filter[2] == NULL || strcmp(filter[2], t->load[p].temperature) == 0) &&
            !api_page_add(&page, key, partition_json(t, p)))
            break;
    }
    api_page_end(&page, res);
}

void api_partition_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    uint64_t p = 0;
    if (!api_number_parse(req->param[0], PR_MAX_PARTITIONS, &p)) {
        pr_http_problem(res, 400, "Bad partition", "a partition's number", "id");
        return;
    }
    PR_AUTO(api_snapshot) *s = api_look(ctx, req, res);
    if (p >= s->topo->partitions) {
        pr_http_problem(res, 404, "Not found",
                        s->topo->partitions == 0
                            ? "the store has not been initialised: prism-admin store init"
                            : pr_arena_printf(req->arena, "partition %s of %u does not exist",
                                              req->param[0], s->topo->partitions),
                        NULL);
        return;
    }
    api_reply(res, 200, partition_json(s->topo, (uint32_t)p));
}

static json_t *slot_ranges(const struct api_topo *t, int shard)
{
    json_t *ranges = json_array();
    for (int from = 0; from < PR_SLOTS; from++) {
        if (t->slot[from].shard != shard)
            continue;
        int to = from;
        while (to + 1 < PR_SLOTS && t->slot[to + 1].shard == shard)
            to++;
        json_array_append_new(ranges, json_pack("[i,i]", from, to));
        from = to;
    }
    return ranges;
}

static json_t *shard_json(const struct api_topo *t, size_t i)
{
    const struct api_shard *s = &t->shard[i];
    const struct api_node *primary = s->primary == API_NONE ? NULL : &t->node[s->primary];
    json_t *replicas = json_array();
    for (int r = 0; r < s->replicas; r++) {
        const struct api_node *n = &t->node[s->replica[r]];
        json_array_append_new(
            replicas,
            json_pack("{s:s,s:o,s:s}", "id", n->id, "zone",
                      n->zone == API_NONE ? json_null() : json_string(t->zone[n->zone].id), "state",
                      n->state));
    }
    return json_pack(
        "{s:s,s:o,s:o,s:o,s:o,s:i,s:o,s:I}", "id", s->id, "primary",
        primary == NULL ? json_null() : json_string(primary->id), "zone",
        primary == NULL || primary->zone == API_NONE ? json_null()
                                                     : json_string(t->zone[primary->zone].id),
        "homeZone", text_or_null(s->home_zone), "replicas", replicas, "slots", s->slots,
        "slotRanges", slot_ranges(t, (int)i), "revision", (json_int_t)s->revision);
}

static json_t *zone_summary(const struct api_topo *t, int zone)
{
    int primaries = 0, replicas = 0, nodes = 0, slots = 0;
    for (size_t i = 0; i < t->nodes; i++)
        if (t->node[i].zone == zone) {
            nodes++;
            primaries += strcmp(t->node[i].role, "primary") == 0;
            replicas += strcmp(t->node[i].role, "replica") == 0;
        }
    for (int s = 0; s < PR_SLOTS; s++)
        slots += t->slot[s].node != API_NONE && t->slot[s].zone == zone;
    return json_pack("{s:s,s:f,s:i,s:i,s:i,s:i}", "id", t->zone[zone].id, "capacityRatio",
                     t->zone[zone].capacity_ratio, "nodes", nodes, "primaries", primaries,
                     "replicas", replicas, "slots", slots);
}

void api_topology_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    PR_AUTO(api_snapshot) *s = api_look(ctx, req, res);
    const struct api_topo *t = s->topo;
    struct api_health health;
    api_health_judge(t, &health);
    json_t *reasons = json_array(), *shards = json_array(), *zones = json_array();
    for (size_t i = 0; i < health.reasons; i++)
        json_array_append_new(reasons, json_string(health.reason[i]));
    if (health.more)
        json_array_append_new(reasons, json_string("and more"));
    for (size_t i = 0; i < t->shards; i++)
        json_array_append_new(shards, shard_json(t, i));
    for (size_t i = 0; i < t->zones; i++)
        json_array_append_new(zones, zone_summary(t, (int)i));
    api_etag(req, res, t->revision);
    api_reply(res, 200,
              json_pack("{s:s,s:o,s:o,s:I,s:I,s:o,s:o,s:I}", "state", health.state, "reasons",
                        reasons, "partitions",
                        t->partitions == 0 ? json_null() : json_integer(t->partitions), "nodes",
                        (json_int_t)t->nodes, "slotsCovered", (json_int_t)t->covered, "shards",
                        shards, "zones", zones, "revision", (json_int_t)t->revision));
}
