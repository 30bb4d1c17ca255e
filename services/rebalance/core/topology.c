#include "core/topology.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 16384 };

/* --- looking things up by name ------------------------------------------ */

struct name { /* a node by "host, port" or by Redis id (port 0) */
    const char *s;
    int port, index;
};

static int by_name(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    const int c = strcmp(x->s, y->s);
    return c != 0 ? c : (x->port > y->port) - (x->port < y->port);
}

static int look_up(const struct name *names, size_t n, const char *s, int port)
{
    const struct name key = { .s = s, .port = port };
    const struct name *hit = n == 0 ? NULL : bsearch(&key, names, n, sizeof *names, by_name);
    return hit == NULL ? -1 : hit->index;
}

/* --- the working state of one computation ------------------------------- */

struct work {
    const struct rebalance_node *reg;
    size_t n;
    const struct rebalance_cluster *c;
    struct pr_arena *arena;
    int *reported_of;   /* [n] index into c->node, -1 */
    int *registered_of; /* [c->nodes] index into reg, -1 */
    int *leader;        /* [c->nodes] the primary with slots whose shard it is in, -1 */
    int *slots;         /* [c->nodes] */
    int *heir;          /* [c->nodes] who has what it seems to own; mostly itself */
    bool *orphan;       /* [c->nodes] its primary failed, or leads no more: it was not told yet */
    const char **name;  /* [c->nodes] registered id, or "host:port" */
    const char **zone;  /* [c->nodes] */
    const char **shard; /* [c->nodes], of leaders */
};

static enum pr_code allocate(struct work *w, struct pr_err *err)
{
    const size_t m = w->c->nodes + 1, n = w->n + 1;
    w->reported_of = pr_arena_alloc(w->arena, n * sizeof(int));
    w->registered_of = pr_arena_alloc(w->arena, m * sizeof(int));
    w->leader = pr_arena_alloc(w->arena, m * sizeof(int));
    w->slots = pr_arena_alloc(w->arena, m * sizeof(int));
    w->heir = pr_arena_alloc(w->arena, m * sizeof(int));
    w->orphan = pr_arena_alloc(w->arena, m);
    w->name = pr_arena_alloc(w->arena, m * sizeof *w->name);
    w->zone = pr_arena_alloc(w->arena, m * sizeof *w->zone);
    w->shard = pr_arena_alloc(w->arena, m * sizeof *w->shard);
    if (w->reported_of == NULL || w->registered_of == NULL || w->leader == NULL ||
        w->slots == NULL || w->heir == NULL || w->orphan == NULL || w->name == NULL ||
        w->zone == NULL || w->shard == NULL)
        return pr_fail(err, PR_ENOMEM, "topology of %zu nodes", w->c->nodes);
    return PR_OK;
}

static enum pr_code match_names(struct work *w, const struct rebalance_subnet *subnets,
                                size_t n_subnets, struct pr_err *err)
{
    struct name *names = pr_arena_alloc(w->arena, (w->n + 1) * sizeof *names);
    if (names == NULL)
        return pr_fail(err, PR_ENOMEM, "topology of %zu nodes", w->n);
    for (size_t i = 0; i < w->n; i++) {
        names[i] = (struct name){ w->reg[i].host, w->reg[i].port, (int)i };
        w->reported_of[i] = -1;
    }
    qsort(names, w->n, sizeof *names, by_name);

    for (size_t j = 0; j < w->c->nodes; j++) {
        const struct rebalance_reported *r = &w->c->node[j];
        const int i = look_up(names, w->n, r->host, r->port);
        w->registered_of[j] = i;
        if (i >= 0) {
            w->reported_of[i] = (int)j;
            w->name[j] = w->reg[i].id;
            w->zone[j] = w->reg[i].zone[0] != '\0'
                             ? w->reg[i].zone
                             : rebalance_subnet_zone(subnets, n_subnets, r->host);
        } else { /* not ours to place: its zone stays unknown */
            w->name[j] = pr_arena_printf(w->arena, "%s:%d", r->host, r->port);
            w->zone[j] = "";
        }
        if (w->name[j] == NULL)
            return pr_fail(err, PR_ENOMEM, "topology of %zu nodes", w->n);
    }
    return PR_OK;
}

