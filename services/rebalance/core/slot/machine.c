#include "core/slot/machine.h"

#include <string.h>

#define S(name) REBALANCE_SLOT_##name

/* The two sides in the roles that they have now. */
struct roles {
    struct rebalance_slot_side giver, taker;
    enum rebalance_slot_refusal refused; /* by the taker */
};

static struct roles roles_of(struct rebalance_slot_at at, const struct rebalance_slot_view *v)
{
    struct roles r = { v->source, v->target, v->refused[0] };
    if (at.back)
        r = (struct roles){ v->target, v->source, v->refused[1] };
    if (r.giver.gone) /* nothing to close, nothing to move: as if it had let go */
        r.giver = (struct rebalance_slot_side){
            .there = true, .open = S(CLOSED), .map = S(TO_OTHER), .gone = true
        };
    return r;
}

static bool known(const struct rebalance_slot_side *s)
{
    return s->there && s->keys >= 0;
}

/* Nobody owns the slot: whoever holds its keys takes it. */
static enum rebalance_slot_event unowned(const struct roles *r)
{
    return r->giver.keys > 0 ? S(EV_UNOWNED) : S(EV_ABANDONED);
}

/* Canceled, and nothing has moved. The target is closed first: while the source
 * migrates, nobody makes a key anew that was created at the target just now;
 * and if one was, it is seen before the source is closed, and the move goes on. */
static enum rebalance_slot_event undoing(const struct roles *r, const struct rebalance_slot_view *v)
{
    if (r->taker.open != S(CLOSED))
        return S(EV_CANCELED);
    if (r->giver.open != S(CLOSED))
        return S(EV_UNDOING);
    return v->agreed ? S(EV_UNDONE) : S(EV_UNHEARD);
}

/* The giver owns it: open both, empty the giver. A taker that imports at all
 * answers ASKING, whomever it imports from; so after a fail-over of the giver
 * the promoted one is opened first: until then it says nil for keys that moved. */
static enum rebalance_slot_event giving(struct rebalance_slot_at at, const struct roles *r,
                                        const struct rebalance_slot_view *v)
{
    const struct rebalance_slot_side *g = &r->giver, *t = &r->taker;
    const bool imports = t->open == S(IMPORTS) || t->open == S(IMPORTS_STALE);

    if (v->cancel && !at.back && t->keys == 0 && !v->conflict)
        return undoing(r, v);
    if (t->open == S(CLOSED) && t->map == S(TO_OTHER))
        return S(EV_UNPREPARED);
    if (imports && g->open != S(MIGRATES))
        return S(EV_UNOPENED);
    if (t->open != S(IMPORTS) || t->map != S(TO_OTHER))
        return S(EV_MISLED);
    if (g->keys > 0 && v->conflict) /* before a turn: it must find each key on one side */
        return S(EV_CONFLICT);
    if (g->keys > 0 && r->refused != S(ACCEPTS))
        return at.back ? S(EV_DEADLOCK) : S(EV_REFUSED);
    if (g->keys > 0)
        return S(EV_LOADED);
    if (!v->settled)
        return S(EV_UNSETTLED);
    return v->outbid ? S(EV_OUTBID) : S(EV_EMPTY);
}

/* The taker owns it: have the giver know, close what is open, see that everybody
 * knows. Keys on the giver then: before the handoff of a move that goes back,
 * the slot was not turned round after all (the source may have failed over, and
 * has to be opened and compared first); otherwise they are leftovers of a
 * replica that had not heard of their deletion. */
static enum rebalance_slot_event taken(struct rebalance_slot_at at, const struct roles *r,
                                       const struct rebalance_slot_view *v)
{
    const struct rebalance_slot_side *g = &r->giver, *t = &r->taker;

    if (g->keys == 0 && v->low && !g->gone)
        return S(EV_LOW);
    if (g->keys > 0)
        return at.back && at.state != S(HANDOFF) ? S(EV_UNTURNED) : S(EV_LEFTOVERS);
    if (g->map != S(TO_OTHER))
        return S(EV_CLAIMED);
    if (g->open != S(CLOSED))
        return S(EV_GIVER_OPEN);
    if (t->open != S(CLOSED))
        return S(EV_TAKER_OPEN);
    return v->agreed ? S(EV_KNOWN) : S(EV_UNHEARD);
}

