#include "t.h"

#include "watch.h"

#include <sys/socket.h>
#include <unistd.h>

static const struct api_watch_limits limits = { .all = 3, .each = 2, .slow_ms = 100 };

static void places_are_limited_by_principal_and_in_all(void **state)
{
    (void)state;
    struct api_watchers *w = api_watchers_new();
    struct api_watcher *a1, *a2, *b, *more = NULL;
    struct pr_err err;
    assert_int_equal(api_watchers_add(w, &limits, "a", -1, &a1, &err), PR_OK);
    assert_int_equal(api_watchers_add(w, &limits, "a", -1, &a2, &err), PR_OK);
    assert_int_equal(api_watchers_add(w, &limits, "a", -1, &more, &err), PR_EFULL);
    assert_int_equal(api_watchers_add(w, &limits, "b", -1, &b, &err), PR_OK);
    assert_int_equal(api_watchers_add(w, &limits, "c", -1, &more, &err), PR_EUNAVAIL);
    assert_null(more);
    api_watchers_remove(w, a1); /* from the end, the middle and the head of the list */
    assert_int_equal(api_watchers_add(w, &limits, "a", -1, &a1, &err), PR_OK);
    api_watchers_remove(w, b);
    api_watchers_remove(w, a1);
    assert_int_equal(api_watchers_count(w), 1);
    api_watchers_remove(w, a2);
    assert_int_equal(api_watchers_count(w), 0);
    api_watchers_free(w);
}

static void who_does_not_take_its_block_is_shut_down_once(void **state)
{
    (void)state;
    struct api_watchers *w = api_watchers_new();
    struct api_watcher *slow, *quick;
    int pair[2];
    char byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(api_watchers_add(w, &limits, "a", pair[0], &slow, NULL), PR_OK);
    assert_int_equal(api_watchers_add(w, &limits, "b", -1, &quick, NULL), PR_OK);
    api_watcher_handed(w, slow, 1000);
    api_watcher_handed(w, quick, 1000);
    assert_int_equal(api_watchers_cut(w, &limits, 1100), 0); /* exactly as long as it may take */
    api_watcher_handed(w, quick, 0);
    assert_int_equal(api_watchers_cut(w, &limits, 1101), 1);
    assert_int_equal(read(pair[1], &byte, 1), 0); /* its end sees the end */
    assert_int_equal(api_watchers_cut(w, &limits, 9999), 0);
    api_watchers_remove(w, slow);
    api_watchers_remove(w, quick);
    api_watchers_free(w);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_limited_by_principal_and_in_all),
        cmocka_unit_test(who_does_not_take_its_block_is_shut_down_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
