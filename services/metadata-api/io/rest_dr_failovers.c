/* /v1/dr/failovers: everything brought up in another region. The work, and the truth about it, are
 * dr's, which needs no PostgreSQL: neither do these, but for the history. */
#include "api_check.h"
#include "change.h"
#include "prism/io/clock.h"
#include "prism/v1/dr.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* dr answers EXECUTE once the work is under way, after 15 s at the latest. */
enum { ASK_MS = 45000 };

static char STATUS[] = "status", PLAN[] = "plan", EXECUTE[] = "execute", RESUME[] = "resume",
            ABORT[] = "abort"; /* verbs */

#define AT(of, member) "to_timestamp((" of "->>'" member "')::bigint / 1000.0)"
/* A row as dates() below makes it of what dr says. There is one of each that was verified; report
 * is the status as it was then, when the last step was under way. */
#define ROW                                                                                        \
    "(SELECT r - ARRAY['number', 'begun_ms', 'claimed_ms', 'ended_ms', 'written_ms', 'steps'] || " \
    "jsonb_build_object('id', f.id, 'state', 'done', 'executing', false, 'rpo_ms', f.rpo_ms, "     \
    "'rto_ms', f.rto_ms, 'begunAt', f.begun_at, 'claimedAt', f.claimed_at, "                       \
    "'endedAt', f.verified_at, 'steps', (SELECT jsonb_agg(s - ARRAY['begun_ms', "                  \
    "'ended_ms'] || jsonb_build_object('begunAt', " AT("s", "begun_ms") ", 'endedAt', " AT(        \
        "s", "ended_ms") ")) FROM jsonb_array_elements(r->'steps') s)) FROM "                      \
                         "coalesce(f.report->'failover', f.report) r)"

typedef Prism__V1__DrFailoverRequest request;

/* --- what dr says ------------------------------------------------------------------------------
 */

struct told {
    json_t *j; /* the result; owned */
    bool executing;
};

static enum pr_code ask(struct api *api, const request *q, struct told *out, struct pr_err *err)
{
    void *reply = NULL;
    size_t len = 0;
    uint8_t *packed = malloc(prism__v1__dr_failover_request__get_packed_size(q) + 1);
    if (packed == NULL)
        return pr_fail(err, PR_ENOMEM, "fail-over");
    enum pr_code rc =
        pr_bus_request(api->svc->bus, "prism.rpc.dr.failover", packed,
                       prism__v1__dr_failover_request__pack(q, packed), ASK_MS, &reply, &len, err);
    free(packed);
    if (rc != PR_OK)
        return rc;
    Prism__V1__DrFailoverResponse *r = prism__v1__dr_failover_response__unpack(NULL, len, reply);
    free(reply);
    *out = (struct told){ r == NULL ? NULL : json_loads(r->result, 0, NULL),
                          r != NULL && r->executing };
    if (r != NULL)
        prism__v1__dr_failover_response__free_unpacked(r, NULL);
    return json_is_object(out->j)
               ? PR_OK
               : pr_fail(err, PR_EUNAVAIL, "dr sent something else than a fail-over");
}

/* begun_ms, a Unix time, becomes begunAt: what members of a time are called everywhere. */
static void dates(json_t *j)
{
    static const struct {
        const char *from, *to;
    } name[] = {
        { "begun_ms", "begunAt" },     { "claimed_ms", "claimedAt" }, { "ended_ms", "endedAt" },
        { "written_ms", "writtenAt" }, { "until_ms", "untilAt" },
    };
    for (size_t i = 0; i < PR_COUNT(name); i++) {
        const json_t *v = json_object_get(j, name[i].from);
        const json_int_t ms = json_integer_value(v);
        char text[40] = "";
        struct tm t;
        const time_t s = (time_t)(ms / 1000);
        if (v == NULL)
            continue;
        if (ms > 0 && gmtime_r(&s, &t) != NULL)
            (void)snprintf(text + strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t), 8, ".%03dZ",
                           (int)(ms % 1000));
        json_object_set_new(j, name[i].to, text[0] != '\0' ? json_string(text) : json_null());
        json_object_del(j, name[i].from);
    }
    const char *key;
    json_t *value, *each;
    size_t i;
    json_object_foreach(j, key, value) json_array_foreach(value, i, each) if (json_is_object(each))
        dates(each);
}

/* As the API shows it; takes over j. */
static json_t *shown(json_t *j)
{
    json_t *number = json_object_get(j, "number");
    if (number != NULL) {
        json_object_set(j, "id", number);
        json_object_del(j, "number");
    }
    dates(j);
    json_t *out = api_camel_all(j);
    json_decref(j);
    return out;
}

