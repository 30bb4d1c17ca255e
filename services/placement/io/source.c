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

static enum pr_code parse_params(const json_t *json, const struct placement_config *cfg,
                                 struct placement_params *out, struct pr_err *err)
{
    int64_t seed = cfg->seed, seeds = cfg->seeds;
    enum pr_code rc = whole(json, "seed", 0, INT32_MAX, &seed, err);
    if (rc == PR_OK)
        rc = whole(json, "seeds", 1, PLACEMENT_MAX_SEEDS, &seeds, err);
    if (rc != PR_OK)
        return rc;
    *out = (struct placement_params){ .seed = (uint64_t)seed,
                                      .seeds = (uint32_t)seeds,
                                      .imbalance = cfg->imbalance,
                                      .keep_ratio = cfg->keep_ratio };
    const json_t *j = json_object_get(json, "imbalance");
    if (j != NULL && !json_is_null(j)) {
        if (!json_is_number(j))
            return pr_fail(err, PR_EINVAL, "imbalance must be a number from %g to %g",
                           PLACEMENT_IMBALANCE_MIN, PLACEMENT_IMBALANCE_MAX);
        out->imbalance = json_number_value(j); /* its range is the core's to check */
    }
    return PR_OK;
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
    enum pr_code rc = parse_object(source, "source of the run", &js, err);
    if (rc == PR_OK)
        rc = parse_object(params, "params of the run", &jp, err);
    if (rc == PR_OK)
        rc = parse_params(jp, cfg, &out->params, err);
    if (rc == PR_OK)
        rc = parse_file(js, cfg, out, err);
    json_decref(js);
    json_decref(jp);
    return rc;
}
