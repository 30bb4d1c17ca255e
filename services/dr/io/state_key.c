/* Whose key is it? The first part of its base says so for a whole generation. */
#include "io/state.h"

#include "io/catalog.h"

#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>

enum { THREADS = 16 };

struct looking {
    const struct dr_taking *t;
    struct dr_state *st;
};

static enum pr_code first_bytes(struct pr_s3 *s3, struct dr_key *k, uint8_t first[DR_KEY_ID],
                                struct pr_err *err)
{
    char key[DR_KEY];
    k->kind = DR_KEY_BASE;
    const enum pr_code rc = dr_key_print(k, key, err);
    return rc == PR_OK ? pr_s3_get(s3, key, 0, first, DR_KEY_ID, NULL, err) : rc;
}

/* PR_ENOTFOUND, PR_EDATA: what is gone or damaged is no base to go on from, either. */
static enum pr_code same_key(const struct dr_taking *t, struct pr_s3 *s3, const struct dr_saved *s,
                             bool *same, struct pr_err *err)
{
    struct dr_key k = { .kind = DR_KEY_GENERATION, .generation = s->at.generation };
    struct dr_generation g;
    uint8_t first[DR_KEY_ID] = { 0 };
    char key[DR_KEY];
    (void)snprintf(k.cluster, sizeof k.cluster, "%s", t->cluster);
    memcpy(k.name, s->shard, sizeof k.name);
    enum pr_code rc = dr_key_print(&k, key, err);
    if (rc == PR_OK)
        rc = dr_catalog_manifest(s3, key, &g, err);
    if (rc != PR_OK)
        return rc;
    const uint32_t flags = g.part[0].flags;
    dr_generation_done(&g);
    if ((flags & DR_AES_GCM) != 0)
        rc = first_bytes(s3, &k, first, err);
    *same = rc == PR_OK && dr_codec_same(t->codec, flags, first);
    return rc;
}

static enum pr_code look(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    const struct looking *l = ctx;
    struct dr_saved *s = &l->st->shard[i];
    bool same = false;
    if (s->at.generation.epoch == 0)
        return PR_OK;
    const enum pr_code rc = same_key(l->t, s3, s, &same, err);
    if (rc != PR_OK && rc != PR_EDATA && rc != PR_ENOTFOUND)
        return rc;
    if (!same) {
        pr_warn(
            PR_EV("dr.begins_anew"), PR_S("shard", s->shard),
            PR_S("why", rc == PR_OK ? "its generation was written under another key" : err->text));
        s->at = (struct dr_position){ .offset = 0 };
    }
    return PR_OK;
}

enum pr_code dr_state_keys(const struct dr_taking *t, struct dr_state *st, struct pr_err *err)
{
    struct looking l = { t, st };
    return dr_each(t->store, t->cancel, THREADS, st->shards, look, &l, err);
}
