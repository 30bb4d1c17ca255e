/* The loop: look, decide, act, look again. */
#include "io/fleet/repair_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE_MS = 10000, /* how long something may wait for the cluster itself */
    SURE_MS = 2000       /* a slot has no owner for so long before it is given one */
};

static bool has(const uint8_t *set, int slot)
{
    return ((unsigned)set[slot / 8] >> (slot % 8) & 1u) != 0;
}

static void drop(uint8_t *set, int slot)
{
    set[slot / 8] = (uint8_t)(set[slot / 8] & ~(1u << (slot % 8)));
}

/* --- actions --------------------------------------------------------------------------- */

static enum pr_code setslot(struct repair *r, struct repair_primary *at, int slot,
                            const char *state, const char *id, struct pr_err *err)
{
    char number[8];
    const char *argv[] = { "CLUSTER", "SETSLOT", number, state, id };
    struct pr_redis *conn = NULL;
    snprintf(number, sizeof number, "%d", slot);
    enum pr_code rc = repair_conn(r, at, &conn, err);
    if (rc == PR_OK)
        rc = duty_send(r->ctx, conn, NULL, err, id == NULL ? 4 : 5, argv);
    if (rc == PR_EINVAL) /* it changed its mind or its role since we looked: look again */
        rc = PR_EUNAVAIL;
    return rc == PR_OK
               ? rc
               : pr_wrap(err, rc, "SETSLOT %d %s at %s:%d", slot, state, at->host, at->port);
}

static const struct rebalance_open_slot *open_at(const struct repair_primary *p, int slot,
                                                 bool importing)
{
    for (size_t i = 0; i < p->view->opens; i++)
        if (p->view->open[i].slot == slot && p->view->open[i].importing == importing)
            return &p->view->open[i];
    return NULL;
}

static bool is_open(const struct repair_primary *p, int slot)
{
    return open_at(p, slot, false) != NULL || open_at(p, slot, true) != NULL;
}

static const char *believed_owner(const struct repair_primary *p, int slot)
{
    const int16_t at = p->view->owner[slot];
    return at < 0 ? "" : p->view->node[at].id;
}

/* A node never changes by itself whom it believes to own a slot that it imports: one
 * that a fail-over took away is corrected first. */
static enum pr_code open_import(struct repair *r, struct repair_primary *at, int slot,
                                const struct repair_primary *owner, struct pr_err *err)
{
    const struct rebalance_open_slot *o = open_at(at, slot, true);
    enum pr_code rc = PR_OK;
    if (strcmp(believed_owner(at, slot), owner->id) != 0)
        rc = setslot(r, at, slot, "NODE", owner->id, err);
    else if (o != NULL && strcmp(o->other, owner->id) == 0)
        return PR_OK;
    return rc == PR_OK ? setslot(r, at, slot, "IMPORTING", owner->id, err) : rc;
}

/* Nothing is left, and it is still the owner that says so: a replica that has taken
 * over refuses, or is not the one that we ask. */
static enum pr_code handed_out(struct repair *r, int slot, struct repair_primary *owner,
                               const struct repair_primary *to, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    PR_AUTO(redisReply) *keys = NULL;
    enum pr_code rc = setslot(r, owner, slot, "MIGRATING", to->id, err);
    if (rc == PR_OK)
        rc = repair_conn(r, owner, &conn, err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &keys, err, "CLUSTER COUNTKEYSINSLOT %d", slot);
    if (rc == PR_OK && keys->integer != 0)
        rc = pr_fail(err, PR_EUNAVAIL, "slot %d: a key came in between", slot);
    return rc;
}

static enum pr_code forward(struct repair *r, int slot, struct repair_primary *owner,
                            struct repair_primary *to, char *left, size_t size, struct pr_err *err)
{
    const struct rebalance_open_slot *o = open_at(owner, slot, false);
    enum pr_code rc = open_import(r, to, slot, owner, err);
    if (rc == PR_OK && (o == NULL || strcmp(o->other, to->id) != 0))
        rc = setslot(r, owner, slot, "MIGRATING", to->id, err);
    if (rc == PR_OK)
        rc = repair_drain(r, slot, (struct repair_side_of){ owner, false },
                          (struct repair_side_of){ to, true }, left, size, err);
    if (rc != PR_OK || left[0] != '\0')
        return rc; /* stays open: what has moved is reached through it */
    rc = handed_out(r, slot, owner, to, err);
    if (rc == PR_OK)
        rc = setslot(r, to, slot, "NODE", to->id, err);
    if (rc == PR_OK)
        rc = setslot(r, owner, slot, "NODE", to->id, err);
    r->report->closed_forward += rc == PR_OK;
    return rc;
}

static enum pr_code bring(struct repair *r, int slot, struct repair_primary *owner,
                          struct repair_primary *from, char *left, size_t size, struct pr_err *err)
{
    /* Importing makes it MIGRATE keys of a slot that is not its own. */
    enum pr_code rc = open_import(r, from, slot, owner, err);
    if (rc == PR_OK)
        rc = repair_drain(r, slot, (struct repair_side_of){ from, true },
                          (struct repair_side_of){ owner, false }, left, size, err);
    if (rc == PR_OK)
        rc = setslot(r, from, slot, "STABLE", NULL, err);
    r->report->cleaned += rc == PR_OK && left[0] == '\0';
    return rc;
}

