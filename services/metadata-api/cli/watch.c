/* prismctl events, and --watch of other commands: server-sent events of /v1/events. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME_BYTES = 64 * 1024,
    CONNECT_TIMEOUT_S = 5,
    SILENT_S = 45, /* bookmarks come every 10 s: later nobody is there */
    GIVE_UP = 10,  /* connections in a row that brought nothing */
};

/* One change; false: enough. */
typedef bool on_change_fn(void *ctx, const json_t *change);

struct watch {
    struct ctl *ctl;
    CURL *curl; /* its own: a handler may make calls */
    const char *resource;
    char last_id[64];
    on_change_fn *on_change;
    bool (*on_block)(void *ctx); /* after the frames of one read; NULL: nothing */
    void *ctx;
    char text[FRAME_BYTES];
    size_t len;
    bool heard, enough;
};

static void field(const char *frame, const char *name, char *out, size_t cap)
{
    const size_t n = strlen(name);
    out[0] = '\0';
    for (const char *line = frame; line != NULL;
         line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1)
        if (strncmp(line, name, n) == 0)
            snprintf(out, cap, "%.*s", (int)strcspn(line + n, "\n"), line + n);
}

static void take_frame(struct watch *w, const char *frame, bool *news)
{
    char kind[16], id[64], data[4096];
    field(frame, "event: ", kind, sizeof kind);
    field(frame, "id: ", id, sizeof id);
    field(frame, "data: ", data, sizeof data);
    w->heard = true;
    json_t *j = strcmp(kind, "change") == 0 ? json_loads(data, 0, NULL) : NULL;
    if (j != NULL) {
        *news = true;
        w->enough = !w->on_change(w->ctx, j);
        json_decref(j);
    }
    if (id[0] != '\0') /* only now: what was not handled is asked for again */
        memcpy(w->last_id, id, sizeof id);
}

static size_t on_data(char *p, size_t size, size_t n, void *ctx)
{
    struct watch *w = ctx;
    char *at = w->text, *end;
    bool news = false;
    n *= size;
    if (w->len + n >= sizeof w->text)
        return 0; /* no frame is that long */
    memcpy(w->text + w->len, p, n);
    w->len += n;
    w->text[w->len] = '\0';
    while (!w->enough && (end = strstr(at, "\n\n")) != NULL) {
        *end = '\0';
        take_frame(w, at, &news);
        at = end + 2;
    }
    w->len -= (size_t)(at - w->text);
    memmove(w->text, at, w->len + 1);
    if (news && !w->enough && w->on_block != NULL)
        w->enough = !w->on_block(w->ctx);
    return w->enough ? 0 : n;
}

static struct curl_slist *headers(const struct watch *w)
{
    struct curl_slist *h = curl_slist_append(NULL, "Accept: text/event-stream");
    h = ctl_bearer(h, w->ctl);
    return w->last_id[0] == '\0' ? h : ctl_header(h, "Last-Event-ID", w->last_id);
}

/* One connection, as long as it lasts; its status, 0 when there was none. */
static long listen_once(struct watch *w, char why[CURL_ERROR_SIZE])
{
    char url[4096], query[512] = "";
    long status = 0;
    struct curl_slist *h = headers(w);
    ctl_query(query, sizeof query, "resource", w->resource);
    snprintf(url, sizeof url, "%s/v1/events?%s", w->ctl->url, query);
    curl_easy_reset(w->curl);
    w->len = 0;
    why[0] = '\0';
    ctl_connection(w->ctl, w->curl);
    curl_easy_setopt(w->curl, CURLOPT_URL, url);
    curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, h);
    curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(w->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(w->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(w->curl, CURLOPT_LOW_SPEED_TIME, (long)SILENT_S);
    curl_easy_setopt(w->curl, CURLOPT_FAILONERROR, 1L); /* a problem is no event */
    curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, w);
    (void)curl_easy_perform(w->curl);
    curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(h);
    return status;
}

static int listen_on(struct watch *w)
{
    char why[CURL_ERROR_SIZE];
    for (int silent = 0; silent < GIVE_UP;) {
        w->heard = false;
        const long status = listen_once(w, why);
        if (w->enough)
            return CTL_OK;
        if (status == 410)
            return ctl_complain(CTL_CONFLICT, "changes after event %s are not kept any more",
                                w->last_id);
        if (status >= 400 && status < 500 && status != 429)
            return ctl_complain(ctl_exit_of(status), "events: HTTP status %ld", status);
        silent = w->heard ? 0 : silent + 1;
        nanosleep(&(struct timespec){ .tv_sec = w->heard ? 0 : 1, .tv_nsec = 200000000L }, NULL);
    }
    return ctl_complain(CTL_CONNECT, "%s: %s", w->ctl->url, why);
}

