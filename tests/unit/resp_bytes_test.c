/* Bytes of commands and replies on the wire, and what error replies mean. */
#include "prism/io/redis.h"
#include "t.h"

#include <string.h>

static void command_bytes_equal_what_hiredis_encodes(void **state)
{
    (void)state;
    static char big[1001];
    memset(big, 'x', sizeof big - 1);
    const char *const words[][4] = { { "PING" },
                                     { "SET", "k", "" },
                                     { "SET", "0123456789", big },
                                     { "FCALL", "123456789", "ab", "c" } };
    const int argc[] = { 1, 3, 3, 4 };
    for (size_t i = 0; i < PR_COUNT(argc); i++) {
        size_t len[4] = { 0 };
        const char *argv[4];
        for (int k = 0; k < argc[i]; k++) {
            argv[k] = words[i][k];
            len[k] = strlen(argv[k]);
        }
        char *text = NULL;
        const long long n = (long long)redisFormatCommandArgv(&text, argc[i], argv, len);
        assert_int_equal(pr_resp_command_bytes(argc[i], len), n);
        redisFreeCommand(text);
    }
}

static void reply_bytes_equal_what_was_read(void **state)
{
    (void)state;
    static const char *const wire[] = {
        "+OK\r\n",
        "-ERR no\r\n",
        ":0\r\n",
        ":-1\r\n",
        ":1234567890\r\n",
        ":-9223372036854775808\r\n",
        "$-1\r\n",
        "$0\r\n\r\n",
        "$10\r\n0123456789\r\n",
        "*0\r\n",
        "*-1\r\n",
        "*3\r\n$4\r\nLIVE\r\n:12\r\n*2\r\n$-1\r\n+x\r\n",
        "*10\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
    };
    for (size_t i = 0; i < PR_COUNT(wire); i++) {
        redisReader *reader = redisReaderCreate();
        void *reply = NULL;
        assert_int_equal(redisReaderFeed(reader, wire[i], strlen(wire[i])), REDIS_OK);
        assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
        assert_non_null(reply);
        assert_int_equal(pr_resp_reply_bytes(reply), strlen(wire[i]));
        freeReplyObject(reply);
        redisReaderFree(reader);
    }
}

static void error_replies_become_the_code_that_tells_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pr_code code;
    } row[] = {
        { "NOPERM this user has no permissions to run the 'set' command", PR_EDENIED },
        { "NOAUTH Authentication required.", PR_EDENIED },
        { "WRONGPASS invalid username-password pair", PR_EDENIED },
        { "LOADING Redis is loading the dataset in memory", PR_EUNAVAIL },
        { "CLUSTERDOWN The cluster is down", PR_EUNAVAIL },
        { "MASTERDOWN Link with MASTER is down", PR_EUNAVAIL },
        { "TRYAGAIN Multiple keys request during rehashing of slot", PR_EUNAVAIL },
        { "READONLY You can't write against a read only replica.", PR_EUNAVAIL },
        { "NOREPLICAS Not enough good replicas to write.", PR_EUNAVAIL },
        { "UNBLOCKED force unblock from blocking operation, instance state changed", PR_EUNAVAIL },
        { "OOM command not allowed when used memory > 'maxmemory'.", PR_EFULL },
        { "OOMPH", PR_EINVAL },
        { "ERR Function not found", PR_EINVAL },
        { "", PR_EINVAL },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char text[128];
        struct pr_err err;
        (void)snprintf(text, sizeof text, "%s", row[i].text);
        redisReply r = { .type = REDIS_REPLY_ERROR, .str = text, .len = strlen(text) };
        assert_int_equal(pr_redis_reply_code(&r, &err), row[i].code);
        assert_string_equal(err.text, row[i].text);
    }
    redisReply ok = { .type = REDIS_REPLY_STATUS, .str = (char[]){ "OOM" }, .len = 3 };
    assert_int_equal(pr_redis_reply_code(&ok, NULL), PR_OK);
}

static void bad_seeds_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *seeds, *says;
        enum pr_code code;
    } row[] = {
        { "", "no redis seed", PR_EINVAL },
        { " , ", "no redis seed", PR_EINVAL },
        { "localhost", "'localhost': want host:port", PR_EINVAL },
        { "127.0.0.1:1,b:x7", "'b:x7': port is not a number", PR_EINVAL },
        { "b:", "'b:': port not in", PR_EINVAL },
        { "b:0", "'b:0': port not in", PR_EINVAL },
        { "b:65536", "'b:65536': port not in", PR_EINVAL },
        { ":7000", "':7000': host of", PR_EINVAL },
        { "[]:7000", "'[]:7000': host of", PR_EINVAL },
        { "rediss://b:7000", "'rediss://b:7000': ", PR_EINVAL },
        { "127.0.0.1:1,[::1]:1", "127.0.0.1:1", PR_EUNAVAIL }, /* nobody listens */
        { "127.0.0.1:1,[::1]:1", "::1:1", PR_EUNAVAIL },
        { "redis://127.0.0.1:1", "127.0.0.1:1", PR_EUNAVAIL },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_cluster *c = NULL;
        struct pr_err err = { .text = "" };
        assert_int_equal(pr_cluster_open(&c, row[i].seeds, NULL, 500, &err), row[i].code);
        if (strstr(err.text, row[i].says) == NULL)
            fail_msg("row %zu: '%s' does not say '%s'", i, err.text, row[i].says);
        assert_null(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_bytes_equal_what_hiredis_encodes),
        cmocka_unit_test(reply_bytes_equal_what_was_read),
        cmocka_unit_test(error_replies_become_the_code_that_tells_what_to_do),
        cmocka_unit_test(bad_seeds_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
