#include "io/mend.h"

#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIPE = 1000 };

struct work {
    const struct dr_mend_of *of;
    struct dr_mend *out;
    size_t *owed; /* [shards] replies to come */
};

/* --- commands -----------------------------------------------------------------------------------
 */

static enum pr_code take_replies(struct work *w, size_t shard, struct pr_err *err)
{
    while (w->owed[shard] > 0) {
        PR_AUTO(redisReply) *reply = NULL;
        enum pr_code rc = pr_redis_reply(w->of->conn[shard], &reply, err);
        if (rc == PR_OK)
            rc = pr_redis_reply_code(reply, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "mending shard %zu", shard);
        w->owed[shard]--;
    }
    return PR_OK;
}

static enum pr_code send(struct work *w, size_t shard, int argc, const char *const *argv,
                         const size_t *len, struct pr_err *err)
{
    if (w->of->conn == NULL || w->of->conn[shard] == NULL)
        return PR_OK;
    enum pr_code rc = pr_redis_append(w->of->conn[shard], argc, argv, len, err);
    if (rc == PR_OK && ++w->owed[shard] >= PIPE)
        rc = take_replies(w, shard, err);
    return rc;
}

static enum pr_code drop(struct work *w, size_t shard, const char *key, size_t n,
                         struct pr_err *err)
{
    const char *argv[] = { "UNLINK", key };
    const size_t len[] = { 6, n };
    w->out->dropped++;
    return send(w, shard, 2, argv, len, err);
}

/* --- a vertex -----------------------------------------------------------------------------------
 */

static enum pr_code drop_copies(struct work *w, size_t from, size_t n, const struct dr_copy *copy,
                                struct pr_err *err)
{
    const struct dr_survey *s = w->of->survey;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        char key[256];
        if (copy[i].fate == DR_FATE_DROP)
            rc = drop(w, copy[i].shard, key, dr_survey_key(s, &s->found[from + i], key), err);
    }
    return rc;
}

static enum pr_code promote(struct work *w, const struct dr_found *f, struct pr_err *err)
{
    const struct dr_survey *s = w->of->survey;
    struct dr_found to = *f;
    char staged[256], key[256];
    to.copy.kind = DR_COPY_LIVE;
    const char *argv[] = { "RENAME", staged, key };
    const size_t len[] = { 6, dr_survey_key(s, f, staged), dr_survey_key(s, &to, key) };
    return send(w, f->copy.shard, 3, argv, len, err);
}

static enum pr_code raise(struct work *w, const struct dr_found *f, uint64_t epoch,
                          struct pr_err *err)
{
    struct dr_found live = *f;
    char key[256], e[24];
    live.copy.kind = DR_COPY_LIVE;
    const int n = snprintf(e, sizeof e, "%llu", (unsigned long long)epoch);
    const char *argv[] = { "HSET", key, "_e", e };
    const size_t len[] = { 4, dr_survey_key(w->of->survey, &live, key), 2, (size_t)n };
    return send(w, f->copy.shard, 4, argv, len, err);
}

static enum pr_code tell_home(struct work *w, const struct dr_found *f, const struct dr_verdict *v,
                              struct pr_err *err)
{
    char key[PR_MAX_KEY_BYTES], m[48];
    const int owner = w->of->owner[pr_partition_slot(f->home)];
    const size_t shard = owner != DR_NO_SHARD ? (size_t)owner : f->copy.shard;
    const int n = snprintf(m, sizeof m, "%u:%llu", v->at, (unsigned long long)v->epoch);
    const char *argv[] = { "HSET", key, "_m", m };
    const size_t len[] = { 4,
                           pr_key_vertex(key, f->home, w->of->survey->text.data + f->id, f->id_len),
                           2, (size_t)n };
    w->out->homes_told++;
    return send(w, shard, 4, argv, len, err);
}

static void note(struct dr_mend *m, const struct dr_survey *s, const struct dr_found *f,
                 enum dr_verdict_kind kind)
{
    struct pr_buf *ids = kind == DR_VERDICT_LOST          ? &m->lost_ids
                         : kind == DR_VERDICT_ROLLED_BACK ? &m->rolled_back_ids
                                                          : NULL;
    m->vertices++;
    m->forward += kind == DR_VERDICT_FORWARD;
    m->rolled_back += kind == DR_VERDICT_ROLLED_BACK;
    m->lost += kind == DR_VERDICT_LOST;
    m->claims += kind == DR_VERDICT_CLAIM;
    m->nothing += kind == DR_VERDICT_NOTHING;
    if (ids != NULL) {
        pr_buf_add(ids, s->text.data + f->id, f->id_len);
        pr_buf_str(ids, "\n");
    }
}

