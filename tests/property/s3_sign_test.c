/* Random requests are signed as botocore signs them. Arguments: seed. */
#include "prism/rng.h"
#include "s3_private.h"

#include "t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUESTS = 400, TEXT = 200, FEW = 6 };

static uint64_t seed = 20261121;

struct request {
    char key[TEXT], name[2 * FEW][32], value[2 * FEW][TEXT];
    char host[64], date[PR_SIGV4_DATE], payload[S3_SHA256_HEX], secret[64], region[16];
    const char *method;
    size_t queries, headers; /* of name and value: first the ones, then from FEW on the others */
    int64_t now_ms;
};

/* Bytes that want encoding are as frequent as others. */
static void text(struct pr_rng *g, char *out, size_t max, bool header)
{
    static const char *const PIECE[] = { "a",
                                         "Z",
                                         "0",
                                         "/",
                                         "//",
                                         ".",
                                         "..",
                                         "-",
                                         "_",
                                         "~",
                                         " ",
                                         "%",
                                         "+",
                                         "=",
                                         "&",
                                         "?",
                                         "#",
                                         ":",
                                         ";",
                                         "@",
                                         "!",
                                         "*",
                                         "'",
                                         "(",
                                         ")",
                                         "\"",
                                         "\\",
                                         "<",
                                         ">",
                                         "[",
                                         "{",
                                         "^",
                                         "`",
                                         "|",
                                         "$",
                                         ",",
                                         "%2F",
                                         "\xc3\xa4",
                                         "\xe6\x97\xa5",
                                         "\xf0\x9f\x98\x80",
                                         "\t",
                                         "\x01" };
    const size_t plain = PR_COUNT(PIECE) - 5; /* headers are ASCII */
    const size_t n = pr_rng_below(g, max) + 1;

    out[0] = '\0';
    for (size_t i = 0; i < n && strlen(out) + 8 < TEXT; i++)
        (void)strcat(out, PIECE[pr_rng_below(g, header ? plain : PR_COUNT(PIECE))]);
    if (header) /* not only blanks */
        (void)strcat(out, "x");
}

static void make(struct pr_rng *g, struct request *r)
{
    static const char *const METHOD[] = { "GET", "PUT", "POST", "DELETE", "HEAD" };
    uint8_t hash[S3_SHA256];

    *r = (struct request){ .method = METHOD[pr_rng_below(g, PR_COUNT(METHOD))],
                           .now_ms = (int64_t)pr_rng_below(g, UINT64_C(4000000000000)),
                           .queries = pr_rng_below(g, FEW),
                           .headers = pr_rng_below(g, FEW) };
    text(g, r->key, 40, false);
    for (size_t i = 0; i < r->queries; i++) {
        (void)snprintf(r->name[i], sizeof r->name[i], "%c%zu%s",
                       (int)('a' + (int)pr_rng_below(g, 26)), i, i % 2 != 0 ? "-x" : "");
        if (pr_rng_below(g, 3) > 0)
            text(g, r->value[i], 20, false);
    }
    for (size_t i = FEW; i < FEW + r->headers; i++) {
        (void)snprintf(r->name[i], sizeof r->name[i], "%c-%zu",
                       (int)('a' + (int)pr_rng_below(g, 26)), i);
        text(g, r->value[i], 20, true);
    }
    (void)snprintf(r->host, sizeof r->host, "bucket-%d.example.com:%d", (int)pr_rng_below(g, 1000),
                   1024 + (int)pr_rng_below(g, 1000));
    (void)snprintf(r->region, sizeof r->region, "eu-west-%d", (int)pr_rng_below(g, 9));
    (void)snprintf(r->secret, sizeof r->secret, "secret/+%llx", (unsigned long long)pr_rng_next(g));
    assert_true(s3_sha256(r->key, strlen(r->key), hash));
    s3_hex(hash, sizeof hash, r->payload);
    pr_sigv4_date(r->now_ms, r->date);
}

static void json_text(FILE *f, const char *s)
{
    (void)fputc('"', f);
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\')
            (void)fprintf(f, "\\u%04x", (unsigned)*s);
        else
            (void)fputc(*s, f);
    }
    (void)fputc('"', f);
}

