/* The feed of changes: cursors, what a watcher wants, how a change is written,
 * and the newest changes in memory. Pure; the ring is not locked.
 * Source: docs/how-to/watch-changes.md. */
#ifndef METADATA_API_FEED_H
#define METADATA_API_FEED_H

#include "prism/buf.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    API_CURSOR_MAX = 64,    /* bytes of a cursor as text, with its NUL */
    API_RESOURCE_MAX = 160, /* bytes of a resource's name, with its NUL */
};

/* A place between two changes: all up to it were seen. Changes are in the order
 * of (xid, id); the timeline is another after every restore and fail-over of
 * PostgreSQL, where numbers may have been given a second time. */
struct api_cursor {
    uint64_t timeline, xid, id;
};

/* <0, 0, >0. Of one timeline only. */
int api_cursor_order(const struct api_cursor *a, const struct api_cursor *b);
void api_cursor_text(const struct api_cursor *c, char out[API_CURSOR_MAX]);
/* PR_EINVAL: this API did not write that. */
PR_CHECKED enum pr_code api_cursor_read(const char *text, struct api_cursor *out,
                                        struct pr_err *err);

/* Where can a watcher that saw everything up to at go on? */
enum api_resume {
    API_RESUME_OK,
    API_RESUME_GONE, /* changes after at were thrown away, or it is of another timeline */
};
/* floor: the last change that was thrown away; now: timeline and first xid that is
 * not told yet. */
enum api_resume api_cursor_resume(const struct api_cursor *at, const struct api_cursor *floor,
                                  const struct api_cursor *now);

/* Is resource what prefix names, or inside it? prefix NULL: everything. */
bool api_feed_wants(const char *prefix, const char *resource);

struct api_change_row {
    struct api_cursor at;
    char resource[API_RESOURCE_MAX], type[8], state[24], when[40];
    uint64_t revision; /* 0: the resource has none */
};
/* JSON object, and that as a server-sent event. */
void api_feed_json(struct pr_buf *out, const struct api_change_row *row);
void api_feed_event(struct pr_buf *out, const struct api_change_row *row);
/* Nothing of interest up to here: go on from here when you come back. */
void api_feed_bookmark(struct pr_buf *out, const struct api_cursor *at);

/* The newest changes, and up to where they are complete. */
struct api_ring {
    struct api_change_row *row; /* [cap], owned; row i at i % cap */
    size_t cap;
    uint64_t first, end;           /* rows first..end-1 are there */
    struct api_cursor from, until; /* complete after from, up to until; timeline 0: empty */
};
PR_CHECKED enum pr_code api_ring_init(struct api_ring *r, size_t cap, struct pr_err *err);
void api_ring_done(struct api_ring *r);
/* Forgets everything and begins after at. */
void api_ring_begin(struct api_ring *r, const struct api_cursor *at);
/* rows: [n], in order, the next ones after until; then everything up to until is known. */
void api_ring_add(struct api_ring *r, const struct api_change_row *rows, size_t n,
                  const struct api_cursor *until);
/* Can a watcher at this place go on from memory? */
bool api_ring_covers(const struct api_ring *r, const struct api_cursor *at);
/* Writes what a watcher wants of the rows after *at, until out has max bytes or more,
 * and moves *at on. Only when it is covered. */
void api_ring_read(const struct api_ring *r, const char *prefix, size_t max, struct api_cursor *at,
                   struct pr_buf *out);

#endif
