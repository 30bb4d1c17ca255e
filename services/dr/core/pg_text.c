#include "core/pg_text.h"

#include <stdlib.h>
#include <string.h>

static const char HTTPS[] = "https://";

/* ' becomes what `instead` says. */
static void quoted(struct pr_buf *out, const char *text, const char *instead, bool backslash)
{
    pr_buf_str(out, "'");
    for (const char *c = text; *c != '\0'; c++)
        if (*c == '\'')
            pr_buf_str(out, instead);
        else if (*c == '\\' && backslash)
            pr_buf_str(out, "\\\\");
        else
            pr_buf_add(out, c, 1);
    pr_buf_str(out, "'");
}

void dr_pg_add_shell(struct pr_buf *out, const char *text)
{
    quoted(out, text, "'\\''", false);
}

void dr_pg_add_setting(struct pr_buf *out, const char *name, const char *value)
{
    pr_buf_printf(out, "%s = ", name);
    quoted(out, value, "''", true);
    pr_buf_str(out, "\n");
}

void dr_pg_add_conninfo(struct pr_buf *out, const char *name, const char *value)
{
    pr_buf_printf(out, "%s%s=", out->len > 0 ? " " : "", name);
    quoted(out, value, "\\'", true);
}

static enum pr_code failed(const struct pr_buf *out, struct pr_err *err)
{
    return out->failed ? pr_fail(err, PR_ENOMEM, "no memory for settings") : PR_OK;
}

static bool one_line(const char *name, const char *value, struct pr_err *err)
{
    for (const char *c = value; *c != '\0'; c++)
        if ((unsigned char)*c < ' ') {
            pr_fail(err, PR_EINVAL, "%s: a control character", name);
            return false;
        }
    return true;
}

struct line {
    const char *name, *value; /* NULL value: left out */
};

static enum pr_code add_lines(struct pr_buf *out, const struct line *line, size_t n,
                              struct pr_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (line[i].value == NULL || line[i].value[0] == '\0')
            continue;
        if (!one_line(line[i].name, line[i].value, err))
            return PR_EINVAL;
        pr_buf_printf(out, "%s=%s\n", line[i].name, line[i].value);
    }
    return PR_OK;
}

/* host and port of the endpoint. */
static bool split(const char *endpoint, char host[256], int *port)
{
    if (strncmp(endpoint, HTTPS, sizeof HTTPS - 1) != 0)
        return false;
    const char *at = endpoint + sizeof HTTPS - 1;
    const size_t n = strcspn(at, ":/");
    if (n == 0 || n >= 256)
        return false;
    memcpy(host, at, n);
    host[n] = '\0';
    *port = 443;
    at += n;
    if (*at == ':') {
        char *end;
        const long v = strtol(at + 1, &end, 10);
        if (v < 1 || v > 65535)
            return false;
        *port = (int)v;
        at = end;
    }
    return *at == '\0' || strcmp(at, "/") == 0;
}