/* Primaries with slots lead shards; their replicas belong to them. */
static enum pr_code find_leaders(struct work *w, struct pr_err *err)
{
    struct name *ids = pr_arena_alloc(w->arena, (w->c->nodes + 1) * sizeof *ids);
    if (ids == NULL)
        return pr_fail(err, PR_ENOMEM, "topology of %zu nodes", w->c->nodes);
    for (size_t j = 0; j < w->c->nodes; j++)
        ids[j] = (struct name){ w->c->node[j].redis_id, 0, (int)j };
    qsort(ids, w->c->nodes, sizeof *ids, by_name);

    for (int s = 0; s < SLOTS; s++)
        if (w->c->slot_owner[s] >= 0)
            w->slots[w->c->slot_owner[s]]++;
    for (size_t j = 0; j < w->c->nodes; j++) {
        const struct rebalance_reported *r = &w->c->node[j];
        const int lead = r->primary ? (int)j : look_up(ids, w->c->nodes, r->primary_id, 0);
        w->leader[j] = lead >= 0 && w->slots[lead] > 0 ? lead : -1;
        w->orphan[j] = !r->primary && lead >= 0 && w->slots[lead] == 0 &&
                       (w->c->node[lead].failed || !w->c->node[lead].primary);
    }
    return PR_OK;
}

/* A failed former primary has lost its slots, and is still the replica that its
 * shard lacks: it stays in the shard that its row names, also when it is back and
 * leads nothing. So do its replicas until they are seen to follow who took over. */
static void keep_failed_members(struct work *w)
{
    for (size_t j = 0; j < w->c->nodes; j++) {
        const int i = w->registered_of[j];
        if (w->leader[j] >= 0 || i < 0 || w->reg[i].shard[0] == '\0' ||
            !(w->c->node[j].failed || w->c->node[j].primary || w->orphan[j]))
            continue;
        for (size_t k = 0; k < w->c->nodes && w->leader[j] < 0; k++) {
            const int other = w->registered_of[k];
            if (k != j && other >= 0 && w->leader[k] >= 0 &&
                strcmp(w->reg[other].shard, w->reg[i].shard) == 0)
                w->leader[j] = w->leader[k];
        }
    }
}

/* Slots that the asked node imports are all that j seems to own. */
static bool only_imported(const struct work *w, size_t j)
{
    for (int s = 0; s < SLOTS; s++)
        if (w->c->slot_owner[s] == (int16_t)j &&
            ((unsigned)w->c->imports[s / 8] >> (s % 8) & 1u) == 0)
            return false;
    return true;
}

/* A leader of j's shard by the rows whose claim is later than all of j's. */
static bool succeeds(const struct work *w, size_t k, size_t j)
{
    const int other = w->registered_of[k];
    const struct rebalance_reported *heir = &w->c->node[k], *dead = &w->c->node[j];
    return k != j && other >= 0 && w->leader[k] == (int)k && !heir->failed &&
           heir->config_epoch > dead->config_epoch &&
           strcmp(w->reg[other].shard, w->reg[w->registered_of[j]].shard) == 0;
}

/* A node that imports a slot names the slot's former owner for ever. Where such a one was asked, a
 * dead primary seems to keep a slot beside who took over: that one has all of them, and the
 * replicas. Rows may be old, and name a shard that a node is of no more: whoever keeps a slot that
 * is not on its way, or may be alive, was not succeeded. */
static void give_way(struct work *w)
{
    for (size_t j = 0; j < w->c->nodes; j++) {
        const int i = w->registered_of[j];
        int heir = -1;
        w->heir[j] = (int)j;
        if (w->leader[j] != (int)j || i < 0 || !w->c->node[j].dead || w->reg[i].shard[0] == '\0' ||
            !only_imported(w, j))
            continue;
        for (size_t k = 0; k < w->c->nodes; k++)
            if (succeeds(w, k, j) && (heir < 0 || w->slots[k] > w->slots[heir]))
                heir = (int)k;
        for (size_t k = 0; heir >= 0 && k < w->c->nodes; k++)
            if (w->leader[k] == (int)j)
                w->leader[k] = heir;
        if (heir >= 0) {
            w->heir[j] = heir;
            w->slots[heir] += w->slots[j];
            w->slots[j] = 0;
        }
    }
}

/* Which of two leaders goes on under the id that both rows name: who led before,
 * then who has more slots. */
