#include "json/json.h"

#include "json/tables.h"

#include <string.h>

static const struct field zone_rows[] = {
    { "name", FIELD_TEXT, .at = 0, .cap = AUTOSCALE_NAME, .flags = FIELD_NEEDED },
};
static const struct field_table zone_fields = FIELD_TABLE(zone_rows, char[AUTOSCALE_NAME], NULL);

#define G(member) F(struct autoscale_group, member)
static const struct field group_rows[] = {
    { G(name), .kind = FIELD_TEXT, .cap = AUTOSCALE_NAME, .flags = FIELD_NEEDED },
    { G(zone), .kind = FIELD_ZONE, .flags = FIELD_NEEDED },
    { G(max), .kind = FIELD_INT, .lo = 1, .hi = 100000 },
};
static void group_defaults(void *one)
{
    ((struct autoscale_group *)one)->max = 500; /* AWS's limit of a cluster placement group here */
}
static const struct field_table group_fields =
    FIELD_TABLE(group_rows, struct autoscale_group, group_defaults);

#define T(member) F(struct autoscale_instance_type, member)
static const struct field type_rows[] = {
    { T(name), .kind = FIELD_TEXT, .cap = AUTOSCALE_NAME, .flags = FIELD_NEEDED },
    { T(vcpus), .kind = FIELD_REAL, .lo = 1e-3, .hi = 1e6, .flags = FIELD_NEEDED },
    { T(memory_gb), .kind = FIELD_REAL, .lo = 1e-3, .hi = 1e9, .flags = FIELD_NEEDED },
    { T(network_gbps), .kind = FIELD_REAL, .lo = 1e-6, .hi = 1e6, .flags = FIELD_NEEDED },
    { T(price_hour), .kind = FIELD_REAL, .lo = 0, .hi = 1e6, .flags = FIELD_NEEDED },
};
static const struct field_table type_fields =
    FIELD_TABLE(type_rows, struct autoscale_instance_type, NULL);

/* Zones stand before what names them. */
#define FL(member) F(struct autoscale_fleet, member)
static const struct field fleet_rows[] = {
    { FL(name), .kind = FIELD_TEXT, .cap = AUTOSCALE_NAME },
    { FL(unit), .kind = FIELD_INT, .lo = 1, .hi = AUTOSCALE_ZONES },
    { FL(min), .kind = FIELD_INT, .lo = 0, .hi = 100000 },
    { FL(max), .kind = FIELD_INT, .lo = 1, .hi = 100000 },
    { .name = "zones",
      .kind = FIELD_ARRAY,
      .at = offsetof(struct autoscale_fleet, zone),
      .cap = AUTOSCALE_ZONES,
      .count = offsetof(struct autoscale_fleet, zones),
      .of = &zone_fields },
    { .name = "groups",
      .kind = FIELD_ARRAY,
      .at = offsetof(struct autoscale_fleet, group),
      .cap = AUTOSCALE_GROUPS,
      .count = offsetof(struct autoscale_fleet, groups),
      .of = &group_fields },
    { .name = "ladder",
      .kind = FIELD_ARRAY,
      .at = offsetof(struct autoscale_fleet, ladder),
      .cap = AUTOSCALE_LADDER,
      .count = offsetof(struct autoscale_fleet, types),
      .of = &type_fields },
    { FL(zone_loss_pct), .kind = FIELD_REAL, .lo = 0, .hi = 100 },
    { FL(boot_ms), .kind = FIELD_I64, .lo = 0, .hi = 86400000 },
    { FL(move_ms), .kind = FIELD_I64, .lo = 0, .hi = 86400000 },
};
static const struct field_table plain_fields =
    FIELD_TABLE(fleet_rows, struct autoscale_fleet, NULL);

/* A fleet without a ladder runs on no type. */
static const struct field typed_rows[] = {
    { .name = "", .kind = FIELD_WITHIN, .of = &plain_fields },
    { FL(type), .kind = FIELD_TYPE },
};
static const struct field_table typed_fields =
    FIELD_TABLE(typed_rows, struct autoscale_fleet, NULL);

static enum pr_code defaults_like(struct field_ctx *c, const json_t *like,
                                  struct autoscale_fleet *fleet)
{
    const char *name = json_string_value(like);
    if (like == NULL)
        autoscale_fleet_default(fleet);
    else if (name != NULL && strcmp(name, "redis") == 0)
        autoscale_fleet_redis(fleet);
    else if (name != NULL && strcmp(name, "proxies") == 0)
        autoscale_fleet_proxies(fleet);
    else
        return field_bad(c, "like is \"redis\" or \"proxies\", when it is given");
    return PR_OK;
}

enum pr_code autoscale_fleet_read(struct field_ctx *c, const json_t *o,
                                  struct autoscale_fleet *fleet)
{
    enum pr_code rc = defaults_like(c, json_object_get(o, "like"), fleet);
    c->fleet = fleet;
    if (rc != PR_OK || o == NULL)
        return rc;
    /* Other zones have other groups, and another ladder another first step. */
    if (json_object_get(o, "zones") != NULL)
        fleet->groups = 0;
    if (json_object_get(o, "ladder") != NULL)
        fleet->type = 0;
    return fields_read(c, &typed_fields, o, "like", fleet);
}

enum pr_code autoscale_json_fleet_read(const json_t *o, struct autoscale_fleet *out,
                                       struct pr_err *err)
{
    struct field_ctx c = { .err = err };
    const enum pr_code rc = autoscale_fleet_read(&c, o, out);
    return rc == PR_OK ? autoscale_fleet_check(out, err) : rc;
}

json_t *autoscale_json_fleet_write(const struct autoscale_fleet *fleet)
{
    return fields_write(fleet, fleet->types > 0 ? &typed_fields : &plain_fields, fleet);
}
