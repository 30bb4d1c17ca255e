/* dr failover: everything brought up at another site. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
static const char FAILOVERS[] = "/v1/dr/failovers";

/* Nobody at work for so long: it was killed. Nobody answers for so long: we give up. */
enum { IDLE_S = 30, PATIENCE_S = 120, MAX_STEPS = 32 };

static const char *text_of(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s == NULL ? "" : s;
}

static time_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* --- a plan ------------------------------------------------------------------------------------
 */

static void print_problems(const json_t *plan)
{
    size_t i;
    const json_t *p;
    json_array_foreach(json_object_get(plan, "problems"), i, p) ctl_print_line(
        json_is_true(json_object_get(p, "fatal")) ? "in the way" : "note", text_of(p, "what"));
}

static void print_plan(const json_t *plan)
{
    char text[128];
    const json_t *rpo = json_object_get(plan, "expectedRpoMs"), *step;
    size_t i;
    snprintf(text, sizeof text, "%s -> %s", text_of(plan, "from"), text_of(plan, "to"));
    ctl_print_line("fail-over", text);
    json_array_foreach(json_object_get(plan, "steps"), i, step)
        ctl_print_line(text_of(step, "step"), text_of(step, "does"));
    if (json_is_integer(rpo)) {
        snprintf(text, sizeof text, "%.1f s, as far as the bucket tells now",
                 (double)json_integer_value(rpo) / 1e3);
        ctl_print_line("would lose", text);
    }
    print_problems(plan);
    ctl_print_line("ready", json_is_true(json_object_get(plan, "ready")) ? "yes" : "no");
}

/* CTL_CONFLICT when it would be refused. */
static int make_plan(struct ctl *ctl, json_t *order, bool show)
{
    struct ctl_reply r;
    char path[64];
    snprintf(path, sizeof path, "%s?dryRun=true", FAILOVERS);
    int code = ctl_must(ctl, "POST", path, order, NULL, &r);
    if (code == CTL_OK && ctl->json && show)
        ctl_print_json(r.body);
    else if (code == CTL_OK && !ctl->json)
        print_plan(r.body);
    if (code == CTL_OK && !json_is_true(json_object_get(r.body, "ready")))
        code = CTL_CONFLICT;
    ctl_reply_done(&r);
    return code;
}

/* --- following one -----------------------------------------------------------------------------
 */

struct follow {
    struct ctl *ctl;
    char path[128];
    char state[MAX_STEPS][16]; /* of each step, as it was printed */
    json_t *last;              /* owned; NULL: none seen yet */
    time_t answered_s, at_work_s;
    int code;
};

static void print_steps(struct follow *f, const json_t *failover)
{
    const json_t *steps = json_object_get(failover, "steps"), *step;
    size_t i;
    json_array_foreach(steps, i, step)
    {
        const char *state = text_of(step, "state");
        if (i >= MAX_STEPS || strcmp(state, f->state[i]) == 0)
            continue;
        if (!f->ctl->json && (f->state[i][0] != '\0' || strcmp(state, "waiting") != 0))
            fprintf(stderr, "%-12s %-8s %s\n", text_of(step, "step"), state, text_of(step, "text"));
        snprintf(f->state[i], sizeof f->state[i], "%s", state);
    }
    fflush(stderr);
}

/* True: it goes on. */
static bool judge(struct follow *f)
{
    const char *state = text_of(f->last, "state"), *why = text_of(f->last, "why");
    if (json_is_true(json_object_get(f->last, "executing")))
        f->at_work_s = now_s();
    if (strcmp(state, "done") == 0 || strcmp(state, "aborted") == 0)
        f->code = CTL_OK;
    else if (strcmp(state, "stopped") == 0)
        f->code =
            ctl_complain(CTL_FAILED, "it stopped: %s\n  prismctl dr failover resume --watch", why);
    else if (now_s() - f->at_work_s > IDLE_S)
        f->code = ctl_complain(CTL_FAILED,
                               "nobody is at it any more%s%s\n"
                               "  prismctl dr failover resume --watch",
                               why[0] != '\0' ? ": " : "", why);
    else
        return true;
    return false;
}