enum rebalance_slot_event rebalance_slot_observe(struct rebalance_slot_at at,
                                                 const struct rebalance_slot_view *view)
{
    const struct roles r = roles_of(at, view);
    const bool giver = r.giver.map == S(TO_SELF), taker = r.taker.map == S(TO_SELF);

    if (r.taker.gone)
        return S(EV_GONE);
    if (!known(&r.giver) || !known(&r.taker))
        return S(EV_MISSING);
    if (view->stray)
        return S(EV_STRAY);
    if (view->diverged)
        return S(EV_DIVERGED);
    if (taker)
        return taken(at, &r, view);
    if (!giver)
        return view->third ? S(EV_FOREIGN) : unowned(&r);
    return giving(at, &r, view);
}

/* --- the table ---------------------------------------------------------------- */
#define ROW(from, event, to, effect, why)                                                          \
    {                                                                                              \
        S(from), S(EV_##event), S(to), S(DO_##effect), why                                         \
    }
/* The same wherever the move has got to. */
#define STAYS(event, effect, why)                                                                  \
    ROW(PLANNED, event, PLANNED, effect, why), ROW(IMPORTING, event, IMPORTING, effect, why),      \
        ROW(MIGRATING, event, MIGRATING, effect, why),                                             \
        ROW(DRAINING, event, DRAINING, effect, why), ROW(HANDOFF, event, HANDOFF, effect, why)
#define GOES(event, to, effect, why)                                                               \
    ROW(PLANNED, event, to, effect, why), ROW(IMPORTING, event, to, effect, why),                  \
        ROW(MIGRATING, event, to, effect, why), ROW(DRAINING, event, to, effect, why),             \
        ROW(HANDOFF, event, to, effect, why)
/* Opens: on the way there the state advances; later, after a change of roles,
 * it is as far as it was, except that a handoff has to be come by again. */
#define OPENS(event, effect, why, first, second)                                                   \
    ROW(PLANNED, event, first, effect, why), ROW(IMPORTING, event, second, effect, why),           \
        ROW(MIGRATING, event, MIGRATING, effect, why),                                             \
        ROW(DRAINING, event, DRAINING, effect, why), ROW(HANDOFF, event, DRAINING, effect, why)

/* clang-format off */
static const struct rebalance_slot_row table[] = {
    STAYS(MISSING, WAIT, "a primary is missing: wait for it or for its successor"),
    GOES(GONE, STUCK, STOP, "the shard that should take the slot is no more"),
    GOES(FOREIGN, STUCK, STOP, "a shard outside this move owns the slot"),
    GOES(DIVERGED, STUCK, STOP, "a key differs on both sides and no rule says which is right"),
    STAYS(STRAY, FENCE, "a command of unknown fate may still run: make it harmless first"),

    STAYS(CANCELED, CLOSE_T, "canceled before a key moved: close the target"),
    STAYS(UNDOING, CLOSE_G, "canceled before a key moved: close the source"),
    GOES(UNDONE, ROLLED_BACK, NOTHING, "canceled before a key moved: nothing is open"),
    GOES(REFUSED, DRAINING, TURN, "the target takes no more: it owns the slot while its keys go back"),
    GOES(DEADLOCK, STUCK, STOP, "neither shard takes the rest; all keys are served where they are"),
    ROW(PLANNED, UNTURNED, DRAINING, LOOK, "the source still owns the slot: forward again"),
    ROW(IMPORTING, UNTURNED, DRAINING, LOOK, "the source still owns the slot: forward again"),
    ROW(MIGRATING, UNTURNED, DRAINING, LOOK, "the source still owns the slot: forward again"),
    ROW(DRAINING, UNTURNED, DRAINING, LOOK, "the source still owns the slot: forward again"),
    /* HANDOFF, UNTURNED: cannot be. A handoff begins with the giver empty; keys
     * seen there after it are leftovers. */

    GOES(UNOWNED, DRAINING, RECLAIM, "nobody owns the slot: who holds its keys does"),
    GOES(ABANDONED, HANDOFF, CLAIM, "nobody owns the slot and the giver is empty: take it"),

    OPENS(UNPREPARED, IMPORT, "open the taker first, so that ASK finds it", IMPORTING, IMPORTING),
    OPENS(MISLED, CURE, "an importing node never learns of a new owner: tell it", IMPORTING, IMPORTING),
    OPENS(UNOPENED, MIGRATE, "open the giver: what it lacks is asked of the taker", MIGRATING, MIGRATING),
    GOES(CONFLICT, DRAINING, RESOLVE, "keys may be on both sides: compare before moving on"),
    GOES(LOADED, DRAINING, DRAIN, "move keys"),
    GOES(UNSETTLED, DRAINING, SETTLE, "empty: have the replicas hear of it before the handoff"),
    GOES(OUTBID, DRAINING, WAIT, "empty: have the taker hear of the giver's epoch first"),
    GOES(EMPTY, HANDOFF, CLAIM, "empty: the taker owns the slot, with a new epoch"),

    STAYS(LOW, BUMP, "the giver's epoch could outbid the taker's: take a new one"),
    STAYS(CLAIMED, RELEASE, "the giver learns it from us, all others by gossip"),
    STAYS(LEFTOVERS, RESOLVE, "keys on a side that does not own the slot: compare, keep what is only there"),
    STAYS(GIVER_OPEN, CLOSE_G, "close the giver"),
    STAYS(TAKER_OPEN, CLOSE_T, "close the taker"),
    STAYS(UNHEARD, VERIFY, "maps lag: ask again"),
    GOES(KNOWN, VERIFIED, NOTHING, "one owner everywhere, nothing open"),
};
/* clang-format on */

const struct rebalance_slot_row *rebalance_slot_table(size_t *n)
{
    *n = sizeof(table) / sizeof(table[0]);
    return table;
}

bool rebalance_slot_final(enum rebalance_slot_state s)
{
    return s >= S(VERIFIED);
}

static const struct rebalance_slot_row *find(enum rebalance_slot_state from,
                                             enum rebalance_slot_event event)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].from == from && table[i].event == event)
            return &table[i];
    }
    return NULL;
}

