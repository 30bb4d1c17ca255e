/* The file of the sites: what is wrong with it is named. */
#include "t.h"

#include "io/region/sites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/prism-sites-XXXXXX", path[64], secret[64];

#define N(id, port)             "{\"id\":\"" id "\",\"address\":\"10.0.0.1:" port "\",\"zone\":\"a\"}"
#define REDIS(nodes)            "\"redis\":{\"nodes\":[" nodes "]," USER "}"
#define USER                    "\"user\":\"a\",\"password_path\":\"secret\"" /* in dir */
#define SITE(name, more, nodes) "{\"name\":\"" name "\"" more "," REDIS(nodes) "}"
#define BOTH(a, b)              "{\"sites\":[" a "," b "]}"
#define EAST                    SITE("east", "", N("n1", "1"))
#define WEST                    SITE("west", "", N("n1", "2"))
#define WEST_WITH(more)         SITE("west", more, N("n1", "2"))
#define EAST_WITH(more)         SITE("east", more, N("n1", "1"))
#define PG(more)                ",\"postgres\":{" more "}"

static void write_file(const char *to, const char *text)
{
    FILE *f = fopen(to, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int make_dir(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/sites", dir);
    (void)snprintf(secret, sizeof secret, "%s/secret", dir);
    write_file(secret, "pass word \n\n");
    return chdir(dir);
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(secret);
    return rmdir(dir);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *words;
    } row[] = {
        { "", "line" },
        { "[]", "the document is no object" },
        { "{}", "no array of two" },
        { "{\"sites\":[],\"site\":1}", "\"site\", which there is not" },
        { "{\"sites\":[" EAST "]}", "no array of two" },
        { BOTH(EAST, "7"), "sites[1] is no object" },
        { BOTH(EAST, "{}"), "sites[1] lacks \"name\"" },
        { BOTH(EAST, "{\"name\":\"a b\"}"), "sites[1] \"name\"" },
        { BOTH(EAST, "{\"name\":\"west\"}"), "lacks \"redis\"" },
        { BOTH(EAST, EAST), "both have the name \"east\"" },
        { BOTH(EAST, WEST_WITH(",\"colour\":1")), "\"colour\", which there is not" },
        { BOTH(EAST, SITE("west", "", "")), "\"nodes\" is no array" },
        { BOTH(EAST, SITE("west", "", N("n1", "1"))), "10.0.0.1:1 is there twice" },
        { BOTH(EAST, SITE("west", "", N("n1", "2") "," N("n1", "3"))), "the id n1 is there twice" },
        { BOTH(EAST, SITE("west", "", N("n1", "0"))), "nodes[0] \"address\" is no host:port" },
        { BOTH(EAST, SITE("west", "", N("n1", "65536"))), "\"address\" is no host:port" },
        { BOTH(EAST, SITE("west", "", N("n1", "7x"))), "\"address\" is no host:port" },
        { BOTH(EAST, SITE("west", "", "{\"id\":\"n\",\"address\":\":7\",\"zone\":\"a\"}")),
          "\"address\" is no host:port" },
        { BOTH(EAST, SITE("west", "", "{\"id\":\"n\",\"address\":\"a:7\"}")), "lacks \"zone\"" },
        { BOTH(EAST, SITE("west", "", "{\"id\":\"n/\",\"address\":\"a:7\",\"zone\":\"a\"}")),
          "\"id\"" },
        { BOTH(EAST, "{\"name\":\"west\",\"redis\":{\"nodes\":[" N("n", "2") "],\"user\":\"a\"}}"),
          "redis lacks \"password_path\"" },
        { BOTH(EAST, "{\"name\":\"west\",\"redis\":{\"nodes\":[" N("n", "2") "]}}"),
          "redis lacks \"user\"" },
        { BOTH(EAST, "{\"name\":\"west\",\"redis\":{\"nodes\":[" N(
                         "n", "2") "],\"user\":\"a\",\"password_path\":\"/nowhere/x\"}}"),
          "/nowhere/x: No such file" },
        { BOTH(EAST,
               "{\"name\":\"west\",\"redis\":{\"nodes\":[" N("n", "2") "],\"keep\":[1]," USER "}}"),
          "\"keep\" holds something else than text" },
        { BOTH(EAST, WEST_WITH(PG("\"uri\":\"a\",\"data\":\"/d\""))), "for one of them" },
        { BOTH(EAST_WITH(PG("\"uri\":\"a\",\"data\":\"/d\"")),
               WEST_WITH(PG("\"uri\":\"a\",\"data\":\"/d\""))),
          "the same PostgreSQL" },
        { BOTH(EAST_WITH(PG("\"data\":\"/d\"")), WEST), "has not one of \"uri\"" },
        { BOTH(EAST_WITH(PG("\"uri\":\"a\",\"data\":\"d\"")), WEST), "no absolute path" },
        { BOTH(EAST_WITH(PG("\"uri\":\"a\"")), WEST), "lacks \"data\"" },
        { BOTH(EAST_WITH(PG("\"uri\":\"a\",\"data\":\"/d\",\"settings\":[\"x\"]")), WEST),
          "\"x\" is no name=value" },
        { BOTH(EAST_WITH(",\"hooks\":{\"stop\":\"x\"}"), WEST), "\"stop\" is no absolute path" },
        { BOTH(EAST_WITH(",\"hooks\":{\"timeout_s\":0}"), WEST), "\"timeout_s\" is not" },
        { BOTH(EAST_WITH(",\"hooks\":{\"halt\":\"/x\"}"), WEST), "\"halt\", which there is not" },
        { "{\"sites\":1,\"sites\":2}", "line" }, /* twice */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_sites s;
        struct pr_err err = { .text = "" };
        write_file(path, row[i].json);
        assert_int_equal(dr_sites_read(path, &s, &err), PR_EINVAL);
        if (strstr(err.text, row[i].words) == NULL || strstr(err.text, path) == NULL)
            fail_msg("row %zu: \"%s\" in: %s", i, row[i].words, err.text);
        dr_sites_done(&s); /* of nothing */
    }
    struct dr_sites s;
    struct pr_err err = { .text = "" };
    assert_int_equal(dr_sites_read("", &s, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "PRISM_DR_SITES_PATH"));
}

static void what_is_right_is_read(void **state)
{
    (void)state;
    struct dr_sites s;
    struct pr_err err = { .text = "" };
    const struct dr_site *other;
    char json[1024];
    (void)snprintf(json, sizeof json,
                   "{\"sites\":[{\"name\":\"east\",\"redis\":{\"nodes\":[%s,%s],\"user\":\"u\","
                   "\"password_path\":\"%s\",\"keep\":[\"dr\",\"replica\"]},"
                   "\"postgres\":{\"uri_path\":\"%s\",\"data\":\"/d\",\"options\":\"-p 1\","
                   "\"settings\":[\"port=5433\"]},\"hooks\":{\"switch\":\"/s\",\"timeout_s\":5}},"
                   "{\"name\":\"west\",\"postgres\":{\"uri\":\"x\",\"data\":\"/d\"},%s}]}",
                   N("n1", "1"), N("n2", "2"), secret, secret, REDIS(N("n1", "3")));
    write_file(path, json);
    assert_ok(dr_sites_read(path, &s, &err), &err);
    const struct dr_site *east = dr_sites_find(&s, "east", &other);
    assert_true(east == &s.site[0] && other == &s.site[1]);
    assert_null(dr_sites_find(&s, "north", NULL));
    assert_string_equal(east->seeds, "10.0.0.1:1,10.0.0.1:2");
    assert_string_equal(east->password, "pass word");
    assert_string_equal(east->pg_uri, "pass word");
    assert_string_equal(east->pg_setting[0], "port=5433");
    assert_null(east->pg_setting[1]);
    assert_int_equal(east->keeps, 2);
    assert_int_equal(east->node[1].port, 2);
    assert_int_equal(east->hook_ms, 5000);
    assert_string_equal(east->hook[DR_HOOK_SWITCH], "/s");
    assert_null(east->hook[DR_HOOK_STOP]);
    assert_string_equal(other->user, "a");
    assert_int_equal(other->hook_ms, 60000);
    dr_sites_done(&s);
}

/* But for the password, which is in the pods alone. */
static void the_example_of_the_chart_is_read(void **state)
{
    (void)state;
    struct dr_sites s;
    struct pr_err err = { .text = "" };
    char line[256];
    int passwords = 0;
    FILE *from = fopen(PRISM_SOURCE_DIR "/deploy/helm/prism/values/sites.json", "re");
    FILE *to = fopen(path, "we");
    assert_non_null(from);
    assert_non_null(to);
    while (fgets(line, sizeof line, from) != NULL) {
        const bool password = strstr(line, "\"password_path\"") != NULL;
        passwords += password;
        assert_true(password ? fprintf(to, "\"password_path\": \"%s\",\n", secret) > 0
                             : fputs(line, to) >= 0);
    }
    (void)fclose(from);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(passwords, 2);
    assert_ok(dr_sites_read(path, &s, &err), &err);
    assert_string_equal(s.site[0].name, "west"); /* which owns the store at first */
    assert_non_null(dr_sites_find(&s, "east", NULL));
    dr_sites_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(what_is_right_is_read),
        cmocka_unit_test(the_example_of_the_chart_is_read),
    };
    return cmocka_run_group_tests_name("dr sites", tests, make_dir, remove_dir);
}
