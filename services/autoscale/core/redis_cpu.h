/* What a Redis server's load is, from two of its INFO answers. Pure.
 * Redis executes commands in its main thread: sixteen vCPUs that are idle hide one thread
 * that is full. So CPU is the larger of all threads' share of the host and the main
 * thread's share of one core. Forked children (saves, rewrites) are not in these counters.
 * Source: Redis documentation, INFO; docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_REDIS_CPU_H
#define AUTOSCALE_REDIS_CPU_H

#include "core/history.h"

enum {
    AUTOSCALE_REDIS_SPAN_MIN_MS = 1000,   /* answers closer than this say little */
    AUTOSCALE_REDIS_SPAN_MAX_MS = 300000, /* a mean over longer is nothing of now */
    AUTOSCALE_CPU_NOISE_PCT = 110         /* above 100 by rounding and delay; beyond it: nonsense */
};

struct autoscale_redis_info {     /* one answer; NAN, 0: the server does not say */
    int64_t at_us;                /* the caller's monotonic clock when it was answered */
    char run_id[41];              /* of the process: another one after a restart */
    int64_t server_us;            /* the server's own clock at the answer; 0 before Redis 6.2 */
    double cpu_s;                 /* all threads, system and user */
    double main_cpu_s;            /* the main thread */
    double used_bytes, max_bytes; /* max 0: no limit is set */
    double data_bytes;            /* of used: keys and values, without buffers and tables */
    double rss_bytes;             /* as the host sees it */
    double host_bytes;            /* memory of the host */
    double in_bytes, out_bytes;   /* network since the start, replication included */
    bool loading;                 /* reads its data from disk: serves nobody yet */
};

/* text: an INFO answer with the sections server, memory, persistence, stats and cpu.
 * at_us is the caller's. PR_EDATA: names the field that is missing or no number. */
PR_CHECKED enum pr_code autoscale_redis_info_parse(const char *text, int64_t at_us,
                                                   struct autoscale_redis_info *out,
                                                   struct pr_err *err);

struct autoscale_redis_load {
    double cpu_pct, memory_pct, network_bps; /* NAN: unknown. network: of the busier direction */
    double data_bytes;                       /* NAN: unknown */
    char why[160];                           /* what is unknown, and why; "" nothing */
};

struct autoscale_redis_host { /* as its type says; 0 unknown */
    double vcpus;             /* unknown: the main thread alone counts */
    double memory_gb;         /* GiB, as providers count them */
};

/* before: NULL when there is none. Memory is a share of maxmemory; where none is set, the store
 * grows until the host's is full: then a share of that, as the type or the server has it, the
 * smaller. Several servers on one host need maxmemory. A restart, counters that went back, no time
 * between the answers or too much of it make CPU and network unknown, never negative and never 0.
 */
void autoscale_redis_load(const struct autoscale_redis_info *before,
                          const struct autoscale_redis_info *after,
                          const struct autoscale_redis_host *host,
                          struct autoscale_redis_load *out);

#endif