struct rebalance_slot_next rebalance_slot_step(struct rebalance_slot_at at,
                                               const struct rebalance_slot_view *view)
{
    struct rebalance_slot_next next = { .at = at, .effect = S(DO_NOTHING), .why = "final" };

    if (rebalance_slot_final(at.state))
        return next;
    next.event = rebalance_slot_observe(at, view);
    const struct rebalance_slot_row *row = find(at.state, next.event);
    if (row == NULL) { /* no such pair; a test visits them all */
        next.at.state = S(STUCK);
        next.effect = S(DO_STOP);
        next.why = "no rule for this";
        return next;
    }
    next.at.state = row->to;
    next.at.back = (at.back || next.event == S(EV_REFUSED)) && next.event != S(EV_UNTURNED);
    if (row->to == S(VERIFIED) && at.back)
        next.at.state = S(ROLLED_BACK);
    next.effect = row->effect;
    next.why = row->why;
    return next;
}

/* --- names -------------------------------------------------------------------- */
static const char *const state_name[S(STATES)] = { "planned",     "importing", "migrating",
                                                   "draining",    "handoff",   "verified",
                                                   "rolled_back", "stuck" };
static const char *const event_name[S(EVENTS)] = {
    "missing", "gone",     "foreign",   "diverged",   "stray",      "canceled",  "undoing",
    "undone",  "refused",  "deadlock",  "unturned",   "unowned",    "abandoned", "unprepared",
    "misled",  "unopened", "conflict",  "loaded",     "unsettled",  "outbid",    "empty",
    "low",     "claimed",  "leftovers", "giver_open", "taker_open", "unheard",   "known"
};
static const char *const effect_name[S(EFFECTS)] = {
    "nothing",     "look",        "wait",   "fence",  "import",  "cure", "migrate",
    "resolve",     "drain",       "settle", "claim",  "release", "turn", "reclaim",
    "close_giver", "close_taker", "bump",   "verify", "stop"
};

const char *rebalance_slot_state_name(enum rebalance_slot_state s)
{
    return s < S(STATES) ? state_name[s] : "unknown";
}

const char *rebalance_slot_event_name(enum rebalance_slot_event e)
{
    return e < S(EVENTS) ? event_name[e] : "unknown";
}

const char *rebalance_slot_effect_name(enum rebalance_slot_effect f)
{
    return f < S(EFFECTS) ? effect_name[f] : "unknown";
}

bool rebalance_slot_state_parse(const char *name, enum rebalance_slot_state *out)
{
    for (int i = 0; i < S(STATES); i++) {
        if (strcmp(name, state_name[i]) == 0) {
            *out = (enum rebalance_slot_state)i;
            return true;
        }
    }
    return false;
}

bool rebalance_slot_named(const char *verb, const char *id)
{
    return id[0] != '\0' || strcmp(verb, "DELSLOTS") == 0 || strcmp(verb, "STABLE") == 0;
}
