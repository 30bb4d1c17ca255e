/* What was decided about fleets, why, and whether it would be decided again. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
enum { WHY = 100 };

static const char decisions[] = "/v1/autoscale/decisions";

/* A table has room for the beginning of a reason; explain has all of it. What nobody carries
 * out is not "done" for people. */
static void shorten(json_t *list)
{
    size_t i;
    json_t *d;
    json_array_foreach(json_object_get(list, "items"), i, d)
    {
        char cut[WHY + 4];
        const char *why = json_string_value(json_object_get(d, "why"));
        if (json_is_true(json_object_get(d, "advice")))
            json_object_set_new(d, "state", json_string("advice"));
        if (why == NULL || strlen(why) <= WHY)
            continue;
        size_t n = WHY;
        while (n > 0 && ((unsigned char)why[n] & 0xc0) == 0x80) /* not within a character */
            n--;
        snprintf(cut, sizeof cut, "%.*s...", (int)n, why);
        json_object_set_new(d, "why", json_string(cut));
    }
}

static int make_query(const struct ctl_line *line, char *query, size_t cap)
{
    const char *move = ctl_opt(line, "move");
    if (move == NULL && ctl_opt(line, "all") == NULL)
        move = "out,in,unknown";
    ctl_query(query, cap, "fleet", ctl_opt(line, "fleet"));
    ctl_query(query, cap, "move", move);
    ctl_query(query, cap, "state", ctl_opt(line, "state"));
    ctl_query(query, cap, "alarm", ctl_opt(line, "alarm") == NULL ? NULL : "true");
    const int code = ctl_time_option(line, "since", "since", query, cap);
    return code == CTL_OK ? ctl_time_option(line, "until", "until", query, cap) : code;
}

int ctl_decision_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "DECISION", "id" }, { "AT", "at" },   { "FLEET", "fleet" }, { "MOVE", "move" },
        { "FROM", "from" },   { "TO", "to" },   { "STATE", "state" }, { "PLAN", "planId" },
        { "ALARM", "alarm" }, { "WHY", "why" },
    };
    char query[1024] = "";
    const char *limit = ctl_opt(line, "limit");
    json_t *list, *most = json_object();
    int code = ctl_number_option(line, "limit", most, "limit", false);
    const json_int_t want = limit == NULL ? 20 : json_integer_value(json_object_get(most, "limit"));
    json_decref(most);
    if (code == CTL_OK)
        code = make_query(line, query, sizeof query);
    if (code == CTL_OK)
        code = ctl_list(ctl, decisions, query, want < 0 ? 20 : (size_t)want, &list);
    if (code != CTL_OK)
        return code;
    if (!ctl->json)
        shorten(list);
    ctl_print_list(ctl, list, columns, COUNT(columns));
    json_decref(list);
    return CTL_OK;
}

int ctl_decision_show(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600];
    ctl_path(path, sizeof path, decisions, line->arg[0], "");
    return ctl_show(ctl, path);
}

int ctl_decision_explain(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600];
    struct ctl_reply r;
    ctl_path(path, sizeof path, decisions, line->arg[0], "/explain");
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    const char *text = json_string_value(json_object_get(r.body, "text"));
    if (code == CTL_OK && (ctl->json || text == NULL))
        ctl_print(ctl, r.body);
    else if (code == CTL_OK)
        fputs(text, stdout);
    ctl_reply_done(&r);
    return code;
}

int ctl_decision_input(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600];
    struct ctl_reply r;
    ctl_path(path, sizeof path, decisions, line->arg[0], "/input");
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK)
        ctl_print_json(r.body);
    ctl_reply_done(&r);
    return code;
}

int ctl_decision_replay(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600];
    struct ctl_reply r;
    size_t i;
    json_t *one;
    ctl_path(path, sizeof path, decisions, line->arg[0], "/replay");
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    const bool equal = json_is_true(json_object_get(r.body, "equal"));
    if (code == CTL_OK && ctl->json)
        ctl_print(ctl, r.body);
    else if (code == CTL_OK && equal)
        printf("decision %s: equal, bit for bit\n", line->arg[0]);
    else if (code == CTL_OK)
        json_array_foreach(json_object_get(r.body, "difference"), i, one)
            printf("%s\n", json_string_value(one));
    ctl_reply_done(&r);
    return code == CTL_OK && !equal ? CTL_FAILED : code;
}
