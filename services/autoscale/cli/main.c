/* prism-autoscale's commands: which one, and how they are used. */
#include "cli/cli.h"

#include "prism/err.h"
#include "prism/io/cli.h"

static const struct pr_cli_command command[] = {
    { "backtest", "what every policy would have done on a recorded load", autoscale_cli_backtest },
    { "cases", "runs conformance cases", autoscale_cli_cases },
    { "decide", "one decision, JSON in and out; or the same one again", autoscale_cli_decide },
    { "replay", "a decision that the service has stored, decided again", autoscale_cli_replay },
};

int autoscale_cli(int argc, char **argv)
{
    return pr_cli("prism-autoscale", command, PR_COUNT(command), argc, argv);
}
