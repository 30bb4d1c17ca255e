/* Answers: their headers, their bodies, and what is left to do when they were sent. */
#include "http_conn.h"
#include "http_peer.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdlib.h>
#include <string.h>

static void add_headers(const struct pr_http_conn *c, struct MHD_Response *r, bool has_body)
{
    static const struct {
        const char *name, *value;
    } standard[] = {
        { "X-Content-Type-Options", "nosniff" },
        { "Cache-Control", "no-store" },
        { "X-Frame-Options", "DENY" },
        { "Referrer-Policy", "no-referrer" },
        { "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'" },
    };
    for (size_t i = 0; i < PR_COUNT(c->res.header); i++) {
        const char *name = c->res.header[i].name, *value = c->res.header[i].value;
        if (name != NULL && value != NULL && MHD_add_response_header(r, name, value) != MHD_YES)
            pr_warn(PR_EV("http.bad_header"), PR_S("name", name), PR_S("path", c->req.path));
    }
    for (size_t i = 0; i < PR_COUNT(standard); i++)
        if (MHD_get_response_header(r, standard[i].name) == NULL)
            (void)MHD_add_response_header(r, standard[i].name, standard[i].value);
    if (has_body && c->res.content_type != NULL)
        (void)MHD_add_response_header(r, "Content-Type", c->res.content_type);
    if (c->h->mount[0].tls != NULL)
        (void)MHD_add_response_header(r, "Strict-Transport-Security", "max-age=31536000");
    if (c->close || atomic_load(&c->h->closing))
        (void)MHD_add_response_header(r, "Connection", "close");
}

enum MHD_Result pr_http_answer(struct pr_http_conn *c)
{
    int status = c->res.status == 0 ? 200 : c->res.status;
    bool has_body = status >= 200 && status != 204 && status != 304;
    bool streams = has_body && c->res.stream.more != NULL;
    size_t n = has_body ? c->res.body.len : 0;
    struct MHD_Response *r;
    if (streams) {
        r = pr_stream_response(&c->stream, &c->res.stream, c->h, c->mhd);
    } else if (n > 0) {
        r = MHD_create_response_from_buffer(n, c->res.body.data, MHD_RESPMEM_MUST_FREE);
        if (r != NULL)
            c->res.body = (struct pr_buf){ 0 }; /* the response owns it now */
    } else
        r = MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (r == NULL)
        return MHD_NO;
    if (streams) /* for as long as it lasts */
        pr_peer_waits(c->peer);
    else
        pr_peer_takes(c->peer, n);
    /* Nothing of a kind is of that kind, too; no JSON is empty, though. */
    add_headers(c, r,
                streams || n > 0 ||
                    (has_body && strcmp(c->res.content_type, "application/json") != 0));
    c->status = status;
    c->sent = true;
    enum MHD_Result rc = MHD_queue_response(c->mhd, (unsigned)status, r);
    MHD_destroy_response(r);
    return rc;
}

static void call_done(struct pr_http_conn *c)
{
    int64_t us = pr_mono_us() - c->start_us;
    for (size_t i = 0; i < c->h->n_mounts; i++) {
        const struct pr_http_options *m = &c->h->mount[i];
        if (m->done != NULL && (i == 0 || c->mount == NULL || c->mount == m))
            m->done(m->ctx, &c->req, c->route, c->status, us);
    }
}

void pr_http_on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                          enum MHD_RequestTerminationCode why)
{
    struct pr_http_conn *c = *con_cls;
    (void)cls;
    (void)mhd;
    (void)why;
    if (c == NULL)
        return;
    *con_cls = NULL;
    pr_peer_rests(c->peer);
    pr_peer_hold(c->peer, NULL);
    struct pr_http *h = c->h;
    bool begun = c->begun;
    pr_log_trace(c->trace);
    if (!c->sent && c->stage == PR_HTTP_HANDLED) /* done, and its answer reaches nobody */
        c->status = 499;
    if (c->sent || c->status == 499)
        call_done(c);
    if (!c->sent) /* the client has gone before its answer began */
        c->stream.stream = c->res.stream;
    pr_stream_end(&c->stream);
    pr_buf_done(&c->body);
    pr_buf_done(&c->res.body);
    pr_arena_done(&c->arena);
    free(c);
    pr_log_trace(NULL);
    if (!begun)
        return; /* libmicrohttpd refused it by itself */
    pthread_mutex_lock(&h->lock);
    if (--h->active == 0)
        pthread_cond_broadcast(&h->idle);
    pthread_mutex_unlock(&h->lock);
}
