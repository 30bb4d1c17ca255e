/* Edge lists in every form, and what is wrong with bad ones. */
#include "prism/graph_read.h"
#include "t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/graph_read_test.XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    char cmd[128];
    (void)snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    return system(cmd);
}

static const char *put(const char *name, const void *bytes, size_t n)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static const char *put_text(const char *name, const char *text)
{
    return put(name, text, strlen(text));
}

/* Packs the file with a command-line tool; returns the packed file's path. */
static const char *pack(const char *path, const char *tool, const char *suffix)
{
    static char out[200];
    char cmd[500];
    (void)snprintf(out, sizeof out, "%s%s", path, suffix);
    (void)snprintf(cmd, sizeof cmd, "%s < '%s' > '%s'", tool, path, out);
    assert_int_equal(system(cmd), 0);
    return out;
}

static void assert_edges(const char *path, enum graph_format format, const struct graph_edge *want,
                         size_t n)
{
    struct graph_edges g;
    struct pr_err err = { .text = "" };
    assert_ok(graph_read(path, format, &g, &err), &err);
    assert_int_equal(g.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(g.edge[i].from, want[i].from);
        assert_int_equal(g.edge[i].to, want[i].to);
        assert_int_equal(g.edge[i].weight, want[i].weight);
    }
    graph_edges_done(&g);
}

static void assert_refused(const char *path, enum graph_format format, enum pr_code code,
                           const char *says)
{
    struct graph_edges g = { .n = 77 };
    struct pr_err err = { .text = "" };
    assert_int_equal(graph_read(path, format, &g, &err), code);
    if (strstr(err.text, says) == NULL || strstr(err.text, path) == NULL)
        fail_msg("'%s' does not say '%s' or '%s'", err.text, path, says);
    assert_int_equal(g.n, 77); /* nothing half-loaded */
}

static void reads_snap_text_with_comments_weights_and_odd_spacing(void **state)
{
    (void)state;
    static const struct graph_edge want[] = {
        { 1, 2, 1 }, { 0, UINT64_MAX, 4294967295U }, { 5, 5, 3 }, { 1, 2, 1 }
    };
    assert_edges(put_text("a.txt", "# a comment\n% another\n\n1 2\n"
                                   "0\t18446744073709551615  4294967295\n  5 5 3 \t\n   \n1 2"),
                 GRAPH_AUTO, want, PR_COUNT(want));
}

static void reads_windows_line_ends(void **state)
{
    (void)state;
    static const struct graph_edge want[] = { { 1, 2, 1 }, { 3, 4, 7 }, { 5, 6, 1 } };
    assert_edges(put_text("crlf.txt", "# c\r\n1 2\r\n\r\n3 4 7\r\n5 6 \r\n"), GRAPH_AUTO, want,
                 PR_COUNT(want));
    assert_edges(put_text("crlf2.txt", "1 2\r\n3 4 7\r\n5 6\r"), GRAPH_AUTO, want, PR_COUNT(want));
}

