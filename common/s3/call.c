#include "s3_private.h"

#include "prism/io/clock.h"

#include <openssl/crypto.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DAMAGED_TRIES = 3, SKEW_MS = 5 * 60000, SLICE_MS = 50, HEAD = 512 };

enum pr_code s3_fail(const struct pr_s3 *s, const struct s3_request *q, enum pr_code code,
                     struct pr_err *err, const char *fmt, ...)
{
    char words[160];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return pr_fail(err, code, "s3 %s %s/%.*s: %s", q->method, s->store.bucket, 90,
                   q->key != NULL ? q->key : "", words);
}

void s3_request_query(struct s3_request *q, const char *name, const char *value)
{
    if (q->queries < S3_PAIRS && value != NULL)
        q->query[q->queries++] = (struct pr_sigv4_pair){ name, value };
}

void s3_request_header(struct s3_request *q, const char *name, const char *value)
{
    if (q->headers < S3_PAIRS && value != NULL && value[0] != '\0')
        q->header[q->headers++] = (struct pr_sigv4_pair){ name, value };
}

enum pr_code s3_parse(const struct pr_s3 *s, const struct s3_request *q, struct pr_arena *arena,
                      const char *root, const struct pr_xml **out, struct pr_err *err)
{
    struct pr_err own;
    const struct pr_xml *x = NULL;

    if (pr_xml_parse(s->page.data, s->page.len, arena, &x, &own) != PR_OK || x == NULL ||
        strcmp(x->name, root) != 0)
        return s3_fail(s, q, PR_EDATA, err, "the answer is no %s", root);
    *out = x;
    return PR_OK;
}

/* --- what an answer says ------------------------------------------------------------------ */

/* S3's code, from an error body; under 200 only if the document is an error. */
static void read_code(const struct pr_buf *body, struct s3_answer *a)
{
    struct pr_arena arena;
    const struct pr_xml *x = NULL;

    /* Blanks may come before it, while the server is at work. Listings are large: parsed once. */
    if (body->len == 0)
        return;
    const size_t at = strspn(body->data, " \t\r\n");
    if (memmem(body->data + at, body->len - at < HEAD ? body->len - at : HEAD, "<Error", 6) == NULL)
        return;
    pr_arena_init(&arena, 1 << 20);
    if (pr_xml_parse(body->data, body->len, &arena, &x, NULL) == PR_OK && x != NULL &&
        strcmp(x->name, "Error") == 0) {
        const char *code = pr_xml_text(x, "Code");
        (void)snprintf(a->code, sizeof a->code, "%s", code[0] != '\0' ? code : "Error");
    }
    pr_arena_done(&arena);
}

/* A signature of another time is refused, in so many words or few. */
static enum pr_code denied(const struct pr_s3 *s, const struct s3_request *q,
                           const struct s3_answer *a, struct pr_err *err)
{
    const int64_t ahead_ms = a->server_ms != 0 ? s->store.now_ms(s->store.arg) - a->server_ms : 0;

    if (ahead_ms > SKEW_MS || ahead_ms < -SKEW_MS)
        return s3_fail(s, q, PR_EDENIED, err, "%ld %s: this clock is %lld s %s the server's",
                       a->status, a->code, (long long)(ahead_ms > 0 ? ahead_ms : -ahead_ms) / 1000,
                       ahead_ms > 0 ? "ahead of" : "behind");
    return s3_fail(s, q, PR_EDENIED, err, "%ld %s", a->status, a->code);
}

static enum pr_code judge(struct pr_s3 *s, struct s3_request *q, struct s3_answer *a,
                          struct s3_verdict *v, struct pr_err *err)
{
    if (a->status / 100 != 2)
        read_code(&s->error, a);
    else
        read_code(&s->page, a);
    *v = s3_judge(a->status, a->code);
    if (v->code == PR_OK)
        return PR_OK;
    /* An answer to HEAD has no body to say what it is about. */
    if (strcmp(q->method, "HEAD") == 0 && (a->status == 400 || a->status == 403))
        v->keys = true;
    if (v->code == PR_EDENIED)
        return denied(s, q, a, err);
    return s3_fail(s, q, v->code, err, "%ld %s", a->status, a->code);
}

/* --- tries -------------------------------------------------------------------------------- */

/* False: canceled, or the deadline comes first. */
static bool rest(const struct pr_s3 *s, const struct s3_request *q, int64_t gap_ms)
{
    const int64_t wake_us = pr_mono_us() + gap_ms * 1000;

    if (wake_us >= q->until_us)
        return false;
    for (;;) {
        const int64_t left_ms = (wake_us - pr_mono_us() + 999) / 1000;
        if (s3_canceled(s))
            return false;
        if (left_ms <= 0)
            return true;
        (void)poll(NULL, 0, (int)(left_ms < SLICE_MS ? left_ms : SLICE_MS));
    }
}

