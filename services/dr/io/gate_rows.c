/* Rows of gives: admitted, told, ended. */
#include "io/gate_private.h"

#include "core/gives.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether a shard is gone is seen from when it was first heard of here. */
static void watch_new(struct dr_gates *g, const struct dr_gives_row *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < g->rows && g->row[k].id != row[i].id)
            k++;
        if (k < g->rows)
            continue;
        dr_sources_watch(g->o.sources, row[i].give.giver);
        dr_sources_watch(g->o.sources, row[i].give.taker);
    }
}

/* On failure what was read before stays. */
enum pr_code dr_gates_read(struct dr_gates *g, struct pr_err *err)
{
    struct dr_gives_row *row = NULL;
    struct dr_far *far = NULL;
    size_t rows = 0, fars = 0;
    const int64_t begun_us = pr_mono_us();
    enum pr_code rc = dr_gives_read(g->db, &row, &rows, err);
    if (rc == PR_OK && (rows > 0 || g->unopened || g->read_us == 0))
        rc = dr_gives_far(g->db, &far, &fars, err);
    if (rc != PR_OK) {
        free(row);
        return rc;
    }
    watch_new(g, row, rows);
    free(g->row);
    free(g->far);
    g->row = row;
    g->rows = rows;
    g->far = far;
    g->fars = fars;
    g->read_us = begun_us;
    return PR_OK;
}

/* --- admitting -----------------------------------------------------------------------------------
 */

static bool see_number(void *ctx, const struct pr_s3_entry *e)
{
    uint64_t *highest = ctx;
    struct dr_key k;
    if (dr_key_parse(e->key, &k) && k.kind == DR_KEY_MAP && k.epoch > *highest)
        *highest = k.epoch;
    return true;
}

/* A database that was restored from a backup may count from further back than the bucket. */
static enum pr_code look_for_highest(struct dr_gates *g, struct pr_err *err)
{
    char prefix[DR_KEY];
    const struct pr_s3_list what = { .prefix = prefix };
    if (g->looked)
        return PR_OK;
    (void)snprintf(prefix, sizeof prefix, "%s/map/", g->o.cfg->cluster);
    const enum pr_code rc = pr_s3_list(g->s3, &what, see_number, &g->highest, err);
    g->looked = rc == PR_OK;
    return rc;
}

/* The same row always makes the same objects. The first is the last to be written: where it is,
 * both are. */
static enum pr_code put_objects(struct dr_gates *g, const struct dr_gives_row *row, uint64_t number,
                                struct pr_err *err)
{
    const struct pr_s3_put how = { .if_none_match = true,
                                   .same_is_done = true,
                                   .content_type = "text/plain" };
    struct dr_key k = { .kind = DR_KEY_MAP, .epoch = number };
    struct dr_gives gives = { .at_ms = row->at_ms };
    struct pr_buf text;
    char key[DR_KEY];
    (void)snprintf(k.cluster, sizeof k.cluster, "%s", g->o.cfg->cluster);
    memcpy(gives.giver, row->give.giver, DR_NAME);
    memcpy(gives.taker, row->give.taker, DR_NAME);
    memcpy(gives.slots, row->give.slots, sizeof gives.slots);
    pr_buf_init(&text, 0);
    dr_gives_print(&gives, &text);
    enum pr_code rc =
        text.failed ? pr_fail(err, PR_ENOMEM, "no memory for a list of slots") : PR_OK;
    for (k.seq = DR_GIVES_COPIES; k.seq-- > 0 && rc == PR_OK;) {
        rc = dr_key_print(&k, key, err);
        if (rc == PR_OK)
            rc = pr_s3_put(g->s3, key, text.data, text.len, &how, NULL, err);
    }
    pr_buf_done(&text);
    return rc;
}

struct holding {
    const char *name;
    bool held;
};

static bool hold(void *ctx, struct dr_shard *s)
{
    struct holding *h = ctx;
    if (strcmp(dr_shard_name(s), h->name) == 0) {
        dr_shard_gate_hold(s);
        h->held = true;
    }
    return false;
}

/* Its first base is in the bucket: what is given to it before would hold the giver back for long.
 */
static bool has_base(const struct dr_gates *g, const char *shard)
{
    for (size_t i = 0; i < g->fars; i++)
        if (strcmp(g->far[i].shard, shard) == 0)
            return true;
    return false;
}

/* Held back first, then told: what the executor moves afterwards is behind the gate. Under the
 * lease as it was before, so that it is this turn's shard that is held. */
