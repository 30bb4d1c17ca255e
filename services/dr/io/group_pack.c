/* One container after another. */
#include "io/group_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>

enum { CONTAINER_BYTES = 32 << 20, RETRY_US = 500000, RETRY_MAX_US = 5000000 };
static const size_t TWIN = SIZE_MAX; /* in place of a member */

/* Its generation needs no row to name it: without a manifest nobody goes on with it. */
static bool take_of_twin(struct dr_group *g, struct dr_piece *p)
{
    struct dr_position at;
    return dr_shard_held(g->twin.shard, &at) &&
           dr_shard_take(g->twin.shard, &at.generation, p, &g->raw) == DR_TAKE_PIECE;
}

/* Of a generation that no row names yet nothing is taken. Another member is first each time, so
 * that a full container leaves nobody out. */
static size_t gather(struct dr_group *g, size_t *owner, bool *unnamed)
{
    size_t n = 0;
    pr_buf_reset(&g->raw);
    for (size_t k = 0; k < g->members && n < DR_PIECES_MAX && g->raw.len < CONTAINER_BYTES; k++) {
        const size_t i = (g->first + k) % g->members;
        pthread_mutex_lock(&g->mu);
        const struct dr_generation_id known = g->member[i].known;
        pthread_mutex_unlock(&g->mu);
        if (g->member[i].frozen)
            continue;
        const enum dr_take took = dr_shard_take(g->member[i].shard, &known, &g->piece[n], &g->raw);
        *unnamed = *unnamed || took == DR_TAKE_UNNAMED;
        if (took == DR_TAKE_PIECE)
            owner[n++] = i;
    }
    g->first += g->members > 0;
    if (g->twin.shard != NULL && n < DR_PIECES_MAX && take_of_twin(g, &g->piece[n]))
        owner[n++] = TWIN;
    return n;
}

static enum pr_code print(struct dr_group *g, size_t n, char key[DR_KEY], uint8_t check[DR_HASH],
                          struct pr_err *err)
{
    const void *raw[DR_PIECES_MAX];
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        raw[i] = g->raw.data + at;
        at += (size_t)(g->piece[i].to - g->piece[i].from);
    }
    struct dr_container c = {
        .epoch = g->epoch, .seq = g->seq, .made_ms = pr_now_ms(), .piece = g->piece, .pieces = n
    };
    struct dr_key k = { .kind = DR_KEY_LOG, .epoch = g->epoch, .seq = g->seq };
    memcpy(c.before, g->check, DR_HASH);
    (void)snprintf(k.cluster, sizeof k.cluster, "%s", g->o.cfg->cluster);
    (void)snprintf(k.name, sizeof k.name, "%s", g->name);
    pr_buf_reset(&g->out);
    const enum pr_code rc = dr_container_write(&c, raw, g->o.codec, &g->out, check, err);
    return rc == PR_OK ? dr_key_print(&k, key, err) : rc;
}

static void trouble(struct dr_group *g, const char *text)
{
    pthread_mutex_lock(&g->mu);
    (void)snprintf(g->trouble, sizeof g->trouble, "%.159s", text);
    pthread_mutex_unlock(&g->mu);
}

/* Does it help to send it again, perhaps after somebody has mended something? */
static bool may_pass(enum pr_code rc)
{
    return rc == PR_EUNAVAIL || rc == PR_ETIMEOUT || rc == PR_EDENIED || rc == PR_ENOTFOUND ||
           rc == PR_EFULL || rc == PR_EDATA;
}

/* Sleeps it out, however often it is woken. False: no use any more. */
static bool pause_for(struct dr_group *g, int64_t pause_us)
{
    const int64_t until_us = pr_mono_us() + pause_us;
    do {
        if (!dr_group_rest(g, until_us) || dr_group_lost(g))
            return false;
    } while (pr_mono_us() < until_us);
    return true;
}

/* The same bytes under the same name until they are there, or it is no longer ours to do: what
 * shards bring meanwhile waits with them, and they hang up when it is too much. */
static enum pr_code upload(struct dr_group *g, const char *key, struct pr_err *err)
{
    const struct pr_s3_put how = { .if_none_match = true, .same_is_done = true };
    struct pr_s3_counts counts;
    int64_t pause_us = RETRY_US;
    for (;;) {
        const int64_t begun_us = pr_mono_us();
        const enum pr_code rc = pr_s3_put(g->s3, key, g->out.data, g->out.len, &how, NULL, err);
        pr_s3_counts(g->s3, &counts);
        pr_metrics_add(g->o.metrics, M_PUT_ERRORS, NULL,
                       (double)(counts.retries - g->retries) + (rc != PR_OK));
        g->retries = counts.retries;
        if (rc == PR_OK) {
            trouble(g, "");
            pr_metrics_observe(g->o.metrics, M_PUT_SECONDS, NULL,
                               (double)(pr_mono_us() - begun_us) / 1e6);
        }
        if (!may_pass(rc))
            return rc;
        trouble(g, err->text);
        pr_warn(PR_EV("dr.put_failed"), PR_S("group", g->name), PR_S("key", key),
                PR_S("code", pr_code_name(rc)), PR_E(err));
        if (!pause_for(g, pause_us))
            return pr_fail(err, PR_ECANCELED, "group %s: given up: we stop, or another leads",
                           g->name);
        pause_us = 2 * pause_us < RETRY_MAX_US ? 2 * pause_us : RETRY_MAX_US;
    }
}

/* Whose store is it, now that a container is there? A restore at another site lists containers
 * after that site's marker was written: without one yet, it will find this. Until the bucket says
 * so nothing is known. */
enum pr_code dr_group_ask_owner(struct dr_group *g, struct pr_err *err)
{
    while (g->o.guard != NULL) {
        const enum pr_code rc = dr_guard_check(g->o.guard, g->s3, err);
        if (!may_pass(rc))
            return rc;
        trouble(g, err->text);
        if (!pause_for(g, RETRY_US))
            return pr_fail(err, PR_ECANCELED, "group %s: given up: we stop, or another leads",
                           g->name);
    }
    return PR_OK;
}

enum pr_code dr_group_pack(struct dr_group *g, bool *unnamed, struct pr_err *err)
{
    size_t owner[DR_PIECES_MAX];
    uint8_t check[DR_HASH];
    char key[DR_KEY];
    const size_t n = gather(g, owner, unnamed);
    if (n == 0)
        return PR_OK;
    enum pr_code rc = print(g, n, key, check, err);
    if (rc == PR_OK)
        rc = upload(g, key, err);
    if (rc == PR_OK)
        rc = dr_group_ask_owner(g, err);
    if (rc != PR_OK)
        return rc;
    memcpy(g->check, check, DR_HASH);
    g->seq++;
    const int64_t now_ms = pr_now_ms();
    for (size_t i = 0; i < n; i++)
        dr_shard_durable(owner[i] == TWIN ? g->twin.shard : g->member[owner[i]].shard, &g->piece[i],
                         now_ms);
    pthread_mutex_lock(&g->mu);
    g->saved_to = g->seq; /* after the shards know it: a row never says more than theirs */
    pthread_mutex_unlock(&g->mu);
    g->o.changed(g->o.ctx);
    pr_metrics_add(g->o.metrics, M_CONTAINERS, NULL, 1);
    pr_metrics_add(g->o.metrics, M_RAW_BYTES, NULL, (double)g->raw.len);
    pr_metrics_add(g->o.metrics, M_STORED_BYTES, NULL, (double)g->out.len);
    return PR_OK;
}
