#include "io/fleets.h"

#include "json/json.h"

#include "prism/io/log.h"

#include <stdlib.h>
#include <string.h>

/* --- settings that need the service's own ------------------------------------------------ */

static enum autoscale_provider_kind real_of(const struct autoscale_setup *s)
{
    return s->provider == AUTOSCALE_BY_DRY_RUN ? s->beneath : s->provider;
}

static enum pr_code check_source(const struct autoscale_source *s, size_t i,
                                 const struct autoscale_config *cfg, struct pr_err *err)
{
    const bool brings_time = s->kind == AUTOSCALE_SOURCE_PROMETHEUS ||
                             s->kind == AUTOSCALE_SOURCE_CLOUDWATCH ||
                             s->kind == AUTOSCALE_SOURCE_BUS;
    if (s->kind == AUTOSCALE_SOURCE_PROMETHEUS && cfg->prometheus_url[0] == '\0')
        return pr_fail(err, PR_EINVAL, "sources[%zu]: PRISM_PROMETHEUS_URL is not set", i);
    if (s->kind == AUTOSCALE_SOURCE_CLOUDWATCH && cfg->aws_region[0] == '\0')
        return pr_fail(err, PR_EINVAL, "sources[%zu]: AWS_REGION is not set", i);
    if (cfg->clock_rate > 1 && brings_time)
        return pr_fail(err, PR_EINVAL,
                       "sources[%zu]: %s brings times of its own, and PRISM_AUTOSCALE_CLOCK_RATE "
                       "is not 1",
                       i, autoscale_source_kind_name(s->kind));
    return PR_OK;
}

static enum pr_code check_fit(const struct autoscale_setup *s, const struct autoscale_config *cfg,
                              struct pr_err *err)
{
    const enum autoscale_provider_kind real = real_of(s);
    for (size_t i = 0; i < s->sources.n; i++) {
        const enum pr_code rc = check_source(&s->sources.source[i], i, cfg, err);
        if (rc != PR_OK)
            return rc;
    }
    if (real == AUTOSCALE_BY_LOCAL && cfg->local_command[0] == '\0')
        return pr_fail(err, PR_EINVAL, "actuator: PRISM_AUTOSCALE_LOCAL_COMMAND is not set");
    if (real == AUTOSCALE_BY_AWS && s->region[0] == '\0' && cfg->aws_region[0] == '\0')
        return pr_fail(err, PR_EINVAL, "actuator.region: is missing, and AWS_REGION is not set");
    if (cfg->clock_rate > 1 && s->provider != AUTOSCALE_BY_LOCAL &&
        s->provider != AUTOSCALE_BY_DRY_RUN && s->provider != AUTOSCALE_BY_NOBODY)
        return pr_fail(err, PR_EINVAL,
                       "actuator: PRISM_AUTOSCALE_CLOCK_RATE is for local and dry-run alone");
    return PR_OK;
}

enum pr_code autoscale_fleet_settings(const char *name, const char *settings,
                                      const struct autoscale_config *cfg,
                                      struct autoscale_setup *out, struct pr_err *err)
{
    json_t *o = NULL;
    memset(out, 0, sizeof *out);
    pr_arena_init(&out->arena, 0);
    enum pr_code rc = autoscale_json_parse(settings, strlen(settings), &o, err);
    if (rc == PR_OK)
        rc = autoscale_setup_read(o, name, out, err);
    if (rc == PR_OK)
        rc = check_fit(out, cfg, err);
    json_decref(o);
    return rc;
}

/* --- two fleets --------------------------------------------------------------------------- */

static const char *region_of(const struct autoscale_setup *s, const struct autoscale_config *cfg)
{
    return s->region[0] != '\0' ? s->region : cfg->aws_region;
}

