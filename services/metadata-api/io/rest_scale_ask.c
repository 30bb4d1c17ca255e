/* What only the autoscale service can say: whether settings are fit, what they would have
 * done, whether a decision would be made again. */
#include "prism/v1/autoscale.pb-c.h"
#include "rest_scale.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECK_MS = 10000,
    WORK_MS = 55000,          /* NATS lets the service answer for a minute */
    MAX_SETTINGS = 512 * 1024 /* what NATS takes is 1 MiB */
};

/* --- check --------------------------------------------------------------------- */

static enum pr_code ask_check(struct api *api, const char *fleet, const char *settings,
                              Prism__V1__AutoscaleCheckResponse **out, struct pr_err *err)
{
    void *reply = NULL;
    size_t len = 0;
    Prism__V1__AutoscaleCheckRequest q = PRISM__V1__AUTOSCALE_CHECK_REQUEST__INIT;
    q.fleet = (char *)(uintptr_t)fleet;
    q.settings = (char *)(uintptr_t)settings;
    uint8_t *packed = malloc(prism__v1__autoscale_check_request__get_packed_size(&q));
    if (packed == NULL)
        return pr_fail(err, PR_ENOMEM, "settings of fleet %s", fleet);
    enum pr_code rc = pr_bus_request(api->svc->bus, "prism.rpc.autoscale.check", packed,
                                     prism__v1__autoscale_check_request__pack(&q, packed), CHECK_MS,
                                     &reply, &len, err);
    free(packed);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "settings can be checked by the autoscale service alone");
    *out = prism__v1__autoscale_check_response__unpack(NULL, len, reply);
    free(reply);
    return *out != NULL ? PR_OK
                        : pr_fail(err, PR_EUNAVAIL, "autoscale sent something else than a verdict");
}

static void refuse_settings(const Prism__V1__AutoscaleCheckResponse *r, struct pr_http_res *res)
{
    char field[96];
    struct api_errors errs = { 0 };
    const bool whole = r->path[0] == '\0' || strcmp(r->path, "settings") == 0;
    snprintf(field, sizeof field, "settings%s%s", whole ? "" : ".", whole ? "" : r->path);
    api_error(&errs, field, "%s", r->error);
    api_refuse(res, 400, "Bad request", &errs);
}

bool api_settings_fit(struct api *api, const char *fleet, const char *settings,
                      struct pr_http_res *res)
{
    struct pr_err err = { 0 };
    Prism__V1__AutoscaleCheckResponse *r = NULL;
    if (strlen(settings) > MAX_SETTINGS) {
        pr_http_problem(res, 413, "Too large", "settings are at most 512 KiB", "settings");
        return false;
    }
    enum pr_code rc = ask_check(api, fleet, settings, &r, &err);
    if (rc != PR_OK) {
        pr_http_fail(res, rc, &err);
        return false;
    }
    const bool fit = r->error[0] == '\0';
    if (!fit)
        refuse_settings(r, res);
    prism__v1__autoscale_check_response__free_unpacked(r, NULL);
    return fit;
}

/* --- simulate ------------------------------------------------------------------ */

struct what_if {
    const char *fleet, *settings; /* settings NULL: those that hold */
    int64_t from_ms, to_ms;       /* 0: not given */
};

static enum pr_code ask_simulate(struct api *api, const struct what_if *w,
                                 Prism__V1__AutoscaleSimulateResponse **out, struct pr_err *err)
{
    void *reply = NULL;
    size_t len = 0;
    Prism__V1__AutoscaleSimulateRequest q = PRISM__V1__AUTOSCALE_SIMULATE_REQUEST__INIT;
    q.fleet = (char *)(uintptr_t)w->fleet;
    if (w->settings != NULL)
        q.settings = (char *)(uintptr_t)w->settings;
    q.from_ms = w->from_ms;
    q.to_ms = w->to_ms;
    uint8_t *packed = malloc(prism__v1__autoscale_simulate_request__get_packed_size(&q) + 1);
    if (packed == NULL)
        return pr_fail(err, PR_ENOMEM, "simulation of fleet %s", w->fleet);
    enum pr_code rc = pr_bus_request(api->svc->bus, "prism.rpc.autoscale.simulate", packed,
                                     prism__v1__autoscale_simulate_request__pack(&q, packed),
                                     WORK_MS, &reply, &len, err);
    free(packed);
    if (rc != PR_OK)
        return rc;
    *out = prism__v1__autoscale_simulate_response__unpack(NULL, len, reply);
    free(reply);
    return *out != NULL
               ? PR_OK
               : pr_fail(err, PR_EUNAVAIL, "autoscale sent something else than a simulation");
}

