#include "cli/cli.h"

#include "engine/partition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 4096 };

enum pr_code cli_assign_write(struct cli_work *w, struct graph_out *out,
                              const struct placement_graph *g, const uint32_t *partition,
                              const uint16_t *zone, struct pr_err *err)
{
    struct graph_assign row[ROWS];
    enum pr_code rc = PR_OK;
    cli_enter(w, CLI_WRITE);
    for (uint32_t first = 0; first < g->n && rc == PR_OK; first += ROWS) {
        const uint32_t n = g->n - first < ROWS ? g->n - first : ROWS;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t v = first + i;
            row[i] = (struct graph_assign){ placement_id(g, v),
                                            partition == NULL ? zone[v] : partition[v],
                                            zone == NULL ? GRAPH_NONE : zone[v] };
        }
        rc = cli_check(w, (double)first / g->n, err);
        if (rc == PR_OK)
            rc = graph_assign_put(out, row, n, err);
    }
    if (rc == PR_OK)
        return graph_out_close(out, err);
    graph_out_abort(out);
    return rc;
}

static void print_value(const json_t *v)
{
    if (json_is_string(v))
        printf("%s", json_string_value(v));
    else if (json_is_integer(v))
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_real(v))
        printf("%.6g", json_real_value(v));
    else
        printf("%s", json_is_true(v) ? "yes" : json_is_false(v) ? "no" : "-");
}

/* A list of objects with the same members: a line each, titles first. */
static void print_rows(const char *name, const json_t *list)
{
    size_t i;
    json_t *item, *v;
    const char *key;
    printf("%s\n ", name);
    json_object_foreach(json_array_get(list, 0), key, v) printf(" %12s", key);
    printf("\n");
    json_array_foreach(list, i, item)
    {
        printf(" ");
        json_object_foreach(item, key, v)
        {
            if (json_is_real(v))
                printf(" %12.6g", json_real_value(v));
            else if (json_is_integer(v))
                printf(" %12" JSON_INTEGER_FORMAT, json_integer_value(v));
            else
                printf(" %12s", json_is_string(v) ? json_string_value(v) : "-");
        }
        printf("\n");
    }
}

static void print_matrix(const char *name, const json_t *matrix)
{
    size_t i, j;
    json_t *row, *v;
    printf("%s\n", name);
    json_array_foreach(matrix, i, row)
    {
        printf(" ");
        json_array_foreach(row, j, v) printf(" %12" JSON_INTEGER_FORMAT, json_integer_value(v));
        printf("\n");
    }
}

static void print_members(const char *prefix, const json_t *o)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)o, key, v)
    {
        char name[96];
        (void)snprintf(name, sizeof name, "%s%s", prefix, key);
        if (json_is_object(v)) {
            char inner[98];
            (void)snprintf(inner, sizeof inner, "%s.", name);
            print_members(inner, v);
        } else if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
            print_rows(name, v);
        } else if (json_is_array(v)) {
            print_matrix(name, v);
        } else {
            printf("%-24s ", name);
            print_value(v);
            printf("\n");
        }
    }
}

enum pr_code cli_print(const struct cli_args *args, json_t *report, struct pr_err *err)
{
    bool ok = report != NULL;
    if (ok && strcmp(args->output, "json") == 0) {
        ok = json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
        printf("\n");
    } else if (ok) {
        print_members("", report);
    }
    json_decref(report);
    return ok ? PR_OK : pr_fail(err, PR_ENOMEM, "out of memory for the report");
}
