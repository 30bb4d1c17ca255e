/* What holds for every route: limits, arguments, masks, revalidation. */
#ifndef METADATA_API_COMMON_H
#define METADATA_API_COMMON_H

#include "api.h"

/* 0, or the status of the problem written: the principal is too fast, or the query has an
 * argument that the route has not. */
int api_admit(struct api *api, const struct pr_http_req *req, const struct pr_http_route *route,
              struct pr_http_res *res);
/* readMask, and 304 for a client that has it already. */
void api_finish(void *api, const struct pr_http_req *req, const struct pr_http_route *route,
                struct pr_http_res *res);

#endif
