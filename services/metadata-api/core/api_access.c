#include "api_access.h"

#include "prism/err.h"

#include <stdio.h>
#include <string.h>

static const char *const role_name[] = {
    [API_NOBODY] = "nobody",
    [API_VIEWER] = "viewer",
    [API_OPERATOR] = "operator",
    [API_ADMIN] = "admin",
};

static const enum api_role needs[API_ACCESS_COUNT] = {
    [API_OPEN] = API_NOBODY,    [API_READ] = API_VIEWER, [API_RUN] = API_OPERATOR,
    [API_FLEET] = API_ADMIN,    [API_TRAIL] = API_ADMIN, [API_FAILOVER_READ] = API_VIEWER,
    [API_FAILOVER] = API_ADMIN, [API_KEYS] = API_ADMIN,
};

const char *api_role_name(enum api_role role)
{
    return role_name[role];
}

bool api_role_parse(const char *name, enum api_role *out)
{
    for (int r = API_VIEWER; r <= API_ADMIN; r++)
        if (strcmp(name, role_name[r]) == 0) {
            *out = (enum api_role)r;
            return true;
        }
    return false;
}

enum api_role api_access_needs(int access)
{
    return access >= 0 && access < API_ACCESS_COUNT ? needs[access] : API_ADMIN;
}

bool api_allowed(enum api_role role, int access)
{
    return role >= api_access_needs(access);
}

bool api_db_away(int64_t up_ms, int64_t db_age_ms)
{
    return (db_age_ms < 0 ? up_ms : db_age_ms) > API_DB_AWAY_MS;
}

enum api_standby api_standby_judge(int access, int64_t up_ms, int64_t db_age_ms,
                                   int64_t away_age_ms)
{
    if (access != API_FAILOVER && access != API_FAILOVER_READ)
        return API_STANDBY_ELSEWHERE;
    if (api_db_away(up_ms, db_age_ms))
        return API_STANDBY_ALLOWED;
    if (db_age_ms < 0) /* looking may be all that is possible, and does no harm */
        return access == API_FAILOVER_READ ? API_STANDBY_ALLOWED : API_STANDBY_EARLY;
    return access == API_FAILOVER_READ && away_age_ms >= 0 && away_age_ms <= API_STANDBY_READ_MS
               ? API_STANDBY_ALLOWED
               : API_STANDBY_OVER;
}

static const char *plain_verb(const char *method, bool one)
{
    static const struct {
        const char *method, *of_one, *of_all;
    } row[] = {
        { "GET", "get", "read" },         { "POST", "create", "create" },
        { "PUT", "replace", "replace" },  { "PATCH", "update", "update" },
        { "DELETE", "delete", "delete" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (strcmp(row[i].method, method) == 0)
            return one ? row[i].of_one : row[i].of_all;
    return method;
}

void api_route_verb(const char *method, const char *pattern, char resource[API_RESOURCE_NAME],
                    char verb[API_VERB_NAME])
{
    const char *at = strncmp(pattern, "/v1/", 4) == 0 ? pattern + 4 : pattern;
    const char *colon = strchr(at, ':');
    size_t n = 0;
    bool one = false; /* of several: the path ends in a parameter */
    for (size_t i = 0; at[i] != '\0' && at + i != colon && n + 1 < API_RESOURCE_NAME; i++) {
        if (at[i] == '{') {
            i += strcspn(at + i, "}");
            one = true;
            n -= n > 0 && resource[n - 1] == '/';
            continue;
        }
        one = false;
        resource[n++] = at[i];
    }
    resource[n] = '\0';
    (void)snprintf(verb, API_VERB_NAME, "%s", colon != NULL ? colon + 1 : plain_verb(method, one));
}
