#include "json/json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void one_line(struct pr_buf *to, const char *path, const json_t *stored, const json_t *now)
{
    char *a = stored == NULL ? NULL : json_dumps(stored, JSON_ENCODE_ANY | JSON_COMPACT);
    char *b = now == NULL ? NULL : json_dumps(now, JSON_ENCODE_ANY | JSON_COMPACT);
    pr_buf_printf(to, "%s: stored %s, now %s\n", path, a == NULL ? "nothing" : a,
                  b == NULL ? "nothing" : b);
    free(a);
    free(b);
}

static void compare(struct pr_buf *to, const char *path, const json_t *stored, const json_t *now);

static void compare_objects(struct pr_buf *to, const char *path, const json_t *stored,
                            const json_t *now)
{
    char inner[256];
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)(uintptr_t)now, name, one)
    {
        (void)snprintf(inner, sizeof inner, "%.180s%s%.60s", path, path[0] == '\0' ? "" : ".",
                       name);
        compare(to, inner, json_object_get(stored, name), one);
    }
    json_object_foreach((json_t *)(uintptr_t)stored, name, one)
    {
        (void)snprintf(inner, sizeof inner, "%.180s%s%.60s", path, path[0] == '\0' ? "" : ".",
                       name);
        if (json_object_get(now, name) == NULL)
            one_line(to, inner, one, NULL);
    }
}

static void compare_arrays(struct pr_buf *to, const char *path, const json_t *stored,
                           const json_t *now)
{
    char inner[256];
    const size_t a = json_array_size(stored), b = json_array_size(now);
    for (size_t i = 0; i < a || i < b; i++) {
        (void)snprintf(inner, sizeof inner, "%.200s[%zu]", path, i);
        compare(to, inner, json_array_get(stored, i), json_array_get(now, i));
    }
}

static uint64_t bits(double v)
{
    uint64_t n;
    memcpy(&n, &v, sizeof n);
    return n;
}

/* A store may have written 5.0 as 5. To the last bit all the same: 0.0 is not -0.0. */
static bool equal(const json_t *a, const json_t *b)
{
    if (a == NULL || b == NULL)
        return false;
    if (!json_is_number(a) || !json_is_number(b) || (json_is_integer(a) && json_is_integer(b)))
        return json_equal(a, b) == 1;
    return bits(json_number_value(a)) == bits(json_number_value(b));
}

static void compare(struct pr_buf *to, const char *path, const json_t *stored, const json_t *now)
{
    if (json_is_object(stored) && json_is_object(now))
        compare_objects(to, path, stored, now);
    else if (json_is_array(stored) && json_is_array(now))
        compare_arrays(to, path, stored, now);
    else if (!equal(stored, now))
        one_line(to, path, stored, now);
}

static enum pr_code again(struct autoscale_json_input *in, json_t **now, json_t **memory,
                          struct pr_err *err)
{
    struct autoscale_decision *d = calloc(1, sizeof *d);
    if (d == NULL)
        return pr_fail(err, PR_ENOMEM, "a decision");
    enum pr_code rc = autoscale_decide(&in->in, in->in.memory, d, err);
    if (rc == PR_OK) {
        *now = autoscale_json_decision_write(&in->in, d);
        *memory = autoscale_json_memory_write(&in->in.settings, in->in.memory);
        if (*now == NULL || *memory == NULL)
            rc = pr_fail(err, PR_ENOMEM, "a decision");
    }
    free(d);
    return rc;
}

enum pr_code autoscale_json_replay(const json_t *input, const json_t *decision,
                                   const json_t *memory, bool *same, struct pr_buf *difference,
                                   struct pr_err *err)
{
    struct autoscale_json_input *in = calloc(1, sizeof *in);
    json_t *now = NULL, *remembered = NULL;
    if (in == NULL)
        return pr_fail(err, PR_ENOMEM, "the input of a decision");
    enum pr_code rc = autoscale_json_input_read(input, NULL, in, err);
    if (rc == PR_OK)
        rc = again(in, &now, &remembered, err);
    if (rc == PR_OK) {
        const size_t before = difference->len;
        compare(difference, "", decision, now);
        if (memory != NULL)
            compare(difference, "memory", memory, remembered);
        *same = difference->len == before;
        if (difference->failed)
            rc = pr_fail(err, PR_ENOMEM, "the differences of a replay");
    }
    json_decref(now);
    json_decref(remembered);
    autoscale_json_input_done(in);
    free(in);
    return rc;
}
