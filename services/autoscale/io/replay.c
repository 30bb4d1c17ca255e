#include "io/replay.h"

#include "io/decisions.h"
#include "json/json.h"

#include <string.h>

/* What the policies remembered after a decision: it is carried on, or the next decision was made
 * of it. NULL: neither is there any more, or they began anew. */
static enum pr_code load_memory(struct pr_db *db, const struct autoscale_decision_row *row,
                                json_t **memory, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT memory FROM autoscale_state s WHERE fleet = $1 AND evaluated_at = timestamptz "
        "'epoch' + $2::bigint * interval '1 millisecond' UNION ALL SELECT next.input -> 'memory' "
        "FROM (SELECT input, settings_version FROM autoscale_decisions WHERE fleet = $1 AND id > "
        "$3::bigint ORDER BY id LIMIT 1) next WHERE next.settings_version = $4::bigint AND "
        "(next.input ->> 'decided_ms')::bigint = $2::bigint LIMIT 1",
        PR_ARGS(pr_text(row->fleet), pr_i64(row->at_ms), pr_i64(row->id),
                pr_i64(row->settings_version)),
        &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const char *text = PQntuples(res) == 0 ? NULL : pr_cell(res, 0, 0);
    return text == NULL ? PR_OK : autoscale_json_parse(text, strlen(text), memory, err);
}

enum pr_code autoscale_decision_replay(struct pr_db *db, int64_t id, bool *same,
                                       struct pr_buf *difference, struct pr_err *err)
{
    struct pr_arena arena;
    struct autoscale_decision_row row;
    json_t *input = NULL, *decision = NULL, *memory = NULL;
    pr_arena_init(&arena, 0);
    enum pr_code rc = autoscale_decision_load(db, &arena, id, &row, err);
    if (rc == PR_OK)
        rc = autoscale_json_parse(row.input, strlen(row.input), &input, err);
    if (rc == PR_OK)
        rc = autoscale_json_parse(row.decision, strlen(row.decision), &decision, err);
    if (rc == PR_OK)
        rc = load_memory(db, &row, &memory, err);
    if (rc == PR_OK)
        rc = autoscale_json_replay(input, decision, memory, same, difference, err);
    json_decref(input);
    json_decref(decision);
    json_decref(memory);
    pr_arena_done(&arena);
    return rc == PR_OK || rc == PR_ENOTFOUND ? rc
                                             : pr_wrap(err, rc, "decision %lld", (long long)id);
}
