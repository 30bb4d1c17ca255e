#include "common.h"

#include "mask.h"
#include "prism/io/clock.h"
#include "prism/slot.h"

#include <inttypes.h>
#include <string.h>

/* A POST that a viewer may send asks, with more words than fit a target. */
static bool reads(const struct pr_http_route *route)
{
    return strcmp(route->method, "GET") == 0 || route->access == API_READ;
}

static uint64_t key_of(const struct api_principal *who)
{
    uint64_t key;
    memcpy(&key, who->hash, sizeof key); /* of a SHA-256: as good as random */
    return key == 0 ? 1 : key;
}

static int too_fast(struct api *api, const struct pr_http_req *req,
                    const struct pr_http_route *route, struct pr_http_res *res)
{
    /* Placement may have to read PostgreSQL for each neighbor: not as often as what we have here.
     */
    const bool read = reads(route) && route->fn != api_hint_suggest;
    const struct api_rate rate = { read ? api->config.reads_per_s : api->config.changes_per_s,
                                   api->config.burst_ms * 1000 };
    const int64_t wait_us = api_rates_take(read ? &api->reads : &api->changes, &rate,
                                           key_of(req->principal), pr_mono_us());
    if (wait_us == 0)
        return 0;
    pr_metrics_add(api->svc->metrics, API_M_DENIED, "rate", 1);
    pr_http_problem(res, 429, "Too many requests",
                    pr_arena_printf(req->arena, "%s may send %" PRId64 " %s a second", api_who(req),
                                    rate.per_s, read ? "reads" : "changes"),
                    NULL);
    api_header(res, "Retry-After",
               pr_arena_printf(req->arena, "%" PRId64, (wait_us + 999999) / 1000000));
    return 429;
}

/* A misspelt filter would list everything. */
static int unknown_query(struct api *api, const struct pr_http_req *req,
                         const struct pr_http_route *route, struct pr_http_res *res)
{
    const char *name;
    char known[512];
    for (size_t i = 0; (name = pr_http_query_name(req, i)) != NULL; i++) {
        if (api_spec_has_query(api->spec, route->method, route->pattern, name))
            continue;
        api_spec_queries(api->spec, route->method, route->pattern, known, sizeof known);
        pr_http_problem(res, 400, "Unknown argument",
                        known[0] == '\0'
                            ? "there are no query arguments here"
                            : pr_arena_printf(req->arena, "the query arguments are %s", known),
                        name);
        return 400;
    }
    return 0;
}

int api_admit(struct api *api, const struct pr_http_req *req, const struct pr_http_route *route,
              struct pr_http_res *res)
{
    int status = too_fast(api, req, route, res);
    return status != 0 ? status : unknown_query(api, req, route, res);
}

static void mask_body(const char *mask, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct pr_err err = { 0 };
    if (api_mask_check(mask, &err) != PR_OK) {
        pr_http_problem(res, 400, "Bad mask", err.text, "readMask");
        return;
    }
    PR_AUTO(json_t) *body = json_loadb(res->body.data, res->body.len, 0, NULL);
    pr_buf_done(&res->body);
    pr_buf_init(&res->body, 0);
    api_reply(res, 200, body == NULL ? NULL : api_mask_apply(mask, body));
    (void)req;
}

/* The ETag of what is about to be sent: what the handler wrote (the generation, for If-Match), and
 * after a dash a digest of the body, so that If-None-Match hears of a change of the status alone.
 */
static const char *etag_of(const struct pr_http_req *req, struct pr_http_res *res)
{
    for (size_t i = 0; i < PR_COUNT(res->header); i++)
        if (res->header[i].name != NULL && strcmp(res->header[i].name, "ETag") == 0 &&
            res->header[i].value != NULL) {
            const char *tag = res->header[i].value;
            const char *whole =
                pr_arena_printf(req->arena, "%.*s-%016" PRIx64 "\"", (int)(strlen(tag) - 1), tag,
                                pr_vertex_hash(res->body.data, res->body.len));
            return res->header[i].value = whole != NULL ? whole : tag;
        }
    return NULL;
}

/* RFC 9110: "*" or a list. */
static bool has_already(const char *if_none_match, const char *etag)
{
    const char *at = strstr(if_none_match, etag);
    return strcmp(if_none_match, "*") == 0 ||
           at != NULL; /* tags are quoted: no tag is in another */
}

void api_finish(void *ctx, const struct pr_http_req *req, const struct pr_http_route *route,
                struct pr_http_res *res)
{
    (void)ctx;
    if (!reads(route) || res->stream.more != NULL || (res->status != 0 && res->status != 200) ||
        strcmp(res->content_type, "application/json") != 0)
        return;
    const char *have = pr_http_header(req, "If-None-Match"), *etag = etag_of(req, res);
    if (have != NULL && etag != NULL && has_already(have, etag)) {
        pr_buf_done(&res->body);
        pr_buf_init(&res->body, 0);
        res->status = 304;
        return;
    }
    const char *mask = pr_http_query(req, "readMask");
    if (mask != NULL && route->access != API_OPEN)
        mask_body(mask, req, res);
}
