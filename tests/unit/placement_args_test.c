#include "t.h"

#include "cli/cli.h"

#include <string.h>

enum { MAX_ARGS = 12 };

static int count(const char *const *argv)
{
    int n = 0;
    while (argv[n] != NULL)
        n++;
    return n;
}

static enum pr_code parse(const struct cli_command *c, const char *const *argv,
                          struct cli_args *out, struct pr_err *err)
{
    bool help;
    return cli_parse(c, count(argv), (char **)argv, out, &help, err);
}

static void options_come_in_both_spellings_and_any_order(void **state)
{
    (void)state;
    struct cli_args a;
    static const char *const argv[] = { "--zones=2",
                                        "--graph",
                                        "g.txt",
                                        "--capacity=a=1,b=0.5",
                                        "--coded",
                                        "--seed",
                                        "18446744073709551615",
                                        "-o",
                                        "json",
                                        NULL };
    assert_int_equal(parse(&cli_run, argv, &a, NULL), PR_OK);
    assert_string_equal(a.graph, "g.txt");
    assert_string_equal(a.capacity, "a=1,b=0.5");
    assert_string_equal(a.output, "json");
    assert_int_equal(a.zones, 2);
    assert_true(a.seed == UINT64_MAX);
    assert_true(a.coded && !a.quiet);
    assert_true(a.imbalance == 0.05 && a.seeds == 3 && a.move_cap == UINT64_MAX);
}

static void a_bad_command_line_says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const struct cli_command *command;
        const char *argv[MAX_ARGS], *why;
    } row[] = {
        { &cli_run, { NULL }, "--graph FILE is needed" },
        { &cli_run, { "--graph", NULL }, "--graph needs FILE" },
        { &cli_run, { "--graph=", NULL }, "--graph needs FILE" },
        { &cli_run, { "--graph", "g", "--zone", "3", NULL }, "unknown option --zone" },
        { &cli_run, { "--graph", "g", "x", NULL }, "unexpected argument x" },
        { &cli_run, { "--graph", "g", "--zones", "0", NULL }, "--zones takes a whole number" },
        { &cli_run, { "--graph", "g", "--zones", "65", NULL }, "from 1 to 64" },
        { &cli_run, { "--graph", "g", "--zones", "-1", NULL }, "not -1" },
        { &cli_run, { "--graph", "g", "--zones", "3x", NULL }, "not 3x" },
        { &cli_run, { "--graph", "g", "--parts", "65001", NULL }, "from 1 to 65000" },
        { &cli_run, { "--graph", "g", "--imbalance", "2", NULL }, "from 0.001 to 1" },
        { &cli_run, { "--graph", "g", "--imbalance", "nan", NULL }, "not nan" },
        { &cli_run, { "--graph", "g", "--seed", "18446744073709551616", NULL }, "--seed takes" },
        { &cli_run, { "--graph", "g", "--coded=1", NULL }, "takes no value" },
        { &cli_run, { "--graph", "g", "-o", "xml", NULL }, "table or json" },
        { &cli_run, { "--graph", "g", "--format", "csv", NULL }, "unknown graph format csv" },
        { &cli_run, { "--graph", "g", "--capacity", "a=1,b", NULL }, "NAME=RATIO" },
        { &cli_run, { "--graph", "g", "--capacity", "a=1,a=2", NULL }, "names zone a twice" },
        { &cli_run, { "--graph", "g", "--capacity", "a=-1", NULL }, "0 or more" },
        { &cli_run,
          { "--graph", "g", "--capacity", "a=1,b=1", "--zones", "3", NULL },
          "names 2 zones, --zones says 3" },
        { &cli_run, { "--graph", "g", "--reference", "0.1", NULL }, "--reference needs --warm" },
        { &cli_communities, { "--graph", "g", "--method", "magic", NULL }, "leiden or louvain" },
        { &cli_communities,
          { "--graph", "g", "--min-size", "9", "--max-size", "3", NULL },
          "--min-size is above" },
        { &cli_evaluate, { "--graph", "g", NULL }, "--assignment FILE is needed" },
        { &cli_convert, { "--graph", "g", NULL }, "--out FILE is needed" },
        { &cli_explain, { "--graph", "g", "--assignment", "a", NULL }, "VERTEX is needed" },
        { &cli_explain, { "--graph", "g", "--assignment", "a", "x7", NULL }, "not x7" },
        { &cli_explain,
          { "--graph", "g", "--assignment", "a", "18446744073709551616", NULL },
          "up to 2^64-1" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct cli_args a;
        struct pr_err err = { .text = "" };
        assert_int_equal(parse(row[i].command, row[i].argv, &a, &err), PR_EINVAL);
        if (strstr(err.text, row[i].why) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.text, row[i].why);
    }
}

static void zones_are_named_in_their_order(void **state)
{
    (void)state;
    struct cli_fleet f;
    struct cli_args a = cli_defaults();
    assert_int_equal(cli_fleet(&a, &f, NULL), PR_OK);
    assert_int_equal(f.zones, 3);
    assert_string_equal(f.name[2], "2");
    a.zones = 64;
    assert_int_equal(cli_fleet(&a, &f, NULL), PR_OK);
    assert_string_equal(f.name[63], "63");
    a.zones = 0;
    a.capacity = "west=1,east=0.25";
    assert_int_equal(cli_fleet(&a, &f, NULL), PR_OK);
    assert_int_equal(f.zones, 2);
    assert_string_equal(f.name[1], "east");
    assert_true(f.ratio[0] == 1 && f.ratio[1] == 0.25);
}

static void help_lists_every_option(void **state)
{
    (void)state;
    static const struct cli_command *const all[] = { &cli_run, &cli_communities, &cli_evaluate,
                                                     &cli_convert, &cli_explain };
    for (size_t c = 0; c < PR_COUNT(all); c++) {
        struct pr_buf text;
        pr_buf_init(&text, 0);
        cli_help(all[c], &text);
        pr_buf_add(&text, "", 1);
        for (size_t i = 0; i < all[c]->options; i++)
            assert_non_null(strstr(text.data, all[c]->option[i].name));
        pr_buf_done(&text);
        bool help = false;
        struct cli_args a;
        char *argv[] = { (char *)"--help" };
        assert_int_equal(cli_parse(all[c], 1, argv, &a, &help, NULL), PR_OK);
        assert_true(help);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_come_in_both_spellings_and_any_order),
        cmocka_unit_test(a_bad_command_line_says_what_is_wrong),
        cmocka_unit_test(zones_are_named_in_their_order),
        cmocka_unit_test(help_lists_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
