/* What WAIT promises, and to whom: the rule that the mover and the clients
 * build on (docs/reference/data-plane.md, "WAIT"). The replica is stopped, not
 * killed: the primary believes it is there. */
#include "own_redis.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct own_redis primary, replica;

static int start(void **state)
{
    (void)state;
    own_redis_start(&primary, 0);
    own_redis_start(&replica, primary.port);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    own_redis_stop(&replica);
    own_redis_stop(&primary);
    return 0;
}

static void freeze_replica(void)
{
    int status;

    assert_int_equal(kill(replica.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(replica.pid, &status, WUNTRACED), replica.pid);
    assert_true(WIFSTOPPED(status));
}

static int thaw_replica(void **state)
{
    (void)state;
    return kill(replica.pid, SIGCONT);
}

static void wait_on_the_connection_that_wrote_means_it(void **state)
{
    (void)state;
    redisContext *c = own_redis_connect(&primary);

    assert_string_equal(ask(c, "FCALL prism_load 1 {p1}v:a o:1 1"), "OK 1");
    assert_string_equal(ask(c, "WAIT 1 5000"), "1");
    freeze_replica();
    assert_string_equal(ask(c, "FCALL prism_write 1 {p1}v:a 1 o:1 2"), "OK 2");
    assert_string_equal(ask(c, "WAIT 1 200"), "0");
    (void)thaw_replica(NULL);
    assert_string_equal(ask(c, "WAIT 1 10000"), "1");
    redisFree(c);
}

static void wait_on_a_fresh_connection_is_satisfied_by_nothing(void **state)
{
    (void)state;
    redisContext *c = own_redis_connect(&primary);

    assert_string_equal(ask(c, "FCALL prism_load 1 {p1}v:b o:1 1"), "OK 1");
    assert_string_equal(ask(c, "WAIT 1 5000"), "1");
    freeze_replica();
    assert_string_equal(ask(c, "FCALL prism_write 1 {p1}v:b 1 o:1 2"), "OK 2");
    redisContext *fresh = own_redis_connect(&primary);
    assert_string_equal(ask(fresh, "WAIT 1 200"), "1"); /* and the write is on no replica */
    assert_string_equal(ask(c, "WAIT 1 200"), "0");
    redisFree(fresh);
    redisFree(c);
}

/* Up to 7.0 having read was enough; since 7.2 WAIT speaks of the connection's
 * last write only. */
static bool reads_count(redisContext *c)
{
    static const char mark[] = "redis_version:";
    const char *at = strstr(ask(c, "INFO server"), mark);
    int major = 0, minor = 0;

    assert_non_null(at);
    assert_int_equal(sscanf(at + sizeof mark - 1, "%d.%d", &major, &minor), 2);
    return major < 7 || (major == 7 && minor < 2);
}

static void a_connection_that_only_read_waits_on_old_servers_alone(void **state)
{
    (void)state;
    redisContext *c = own_redis_connect(&primary);

    freeze_replica();
    assert_string_equal(ask(c, "FCALL prism_load 1 {p1}v:c o:1 7"), "OK 1");
    redisContext *reader = own_redis_connect(&primary);
    const char *want = reads_count(reader) ? "0" : "1";
    assert_string_equal(ask(reader, "HMGET {p1}v:c _m o:1"), "nil 7");
    assert_string_equal(ask(reader, "WAIT 1 200"), want);
    (void)thaw_replica(NULL);
    assert_string_equal(ask(reader, "WAIT 1 10000"), "1");
    redisFree(reader);
    redisFree(c);
}

static void a_function_that_changed_nothing_still_waits_for_what_it_saw(void **state)
{
    (void)state;
    redisContext *c = own_redis_connect(&primary);
    redisContext *other = own_redis_connect(&primary);

    assert_string_equal(ask(c, "FCALL prism_load 1 {p1}v:d o:1 1"), "OK 1");
    (void)ask(c, "FCALL prism_take 1 {p1}v:d 5");
    assert_string_equal(ask(c, "WAIT 1 5000"), "1");
    freeze_replica();
    assert_string_equal(ask(c, "FCALL prism_fence 1 {p1}v:d 1 9 5"), "OK");
    assert_string_equal(ask(other, "FCALL prism_take 1 {p1}v:d 6"), "STUB 9:5");
    assert_string_equal(ask(other, "WAIT 1 200"), "0");
    (void)thaw_replica(NULL);
    assert_string_equal(ask(other, "WAIT 1 10000"), "1");
    redisFree(other);
    redisFree(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(wait_on_the_connection_that_wrote_means_it, thaw_replica),
        cmocka_unit_test_teardown(wait_on_a_fresh_connection_is_satisfied_by_nothing, thaw_replica),
        cmocka_unit_test_teardown(a_connection_that_only_read_waits_on_old_servers_alone,
                                  thaw_replica),
        cmocka_unit_test_teardown(a_function_that_changed_nothing_still_waits_for_what_it_saw,
                                  thaw_replica),
    };
    return cmocka_run_group_tests_name("integration/wait", tests, start, stop);
}
