#include "prism/map.h"

#include "prism/rng.h"

#include <stdlib.h>

void pr_map_init(struct pr_map *m)
{
    *m = (struct pr_map){ 0 };
}

void pr_map_done(struct pr_map *m)
{
    free(m->key);
    free(m->value);
    free(m->used);
    *m = (struct pr_map){ 0 };
}

static size_t find(const struct pr_map *m, uint64_t key)
{
    size_t i = pr_mix64(key) & (m->cap - 1);
    while (m->used[i] && m->key[i] != key)
        i = (i + 1) & (m->cap - 1);
    return i;
}

static enum pr_code grow(struct pr_map *m)
{
    struct pr_map n = { .cap = m->cap == 0 ? 16 : m->cap * 2, .count = m->count };
    n.key = malloc(n.cap * sizeof *n.key);
    n.value = malloc(n.cap * sizeof *n.value);
    n.used = calloc(n.cap, 1);
    if (n.key == NULL || n.value == NULL || n.used == NULL) {
        pr_map_done(&n);
        return PR_ENOMEM;
    }
    for (size_t i = 0; i < m->cap; i++) {
        if (!m->used[i])
            continue;
        size_t j = find(&n, m->key[i]);
        n.used[j] = 1;
        n.key[j] = m->key[i];
        n.value[j] = m->value[i];
    }
    pr_map_done(m);
    *m = n;
    return PR_OK;
}

enum pr_code pr_map_put(struct pr_map *m, uint64_t key, uint64_t value)
{
    if (m->count >= m->cap / 4 * 3) {
        enum pr_code rc = grow(m);
        if (rc != PR_OK)
            return rc;
    }
    size_t i = find(m, key);
    if (!m->used[i]) {
        m->used[i] = 1;
        m->key[i] = key;
        m->count++;
    }
    m->value[i] = value;
    return PR_OK;
}

bool pr_map_get(const struct pr_map *m, uint64_t key, uint64_t *value)
{
    if (m->cap == 0)
        return false;
    size_t i = find(m, key);
    if (!m->used[i])
        return false;
    *value = m->value[i];
    return true;
}

bool pr_map_del(struct pr_map *m, uint64_t key)
{
    if (m->cap == 0)
        return false;
    size_t hole = find(m, key);
    if (!m->used[hole])
        return false;

    /* Close the gap, so that probing needs no tombstones. */
    const size_t mask = m->cap - 1;
    for (size_t i = (hole + 1) & mask; m->used[i]; i = (i + 1) & mask) {
        size_t ideal = pr_mix64(m->key[i]) & mask;
        if (((i - ideal) & mask) >= ((i - hole) & mask)) {
            m->key[hole] = m->key[i];
            m->value[hole] = m->value[i];
            hole = i;
        }
    }
    m->used[hole] = 0;
    m->count--;
    return true;
}

bool pr_map_each(const struct pr_map *m, size_t *pos, uint64_t *key, uint64_t *value)
{
    for (; *pos < m->cap; (*pos)++) {
        if (!m->used[*pos])
            continue;
        *key = m->key[*pos];
        *value = m->value[*pos];
        (*pos)++;
        return true;
    }
    return false;
}
