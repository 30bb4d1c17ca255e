#include "json/json.h"

#include "json/tables.h"

#include <stdlib.h>
#include <string.h>

static const struct field node_list_rows[] = {
    { .name = "nodes",
      .kind = FIELD_LIST,
      .at = offsetof(struct autoscale_input, node),
      .count = offsetof(struct autoscale_input, nodes),
      .count_is = COUNT_SIZE,
      .of = &autoscale_node_fields,
      .flags = FIELD_OMIT_ZERO },
    { F(struct autoscale_input, traffic_from), .kind = FIELD_TEXT,
      .cap = sizeof(((struct autoscale_input *)0)->traffic_from), .flags = FIELD_OMIT_ZERO },
    { F(struct autoscale_input, decided_ms), .kind = FIELD_I64, .lo = 0, .hi = 16725225600000.0,
      .flags = FIELD_OMIT_ZERO },
};
static const struct field_table input_fields =
    FIELD_TABLE(node_list_rows, struct autoscale_input, NULL);

static enum pr_code check_members(struct field_ctx *c, const json_t *o)
{
    static const char *const known[] = { "version",      "fleet",      "settings",
                                         "view",         "nodes",      "zone_traffic",
                                         "traffic_from", "decided_ms", "memory" };
    const char *name;
    json_t *one;
    if (!json_is_object(o))
        return field_bad(c, "want an object with fleet, settings, view, nodes, ...");
    json_object_foreach((json_t *)(uintptr_t)o, name, one)
    {
        size_t i = 0;
        while (i < PR_COUNT(known) && strcmp(known[i], name) != 0)
            i++;
        if (i == PR_COUNT(known)) {
            (void)field_enter(c, name, 0);
            return field_bad(c, "there is no such part of the input");
        }
    }
    const json_t *version = json_object_get(o, "version");
    if (version != NULL && json_integer_value(version) != AUTOSCALE_JSON_VERSION)
        return field_bad(c, "its version is not %d", AUTOSCALE_JSON_VERSION);
    return PR_OK;
}

static enum pr_code read_view(struct field_ctx *c, const json_t *o, struct autoscale_view *v)
{
    if (o == NULL)
        return field_bad(c, "is missing: what is wanted and measured");
    v->now_ms = v->serving = -1;
    const enum pr_code rc = fields_read(c, &autoscale_view_fields, o, NULL, v);
    if (rc != PR_OK)
        return rc;
    if (v->serving < 0)
        v->serving = v->desired;
    if (v->now_ms < 0 && v->samples == 0)
        return field_bad(c, "has neither now_ms nor samples");
    if (v->now_ms < 0)
        v->now_ms = v->sample[v->samples - 1].at_ms;
    return PR_OK;
}

static enum pr_code read_traffic(struct field_ctx *c, const json_t *o,
                                 const struct autoscale_fleet *fleet, double *traffic)
{
    const char *name;
    json_t *one;
    if (o == NULL)
        return PR_OK;
    if (!json_is_object(o))
        return field_bad(c, "want an object: zone to share");
    json_object_foreach((json_t *)(uintptr_t)o, name, one)
    {
        int zone = 0;
        while (zone < fleet->zones && strcmp(fleet->zone[zone], name) != 0)
            zone++;
        const size_t at = field_enter(c, name, 0);
        if (zone == fleet->zones)
            return field_bad(c, "the fleet has no such zone");
        if (!json_is_number(one) || !(json_number_value(one) >= 0))
            return field_bad(c, "want a number >= 0");
        traffic[zone] = json_number_value(one);
        field_leave(c, at);
    }
    return PR_OK;
}

/* Parts in the order in which they need one another; a path begins with its part. */
static const json_t *part(struct field_ctx *c, const json_t *o, const char *name)
{
    field_leave(c, 0);
    if (name != NULL)
        (void)field_enter(c, name, 0);
    return name == NULL ? o : json_object_get(o, name);
}

static enum pr_code read_parts(struct field_ctx *c, const json_t *o, const char *policy,
                               struct autoscale_input *in)
{
    enum pr_code rc = check_members(c, o);
    if (rc == PR_OK)
        rc = autoscale_fleet_read(c, part(c, o, "fleet"), &in->fleet);
    if (rc == PR_OK)
        rc = autoscale_settings_read(c, part(c, o, "settings"), policy, &in->settings);
    if (rc == PR_OK)
        rc = read_view(c, part(c, o, "view"), &in->view);
    if (rc == PR_OK)
        rc = read_traffic(c, part(c, o, "zone_traffic"), &in->fleet, in->zone_traffic);
    const json_t *memory = part(c, o, "memory");
    if (rc == PR_OK && memory != NULL)
        rc = autoscale_memory_read(c, memory, &in->settings, in->memory);
    if (rc != PR_OK)
        return rc;
    /* What is left stands at the top. */
    json_t *rest = json_pack("{s:O*, s:O*, s:O*}", "nodes", json_object_get(o, "nodes"),
                             "traffic_from", json_object_get(o, "traffic_from"), "decided_ms",
                             json_object_get(o, "decided_ms"));
    if (rest == NULL)
        return pr_fail(c->err, PR_ENOMEM, "the input of a decision");
    rc = fields_read(c, &input_fields, part(c, rest, NULL), NULL, in);
    json_decref(rest);
    return rc;
}

enum pr_code autoscale_json_input_read(const json_t *o, const char *policy,
                                       struct autoscale_json_input *out, struct pr_err *err)
{
    struct field_ctx c = { .arena = &out->arena, .err = err };
    memset(out, 0, sizeof *out);
    pr_arena_init(&out->arena, 0);
    return read_parts(&c, o, policy, &out->in);
}

void autoscale_json_input_done(struct autoscale_json_input *in)
{
    pr_arena_done(&in->arena);
}

static bool add(json_t *o, const char *name, json_t *part)
{
    return part != NULL && json_object_set_new(o, name, part) == 0;
}

static json_t *traffic_write(const struct autoscale_input *in)
{
    json_t *o = json_object();
    for (int z = 0; o != NULL && z < in->fleet.zones; z++)
        if (!add(o, in->fleet.zone[z], field_number(in->zone_traffic[z]))) {
            json_decref(o);
            return NULL;
        }
    return o;
}

json_t *autoscale_json_input_write(const struct autoscale_input *in)
{
    json_t *o = json_object();
    if (o != NULL && add(o, "version", json_integer(AUTOSCALE_JSON_VERSION)) &&
        add(o, "fleet", autoscale_json_fleet_write(&in->fleet)) &&
        add(o, "settings", autoscale_json_settings_write(&in->settings)) &&
        add(o, "view", fields_write(&in->fleet, &autoscale_view_fields, &in->view)) &&
        fields_add(&in->fleet, &input_fields, in, o) && add(o, "zone_traffic", traffic_write(in)) &&
        add(o, "memory", autoscale_json_memory_write(&in->settings, in->memory)))
        return o;
    json_decref(o);
    return NULL;
}
