/* Settings and fleets compared member by member: between their members nothing says what the
 * bytes are. */
#ifndef PRISM_TEST_AUTOSCALE_JSON_SAME_H
#define PRISM_TEST_AUTOSCALE_JSON_SAME_H

#include "core/decide.h"
#include "t.h"
#include "json/json.h"

#include <string.h>

#define SAME(member)      assert_true(a->member == b->member)
#define SAME_TEXT(member) assert_string_equal(a->member, b->member)

static inline void same_rules(const struct autoscale_rules *a, const struct autoscale_rules *b)
{
    SAME(rules);
    for (size_t i = 0; i < a->rules; i++) {
        SAME(rule[i].metric);
        SAME(rule[i].threshold);
        SAME(rule[i].step_pct);
        SAME(rule[i].sustained_ms);
        SAME(rule[i].cooldown_ms);
    }
}

static inline void same_alarm(const struct autoscale_step_alarm *a,
                              const struct autoscale_step_alarm *b)
{
    SAME(metric);
    SAME(high);
    SAME(threshold);
    SAME(datapoints);
    SAME(type);
    SAME(min_magnitude);
    SAME(steps);
    for (size_t i = 0; i < a->steps; i++) {
        SAME(step[i].lower);
        SAME(step[i].upper);
        SAME(step[i].adjust);
    }
}

static inline void same_step(const struct autoscale_step_policy *a,
                             const struct autoscale_step_policy *b)
{
    SAME(alarms);
    SAME(warmup_ms);
    SAME(cooldown_ms);
    for (size_t i = 0; i < a->alarms; i++)
        same_alarm(&a->alarm[i], &b->alarm[i]);
}

static inline void same_target(const struct autoscale_target_policy *a,
                               const struct autoscale_target_policy *b)
{
    SAME(trackers);
    SAME(low_ratio);
    SAME(high_minutes);
    SAME(low_minutes);
    SAME(warmup_ms);
    for (size_t i = 0; i < a->trackers; i++) {
        SAME(tracker[i].metric);
        SAME(tracker[i].target);
        SAME(tracker[i].disable_scale_in);
    }
}

static inline void same_hpa_rules(const struct autoscale_hpa_rules *a,
                                  const struct autoscale_hpa_rules *b)
{
    SAME(stabilization_s);
    SAME(select);
    SAME(rules);
    for (size_t i = 0; i < a->rules; i++) {
        SAME(rule[i].type);
        SAME(rule[i].value);
        SAME(rule[i].period_s);
    }
}

static inline void same_hpa(const struct autoscale_hpa_policy *a,
                            const struct autoscale_hpa_policy *b)
{
    SAME(metrics);
    SAME(tolerance.down);
    SAME(tolerance.up);
    SAME(init_ms);
    SAME(readiness_delay_ms);
    SAME(stale_ms);
    for (size_t i = 0; i < a->metrics; i++) {
        SAME(metric[i].metric);
        SAME(metric[i].target);
    }
    same_hpa_rules(&a->up, &b->up);
    same_hpa_rules(&a->down, &b->down);
}

static inline void same_adaptive(const struct autoscale_adaptive *a,
                                 const struct autoscale_adaptive *b)
{
    SAME(target_pct);
    SAME(mean_ms);
    SAME(peak_pct);
    SAME(out_band_pct);
    SAME(in_band_pct);
    SAME(hold_ms);
    SAME(hold_flap_ms);
    SAME(gap_ms);
    SAME(flap_ms);
    SAME(flaps_per_day);
    SAME(actions_per_day);
    SAME(saturated_pct);
    SAME(jump_ratio);
    SAME(growth_ratio);
    SAME(memory_pct);
    SAME(network_bps);
    SAME(alarm_after_ms);
}

static inline void same_queue(const struct autoscale_queue *a, const struct autoscale_queue *b)
{
    SAME(backlog_per_worker);
    SAME(latency_s);
    SAME(seconds_per_message);
    SAME(tolerance_pct);
    SAME(out_ms);
    SAME(in_ms);
    SAME(in_pct);
    SAME(alarm_after_ms);
    SAME(warmup_ms);
}

static inline void same_policy(const struct autoscale_policy *a, const struct autoscale_policy *b)
{
    SAME(kind);
    switch (a->kind) {
    case AUTOSCALE_RULES:
        same_rules(&a->is.rules, &b->is.rules);
        return;
    case AUTOSCALE_STEP:
        same_step(&a->is.step, &b->is.step);
        return;
    case AUTOSCALE_TARGET:
        same_target(&a->is.target, &b->is.target);
        return;
    case AUTOSCALE_HPA:
        same_hpa(&a->is.hpa, &b->is.hpa);
        return;
    case AUTOSCALE_ADAPTIVE:
        same_adaptive(&a->is.adaptive, &b->is.adaptive);
        return;
    case AUTOSCALE_QUEUE:
        same_queue(&a->is.queue, &b->is.queue);
        return;
    case AUTOSCALE_KINDS:
        break;
    }
    fail_msg("no such kind: %d", (int)a->kind);
}

static inline void same_settings(const struct autoscale_settings *a,
                                 const struct autoscale_settings *b)
{
    SAME(policies);
    SAME(combine);
    SAME(schedule.floors);
    SAME(budget.actions_per_day);
    SAME(budget.flaps_per_day);
    SAME(budget.flap_ms);
    for (size_t i = 0; i < a->policies; i++)
        same_policy(&a->policy[i], &b->policy[i]);
    for (size_t i = 0; i < a->schedule.floors; i++) {
        SAME_TEXT(schedule.floor[i].name);
        SAME_TEXT(schedule.floor[i].cron);
        SAME_TEXT(schedule.floor[i].zone);
        SAME(schedule.floor[i].lasts_ms);
        SAME(schedule.floor[i].min);
        SAME(schedule.floor[i].max);
        SAME(schedule.floor[i].desired);
    }
}

static inline void same_fleet(const struct autoscale_fleet *a, const struct autoscale_fleet *b)
{
    SAME_TEXT(name);
    SAME(unit);
    SAME(min);
    SAME(max);
    SAME(zones);
    SAME(groups);
    SAME(types);
    SAME(type);
    SAME(zone_loss_pct);
    SAME(boot_ms);
    SAME(move_ms);
    for (int i = 0; i < a->zones; i++)
        SAME_TEXT(zone[i]);
    for (int i = 0; i < a->groups; i++) {
        SAME_TEXT(group[i].name);
        SAME(group[i].zone);
        SAME(group[i].max);
    }
    for (int i = 0; i < a->types; i++) {
        SAME_TEXT(ladder[i].name);
        SAME(ladder[i].vcpus);
        SAME(ladder[i].memory_gb);
        SAME(ladder[i].network_gbps);
        SAME(ladder[i].price_hour);
    }
}

#endif
