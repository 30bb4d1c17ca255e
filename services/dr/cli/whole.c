/* prism-dr restore-cluster: every shard from the bucket, into a cluster or a directory. */
#include "io/whole.h"
#include "cli/cli.h"

#include "prism/io/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REFUSED = 3 }; /* exit status */

static const char usage[] =
    "usage: prism-dr restore-cluster --into-cluster HOST:PORT,... --scratch DIR [--over-existing]\n"
    "       prism-dr restore-cluster --into DIR [--part I/N --exchange SHARED]\n"
    "       both: [--until TIME] [--accept-loss] [--partitions N] [--threads N]\n"
    "             [--parallel N]\n"
    "Brings every shard of the bucket back, loads each in a redis-server of its own that nobody\n"
    "else can reach, makes vertices whole again that moved while the shards were cut, and then:\n"
    "--into-cluster: copies all keys to a Redis Cluster that is there, empty, with any number of\n"
    "  shards; compares numbers of keys per slot and a digest. While it is filled it is sealed:\n"
    "  its functions answer RESTORING. After a failure it stays sealed: run the command again.\n"
    "  --over-existing deletes what it holds. With PRISM_DB_URI routes and epochs are written to\n"
    "  PostgreSQL; without, run prism-dr rebuild-routes before anything moves. PRISM_DB_URI_FILE\n"
    "  does not count here: in a pod of dr it names the database of the store that runs. Needs a\n"
    "  Redis user (PRISM_REDIS_USER, PRISM_REDIS_PASSWORD) that may do everything there.\n"
    "--into: DIR (absent or empty) becomes a data directory for each shard, and cluster.json,\n"
    "  which says what slots each has to own. Start a redis-server on each with `appendonly yes`,\n"
    "  `aof-load-truncated no` and `cluster-enabled yes`, assign the slots, and then run\n"
    "  prism-dr rebuild-routes.\n"
    "  With --part this machine has the I-th of N parts of the shards; start the command on N\n"
    "  machines, each with its own part. What they have to know of one another goes through "
    "SHARED,\n"
    "  a new directory that all of them see; each waits for the others. DIR then has this part's\n"
    "  shards; cluster.json says which part has which. When one fails, all do: begin again with\n"
    "  another SHARED.\n"
    "TIME: what had arrived in the bucket by then (2030-01-31T12:00:00Z, or milliseconds since\n"
    "  1970); without, each shard as far as it goes. Where objects are missing or damaged shards\n"
    "  end at different times, and vertices that moved between them may be lost or rolled back.\n"
    "  Then nothing is restored: oldest_end_ms of the JSON as TIME avoids the loss (and gives up\n"
    "  what is newer on the other shards); --accept-loss takes it.\n"
    "  Neither is anything restored where objects that say which shard took a slot last are "
    "damaged\n"
    "  or missing (damaged_moves), and two shards have different values of a key (doubtful_keys);\n"
    "  --accept-loss takes one of the two.\n"
    "--partitions: of the store; with PRISM_DB_URI the database knows.\n"
    "--parallel: servers that are loaded at a time; without it as many as four fifths of the free\n"
    "  memory hold. When that is not all, each is loaded two to four times: to be looked at, "
    "perhaps\n"
    "  again for what others have of its vertices, to be mended and copied.\n"
    "This machine needs the disk for all of it, the memory for its largest shard (else nothing is\n"
    "done), and redis-server in PATH. The bucket is that of the settings PRISM_DR_CLUSTER, "
    "PRISM_DR_S3_..., PRISM_DR_KEY_PATH.\n"
    "Prints JSON; what it is doing goes to stderr. Exit status: 0; 1 failed; 2 wrong arguments;\n"
    "3 nothing was restored because vertices would be lost, or keys are in doubt (named in the\n"
    "JSON).\n";

static const struct dr_cli_use use = { "restore-cluster", usage };

