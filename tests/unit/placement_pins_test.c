#include "t.h"

#include "engine/partition.h"
#include "io/pins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const zones[] = { "a", "b", "7" };

static struct placement_graph three(void) /* ids 5, 6, 2^64-1 */
{
    struct placement_graph g = { .n = 3, .id = malloc(3 * sizeof(uint64_t)) };
    assert_non_null(g.id);
    g.id[0] = 5;
    g.id[1] = 6;
    g.id[2] = UINT64_MAX;
    return g;
}

static void write_file(char *path, const char *text)
{
    strcpy(path, "/tmp/prism-pins.XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void zones_go_by_name_or_by_number(void **state)
{
    (void)state;
    char path[32];
    struct placement_pins p = { 0 };
    struct placement_graph g = three();
    uint16_t fixed[3];
    write_file(path, "# vertex zone\n\n18446744073709551615 b\n5\t0\n  5 a\n");
    assert_int_equal(placement_pins_read(&p, path, NULL), PR_OK);
    assert_int_equal(placement_pins_add(&p, "6", "7", NULL), PR_OK); /* a name before a number */
    assert_int_equal(placement_pins_apply(&p, &g, zones, 3, fixed, NULL), PR_OK);
    assert_int_equal(fixed[0], 0);
    assert_int_equal(fixed[1], 2);
    assert_int_equal(fixed[2], 1);
    placement_pins_done(&p);
    placement_graph_done(&g);
    unlink(path);
}

static void lines_of_windows_and_compressed_files_are_read(void **state)
{
    (void)state;
    static const unsigned char gz[] = { /* "5 a\n6 b\n" */
                                        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff,
                                        0x33, 0x55, 0x48, 0xe4, 0x32, 0x53, 0x48, 0xe2, 0x02, 0x00,
                                        0x14, 0x7e, 0xb9, 0xb4, 0x08, 0x00, 0x00, 0x00
    };
    char path[32];
    struct placement_graph g = three();
    for (int packed = 0; packed < 2; packed++) {
        struct placement_pins p = { 0 };
        uint16_t fixed[3];
        write_file(path, "5 a\r\n\r\n6\tb  \r\n%% 7 c");
        if (packed) {
            FILE *f = fopen(path, "we");
            assert_non_null(f);
            assert_int_equal(fwrite(gz, 1, sizeof gz, f), sizeof gz);
            assert_int_equal(fclose(f), 0);
        }
        assert_int_equal(placement_pins_read(&p, path, NULL), PR_OK);
        assert_int_equal(p.n, 2);
        assert_int_equal(placement_pins_apply(&p, &g, zones, 3, fixed, NULL), PR_OK);
        assert_int_equal(fixed[0], 0);
        assert_int_equal(fixed[1], 1);
        placement_pins_done(&p);
        unlink(path);
    }
    placement_graph_done(&g);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } row[] = {
        { "5 a\n6\n", "line 2: not \"vertex zone\"" },
        { "5 a b\n", "line 1: not" },
        { "x a\n", "line 1: x is no vertex" },
        { "-5 a\n", "is no vertex" },
        { "18446744073709551616 a\n", "is no vertex" },
        { "184467440737095516150 a\n", "is no vertex" },
        { "000000000000000000000000000000 a\n", "vertex 0 is not in the graph" },
        { "111111111111111111111115 a\n", "is no vertex" }, /* no word is cut in two */
        { "1844674407370955161500000 b\n", "is no vertex" },
        { "5a b\n", "5a is no vertex" },
        { "5 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "unknown zone" },
        { "5 c\n", "zone c, which does not exist" },
        { "5 3\n", "zone 3, which does not exist" },
        { "4 a\n", "vertex 4 is not in the graph" },
        { "5 a\n5 b\n", "fixed to two zones" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char path[32];
        struct placement_pins p = { 0 };
        struct placement_graph g = three();
        struct pr_err err = { .text = "" };
        uint16_t fixed[3];
        write_file(path, row[i].text);
        enum pr_code rc = placement_pins_read(&p, path, &err);
        if (rc == PR_OK)
            rc = placement_pins_apply(&p, &g, zones, 3, fixed, &err);
        assert_int_not_equal(rc, PR_OK);
        if (strstr(err.text, row[i].why) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.text, row[i].why);
        placement_pins_done(&p);
        placement_graph_done(&g);
        unlink(path);
    }
    struct placement_pins p = { 0 };
    assert_int_equal(placement_pins_read(&p, "/nowhere/pins", NULL), PR_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zones_go_by_name_or_by_number),
        cmocka_unit_test(lines_of_windows_and_compressed_files_are_read),
        cmocka_unit_test(bad_lines_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
