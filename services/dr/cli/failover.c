/* prism-dr failover: the store brought up at another site, and back. */
#include "cli/cli.h"
#include "io/region/region.h"

#include "prism/io/log.h"

#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REFUSED = 3, STOPPED = 4, FENCED = 5, WAIT_MAX_S = 86400 };

static const char usage[] =
    "usage: prism-dr failover plan --to SITE [--over-existing]\n"
    "       prism-dr failover execute --to SITE [options]\n"
    "       prism-dr failover resume [--to SITE] [options]\n"
    "       prism-dr failover abort [--to SITE] [--old-side-is-down]\n"
    "       prism-dr failover status\n"
    "options: [--old-side-is-down] [--over-existing] [--accept-loss] [--wait SECONDS]\n"
    "Run it at the site that takes over. The old side is locked out, PostgreSQL restored and\n"
    "promoted, Redis restored, clients switched, and all of it verified; failing back is the same\n"
    "with the sites exchanged. Every step is written to the bucket before it is done: a run that\n"
    "was killed or has stopped is gone on with by resume, from anywhere; of two runs at once one\n"
    "is refused.\n"
    "plan: looks at everything that is needed, prints the steps and what is in the way, and\n"
    "  changes nothing. execute: does them. resume: goes on with the one that has stopped, with\n"
    "  the options it was begun with and those given now. abort: takes back what was done, and "
    "the\n"
    "  old side is the owner again; refused once PostgreSQL may be promoted, or\n"
    "  without one Redis was begun with: then fail back.\n"
    "--old-side-is-down: what of the old side does not answer is down and stays down: your word.\n"
    "  If it is not, it goes on taking writes that will be lost.\n"
    "--over-existing: what the new side's Redis and PostgreSQL hold is replaced: when failing "
    "back.\n"
    "--accept-loss: as of prism-dr restore-cluster. --wait: for the last data of the old side; "
    "30.\n"
    "The sites are in the file PRISM_DR_SITES_PATH, the bucket in PRISM_DR_CLUSTER, "
    "PRISM_DR_S3_...,\n"
    "PRISM_DR_KEY_PATH; PRISM_DR_SCRATCH_PATH needs room for the whole store. With PostgreSQL,\n"
    "PRISM_DR_PG_PATH is the receiver's directory; run it as the user who owns the data "
    "directory.\n"
    "For sites without PostgreSQL, PRISM_DB_URI (or PRISM_DB_URI_FILE: the pods of dr have it)\n"
    "names the database where routes and nodes are: without it, execute and resume are refused.\n"
    "Hooks get PRISM_FAILOVER_HOOK, PRISM_FAILOVER_SITE, PRISM_FAILOVER_FROM, PRISM_FAILOVER_TO "
    "and\n"
    "PRISM_FAILOVER_NUMBER.\n"
    "Prints JSON; what it is doing goes to stderr. Exit status: 0 done (plan: ready); 1 failed, "
    "and\n"
    "nothing was begun; 2 wrong arguments or settings; 3 refused: not ready, one is under way, "
    "none\n"
    "is, or it is too late to abort; 4 it has stopped at a step: see \"why\", then resume or "
    "abort;\n"
    "5 somebody else goes on with it.\n";

static atomic_bool stop, cut;

/* The first lets the step end and be noted in the journal; another ends it wherever it is. */
static void on_signal(int signal)
{
    (void)signal;
    if (atomic_exchange(&stop, true))
        atomic_store(&cut, true);
}

static int wrong(const char *why)
{
    (void)fprintf(stderr, "prism-dr failover: %s\n%s", why, usage);
    return 2;
}

static void progress(void *ctx, const char *step, const char *state, const char *text)
{
    (void)ctx;
    (void)fprintf(stderr, "%-10s %-8s %s\n", step, state, text);
}

static enum pr_code status_of(const struct dr_region_run *run, const struct dr_region_order *order,
                              struct pr_buf *out, struct pr_err *err)
{
    (void)order;
    return dr_region_status(run, out, err);
}

