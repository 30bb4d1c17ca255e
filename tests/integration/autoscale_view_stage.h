/* A fleet in real PostgreSQL, and decisions made of what is there. */
#ifndef PRISM_TEST_AUTOSCALE_VIEW_STAGE_H
#define PRISM_TEST_AUTOSCALE_VIEW_STAGE_H

#include "t.h"

#include "autoscale_store_stage.h"

#include "io/decisions.h"
#include "io/samples.h"
#include "io/view.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW STAGE_NOW
enum { MINUTE = STAGE_MINUTE_MS };

static struct autoscale_stage stage;
static struct autoscale_config cfg;
static struct autoscale_seen seen;
static struct autoscale_fleet_row row = { .name = "hot", .enabled = true };
static struct autoscale_known known; /* of the last decision: its input borrows */
static struct autoscale_input in;
static struct autoscale_decision decision;
static struct autoscale_memory after[AUTOSCALE_POLICIES];

static inline void settings(const char *text)
{
    struct pr_err err = { 0 };
    if (row.setup != NULL)
        autoscale_setup_done(row.setup);
    free(row.setup);
    row.setup = calloc(1, sizeof *row.setup);
    assert_non_null(row.setup);
    assert_ok(autoscale_fleet_settings("hot", text, &cfg, row.setup, &err), &err);
}

static inline int setup(void **state)
{
    (void)state;
    static char empty[] = "";
    struct pr_err err = { 0 };
    int dropped;
    const struct autoscale_retention keep = { .samples_days = 3650, .readings_hours = 8760 };
    autoscale_stage_open(&stage);
    autoscale_seen_init(&seen);
    cfg = (struct autoscale_config){
        .aws_region = empty, .local_command = empty, .prometheus_url = empty, .clock_rate = 1
    };
    assert_ok(autoscale_partitions_keep(stage.db, NOW, &keep, &dropped, &err), &err);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    autoscale_known_done(&known);
    autoscale_setup_done(row.setup);
    free(row.setup);
    row.setup = NULL;
    autoscale_seen_done(&seen);
    autoscale_stage_close(&stage);
    return 0;
}

/* `minutes` of them up to now. */
static inline void samples(int minutes, double cpu_pct, double memory_pct, double backlog)
{
    char text[600];
    snprintf(text, sizeof text,
             "INSERT INTO autoscale_samples (fleet, at, cpu_pct, memory_pct, network_bps, backlog, "
             "serving, silent, merged_at) SELECT 'hot', timestamptz 'epoch' + (%lld - i * 60000) * "
             "interval '1 millisecond', %g, %g, 1e9, %g, 6, 0, now() FROM generate_series(0, %d - "
             "1) i",
             (long long)NOW, cpu_pct, memory_pct, backlog, minutes);
    autoscale_stage_sql(&stage, text);
}

static inline void evaluated(int64_t at_ms)
{
    struct pr_err err = { 0 };
    const struct autoscale_state s = { .desired = 6, .memory = "[]", .evaluated_ms = at_ms };
    assert_ok(autoscale_state_put(stage.db, &stage.lease, "hot", &s, &err), &err);
}

static inline void decide_at(int64_t at_ms)
{
    struct pr_err err = { 0 };
    autoscale_known_done(&known);
    memset(&in, 0, sizeof in);
    assert_ok(autoscale_known_open(&known, stage.db, &seen, &row, &err), &err);
    assert_ok(autoscale_view_fill(&known, stage.db, &row, at_ms, &in, &err), &err);
    assert_ok(autoscale_decide(&in, after, &decision, &err), &err);
}

static inline void decide(void)
{
    decide_at(NOW);
}

static inline int64_t store(int64_t at_ms, const struct autoscale_state *s)
{
    struct pr_err err = { 0 };
    char *input = autoscale_json_text(autoscale_json_input_write(&in), false);
    char *made = autoscale_json_text(autoscale_json_decision_write(&in, &decision), false);
    struct autoscale_decision_row d = { .fleet = "hot",
                                        .at_ms = at_ms,
                                        .settings_version = 1,
                                        .from = decision.from,
                                        .to = decision.to,
                                        .move = "hold",
                                        .why = "",
                                        .alarm_why = "",
                                        .input = input,
                                        .decision = made,
                                        .after = s };
    assert_ok(autoscale_decision_put(stage.db, &stage.lease, &d, &err), &err);
    free(input);
    free(made);
    return d.id;
}

#endif
