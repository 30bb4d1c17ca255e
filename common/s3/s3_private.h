/* What the files of the S3 client share. */
#ifndef PRISM_S3_PRIVATE_H
#define PRISM_S3_PRIVATE_H

#include "prism/arena.h"
#include "prism/s3/s3.h"
#include "prism/s3/sign.h"
#include "prism/xml.h"

#include <curl/curl.h>

enum {
    S3_SHA256 = 32,
    S3_SHA256_HEX = 2 * S3_SHA256 + 1,
    S3_MD5 = 16,
    S3_PAIRS = 10,           /* parameters, or headers, of one request */
    S3_CODE = 64,            /* room for one of S3's error codes */
    S3_ERROR_MAX = 64 << 10, /* an answer that says what is wrong */
    S3_ANSWER_MAX = 16 << 20 /* a page of a listing */
};

/* --- text.c ------------------------------------------------------------------------------- */

/* Percent-encodes all but A-Z a-z 0-9 - . _ ~ and, when slash, /. */
void s3_encode(struct pr_buf *b, const char *s, bool slash);
/* Of a listing: %XX, and + for a blank. In place; false: malformed, or a NUL. */
bool s3_decode(char *s);
void s3_xml_text(struct pr_buf *b, const char *s);    /* escaped */
void s3_hex(const uint8_t *p, size_t n, char *out);   /* 2n + 1 */
bool s3_unhex(const char *s, uint8_t *out, size_t n); /* exactly 2n digits */
bool s3_sha256(const void *p, size_t n, uint8_t out[S3_SHA256]);
bool s3_md5(const void *p, size_t n, uint8_t out[S3_MD5]); /* false: libcrypto has none (FIPS) */
void s3_crc_base64(uint32_t crc, char out[9]); /* big-endian, as x-amz-checksum-crc32c has it */
/* Without quotes and W/. */
void s3_etag(const char *raw, char out[PR_S3_ETAG]);

/* --- verdict.c ---------------------------------------------------------------------------- */

struct s3_verdict {
    enum pr_code code; /* PR_OK: 2xx */
    bool again;        /* another try may help */
    bool keys;         /* so may other keys */
};
/* What a status and S3's error code ("": none) mean. An error under 2xx: its code decides, and
 * one that is not known may pass. */
struct s3_verdict s3_judge(long status, const char *code);
/* "bytes 0-99/1000": all three, or false. */
bool s3_content_range(const char *text, uint64_t *first, uint64_t *last, uint64_t *total);

/* --- one request -------------------------------------------------------------------------- */

struct s3_request {
    const char *method;
    const char *key; /* with the store's prefix; NULL: the bucket */
    struct pr_sigv4_pair query[S3_PAIRS], header[S3_PAIRS]; /* "" ones of header are left out */
    size_t queries, headers;
    const void *body; /* NULL: none */
    size_t body_bytes;
    char payload[S3_SHA256_HEX]; /* of the body; "": of none */

    /* A range: it goes to into, and goes on where the last try was cut. */
    uint8_t *into;
    uint64_t offset;
    size_t want, got;
    char etag[PR_S3_ETAG]; /* of what came so far */

    /* Where the body of a 2xx goes otherwise: an object's; NULL: to s->page, and it may say an
     * error all the same. */
    struct pr_buf *to;
    size_t to_at; /* bytes that it has before */

    int64_t until_us; /* pr_mono_us; 0: the store's deadline from now */
    bool maybe_done;  /* out: some earlier try may have had its effect */
};

struct s3_answer {
    long status;                       /* 0: none */
    char code[S3_CODE];                /* S3's error code */
    struct pr_s3_info info;            /* from the headers */
    bool kms;                          /* encrypted so that the ETag is no MD5 */
    char crc32c[16];                   /* x-amz-checksum-crc32c; "" */
    int64_t server_ms, retry_after_ms; /* 0: not said */
    uint64_t first, last, total;       /* Content-Range; total 0: none */
};