enum pr_code autoscale_fleets_apart(const char *name, const struct autoscale_setup *one,
                                    const char *other_name, const struct autoscale_setup *other,
                                    const struct autoscale_config *cfg, struct pr_err *err)
{
    const enum autoscale_provider_kind by = real_of(one);
    const bool cluster = one->kind == AUTOSCALE_REDIS && other->kind == AUTOSCALE_REDIS;
    for (int z = 0; cluster && z < one->fleet.zones; z++)
        for (int k = 0; k < other->fleet.zones; k++)
            if (strcmp(one->fleet.zone[z], other->fleet.zone[k]) == 0)
                return pr_fail(err, PR_EINVAL,
                               "fleet.zones[%d].name: fleet %s has the Redis nodes of zone %s; %s "
                               "cannot count them as well",
                               z, other_name, one->fleet.zone[z], name);
    if (by == AUTOSCALE_BY_NOBODY || by != real_of(other) ||
        strcmp(one->space, other->space) != 0 ||
        (by == AUTOSCALE_BY_AWS && strcmp(region_of(one, cfg), region_of(other, cfg)) != 0))
        return PR_OK;
    for (size_t t = 0; t < one->targets; t++)
        for (size_t k = 0; k < other->targets; k++)
            if (strcmp(one->target[t].name, other->target[k].name) == 0)
                return pr_fail(err, PR_EINVAL,
                               "actuator.targets[%zu].name: fleet %s has %s of %s; %s cannot scale "
                               "it as well",
                               t, other_name, one->target[t].name, autoscale_provider_name(by),
                               name);
    return PR_OK;
}

/* The later one gives way. */
static bool gives_way(const struct autoscale_fleet_row *f, const struct autoscale_fleet_row *to)
{
    return f->made_ms != to->made_ms ? f->made_ms > to->made_ms : strcmp(f->name, to->name) > 0;
}

static void find_shared(struct autoscale_fleets *all, const struct autoscale_config *cfg)
{
    for (size_t i = 0; i < all->n; i++) {
        struct autoscale_fleet_row *f = all->fleet[i];
        struct pr_err why = { .text = "" };
        bool apart = true;
        for (size_t k = 0; k < all->n && apart && f->enabled && f->setup != NULL; k++) {
            const struct autoscale_fleet_row *o = all->fleet[k];
            apart =
                k == i || !o->enabled || o->setup == NULL || !gives_way(f, o) ||
                autoscale_fleets_apart(f->name, f->setup, o->name, o->setup, cfg, &why) == PR_OK;
        }
        if (!apart && f->shared[0] == '\0' && !all->quiet)
            pr_warn(PR_EV("fleet.unfit"), PR_S("fleet", f->name), PR_I("version", f->version),
                    PR_E(&why));
        if (apart && f->shared[0] != '\0' && !all->quiet)
            pr_info(PR_EV("fleet.fit_again"), PR_S("fleet", f->name));
        (void)snprintf(f->shared, sizeof f->shared, "%s", apart ? "" : why.text);
    }
}

enum pr_code autoscale_fleets_has_room(struct pr_db *db, const struct autoscale_config *cfg,
                                       const char *name, const struct autoscale_setup *setup,
                                       struct pr_err *err)
{
    struct autoscale_fleets all = { .quiet = true };
    enum pr_code rc = autoscale_fleets_load(&all, db, cfg, NULL, NULL, err);
    for (size_t i = 0; rc == PR_OK && i < all.n; i++) {
        const struct autoscale_fleet_row *o = all.fleet[i];
        if (o->enabled && o->setup != NULL && strcmp(o->name, name) != 0)
            rc = autoscale_fleets_apart(name, setup, o->name, o->setup, cfg, err);
    }
    autoscale_fleets_done(&all, NULL, NULL);
    return rc;
}

/* --- rows -------------------------------------------------------------------------------- */

static void free_row(struct autoscale_fleet_row *f)
{
    if (f == NULL)
        return;
    if (f->setup != NULL)
        autoscale_setup_done(f->setup);
    free(f->setup);
    free(f);
}

static void say(const struct autoscale_fleet_row *f)
{
    if (f->setup == NULL)
        pr_warn(PR_EV("fleet.unfit"), PR_S("fleet", f->name), PR_I("version", f->version),
                PR_S("why", f->unfit));
    else
        pr_info(PR_EV("fleet.settings"), PR_S("fleet", f->name), PR_I("version", f->version),
                PR_S("enabled", f->enabled ? "yes" : "no"),
                PR_S("mode", f->setup->mode == AUTOSCALE_ACT ? "act" : "advise"),
                PR_S("actuator", autoscale_provider_name(f->setup->provider)));
}

