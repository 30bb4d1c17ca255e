/* Who may do what: roles against accesses. Pure. An access is what a route
 * needs; a role is what a token has. Roles include the lower ones.
 * Source: docs of the metadata-api, "Roles". */
#ifndef METADATA_API_ACCESS_H
#define METADATA_API_ACCESS_H

#include <stdbool.h>

enum api_role { API_NOBODY, API_VIEWER, API_OPERATOR, API_ADMIN };

enum api_access {
    API_OPEN,  /* probes and the API's own description: no token */
    API_READ,  /* look-ups and lists */
    API_RUN,   /* placement runs, plans, canceling operations */
    API_FLEET, /* registering, changing and removing nodes and zones */
    API_TRAIL, /* reading the audit trail */
    API_ACCESS_COUNT
};

const char *api_role_name(enum api_role role); /* "viewer", ...; static */
bool api_role_parse(const char *name, enum api_role *out);
/* The least role that has access; API_ADMIN for an access that is not in the
 * table, so that a forgotten row closes a route instead of opening it. */
enum api_role api_access_needs(int access);
bool api_allowed(enum api_role role, int access);

enum { API_RESOURCE_NAME = 64, API_VERB_NAME = 24 };
/* What a route does to what, in the words of the table of roles: "/v1/nodes/{id}" with PATCH is
 * "update" of "nodes", "/v1/rebalance/plans/{id}:pause" is "pause" of "rebalance/plans". */
void api_route_verb(const char *method, const char *pattern, char resource[API_RESOURCE_NAME],
                    char verb[API_VERB_NAME]);

#endif
