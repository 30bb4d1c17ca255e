#include "io/fleet/report.h"

#include "prism/io/clock.h"

#include <stdatomic.h>

enum pr_code rebalance_report_load(struct rebalance_report *r, struct pr_db *db,
                                   const struct rebalance_plan *plan, struct pr_err *err)
{
    PGresult *got = NULL;
    *r = (struct rebalance_report){ 0 };
    if (plan->execute_operation[0] == '\0')
        return PR_OK;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT progress_ratio, coalesce((progress->>'bytes_done')::float8, 0) FROM operations "
        "WHERE id = $1",
        PR_ARGS(pr_text(plan->execute_operation)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 1) {
        r->told.ratio = pr_cell_real(res, 0, 0);
        r->told.bytes_done = pr_cell_real(res, 0, 1);
    }
    return PR_OK;
}

void rebalance_report_look(struct rebalance_report *r, const struct rebalance_report_in *in,
                           int64_t now_us)
{
    const struct rebalance_steps_seen *s = in->seen;
    const struct rebalance_fleet_seen seen = {
        .wave = s->wave,
        .waves = s->waves,
        .steps = (uint64_t)s->steps,
        .verified = (uint64_t)s->verified,
        .begun = (uint64_t)s->running,
        .stuck = (uint64_t)s->stuck,
        .slots = (uint64_t)s->slots,
        .slots_verified = (uint64_t)s->slots_verified,
        .bytes = s->bytes,
        .bytes_verified = s->bytes_verified,
        .wave_bytes = r->wave_bytes,
        .moving_bytes = in->slots == NULL ? 0 : (double)atomic_load(&in->slots->bytes),
        .running_s = in->running_s,
        .stuck_why = s->stuck_why,
        .waits_for = in->waits_for,
    };
    rebalance_fleet_tell(&seen, now_us, &r->speed, &r->told);
}

enum pr_code rebalance_report_write(struct rebalance_report *r, struct rebalance_executor *e,
                                    const struct rebalance_plan *plan, const char *phase,
                                    struct pr_err *err)
{
    const enum pr_code rc = rebalance_plan_progress(e->db, &e->lease, plan, r->told.ratio,
                                                    r->told.eta_s, phase, &r->rows, err);
    if (rc != PR_OK || r->rows.state[0] == '\0')
        return rc;
    struct rebalance_fleet_told told = r->told;
    rebalance_fleet_tell_state(&told, r->rows.state, NULL);
    const struct rebalance_plan_news news = { .id = plan->id,
                                              .revision = r->rows.revision,
                                              .state = r->rows.state,
                                              .told = &told,
                                              .at_ms = pr_now_ms() };
    rebalance_executor_post(e, &news);
    return PR_OK;
}
