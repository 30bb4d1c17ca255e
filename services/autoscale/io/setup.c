#include "io/setup.h"

#include "json/json.h"
#include "json/tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = { "single", "redis" };
static const char *const modes[] = { "advise", "act" };
static const char *const providers[AUTOSCALE_PROVIDER_KINDS] = {
    [AUTOSCALE_BY_NOBODY] = "none",     [AUTOSCALE_BY_LOCAL] = "local",
    [AUTOSCALE_BY_AWS] = "aws",         [AUTOSCALE_BY_KUBERNETES] = "kubernetes",
    [AUTOSCALE_BY_DRY_RUN] = "dry-run",
};
const char *autoscale_provider_name(enum autoscale_provider_kind k)
{
    return (unsigned)k < AUTOSCALE_PROVIDER_KINDS ? providers[k] : "?";
}

/* "kind" of an object that is read by a table of its own. */
static enum pr_code read_kind(struct field_ctx *c, const json_t *o, const char *const *names,
                              size_t n, int *to)
{
    struct one {
        int kind;
    } one = { 0 };
    const struct field row[] = {
        { "kind", FIELD_NAME, .at = offsetof(struct one, kind), .names = names, .cap = n,
          .flags = FIELD_NEEDED },
    };
    const struct field_table table = FIELD_TABLE(row, struct one, NULL);
    if (!json_is_object(o))
        return field_bad(c, "want an object with \"kind\"");
    json_t *alone = json_pack("{s:O*}", "kind", json_object_get(o, "kind"));
    if (alone == NULL)
        return pr_fail(c->err, PR_ENOMEM, "%.90s: a kind", c->path);
    const enum pr_code rc = fields_read(c, &table, alone, NULL, &one);
    json_decref(alone);
    *to = one.kind;
    return rc;
}

/* Of a Redis node's host: as the fleet's type says, where the source does not. */
static void set_host(struct autoscale_setup *s)
{
    const struct autoscale_fleet *f = &s->fleet;
    for (size_t i = 0; f->types > 0 && i < s->sources.n; i++) {
        struct autoscale_source *one = &s->sources.source[i];
        if (one->kind == AUTOSCALE_SOURCE_REDIS && one->is.redis.vcpus <= 0)
            one->is.redis.vcpus = f->ladder[f->type].vcpus;
        if (one->kind == AUTOSCALE_SOURCE_REDIS && one->is.redis.memory_gb <= 0)
            one->is.redis.memory_gb = f->ladder[f->type].memory_gb;
    }
}

/* --- the actuator ------------------------------------------------------------------------ */

#define TA(member) F(struct autoscale_setup_target, member)
static const struct field target_rows[] = {
    { TA(name), .kind = FIELD_TEXT, .cap = AUTOSCALE_SETUP_NAME, .flags = FIELD_NEEDED },
    { TA(zone), .kind = FIELD_ZONE, .flags = FIELD_NEEDED },
    { TA(group), .kind = FIELD_GROUP },
};
static void target_defaults(void *one)
{
    ((struct autoscale_setup_target *)one)->group = -1;
}
static const struct field_table target_fields =
    FIELD_TABLE(target_rows, struct autoscale_setup_target, target_defaults);

#define SU(member) F(struct autoscale_setup, member)
static const struct field actuator_rows[] = {
    { .name = "targets",
      .kind = FIELD_ARRAY,
      .at = offsetof(struct autoscale_setup, target),
      .cap = AUTOSCALE_SETUP_TARGETS,
      .count = offsetof(struct autoscale_setup, targets),
      .count_is = COUNT_SIZE,
      .of = &target_fields },
    { .name = "of",
      .kind = FIELD_NAME,
      .at = offsetof(struct autoscale_setup, beneath),
      .names = providers,
      .cap = AUTOSCALE_BY_DRY_RUN },
    { SU(region), .kind = FIELD_TEXT, .cap = 64 },
    { .name = "namespace",
      .kind = FIELD_TEXT,
      .at = offsetof(struct autoscale_setup, space),
      .cap = 64 },
    { SU(address), .kind = FIELD_TEXT, .cap = 160 },
    { SU(drain_s), .kind = FIELD_INT, .lo = 0, .hi = 86400 },
    { SU(patience_s), .kind = FIELD_INT, .lo = 1, .hi = 86400 },
};
static const struct field_table actuator_fields =
    FIELD_TABLE(actuator_rows, struct autoscale_setup, NULL);

