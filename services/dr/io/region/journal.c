#include "io/region/journal.h"

#include "prism/io/clock.h"
#include "prism/io/json_text.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { RECORD_MAX = 1 << 20 };

static enum pr_code key_of(const struct dr_journal *j, uint64_t number, uint64_t seq,
                           char out[DR_KEY], struct pr_err *err)
{
    struct dr_key k = { .kind = DR_KEY_FAILOVER, .epoch = number, .seq = seq };
    (void)snprintf(k.cluster, sizeof k.cluster, "%s", j->cluster);
    return dr_key_print(&k, out, err);
}

/* --- facts -----------------------------------------------------------------------------------
 */

static bool take_text(const json_t *o, const char *name, char *out, size_t room)
{
    const json_t *v = json_object_get(o, name);
    if (v == NULL)
        return true;
    if (!json_is_string(v) || json_string_length(v) >= room)
        return false;
    (void)snprintf(out, room, "%s", json_string_value(v));
    return true;
}

/* Words are cut where they are too long: bytes that are no UTF-8 grow when they are written. */
static bool take_words(const json_t *o, const char *name, char *out, size_t room)
{
    const json_t *v = json_object_get(o, name);
    if (json_is_string(v))
        (void)snprintf(out, room, "%s", json_string_value(v));
    return v == NULL || json_is_string(v);
}

static bool take_bool(const json_t *o, const char *name, bool *out)
{
    const json_t *v = json_object_get(o, name);
    if (v != NULL)
        *out = json_is_true(v);
    return v == NULL || json_is_boolean(v);
}

static bool take_int(const json_t *o, const char *name, int64_t *out)
{
    const json_t *v = json_object_get(o, name);
    if (v != NULL)
        *out = json_integer_value(v);
    return v == NULL || json_is_integer(v);
}

static bool take_points(const json_t *o, struct dr_region_facts *f)
{
    const json_t *a = json_object_get(o, "points");
    if (a == NULL)
        return true;
    const size_t n = json_array_size(a);
    struct dr_region_point *point = calloc(n + 1, sizeof *point);
    bool ok = json_is_array(a) && point != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        int64_t offset = -1;
        const json_t *p = json_array_get(a, i);
        ok = take_text(p, "replid", point[i].replid, sizeof point[i].replid) &&
             dr_replid_ok(point[i].replid) && take_int(p, "offset", &offset) && offset >= 0;
        point[i].offset = (uint64_t)offset;
    }
    free(f->point);
    f->point = point;
    f->points = ok ? n : 0;
    return ok;
}

static bool take_facts(const json_t *o, struct dr_region_facts *f)
{
    int64_t epoch = (int64_t)f->epoch, missing = (int64_t)f->missing;
    const bool ok =
        json_is_object(o) && take_text(o, "from", f->from, sizeof f->from) &&
        take_text(o, "to", f->to, sizeof f->to) && take_words(o, "by", f->by, sizeof f->by) &&
        take_words(o, "key", f->key, sizeof f->key) &&
        take_text(o, "data", f->data, sizeof f->data) &&
        take_text(o, "next_data", f->next_data, sizeof f->next_data) &&
        take_bool(o, "old_side_is_down", &f->old_side_is_down) &&
        take_bool(o, "over_existing", &f->over_existing) &&
        take_bool(o, "accept_loss", &f->accept_loss) &&
        take_bool(o, "all_locked", &f->all_locked) && take_bool(o, "emptying", &f->emptying) &&
        take_bool(o, "drained", &f->drained) && take_int(o, "wait_ms", &f->wait_ms) &&
        take_int(o, "epoch", &epoch) && take_int(o, "claim_ms", &f->claim_ms) &&
        take_int(o, "locked_ms", &f->locked_ms) && take_points(o, f) &&
        take_int(o, "rpo_ms", &f->rpo_ms) && take_int(o, "missing", &missing) &&
        take_int(o, "verified_ms", &f->verified_ms) && epoch >= 0 && missing >= 0;
    f->epoch = (uint64_t)epoch;
    f->missing = (size_t)missing;
    return ok;
}

/* --- records ---------------------------------------------------------------------------------
 */

