/* Probes of the two primaries, by a thread of their own: they are to show what clients
 * feel while everything else of ours is busy; and what the throttle and the budgets
 * make of them. */
#include "io/slot/pair.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PROBE_US = 10000, WINDOW_US = 1000000, PROBE_TIMEOUT_MS = 500, BASE_PROBES = 20 };

void rebalance_pair_pace_init(struct rebalance_pair *p, int64_t now_us)
{
    const struct rebalance_config *cfg = p->run->cfg;
    p->throttle_limits = (struct rebalance_throttle_limits){
        .p99_us = (uint64_t)cfg->slot_p99_ms * 1000,
        .lag_bytes = (uint64_t)cfg->slot_lag_bytes,
        .cpu_ratio = cfg->slot_cpu_ratio,
        .increase = 0.1, /* a window is a second */
    };
    for (int k = 0; k < 2; k++) {
        rebalance_throttle_init(&p->throttle[k], 1);
        rebalance_bucket_init(&p->bucket[k], cfg->slot_node_bytes_per_s, 0, now_us);
    }
}

static double pace(struct rebalance_pair *p, const struct rebalance_throttle_limits *limits)
{
    char why[96] = "";
    pthread_mutex_lock(&p->lock);
    const struct rebalance_throttle_order order =
        rebalance_throttle_order(&p->throttle[0], &p->throttle[1], limits, p->busy_us);
    if (order.pause_us > 0)
        snprintf(why, sizeof why, "%s", order.why);
    pthread_mutex_unlock(&p->lock);
    if (order.pause_us == 0) {
        if (p->slowed)
            rebalance_slot_run_slowed(p->run, NULL);
        p->slowed = false;
        return order.batch_ratio;
    }
    rebalance_slot_run_slowed(p->run, why);
    p->slowed = true;
    (void)rebalance_pair_pause(p, order.pause_us);
    return order.batch_ratio;
}

double rebalance_pair_pace(struct rebalance_pair *p)
{
    return pace(p, &p->throttle_limits);
}

void rebalance_pair_rest(struct rebalance_pair *p)
{
    struct rebalance_throttle_limits l = p->throttle_limits;
    l.max_pause_ms = 10000; /* after so many calm windows it goes at full speed anyway */
    (void)pace(p, &l);
}

/* What the bytes of a batch are charged to. Under the run's lock. */
struct charge {
    struct rebalance_bucket *bucket;
    double bytes;
};
enum { MAX_CHARGES = 3 + REBALANCE_SHARD_MEMBERS };

/* Slots mostly stay in their zone; what crosses zones is what the taker's primary then
 * sends to its replicas. */
static size_t charges(struct rebalance_pair *p, double bytes, int64_t now_us,
                      struct charge out[MAX_CHARGES])
{
    const struct rebalance_shard *s = rebalance_taker(p);
    const struct rebalance_shard_member *from = rebalance_shard_primary(rebalance_giver(p)),
                                        *to = rebalance_shard_primary(rebalance_taker(p));
    const size_t members = rebalance_pair_members(p, !rebalance_pair_giver(p));
    size_t n = 0;
    out[n++] = (struct charge){ &p->bucket[0], bytes };
    out[n++] = (struct charge){ &p->bucket[1], bytes };
    if (from == NULL || to == NULL)
        return n;
    out[n++] =
        (struct charge){ rebalance_slot_run_zones(p->run, from->zone, to->zone, now_us), bytes };
    for (size_t i = 0; i < members; i++)
        if ((int)i != s->primary && s->member[i].there && !s->member[i].elsewhere)
            out[n++] = (struct charge){
                rebalance_slot_run_zones(p->run, to->zone, s->member[i].zone, now_us), bytes
            };
    return n;
}

