#include "cli/cli.h"

#include "io/load.h"

#include <string.h>

enum pr_code cli_format(const char *name, enum graph_format *out, struct pr_err *err)
{
    *out = GRAPH_AUTO;
    if (name == NULL || strcmp(name, "auto") == 0)
        return PR_OK;
    const int parsed = (int)graph_format_parse(name);
    if (parsed < 0)
        return pr_fail(err, PR_EINVAL,
                       "unknown graph format %.40s: auto, snap, metis, bin32 or bin64", name);
    *out = (enum graph_format)parsed;
    return PR_OK;
}

static bool building(void *work, double done)
{
    struct cli_work *w = work;
    if (w->phase != CLI_BUILD)
        cli_enter(w, CLI_BUILD);
    return cli_go_on(w, done);
}

enum pr_code cli_load(struct cli_work *w, struct placement_graph *out, struct pr_err *err)
{
    struct placement_read in = { .path = w->args->graph,
                                 .pool = w->pool,
                                 .budget_bytes = w->budget_bytes,
                                 .coded = w->args->coded,
                                 .read = cli_watch(w),
                                 .build = { building, w } };
    enum pr_code rc = cli_format(w->args->format, &in.format, err);
    if (rc != PR_OK)
        return rc;
    cli_enter(w, CLI_LOAD);
    return placement_graph_read(&in, out, err);
}

enum pr_code cli_afford(struct cli_work *w, const struct placement_graph *g, uint64_t more_bytes,
                        struct pr_err *err)
{
    enum pr_code rc = placement_afford(g, more_bytes, w->budget_bytes, &w->estimate_bytes, err);
    if (rc != PR_OK && w->args->memory_mib == 0)
        rc = pr_wrap(err, rc, "free memory (--memory sets another limit)");
    return rc;
}

enum pr_code cli_fleet(const struct cli_args *args, struct cli_fleet *out, struct pr_err *err)
{
    struct cli_zone named[PLACEMENT_MAX_ZONES];
    uint32_t n = 0;
    memset(out, 0, sizeof *out);
    if (args->capacity != NULL) {
        enum pr_code rc = cli_zones(args->capacity, named, PLACEMENT_MAX_ZONES, &n, err);
        if (rc != PR_OK)
            return rc;
    }
    out->zones = args->zones > 0 ? (uint32_t)args->zones : n > 0 ? n : 3;
    if (n > 0 && n != out->zones)
        return pr_fail(err, PR_EINVAL, "--capacity names %u zones, --zones says %u", n, out->zones);
    for (uint32_t z = 0; z < out->zones; z++) {
        out->ratio[z] = n > 0 ? named[z].ratio : 1;
        char *name = out->name[z];
        if (n > 0)
            memcpy(name, named[z].name, (size_t)named[z].bytes); /* at most 31, zeroed above */
        else if (z < 10)
            name[0] = (char)('0' + z);
        else
            memcpy(name, (char[2]){ (char)('0' + z / 10), (char)('0' + z % 10) }, 2);
    }
    return PR_OK;
}