static const char *take_record(struct dr_journal *j, const json_t *o, uint64_t seq)
{
    struct dr_region_record r = { .at_ms = 0 };
    char kind[16] = "", step[16] = "", text[DR_REGION_TEXT] = "";
    int64_t format = 0, n = -1;
    if (!take_int(o, "format", &format) || format != 1 || !take_int(o, "seq", &n) ||
        (uint64_t)n != seq || !take_int(o, "at_ms", &r.at_ms) ||
        !take_text(o, "kind", kind, sizeof kind) || !take_text(o, "step", step, sizeof step) ||
        !take_words(o, "text", text, sizeof text) || !take_bool(o, "postgres", &r.postgres) ||
        !dr_region_kind_find(kind, &r.kind) ||
        (step[0] != '\0' && !dr_region_step_find(step, &r.step)))
        return "is no record of format 1";
    const char *why = dr_region_apply(&j->state, &r);
    if (why == NULL && !take_facts(json_object_get(o, "facts"), &j->facts))
        why = "has facts that are none";
    if (why != NULL)
        return why;
    if (step[0] != '\0')
        memcpy(j->text[r.step], text, sizeof text);
    if (r.kind == DR_REGION_FAILED || r.kind == DR_REGION_STUCK)
        memcpy(j->why, text, sizeof text);
    else
        j->why[0] = '\0';
    return NULL;
}

static enum pr_code take_json(struct dr_journal *j, const char *key, const char *text, size_t len,
                              uint64_t seq, struct pr_err *err)
{
    json_error_t at;
    json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &at);
    const char *why = o == NULL ? "is no JSON" : take_record(j, o, seq);
    json_decref(o);
    return why == NULL ? PR_OK : pr_fail(err, PR_EDATA, "%s %s", key, why);
}

static enum pr_code read_all(struct dr_journal *j, struct pr_err *err)
{
    for (;;) {
        char key[DR_KEY];
        struct pr_buf text;
        pr_buf_init(&text, RECORD_MAX);
        enum pr_code rc = key_of(j, j->number, j->next_seq, key, err);
        if (rc == PR_OK)
            rc = pr_s3_read(j->s3, key, &text, NULL, err);
        const bool end = rc == PR_ENOTFOUND;
        if (rc == PR_OK)
            rc = take_json(j, key, text.data, text.len, j->next_seq, err);
        pr_buf_done(&text);
        if (end)
            return PR_OK;
        if (rc != PR_OK)
            return rc;
        j->next_seq++;
    }
}

static bool newest(void *arg, const struct pr_s3_entry *e)
{
    struct dr_key k;
    char key[DR_KEY];
    uint64_t *number = arg;
    if (snprintf(key, sizeof key, "%s%016x", e->key, 0) < (int)sizeof key &&
        dr_key_parse(key, &k) && k.kind == DR_KEY_FAILOVER && k.epoch > *number)
        *number = k.epoch;
    return true;
}

/* Of this process and this journal alone: a record of another's is never taken for ours. */
static void name_writer(struct dr_journal *j)
{
    char host[40] = "";
    uint32_t nonce = (uint32_t)pr_mono_us();
    (void)gethostname(host, sizeof host - 1);
    (void)!getrandom(&nonce, sizeof nonce, 0);
    (void)snprintf(j->writer, sizeof j->writer, "%s:%d:%08x", host, (int)getpid(), nonce);
}

enum pr_code dr_journal_open(struct dr_journal *j, struct pr_s3 *s3, const char *cluster,
                             struct pr_err *err)
{
    char prefix[DR_KEY];
    *j = (struct dr_journal){ .s3 = s3, .cluster = cluster, .facts = { .rpo_ms = -1 } };
    name_writer(j);
    (void)snprintf(prefix, sizeof prefix, "%s/failover/", cluster);
    const struct pr_s3_list what = { .prefix = prefix, .delimiter = "/" };
    const enum pr_code rc = pr_s3_list(s3, &what, newest, &j->number, err);
    return rc == PR_OK && j->number > 0 ? read_all(j, err) : rc;
}

void dr_journal_done(struct dr_journal *j)
{
    free(j->facts.point);
    j->facts.point = NULL;
}

/* --- writing ---------------------------------------------------------------------------------
 */

