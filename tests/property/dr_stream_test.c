/* However a replication stream is divided, whole or damaged, the same commands, boundaries and
 * complaints come out; and the boundaries are those that its maker knows. argv[1] sets the
 * seed. */
#include "t.h"

#include "dr_make.h"

#include "core/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 400, COMMANDS = 60, FROM = 777 };

static uint64_t seed = 20261121;

struct made {
    struct pr_buf bytes;
    uint64_t end[COMMANDS]; /* of each command or empty line, from 0 */
    bool cut[COMMANDS];     /* whether it may be cut there */
    size_t n;
};

static void make(struct pr_rng *rng, struct made *m)
{
    bool multi = false;
    m->n = 1 + pr_rng_below(rng, COMMANDS);
    pr_buf_init(&m->bytes, 0);
    for (size_t i = 0; i < m->n; i++) {
        switch (pr_rng_below(rng, 8)) {
        case 0:
            pr_buf_str(&m->bytes, multi ? "*1\r\n$4\r\nEXEC\r\n" : "*1\r\n$5\r\nMULTI\r\n");
            multi = !multi;
            break;
        case 1:
            pr_buf_str(&m->bytes, pr_rng_below(rng, 2) ? "\n" : "\r\n");
            break;
        case 2:
            pr_buf_printf(&m->bytes, "*2\r\n$6\r\nSELECT\r\n$1\r\n%d\r\n",
                          (int)pr_rng_below(rng, 10));
            break;
        default:
            dr_make_command(rng, &m->bytes);
        }
        m->end[i] = m->bytes.len;
        m->cut[i] = !multi;
    }
}

/* All that a consumer can see. */
struct seen {
    struct dr_stream s;
    struct pr_buf commands; /* all that was shown, one behind another */
    size_t n;
    enum pr_code rc;
    struct pr_err err;
};

static void see(void *ctx, const struct dr_command *c)
{
    struct seen *seen = ctx;
    pr_buf_u64le(&seen->commands, c->end);
    pr_buf_u64le(&seen->commands, c->argc);
    pr_buf_u64le(&seen->commands, seen->s.boundary);
    pr_buf_u64le(&seen->commands, (uint64_t)seen->s.db);
    for (size_t i = 0; i < c->args; i++) {
        pr_buf_u64le(&seen->commands, c->len[i]);
        pr_buf_add(&seen->commands, c->arg[i],
                   c->len[i] < DR_STREAM_ARG ? c->len[i] : DR_STREAM_ARG - 1);
    }
    seen->n++;
}

/* In pieces of up to `most` bytes. */
static void feed(struct pr_rng *rng, const struct pr_buf *bytes, size_t most, struct seen *seen)
{
    *seen = (struct seen){ .rc = PR_OK };
    pr_buf_init(&seen->commands, 0);
    dr_stream_init(&seen->s, FROM);
    for (size_t at = 0; at < bytes->len && seen->rc == PR_OK;) {
        size_t n = 1 + pr_rng_below(rng, most);
        n = n < bytes->len - at ? n : bytes->len - at;
        char *some = malloc(n); /* a sanitizer sees a byte too many */
        assert_non_null(some);
        memcpy(some, bytes->data + at, n);
        seen->rc = dr_stream_feed(&seen->s, some, n, see, seen, &seen->err);
        free(some);
        at += n;
    }
}

static void expect_same(const struct seen *a, const struct seen *b)
{
    assert_int_equal(a->rc, b->rc);
    if (a->rc != PR_OK)
        assert_string_equal(a->err.text, b->err.text);
    assert_int_equal(a->s.offset, b->s.offset);
    assert_int_equal(a->s.boundary, b->s.boundary);
    assert_int_equal(a->s.commands, b->s.commands);
    assert_int_equal(a->s.in_multi, b->s.in_multi);
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->commands.len, b->commands.len);
    if (a->commands.len > 0)
        assert_memory_equal(a->commands.data, b->commands.data, a->commands.len);
}

static void every_division(struct pr_rng *rng, const struct pr_buf *bytes, struct seen *whole)
{
    static const size_t most[] = { 1, 2, 7, 64, 1000 };
    *whole = (struct seen){ .rc = PR_OK };
    pr_buf_init(&whole->commands, 0);
    dr_stream_init(&whole->s, FROM);
    whole->rc = dr_stream_feed(&whole->s, bytes->data, bytes->len, see, whole, &whole->err);
    for (size_t i = 0; i < PR_COUNT(most); i++) {
        struct seen some;
        feed(rng, bytes, most[i], &some);
        expect_same(whole, &some);
        pr_buf_done(&some.commands);
    }
}

static void divisions_of_whole_streams_are_alike(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    for (int round = 0; round < ROUNDS; round++) {
        struct made m;
        struct seen whole;
        make(&rng, &m);
        every_division(&rng, &m.bytes, &whole);
        assert_int_equal(whole.rc, PR_OK);
        assert_int_equal(whole.n, m.n);
        pr_buf_done(&whole.commands);

        struct dr_stream s; /* byte by byte: the boundary is the maker's at every offset */
        uint64_t boundary = 0;
        size_t next = 0;
        dr_stream_init(&s, FROM);
        for (size_t at = 0; at < m.bytes.len; at++) {
            assert_int_equal(dr_stream_feed(&s, m.bytes.data + at, 1, NULL, NULL, NULL), PR_OK);
            if (at + 1 == m.end[next]) {
                boundary = m.cut[next] ? m.end[next] : boundary;
                next++;
            }
            assert_int_equal(s.offset, FROM + at + 1);
            assert_int_equal(s.boundary, FROM + boundary);
        }
        pr_buf_done(&m.bytes);
    }
}

static void divisions_of_damaged_streams_are_alike(void **state)
{
    (void)state;
    struct pr_rng rng;
    int refused = 0;
    pr_rng_init(&rng, seed + 1);
    for (int round = 0; round < ROUNDS; round++) {
        struct made m;
        struct seen whole;
        make(&rng, &m);
        m.bytes.data[pr_rng_below(&rng, m.bytes.len)] ^= (char)(1 << pr_rng_below(&rng, 8));
        every_division(&rng, &m.bytes, &whole);
        refused += whole.rc != PR_OK;
        pr_buf_done(&whole.commands);
        pr_buf_done(&m.bytes);
    }
    assert_true(refused > ROUNDS / 10 && refused < ROUNDS); /* else one of both is not tested */
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    (void)printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(divisions_of_whole_streams_are_alike),
        cmocka_unit_test(divisions_of_damaged_streams_are_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
