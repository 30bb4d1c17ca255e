/* /v1/events: what changed, as a list or as server-sent events. */
#include "api.h"
#include "feed.h"
#include "prism/io/clock.h"
#include "watch.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    BLOCK_BYTES = 16 * 1024,
    TOKEN_CHECK_MS = 1000,
    SEND_BUFFER_BYTES = 65536, /* what the kernel keeps for a client that does not read */
};

struct watch {
    struct api *api;
    struct api_watcher *place;
    struct api_cursor at;
    char prefix[API_RESOURCE_MAX]; /* "": everything */
    struct api_principal who;
    int access, socket;
    int64_t told_ms, checked_ms; /* monotonic */
};

static int64_t mono_ms(void)
{
    return pr_mono_us() / 1000;
}

static struct api_watch_limits limits_of(const struct api *api)
{
    const struct api_config *c = &api->config;
    return (struct api_watch_limits){ c->watchers, c->watchers_each, c->watch_slow_s * 1000 };
}

void api_watch_tick(struct api *api)
{
    const struct api_watch_limits l = limits_of(api);
    const size_t cut = api_watchers_cut(api->watchers, &l, mono_ms());
    if (cut > 0)
        pr_metrics_add(api->svc->metrics, API_M_WATCH_ENDS, "slow", (double)cut);
    pr_metrics_set(api->svc->metrics, API_M_WATCHERS, NULL,
                   (double)api_watchers_count(api->watchers));
}

/* A stream lives longer than the look at its token. */
static bool still_allowed(struct watch *w, int64_t now_ms)
{
    if (now_ms - w->checked_ms < TOKEN_CHECK_MS)
        return true;
    w->checked_ms = now_ms;
    PR_AUTO(api_snapshot) *s = api_cell_get(w->api->cell);
    return api_still_good(w->api, s, &w->who, w->access);
}

/* The last words of a stream. */
static bool over(struct watch *w, struct pr_buf *out, const char *why, const char *words)
{
    pr_metrics_add(w->api->svc->metrics, API_M_WATCH_ENDS, why, 1);
    pr_buf_printf(out, "event: end\ndata: {\"why\":\"%s\",\"detail\":\"%s\"}\n\n", why, words);
    return false;
}

static bool gone(struct watch *w, struct pr_buf *out)
{
    return over(w, out, "gone", "changes since then are not kept: list again");
}

/* From the table, for who is further behind than memory. */
static bool catch_up(struct watch *w, struct pr_buf *out)
{
    struct pr_err err = { 0 };
    struct pr_db *db = NULL;
    struct api_feed_rows *rows = malloc(sizeof *rows);
    enum pr_code rc = rows == NULL ? PR_ENOMEM : api_pool_take(w->api->pool, &db, &err);
    if (rc == PR_OK) {
        rc = api_feed_table(db, &w->at, w->prefix[0] == '\0' ? NULL : w->prefix, API_FEED_ROWS,
                            rows, &err);
        api_pool_give(w->api->pool, db);
    }
    const bool lost =
        rc == PR_OK && api_cursor_resume(&w->at, &rows->floor, &rows->now) == API_RESUME_GONE;
    for (size_t i = 0; rc == PR_OK && !lost && i < rows->n; i++)
        api_feed_event(out, &rows->row[i]);
    if (rc == PR_OK)
        w->at = rows->until;
    free(rows);
    if (lost)
        return gone(w, out);
    return rc == PR_OK || over(w, out, "unavailable", "PostgreSQL does not answer");
}

