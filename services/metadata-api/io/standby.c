#include "standby.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTES = 256 }; /* a person at work, not a stream: more are logged only */

struct note {
    char *who, *action, *resource, *after; /* after NULL: none */
    char trace[64];
    int64_t at_ms;
};

struct api_standby_gate {
    bool has_token;
    unsigned char hash[API_HASH_BYTES];
    int64_t opened_ms;    /* monotonic */
    pthread_mutex_t lock; /* all below */
    int64_t away_ms;      /* when PostgreSQL was last found to be away, monotonic; -1: never */
    struct note note[NOTES];
    size_t notes;
};

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static enum pr_code read_hash(struct api_standby_gate *g, const char *path, struct pr_err *err)
{
    char text[2 * API_HASH_BYTES + 2] = "";
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return pr_fail(err, PR_EINVAL, "standby token: %s: %s", path, strerror(errno));
    const bool got = fgets(text, sizeof text, f) != NULL;
    (void)fclose(f);
    text[strcspn(text, " \r\n")] = '\0';
    bool hex = got && strlen(text) == 2 * API_HASH_BYTES;
    for (size_t i = 0; hex && i < API_HASH_BYTES; i++) {
        const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        hex = high >= 0 && low >= 0;
        g->hash[i] = (unsigned char)(hex ? high * 16 + low : 0);
    }
    g->has_token = hex;
    return hex ? PR_OK
               : pr_fail(err, PR_EINVAL,
                         "standby token: %s does not hold a SHA-256 of 64 hex digits", path);
}

enum pr_code api_standby_open(struct api_standby_gate **out, const char *hash_file,
                              struct pr_err *err)
{
    struct api_standby_gate *g = calloc(1, sizeof *g);
    if (g == NULL)
        return pr_fail(err, PR_ENOMEM, "standby token");
    pthread_mutex_init(&g->lock, NULL);
    g->opened_ms = pr_mono_us() / 1000;
    g->away_ms = -1;
    *out = g;
    return hash_file[0] == '\0' ? PR_OK : read_hash(g, hash_file, err);
}

static void note_done(struct note *n)
{
    free(n->who);
    free(n->action);
    free(n->resource);
    free(n->after);
}

void api_standby_close(struct api_standby_gate *g)
{
    if (g == NULL)
        return;
    if (g->notes > 0)
        pr_warn(PR_EV("api.not_audited"), PR_I("actions", g->notes));
    for (size_t i = 0; i < g->notes; i++)
        note_done(&g->note[i]);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

bool api_standby_has_token(const struct api_standby_gate *g)
{
    return g->has_token;
}

bool api_standby_is(const struct api_standby_gate *g, const unsigned char hash[API_HASH_BYTES])
{
    return g->has_token && CRYPTO_memcmp(g->hash, hash, API_HASH_BYTES) == 0;
}

void api_standby_saw(struct api_standby_gate *g, bool away, int64_t mono_ms)
{
    pthread_mutex_lock(&g->lock);
    if (away)
        g->away_ms = mono_ms;
    pthread_mutex_unlock(&g->lock);
}

int64_t api_standby_up_ms(const struct api_standby_gate *g, int64_t mono_ms)
{
    return mono_ms - g->opened_ms;
}

int64_t api_standby_away_age_ms(struct api_standby_gate *g, int64_t mono_ms)
{
    pthread_mutex_lock(&g->lock);
    const int64_t age_ms = g->away_ms < 0 ? -1 : mono_ms - g->away_ms;
    pthread_mutex_unlock(&g->lock);
    return age_ms;
}

void api_standby_note(struct api_standby_gate *g, const char *who, const char *action,
                      const char *resource, const json_t *after, int64_t now_ms)
{
    struct note n = { .who = strdup(who),
                      .action = strdup(action),
                      .resource = strdup(resource),
                      .after = after == NULL ? NULL : json_dumps(after, JSON_COMPACT),
                      .at_ms = now_ms };
    (void)snprintf(n.trace, sizeof n.trace, "%s", pr_log_trace_get());
    pr_info(PR_EV("api.audit"), PR_S("principal", who), PR_S("action", action),
            PR_S("resource", resource));
    pthread_mutex_lock(&g->lock);
    const bool kept = n.who != NULL && n.action != NULL && n.resource != NULL && g->notes < NOTES;
    if (kept)
        g->note[g->notes++] = n;
    pthread_mutex_unlock(&g->lock);
    if (kept)
        return;
    pr_error(PR_EV("api.not_audited"), PR_S("action", action));
    note_done(&n);
}

static enum pr_code write_note(struct pr_db *db, const struct note *n, struct pr_err *err)
{
    return pr_db_exec(db,
                      "INSERT INTO audit (at, principal, action, resource, after, trace) VALUES "
                      "(to_timestamp($1::bigint / 1000.0), $2, $3, $4, $5::jsonb, $6)",
                      PR_ARGS(pr_i64(n->at_ms), pr_text(n->who), pr_text(n->action),
                              pr_text(n->resource), pr_text(n->after), pr_text(n->trace)),
                      NULL, err);
}

/* One by one, the oldest first. One whose answer is lost is written twice, with the same time. */
enum pr_code api_standby_audit(struct api_standby_gate *g, struct pr_db *db, struct pr_err *err)
{
    for (;;) {
        struct note n = { 0 };
        pthread_mutex_lock(&g->lock);
        const bool some = g->notes > 0;
        if (some) {
            n = g->note[0];
            memmove(g->note, g->note + 1, --g->notes * sizeof *g->note);
        }
        pthread_mutex_unlock(&g->lock);
        if (!some)
            return PR_OK;
        const enum pr_code rc = write_note(db, &n, err);
        if (rc == PR_OK) {
            note_done(&n);
            continue;
        }
        pthread_mutex_lock(&g->lock);
        const bool back = g->notes < NOTES;
        if (back) {
            memmove(g->note + 1, g->note, g->notes * sizeof *g->note);
            g->note[0] = n;
            g->notes++;
        }
        pthread_mutex_unlock(&g->lock);
        if (!back)
            note_done(&n);
        return rc;
    }
}
