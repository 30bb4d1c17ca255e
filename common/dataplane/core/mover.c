#include "prism/dp/mover.h"

#include "rules.h"

#include <assert.h>

/* Every step is a command whose reply is awaited; mover_reply holds one case a
 * step. A reply that a step does not name counts as broken: what it did is
 * unknown, so the step is redone (when it is idempotent) or everything begins
 * again under a fresh epoch. */
enum step {
    TAKE,
    RESTORE,
    WAIT_STAGED,
    FENCE,
    WAIT_FENCED,
    PROMOTE,
    WAIT_PROMOTED,
    ROUTE,
    WAIT_ROUTED,
    SWEEP,
    WAIT_SWEPT,
    NEED_EPOCH,
    WAIT_CANCELED,
    WAIT_NOT_THERE,
    WAIT_TAKEN, /* with the next two: makes room in sweep[] */
    TRIM,
    WAIT_TRIMMED,
    ENDED,
};

static const struct {
    enum mover_kind kind;
    enum mover_at at;
} command[] = {
    [TAKE] = { MOVER_TAKE, MOVER_AT_S },           [RESTORE] = { MOVER_RESTORE, MOVER_AT_D },
    [WAIT_STAGED] = { MOVER_WAIT, MOVER_AT_D },    [FENCE] = { MOVER_FENCE, MOVER_AT_S },
    [WAIT_FENCED] = { MOVER_WAIT, MOVER_AT_S },    [PROMOTE] = { MOVER_PROMOTE, MOVER_AT_D },
    [WAIT_PROMOTED] = { MOVER_WAIT, MOVER_AT_D },  [ROUTE] = { MOVER_ROUTE, MOVER_AT_HOME },
    [WAIT_ROUTED] = { MOVER_WAIT, MOVER_AT_HOME }, [SWEEP] = { MOVER_DEL_STAGING, MOVER_AT_D },
    [WAIT_SWEPT] = { MOVER_WAIT, MOVER_AT_D },     [NEED_EPOCH] = { MOVER_NEED_EPOCH, MOVER_AT_S },
    [WAIT_CANCELED] = { MOVER_WAIT, MOVER_AT_S },  [WAIT_NOT_THERE] = { MOVER_WAIT, MOVER_AT_S },
    [WAIT_TAKEN] = { MOVER_WAIT, MOVER_AT_S },     [TRIM] = { MOVER_DEL_STAGING, MOVER_AT_D },
    [WAIT_TRIMMED] = { MOVER_WAIT, MOVER_AT_D },   [ENDED] = { MOVER_END, MOVER_AT_S },
};

void mover_init(struct mover *m, uint32_t s, uint32_t d, uint32_t home, uint64_t epoch,
                bool canceling)
{
    assert(s != d && epoch > 0);
    *m = (struct mover){
        .s = s, .d = d, .home = home, .epoch = epoch, .step = TAKE, .canceling = canceling
    };
}

bool mover_add_sweep(struct mover *m, uint64_t epoch)
{
    for (size_t i = 0; i < m->n_sweep; i++)
        if (m->sweep[i] == epoch)
            return true;
    if (m->n_sweep == MOVER_MAX_SWEEP)
        return false;
    m->sweep[m->n_sweep++] = epoch;
    return true;
}

/* Promoting renamed the staging key of this epoch away. */
static void drop_sweep(struct mover *m, uint64_t epoch)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n_sweep; i++)
        if (m->sweep[i] != epoch)
            m->sweep[kept++] = m->sweep[i];
    m->n_sweep = (uint8_t)kept;
}

struct mover_cmd mover_next(const struct mover *m)
{
    struct mover_cmd cmd = { .kind = command[m->step].kind,
                             .at = command[m->step].at,
                             .epoch = m->epoch,
                             .version = m->version };

    if (cmd.kind == MOVER_DEL_STAGING) {
        cmd.sweep = m->sweep;
        cmd.n_sweep = m->n_sweep;
    }
    return cmd;
}

/* The vertex's fate is known and durable: nothing staged is of use any more. */
static enum step finish(struct mover *m, enum mover_outcome outcome)
{
    m->outcome = (uint8_t)outcome;
    return m->n_sweep > 0 ? SWEEP : ENDED;
}

/* Ends with every key left as it is. */
static enum step stop(struct mover *m, enum mover_outcome outcome)
{
    m->outcome = (uint8_t)outcome;
    return ENDED;
}

