#include "io/scrub.h"

#include "core/scrub.h"
#include "io/index.h"

#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 1000 };

struct read { /* a generation */
    struct dr_generation g;
    struct dr_follow follow;
    bool damaged, newest, judged; /* judged: by dr_chain_route, all its pieces at once */
};

enum phase { BASES, LOGS, DONE };

struct dr_scrub {
    struct dr_scrub_of of;
    char shard[DR_NAME];
    struct pr_s3 *s3;
    struct read *read; /* [n] by shard and id */
    size_t n, room;
    struct dr_names groups;
    struct dr_objects page; /* of containers */
    char at[DR_KEY];        /* up to there it is done */
    char cursor[DR_KEY];    /* read last of the group */
    enum phase phase;
    size_t i;    /* generation (BASES) or group (LOGS) */
    size_t part; /* BASES; LOGS: of the page */
    char *data;  /* room bytes */
    size_t data_room;
    struct pr_buf opened; /* what was packed or encrypted */
};

static int by_id(const void *left, const void *right)
{
    const struct read *a = left, *b = right;
    const int names = strcmp(a->g.shard, b->g.shard);
    return names != 0 ? names : dr_generation_compare(&a->g.id, &b->g.id);
}

static void damage(struct dr_scrub *s, struct read *r, const char *why)
{
    if (r->damaged)
        return;
    r->damaged = true;
    s->of.damaged(s->of.ctx, &r->g, r->newest, why);
}

/* --- what there is ---------------------------------------------------------------------------
 */

static enum pr_code add(struct dr_scrub *s, struct pr_err *err)
{
    if (s->n < s->room)
        return PR_OK;
    const size_t room = s->room == 0 ? 64 : 2 * s->room;
    struct read *more = realloc(s->read, room * sizeof *more);
    if (more == NULL)
        return pr_fail(err, PR_ENOMEM, "scrub: no memory for %zu generations", room);
    s->read = more;
    s->room = room;
    return PR_OK;
}

/* A manifest that cannot be read stands for a generation that is lost: its parts and pieces are
 * read by nobody. */
static enum pr_code add_one(struct dr_scrub *s, const char *shard, const char *key, bool newest,
                            struct pr_err *err)
{
    struct dr_key k;
    struct pr_err why = { 0 };
    enum pr_code rc = add(s, err);
    if (rc != PR_OK || !dr_key_parse(key, &k))
        return rc;
    struct read *r = &s->read[s->n];
    *r = (struct read){ .newest = newest };
    rc = dr_catalog_manifest(s->s3, key, &r->g, &why);
    if (rc == PR_ENOTFOUND) /* retention was quicker */
        return PR_OK;
    if (rc != PR_OK && rc != PR_EDATA)
        return pr_fail(err, rc, "%s", why.text);
    s->n++;
    if (rc == PR_OK) {
        dr_follow_init(&r->follow, &r->g);
        return PR_OK;
    }
    char text[DR_KEY + 264];
    r->g = (struct dr_generation){ .id = k.generation };
    (void)snprintf(r->g.shard, DR_NAME, "%s", shard);
    (void)snprintf(text, sizeof text, "%s: %s", key, why.text);
    damage(s, r, text);
    return PR_OK;
}

static enum pr_code add_shard(struct dr_scrub *s, const char *shard, struct pr_err *err)
{
    struct dr_objects found;
    char prefix[DR_KEY];
    (void)snprintf(prefix, sizeof prefix, "%s/gen/%s/", s->of.cluster, shard);
    enum pr_code rc = dr_catalog_list(s->s3, prefix, "", 0, &found, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; rc == PR_OK && i < found.n; i++)
        rc = add_one(s, shard, found.object[i].key, i + 1 == found.n, err);
    dr_objects_done(&found);
    return rc;
}

static enum pr_code survey(struct dr_scrub *s, struct pr_err *err)
{
    struct dr_names shards = { .n = 0 };
    enum pr_code rc = dr_catalog_groups(s->s3, s->of.cluster, &s->groups, err);
    if (rc == PR_OK)
        rc = dr_catalog_shards(s->s3, s->of.cluster, &shards, err);
    for (size_t i = 0; rc == PR_OK && i < shards.n; i++)
        if (s->of.shard == NULL || strcmp(s->of.shard, shards.name[i]) == 0)
            rc = add_shard(s, shards.name[i], err);
    dr_names_done(&shards);
    if (rc == PR_OK && s->n > 0)
        qsort(s->read, s->n, sizeof *s->read, by_id);
    return rc;
}

