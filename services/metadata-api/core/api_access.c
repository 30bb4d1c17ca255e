#include "api_access.h"

#include "prism/err.h"

#include <string.h>

static const char *const role_name[] = {
    [API_NOBODY] = "nobody",
    [API_VIEWER] = "viewer",
    [API_OPERATOR] = "operator",
    [API_ADMIN] = "admin",
};

static const enum api_role needs[API_ACCESS_COUNT] = {
    [API_OPEN] = API_NOBODY, [API_READ] = API_VIEWER, [API_RUN] = API_OPERATOR,
    [API_FLEET] = API_ADMIN, [API_TRAIL] = API_ADMIN,
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
