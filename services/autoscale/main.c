/* autoscale: decides how many members fleets need, and has them brought and taken away. */
#include "cli/cli.h"
#include "io/settings.h"
#include "io/shell.h"

#include "prism/io/log.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-') /* a command */
        return autoscale_cli(argc, argv);
    static struct autoscale_config cfg;
    struct autoscale_shell *shell = NULL;
    struct pr_service svc = { 0 };
    struct pr_err err = { 0 };
    const struct pr_service_def def = { .name = "autoscale",
                                        .config = autoscale_config_rows,
                                        .n_config = autoscale_config_count,
                                        .config_out = &cfg,
                                        .metrics = autoscale_metric_rows,
                                        .n_metrics = AUTOSCALE_METRIC_IDS,
                                        .relay = true };

    enum pr_code rc = pr_service_open(&svc, &def, argc, argv, &err);
    if (rc == PR_OK)
        rc = autoscale_shell_open(&shell, &svc, &cfg, &err);
    if (rc == PR_OK)
        rc = pr_service_run(&svc, autoscale_shell_tick, shell, 1000, &err);
    if (rc != PR_OK && rc != PR_ECANCELED)
        pr_error(PR_EV("autoscale.stopped"), PR_S("code", pr_code_name(rc)), PR_E(&err));

    autoscale_shell_stop(shell);
    pr_service_close(&svc); /* no handler runs any more */
    autoscale_shell_close(shell);
    return rc == PR_OK || rc == PR_ECANCELED ? EXIT_SUCCESS : EXIT_FAILURE;
}
