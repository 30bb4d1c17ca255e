/* One try of a request over libcurl. It signs nothing itself: see docs/decisions/0005. */
#include "s3_private.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <string.h>

enum { SLICE_MS = 100, PAYLOAD_BYTES = 64 << 10 };

/* --- the answer --------------------------------------------------------------------------- */

static const char *header(const struct pr_s3 *s, const char *name)
{
    struct curl_header *h = NULL;

    return curl_easy_header(s->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : "";
}

static int64_t date_ms(const char *text)
{
    const time_t at = text[0] != '\0' ? curl_getdate(text, NULL) : -1;

    return at > 0 ? (int64_t)at * 1000 : 0;
}

static void read_headers(struct pr_s3 *s)
{
    struct s3_answer *a = s->a;
    curl_off_t length = -1, after = 0;
    const char *sse = header(s, "x-amz-server-side-encryption");

    (void)curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &a->status);
    (void)curl_easy_getinfo(s->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &after) == CURLE_OK && after > 0)
        a->retry_after_ms = (int64_t)after * 1000;
    s3_etag(header(s, "etag"), a->info.etag);
    a->info.modified_ms = date_ms(header(s, "last-modified"));
    a->server_ms = date_ms(header(s, "date"));
    a->info.has_sha256 = s3_unhex(header(s, "x-amz-meta-sha256"), a->info.sha256, S3_SHA256);
    (void)snprintf(a->info.nonce, sizeof a->info.nonce, "%s", header(s, "x-amz-meta-nonce"));
    (void)snprintf(a->crc32c, sizeof a->crc32c, "%s", header(s, "x-amz-checksum-crc32c"));
    a->kms = strncmp(sse, "aws:kms", 7) == 0 ||
             header(s, "x-amz-server-side-encryption-customer-algorithm")[0] != '\0';
    if (!s3_content_range(header(s, "content-range"), &a->first, &a->last, &a->total))
        a->total = 0;
    a->info.size_bytes = a->total != 0 ? a->total : length > 0 ? (uint64_t)length : 0;
}

/* May this answer's body go where the range was asked for? PR_OK, or why not. */
static enum pr_code range_fits(struct s3_request *q, const struct s3_answer *a)
{
    if (a->status != 206 || a->total == 0 || a->first != q->offset + q->got ||
        a->last != q->offset + q->want - 1)
        return PR_EDATA;
    if (q->etag[0] != '\0' && strcmp(q->etag, a->info.etag) != 0)
        return PR_ECONFLICT; /* another object by now: what came before is worth nothing */
    memcpy(q->etag, a->info.etag, sizeof q->etag);
    return PR_OK;
}

static bool take(struct pr_s3 *s, const char *p, size_t n)
{
    struct s3_request *q = s->q;

    if (s->a->status / 100 != 2) {
        pr_buf_add(&s->error, p, n);
        return !s->error.failed;
    }
    if (q->into != NULL) {
        if (!s->taking)
            s->refused = range_fits(q, s->a);
        s->taking = true;
        if (s->refused == PR_OK && n > q->want - q->got)
            s->refused = PR_EDATA;
        if (s->refused != PR_OK)
            return false;
        memcpy(q->into + q->got, p, n);
        q->got += n;
        return true;
    }
    struct pr_buf *to = q->to != NULL ? q->to : &s->page;
    pr_buf_add(to, p, n);
    if (to->failed)
        s->refused = PR_EFULL;
    return !to->failed;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct pr_s3 *s = ctx;

    if (s->a->status == 0)
        read_headers(s);
    return take(s, p, size * n) ? size * n : 0;
}

/* libcurl sends a request again by itself when a kept connection turns out to be dead; the
 * first may have had its effect. Only its trace tells. */
