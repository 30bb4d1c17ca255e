/* dr zones: how each zone is, and who took over when one failed. */
#include "ctl.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct ctl_column zones[] = {
    { "ZONE", "id" },
    { "STATE", "state" },
    { "NODES", "nodes" },
    { "FAILED", "failed" },
    { "PRIMARIES", "primaries" },
    { "OF", "allPrimaries" },
    { "AWAY", "primariesAway" },
    { "ALARMS", "alarms" },
};
static const struct ctl_column incidents[] = {
    { "INCIDENT", "id" },          { "ZONE", "zone" },           { "FAILED", "failedAt" },
    { "WHOLE", "whole" },          { "PRIMARIES", "primaries" }, { "QUORUM", "quorum" },
    { "COVERED MS", "coveredMs" }, { "BACK", "backAt" },         { "ENDED", "endedAt" },
};
static const struct ctl_column failovers[] = {
    { "FAILOVER", "id" }, { "SHARD", "shard" },     { "FROM", "from" },     { "TO", "to" },
    { "MS", "ms" },       { "OUTCOME", "outcome" }, { "FORCED", "forced" }, { "ENDED", "endedAt" },
};

static void table(struct ctl *ctl, json_t *items, const struct ctl_column *columns, size_t n)
{
    json_t *list = json_pack("{s:O}", "items", items);
    if (json_array_size(items) > 0)
        ctl_print_list(ctl, list, columns, n);
    json_decref(list);
}

int ctl_dr_zones(struct ctl *ctl, const struct ctl_line *line)
{
    struct ctl_reply r;
    (void)line;
    const int code = ctl_must(ctl, "GET", "/v1/dr/zones", NULL, NULL, &r);
    if (code == CTL_OK && ctl->json) {
        ctl_print_json(r.body);
    } else if (code == CTL_OK) {
        const json_int_t bare = json_integer_value(json_object_get(r.body, "uncoveredSlots"));
        if (bare > 0) {
            char text[64];
            snprintf(text, sizeof text, "%lld slots are served by nobody", (long long)bare);
            ctl_print_line("uncovered", text);
        }
        table(ctl, json_object_get(r.body, "zones"), zones, COUNT(zones));
        table(ctl, json_object_get(r.body, "incidents"), incidents, COUNT(incidents));
        table(ctl, json_object_get(r.body, "failovers"), failovers, COUNT(failovers));
    }
    ctl_reply_done(&r);
    return code;
}
