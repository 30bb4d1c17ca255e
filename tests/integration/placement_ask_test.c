/* What the placement service is asked: where should a new vertex live, and why is
 * one where it is? */
#include "placement_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum pr_code hint(const char *vertex, char **neighbors, size_t n,
                         Prism__V1__PlacementHintResponse **out, struct pr_err *err)
{
    uint8_t packed[4096];
    void *reply = NULL;
    size_t len;
    char id[64];
    Prism__V1__PlacementHintRequest r = PRISM__V1__PLACEMENT_HINT_REQUEST__INIT;
    snprintf(id, sizeof id, "%s", vertex);
    r.vertex_id = id;
    r.neighbor_ids = neighbors;
    r.n_neighbor_ids = n;
    assert_true(prism__v1__placement_hint_request__get_packed_size(&r) <= sizeof packed);
    const size_t bytes = prism__v1__placement_hint_request__pack(&r, packed);
    enum pr_code rc =
        pr_bus_request(bus, "prism.rpc.placement.hint", packed, bytes, 5000, &reply, &len, err);
    *out = rc == PR_OK ? prism__v1__placement_hint_response__unpack(NULL, len, reply) : NULL;
    free(reply);
    if (rc == PR_OK)
        assert_non_null(*out);
    return rc;
}

static void a_new_vertex_is_hinted_to_its_neighbours(void **state)
{
    (void)state;
    Prism__V1__PlacementHintResponse *h;
    struct pr_err err = { 0 };
    char id[GROUPS][10][16], *neighbor[GROUPS][10], zones[GROUPS][32];
    for (unsigned g = 0; g < GROUPS; g++)
        for (unsigned i = 0; i < 10; i++) {
            snprintf(id[g][i], sizeof id[g][i], "%u", g * GROUP + i * 7);
            neighbor[g][i] = id[g][i];
        }
    assert_ok(hint("new", neighbor[0], 10, &h, &err), &err);
    assert_int_equal(h->run_id, 0); /* no run yet: its home */
    const uint32_t home = h->partition;
    prism__v1__placement_hint_response__free_unpacked(h, NULL);

    const long run = carried_out(add_groups_run());
    for (unsigned g = 0; g < GROUPS; g++) {
        do { /* the answer may be as old as the refresh setting, 10 ms */
            assert_ok(hint("new", neighbor[g], 10, &h, &err), &err);
            if (h->run_id == (uint64_t)run)
                break;
            prism__v1__placement_hint_response__free_unpacked(h, NULL);
        } while (true);
        char text[128];
        snprintf(text, sizeof text,
                 "SELECT zone_id FROM hints WHERE run_id = %ld AND partition = %u", run,
                 h->partition);
        assert_sql(text, h->zone);
        snprintf(zones[g], sizeof zones[g], "%s", h->zone);
        prism__v1__placement_hint_response__free_unpacked(h, NULL);
    }
    assert_string_not_equal(zones[0], zones[1]);
    assert_string_not_equal(zones[1], zones[2]);
    assert_string_not_equal(zones[0], zones[2]);

    assert_ok(hint("new", NULL, 0, &h, &err), &err);
    assert_int_equal(h->partition, home);
    prism__v1__placement_hint_response__free_unpacked(h, NULL);
    assert_int_equal(hint("no blanks", NULL, 0, &h, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "vertex_id"));
}

static enum pr_code explain(const char *vertex, long run, Prism__V1__PlacementExplainResponse **out,
                            struct pr_err *err)
{
    uint8_t packed[256];
    void *reply = NULL;
    size_t len;
    char id[160];
    Prism__V1__PlacementExplainRequest r = PRISM__V1__PLACEMENT_EXPLAIN_REQUEST__INIT;
    snprintf(id, sizeof id, "%s", vertex);
    r.vertex_id = id;
    r.run_id = (uint64_t)run;
    const size_t n = prism__v1__placement_explain_request__pack(&r, packed);
    enum pr_code rc =
        pr_bus_request(bus, "prism.rpc.placement.explain", packed, n, 10000, &reply, &len, err);
    *out = rc == PR_OK ? prism__v1__placement_explain_response__unpack(NULL, len, reply) : NULL;
    free(reply);
    return rc;
}

static void a_vertex_is_explained_by_its_edges(void **state)
{
    (void)state;
    Prism__V1__PlacementExplainResponse *e;
    struct pr_err err = { 0 };
    assert_int_equal(explain("7", 0, &e, &err), PR_ENOTFOUND);
    assert_non_null(strstr(err.text, "no placement has been computed yet"));
    const long run = carried_out(add_groups_run());
    assert_ok(explain("7", 0, &e, &err), &err);
    assert_int_equal(e->run_id, run);
    assert_int_equal(e->n_zones, 3);
    assert_true(e->neighbors >= 8);
    uint64_t weight = 0, vertices = 0, most = 0;
    for (size_t z = 0; z < 3; z++) {
        weight += e->zones[z]->edge_weight;
        vertices += e->zones[z]->vertices;
        most = e->zones[z]->edge_weight > most ? e->zones[z]->edge_weight : most;
        assert_int_equal(e->zones[z]->capacity, 210);
        if (strcmp(e->zones[z]->zone, e->preferred_zone) == 0)
            assert_int_equal(e->zones[z]->edge_weight, most);
    }
    assert_true(weight >= e->neighbors);
    assert_int_equal(vertices, 600);
    assert_true(strlen(e->why) > 10);
    char text[200];
    snprintf(text, sizeof text, "SELECT zone_id FROM hints WHERE run_id = %ld AND partition = %u",
             run, e->partition);
    assert_sql(text, e->zone);
    prism__v1__placement_explain_response__free_unpacked(e, NULL);

    assert_int_equal(explain("600", run, &e, &err), PR_ENOTFOUND);
    assert_int_equal(explain("a-name", run, &e, &err), PR_ENOTFOUND);
    assert_int_equal(explain("7", run + 1, &e, &err), PR_ENOTFOUND);
    assert_int_equal(explain("no blanks", run, &e, &err), PR_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_vertex_is_hinted_to_its_neighbours),
        TEST(a_vertex_is_explained_by_its_edges),
    };
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}