static bool rather(const struct work *w, int a, int b)
{
    const bool led_a = w->reg[w->registered_of[a]].role == REBALANCE_PRIMARY;
    const bool led_b = w->reg[w->registered_of[b]].role == REBALANCE_PRIMARY;
    return led_a != led_b ? led_a : w->slots[a] > w->slots[b];
}

static bool taken(const struct work *w, const char *id)
{
    for (size_t j = 0; j < w->c->nodes; j++)
        if (w->leader[j] == (int)j && w->shard[j] != NULL && strcmp(w->shard[j], id) == 0)
            return true;
    return false;
}

static void keep_names(struct work *w)
{
    for (size_t j = 0; j < w->c->nodes; j++) {
        const int i = w->registered_of[j];
        if (w->leader[j] != (int)j || i < 0 || w->reg[i].shard[0] == '\0')
            continue;
        w->shard[j] = w->reg[i].shard;
        for (size_t k = 0; k < j; k++) {
            if (w->leader[k] != (int)k || w->shard[k] == NULL ||
                strcmp(w->shard[k], w->shard[j]) != 0)
                continue;
            w->shard[rather(w, (int)j, (int)k) ? k : j] = NULL;
            break;
        }
    }
}

/* Ids outlive the members they came from: plans, history and the home zone of a
 * shard are under its id. */
static enum pr_code name_shards(struct work *w, struct pr_err *err)
{
    keep_names(w);
    for (size_t j = 0; j < w->c->nodes; j++) {
        const char *best = NULL;
        if (w->leader[j] != (int)j || w->shard[j] != NULL)
            continue;
        for (size_t k = 0; k < w->c->nodes; k++)
            if (w->leader[k] == (int)j && w->registered_of[k] >= 0 && !taken(w, w->name[k]) &&
                (best == NULL || strcmp(w->name[k], best) < 0))
                best = w->name[k];
        for (int n = 1; best == NULL;
             n++) { /* nobody of it is registered, or all were named after */
            best = n == 1 ? w->name[j] : pr_arena_printf(w->arena, "%s.%d", w->name[j], n);
            if (best == NULL)
                return pr_fail(err, PR_ENOMEM, "topology of %zu nodes", w->c->nodes);
            if (taken(w, best))
                best = NULL;
        }
        w->shard[j] = best;
    }
    return PR_OK;
}

/* --- rows ---------------------------------------------------------------- */

static enum pr_code node_rows(struct work *w, struct rebalance_image *out, struct pr_err *err)
{
    out->node = pr_arena_alloc(w->arena, (w->n + 1) * sizeof *out->node);
    if (out->node == NULL)
        return pr_fail(err, PR_ENOMEM, "topology of %zu nodes", w->n);
    out->nodes = w->n;
    for (size_t i = 0; i < w->n; i++) {
        struct rebalance_node *row = &out->node[i];
        const int j = w->reported_of[i];
        *row = w->reg[i];
        if (j < 0) {
            row->slots = 0;
            row->shard = "";
            if (row->state != REBALANCE_REGISTERED)
                row->state = REBALANCE_GONE;
            continue;
        }
        const struct rebalance_reported *r = &w->c->node[j];
        row->zone = w->zone[j];
        row->redis_id = r->redis_id;
        row->role = r->primary ? REBALANCE_PRIMARY : REBALANCE_REPLICA;
        row->state = r->failed ? REBALANCE_NODE_FAILED : REBALANCE_UP;
        row->slots = w->slots[j];
        row->shard = w->leader[j] >= 0 ? w->shard[w->leader[j]] : "";
    }
    return PR_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_shard_id(const void *a, const void *b)
{
    return strcmp(((const struct rebalance_shard *)a)->id, ((const struct rebalance_shard *)b)->id);
}

static enum pr_code shard_rows(struct work *w, struct rebalance_image *out, struct pr_err *err)
{
    out->shard = pr_arena_alloc(w->arena, (w->c->nodes + 1) * sizeof *out->shard);
    const char **replicas = pr_arena_alloc(w->arena, (w->c->nodes + 1) * sizeof *replicas);
    int *row_of = pr_arena_alloc(w->arena, (w->c->nodes + 1) * sizeof *row_of); /* of a leader */
    if (out->shard == NULL || replicas == NULL || row_of == NULL)
        return pr_fail(err, PR_ENOMEM, "topology of %zu nodes", w->c->nodes);

