#include "prism/web/aws_keys.h"

#include "prism/io/clock.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AHEAD_MS = 5 * 60000,   /* before they expire keys are renewed */
    GAP_US = 30 * 1000000,  /* between two tries of that, while those that there are still work */
    CALM_US = 60 * 1000000, /* after a renewal because of a refusal: the next one is about rights */
    ROLE = 128
};

struct pr_aws_keyring {
    struct pr_aws_source from;
    pthread_mutex_t mutex;
    struct pr_aws_keys keys; /* access "": none yet */
    int64_t expires_ms;      /* 0: never */
    bool stale;              /* a service refused them */
    int64_t tried_us;        /* monotonic: the end of the last try to renew them; 0: none yet */
    int64_t calm_us;         /* monotonic: a refusal before it is about rights, not about keys */
    struct pr_err failed;    /* the last try; code PR_OK: went well */
};

enum pr_code pr_aws_keyring_open(const struct pr_aws_source *from, struct pr_aws_keyring **out,
                                 struct pr_err *err)
{
    if (from->keys.access[0] == '\0' && from->web_token_file[0] == '\0' &&
        from->container_url[0] == '\0' && from->metadata_url[0] == '\0')
        return pr_fail(err, PR_EINVAL, "aws: neither keys nor a place to ask for them are set");
    if (from->keys.access[0] != '\0' && from->keys.secret[0] == '\0')
        return pr_fail(err, PR_EINVAL, "aws: access key without its secret");
    if (from->keys.access[0] == '\0' && from->web_token_file[0] != '\0' &&
        from->role_arn[0] == '\0')
        return pr_fail(err, PR_EINVAL, "aws: AWS_WEB_IDENTITY_TOKEN_FILE without AWS_ROLE_ARN");
    struct pr_aws_keyring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory");
    ring->from = *from;
    if (ring->from.timeout_ms <= 0)
        ring->from.timeout_ms = 2000;
    ring->keys = from->keys;
    (void)pthread_mutex_init(&ring->mutex, NULL);
    *out = ring;
    return PR_OK;
}

void pr_aws_keyring_close(struct pr_aws_keyring *ring)
{
    if (ring == NULL)
        return;
    (void)pthread_mutex_destroy(&ring->mutex);
    explicit_bzero(ring, sizeof *ring);
    free(ring);
}

/* --- asking --------------------------------------------------------------- */

static enum pr_code ask(const char *method, const char *url, const char *header, long timeout_ms,
                        struct pr_buf *body, struct pr_err *err)
{
    const struct pr_web_request q = {
        .method = method,
        .url = url,
        .header = &header,
        .headers = header != NULL,
        .timeout_ms = timeout_ms,
        .secret = true,
        .nearby = true,
    };
    struct pr_web_response r;
    enum pr_code rc = pr_web_ask(&q, &r, err);

    if (rc == PR_OK && r.status != 200) {
        const bool later = r.status == 429 || r.status >= 500;
        rc = pr_fail(err, later ? PR_EUNAVAIL : PR_EDENIED, "status %ld", r.status);
    }
    if (rc == PR_OK)
        *body = r.body;
    else
        pr_buf_done(&r.body);
    return rc;
}

static bool take(const json_t *from, const char *name, char *to, size_t room)
{
    const char *s = json_string_value(json_object_get(from, name));

    if (s == NULL || s[0] == '\0' || strlen(s) >= room)
        return false;
    memcpy(to, s, strlen(s) + 1);
    return true;
}

static enum pr_code read_keys(struct pr_aws_keyring *ring, const struct pr_buf *body,
                              struct pr_err *err)
{
    struct pr_aws_keys k = { 0 };
    char expires[40];
    json_t *j = json_loadb(body->data != NULL ? body->data : "", body->len, 0, NULL);
    bool good = take(j, "AccessKeyId", k.access, sizeof k.access) &&
                take(j, "SecretAccessKey", k.secret, sizeof k.secret) &&
                take(j, "Token", k.token, sizeof k.token) &&
                take(j, "Expiration", expires, sizeof expires) &&
                pr_time_parse(expires, &ring->expires_ms);

    if (good)
        ring->keys = k;
    explicit_bzero(&k, sizeof k);
    json_decref(j);
    return good ? PR_OK : pr_fail(err, PR_EDATA, "the answer holds no keys");
}

static enum pr_code ask_container(struct pr_aws_keyring *ring, struct pr_buf *body,
                                  struct pr_err *err)
{
    const struct pr_aws_source *f = &ring->from;
    char token[PR_WEB_TOKEN_MAX] = "", header[PR_WEB_TOKEN_MAX + 32];

    if (f->container_token_file[0] != '\0') {
        enum pr_code rc = pr_web_token(f->container_token_file, token, sizeof token, err);
        if (rc != PR_OK)
            return rc;
    } else {
        (void)snprintf(token, sizeof token, "%s", f->container_token);
    }
    (void)snprintf(header, sizeof header, "Authorization: %s", token);
    enum pr_code rc =
        ask("GET", f->container_url, token[0] != '\0' ? header : NULL, f->timeout_ms, body, err);
    explicit_bzero(token, sizeof token);
    explicit_bzero(header, sizeof header);
    return rc;
}

