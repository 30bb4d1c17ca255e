#include "io/carry_private.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct joiner {
    double traffic; /* of its zone */
    size_t asked;   /* place in the step: what is equal stays in that order */
    int member;
};

static int most_traffic_first(const void *a, const void *b)
{
    const struct joiner *x = a, *y = b;
    if (x->traffic > y->traffic || x->traffic < y->traffic)
        return x->traffic > y->traffic ? -1 : 1;
    return (x->asked > y->asked) - (x->asked < y->asked);
}

enum pr_code carry_order_joiners(struct carry_look_io *k, const struct autoscale_carry_step *step,
                                 int order[AUTOSCALE_CHOSEN], struct pr_err *err)
{
    const struct autoscale_fleet *fleet = &k->one->of->setup->fleet;
    struct joiner j[AUTOSCALE_CHOSEN];
    PGresult *got = NULL;
    const enum pr_code rc = pr_db_exec(
        k->one->c->db, "SELECT input -> 'zone_traffic' FROM autoscale_decisions WHERE id = $1",
        PR_ARGS(pr_i64(k->one->id)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "decision %lld", (long long)k->one->id);
    PR_AUTO(PGresult) *res = got;
    const char *text = PQntuples(res) == 0 ? NULL : pr_cell(res, 0, 0);
    json_t *traffic = text == NULL ? NULL : json_loads(text, 0, NULL);
    for (size_t i = 0; i < step->chosen; i++) {
        const int target = k->facts.member[step->chose[i]].target;
        const char *zone = target < 0 ? "" : fleet->zone[k->zone[target]];
        j[i] = (struct joiner){ .traffic = json_number_value(json_object_get(traffic, zone)),
                                .asked = i,
                                .member = step->chose[i] };
    }
    json_decref(traffic);
    qsort(j, step->chosen, sizeof *j, most_traffic_first);
    for (size_t i = 0; i < step->chosen; i++)
        order[i] = j[i].member;
    return PR_OK;
}
