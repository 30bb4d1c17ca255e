#include "io/collectors/jetstream.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NO_CONSUMER = 10014, NO_STREAM = 10059, SAID = 120 };

static enum pr_code refused(const json_t *error, struct pr_err *err)
{
    char said[SAID];
    const char *text = json_string_value(json_object_get(error, "description"));
    const json_int_t code = json_integer_value(json_object_get(error, "err_code"));
    const json_int_t status = json_integer_value(json_object_get(error, "code"));
    autoscale_printable(said, sizeof said, text == NULL ? "no reason given" : text);
    if (code == NO_CONSUMER || code == NO_STREAM || status == 404)
        return pr_fail(err, PR_ENOTFOUND, "%s", said);
    return pr_fail(err, status >= 500 ? PR_EUNAVAIL : PR_EINVAL, "%s (%lld)", said,
                   (long long)code);
}

/* A count; false: absent, negative or no integer. */
static bool count_of(const json_t *root, const char *name, double *out)
{
    const json_t *v = json_object_get(root, name);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = (double)json_integer_value(v);
    return true;
}

enum pr_code autoscale_jetstream_read(const char *body, size_t n, double *waiting,
                                      struct pr_err *err)
{
    json_error_t where;
    double pending = 0, unacknowledged = 0;
    json_t *root = json_loadb(body == NULL ? "" : body, n, 0, &where);
    const json_t *error = json_object_get(root, "error");
    const json_t *cluster = json_object_get(root, "cluster");
    const char *leader = json_string_value(json_object_get(cluster, "leader"));
    enum pr_code rc = PR_OK;
    if (!json_is_object(root))
        rc = pr_fail(err, PR_EDATA, "not an answer of JetStream: %.100s",
                     root == NULL ? where.text : "not an object");
    else if (error != NULL)
        rc = refused(error, err);
    else if (cluster != NULL && (leader == NULL || leader[0] == '\0'))
        rc = pr_fail(err, PR_EUNAVAIL, "it has no leader now: what it shows is old");
    else if (!count_of(root, "num_pending", &pending) ||
             !count_of(root, "num_ack_pending", &unacknowledged))
        rc = pr_fail(err, PR_EDATA, "num_pending or num_ack_pending is missing or no count");
    else
        *waiting = pending + unacknowledged;
    json_decref(root);
    return rc;
}

/* A token of a subject: nothing that would ask for another subject. */
static bool is_token(const char *s)
{
    const size_t n = s == NULL ? 0 : strlen(s);
    if (n == 0 || n > 128)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 127 ||
            strchr(".*>/\\", s[i]) != NULL)
            return false;
    return true;
}

static enum pr_code ask_waiting(struct pr_bus *bus, const struct autoscale_jetstream *ask,
                                double *waiting, struct pr_err *err)
{
    char subject[320];
    void *reply = NULL;
    size_t n = 0;
    if (!is_token(ask->stream) || !is_token(ask->consumer))
        return pr_fail(err, PR_EINVAL, "not a name of a stream and of a consumer");
    (void)snprintf(subject, sizeof subject, "$JS.API.CONSUMER.INFO.%s.%s", ask->stream,
                   ask->consumer);
    enum pr_code rc = pr_bus_request(bus, subject, "", 0, ask->timeout_ms, &reply, &n, err);
    if (rc == PR_OK)
        rc = autoscale_jetstream_read(reply, n, waiting, err);
    free(reply);
    return rc;
}

enum pr_code autoscale_collect_jetstream(struct pr_bus *bus, const struct autoscale_jetstream *ask,
                                         const struct autoscale_span *when,
                                         struct autoscale_readings *out, struct pr_err *err)
{
    struct pr_err why = { 0 };
    double waiting = 0;
    struct autoscale_reading r = autoscale_reading_unknown();
    enum pr_code rc = ask_waiting(bus, ask, &waiting, &why);
    r.source = "jetstream";
    r.at_ms = r.received_ms = when->now_ms;
    if (rc == PR_OK)
        r.value[AUTOSCALE_BACKLOG] = waiting;
    else
        r.why = why.text;
    const enum pr_code kept = autoscale_readings_add(out, &r, err);
    if (rc == PR_OK || kept != PR_OK)
        return kept;
    return pr_fail(err, rc, "consumer %.60s of stream %.60s: %s",
                   ask->consumer == NULL ? "" : ask->consumer,
                   ask->stream == NULL ? "" : ask->stream, why.text);
}
