#include "rebalance_job_stage.h"

#include <stdio.h>
#include <string.h>

const enum fake_server job_servers[2] = { FAKE_VALKEY9, FAKE_REDIS84 };

enum { FIRST_SLOT = 100 };

static char seeds[128];

void job_sql(const char *sql)
{
    char cell[8];
    it_sql(stage.uri, sql, cell, sizeof cell);
}

static void register_nodes(void)
{
    char sql[512];
    job_sql(
        "DELETE FROM nodes; DELETE FROM shards; INSERT INTO zones (id) VALUES ('a') ON CONFLICT DO "
        "NOTHING");
    for (int n = 0; n < FAKE_NODES; n++) {
        snprintf(sql, sizeof sql,
                 "INSERT INTO nodes (id, host, port, zone_id, redis_id, shard_id, role, state) "
                 "VALUES ('f%d', '127.0.0.1', %d, 'a', '%s', 's%d', '%s', 'up')",
                 n, fake_port(n), fake_id(n), n % 2, n < 2 ? "primary" : "replica");
        job_sql(sql);
    }
}

void job_begin(enum fake_server source, enum fake_server target)
{
    fake_pair_open(source, target);
    register_nodes();
    snprintf(seeds, sizeof seeds, "127.0.0.1:%d,127.0.0.1:%d", fake_port(0), fake_port(1));
    stage.seeds = seeds;
    snprintf(stage.src, sizeof stage.src, "f%d", FAKE_SOURCE);
    snprintf(stage.dst, sizeof stage.dst, "f%d", FAKE_TARGET);
    for (int i = 0; i < STAGE_SLOTS; i++)
        stage.slot[i] = FIRST_SLOT + (i < 6 ? i : 2 * i); /* a range, and single ones */
    stage.plan++;
    stage.cfg.slot_atomic = true;
    pr_metrics_free(stage.metrics);
    stage.metrics = pr_metrics_new(rebalance_metric_rows, REBALANCE_METRICS);
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    atomic_store(&stage.roll_back, false);
    slot_stage_plan("planned");
}

int job_end(void **state)
{
    (void)state;
    assert_int_equal(fake_unknown(), 0);
    fake_pair_close();
    return 0;
}

void job_load(void)
{
    for (int i = 0; i < STAGE_SLOTS; i++)
        fake_keys(stage.slot[i], JOB_KEYS);
}

double job_moved(const char *path)
{
    return pr_metrics_get(stage.metrics, M_SLOTS_MOVED, path);
}

void job_assert_all(const char *path, int owner)
{
    char sql[200];
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    assert_int_equal((int)job_moved(path), STAGE_SLOTS);
    for (int i = 0; i < STAGE_SLOTS; i++)
        assert_int_equal(fake_owner(stage.slot[i]), owner);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM steps WHERE plan_id = $ AND atomic = %s",
             strcmp(path, "atomic") == 0 ? "true" : "false");
    assert_int_equal(slot_stage_number(sql), STAGE_SLOTS);
    assert_int_equal(slot_stage_number("SELECT count(*) FROM slot_history WHERE plan_id = $ AND "
                                       "from_shard = 's0' AND to_shard = 's1'"),
                     STAGE_SLOTS);
    assert_true(fake_most_at_once() <= 1); /* never a second beside one that runs */
}

static bool job_runs(void *ctx)
{
    (void)ctx;
    return fake_runs();
}

void job_start_and_await(void)
{
    fake_fault(FAKE_HANGS, -1);
    slot_stage_start();
    assert_true(it_await(job_runs, NULL, 10000));
}

static bool asked_more(void *ctx)
{
    return fake_asked() > *(unsigned *)ctx;
}

/* So many looks later: what was to be done wrongly would have been done. */
void job_await_looks(unsigned n)
{
    unsigned until = fake_asked() + n;
    assert_true(it_await(asked_more, &until, 10000));
}

void job_three_to_a_gigabyte(void)
{
    char sql[200];
    snprintf(sql, sizeof sql, "UPDATE steps SET bytes = 300000000 WHERE plan_id = %lld",
             (long long)stage.plan);
    job_sql(sql);
}
