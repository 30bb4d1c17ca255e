/* dr status: how far the other region is; dr lag: and how far it was. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct ctl_column columns[] = {
    { "SHARD", "id" },         { "GROUP", "group" },          { "STATE", "state" },
    { "LAG MS", "lagMs" },     { "WORST 24H", "worstLagMs" }, { "LAG BYTES", "lagBytes" },
    { "SPOOL", "spoolBytes" }, { "SOURCE", "source" },        { "GENERATION", "generation" },
    { "ALARMS", "alarmText" }, { "ERROR", "error" },
};

static const struct ctl_column of_lag[] = {
    { "SHARD", "id" },
    { "STATE", "state" },
    { "LAG MS", "lagMs" },
    { "WORST 24H", "worstLagMs" },
    { "WATCHED SINCE", "watchedSince" },
    { "LAG BYTES", "lagBytes" },
    { "GENERATION", "generation" },
    { "DURABLE OFFSET", "durableOffset" },
    { "DURABLE AT", "durableAt" },
};
static const struct ctl_column of_day[] = {
    { "TEN MINUTES FROM", "at" },
    { "SHARD", "shard" },
    { "WORST LAG MS", "worstLagMs" },
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

/* As long as there may be no copy of some shard, no age is one of the whole. */
static void print_age(const json_t *dr)
{
    const json_t *lag = json_object_get(dr, "lagMs"), *worst = json_object_get(dr, "worstLagMs");
    const json_int_t unknown = json_integer_value(json_object_get(dr, "unknownShards"));
    char text[160];
    if (unknown > 0)
        snprintf(text, sizeof text,
                 "unknown: of %" JSON_INTEGER_FORMAT " of %zu shards no heartbeat is durable, "
                 "there may be no copy",
                 unknown, json_array_size(json_object_get(dr, "shards")));
    else if (json_is_integer(lag))
        snprintf(text, sizeof text, "%.1f s, of the shard that is furthest behind",
                 (double)json_integer_value(lag) / 1e3);
    else
        snprintf(text, sizeof text, "unknown: there is no shard");
    ctl_print_line("RPO", text);
    if (!json_is_integer(worst))
        return;
    const char *since = json_string_value(json_object_get(dr, "watchedSince"));
    snprintf(text, sizeof text, "%.1f s, of %s%s%s", (double)json_integer_value(worst) / 1e3,
             unknown > 0 ? "the others" : "any shard", since != NULL ? ", watched since " : ", now",
             since != NULL ? since : "");
    ctl_print_line("worst, 24 h", text);
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
            print_age(r.body);
            print_groups(groups);
            ctl_print_list(ctl, shown, columns, COUNT(columns));
            json_decref(shown);
        }
    }
    ctl_reply_done(&r);
    return code;
}

/* Those of one shard, or all; as a list that the caller releases. */
static json_t *shards_of(const json_t *dr, const char *id)
{
    json_t *list = json_pack("{s:[]}", "items"), *each;
    size_t i;
    json_array_foreach(json_object_get(dr, "shards"), i, each)
    {
        if (id == NULL || strcmp(json_string_value(json_object_get(each, "id")), id) == 0)
            json_array_append(json_object_get(list, "items"), each);
    }
    return list;
}

static int print_day(struct ctl *ctl, const char *shard)
{
    struct ctl_reply r;
    char query[512] = "", path[600];
    ctl_query(query, sizeof query, "shard", shard);
    snprintf(path, sizeof path, "/v1/dr/lag?%s", query);
    const int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK)
        ctl_print_list(ctl, r.body, of_day, COUNT(of_day));
    ctl_reply_done(&r);
    return code;
}

int ctl_dr_lag(struct ctl *ctl, const struct ctl_line *line)
{
    const char *shard = line->n_args > 0 ? line->arg[0] : NULL;
    struct ctl_reply r;
    if (ctl_opt(line, "day") != NULL)
        return print_day(ctl, shard);
    int code = ctl_must(ctl, "GET", "/v1/dr", NULL, NULL, &r);
    if (code == CTL_OK) {
        json_t *list = shards_of(r.body, shard);
        if (shard != NULL && json_array_size(json_object_get(list, "items")) == 0)
            code = ctl_complain(CTL_NOT_FOUND, "there is no shard %s", shard);
        else
            ctl_print_list(ctl, list, of_lag, COUNT(of_lag));
        json_decref(list);
    }
    ctl_reply_done(&r);
    return code;
}
