#include "prism/dp/tool_args.h"

#include "prism/dp/library.h"
#include "prism/io/clock.h"
#include "prism/slot.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { READY_MS = 30000, CHECK_AGAIN_MS = 250 };

struct env {
    pr_cfg_STR seeds, user, password;
};

static const struct pr_cfg_row env_rows[] = {
    { .name = "PRISM_REDIS_SEEDS",
      .dflt = "",
      .help = "host:port,host:port",
      .type = PR_CFG_STR,
      .offset = offsetof(struct env, seeds),
      .max = 65536 },
    { .name = "PRISM_REDIS_USER",
      .dflt = "",
      .help = "Redis ACL user",
      .type = PR_CFG_STR,
      .offset = offsetof(struct env, user),
      .max = 128 },
    { .name = "PRISM_REDIS_PASSWORD",
      .dflt = "",
      .help = "its password",
      .type = PR_CFG_STR,
      .offset = offsetof(struct env, password),
      .max = 512,
      .flags = PR_CFG_SECRET },
};

enum pr_code dp_env_read(const struct pr_cfg_row *rows, size_t n, void *settings,
                         struct pr_err *err)
{
    struct pr_buf problems;
    pr_buf_init(&problems, 0);
    enum pr_code rc = pr_config_load(rows, n, settings, getenv, &problems);
    if (rc != PR_OK)
        rc = pr_fail(err, rc, "%s", problems.data != NULL ? problems.data : "settings");
    pr_buf_done(&problems);
    return rc;
}

enum pr_code dp_store_from_env(struct dp_store *s, struct pr_err *err)
{
    struct env env = { NULL, NULL, NULL };
    *s = (struct dp_store){ .timeout_ms = 5000 };
    enum pr_code rc = dp_env_read(env_rows, PR_COUNT(env_rows), &env, err);
    if (rc == PR_OK)
        rc = dp_set(&s->seeds, env.seeds, err);
    if (rc == PR_OK)
        rc = dp_set(&s->user, env.user, err);
    if (rc == PR_OK)
        rc = dp_set(&s->password, env.password, err);
    pr_config_free(env_rows, PR_COUNT(env_rows), &env);
    return rc;
}

void dp_store_done(struct dp_store *s)
{
    if (s->password != NULL)
        explicit_bzero(s->password, strlen(s->password));
    free(s->seeds);
    free(s->user);
    free(s->password);
    *s = (struct dp_store){ .partitions = 0 };
}

enum pr_code dp_set(char **field, const char *value, struct pr_err *err)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory");
    free(*field);
    *field = copy;
    return PR_OK;
}

enum pr_code dp_store_check(const struct dp_store *s, struct pr_err *err)
{
    if (s->seeds == NULL || s->seeds[0] == '\0')
        return pr_fail(err, PR_EINVAL,
                       "no cluster: give --cluster host:port,... or set PRISM_REDIS_SEEDS");
    if (s->partitions == 0)
        return pr_fail(err, PR_EINVAL, "give --partitions, the store's number of partitions");
    return PR_OK;
}

enum pr_code dp_store_open(const struct dp_store *s, struct pr_cluster **c, struct pr_err *err)
{
    const struct pr_redis_auth auth = { s->user, s->password };
    return pr_cluster_open(c, s->seeds, &auth, s->timeout_ms, err);
}

enum pr_code dp_store_ready(const struct dp_store *s, struct pr_cluster **c, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + READY_MS * 1000LL;
    *c = NULL;
    enum pr_code rc = dp_store_open(s, c, err);
    if (rc != PR_OK)
        return rc;
    while ((rc = pr_cluster_check(*c, PR_LIBRARY_VERSION, err)) == PR_EUNAVAIL &&
           pr_mono_us() < until_us) {
        nanosleep(&(struct timespec){ .tv_nsec = CHECK_AGAIN_MS * 1000000L }, NULL);
        const enum pr_code seen = pr_cluster_refresh(*c, err);
        if (seen != PR_OK && seen != PR_EUNAVAIL)
            return seen;
    }
    return rc;
}

int dp_replicas(const struct pr_topology *t)
{
    int fewest = -1;
    for (size_t s = 0; s < PR_COUNT(t->slot_owner); s++) {
        const int owner = t->slot_owner[s];
        if (owner >= 0 && (fewest < 0 || t->node[owner].replicas < fewest))
            fewest = t->node[owner].replicas;
    }
    return fewest < 0 ? 0 : fewest;
}

enum pr_code dp_arg_integer(const char *option, const char *text, long long lo, long long hi,
                            long long *out, struct pr_err *err)
{
    char *end;
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v < lo || v > hi)
        return pr_fail(err, PR_EINVAL, "%s %.40s: want a whole number in %lld..%lld", option, text,
                       lo, hi);
    *out = v;
    return PR_OK;
}

enum pr_code dp_arg_real(const char *option, const char *text, double lo, double hi, double *out,
                         struct pr_err *err)
{
    char *end;
    const double v = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(v) || v < lo || v > hi)
        return pr_fail(err, PR_EINVAL, "%s %.40s: want a number in %g..%g", option, text, lo, hi);
    *out = v;
    return PR_OK;
}

/* --- signals ------------------------------------------------------------ */
static atomic_bool stop_asked;

static void on_signal(int sig)
{
    (void)sig;
    atomic_store(&stop_asked, true);
}

const atomic_bool *dp_stop_on_signal(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    (void)sigemptyset(&sa.sa_mask);
    (void)sigaction(SIGTERM, &sa, NULL);
    sa.sa_flags |= (int)SA_RESETHAND;
    (void)sigaction(SIGINT, &sa, NULL);
    return &stop_asked;
}

void dp_tool_failed(const char *name, bool json, const struct pr_err *err)
{
    if (!json) {
        (void)fprintf(stderr, "%s: %s\n", name, err->text);
        return;
    }
    (void)printf("{\"error\":\"");
    for (const unsigned char *c = (const unsigned char *)err->text; *c != '\0'; c++)
        if (*c == '"' || *c == '\\')
            (void)printf("\\%c", *c);
        else if (*c < 0x20 || *c > 0x7e)
            (void)printf("\\u%04x", *c);
        else
            (void)putchar(*c);
    (void)printf("\",\"code\":\"%s\"}\n", pr_code_name(err->code));
    (void)fflush(stdout);
}
