#include "io/view_private.h"

#include "core/choose.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* What the newest run wants, or has found. */
static const char NEWEST_SQL[] =
    "SELECT id, coalesce(report #> '{after,matrix}', report #> '{before,matrix}') FROM "
    "placement_runs WHERE state = 'done' AND report ? 'before' ORDER BY id DESC LIMIT 1";

static double weight(const json_t *matrix, const char *from, const char *to)
{
    const double w = json_number_value(json_object_get(json_object_get(matrix, from), to));
    return w > 0 && w <= 1e18 ? w : 0;
}

enum pr_code view_traffic(struct filling *f, struct pr_err *err)
{
    const struct autoscale_fleet *fleet = &f->fleet->setup->fleet;
    double between[AUTOSCALE_ZONES * AUTOSCALE_ZONES];
    PGresult *got = NULL;
    if (f->fleet->setup->kind != AUTOSCALE_REDIS || fleet->unit == 1)
        return PR_OK;
    const enum pr_code rc = pr_db_exec(f->db, NEWEST_SQL, NULL, 0, &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "placement's runs");
    PR_AUTO(PGresult) *res = got;
    const char *text = PQntuples(res) == 0 ? NULL : pr_cell(res, 0, 1);
    json_t *matrix = text == NULL ? NULL : json_loads(text, 0, NULL);
    for (int a = 0; a < fleet->zones; a++)
        for (int b = 0; b < fleet->zones; b++)
            between[a * fleet->zones + b] = weight(matrix, fleet->zone[a], fleet->zone[b]);
    json_decref(matrix);
    if (autoscale_zone_traffic(between, fleet->zones, f->in->zone_traffic))
        (void)snprintf(f->in->traffic_from, sizeof f->in->traffic_from, "placement run %lld",
                       (long long)pr_cell_i64(res, 0, 0));
    return PR_OK;
}
