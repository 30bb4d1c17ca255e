/* Tokens over REST: made, shown once, revoked, and never written down. */
#include "api_fixture.h"
#include "api_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct reply r;

/* Does it open what a viewer may see? By its own text, not by a role of the fixture. */
static long status_with(const char *token, const char *path)
{
    char header[256];
    snprintf(header, sizeof header, "Authorization: Bearer %s", token);
    api_call(&r, NULL, "GET", path, NULL, header);
    return r.status;
}

static void a_token_is_made_and_shown_once(void **state)
{
    (void)state;
    char token[128];
    api_call(&r, "admin", "POST", "/v1/tokens",
             "{\"id\":\"ci-1\",\"role\":\"operator\",\"expiresAt\":\"2130-01-31T12:00:00Z\"}",
             "Idempotency-Key: made-once");
    assert_status(&r, 201);
    assert_string_equal(r.location, "/v1/tokens/ci-1");
    snprintf(token, sizeof token, "%s", api_str(&r, "token"));
    assert_int_equal(strlen(token), 6 + 64);
    assert_string_equal(api_str(&r, "state"), "active");
    assert_string_equal(api_str(&r, "createdBy"), "admin");
    assert_int_equal(status_with(token, "/v1/nodes"), 200); /* at once */
    assert_int_equal(status_with(token, "/v1/tokens"), 403);

    /* The same request again: the same token, but what it is nobody can tell any more. */
    api_call(&r, "admin", "POST", "/v1/tokens",
             "{\"id\":\"ci-1\",\"role\":\"operator\",\"expiresAt\":\"2130-01-31T12:00:00Z\"}",
             "Idempotency-Key: made-once");
    assert_status(&r, 201);
    assert_string_equal(r.replayed, "true");
    assert_null(json_object_get(r.j, "token"));
    api_call(&r, "admin", "GET", "/v1/tokens/ci-1", NULL, NULL);
    assert_status(&r, 200);
    assert_null(json_object_get(r.j, "token"));
    assert_string_equal(api_str(&r, "role"), "operator");

    /* Nowhere, in no table. */
    assert_string_equal(api_sql("SELECT count(*) FROM api_tokens WHERE hash = sha256('%s')", token),
                        "1");
    assert_string_equal(
        api_sql("SELECT (SELECT count(*) FROM audit a WHERE a::text LIKE '%%%s%%') "
                "+ (SELECT count(*) FROM idempotency i WHERE i::text LIKE '%%%s%%') "
                "+ (SELECT count(*) FROM outbox o WHERE o::text LIKE '%%%s%%')",
                token, token, token),
        "0");
    assert_string_equal(api_sql("SELECT principal || ' ' || resource || ' ' || (after->>'role') "
                                "FROM audit WHERE action = 'token.create'"),
                        "admin tokens/ci-1 operator");
}

static void a_revoked_token_opens_nothing(void **state)
{
    (void)state;
    char token[128];
    api_call(&r, "admin", "POST", "/v1/tokens", "{\"id\":\"leak\",\"role\":\"viewer\"}", NULL);
    assert_status(&r, 201);
    assert_true(json_is_null(json_object_get(r.j, "expiresAt")));
    snprintf(token, sizeof token, "%s", api_str(&r, "token"));
    assert_int_equal(status_with(token, "/v1/nodes"), 200);
    api_call(&r, "admin", "POST", "/v1/tokens/leak:revoke?dryRun=true", NULL, NULL);
    assert_status(&r, 200);
    assert_int_equal(status_with(token, "/v1/nodes"), 200);
    for (int i = 0; i < 2; i++) { /* twice is as once */
        api_call(&r, "admin", "POST", "/v1/tokens/leak:revoke", NULL, NULL);
        assert_status(&r, 200);
        assert_string_equal(api_str(&r, "state"), "revoked");
        assert_string_equal(api_str(&r, "revokedBy"), "admin");
        assert_int_equal(status_with(token, "/v1/nodes"), 401);
    }
    /* A name is one token's for good: the trail stays readable. */
    api_call(&r, "admin", "POST", "/v1/tokens", "{\"id\":\"leak\",\"role\":\"viewer\"}", NULL);
    assert_status(&r, 409);
    assert_string_equal(api_str(&r, "field"), "id");
    api_call(&r, "admin", "POST", "/v1/tokens/nobody:revoke", NULL, NULL);
    assert_status(&r, 404);
    api_call(&r, "admin", "GET", "/v1/tokens?state=revoked&readMask=id", NULL, NULL);
    assert_status(&r, 200);
    assert_non_null(strstr(r.text, "{\"id\":\"leak\"}"));
    assert_null(strstr(r.text, "ci-1"));
    api_call(&r, "admin", "GET", "/v1/tokens?state=expired&role=admin", NULL, NULL);
    assert_non_null(strstr(r.text, "\"id\":\"expired\""));
    assert_null(strstr(r.text, "\"id\":\"revoked\""));
}

