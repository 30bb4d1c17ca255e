#include "core/pg_verdict.h"

#include "prism/text.h"

#include <stdio.h>
#include <string.h>

/* First match wins; what is about the cause stands before what is about the place. */
static const struct {
    const char *sign;
    enum pr_code code;
    const char *words;
} SIGN[] = {
    { "<Code>SignatureDoesNotMatch<", PR_EDENIED,
      "the secret of the bucket's access key is wrong" },
    { "<Code>InvalidAccessKeyId<", PR_EDENIED, "the bucket's access key is not known" },
    { "<Code>AccessDenied<", PR_EDENIED, "the bucket denies access" },
    { "<Code>NoSuchBucket<", PR_ENOTFOUND, "the bucket does not exist" },
    { "403 (Forbidden)", PR_EDENIED, "the bucket denies access" },
    { "unable to flush", PR_EDENIED, "the repository's key is wrong" },
    { "key/value found outside of section", PR_EDENIED, "the repository's key is wrong" },
    { "unable to verify certificate", PR_EINVAL, "the bucket's certificate is not to be trusted" },
    { "unable to find hostname", PR_EINVAL, "the bucket's certificate is not to be trusted" },
    { "HostConnectError", PR_EUNAVAIL, "the bucket does not answer" },
    { "[049]", PR_EUNAVAIL, "the bucket does not answer" },
    { "FileReadError", PR_EUNAVAIL, "the bucket does not answer" },
    { "timeout after", PR_EUNAVAIL, "the bucket does not answer" },
    { "[050]", PR_ECONFLICT, "another pgBackRest is at work" },
    { "[056]", PR_EUNAVAIL, "PostgreSQL does not answer" },
    { "[082]", PR_ETIMEOUT, "a segment did not reach the archive in time" },
    { "[028]", PR_ECONFLICT, "the repository is of another server" },
    { "[051]", PR_ECONFLICT, "the repository is of another server" },
    { "[055]", PR_ENOTFOUND, "a file is missing" },
};

/* strstr in bytes. */
static bool holds(const char *text, size_t n, const char *sign)
{
    return memmem(text, n, sign, strlen(sign)) != NULL;
}

/* The first line that is an error, or the first. */
static void first_line(const char *text, size_t n, char out[160])
{
    const char *at = memmem(text, n, "ERROR:", 6);
    const char *begin = at != NULL ? at : text;
    const size_t left = n - (size_t)(begin - text);
    const char *end = memchr(begin, '\n', left);
    const size_t len = end != NULL ? (size_t)(end - begin) : left;
    (void)snprintf(out, 160, "%.*s", (int)(len < 159 ? len : 159), begin);
    for (char *c = out; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c == 0x7f)
            *c = ' ';
    pr_utf8_mend(out, strlen(out));
}

enum pr_code dr_pg_verdict(const char *text, size_t n, char words[DR_PG_WORDS])
{
    char line[160];
    first_line(text, n, line);
    for (size_t i = 0; i < PR_COUNT(SIGN); i++)
        if (holds(text, n, SIGN[i].sign)) {
            (void)snprintf(words, DR_PG_WORDS, "%s (%s)", SIGN[i].words, line);
            return SIGN[i].code;
        }
    (void)snprintf(words, DR_PG_WORDS, "%s", line[0] != '\0' ? line : "no words");
    return PR_EUNAVAIL;
}
