/* The kinds that are computed elsewhere than in cases_aws.c. */
#ifndef AUTOSCALE_CLI_CASES_AWS_H
#define AUTOSCALE_CLI_CASES_AWS_H

#include "cli/cases.h"

/* cases_track.c */
autoscale_case_fn case_track, case_track_round, case_track_combine, case_track_alarms,
    case_backlog_target, case_warmup, case_cooldown;
/* cases_group.c */
autoscale_case_fn case_predictive, case_warm_pool, case_rebalance_limit, case_zone_launch,
    case_zone_terminate, case_refresh_timeline, case_refresh_checkpoint;
/* cases_leaving.c */
autoscale_case_fn case_termination_order;
/* cases_memo.c */
autoscale_case_fn case_memo_rules, case_memo_percent, case_memo_appendix_e;
/* cases_facts.c */
autoscale_case_fn case_predictive_params;

#endif
