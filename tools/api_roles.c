/* Prints docs/reference/roles.md from the routes of the API, with what each needs. */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    char resource[API_RESOURCE_NAME], verb[API_VERB_NAME];
    const struct pr_http_route *route;
};

/* Verbs of a resource whose least role that is: "list, get". */
static void cell(const struct row *row, size_t n, const char *resource, enum api_role role)
{
    char done[512] = ",";
    printf(" |");
    for (size_t i = 0, shown = 0; i < n; i++) {
        char mark[API_VERB_NAME + 2];
        (void)snprintf(mark, sizeof mark, "%s,", row[i].verb);
        if (strcmp(row[i].resource, resource) != 0 ||
            api_access_needs(row[i].route->access) != role || strstr(done, mark) != NULL)
            continue;
        printf("%s%s", shown++ == 0 ? " " : ", ", row[i].verb);
        (void)snprintf(done + strlen(done), sizeof done - strlen(done), "%s", mark);
    }
}

static bool first_of(const struct row *row, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(row[k].resource, row[i].resource) == 0)
            return false;
    return true;
}

int main(void)
{
    const size_t n = api_route_count;
    struct row *row = calloc(n, sizeof *row);
    if (row == NULL)
        return EXIT_FAILURE;
    for (size_t i = 0; i < n; i++) {
        row[i].route = &api_routes[i];
        api_route_verb(api_routes[i].method, api_routes[i].pattern, row[i].resource, row[i].verb);
    }
    printf("# Roles\n\nWhat a token may do, by its role. A role may also do what the roles left of "
           "it may. "
           "Everything\nelse is refused: 401 without a good token, 403 with too low a role.\n\n"
           "| resource | nobody | viewer | operator | admin |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < n; i++) {
        if (!first_of(row, i))
            continue;
        printf("| %s", row[i].resource);
        for (int role = API_NOBODY; role <= API_ADMIN; role++)
            cell(row, n, row[i].resource, (enum api_role)role);
        printf(" |\n");
    }
    printf("\n## Routes\n\n| route | verb | least role |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < n; i++)
        printf("| `%s %s` | %s | %s |\n", row[i].route->method, row[i].route->pattern, row[i].verb,
               api_role_name(api_access_needs(row[i].route->access)));
    printf("\nA token of the API's own has a role; so has one of the identity provider, by a "
           "claim, and a "
           "client's\ncertificate, by its name: [how](../how-to/let-people-in.md).\n");
    printf("\n`/livez`, `/readyz` and `/metrics` need no token.\n");
    free(row);
    return EXIT_SUCCESS;
}