/* The fail-over of a status, or NULL when there never was one. */
static json_t *failover_of(const struct told *t)
{
    json_t *f = json_object_get(t->j, "failover");
    if (!json_is_object(f))
        return NULL;
    json_t *out = shown(json_incref(f));
    json_object_set_new(out, "executing", json_boolean(t->executing));
    return out;
}

static bool newest(struct api *api, json_t **out, struct pr_err *err, enum pr_code *rc)
{
    struct told t = { NULL, false };
    request q = PRISM__V1__DR_FAILOVER_REQUEST__INIT;
    q.verb = STATUS;
    *out = NULL;
    *rc = ask(api, &q, &t, err);
    if (*rc == PR_OK)
        *out = failover_of(&t);
    json_decref(t.j);
    return *rc == PR_OK;
}

/* --- the history -------------------------------------------------------------------------------
 */

static bool db_away(struct api *api)
{
    PR_AUTO(api_snapshot) *s = api_cell_get(api->cell);
    return s == NULL || pr_mono_us() / 1000 - s->tokens_at_ms > API_DB_AWAY_MS;
}

void api_failover_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_list list = { "failovers",
                                          "SELECT f.id::text, " ROW
                                          " FROM dr_failovers f WHERE ($1::text IS NULL OR f.id < "
                                          "$1::text::bigint) ORDER BY f.id DESC "
                                          "LIMIT $2::bigint",
                                          NULL, 0 };
    struct pr_err err = { 0 };
    enum pr_code rc;
    json_t *one;
    if (!db_away(ctx))
        api_list_rows(ctx, &list, req, res);
    else if (!newest(ctx, &one, &err, &rc))
        pr_http_fail(res, rc, &err);
    else
        api_reply(res, 200,
                  one == NULL ? json_pack("{s:[]}", "items") : json_pack("{s:[o]}", "items", one));
}

static bool failover_id(const struct pr_http_req *req, uint64_t *id, struct pr_http_res *res)
{
    if (api_number_parse(req->param[0], INT64_MAX, id) && *id > 0)
        return true;
    pr_http_problem(res, 400, "Bad fail-over", "a fail-over's number", "id");
    return false;
}

/* Of the newest one dr knows more: it may be at work. The others are rows. */
void api_failover_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const bool latest = strcmp(req->param[0], "latest") == 0;
    struct pr_err err = { 0 };
    enum pr_code rc;
    uint64_t id = 0;
    json_t *one = NULL;
    if (!latest && !failover_id(req, &id, res))
        return;
    const bool answered = newest(ctx, &one, &err, &rc);
    const json_int_t number = json_integer_value(json_object_get(one, "id"));
    if (one != NULL && (latest || (uint64_t)number == id)) {
        api_reply(res, 200, one);
        return;
    }
    json_decref(one);
    const struct pr_arg arg = pr_i64((int64_t)id);
    if (answered && latest)
        pr_http_problem(res, 404, "Not found", "there was no fail-over yet", NULL);
    else if (latest || (!answered && db_away(ctx)))
        pr_http_fail(res, rc, &err);
    else if (db_away(ctx))
        pr_http_problem(res, 404, "Not found", "older fail-overs are known to PostgreSQL alone",
                        NULL);
    else
        api_get_row(ctx, "SELECT " ROW " FROM dr_failovers f WHERE f.id = $1", &arg,
                    pr_arena_printf(req->arena, "fail-over %" PRIu64, id), req, res);
}

/* --- doing -------------------------------------------------------------------------------------
 */

struct wanted {
    const char *to;
    bool old_side_is_down, over_existing, accept_loss, has_wait;
    int64_t wait_s;
};

static bool read_body(const struct pr_http_req *req, bool begins, json_t **body, struct wanted *w,
                      struct pr_http_res *res)
{
    static const struct api_member members[] = {
        { "to", API_STRING, 0, offsetof(struct wanted, to), 0 },
        { "oldSideIsDown", API_BOOLEAN, 0, offsetof(struct wanted, old_side_is_down), 0 },
        { "overExisting", API_BOOLEAN, 0, offsetof(struct wanted, over_existing), 0 },
        { "acceptLoss", API_BOOLEAN, 0, offsetof(struct wanted, accept_loss), 0 },
        { "waitS", API_INTEGER, 0, offsetof(struct wanted, wait_s),
          offsetof(struct wanted, has_wait) },
    };
    struct api_errors errs = { 0 };
    *body = req->body_len == 0 ? json_object() : api_body(req, res);
    if (*body == NULL)
        return false;
    api_members(*body, "", members, PR_COUNT(members), w, &errs);
    if (errs.n == 0 && begins && (w->to == NULL || w->to[0] == '\0'))
        api_error(&errs, "to", "is required");
    if (errs.n == 0 && !begins && w->to != NULL)
        api_error(&errs, "to", "cannot be changed");
    if (errs.n == 0 && w->has_wait && (w->wait_s < 1 || w->wait_s > 3600))
        api_error(&errs, "waitS", "1 to 3600");
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    return errs.n == 0;
}

