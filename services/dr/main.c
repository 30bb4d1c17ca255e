/* dr: ships every shard's writes to an object store in another region. */
#include "cli/cli.h"
#include "io/settings.h"
#include "io/shell.h"

#include "prism/io/log.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-') /* a command */
        return dr_cli(argc, argv);
    static struct dr_config cfg;
    struct dr_shell *shell = NULL;
    struct pr_service svc = { 0 };
    struct pr_err err = { 0 };
    const struct pr_service_def def = { .name = "dr",
                                        .config = dr_config_rows,
                                        .n_config = dr_config_count,
                                        .config_out = &cfg,
                                        .metrics = dr_metric_rows,
                                        .n_metrics = DR_METRIC_IDS,
                                        .without_db = true };

    enum pr_code rc = pr_service_open(&svc, &def, argc, argv, &err);
    if (rc == PR_OK)
        rc = dr_shell_open(&shell, &svc, &cfg, &err);
    if (rc == PR_OK)
        rc = pr_service_run(&svc, dr_shell_tick, shell, 1000, &err);
    if (rc != PR_OK && rc != PR_ECANCELED)
        pr_error(PR_EV("dr.stopped"), PR_S("code", pr_code_name(rc)), PR_E(&err));

    dr_shell_stop(shell);
    pr_service_close(&svc);
    dr_shell_close(shell);
    return rc == PR_OK || rc == PR_ECANCELED ? EXIT_SUCCESS : EXIT_FAILURE;
}