static enum pr_code put(struct dr_journal *j, const struct pr_buf *text, struct pr_err *err)
{
    /* Tried again until it is known: the writer's name is in it, so what is found is ours or not.
     */
    const struct pr_s3_put how = { .if_none_match = true,
                                   .same_is_done = true,
                                   .content_type = "application/json" };
    char key[DR_KEY];
    if (text->failed)
        return pr_fail(err, PR_ENOMEM, "no memory for a record");
    enum pr_code rc = key_of(j, j->number, j->next_seq, key, err);
    if (rc == PR_OK)
        rc = pr_s3_put(j->s3, key, text->data, text->len, &how, NULL, err);
    if (rc == PR_EEXISTS)
        return pr_fail(err, PR_EFENCED, "somebody else goes on with this fail-over: %s is theirs",
                       key);
    if (rc == PR_OK)
        rc = take_json(j, key, text->data, text->len, j->next_seq, err);
    j->next_seq += rc == PR_OK;
    return rc;
}

static void head(const struct dr_journal *j, struct pr_buf *b, enum dr_region_kind kind)
{
    pr_buf_printf(
        b, "{\"format\":1,\"seq\":%" PRIu64 ",\"kind\":\"%s\",\"at_ms\":%" PRId64 ",\"writer\":",
        j->next_seq, dr_region_kind_name(kind), pr_now_ms());
    pr_json_add(b, j->writer);
}

enum pr_code dr_journal_begin(struct dr_journal *j, const struct dr_region_facts *f, bool postgres,
                              struct pr_err *err)
{
    struct pr_buf b;
    pr_buf_init(&b, 0);
    free(j->facts.point);
    j->facts = (struct dr_region_facts){ .rpo_ms = -1 };
    j->state = (struct dr_region_state){ .begun = false };
    memset(j->text, 0, sizeof j->text);
    j->why[0] = '\0';
    j->number++;
    j->next_seq = 0;
    head(j, &b, DR_REGION_BEGIN);
    pr_buf_printf(&b, ",\"postgres\":%s,\"facts\":{\"from\":\"%s\",\"to\":\"%s\",\"by\":",
                  postgres ? "true" : "false", f->from, f->to);
    pr_json_add(&b, f->by);
    if (f->key[0] != '\0') {
        pr_buf_str(&b, ",\"key\":");
        pr_json_add(&b, f->key);
    }
    pr_buf_printf(&b,
                  ",\"old_side_is_down\":%s,\"over_existing\":%s,\"accept_loss\":%s,"
                  "\"wait_ms\":%" PRId64 ",\"data\":\"%s\",\"next_data\":\"%s\",\"epoch\":%" PRIu64
                  "}}\n",
                  f->old_side_is_down ? "true" : "false", f->over_existing ? "true" : "false",
                  f->accept_loss ? "true" : "false", f->wait_ms, f->data, f->next_data, f->epoch);
    const enum pr_code rc = put(j, &b, err);
    pr_buf_done(&b);
    return rc;
}

static bool has_step(enum dr_region_kind kind)
{
    return kind != DR_REGION_BEGIN && kind != DR_REGION_ATTEMPT && kind != DR_REGION_ABORT &&
           kind != DR_REGION_END;
}

enum pr_code dr_journal_write(struct dr_journal *j, enum dr_region_kind kind,
                              enum dr_region_step step, const char *text, const char *facts,
                              struct pr_err *err)
{
    char shown[DR_REGION_TEXT];
    struct pr_buf b;
    pr_buf_init(&b, 0);
    (void)snprintf(shown, sizeof shown, "%s", text != NULL ? text : "");
    head(j, &b, kind);
    if (has_step(kind))
        pr_buf_printf(&b, ",\"step\":\"%s\"", dr_region_row[step].name);
    pr_buf_str(&b, ",\"text\":");
    pr_json_add(&b, shown);
    pr_buf_printf(&b, ",\"facts\":{%s}}\n", facts);
    const enum pr_code rc = put(j, &b, err);
    pr_buf_done(&b);
    return rc;
}

enum pr_code dr_journal_still_ours(struct dr_journal *j, struct pr_err *err)
{
    char key[DR_KEY];
    enum pr_code rc = key_of(j, j->number, j->next_seq, key, err);
    if (rc == PR_OK)
        rc = pr_s3_head(j->s3, key, NULL, err);
    if (rc == PR_OK)
        return pr_fail(err, PR_EFENCED, "somebody else goes on with this fail-over");
    return rc == PR_ENOTFOUND ? PR_OK : rc;
}
