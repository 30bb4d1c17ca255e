/* placement report, placement hints, placement suggest. */
#include "ctl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int ctl_placement_report(struct ctl *ctl, const struct ctl_line *line)
{
    struct ctl_reply r;
    (void)line;
    const int code = ctl_must(ctl, "GET", "/v1/placement/report", NULL, NULL, &r);
    if (code == CTL_OK)
        ctl_print(ctl, ctl->json ? r.body : json_object_get(r.body, "report"));
    ctl_reply_done(&r);
    return code;
}

/* The run of the list's first hint, so that all pages are of it when another run ends meanwhile; 0:
 * there is no hint. */
static int run_of_first(struct ctl *ctl, const char *query, json_int_t *run)
{
    json_t *items = NULL;
    const int code = ctl_list(ctl, "/v1/placement/hints", query, 1, &items);
    *run = json_integer_value(
        json_object_get(json_array_get(json_object_get(items, "items"), 0), "runId"));
    json_decref(items);
    return code;
}

int ctl_hint_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "PARTITION", "partition" }, { "ZONE", "zone" }, { "NOW IN", "zoneNow" },
        { "VERTICES", "vertices" },   { "RUN", "runId" },
    };
    char query[256] = "", text[24];
    json_int_t run = 0;
    ctl_query(query, sizeof query, "run", ctl_opt(line, "run"));
    ctl_query(query, sizeof query, "zone", ctl_opt(line, "zone"));
    if (ctl_opt(line, "run") == NULL) {
        const int code = run_of_first(ctl, query, &run);
        if (code != CTL_OK)
            return code;
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, run);
        ctl_query(query, sizeof query, "run", run == 0 ? NULL : text);
    }
    return ctl_show_list(ctl, line, "/v1/placement/hints", query, columns, COUNT(columns));
}

/* The first word is the new vertex, the others are its neighbors. */
int ctl_hint_suggest(struct ctl *ctl, const struct ctl_line *line)
{
    json_t *neighbors = json_array();
    for (size_t i = 1; i < line->n_args; i++)
        json_array_append_new(neighbors, json_string(line->arg[i]));
    json_t *body = json_pack("{s:s,s:o}", "id", line->arg[0], "neighbors", neighbors);
    if (body == NULL)
        return ctl_complain(CTL_USAGE, "an id is not UTF-8");
    return ctl_submit(ctl, "POST", "/v1/placement/hints:suggest", body, NULL);
}
