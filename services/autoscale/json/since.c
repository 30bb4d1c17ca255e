#include "json/since.h"

#include "json/tables.h"

#include <string.h>

#define TIME_MS   .kind = FIELD_I64, .flags = FIELD_OMIT_ZERO
#define S(member) F(struct autoscale_since, member)
static const struct field since_rows[] = {
    { S(id), .kind = FIELD_WORDS, .flags = FIELD_NEEDED },
    { S(began), .kind = FIELD_BOOL, .flags = FIELD_OMIT_ZERO },
    { S(ready), .kind = FIELD_BOOL, .flags = FIELD_OMIT_ZERO },
    { S(started_ms), TIME_MS },
    { S(ready_since_ms), TIME_MS },
};
static const struct field_table since_fields =
    FIELD_TABLE(since_rows, struct autoscale_since, NULL);

static const struct field sinces_rows[] = {
    { F(struct autoscale_sinces, at_ms), .kind = FIELD_I64, .flags = FIELD_NEEDED },
    { .name = "members",
      .kind = FIELD_LIST,
      .at = offsetof(struct autoscale_sinces, one),
      .count = offsetof(struct autoscale_sinces, n),
      .count_is = COUNT_SIZE,
      .of = &since_fields },
};
static const struct field_table sinces_fields =
    FIELD_TABLE(sinces_rows, struct autoscale_sinces, NULL);

json_t *autoscale_json_sinces_write(const struct autoscale_sinces *s)
{
    return fields_write(NULL, &sinces_fields, s);
}

enum pr_code autoscale_json_sinces_read(const json_t *o, struct pr_arena *arena,
                                        struct autoscale_sinces *out, struct pr_err *err)
{
    struct field_ctx c = { .arena = arena, .err = err };
    memset(out, 0, sizeof *out);
    (void)field_enter(&c, "members", 0);
    const enum pr_code rc = fields_read(&c, &sinces_fields, o, NULL, out);
    for (size_t i = 1; rc == PR_OK && i < out->n; i++)
        if (strcmp(out->one[i - 1].id, out->one[i].id) >= 0)
            return field_bad(&c, "\"%.60s\" is out of order", out->one[i].id);
    return rc;
}
