/* Threshold rules as data: a metric beyond a threshold for so long changes the fleet by so many
 * per cent, and not again before a cooldown. Pure. Source: docs/explanation/autoscale.md.
 *
 * The default is the reference table:
 *
 *     metric   threshold  sustained  step   cooldown
 *     CPU      > 70 %      5 min     +10 %   5 min
 *     memory   > 85 %      3 min     +10 %  10 min
 *     network  > 8 Gbps    5 min     +10 %   5 min
 *     CPU      < 40 %     15 min     -10 %  15 min
 *
 * What the table leaves open is decided so:
 * - Thresholds are strict. Sustained means that every minute of the window has a value beyond
 *   the threshold; a missing minute is unknown and breaks it.
 * - Steps are of what is wanted now. Outward they round up (48 to 53); inward as many go as the
 *   per cent has whole ones, at least one.
 * - Any rule scales out, and of several the largest capacity wins. Scaling in needs all inward
 *   rules, and nobody against it: a metric that has only outward rules is against it unless, with
 *   its work on the members that would be left, each of its minutes stays within its threshold.
 *   A metric that the fleet does not have takes no part; one that fell silent is unknown.
 * - A rule waits for its cooldown after the last change in its own direction, whoever asked for
 *   that. A change inward never makes a rule wait that goes outward.
 *
 * The reference comes with an example run, "Appendix E" (time: load, instances, CPU): 00:00: 10 %,
 * 48, 40 %; 01:00: 20 %, 48, 75 %; 01:05: 20 %, 53, 68 %; 02:00: 40 %, 53, 80 %; 02:05: 40 %, 59,
 * 72 %; 04:00: 80 %, 106, 75 %; 08:00: 100 %, 133, 70 %. It is an illustration: no rules follow it
 * row by row.
 * - 48 to 53 to 59 is +10 % rounded up; rounded down it would be 52 and 57, to the nearest 53
 *   and 58.
 * - From 59, steps of +10 % rounded up give 65, 72, 80, 88, 97, 107: never 106. Those to the
 *   nearest give 106, but then the second row's 59 is out of reach.
 * - From 106 they give 117, 129, 142: never 133. That is 106 x 1.25, the ratio of the loads.
 * - At 01:00 it scales out with the first minute of 75 %, and five minutes later the new members
 *   serve: the table asks for 5 minutes above 70 % first, and a launch takes 5 to 10.
 * - At 02:05 (72 %) and 04:00 (75 %) it does nothing, although the rule's threshold is 70 %.
 * - CPU x instances / load should be constant and falls from 1.92 to 0.93; with the 1.80 of the
 *   rows before it, the fourth would read 136 %. */
#ifndef AUTOSCALE_RULES_H
#define AUTOSCALE_RULES_H

#include "core/minutes.h"
#include "core/vote.h"

enum { AUTOSCALE_RULE_COUNT = 16 };

struct autoscale_rule {
    enum autoscale_metric metric;
    double threshold; /* of the metric's unit: %, bit/s, messages */
    double step_pct;  /* > 0: out, when above the threshold; < 0: in, when below it */
    int64_t sustained_ms, cooldown_ms;
};
struct autoscale_rules {
    struct autoscale_rule rule[AUTOSCALE_RULE_COUNT];
    size_t rules;
};

void autoscale_rules_default(struct autoscale_rules *out);
/* PR_EINVAL: names the rule (from 1) and what is wrong with it. */
PR_CHECKED enum pr_code autoscale_rules_check(const struct autoscale_rules *r, struct pr_err *err);

/* What is wanted after one step: outward rounded up, inward whole ones, at least one. */
int autoscale_rule_step(int desired, double step_pct);

void autoscale_rules_vote(const struct autoscale_rules *r, const struct autoscale_view *view,
                          struct autoscale_vote *out);

#endif
