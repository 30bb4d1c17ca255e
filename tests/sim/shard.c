#include "shard.h"

#include "switches.h"

#include <assert.h>
#include <string.h>

static struct shard_state *at(struct shard *s, uint32_t position)
{
    return &s->log[position % SHARD_LOG];
}

/* Position `position` is now `state`, and nothing is after it. */
static void record(const struct shard *s, uint32_t position, const struct shard_state *state)
{
    struct shard_tape *t = s->tape;

    if (t == NULL || *t->clock > t->until)
        return;
    assert(position < SHARD_TAPE);
    t->n = position + 1;
    if (state != NULL) {
        t->at[position] = *t->clock;
        t->state[position] = *state;
    }
}

void shard_init(struct shard *s, uint32_t replicas, const struct model_key *key)
{
    s->head = 0;
    s->replicas = replicas;
    s->generation = 0;
    for (uint32_t i = 0; i < SHARD_REPLICAS; i++)
        s->pos[i] = 0;
    *at(s, 0) = (struct shard_state){ .key = *key };
    record(s, 0, at(s, 0));
}

const struct shard_state *shard_now(const struct shard *s)
{
    return &s->log[s->head % SHARD_LOG];
}

/* A replica that is a whole log behind has to catch up first. */
static void append(struct shard *s, const struct shard_state *next)
{
    s->head++;
    for (uint32_t i = 0; i < s->replicas; i++)
        if (s->head - s->pos[i] >= SHARD_LOG)
            s->pos[i] = s->head - SHARD_LOG + 1;
    *at(s, s->head) = *next;
    record(s, s->head, next);
}

static struct shard_staged *staged(struct shard_state *state, uint64_t name)
{
    for (unsigned i = 0; i < SHARD_STAGED; i++)
        if (state->staged[i].name == name)
            return &state->staged[i];
    return NULL;
}

void shard_run(struct shard *s, const struct model_call *call, struct model_reply *r)
{
    struct shard_state next = *shard_now(s);
    struct model_key none = { .kind = MODEL_ABSENT };
    struct shard_staged *g = NULL;

    if (call->fn == FN_PROMOTE)
        g = staged(&next, ON(STAGING_BY_EPOCH) ? call->E : UINT64_MAX);
    model_run(&next.key, g != NULL ? &g->copy : &none, call, r);
    if (g != NULL && g->copy.kind == MODEL_ABSENT)
        g->name = 0;
    if (memcmp(&next, shard_now(s), sizeof(next)) != 0)
        append(s, &next);
}

bool shard_restore(struct shard *s, uint64_t name, const struct model_key *copy, bool late,
                   bool replace)
{
    struct shard_state next = *shard_now(s);
    struct shard_staged *g = staged(&next, name);

    if (g != NULL && !replace)
        return false;
    if (g == NULL)
        g = staged(&next, 0);
    if (g == NULL)
        return false; /* no room: as good as out of memory */
    g->name = name;
    g->late = late;
    g->copy = *copy;
    append(s, &next);
    return true;
}

void shard_unlink_staged(struct shard *s, uint64_t name)
{
    struct shard_state next = *shard_now(s);
    struct shard_staged *g = staged(&next, name);

    if (g == NULL)
        return;
    g->name = 0;
    append(s, &next);
}

void shard_replicate(struct shard *s, uint32_t replica, uint32_t upto)
{
    if (upto > s->head)
        upto = s->head;
    if (s->pos[replica] < upto)
        s->pos[replica] = upto;
}

void shard_wait(struct shard *s, uint32_t position)
{
    for (uint32_t i = 0; i < s->replicas; i++)
        shard_replicate(s, i, position);
}

void shard_fail_over(struct shard *s, uint32_t i)
{
    s->head = s->pos[i];
    record(s, s->head, NULL);
    for (uint32_t j = 0; j < s->replicas; j++)
        if (s->pos[j] > s->head)
            s->pos[j] = s->head;
    s->generation++;
}
