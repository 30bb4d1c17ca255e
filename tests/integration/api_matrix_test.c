/* Every route with every role, from the table that the server uses, against the description that
 * clients read. */
#include "api.h"
#include "api_fixture.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

/* {id} and the like become something that a path may have. */
static void fill(const char *pattern, char *out, size_t cap)
{
    size_t n = 0;
    for (const char *p = pattern; *p != '\0' && n + 1 < cap; p++)
        if (*p == '{') {
            out[n++] = '1';
            p += strcspn(p, "}");
        } else
            out[n++] = *p;
    out[n] = '\0';
}

static const struct pr_http_route *route_of(const char *method, const char *pattern)
{
    for (size_t i = 0; i < api_route_count; i++)
        if (strcmp(api_routes[i].method, method) == 0 &&
            strcmp(api_routes[i].pattern, pattern) == 0)
            return &api_routes[i];
    return NULL;
}

/* What every service answers, from a table of its own. */
static bool is_probe(const char *path)
{
    static const char *const probes[] = { "/livez", "/readyz", "/metrics" };
    for (size_t i = 0; i < PR_COUNT(probes); i++)
        if (strcmp(probes[i], path) == 0)
            return true;
    return false;
}

/* Answered from the snapshot alone: whoever else is slow, these are not. */
static bool is_from_memory(const struct pr_http_route *route)
{
    static const char *const patterns[] = { "/v1/whoami",   "/v1/nodes",          "/v1/nodes/{id}",
                                            "/v1/zones",    "/v1/zones/{id}",     "/v1/partitions",
                                            "/v1/topology", "/v1/partitions/{id}" };
    for (size_t i = 0; i < PR_COUNT(patterns); i++)
        if (strcmp(route->method, "GET") == 0 && strcmp(route->pattern, patterns[i]) == 0)
            return true;
    return false;
}

static void what_is_served_is_described_and_what_is_described_is_served(void **state)
{
    (void)state;
    api_call(&r, NULL, "GET", "/openapi.json", NULL, NULL);
    assert_status(&r, 200);
    const json_t *paths = json_object_get(r.j, "paths");
    const char *path, *verb;
    json_t *item, *operation;
    size_t described = 0;
    json_object_foreach((json_t *)paths, path, item) json_object_foreach(item, verb, operation)
    {
        char method[16] = "";
        for (size_t i = 0; verb[i] != '\0' && i + 1 < sizeof method; i++)
            method[i] = (char)toupper((unsigned char)verb[i]);
        const struct pr_http_route *route = route_of(method, path);
        if (route == NULL && !is_probe(path))
            fail_msg("%s %s is described, but not served", method, path);
        if (route != NULL &&
            (json_object_get(operation, "security") != NULL) != (route->access == API_OPEN))
            fail_msg("%s %s: who may call it is described wrong", method, path);
        if (route != NULL && route->access > API_OPEN &&
            json_object_get(json_object_get(operation, "responses"), "429") == NULL)
            fail_msg("%s %s: that there may be too many (429) is not described", method, path);
        const bool late = json_object_get(json_object_get(operation, "responses"), "504") != NULL;
        if (route != NULL && late != (route->access > API_OPEN && !is_from_memory(route)))
            fail_msg("%s %s: whether an answer may come too late (504) is described wrong", method,
                     path);
        described += route != NULL;
    }
    assert_int_equal(described, api_route_count);
}

static void every_route_asks_for_the_role_of_the_table(void **state)
{
    (void)state;
    static const struct {
        const char *token;
        enum api_role role;
    } who[] = {
        { NULL, API_NOBODY },      { "nobody", API_NOBODY }, { "expired", API_NOBODY },
        { "revoked", API_NOBODY }, { "viewer", API_VIEWER }, { "operator", API_OPERATOR },
        { "admin", API_ADMIN },
    };
    for (size_t i = 0; i < api_route_count; i++)
        for (size_t k = 0; k < PR_COUNT(who); k++) {
            const struct pr_http_route *route = &api_routes[i];
            const bool changes = strcmp(route->method, "GET") != 0 &&
                                 strstr(route->pattern, ":batchGet") == NULL &&
                                 strstr(route->pattern, ":simulate") == NULL;
            char path[256];
            fill(route->pattern, path, sizeof path - 20);
            if (changes)
                strcat(path, "?dryRun=true");
            api_call(&r, who[k].token, route->method, path, changes ? "{}" : NULL, NULL);
            const bool open = api_allowed(who[k].role, route->access);
            const int denied = who[k].role == API_NOBODY ? 401 : 403;
            if (open ? r.status == 401 || r.status == 403 || r.status == 405 : r.status != denied)
                fail_msg("%s %s as %s: %ld %s", route->method, path,
                         who[k].token == NULL ? "-" : who[k].token, r.status, r.text);
        }
}

static void arguments_that_are_not_described_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        char path[256];
        if (strcmp(api_routes[i].method, "GET") != 0 || api_routes[i].access == API_OPEN)
            continue;
        fill(api_routes[i].pattern, path, sizeof path - 20);
        strcat(path, "?stat=running");
        api_call(&r, "admin", "GET", path, NULL, NULL);
        assert_status(&r, 400);
        assert_non_null(strstr(r.text, "\"field\":\"stat\""));
    }
    api_call(&r, "viewer", "GET", "/v1/nodes?zone=a&state=up", NULL, NULL);
    assert_status(&r, 200);
    api_call(&r, "viewer", "GET", "/v1/nodes?zone=a&stat%65=up", NULL, NULL); /* decoded first */
    assert_status(&r, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_served_is_described_and_what_is_described_is_served),
        cmocka_unit_test(every_route_asks_for_the_role_of_the_table),
        cmocka_unit_test(arguments_that_are_not_described_are_refused),
    };
    /* Whoever is refused so often would be told to wait. */
    static const char *const settings[] = { "PRISM_API_REFUSALS_PER_S=1000000", NULL };
    api_settings = settings;
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
