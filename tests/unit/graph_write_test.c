/* What is written is read again; files appear whole or not at all. */
#include "t.h"

#include "prism/graph_assign.h"
#include "prism/graph_out.h"
#include "prism/graph_write.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[160];
static struct pr_err err;

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/graph_write_test.XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    char cmd[128];
    (void)snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    return system(cmd);
}

static const char *in_dir(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static size_t files_in_dir(void)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void put_text(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static void assert_holds(const char *text)
{
    char buf[4096];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    buf[fread(buf, 1, sizeof buf - 1, f)] = '\0';
    (void)fclose(f);
    assert_string_equal(buf, text);
}

/* --- graphs ------------------------------------------------------------------- */

enum { EDGES = 100000 };

static struct graph_edge edge_of(uint64_t i, uint64_t most, bool weighted)
{
    return (struct graph_edge){ i * 7919 % most, most - i,
                                weighted ? 1 + (uint32_t)(i % 5 * (UINT32_MAX / 5)) : 1 };
}

static void edges_come_back_in_every_format(void **state)
{
    (void)state;
    static const char *const ending[] = { "", ".xz", ".gz", ".zst" };
    static const struct {
        const char *name;
        uint64_t most;
    } row[] = { { "a.txt", UINT64_MAX }, { "a.bin32", UINT32_MAX }, { "a.bin64", UINT64_MAX } };
    for (size_t k = 0; k < PR_COUNT(row) * PR_COUNT(ending) * 2; k++) {
        const uint64_t most = row[k % 3].most;
        const struct graph_write_opts opts = { .weighted = k / 3 % 2 == 1 };
        struct graph_writer *w;
        struct graph_edges g;
        char name[40];
        (void)snprintf(name, sizeof name, "%s%s", row[k % 3].name, ending[k / 6]);
        assert_ok(graph_writer_open(in_dir(name), &opts, &w, &err), &err);
        for (uint64_t i = 0; i < EDGES; i++) {
            const struct graph_edge e = edge_of(i, most, opts.weighted);
            assert_ok(graph_writer_edges(w, &e, 1, &err), &err);
        }
        assert_ok(graph_writer_close(w, &err), &err);
        assert_ok(graph_read(path, GRAPH_AUTO, &g, &err), &err);
        assert_int_equal(g.n, EDGES);
        for (uint64_t i = 0; i < EDGES; i++) {
            const struct graph_edge e = edge_of(i, most, opts.weighted);
            if (g.edge[i].from != e.from || g.edge[i].to != e.to || g.edge[i].weight != e.weight)
                fail_msg("%s: edge %llu is wrong", name, (unsigned long long)i);
        }
        graph_edges_done(&g);
    }
}

static void writes_metis_rows(void **state)
{
    (void)state;
    static const struct graph_write_opts bare = { .vertices = 3, .edges = 2 }, full = {
        .weighted = true, .vertex_weighted = true, .vertices = 3, .edges = 2
    };
    static const uint32_t to[] = { 1, 0, 2, 1 }, weight[] = { 5, 5, 9, 9 };
    struct graph_writer *w;
    assert_ok(graph_writer_open(in_dir("bare.metis"), &bare, &w, &err), &err);
    assert_ok(graph_writer_row(w, 1, to, NULL, 1, &err), &err);
    assert_ok(graph_writer_row(w, 1, to + 1, NULL, 2, &err), &err);
    assert_ok(graph_writer_row(w, 1, to + 3, NULL, 1, &err), &err);
    assert_ok(graph_writer_close(w, &err), &err);
    assert_holds("3 2\n2 \n1 3 \n2 \n");
    assert_ok(graph_writer_open(in_dir("full.metis"), &full, &w, &err), &err);
    assert_ok(graph_writer_row(w, 7, to, weight, 1, &err), &err);
    assert_ok(graph_writer_row(w, 0, to + 1, weight + 1, 2, &err), &err);
    assert_int_equal(graph_writer_edges(w, &(struct graph_edge){ 1, 2, 1 }, 1, &err), PR_EINVAL);
    assert_ok(graph_writer_row(w, 1, to + 3, weight + 3, 1, &err), &err);
    assert_ok(graph_writer_close(w, &err), &err);
    assert_holds("3 2 011\n7 2 5 \n0 1 5 3 9 \n1 2 9 \n");
}

static void refuses_what_the_format_cannot_hold(void **state)
{
    (void)state;
    static const uint32_t to[] = { 1 };
    const struct graph_edge wide = { 1, UINT64_C(1) << 32, 1 }, heavy = { 1, 2, 3 };
    const struct graph_write_opts none = { .format = GRAPH_AUTO }, two = { .vertices = 2 };
    struct graph_writer *w;
    const size_t before = files_in_dir();
    assert_ok(graph_writer_open(in_dir("x.bin32"), &none, &w, &err), &err);
    assert_int_equal(graph_writer_edges(w, &wide, 1, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "x.bin32: id 4294967296 does not fit bin32"));
    assert_int_equal(graph_writer_edges(w, &heavy, 1, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "edge 1 - 2 weighs 3"));
    assert_int_equal(graph_writer_row(w, 1, to, NULL, 1, &err), PR_EINVAL);
    graph_writer_abort(w);
    assert_ok(graph_writer_open(in_dir("x.metis"), &two, &w, &err), &err);
    assert_int_equal(graph_writer_row(w, 5, to, NULL, 1, &err), PR_EINVAL);
    assert_ok(graph_writer_row(w, 1, to, NULL, 1, &err), &err);
    assert_int_equal(graph_writer_close(w, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "1 rows of 1 neighbours were written"));
    assert_int_equal(files_in_dir(), before);
    graph_writer_abort(NULL);
}

/* --- files ---------------------------------------------------------------------- */

static void a_file_keeps_what_it_held_until_the_new_one_is_whole(void **state)
{
    (void)state;
    struct graph_out *o;
    put_text("old", "old");
    const size_t before = files_in_dir();
    assert_ok(graph_out_open(path, &o, &err), &err);
    assert_ok(graph_out_put(o, "new", 3, &err), &err);
    assert_holds("old");
    assert_int_equal(files_in_dir(), before + 1);
    graph_out_abort(o);
    assert_int_equal(files_in_dir(), before);
    assert_holds("old");
    assert_ok(graph_out_open(path, &o, &err), &err);
    assert_ok(graph_out_put(o, "new", 3, &err), &err);
    assert_ok(graph_out_close(o, &err), &err);
    assert_int_equal(files_in_dir(), before);
    assert_holds("new");
}

static void a_link_stays_one(void **state)
{
    (void)state;
    char target[160];
    struct graph_out *o;
    struct stat st;
    put_text("target", "old");
    (void)snprintf(target, sizeof target, "%s", path);
    assert_int_equal(symlink(target, in_dir("link")), 0);
    assert_ok(graph_out_open(path, &o, &err), &err);
    assert_ok(graph_out_put(o, "new", 3, &err), &err);
    assert_ok(graph_out_close(o, &err), &err);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_holds("new");
}

static void what_cannot_be_opened_is_named(void **state)
{
    (void)state;
    struct graph_out *o = NULL;
    assert_int_equal(graph_out_open(in_dir("no/such"), &o, &err), PR_ENOTFOUND);
    assert_non_null(strstr(err.text, "no/such: No such file"));
    assert_int_equal(graph_out_open(dir, &o, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "directory"));
    assert_null(o);
}

/* A limit on the size of files stands for a full disk; /dev/full is one. */
static void a_full_disk_is_named_and_nothing_is_left(void **state)
{
    (void)state;
    static const char *const name[] = { "full", "full.xz", "full.gz", "full.zst" };
    const struct rlimit small = { 1 << 16, RLIM_INFINITY };
    struct rlimit was;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    const size_t before = files_in_dir();
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (size_t i = 0; i < PR_COUNT(name); i++) {
        struct graph_out *o;
        enum pr_code rc = PR_OK;
        assert_ok(graph_out_open(in_dir(name[i]), &o, &err), &err);
        uint64_t noise = 1; /* does not compress */
        for (int k = 0; k < 1 << 20 && rc == PR_OK; k++) {
            noise = noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const uint64_t mixed = noise ^ noise >> 29;
            rc = graph_out_put(o, &mixed, sizeof mixed, &err);
        }
        if (rc == PR_OK)
            rc = graph_out_close(o, &err);
        else
            graph_out_abort(o);
        assert_int_equal(rc, PR_EFULL);
        assert_non_null(strstr(err.text, name[i]));
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(files_in_dir(), before);
    struct graph_out *o;
    assert_ok(graph_out_open("/dev/full", &o, &err), &err); /* a device: written directly */
    assert_ok(graph_out_put(o, "x", 1, &err), &err);
    assert_int_equal(graph_out_close(o, &err), PR_EFULL);
    assert_non_null(strstr(err.text, "/dev/full: No space left"));
    assert_int_equal(access("/dev/full", F_OK), 0);
}

/* --- assignments ------------------------------------------------------------------ */

static void assignments_come_back_sorted(void **state)
{
    (void)state;
    static const char *const name[] = { "z.txt", "z.xz", "z.gz", "z.zst" };
    static const struct graph_assign row[] = { { UINT64_MAX, 3, 2 },
                                               { 5, GRAPH_NONE, 0 },
                                               { 0, GRAPH_NONE - 1, GRAPH_NONE } };
    for (size_t i = 0; i < PR_COUNT(name); i++) {
        struct graph_out *o;
        struct graph_assigns a;
        assert_ok(graph_out_open(in_dir(name[i]), &o, &err), &err);
        assert_ok(graph_assign_put(o, row, 3, &err), &err);
        assert_ok(graph_out_close(o, &err), &err);
        if (i == 0)
            assert_holds("18446744073709551615 3 2\n5 - 0\n0 4294967294 -\n");
        assert_ok(graph_assign_read(path, NULL, &a, &err), &err);
        assert_int_equal(a.n, 3);
        for (size_t k = 0; k < 3; k++) {
            assert_true(a.row[k].vertex == row[2 - k].vertex);
            assert_int_equal(a.row[k].partition, row[2 - k].partition);
            assert_int_equal(a.row[k].zone, row[2 - k].zone);
        }
        graph_assigns_done(&a);
    }
    put_text("spaced", "# c\n\n 7\t-  1 \r\n% d\n6 0 0");
    struct graph_assigns a;
    assert_ok(graph_assign_read(path, NULL, &a, &err), &err);
    assert_int_equal(a.n, 2);
    assert_int_equal(a.row[1].zone, 1);
    graph_assigns_done(&a);
}

static void a_bad_assignment_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct graph_assign_limits limits = { .partitions = 10, .zones = 3 };
    static const struct {
        const char *text, *says;
    } row[] = {
        { "", "no line 'vertex partition zone'" },
        { "# 1 2 0\n", "no line 'vertex partition zone'" },
        { "1 2\n", "line 1: no zone: want 'vertex partition zone'" },
        { "1 2 0\n7\n", "line 2: no partition" },
        { "1 2 0 4\n", "line 1: more than three columns" },
        { "1 10 0\n", "line 1: partition '10' is not in 0..9" },
        { "1 9 3\n", "line 1: zone '3' is not in 0..2" },
        { "1 9 99999999999999999999\n", "line 1: zone '99999999999999999999' is too large" },
        { "-1 2 0\n", "line 1: vertex '-1' is negative" },
        { "- 2 0\n", "line 1: vertex '-' is negative" },
        { "1 -2 0\n", "line 1: partition '-2' is negative" },
        { "1 -\n", "line 1: no zone" },
        { "1 2 a\n", "line 1: zone 'a' is not a whole number" },
        { "18446744073709551616 2 0\n", "line 1: vertex '18446744073709551616' is too large" },
        { "4 2 0\n# c\n3 - 0\n4 2 0\n", "line 4: vertex '4' is named a second time" },
        { "4 2 0\n4 2 0\n", "line 2: vertex '4' is named a second time" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct graph_assigns a = { .n = 77 };
        put_text("bad", row[i].text);
        assert_int_equal(graph_assign_read(path, &limits, &a, &err), PR_EDATA);
        if (strstr(err.text, row[i].says) == NULL || strstr(err.text, path) == NULL)
            fail_msg("'%s' does not say '%s'", err.text, row[i].says);
        assert_int_equal(a.n, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_come_back_in_every_format),
        cmocka_unit_test(writes_metis_rows),
        cmocka_unit_test(refuses_what_the_format_cannot_hold),
        cmocka_unit_test(a_file_keeps_what_it_held_until_the_new_one_is_whole),
        cmocka_unit_test(a_link_stays_one),
        cmocka_unit_test(what_cannot_be_opened_is_named),
        cmocka_unit_test(a_full_disk_is_named_and_nothing_is_left),
        cmocka_unit_test(assignments_come_back_sorted),
        cmocka_unit_test(a_bad_assignment_is_named_with_its_line),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
