/* Fleets that are scaled: settings, versions, samples, what-if. */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char fleets[] = "/v1/autoscale/fleets";

static const json_t *at(const json_t *o, const char *name)
{
    return json_object_get(o, name);
}

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(at(o, name));
    return s == NULL ? "" : s;
}

int ctl_fleet_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "FLEET", "name" },
        { "ENABLED", "enabled" },
        { "MODE", "mode" },
        { "POLICY", "policy" },
        { "WANTED", "desired" },
        { "SERVE", "sample.serving" },
        { "CPU%", "sample.cpuPct" },
        { "EVALUATED", "evaluatedAt" },
        { "DECISION", "decision.id" },
        { "MOVE", "decision.move" },
        { "STATE", "decision.state" },
        { "ALARM", "decision.alarmWhy" },
    };
    json_t *list;
    (void)line;
    int code = ctl_list(ctl, fleets, "", 0, &list);
    if (code != CTL_OK)
        return code;
    ctl_print_list(ctl, list, columns, COUNT(columns));
    json_decref(list);
    return CTL_OK;
}

/* --- one fleet -------------------------------------------------------------------- */

static void print_state(const json_t *fleet)
{
    char value[640];
    const json_t *sample = at(fleet, "sample"), *decision = at(fleet, "decision");
    if (json_is_integer(at(fleet, "desired"))) {
        snprintf(value, sizeof value, "%" JSON_INTEGER_FORMAT " (evaluated %s)",
                 json_integer_value(at(fleet, "desired")), text(fleet, "evaluatedAt"));
        ctl_print_line("wanted", value);
    }
    if (json_is_object(sample)) {
        const json_t *cpu = at(sample, "cpuPct"), *serving = at(sample, "serving");
        size_t n = (size_t)snprintf(value, sizeof value, "%s:", text(sample, "at"));
        if (json_is_integer(serving))
            n += (size_t)snprintf(value + n, sizeof value - n, " %" JSON_INTEGER_FORMAT " serve",
                                  json_integer_value(serving));
        if (json_is_number(cpu))
            snprintf(value + n, sizeof value - n, " CPU %.1f %%", json_number_value(cpu));
        ctl_print_line("measured", value);
    }
    if (json_is_object(decision)) {
        snprintf(value, sizeof value, "%" JSON_INTEGER_FORMAT " (%s, %s): %s",
                 json_integer_value(at(decision, "id")), text(decision, "move"),
                 text(decision, "state"), text(decision, "why"));
        ctl_print_line("decision", value);
        ctl_print_line("ALARM", text(decision, "alarmWhy"));
    }
}

static void print_fleet(const struct ctl *ctl, const json_t *fleet)
{
    char value[320];
    if (ctl->json) {
        ctl_print(ctl, fleet);
        return;
    }
    ctl_print_line("fleet", text(fleet, "name"));
    snprintf(value, sizeof value, "%" JSON_INTEGER_FORMAT ", by %s at %s",
             json_integer_value(at(fleet, "version")), text(fleet, "changedBy"),
             text(fleet, "changedAt"));
    ctl_print_line("version", value);
    ctl_print_line("enabled", json_is_true(at(fleet, "enabled")) ? "yes" : "no");
    ctl_print_line("mode", text(fleet, "mode"));
    ctl_print_line("policy", text(fleet, "policy"));
    print_state(fleet);
}

int ctl_fleet_get(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600], of[200] = "";
    struct ctl_reply r;
    if (ctl_opt(line, "version") != NULL)
        ctl_path(of, sizeof of, "/versions", ctl_opt(line, "version"), "");
    ctl_path(path, sizeof path, fleets, line->arg[0], of);
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK && ctl_opt(line, "settings") != NULL) {
        ctl_print_json(at(r.body, "settings"));
    } else if (code == CTL_OK) {
        print_fleet(ctl, r.body);
        if (!ctl->json) {
            puts("settings");
            ctl_print_json(at(r.body, "settings"));
        }
    }
    ctl_reply_done(&r);
    return code;
}

int ctl_fleet_history(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "VERSION", "version" }, { "ENABLED", "enabled" }, { "MODE", "mode" },
        { "POLICY", "policy" },   { "BY", "changedBy" },    { "AT", "changedAt" },
    };
    char path[600];
    ctl_path(path, sizeof path, fleets, line->arg[0], "/versions");
    return ctl_show_list(ctl, line, path, "", columns, COUNT(columns));
}