/* Actuator local needs no names: one group a zone. */
static void local_targets(struct autoscale_setup *s)
{
    for (int z = 0; z < s->fleet.zones; z++) {
        struct autoscale_setup_target *t = &s->target[s->targets++];
        *t = (struct autoscale_setup_target){ .zone = z, .group = -1 };
        memcpy(t->name, s->fleet.zone[z], AUTOSCALE_NAME);
    }
}

static enum pr_code check_targets(struct field_ctx *c, const struct autoscale_setup *s)
{
    const struct autoscale_fleet *f = &s->fleet;
    for (size_t i = 0; i < s->targets; i++) {
        const struct autoscale_setup_target *t = &s->target[i];
        if (t->group >= 0 && f->group[t->group].zone != t->zone)
            return field_bad(c, "targets[%zu]: group %s is not in zone %s", i,
                             f->group[t->group].name, f->zone[t->zone]);
        for (size_t k = 0; k < i; k++)
            if ((s->target[k].zone == t->zone && s->target[k].group == t->group) ||
                strcmp(s->target[k].name, t->name) == 0)
                return field_bad(c, "targets[%zu] and [%zu] have one name or one place", k, i);
    }
    for (int z = 0; z < f->zones; z++) {
        bool used = false;
        for (size_t i = 0; i < s->targets; i++)
            used = used || s->target[i].zone == z;
        if (!used)
            return field_bad(c, "targets: none is in zone %s", f->zone[z]);
    }
    for (int g = 0; g < f->groups; g++) {
        bool used = false;
        for (size_t i = 0; i < s->targets; i++)
            used = used || s->target[i].group == g;
        if (!used)
            return field_bad(c, "targets: none is for placement group %s", f->group[g].name);
    }
    return PR_OK;
}

static enum pr_code read_actuator(struct field_ctx *c, const json_t *o, struct autoscale_setup *s)
{
    int kind = 0;
    if (o == NULL)
        return s->mode == AUTOSCALE_ACT ? field_bad(c, "is missing: mode is act") : PR_OK;
    enum pr_code rc = read_kind(c, o, providers, AUTOSCALE_PROVIDER_KINDS, &kind);
    s->provider = (enum autoscale_provider_kind)kind;
    if (rc == PR_OK)
        rc = fields_read(c, &actuator_fields, o, "kind", s);
    if (rc != PR_OK)
        return rc;
    if (s->provider == AUTOSCALE_BY_NOBODY)
        return s->mode == AUTOSCALE_ACT ? field_bad(c, "is none, and mode is act") : PR_OK;
    const enum autoscale_provider_kind real =
        s->provider == AUTOSCALE_BY_DRY_RUN ? s->beneath : s->provider;
    if (s->beneath != AUTOSCALE_BY_NOBODY && s->provider != AUTOSCALE_BY_DRY_RUN)
        return field_bad(c, "of: only a dry run is of something else");
    if (real == AUTOSCALE_BY_LOCAL && s->fleet.groups > 0)
        return field_bad(c, "local: there are no placement groups");
    if (real == AUTOSCALE_BY_KUBERNETES && s->space[0] == '\0')
        return field_bad(c, "namespace: is missing");
    if (real == AUTOSCALE_BY_LOCAL && s->targets > 0)
        return field_bad(c, "local: its groups are the zones: leave targets out");
    if (real == AUTOSCALE_BY_LOCAL)
        local_targets(s);
    if (real == AUTOSCALE_BY_KUBERNETES && s->kind == AUTOSCALE_REDIS && s->mode == AUTOSCALE_ACT &&
        s->provider != AUTOSCALE_BY_DRY_RUN)
        return field_bad(c, "kubernetes takes away newest pods only, whoever was emptied: for kind "
                            "redis use mode advise");
    return check_targets(c, s);
}

/* --- all of it --------------------------------------------------------------------------- */

static const struct field top_rows[] = {
    { SU(kind), .kind = FIELD_NAME, .names = kinds, .cap = PR_COUNT(kinds) },
    { SU(mode), .kind = FIELD_NAME, .names = modes, .cap = PR_COUNT(modes) },
    { SU(settle_s), .kind = FIELD_INT, .lo = 0, .hi = 600 },
};
static const struct field_table top_fields = FIELD_TABLE(top_rows, struct autoscale_setup, NULL);

