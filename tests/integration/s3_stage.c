#include "t.h"

#include "s3_stage.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int64_t stage_ms(void)
{
    return pr_mono_us() / 1000;
}

static enum pr_code give_keys(void *arg, int64_t now_ms, struct pr_aws_keys *out,
                              struct pr_err *err)
{
    (void)now_ms, (void)err;
    struct stage *st = arg;

    *out = st->keys_asked++ > 0 && st->next.access[0] != '\0' ? st->next : st->keys;
    return PR_OK;
}

static int64_t clock_ms(void *arg)
{
    return pr_now_ms() + ((struct stage *)arg)->clock_ms;
}

static uint64_t chance(void *arg)
{
    return pr_rng_next(&((struct stage *)arg)->rng);
}

void stage_reopen(struct stage *st)
{
    pr_s3_close(st->s3);
    assert_ok(pr_s3_open(&st->store, &st->cancel, &st->s3, &st->err), &st->err);
}

void stage_open(struct stage *st, const char *url)
{
    static int count;

    *st = (struct stage){ 0 };
    pr_rng_init(&st->rng, 1);
    (void)snprintf(st->prefix, sizeof st->prefix, "t%d-%d/", (int)getpid(), count++);
    (void)snprintf(st->keys.access, sizeof st->keys.access, "%s", it_env("IT_S3_ACCESS"));
    (void)snprintf(st->keys.secret, sizeof st->keys.secret, "%s", it_env("IT_S3_SECRET"));
    st->store = (struct pr_s3_store){
        .endpoint = url != NULL ? url : it_env("IT_S3_URL"),
        .bucket = it_env("IT_S3_BUCKET"),
        .region = it_env("IT_S3_REGION"),
        .prefix = st->prefix,
        .path_style = true,
        .keys = give_keys,
        .keys_arg = st,
        .backoff = { 2, 20 },
        .deadline_ms = 20000,
        .now_ms = clock_ms,
        .random = chance,
        .arg = st,
    };
    stage_reopen(st);
}

struct names {
    char *key[4096];
    size_t n;
};

static bool note(void *arg, const struct pr_s3_entry *e)
{
    struct names *names = arg;

    names->key[names->n] = strdup(e->key);
    assert_non_null(names->key[names->n++]);
    return names->n < PR_COUNT(names->key);
}

void stage_close(struct stage *st)
{
    static const struct pr_s3_list ALL = { 0 };
    struct names names = { 0 };
    size_t aborted;

    st->clock_ms = 0;
    st->next.access[0] = '\0';
    atomic_store(&st->cancel, false);
    (void)snprintf(st->keys.access, sizeof st->keys.access, "%s", it_env("IT_S3_ACCESS"));
    (void)snprintf(st->keys.secret, sizeof st->keys.secret, "%s", it_env("IT_S3_SECRET"));
    st->store.endpoint = it_env("IT_S3_URL");
    st->store.bucket = it_env("IT_S3_BUCKET");
    st->store.prefix = st->prefix;
    st->store.path_style = true;
    st->store.deadline_ms = 20000;
    st->store.stall_ms = 0;
    st->store.now_ms = clock_ms;
    stage_reopen(st);
    assert_ok(pr_s3_list(st->s3, &ALL, note, &names, &st->err), &st->err);
    assert_ok(pr_s3_delete_all(st->s3, (const char *const *)names.key, names.n, &st->err),
              &st->err);
    assert_ok(pr_s3_sweep(st->s3, "", INT64_MAX, &aborted, &st->err), &st->err);
    for (size_t i = 0; i < names.n; i++)
        free(names.key[i]);
    pr_s3_close(st->s3);
}

void stage_proxy(struct it_proxy *p)
{
    if (p->pid == 0)
        it_proxy(p, atoi(strrchr(it_env("IT_S3_URL"), ':') + 1));
    it_proxy_rules(p, "");
}

void stage_open_behind(struct stage *st, struct it_proxy *p, int64_t stall_ms)
{
    stage_proxy(p);
    stage_open(st, p->url);
    st->store.stall_ms = stall_ms;
    stage_reopen(st);
}

uint8_t *stage_data(uint64_t seed, size_t n)
{
    uint8_t *data = malloc(n + 8);
    struct pr_rng rng;

    assert_non_null(data);
    pr_rng_init(&rng, seed);
    for (size_t i = 0; i < n; i += 8) {
        const uint64_t r = pr_rng_next(&rng);
        memcpy(data + i, &r, sizeof r);
    }
    return data;
}
