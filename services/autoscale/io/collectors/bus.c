#include "io/collectors/bus.h"

#include "io/samples.h"

#include "prism/v1/autoscale.pb-c.h"

#include <stdio.h>
#include <string.h>

/* Text that is shown to people and stored: no control characters, not cut. */
static enum pr_code take_text(char *to, size_t n, const char *from, const char *name,
                              struct pr_err *err)
{
    const size_t len = strlen(from);
    if (len >= n)
        return pr_fail(err, PR_EDATA, "%s is %zu bytes long, at most %zu", name, len, n - 1);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)from[i] < ' ' || (unsigned char)from[i] > '~')
            return pr_fail(err, PR_EDATA, "%s has a byte that does not print", name);
    memcpy(to, from, len + 1);
    return PR_OK;
}

/* True when there is a figure, be it NaN. */
static bool take_figures(const Prism__V1__MemberMetricsEvent *e, double value[AUTOSCALE_METRICS])
{
    const struct {
        bool there;
        enum autoscale_metric metric;
        double value;
    } row[] = {
        { e->cpu_case == PRISM__V1__MEMBER_METRICS_EVENT__CPU_CPU_PCT, AUTOSCALE_CPU, e->cpu_pct },
        { e->memory_case == PRISM__V1__MEMBER_METRICS_EVENT__MEMORY_MEMORY_PCT, AUTOSCALE_MEMORY,
          e->memory_pct },
        { e->network_case == PRISM__V1__MEMBER_METRICS_EVENT__NETWORK_NETWORK_BPS,
          AUTOSCALE_NETWORK, e->network_bps },
        { e->load_case == PRISM__V1__MEMBER_METRICS_EVENT__LOAD_LOAD_RATIO, AUTOSCALE_LOAD,
          e->load_ratio },
        { e->backlog_case == PRISM__V1__MEMBER_METRICS_EVENT__BACKLOG_BACKLOG_MESSAGES,
          AUTOSCALE_BACKLOG, e->backlog_messages },
    };
    bool any = false;
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (row[i].there) {
            value[row[i].metric] = row[i].value;
            any = true;
        }
    return any;
}

static enum pr_code take(const Prism__V1__MemberMetricsEvent *e, int64_t received_ms,
                         struct autoscale_bus_message *out, struct pr_err *err)
{
    enum pr_code rc = take_text(out->fleet, sizeof out->fleet, e->fleet, "fleet", err);
    if (rc == PR_OK)
        rc = take_text(out->member, sizeof out->member, e->member_id, "member_id", err);
    if (rc == PR_OK)
        rc = take_text(out->zone, sizeof out->zone, e->zone, "zone", err);
    if (rc != PR_OK)
        return rc;
    if (out->fleet[0] == '\0' || out->member[0] == '\0')
        return pr_fail(err, PR_EDATA, "%s is empty", out->fleet[0] == '\0' ? "fleet" : "member_id");
    if (e->at_ms <= 0)
        return pr_fail(err, PR_EDATA, "member %s: at_ms %lld is no time", out->member,
                       (long long)e->at_ms);
    out->reading = autoscale_reading_unknown();
    out->reading.member = out->member;
    out->reading.zone = out->zone;
    out->reading.source = "bus";
    out->reading.at_ms = e->at_ms;
    out->reading.received_ms = received_ms;
    return take_figures(e, out->reading.value)
               ? PR_OK
               : pr_fail(err, PR_EDATA, "member %s: not one figure", out->member);
}

enum pr_code autoscale_bus_read(const void *data, size_t n, int64_t received_ms,
                                struct autoscale_bus_message *out, struct pr_err *err)
{
    Prism__V1__MemberMetricsEvent *e = prism__v1__member_metrics_event__unpack(NULL, n, data);
    if (e == NULL)
        return pr_fail(err, PR_EDATA, "not a MemberMetricsEvent");
    enum pr_code rc = take(e, received_ms, out, err);
    prism__v1__member_metrics_event__free_unpacked(e, NULL);
    return rc;
}

enum pr_code autoscale_bus_on_member(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    struct autoscale_bus *bus = ctx;
    struct autoscale_bus_message m;
    struct autoscale_put put;
    const int64_t now_ms = bus->now_ms();
    enum pr_code rc = autoscale_bus_read(msg->data, msg->len, now_ms, &m, err);
    if (rc == PR_OK && m.reading.at_ms > now_ms + AUTOSCALE_READING_AHEAD_MS)
        rc = pr_fail(err, PR_EDATA, "member %s of fleet %s: %lld s ahead of our clock", m.member,
                     m.fleet, (long long)(m.reading.at_ms - now_ms) / 1000);
    if (rc == PR_OK)
        rc = autoscale_readings_put(bus->db, m.fleet, now_ms, &m.reading, 1, &put, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "%s", msg->subject);
    atomic_fetch_add(&bus->stored, put.stored);
    atomic_fetch_add(&bus->again, put.again);
    atomic_fetch_add(&bus->too_old, put.refused);
    return PR_OK;
}