    for (size_t j = 0; j < w->c->nodes; j++) {
        if (w->leader[j] != (int)j)
            continue;
        row_of[j] = (int)out->shards;
        out->shard[out->shards++] = (struct rebalance_shard){
            .id = w->shard[j], .primary = w->name[j], .zone = w->zone[j], .slots = w->slots[j]
        };
    }
    for (size_t j = 0; j < w->c->nodes; j++)
        if (!w->c->node[j].primary && w->leader[j] >= 0)
            out->shard[row_of[w->leader[j]]].replicas++;
    for (size_t i = 0; i < out->shards; i++) {
        out->shard[i].replica = replicas;
        replicas += out->shard[i].replicas;
        out->shard[i].replicas = 0;
    }
    for (size_t j = 0; j < w->c->nodes; j++) {
        if (w->c->node[j].primary || w->leader[j] < 0)
            continue;
        struct rebalance_shard *s = &out->shard[row_of[w->leader[j]]];
        s->replica[s->replicas++] = w->name[j];
    }
    for (size_t i = 0; i < out->shards; i++)
        if (out->shard[i].replicas > 1)
            qsort(out->shard[i].replica, out->shard[i].replicas, sizeof(char *), by_text);
    if (out->shards > 1)
        qsort(out->shard, out->shards, sizeof *out->shard, by_shard_id);
    return PR_OK;
}

static enum pr_code slot_rows(struct work *w, struct rebalance_image *out, struct pr_err *err)
{
    size_t runs = 0;
    int16_t *owner = pr_arena_alloc(w->arena, SLOTS * sizeof *owner);
    if (owner == NULL)
        return pr_fail(err, PR_ENOMEM, "topology of %d slots", SLOTS);
    for (int s = 0; s < SLOTS; s++) {
        const int16_t says = w->c->slot_owner[s];
        owner[s] = says < 0 ? says : (int16_t)w->heir[says];
        runs += s == 0 || owner[s] != owner[s - 1];
    }
    out->owner = owner;
    out->run = pr_arena_alloc(w->arena, (runs + 1) * sizeof *out->run);
    if (out->run == NULL)
        return pr_fail(err, PR_ENOMEM, "topology of %zu slot ranges", runs);
    for (int s = 0; s < SLOTS; s++) {
        if (owner[s] < 0)
            continue;
        out->slots_owned++;
        if (s > 0 && owner[s - 1] == owner[s]) {
            out->run[out->runs - 1].last = s;
            continue;
        }
        out->run[out->runs++] = (struct rebalance_slot_span){ .first = s,
                                                              .last = s,
                                                              .shard = w->shard[owner[s]],
                                                              .node = w->name[owner[s]],
                                                              .zone = w->zone[owner[s]] };
    }
    return PR_OK;
}

static enum pr_code unregistered(struct work *w, struct rebalance_image *out, struct pr_err *err)
{
    out->unregistered = pr_arena_alloc(w->arena, (w->c->nodes + 1) * sizeof *out->unregistered);
    if (out->unregistered == NULL)
        return pr_fail(err, PR_ENOMEM, "topology of %zu nodes", w->c->nodes);
    for (size_t j = 0; j < w->c->nodes; j++)
        if (w->registered_of[j] < 0)
            out->unregistered[out->n_unregistered++] = w->name[j];
    return PR_OK;
}

enum pr_code rebalance_image(const struct rebalance_node *registered, size_t n,
                             const struct rebalance_subnet *subnets, size_t n_subnets,
                             const struct rebalance_cluster *cluster, struct pr_arena *arena,
                             struct rebalance_image *out, struct pr_err *err)
{
    struct work w = { .reg = registered, .n = n, .c = cluster, .arena = arena };
    *out = (struct rebalance_image){ 0 };
    enum pr_code rc = allocate(&w, err);
    if (rc == PR_OK)
        rc = match_names(&w, subnets, n_subnets, err);
    if (rc == PR_OK)
        rc = find_leaders(&w, err);
    if (rc != PR_OK)
        return rc;
    keep_failed_members(&w);
    give_way(&w);
    rc = name_shards(&w, err);
    if (rc == PR_OK)
        rc = node_rows(&w, out, err);
    if (rc == PR_OK)
        rc = shard_rows(&w, out, err);
    if (rc == PR_OK)
        rc = slot_rows(&w, out, err);
    return rc == PR_OK ? unregistered(&w, out, err) : rc;
}