static void json_pairs(FILE *f, const struct request *r, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++) {
        (void)fprintf(f, "%s", i > from ? ", " : "");
        json_text(f, r->name[i]);
        (void)fprintf(f, ": ");
        json_text(f, r->value[i]);
    }
}

static void tell(FILE *f, const struct request *r)
{
    (void)fprintf(f, "{\"method\": \"%s\", \"host\": \"%s\", \"region\": \"%s\", ", r->method,
                  r->host, r->region);
    (void)fprintf(f, "\"access\": \"AKID\", \"secret\": \"%s\", \"key\": ", r->secret);
    json_text(f, r->key);
    (void)fprintf(f, ", \"query\": {");
    json_pairs(f, r, 0, r->queries);
    (void)fprintf(f,
                  "}, \"headers\": {\"host\": \"%s\", \"x-amz-date\": \"%s\", "
                  "\"x-amz-content-sha256\": \"%s\"%s",
                  r->host, r->date, r->payload, r->headers > 0 ? ", " : "");
    json_pairs(f, r, FEW, r->headers);
    (void)fprintf(f, "}}\n");
}

static void sign(const struct request *r, struct pr_buf *out)
{
    struct s3_request q = { .key = r->key };
    struct pr_sigv4_pair header[FEW + 3] = { { "x-amz-content-sha256", r->payload },
                                             { "host", r->host },
                                             { "x-amz-date", r->date } };
    struct pr_buf path, query;
    struct pr_err err;

    pr_buf_init(&path, 0);
    pr_buf_init(&query, 0);
    for (size_t i = 0; i < r->queries; i++)
        s3_request_query(&q, r->name[i], r->value[i]);
    for (size_t i = 0; i < r->headers; i++)
        header[3 + i] = (struct pr_sigv4_pair){ r->name[FEW + i], r->value[FEW + i] };
    assert_true(s3_target("", &q, &path, &query));
    const struct pr_sigv4 s = { .method = r->method,
                                .path = path.data,
                                .query = query.data != NULL ? query.data : "",
                                .header = header,
                                .headers = 3 + r->headers,
                                .payload = r->payload,
                                .access = "AKID",
                                .secret = r->secret,
                                .region = r->region,
                                .service = "s3",
                                .now_ms = r->now_ms };
    assert_ok(pr_sigv4_sign(&s, out, &err), &err);
    pr_buf_done(&path);
    pr_buf_done(&query);
}

static void botocore_signs_the_same(void **state)
{
    (void)state;
    static struct request r[REQUESTS];
    char name[] = "/tmp/prism-s3-XXXXXX", command[512], line[256];
    const int fd = mkstemp(name);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    struct pr_rng g;

    assert_non_null(f);
    pr_rng_init(&g, seed);
    for (size_t i = 0; i < REQUESTS; i++) {
        make(&g, &r[i]);
        tell(f, &r[i]);
    }
    assert_int_equal(fclose(f), 0);
    /* Debian's own python: the one that has botocore. */
    (void)snprintf(command, sizeof command,
                   "/usr/bin/python3 -B " PRISM_SOURCE_DIR "/tests/property/s3_sign.py %s", name);
    FILE *said = popen(command, "re"); /* NOLINT(cert-env33-c): our own script */
    assert_non_null(said);
    for (size_t i = 0; i < REQUESTS; i++) {
        struct pr_buf got;

        if (fgets(line, sizeof line, said) == NULL)
            fail_msg("seed %llu: no signature %zu", (unsigned long long)seed, i);
        line[strcspn(line, "\n")] = '\0';
        pr_buf_init(&got, 0);
        sign(&r[i], &got);
        if (strcmp(strstr(got.data, "Signature=") + 10, line) != 0) {
            tell(stderr, &r[i]);
            fail_msg("seed %llu: request %zu: %s, botocore %s", (unsigned long long)seed, i,
                     got.data, line);
        }
        pr_buf_done(&got);
    }
    assert_int_equal(pclose(said), 0);
    assert_int_equal(unlink(name), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(botocore_signs_the_same) };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