enum pr_code dr_pg_conf_write(const struct dr_pg_conf *c, struct pr_buf *out, struct pr_err *err)
{
    char host[256];
    int port;
    pr_buf_reset(out);
    if (!split(c->endpoint, host, &port))
        return pr_fail(err, PR_EINVAL,
                       "pgBackRest reaches a bucket by https://host[:port] only, not by \"%.100s\"",
                       c->endpoint);
    const struct line repo[] = { { "repo1-s3-bucket", c->bucket },
                                 { "repo1-s3-endpoint", host },
                                 { "repo1-s3-region", c->region },
                                 { "repo1-s3-key", c->access },
                                 { "repo1-s3-key-secret", c->secret },
                                 { "repo1-s3-uri-style", c->path_style ? "path" : "host" },
                                 { "repo1-storage-host", c->path_style ? host : NULL },
                                 { "repo1-storage-ca-file", c->ca_file },
                                 { "repo1-cipher-type", c->pass != NULL ? "aes-256-cbc" : NULL },
                                 { "repo1-cipher-pass", c->pass } };
    pr_buf_str(out, "[global]\nrepo1-type=s3\n");
    enum pr_code rc = add_lines(out, repo, PR_COUNT(repo), err);
    if (rc != PR_OK || !one_line("PRISM_DR_S3_PREFIX", c->prefix, err) ||
        !one_line("PRISM_DR_PG_PATH", c->dir, err))
        return PR_EINVAL;
    pr_buf_printf(out, "repo1-storage-port=%d\nrepo1-path=/%spostgresql/%s\n", port, c->prefix,
                  c->cluster);
    pr_buf_printf(out, "repo1-retention-full-type=time\nrepo1-retention-full=%d\n", c->retain_days);
    pr_buf_printf(out, "archive-async=y\narchive-push-queue-max=%lldB\nspool-path=%s/spool\n",
                  c->queue_bytes, c->dir);
    pr_buf_printf(out, "lock-path=%s/lock\nlog-level-file=off\nlog-level-console=off\n", c->dir);
    pr_buf_printf(out, "log-level-stderr=warn\nlog-timestamp=n\nio-timeout=%d\n", c->timeout_s);
    pr_buf_str(out, "repo1-bundle=y\ncompress-type=lz4\nprocess-max=2\nstart-fast=y\nresume=y\n\n"
                    /* after which the primary knows that its archive fails */
                    "[global:archive-push]\narchive-timeout=20\n\n[" DR_PG_STANZA "]\n");
    const struct line server[] = { { "pg1-path", c->data }, { "pg1-user", c->user } };
    rc = add_lines(out, server, PR_COUNT(server), err);
    if (rc != PR_OK)
        return rc;
    if (c->data[0] != '\0')
        pr_buf_printf(out, "pg1-port=%d\n", c->port);
    return failed(out, err);
}

enum pr_code dr_pg_fetch_script(const char *backrest, const char *conf, const char *wal,
                                struct pr_buf *out, struct pr_err *err)
{
    pr_buf_reset(out);
    pr_buf_str(out, "#!/bin/sh\n# restore_command: SYSTEM FILE TO. Made by prism-dr.\n"
                    "part=\nfor dir in ");
    dr_pg_add_shell(out, wal);
    pr_buf_str(out, "/\"$1\"-*; do\n"
                    "    if [ -f \"$dir/$2\" ]; then\n"
                    "        cp -- \"$dir/$2\" \"$3\" || exit 255\n"
                    "        exit 0\n"
                    "    fi\n"
                    "    [ ! -f \"$dir/$2.partial\" ] || part=$dir/$2.partial\n"
                    "done\n");
    dr_pg_add_shell(out, backrest);
    pr_buf_str(out, " --config=");
    dr_pg_add_shell(out, conf);
    pr_buf_str(out, " --stanza=" DR_PG_STANZA " --no-archive-async --pg1-path=\"$PWD\" "
                    "archive-get \"$2\" \"$PWD/$3\"\n"
                    "status=$?\n"
                    "[ $status -ne 0 ] || exit 0\n"
                    "[ $status -eq 1 ] || exit 255\n"
                    "[ -n \"$part\" ] || exit 1\n"
                    /* A standby may have streamed more of it. To be given less than it has replayed
                     * would end its promotion: the one that has a byte where the other has nothing
                     * yet is ahead. */
                    "have=$PWD/pg_wal/$2\n"
                    "if [ -f \"$have\" ]; then\n"
                    "    ahead=$(cmp -l -- \"$part\" \"$have\" 2>/dev/null | "
                    "{ read -r at new old; echo \"$new\"; })\n"
                    "    [ \"${ahead:-0}\" -ne 0 ] || exit 1\n"
                    "fi\n"
                    "cp -- \"$part\" \"$3\" || exit 255\n");
    return failed(out, err);
}
