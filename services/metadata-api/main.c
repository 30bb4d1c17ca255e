/* metadata-api: where is a vertex, why, and what next? REST over what the
 * other services know. */
#include "io/api.h"
#include "prism/io/log.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    struct pr_service svc = { 0 };
    struct pr_err err = { 0 };
    struct api *api = NULL;

    enum pr_code rc = api_new(&api, &svc, &err);
    if (rc == PR_OK)
        rc = pr_service_open(&svc, &api->def, argc, argv, &err);
    if (rc == PR_OK)
        rc = api_open(api, &err);
    if (rc == PR_OK)
        rc = pr_service_run(&svc, api_tick, api, 1000, &err);
    if (rc != PR_OK && rc != PR_ECANCELED)
        pr_error(PR_EV("metadata-api.stopped"), PR_S("code", pr_code_name(rc)), PR_E(&err));

    api_stop(api); /* wakes handlers that wait for a snapshot */
    pr_service_close(&svc);
    api_free(api);
    return rc == PR_OK || rc == PR_ECANCELED ? EXIT_SUCCESS : EXIT_FAILURE;
}
