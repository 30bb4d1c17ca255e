#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000 };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int ctl_vertex_get(struct ctl *ctl, const struct ctl_line *line)
{
    char id[512], path[600];
    struct ctl_reply r;
    ctl_escape(id, sizeof id, line->arg[0]);
    snprintf(path, sizeof path, "/v1/vertices/%s%s", id,
             ctl_opt(line, "strong") == NULL ? "" : "?consistency=strong");
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK)
        ctl_print(ctl, r.body);
    ctl_reply_done(&r);
    return code;
}

int ctl_explain(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = { { "ZONE", "zone" },
                                                 { "EDGE WEIGHT", "edgeWeight" },
                                                 { "VERTICES", "vertices" },
                                                 { "CAPACITY", "capacity" } };
    char id[512], path[640] = "", query[96] = "";
    struct ctl_reply r;
    ctl_escape(id, sizeof id, line->arg[0]);
    ctl_query(query, sizeof query, "run", ctl_opt(line, "run"));
    snprintf(path, sizeof path, "/v1/placement/explain/%s%s%s", id, query[0] == '\0' ? "" : "?",
             query);
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK && !ctl->json) { /* the zones as a table below the rest */
        json_t *zones = json_incref(json_object_get(r.body, "zones"));
        json_object_del(r.body, "zones");
        ctl_print(ctl, r.body);
        json_t *list = json_pack("{s:o}", "items", zones);
        ctl_print_list(ctl, list, columns, COUNT(columns));
        json_decref(list);
    } else if (code == CTL_OK) {
        ctl_print(ctl, r.body);
    }
    ctl_reply_done(&r);
    return code;
}

/* Adds the ids of a file to ids; they are checked by the API. */
static int read_ids(const char *path, json_t *ids)
{
    char *text = NULL;
    size_t cap = 0;
    ssize_t n;
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (f == NULL)
        return ctl_complain(CTL_USAGE, "%s: %s", path, strerror(errno));
    while ((n = getline(&text, &cap, f)) > 0) {
        text[strcspn(text, "\r\n")] = '\0';
        if (text[0] != '\0' && json_array_append_new(ids, json_string(text)) != 0) {
            n = ctl_complain(CTL_USAGE, "%s: a line is not UTF-8", path);
            break;
        }
    }
    free(text);
    if (f != stdin)
        fclose(f);
    return n > 0 ? CTL_USAGE : CTL_OK;
}

static int get_batch(struct ctl *ctl, const json_t *ids, size_t from, bool strong, json_t *items)
{
    struct ctl_reply r;
    json_t *some = json_array();
    for (size_t i = from; i < from + BATCH && i < json_array_size(ids); i++)
        json_array_append(some, json_array_get(ids, i));
    int code = ctl_must(
        ctl, "POST", strong ? "/v1/vertices:batchGet?consistency=strong" : "/v1/vertices:batchGet",
        json_pack("{s:o}", "ids", some), NULL, &r);
    if (code == CTL_OK)
        json_array_extend(items, json_object_get(r.body, "items"));
    ctl_reply_done(&r);
    return code;
}

int ctl_vertex_batch(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "ID", "id" },
        { "PARTITION", "partition" },
        { "ZONE", "zone" },
        { "NODE", "node" },
        { "ROUTE", "route" },
        { "TARGET", "target.partition" },
        { "TO ZONE", "target.zone" },
    };
    const char *file = ctl_opt(line, "file");
    json_t *ids = json_array(), *items = json_array();
    int code = CTL_OK;
    for (size_t i = 0; i < line->n_args; i++)
        json_array_append_new(ids, json_string(line->arg[i]));
    if (file != NULL)
        code = read_ids(file, ids);
    if (code == CTL_OK && json_array_size(ids) == 0)
        code = ctl_complain(CTL_USAGE, "vertex batch needs ids, or --file");
    for (size_t from = 0; code == CTL_OK && from < json_array_size(ids); from += BATCH)
        code = get_batch(ctl, ids, from, ctl_opt(line, "strong") != NULL, items);
    json_t *list = json_pack("{s:o}", "items", items);
    if (code == CTL_OK)
        ctl_print_list(ctl, list, columns, COUNT(columns));
    json_decref(list);
    json_decref(ids);
    return code;
}
