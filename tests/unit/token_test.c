/* Tokens and files that are replaced. */
#include "t.h"

#include "prism/io/file.h"
#include "prism/io/token.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void a_token_is_random_and_its_hash_is_its_own(void **state)
{
    (void)state;
    char a[PR_TOKEN_TEXT], b[PR_TOKEN_TEXT];
    unsigned char hash[PR_TOKEN_HASH], other[PR_TOKEN_HASH], again[EVP_MAX_MD_SIZE];
    struct pr_err err;
    assert_ok(pr_token_make(a, hash, &err), &err);
    assert_ok(pr_token_make(b, other, &err), &err);
    assert_int_equal(strlen(a), 6 + 64);
    assert_int_equal(strspn(a + 6, "0123456789abcdef"), 64);
    assert_memory_equal(a, "prism_", 6);
    assert_string_not_equal(a, b);
    assert_int_equal(EVP_Digest(a, strlen(a), again, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(hash, again, PR_TOKEN_HASH);
    assert_memory_not_equal(hash, other, PR_TOKEN_HASH);
}

static void names_are_nobody_elses(void **state)
{
    (void)state;
    char longest[PR_TOKEN_NAME + 1];
    memset(longest, 'a', sizeof longest);
    longest[PR_TOKEN_NAME] = '\0';
    assert_false(pr_token_name_valid(longest)); /* 64 */
    longest[PR_TOKEN_NAME - 1] = '\0';
    assert_true(pr_token_name_valid(longest));
    static const char *const good[] = { "a", "ci-1", "A.b_c", "standby-token2" }, *const bad[] = {
        "", "a b", "jwt:a", "CN=a", "a/b", "a\n", "\xc3\xa4", "a%", "standby-token", "a,"
    };
    for (size_t i = 0; i < PR_COUNT(good); i++)
        assert_true(pr_token_name_valid(good[i]));
    for (size_t i = 0; i < PR_COUNT(bad); i++)
        assert_false(pr_token_name_valid(bad[i]));
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void files_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    char dir[] = "/tmp/prism-file-XXXXXX", path[64], other[64];
    struct pr_buf b;
    struct pr_err err;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/a", dir);
    (void)snprintf(other, sizeof other, "%s/b", dir);
    const struct pr_stamp none = pr_stamp_of(path);
    assert_false(none.there);
    assert_int_equal(pr_file_read("S", path, 10, &b, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "S: /tmp/prism-file-"));
    pr_file_forget(&b);

    put(path, "0123456789");
    assert_ok(pr_file_read("S", path, 10, &b, &err), &err);
    assert_int_equal(b.len, 10);
    assert_string_equal(b.data, "0123456789");
    pr_file_forget(&b);
    assert_int_equal(pr_file_read("S", path, 9, &b, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "too large"));
    pr_file_forget(&b);
    assert_int_equal(pr_file_read("S", dir, 9, &b, &err), PR_EINVAL);
    pr_file_forget(&b);

    /* What is of the moment is told apart: it is worth another try. */
    struct rlimit files, none_more;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none_more = files;
    none_more.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_more), 0);
    const enum pr_code rc = pr_file_read("S", path, 10, &b, &err);
    pr_file_forget(&b);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(rc, PR_EUNAVAIL);

    /* Another file of the same size in its place is another file. */
    const struct pr_stamp first = pr_stamp_of(path), same = pr_stamp_of(path);
    assert_true(pr_stamp_same(&first, &same));
    assert_false(pr_stamp_same(&first, &none));
    put(other, "9876543210");
    assert_int_equal(rename(other, path), 0);
    const struct pr_stamp second = pr_stamp_of(path);
    assert_false(pr_stamp_same(&first, &second));
    put(path, "");
    assert_int_equal(pr_file_read("S", path, 10, &b, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "is empty"));
    pr_file_forget(&b);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_random_and_its_hash_is_its_own),
        cmocka_unit_test(names_are_nobody_elses),
        cmocka_unit_test(files_are_read_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