/* Goes on behind `after`: bases first, then containers, of which a group is read in one go. */
static void take_up(struct dr_scrub *s)
{
    struct dr_key k;
    if (!dr_key_parse(s->of.after, &k))
        return;
    (void)snprintf(s->at, sizeof s->at, "%s", s->of.after);
    if (k.kind == DR_KEY_LOG) {
        s->phase = LOGS;
        while (s->i < s->groups.n && strcmp(s->groups.name[s->i], k.name) <= 0)
            s->i++;
        return;
    }
    struct read last = { .newest = false };
    memcpy(last.g.shard, k.name, DR_NAME);
    last.g.id = k.generation;
    while (s->i < s->n && by_id(&s->read[s->i], &last) < 0)
        s->i++;
    if (s->i < s->n && by_id(&s->read[s->i], &last) == 0)
        s->part = k.part + 1;
}

enum pr_code dr_scrub_open(struct dr_scrub **out, const struct dr_scrub_of *of, struct pr_err *err)
{
    struct dr_scrub *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pr_fail(err, PR_ENOMEM, "scrub: no memory");
    s->of = *of;
    pr_buf_init(&s->opened, 0);
    if (of->shard != NULL) {
        (void)snprintf(s->shard, sizeof s->shard, "%s", of->shard);
        s->of.shard = s->shard;
    }
    enum pr_code rc = pr_s3_open(of->store, of->cancel, &s->s3, err);
    if (rc == PR_OK)
        rc = survey(s, err);
    if (rc == PR_OK)
        take_up(s);
    s->of.after = s->at;
    if (rc != PR_OK)
        dr_scrub_close(s);
    else
        *out = s;
    return rc;
}

void dr_scrub_close(struct dr_scrub *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n; i++)
        dr_generation_done(&s->read[i].g);
    free(s->read);
    free(s->data);
    pr_buf_done(&s->opened);
    dr_names_done(&s->groups);
    dr_objects_done(&s->page);
    pr_s3_close(s->s3);
    free(s);
}

const char *dr_scrub_at(const struct dr_scrub *s)
{
    return s->at;
}

