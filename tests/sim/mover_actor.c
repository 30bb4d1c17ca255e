/* A mover process: the real core, the records it keeps in the database, and the
 * servers it talks to. */
#include "switches.h"
#include "world.h"

#include <assert.h>

static uint64_t fresh_epoch(struct world *w, struct row *row, uint64_t last)
{
    uint64_t e = last != 0 && !ON(FRESH_EPOCH) ? last : ++w->epoch;

    assert(row->n_epochs < MAX_EPOCHS);
    row->epochs[row->n_epochs++] = e;
    return e;
}

static void unlink_recorded(struct world *w, const struct row *row)
{
    struct shard *d = &w->shard[row->d];

    for (uint32_t i = 0; i < row->n_epochs; i++)
        shard_unlink_staged(d, row->epochs[i]);
    if (!ON(STAGING_BY_EPOCH))
        shard_unlink_staged(d, UINT64_MAX);
}

static void begin_row(struct world *w, struct row *row)
{
    uint8_t to = w->cfg.to[w->row];

    row->begun = true;
    row->s = w->lives_at;
    row->d = to == ANY_PART ? (row->s + 1 + choose(w, PARTS - 1)) % PARTS : to;
    if (w->cfg.long_sweep)
        while (row->n_epochs < MOVER_MAX_SWEEP)
            (void)fresh_epoch(w, row, 0);
}

static void start(struct world *w, struct row *row)
{
    struct mover_actor *a = &w->holder;
    uint32_t earlier = row->n_epochs;
    uint64_t e = fresh_epoch(w, row, 0);

    *a = (struct mover_actor){ .alive = true, .row = w->row, .lease = w->lease };
    mover_init(&a->m, row->s, row->d, w->cfg.home, e, row->canceling);
    for (uint32_t i = 0; i < earlier; i++)
        (void)mover_add_sweep(&a->m, row->epochs[i]);
}

/* First run and restart alike. */
void mover_spawn(struct world *w)
{
    struct row *row = &w->rows[w->row];

    w->lease++;
    if (!row->begun)
        begin_row(w, row);
    if (row->s == row->d) {
        row->done = true;
        w->row++;
        return;
    }
    if (!ON(SWEEP_ONLY_AT_END))
        unlink_recorded(w, row);
    start(w, row);
}

void mover_cancel(struct world *w)
{
    w->rows[w->row].canceling = true;
    start(w, &w->rows[w->row]);
}

static void ended(struct world *w, struct mover_actor *a)
{
    struct row *row = &w->rows[a->row];
    enum mover_outcome outcome = mover_outcome(&a->m);

    a->alive = false;
    if (outcome == MOVER_LOST)
        violation(w, "promote: neither vertex nor staging");
    if (outcome == MOVER_FENCED_OFF)
        w->saw[SAW_FENCED_OFF]++;
    if (a->lease != w->lease || outcome == MOVER_FENCED_OFF)
        return; /* the database refuses the word of a stale one; else: once more, fresh epoch */
    if (outcome == MOVER_MOVED) {
        w->saw[row->canceling ? SAW_CANCEL_WENT_ON : SAW_MOVED]++;
        w->lives_at = row->d;
    }
    w->saw[SAW_NOT_THERE] += outcome == MOVER_NOT_THERE;
    w->saw[SAW_CANCELED] += outcome == MOVER_CANCELED;
    row->done = true;
    w->row++;
}

/* Which rule a WAIT follows from; off: it is not sent. */
static bool wait_wanted(const struct mover_actor *a)
{
    switch (a->last) {
    case MOVER_RESTORE:
        return ON(WAIT_STAGED);
    case MOVER_FENCE:
        return ON(WAIT_FENCED);
    case MOVER_PROMOTE:
        return ON(WAIT_PROMOTED);
    case MOVER_ROUTE:
        return ON(WAIT_ROUTED);
    case MOVER_TAKE:
        if (a->last_result == MOVER_R_STUB && a->last_partition == a->m.d)
            return ON(WAIT_FENCED);
        return !a->m.canceling || ON(WAIT_CANCELED);
    case MOVER_WAIT:
    case MOVER_NEED_EPOCH:
    case MOVER_DEL_STAGING:
    case MOVER_END:
        break;
    }
    return true;
}

static uint32_t partition(const struct mover_actor *a, enum mover_at at)
{
    return at == MOVER_AT_S ? a->m.s : at == MOVER_AT_D ? a->m.d : a->m.home;
}

static struct mover_reply understood(const struct model_reply *r)
{
    struct mover_reply out = { .version = r->n, .partition = r->p, .epoch = r->e };

    switch (r->word) {
    case WORD_LIVE:
        out.result = MOVER_R_LIVE;
        break;
    case WORD_STUB:
        out.result = MOVER_R_STUB;
        break;
    case WORD_ABSENT:
        out.result = MOVER_R_ABSENT;
        break;
    case WORD_REFUSED:
        out.result = MOVER_R_REFUSED;
        break;
    case WORD_ALARM:
        out.result = MOVER_R_ALARM;
        break;
    default:
        out.result = MOVER_R_OK;
        break;
    }
    return out;
}

static struct model_call call_of(const struct mover_actor *a, const struct mover_cmd *cmd)
{
    struct model_call call = { .v = cmd->version, .E = cmd->epoch, .p = a->m.d };

