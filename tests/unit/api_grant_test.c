#include "t.h"

#include "api_grant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct api_grants read_good(const char *text)
{
    struct api_grants g = { 0 };
    struct pr_err err;
    assert_ok(api_grants_read(&g, text, strlen(text), &err), &err);
    return g;
}

static void names_have_the_role_of_their_line(void **state)
{
    (void)state;
    struct api_grants g = read_good("# people\n\n  admin   CN=Ops Laptop \r\n"
                                    "operator\tURI=spiffe://prod/a\nviewer DNS=grafana\n"
                                    "viewer EMAIL=a@b\nviewer CN=Ops Laptop");
    static const struct {
        const char *name;
        enum api_role role;
    } row[] = {
        { "CN=Ops Laptop", API_ADMIN }, /* the first line counts */
        { "CN=Ops", API_NOBODY },
        { "CN=ops laptop", API_NOBODY },
        { "URI=spiffe://prod/a", API_OPERATOR },
        { "URI=spiffe://prod/ab", API_NOBODY },
        { "DNS=grafana", API_VIEWER },
        { "CN=grafana", API_NOBODY },
        { "EMAIL=a@b", API_VIEWER },
        { "", API_NOBODY },
        { "# people", API_NOBODY },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(api_grant_of_name(&g, row[i].name), row[i].role);
    assert_int_equal(g.n, 5);
    assert_false(g.by_name);
    api_grants_done(&g);
}

static void what_the_table_does_not_say_is_nobody(void **state)
{
    (void)state;
    static const char *const none[] = { "", "\n", "# nobody yet\n", "admin CN=x" };
    struct api_grants g = { .by_name = true }; /* no table at all */
    assert_int_equal(api_grant_of_claim(&g, "admin"), API_ADMIN);
    assert_int_equal(api_grant_of_claim(&g, "viewer"), API_VIEWER);
    assert_int_equal(api_grant_of_claim(&g, "nobody"), API_NOBODY);
    assert_int_equal(api_grant_of_claim(&g, "Admin"), API_NOBODY);
    for (size_t i = 0; i < PR_COUNT(none); i++) {
        g = read_good(none[i]);
        assert_int_equal(api_grant_of_claim(&g, "admin"), API_NOBODY);
        assert_int_equal(api_grant_of_claim(&g, "viewer"), API_NOBODY);
        api_grants_done(&g);
    }
    g = read_good("viewer claim=staff\noperator claim=sre\noperator claim=staff\n");
    assert_int_equal(api_grant_of_claim(&g, "admin"), API_NOBODY); /* only what the table says */
    assert_int_equal(api_grant_of_claim(&g, "sre"), API_OPERATOR);
    assert_int_equal(api_grant_of_claim(&g, "staff"), API_OPERATOR); /* the highest */
    assert_int_equal(api_grant_of_name(&g, "sre"), API_NOBODY);
    api_grants_done(&g);
}

static void what_is_wrong_is_named_by_its_line(void **state)
{
    (void)state;
    static char long_name[400] = "viewer CN=";
    memset(long_name + 10, 'a', 300);
    const struct {
        const char *text, *says;
    } row[] = {
        { "boss CN=a", "line 1 does not begin" },
        { "admin", "line 1 names nobody" },
        { "admin CN=", "line 1 names nobody" },
        { "admin O=a", "line 1 names nobody" },
        { "\n# x\nviewer CN=a\nadminCN=b", "line 4 does not begin" },
        { "adminadminadminadminadmin CN=b", "line 1 does not begin" },
        { long_name, "line 1 has a name of more" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct api_grants g = { .n = 77 };
        struct pr_err err;
        assert_int_equal(api_grants_read(&g, row[i].text, strlen(row[i].text), &err), PR_EINVAL);
        assert_non_null(strstr(err.text, row[i].says));
        assert_int_equal(g.n, 77);
    }
    struct api_grants g;
    struct pr_err err;
    assert_int_equal(api_grants_read(&g, "viewer CN=a\0b", 13, &err), PR_EINVAL);
}

static void as_many_as_are_allowed(void **state)
{
    (void)state;
    char *text = malloc(20 * (API_GRANT_MAX + 1));
    size_t n = 0;
    struct api_grants g;
    struct pr_err err;
    for (int i = 0; i < API_GRANT_MAX; i++)
        n += (size_t)sprintf(text + n, "viewer CN=%d\n", i);
    assert_ok(api_grants_read(&g, text, n, &err), &err);
    assert_int_equal(g.n, API_GRANT_MAX);
    api_grants_done(&g);
    n += (size_t)sprintf(text + n, "viewer CN=x\n");
    assert_int_equal(api_grants_read(&g, text, n, &err), PR_EINVAL);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_the_role_of_their_line),
        cmocka_unit_test(what_the_table_does_not_say_is_nobody),
        cmocka_unit_test(what_is_wrong_is_named_by_its_line),
        cmocka_unit_test(as_many_as_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
