/* Changes of the fleet by one command each: register, plan, show, ask, carry
 * out, follow, tell. */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
enum { SETTLE_MS = 30000, POLL_MS = 200 };

static const char plans[] = "/v1/rebalance/plans";

/* ID, or ID=HOST:PORT[@ZONE] for one that is not registered yet. */
struct node_spec {
    char id[128], host[300], zone[64];
    int port; /* 0: none given */
};

static int parse_node(const char *text, struct node_spec *out)
{
    const char *equals = strchr(text, '='), *at = equals == NULL ? NULL : strrchr(equals, '@');
    const char *end = at == NULL ? text + strlen(text) : at;
    *out = (struct node_spec){ .port = 0 };
    snprintf(out->id, sizeof out->id, "%.*s",
             (int)(equals == NULL ? strlen(text) : (size_t)(equals - text)), text);
    if (equals == NULL)
        return CTL_OK;
    const char *colon = end; /* the last one: an IPv6 address has more */
    while (colon > equals && *colon != ':')
        colon--;
    char *rest = NULL;
    const long port = colon > equals ? strtol(colon + 1, &rest, 10) : 0;
    if (colon <= equals + 1 || rest != end || port < 1 || port > 65535 ||
        (at != NULL && at[1] == '\0'))
        return ctl_complain(CTL_USAGE, "%s is neither ID nor ID=HOST:PORT@ZONE", text);
    snprintf(out->host, sizeof out->host, "%.*s", (int)(colon - equals - 1), equals + 1);
    snprintf(out->zone, sizeof out->zone, "%s", at == NULL ? "" : at + 1);
    out->port = (int)port;
    return CTL_OK;
}

static int check_registered(const struct node_spec *n, const json_t *node)
{
    const char *host = json_string_value(json_object_get(node, "host")),
               *zone = json_string_value(json_object_get(node, "zone"));
    const int port = (int)json_integer_value(json_object_get(node, "port"));
    if (n->port != 0 && (host == NULL || strcmp(host, n->host) != 0 || port != n->port))
        return ctl_complain(CTL_CONFLICT, "node %s is registered at %s:%d, not %s:%d", n->id,
                            host == NULL ? "?" : host, port, n->host, n->port);
    if (n->zone[0] != '\0' && (zone == NULL || strcmp(zone, n->zone) != 0))
        return ctl_complain(CTL_CONFLICT,
                            "node %s is registered in zone %s, not %s: prismctl node set-zone",
                            n->id, zone == NULL ? "-" : zone, n->zone);
    return CTL_OK;
}

/* What is registered already must be what was named. */
static int ensure_registered(struct ctl *ctl, const struct node_spec *n)
{
    char path[600];
    struct ctl_reply r;
    ctl_path(path, sizeof path, "/v1/nodes", n->id, "");
    int code = ctl_call(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK) {
        code = check_registered(n, r.body);
    } else if (code != CTL_NOT_FOUND) {
        ctl_complain(code, "%s", r.error);
    } else if (n->port == 0) {
        ctl_complain(code, "node %s is not registered: give %s=HOST:PORT@ZONE", n->id, n->id);
    } else {
        ctl_reply_done(&r);
        json_t *body = json_pack("{s:s,s:s,s:i}", "id", n->id, "host", n->host, "port", n->port);
        if (n->zone[0] != '\0')
            json_object_set_new(body, "zone", json_string(n->zone));
        code = ctl_must(ctl, "POST", "/v1/nodes", body, NULL, &r);
        if (code == CTL_OK && !ctl->json)
            fprintf(stderr, "registered node %s\n", n->id);
    }
    ctl_reply_done(&r);
    return code;
}

/* --- plan, show, ask, carry out ---------------------------------------------- */

static int get_plan(struct ctl *ctl, json_int_t id, struct ctl_reply *r)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%" JSON_INTEGER_FORMAT, plans, id);
    return ctl_must(ctl, "GET", path, NULL, NULL, r);
}

