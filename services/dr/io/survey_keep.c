/* What a survey holds: kept, put in order, written for another machine. */
#include "io/survey_private.h"

#include "prism/slot.h"

#include <stdlib.h>
#include <string.h>

static enum pr_code no_memory(struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "no memory for the vertices that are away from home");
}

enum pr_code dr_survey_init(struct dr_survey *s, size_t shards, struct pr_err *err)
{
    *s = (struct dr_survey){ .shards = shards, .keys = calloc(shards + 1, sizeof *s->keys) };
    pr_buf_init(&s->text, 0);
    return s->keys != NULL ? PR_OK : no_memory(err);
}

void dr_survey_done(struct dr_survey *s)
{
    free(s->found);
    free(s->stray);
    free(s->keys);
    pr_buf_done(&s->text);
    *s = (struct dr_survey){ .n = 0 };
}

size_t dr_survey_group(const struct dr_survey *s, size_t from)
{
    size_t i = from + 1;
    while (i < s->n && s->found[i].hash == s->found[from].hash &&
           s->found[i].id_len == s->found[from].id_len &&
           memcmp(s->text.data + s->found[i].id, s->text.data + s->found[from].id,
                  s->found[from].id_len) == 0)
        i++;
    return i;
}

size_t dr_survey_key(const struct dr_survey *s, const struct dr_found *f, char out[256])
{
    const char *id = s->text.data + f->id;
    return f->copy.kind == DR_COPY_STAGED
               ? pr_key_staging(out, f->copy.partition, id, f->id_len, f->copy.name)
               : pr_key_vertex(out, f->copy.partition, id, f->id_len);
}

bool dr_survey_shared(const struct dr_survey *s, uint32_t slot)
{
    unsigned holders = 0;
    for (size_t i = 0; i < s->shards; i++)
        holders += s->keys[i][slot] > 0;
    return holders > 1;
}

/* --- collecting ---------------------------------------------------------------------------------
 */

static bool more_room(void **array, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return true;
    const size_t want = *room > 0 ? 2 * *room : 256;
    void *p = realloc(*array, want * size);
    if (p == NULL)
        return false;
    *array = p;
    *room = want;
    return true;
}

static enum pr_code keep_text(struct dr_survey *s, const char *text, size_t n, size_t *at,
                              struct pr_err *err)
{
    *at = s->text.len;
    pr_buf_add(&s->text, text, n);
    return s->text.failed ? no_memory(err) : PR_OK;
}

enum pr_code dr_survey_keep_found(struct dr_survey *s, const struct dr_found *f, const char *id,
                                  struct pr_err *err)
{
    if (!more_room((void **)&s->found, s->n, &s->room, sizeof *s->found))
        return no_memory(err);
    s->found[s->n] = *f;
    return keep_text(s, id, f->id_len, &s->found[s->n++].id, err);
}

enum pr_code dr_survey_keep_stray(struct dr_survey *s, const struct dr_stray *t, const char *key,
                                  struct pr_err *err)
{
    if (!more_room((void **)&s->stray, s->strays, &s->strays_room, sizeof *s->stray))
        return no_memory(err);
    s->stray[s->strays] = *t;
    return keep_text(s, key, t->key_len, &s->stray[s->strays++].key, err);
}

/* --- in order -------------------------------------------------------------------------------- */

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_id(const void *a, const void *b, void *text)
{
    const struct dr_found *x = a, *y = b;
    int c = compare(x->hash, y->hash);
    c = c != 0 ? c : compare(x->id_len, y->id_len);
    c = c != 0 ? c : memcmp((char *)text + x->id, (char *)text + y->id, x->id_len);
    c = c != 0 ? c : compare(x->copy.shard, y->copy.shard);
    c = c != 0 ? c : compare(x->copy.partition, y->copy.partition);
    c = c != 0 ? c : compare(x->copy.kind, y->copy.kind);
    return c != 0 ? c : compare(x->copy.name, y->copy.name);
}

static int by_key(const void *a, const void *b, void *text)
{
    const struct dr_stray *x = a, *y = b;
    int c = compare(x->key_len, y->key_len);
    c = c != 0 ? c : memcmp((char *)text + x->key, (char *)text + y->key, x->key_len);
    return c != 0 ? c : compare(x->shard, y->shard);
}

