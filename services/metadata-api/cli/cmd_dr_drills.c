/* dr drill, dr drills: restores to scratch. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct ctl_column columns[] = {
    { "DRILL", "id" },        { "SHARD", "shard" },      { "STATE", "state" },
    { "OUTCOME", "outcome" }, { "RTO MS", "rtoMs" },     { "RPO MS", "rpoMs" },
    { "KEYS", "keys" },       { "ENDED", "finishedAt" }, { "REASON", "reason" },
};

int ctl_drill_list(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600], query[512] = "";
    if (line->n_args > 0) {
        ctl_path(path, sizeof path, "/v1/dr/drills", line->arg[0], "");
        return ctl_show(ctl, path);
    }
    ctl_query(query, sizeof query, "shard", ctl_opt(line, "shard"));
    ctl_query(query, sizeof query, "state", ctl_opt(line, "state"));
    ctl_query(query, sizeof query, "outcome", ctl_opt(line, "outcome"));
    return ctl_show_list(ctl, line, "/v1/dr/drills", query, columns, COUNT(columns));
}

static bool has_ended(const json_t *drill)
{
    const char *state = json_string_value(json_object_get(drill, "state"));
    return state != NULL && strcmp(state, "done") == 0;
}

/* Replaces each drill in list by how it is now, until all have ended. */
static int follow(struct ctl *ctl, json_t *list)
{
    const struct timespec pause = { 0, 500 * 1000000L };
    for (size_t i = 0; i < json_array_size(list);) {
        struct ctl_reply r;
        char path[64];
        snprintf(path, sizeof path, "/v1/dr/drills/%" JSON_INTEGER_FORMAT,
                 json_integer_value(json_object_get(json_array_get(list, i), "id")));
        const int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
        if (code == CTL_OK)
            json_array_set(list, i, r.body);
        ctl_reply_done(&r);
        if (code != CTL_OK)
            return code;
        if (has_ended(json_array_get(list, i)))
            i++;
        else
            (void)nanosleep(&pause, NULL);
    }
    return CTL_OK;
}

/* What they prove together is what the slowest and the oldest of them proves. */
static void print_proof(const json_t *list)
{
    json_int_t good = 0, rto_ms = 0, rpo_ms = 0;
    size_t i;
    const json_t *drill;
    json_array_foreach(list, i, drill)
    {
        const json_int_t rto = json_integer_value(json_object_get(drill, "rtoMs"));
        const json_int_t rpo = json_integer_value(json_object_get(drill, "rpoMs"));
        const char *outcome = json_string_value(json_object_get(drill, "outcome"));
        if (outcome == NULL || strcmp(outcome, "good") != 0)
            continue;
        good++;
        rto_ms = rto > rto_ms ? rto : rto_ms;
        rpo_ms = rpo > rpo_ms ? rpo : rpo_ms;
    }
    if (good > 0)
        printf("proven of %" JSON_INTEGER_FORMAT " of %zu: a shard is back within %.1f s (RTO), "
               "with all that is older than %.1f s (RPO)\n",
               good, json_array_size(list), (double)rto_ms / 1e3, (double)rpo_ms / 1e3);
}

static int verdict(const json_t *list)
{
    size_t i;
    const json_t *drill;
    json_array_foreach(list, i, drill)
    {
        const char *outcome = json_string_value(json_object_get(drill, "outcome"));
        if (has_ended(drill) && (outcome == NULL || strcmp(outcome, "good") != 0))
            return CTL_FAILED;
    }
    return CTL_OK;
}

int ctl_drill(struct ctl *ctl, const struct ctl_line *line)
{
    const char *shard = ctl_opt(line, "shard");
    struct ctl_reply r;
    if ((shard != NULL) == (ctl_opt(line, "all") != NULL))
        return ctl_complain(CTL_USAGE, "--shard or --all is wanted");
    json_t *body = json_object();
    if (shard != NULL)
        json_object_set_new(body, "shard", json_string(shard));
    int code = ctl_must(ctl, "POST", "/v1/dr/drills", body, NULL, &r);
    json_t *list = json_incref(json_object_get(r.body, "drills"));
    ctl_reply_done(&r);
    if (code == CTL_OK && !ctl->dry && ctl_opt(line, "no-wait") == NULL)
        code = follow(ctl, list);
    if (code == CTL_OK) {
        json_t *shown = json_pack("{s:O}", "items", list);
        ctl_print_list(ctl, shown, columns, COUNT(columns));
        json_decref(shown);
        if (!ctl->json)
            print_proof(list);
        code = verdict(list);
    }
    json_decref(list);
    return code;
}
