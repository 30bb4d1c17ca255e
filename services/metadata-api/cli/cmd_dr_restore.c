/* dr restore: every shard brought back into a Redis Cluster. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

static const char RESTORES[] = "/v1/dr/cluster-restores";

static const char *text_of(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s == NULL ? "" : s;
}

static json_int_t number_of(const json_t *j, const char *name)
{
    return json_integer_value(json_object_get(j, name));
}

/* "fetch  3 of 6 shards" */
static void step_text(const json_t *r, char *out, size_t n)
{
    const char *step = text_of(r, "step");
    if (strcmp(step, "copy") == 0)
        snprintf(out, n, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " keys",
                 number_of(r, "copiedKeys"), number_of(r, "keys"));
    else
        snprintf(out, n, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " shards",
                 number_of(r, "fetchedShards"), number_of(r, "shards"));
}

/* --- following one -----------------------------------------------------------------------------
 */

struct follow {
    struct ctl *ctl;
    char path[128], told[128];
    json_t *last; /* owned; NULL: none seen yet */
    int code;
};

static void tell(struct follow *f)
{
    char how_far[96], line[128];
    step_text(f->last, how_far, sizeof how_far);
    snprintf(line, sizeof line, "%-12s %s",
             text_of(f->last, "step")[0] != '\0' ? text_of(f->last, "step") : "queued", how_far);
    if (f->ctl->json || strcmp(line, f->told) == 0)
        return;
    puts(line);
    fflush(stdout);
    snprintf(f->told, sizeof f->told, "%s", line);
}

static bool look(void *ctx)
{
    struct follow *f = ctx;
    struct ctl_reply r;
    f->code = ctl_must(f->ctl, "GET", f->path, NULL, NULL, &r);
    if (f->code == CTL_OK) {
        json_decref(f->last);
        f->last = json_incref(r.body);
        tell(f);
    }
    ctl_reply_done(&r);
    return f->code == CTL_OK && strcmp(text_of(f->last, "state"), "done") != 0;
}

/* A report is long: what it comes to is in the other members, and what to do in the reason. */
static void show(struct ctl *ctl, const json_t *restore)
{
    json_t *brief = json_deep_copy(restore);
    if (!ctl->json && json_is_object(json_object_get(brief, "report")))
        json_object_del(brief, "report");
    ctl_print(ctl, brief);
    json_decref(brief);
}

static int follow(struct ctl *ctl, json_int_t id)
{
    struct follow f = { .ctl = ctl };
    snprintf(f.path, sizeof f.path, "%s/%" JSON_INTEGER_FORMAT, RESTORES, id);
    if (!ctl_repeat(look, &f)) {
        fprintf(stderr, "it goes on: prismctl dr restore %" JSON_INTEGER_FORMAT " [--cancel]\n",
                id);
        f.code = CTL_INTERRUPTED;
    } else if (f.code == CTL_OK) {
        show(ctl, f.last);
        f.code = strcmp(text_of(f.last, "outcome"), "good") == 0      ? CTL_OK
                 : strcmp(text_of(f.last, "outcome"), "refused") == 0 ? CTL_CONFLICT
                                                                      : CTL_FAILED;
    }
    json_decref(f.last);
    return f.code;
}

/* --- doing -------------------------------------------------------------------------------------
 */

static int one(struct ctl *ctl, const struct ctl_line *line)
{
    const bool cancel = ctl_opt(line, "cancel") != NULL;
    struct ctl_reply r;
    char path[256];
    ctl_path(path, sizeof path, RESTORES, line->arg[0], cancel ? ":cancel" : "");
    const int code = ctl_must(ctl, cancel ? "POST" : "GET", path, NULL, NULL, &r);
    if (code == CTL_OK)
        show(ctl, r.body);
    ctl_reply_done(&r);
    return code;
}

static int begin(struct ctl *ctl, const struct ctl_line *line)
{
    struct ctl_reply r;
    json_t *body = json_object();
    char until[40] = "";
    ctl_text_option(line, "into-cluster", body, "target");
    ctl_flag_option(line, "over-existing", body, "overExisting");
    ctl_flag_option(line, "accept-loss", body, "acceptLoss");
    ctl_flag_option(line, "write-routes", body, "writeRoutes");
    int code = CTL_OK;
    if (ctl_opt(line, "until") != NULL)
        code = ctl_time_text("until", ctl_opt(line, "until"), until);
    if (code != CTL_OK) {
        json_decref(body);
        return code;
    }
    if (until[0] != '\0')
        json_object_set_new(body, "until", json_string(until));
    code = ctl_must(ctl, "POST", RESTORES, body, NULL, &r);
    const json_int_t id = number_of(r.body, "id");
    const bool wait = !ctl->dry && ctl_opt(line, "no-wait") == NULL;
    if (code == CTL_OK && !wait)
        show(ctl, r.body);
    ctl_reply_done(&r);
    return code == CTL_OK && wait ? follow(ctl, id) : code;
}

int ctl_dr_restore(struct ctl *ctl, const struct ctl_line *line)
{
    const char *into = ctl_opt(line, "into-cluster");
    int code;
    if ((line->n_args > 0) == (into != NULL))
        return ctl_complain(CTL_USAGE, "--into-cluster, or the number of a restore, is wanted");
    if (line->n_args > 0)
        return one(ctl, line);
    if (ctl_opt(line, "over-existing") != NULL &&
        !ctl_consent(ctl, line, &code, "delete what the cluster at %.150s holds", into))
        return code;
    return begin(ctl, line);
}