bool rebalance_pair_pay(struct rebalance_pair *p, double bytes)
{
    struct rebalance_slot_run *run = p->run;
    struct charge c[MAX_CHARGES];
    const int64_t now_us = pr_mono_us();
    int64_t wait_us = 0;
    if (run->cfg->slot_node_bytes_per_s <= 0 && run->cfg->slot_zone_bytes_per_s <= 0)
        return true;
    pthread_mutex_lock(&run->lock); /* a pair of zones is shared by pairs of nodes */
    const size_t n = charges(p, bytes, now_us, c);
    for (size_t i = 0; i < n; i++) {
        const int64_t us = rebalance_buckets_take(&c[i].bucket, 1, c[i].bytes, now_us);
        wait_us = us > wait_us ? us : wait_us;
    }
    pthread_mutex_unlock(&run->lock);
    if (wait_us <= 0 || rebalance_pair_pause(p, wait_us))
        return true;
    rebalance_pair_repay(p, bytes);
    return false;
}

void rebalance_pair_repay(struct rebalance_pair *p, double bytes)
{
    struct charge c[MAX_CHARGES];
    pthread_mutex_lock(&p->run->lock);
    const size_t n = charges(p, bytes, pr_mono_us(), c);
    for (size_t i = 0; i < n; i++)
        rebalance_buckets_give(&c[i].bucket, 1, c[i].bytes);
    pthread_mutex_unlock(&p->run->lock);
}

/* --- probes ------------------------------------------------------------------------------ */

static bool link_up(struct rebalance_pair *p, struct rebalance_probe *probe, int k)
{
    struct rebalance_shard_member m;
    if (probe->conn[k] != NULL && !pr_redis_broken(probe->conn[k]))
        return true;
    pr_redis_close(probe->conn[k]);
    probe->conn[k] = NULL;
    probe->cpu_s[k] = 0; /* it may be another node */
    return rebalance_pair_primary(p, k, &m, NULL) == PR_OK &&
           pr_redis_open(&probe->conn[k], m.host, m.port, &p->run->mover, PROBE_TIMEOUT_MS, NULL) ==
               PR_OK;
}

static double number_after(const char *text, const char *name, double otherwise)
{
    const char *at = strstr(text, name);
    return at == NULL ? otherwise : strtod(at + strlen(name), NULL);
}

static int64_t lag_bytes(const char *info)
{
    const double mine = number_after(info, "master_repl_offset:", -1);
    double most = -1;
    for (const char *q = strstr(info, "state=online"); q != NULL;
         q = strstr(q + 1, "state=online")) {
        const double lag = mine - number_after(q, "offset=", mine);
        most = lag > most ? lag : most;
    }
    return (int64_t)most;
}

static void end_window(struct rebalance_pair *p, struct rebalance_probe *probe, int k,
                       double seconds)
{
    struct rebalance_load load = { .probes = probe->ping[k].count,
                                   .p99_us = pr_hist_quantile(&probe->ping[k], 0.99),
                                   .lag_bytes = -1,
                                   .cpu_ratio = -1,
                                   .errors = probe->errors[k] };
    redisReply *got = NULL;
    if (link_up(p, probe, k) &&
        pr_redis_command(probe->conn[k], &got, NULL, "INFO replication cpu") == PR_OK &&
        got->str != NULL) {
        double cpu_s = number_after(got->str, "used_cpu_sys_main_thread:", 0) +
                       number_after(got->str, "used_cpu_user_main_thread:", 0);
        if (probe->cpu_s[k] > 0 && seconds > 0)
            load.cpu_ratio = (cpu_s - probe->cpu_s[k]) / seconds;
        probe->cpu_s[k] = cpu_s;
        load.lag_bytes = lag_bytes(got->str);
    } else
        load.errors++;
    pthread_mutex_lock(&p->lock);
    const int replicas =
        got != NULL && got->str != NULL ? rebalance_replicas_in_step(got->str) : -1;
    struct rebalance_shard_member *m = rebalance_shard_primary(&p->shard[k]);
    if (m != NULL && replicas >= 0) {
        m->replicas = replicas;
        rebalance_shard_learn(&p->shard[k], got->str); /* one may have joined since the look */
    }
    if (p->anew[k]) /* its silence is no reason to spare its successor */
        rebalance_throttle_init(&p->throttle[k], 0);
    else
        rebalance_throttle_window(&p->throttle[k], &p->throttle_limits, &load);
    const bool anew = p->anew[k];
    p->anew[k] = false;
    const double rate = p->throttle[k].rate;
    pthread_mutex_unlock(&p->lock);
    rebalance_slot_run_rate(p->run, rate, pr_mono_us());
    if (got != NULL)
        freeReplyObject(got);
    if (anew) { /* a former primary may well answer still */
        pr_redis_close(probe->conn[k]);
        probe->conn[k] = NULL;
    }
    probe->ping[k] = (struct pr_hist){ 0 };
    probe->errors[k] = 0;
}

