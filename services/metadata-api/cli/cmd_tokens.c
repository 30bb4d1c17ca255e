/* API tokens: made, shown once, revoked. */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char tokens[] = "/v1/tokens";

int ctl_token_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "TOKEN", "id" },          { "ROLE", "role" },
        { "STATE", "state" },       { "EXPIRES", "expiresAt" },
        { "CREATED", "createdAt" }, { "BY", "createdBy" },
        { "REVOKED", "revokedAt" }, { "REVOKED BY", "revokedBy" },
    };
    char query[1200] = "";
    ctl_query(query, sizeof query, "role", ctl_opt(line, "role"));
    ctl_query(query, sizeof query, "state", ctl_opt(line, "state"));
    ctl_query(query, sizeof query, "createdBy", ctl_opt(line, "by"));
    return ctl_show_list(ctl, line, tokens, query, columns, COUNT(columns));
}

int ctl_token_show(struct ctl *ctl, const struct ctl_line *line)
{
    char path[512];
    ctl_path(path, sizeof path, tokens, line->arg[0], "");
    return ctl_show(ctl, path);
}

/* The file is made before the token is: a token that cannot be kept must not be made. */
static int open_file(const char *path, int *fd)
{
    *fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return path == NULL || *fd >= 0
               ? CTL_OK
               : ctl_complain(CTL_USAGE, "token file %s: %s", path, strerror(errno));
}

static int keep(int fd, const char *path, const char *token)
{
    const bool kept = dprintf(fd, "%s\n", token) > 0 && fsync(fd) == 0;
    const int fault = errno;
    return kept ? CTL_OK : ctl_complain(CTL_FAILED, "token file %s: %s", path, strerror(fault));
}

static int show(struct ctl *ctl, json_t *made, const char *path, int fd)
{
    const json_t *token = json_object_get(made, "token");
    int code = CTL_OK;
    if (token == NULL && !json_is_true(json_object_get(made, "dryRun")))
        return ctl_complain(CTL_FAILED,
                            "the token was made, but the answer that had it was lost: revoke it, "
                            "and make another one");
    if (token != NULL && path != NULL) {
        code = keep(fd, path, json_string_value(token));
        json_object_del(made, "token");
        token = NULL;
    }
    if (token != NULL && !ctl->json)
        printf("%s\n", json_string_value(token)); /* alone, for a file or a variable */
    else
        ctl_print(ctl, made);
    return code;
}

int ctl_token_create(struct ctl *ctl, const struct ctl_line *line)
{
    const char *path = ctl_opt(line, "file"), *expires = ctl_opt(line, "expires");
    char at[40];
    struct ctl_reply r;
    int fd = -1;
    int code = expires == NULL ? CTL_OK : ctl_time_ahead("expires", expires, at);
    if (code == CTL_OK && !ctl->dry)
        code = open_file(path, &fd);
    if (code != CTL_OK)
        return code;
    json_t *body = json_pack("{s:s}", "id", line->arg[0]);
    ctl_text_option(line, "role", body, "role");
    if (expires != NULL)
        json_object_set_new(body, "expiresAt", json_string(at));
    code = ctl_must(ctl, "POST", tokens, body, NULL, &r);
    if (code == CTL_OK)
        code = show(ctl, r.body, fd < 0 ? NULL : path, fd);
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && code != CTL_OK)
        unlink(path);
    ctl_reply_done(&r);
    return code;
}

int ctl_token_revoke(struct ctl *ctl, const struct ctl_line *line)
{
    char path[512];
    int code;
    ctl_path(path, sizeof path, tokens, line->arg[0], ":revoke");
    if (!ctl_consent(ctl, line, &code, "End token %s, for good", line->arg[0]))
        return code;
    return ctl_submit(ctl, "POST", path, NULL, NULL);
}