/* An old primary, cut off, may say so too: sweep only once its replicas agree. */
static enum step not_there(struct mover *m)
{
    return m->n_sweep > 0 ? WAIT_NOT_THERE : stop(m, MOVER_NOT_THERE);
}

static enum step stage(struct mover *m)
{
    mover_add_sweep(m, m->epoch);
    return RESTORE;
}

static enum step taken_live(struct mover *m, uint64_t version)
{
    m->version = version;
    if (m->canceling)
        return WAIT_CANCELED;
    return m->n_sweep < MOVER_MAX_SWEEP ? stage(m) : WAIT_TAKEN;
}

static enum step taken_stub(struct mover *m, uint32_t partition, uint64_t epoch)
{
    bool claim = epoch == 0 && RULE(CLAIM_IS_NO_MOVE); /* the vertex was created at d */
    bool ours = partition == m->d && !claim;

    if (!ours || !RULE(ADOPT_OWN_STUB))
        return not_there(m);
    m->epoch = epoch; /* fenced by an earlier run: only forward from here */
    return WAIT_FENCED;
}

static enum step taken(struct mover *m, const struct mover_reply *r)
{
    switch (r->result) {
    case MOVER_R_LIVE:
        return taken_live(m, r->version);
    case MOVER_R_STUB:
        return taken_stub(m, r->partition, r->epoch);
    case MOVER_R_ABSENT:
        return not_there(m);
    case MOVER_R_REFUSED:
        return RULE(REFUSED_STOPS) ? stop(m, MOVER_FENCED_OFF) : finish(m, MOVER_FENCED_OFF);
    case MOVER_R_OK:
    case MOVER_R_ALARM:
    case MOVER_R_BROKEN:
        break;
    }
    return NEED_EPOCH;
}

static enum step promoted(struct mover *m)
{
    drop_sweep(m, m->epoch);
    if (m->home == m->s || m->home == m->d)
        return finish(m, MOVER_MOVED);
    return ROUTE;
}

static enum step given_epoch(struct mover *m, const struct mover_reply *r)
{
    if (r->result != MOVER_R_OK || r->epoch == 0)
        return NEED_EPOCH;
    m->epoch = r->epoch;
    return TAKE;
}

static enum step after(struct mover *m, const struct mover_reply *r)
{
    bool ok = r->result == MOVER_R_OK;

    switch ((enum step)m->step) {
    case TAKE:
        return taken(m, r);
    case RESTORE: /* never resent: a late one must not meet a newer copy */
        return ok ? WAIT_STAGED : NEED_EPOCH;
    case WAIT_STAGED:
        return ok ? FENCE : NEED_EPOCH;
    case FENCE:
        return ok ? WAIT_FENCED : NEED_EPOCH;
    case WAIT_FENCED:
        return ok ? PROMOTE : NEED_EPOCH;
    case PROMOTE:
        if (r->result == MOVER_R_ALARM)
            return stop(m, MOVER_LOST);
        return ok ? WAIT_PROMOTED : PROMOTE;
    case WAIT_PROMOTED:
        return ok ? promoted(m) : PROMOTE;
    case ROUTE:
        return ok ? WAIT_ROUTED : ROUTE;
    case WAIT_ROUTED:
        return ok ? finish(m, MOVER_MOVED) : ROUTE;
    case SWEEP:
        return ok ? WAIT_SWEPT : SWEEP;
    case WAIT_SWEPT: /* a fail-over would bring back what nobody is left to sweep */
        return ok ? ENDED : SWEEP;
    case NEED_EPOCH:
        return given_epoch(m, r);
    case WAIT_CANCELED:
        return ok ? finish(m, MOVER_CANCELED) : NEED_EPOCH;
    case WAIT_NOT_THERE:
        return ok ? finish(m, MOVER_NOT_THERE) : NEED_EPOCH;
    case WAIT_TAKEN: /* from here no older epoch can fence, so none needs its staging */
        return ok ? TRIM : NEED_EPOCH;
    case TRIM:
        return ok ? WAIT_TRIMMED : TRIM;
    case WAIT_TRIMMED:
        if (!ok)
            return TRIM;
        m->n_sweep = 0;
        return stage(m);
    case ENDED:
        break;
    }
    return ENDED;
}

void mover_reply(struct mover *m, const struct mover_reply *r)
{
    m->step = (uint8_t)after(m, r);
}

enum mover_outcome mover_outcome(const struct mover *m)
{
    return m->step == ENDED ? (enum mover_outcome)m->outcome : MOVER_RUNNING;
}
