#include "t.h"

#include "io/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char root[64], in[128], near[128], file[160], link_out[160];

static void touch(const char *path)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
}

/* root/data/graph.txt, root/data/link -> root/database/graph.txt */
static int setup(void **state)
{
    (void)state;
    char other[160];
    snprintf(root, sizeof root, "/tmp/prism-source-test.XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(in, sizeof in, "%s/data", root);
    snprintf(near, sizeof near, "%s/database", root);
    snprintf(file, sizeof file, "%s/graph.txt", in);
    snprintf(other, sizeof other, "%s/graph.txt", near);
    snprintf(link_out, sizeof link_out, "%s/link", in);
    char mkdirs[320];
    snprintf(mkdirs, sizeof mkdirs, "mkdir %s %s", in, near);
    assert_int_equal(system(mkdirs), 0);
    touch(file);
    touch(other);
    assert_int_equal(symlink(other, link_out), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char remove[96];
    snprintf(remove, sizeof remove, "rm -r %s", root);
    return system(remove);
}

static void only_files_inside_an_allowed_directory_are_read(void **state)
{
    (void)state;
    char neighbour[160], up[192], missing[160], two[320], resolved[PATH_MAX];
    snprintf(neighbour, sizeof neighbour, "%s/graph.txt", near);
    snprintf(up, sizeof up, "%s/../database/graph.txt", in);
    snprintf(missing, sizeof missing, "%s/none.txt", in);
    snprintf(two, sizeof two, ":/nowhere:%s:%s/", in, near);
    const struct {
        const char *path, *dirs;
        enum pr_code want;
    } row[] = {
        { file, in, PR_OK },
        { file, root, PR_OK },
        { file, "/", PR_OK },
        { neighbour, in, PR_EDENIED }, /* "data" is a prefix of "database", not its parent */
        { neighbour, two, PR_OK },
        { up, in, PR_EDENIED },
        { link_out, in, PR_EDENIED },
        { link_out, two, PR_OK },
        { missing, in, PR_ENOTFOUND },
        { "/etc/none", in, PR_EDENIED }, /* not even whether it exists */
        { file, "", PR_EDENIED },
        { "graph.txt", in, PR_EINVAL },
        { "", in, PR_EINVAL },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err;
        const enum pr_code got = placement_source_resolve(row[i].path, row[i].dirs, resolved, &err);
        if (got != row[i].want)
            fail_msg("row %zu: %s, want %s", i, pr_code_name(got), pr_code_name(row[i].want));
    }
}

static void params_override_settings_and_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *params, *why; /* why NULL: accepted */
    } row[] = {
        { "{}", NULL },
        { "{\"seed\": 0, \"seeds\": 16, \"imbalance\": 0.03}", NULL },
        { "{\"seed\": null, \"imbalance\": null}", NULL },
        { "{\"seed\": -1}", "seed must be a whole number from 0" },
        { "{\"seed\": 1.5}", "seed must be a whole number" },
        { "{\"seeds\": 17}", "seeds must be a whole number from 1 to 16" },
        { "{\"imbalance\": \"0.05\"}", "imbalance must be a number" },
        { "[]", "params of the run: not an object" },
        { "{", "params of the run: " },
    };
    const struct placement_config cfg = {
        .data_dirs = in, .seed = 7, .seeds = 3, .imbalance = 0.05, .keep_ratio = 0.02
    };
    char source[256];
    snprintf(source, sizeof source, "{\"file\": \"%s\", \"format\": \"snap\"}", file);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct placement_source got;
        struct pr_err err = { 0 };
        const enum pr_code rc = placement_source_parse(source, row[i].params, &cfg, &got, &err);
        if ((rc == PR_OK) != (row[i].why == NULL) ||
            (row[i].why != NULL && strstr(err.text, row[i].why) == NULL))
            fail_msg("row %zu: %s \"%s\"", i, pr_code_name(rc), err.text);
        if (i == 0 || i == 2) {
            assert_int_equal(got.params.seed, 7);
            assert_int_equal(got.params.seeds, 3);
            assert_int_equal(got.format, GRAPH_SNAP);
        }
        if (i == 1)
            assert_int_equal(got.params.seeds, 16);
    }
}

static void a_source_names_a_file_and_a_known_format(void **state)
{
    (void)state;
    const struct placement_config cfg = { .data_dirs = in, .seeds = 1, .imbalance = 0.05 };
    struct placement_source got;
    struct pr_err err;
    char source[256];
    assert_int_equal(placement_source_parse("{}", "{}", &cfg, &got, &err), PR_EINVAL);
    assert_int_equal(placement_source_parse("{\"file\": 5}", "{}", &cfg, &got, &err), PR_EINVAL);
    snprintf(source, sizeof source, "{\"file\": \"%s\", \"format\": \"gml\"}", file);
    assert_int_equal(placement_source_parse(source, "{}", &cfg, &got, &err), PR_EINVAL);
    assert_string_equal(err.text, "unknown graph format gml");
    snprintf(source, sizeof source, "{\"file\": \"%s\"}", file);
    assert_ok(placement_source_parse(source, NULL, &cfg, &got, &err), &err);
    assert_int_equal(got.format, GRAPH_AUTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_files_inside_an_allowed_directory_are_read),
        cmocka_unit_test(params_override_settings_and_are_checked),
        cmocka_unit_test(a_source_names_a_file_and_a_known_format),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