static int post_verb(struct ctl *ctl, json_int_t id, const char *verb, const char *etag,
                     struct ctl_reply *r)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%" JSON_INTEGER_FORMAT ":%s", plans, id, verb);
    return ctl_must(ctl, "POST", path, NULL, etag, r);
}

/* Makes the plan and waits for it; *id 0: there is none. */
static int make_plan(struct ctl *ctl, const struct ctl_line *line, json_t *goal, json_int_t *id)
{
    struct ctl_reply r;
    json_t *params = json_object(), *body = json_pack("{s:o,s:o}", "goal", goal, "params", params);
    *id = 0;
    int code = ctl_fleet_params(line, params);
    if (code != CTL_OK) {
        json_decref(body);
        return code;
    }
    code = ctl_must(ctl, "POST", plans, body, NULL, &r);
    const char *operation = json_string_value(json_object_get(r.body, "operationId"));
    if (code == CTL_OK) {
        *id = json_integer_value(json_object_get(r.body, "id"));
        code = operation == NULL ? ctl_complain(CTL_FAILED, "the plan has no operation")
                                 : ctl_wait(ctl, operation);
    }
    ctl_reply_done(&r);
    return code;
}

/* True: carry it out. *code is what to exit with otherwise: the plan stays where nobody can be
 * asked, and is canceled after a no. */
static bool consent(struct ctl *ctl, const struct ctl_line *line, json_int_t id, const char *etag,
                    int *code)
{
    char question[64];
    struct ctl_reply r;
    *code = CTL_OK;
    if (ctl_opt(line, "yes") != NULL)
        return true;
    if (!isatty(STDIN_FILENO)) {
        *code = ctl_complain(CTL_USAGE,
                             "nobody to ask: plan %" JSON_INTEGER_FORMAT
                             " is proposed; carry it out with\n"
                             "  prismctl plan execute %" JSON_INTEGER_FORMAT
                             " --wait --yes\nor give --yes next time",
                             id, id);
        return false;
    }
    snprintf(question, sizeof question, "Carry out plan %" JSON_INTEGER_FORMAT, id);
    if (ctl_ask(question))
        return true;
    *code = post_verb(ctl, id, "cancel", etag, &r);
    if (*code == CTL_OK)
        fprintf(stderr, "plan %" JSON_INTEGER_FORMAT " was canceled; nothing was moved\n", id);
    ctl_reply_done(&r);
    return false;
}

static void show_end(struct ctl *ctl, json_int_t id)
{
    struct ctl_reply r;
    if (get_plan(ctl, id, &r) == CTL_OK)
        ctl_print_plan_end(ctl, r.body);
    ctl_reply_done(&r);
}

/* Executes the plan as it was shown, follows it, and shows how it ended. */
static int execute(struct ctl *ctl, json_int_t id, const char *etag)
{
    struct ctl_reply r;
    int code = post_verb(ctl, id, "execute", etag, &r);
    const char *operation = json_string_value(json_object_get(r.body, "executeOperationId"));
    if (code == CTL_OK) {
        code = operation == NULL ? ctl_complain(CTL_FAILED, "the execution has no operation")
                                 : ctl_wait(ctl, operation);
        if (code != CTL_INTERRUPTED)
            show_end(ctl, id);
    } else {
        fprintf(stderr, "  prismctl plan execute %" JSON_INTEGER_FORMAT " --wait   tries again\n",
                id);
    }
    ctl_reply_done(&r);
    return code;
}

static bool moves_nothing(const json_t *plan)
{
    return json_object_size(json_object_get(plan, "steps")) == 0;
}

