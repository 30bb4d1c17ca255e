/* Many look-ups while the snapshot is swapped: each reader sees one whole
 * snapshot, and every snapshot is freed once. Run under the thread and address
 * sanitizers. */
#include "t.h"

#include "prism/routes.h"
#include "prism/slot.h"
#include "refresh.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { READERS = 4, SWAPS = 2000, PARTITIONS = 64 };

static struct api_cell *cell;
static atomic_bool stop;
static atomic_ulong looks;

/* In snapshot g, partition p's slot is owned by node g mod 2 in zone g mod 2,
 * and the route of hash 1 is g mod 64. */
static struct api_snapshot *make(unsigned g)
{
    struct api_topo *t = api_topo_new();
    struct api_deltas *d = api_deltas_new();
    struct api_tokens *k = api_tokens_new(0);
    assert_true(t != NULL && d != NULL && k != NULL);
    assert_int_equal(api_topo_size(t, PARTITIONS, NULL), PR_OK);
    t->zones = t->nodes = 2;
    t->zone = pr_arena_alloc(&t->arena, 2 * sizeof *t->zone);
    t->node = pr_arena_alloc(&t->arena, 2 * sizeof *t->node);
    for (int i = 0; i < 2; i++)
        t->node[i].revision = t->zone[i].revision = g;
    t->revision = g;
    for (int s = 0; s < PR_SLOTS; s++)
        t->slot[s] = (struct api_slot){ (int16_t)(g % 2), (int16_t)(g % 2), API_NONE };
    pr_routes_add(&d->routes, 1, g % PARTITIONS);
    struct api_snapshot *s = api_snapshot_new(t, d, k);
    api_topo_unref(t);
    api_deltas_unref(d);
    api_tokens_unref(k);
    return s;
}

static bool whole(const struct api_snapshot *s)
{
    const uint64_t g = s->topo->revision;
    uint32_t at = 0;
    struct api_place p = api_place_of(s->topo, (uint32_t)(g % PARTITIONS));
    return p.node == &s->topo->node[g % 2] && p.zone == &s->topo->zone[g % 2] &&
           p.node->revision == g && p.zone->revision == g &&
           pr_routes_find(s->deltas->routes.data, s->deltas->routes.len, 1, &at) &&
           at == g % PARTITIONS;
}

static void *read_until_stopped(void *arg)
{
    uint64_t last = 0;
    (void)arg;
    while (!atomic_load(&stop)) {
        struct api_snapshot *s = api_cell_get(cell);
        if (s == NULL || !whole(s) || s->topo->revision < last)
            return "a torn, missing or older snapshot";
        last = s->topo->revision;
        api_snapshot_unref(s);
        atomic_fetch_add(&looks, 1);
    }
    return NULL;
}

static void readers_see_whole_snapshots_while_they_are_swapped(void **state)
{
    (void)state;
    pthread_t reader[READERS];
    cell = api_cell_new();
    assert_non_null(cell);
    api_cell_set(cell, make(0));
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&reader[i], NULL, read_until_stopped, NULL), 0);
    for (unsigned g = 1; g <= SWAPS; g++)
        api_cell_set(cell, make(g));
    while (atomic_load(&looks) < READERS) /* on a busy machine: until all have looked */
        api_cell_set(cell, make(SWAPS));
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) {
        void *wrong = NULL;
        pthread_join(reader[i], &wrong);
        if (wrong != NULL)
            fail_msg("%s", (const char *)wrong);
    }
    api_cell_free(cell);
}

static void an_empty_cell_gives_nothing(void **state)
{
    (void)state;
    struct api_cell *c = api_cell_new();
    assert_null(api_cell_get(c));
    api_cell_free(c);
    api_cell_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_cell_gives_nothing),
        cmocka_unit_test(readers_see_whole_snapshots_while_they_are_swapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
