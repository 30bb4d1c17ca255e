/* Objects in S3, or in a server that speaks it: one struct pr_s3_store says where and how and
 * is shared by threads; one struct pr_s3, a kept connection, is for one thread.
 *
 * Every call tries again, with growing random gaps, what may pass: 429, 5xx, SlowDown,
 * RequestTimeout, a connection that breaks or stands still, a body cut short, an error said
 * under status 200, a damaged transfer. It gives up at deadline_ms (pr_s3_list and
 * pr_s3_sweep: of each request), or when cancel is set, within a second. Keys are the caller's:
 * the store's prefix is put before them, and taken away where they come back.
 *
 * What every call may answer besides what it says itself:
 * PR_EDENIED    401, 403, a certificate that is not trusted, a clock that is off
 * PR_ENOTFOUND  404
 * PR_EFULL      over a quota
 * PR_EINVAL     what was asked or set is wrong, this side or by the server's judgement
 * PR_EDATA      what came is not what was asked for
 * PR_EUNAVAIL   the server could not or cannot be reached until the deadline
 * PR_ETIMEOUT   nothing came, or too slowly, until the deadline
 * PR_ECANCELED  cancel was set
 * After the last three, or PR_EDATA, a change may or may not have happened. The words name
 * bucket, key, status and S3's own code, never a secret.
 * Source: Amazon S3 API reference; RFC 9110 for ranges. */
#ifndef PRISM_S3_S3_H
#define PRISM_S3_S3_H

#include "prism/aws.h"
#include "prism/backoff.h"
#include "prism/buf.h"
#include "prism/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PR_S3_KEY_MAX = 1024,           /* bytes of a key with the store's prefix */
    PR_S3_ETAG = 80,                /* room for one, without its quotes */
    PR_S3_PART_MIN_BYTES = 5 << 20, /* of a multipart upload; the last part may be smaller */
    PR_S3_PARTS_MAX = 10000
};

/* Asked for every try, by any thread; so keys may rotate. now_ms: Unix epoch. After PR_EUNAVAIL and
 * PR_ETIMEOUT they are asked for again, as after a try that failed so. */
typedef enum pr_code pr_s3_keys_fn(void *arg, int64_t now_ms, struct pr_aws_keys *out,
                                   struct pr_err *err);
/* The server called these expired or unknown: who gives them asks for others next time. */
typedef void pr_s3_keys_refused_fn(void *arg, const struct pr_aws_keys *these);

/* Everything is borrowed and must outlive the connections; nothing changes while they are
 * open. Proxies of the environment are not used. */
struct pr_s3_store {
    const char *endpoint; /* "https://s3.eu-central-1.amazonaws.com", no path */
    const char *bucket, *region;
    const char *prefix;  /* NULL or "": none; "prod/eu/" */
    bool path_style;     /* endpoint/bucket/key in place of bucket.endpoint/key */
    const char *ca_file; /* PEM; NULL: the system's authorities */
    pr_s3_keys_fn *keys;
    pr_s3_keys_refused_fn *keys_refused; /* NULL: nobody is told */
    void *keys_arg;                      /* of both */
    int64_t connect_ms;                  /* to connect, TLS included; 0: 5,000 */
    int64_t stall_ms;             /* a try in which this long nothing moves has failed; 0: 10,000 */
    int64_t slow_bps;             /* and one that moves data slower than this; 0: 1,024 bytes/s */
    int64_t deadline_ms;          /* of a call with all its tries; 0: 60,000 */
    struct pr_backoff backoff;    /* 0: 100 ms growing to 5,000 ms */
    int page;                     /* of listings, what one request asks for; 0: 1,000 */
    int64_t (*now_ms)(void *arg); /* Unix epoch, for signatures; NULL: pr_now_ms */
    uint64_t (*random)(void *arg); /* by any thread; NULL: the kernel's */
    void *arg;                     /* of those two */
};

struct pr_s3;

/* PR_EINVAL names what of the store is wrong. Nothing is sent yet. cancel: may be NULL. */
PR_CHECKED enum pr_code pr_s3_open(const struct pr_s3_store *store, const atomic_bool *cancel,
                                   struct pr_s3 **out, struct pr_err *err);
void pr_s3_close(struct pr_s3 *s); /* NULL is welcome */

/* Since it was opened, for metrics. Read by the thread whose it is. */
struct pr_s3_counts {
    uint64_t requests, retries; /* requests sent, and how many of them again */
    uint64_t sent_bytes, received_bytes;
};
void pr_s3_counts(const struct pr_s3 *s, struct pr_s3_counts *out);

struct pr_s3_info {
    uint64_t size_bytes;
    int64_t modified_ms;   /* Unix epoch; 0: not said */
    char etag[PR_S3_ETAG]; /* without quotes */
    bool has_sha256;       /* pr_s3_put says it; uploads in parts do not */
    uint8_t sha256[32];    /* as whoever wrote it said; x-amz-meta-sha256 */
    char nonce[33];        /* of an upload in parts; "" */
};

/* --- writing ------------------------------------------------------------------------------ */