static enum pr_code close_slot(struct repair *r, int slot, struct repair_primary *owner,
                               struct repair_primary *other, struct pr_err *err)
{
    enum pr_code rc = is_open(owner, slot) ? setslot(r, owner, slot, "STABLE", NULL, err) : PR_OK;
    if (rc == PR_OK && other != owner && is_open(other, slot))
        rc = setslot(r, other, slot, "STABLE", NULL, err);
    r->report->closed_back += rc == PR_OK;
    return rc;
}

/* Taking a slot over with a higher epoch, so that everybody believes it, is what the
 * end of an import does. */
static enum pr_code own(struct repair *r, int slot, struct repair_primary *owner,
                        struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (open_at(owner, slot, true) == NULL) {
        const struct repair_primary *any = NULL;
        for (size_t i = 0; i < r->n && any == NULL; i++)
            if (&r->p[i] != owner)
                any = &r->p[i];
        if (any == NULL)
            return pr_fail(err, PR_ECONFLICT, "slot %d: a cluster of one primary", slot);
        rc = setslot(r, owner, slot, "IMPORTING", any->id, err);
    }
    if (rc == PR_OK)
        rc = setslot(r, owner, slot, "NODE", owner->id, err);
    r->report->owners_set += rc == PR_OK;
    return rc;
}

enum pr_code repair_act(struct repair *r, int slot, const struct rebalance_mend *m, char *left,
                        size_t size, struct pr_err *err)
{
    struct repair_primary *owner = m->owner < 0 ? NULL : &r->p[m->owner];
    struct repair_primary *other = m->other < 0 ? NULL : &r->p[m->other];
    left[0] = '\0';
    pr_info(PR_EV("repair.slot"), PR_I("slot", slot), PR_S("action", rebalance_mend_name(m->kind)),
            PR_S("why", m->why), PR_I("owner_port", owner == NULL ? 0 : owner->port),
            PR_I("other_port", other == NULL ? 0 : other->port));
    switch (m->kind) {
    case REBALANCE_MEND_CLOSE:
        return close_slot(r, slot, owner, other, err);
    case REBALANCE_MEND_FORWARD:
        return forward(r, slot, owner, other, left, size, err);
    case REBALANCE_MEND_BRING:
        return bring(r, slot, owner, other, left, size, err);
    case REBALANCE_MEND_OWN:
        return own(r, slot, owner, err);
    case REBALANCE_MEND_NOTHING:
    case REBALANCE_MEND_WAIT:
        break;
    }
    return PR_OK;
}

/* --- the loop ---------------------------------------------------------------------------- */

struct rounds {
    struct repair *r;
    uint8_t todo[2048], given_up[2048];
    int64_t since_us; /* of the last thing that was done */
    char waits[256];  /* for what, of the first slot that does */
    bool acted;
    struct {
        int64_t since_us; /* 0: it has an owner */
        int port;         /* who should have it */
    } unowned[REBALANCE_SLOTS];
};

/* Something is left over that a person must look at. */
static void leave(struct rounds *x, int slot, const char *why)
{
    drop(x->todo, slot);
    x->given_up[slot / 8] = (uint8_t)(x->given_up[slot / 8] | 1u << (slot % 8));
    x->r->report->left++;
    if (x->r->report->first_left[0] == '\0')
        snprintf(x->r->report->first_left, sizeof x->r->report->first_left, "%s", why);
}

/* Nodes are asked one after the other, so a fail-over in between looks as if nobody
 * served the slot; whoever was given it then would make its owner drop its keys. */
static bool sure(struct rounds *x, int slot, const struct rebalance_mend *m)
{
    const int port = m->kind == REBALANCE_MEND_OWN ? x->r->p[m->owner].port : 0;
    if (port == 0 || x->unowned[slot].port != port) {
        x->unowned[slot].port = port;
        x->unowned[slot].since_us = pr_mono_us();
    }
    return port == 0 || pr_mono_us() - x->unowned[slot].since_us > (int64_t)SURE_MS * 1000;
}

static enum pr_code mend(struct rounds *x, int slot, struct pr_err *err)
{
    struct repair *r = x->r;
    struct rebalance_mend m;
    char left[256];
    rebalance_repair_sides(r->w, r->n, slot, r->side);
    rebalance_mend_slot(r->side, r->n, &m);
    if (m.kind == REBALANCE_MEND_NOTHING) {
        drop(x->todo, slot);
        return PR_OK;
    }
    if (m.kind == REBALANCE_MEND_WAIT || !sure(x, slot, &m)) {
        if (x->waits[0] == '\0')
            snprintf(x->waits, sizeof x->waits, "slot %d: %s", slot, m.why);
        return PR_OK;
    }
    struct pr_err why = { .text = "" };
    const enum pr_code rc = repair_act(r, slot, &m, left, sizeof left, &why);
    if (rc == PR_EUNAVAIL || rc == PR_ETIMEOUT) { /* tried again after the next look */
        if (x->waits[0] == '\0')
            snprintf(x->waits, sizeof x->waits, "%s", why.text);
        return PR_OK;
    }
    if (rc == PR_EINVAL || rc == PR_EFULL || rc == PR_ECONFLICT || rc == PR_EDENIED) {
        leave(x, slot, why.text);
        return PR_OK;
    }
    if (rc != PR_OK)
        return pr_fail(err, rc, "%s", why.text);
    if (left[0] != '\0')
        leave(x, slot, left);
    x->acted = true;
    return PR_OK;
}