/* IMDSv2: a token by PUT, the role's name, the role's keys. */
static enum pr_code ask_metadata(struct pr_aws_keyring *ring, struct pr_buf *body,
                                 struct pr_err *err)
{
    static const char NAME[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                               "+=,.@_-";
    const struct pr_aws_source *f = &ring->from;
    char url[512], header[512];

    (void)snprintf(url, sizeof url, "%s/latest/api/token", f->metadata_url);
    enum pr_code rc =
        ask("PUT", url, "X-aws-ec2-metadata-token-ttl-seconds: 21600", f->timeout_ms, body, err);
    if (rc != PR_OK)
        return rc;
    const int n = snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %s",
                           body->data != NULL ? body->data : "");
    pr_buf_done(body);
    if (n < 0 || (size_t)n >= sizeof header)
        return pr_fail(err, PR_EDATA, "the metadata's token is too long");

    (void)snprintf(url, sizeof url, "%s/latest/meta-data/iam/security-credentials/",
                   f->metadata_url);
    rc = ask("GET", url, header, f->timeout_ms, body, err);
    if (rc != PR_OK)
        return rc;
    char role[ROLE] = "";
    const size_t len = body->data != NULL ? strspn(body->data, NAME) : 0;
    if (len > 0 && len < sizeof role)
        memcpy(role, body->data, len);
    pr_buf_done(body);
    if (role[0] == '\0')
        return pr_fail(err, PR_EDENIED, "the instance has no role");
    (void)snprintf(url, sizeof url, "%s/latest/meta-data/iam/security-credentials/%s",
                   f->metadata_url, role);
    return ask("GET", url, header, f->timeout_ms, body, err);
}

static enum pr_code assume_role(struct pr_aws_keyring *ring, struct pr_err *err)
{
    struct pr_aws_keys keys;
    int64_t expires_ms = 0;
    const enum pr_code rc = pr_aws_web_identity(&ring->from, &keys, &expires_ms, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "keys for the web identity");
    ring->keys = keys;
    ring->expires_ms = expires_ms;
    explicit_bzero(&keys, sizeof keys);
    return PR_OK;
}

static enum pr_code refresh(struct pr_aws_keyring *ring, struct pr_err *err)
{
    if (ring->from.web_token_file[0] != '\0')
        return assume_role(ring, err);
    const bool container = ring->from.container_url[0] != '\0';
    struct pr_buf body = { 0 };
    enum pr_code rc = container ? ask_container(ring, &body, err) : ask_metadata(ring, &body, err);

    if (rc == PR_OK)
        rc = read_keys(ring, &body, err);
    if (body.data != NULL)
        explicit_bzero(body.data, body.cap);
    pr_buf_done(&body);
    return rc == PR_OK ? rc
                       : pr_wrap(err, rc, "keys from the %s",
                                 container ? "container's endpoint" : "instance's metadata");
}

/* The mutex is held. arrived_us: since when the caller waits for it. */
static enum pr_code renew(struct pr_aws_keyring *ring, int64_t now_ms, int64_t arrived_us,
                          struct pr_err *err)
{
    const bool none = ring->keys.access[0] == '\0';
    const bool work = !none && (ring->expires_ms == 0 || now_ms < ring->expires_ms);
    const bool due =
        none || ring->stale || (ring->expires_ms != 0 && now_ms >= ring->expires_ms - AHEAD_MS);
    const int64_t tried_us = ring->tried_us;
    if (!due || (work && !ring->stale && tried_us != 0 && arrived_us - tried_us < GAP_US))
        return PR_OK;
    if (tried_us >= arrived_us && tried_us != 0 && ring->failed.code != PR_OK) /* while we waited */
        return work ? PR_OK : pr_fail(err, ring->failed.code, "%s", ring->failed.text);
    const bool refused = ring->stale;
    ring->failed = (struct pr_err){ .code = PR_OK };
    const enum pr_code rc = refresh(ring, &ring->failed);
    ring->failed.code = rc;
    ring->tried_us = pr_mono_us();
    ring->stale =
        false; /* of others it is not known, and the same are not asked for at once again */
    if (refused)
        ring->calm_us = ring->tried_us + CALM_US;
    if (rc != PR_OK && !work) /* else the old ones last a little longer */
        return pr_fail(err, rc, "%s", ring->failed.text);
    return PR_OK;
}

enum pr_code pr_aws_keys(struct pr_aws_keyring *ring, int64_t now_ms, struct pr_aws_keys *out,
                         struct pr_err *err)
{
    const int64_t arrived_us = pr_mono_us();
    (void)pthread_mutex_lock(&ring->mutex);
    const enum pr_code rc = renew(ring, now_ms, arrived_us, err);
    if (rc == PR_OK)
        *out = ring->keys;
    (void)pthread_mutex_unlock(&ring->mutex);
    return rc;
}

bool pr_aws_keys_refused(struct pr_aws_keyring *ring, const struct pr_aws_keys *these)
{
    if (ring->from.keys.access[0] != '\0')
        return false;
    (void)pthread_mutex_lock(&ring->mutex);
    if (strcmp(ring->keys.access, these->access) == 0 &&
        strcmp(ring->keys.token, these->token) == 0 && pr_mono_us() >= ring->calm_us)
        ring->stale = true; /* they stay: a renewal may fail, and the refusal be about rights */
    (void)pthread_mutex_unlock(&ring->mutex);
    return true;
}
