/* What must hold, judged from what the clients were told. */
#include "world.h"

#include <string.h>

/* At most one copy accepts writes. */
void check_copies(struct world *w)
{
    uint32_t live = 0;

    for (uint32_t p = 0; p < PARTS; p++)
        live += shard_now(&w->shard[p])->key.kind == MODEL_LIVE;
    if (live > 1)
        violation(w, "two live copies");
}

static bool adds(const struct record *r)
{
    return r->op == CLIENT_WRITE || r->op == CLIENT_CREATE;
}

static bool acked_before(const struct record *r, uint64_t step)
{
    return r->status == ACKED && r->ack < step;
}

/* May a deletion have come after k? */
static bool maybe_deleted(const struct world *w, const struct record *k)
{
    for (uint32_t i = 0; i < w->n_records; i++) {
        const struct record *d = &w->record[i];
        if (d->op == CLIENT_DELETE && d->status != FAILED && !acked_before(d, k->inv))
            return true;
    }
    return false;
}

/* Is k gone for certain, at a read that began at step inv? */
static bool surely_deleted(const struct world *w, const struct record *k, uint64_t inv)
{
    for (uint32_t i = 0; i < w->n_records; i++) {
        const struct record *d = &w->record[i];
        if (d->op == CLIENT_DELETE && acked_before(d, inv) && acked_before(k, d->inv))
            return true;
    }
    return false;
}

/* An acknowledged deletion that no creation can have followed. */
static bool surely_dead(const struct world *w, uint64_t inv)
{
    for (uint32_t i = 0; i < w->n_records; i++) {
        const struct record *d = &w->record[i];
        if (d->op != CLIENT_DELETE || !acked_before(d, inv))
            continue;
        bool revived = false;
        for (uint32_t j = 0; j < w->n_records; j++) {
            const struct record *c = &w->record[j];
            if (c->op == CLIENT_CREATE && c->status != FAILED && !acked_before(c, d->inv))
                revived = true;
        }
        if (!revived)
            return true;
    }
    return false;
}

void check_read(struct world *w, uint64_t inv, const struct model_key *seen)
{
    bool live = seen != NULL;

    for (uint32_t i = 0; i < w->n_records; i++) {
        const struct record *k = &w->record[i];
        if (!adds(k) || !acked_before(k, inv))
            continue;
        bool there = live && seen->field[k->field] != 0;
        if (!there && !maybe_deleted(w, k))
            violation(w, live ? "an acknowledged write is lost" : "a live vertex is not found");
        if (there && surely_deleted(w, k, inv))
            violation(w, "deleted data came back");
    }
    if (live && surely_dead(w, inv))
        violation(w, "a deleted vertex came back");
}

/* A strong read makes what it saw as good as acknowledged. */
void check_known(struct world *w, const struct model_key *seen)
{
    for (uint32_t i = 0; i < w->n_records; i++) {
        struct record *k = &w->record[i];
        if (adds(k) && k->status == UNKNOWN && seen->field[k->field] != 0) {
            k->status = ACKED;
            k->ack = w->now;
        }
    }
}

static const struct model_key *the_copy(const struct world *w)
{
    for (uint32_t p = 0; p < PARTS; p++)
        if (shard_now(&w->shard[p])->key.kind == MODEL_LIVE)
            return &shard_now(&w->shard[p])->key;
    return NULL;
}

static void check_staging(struct world *w)
{
    for (uint32_t p = 0; p < PARTS; p++) {
        const struct shard_state *s = shard_now(&w->shard[p]);
        for (uint32_t i = 0; i < SHARD_STAGED; i++)
            if (s->staged[i].name != 0 && s->staged[i].late == 0)
                violation(w, "a staging key is left");
    }
}

/* The route: a reader with no cache needs one hop at most. */
static void check_route(struct world *w)
{
    const struct model_key *home = &shard_now(&w->shard[w->cfg.home])->key;
    const struct model_key *copy = the_copy(w);

    if (copy != NULL && home != copy &&
        (home->kind != MODEL_STUB || copy != &shard_now(&w->shard[home->stub_p])->key))
        violation(w, "home does not know where it is");
}

/* One more operation by a client that begins at partition `from`. */
static enum client_outcome ask(struct world *w, enum client_op op, uint32_t from,
                               struct model_key *seen)
{
    struct client c;
    struct model_reply r = { .word = WORD_OK };

    client_init(&c, op, w->cfg.home, from, (from + 1) % PARTS, 3);
    for (;;) {
        struct client_cmd cmd = client_next(&c);
        struct model_call call = { .fn = FN_GET, .p = c.create_at };
        switch (cmd.kind) {
        case CLIENT_END:
            return client_outcome(&c);
        case CLIENT_WAIT_HOME:
        case CLIENT_BACKOFF:
            client_reply(&c, CLIENT_R_OK, 0, 0);
            continue;
        case CLIENT_CLAIM:
            call.fn = FN_CLAIM;
            call.flag = c.create_at == w->cfg.home;
            break;
        case CLIENT_DO:
            if (op != CLIENT_READ)
                call.fn = op == CLIENT_WRITE ? FN_WRITE : FN_CREATE;
            call.flag = cmd.existing_only;
            break;
        }
        server_run(w, cmd.partition, &call, &r);
        *seen = r.copy;
        client_reply(&c,
                     r.word == WORD_STUB      ? CLIENT_R_STUB
                     : r.word == WORD_ABSENT  ? CLIENT_R_ABSENT
                     : r.word == WORD_DELETED ? CLIENT_R_DELETED
                                              : CLIENT_R_OK,
                     r.p, r.e);
    }
}

/* Faults have stopped and every move is done. */
void check_end(struct world *w)
{
    struct model_key seen;

    w->now++;
    check_route(w);
    for (uint32_t from = 0; from < PARTS && w->broken == NULL; from++) {
        const struct model_key *copy = the_copy(w);
        enum client_outcome wanted = copy != NULL && !copy->x ? CLIENT_DONE : CLIENT_NOT_FOUND;
        enum client_outcome got = ask(w, CLIENT_READ, from, &seen);
        if (got != wanted)
            violation(w, got == CLIENT_GAVE_UP ? "unreachable" : "found where it is not");
        check_read(w, w->now, got == CLIENT_DONE ? &seen : NULL);
        if (ask(w, CLIENT_WRITE, from, &seen) != wanted)
            violation(w, "cannot be written");
    }
    for (uint32_t from = 0; from < PARTS && w->broken == NULL; from++)
        if (ask(w, CLIENT_CREATE, from, &seen) != CLIENT_DONE)
            violation(w, "cannot be created");
    check_staging(w);
}
