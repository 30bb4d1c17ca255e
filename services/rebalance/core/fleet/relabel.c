/* Unnamed groups of slots get the shards that keep most bytes in place: an
 * assignment by shortest augmenting paths with dual prices.
 * Source: Burkard, Dell'Amico, Martello, Assignment Problems (2009), chapter 4. */
#include "core/fleet/draft.h"

#include <math.h>
#include <string.h>

struct match { /* rows are groups, columns are shards, rows <= columns; from 1 */
    size_t rows, cols;
    const double *cost; /* [rows x cols] */
    double *u, *v, *least;
    size_t *row_of, *came; /* [cols + 1] */
    bool *seen;
};

static void assign_row(struct match *m, size_t row)
{
    size_t col = 0;
    m->row_of[0] = row;
    for (size_t j = 0; j <= m->cols; j++) {
        m->least[j] = INFINITY;
        m->seen[j] = false;
    }
    do {
        const size_t i = m->row_of[col];
        size_t next = 0;
        double delta = INFINITY;
        m->seen[col] = true;
        for (size_t j = 1; j <= m->cols; j++) {
            if (m->seen[j])
                continue;
            const double c = m->cost[(i - 1) * m->cols + j - 1] - m->u[i] - m->v[j];
            if (c < m->least[j]) {
                m->least[j] = c;
                m->came[j] = col;
            }
            if (m->least[j] < delta) {
                delta = m->least[j];
                next = j;
            }
        }
        for (size_t j = 0; j <= m->cols; j++)
            if (m->seen[j]) {
                m->u[m->row_of[j]] += delta;
                m->v[j] -= delta;
            } else {
                m->least[j] -= delta;
            }
        col = next;
    } while (m->row_of[col] != 0);
    while (col != 0) {
        m->row_of[col] = m->row_of[m->came[col]];
        col = m->came[col];
    }
}

static enum pr_code match_solve(struct match *m, struct draft *d)
{
    m->u = pr_arena_alloc(d->arena, (m->rows + 1) * sizeof *m->u);
    m->v = pr_arena_alloc(d->arena, (m->cols + 1) * sizeof *m->v);
    m->least = pr_arena_alloc(d->arena, (m->cols + 1) * sizeof *m->least);
    m->row_of = pr_arena_alloc(d->arena, (m->cols + 1) * sizeof *m->row_of);
    m->came = pr_arena_alloc(d->arena, (m->cols + 1) * sizeof *m->came);
    m->seen = pr_arena_alloc(d->arena, m->cols + 1);
    if (m->u == NULL || m->v == NULL || m->least == NULL || m->row_of == NULL || m->came == NULL ||
        m->seen == NULL)
        return pr_fail(d->err, PR_ENOMEM, "assignment of %zu groups", m->rows);
    for (size_t row = 1; row <= m->rows; row++)
        assign_row(m, row);
    return PR_OK;
}

/* Weak duality: whatever feasible prices add up to, no assignment undercuts. */
static double dual_bound(const struct match *m)
{
    double sum = 0, worst = 0;
    for (size_t i = 1; i <= m->rows; i++) {
        sum += m->u[i];
        for (size_t j = 1; j <= m->cols; j++)
            worst = fmax(worst, m->u[i] + m->v[j] - m->cost[(i - 1) * m->cols + j - 1]);
    }
    for (size_t j = 1; j <= m->cols; j++)
        sum += m->v[j];
    return fmax(0, sum - worst * (double)m->rows);
}

/* --- groups ------------------------------------------------------------------------------- */

static size_t columns(const struct draft *d, int16_t *shard_of_col)
{
    size_t cols = 0;
    for (size_t g = 0; g < d->fleet->shards; g++)
        if (draft_usable(d, (int)g))
            shard_of_col[cols++] = (int16_t)g;
    return cols;
}

static enum pr_code check_groups(const struct draft *d, size_t cols)
{
    const struct rebalance_goal *g = d->goal;
    if (g->groups == 0 || g->group_of_slot == NULL)
        return pr_fail(d->err, PR_EINVAL, "assign: no groups");
    if (g->groups > cols)
        return pr_fail(
            d->err, PR_ECONFLICT,
            "assign: %zu groups for %zu shards that can take slots; join shards, or give "
            "fewer groups",
            g->groups, cols);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (g->group_of_slot[s] != REBALANCE_NONE &&
            (g->group_of_slot[s] < 0 || (size_t)g->group_of_slot[s] >= g->groups))
            return pr_fail(d->err, PR_EINVAL, "assign: slot %d is in group %d of %zu", s,
                           g->group_of_slot[s], g->groups);
    return PR_OK;
}

