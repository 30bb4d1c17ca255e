/* prism-autoscale's commands that need no server. */
#ifndef AUTOSCALE_CLI_H
#define AUTOSCALE_CLI_H

/* argv[1] is the command; prints to stdout, errors to stderr; returns the exit status: 0,
 * 1 failed (a case differs, a bar is missed), 2 wrong usage. */
int autoscale_cli(int argc, char **argv);

int autoscale_cli_cases(int argc, char **argv);    /* cases FILE.json */
int autoscale_cli_backtest(int argc, char **argv); /* backtest --trace FILE.csv ... */
int autoscale_cli_decide(int argc, char **argv);   /* decide --policy P: JSON in, JSON out */
int autoscale_cli_replay(int argc, char **argv);   /* replay ID: of the service's database */

#endif
