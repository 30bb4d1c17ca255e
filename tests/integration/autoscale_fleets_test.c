/* Fleets that would count the same members: refused where settings are made, left alone where they
 * are stored all the same. */
#include "t.h"

#include "autoscale_store_stage.h"

#include "io/fleets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ABC   "{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"c\"}"
#define REDIS "{\"kind\": \"redis\", \"fleet\": {\"like\": \"redis\", \"groups\": [], \"zones\": ["
#define AWS                                                                                        \
    "{\"fleet\": {\"zones\": [{\"name\": \"a\"}]}, \"actuator\": {\"kind\": \"aws\", \"region\": " \
    "\"%s\", \"targets\": [{\"name\": \"%s\", \"zone\": \"a\"}]}}"

static struct autoscale_stage stage;
static struct autoscale_config cfg;
static struct autoscale_fleets fleets;

static int setup(void **state)
{
    (void)state;
    static char empty[] = "", region[] = "us-west-2";
    autoscale_stage_open(&stage);
    autoscale_stage_sql(&stage, "TRUNCATE autoscale_fleets CASCADE");
    cfg = (struct autoscale_config){
        .aws_region = region, .local_command = empty, .prometheus_url = empty, .clock_rate = 1
    };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    autoscale_fleets_done(&fleets, NULL, NULL);
    autoscale_stage_close(&stage);
    return 0;
}

static void store(const char *name, const char *settings, bool enabled)
{
    char text[2000];
    snprintf(text, sizeof text,
             "INSERT INTO autoscale_fleets (name, settings, enabled, changed_by) VALUES ('%s', "
             "'%s', %s, 'it') ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, "
             "enabled = excluded.enabled",
             name, settings, enabled ? "true" : "false");
    autoscale_stage_sql(&stage, text);
}

/* "": there is room; else why not. */
static const char *room(const char *name, const char *settings)
{
    static struct pr_err err;
    struct autoscale_setup *s = calloc(1, sizeof *s);
    err.text[0] = '\0';
    assert_non_null(s);
    assert_ok(autoscale_fleet_settings(name, settings, &cfg, s, &err), &err);
    const enum pr_code rc = autoscale_fleets_has_room(stage.db, &cfg, name, s, &err);
    assert_true(rc == PR_OK || rc == PR_EINVAL);
    autoscale_setup_done(s);
    free(s);
    return rc == PR_OK ? "" : err.text;
}

static const struct autoscale_fleet_row *load(const char *name)
{
    struct pr_err err = { 0 };
    assert_ok(autoscale_fleets_load(&fleets, stage.db, &cfg, NULL, NULL, &err), &err);
    for (size_t i = 0; i < fleets.n; i++)
        if (strcmp(fleets.fleet[i]->name, name) == 0)
            return fleets.fleet[i];
    fail_msg("no fleet %s", name);
    return NULL;
}

static void a_node_of_the_cluster_is_of_one_fleet(void **state)
{
    (void)state;
    store("hot", REDIS ABC "]}}", true);
    assert_string_equal(room("hot", REDIS ABC "]}}"), ""); /* itself again */
    assert_string_equal(room("warm", REDIS "{\"name\": \"d\"}, {\"name\": \"c\"}, {\"name\": "
                                           "\"e\"}]}}"),
                        "fleet.zones[1].name: fleet hot has the Redis nodes of zone c; warm cannot "
                        "count them as well");
    assert_string_equal(room("warm", REDIS "{\"name\": \"d\"}, {\"name\": \"e\"}, {\"name\": "
                                           "\"f\"}]}}"),
                        "");
    assert_string_equal(room("proxies", "{\"fleet\": {\"zones\": [" ABC "]}}"), "");
    store("hot", REDIS ABC "]}}", false); /* off: it counts nobody */
    assert_string_equal(room("warm", REDIS ABC "]}}"), "");
}

static void a_group_of_a_provider_is_of_one_fleet(void **state)
{
    (void)state;
    char one[600];
    snprintf(one, sizeof one, AWS, "us-west-2", "asg-a");
    store("web", one, true);
    assert_string_equal(
        room("shop", one),
        "actuator.targets[0].name: fleet web has asg-a of aws; shop cannot scale it "
        "as well");
    snprintf(one, sizeof one, AWS, "", "asg-a"); /* the service's own region */
    assert_non_null(strstr(room("shop", one), "fleet web has asg-a"));
    snprintf(one, sizeof one, AWS, "eu-west-1", "asg-a");
    assert_string_equal(room("shop", one), "");
    snprintf(one, sizeof one, AWS, "us-west-2", "asg-b");
    assert_string_equal(room("shop", one), "");
}

/* Both were stored at once, or one was turned on later: the older one goes on. */
static void the_later_of_two_is_left_alone_until_there_is_room(void **state)
{
    (void)state;
    store("hot", REDIS ABC "]}}", true);
    store("alike", REDIS ABC "]}}", true); /* later, though first by name */
    const struct autoscale_fleet_row *f = load("alike");
    assert_false(autoscale_fleet_on(f));
    assert_non_null(strstr(f->shared, "fleet hot has the Redis nodes of zone a"));
    assert_true(autoscale_fleet_on(load("hot")));
    store("hot", REDIS ABC "]}}", false);
    assert_true(autoscale_fleet_on(load("alike")));
    assert_string_equal(load("alike")->shared, "");
    store("hot", REDIS ABC "]}}", true);
    assert_true(autoscale_fleet_on(load("hot")));
    assert_false(autoscale_fleet_on(load("alike")));
    store("alike", REDIS "{\"name\": \"d\"}, {\"name\": \"e\"}, {\"name\": \"f\"}]}}", true);
    assert_true(autoscale_fleet_on(load("alike")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_node_of_the_cluster_is_of_one_fleet, setup, teardown),
        cmocka_unit_test_setup_teardown(a_group_of_a_provider_is_of_one_fleet, setup, teardown),
        cmocka_unit_test_setup_teardown(the_later_of_two_is_left_alone_until_there_is_room, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
