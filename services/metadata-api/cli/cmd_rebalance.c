/* Standing orders of rebalance: stop-all, policy, pins. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int ctl_rebalance_stop(struct ctl *ctl, const struct ctl_line *line)
{
    (void)line;
    return ctl_submit(ctl, "POST", "/v1/rebalance:stop", NULL, NULL);
}

int ctl_rebalance_start(struct ctl *ctl, const struct ctl_line *line)
{
    struct ctl_reply now;
    int code = ctl_must(ctl, "GET", "/v1/rebalance/policy", NULL, NULL, &now);
    const char *who = json_string_value(json_object_get(now.body, "changedBy"));
    if (code == CTL_OK &&
        ctl_consent(ctl, line, &code, "Let plans run again (%shalted, changed last by %s)",
                    json_is_true(json_object_get(now.body, "halted")) ? "" : "not ",
                    who == NULL ? "nobody" : who))
        code = ctl_submit(ctl, "POST", "/v1/rebalance:start", NULL, now.etag);
    ctl_reply_done(&now);
    return code;
}

int ctl_policy_show(struct ctl *ctl, const struct ctl_line *line)
{
    (void)line;
    return ctl_show(ctl, "/v1/rebalance/policy");
}

/* The window with what was given changed; "-" takes it away. */
static int set_window(const struct ctl_line *line, json_t *spec)
{
    const char *cron = ctl_opt(line, "window");
    const bool any =
        cron != NULL || ctl_opt(line, "time-zone") != NULL || ctl_opt(line, "minutes") != NULL;
    if (cron != NULL && strcmp(cron, "-") == 0)
        json_object_set_new(spec, "window", json_null());
    if (!any || (cron != NULL && strcmp(cron, "-") == 0))
        return CTL_OK;
    json_t *window = json_object_get(spec, "window");
    if (!json_is_object(window)) {
        window = json_pack("{s:s}", "timeZone", "UTC");
        json_object_set_new(spec, "window", window);
    }
    ctl_text_option(line, "window", window, "cron");
    ctl_text_option(line, "time-zone", window, "timeZone");
    return ctl_number_option(line, "minutes", window, "minutes", false);
}

static int set_number(const struct ctl_line *line, const char *option, json_t *spec,
                      const char *member, bool real)
{
    const char *given = ctl_opt(line, option);
    if (given != NULL && strcmp(given, "-") == 0) {
        json_object_set_new(spec, member, json_null());
        return CTL_OK;
    }
    return ctl_number_option(line, option, spec, member, real);
}

static int set_spec(const struct ctl_line *line, json_t *spec)
{
    const char *kinds = ctl_opt(line, "auto");
    if (kinds != NULL) {
        json_t *list = json_array();
        if (strcmp(kinds, "-") != 0)
            ctl_opt_all(line, "auto", true, list);
        json_object_set_new(spec, "auto", list);
    }
    int code = set_window(line, spec);
    if (code == CTL_OK)
        code = set_number(line, "max-bytes", spec, "maxBytes", true);
    return code == CTL_OK ? set_number(line, "max-slots", spec, "maxSlots", false) : code;
}

int ctl_policy_set(struct ctl *ctl, const struct ctl_line *line)
{
    static const char *const kept[] = { "auto", "window", "maxBytes", "maxSlots" };
    struct ctl_reply now;
    int code = ctl_must(ctl, "GET", "/v1/rebalance/policy", NULL, NULL, &now);
    if (code != CTL_OK) {
        ctl_reply_done(&now);
        return code;
    }
    json_t *spec = json_object();
    for (size_t i = 0; i < COUNT(kept); i++)
        json_object_set(spec, kept[i], json_object_get(now.body, kept[i]));
    code = set_spec(line, spec);
    if (code == CTL_OK && ctl_consent(ctl, line, &code, "Change what may run by itself, and when"))
        code = ctl_submit(ctl, "PUT", "/v1/rebalance/policy", json_incref(spec), now.etag);
    json_decref(spec);
    ctl_reply_done(&now);
    return code;
}

int ctl_pin_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "KIND", "kind" },    { "VALUE", "value" },     { "WHY", "why" },
        { "BY", "createdBy" }, { "SINCE", "createdAt" },
    };
    char query[128] = "";
    json_t *list;
    ctl_query(query, sizeof query, "kind", ctl_opt(line, "kind"));
    int code = ctl_list(ctl, "/v1/rebalance/pins", query, 0, &list);
    if (code != CTL_OK)
        return code;
    ctl_print_list(ctl, list, columns, COUNT(columns));
    json_decref(list);
    return CTL_OK;
}

static void pin_path(char *out, size_t cap, const struct ctl_line *line)
{
    char kind[600];
    ctl_path(kind, sizeof kind, "/v1/rebalance/pins", line->arg[0], "");
    ctl_path(out, cap, kind, line->arg[1], "");
}

int ctl_pin_show(struct ctl *ctl, const struct ctl_line *line)
{
    char path[1200];
    pin_path(path, sizeof path, line);
    return ctl_show(ctl, path);
}

int ctl_pin_add(struct ctl *ctl, const struct ctl_line *line)
{
    char path[1200];
    json_t *body = json_object();
    ctl_text_option(line, "why", body, "why");
    pin_path(path, sizeof path, line);
    struct ctl_reply now; /* one that is there is changed as it is now */
    int code = ctl_call(ctl, "GET", path, NULL, NULL, &now);
    ctl_reply_done(&now);
    if (code != CTL_OK && code != CTL_NOT_FOUND) {
        json_decref(body);
        return ctl_complain(code, "%s", now.error);
    }
    return ctl_submit(ctl, "PUT", path, body, code == CTL_OK ? now.etag : NULL);
}

int ctl_pin_delete(struct ctl *ctl, const struct ctl_line *line)
{
    char path[1200];
    int code;
    if (!ctl_consent(ctl, line, &code, "Let plans move %s %s", line->arg[0], line->arg[1]))
        return code;
    pin_path(path, sizeof path, line);
    return ctl_change(ctl, "DELETE", path, NULL);
}
