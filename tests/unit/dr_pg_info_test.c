/* What pgBackRest printed, recorded. */
#include "t.h"

#include "format/pg_info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_data(const char *name, size_t *n)
{
    char path[512], *text = malloc(65536);
    (void)snprintf(path, sizeof path, "%s/tests/data/pgbackrest/%s", PRISM_SOURCE_DIR, name);
    FILE *f = fopen(path, "re");
    if (f == NULL || text == NULL)
        fail_msg("%s cannot be read", path);
    *n = fread(text, 1, 65536, f);
    fclose(f);
    return text;
}

static void good_order_is_read(void **state)
{
    (void)state;
    struct dr_pg_repo r;
    struct pr_err err = { 0 };
    size_t n;
    char *text = read_data("ok.json", &n);
    assert_ok(dr_pg_info_read(text, n, &r, &err), &err);
    assert_int_equal(r.state, DR_PG_REPO_OK);
    assert_true(r.system_id == 7710651728815168304u);
    assert_string_equal(r.archive, "15-1");
    assert_int_equal(r.fulls, 1);
    assert_int_equal(r.others, 1);
    assert_int_equal(r.damaged, 0);
    assert_true(r.oldest_ms == 1795276018000 && r.full_ms == 1795276018000);
    assert_true(r.any_ms == 1795276022000);
    assert_string_equal(r.newest, "20261121-154651F_20261121-154700I");
    assert_int_equal(r.bytes, 4578480 + 560);
    for (size_t cut = 0; cut < n; cut++) /* a part of it is no answer */
        if (dr_pg_info_read(text, cut, &r, &err) != PR_EDATA)
            fail_msg("%zu bytes of it are taken", cut);
    free(text);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum dr_pg_repo_state state;
        enum pr_code code;
        const char *words;
    } row[] = {
        { "empty.json", DR_PG_REPO_EMPTY, PR_OK, "" },
        { "wrong-secret.json", DR_PG_REPO_ERROR, PR_EDENIED,
          "the secret of the bucket's access key is wrong" },
        { "no-bucket.json", DR_PG_REPO_ERROR, PR_ENOTFOUND, "the bucket does not exist" },
        { "wrong-key.json", DR_PG_REPO_ERROR, PR_EDENIED, "the repository's key is wrong" },
        { "away.json", DR_PG_REPO_ERROR, PR_EUNAVAIL, "the bucket does not answer" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_pg_repo r;
        struct pr_err err = { 0 };
        size_t n;
        char *text = read_data(row[i].name, &n);
        assert_ok(dr_pg_info_read(text, n, &r, &err), &err);
        assert_int_equal(r.state, row[i].state);
        assert_int_equal(r.code, row[i].code);
        assert_memory_equal(r.words, row[i].words, strlen(row[i].words));
        free(text);
    }
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static const char *const row[] = { "",
                                       "{}",
                                       "[{}]",
                                       "[1]",
                                       "[{\"status\":{\"code\":\"0\"}}]",
                                       "[{\"status\":{\"code\":0},\"backup\":[{}]}]",
                                       ("[{\"status\":{\"code\":0},\"backup\":[{\"label\":\"x\","
                                        "\"type\":\"full\"}]}]") };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_pg_repo r = { .fulls = 77 };
        struct pr_err err = { 0 };
        assert_int_equal(dr_pg_info_read(row[i], strlen(row[i]), &r, &err), PR_EDATA);
        assert_int_equal(r.fulls, 77);
        assert_true(err.text[0] != '\0');
    }
    struct dr_pg_repo r;
    assert_int_equal(dr_pg_info_read("[]", 2, &r, NULL), PR_OK); /* there is no such stanza */
    assert_int_equal(r.state, DR_PG_REPO_EMPTY);
}

static void note(void *ctx, const char *name)
{
    char *all = ctx;
    (void)strcat(all, name + 22);
}

static void segments_are_listed(void **state)
{
    (void)state;
    char all[64] = "";
    struct pr_err err = { 0 };
    size_t n;
    char *text = read_data("list.json", &n);
    assert_ok(dr_pg_list_read(text, n, note, all, &err), &err);
    assert_string_equal(all, "01020304"); /* and not the .backup files */
    free(text);
    assert_int_equal(dr_pg_list_read("[]", 2, note, all, &err), PR_EDATA);
    assert_int_equal(dr_pg_list_read("{", 1, note, all, &err), PR_EDATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_order_is_read),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(segments_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