void dr_scrub_each_good(const struct dr_scrub *s,
                        void (*good)(void *ctx, const struct dr_generation *g), void *ctx)
{
    for (size_t i = 0; i < s->n; i++)
        if (!s->read[i].damaged)
            good(ctx, &s->read[i].g);
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum pr_code fetch(struct dr_scrub *s, const char *key, uint64_t n, struct pr_err *err)
{
    if (n > s->data_room) {
        char *more = realloc(s->data, (size_t)n);
        if (more == NULL)
            return pr_fail(err, PR_ENOMEM, "scrub: no memory for %llu bytes of %s",
                           (unsigned long long)n, key);
        s->data = more;
        s->data_room = (size_t)n;
    }
    return n > 0 ? pr_s3_get(s->s3, key, 0, s->data, (size_t)n, NULL, err)
                 : pr_fail(err, PR_EDATA, "it is empty");
}

/* Retention deletes while this reads: what has no manifest any more is not missed. */
static enum pr_code still_there(struct dr_scrub *s, const struct dr_generation *g, bool *there,
                                struct pr_err *err)
{
    struct dr_key k = { .kind = DR_KEY_GENERATION, .generation = g->id };
    struct pr_s3_info info;
    char key[DR_KEY];
    memcpy(k.cluster, g->cluster, sizeof k.cluster);
    memcpy(k.name, g->shard, sizeof k.name);
    enum pr_code rc = dr_key_print(&k, key, err);
    if (rc == PR_OK)
        rc = pr_s3_head(s->s3, key, &info, err);
    *there = rc == PR_OK;
    return rc == PR_ENOTFOUND ? PR_OK : rc;
}

static enum pr_code damaged_if_there(struct dr_scrub *s, struct read *r, const char *why,
                                     struct pr_err *err)
{
    bool there;
    const enum pr_code rc = still_there(s, &r->g, &there, err);
    if (rc == PR_OK && there)
        damage(s, r, why);
    else if (rc == PR_OK)
        r->damaged = true; /* gone: nothing is said of it */
    return rc;
}

static enum pr_code read_part(struct dr_scrub *s, uint64_t *bytes, struct pr_err *err)
{
    struct read *r = &s->read[s->i];
    struct dr_key k = { .kind = DR_KEY_BASE, .generation = r->g.id, .part = (uint32_t)s->part };
    struct pr_err why = { 0 };
    const char *raw;
    char key[DR_KEY];
    memcpy(k.cluster, r->g.cluster, sizeof k.cluster);
    memcpy(k.name, r->g.shard, sizeof k.name);
    enum pr_code rc = dr_key_print(&k, key, err);
    if (rc != PR_OK)
        return rc;
    *bytes = r->g.part[s->part].stored_bytes;
    rc = fetch(s, key, *bytes, &why);
    if (rc == PR_OK)
        rc = dr_part_view(&r->g, k.part, s->data, (size_t)*bytes, s->of.codec, &s->opened, &raw,
                          &why);
    if (rc == PR_EDATA || rc == PR_ENOTFOUND) {
        char text[DR_KEY + 264];
        (void)snprintf(text, sizeof text, "%s: %s", key,
                       rc == PR_ENOTFOUND ? "it is missing" : why.text);
        rc = damaged_if_there(s, r, text, err);
    } else if (rc != PR_OK) {
        return pr_fail(err, rc, "%s", why.text);
    }
    if (rc == PR_OK) {
        s->part++;
        (void)snprintf(s->at, sizeof s->at, "%s", key);
    }
    return rc;
}

static enum pr_code step_bases(struct dr_scrub *s, uint64_t *bytes, struct pr_err *err)
{
    while (s->i < s->n && (s->read[s->i].damaged || s->part >= s->read[s->i].g.parts)) {
        s->i++;
        s->part = 0;
    }
    if (s->i < s->n)
        return read_part(s, bytes, err);
    s->phase = LOGS;
    s->i = s->part = 0;
    return PR_OK;
}

static struct read *find(struct dr_scrub *s, const struct dr_piece *p)
{
    struct read key = { .newest = false };
    memcpy(key.g.shard, p->shard, DR_NAME);
    key.g.id = p->generation;
    return s->n > 0 ? bsearch(&key, s->read, s->n, sizeof key, by_id) : NULL;
}

/* Which shards had pieces in it nobody can say: the chains will. */
static void doubt_all(struct dr_scrub *s, const char *group)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->read[i].g.group, group) == 0)
            s->read[i].follow.unsure = true;
}

static enum pr_code check_pieces(struct dr_scrub *s, const char *key, const struct dr_container *c,
                                 struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; rc == PR_OK && i < c->pieces; i++) {
        const struct dr_piece *p = &c->piece[i];
        struct read *r = find(s, p);
        struct pr_err why = { 0 };
        const char *raw;
        if (r == NULL || r->damaged)
            continue;
        rc = dr_piece_view(c, i, s->data + p->at, (size_t)p->stored_bytes, s->of.codec, &s->opened,
                           &raw, &why);
        if (rc == PR_EDATA) {
            char text[DR_KEY + 264];
            (void)snprintf(text, sizeof text, "%s: %s", key, why.text);
            rc = damaged_if_there(s, r, text, err);
        } else if (rc == PR_OK) {
            dr_follow_piece(&r->follow, p);
        } else {
            rc = pr_fail(err, rc, "%s: %s", key, why.text);
        }
    }
    return rc;
}

static enum pr_code read_container(struct dr_scrub *s, const struct dr_object *o,
                                   struct pr_err *err)
{
    struct dr_container c = { .piece = NULL };
    struct pr_err why = { 0 };
    uint8_t check[DR_HASH];
    size_t need = 0;
    enum pr_code rc = fetch(s, o->key, o->size, &why);
    if (rc == PR_OK)
        rc = dr_container_read(s->data, (size_t)o->size, o->size, &c, check, &need, &why);
    if (rc == PR_EDATA) {
        pr_error(PR_EV("dr.container_damaged"), PR_S("key", o->key), PR_E(&why));
        doubt_all(s, s->groups.name[s->i]);
        rc = PR_OK;
    } else if (rc == PR_OK) {
        rc = check_pieces(s, o->key, &c, err);
    } else if (rc != PR_ENOTFOUND) { /* else retention was quicker */
        return pr_fail(err, rc, "%s: %s", o->key, why.text);
    } else {
        rc = PR_OK;
    }
    free(c.piece);
    return rc;
}

