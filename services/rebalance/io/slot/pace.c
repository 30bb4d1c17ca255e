/* Probes of the two primaries, and what the throttle and the budgets make of them. */
#include "io/slot/pair.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBE_US = 10000, WINDOW_US = 250000, PROBE_TIMEOUT_MS = 1000 };

void rebalance_pair_pace_init(struct rebalance_pair *p, int64_t now_us)
{
    const struct rebalance_config *cfg = p->run->cfg;
    p->throttle_limits = (struct rebalance_throttle_limits){
        .p99_us = (uint64_t)cfg->probe_p99_ms * 1000,
        .lag_bytes = (uint64_t)cfg->slot_lag_bytes,
        .cpu_ratio = cfg->slot_cpu_ratio,
    };
    for (int k = 0; k < 2; k++) {
        rebalance_throttle_init(&p->throttle[k], 1);
        rebalance_bucket_init(&p->bucket[k], cfg->slot_node_bytes_per_s, 0, now_us);
    }
}

double rebalance_pair_pace(struct rebalance_pair *p)
{
    char why[96] = "";
    pthread_mutex_lock(&p->lock);
    const struct rebalance_throttle_order order =
        rebalance_throttle_order(&p->throttle[0], &p->throttle[1], &p->throttle_limits, p->busy_us);
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
    (void)rebalance_slot_run_pause(p->run, order.pause_us);
    return order.batch_ratio;
}

void rebalance_pair_pay(struct rebalance_pair *p, double bytes)
{
    struct rebalance_slot_run *run = p->run;
    const int64_t now_us = pr_mono_us();
    const struct rebalance_shard_member *a = rebalance_shard_primary(&p->shard[0]),
                                        *b = rebalance_shard_primary(&p->shard[1]);
    if (run->cfg->slot_node_bytes_per_s <= 0 && run->cfg->slot_zone_bytes_per_s <= 0)
        return;
    pthread_mutex_lock(&run->lock); /* a pair of zones is shared by pairs of nodes */
    struct rebalance_bucket *const bucket[] = {
        &p->bucket[0], &p->bucket[1],
        rebalance_slot_run_zones(run, a == NULL ? "" : a->zone, b == NULL ? "" : b->zone, now_us)
    };
    const int64_t wait_us = rebalance_buckets_take(bucket, PR_COUNT(bucket), bytes, now_us);
    pthread_mutex_unlock(&run->lock);
    if (wait_us > 0)
        (void)rebalance_slot_run_pause(run, wait_us);
}

/* --- probes ------------------------------------------------------------------------------ */

void rebalance_probe_close(struct rebalance_probe *probe)
{
    for (int k = 0; k < 2; k++) {
        pr_redis_close(probe->conn[k]);
        probe->conn[k] = NULL;
    }
}

static bool link_up(struct rebalance_pair *p, struct rebalance_probe *probe, int k)
{
    struct rebalance_shard_member m;
    if (probe->conn[k] != NULL && !pr_redis_broken(probe->conn[k]))
        return true;
    pr_redis_close(probe->conn[k]);
    probe->conn[k] = NULL;
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
                                   .lag_ms = -1,
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
    if (m != NULL && replicas >= 0)
        m->replicas = replicas;
    rebalance_throttle_window(&p->throttle[k], &p->throttle_limits, &load);
    const double rate = p->throttle[k].rate;
    pthread_mutex_unlock(&p->lock);
    pr_metrics_set(p->run->metrics, M_SLOT_RATE, NULL, rate);
    if (got != NULL)
        freeReplyObject(got);
    probe->ping[k] = (struct pr_hist){ 0 };
    probe->errors[k] = 0;
}

void rebalance_probe(struct rebalance_pair *p, struct rebalance_probe *probe, int64_t now_us)
{
    static const char *const PING[] = { "PING" };
    if (now_us < probe->next_us)
        return;
    probe->next_us = now_us + PROBE_US;
    for (int k = 0; k < 2; k++) {
        redisReply *got = NULL;
        const int64_t from_us = pr_mono_us();
        if (!link_up(p, probe, k) ||
            pr_redis_append(probe->conn[k], 1, PING, NULL, NULL) != PR_OK ||
            pr_redis_reply(probe->conn[k], &got, NULL) != PR_OK) {
            probe->errors[k]++;
            continue;
        }
        freeReplyObject(got);
        pr_hist_add(&probe->ping[k], (uint64_t)(pr_mono_us() - from_us));
    }
    if (probe->window_us == 0)
        probe->window_us = now_us;
    if (now_us - probe->window_us < WINDOW_US)
        return;
    for (int k = 0; k < 2; k++)
        end_window(p, probe, k, (double)(now_us - probe->window_us) / 1e6);
    probe->window_us = now_us;
}