static bool look(void *ctx)
{
    struct follow *f = ctx;
    struct ctl_reply r;
    bool on = true;
    const int code = ctl_call(f->ctl, "GET", f->path, NULL, NULL, &r);
    const bool none = code == CTL_NOT_FOUND && f->last == NULL; /* its checks come first */
    if (code == CTL_OK || none)
        f->answered_s = now_s();
    if (code == CTL_OK) {
        json_decref(f->last);
        f->last = json_incref(r.body);
        print_steps(f, r.body);
        on = judge(f);
    } else if ((none && now_s() - f->at_work_s > PATIENCE_S) || (!none && code != CTL_CONNECT) ||
               now_s() - f->answered_s > PATIENCE_S) {
        f->code = ctl_complain(code, "%s", r.error);
        on = false;
    }
    ctl_reply_done(&r);
    return on;
}

static void print_ms(const json_t *failover, const char *member, const char *name, const char *what)
{
    char text[160];
    const json_t *ms = json_object_get(failover, member);
    if (!json_is_integer(ms))
        return;
    snprintf(text, sizeof text, "%.1f s%s", (double)json_integer_value(ms) / 1e3, what);
    ctl_print_line(name, text);
}

static void print_failover(struct ctl *ctl, const json_t *f)
{
    char text[256];
    if (ctl->json) {
        ctl_print_json(f);
        return;
    }
    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT ", %s -> %s, asked for by %s",
             json_integer_value(json_object_get(f, "id")), text_of(f, "from"), text_of(f, "to"),
             text_of(f, "by"));
    ctl_print_line("fail-over", text);
    snprintf(text, sizeof text, "%s%s", text_of(f, "state"),
             json_is_true(json_object_get(f, "executing")) ? ", at work" : "");
    ctl_print_line("state", text);
    ctl_print_line("why", text_of(f, "why"));
    print_ms(f, "rpoMs", "RPO", ": so much of the old side's last writes is not here");
    if (json_integer_value(json_object_get(f, "missing")) > 0) {
        snprintf(text, sizeof text,
                 "the end of %" JSON_INTEGER_FORMAT " primaries; nothing that dr said is durable",
                 json_integer_value(json_object_get(f, "missing")));
        ctl_print_line("missing", text);
    }
    print_ms(f, "rtoMs", "RTO", ": from the order until the new side was verified");
}

static int follow(struct ctl *ctl, const char *id, const char *good)
{
    struct follow f = { .ctl = ctl, .answered_s = now_s(), .at_work_s = now_s() };
    ctl_path(f.path, sizeof f.path, FAILOVERS, id, "");
    if (!ctl_repeat(look, &f))
        f.code = ctl_complain(CTL_INTERRUPTED, "interrupted; the fail-over goes on\n"
                                               "  prismctl dr failover status --watch");
    else if (f.last != NULL)
        print_failover(ctl, f.last);
    if (f.code == CTL_OK && good != NULL && strcmp(text_of(f.last, "state"), good) != 0)
        f.code = CTL_FAILED;
    json_decref(f.last);
    return f.code;
}

/* --- the commands ------------------------------------------------------------------------------
 */

static json_t *order_of(const struct ctl_line *line, int *code)
{
    json_t *o = json_object();
    ctl_text_option(line, "to", o, "to");
    ctl_flag_option(line, "old-side-is-down", o, "oldSideIsDown");
    ctl_flag_option(line, "over-existing", o, "overExisting");
    ctl_flag_option(line, "accept-loss", o, "acceptLoss");
    *code = ctl_number_option(line, "wait", o, "waitS", false);
    return o;
}