/* Who has gone gives its place back now, not at the next thing that cannot be sent. */
static bool hung_up(const struct watch *w)
{
    struct pollfd p = { .fd = w->socket, .events = POLLRDHUP };
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static bool more(void *ctx, struct pr_buf *out)
{
    struct watch *w = ctx;
    if (hung_up(w))
        return false;
    const char *prefix = w->prefix[0] == '\0' ? NULL : w->prefix;
    bool goes_on = true;
    api_watcher_handed(w->api->watchers, w->place, 0);
    if (!still_allowed(w, mono_ms()))
        goes_on = over(w, out, "token", "the token has ended");
    else
        switch (api_feed_read(w->api->feed, prefix, BLOCK_BYTES, &w->at, out)) {
        case API_FEED_READ:
            break;
        case API_FEED_BEHIND:
            goes_on = catch_up(w, out);
            break;
        case API_FEED_GONE:
            goes_on = gone(w, out);
            break;
        }
    const int64_t now = mono_ms();
    if (goes_on && out->len == 0 && now - w->told_ms >= w->api->config.bookmark_ms)
        api_feed_bookmark(out, &w->at);
    if (out->len > 0) {
        w->told_ms = now;
        api_watcher_handed(w->api->watchers, w->place, now);
    }
    return goes_on;
}

/* The first words: where the client is, before it lists what there is. */
static bool first(void *ctx, struct pr_buf *out)
{
    struct watch *w = ctx;
    pr_buf_str(out, "retry: 1000\n");
    api_feed_bookmark(out, &w->at);
    w->told_ms = mono_ms();
    return true;
}

static bool first_or_more(void *ctx, struct pr_buf *out)
{
    return ((struct watch *)ctx)->told_ms == 0 ? first(ctx, out) : more(ctx, out);
}

static void end(void *ctx)
{
    struct watch *w = ctx;
    api_watchers_remove(w->api->watchers, w->place);
    free(w);
}

static void refuse_gone(struct pr_http_res *res)
{
    pr_http_problem(res, 410, "Gone",
                    "changes after this event are not kept: list the resources again, then watch "
                    "without Last-Event-ID",
                    "Last-Event-ID");
}

/* Is everything after this place still there? False after writing a problem. */
static bool can_resume(struct api *api, const struct api_cursor *at, struct pr_http_res *res)
{
    struct pr_err err = { 0 };
    struct pr_db *db = NULL;
    if (api_feed_covers(api->feed, at))
        return true;
    struct api_feed_rows *rows = malloc(sizeof *rows);
    enum pr_code rc =
        rows == NULL ? pr_fail(&err, PR_ENOMEM, "watch") : api_pool_take(api->pool, &db, &err);
    if (rc == PR_OK) {
        rc = api_feed_table(db, at, NULL, 1, rows, &err);
        api_pool_give(api->pool, db);
    }
    const bool lost =
        rc == PR_OK && api_cursor_resume(at, &rows->floor, &rows->now) == API_RESUME_GONE;
    free(rows);
    if (rc != PR_OK)
        pr_http_fail(res, rc, &err);
    else if (lost)
        refuse_gone(res);
    return rc == PR_OK && !lost;
}

static void begin(struct api *api, struct watch *w, const struct pr_http_req *req,
                  struct pr_http_res *res)
{
    const struct api_watch_limits l = limits_of(api);
    const struct api_principal *who = req->principal;
    const int fd = pr_http_socket(req);
    struct pr_err err = { 0 };
    enum pr_code rc = api_watchers_add(api->watchers, &l, who->name, fd, &w->place, &err);
    if (rc != PR_OK) {
        free(w);
        pr_http_fail(res, rc, &err);
        return;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ SEND_BUFFER_BYTES }, sizeof(int));
    w->socket = fd;
    w->who = *who;
    w->checked_ms = mono_ms();
    res->content_type = "text/event-stream";
    res->stream = (struct pr_http_stream){ first_or_more, end, w };
}

static void watch(struct api *api, const char *prefix, const struct api_cursor *from,
                  const struct pr_http_req *req, struct pr_http_res *res)
{
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL) {
        pr_http_problem(res, 500, "Out of memory", "no memory for the watch", NULL);
        return;
    }
    w->api = api;
    w->access = API_READ;
    (void)snprintf(w->prefix, sizeof w->prefix, "%s", prefix == NULL ? "" : prefix);
    if (from != NULL)
        w->at = *from;
    else if (!api_feed_now(api->feed, &w->at)) {
        struct pr_err err;
        pr_http_fail(res, pr_fail(&err, PR_EUNAVAIL, "the changes have not been read yet"), &err);
        free(w);
        return;
    }
    if (from == NULL || can_resume(api, from, res))
        begin(api, w, req, res);
    else
        free(w);
}

