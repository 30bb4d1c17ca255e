/* dr status: how far the other region is. */
#include "ctl.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct ctl_column columns[] = {
    { "SHARD", "id" },         { "GROUP", "group" },          { "STATE", "state" },
    { "LAG MS", "lagMs" },     { "WORST 24H", "worstLagMs" }, { "LAG BYTES", "lagBytes" },
    { "SPOOL", "spoolBytes" }, { "SOURCE", "source" },        { "GENERATION", "generation" },
    { "ALARMS", "alarmText" }, { "ERROR", "error" },
};

/* An array of words as one: "lag, spool". */
static json_t *joined(const json_t *words)
{
    char text[256] = "";
    size_t i, n = 0;
    const json_t *word;
    json_array_foreach(words, i, word)
    {
        const int more =
            snprintf(text + n, sizeof text - n, "%s%s", i > 0 ? ", " : "", json_string_value(word));
        if (more < 0 || (size_t)more >= sizeof text - n)
            break;
        n += (size_t)more;
    }
    return json_string(text);
}

static void join_alarms(json_t *list)
{
    size_t i;
    json_t *each;
    json_array_foreach(list, i, each)
        json_object_set_new(each, "alarmText", joined(json_object_get(each, "alarms")));
}

static void print_groups(const json_t *groups)
{
    size_t i;
    const json_t *g;
    json_array_foreach(groups, i, g)
    {
        const char *error = json_string_value(json_object_get(g, "error"));
        char name[80], text[512];
        snprintf(name, sizeof name, "group %s", json_string_value(json_object_get(g, "id")));
        snprintf(text, sizeof text, "led by %s%s%s%s%s",
                 json_string_value(json_object_get(g, "holder")),
                 json_array_size(json_object_get(g, "alarms")) > 0 ? "; " : "",
                 json_string_value(json_object_get(g, "alarmText")),
                 error != NULL && error[0] != '\0' ? ": " : "", error != NULL ? error : "");
        ctl_print_line(name, text);
    }
}

int ctl_dr_status(struct ctl *ctl, const struct ctl_line *line)
{
    struct ctl_reply r;
    (void)line;
    const int code = ctl_must(ctl, "GET", "/v1/dr", NULL, NULL, &r);
    if (code == CTL_OK) {
        json_t *groups = json_object_get(r.body, "groups"),
               *shards = json_object_get(r.body, "shards");
        if (ctl->json) {
            ctl_print_json(r.body);
        } else {
            json_t *shown = json_pack("{s:O}", "items", shards);
            join_alarms(groups);
            join_alarms(shards);
            print_groups(groups);
            ctl_print_list(ctl, shown, columns, COUNT(columns));
            json_decref(shown);
        }
    }
    ctl_reply_done(&r);
    return code;
}
