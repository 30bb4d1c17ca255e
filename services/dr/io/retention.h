/* Deletes from the bucket what no restore within the window needs (core/retention.h says what):
 * manifests first, so that nothing half deleted looks whole, then parts, then containers. Where the
 * store was moved by region fail-overs, also what it shipped under earlier names. Safe to stop
 * anywhere and to repeat. */
#ifndef DR_RETENTION_IO_H
#define DR_RETENTION_IO_H

#include "core/retention.h"
#include "io/catalog.h"

struct dr_mark { /* what reading a generation found */
    char shard[DR_NAME];
    struct dr_generation_id id;
    int64_t verified_ms; /* Unix epoch; 0: never */
    bool damaged;
};

struct dr_retain {
    const struct pr_s3_store *store;
    const atomic_bool *cancel; /* may be NULL */
    const char *cluster;       /* under which the store ships now */
    const char *home; /* name below which the markers are (region/marker.h); NULL: there are
                       * none. Unless the newest of them names `cluster`, and its fail-over has
                       * ended, nothing of earlier names goes */
    struct dr_retention rule;
    const struct dr_mark *mark; /* [marks], borrowed, any order */
    size_t marks;
    uint64_t live;           /* dr_gives_live() */
    bool dry;                /* nothing is deleted, uploads are not looked at */
    bool (*sure)(void *ctx); /* asked before every batch: may we still? NULL: yes */
    void (*goes)(void *ctx, const char *key); /* NULL: nobody wants to know */
    void *ctx;
};

struct dr_retained {
    size_t manifests, parts, orphans, containers, maps; /* that went, or would */
    size_t earlier;                                     /* objects of earlier names, as well */
    size_t uploads;                                     /* in parts, that nobody finished */
    size_t stay, looked; /* containers that stay; of which the head was read */
    uint64_t bytes;      /* that went */
};
/* PR_EFENCED: not sure any more. */
PR_CHECKED enum pr_code dr_retain(const struct dr_retain *r, struct dr_retained *out,
                                  struct pr_err *err);

#endif
