/* One change asked for over REST: state, audit row, command or event in the
 * outbox, operation row and the stored answer for its Idempotency-Key, all in
 * one transaction. */
#ifndef METADATA_API_CHANGE_H
#define METADATA_API_CHANGE_H

#include "api.h"

struct api_change;
/* Makes the change inside the transaction, which may be tried several times:
 * fills in below only through the functions that follow. */
typedef enum pr_code api_change_fn(struct pr_db *db, struct api_change *c, struct pr_err *err);

struct api_change {
    const char *action; /* of the audit row: "node.register" */
    api_change_fn *fn;
    const void *in;  /* the request, checked */
    int fresh_parts; /* of the snapshot, renewed before the answer */
    bool surely;     /* the token of whoever asks is looked up in the same transaction */
    bool dry;        /* roll back, answer what would be */
    /* Members that the answer has and nothing that is kept: not the audit row, not what an
     * Idempotency-Key brings back. Borrowed; NULL: none. */
    json_t *once;

    /* what fn made: */
    const struct pr_http_req *req;
    char resource[160];     /* "nodes/n1" */
    json_t *before, *after; /* owned */
    int status;             /* of the answer; of the problem when fn failed and set it */
    char field[96];         /* of the problem: what it is about; "" */
    uint64_t etag;          /* the generation; 0: none */
    uint64_t revision;      /* of the resource after it */
    char operation[40];     /* id, for Location; "" */
    bool created;           /* Location: the resource */
    /* set by api_change_run: */
    bool replayed;
    int stored_status;
    char *stored; /* answer of the first request with this key; owned */
};

/* Runs c and answers. */
void api_change_run(struct api *api, struct api_change *c, const struct pr_http_req *req,
                    struct pr_http_res *res);

/* For fn: an operation row of state pending; id may be NULL for a fresh one.
 * Its id goes to c->operation. */
PR_CHECKED enum pr_code api_change_operation(struct pr_db *db, struct api_change *c, const char *id,
                                             const char *kind, struct pr_err *err);
/* A Changed event of c->resource for the other replicas. */
PR_CHECKED enum pr_code api_change_event(struct pr_db *db, const struct api_change *c,
                                         uint64_t revision, const char *state, struct pr_err *err);
/* The resource as JSON after the change (taken over): answer, ETag and revision. */
PR_CHECKED enum pr_code api_change_took(struct api_change *c, json_t *after, struct pr_err *err);
/* What an ETag of a resource begins with: its generation; without one, its version or revision. */
uint64_t api_generation(const json_t *resource);
/* If-Match against the generation. required: 428 without one. 412 when stale. */
PR_CHECKED enum pr_code api_change_precondition(struct api_change *c, uint64_t generation,
                                                bool required, struct pr_err *err);
/* Fails with a status of its own. */
#define api_change_fail(c, st, err, code, ...)                                                     \
    ((c)->status = (st), pr_fail((err), (code), __VA_ARGS__))

/* As api_change_fail, naming the field of the request that is to blame. */
#define api_change_fail_at(c, st, at, err, code, ...)                                              \
    (snprintf((c)->field, sizeof(c)->field, "%s", (at)),                                           \
     api_change_fail((c), (st), (err), (code), __VA_ARGS__))

/* SHA-256, in hex, of who asks, for what, and the Idempotency-Key: another service knows by it
 * whether a request is the same one again. False: no memory. */
enum { API_MARK = 2 * API_HASH_BYTES + 1 };
PR_CHECKED bool api_request_mark(const struct pr_http_req *req, const char *key,
                                 char hex[API_MARK]);

/* ?dryRun=true; false after writing a problem for another value. */
bool api_dry_run(const struct pr_http_req *req, bool *dry, struct pr_http_res *res);

#endif