static void a_bad_line_is_named_with_its_number(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } row[] = {
        { "1 2\n3 x\n", "line 2: second id 'x' is not a whole number" },
        { "# c\n\n1 2\n-3 4\n", "line 4: id '-3' is negative" },
        { "1 -2\n", "line 1: second id '-2' is negative" },
        { "1 2 -7\n", "line 1: weight '-7' is negative" },
        { "1 2 0\n", "line 1: weight '0' is not in 1..4294967295" },
        { "1 2 1.5\n", "line 1: weight '1.5' is not a whole number" },
        { "1 2 4294967296\n", "line 1: weight '4294967296' is too large" },
        { "1\n", "line 1: no second id" },
        { "1 2\n7 \r\n", "line 2: no second id" },
        { "1", "line 1: no second id" },
        { "1 2 3 4\n", "line 1: more than three columns" },
        { "18446744073709551616 1\n", "line 1: id '18446744073709551616' is too large" },
        { "1 18446744073709551617\n", "line 1: second id '18446744073709551617' is too large" },
        { "1 2\n12a 3\n", "line 2: id '12a' is not a whole number" },
        { "a,b\n", "line 1: id 'a,b' is not a whole number" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_refused(put_text("bad.txt", row[i].text), GRAPH_SNAP, PR_EDATA, row[i].says);
}

static void a_file_without_edges_is_an_empty_graph(void **state)
{
    (void)state;
    assert_refused(put_text("empty.txt", ""), GRAPH_AUTO, PR_EDATA, "empty graph");
    assert_refused(put_text("only.txt", "# one\n% two\n\n"), GRAPH_AUTO, PR_EDATA, "empty graph");
    assert_refused(put_text("empty.bin64", ""), GRAPH_AUTO, PR_EDATA, "empty graph");
    assert_refused(put_text("empty.metis", ""), GRAPH_AUTO, PR_EDATA, "empty graph");
    assert_refused(put_text("none.metis", "2 0\n\n\n"), GRAPH_AUTO, PR_EDATA, "empty graph");
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/missing.txt", dir);
    assert_refused(path, GRAPH_AUTO, PR_ENOTFOUND, "No such file");
    assert_refused(dir, GRAPH_AUTO, PR_EINVAL, "is a directory");
    if (geteuid() != 0) { /* root may read everything */
        const char *secret = put_text("secret.txt", "1 2\n");
        assert_int_equal(chmod(secret, 0), 0);
        assert_refused(secret, GRAPH_AUTO, PR_EDENIED, "denied");
    }
}

static const char *const packers[][2] = { { "xz -1 -c", ".xz" },
                                          { "gzip -c", ".gz" },
                                          { "zstd -q -c", ".zst" } };

static void reads_compressed_text_whatever_its_name(void **state)
{
    (void)state;
    enum { LINES = 400000 }; /* well over every buffer */
    char *text = malloc(LINES * 16), *p = text;
    for (int i = 0; i < LINES; i++)
        p += sprintf(p, "%d %d\n", i % 7, i);
    const char *path = put("big.txt", text, (size_t)(p - text));
    for (size_t i = 0; i < PR_COUNT(packers); i++) {
        const char *suffix[] = { packers[i][1], ".renamed" };
        for (size_t k = 0; k < 2; k++) {
            struct graph_edges g;
            struct pr_err err;
            assert_ok(graph_read(pack(path, packers[i][0], suffix[k]), GRAPH_AUTO, &g, &err), &err);
            assert_int_equal(g.n, LINES);
            for (size_t e = 0; e < g.n; e++)
                if (g.edge[e].from != e % 7 || g.edge[e].to != e)
                    fail_msg("edge %zu is wrong", e);
            graph_edges_done(&g);
        }
    }
    free(text);
}

static void reads_a_stream_that_shrank_a_thousandfold(void **state)
{
    (void)state;
    enum { LINES = 1 << 19 };
    char *text = malloc(LINES * 4);
    for (size_t i = 0; i < LINES; i++)
        memcpy(text + 4 * i, "1 2\n", 4);
    const char *path = put("same.txt", text, (size_t)LINES * 4);
    for (size_t i = 0; i < PR_COUNT(packers); i++) {
        struct graph_edges g;
        struct pr_err err;
        assert_ok(graph_read(pack(path, packers[i][0], packers[i][1]), GRAPH_AUTO, &g, &err), &err);
        assert_int_equal(g.n, LINES);
        graph_edges_done(&g);
    }
    free(text);
}

static void reads_streams_put_one_behind_another(void **state)
{
    (void)state;
    static const struct graph_edge want[] = { { 1, 2, 1 }, { 3, 4, 1 } };
    for (size_t i = 0; i < PR_COUNT(packers); i++) {
        char one[200], two[200], cmd[700];
        (void)snprintf(one, sizeof one, "%s",
                       pack(put_text("one", "1 2\n"), packers[i][0], packers[i][1]));
        (void)snprintf(two, sizeof two, "%s",
                       pack(put_text("two", "3 4\n"), packers[i][0], packers[i][1]));
        (void)snprintf(cmd, sizeof cmd, "cat '%s' '%s' > '%s/both'", one, two, dir);
        assert_int_equal(system(cmd), 0);
        (void)snprintf(cmd, sizeof cmd, "%s/both", dir);
        assert_edges(cmd, GRAPH_SNAP, want, 2);
    }
}

static void a_compressed_stream_cut_off_anywhere_is_refused(void **state)
{
    (void)state;
    char text[4000], *p = text;
    for (int i = 0; i < 300; i++)
        p += sprintf(p, "%d %d\n", i, i * 7919 % 1000);
    for (size_t i = 0; i < PR_COUNT(packers); i++) {
        const char *packed =
            pack(put("whole.txt", text, (size_t)(p - text)), packers[i][0], packers[i][1]);
        unsigned char bytes[4096];
        FILE *f = fopen(packed, "rb");
        assert_non_null(f);
        const size_t n = fread(bytes, 1, sizeof bytes, f);
        (void)fclose(f);
        assert_in_range(n, 100, sizeof bytes - 1);
        for (size_t cut = 6; cut < n; cut += cut < n - 20 ? 37 : 1)
            assert_refused(put("cut", bytes, cut), GRAPH_SNAP, PR_EDATA, "");
        bytes[n / 2] ^= 0x55;
        assert_refused(put("flipped", bytes, n), GRAPH_SNAP, PR_EDATA, "");
    }
}

static void reads_metis_files(void **state)
{
    (void)state;
    static const struct graph_edge plain[] = { { 1, 2, 1 }, { 1, 3, 1 }, { 2, 3, 1 }, { 3, 4, 1 } };
    static const struct graph_edge weighted[] = { { 1, 2, 5 }, { 2, 3, 9 } };
    assert_edges(put_text("a.metis", "% c\n5 4\n2 3\n1 3\n% c\n1 2 4\n3\n\n"), GRAPH_AUTO, plain,
                 4);
    assert_edges(put_text("b.graph", "3 2 1\n2 5\n1 5 3 9\r\n2 9"), GRAPH_AUTO, weighted, 2);
    /* vertex size, two vertex weights, edge weights */
    assert_edges(put_text("c.metis", "3 2 111 2\n7 1 1 2 5\n8 1 1 1 5 3 9\n9 1 1 2 9\n\n\n"),
                 GRAPH_AUTO, weighted, 2);
}

static void refuses_metis_files_that_contradict_their_header(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } row[] = {
        { "3 1\n2\n1\n", "header says 3 vertices, the file has 2" },
        { "2 1\n2\n1\n1\n", "line 4: more lines than" },
        { "2 2\n2\n1\n", "header says 2 edges (4 neighbours), the file has 2" },
        { "2 1\n3\n1\n", "line 2: neighbour not in" },
        { "2 1\n0\n1\n", "line 2: neighbour not in" },
        { "2 1\n-2\n1\n", "line 2: neighbour '-2' is negative" },
        { "2 1 1\n2\n1 5\n", "line 2: weight '' is missing" },
        { "2 1 1\n2 0\n1 0\n", "line 2: weight 0" },
        { "x 1\n", "line 1: number of vertices 'x'" },
        { "2\n2\n1\n", "line 1: number of edges '' is missing" },
        { "2 1 2\n2\n1\n", "line 1: header" },
        { "2 1 0 1 9\n2\n1\n", "line 1: header" },
        { "% only\n", "empty graph" },
        { "3 1\n2\n\n1\n", "some edge does not stand in the rows of both its ends" },
        { "2 1 1\n2 5\n1 6\n", "both its ends with one weight" },
        { "2 1 11\n1 2 5\n\n", "line 3: vertex weight '' is missing" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_refused(put_text("bad.metis", row[i].text), GRAPH_AUTO, PR_EDATA, row[i].says);
}

static void reads_binary_pairs_and_triples(void **state)
{
    (void)state;
    static const unsigned char b32[] = { 1, 0, 0, 0, 2, 1, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0 };
    static const unsigned char b64[] = { 1,   0,   0,   0,   0,   0,   0,   0,
                                         255, 255, 255, 255, 255, 255, 255, 255 };
    static const unsigned char w32[] = "PRISMEW1\1\0\0\0\2\0\0\0\7\0\0\0";
    static const struct graph_edge e32[] = { { 1, 258, 1 }, { 4294967295U, 0, 1 } };
    static const struct graph_edge e64[] = { { 1, UINT64_MAX, 1 } };
    static const struct graph_edge ew[] = { { 1, 2, 7 } };
    assert_edges(put("a.bin32", b32, sizeof b32), GRAPH_AUTO, e32, 2);
    assert_edges(put("a.bin64", b64, sizeof b64), GRAPH_AUTO, e64, 1);
    assert_edges(put("w.bin32", w32, sizeof w32 - 1), GRAPH_AUTO, ew, 1);
    assert_edges(pack(put("a.bin32", b32, sizeof b32), "gzip -c", ".gz"), GRAPH_AUTO, e32, 2);
}

static void refuses_damaged_binary_files(void **state)
{
    (void)state;
    static const unsigned char odd[17] = { 1 };
    static const unsigned char zero[] = "PRISMEW1\1\0\0\0\2\0\0\0\0\0\0\0";
    assert_refused(put("odd.bin64", odd, 17), GRAPH_AUTO, PR_EDATA, "inside edge 2: 1 of its 16");
    assert_refused(put("odd.bin32", odd, 7), GRAPH_AUTO, PR_EDATA, "inside edge 1: 7 of its 8");
    assert_refused(put("zero.bin32", zero, sizeof zero - 1), GRAPH_AUTO, PR_EDATA,
                   "edge 1: weight 0");
}

struct gathered {
    struct graph_vertex vertex[8];
    size_t vertices, edges;
    uint64_t read_bytes, file_bytes;
    size_t stop_after; /* batches; 0: never */
    size_t batches;
};

static enum pr_code gather(void *ctx, const struct graph_batch *batch, struct pr_err *err)
{
    struct gathered *g = ctx;
    for (size_t i = 0; i < batch->vertices && g->vertices < PR_COUNT(g->vertex); i++)
        g->vertex[g->vertices++] = batch->vertex[i];
    g->edges += batch->edges;
    assert_true(batch->read_bytes >= g->read_bytes);
    g->read_bytes = batch->read_bytes;
    g->file_bytes = batch->file_bytes;
    if (++g->batches == g->stop_after)
        return pr_fail(err, PR_ECANCELED, "enough");
    return PR_OK;
}

static void metis_vertices_come_with_their_weights(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t weight[3];
    } row[] = {
        { "3 1\n2\n1\n\n", { 1, 1, 1 } },
        { "3 1 10\n7 2\n0 1\n9223372036854775807\n", { 7, 0, INT64_MAX } },
        { "3 1 110 2\n5 7 8 2\n5 9 9 1\n5 1 2\n", { 7, 9, 1 } }, /* the first of two */
        { "3 0 10\n4\n5\n6\n", { 4, 5, 6 } },                    /* no edge at all */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct gathered g = { .edges = 0 };
        struct pr_err err;
        assert_ok(graph_read_each(put_text("w.metis", row[i].text), GRAPH_AUTO, gather, &g, &err),
                  &err);
        assert_int_equal(g.vertices, 3);
        for (size_t v = 0; v < 3; v++) {
            assert_int_equal(g.vertex[v].id, v + 1);
            assert_true(g.vertex[v].weight == row[i].weight[v]);
        }
        assert_int_equal(g.read_bytes, strlen(row[i].text));
        assert_int_equal(g.file_bytes, strlen(row[i].text));
    }
}

static void a_sink_may_stop_the_reading(void **state)
{
    (void)state;
    struct gathered g = { .stop_after = 2 };
    struct pr_err err;
    assert_int_equal(graph_read_each(PRISM_SOURCE_DIR "/tests/data/road-NY.txt.xz", GRAPH_AUTO,
                                     gather, &g, &err),
                     PR_ECANCELED);
    assert_string_equal(err.text, "enough");
    assert_int_equal(g.batches, 2);
    assert_true(g.edges < 365050 && g.read_bytes < g.file_bytes);
}

/* Numbers of every length at every place of a line, at a buffer's end too. */
static void reads_numbers_of_every_length(void **state)
{
    (void)state;
    static const char one[] = "12345678901234567890", two[] = "10987654321098765432";
    char text[64];
    for (int from = 1; from <= 20; from++)
        for (int to = 1; to <= 20; to++) {
            const uint64_t a = strtoull(&one[20 - from], NULL, 10),
                           b = strtoull(&two[20 - to], NULL, 10);
            const struct graph_edge want = { a, b, 1 };
            (void)snprintf(text, sizeof text, "%llu %llu", (unsigned long long)a,
                           (unsigned long long)b);
            assert_edges(put_text("len.txt", text), GRAPH_SNAP, &want, 1);
            (void)snprintf(text, sizeof text, "%0*llu\t%0*llu\n", from + 4, (unsigned long long)a,
                           to + 5, (unsigned long long)b); /* zeros may lead */
            assert_edges(put_text("len.txt", text), GRAPH_SNAP, &want, 1);
        }
}

static void an_error_fits_whatever_the_path(void **state)
{
    (void)state;
    char path[900];
    int n = snprintf(path, sizeof path, "%s", dir);
    for (int i = 0; i < 3; i++) {
        n += snprintf(path + n, sizeof path - (size_t)n, "/%0200d", i);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    (void)snprintf(path + n, sizeof path - (size_t)n, "/bad");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("1 x\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    struct pr_err err;
    struct graph_edges g;
    assert_int_equal(graph_read(path, GRAPH_AUTO, &g, &err), PR_EDATA);
    assert_non_null(strstr(err.text, "0002/bad: line 1: second id 'x' is not a whole number"));
}

static void knows_formats_by_name(void **state)
{
    (void)state;
    assert_int_equal(graph_format_parse("auto"), GRAPH_AUTO);
    assert_int_equal(graph_format_parse("snap"), GRAPH_SNAP);
    assert_int_equal(graph_format_parse("metis"), GRAPH_METIS);
    assert_int_equal(graph_format_parse("bin32"), GRAPH_BIN32);
    assert_int_equal(graph_format_parse("bin64"), GRAPH_BIN64);
    assert_int_equal((int)graph_format_parse("csv"), -1);
}

static void reads_the_demo_graphs_whole(void **state)
{
    (void)state;
    struct graph_edges g;
    struct pr_err err;
    assert_ok(graph_read(PRISM_SOURCE_DIR "/tests/data/road-NY.txt.xz", GRAPH_AUTO, &g, &err),
              &err);
    assert_int_equal(g.n, 365050);
    graph_edges_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_snap_text_with_comments_weights_and_odd_spacing),
        cmocka_unit_test(reads_windows_line_ends),
        cmocka_unit_test(a_bad_line_is_named_with_its_number),
        cmocka_unit_test(a_file_without_edges_is_an_empty_graph),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(reads_compressed_text_whatever_its_name),
        cmocka_unit_test(reads_a_stream_that_shrank_a_thousandfold),
        cmocka_unit_test(reads_streams_put_one_behind_another),
        cmocka_unit_test(a_compressed_stream_cut_off_anywhere_is_refused),
        cmocka_unit_test(reads_metis_files),
        cmocka_unit_test(refuses_metis_files_that_contradict_their_header),
        cmocka_unit_test(reads_binary_pairs_and_triples),
        cmocka_unit_test(refuses_damaged_binary_files),
        cmocka_unit_test(metis_vertices_come_with_their_weights),
        cmocka_unit_test(a_sink_may_stop_the_reading),
        cmocka_unit_test(reads_numbers_of_every_length),
        cmocka_unit_test(an_error_fits_whatever_the_path),
        cmocka_unit_test(knows_formats_by_name),
        cmocka_unit_test(reads_the_demo_graphs_whole),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