static enum pr_code next_page(struct dr_scrub *s, struct pr_err *err)
{
    char prefix[DR_KEY];
    dr_objects_done(&s->page);
    s->part = 0;
    (void)snprintf(prefix, sizeof prefix, "%s/log/%s/", s->of.cluster, s->groups.name[s->i]);
    return dr_catalog_list(s->s3, prefix, s->cursor, PAGE, &s->page, err);
}

static bool doubtful(const struct read *r)
{
    return r->follow.unsure && !r->damaged && !r->judged;
}

/* What could not be followed in passing, as a restore would go. */
static enum pr_code judge_chain(struct dr_scrub *s, struct read *r, const struct dr_pieces *pieces,
                                struct pr_err *err)
{
    struct dr_route route = { .n = 0 };
    enum pr_code rc = dr_chain_route(&r->g, pieces->piece, pieces->n, INT64_MAX, &route, err);
    if (rc == PR_OK && route.gap)
        rc = damaged_if_there(s, r, route.why, err);
    r->judged = rc == PR_OK;
    free(route.take);
    return rc;
}

/* All in doubt at once: a container that cannot be read raises it about every shard of its group.
 * One whose manifest is gone since has no pieces, and is asked for. */
static enum pr_code judge_chains(struct dr_scrub *s, struct pr_err *err)
{
    static const struct dr_pieces none;
    struct dr_index ix;
    enum pr_code rc =
        dr_index_open(&ix, s->of.store, s->of.cancel, s->of.cluster, s->of.shard, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; i < s->n; i++) {
        struct dr_index_shard *of = dr_index_find(&ix, s->read[i].g.shard);
        for (size_t g = 0; of != NULL && doubtful(&s->read[i]) && g < of->n; g++)
            if (dr_generation_compare(&of->g[g].id, &s->read[i].g.id) == 0)
                dr_index_want_one(of, g);
    }
    rc = dr_index_read(&ix, err);
    for (size_t i = 0; rc == PR_OK && i < s->n; i++) {
        const struct dr_index_shard *of = dr_index_find(&ix, s->read[i].g.shard);
        if (doubtful(&s->read[i]))
            rc = judge_chain(s, &s->read[i], of != NULL ? &of->pieces : &none, err);
    }
    dr_index_close(&ix);
    return rc;
}

static enum pr_code end_group(struct dr_scrub *s, struct pr_err *err)
{
    bool doubt = false;
    for (size_t i = 0; !doubt && i < s->n; i++)
        doubt = doubtful(&s->read[i]);
    const enum pr_code rc = doubt ? judge_chains(s, err) : PR_OK;
    if (rc != PR_OK)
        return rc;
    if (s->cursor[0] != '\0')
        memcpy(s->at, s->cursor, sizeof s->at);
    s->cursor[0] = '\0';
    s->i++;
    return PR_OK;
}

static enum pr_code step_logs(struct dr_scrub *s, uint64_t *bytes, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (s->i == s->groups.n) {
        s->phase = DONE;
        return PR_OK;
    }
    if (s->part == s->page.n)
        rc = next_page(s, err);
    if (rc != PR_OK)
        return rc;
    if (s->page.n == 0)
        return end_group(s, err);
    const struct dr_object *o = &s->page.object[s->part];
    *bytes = o->size;
    rc = read_container(s, o, err);
    if (rc == PR_OK) {
        memcpy(s->cursor, o->key, sizeof s->cursor);
        s->part++;
    }
    return rc;
}

enum pr_code dr_scrub_step(struct dr_scrub *s, uint64_t *bytes, bool *done, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    *bytes = 0;
    if (s->phase == BASES)
        rc = step_bases(s, bytes, err);
    else if (s->phase == LOGS)
        rc = step_logs(s, bytes, err);
    *done = rc == PR_OK && s->phase == DONE;
    return rc;
}