/* A body that asks for an admin's token of so many days. */
static const char *admins(const char *id, long days)
{
    static char body[160];
    char at[32];
    const time_t end = time(NULL) + days * 86400 - 60;
    struct tm t;
    assert_non_null(gmtime_r(&end, &t));
    assert_true(strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &t) > 0);
    snprintf(body, sizeof body, "{\"id\":\"%s\",\"role\":\"admin\",\"expiresAt\":\"%s\"}", id, at);
    return body;
}

/* Whoever is an administrator for a while makes nobody one for good. */
static void an_admins_token_ends(void **state)
{
    (void)state;
    api_call(&r, "admin", "POST", "/v1/tokens", "{\"id\":\"ever\",\"role\":\"admin\"}", NULL);
    assert_status(&r, 400);
    assert_non_null(strstr(r.text, "at most 90 days"));
    api_call(&r, "admin", "POST", "/v1/tokens",
             "{\"id\":\"ever\",\"role\":\"admin\",\"expiresAt\":null}", NULL);
    assert_status(&r, 400);
    api_call(&r, "admin", "POST", "/v1/tokens", admins("ever", 91), NULL);
    assert_status(&r, 400);
    api_call(&r, "admin", "POST", "/v1/tokens", admins("for-now", 90), NULL);
    assert_status(&r, 201);
    api_call(&r, "admin", "GET", "/v1/tokens?createdBy=admin&role=admin", NULL, NULL);
    assert_status(&r, 200);
    assert_non_null(strstr(r.text, "\"id\":\"for-now\""));
    assert_null(strstr(r.text, "\"createdBy\":\"\""));
    api_call(&r, "admin", "GET", "/v1/tokens?createdBy=nobody", NULL, NULL);
    assert_status(&r, 200);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 0);
}

/* The headers of a request have been judged, and half of its body has come. */
static int begin(const char *token, const char *path, const char *text)
{
    char head[1024], hears[64] = "";
    const int fd = wire_connect(fx.service.port);
    assert_true(fd >= 0);
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: "
             "application/json\r\nContent-Length: %zu\r\nExpect: 100-continue\r\n\r\n",
             path, token, strlen(text));
    assert_true(wire_send(fd, head, strlen(head)));
    for (size_t n = 0; strstr(hears, "\r\n\r\n") == NULL;) {
        const ssize_t got = recv(fd, hears + n, sizeof hears - 1 - n, 0);
        assert_true(got > 0);
        n += (size_t)got;
    }
    assert_memory_equal(hears, "HTTP/1.1 100 ", 13);
    assert_true(wire_send(fd, text, strlen(text) / 2));
    return fd;
}

static int end(int fd, const char *text)
{
    struct wire_answer a;
    assert_true(wire_send(fd, text + strlen(text) / 2, strlen(text) - strlen(text) / 2));
    assert_true(wire_read(fd, &a, false, 30000));
    const int status = a.status;
    wire_done(&a);
    close(fd);
    return status;
}

/* Whoever may no longer do it does not do it, however early he began. */
static void who_loses_a_token_ends_no_request(void **state)
{
    (void)state;
    static const char more[] = "{\"id\":\"more\",\"role\":\"operator\"}",
                      zone[] = "{\"id\":\"late\"}";
    char token[128];
    for (int told = 0; told < 2; told++) { /* as prism-admin does, and over REST */
        api_call(&r, "admin", "POST", "/v1/tokens", admins(told ? "thief" : "quiet", 1), NULL);
        assert_status(&r, 201);
        snprintf(token, sizeof token, "%s", api_str(&r, "token"));
        const int fd = begin(token, "/v1/tokens", more);
        const int other = begin(token, "/v1/zones", zone);
        if (told) {
            api_call(&r, "admin", "POST", "/v1/tokens/thief:revoke", NULL, NULL);
            assert_status(&r, 200);
        } else
            (void)api_sql("UPDATE api_tokens SET revoked_at = now() WHERE name = 'quiet' "
                          "RETURNING 1");
        assert_int_equal(end(fd, more), 401);
        if (told)
            assert_int_equal(end(other, zone), 401);
        else
            close(other);
    }
    assert_string_equal(api_sql("SELECT count(*) FROM api_tokens WHERE name = 'more'"), "0");
    assert_string_equal(api_sql("SELECT count(*) FROM zones WHERE id = 'late'"), "0");
}

