/* An assignment that is accepted is written and read again the same. */
#include "fuzz.h"

#include "prism/graph_assign.h"
#include "prism/graph_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check_rows(const struct graph_assigns *a, const struct graph_assign_limits *limits)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct graph_assign *const r = &a->row[i];
        FUZZ_CHECK(i == 0 || a->row[i - 1].vertex < r->vertex);
        FUZZ_CHECK(r->zone == GRAPH_NONE || limits->zones == 0 || r->zone < limits->zones);
        FUZZ_CHECK(r->partition == GRAPH_NONE || limits->partitions == 0 ||
                   r->partition < limits->partitions);
    }
}

static char copy_dir[64], copy[80];

static void remove_copy(void)
{
    (void)unlink(copy);
    (void)rmdir(copy_dir);
}

/* In memory where that exists: every file is waited for until it is on its disk. */
static const char *copy_path(void)
{
    if (copy[0] != '\0')
        return copy;
    (void)snprintf(copy_dir, sizeof copy_dir, "%s/assign_fuzz.XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    FUZZ_CHECK(mkdtemp(copy_dir) != NULL);
    (void)snprintf(copy, sizeof copy, "%s/copy", copy_dir);
    FUZZ_CHECK(atexit(remove_copy) == 0);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct graph_assign_limits limits = { n % 2 == 0 ? 0 : 4096, n % 3 == 0 ? 0 : 3 };
    struct graph_assigns a, again;
    struct graph_out *o = NULL;
    struct pr_err err = { .text = "" };
    const enum pr_code rc = graph_assign_read(fuzz_file(data, n), &limits, &a, &err);
    if (rc != PR_OK) {
        FUZZ_CHECK(rc == PR_EDATA && err.text[0] != '\0');
        return 0;
    }
    check_rows(&a, &limits);
    FUZZ_CHECK(graph_out_open(copy_path(), &o, &err) == PR_OK);
    FUZZ_CHECK(graph_assign_put(o, a.row, a.n, &err) == PR_OK);
    FUZZ_CHECK(graph_out_close(o, &err) == PR_OK);
    FUZZ_CHECK(graph_assign_read(copy_path(), &limits, &again, &err) == PR_OK);
    FUZZ_CHECK(again.n == a.n);
    for (size_t i = 0; i < a.n; i++)
        FUZZ_CHECK(a.row[i].vertex == again.row[i].vertex && a.row[i].zone == again.row[i].zone &&
                   a.row[i].partition == again.row[i].partition);
    graph_assigns_done(&a);
    graph_assigns_done(&again);
    return 0;
}
