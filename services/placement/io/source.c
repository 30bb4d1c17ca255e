#include "io/source.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* dir is a parent of path, both resolved. */
static bool inside(const char *dir, const char *path)
{
    const size_t n = strlen(dir);
    if (strcmp(dir, "/") == 0)
        return true;
    return strncmp(dir, path, n) == 0 && path[n] == '/';
}

static bool allowed(const char *dirs, const char *path)
{
    while (*dirs != '\0') {
        char dir[PATH_MAX], resolved[PATH_MAX];
        const size_t n = strcspn(dirs, ":");
        if (n > 0 && n < sizeof dir) {
            memcpy(dir, dirs, n);
            dir[n] = '\0';
            if (realpath(dir, resolved) != NULL && inside(resolved, path))
                return true;
        }
        dirs += n + (dirs[n] == ':');
    }
    return false;
}

enum pr_code placement_source_resolve(const char *path, const char *dirs, char resolved[PATH_MAX],
                                      struct pr_err *err)
{
    if (path[0] != '/')
        return pr_fail(err, PR_EINVAL, "graph file %.120s: the path must be absolute", path);
    if (dirs[0] == '\0')
        return pr_fail(err, PR_EDENIED,
                       "graph file %.120s: no directory is allowed "
                       "(PRISM_PLACEMENT_DATA_DIRS is empty)",
                       path);
    const bool exists = realpath(path, resolved) != NULL;
    const int why = errno;
    /* Outside the allowed directories nobody learns what exists. */
    if (!allowed(dirs, exists ? resolved : path))
        return pr_fail(err, PR_EDENIED, "graph file %.120s is outside PRISM_PLACEMENT_DATA_DIRS",
                       path);
    if (!exists)
        return pr_fail(err, why == EACCES ? PR_EDENIED : PR_ENOTFOUND, "graph file %.120s: %s",
                       path, strerror(why));
    return PR_OK;
}

static enum pr_code parse_object(const char *text, const char *what, json_t **out,
                                 struct pr_err *err)
{
    json_error_t je;
    *out = json_loads(text == NULL ? "{}" : text, 0, &je);
    if (*out == NULL)
        return pr_fail(err, PR_EINVAL, "%s: %s", what, je.text);
    if (!json_is_object(*out))
        return pr_fail(err, PR_EINVAL, "%s: not an object", what);
    return PR_OK;
}

static enum pr_code whole(const json_t *params, const char *key, int64_t lo, int64_t hi,
                          int64_t *value, struct pr_err *err)
{
    const json_t *j = json_object_get(params, key);
    if (j == NULL || json_is_null(j))
        return PR_OK;
    if (!json_is_integer(j) || json_integer_value(j) < lo || json_integer_value(j) > hi)
        return pr_fail(err, PR_EINVAL, "%s must be a whole number from %lld to %lld", key,
                       (long long)lo, (long long)hi);
    *value = json_integer_value(j);
    return PR_OK;
}

static enum pr_code number(const json_t *params, const char *key, double lo, double hi,
                           double *value, struct pr_err *err)
{
    const json_t *j = json_object_get(params, key);
    if (j == NULL || json_is_null(j))
        return PR_OK;
    const double v = json_number_value(j);
    if (!json_is_number(j) || !(v >= lo && v <= hi))
        return pr_fail(err, PR_EINVAL, "%s must be a number from %g to %g", key, lo, hi);
    *value = v;
    return PR_OK;
}

/* The index of a text among names; 0 when it is absent. */
static enum pr_code choice(const json_t *params, const char *key, const char *const *names, int n,
                           int *value, struct pr_err *err)
{
    const json_t *j = json_object_get(params, key);
    *value = 0;
    if (j == NULL || json_is_null(j))
        return PR_OK;
    for (int i = 0; i < n; i++)
        if (json_is_string(j) && strcmp(json_string_value(j), names[i]) == 0) {
            *value = i;
            return PR_OK;
        }
    if (n == 2)
        return pr_fail(err, PR_EINVAL, "%s must be %s or %s", key, names[0], names[1]);
    return pr_fail(err, PR_EINVAL, "%s must be one of %s, %s and %s", key, names[0], names[1],
                   names[2]);
}

static const char *const kinds[] = { "placement", "communities", "evaluate" };
static const char *const modes[] = { "auto", "warm", "full" };
static const char *const parts[] = { "keep", "locality" };

const char *placement_kind_name(enum placement_kind kind)
{
    return kinds[kind];
}