static void what_is_no_token_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *field;
    } row[] = {
        { "{\"role\":\"viewer\"}", "id" },
        { "{\"id\":\"a\"}", "role" },
        { "{\"id\":\"\",\"role\":\"viewer\"}", "id" },
        { "{\"id\":\"jwt:alice\",\"role\":\"viewer\"}", "id" },
        { "{\"id\":\"CN=x\",\"role\":\"viewer\"}", "id" },
        { "{\"id\":\"standby-token\",\"role\":\"viewer\"}", "id" },
        { "{\"id\":\"a b\",\"role\":\"viewer\"}", "id" },
        { "{\"id\":\"a234567890123456789012345678901234567890123456789012345678901234\","
          "\"role\":\"viewer\"}",
          "id" },
        { "{\"id\":\"a\",\"role\":\"nobody\"}", "role" },
        { "{\"id\":\"a\",\"role\":\"viewer\",\"expiresAt\":\"tomorrow\"}", "expiresAt" },
        { "{\"id\":\"a\",\"role\":\"viewer\",\"expiresAt\":\"2020-01-01T00:00:00Z\"}",
          "expiresAt" },
        { "{\"id\":\"a\",\"role\":\"viewer\",\"token\":\"mine\"}", "token" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char want[64];
        api_call(&r, "admin", "POST", "/v1/tokens", row[i].body, NULL);
        assert_status(&r, 400);
        snprintf(want, sizeof want, "\"field\":\"%s\"", row[i].field);
        if (strstr(r.text, want) == NULL)
            fail_msg("%s: %s", row[i].body, r.text);
    }
    api_call(&r, "operator", "POST", "/v1/tokens", "{\"id\":\"a\",\"role\":\"admin\"}", NULL);
    assert_status(&r, 403);
    api_call(&r, "admin", "POST", "/v1/tokens?dryRun=true", "{\"id\":\"a\",\"role\":\"admin\"}",
             NULL);
    assert_status(&r, 400);
    api_call(&r, "admin", "POST", "/v1/tokens?dryRun=true", admins("a", 1), NULL);
    assert_status(&r, 200);
    assert_null(json_object_get(r.j, "token"));
    assert_string_equal(api_sql("SELECT count(*) FROM api_tokens WHERE name = 'a'"), "0");
}

static void prismctl_does_the_same(void **state)
{
    (void)state;
    char out[4096], dir[] = "/tmp/prism-token-XXXXXX", file[64], line[256];
    struct stat s;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/token", dir);
    assert_int_equal(
        api_ctl("admin", NULL, "token create bot --role viewer --expires 90d", out, sizeof out), 0);
    out[strcspn(out, "\n")] = '\0';
    assert_int_equal(strlen(out), 6 + 64); /* the token, and nothing else */
    assert_int_equal(status_with(out, "/v1/nodes"), 200);
    assert_string_equal(api_sql("SELECT expires_at > now() + interval '89 days' AND expires_at < "
                                "now() + interval '91 days' FROM api_tokens WHERE name = 'bot'"),
                        "t");

    snprintf(line, sizeof line, "token create filed --role viewer --file %s", file);
    assert_int_equal(api_ctl("admin", NULL, line, out, sizeof out), 0);
    assert_null(strstr(out, "prism_"));
    assert_int_equal(stat(file, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    FILE *f = fopen(file, "re");
    assert_non_null(f);
    assert_non_null(fgets(out, sizeof out, f));
    fclose(f);
    out[strcspn(out, "\n")] = '\0';
    assert_int_equal(status_with(out, "/v1/nodes"), 200);
    /* The file is somebody's already: nothing is made. */
    snprintf(line, sizeof line, "token create filed2 --role viewer --file %s", file);
    assert_int_equal(api_ctl("admin", NULL, line, out, sizeof out), 2);
    assert_string_equal(api_sql("SELECT count(*) FROM api_tokens WHERE name = 'filed2'"), "0");
    unlink(file);
    rmdir(dir);

    assert_int_equal(api_ctl("admin", NULL, "token list --role viewer", out, sizeof out), 0);
    assert_non_null(strstr(out, "bot"));
    assert_null(strstr(out, "prism_"));
    assert_int_equal(api_ctl("admin", NULL, "token revoke bot", out, sizeof out), 2); /* asks */
    assert_int_equal(api_ctl("admin", NULL, "token show bot -o json", out, sizeof out), 0);
    assert_null(strstr(out, "\"revoked\""));
    assert_int_equal(api_ctl("admin", NULL, "token revoke bot --yes", out, sizeof out), 0);
    assert_int_equal(api_ctl("admin", NULL, "token show bot -o json", out, sizeof out), 0);
    assert_non_null(strstr(out, "revoked"));
    assert_int_equal(api_ctl("operator", NULL, "token list", out, sizeof out), 4);
    assert_int_equal(api_ctl("admin", NULL, "token revoke nobody --yes", out, sizeof out), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_made_and_shown_once),
        cmocka_unit_test(a_revoked_token_opens_nothing),
        cmocka_unit_test(an_admins_token_ends),
        cmocka_unit_test(who_loses_a_token_ends_no_request),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(prismctl_does_the_same),
    };
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
