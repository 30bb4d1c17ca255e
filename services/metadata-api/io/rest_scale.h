/* What the handlers of /v1/autoscale share. Settings, inputs and decisions are documents of the
 * autoscale service: they go through as they are, with its names (snake_case), unlike the
 * members of the API's own answers. */
#ifndef METADATA_API_REST_SCALE_H
#define METADATA_API_REST_SCALE_H

#include "api_scale.h"
#include "change.h"

/* One row of autoscale_decisions d, without its documents. What moves and is no order of its
 * fleet was advice: nobody carries it out. */
#define API_DECISION_MEMBERS                                                                       \
    "'id', d.id, 'fleet', d.fleet, 'at', d.at, 'settingsVersion', d.settings_version, 'from', "    \
    "d.from_instances, 'to', d.to_instances, 'move', d.move, 'why', d.why, 'alarm', d.alarm, "     \
    "'alarmWhy', nullif(d.alarm_why, ''), 'state', d.state, 'advice', d.move IN ('out', 'in') "    \
    "AND NOT EXISTS (SELECT 1 FROM autoscale_actions a WHERE a.fleet = d.fleet AND a.at = d.at), " \
    "'planId', d.plan_id, 'updatedAt', d.updated_at, 'revision', d.revision"

/* The {id} of the path; false after writing a problem. */
bool api_fleet_name(const struct pr_http_req *req, struct pr_http_res *res);
bool api_decision_id(const struct pr_http_req *req, struct pr_http_res *res, int64_t *id);

/* False after writing a problem. */
bool api_fleet_exists(struct api *api, const char *fleet, struct pr_http_res *res);
bool api_decision_exists(struct api *api, int64_t id, struct pr_http_res *res);
/* Answers with JSON text as PostgreSQL has it: every digit, every name. */
void api_reply_text(struct pr_http_res *res, const char *json);

/* Asks the autoscale service whether settings (JSON text) are fit; false after writing a
 * problem: 400 naming the member, or why nobody could be asked. */
bool api_settings_fit(struct api *api, const char *fleet, const char *settings,
                      struct pr_http_res *res);

/* What of a decision's rows people want to know (explain.c): facts is
 * {"row": ..., "decision": ..., "input": ..., "report": ..., "plan": ..., "supersededBy": ...}.
 * No I/O. NULL without memory. */
json_t *api_decision_explained(const json_t *facts);
/* The same as a note for whoever is on call (explain_text.c), appended to out. */
struct pr_buf;
void api_decision_note(const json_t *explained, struct pr_buf *out);

#endif