    switch (cmd->kind) {
    case MOVER_TAKE:
        call.fn = FN_TAKE;
        break;
    case MOVER_FENCE:
        call.fn = FN_FENCE;
        break;
    case MOVER_PROMOTE:
        call.fn = FN_PROMOTE;
        break;
    default:
        call.fn = FN_ROUTE;
        break;
    }
    return call;
}

static struct mover_reply execute(struct world *w, struct mover_actor *a,
                                  const struct mover_cmd *cmd, uint32_t part)
{
    struct mover_reply ok = { .result = MOVER_R_OK };
    struct row *row = &w->rows[a->row];
    struct model_reply r;

    if (cmd->kind == MOVER_DEL_STAGING) {
        row->swept = true;
        w->saw[SAW_TRIM] += a->m.n_sweep == MOVER_MAX_SWEEP && a->last == MOVER_TAKE;
        for (size_t i = 0; i < cmd->n_sweep; i++)
            shard_unlink_staged(&w->shard[part], cmd->sweep[i]);
        unlink_recorded(w, row);
        return ok;
    }
    if (cmd->kind == MOVER_RESTORE) {
        uint64_t name = ON(STAGING_BY_EPOCH) ? cmd->epoch : UINT64_MAX;
        bool late = a->lease != w->lease && (row->swept || row->done);
        bool same_name = !ON(STAGING_BY_EPOCH) || !ON(FRESH_EPOCH);
        if (!shard_restore(&w->shard[part], name, &a->dump, late, same_name))
            ok.result = MOVER_R_REFUSED;
        return ok;
    }
    struct model_call call = call_of(a, cmd);
    server_run(w, part, &call, &r);
    struct mover_reply reply = understood(&r);
    if (cmd->kind == MOVER_TAKE)
        a->dump = r.copy;
    else if (reply.result == MOVER_R_LIVE) /* route: LIVE is as good as OK */
        reply.result = MOVER_R_OK;
    return reply;
}

/* The server has the command on its desk and the mover does not know. */
static void delay(struct world *w, const struct mover_actor *a, const struct mover_cmd *cmd,
                  uint32_t part)
{
    w->late = (struct late){ .used = true,
                             .restore = cmd->kind == MOVER_RESTORE,
                             .part = part,
                             .row = a->row,
                             .name = ON(STAGING_BY_EPOCH) ? cmd->epoch : UINT64_MAX,
                             .copy = a->dump };
    if (!w->late.restore)
        w->late.call = call_of(a, cmd);
}

enum fate { LOST, REPLY_LOST, CRASH_BEFORE, CRASH_AFTER, DELAYED, DELAYED_AND_CRASH };

/* Sends cmd; the reply may not be the server's. */
static struct mover_reply send(struct world *w, struct mover_actor *a, const struct mover_cmd *cmd)
{
    const struct mover_reply broken = { .result = MOVER_R_BROKEN };
    uint32_t part = partition(a, cmd->at);
    struct mover_reply r = broken;

    if (!faulty(w)) {
        r = execute(w, a, cmd, part);
        conn_used(w, &a->conn[part], part);
        return r;
    }
    bool can_delay = !w->late.used && cmd->kind != MOVER_DEL_STAGING;
    enum fate fate = (enum fate)choose(w, can_delay ? 6 : 4);
    a->conn[part].up = false;
    if (fate == REPLY_LOST || fate == CRASH_AFTER)
        (void)execute(w, a, cmd, part);
    if (fate == DELAYED || fate == DELAYED_AND_CRASH)
        delay(w, a, cmd, part);
    if (fate == CRASH_BEFORE || fate == CRASH_AFTER || fate == DELAYED_AND_CRASH) {
        w->saw[SAW_CRASH]++;
        a->alive = false;
    }
    return broken;
}

static struct mover_reply wait_for(struct world *w, struct mover_actor *a,
                                   const struct mover_cmd *cmd)
{
    uint32_t part = partition(a, cmd->at);
    bool satisfied = !wait_wanted(a) || conn_wait(w, &a->conn[part], part);

    return (struct mover_reply){ .result = satisfied ? MOVER_R_OK : MOVER_R_BROKEN };
}

/* A stale mover learns that it is when it records its next step. */
static bool may_act(const struct world *w, const struct mover_actor *a, enum mover_kind kind)
{
    if (a->lease == w->lease)
        return true;
    if (kind == MOVER_DEL_STAGING)
        return !ON(SWEEP_UNDER_LEASE);
    if (a->zombie && kind == MOVER_NEED_EPOCH)
        return false;
    return a->zombie || !ON(RECORD_UNDER_LEASE);
}

void mover_step(struct world *w, struct mover_actor *a)
{
    struct mover_cmd cmd = mover_next(&a->m);
    struct mover_reply r = { .result = MOVER_R_OK };

    if (cmd.kind == MOVER_END) {
        ended(w, a);
        return;
    }
    if (!may_act(w, a, cmd.kind)) {
        w->saw[SAW_STALE_REFUSED]++;
        a->alive = false;
        return;
    }
    if (cmd.kind == MOVER_NEED_EPOCH)
        r.epoch = fresh_epoch(w, &w->rows[a->row], a->m.epoch);
    else if (cmd.kind == MOVER_WAIT)
        r = wait_for(w, a, &cmd);
    else
        r = send(w, a, &cmd);
    if (!a->alive)
        return;
    if (cmd.kind != MOVER_WAIT) {
        a->last = cmd.kind;
        a->last_result = r.result;
        a->last_partition = r.partition;
    }
    mover_reply(&a->m, &r);
}