void dr_survey_sort(struct dr_survey *s)
{
    size_t kept = 0;
    if (s->n > 0)
        qsort_r(s->found, s->n, sizeof *s->found, by_id, s->text.data);
    for (size_t i = 0; i < s->n; i++)
        if (kept == 0 || by_id(&s->found[kept - 1], &s->found[i], s->text.data) != 0)
            s->found[kept++] = s->found[i];
    s->n = kept;
    kept = 0;
    if (s->strays > 0)
        qsort_r(s->stray, s->strays, sizeof *s->stray, by_key, s->text.data);
    for (size_t i = 0; i < s->strays; i++)
        if (kept == 0 || by_key(&s->stray[kept - 1], &s->stray[i], s->text.data) != 0)
            s->stray[kept++] = s->stray[i];
    s->strays = kept;
}

/* --- for another machine ------------------------------------------------------------------------
 */

void dr_survey_write(const struct dr_survey *s, size_t from, size_t to, struct pr_buf *out)
{
    pr_buf_u64le(out, s->total);
    pr_buf_u64le(out, s->newest);
    for (size_t i = from; i < to; i++)
        for (size_t slot = 0; slot < DR_SLOTS; slot++)
            pr_buf_u32le(out, s->keys[i][slot]);
    pr_buf_u64le(out, s->n);
    for (size_t i = 0; i < s->n; i++) {
        const struct dr_found *f = &s->found[i];
        const struct dr_copy *c = &f->copy;
        const uint64_t field[] = { f->hash, f->home, f->id_len, c->shard, c->partition,
                                   c->kind, c->v,    c->e,      c->name,  c->to };
        for (size_t k = 0; k < PR_COUNT(field); k++)
            pr_buf_u64le(out, field[k]);
        pr_buf_add(out, s->text.data + f->id, f->id_len);
    }
    pr_buf_u64le(out, s->strays);
    for (size_t i = 0; i < s->strays; i++) {
        pr_buf_u64le(out, s->stray[i].shard);
        pr_buf_u64le(out, s->stray[i].value);
        pr_buf_u64le(out, s->stray[i].key_len);
        pr_buf_add(out, s->text.data + s->stray[i].key, s->stray[i].key_len);
    }
}

static enum pr_code read_found(struct dr_reader *r, struct dr_survey *s, struct pr_err *err)
{
    uint64_t v[10];
    for (size_t k = 0; k < PR_COUNT(v); k++)
        v[k] = dr_read_u64(r);
    const char *id = dr_read_bytes(r, v[2]);
    if (id == NULL || v[2] > UINT8_MAX || v[3] >= s->shards)
        return pr_fail(err, PR_EDATA, "what another part found is cut short");
    const struct dr_found f = { .hash = v[0],
                                .home = (uint32_t)v[1],
                                .id_len = (uint8_t)v[2],
                                .copy = { .shard = (uint32_t)v[3],
                                          .partition = (uint32_t)v[4],
                                          .kind = (enum dr_copy_kind)v[5],
                                          .v = v[6],
                                          .e = v[7],
                                          .name = v[8],
                                          .to = (uint32_t)v[9] } };
    return dr_survey_keep_found(s, &f, id, err);
}

static enum pr_code read_stray(struct dr_reader *r, struct dr_survey *s, struct pr_err *err)
{
    struct dr_stray t = { .shard = (uint32_t)dr_read_u64(r) };
    t.value = dr_read_u64(r);
    t.key_len = dr_read_u64(r);
    const char *key = dr_read_bytes(r, t.key_len);
    if (key == NULL || t.shard >= s->shards)
        return pr_fail(err, PR_EDATA, "what another part found is cut short");
    return dr_survey_keep_stray(s, &t, key, err);
}

enum pr_code dr_survey_read(struct dr_reader *r, size_t from, size_t to, struct dr_survey *s,
                            struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    s->total += dr_read_u64(r);
    const uint64_t newest = dr_read_u64(r);
    s->newest = newest > s->newest ? newest : s->newest;
    for (size_t i = from; i < to; i++) {
        const unsigned char *p = (const unsigned char *)dr_read_bytes(r, 4 * (size_t)DR_SLOTS);
        for (size_t slot = 0; p != NULL && slot < DR_SLOTS; slot++, p += 4)
            s->keys[i][slot] =
                (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    for (uint64_t i = dr_read_u64(r); i > 0 && rc == PR_OK; i--)
        rc = read_found(r, s, err);
    for (uint64_t i = dr_read_u64(r); i > 0 && rc == PR_OK; i--)
        rc = read_stray(r, s, err);
    if (rc == PR_OK && r->failed)
        rc = pr_fail(err, PR_EDATA, "what another part found is cut short");
    dr_survey_sort(s);
    return rc;
}