static int run(const struct dr_whole *asked)
{
    struct dr_whole w = *asked;
    struct dr_cli_store s;
    struct dr_whole_done d = { .shards = 0 };
    struct pr_err err = { 0 };
    pr_log_init("dr", PR_INFO);
    enum pr_code rc = dr_cli_open(&s, &err);
    w.store = &s.store.s3;
    w.codec = &s.store.codec;
    w.cluster = s.cfg.cluster;
    w.auth = (struct pr_redis_auth){ s.cfg.redis_user, s.cfg.redis_password };
    w.db_uri = w.seeds != NULL ? getenv("PRISM_DB_URI") : NULL;
    if (rc == PR_OK)
        rc = dr_whole_restore(&w, &d, &err);
    dr_cli_close(&s);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr restore-cluster: %s\n", err.text);
    if (rc == PR_OK || d.refused) {
        struct pr_buf b;
        pr_buf_init(&b, 0);
        dr_whole_report(&w, &d, &b);
        (void)printf("%s\n", b.failed ? "{}" : b.data);
        pr_buf_done(&b);
    }
    const int status = d.refused ? REFUSED : rc != PR_OK;
    dr_whole_done_free(&d);
    return status;
}

static const char *check(const struct dr_whole *w, const char *scratch, const char *into)
{
    if ((w->seeds == NULL) == (into == NULL))
        return "one of --into-cluster and --into is wanted";
    if ((w->seeds == NULL) != (scratch == NULL))
        return "--scratch goes with --into-cluster";
    if (w->seeds == NULL && w->over_existing)
        return "--over-existing goes with --into-cluster";
    if ((w->exchange == NULL) != (w->parts == 0))
        return "--part and --exchange go together";
    if (w->seeds != NULL && w->parts > 0)
        return "--part goes with --into: a cluster is filled by one";
    return NULL;
}

struct asked {
    struct dr_whole w;
    const char *scratch, *into;
};

static const char *take(void *ctx, int c)
{
    struct asked *a = ctx;
    int end = 0;
    switch (c) {
    case 'c':
        a->w.seeds = optarg;
        return NULL;
    case 'i':
        a->into = optarg;
        return NULL;
    case 's':
        a->scratch = optarg;
        return NULL;
    case 'o':
        a->w.over_existing = true;
        return NULL;
    case 'a':
        a->w.accept_loss = true;
        return NULL;
    case 'u':
        return dr_cli_until(optarg, &a->w.until_ms) ? NULL : "--until is no time";
    case 'p':
        a->w.partitions = (uint32_t)strtoul(optarg, NULL, 10);
        return a->w.partitions >= 1 && a->w.partitions <= 1 << 20
                   ? NULL
                   : "--partitions is not 1 to 1048576";
    case 'n':
        return dr_cli_threads(optarg, &a->w.parallel) ? NULL : "--parallel is not 1 to 64";
    case 'P':
        return sscanf(optarg, "%u/%u%n", &a->w.part, &a->w.parts, &end) == 2 &&
                       optarg[end] == '\0' && a->w.part >= 1 && a->w.part <= a->w.parts
                   ? NULL
                   : "--part is not I/N with I from 1 to N";
    case 'x':
        a->w.exchange = optarg;
        return NULL;
    default:
        return dr_cli_threads(optarg, &a->w.threads) ? NULL : "--threads is not 1 to 64";
    }
}

int dr_cli_restore_cluster(int argc, char **argv)
{
    static const struct option options[] = {
        { "into-cluster", required_argument, NULL, 'c' },
        { "into", required_argument, NULL, 'i' },
        { "scratch", required_argument, NULL, 's' },
        { "over-existing", no_argument, NULL, 'o' },
        { "accept-loss", no_argument, NULL, 'a' },
        { "until", required_argument, NULL, 'u' },
        { "partitions", required_argument, NULL, 'p' },
        { "threads", required_argument, NULL, 't' },
        { "parallel", required_argument, NULL, 'n' },
        { "part", required_argument, NULL, 'P' },
        { "exchange", required_argument, NULL, 'x' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct asked a = { .w = { .until_ms = INT64_MAX } };
    int status;
    if (!dr_cli_options(&use, options, take, &a, argc, argv, &status))
        return status;
    const char *why =
        optind != argc ? "it takes no other arguments" : check(&a.w, a.scratch, a.into);
    if (why != NULL)
        return dr_cli_wrong(&use, why);
    a.w.dir = a.into != NULL ? a.into : a.scratch;
    return run(&a.w);
}
