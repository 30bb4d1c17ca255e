/* The command `decide`: exit status, what it prints, and that what it printed can be replayed. */
#include "t.h"

#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/autoscale-decide-XXXXXX";
static char in_path[64], out_path[64], err_path[64];

static const char least[] = "{\"view\": {\"desired\": 48, \"samples\": [{\"at_ms\": 60000, "
                            "\"cpu_pct\": 90, \"serving\": 48}]}}";

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static char *read_file(const char *path)
{
    static char text[1 << 20];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    (void)fclose(f);
    return text;
}

/* Runs with stdin, stdout and stderr at files; a, b, c: arguments, NULL none. */
static int run(const char *a, const char *b, const char *c)
{
    const char *path[] = { in_path, out_path, err_path };
    const char *mode[] = { "rb", "wb", "wb" };
    char *argv[] = { (char *)(uintptr_t) "prism-autoscale", (char *)(uintptr_t) "decide",
                     (char *)(uintptr_t)a, (char *)(uintptr_t)b, (char *)(uintptr_t)c };
    int kept[3], argc = 2;
    (void)fflush(NULL);
    for (int fd = 0; fd < 3; fd++) {
        kept[fd] = dup(fd);
        FILE *f = fopen(path[fd], mode[fd]);
        assert_non_null(f);
        assert_int_equal(dup2(fileno(f), fd), fd);
        (void)fclose(f);
    }
    rewind(stdin);
    while (argc < 5 && argv[argc] != NULL)
        argc++;
    const int status = autoscale_cli_decide(argc, argv);
    (void)fflush(NULL);
    for (int fd = 0; fd < 3; fd++) {
        (void)dup2(kept[fd], fd);
        (void)close(kept[fd]);
    }
    clearerr(stdin);
    return status;
}

static void prints_the_decision(void **state)
{
    (void)state;
    static const char *const policy[] = { "rules", "step", "target", "hpa", "adaptive", "queue" };
    write_file(in_path, least);
    for (size_t i = 0; i < PR_COUNT(policy); i++) {
        assert_int_equal(run("--policy", policy[i], NULL), 0);
        json_t *o = json_loads(read_file(out_path), 0, NULL);
        assert_non_null(o);
        assert_int_equal(json_integer_value(json_object_get(o, "from")), 48);
        const json_t *votes = json_object_get(o, "votes");
        assert_string_equal(json_string_value(json_object_get(json_array_get(votes, 0), "policy")),
                            policy[i]);
        json_decref(o);
    }
}

static void the_whole_can_be_replayed(void **state)
{
    (void)state;
    write_file(in_path, least);
    assert_int_equal(run("--whole", "--policy=hpa", NULL), 0);
    char *whole = strdup(read_file(out_path));
    assert_non_null(whole);
    write_file(in_path, whole);
    assert_int_equal(run("--replay", NULL, NULL), 0);
    assert_string_equal(read_file(out_path), "the same\n");
    char *from = strstr(whole, "\"from\": 48");
    assert_non_null(from);
    from[9] = '9';
    write_file(in_path, whole);
    assert_int_equal(run("--replay", "-", NULL), 1);
    assert_string_equal(read_file(out_path), "from: stored 49, now 48\n");
    free(whole);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *in, *a, *b;
        int status;
        const char *words;
    } row[] = {
        { "{}", NULL, NULL, 1, "view: is missing" },
        { "", NULL, NULL, 1, "standard input: line 1" },
        { least, "--policy", "none", 2, "none" },
        { least, "--policy", NULL, 2, "--policy needs a name" },
        { least, "--frob", NULL, 2, "unknown option --frob" },
        { least, "--replay", "--whole", 2, "no other option" },
        { least, "--replay", NULL, 1, "want {\"input\"" },
        { least, "/nowhere/x", NULL, 1, "/nowhere/x: No such file" },
        { least, "a", "b", 2, "unexpected argument b" },
        { "{\"fleet\": {\"unit\": 4}, \"view\": {\"desired\": 1, \"now_ms\": 1}}", NULL, NULL, 1,
          "there are 3 zones" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        write_file(in_path, row[i].in);
        assert_int_equal(run(row[i].a, row[i].b, NULL), row[i].status);
        if (strstr(read_file(err_path), row[i].words) == NULL)
            fail_msg("row %zu: \"%s\" lacks \"%s\"", i, read_file(err_path), row[i].words);
        assert_string_equal(read_file(out_path), "");
    }
    assert_int_equal(run("--help", NULL, NULL), 0);
    assert_non_null(strstr(read_file(out_path), "usage: prism-autoscale decide"));
}

static int begin(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(in_path, sizeof in_path, "%s/in", dir);
    (void)snprintf(out_path, sizeof out_path, "%s/out", dir);
    (void)snprintf(err_path, sizeof err_path, "%s/err", dir);
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)unlink(in_path);
    (void)unlink(out_path);
    (void)unlink(err_path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(prints_the_decision),
        cmocka_unit_test(the_whole_can_be_replayed),
        cmocka_unit_test(says_what_is_wrong),
    };
    return cmocka_run_group_tests(test, begin, end);
}