struct pr_s3 {
    struct pr_s3_store store; /* defaults filled in */
    const atomic_bool *cancel;
    CURL *easy;
    CURLM *multi;
    char host[400], base[420]; /* the Host header; scheme://host */
    char path[72];             /* before the key: "" or "/bucket" */
    char words[CURL_ERROR_SIZE];
    struct pr_s3_counts counts;
    struct pr_buf error; /* the body of an answer that is no 2xx */
    struct pr_buf page;  /* the body of one that is, in XML */
    /* of the try that goes on */
    struct s3_request *q;
    struct s3_answer *a;
    unsigned sends;       /* libcurl sends again by itself when a kept connection is dead */
    bool taking;          /* the first bytes of a range have come */
    enum pr_code refused; /* why the body was not taken; PR_OK: it was */
};

/* Once. PR_OK: there was an answer, whatever its status, and all of it. Otherwise *again says
 * whether another try may help. keys: what it was signed with. */
enum pr_code s3_exchange(struct pr_s3 *s, struct s3_request *q, const struct pr_aws_keys *keys,
                         struct s3_answer *a, bool *again, struct pr_err *err);
/* What is sent and signed: bucket ("" or "/bucket") and key, encoded, and the query, encoded
 * and ascending. False: no memory. */
bool s3_target(const char *bucket, const struct s3_request *q, struct pr_buf *path,
               struct pr_buf *query);
/* All headers of a request, its signature among them. Free them with s3_free_headers. */
enum pr_code s3_headers(const struct pr_s3 *s, const struct s3_request *q,
                        const struct pr_aws_keys *keys, const char *path, const char *query,
                        struct curl_slist **list, struct pr_err *err);
void s3_free_headers(struct curl_slist *list);
void s3_request_query(struct s3_request *q, const char *name, const char *value);
void s3_request_header(struct s3_request *q, const char *name, const char *value);
bool s3_canceled(const struct pr_s3 *s);

/* More than the status to judge by; NULL: nothing. *again says whether another try may help. */
typedef enum pr_code s3_check_fn(void *ctx, const struct s3_request *q, const struct s3_answer *a,
                                 bool *again, struct pr_err *err);
/* With tries until the deadline. *a is the last answer, status 0 when there was none. */
enum pr_code s3_call(struct pr_s3 *s, struct s3_request *q, s3_check_fn *check, void *ctx,
                     struct s3_answer *a, struct pr_err *err);
/* "s3 PUT bucket/key: words" */
enum pr_code s3_fail(const struct pr_s3 *s, const struct s3_request *q, enum pr_code code,
                     struct pr_err *err, const char *fmt, ...) PR_PRINTF(5, 6);
/* The store's prefix and key; PR_EINVAL: too long, or empty. */
enum pr_code s3_full_key(const struct pr_s3 *s, const char *key, char full[PR_S3_KEY_MAX + 1],
                         struct pr_err *err);
/* The same for a prefix or marker, which may be NULL or empty. */
enum pr_code s3_join(const struct pr_s3 *s, const char *below, char out[PR_S3_KEY_MAX + 1],
                     struct pr_err *err);
uint64_t s3_random(const struct pr_s3 *s);
/* The answer's root, which must have that name. */
enum pr_code s3_parse(const struct pr_s3 *s, const struct s3_request *q, struct pr_arena *arena,
                      const char *root, const struct pr_xml **out, struct pr_err *err);
/* Of a listing's element, decoded in place, behind the store's prefix; false: it is none. */
bool s3_own_key(const struct pr_s3 *s, const struct pr_xml *x, const char *name, char **key);

/* --- put.c: what is shared with uploads --------------------------------------------------- */

struct s3_stored {
    struct pr_s3 *s;
    uint8_t sha256[S3_SHA256];
    uint32_t crc32c;
    char crc[9];
};
/* The body with its checksums; stored must live as long as the request. sha256: NULL if not
 * known. */
enum pr_code s3_body(struct s3_request *q, const void *data, size_t n, const uint8_t *sha256,
                     struct s3_stored *stored, struct pr_err *err);
s3_check_fn s3_stored_ok; /* ctx: struct s3_stored */
s3_check_fn s3_object_ok; /* ctx: struct pr_s3; every object has an ETag */
enum pr_code s3_head(struct pr_s3 *s, const char *full, int64_t until_us, struct s3_answer *a,
                     struct pr_err *err);

#endif