/* cost: the group's bytes that are not on the shard; weights break ties of
 * empty slots. */
static double *costs(struct draft *d, const int16_t *shard_of_col, size_t cols)
{
    const size_t rows = d->goal->groups;
    double *cost = pr_arena_alloc(d->arena, rows * cols * sizeof *cost);
    double *total = pr_arena_alloc(d->arena, rows * sizeof *total);
    int16_t *col_of = pr_arena_alloc(d->arena, (d->fleet->shards + 1) * sizeof *col_of);
    if (cost == NULL || total == NULL || col_of == NULL)
        return NULL;
    for (size_t g = 0; g < d->fleet->shards; g++)
        col_of[g] = REBALANCE_NONE;
    for (size_t c = 0; c < cols; c++)
        col_of[shard_of_col[c]] = (int16_t)c;
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        const int16_t row = d->goal->group_of_slot[s];
        if (row == REBALANCE_NONE)
            continue;
        const int16_t col = col_of[d->fleet->slot[s].shard];
        total[row] += d->weight[s];
        if (col != REBALANCE_NONE)
            cost[(size_t)row * cols + (size_t)col] -= d->weight[s];
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            cost[r * cols + c] += total[r];
    return cost;
}

static void send_slots(struct draft *d, const int16_t *shard_of_group)
{
    int stay[DRAFT_HOLDS] = { 0 }, deaf = 0;
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        const int16_t g = d->goal->group_of_slot[s];
        if (g == REBALANCE_NONE || shard_of_group[g] == d->fleet->slot[s].shard)
            continue;
        if (!draft_usable(d, d->fleet->slot[s].shard) &&
            !d->fleet->shard[d->fleet->slot[s].shard].pinned) {
            deaf++;
            continue;
        }
        const enum draft_hold h = draft_hold(d, s, shard_of_group[g]);
        if (h == DRAFT_FREE)
            d->to[s] = shard_of_group[g];
        stay[h]++;
    }
    if (deaf > 0)
        draft_note(
            d, REBALANCE_NONE, REBALANCE_NONE, REBALANCE_NONE,
            draft_text(d, "%d slots stay where they are: their primary does not answer", deaf));
    for (int h = DRAFT_FREE + 1; h < DRAFT_HOLDS; h++)
        if (stay[h] > 0)
            draft_note(d, REBALANCE_NONE, REBALANCE_NONE, REBALANCE_NONE,
                       draft_text(d, "%d slots stay where they are: %s", stay[h],
                                  draft_hold_name((enum draft_hold)h)));
}

enum pr_code draft_assign(struct draft *d)
{
    int16_t *shard_of_col = pr_arena_alloc(d->arena, (d->fleet->shards + 1) * sizeof *shard_of_col);
    int16_t *shard_of_group =
        pr_arena_alloc(d->arena, (d->goal->groups + 1) * sizeof *shard_of_group);
    if (shard_of_col == NULL || shard_of_group == NULL)
        return pr_fail(d->err, PR_ENOMEM, "assign");
    struct match m = { .rows = d->goal->groups, .cols = columns(d, shard_of_col) };
    enum pr_code rc = check_groups(d, m.cols);
    if (rc != PR_OK)
        return rc;
    m.cost = costs(d, shard_of_col, m.cols);
    if (m.cost == NULL)
        return pr_fail(d->err, PR_ENOMEM, "assign");
    rc = match_solve(&m, d);
    if (rc != PR_OK)
        return rc;
    for (size_t j = 1; j <= m.cols; j++)
        if (m.row_of[j] != 0)
            shard_of_group[m.row_of[j] - 1] = shard_of_col[j - 1];
    send_slots(d, shard_of_group);
    /* The assignment was of weights: each slot that moves counts its least one. */
    double least = dual_bound(&m);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        least -= d->to[s] != d->fleet->slot[s].shard ? d->least_weight : 0;
    d->bound_bytes += fmax(0, least);
    return PR_OK;
}
