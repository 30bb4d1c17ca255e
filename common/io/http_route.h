/* Request targets: which route a path means, with its parameters, and the
 * query. Pure: values in, values out.
 *
 * A pattern's segment is a literal ("nodes", "vertices:batchGet"), "{name}" or
 * "{name}:verb". The most specific pattern that fits the path wins, segment by
 * segment from the left: literal, then the longest verb, then the bare
 * parameter; only then the method is looked at. So a verb belongs to its
 * resource whatever the method, and an id that ends in ":verb" is sent with
 * its colon as %3A. Percent-encoding is decoded per segment: %2F is data, never
 * a separator. Source: RFC 3986 sections 2.1 and 3.3; RFC 9110 section 15.5.6. */
#ifndef PRISM_HTTP_ROUTE_H
#define PRISM_HTTP_ROUTE_H

#include "prism/arena.h"
#include "prism/io/http.h"

enum pr_target_kind { PR_TARGET_FOUND, PR_TARGET_UNKNOWN, PR_TARGET_METHOD, PR_TARGET_BAD };

struct pr_target {
    enum pr_target_kind kind;
    const struct pr_http_route *route; /* FOUND */
    const char *param[4];              /* FOUND; from the arena */
    const char *why;                   /* BAD: static */
    char allow[64];                    /* METHOD: for the Allow header */
};

/* Several route tables, looked at as one. */
struct pr_route_table {
    const struct pr_http_route *routes;
    size_t n;
};

/* target: as sent ("/v1/nodes?zone=a", "http://host/v1/nodes"). HEAD fits GET
 * routes. BAD: a wrong encoding or NUL in path or query; PR_ENOMEM: arena. */
PR_CHECKED enum pr_code pr_target_route(const struct pr_route_table *tables, size_t n_tables,
                                        const char *method, const char *target,
                                        struct pr_arena *arena, struct pr_target *out);

/* Path of a target as sent (from the arena, not decoded), without query. */
const char *pr_target_path(const char *target, struct pr_arena *arena);

/* Value of a query argument, decoded ("+" is a blank), from the arena; the
 * first of several; "" without "="; NULL when absent or badly encoded. */
const char *pr_target_query(const char *target, const char *name, struct pr_arena *arena);

/* Name of the i-th argument, decoded, from the arena; NULL when there are fewer. */
const char *pr_target_query_name(const char *target, size_t i, struct pr_arena *arena);

/* PR_EINVAL with the reason when a route's pattern or method is malformed or
 * two routes mean the same. */
PR_CHECKED enum pr_code pr_routes_valid(const struct pr_route_table *tables, size_t n_tables,
                                        struct pr_err *err);

#endif
