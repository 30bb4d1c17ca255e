/* Nodes, zones, partitions and the topology. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int show(struct ctl *ctl, const char *prefix, const char *id)
{
    char path[600];
    ctl_path(path, sizeof path, prefix, id, "");
    return ctl_show(ctl, path);
}

/* Reads a whole number; anything else is sent as it is, for the API to refuse. */
static json_t *number(const char *text)
{
    char *end;
    double real = strtod(text, &end);
    if (*text == '\0' || *end != '\0')
        return json_string(text);
    json_int_t whole = strtoll(text, &end, 10);
    return *end == '\0' ? json_integer(whole) : json_real(real);
}

static json_t *text_or_clear(const char *text)
{
    return strcmp(text, "-") == 0 ? json_null() : json_string(text);
}

/* Changes what is there now: its ETag is read first. */
static int change(struct ctl *ctl, const char *method, const char *prefix, const char *id,
                  json_t *body)
{
    char path[600];
    ctl_path(path, sizeof path, prefix, id, "");
    return ctl_change(ctl, method, path, body);
}

int ctl_partition_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "PARTITION", "id" }, { "SLOT", "slot" },         { "ZONE", "zone" },
        { "NODE", "node" },    { "VERTICES", "vertices" }, { "TEMPERATURE", "temperature" },
    };
    char query[512] = "";
    const char *limit = ctl_opt(line, "limit");
    json_t *list;
    ctl_query(query, sizeof query, "zone", ctl_opt(line, "zone"));
    ctl_query(query, sizeof query, "slot", ctl_opt(line, "slot"));
    ctl_query(query, sizeof query, "temperature", ctl_opt(line, "temperature"));
    int code =
        ctl_list(ctl, "/v1/partitions", query, limit == NULL ? 0 : strtoul(limit, NULL, 10), &list);
    if (code != CTL_OK)
        return code;
    ctl_print_list(ctl, list, columns, COUNT(columns));
    json_decref(list);
    return CTL_OK;
}

int ctl_partition_get(struct ctl *ctl, const struct ctl_line *line)
{
    return show(ctl, "/v1/partitions", line->arg[0]);
}

int ctl_node_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "NODE", "id" },   { "HOST", "host" },   { "PORT", "port" },   { "ZONE", "zone" },
        { "ROLE", "role" }, { "STATE", "state" }, { "SLOTS", "slots" }, { "SHARD", "shard" },
    };
    char query[512] = "";
    json_t *list;
    ctl_query(query, sizeof query, "zone", ctl_opt(line, "zone"));
    ctl_query(query, sizeof query, "state", ctl_opt(line, "state"));
    ctl_query(query, sizeof query, "role", ctl_opt(line, "role"));
    int code = ctl_list(ctl, "/v1/nodes", query, 0, &list);
    if (code != CTL_OK)
        return code;
    ctl_print_list(ctl, list, columns, COUNT(columns));
    json_decref(list);
    return CTL_OK;
}

int ctl_node_register(struct ctl *ctl, const struct ctl_line *line)
{
    const char *zone = ctl_opt(line, "zone");
    json_t *body = json_pack("{s:s,s:s,s:o}", "id", line->arg[0], "host", line->arg[1], "port",
                             number(line->arg[2]));
    if (body != NULL && zone != NULL)
        json_object_set_new(body, "zone", json_string(zone));
    return ctl_submit(ctl, "POST", "/v1/nodes", body, NULL);
}

int ctl_node_get(struct ctl *ctl, const struct ctl_line *line)
{
    return show(ctl, "/v1/nodes", line->arg[0]);
}

int ctl_node_set_zone(struct ctl *ctl, const struct ctl_line *line)
{
    return change(ctl, "PATCH", "/v1/nodes", line->arg[0],
                  json_pack("{s:o}", "zone", text_or_clear(line->arg[1])));
}

int ctl_node_delete(struct ctl *ctl, const struct ctl_line *line)
{
    int code;
    if (!ctl_consent(ctl, line, &code, "Forget node %s and its zone", line->arg[0]))
        return code;
    return change(ctl, "DELETE", "/v1/nodes", line->arg[0], NULL);
}

int ctl_zone_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "ZONE", "id" },
        { "CAPACITY", "capacityRatio" },
        { "SUBNET", "subnet" },
    };
    json_t *list;
    (void)line;
    int code = ctl_list(ctl, "/v1/zones", "", 0, &list);
    if (code != CTL_OK)
        return code;
    ctl_print_list(ctl, list, columns, COUNT(columns));
    json_decref(list);
    return CTL_OK;
}

int ctl_zone_get(struct ctl *ctl, const struct ctl_line *line)
{
    return show(ctl, "/v1/zones", line->arg[0]);
}

static json_t *zone_body(const struct ctl_line *line)
{
    const char *subnet = ctl_opt(line, "subnet"), *ratio = ctl_opt(line, "capacity-ratio");
    json_t *body = json_object();
    if (subnet != NULL)
        json_object_set_new(body, "subnet", text_or_clear(subnet));
    if (ratio != NULL)
        json_object_set_new(body, "capacityRatio", number(ratio));
    return body;
}

int ctl_zone_create(struct ctl *ctl, const struct ctl_line *line)
{
    json_t *body = zone_body(line);
    json_object_set_new(body, "id", json_string(line->arg[0]));
    return ctl_submit(ctl, "POST", "/v1/zones", body, NULL);
}

int ctl_zone_set(struct ctl *ctl, const struct ctl_line *line)
{
    return change(ctl, "PATCH", "/v1/zones", line->arg[0], zone_body(line));
}

static void print_topology(const struct ctl *ctl, const json_t *t)
{
    static const struct ctl_column zone_columns[] = {
        { "ZONE", "id" },           { "CAPACITY", "capacityRatio" },
        { "NODES", "nodes" },       { "PRIMARIES", "primaries" },
        { "REPLICAS", "replicas" }, { "SLOTS", "slots" },
    };
    static const struct ctl_column shard_columns[] = {
        { "SHARD", "id" },    { "PRIMARY", "primary" },   { "ZONE", "zone" },
        { "SLOTS", "slots" }, { "RANGES", "slotRanges" },
    };
    const json_t *reasons = json_object_get(t, "reasons"), *reason;
    size_t i;
    printf("state       %s\n", json_string_value(json_object_get(t, "state")));
    json_array_foreach(reasons, i, reason) printf("            %s\n", json_string_value(reason));
    if (json_is_integer(json_object_get(t, "partitions")))
        printf("partitions  %" JSON_INTEGER_FORMAT "\n",
               json_integer_value(json_object_get(t, "partitions")));
    json_t *zones = json_pack("{s:O}", "items", json_object_get(t, "zones"));
    json_t *shards = json_pack("{s:O}", "items", json_object_get(t, "shards"));
    printf("\n");
    ctl_print_list(ctl, zones, zone_columns, COUNT(zone_columns));
    printf("\n");
    ctl_print_list(ctl, shards, shard_columns, COUNT(shard_columns));
    json_decref(zones);
    json_decref(shards);
}

int ctl_topology(struct ctl *ctl, const struct ctl_line *line)
{
    struct ctl_reply r;
    (void)line;
    int code = ctl_must(ctl, "GET", "/v1/topology", NULL, NULL, &r);
    if (code == CTL_OK && ctl->json)
        ctl_print(ctl, r.body);
    else if (code == CTL_OK)
        print_topology(ctl, r.body);
    ctl_reply_done(&r);
    return code;
}