static void read_range(const json_t *from, const json_t *to, struct what_if *w,
                       struct api_errors *errs)
{
    if (from != NULL && !api_time_parse(json_string_value(from), &w->from_ms))
        api_error(errs, "from", "a time such as 2026-11-21T10:05:00Z");
    if (to != NULL && !api_time_parse(json_string_value(to), &w->to_ms))
        api_error(errs, "to", "a time such as 2026-11-21T10:05:00Z");
    if (errs->n == 0 && w->to_ms != 0 && w->from_ms >= w->to_ms)
        api_error(errs, "from", "must be before to");
}

static void answer_simulation(struct api *api, const struct what_if *w, struct pr_http_res *res)
{
    struct pr_err err = { 0 };
    Prism__V1__AutoscaleSimulateResponse *r = NULL;
    enum pr_code rc = ask_simulate(api, w, &r, &err);
    if (rc != PR_OK) {
        pr_http_fail(res, rc, &err);
        return;
    }
    if (r->error[0] != '\0')
        pr_http_problem(res, 409, "Cannot be simulated", r->error, NULL);
    else
        api_reply_text(res, r->result);
    prism__v1__autoscale_simulate_response__free_unpacked(r, NULL);
}

void api_fleet_simulate(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct body {
        const char *from, *to;
        json_t *settings;
    } in = { 0 };
    static const struct api_member members[] = {
        { "from", API_STRING, 0, offsetof(struct body, from), 0 },
        { "to", API_STRING, 0, offsetof(struct body, to), 0 },
        { "settings", API_OBJECT, 0, offsetof(struct body, settings), 0 },
    };
    struct what_if w = { .fleet = req->param[0] };
    struct api_errors errs = { 0 };
    if (!api_fleet_name(req, res))
        return;
    PR_AUTO(json_t) *body = req->body_len == 0 ? json_object() : api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", members, PR_COUNT(members), &in, &errs);
    if (errs.n == 0)
        read_range(json_object_get(body, "from"), json_object_get(body, "to"), &w, &errs);
    if (errs.n > 0) {
        api_refuse(res, 400, "Bad request", &errs);
        return;
    }
    char *settings = in.settings == NULL ? NULL : json_dumps(in.settings, JSON_COMPACT);
    w.settings = settings;
    if (in.settings != NULL && settings == NULL)
        pr_http_problem(res, 500, "Out of memory", "no memory for the request", NULL);
    else if (api_fleet_exists(ctx, w.fleet, res) &&
             (settings == NULL || api_settings_fit(ctx, w.fleet, settings, res)))
        answer_simulation(ctx, &w, res);
    free(settings);
}

/* --- replay -------------------------------------------------------------------- */

static enum pr_code ask_replay(struct api *api, int64_t id,
                               Prism__V1__AutoscaleReplayResponse **out, struct pr_err *err)
{
    uint8_t packed[32];
    void *reply = NULL;
    size_t len = 0;
    Prism__V1__AutoscaleReplayRequest q = PRISM__V1__AUTOSCALE_REPLAY_REQUEST__INIT;
    q.decision_id = (uint64_t)id;
    enum pr_code rc = pr_bus_request(api->svc->bus, "prism.rpc.autoscale.replay", packed,
                                     prism__v1__autoscale_replay_request__pack(&q, packed), WORK_MS,
                                     &reply, &len, err);
    if (rc != PR_OK)
        return rc;
    *out = prism__v1__autoscale_replay_response__unpack(NULL, len, reply);
    free(reply);
    return *out != NULL ? PR_OK
                        : pr_fail(err, PR_EUNAVAIL, "autoscale sent something else than a replay");
}

static json_t *lines_of(const char *text)
{
    json_t *lines = json_array();
    while (*text != '\0') {
        const size_t n = strcspn(text, "\n");
        if (n > 0)
            json_array_append_new(lines, json_stringn(text, n));
        text += n + (text[n] == '\n');
    }
    return lines;
}

void api_decision_replay(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    int64_t id;
    struct pr_err err = { 0 };
    Prism__V1__AutoscaleReplayResponse *r = NULL;
    if (!api_decision_id(req, res, &id) || !api_decision_exists(ctx, id, res))
        return;
    enum pr_code rc = ask_replay(ctx, id, &r, &err);
    if (rc != PR_OK) {
        pr_http_fail(res, rc, &err);
        return;
    }
    if (r->error[0] != '\0')
        pr_http_problem(res, 409, "Cannot be replayed", r->error, NULL);
    else
        api_reply(res, 200,
                  json_pack("{s:I,s:b,s:o}", "id", (json_int_t)id, "equal",
                            r->difference[0] == '\0', "difference", lines_of(r->difference)));
    prism__v1__autoscale_replay_response__free_unpacked(r, NULL);
}
