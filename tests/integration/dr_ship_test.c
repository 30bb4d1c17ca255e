/* The dr service against a real cluster and a real S3 server: what was written is in the bucket,
 * and comes back as it was. */
#include "dr_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[64];

static void restores_every_shard(const char *until)
{
    struct dr_shard_at shard[IT_MAX_NODES];
    const size_t n = dr_stage_shards(shard);
    (void)snprintf(dir, sizeof dir, "/tmp/prism-dr-XXXXXX");
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < n; i++) {
        char out[2048], want[64], got[64];
        pid_t pid;
        if (dr_stage_restore(shard[i].id, dir, until, out, sizeof out) != 0)
            fail_msg("shard %s is not restored: %s", shard[i].id, out);
        const int port = dr_stage_serve(dir, shard[i].id, &pid);
        dr_stage_digest(shard[i].port, false, want);
        dr_stage_digest(port, true, got);
        assert_string_equal(want, got);
        (void)it_stop(pid);
    }
    const char *rm[] = { "/bin/rm", "-rf", dir, NULL };
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
}

static void what_was_there_and_what_comes_is_shipped(void **state)
{
    (void)state;
    dr_stage_write(1, 2000); /* in the base */
    dr_stage_start();
    dr_stage_write(2, 5000); /* in the stream */
    dr_stage_await_durable();
    restores_every_shard(NULL);
}

static void a_killed_shipper_goes_on_where_it_was(void **state)
{
    (void)state;
    const long generations =
        dr_stage_number("SELECT count(DISTINCT generation_epoch) FROM dr_shards");
    dr_stage_write(3, 1000);
    it_kill(dr.dr.pid);
    dr_stage_write(4, 1000);
    dr_stage_start();
    dr_stage_write(5, 1000);
    dr_stage_await_durable();
    assert_int_equal(dr_stage_number("SELECT count(DISTINCT generation_epoch) FROM dr_shards"),
                     generations); /* no base was written anew */
    restores_every_shard(NULL);
}

static bool young(void *ctx)
{
    (void)ctx; /* of every shard, though nobody writes */
    return dr_stage_number("SELECT count(*) FROM dr_shards WHERE beat_at IS NULL OR "
                           "beat_at < now() - interval '3 s'") == 0;
}

static void an_idle_shard_has_an_age(void **state)
{
    (void)state;
    assert_int_equal(it_stop(dr.dr.pid), 0);
    dr_stage_set("PRISM_DR_BEAT_MS", "500");
    dr_stage_start();
    assert_true(it_await(young, NULL, 20000));
}

static void a_full_directory_is_refused(void **state)
{
    (void)state;
    struct dr_shard_at shard[IT_MAX_NODES];
    char out[2048];
    (void)dr_stage_shards(shard);
    (void)snprintf(dir, sizeof dir, "/tmp");
    assert_int_equal(dr_stage_restore("..", dir, NULL, out, sizeof out), 2);
    assert_int_equal(dr_stage_restore("nobody", dir, NULL, out, sizeof out), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_there_and_what_comes_is_shipped),
        cmocka_unit_test(a_killed_shipper_goes_on_where_it_was),
        cmocka_unit_test(an_idle_shard_has_an_age),
        cmocka_unit_test(a_full_directory_is_refused),
    };
    return cmocka_run_group_tests_name("dr ship", tests, dr_stage_open, dr_stage_close);
}