static enum pr_code parse_params(const json_t *json, const struct placement_config *cfg,
                                 struct placement_source *out, struct pr_err *err)
{
    int64_t seed = cfg->seed, seeds = cfg->seeds, move_cap = cfg->move_cap;
    int kind, mode, part;
    struct placement_params *p = &out->params;
    *p = (struct placement_params){ .imbalance = cfg->imbalance,
                                    .keep_ratio = cfg->keep_ratio,
                                    .move_price = cfg->move_price,
                                    .lost_ratio = cfg->lost_ratio,
                                    .reference_ratio = -1 };
    enum pr_code rc = whole(json, "seed", 0, INT32_MAX, &seed, err);
    if (rc == PR_OK)
        rc = whole(json, "seeds", 1, PLACEMENT_MAX_SEEDS, &seeds, err);
    if (rc == PR_OK)
        rc = whole(json, "move_cap", 0, INT64_MAX, &move_cap, err);
    if (rc == PR_OK) /* its range is the core's to check */
        rc = number(json, "imbalance", -1e9, 1e9, &p->imbalance, err);
    if (rc == PR_OK)
        rc = number(json, "move_price", 0, 1e18, &p->move_price, err);
    if (rc == PR_OK)
        rc = choice(json, "kind", kinds, 3, &kind, err);
    if (rc == PR_OK)
        rc = choice(json, "mode", modes, 3, &mode, err);
    if (rc == PR_OK)
        rc = choice(json, "parts", parts, 2, &part, err);
    if (rc != PR_OK)
        return rc;
    p->seed = (uint64_t)seed;
    p->seeds = (uint32_t)seeds;
    p->move_cap = (uint64_t)move_cap;
    p->mode = (enum placement_mode)mode;
    p->by_locality = part == 1;
    out->kind = (enum placement_kind)kind;
    return PR_OK;
}

static enum pr_code parse_capacity(const json_t *json, struct placement_source *out,
                                   struct pr_err *err)
{
    const char *zone;
    json_t *value, *all = json_object_get(json, "capacity");
    if (all != NULL && !json_is_object(all) && !json_is_null(all))
        return pr_fail(err, PR_EINVAL, "capacity must be an object of zone: ratio");
    json_object_foreach(all, zone, value)
    {
        struct placement_zone *z = &out->capacity[out->capacities];
        if (out->capacities == PLACEMENT_MAX_ZONES || strlen(zone) >= sizeof z->id ||
            !json_is_number(value))
            return pr_fail(err, PR_EINVAL, "capacity of zone %.40s: unknown zone, or no number",
                           zone);
        memcpy(z->id, zone, strlen(zone) + 1);
        z->capacity_ratio = json_number_value(value); /* its range is the core's to check */
        out->capacities++;
    }
    return PR_OK;
}

static enum pr_code parse_fixed(const json_t *json, const struct placement_config *cfg,
                                struct placement_source *out, struct pr_err *err)
{
    const char *vertex, *file = json_string_value(json_object_get(json, "fixed_file"));
    json_t *zone, *all = json_object_get(json, "fixed");
    if (all != NULL && !json_is_object(all) && !json_is_null(all))
        return pr_fail(err, PR_EINVAL, "fixed must be an object of vertex: zone");
    enum pr_code rc = PR_OK;
    json_object_foreach(all, vertex, zone)
    {
        if (rc == PR_OK && !json_is_string(zone))
            rc = pr_fail(err, PR_EINVAL, "fixed: the zone of vertex %.40s is no text", vertex);
        if (rc == PR_OK)
            rc = placement_pins_add(&out->pins, vertex, json_string_value(zone), err);
    }
    if (rc == PR_OK && file != NULL && file[0] != '\0')
        rc = placement_source_resolve(file, cfg->data_dirs, out->fixed_path, err);
    return rc;
}

static enum pr_code parse_file(const json_t *source, const struct placement_config *cfg,
                               struct placement_source *out, struct pr_err *err)
{
    const char *file = json_string_value(json_object_get(source, "file"));
    const char *format = json_string_value(json_object_get(source, "format"));
    if (file == NULL || file[0] == '\0')
        return pr_fail(err, PR_EINVAL, "the run's source names no file");
    out->format = GRAPH_AUTO;
    if (format != NULL && format[0] != '\0' && strcmp(format, "auto") != 0) {
        const int parsed = (int)graph_format_parse(format);
        if (parsed < 0)
            return pr_fail(err, PR_EINVAL, "unknown graph format %.40s", format);
        out->format = (enum graph_format)parsed;
    }
    return placement_source_resolve(file, cfg->data_dirs, out->path, err);
}

enum pr_code placement_source_parse(const char *source, const char *params,
                                    const struct placement_config *cfg,
                                    struct placement_source *out, struct pr_err *err)
{
    json_t *js = NULL, *jp = NULL;
    memset(out, 0, sizeof *out);
    enum pr_code rc = parse_object(source, "source of the run", &js, err);
    if (rc == PR_OK)
        rc = parse_object(params, "params of the run", &jp, err);
    if (rc == PR_OK)
        rc = parse_params(jp, cfg, out, err);
    if (rc == PR_OK)
        rc = parse_capacity(jp, out, err);
    if (rc == PR_OK)
        rc = parse_file(js, cfg, out, err);
    if (rc == PR_OK)
        rc = parse_fixed(jp, cfg, out, err);
    if (rc != PR_OK)
        placement_source_done(out);
    json_decref(js);
    json_decref(jp);
    return rc;
}

void placement_source_done(struct placement_source *s)
{
    placement_pins_done(&s->pins);
}

enum pr_code placement_source_capacity(const struct placement_source *s,
                                       struct placement_store *store, struct pr_err *err)
{
    for (uint32_t i = 0; i < s->capacities; i++) {
        uint32_t z = 0;
        while (z < store->zones && strcmp(store->zone[z].id, s->capacity[i].id) != 0)
            z++;
        if (z == store->zones)
            return pr_fail(err, PR_EINVAL, "capacity is given for zone %s, which does not exist",
                           s->capacity[i].id);
        store->zone[z].capacity_ratio = s->capacity[i].capacity_ratio;
    }
    return PR_OK;
}