static enum pr_code one_round(struct rounds *x, bool *again, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    x->waits[0] = '\0';
    x->acted = *again = false;
    for (int s = 0; s < REBALANCE_SLOTS && rc == PR_OK; s++) {
        if (!has(x->todo, s))
            continue;
        if ((rc = duty_nap(x->r->ctx, 0, err)) == PR_OK)
            rc = mend(x, s, err);
        *again = *again || has(x->todo, s);
    }
    if (x->acted)
        x->since_us = pr_mono_us();
    return rc;
}

static enum pr_code find(struct rounds *x, struct pr_err *err)
{
    struct repair *r = x->r;
    uint8_t busy[2048];
    enum pr_code rc = repair_look(r, NULL, err);
    if (rc == PR_EUNAVAIL) /* a connection that was closed since it was used last */
        rc = repair_look(r, NULL, err);
    if (rc == PR_OK)
        rc = repair_busy(r, busy, err);
    if (rc != PR_OK)
        return rc;
    rebalance_repair_suspects(r->w, r->n, x->todo);
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        bool open = false;
        size_t owners = 0;
        if (!has(x->todo, s))
            continue;
        for (size_t i = 0; i < r->n; i++) {
            open = open || is_open(&r->p[i], s);
            owners += r->p[i].view->owner[s] == r->p[i].view->me;
        }
        if (has(busy, s)) {
            r->report->ours++;
            drop(x->todo, s);
        } else if (owners != 1)
            r->report->owner_slots++;
        else if (open)
            r->report->open_slots++;
        else
            r->report->stray_slots++;
    }
    return PR_OK;
}

/* Half a look decides nothing: while a primary is dying it is tried again. */
static enum pr_code look_again(struct rounds *x, struct pr_err *err)
{
    enum pr_code rc = duty_nap(x->r->ctx, x->acted ? 20 : 250, err);
    while (rc == PR_OK) {
        rc = repair_look(x->r, x->todo, err);
        if ((rc != PR_EUNAVAIL && rc != PR_ETIMEOUT) ||
            pr_mono_us() - x->since_us > (int64_t)PATIENCE_MS * 1000)
            break;
        rc = duty_nap(x->r->ctx, 250, err);
    }
    return rc;
}

static enum pr_code work(struct rounds *x, struct pr_err *err)
{
    bool again = false;
    enum pr_code rc = find(x, err);
    x->since_us = pr_mono_us();
    while (rc == PR_OK) {
        rc = one_round(x, &again, err);
        if (rc != PR_OK || !again)
            break;
        if (pr_mono_us() - x->since_us > (int64_t)PATIENCE_MS * 1000) {
            for (int s = 0; s < REBALANCE_SLOTS; s++)
                if (has(x->todo, s))
                    leave(x, s, x->waits);
            break;
        }
        rc = look_again(x, err);
    }
    return rc;
}

enum pr_code rebalance_repair(const struct rebalance_duty_ctx *ctx,
                              struct rebalance_repair_report *out, struct pr_err *err)
{
    struct repair r = { .ctx = ctx, .report = out };
    struct rounds *x = calloc(1, sizeof *x);
    *out = (struct rebalance_repair_report){ .left = 0 };
    if (x == NULL)
        return pr_fail(err, PR_ENOMEM, "a repair");
    x->r = &r;
    pr_arena_init(&r.arena, 0);
    const enum pr_code rc = work(x, err);
    repair_done(&r);
    free(x);
    return rc;
}

void rebalance_repair_json(const struct rebalance_repair_report *r, char *out, size_t size)
{
    char why[200];
    size_t n = 0;
    for (const char *c = r->first_left; *c != '\0' && n + 3 < sizeof why; c++) {
        if (*c == '"' || *c == '\\')
            why[n++] = '\\';
        why[n++] = *c < ' ' ? ' ' : *c;
    }
    why[n] = '\0';
    snprintf(out, size,
             "{\"openSlots\": %d, \"ownerSlots\": %d, \"straySlots\": %d, \"closedForward\": %d, "
             "\"closedBack\": %d, \"ownersSet\": %d, \"cleaned\": %d, \"movedKeys\": %" PRId64
             ", \"deletedCopies\": %" PRId64 ", \"conflicts\": %" PRId64
             ", \"ours\": %d, \"left\": %d, \"firstLeft\": \"%s\"}",
             r->open_slots, r->owner_slots, r->stray_slots, r->closed_forward, r->closed_back,
             r->owners_set, r->cleaned, r->moved_keys, r->deleted_copies, r->conflicts, r->ours,
             r->left, why);
}