static const char *const decided_by[] = { "policies", "combine", "schedule", "budget" };
static const char *const apart[] = { "fleet", "sources", "actuator" };

static bool listed(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

/* Members of the top that one reader takes. */
static json_t *part(const json_t *o, bool decides)
{
    json_t *out = json_object(), *one;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)o, name, one)
    {
        const bool policy = listed(name, decided_by, PR_COUNT(decided_by));
        if (out != NULL && !listed(name, apart, PR_COUNT(apart)) && policy == decides)
            (void)json_object_set(out, name, one);
    }
    return out;
}

/* What reading cannot see: decided with nothing measured, it is checked as for a decision. */
static enum pr_code check_all(const struct autoscale_setup *s, struct pr_err *err)
{
    struct pr_err why = { 0 };
    struct autoscale_input *in = calloc(1, sizeof *in);
    struct autoscale_decision *d = calloc(1, sizeof *d);
    enum pr_code rc = PR_ENOMEM;
    if (in == NULL || d == NULL) {
        (void)pr_fail(err, rc, "no memory for the settings of fleet %s", s->fleet.name);
    } else {
        in->fleet = s->fleet;
        in->settings = s->settings;
        in->view.now_ms = AUTOSCALE_MINUTE_MS;
        in->view.desired = in->view.serving = s->fleet.min;
        rc = autoscale_decide(in, in->memory, d, &why);
        if (rc != PR_OK)
            (void)pr_fail(err, rc, "settings: %.220s", why.text);
    }
    free(in);
    free(d);
    return rc;
}

static enum pr_code read_top(struct field_ctx *c, const json_t *o, struct autoscale_setup *s)
{
    json_t *rest = part(o, false), *policies = part(o, true);
    enum pr_code rc = PR_ENOMEM;
    if (rest == NULL || policies == NULL)
        (void)pr_fail(c->err, rc, "the settings of a fleet");
    else
        rc = fields_read(c, &top_fields, rest, NULL, s);
    if (rc == PR_OK)
        rc = autoscale_settings_read(c, policies, NULL, &s->settings);
    json_decref(rest);
    json_decref(policies);
    return rc;
}

static enum pr_code read_parts(struct field_ctx *c, const json_t *o, const char *name,
                               struct autoscale_setup *s)
{
    const json_t *fleet = json_object_get(o, "fleet");
    const char *says = json_string_value(json_object_get(fleet, "name"));
    if (!json_is_object(o))
        return field_bad(c, "want an object with fleet, policies, sources, actuator, ...");
    const size_t at = field_enter(c, "fleet", 0);
    if (says != NULL && strcmp(says, name) != 0)
        return field_bad(c, "its name is %.40s, not \"%.40s\"", name, says);
    enum pr_code rc = autoscale_fleet_read(c, fleet, &s->fleet);
    if (rc != PR_OK)
        return rc;
    memset(s->fleet.name, 0, sizeof s->fleet.name);
    (void)strncpy(s->fleet.name, name, sizeof s->fleet.name - 1);
    struct pr_err why = { 0 };
    if (autoscale_fleet_check(&s->fleet, &why) != PR_OK)
        return field_bad(c, "%.150s", why.text);
    field_leave(c, at);
    rc = read_top(c, o, s);
    if (rc != PR_OK)
        return rc;
    const json_t *sources = json_object_get(o, "sources");
    if (sources != NULL)
        rc = autoscale_sources_read(sources, "sources", c->arena, &s->sources, c->err);
    if (rc != PR_OK)
        return rc;
    set_host(s);
    (void)field_enter(c, "actuator", 0);
    return read_actuator(c, json_object_get(o, "actuator"), s);
}

enum pr_code autoscale_setup_read(const json_t *o, const char *name, struct autoscale_setup *out,
                                  struct pr_err *err)
{
    struct field_ctx c = { .arena = &out->arena, .err = err };
    memset(out, 0, sizeof *out);
    pr_arena_init(&out->arena, 0);
    out->settle_s = -1;
    out->drain_s = 30;
    out->patience_s = 900;
    const enum pr_code rc = read_parts(&c, o, name, out);
    return rc == PR_OK ? check_all(out, err) : rc;
}

void autoscale_setup_done(struct autoscale_setup *s)
{
    pr_arena_done(&s->arena);
}

bool autoscale_setup_acts(const struct autoscale_setup *s)
{
    return s->mode == AUTOSCALE_ACT && s->provider != AUTOSCALE_BY_DRY_RUN;
}
