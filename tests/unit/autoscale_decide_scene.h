/* What the tests of a decision share: a fleet, an hour of samples, and rules that vote as the
 * row says. */
#ifndef AUTOSCALE_DECIDE_SCENE_H
#define AUTOSCALE_DECIDE_SCENE_H

#include "t.h"

#include "core/decide.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MIN = AUTOSCALE_MINUTE_MS, MOST = 240, DAY = 24 * 60 * MIN };
enum { NOW = 600000000 }; /* 22:40 UTC */

static struct autoscale_input in;
static struct autoscale_sample sample[MOST];
PR_UNUSED static struct autoscale_action action[64];
PR_UNUSED static struct autoscale_member member[64];
static struct autoscale_decision got;

/* One rule outward and one inward, each of one minute, by so many per cent. */
static inline void rules(struct autoscale_policy *p, double over, double out_pct, double under,
                         double in_pct)
{
    memset(p, 0, sizeof *p);
    p->kind = AUTOSCALE_RULES;
    p->is.rules.rules = 2;
    p->is.rules.rule[0] = (struct autoscale_rule){ AUTOSCALE_CPU, over, out_pct, MIN, 0 };
    p->is.rules.rule[1] = (struct autoscale_rule){ AUTOSCALE_CPU, under, -in_pct, MIN, 0 };
}

/* `desired` serve at that CPU for an hour; single nodes, no floors but min 6. */
static inline void scene(int desired, double cpu_pct)
{
    memset(&in, 0, sizeof in);
    autoscale_fleet_default(&in.fleet);
    in.fleet.min = 6;
    in.fleet.max = 100;
    in.fleet.zone_loss_pct = 0;
    rules(&in.settings.policy[0], 70, 10, 40, 10);
    in.settings.policies = 1;
    in.view = (struct autoscale_view){
        .now_ms = NOW,
        .desired = desired,
        .serving = desired,
        .sample = sample,
        .samples = 60,
        .action = action,
        .member = member,
    };
    for (int i = 0; i < 60; i++)
        sample[i] = (struct autoscale_sample){
            .at_ms = NOW - (59 - i) * (int64_t)MIN,
            .cpu_pct = cpu_pct,
            .memory_pct = 50,
            .network_bps = 1e9,
            .backlog = NAN,
            .load = NAN,
            .serving = desired,
        };
}

static inline int decide(void)
{
    static struct autoscale_memory memory[AUTOSCALE_POLICIES];
    struct pr_err err = { .text = "" };
    assert_ok(autoscale_decide(&in, memory, &got, &err), &err);
    assert_int_equal(got.from, in.view.desired);
    assert_int_equal(got.move, got.to > got.from               ? AUTOSCALE_OUT
                               : got.to < got.from             ? AUTOSCALE_IN
                               : got.move == AUTOSCALE_UNKNOWN ? AUTOSCALE_UNKNOWN
                                                               : AUTOSCALE_HOLD);
    assert_int_equal(got.alarm, got.alarm_why[0] != '\0');
    return got.to;
}

static inline void assert_says(const char *text, const char *words)
{
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", text, words);
}

#endif