static enum pr_code admit(struct dr_gates *g, struct dr_gives_row *row, struct pr_err *err)
{
    struct pr_lease lease;
    struct dr_group *group = dr_gates_group(g, row->give.giver);
    struct holding h = { .name = row->give.giver };
    if (row->known || row->ended || !dr_group_lease(group, &lease) || !has_base(g, row->give.taker))
        return PR_OK;
    enum pr_code rc = look_for_highest(g, err);
    if (rc == PR_OK)
        rc = dr_gives_admit(g->db, &lease, row, g->highest, err);
    if (rc != PR_OK || row->number == 0)
        return rc;
    dr_group_shards(group, hold, &h);
    if (!h.held)
        return PR_OK; /* it is not followed yet */
    rc = put_objects(g, row, row->number, err);
    if (rc == PR_OK)
        rc = dr_gives_tell(g->db, &lease, row->id, err);
    if (rc != PR_OK)
        return rc;
    row->known = true;
    pr_info(PR_EV("dr.gives"), PR_S("giver", row->give.giver), PR_S("taker", row->give.taker),
            PR_I("number", row->number));
    return PR_OK;
}

enum pr_code dr_gates_admit(struct dr_gates *g, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < g->rows; i++) {
        struct pr_err why;
        const enum pr_code one = admit(g, &g->row[i], &why);
        if (one != PR_OK && one != PR_EFENCED) /* others may do */
            rc = pr_fail(err, one, "%s", why.text);
    }
    return rc;
}

/* --- closing -------------------------------------------------------------------------------------
 */

static struct dr_ending *ending_of(struct dr_gates *g, int64_t id)
{
    for (size_t i = 0; i < g->endings; i++)
        if (g->ending[i].id == id)
            return &g->ending[i];
    struct dr_ending *more = realloc(g->ending, (g->endings + 1) * sizeof *more);
    if (more == NULL)
        return NULL;
    g->ending = more;
    g->ending[g->endings] = (struct dr_ending){ .id = id };
    return &g->ending[g->endings++];
}

static void forget_endings(struct dr_gates *g)
{
    for (size_t i = g->endings; i-- > 0;) {
        size_t k = 0;
        while (k < g->rows && g->row[k].id != g->ending[i].id)
            k++;
        if (k == g->rows)
            g->ending[i] = g->ending[--g->endings];
    }
}

/* What the giver had deleted when it was over is in the bucket. */
static bool is_durable(struct dr_gates *g, const struct dr_gives_row *row, struct pr_err *err)
{
    struct dr_ending *e = ending_of(g, row->id);
    int64_t ms;
    bool never = false;
    if (!dr_gives_counts(row) || dr_sources_gone(g->o.sources, row->give.giver))
        return true; /* it never began; its giver is no more */
    if (e == NULL ||
        (e->at.replid[0] == '\0' && dr_gates_where(g, row->give.giver, &e->at, err) != PR_OK))
        return false;
    const bool reached = dr_gates_reached(g, row->give.giver, &e->at, &ms, &never);
    if (never) /* a fail-over: where the history is now is asked again */
        e->at.replid[0] = '\0';
    return reached;
}

static void close_need(struct dr_gates *g, const struct dr_gives_row *gone)
{
    for (size_t i = 0; i < g->rows; i++)
        if (&g->row[i] != gone && dr_gives_counts(&g->row[i]) &&
            strcmp(g->row[i].give.giver, gone->give.giver) == 0 &&
            strcmp(g->row[i].give.taker, gone->give.taker) == 0)
            return;
    for (size_t i = 0; i < g->givers; i++)
        if (strcmp(g->giver[i]->name, gone->give.giver) == 0)
            dr_gate_closed(&g->giver[i]->gate, gone->give.taker);
}

enum pr_code dr_gates_end(struct dr_gates *g, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    forget_endings(g);
    for (size_t i = 0; i < g->rows; i++) {
        struct dr_gives_row *row = &g->row[i];
        struct pr_lease lease;
        struct pr_err why = { 0 };
        if (!row->ended || !dr_group_lease(dr_gates_group(g, row->give.giver), &lease) ||
            !is_durable(g, row, &why))
            continue;
        const enum pr_code one = dr_gives_delete(g->db, &lease, row->id, &why);
        if (one != PR_OK && one != PR_EFENCED)
            rc = pr_fail(err, one, "%s", why.text);
        if (one != PR_OK)
            continue;
        close_need(g, row);
        pr_info(PR_EV("dr.gave"), PR_S("giver", row->give.giver), PR_S("taker", row->give.taker),
                PR_I("number", row->number));
        row->number = 0; /* it does not count any more */
        row->ended = false;
    }
    return rc;
}
