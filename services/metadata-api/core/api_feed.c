#include "api_feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int api_cursor_order(const struct api_cursor *a, const struct api_cursor *b)
{
    if (a->xid != b->xid)
        return a->xid < b->xid ? -1 : 1;
    return a->id == b->id ? 0 : a->id < b->id ? -1 : 1;
}

void api_cursor_text(const struct api_cursor *c, char out[API_CURSOR_MAX])
{
    (void)snprintf(out, API_CURSOR_MAX, "%" PRIu64 ".%" PRIu64 ".%" PRIu64, c->timeline, c->xid,
                   c->id);
}

/* Digits up to the character stop; false for none, too many, or a sign. */
static bool number(const char **at, char stop, uint64_t *out)
{
    uint64_t v = 0;
    const char *p = *at;
    for (; *p >= '0' && *p <= '9'; p++) {
        const uint64_t digit = (uint64_t)(*p - '0');
        if (v > (INT64_MAX - digit) / 10) /* ids are bigint */
            return false;
        v = v * 10 + digit;
    }
    if (p == *at || *p != stop)
        return false;
    *at = p + 1;
    *out = v;
    return true;
}

enum pr_code api_cursor_read(const char *text, struct api_cursor *out, struct pr_err *err)
{
    struct api_cursor c;
    const char *at = text;
    if (!number(&at, '.', &c.timeline) || c.timeline == 0 || !number(&at, '.', &c.xid) ||
        !number(&at, '\0', &c.id))
        return pr_fail(err, PR_EINVAL, "not an id of an event of this API: %.60s", text);
    *out = c;
    return PR_OK;
}

enum api_resume api_cursor_resume(const struct api_cursor *at, const struct api_cursor *floor,
                                  const struct api_cursor *now)
{
    if (at->timeline != now->timeline || api_cursor_order(at, floor) < 0)
        return API_RESUME_GONE;
    /* From the future: the database is an older one. */
    return at->xid > now->xid ? API_RESUME_GONE : API_RESUME_OK;
}

bool api_feed_wants(const char *prefix, const char *resource)
{
    if (prefix == NULL)
        return true;
    const size_t n = strlen(prefix);
    return strncmp(prefix, resource, n) == 0 && (resource[n] == '\0' || resource[n] == '/');
}

/* Names of resources are ids that the API checked: letters, digits, and some
 * signs, but no quotes; escaped all the same. */
static void text(struct pr_buf *out, const char *s)
{
    pr_buf_str(out, "\"");
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            pr_buf_printf(out, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            pr_buf_printf(out, "\\u%04x", (unsigned char)*s);
        else
            pr_buf_add(out, s, 1);
    }
    pr_buf_str(out, "\"");
}

void api_feed_json(struct pr_buf *out, const struct api_change_row *row)
{
    char id[API_CURSOR_MAX];
    api_cursor_text(&row->at, id);
    pr_buf_printf(out, "{\"id\":\"%s\",\"at\":", id);
    text(out, row->when);
    pr_buf_str(out, ",\"resource\":");
    text(out, row->resource);
    pr_buf_str(out, ",\"type\":");
    text(out, row->type);
    pr_buf_printf(out, ",\"revision\":%" PRIu64 ",\"state\":", row->revision);
    text(out, row->state);
    pr_buf_str(out, "}");
}

static void head(struct pr_buf *out, const char *kind, const struct api_cursor *at)
{
    char id[API_CURSOR_MAX];
    api_cursor_text(at, id);
    pr_buf_printf(out, "id: %s\nevent: %s\ndata: ", id, kind);
}

void api_feed_event(struct pr_buf *out, const struct api_change_row *row)
{
    head(out, "change", &row->at);
    api_feed_json(out, row);
    pr_buf_str(out, "\n\n");
}

void api_feed_bookmark(struct pr_buf *out, const struct api_cursor *at)
{
    char id[API_CURSOR_MAX];
    api_cursor_text(at, id);
    head(out, "bookmark", at);
    pr_buf_printf(out, "{\"id\":\"%s\"}\n\n", id);
}

enum pr_code api_ring_init(struct api_ring *r, size_t cap, struct pr_err *err)
{
    *r = (struct api_ring){ .row = calloc(cap, sizeof *r->row), .cap = cap };
    return r->row == NULL ? pr_fail(err, PR_ENOMEM, "%zu changes", cap) : PR_OK;
}

void api_ring_done(struct api_ring *r)
{
    free(r->row);
    *r = (struct api_ring){ 0 };
}

void api_ring_begin(struct api_ring *r, const struct api_cursor *at)
{
    r->first = r->end = 0;
    r->from = r->until = *at;
}

void api_ring_add(struct api_ring *r, const struct api_change_row *rows, size_t n,
                  const struct api_cursor *until)
{
    for (size_t i = 0; i < n; i++) {
        struct api_change_row *to = &r->row[r->end % r->cap];
        if (r->end - r->first == r->cap) {
            r->from = to->at;
            r->first++;
        }
        *to = rows[i];
        r->end++;
    }
    r->until = *until;
}

bool api_ring_covers(const struct api_ring *r, const struct api_cursor *at)
{
    return r->from.timeline != 0 && at->timeline == r->from.timeline &&
           api_cursor_order(at, &r->from) >= 0;
}

/* The first row after at. */
static uint64_t find(const struct api_ring *r, const struct api_cursor *at)
{
    uint64_t lo = r->first, hi = r->end;
    while (lo < hi) {
        const uint64_t mid = lo + (hi - lo) / 2;
        if (api_cursor_order(&r->row[mid % r->cap].at, at) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void api_ring_read(const struct api_ring *r, const char *prefix, size_t max, struct api_cursor *at,
                   struct pr_buf *out)
{
    uint64_t i = find(r, at);
    for (; i < r->end && out->len < max; i++) {
        const struct api_change_row *row = &r->row[i % r->cap];
        if (api_feed_wants(prefix, row->resource))
            api_feed_event(out, row);
        *at = row->at;
    }
    if (i == r->end && api_cursor_order(&r->until, at) > 0)
        *at = r->until;
}