/* Sends it, and follows it with --watch. */
static int begin(struct ctl *ctl, const struct ctl_line *line, const char *path, json_t *body,
                 const char *good)
{
    struct ctl_reply r;
    char id[32] = "latest";
    int code = ctl_must(ctl, "POST", path, body, NULL, &r);
    const json_t *number = json_object_get(r.body, "id");
    if (json_is_integer(number))
        snprintf(id, sizeof id, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
    if (code == CTL_OK && ctl_opt(line, "watch") == NULL)
        print_failover(ctl, r.body);
    else if (code == CTL_OK)
        code = follow(ctl, id, good);
    ctl_reply_done(&r);
    return code;
}

static int execute(struct ctl *ctl, const struct ctl_line *line, json_t *order)
{
    int code = CTL_OK;
    if (ctl_opt(line, "yes") == NULL) /* else dr plans, and refuses, by itself */
        code = make_plan(ctl, json_incref(order), false);
    if (code == CTL_OK &&
        ctl_consent(ctl, line, &code, "Lock the old side out, and bring everything up at %s",
                    ctl_opt(line, "to")))
        return begin(ctl, line, FAILOVERS, order, "done");
    json_decref(order);
    return code;
}

/* Of the one that was given, or the newest. */
static int change(struct ctl *ctl, const struct ctl_line *line, json_t *body, const char *verb,
                  const char *good)
{
    char path[160], what[128], id[32];
    struct ctl_reply r;
    const char *given = line->n_args > 1 ? line->arg[1] : "latest";
    ctl_path(path, sizeof path, FAILOVERS, given, "");
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    snprintf(id, sizeof id, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(r.body, "id")));
    snprintf(what, sizeof what, "%s fail-over %s, %s -> %s, which is %s",
             strcmp(verb, ":abort") == 0 ? "Take back" : "Go on with", id, text_of(r.body, "from"),
             text_of(r.body, "to"), text_of(r.body, "state"));
    ctl_reply_done(&r);
    ctl_path(path, sizeof path, FAILOVERS, id, verb);
    if (code == CTL_OK && ctl_consent(ctl, line, &code, "%s", what))
        return begin(ctl, line, path, body, good);
    json_decref(body);
    return code;
}

static int status(struct ctl *ctl, const struct ctl_line *line)
{
    char path[160];
    struct ctl_reply r;
    struct follow all = { .ctl = ctl };
    const char *id = line->n_args > 1 ? line->arg[1] : "latest";
    if (ctl_opt(line, "watch") != NULL)
        return follow(ctl, id, NULL);
    ctl_path(path, sizeof path, FAILOVERS, id, "");
    const int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK) {
        print_steps(&all, r.body);
        print_failover(ctl, r.body);
    }
    ctl_reply_done(&r);
    return code;
}

static int list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "FAIL-OVER", "id" },  { "FROM", "from" },     { "TO", "to" },
        { "STATE", "state" },   { "RPO MS", "rpoMs" },  { "RTO MS", "rtoMs" },
        { "BEGUN", "begunAt" }, { "ENDED", "endedAt" }, { "BY", "by" },
    };
    return ctl_show_list(ctl, line, FAILOVERS, "", columns, COUNT(columns));
}

int ctl_failover(struct ctl *ctl, const struct ctl_line *line)
{
    static const char *const verb[] = { "plan", "execute", "resume", "abort", "status", "list" };
    enum { PLAN, EXECUTE, RESUME, ABORT, STATUS, LIST };
    size_t v = 0;
    int code;
    while (v < COUNT(verb) && strcmp(line->arg[0], verb[v]) != 0)
        v++;
    if (v == COUNT(verb))
        return ctl_complain(CTL_USAGE,
                            "dr failover %s: plan, execute, resume, abort, status or "
                            "list",
                            line->arg[0]);
    if (v == STATUS || v == LIST)
        return v == STATUS ? status(ctl, line) : list(ctl, line);
    json_t *order = order_of(line, &code);
    if (code == CTL_OK && v <= EXECUTE && (ctl_opt(line, "to") == NULL || line->n_args > 1))
        code = ctl_complain(CTL_USAGE, "dr failover %s needs --to SITE, and no number", verb[v]);
    if (code != CTL_OK) {
        json_decref(order);
        return code;
    }
    return v == PLAN      ? make_plan(ctl, order, true)
           : v == EXECUTE ? execute(ctl, line, order)
           : v == RESUME  ? change(ctl, line, order, ":resume", "done")
                          : change(ctl, line, order, ":abort", "aborted");
}
