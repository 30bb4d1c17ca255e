/* Placement: decides in which partition, and so in which zone, vertices live. */
#include "cli/cli.h"
#include "io/shell.h"
#include "prism/io/log.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-') /* a command that needs no server */
        return placement_cli(argc, argv);
    static struct placement_config cfg;
    struct placement_shell shell = { 0 };
    struct pr_service svc = { 0 };
    struct pr_err err = { 0 };
    const struct pr_service_def def = {
        .name = "placement",
        .config = placement_config_rows,
        .n_config = placement_config_count,
        .config_out = &cfg,
        .metrics = placement_metric_rows,
        .n_metrics = PLACEMENT_METRICS,
        .relay = true,
    };

    enum pr_code rc = pr_service_open(&svc, &def, argc, argv, &err);
    const bool printed = rc == PR_ECANCELED; /* --help and its like */
    if (rc == PR_OK)
        rc = placement_shell_open(&shell, &svc, &cfg, &err);
    if (rc == PR_OK)
        rc = pr_service_run(&svc, placement_shell_tick, &shell, 1000, &err);
    if (rc != PR_OK && !printed)
        pr_error(PR_EV("placement.stopped"), PR_E(&err));

    pr_service_close(&svc); /* closes the bus: the last run and hint end first */
    placement_shell_close(&shell);
    return rc == PR_OK || printed ? EXIT_SUCCESS : EXIT_FAILURE;
}
