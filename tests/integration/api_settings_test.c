/* What lets people in, set up by halves: the service does not start, and says which setting is
 * missing or wrong. */
#include "api_edge_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t times(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

static void half_a_configuration_does_not_start(void **state)
{
    (void)state;
    char cert[PKI_PATH + 64], own_key[PKI_PATH + 64], other_key[PKI_PATH + 64], ca[PKI_PATH + 64],
        port[64], roles[PKI_PATH + 64], bad_roles[PKI_PATH], unused[PKI_PATH], other[PKI_PATH];
    const struct pki_want w = { .cn = "x", .server = true };
    pki_issue(edge_ca, &w, pki_path(unused, "x.pem"), pki_path(other, "other.key"));
    pki_write(pki_path(bad_roles, "bad-roles"), "viewer CN=a\nboss CN=b\n");
    snprintf(cert, sizeof cert, "PRISM_API_TLS_CERT_PATH=%s", edge_cert_file);
    snprintf(own_key, sizeof own_key, "PRISM_API_TLS_KEY_PATH=%s", edge_key_file);
    snprintf(other_key, sizeof other_key, "PRISM_API_TLS_KEY_PATH=%s", other);
    snprintf(ca, sizeof ca, "PRISM_API_TLS_CLIENT_CA_PATH=%s", edge_ca_file);
    snprintf(roles, sizeof roles, "PRISM_API_ROLES_PATH=%s", bad_roles);
    snprintf(port, sizeof port, "PRISM_API_TLS_PORT=0");
    static const char issuer[] = "PRISM_API_JWT_ISSUER=i", audience[] = "PRISM_API_JWT_AUDIENCE=a";
    const struct {
        const char *setting[6];
        const char *says[2];
    } row[] = {
        { { cert, port }, { "PRISM_API_TLS_KEY_PATH is not set", "PRISM_API_TLS_CERT_PATH" } },
        { { own_key, port }, { "PRISM_API_TLS_CERT_PATH is not set", "KEY_PATH" } },
        { { ca }, { "PRISM_API_TLS_CERT_PATH is not set", "CLIENT_CA_PATH" } },
        { { cert, other_key, port }, { "PRISM_API_TLS_KEY_PATH: ", "other.key is not the key" } },
        { { cert, own_key, "PRISM_API_TLS_PRIORITIES=NORMAL" }, { "PRIORITIES", "TLS 1.2" } },
        { { cert, own_key, "PRISM_API_TLS_CLIENT_CERT=maybe" },
          { "PRISM_API_TLS_CLIENT_CERT", "neither optional nor require" } },
        { { cert, own_key, "PRISM_API_TLS_CLIENT_CERT=require" },
          { "PRISM_API_TLS_CLIENT_CA_PATH is not set", "require" } },
        { { roles }, { "PRISM_API_ROLES_PATH: ", "line 2 " } },
        { { issuer }, { "PRISM_API_JWT_AUDIENCE is not set", "ISSUER" } },
        { { issuer, audience }, { "PRISM_API_JWT_JWKS is not set", "ISSUER" } },
        { { "PRISM_API_JWT_JWKS=https://x" }, { "PRISM_API_JWT_ISSUER is not set", "JWKS" } },
        { { issuer, audience, "PRISM_API_JWT_JWKS=http://localhost/keys" },
          { "PRISM_API_JWT_JWKS: http://localhost/keys", "want an https URL" } },
        { { issuer, audience, "PRISM_API_JWT_JWKS=/nowhere.json" },
          { "PRISM_API_JWT_JWKS: /nowhere.json", "No such file" } },
        { { issuer, audience, "PRISM_API_JWT_JWKS=/dev/null" },
          { "PRISM_API_JWT_JWKS: /dev/null", "is empty" } },
        { { issuer, audience, "PRISM_API_JWT_JWKS=https://x", "PRISM_API_JWT_ALGS=RS256,HS256" },
          { "PRISM_API_JWT_ALGS", "\\\"HS256\\\" is none of" } },
        { { issuer, audience, "PRISM_API_JWT_JWKS=https://x", "PRISM_API_JWT_ALGS=none" },
          { "PRISM_API_JWT_ALGS", "none of" } },
        { { issuer, audience, "PRISM_API_JWT_JWKS=https://x", "PRISM_API_JWT_REFRESH_S=60",
            "PRISM_API_JWT_KEYS_GRACE_S=59" },
          { "PRISM_API_JWT_KEYS_GRACE_S", "forgotten before they are read again" } },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct it_service s;
        char *before = edge_log();
        it_service_launch(&s, "metadata-api", fx.uri, row[i].setting, it_free_port());
        assert_int_equal(it_wait(s.pid, 20000), 1);
        char *after = edge_log();
        for (size_t k = 0; k < 2; k++)
            if (times(after, row[i].says[k]) == times(before, row[i].says[k]))
                fail_msg("%zu does not say \"%s\"", i, row[i].says[k]);
        free(before);
        free(after);
    }
}

static int set_up(void **state)
{
    edge_pki();
    return api_small_setup(state);
}

static int tear_down(void **state)
{
    const int rc = api_teardown(state);
    pki_ca_free(edge_ca);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_a_configuration_does_not_start),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
