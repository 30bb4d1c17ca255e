#include "io/region/marker.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { MARKER_MAX = 4096 };

static enum pr_code key_of(const char *cluster, uint64_t epoch, char out[DR_KEY],
                           struct pr_err *err)
{
    struct dr_key k = { .kind = DR_KEY_SITE, .epoch = epoch };
    (void)snprintf(k.cluster, sizeof k.cluster, "%s", cluster);
    return dr_key_print(&k, out, err);
}

static bool take_name(const json_t *o, const char *name, char out[DR_NAME])
{
    const char *v = json_string_value(json_object_get(o, name));
    if (v == NULL || !dr_name_ok(v))
        return false;
    (void)snprintf(out, DR_NAME, "%s", v);
    return true;
}

static bool take_number(const json_t *o, const char *name, int64_t *out)
{
    const json_t *v = json_object_get(o, name);
    *out = json_integer_value(v);
    return json_is_integer(v) && *out >= 0;
}

static enum pr_code parse(const char *key, const struct pr_buf *text, uint64_t epoch,
                          struct dr_marker *out, struct pr_err *err)
{
    int64_t format = 0, number = 0, failover = 0;
    json_t *o = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, NULL);
    *out = (struct dr_marker){ .epoch = epoch };
    const bool ok = take_number(o, "format", &format) && format == 1 &&
                    take_number(o, "epoch", &number) && (uint64_t)number == epoch &&
                    take_number(o, "failover", &failover) && take_number(o, "at_ms", &out->at_ms) &&
                    take_name(o, "site", out->site) && take_name(o, "data", out->data) &&
                    json_object_size(o) == 6;
    json_decref(o);
    out->failover = (uint64_t)failover;
    return ok ? PR_OK : pr_fail(err, PR_EDATA, "%s is no marker of format 1", key);
}

enum pr_code dr_marker_read(struct pr_s3 *s3, const char *cluster, uint64_t epoch,
                            struct dr_marker *out, struct pr_err *err)
{
    char key[DR_KEY];
    struct pr_buf text;
    pr_buf_init(&text, MARKER_MAX);
    enum pr_code rc = key_of(cluster, epoch, key, err);
    if (rc == PR_OK)
        rc = pr_s3_read(s3, key, &text, NULL, err);
    if (rc == PR_OK)
        rc = parse(key, &text, epoch, out, err);
    pr_buf_done(&text);
    return rc;
}

static bool newest(void *arg, const struct pr_s3_entry *e)
{
    struct dr_key k;
    uint64_t *epoch = arg;
    if (dr_key_parse(e->key, &k) && k.kind == DR_KEY_SITE && k.epoch > *epoch)
        *epoch = k.epoch;
    return true;
}

enum pr_code dr_marker_newest(struct pr_s3 *s3, const char *cluster, struct dr_marker *out,
                              struct pr_err *err)
{
    char prefix[DR_KEY];
    uint64_t epoch = 0;
    (void)snprintf(prefix, sizeof prefix, "%s/site/", cluster);
    const struct pr_s3_list what = { .prefix = prefix };
    *out = (struct dr_marker){ .epoch = 0 };
    (void)snprintf(out->data, sizeof out->data, "%s", cluster);
    const enum pr_code rc = pr_s3_list(s3, &what, newest, &epoch, err);
    return rc == PR_OK && epoch > 0 ? dr_marker_read(s3, cluster, epoch, out, err) : rc;
}

enum pr_code dr_marker_write(struct pr_s3 *s3, const char *cluster, const struct dr_marker *m,
                             struct pr_err *err)
{
    const struct pr_s3_put how = { .if_none_match = true,
                                   .same_is_done = true,
                                   .content_type = "application/json" };
    char key[DR_KEY], text[512];
    enum pr_code rc = key_of(cluster, m->epoch, key, err);
    if (rc != PR_OK)
        return rc;
    /* Always the same bytes: who resumes after a crash writes it again. */
    const int n = snprintf(text, sizeof text,
                           "{\"format\":1,\"epoch\":%" PRIu64 ",\"site\":\"%s\",\"data\":\"%s\","
                           "\"failover\":%" PRIu64 ",\"at_ms\":%" PRId64 "}\n",
                           m->epoch, m->site, m->data, m->failover, m->at_ms);
    rc = pr_s3_put(s3, key, text, (size_t)n, &how, NULL, err);
    return rc == PR_EEXISTS
               ? pr_fail(err, PR_EFENCED, "%s is there already: another fail-over claimed it", key)
               : rc;
}