/* --- changing it ------------------------------------------------------------------- */

static int read_settings(const char *path, json_t **out)
{
    json_error_t error;
    const bool input = strcmp(path, "-") == 0;
    FILE *f = input ? stdin : fopen(path, "re");
    if (f == NULL)
        return ctl_complain(CTL_USAGE, "%s: %s", path, strerror(errno));
    *out = json_loadf(f, JSON_REJECT_DUPLICATES, &error);
    if (!input)
        fclose(f);
    if (*out == NULL)
        return ctl_complain(CTL_USAGE, "%s: line %d, column %d: %s", path, error.line, error.column,
                            error.text);
    if (json_is_object(*out))
        return CTL_OK;
    json_decref(*out);
    return ctl_complain(CTL_USAGE, "%s: settings are a JSON object", path);
}

/* The ETag of the settings that are to be replaced. */
static int seen_version(struct ctl *ctl, const char *path, const char *fleet, char etag[64])
{
    struct ctl_reply now;
    int code = ctl_call(ctl, "GET", path, NULL, NULL, &now);
    snprintf(etag, 64, "%s", now.etag);
    if (code == CTL_NOT_FOUND)
        ctl_complain(code, "fleet %s does not exist: --new makes it", fleet);
    else if (code != CTL_OK)
        ctl_complain(code, "%s", now.error);
    ctl_reply_done(&now);
    return code;
}

int ctl_fleet_set(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600], etag[64];
    json_t *settings = NULL;
    struct ctl_reply r;
    const bool anew = ctl_opt(line, "new") != NULL;
    int code = read_settings(line->arg[1], &settings);
    ctl_path(path, sizeof path, fleets, line->arg[0], "");
    if (code == CTL_OK && !anew)
        code = seen_version(ctl, path, line->arg[0], etag);
    if (code != CTL_OK ||
        !ctl_consent(ctl, line, &code, "Store these settings of fleet %s", line->arg[0])) {
        json_decref(settings);
        return code;
    }
    json_t *body = json_pack("{s:o}", "settings", settings);
    if (ctl_opt(line, "disabled") != NULL)
        json_object_set_new(body, "enabled", json_false());
    code = ctl_must(ctl, "PUT", path, body, anew ? ctl_if_new : etag, &r);
    if (code == CTL_OK)
        print_fleet(ctl, r.body);
    if (code == CTL_OK && ctl->dry && !ctl->json)
        puts("dry run: nothing was stored");
    ctl_reply_done(&r);
    return code;
}

static int turn(struct ctl *ctl, const struct ctl_line *line, const char *verb,
                const char *if_match)
{
    char path[600];
    struct ctl_reply r;
    ctl_path(path, sizeof path, fleets, line->arg[0], verb);
    int code = ctl_must(ctl, "POST", path, NULL, if_match, &r);
    if (code == CTL_OK)
        print_fleet(ctl, r.body);
    ctl_reply_done(&r);
    return code;
}

int ctl_fleet_enable(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600];
    struct ctl_reply now;
    ctl_path(path, sizeof path, fleets, line->arg[0], "");
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &now);
    const char *mode = json_string_value(json_object_get(now.body, "mode"));
    if (code == CTL_OK && ctl_consent(ctl, line, &code, "Let fleet %s be scaled (mode %s)",
                                      line->arg[0], mode == NULL ? "unknown" : mode))
        code = turn(ctl, line, ":enable", now.etag);
    ctl_reply_done(&now);
    return code;
}

int ctl_fleet_disable(struct ctl *ctl, const struct ctl_line *line)
{
    return turn(ctl, line, ":disable", NULL);
}

/* --- what was measured, and what if -------------------------------------------------- */

int ctl_fleet_samples(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "TO", "at" },          { "MINUTES", "minutes" },      { "SERVE", "serving" },
        { "SILENT", "silent" },  { "CPU%", "cpuPct" },          { "MOST", "cpuPctMost" },
        { "MEM%", "memoryPct" }, { "NET bit/s", "networkBps" }, { "BACKLOG", "backlog" },
        { "LOAD", "load" },
    };
    char path[2000], query[600] = "?";
    struct ctl_reply r;
    ctl_query(query, sizeof query, "points", ctl_opt(line, "points"));
    int code = ctl_time_option(line, "since", "from", query, sizeof query);
    if (code == CTL_OK)
        code = ctl_time_option(line, "until", "to", query, sizeof query);
    if (code != CTL_OK)
        return code;
    ctl_path(path, sizeof path, fleets, line->arg[0], "/samples");
    strncat(path, query, sizeof path - strlen(path) - 1);
    code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK)
        ctl_print_list(ctl, r.body, columns, COUNT(columns));
    ctl_reply_done(&r);
    return code;
}

