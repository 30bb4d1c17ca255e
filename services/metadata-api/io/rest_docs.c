/* /docs: the description as a page. Everything comes from this server. */
#include "api.h"

/* The files of docs/, made arrays at build time. */
extern const char api_docs_html[], api_docs_css[], api_docs_js[];

static void page(struct pr_http_res *res, const char *type, const char *text)
{
    res->content_type = type;
    api_header(res, "Content-Security-Policy",
               "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    pr_buf_str(&res->body, text);
}

void api_docs_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    page(res, "text/html; charset=utf-8", api_docs_html);
}

void api_docs_css_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    page(res, "text/css; charset=utf-8", api_docs_css);
}

void api_docs_js_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    page(res, "text/javascript; charset=utf-8", api_docs_js);
}

void api_description_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    pr_buf_str(&res->body, api_description);
}
