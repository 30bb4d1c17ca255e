/* A decision, its input written as JSON and read again: the same decision, to the last byte.
 * The seed is printed; argv[1] sets it. */
#include "t.h"

#include "autoscale_decide_random.h"
#include "json/json.h"

#include <stdlib.h>

enum { ROUNDS = T_ROUNDS(250), MINUTES = 4 };

static uint64_t seed = 20261121;
static struct ar_input a;
static struct autoscale_json_input back;
static struct autoscale_decision got;

static char *text_of(json_t *o)
{
    char *text = autoscale_json_text(o, false);
    assert_non_null(text);
    return text;
}

static json_t *parse(const char *text)
{
    struct pr_err err = { .text = "" };
    json_t *o;
    assert_ok(autoscale_json_parse(text, strlen(text), &o, &err), &err);
    return o;
}

/* What the store holds: both as text. Decides again by hand and by the function. */
static void check(const char *input, const char *decision, const char *after)
{
    struct pr_err err = { .text = "" };
    struct pr_buf difference;
    bool same = false;
    json_t *i = parse(input), *d = parse(decision), *m = parse(after);
    pr_buf_init(&difference, 0);
    assert_ok(autoscale_json_replay(i, d, m, &same, &difference, &err), &err);
    if (!same)
        fail_msg("seed %llu: %.400s", (unsigned long long)seed, difference.data);
    pr_buf_done(&difference);

    assert_ok(autoscale_json_input_read(i, NULL, &back, &err), &err);
    char *again = text_of(autoscale_json_input_write(&back.in));
    assert_string_equal(again, input);
    free(again);
    assert_ok(autoscale_decide(&back.in, back.in.memory, &got, &err), &err);
    again = text_of(autoscale_json_decision_write(&back.in, &got));
    assert_string_equal(again, decision);
    free(again);
    again = text_of(autoscale_json_memory_write(&back.in.settings, back.in.memory));
    assert_string_equal(again, after);
    free(again);
    autoscale_json_input_done(&back);
    json_decref(i);
    json_decref(d);
    json_decref(m);
}

static void every_decision_is_made_again(void **state)
{
    (void)state;
    struct pr_rng r;
    struct pr_err err = { .text = "" };
    size_t largest = 0;
    for (uint64_t at = 0; at < ROUNDS; at++) {
        pr_rng_init(&r, seed * 1000003 + at);
        ar_make(&r, &a, at % 10 == 0 ? 1000 : 60);
        struct autoscale_view *v = &a.in.view;
        for (int minute = 0; minute < MINUTES; minute++) { /* policies remember */
            char *input = text_of(autoscale_json_input_write(&a.in));
            assert_ok(autoscale_decide(&a.in, a.in.memory, &got, &err), &err);
            char *decision = text_of(autoscale_json_decision_write(&a.in, &got));
            char *memory = text_of(autoscale_json_memory_write(&a.in.settings, a.in.memory));
            check(input, decision, memory);
            free(memory);
            largest = strlen(input) > largest ? strlen(input) : largest;
            free(input);
            free(decision);
            v->now_ms += AR_MIN;
            for (size_t i = 0; i < v->samples; i++)
                a.sample[i].at_ms += AR_MIN;
        }
    }
    print_message("%d decisions; the largest input has %zu bytes\n", ROUNDS * MINUTES, largest);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest test[] = {
        cmocka_unit_test(every_decision_is_made_again),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