static void fill(request *q, const struct wanted *w, const struct pr_http_req *req)
{
    if (w->to != NULL)
        q->to = (char *)(uintptr_t)w->to;
    q->old_side_is_down = w->old_side_is_down;
    q->over_existing = w->over_existing;
    q->accept_loss = w->accept_loss;
    q->wait_ms = w->wait_s * 1000;
    q->by = (char *)(uintptr_t)api_who(req);
}

/* What was asked for is on the trail, also when it was refused. */
static void trail(struct api *api, const struct pr_http_req *req, const char *action,
                  const json_t *body, enum pr_code rc, const struct pr_err *err)
{
    json_t *after = json_deep_copy(body);
    if (after != NULL && rc != PR_OK)
        json_object_set_new(after, "refused", json_string(err->text));
    api_standby_note(api->standby, api_who(req), action,
                     req->param[0] == NULL
                         ? "dr/failovers"
                         : pr_arena_printf(req->arena, "dr/failovers/%s", req->param[0]),
                     after, pr_now_ms());
    json_decref(after);
}

static void accepted(const struct pr_http_req *req, const struct told *t, struct pr_http_res *res)
{
    json_t *f = failover_of(t);
    const json_int_t id = json_integer_value(json_object_get(f, "id"));
    if (f == NULL) /* its checks take long: the journal has nothing yet */
        f = json_pack("{s:n,s:s,s:b}", "id", "state", "checking", "executing", t->executing);
    api_header(res, "Location",
               id > 0 ? pr_arena_printf(req->arena, "/v1/dr/failovers/%" JSON_INTEGER_FORMAT, id)
                      : "/v1/dr/failovers/latest");
    api_reply(res, 202, f);
}

static void act(struct api *api, const struct pr_http_req *req, request *q, const char *action,
                struct pr_http_res *res)
{
    struct wanted w = { 0 };
    struct pr_err err = { 0 };
    struct told t = { NULL, false };
    PR_AUTO(json_t) *body = NULL;
    const char *key = pr_http_header(req, "Idempotency-Key");
    if (key != NULL && !api_idempotency_key_valid(key)) {
        pr_http_problem(res, 400, "Bad Idempotency-Key", "1 to 255 printable characters",
                        "Idempotency-Key");
        return;
    }
    if (!read_body(req, q->verb == EXECUTE || q->verb == PLAN, &body, &w, res))
        return;
    fill(q, &w, req);
    char mark[API_MARK];
    if (key != NULL && !api_request_mark(req, key, mark)) {
        pr_http_problem(res, 500, "Out of memory", "no memory for the request", NULL);
        return;
    }
    if (key != NULL)
        q->key = mark;
    const enum pr_code rc = ask(api, q, &t, &err);
    if (q->verb != PLAN)
        trail(api, req, action, body, rc, &err);
    if (rc != PR_OK)
        pr_http_fail(res, rc, &err);
    else if (q->verb == PLAN)
        api_reply(res, 200, shown(json_incref(t.j)));
    else
        accepted(req, &t, res);
    json_decref(t.j);
}

void api_failover_create(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    request q = PRISM__V1__DR_FAILOVER_REQUEST__INIT;
    bool dry;
    if (!api_dry_run(req, &dry, res))
        return;
    q.verb = dry ? PLAN : EXECUTE;
    act(ctx, req, &q, "dr.failover.execute", res);
}

static void act_on(struct api *api, const struct pr_http_req *req, request *q, const char *action,
                   struct pr_http_res *res)
{
    uint64_t id;
    if (failover_id(req, &id, res)) {
        q->number = id;
        act(api, req, q, action, res);
    }
}

void api_failover_resume(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    request q = PRISM__V1__DR_FAILOVER_REQUEST__INIT;
    q.verb = RESUME;
    act_on(ctx, req, &q, "dr.failover.resume", res);
}

void api_failover_abort(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    request q = PRISM__V1__DR_FAILOVER_REQUEST__INIT;
    q.verb = ABORT;
    act_on(ctx, req, &q, "dr.failover.abort", res);
}