/* What is dropped goes first: it may be in the place of what is renamed or written. */
static enum pr_code mend_vertex(struct work *w, size_t from, size_t n, struct pr_err *err)
{
    struct dr_survey *s = w->of->survey;
    struct dr_verdict v;
    struct dr_copy few[16], *copy = n <= PR_COUNT(few) ? few : malloc(n * sizeof *copy);
    if (copy == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu copies of a vertex", n);
    for (size_t i = 0; i < n; i++) {
        const struct dr_found *f = &s->found[from + i];
        copy[i] = f->copy;
        copy[i].owner = w->of->owner[pr_partition_slot(f->copy.partition)] == (int)f->copy.shard;
    }
    dr_reconcile(copy, n, s->found[from].home, w->out->epoch, &v);
    note(w->out, s, &s->found[from], v.kind);
    enum pr_code rc = drop_copies(w, from, n, copy, err);
    if (rc == PR_OK && v.winner != SIZE_MAX && copy[v.winner].fate == DR_FATE_PROMOTE)
        rc = promote(w, &s->found[from + v.winner], err);
    if (rc == PR_OK && v.raise)
        rc = raise(w, &s->found[from + v.winner], v.epoch, err);
    if (rc == PR_OK && v.put_home)
        rc = tell_home(w, &s->found[from + v.winner], &v, err);
    if (copy != few)
        free(copy);
    return rc;
}

static void note_doubt(struct dr_mend *m, const char *key, size_t n)
{
    m->doubtful++;
    for (size_t i = 0; i < n && i < PR_MAX_KEY_BYTES; i++)
        pr_buf_add(&m->doubtful_keys, key[i] >= ' ' && key[i] <= '~' ? &key[i] : "?", 1);
    pr_buf_str(&m->doubtful_keys, "\n");
}

static bool unsure(const struct work *w, const struct dr_stray *s, size_t n, uint16_t slot)
{
    if (w->of->unsure == NULL || (w->of->unsure[slot / 8] >> slot % 8 & 1) == 0)
        return false;
    for (size_t i = 1; i < n; i++)
        if (s[i].value != s[0].value)
            return true;
    return false;
}

/* Of a key that two shards hold, and of which nothing tells which is newer, the slot's owner has
 * the right one. Without an owner among them the first stays. */
static enum pr_code mend_strays(struct work *w, struct pr_err *err)
{
    const struct dr_survey *s = w->of->survey;
    enum pr_code rc = PR_OK;
    for (size_t from = 0, end; from < s->strays && rc == PR_OK; from = end) {
        const struct dr_stray *first = &s->stray[from];
        const char *key = s->text.data + first->key;
        const uint16_t slot = pr_slot_of_key(key, first->key_len);
        size_t keep = from;
        for (end = from; end < s->strays && s->stray[end].key_len == first->key_len &&
                         memcmp(s->text.data + s->stray[end].key, key, first->key_len) == 0;
             end++)
            if ((int)s->stray[end].shard == w->of->owner[slot])
                keep = end;
        if (unsure(w, first, end - from, slot))
            note_doubt(w->out, key, first->key_len);
        w->out->strays += end - from > 1;
        for (size_t i = from; i < end && rc == PR_OK; i++)
            if (i != keep)
                rc = drop(w, s->stray[i].shard, key, first->key_len, err);
    }
    return rc;
}

enum pr_code dr_mend(const struct dr_mend_of *of, struct dr_mend *out, struct pr_err *err)
{
    const struct dr_survey *s = of->survey;
    struct work w = { of, out, calloc(s->shards + 1, sizeof *w.owed) };
    *out = (struct dr_mend){ .epoch = s->newest + 1 };
    pr_buf_init(&out->lost_ids, 0);
    pr_buf_init(&out->rolled_back_ids, 0);
    pr_buf_init(&out->doubtful_keys, 0);
    if (w.owed == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for mending");
    enum pr_code rc = PR_OK;
    for (size_t from = 0, end; from < s->n && rc == PR_OK; from = end) {
        end = dr_survey_group(s, from);
        rc = mend_vertex(&w, from, end - from, err);
    }
    if (rc == PR_OK)
        rc = mend_strays(&w, err);
    for (size_t i = 0; i < s->shards && rc == PR_OK; i++)
        rc = take_replies(&w, i, err); /* none are owed by those that were not told anything */
    free(w.owed);
    if (rc == PR_OK &&
        (out->lost_ids.failed || out->rolled_back_ids.failed || out->doubtful_keys.failed))
        rc = pr_fail(err, PR_ENOMEM, "no memory for the list of lost vertices");
    return rc;
}

void dr_mend_done(struct dr_mend *m)
{
    pr_buf_done(&m->lost_ids);
    pr_buf_done(&m->rolled_back_ids);
    pr_buf_done(&m->doubtful_keys);
}
