#include "prism/web/aws_keys.h"

#include <stdio.h>
#include <string.h>

enum pr_code pr_aws_settings_check(const struct pr_aws_settings *set, struct pr_err *err)
{
    const struct {
        const char *name, *url;
        bool nearby;
    } row[] = {
        { "PRISM_AWS_STS_URL", set->sts_url, false },
        { "AWS_CONTAINER_CREDENTIALS_FULL_URI", set->container_url, true },
        { "PRISM_AWS_METADATA_URL", set->metadata_url, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        if (row[i].url[0] == '\0')
            continue;
        const enum pr_code rc = pr_web_private(row[i].url, row[i].nearby, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "%s", row[i].name);
    }
    return PR_OK;
}

static bool copy(char *to, size_t room, const char *from)
{
    return (size_t)snprintf(to, room, "%s", from) < room;
}

/* Amazon ECS Developer Guide, "IAM roles for tasks": where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
 * is a path. It goes before AWS_CONTAINER_CREDENTIALS_FULL_URI. */
#define CONTAINER_HOST "http://169.254.170.2"

enum pr_code pr_aws_source_of(const struct pr_aws_settings *set, struct pr_aws_source *out,
                              struct pr_err *err)
{
    const char *path = set->container_path, *region = set->region;
    memset(out, 0, sizeof *out);
    out->timeout_ms = set->timeout_ms;
    if (path[0] != '\0' && path[0] != '/') /* the host would be another */
        return pr_fail(err, PR_EINVAL,
                       "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI \"%.60s\" does not begin with /",
                       path);
    const bool sts =
        set->sts_url[0] != '\0'
            ? copy(out->sts_url, sizeof out->sts_url, set->sts_url)
            : (size_t)snprintf(out->sts_url, sizeof out->sts_url,
                               "https://sts%s%s.amazonaws.com%s/", region[0] != '\0' ? "." : "",
                               region,
                               strncmp(region, "cn-", 3) == 0 ? ".cn" : "") < sizeof out->sts_url;
    return sts && copy(out->role_arn, sizeof out->role_arn, set->role_arn) &&
                   copy(out->role_session, sizeof out->role_session, set->role_session) &&
                   copy(out->web_token_file, sizeof out->web_token_file, set->web_token) &&
                   copy(out->sts_ca_file, sizeof out->sts_ca_file, set->ca_file) &&
                   copy(out->keys.access, sizeof out->keys.access, set->access_key) &&
                   copy(out->keys.secret, sizeof out->keys.secret, set->secret_key) &&
                   copy(out->keys.token, sizeof out->keys.token, set->session_token) &&
                   (path[0] != '\0'
                        ? (size_t)snprintf(out->container_url, sizeof out->container_url,
                                           CONTAINER_HOST "%s", path) < sizeof out->container_url
                        : copy(out->container_url, sizeof out->container_url,
                               set->container_url)) &&
                   copy(out->container_token_file, sizeof out->container_token_file,
                        set->container_token) &&
                   copy(out->metadata_url, sizeof out->metadata_url, set->metadata_url)
               ? PR_OK
               : pr_fail(err, PR_EINVAL, "aws: a setting is too long");
}
