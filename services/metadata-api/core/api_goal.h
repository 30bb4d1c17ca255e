/* Is a goal of a fleet plan, a policy or a pin acceptable? Pure, as api_check.h:
 * values in, named field errors out. Whether the nodes and shards exist is asked
 * elsewhere. Source: docs/how-to/change-the-fleet.md. */
#ifndef METADATA_API_GOAL_H
#define METADATA_API_GOAL_H

#include "api_check.h"

enum { API_MAX_GOAL_NODES = 1000, API_MAX_GROUPS = 1000, API_MAX_AUTO = 8 };

enum api_goal_kind {
    API_JOIN,         /* nodes, role */
    API_DRAIN,        /* nodes */
    API_REPLACE,      /* node, with */
    API_MOVE_REPLICA, /* node, shard */
    API_BALANCE,
    API_FAILBACK,
    API_REPAIR,
    API_ASSIGN, /* groups */
    API_GOAL_COUNT
};
const char *api_goal_name(enum api_goal_kind kind); /* "move-replica"; static */
bool api_goal_parse(const char *name, enum api_goal_kind *out);

/* As the request has it; members that were absent are NULL. An element of a
 * list that is no string is NULL. */
struct api_goal_in {
    const char *kind, *role, *node, *with, *shard;
    const char *const *nodes, *const *groups; /* [n_nodes], [n_groups] */
    size_t n_nodes, n_groups;
    bool has_nodes, has_groups;
};
/* Every field that the kind needs and lacks, or has and does not take. */
void api_check_goal(const struct api_goal_in *in, struct api_errors *errs);

/* params of a fleet plan. */
struct api_fleet_params_in {
    int64_t max_slots, pairs;
    double max_bytes;
    bool allow_big_keys, allow_no_replicas;
    bool has_max_slots, has_pairs, has_max_bytes, has_allow_big_keys, has_allow_no_replicas;
};
void api_check_fleet_params(const struct api_fleet_params_in *in, struct api_errors *errs);

/* What may run without being asked for, and when. */
struct api_policy_in {
    const char *const *automatic; /* [n_automatic] goal kinds; NULL: no string */
    size_t n_automatic;
    const char *cron, *time_zone; /* of the window */
    int64_t minutes;
    int64_t max_slots;
    double max_bytes;
    bool has_window, has_max_slots, has_max_bytes;
};
/* Whether PostgreSQL knows the time zone is asked elsewhere. */
void api_check_policy(const struct api_policy_in *in, struct api_errors *errs);

/* Five fields: minute, hour, day of the month, month, day of the week (0 and 7
 * are Sunday); each *, or numbers and ranges separated by commas, with an
 * optional step; months and weekdays also by three letters (jan, SUN); on a day
 * that comes some time. Takes nothing that the rebalance service would refuse. */
bool api_cron_valid(const char *text);

/* kind: "slot", "shard" or "node"; value: a slot's number, or a name. */
void api_check_pin(const char *kind, const char *value, const char *why, struct api_errors *errs);

#endif