/* The whole way; *done: the goal is reached (there may have been nothing to do). */
static int reach(struct ctl *ctl, const struct ctl_line *line, json_t *goal, bool *done)
{
    json_int_t id;
    struct ctl_reply r, canceled;
    *done = false;
    int code = make_plan(ctl, line, goal, &id);
    if (code != CTL_OK)
        return code;
    code = get_plan(ctl, id, &r);
    if (code == CTL_OK && moves_nothing(r.body)) {
        *done = true;
        ctl_print_plan(ctl, r.body);
        fprintf(stderr, "nothing to do\n");
        (void)post_verb(ctl, id, "cancel", r.etag, &canceled);
        ctl_reply_done(&canceled);
    } else if (code == CTL_OK) {
        if (!ctl->json)
            ctl_print_plan(ctl, r.body);
        if (consent(ctl, line, id, r.etag, &code)) {
            code = execute(ctl, id, r.etag);
            *done = code == CTL_OK;
        }
    }
    ctl_reply_done(&r);
    return code;
}

/* --- after it ------------------------------------------------------------------ */

static void pause_ms(long ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    nanosleep(&t, NULL);
}

/* The API hears of the end of a member a moment after the plan ended. */
static int unregister(struct ctl *ctl, const char *id)
{
    char path[600];
    struct ctl_reply r;
    int code = CTL_OK;
    ctl_path(path, sizeof path, "/v1/nodes", id, "");
    for (int waited = 0;; waited += POLL_MS) {
        code = ctl_call(ctl, "GET", path, NULL, NULL, &r);
        char etag[64];
        snprintf(etag, sizeof etag, "%s", r.etag);
        ctl_reply_done(&r);
        if (code == CTL_NOT_FOUND)
            return CTL_OK;
        if (code == CTL_OK)
            code = ctl_call(ctl, "DELETE", path, NULL, etag, &r);
        if (code != CTL_CONFLICT || waited >= SETTLE_MS)
            break;
        ctl_reply_done(&r);
        pause_ms(POLL_MS);
    }
    if (code == CTL_OK && !ctl->json)
        fprintf(stderr, "removed the registration of node %s\n", id);
    else if (code != CTL_OK)
        ctl_complain(code, "%s\nto remove the registration: prismctl node delete %s", r.error, id);
    ctl_reply_done(&r);
    return code;
}

/* --- the commands ---------------------------------------------------------------- */

int ctl_node_join(struct ctl *ctl, const struct ctl_line *line)
{
    json_t *nodes = json_array();
    json_t *goal = json_pack("{s:s,s:o}", "kind", "join", "nodes", nodes);
    struct node_spec n;
    bool done;
    int code = CTL_OK;
    ctl_text_option(line, "role", goal, "role");
    for (size_t i = 0; i < line->n_args && code == CTL_OK; i++)
        code = parse_node(line->arg[i], &n); /* all of them before the first is registered */
    for (size_t i = 0; i < line->n_args && code == CTL_OK; i++) {
        if ((code = parse_node(line->arg[i], &n)) == CTL_OK)
            code = ensure_registered(ctl, &n);
        json_array_append_new(nodes, json_string(n.id));
    }
    if (code != CTL_OK) {
        json_decref(goal);
        return code;
    }
    return reach(ctl, line, goal, &done);
}

int ctl_node_drain(struct ctl *ctl, const struct ctl_line *line)
{
    json_t *nodes = json_array();
    bool done;
    for (size_t i = 0; i < line->n_args; i++)
        json_array_append_new(nodes, json_string(line->arg[i]));
    int code = reach(ctl, line, json_pack("{s:s,s:o}", "kind", "drain", "nodes", nodes), &done);
    for (size_t i = 0; i < line->n_args && done && code == CTL_OK; i++)
        if (ctl_opt(line, "keep") == NULL)
            code = unregister(ctl, line->arg[i]);
    return code;
}

int ctl_node_replace(struct ctl *ctl, const struct ctl_line *line)
{
    struct node_spec with;
    bool done;
    int code = parse_node(line->arg[1], &with);
    if (code == CTL_OK)
        code = ensure_registered(ctl, &with);
    if (code != CTL_OK)
        return code;
    code =
        reach(ctl, line,
              json_pack("{s:s,s:s,s:s}", "kind", "replace", "node", line->arg[0], "with", with.id),
              &done);
    if (code == CTL_OK && done && ctl_opt(line, "keep") == NULL)
        code = unregister(ctl, line->arg[0]);
    return code;
}
