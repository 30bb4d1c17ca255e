#include "io/standstill.h"

#include "io/settings.h"

#include "prism/io/clock.h"

enum pr_code rebalance_standstill_tell(struct rebalance_standstill *s, struct pr_db *db,
                                       struct pr_metrics *metrics, struct pr_err *err)
{
    PGresult *got = NULL;
    /* Whoever executes a plan writes to its operation twice a second; a person who stopped
     * everything knows that nothing moves. */
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT stuck.n, coalesce(r.id, 0), coalesce(r.progress_ratio, 0), coalesce(r.waits, "
        "false) "
        "FROM (SELECT count(*) AS n FROM plans WHERE state = 'paused' AND error LIKE 'stuck: %') "
        "stuck LEFT JOIN (SELECT p.id, o.progress_ratio, o.phase ~ '(^|, )(waiting|stuck): ' "
        "OR o.updated_at < now() - interval '1 minute' AS waits FROM plans p "
        "JOIN operations o ON o.id = p.execute_operation_id "
        "WHERE (p.state = 'running' OR (p.state = 'approved' AND p.execute_operation_id IS NOT "
        "NULL)) AND NOT (SELECT halted FROM policies WHERE name = 'rebalance') "
        "ORDER BY p.state = 'running' DESC, p.id LIMIT 1) r ON true",
        NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const struct rebalance_standstill_seen seen = { .plan = pr_cell_i64(res, 0, 1),
                                                    .ratio = pr_cell_real(res, 0, 2),
                                                    .waits = pr_cell_bool(res, 0, 3) };
    pr_metrics_set(metrics, M_STUCK, NULL, (double)pr_cell_i64(res, 0, 0));
    pr_metrics_set(metrics, M_STANDSTILL, NULL,
                   rebalance_standstill_look(s, &seen, pr_mono_us() / 1000));
    return PR_OK;
}
