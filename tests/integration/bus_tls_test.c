/* The bus and TLS, with nats-servers of the test's own. */
#include "t.h"

#include "it.h"
#include "pki.h"
#include "prism/io/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

struct server {
    pid_t pid;
    int port;
};
static struct server with_tls, plain;
static char ca_path[PKI_PATH], other_ca_path[PKI_PATH];

static void start_server(struct server *s, const char *name, const char *more)
{
    char path[PKI_PATH], command[PKI_PATH + 80], file[64];
    (void)snprintf(file, sizeof file, "%s.conf", name);
    s->port = it_free_port();
    FILE *f = fopen(pki_path(path, file), "w");
    assert_non_null(f);
    (void)fprintf(f, "listen: 127.0.0.1:%d\n%s", s->port, more);
    assert_int_equal(fclose(f), 0);
    (void)snprintf(command, sizeof command, "PATH=\"$PATH:/usr/sbin\" exec nats-server -c %s",
                   path);
    const char *argv[] = { "/bin/sh", "-c", command, NULL };
    s->pid = it_spawn(NULL, argv);
}

static int start(void **state)
{
    (void)state;
    char cert[PKI_PATH], key[PKI_PATH], more[3 * PKI_PATH];
    const struct pki_want want = { .cn = "localhost", .server = true };
    struct pki_ca *ca = pki_ca_new("NATS CA"), *other = pki_ca_new("Other CA");
    pki_ca_write(ca, pki_path(ca_path, "ca.pem"));
    pki_ca_write(other, pki_path(other_ca_path, "other-ca.pem"));
    pki_issue(ca, &want, pki_path(cert, "nats.pem"), pki_path(key, "nats.key"));
    pki_ca_free(ca);
    pki_ca_free(other);
    (void)snprintf(more, sizeof more, "tls { cert_file: \"%s\", key_file: \"%s\" }\n", cert, key);
    start_server(&with_tls, "tls", more);
    start_server(&plain, "plain", "");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    it_kill(with_tls.pid);
    it_kill(plain.pid);
    return 0;
}

static struct pr_bus *open_bus(const struct server *s, const char *scheme, const char *ca)
{
    char url[64];
    struct pr_bus *bus = NULL;
    struct pr_err err = { 0 };
    (void)snprintf(url, sizeof url, "%s://localhost:%d", scheme, s->port);
    const struct pr_bus_options o = { .url = url, .ca_path = ca, .name = "tls" };
    assert_ok(pr_bus_open(&bus, &o, &err), &err);
    return bus;
}

static bool is_ready(void *bus)
{
    return pr_bus_ready(bus, NULL) == PR_OK;
}

struct refusal {
    struct pr_bus *bus;
    const char *says;
};

static bool is_refused(void *ctx)
{
    const struct refusal *r = ctx;
    struct pr_err err = { 0 };
    return pr_bus_ready(r->bus, &err) != PR_OK && strstr(err.text, r->says) != NULL;
}

static void a_server_whose_authority_is_trusted_is_taken(void **state)
{
    (void)state;
    static const char *const scheme[] = { "tls",
                                          "nats" }; /* nats: it is the server that wants it */
    for (size_t i = 0; i < PR_COUNT(scheme); i++) {
        struct pr_bus *bus = open_bus(&with_tls, scheme[i], ca_path);
        assert_true(it_await(is_ready, bus, 10000));
        pr_bus_close(bus);
    }
}

static void another_authority_or_none_is_refused(void **state)
{
    (void)state;
    const char *const ca[] = { other_ca_path, "", NULL };
    for (size_t i = 0; i < PR_COUNT(ca); i++) {
        struct pr_bus *bus = open_bus(&with_tls, "tls", ca[i]);
        assert_true(it_await(is_refused, &(struct refusal){ bus, "certificate" }, 10000));
        pr_bus_close(bus);
    }
}

/* Else whoever answers in the server's place gets passwords in the clear. */
static void nothing_is_said_to_a_server_without_tls_where_it_is_wanted(void **state)
{
    (void)state;
    struct pr_bus *bus = open_bus(&plain, "nats", "");
    assert_true(it_await(is_ready, bus, 10000)); /* it is there */
    pr_bus_close(bus);
    bus = open_bus(&plain, "tls", ca_path);
    assert_true(it_await(is_refused, &(struct refusal){ bus, "ecure" }, 10000));
    pr_bus_close(bus);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    struct pr_bus *bus = NULL;
    struct pr_err err = { 0 };
    const struct pr_bus_options o = { .url = "tls://localhost:1", .ca_path = "/nowhere/ca.pem" };
    assert_int_equal(pr_bus_open(&bus, &o, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "/nowhere/ca.pem"));
    assert_null(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_whose_authority_is_trusted_is_taken),
        cmocka_unit_test(another_authority_or_none_is_refused),
        cmocka_unit_test(nothing_is_said_to_a_server_without_tls_where_it_is_wanted),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