static const struct verb {
    const char *name;
    enum pr_code (*run)(const struct dr_region_run *run, const struct dr_region_order *order,
                        struct pr_buf *out, struct pr_err *err);
    bool to, acts; /* --to is wanted; it changes something */
} VERB[] = { { "plan", dr_region_plan, true, false },
             { "execute", dr_region_execute, true, true },
             { "resume", dr_region_resume, false, true },
             { "abort", dr_region_abort, false, true },
             { "status", status_of, false, false } };

/* What is printed says that something was begun. */
static int exit_of(const struct verb *v, enum pr_code rc, const struct pr_buf *out)
{
    if (rc == PR_OK)
        return strcmp(v->name, "plan") == 0 && out->data != NULL &&
                       strstr(out->data, "\"ready\":true") == NULL
                   ? REFUSED
                   : 0;
    if (rc == PR_EFENCED)
        return FENCED;
    if (v->acts && out->len > 0)
        return STOPPED;
    if (rc == PR_ECONFLICT || rc == PR_ENOTFOUND)
        return REFUSED;
    return rc == PR_EINVAL ? 2 : 1;
}

static int run(const struct verb *v, struct dr_region_order *order)
{
    const struct passwd *who = getpwuid(geteuid());
    struct dr_cli_store s;
    struct dr_cli_servers at = { .db_uri = NULL };
    struct pr_err err = { 0 };
    struct pr_buf out;
    char by[64], host[32] = "";
    const struct sigaction act = { .sa_handler = on_signal };
    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(by, sizeof by, "%.30s@%.31s", who != NULL ? who->pw_name : "?", host);
    order->by = by;
    pr_buf_init(&out, 0);
    pr_log_init("dr", PR_WARN);
    enum pr_code rc = dr_cli_open(&s, &err);
    if (rc == PR_OK)
        rc = dr_cli_servers(&at, false, &err);
    const struct dr_region_run how = {
        .cfg = &s.cfg, .db_uri = at.db_uri, .progress = progress, .cancel = &stop, .cut = &cut
    };
    int status = 2;
    if (rc == PR_OK) {
        rc = v->run(&how, order, &out, &err);
        status = exit_of(v, rc, &out);
    }
    dr_cli_close(&s);
    dr_cli_servers_done(&at);
    if (out.len > 0 && !out.failed)
        (void)printf("%s\n", out.data);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr failover %s: %s\n", v->name, err.text);
    pr_buf_done(&out);
    return status;
}

int dr_cli_failover(int argc, char **argv)
{
    static const struct option options[] = { { "to", required_argument, NULL, 't' },
                                             { "old-side-is-down", no_argument, NULL, 'd' },
                                             { "over-existing", no_argument, NULL, 'o' },
                                             { "accept-loss", no_argument, NULL, 'a' },
                                             { "wait", required_argument, NULL, 'w' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    struct dr_region_order order = { .to = NULL };
    char *end;
    int c;
    optind = 2;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (c) {
        case 't':
            order.to = optarg;
            break;
        case 'd':
            order.old_side_is_down = true;
            break;
        case 'o':
            order.over_existing = true;
            break;
        case 'a':
            order.accept_loss = true;
            break;
        case 'w':
            order.wait_ms = strtol(optarg, &end, 10) * 1000;
            if (end == optarg || *end != '\0' || order.wait_ms < 1000 ||
                order.wait_ms > WAIT_MAX_S * 1000L)
                return wrong("--wait is not 1 to 86400");
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return 0;
        default:
            return wrong("see above");
        }
    if (optind != argc - 1)
        return wrong("one of its commands is wanted");
    for (size_t i = 0; i < PR_COUNT(VERB); i++)
        if (strcmp(VERB[i].name, argv[optind]) == 0)
            return VERB[i].to && order.to == NULL ? wrong("--to is wanted") : run(&VERB[i], &order);
    return wrong("there is no such command");
}
