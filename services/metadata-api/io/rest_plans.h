/* What the handlers of /v1/rebalance/plans share. */
#ifndef METADATA_API_REST_PLANS_H
#define METADATA_API_REST_PLANS_H

#include "change.h"

#define API_PLAN_MEMBERS                                                                           \
    "'id', id, 'kind', kind, 'runId', run_id, 'goal', goal, 'fingerprint', fingerprint, "          \
    "'operationId', operation_id, 'executeOperationId', execute_operation_id, 'state', state, "    \
    "'params', params, 'summary', summary, 'result', result, 'error', error, 'createdBy', "        \
    "created_by, 'approvedBy', approved_by, 'createdAt', created_at, 'startedAt', started_at, "    \
    "'finishedAt', finished_at, 'generation', generation, 'revision', revision"
#define API_PLAN_JSON "json_build_object(" API_PLAN_MEMBERS ")"
/* One row of steps. */
#define API_STEP_JSON                                                                              \
    "json_build_object('step', step, 'wave', wave, 'kind', kind, 'slot', slot, 'shard', "          \
    "nullif(shard, ''), 'from', nullif(src_node, ''), 'to', nullif(dst_node, ''), 'bytes', "       \
    "bytes, 'keys', keys, 'why', why, 'state', state, 'movedKeys', moved_keys, 'movedBytes', "     \
    "moved_bytes, 'error', error, 'updatedAt', updated_at)"

/* The {id} of the path; false after writing a problem. */
bool api_plan_id(const struct pr_http_req *req, struct pr_http_res *res, int64_t *id);
/* The command for c->operation; both commands have the same fields and numbers. */
PR_CHECKED enum pr_code api_plan_command(struct pr_db *db, const struct api_change *c,
                                         const char *subject, int64_t plan, struct pr_err *err);
/* 409 while everything is stopped, with who stopped it and when. */
PR_CHECKED enum pr_code api_not_halted(struct pr_db *db, struct api_change *c, struct pr_err *err);

#endif