/* {"policies": {"rules": {...}}}, or a list of objects that say their policy. */
static json_t *by_policy(const json_t *result)
{
    json_t *items = json_array(), *one;
    const json_t *policies = at(result, "policies");
    const char *name;
    size_t i;
    json_object_foreach((json_t *)policies, name, one)
    {
        json_t *row = json_copy(one);
        json_object_set_new(row, "policy", json_string(name));
        json_array_append_new(items, row);
    }
    json_array_foreach(policies, i, one) json_array_append(items, one);
    return json_pack("{s:o}", "items", items);
}

static double number(const json_t *o, const char *name)
{
    return json_number_value(at(o, name));
}

/* "14.0 days (12 minutes missing); new members serve after 10 min; 48 to 480 members" */
static void print_model(const json_t *result)
{
    const json_t *trace = at(result, "trace"), *model = at(result, "model");
    if (!json_is_object(trace) || !json_is_object(model))
        return;
    printf("%.1f days", number(trace, "days"));
    if (number(trace, "missing_minutes") > 0)
        printf(", %.0f minutes missing", number(trace, "missing_minutes"));
    if (number(trace, "saturated_minutes") > 0)
        printf(", %.0f at 100 %% CPU, whose load is not known", number(trace, "saturated_minutes"));
    printf("; new members serve after %.0f min; %.0f to %.0f members\n",
           number(model, "boot_minutes"), number(model, "min"), number(model, "max"));
}

static void add_oracle(const json_t *result, json_t *list)
{
    const json_t *oracle = at(result, "oracle");
    if (!json_is_object(oracle))
        return;
    json_t *row = json_copy((json_t *)oracle);
    json_object_set_new(row, "policy", json_string("(oracle)"));
    json_object_set_new(row, "hours_ratio", json_integer(1));
    json_array_append_new(json_object_get(list, "items"), row);
}

static void print_simulation(const struct ctl *ctl, const json_t *result)
{
    static const struct ctl_column columns[] = {
        { "POLICY", "policy" },
        { "SHORT MIN/DAY", "short_minutes_per_day" },
        { "OVER MIN/DAY", "over_minutes_per_day" },
        { "LOST LOAD", "lost_load_ratio" },
        { "INSTANCE HOURS", "instance_hours" },
        { "X ORACLE", "hours_ratio" },
        { "ACTIONS/DAY", "actions_per_day" },
        { "FLAPS/DAY", "flaps_per_day" },
        { "COST USD", "cost" },
    };
    if (ctl->json) {
        ctl_print_json(result);
        return;
    }
    json_t *list = by_policy(result);
    add_oracle(result, list);
    print_model(result);
    ctl_print_list(ctl, list, columns, COUNT(columns));
    json_decref(list);
}

static int time_member(const struct ctl_line *line, const char *option, const char *member,
                       json_t *body)
{
    char given[40];
    if (ctl_opt(line, option) == NULL)
        return CTL_OK;
    const int code = ctl_time_text(option, ctl_opt(line, option), given);
    if (code == CTL_OK)
        json_object_set_new(body, member, json_string(given));
    return code;
}

int ctl_fleet_simulate(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600];
    struct ctl_reply r;
    json_t *settings = NULL, *body = json_object();
    int code = time_member(line, "since", "from", body);
    if (code == CTL_OK)
        code = time_member(line, "until", "to", body);
    if (code == CTL_OK && ctl_opt(line, "settings") != NULL)
        code = read_settings(ctl_opt(line, "settings"), &settings);
    if (code != CTL_OK) {
        json_decref(body);
        return code;
    }
    if (settings != NULL)
        json_object_set_new(body, "settings", settings);
    ctl_path(path, sizeof path, fleets, line->arg[0], ":simulate");
    code = ctl_must(ctl, "POST", path, body, NULL, &r);
    if (code == CTL_OK)
        print_simulation(ctl, r.body);
    ctl_reply_done(&r);
    return code;
}