static int follow(struct ctl *ctl, const char *resource, const char *after, on_change_fn *on_change,
                  bool (*on_block)(void *ctx), void *ctx)
{
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return ctl_complain(CTL_FAILED, "out of memory");
    *w = (struct watch){ .ctl = ctl,
                         .curl = curl_easy_init(),
                         .resource = resource,
                         .on_change = on_change,
                         .on_block = on_block,
                         .ctx = ctx };
    snprintf(w->last_id, sizeof w->last_id, "%s", after == NULL ? "" : after);
    int code = w->curl == NULL ? ctl_complain(CTL_FAILED, "libcurl does not start") : listen_on(w);
    curl_easy_cleanup(w->curl);
    free(w);
    return code;
}

/* --- events --------------------------------------------------------------- */

static const struct ctl_column columns[] = {
    { "AT", "at" },       { "RESOURCE", "resource" }, { "TYPE", "type" },
    { "STATE", "state" }, { "REVISION", "revision" }, { "ID", "id" },
};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

struct printing {
    const struct ctl *ctl;
    size_t left; /* 0: no limit */
};

static bool print_change(void *ctx, const json_t *change)
{
    struct printing *p = ctx;
    if (!p->ctl->json) {
        printf("%s  %-7s  %-40s  %-12s  %" JSON_INTEGER_FORMAT "\n",
               json_string_value(json_object_get(change, "at")),
               json_string_value(json_object_get(change, "type")),
               json_string_value(json_object_get(change, "resource")),
               json_string_value(json_object_get(change, "state")),
               json_integer_value(json_object_get(change, "revision")));
    } else {
        ctl_print_item(change);
    }
    /* Who reads a pipe that is closed wants no more. */
    return fflush(stdout) == 0 && (p->left == 0 || --p->left > 0);
}

int ctl_events(struct ctl *ctl, const struct ctl_line *line)
{
    const char *limit = ctl_opt(line, "limit"), *after = ctl_opt(line, "after");
    const char *resource = ctl_opt(line, "resource");
    if (ctl_opt(line, "watch") != NULL) {
        struct printing p = { ctl, limit == NULL ? 0 : strtoul(limit, NULL, 10) };
        return follow(ctl, resource, after, print_change, NULL, &p);
    }
    char query[1024] = "";
    ctl_query(query, sizeof query, "resource", resource);
    ctl_query(query, sizeof query, "after", after);
    json_t *list;
    int code =
        ctl_list(ctl, "/v1/events", query, limit == NULL ? 100 : strtoul(limit, NULL, 10), &list);
    if (code == CTL_OK) {
        ctl_print_list(ctl, list, columns, COLUMNS);
        json_decref(list);
    }
    return code;
}

/* --- --watch of a command ---------------------------------------------------- */

struct repeat {
    struct ctl *ctl;
    const struct ctl_line *line;
    int code;
};

static bool note(void *ctx, const json_t *change)
{
    (void)ctx;
    (void)change;
    return true;
}

/* Once for all changes that came together. */
static bool show_again(void *ctx)
{
    struct repeat *r = ctx;
    if (!r->ctl->json)
        fputs(isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "\n", stdout);
    r->code = r->line->command->run(r->ctl, r->line);
    return r->code == CTL_OK && fflush(stdout) == 0;
}

int ctl_watch(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct {
        const char *group, *resource;
    } watched[] = {
        { "node", "nodes" },
        { "zone", "zones" },
        { "placement", "placement/runs" },
        { "plan", "rebalance/plans" },
        { "operation", "operations" },
        { "autoscale", "autoscale" },
        { "pin", "rebalance/pins" },
    };
    const char *resource = NULL; /* everything */
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++)
        if (strcmp(watched[i].group, line->command->group) == 0)
            resource = watched[i].resource;
    struct repeat r = { ctl, line, line->command->run(ctl, line) };
    if (r.code != CTL_OK || fflush(stdout) != 0)
        return r.code;
    int code = follow(ctl, resource, NULL, note, show_again, &r);
    return r.code != CTL_OK ? r.code : code;
}