static int on_trace(CURL *c, curl_infotype type, char *p, size_t n, void *ctx)
{
    (void)c;
    struct pr_s3 *s = ctx;
    const size_t method = strlen(s->q->method);

    if (type == CURLINFO_HEADER_OUT && n > method && p[method] == ' ' &&
        strncmp(p, s->q->method, method) == 0)
        s->sends++;
    return 0;
}

/* --- the transfer ------------------------------------------------------------------------- */

static void set_up(struct pr_s3 *s, const char *url, const struct curl_slist *lines)
{
    const struct s3_request *q = s->q;
    CURL *c = s->easy;

    curl_easy_reset(c);
    (void)curl_easy_setopt(c, CURLOPT_URL, url);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L); /* "." is a key like any other */
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L); /* cancel does not wait for DNS */
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)s->store.connect_ms);
    (void)curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
    (void)curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "prism");
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, lines);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, s);
    (void)curl_easy_setopt(c, CURLOPT_DEBUGFUNCTION, on_trace);
    (void)curl_easy_setopt(c, CURLOPT_DEBUGDATA, s);
    (void)curl_easy_setopt(c, CURLOPT_VERBOSE, 1L);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s->words);
    (void)curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (s->store.ca_file != NULL) {
        (void)curl_easy_setopt(c, CURLOPT_CAINFO, s->store.ca_file);
        (void)curl_easy_setopt(c, CURLOPT_CAPATH, NULL); /* else the system's count as well */
    }
    if (strcmp(q->method, "HEAD") == 0) {
        (void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    } else if (q->body != NULL || strcmp(q->method, "PUT") == 0 || strcmp(q->method, "POST") == 0) {
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_bytes);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body_bytes > 0 ? q->body : "");
        (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    } else if (strcmp(q->method, "GET") != 0) {
        (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    }
}

enum stop { RAN, CANCELED, DEADLINE, STALLED, SLOW };

struct pace {
    int64_t began_us; /* of the window; 0: not connected yet */
    int64_t moved;    /* bytes before it */
};

static int64_t moved_bytes(CURL *c)
{
    curl_off_t up = 0, down = 0;
    long head = 0;

    (void)curl_easy_getinfo(c, CURLINFO_SIZE_UPLOAD_T, &up);
    (void)curl_easy_getinfo(c, CURLINFO_SIZE_DOWNLOAD_T, &down);
    (void)curl_easy_getinfo(c, CURLINFO_HEADER_SIZE, &head);
    return (int64_t)(up + down) + head;
}

/* At the end of each window of stall_ms: has enough moved in it? While it connects,
 * connect_ms counts. */
static enum stop pace_check(const struct pr_s3 *s, struct pace *p, int64_t now_us)
{
    const int64_t window_us = s->store.stall_ms * 1000;
    curl_off_t ready_us = 0;

    (void)curl_easy_getinfo(s->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
    if (p->began_us == 0) {
        if (ready_us > 0)
            *p = (struct pace){ now_us, 0 };
        return RAN;
    }
    if (now_us - p->began_us < window_us)
        return RAN;
    const int64_t total = moved_bytes(s->easy), moved = total - p->moved;
    const bool heavy = s->q->body_bytes >= PAYLOAD_BYTES || s->q->want >= PAYLOAD_BYTES;
    if (moved <= 0)
        return STALLED;
    if (heavy && moved * 1000 < s->store.slow_bps * s->store.stall_ms)
        return SLOW;
    *p = (struct pace){ now_us, total };
    return RAN;
}

static enum stop transfer(struct pr_s3 *s, CURLcode *result)
{
    struct pace pace = { 0 };
    enum stop stop = RAN;
    int running = 1, left = 0;

