#include "it_internal.h"

#include <stdio.h>
#include <string.h>

static bool answers(void *ctx)
{
    const struct it_proxy *p = ctx;

    return it_http(p->port, "GET", "/.faults", NULL, NULL, NULL, 0) == 200 || !it_alive(p->pid);
}

void it_proxy(struct it_proxy *p, int upstream_port)
{
    char upstream[16], port[16];
    const char *argv[] = { PRISM_FAULTPROXY, upstream, port, NULL };

    p->port = it_free_port();
    (void)snprintf(upstream, sizeof upstream, "%d", upstream_port);
    (void)snprintf(port, sizeof port, "%d", p->port);
    (void)snprintf(p->url, sizeof p->url, "http://127.0.0.1:%d", p->port);
    p->pid = it_spawn(NULL, argv);
    if (!it_await(answers, p, 30000) || !it_alive(p->pid))
        fail_msg("the fault proxy does not answer on port %d", p->port);
}

void it_proxy_rules(const struct it_proxy *p, const char *rules)
{
    char why[256];

    if (it_http(p->port, "PUT", "/.faults", NULL, rules, why, sizeof why) != 200)
        fail_msg("the fault proxy refuses its rules: %s", why);
}

void it_proxy_log(const struct it_proxy *p, char *out, size_t n)
{
    assert_int_equal(it_http(p->port, "GET", "/.faults", NULL, NULL, out, n), 200);
}
