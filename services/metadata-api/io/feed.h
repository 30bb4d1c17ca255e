/* The feed of changes as this replica knows it: one thread reads the table once
 * for all watchers, woken by LISTEN prism_changes; who is further behind than its
 * memory reads the table itself. Only rows below pg_snapshot_xmin are told, so
 * that none is skipped; one long transaction that writes, in any database of the
 * server, therefore holds the feed up, and loses nothing. */
#ifndef METADATA_API_FEED_IO_H
#define METADATA_API_FEED_IO_H

#include "api_feed.h"
#include "prism/io/db.h"
#include "prism/io/http.h"

struct api_feed;

PR_CHECKED enum pr_code api_feed_start(struct api_feed **feed, const char *db_uri,
                                       struct pr_http_bell *bell /* rung at news; borrowed */,
                                       struct pr_err *err);
void api_feed_free(struct api_feed *feed); /* stops it first; NULL is fine */

struct api_feed_stats {
    uint64_t changes, failed; /* told; reads of the table that failed */
    int64_t held_ms;          /* how long committed changes have waited for an older transaction */
};
void api_feed_stats(struct api_feed *feed, struct api_feed_stats *out);

/* Where a watcher begins that has seen nothing; false: the table was not read yet. */
bool api_feed_now(struct api_feed *feed, struct api_cursor *out);

/* Can a watcher go on after at from memory? */
bool api_feed_covers(struct api_feed *feed, const struct api_cursor *at);

enum api_feed_got {
    API_FEED_READ,   /* all there is, or as much as wanted: *at moved on */
    API_FEED_BEHIND, /* *at is older than what is in memory: read the table */
    API_FEED_GONE    /* another timeline */
};
/* As api_ring_read, without waiting. */
enum api_feed_got api_feed_read(struct api_feed *feed, const char *prefix, size_t max,
                                struct api_cursor *at, struct pr_buf *out);

/* Some rows of the table. */
enum { API_FEED_ROWS = 256 };
struct api_feed_rows {
    struct api_change_row row[API_FEED_ROWS + 1];
    size_t n;
    struct api_cursor until; /* every change that is wanted, up to here, was read */
    struct api_cursor floor, now;
    bool held; /* there are changes that may not be told yet */
};
/* At most limit rows after this place. */
PR_CHECKED enum pr_code api_feed_table(struct pr_db *db, const struct api_cursor *after,
                                       const char *prefix, size_t limit, struct api_feed_rows *out,
                                       struct pr_err *err);

/* Throws away what is older than that. */
PR_CHECKED enum pr_code api_feed_trim(struct pr_db *db, int64_t keep_h, struct pr_err *err);

#endif