static void probe_both(struct rebalance_pair *p, struct rebalance_probe *probe)
{
    static const char *const PING[] = { "PING" };
    for (int k = 0; k < 2; k++) {
        redisReply *got = NULL;
        const bool up = link_up(p, probe, k);
        const int64_t from_us = pr_mono_us();
        if (!up || pr_redis_append(probe->conn[k], 1, PING, NULL, NULL) != PR_OK ||
            pr_redis_reply(probe->conn[k], &got, NULL) != PR_OK) {
            probe->errors[k]++;
            continue;
        }
        freeReplyObject(got);
        pr_hist_add(&probe->ping[k], (uint64_t)(pr_mono_us() - from_us));
    }
}

static void nap(int64_t us)
{
    const struct timespec ts = { 0, (long)us * 1000 };
    (void)nanosleep(&ts, NULL);
}

/* While a slot is held open through a pause nothing is moved. */
static bool idle(const struct rebalance_slot_run *run)
{
    return rebalance_slot_run_order(run) != REBALANCE_RUN_ON && !atomic_load(&run->to_the_end) &&
           !atomic_load(run->roll_back);
}

static void *probe_main(void *arg)
{
    struct rebalance_pair *p = arg;
    struct rebalance_probe *probe = &p->probe;
    int64_t window_us = pr_mono_us();
    while (!atomic_load(&p->probes_end)) {
        nap(PROBE_US);
        const int64_t now_us = pr_mono_us();
        if (idle(p->run)) {
            window_us = now_us;
            continue;
        }
        probe_both(p, probe);
        if (now_us - window_us < WINDOW_US)
            continue;
        for (int k = 0; k < 2; k++)
            end_window(p, probe, k, (double)(now_us - window_us) / 1e6);
        window_us = now_us;
    }
    for (int k = 0; k < 2; k++) {
        pr_redis_close(probe->conn[k]);
        probe->conn[k] = NULL;
    }
    return NULL;
}

/* Where clients wait long anyway, three times that is the limit. Measured before
 * anything moves; a slot that is open already has no time for it. */
static void measure_base(struct rebalance_pair *p)
{
    struct rebalance_probe *probe = &p->probe;
    uint64_t base_us = 0;
    for (int i = 0; i < BASE_PROBES && rebalance_pair_pause(p, PROBE_US / 2); i++)
        probe_both(p, probe);
    for (int k = 0; k < 2; k++) {
        const uint64_t p99_us = pr_hist_quantile(&probe->ping[k], 0.99);
        base_us = p99_us > base_us ? p99_us : base_us;
        probe->ping[k] = (struct pr_hist){ 0 };
        probe->errors[k] = 0;
    }
    if (p->throttle_limits.p99_us > 0 && 3 * base_us > p->throttle_limits.p99_us)
        p->throttle_limits.p99_us = 3 * base_us;
}

enum pr_code rebalance_probes_start(struct rebalance_pair *p, bool base, struct pr_err *err)
{
    if (base)
        measure_base(p);
    if (pthread_create(&p->probes, NULL, probe_main, p) != 0)
        return pr_fail(err, PR_ENOMEM, "no thread for probes");
    p->probes_run = true;
    return PR_OK;
}

void rebalance_probes_stop(struct rebalance_pair *p)
{
    if (!p->probes_run)
        return;
    atomic_store(&p->probes_end, true);
    pthread_join(p->probes, NULL);
    p->probes_run = false;
}