struct pr_s3_put {
    bool if_none_match;       /* PR_EEXISTS when the key exists */
    bool same_is_done;        /* with if_none_match: unless it holds these very bytes, for callers
                               * that may have been killed before they saw the answer */
    const uint8_t *sha256;    /* [32] of the data, if known; NULL: computed */
    const char *content_type; /* NULL: application/octet-stream */
};
/* The server checks SHA-256 and CRC-32C of what arrives (the latter where it knows how), the
 * answer's checksum or ETag is checked here. A conditional one whose answer was lost and that
 * finds its own object is PR_OK. how, info: may be NULL; info has etag, size and sha256. */
PR_CHECKED enum pr_code pr_s3_put(struct pr_s3 *s, const char *key, const void *data, size_t n,
                                  const struct pr_s3_put *how, struct pr_s3_info *info,
                                  struct pr_err *err);

/* An upload in parts: plain data, which may be stored and taken up again after a crash. Parts
 * may come in any order, each from another connection, and again (the last one counts). */
struct pr_s3_upload {
    char key[PR_S3_KEY_MAX + 1];
    char id[1024];
    char nonce[33]; /* tells this upload's object from another's */
};
struct pr_s3_part {
    int number; /* 1..PR_S3_PARTS_MAX */
    uint64_t size_bytes;
    uint32_t crc32c;
    bool has_crc32c; /* the server said it back */
    char etag[PR_S3_ETAG];
};
PR_CHECKED enum pr_code pr_s3_upload_begin(struct pr_s3 *s, const char *key,
                                           struct pr_s3_upload *out, struct pr_err *err);
PR_CHECKED enum pr_code pr_s3_upload_part(struct pr_s3 *s, const struct pr_s3_upload *u, int number,
                                          const void *data, size_t n, struct pr_s3_part *out,
                                          struct pr_err *err);
/* Only now does the object exist. part: [parts], numbers ascending. if_none_match: PR_EEXISTS
 * when another object has the key (the upload stays: abort it); there is a look at the key
 * before, for servers that do not know the condition here (Ceph 16, 18): with those, of two that
 * finish at the same moment, both may succeed. When the answer was lost, or this was done before,
 * the object's nonce and size decide. PR_ENOTFOUND: no such upload. */
PR_CHECKED enum pr_code pr_s3_upload_finish(struct pr_s3 *s, const struct pr_s3_upload *u,
                                            const struct pr_s3_part *part, size_t parts,
                                            bool if_none_match, struct pr_s3_info *info,
                                            struct pr_err *err);
/* PR_OK also when there is no such upload any more. */
PR_CHECKED enum pr_code pr_s3_upload_abort(struct pr_s3 *s, const struct pr_s3_upload *u,
                                           struct pr_err *err);
/* Aborts the uploads below prefix ("": all of the store's) that began before before_ms (Unix
 * epoch, the server's clock) and were not finished. aborted: how many; also on failure. */
PR_CHECKED enum pr_code pr_s3_sweep(struct pr_s3 *s, const char *prefix, int64_t before_ms,
                                    size_t *aborted, struct pr_err *err);

/* --- reading ------------------------------------------------------------------------------ */

/* The bytes [offset, offset + n) of the object, n > 0, all of them or an error: PR_EDATA when
 * the object is shorter, or the server sends another range, or changed it while this went on.
 * info: may be NULL; what is known of the whole object. On failure buf holds anything. */
PR_CHECKED enum pr_code pr_s3_get(struct pr_s3 *s, const char *key, uint64_t offset, void *buf,
                                  size_t n, struct pr_s3_info *info, struct pr_err *err);
/* A whole small object; appended to out, which says how much is too much (its max_bytes must
 * be set; PR_EFULL). When the object says its SHA-256, that is checked: PR_EDATA. */
PR_CHECKED enum pr_code pr_s3_read(struct pr_s3 *s, const char *key, struct pr_buf *out,
                                   struct pr_s3_info *info, struct pr_err *err);
PR_CHECKED enum pr_code pr_s3_head(struct pr_s3 *s, const char *key, struct pr_s3_info *info,
                                   struct pr_err *err);

struct pr_s3_entry { /* valid during the callback */
    const char *key;
    bool folded; /* stands for all keys that begin with it, see delimiter; no more is known */
    uint64_t size_bytes;
    int64_t modified_ms; /* Unix epoch */
    const char *etag;    /* without quotes */
};
/* False: that was enough. */
typedef bool pr_s3_entry_fn(void *arg, const struct pr_s3_entry *e);
struct pr_s3_list {
    const char *prefix;      /* NULL or "": all of the store's */
    const char *start_after; /* keys behind this one; NULL or "": from the first */
    const char *delimiter;   /* "/": keys below prefix that have one more are folded up to it */
};
/* In the order of their bytes. Not a snapshot: what is written meanwhile may be seen or not. */
PR_CHECKED enum pr_code pr_s3_list(struct pr_s3 *s, const struct pr_s3_list *what,
                                   pr_s3_entry_fn *each, void *arg, struct pr_err *err);

/* --- deleting ----------------------------------------------------------------------------- */

/* PR_OK also when there was none. */
PR_CHECKED enum pr_code pr_s3_delete(struct pr_s3 *s, const char *key, struct pr_err *err);
/* As many requests as it takes. On failure any of them may be gone. */
PR_CHECKED enum pr_code pr_s3_delete_all(struct pr_s3 *s, const char *const *keys, size_t n,
                                         struct pr_err *err);

#endif