    *result = CURLE_FAILED_INIT;
    if (curl_multi_add_handle(s->multi, s->easy) != CURLM_OK)
        return RAN;
    while (stop == RAN) {
        if (curl_multi_perform(s->multi, &running) != CURLM_OK || running == 0)
            break;
        const int64_t now = pr_mono_us(), left_us = s->q->until_us - now;
        if (s3_canceled(s))
            stop = CANCELED;
        else if (left_us <= 0)
            stop = DEADLINE;
        else
            stop = pace_check(s, &pace, now);
        if (stop == RAN) {
            int64_t wait = left_us / 1000 + 1;
            wait = wait < SLICE_MS ? wait : SLICE_MS;
            wait = s->store.stall_ms / 4 + 1 < wait ? s->store.stall_ms / 4 + 1 : wait;
            (void)curl_multi_poll(s->multi, NULL, 0, (int)wait, NULL);
        }
    }
    const CURLMsg *msg = stop == RAN ? curl_multi_info_read(s->multi, &left) : NULL;
    if (msg != NULL && msg->msg == CURLMSG_DONE)
        *result = msg->data.result;
    (void)curl_multi_remove_handle(s->multi, s->easy); /* closes what is not done */
    return stop;
}

/* --- what came of it ---------------------------------------------------------------------- */

static enum pr_code stopped(const struct pr_s3 *s, enum stop stop, bool *again, struct pr_err *err)
{
    const struct s3_request *q = s->q;

    *again = stop == STALLED || stop == SLOW;
    switch (stop) {
    case CANCELED:
        return s3_fail(s, q, PR_ECANCELED, err, "canceled");
    case STALLED:
        return s3_fail(s, q, PR_ETIMEOUT, err, "nothing moved for %lld ms",
                       (long long)s->store.stall_ms);
    case SLOW:
        return s3_fail(s, q, PR_ETIMEOUT, err, "slower than %lld bytes/s",
                       (long long)s->store.slow_bps);
    default:
        if (s->sends == 0)
            return s3_fail(s, q, PR_EUNAVAIL, err, "no connection until the deadline");
        return s3_fail(s, q, PR_ETIMEOUT, err, "no answer until the deadline");
    }
}

static enum pr_code not_taken(const struct pr_s3 *s, bool *again, struct pr_err *err)
{
    struct s3_request *q = s->q;
    const struct s3_answer *a = s->a;

    switch (s->refused) {
    case PR_ECONFLICT:
        q->got = 0;
        q->etag[0] = '\0';
        *again = true;
        return s3_fail(s, q, PR_EDATA, err, "the object changed while it was read");
    case PR_EFULL:
        if (q->to == NULL)
            return s3_fail(s, q, PR_EDATA, err, "an answer of over %zu bytes", s->page.max_bytes);
        return s3_fail(s, q, PR_EFULL, err, "the object is over %zu bytes", q->to->max_bytes);
    default:
        break;
    }
    if (a->total == 0)
        return s3_fail(s, q, PR_EDATA, err, "%ld without a range: the server ignores it",
                       a->status);
    if (a->last + 1 == a->total && a->total < q->offset + q->want)
        return s3_fail(s, q, PR_EDATA, err, "the object has %llu bytes, wanted to %llu",
                       (unsigned long long)a->total, (unsigned long long)(q->offset + q->want));
    return s3_fail(s, q, PR_EDATA, err, "got bytes %llu-%llu, wanted %llu-%llu",
                   (unsigned long long)a->first, (unsigned long long)a->last,
                   (unsigned long long)(q->offset + q->got),
                   (unsigned long long)(q->offset + q->want - 1));
}

static enum pr_code broke(const struct pr_s3 *s, CURLcode rc, bool *again, struct pr_err *err)
{
    const struct s3_request *q = s->q;
    const char *words = s->words[0] != '\0' ? s->words : curl_easy_strerror(rc);

