/* rebalance: turns where vertices are into where they should be, and keeps the
 * topology tables as the cluster reports them. */
#include "io/settings.h"
#include "io/shell.h"

#include "prism/io/log.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    struct rebalance_config cfg = { 0 };
    struct rebalance_shell shell = { 0 };
    struct pr_service svc = { 0 };
    struct pr_err err = { 0 };
    const struct pr_service_def def = { .name = "rebalance",
                                        .config = rebalance_config_rows,
                                        .n_config = rebalance_config_count,
                                        .config_out = &cfg,
                                        .metrics = rebalance_metric_rows,
                                        .n_metrics = REBALANCE_METRICS,
                                        .relay = true };

    enum pr_code rc = pr_service_open(&svc, &def, argc, argv, &err);
    if (rc == PR_OK)
        rc = rebalance_shell_open(&shell, &svc, &cfg, &err);
    if (rc == PR_OK)
        rc = pr_service_run(&svc, rebalance_shell_tick, &shell, 1000, &err);
    if (rc != PR_OK && rc != PR_ECANCELED)
        pr_error(PR_EV("rebalance.stopped"), PR_S("code", pr_code_name(rc)), PR_E(&err));

    rebalance_shell_stop(&shell);
    pr_service_close(&svc);
    rebalance_shell_close(&shell);
    return rc == PR_OK || rc == PR_ECANCELED ? EXIT_SUCCESS : EXIT_FAILURE;
}
