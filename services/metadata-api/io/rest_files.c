/* Pages that people look at: the dashboard, the description; and who a token is, which the
 * dashboard asks to know what to offer. Everything comes from this server. */
#include "api.h"
#include "files.h"

#include <string.h>

static const struct api_file *find(const char *path)
{
    for (size_t i = 0; i < api_file_count; i++)
        if (strcmp(api_files[i].path, path) == 0)
            return &api_files[i];
    return NULL;
}

void api_file_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    const struct api_file *f = find(req->path);
    if (f == NULL) {
        pr_http_problem(res, 404, "Not Found", "the dashboard has no such file", NULL);
        return;
    }
    const char *have = pr_http_header(req, "If-None-Match");
    res->content_type = f->type;
    /* What an attacker who got markup into a page would need is not there: scripts and styles come
     * as files of this server only, and no text becomes markup (trusted types). */
    api_header(res, "Content-Security-Policy",
               "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
               "require-trusted-types-for 'script'; trusted-types 'none'");
    api_header(res, "Cross-Origin-Opener-Policy", "same-origin");
    api_header(res, "Cross-Origin-Resource-Policy", "same-origin");
    api_header(res, "ETag", f->etag);
    /* Kept, and asked for each time: after an update no page is put together from two versions. */
    api_header(res, "Cache-Control", "no-cache");
    if (have != NULL && strstr(have, f->etag) != NULL)
        res->status = 304;
    else
        pr_buf_str(&res->body, f->text);
}

void api_description_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    pr_buf_str(&res->body, api_description);
}

/* From the table that decides, so that what is offered is what is allowed. */
static json_t *denied_to(enum api_role role)
{
    json_t *denied = json_array();
    for (size_t i = 0; i < api_route_count; i++)
        if (!api_allowed(role, api_routes[i].access))
            (void)json_array_append_new(
                denied, json_pack("{s:s,s:s,s:s}", "method", api_routes[i].method, "path",
                                  api_routes[i].pattern, "needs",
                                  api_role_name(api_access_needs(api_routes[i].access))));
    return denied;
}

void api_whoami_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    const struct api_principal *who = req->principal;
    api_reply(res, 200,
              json_pack("{s:s,s:s,s:o}", "name", who->name, "role", api_role_name(who->role),
                        "denied", denied_to(who->role)));
}