/* One try with one set of keys. */
static enum pr_code try_once(struct pr_s3 *s, struct s3_request *q, s3_check_fn *check, void *ctx,
                             struct pr_aws_keys *keys, struct s3_answer *a, struct s3_verdict *v,
                             struct pr_err *err)
{
    *v = (struct s3_verdict){ 0 };
    enum pr_code rc = s3_exchange(s, q, keys, a, &v->again, err);
    if (rc == PR_OK)
        rc = judge(s, q, a, v, err);
    if (rc == PR_OK && check != NULL)
        rc = check(ctx, q, a, &v->again, err);
    return rc;
}

static enum pr_code get_keys(const struct pr_s3 *s, struct pr_aws_keys *keys, struct pr_err *err)
{
    const struct pr_s3_store *st = &s->store;
    enum pr_code rc = st->keys(st->keys_arg, st->now_ms(st->arg), keys, err);

    if (rc == PR_OK && (keys->access[0] == '\0' || keys->secret[0] == '\0'))
        rc = pr_fail(err, PR_EDENIED, "s3 %s: no keys", st->bucket);
    return rc;
}

/* Keys were refused: does whoever gives them have others by now? */
static bool others(const struct pr_s3 *s, const struct pr_aws_keys *refused)
{
    struct pr_aws_keys now = { 0 };
    if (s->store.keys_refused != NULL)
        s->store.keys_refused(s->store.keys_arg, refused);
    const bool other =
        get_keys(s, &now, NULL) == PR_OK &&
        (strcmp(now.access, refused->access) != 0 || strcmp(now.secret, refused->secret) != 0 ||
         strcmp(now.token, refused->token) != 0);

    OPENSSL_cleanse(&now, sizeof now);
    return other;
}

struct tries {
    int n, sent, damaged; /* n: those for which there were no keys, too */
    bool renewed;
    struct pr_err before; /* why the last one but this failed */
};

/* After a try that failed as *rc and e say: is there another? It rests first. Otherwise *rc and
 * e become those of the call. */
static bool another(const struct pr_s3 *s, const struct s3_request *q, struct tries *t,
                    const struct s3_verdict *v, const struct pr_aws_keys *keys,
                    const struct s3_answer *a, enum pr_code *rc, struct pr_err *e)
{
    if (v->keys && !t->renewed && others(s, keys)) {
        t->renewed = true;
        return true;
    }
    /* What is damaged three times is so where it lies. */
    if (!v->again || (*rc == PR_EDATA && ++t->damaged == DAMAGED_TRIES)) {
        if (t->before.text[0] != '\0' && pr_mono_us() >= q->until_us) /* what led to that */
            *rc = pr_fail(e, *rc, "gave up after %d tries: %.200s", t->n, t->before.text);
        return false;
    }
    t->before = *e;
    if (rest(s, q, pr_backoff_ms(&s->store.backoff, t->n - 1, s3_random(s), a->retry_after_ms)))
        return true;
    *rc = s3_canceled(s) ? pr_wrap(e, PR_ECANCELED, "canceled after %d tries", t->n)
                         : pr_wrap(e, *rc, "gave up after %d tries", t->n);
    return false;
}

enum pr_code s3_call(struct pr_s3 *s, struct s3_request *q, s3_check_fn *check, void *ctx,
                     struct s3_answer *a, struct pr_err *err)
{
    struct pr_aws_keys keys = { 0 };
    struct pr_err own = { 0 }, *const e = err != NULL ? err : &own;
    struct tries t = { 0 };
    struct s3_verdict v;
    enum pr_code rc;

    if (q->until_us == 0)
        q->until_us = pr_mono_us() + s->store.deadline_ms * 1000;
    do {
        *a = (struct s3_answer){ 0 };
        v = (struct s3_verdict){ 0 };
        t.n++;
        rc = s3_canceled(s) ? s3_fail(s, q, PR_ECANCELED, e, "canceled") : get_keys(s, &keys, e);
        if (rc != PR_OK) {
            v.again = rc == PR_EUNAVAIL || rc == PR_ETIMEOUT;
            continue;
        }
        if (t.sent++ > 0) {
            s->counts.retries++;
            q->maybe_done = true;
        }
        rc = try_once(s, q, check, ctx, &keys, a, &v, e);
    } while (rc != PR_OK && rc != PR_ECANCELED && another(s, q, &t, &v, &keys, a, &rc, e));
    OPENSSL_cleanse(&keys, sizeof keys);
    return rc;
}
