/* Long work: placement runs and operations. */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The service reads files, so it needs their paths from the root. */
static int file_option(const struct ctl_line *line, const char *option, json_t *into,
                       const char *member)
{
    const char *given = ctl_opt(line, option);
    if (given == NULL)
        return CTL_OK;
    char *file = realpath(given, NULL);
    if (file == NULL)
        return ctl_complain(CTL_USAGE, "%s: %s", given, strerror(errno));
    json_t *path = json_string(file);
    free(file);
    if (path == NULL)
        return ctl_complain(CTL_USAGE, "%s: the name is not UTF-8", given);
    json_object_set_new(into, member, path);
    return CTL_OK;
}

/* --capacity a=1,b=0.5 */
static int capacity_option(const struct ctl_line *line, json_t *params)
{
    const char *at = ctl_opt(line, "capacity");
    if (at == NULL)
        return CTL_OK;
    json_t *capacity = json_object();
    json_object_set_new(params, "capacity", capacity);
    for (;;) {
        char zone[64], *end = NULL;
        const size_t n = strcspn(at, "=,");
        const double ratio = at[n] == '=' ? strtod(at + n + 1, &end) : 0;
        if (n == 0 || n >= sizeof zone || end == NULL || end == at + n + 1 ||
            (*end != ',' && *end != '\0'))
            return ctl_complain(CTL_USAGE, "--capacity takes ZONE=RATIO,..., not %s", at);
        snprintf(zone, sizeof zone, "%.*s", (int)n, at);
        json_object_set_new(capacity, zone, json_real(ratio));
        if (*end == '\0')
            return CTL_OK;
        at = end + 1;
    }
}

static int run_params(const struct ctl_line *line, json_t *params)
{
    static const struct {
        const char *option, *member;
        bool real;
    } number[] = { { "seed", "seed", false },
                   { "seeds", "seeds", false },
                   { "imbalance", "imbalance", true },
                   { "move-price", "movePrice", true },
                   { "move-cap", "moveCap", false } };
    ctl_text_option(line, "kind", params, "kind");
    ctl_text_option(line, "mode", params, "mode");
    ctl_text_option(line, "parts", params, "parts");
    int code = capacity_option(line, params);
    for (size_t i = 0; i < COUNT(number) && code == CTL_OK; i++)
        code = ctl_number_option(line, number[i].option, params, number[i].member, number[i].real);
    return code == CTL_OK ? file_option(line, "fixed", params, "fixedFile") : code;
}

int ctl_placement_run(struct ctl *ctl, const struct ctl_line *line)
{
    if (ctl_opt(line, "graph") == NULL)
        return ctl_complain(CTL_USAGE, "placement run needs --graph FILE");
    json_t *source = json_object(), *params = json_object();
    json_t *body = json_pack("{s:o,s:o}", "source", source, "params", params);
    int code = file_option(line, "graph", source, "file");
    ctl_text_option(line, "format", source, "format");
    if (code == CTL_OK)
        code = run_params(line, params);
    if (code != CTL_OK) {
        json_decref(body);
        return code;
    }
    return ctl_start(ctl, line, "/v1/placement/runs", body, NULL, "/v1/placement/runs",
                     "operationId");
}

int ctl_placement_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "RUN", "id" },           { "STATE", "state" },
        { "FILE", "source.file" }, { "CREATED", "createdAt" },
        { "BY", "createdBy" },     { "ERROR", "error" },
    };
    char query[256] = "";
    ctl_query(query, sizeof query, "state", ctl_opt(line, "state"));
    return ctl_show_list(ctl, line, "/v1/placement/runs", query, columns, COUNT(columns));
}

/* In a table the report is cut to what one reads first, unless it is wanted. */
int ctl_placement_show(struct ctl *ctl, const struct ctl_line *line)
{
    static const char *const headline[] = { "before.crossShare",
                                            "after.crossShare",
                                            "before.usdPerMonth",
                                            "after.usdPerMonth",
                                            "moves",
                                            "mode",
                                            "why",
                                            "verdict" };
    char path[512];
    struct ctl_reply r;
    ctl_path(path, sizeof path, "/v1/placement/runs", line->arg[0], "");
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    json_t *report = json_object_get(r.body, "report");
    if (code == CTL_OK && ctl_opt(line, "report") != NULL) {
        if (json_is_object(report))
            ctl_print(ctl, report);
        else
            code = ctl_complain(CTL_CONFLICT, "run %s has no report: it is %s", line->arg[0],
                                json_string_value(json_object_get(r.body, "state")));
    } else if (code == CTL_OK) {
        if (!ctl->json && json_is_object(report)) {
            json_t *brief = json_object();
            for (size_t i = 0; i < COUNT(headline); i++) {
                const char *dot = strchr(headline[i], '.');
                char group[32];
                snprintf(group, sizeof group, "%.*s", dot == NULL ? 0 : (int)(dot - headline[i]),
                         headline[i]);
                json_t *from = dot == NULL ? report : json_object_get(report, group);
                json_t *v = json_object_get(from, dot == NULL ? headline[i] : dot + 1);
                if (v != NULL)
                    json_object_set(brief, headline[i], v);
            }
            json_object_set_new(r.body, "report", brief);
        }
        ctl_print(ctl, r.body);
    }
    ctl_reply_done(&r);
    return code;
}

int ctl_operation_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "OPERATION", "id" }, { "KIND", "kind" },   { "RESOURCE", "resource" },
        { "STATE", "state" },  { "PHASE", "phase" }, { "PROGRESS", "progressRatio" },
    };
    char query[256] = "";
    ctl_query(query, sizeof query, "state", ctl_opt(line, "state"));
    ctl_query(query, sizeof query, "kind", ctl_opt(line, "kind"));
    return ctl_show_list(ctl, line, "/v1/operations", query, columns, COUNT(columns));
}

int ctl_operation_show(struct ctl *ctl, const struct ctl_line *line)
{
    char path[512];
    ctl_path(path, sizeof path, "/v1/operations", line->arg[0], "");
    return ctl_show(ctl, path);
}

int ctl_operation_wait(struct ctl *ctl, const struct ctl_line *line)
{
    int code = ctl_wait(ctl, line->arg[0]);
    if (code != CTL_OK && code != CTL_FAILED)
        return code;
    int shown = ctl_operation_show(ctl, line);
    return code == CTL_OK ? shown : code;
}

int ctl_operation_cancel(struct ctl *ctl, const struct ctl_line *line)
{
    char path[512];
    int code;
    if (!ctl_consent(ctl, line, &code, "Stop operation %s", line->arg[0]))
        return code;
    ctl_path(path, sizeof path, "/v1/operations", line->arg[0], ":cancel");
    return ctl_submit(ctl, "POST", path, NULL, NULL);
}
