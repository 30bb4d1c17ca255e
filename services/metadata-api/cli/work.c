/* What commands about changes and long work share. */
#include "ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int ctl_number_option(const struct ctl_line *line, const char *option, json_t *into,
                      const char *member, bool real)
{
    const char *text = ctl_opt(line, option);
    char *end;
    if (text == NULL)
        return CTL_OK;
    double d = strtod(text, &end);
    json_int_t whole = strtoll(text, real ? NULL : &end, 10);
    if (*text == '\0' || *end != '\0')
        return ctl_complain(CTL_USAGE, "--%s is a number, not %s", option, text);
    json_object_set_new(into, member, real ? json_real(d) : json_integer(whole));
    return CTL_OK;
}

void ctl_text_option(const struct ctl_line *line, const char *option, json_t *into,
                     const char *member)
{
    const char *text = ctl_opt(line, option);
    if (text != NULL)
        json_object_set_new(into, member, json_string(text));
}

void ctl_flag_option(const struct ctl_line *line, const char *option, json_t *into,
                     const char *member)
{
    if (ctl_opt(line, option) != NULL)
        json_object_set_new(into, member, json_true());
}

/* sign: -1 for how long ago, 1 for in how long. */
static int time_text(const char *option, const char *given, int sign, char out[40])
{
    static const struct {
        char unit;
        long seconds;
    } row[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    char *end;
    const long n = strtol(given, &end, 10);
    snprintf(out, 40, "%.39s", given);
    if (given[0] < '0' || given[0] > '9' || strchr(given, 'T') != NULL)
        return CTL_OK; /* the API knows what a time is */
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        if (*end == row[i].unit && end[1] == '\0' && n >= 0 && n <= 10000000) {
            const time_t then = time(NULL) + sign * n * row[i].seconds;
            struct tm t;
            if (gmtime_r(&then, &t) == NULL || strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &t) == 0)
                break;
            return CTL_OK;
        }
    return ctl_complain(CTL_USAGE, "--%s is a time (2026-11-21T10:00:00Z) or %s (6h), not %s",
                        option, sign < 0 ? "how long ago" : "in how long", given);
}

int ctl_time_text(const char *option, const char *given, char out[40])
{
    return time_text(option, given, -1, out);
}

int ctl_time_ahead(const char *option, const char *given, char out[40])
{
    return time_text(option, given, 1, out);
}

int ctl_time_option(const struct ctl_line *line, const char *option, const char *name, char *query,
                    size_t cap)
{
    char text[40];
    const char *given = ctl_opt(line, option);
    if (given == NULL)
        return CTL_OK;
    const int code = ctl_time_text(option, given, text);
    if (code == CTL_OK)
        ctl_query(query, cap, name, text);
    return code;
}

void ctl_path(char *out, size_t cap, const char *prefix, const char *id, const char *suffix)
{
    char escaped[512];
    ctl_escape(escaped, sizeof escaped, id);
    snprintf(out, cap, "%s/%s%s", prefix, escaped, suffix);
}

int ctl_show(struct ctl *ctl, const char *path)
{
    struct ctl_reply r;
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK)
        ctl_print(ctl, r.body);
    ctl_reply_done(&r);
    return code;
}

int ctl_show_list(struct ctl *ctl, const struct ctl_line *line, const char *path, const char *query,
                  const struct ctl_column *columns, size_t n)
{
    const char *limit = ctl_opt(line, "limit");
    json_t *items;
    int code = ctl_list(ctl, path, query, limit == NULL ? 20 : strtoul(limit, NULL, 10), &items);
    if (code != CTL_OK)
        return code;
    ctl_print_list(ctl, items, columns, n);
    json_decref(items);
    return CTL_OK;
}

int ctl_submit(struct ctl *ctl, const char *method, const char *path, json_t *body,
               const char *if_match)
{
    struct ctl_reply r;
    int code = ctl_must(ctl, method, path, body, if_match, &r);
    if (code == CTL_OK && r.body != NULL)
        ctl_print(ctl, r.body);
    ctl_reply_done(&r);
    return code;
}

int ctl_change(struct ctl *ctl, const char *method, const char *path, json_t *body)
{
    char etag[64];
    struct ctl_reply now;
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &now);
    snprintf(etag, sizeof etag, "%s", now.etag);
    ctl_reply_done(&now);
    if (code != CTL_OK) {
        json_decref(body);
        return code;
    }
    return ctl_submit(ctl, method, path, body, etag);
}

/* A plan has a page of its own, also in a table. */
static void print_resource(const struct ctl *ctl, const char *path, const json_t *body)
{
    if (strncmp(path, "/v1/rebalance/plans", 19) == 0)
        ctl_print_plan(ctl, body);
    else
        ctl_print(ctl, body);
}

static int show_resource(struct ctl *ctl, const char *path)
{
    struct ctl_reply r;
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK)
        print_resource(ctl, path, r.body);
    ctl_reply_done(&r);
    return code;
}

bool ctl_ask(const char *question)
{
    char answer[16];
    fprintf(stderr, "%s? [y/N] ", question);
    fflush(stderr);
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

bool ctl_consent(const struct ctl *ctl, const struct ctl_line *line, int *code, const char *fmt,
                 ...)
{
    char question[256];
    va_list ap;
    *code = CTL_OK;
    if (ctl->dry || ctl_opt(line, "yes") != NULL)
        return true;
    va_start(ap, fmt);
    vsnprintf(question, sizeof question, fmt, ap);
    va_end(ap);
    if (!isatty(STDIN_FILENO)) {
        *code = ctl_complain(CTL_USAGE, "%s? Nobody to ask: give --yes", question);
        return false;
    }
    if (ctl_ask(question))
        return true;
    fprintf(stderr, "nothing was changed\n");
    return false;
}

int ctl_start(struct ctl *ctl, const struct ctl_line *line, const char *path, json_t *body,
              const char *if_match, const char *collection, const char *operation_member)
{
    struct ctl_reply r;
    char resource[128];
    int code = ctl_must(ctl, "POST", path, body, if_match, &r);
    const bool dry = json_is_true(json_object_get(r.body, "dryRun"));
    if (code != CTL_OK || dry || ctl_opt(line, "wait") == NULL) {
        if (code == CTL_OK)
            print_resource(ctl, path, r.body);
        ctl_reply_done(&r);
        return code;
    }
    const char *operation = json_string_value(json_object_get(r.body, operation_member));
    snprintf(resource, sizeof resource, "%s/%" JSON_INTEGER_FORMAT, collection,
             json_integer_value(json_object_get(r.body, "id")));
    code = operation == NULL ? ctl_complain(CTL_FAILED, "%s named no operation", path)
                             : ctl_wait(ctl, operation);
    int shown = code == CTL_INTERRUPTED ? code : show_resource(ctl, resource);
    ctl_reply_done(&r);
    return code == CTL_OK ? shown : code;
}

int ctl_fleet_params(const struct ctl_line *line, json_t *params)
{
    ctl_flag_option(line, "allow-big-keys", params, "allowBigKeys");
    ctl_flag_option(line, "allow-no-replicas", params, "allowNoReplicas");
    int code = ctl_number_option(line, "max-bytes", params, "maxBytes", true);
    if (code == CTL_OK)
        code = ctl_number_option(line, "max-slots", params, "maxSlots", false);
    return code == CTL_OK ? ctl_number_option(line, "pairs", params, "pairs", false) : code;
}
