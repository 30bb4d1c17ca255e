#include "io/replay.h"

#include "io/decisions.h"
#include "json/json.h"

#include <string.h>

enum pr_code autoscale_decision_replay(struct pr_db *db, int64_t id, bool *same,
                                       struct pr_buf *difference, struct pr_err *err)
{
    struct pr_arena arena;
    struct autoscale_decision_row row;
    json_t *input = NULL, *decision = NULL;
    pr_arena_init(&arena, 0);
    enum pr_code rc = autoscale_decision_load(db, &arena, id, &row, err);
    if (rc == PR_OK)
        rc = autoscale_json_parse(row.input, strlen(row.input), &input, err);
    if (rc == PR_OK)
        rc = autoscale_json_parse(row.decision, strlen(row.decision), &decision, err);
    if (rc == PR_OK)
        rc = autoscale_json_replay(input, decision, same, difference, err);
    json_decref(input);
    json_decref(decision);
    pr_arena_done(&arena);
    return rc == PR_OK || rc == PR_ENOTFOUND ? rc
                                             : pr_wrap(err, rc, "decision %lld", (long long)id);
}
