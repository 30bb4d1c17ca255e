/* Errors as RFC 9457 problem+json. */
#include "prism/io/http.h"

#include "prism/io/json_text.h"
#include "prism/io/log.h"

#include <string.h>

void pr_http_problem(struct pr_http_res *res, int status, const char *title, const char *detail,
                     const char *field)
{
    pr_buf_done(&res->body);
    pr_buf_init(&res->body, 0);
    res->status = status;
    res->content_type = "application/problem+json";
    pr_buf_str(&res->body, "{\"type\":\"about:blank\",\"title\":");
    pr_json_add(&res->body, title == NULL ? "" : title);
    pr_buf_printf(&res->body, ",\"status\":%d,\"detail\":", status);
    pr_json_add(&res->body, detail == NULL ? "" : detail);
    if (field != NULL) {
        pr_buf_str(&res->body, ",\"field\":");
        pr_json_add(&res->body, field);
    }
    pr_buf_str(&res->body, "}");
}

int pr_http_status(enum pr_code code)
{
    switch (code) {
    case PR_OK:
        return 200;
    case PR_EINVAL:
        return 400;
    case PR_EDENIED:
        return 403;
    case PR_ENOTFOUND:
        return 404;
    case PR_EEXISTS:
    case PR_ECONFLICT:
        return 409;
    case PR_EFULL:
        return 429;
    case PR_EUNAVAIL:
    case PR_EFENCED:
        return 503;
    case PR_ETIMEOUT:
        return 504;
    default:
        return 500;
    }
}

static const char *title_of(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 409:
        return "Conflict";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "Internal Server Error";
    }
}

static void add_header(struct pr_http_res *res, const char *name, const char *value)
{
    for (size_t i = 0; i < PR_COUNT(res->header); i++)
        if (res->header[i].name == NULL) {
            res->header[i].name = name;
            res->header[i].value = value;
            return;
        }
}

void pr_http_fail(struct pr_http_res *res, enum pr_code code, const struct pr_err *err)
{
    int status = pr_http_status(code);
    const char *text = err == NULL ? pr_code_name(code) : err->text;
    if (status == 500) {
        /* Our own trouble goes to the log; the outside gets the way to find it. */
        pr_error(PR_EV("http.failed"), PR_S("code", pr_code_name(code)), PR_S("error", text));
        text = "internal error; the log has it as event http.failed";
    }
    if (status == 503 || status == 429)
        add_header(res, "Retry-After", "1");
    pr_http_problem(res, status, title_of(status), text, NULL);
}