static enum pr_code new_row(const PGresult *res, int i, const struct autoscale_config *cfg,
                            struct autoscale_fleet_row **out, struct pr_err *err)
{
    struct autoscale_fleet_row *f = calloc(1, sizeof *f);
    struct autoscale_setup *setup = calloc(1, sizeof *setup);
    struct pr_err why = { 0 };
    if (f == NULL || setup == NULL) {
        free(f);
        free(setup);
        return pr_fail(err, PR_ENOMEM, "a fleet");
    }
    (void)snprintf(f->name, sizeof f->name, "%s", pr_cell(res, i, 0));
    f->version = pr_cell_i64(res, i, 1);
    f->enabled = pr_cell_bool(res, i, 2);
    f->made_ms = pr_cell_i64(res, i, 4);
    f->there = true;
    if (autoscale_fleet_settings(f->name, pr_cell(res, i, 3), cfg, setup, &why) == PR_OK) {
        f->setup = setup;
    } else {
        (void)snprintf(f->unfit, sizeof f->unfit, "%s", why.text);
        autoscale_setup_done(setup);
        free(setup);
    }
    *out = f;
    return PR_OK;
}

static size_t find(const struct autoscale_fleets *f, const char *name)
{
    size_t i = 0;
    while (i < f->n && strcmp(f->fleet[i]->name, name) != 0)
        i++;
    return i;
}

static enum pr_code take(struct autoscale_fleets *f, const PGresult *res, int i,
                         const struct autoscale_config *cfg, autoscale_fleet_gone *gone, void *ctx,
                         struct pr_err *err)
{
    struct autoscale_fleet_row *fresh = NULL;
    const size_t at = find(f, pr_cell(res, i, 0));
    if (at < f->n && f->fleet[at]->version == pr_cell_i64(res, i, 1)) {
        f->fleet[at]->there = true;
        return PR_OK;
    }
    if (at == f->n) {
        struct autoscale_fleet_row **grown =
            reallocarray(f->fleet, f->n + 1, sizeof(struct autoscale_fleet_row *));
        if (grown == NULL)
            return pr_fail(err, PR_ENOMEM, "%zu fleets", f->n + 1);
        f->fleet = grown;
    }
    const enum pr_code rc = new_row(res, i, cfg, &fresh, err);
    if (rc != PR_OK)
        return rc;
    if (!f->quiet)
        say(fresh);
    if (at < f->n) {
        if (gone != NULL)
            gone(ctx, f->fleet[at]);
        free_row(f->fleet[at]);
    } else {
        f->n++;
    }
    f->fleet[at] = fresh;
    return PR_OK;
}

enum pr_code autoscale_fleets_load(struct autoscale_fleets *f, struct pr_db *db,
                                   const struct autoscale_config *cfg, autoscale_fleet_gone *gone,
                                   void *ctx, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT name, version, enabled, settings, (SELECT (extract(epoch FROM min(s.changed_at)) * "
        "1000)::bigint FROM autoscale_settings s WHERE s.fleet = f.name) "
        "FROM autoscale_fleets f ORDER BY name",
        NULL, 0, &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "fleets");
    PR_AUTO(PGresult) *res = got;
    for (size_t i = 0; i < f->n; i++)
        f->fleet[i]->there = false;
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++)
        rc = take(f, res, i, cfg, gone, ctx, err);
    for (size_t i = f->n; rc == PR_OK && i-- > 0;) {
        if (f->fleet[i]->there)
            continue;
        if (gone != NULL)
            gone(ctx, f->fleet[i]);
        free_row(f->fleet[i]);
        f->fleet[i] = f->fleet[--f->n];
    }
    if (rc == PR_OK)
        find_shared(f, cfg);
    return rc;
}

void autoscale_fleets_done(struct autoscale_fleets *f, autoscale_fleet_gone *gone, void *ctx)
{
    for (size_t i = 0; i < f->n; i++) {
        if (gone != NULL)
            gone(ctx, f->fleet[i]);
        free_row(f->fleet[i]);
    }
    free(f->fleet);
    *f = (struct autoscale_fleets){ 0 };
}

int64_t autoscale_fleet_time(const struct autoscale_config *cfg,
                             const struct autoscale_fleet_row *f, int64_t now_ms)
{
    if (cfg->clock_rate <= 1)
        return now_ms;
    return f->made_ms + (int64_t)((double)(now_ms - f->made_ms) * cfg->clock_rate);
}

bool autoscale_fleet_on(const struct autoscale_fleet_row *f)
{
    return f->enabled && f->setup != NULL && f->shared[0] == '\0';
}