/* --- as a list ---------------------------------------------------------------- */

static json_t *row_json(const struct api_change_row *row)
{
    struct pr_buf text = { 0 };
    api_feed_json(&text, row);
    json_t *j = text.failed ? NULL : json_loadb(text.data, text.len, 0, NULL);
    pr_buf_done(&text);
    return j;
}

static enum pr_code read_page(struct api *api, const struct api_cursor *after, const char *prefix,
                              struct api_page *page, bool *lost, struct pr_err *err)
{
    struct pr_db *db = NULL;
    struct api_feed_rows *rows = malloc(sizeof *rows);
    const size_t limit = page->size < API_FEED_ROWS ? page->size : API_FEED_ROWS;
    enum pr_code rc =
        rows == NULL ? pr_fail(err, PR_ENOMEM, "events") : api_pool_take(api->pool, &db, err);
    if (rc == PR_OK) {
        rc = api_feed_table(db, after, prefix, limit + 1, rows, err);
        api_pool_give(api->pool, db);
    }
    /* Without a place to begin at, what there is. */
    *lost = rc == PR_OK && after->timeline != 0 &&
            api_cursor_resume(after, &rows->floor, &rows->now) == API_RESUME_GONE;
    page->size = (unsigned)limit;
    for (size_t i = 0; rc == PR_OK && !*lost && i < rows->n; i++) {
        char key[API_CURSOR_MAX];
        api_cursor_text(&rows->row[i].at, key);
        if (!api_page_add(page, key, row_json(&rows->row[i])))
            break;
    }
    free(rows);
    return rc;
}

static void list(struct api *api, const char *prefix, const struct api_cursor *from,
                 const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "resource", "after" };
    const char *filter[2];
    struct api_page page;
    struct api_cursor after = { 0 };
    struct pr_err err = { 0 };
    bool lost = false;
    if (!api_page_begin(&page, "events", filters, 2, filter, req, res))
        return;
    enum pr_code rc = PR_OK;
    if (page.after[0] != '\0')
        rc = api_cursor_read(page.after, &after, &err);
    else if (from != NULL)
        after = *from;
    if (rc == PR_OK)
        rc = read_page(api, &after, prefix, &page, &lost, &err);
    if (rc == PR_OK && !lost) {
        api_page_end(&page, res);
        return;
    }
    json_decref(page.items);
    if (lost)
        refuse_gone(res);
    else
        pr_http_fail(res, rc, &err);
}

static bool asks_to_watch(const struct pr_http_req *req, bool *watches, struct pr_http_res *res)
{
    const char *accept = pr_http_header(req, "Accept"), *v = pr_http_query(req, "watch");
    *watches = v != NULL ? strcmp(v, "true") == 0
                         : accept != NULL && strstr(accept, "text/event-stream") != NULL;
    if (v == NULL || *watches || strcmp(v, "false") == 0)
        return true;
    pr_http_problem(res, 400, "Bad watch", "true or false", "watch");
    return false;
}

void api_event_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *prefix = pr_http_query(req, "resource");
    const char *last = pr_http_header(req, "Last-Event-ID"), *after = pr_http_query(req, "after");
    struct api_cursor from;
    struct pr_err err;
    bool watches;
    if (last == NULL || *last == '\0')
        last = after;
    if (!asks_to_watch(req, &watches, res))
        return;
    if (prefix != NULL && (*prefix == '\0' || strlen(prefix) >= API_RESOURCE_MAX)) {
        pr_http_problem(res, 400, "Bad resource", "the name of a resource, or of what it is in",
                        "resource");
        return;
    }
    if (last != NULL && api_cursor_read(last, &from, &err) != PR_OK) {
        pr_http_problem(res, 400, "Bad event id", err.text,
                        last == after ? "after" : "Last-Event-ID");
        return;
    }
    (watches ? watch : list)(ctx, prefix, last == NULL ? NULL : &from, req, res);
}
