/* Who may do what: roles against accesses. Pure. An access is what a route
 * needs; a role is what a token has. Roles include the lower ones.
 * Source: docs of the metadata-api, "Roles". */
#ifndef METADATA_API_ACCESS_H
#define METADATA_API_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

enum api_role { API_NOBODY, API_VIEWER, API_OPERATOR, API_ADMIN };

enum api_access {
    API_OPEN,          /* probes and the API's own description: no token */
    API_READ,          /* look-ups and lists */
    API_RUN,           /* placement runs, plans, canceling operations */
    API_FLEET,         /* registering, changing and removing nodes and zones; filling a cluster */
    API_TRAIL,         /* reading the audit trail */
    API_FAILOVER_READ, /* looking at fail-overs to another region */
    API_FAILOVER,      /* carrying them out */
    API_KEYS,          /* tokens: making, seeing, revoking them */
    API_ACCESS_COUNT
};

const char *api_role_name(enum api_role role); /* "viewer", ...; static */
bool api_role_parse(const char *name, enum api_role *out);
/* The least role that has access; API_ADMIN for an access that is not in the
 * table, so that a forgotten row closes a route instead of opening it. */
enum api_role api_access_needs(int access);
bool api_allowed(enum api_role role, int access);

/* The standby token opens fail-overs and nothing else, where tokens cannot be looked up. */
enum {
    API_DB_AWAY_MS = 15000,          /* not read for so long: PostgreSQL is away */
    API_STANDBY_READ_MS = 15 * 60000 /* whoever follows a fail-over by it sees the end */
};
enum api_standby {
    API_STANDBY_ALLOWED,
    API_STANDBY_ELSEWHERE,
    API_STANDBY_EARLY,
    API_STANDBY_OVER
};
/* access: of the route. up_ms: since reading PostgreSQL was begun. db_age_ms: since it was last
 * read; negative: never. away_age_ms: since it was last found to be away; negative: never.
 * ELSEWHERE: the route is about something else. EARLY: it has not been tried for long enough, as at
 * every start. OVER: PostgreSQL can be read, so the tokens there count; looking goes on for
 * API_STANDBY_READ_MS. */
enum api_standby api_standby_judge(int access, int64_t up_ms, int64_t db_age_ms,
                                   int64_t away_age_ms);
/* The same times. */
bool api_db_away(int64_t up_ms, int64_t db_age_ms);

enum { API_RESOURCE_NAME = 64, API_VERB_NAME = 24 };
/* What a route does to what, in the words of the table of roles: "/v1/nodes/{id}" with PATCH is
 * "update" of "nodes", "/v1/rebalance/plans/{id}:pause" is "pause" of "rebalance/plans". */
void api_route_verb(const char *method, const char *pattern, char resource[API_RESOURCE_NAME],
                    char verb[API_VERB_NAME]);

#endif
