/* coordination; dr generations, dr restores. */
#include "ctl.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int ctl_generation_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "SHARD", "shard" },          { "GENERATION", "generation" }, { "CURRENT", "current" },
        { "STATE", "state" },          { "OFFSET", "durableOffset" },  { "LAG BYTES", "lagBytes" },
        { "READ", "verifiedAt" },      { "DRILL", "drill.outcome" },   { "REASON", "reason" },
        { "WANTED", "newBaseWanted" },
    };
    char path[1200], shard[600], query[512] = "";
    if (line->n_args == 1)
        return ctl_complain(CTL_USAGE, "dr generations takes a shard and a generation of it");
    if (line->n_args == 2) {
        ctl_path(shard, sizeof shard, "/v1/dr/generations", line->arg[0], "");
        ctl_path(path, sizeof path, shard, line->arg[1], "");
        return ctl_show(ctl, path);
    }
    ctl_query(query, sizeof query, "shard", ctl_opt(line, "shard"));
    ctl_query(query, sizeof query, "state", ctl_opt(line, "state"));
    return ctl_show_list(ctl, line, "/v1/dr/generations", query, columns, COUNT(columns));
}

int ctl_restore_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "KIND", "kind" },        { "ID", "id" },           { "SHARD", "shard" },
        { "SITE", "site" },        { "OUTCOME", "outcome" }, { "RTO MS", "rtoMs" },
        { "RPO MS", "rpoMs" },     { "BYTES", "bytes" },     { "KEYS", "keys" },
        { "ENDED", "finishedAt" }, { "BY", "by" },           { "REASON", "reason" },
    };
    char query[512] = "";
    ctl_query(query, sizeof query, "kind", ctl_opt(line, "kind"));
    ctl_query(query, sizeof query, "shard", ctl_opt(line, "shard"));
    ctl_query(query, sizeof query, "outcome", ctl_opt(line, "outcome"));
    return ctl_show_list(ctl, line, "/v1/dr/restores", query, columns, COUNT(columns));
}

static void print_part(const struct ctl *ctl, const json_t *all, const char *member,
                       const struct ctl_column *columns, size_t n)
{
    json_t *shown = json_pack("{s:O}", "items", json_object_get(all, member));
    if (shown != NULL && json_array_size(json_object_get(shown, "items")) > 0) {
        ctl_print_list(ctl, shown, columns, n);
        printf("\n");
    }
    json_decref(shown);
}

static void print_all(const struct ctl *ctl, const json_t *all)
{
    static const struct ctl_column members[] = {
        { "LEASE", "lease" }, { "HOLDER", "holder" },     { "EPOCH", "epoch" },
        { "HELD", "held" },   { "EXPIRES", "expiresAt" },
    };
    static const struct ctl_column streams[] = {
        { "STREAM", "name" },         { "MESSAGES", "messages" }, { "BYTES", "bytes" },
        { "FIRST", "firstSequence" }, { "LAST", "lastSequence" }, { "AT", "lastAt" },
    };
    static const struct ctl_column consumers[] = {
        { "CONSUMER", "name" },
        { "STREAM", "stream" },
        { "BOUND", "bound" },
        { "DELIVERED", "deliveredSequence" },
        { "DONE", "acknowledgedSequence" },
        { "WAITING", "waiting" },
        { "IN HAND", "unacknowledged" },
        { "AGAIN", "redelivered" },
    };
    static const struct ctl_column outbox[] = {
        { "OUTBOX OF", "service" },
        { "WAITING", "waiting" },
        { "OLDEST", "oldestAt" },
    };
    static const struct ctl_column marks[] = {
        { "SHARD", "shard" },         { "GROUP", "group" },           { "HOLDER", "holder" },
        { "CONTAINER", "container" }, { "DURABLE", "durableOffset" }, { "SEEN", "seenOffset" },
        { "AT", "durableAt" },
    };
    const char *error = json_string_value(json_object_get(all, "error"));
    print_part(ctl, all, "members", members, COUNT(members));
    print_part(ctl, all, "streams", streams, COUNT(streams));
    print_part(ctl, all, "consumers", consumers, COUNT(consumers));
    print_part(ctl, all, "outbox", outbox, COUNT(outbox));
    print_part(ctl, all, "marks", marks, COUNT(marks));
    if (error != NULL)
        printf("NATS did not tell all: %s\n", error);
}

int ctl_coordination(struct ctl *ctl, const struct ctl_line *line)
{
    struct ctl_reply r;
    (void)line;
    const int code = ctl_must(ctl, "GET", "/v1/coordination", NULL, NULL, &r);
    if (code == CTL_OK && ctl->json)
        ctl_print_json(r.body);
    else if (code == CTL_OK)
        print_all(ctl, r.body);
    ctl_reply_done(&r);
    return code;
}