    switch (rc) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return s3_fail(s, q, PR_EDENIED, err, "the certificate is not trusted: %s", words);
    case CURLE_SSL_CACERT_BADFILE:
        return s3_fail(s, q, PR_EINVAL, err, "CA file %s cannot be read",
                       s->store.ca_file != NULL ? s->store.ca_file : "(the system's)");
    case CURLE_OUT_OF_MEMORY:
        return pr_fail(err, PR_ENOMEM, "no memory");
    case CURLE_OPERATION_TIMEDOUT:
        *again = true;
        return s3_fail(s, q, PR_EUNAVAIL, err, "no connection in %lld ms",
                       (long long)s->store.connect_ms);
    default:
        *again = true;
        return s3_fail(s, q, PR_EUNAVAIL, err, "%s", words);
    }
}

/* All of it? libcurl has compared the body with its Content-Length. */
static enum pr_code complete(struct pr_s3 *s, bool *again, struct pr_err *err)
{
    struct s3_request *q = s->q;

    if (s->a->status == 0)
        read_headers(s); /* no body */
    if (q->into == NULL || s->a->status / 100 != 2)
        return PR_OK;
    if (q->got < q->want) {
        *again = true;
        return s3_fail(s, q, PR_EUNAVAIL, err, "the body was cut at %zu of %zu bytes", q->got,
                       q->want);
    }
    return PR_OK;
}

static enum pr_code run(struct pr_s3 *s, const char *url, const struct curl_slist *lines,
                        bool *again, struct pr_err *err)
{
    CURLcode result;
    curl_off_t up = 0, down = 0;

    set_up(s, url, lines);
    const enum stop stop = transfer(s, &result);
    (void)curl_easy_getinfo(s->easy, CURLINFO_SIZE_UPLOAD_T, &up);
    (void)curl_easy_getinfo(s->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    s->counts.requests += s->sends > 0 ? s->sends : 1;
    s->counts.sent_bytes += (uint64_t)up;
    s->counts.received_bytes += (uint64_t)down;
    if (s->sends > 1) {
        s->counts.retries += s->sends - 1;
        s->q->maybe_done = true;
    }
    if (stop != RAN)
        return stopped(s, stop, again, err);
    if (s->refused != PR_OK)
        return not_taken(s, again, err);
    if (result != CURLE_OK)
        return broke(s, result, again, err);
    return complete(s, again, err);
}

enum pr_code s3_exchange(struct pr_s3 *s, struct s3_request *q, const struct pr_aws_keys *keys,
                         struct s3_answer *a, bool *again, struct pr_err *err)
{
    struct pr_buf path, query, url;
    struct curl_slist *lines = NULL;
    enum pr_code rc = PR_OK;

    s->q = q;
    s->a = a;
    s->sends = 0;
    s->taking = false;
    s->refused = PR_OK;
    s->words[0] = '\0';
    pr_buf_reset(&s->error);
    pr_buf_reset(&s->page);
    if (q->to != NULL) { /* what an earlier try left */
        q->to->failed = false;
        q->to->len = q->to_at;
    }
    if (q->payload[0] == '\0') {
        uint8_t none[S3_SHA256];
        if (!s3_sha256("", 0, none))
            return pr_fail(err, PR_EINTERNAL, "libcrypto has no SHA-256");
        s3_hex(none, sizeof none, q->payload);
    }
    pr_buf_init(&path, 0);
    pr_buf_init(&query, 0);
    pr_buf_init(&url, 0);
    if (!s3_target(s->path, q, &path, &query))
        rc = pr_fail(err, PR_ENOMEM, "no memory");
    if (rc == PR_OK)
        rc = s3_headers(s, q, keys, path.data, query.data != NULL ? query.data : "", &lines, err);
    if (rc == PR_OK) {
        pr_buf_printf(&url, "%s%s%s%s", s->base, path.data, query.len > 0 ? "?" : "",
                      query.len > 0 ? query.data : "");
        rc =
            url.failed ? pr_fail(err, PR_ENOMEM, "no memory") : run(s, url.data, lines, again, err);
    }
    s3_free_headers(lines);
    pr_buf_done(&path);
    pr_buf_done(&query);
    pr_buf_done(&url);
    return rc;
}
