#include "dr_bucket.h"

#include "dr_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pr_s3_store dr_bucket_store;
struct pr_s3 *dr_bucket;

static enum pr_code keys(void *arg, int64_t now_ms, struct pr_aws_keys *out, struct pr_err *err)
{
    (void)arg;
    (void)now_ms;
    (void)err;
    *out = (struct pr_aws_keys){ .token = "" };
    (void)snprintf(out->access, sizeof out->access, "%s", it_env("IT_S3_ACCESS"));
    (void)snprintf(out->secret, sizeof out->secret, "%s", it_env("IT_S3_SECRET"));
    return PR_OK;
}

void dr_bucket_open(void)
{
    struct pr_err err = { 0 };
    dr_bucket_store = (struct pr_s3_store){ .endpoint = it_env("IT_S3_URL"),
                                            .bucket = it_env("IT_S3_BUCKET"),
                                            .region = it_env("IT_S3_REGION"),
                                            .path_style = true,
                                            .keys = keys };
    assert_ok(pr_s3_open(&dr_bucket_store, NULL, &dr_bucket, &err), &err);
}

void dr_bucket_close(void)
{
    pr_s3_close(dr_bucket);
    dr_bucket = NULL;
}

/* --- what is there ------------------------------------------------------------------------------
 */

struct looking {
    uint64_t least; /* bytes */
    size_t want, seen;
    char key[DR_BUCKET_KEY]; /* the last one seen, or the one wanted */
};

static bool see(void *arg, const struct pr_s3_entry *e)
{
    struct looking *l = arg;
    if (e->size_bytes < l->least)
        return true;
    (void)snprintf(l->key, sizeof l->key, "%s", e->key);
    return l->seen++ < l->want;
}

static void look(const char *kind, struct looking *l)
{
    char prefix[DR_BUCKET_KEY];
    struct pr_err err = { 0 };
    (void)snprintf(prefix, sizeof prefix, "%s/%s/", dr.cluster, kind);
    const struct pr_s3_list what = { .prefix = prefix };
    assert_ok(pr_s3_list(dr_bucket, &what, see, l, &err), &err);
}

size_t dr_bucket_count(const char *kind)
{
    struct looking l = { .want = SIZE_MAX };
    look(kind, &l);
    return l.seen;
}

bool dr_bucket_nth(const char *kind, uint64_t least, size_t n, char key[DR_BUCKET_KEY])
{
    struct looking l = { .least = least, .want = n };
    look(kind, &l);
    memcpy(key, l.key, DR_BUCKET_KEY);
    return l.seen > n;
}

void dr_bucket_last(const char *kind, uint64_t least, char key[DR_BUCKET_KEY])
{
    struct looking l = { .least = least, .want = SIZE_MAX };
    look(kind, &l);
    assert_true(l.seen > 0);
    memcpy(key, l.key, DR_BUCKET_KEY);
}

/* --- changing it --------------------------------------------------------------------------------
 */

void dr_bucket_take(const char *key, struct dr_bucket_object *out)
{
    struct pr_err err = { 0 };
    struct pr_s3_info info;
    *out = (struct dr_bucket_object){ .n = 0 };
    (void)snprintf(out->key, sizeof out->key, "%s", key);
    assert_ok(pr_s3_head(dr_bucket, key, &info, &err), &err);
    out->n = (size_t)info.size_bytes;
    out->data = malloc(out->n);
    assert_non_null(out->data);
    assert_ok(pr_s3_get(dr_bucket, key, 0, out->data, out->n, NULL, &err), &err);
}

void dr_bucket_flip(const struct dr_bucket_object *o, size_t byte, unsigned bit)
{
    struct pr_err err = { 0 };
    assert_true(byte < o->n && bit < 8);
    o->data[byte] ^= (char)(1U << bit);
    assert_ok(pr_s3_put(dr_bucket, o->key, o->data, o->n, NULL, NULL, &err), &err);
    o->data[byte] ^= (char)(1U << bit);
}

void dr_bucket_cut(const struct dr_bucket_object *o, size_t n)
{
    struct pr_err err = { 0 };
    assert_true(n < o->n);
    assert_ok(pr_s3_put(dr_bucket, o->key, o->data, n, NULL, NULL, &err), &err);
}

void dr_bucket_lose(const struct dr_bucket_object *o)
{
    struct pr_err err = { 0 };
    assert_ok(pr_s3_delete(dr_bucket, o->key, &err), &err);
}

void dr_bucket_put_back(struct dr_bucket_object *o)
{
    struct pr_err err = { 0 };
    assert_ok(pr_s3_put(dr_bucket, o->key, o->data, o->n, NULL, NULL, &err), &err);
    free(o->data);
    *o = (struct dr_bucket_object){ .n = 0 };
}
