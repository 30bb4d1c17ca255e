#include "t.h"

#include "autoscale_store_stage.h"

#include <stdio.h>

const char *autoscale_stage_sql(const struct autoscale_stage *s, const char *text)
{
    static char out[4096];
    it_sql(s->uri, text, out, sizeof out);
    return out;
}

/* The superuser's connection, with nothing but the role's rights. */
static struct pr_db *open_as(const struct autoscale_stage *s, const char *role)
{
    char as[IT_URI + 64];
    struct pr_db *d = NULL;
    struct pr_err err = { 0 };
    (void)snprintf(as, sizeof as, "%s?options=-crole%%3D%s", s->uri, role);
    assert_ok(pr_db_open(&d, as, role, &err), &err);
    return d;
}

void autoscale_stage_open(struct autoscale_stage *s)
{
    struct pr_err err = { 0 };
    *s = (struct autoscale_stage){ .lease = {
                                       .name = "autoscale", .holder = "it", .ttl_ms = 600000 } };
    it_database("autoscale", s->uri);
    pr_arena_init(&s->arena, 0);
    s->db = open_as(s, "prism_autoscale");
    s->api = open_as(s, "prism_metadata_api");
    assert_ok(pr_lease_hold(s->db, &s->lease, &err), &err);
    autoscale_stage_sql(s, "INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES "
                           "('hot', '{}', 'it'), ('proxies', '{}', 'it')");
}

void autoscale_stage_close(struct autoscale_stage *s)
{
    pr_db_close(s->db);
    pr_db_close(s->api);
    pr_arena_done(&s->arena);
}
