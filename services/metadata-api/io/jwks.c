#include "jwks.h"

#include "api_jwt.h"
#include "prism/io/clock.h"
#include "prism/io/file.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEYS = 64,
    SET_BYTES = 256 * 1024,
    FETCH_TIMEOUT_MS = 5000,
    WAIT_MS = 2000, /* what a request with an unknown key waits */
    LOOK_MS = 1000, /* at the file */
};

struct key {
    json_t *json;      /* owned: the members that matter, and none that points elsewhere */
    struct api_jwk is; /* borrowed from json */
};

struct keys {
    struct key key[KEYS];
    size_t n;
};

struct api_jwks {
    char *setting, *source, *ca_file;
    int64_t refresh_ms, retry_ms, grace_ms;
    bool remote;
    struct pr_stamp stamp; /* of the file */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t wake, done;
    bool stop, wanted, reading, failing;
    struct keys *keys;         /* NULL: never read, or not for too long */
    int64_t tried_ms, read_ms; /* monotonic; -1: never */
    uint64_t tries, failed, version;
};

/* ---- a key set ---- */

static const char *text_of(const json_t *j, const char *member)
{
    return json_string_value(json_object_get(j, member));
}

static void keys_free(struct keys *k)
{
    for (size_t i = 0; k != NULL && i < k->n; i++)
        json_decref(k->key[i].json);
    free(k);
}

static unsigned rsa_bits(json_t *json)
{
    jwk_t *jwk = NULL;
    unsigned bits = 0;
    if (r_jwk_init(&jwk) == RHN_OK && r_jwk_import_from_json_t(jwk, json) == RHN_OK &&
        (r_jwk_key_type(jwk, &bits, R_FLAG_IGNORE_REMOTE) & R_KEY_TYPE_RSA) == 0)
        bits = 0;
    r_jwk_free(jwk);
    return bits;
}

/* Of a key that is no public key of a kind that we know: nothing. */
static void take_key(struct keys *to, const json_t *from)
{
    static const char *const members[] = { "kid", "kty", "alg", "use", "n", "e", "crv", "x", "y" };
    struct key k = { .json = json_object() };
    for (size_t i = 0; i < PR_COUNT(members); i++)
        if (text_of(from, members[i]) != NULL)
            json_object_set(k.json, members[i], json_object_get(from, members[i]));
    k.is = (struct api_jwk){
        .kid = text_of(k.json, "kid"),
        .kty = text_of(k.json, "kty"),
        .crv = text_of(k.json, "crv"),
        .alg = text_of(k.json, "alg"),
        .use = text_of(k.json, "use"),
        .is_private = json_object_get(from, "d") != NULL || json_object_get(from, "k") != NULL,
    };
    const bool rsa = k.is.kty != NULL && strcmp(k.is.kty, "RSA") == 0;
    k.is.bits = rsa ? rsa_bits(k.json) : 0;
    if (k.is.is_private)
        pr_warn(PR_EV("api.jwks_secret"), PR_S("detail", "a key that is not public is left out"));
    if (k.is.kty == NULL || k.is.is_private || to->n == KEYS)
        json_decref(k.json);
    else
        to->key[to->n++] = k;
}

static enum pr_code read_set(const char *text, size_t n, struct keys **out, struct pr_err *err)
{
    json_error_t at;
    json_t *set = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
    const json_t *list = json_object_get(set, "keys"), *one;
    struct keys *k = calloc(1, sizeof *k);
    size_t i;
    enum pr_code rc = k == NULL ? pr_fail(err, PR_ENOMEM, "key set")
                      : !json_is_array(list)
                          ? pr_fail(err, PR_EINVAL, "is no JSON Web Key Set%s%.100s",
                                    set == NULL ? ": " : "", set == NULL ? at.text : "")
                          : PR_OK;
    json_array_foreach(list, i, one)
    {
        if (rc == PR_OK && json_is_object(one))
            take_key(k, one);
    }
    if (rc == PR_OK && k->n == 0)
        rc = pr_fail(err, PR_EINVAL, "has no public keys");
    json_decref(set);
    if (rc == PR_OK)
        *out = k;
    else
        keys_free(k);
    return rc;
}

/* ---- reading ---- */

static size_t on_data(char *p, size_t size, size_t n, void *to)
{
    struct pr_buf *b = to;
    pr_buf_add(b, p, size * n);
    return b->failed ? 0 : size * n;
}

static enum pr_code fetch(const struct api_jwks *k, struct pr_buf *out, struct pr_err *err)
{
    char words[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *c = curl_easy_init();
    pr_buf_init(out, SET_BYTES);
    if (c == NULL)
        return pr_fail(err, PR_ENOMEM, "libcurl");
    (void)curl_easy_setopt(c, CURLOPT_URL, k->source);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    (void)curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)FETCH_TIMEOUT_MS);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "prism-metadata-api");
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
    if (k->ca_file[0] != '\0') {
        (void)curl_easy_setopt(c, CURLOPT_CAINFO, k->ca_file);
        (void)curl_easy_setopt(c, CURLOPT_CAPATH, NULL); /* and nobody else */
    }
    const CURLcode rc = curl_easy_perform(c);
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(c);
    if (rc != CURLE_OK)
        return pr_fail(err, PR_EUNAVAIL, "%s",
                       out->failed        ? "the answer is over 256 KiB"
                       : words[0] != '\0' ? words
                                          : curl_easy_strerror(rc));
    return status == 200 ? PR_OK : pr_fail(err, PR_EUNAVAIL, "HTTP status %ld", status);
}

static bool same_keys(const struct keys *a, const struct keys *b)
{
    bool same = a != NULL && a->n == b->n;
    for (size_t i = 0; same && i < b->n; i++)
        same = json_equal(a->key[i].json, b->key[i].json);
    return same;
}

static void note(struct api_jwks *k, enum pr_code rc, struct keys *fresh, const struct pr_err *err)
{
    pthread_mutex_lock(&k->lock);
    const bool was_failing = k->failing;
    k->failing = rc != PR_OK;
    k->tries++;
    k->failed += rc != PR_OK;
    if (rc == PR_OK) {
        k->read_ms = pr_mono_us() / 1000;
        k->version += !same_keys(k->keys, fresh);
        keys_free(k->keys);
        k->keys = fresh;
    }
    pthread_cond_broadcast(&k->done);
    pthread_mutex_unlock(&k->lock);
    if (rc != PR_OK && !was_failing)
        pr_warn(PR_EV("api.jwks_failed"), PR_E(err));
    else if (rc == PR_OK)
        pr_log(was_failing ? PR_INFO : PR_DEBUG, PR_EV("api.jwks_read"), PR_I("keys", fresh->n));
}

static enum pr_code read_keys(struct api_jwks *k, struct pr_err *err)
{
    struct pr_buf text;
    struct keys *fresh = NULL;
    enum pr_code rc;
    if (k->remote) {
        rc = fetch(k, &text, err);
        if (rc == PR_OK)
            rc = read_set(text.data == NULL ? "" : text.data, text.len, &fresh, err);
        if (rc != PR_OK)
            rc = pr_wrap(err, rc, "%s: %.100s", k->setting, k->source);
    } else {
        k->stamp = pr_stamp_of(k->source);
        rc = pr_file_read(k->setting, k->source, SET_BYTES, &text, err);
        if (rc == PR_EUNAVAIL)
            k->stamp = (struct pr_stamp){ .there = false }; /* it may be fine: look again */
        if (rc == PR_OK && (rc = read_set(text.data, text.len, &fresh, err)) != PR_OK)
            rc = pr_wrap(err, rc, "%s: %s", k->setting, k->source);
    }
    pr_buf_done(&text);
    note(k, rc, fresh, err);
    return rc;
}

/* With the lock held: is it time? */
static bool due(struct api_jwks *k, int64_t now_ms)
{
    if (k->wanted)
        return true;
    if (k->remote)
        return k->tried_ms < 0 ||
               now_ms - k->tried_ms >= (k->failing ? k->retry_ms : k->refresh_ms);
    const struct pr_stamp now = pr_stamp_of(k->source);
    return !pr_stamp_same(&now, &k->stamp);
}

/* With the lock held. What was let in by them is judged anew, and finds no keys. */
static void forget_old(struct api_jwks *k, int64_t now_ms)
{
    if (!k->remote || k->keys == NULL || now_ms - k->read_ms < k->grace_ms)
        return;
    keys_free(k->keys);
    k->keys = NULL;
    k->version++;
    pr_error(PR_EV("api.jwks_forgotten"), PR_S("source", k->source),
             PR_I("age_s", (now_ms - k->read_ms) / 1000));
}

static void *run(void *arg)
{
    struct api_jwks *k = arg;
    struct pr_err err = { 0 };
    pthread_mutex_lock(&k->lock);
    while (!k->stop) {
        const int64_t now_ms = pr_mono_us() / 1000;
        forget_old(k, now_ms); /* also when a provider that hangs keeps us reading */
        if (!due(k, now_ms)) {
            (void)pr_cond_until(&k->wake, &k->lock, (now_ms + LOOK_MS) * 1000);
            continue;
        }
        k->wanted = false;
        k->reading = true;
        k->tried_ms = now_ms;
        pthread_mutex_unlock(&k->lock);
        (void)(read_keys(k, &err) == PR_OK); /* told by note */
        pthread_mutex_lock(&k->lock);
        k->reading = false;
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

/* ---- life ---- */

enum pr_code api_jwks_open(struct api_jwks **out, const struct api_jwks_options *o,
                           struct pr_err *err)
{
    struct api_jwks *k = calloc(1, sizeof *k);
    if (k == NULL)
        return pr_fail(err, PR_ENOMEM, "key set");
    (void)pthread_mutex_init(&k->lock, NULL);
    pr_cond_init(&k->wake);
    pr_cond_init(&k->done);
    k->setting = strdup(o->setting);
    k->source = strdup(o->source);
    k->ca_file = strdup(o->ca_file);
    k->refresh_ms = o->refresh_ms;
    k->retry_ms = o->retry_ms;
    k->grace_ms = o->grace_ms;
    k->tried_ms = k->read_ms = -1;
    k->remote = strncmp(o->source, "https://", 8) == 0;
    enum pr_code rc = PR_OK;
    if (k->setting == NULL || k->source == NULL || k->ca_file == NULL)
        rc = pr_fail(err, PR_ENOMEM, "key set");
    else if (!k->remote && strstr(o->source, "://") != NULL)
        rc = pr_fail(err, PR_EINVAL, "%s: %.100s: want an https URL or a file", o->setting,
                     o->source);
    else if (!k->remote)
        rc = read_keys(k, err);
    else if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        rc = pr_fail(err, PR_EINTERNAL, "libcurl does not start");
    if (rc == PR_OK && pthread_create(&k->thread, NULL, run, k) != 0)
        rc = pr_fail(err, PR_EUNAVAIL, "key set: no thread");
    k->started = rc == PR_OK;
    if (rc == PR_OK)
        *out = k;
    else
        api_jwks_close(k);
    return rc;
}

void api_jwks_close(struct api_jwks *k)
{
    if (k == NULL)
        return;
    pthread_mutex_lock(&k->lock);
    k->stop = true;
    pthread_cond_broadcast(&k->wake);
    pthread_cond_broadcast(&k->done);
    pthread_mutex_unlock(&k->lock);
    if (k->started)
        (void)pthread_join(k->thread, NULL);
    keys_free(k->keys);
    pthread_cond_destroy(&k->wake);
    pthread_cond_destroy(&k->done);
    pthread_mutex_destroy(&k->lock);
    free(k->setting);
    free(k->source);
    free(k->ca_file);
    free(k);
}

/* ---- looking up ---- */

static const struct key *find(const struct keys *k, const char *kid, const char *alg)
{
    const struct key *found = NULL;
    for (size_t i = 0; k != NULL && i < k->n; i++) {
        const struct key *one = &k->key[i];
        if (!api_jwt_key_fits(alg, &one->is))
            continue;
        if (kid != NULL && one->is.kid != NULL && strcmp(kid, one->is.kid) == 0)
            return one;
        if (kid != NULL)
            continue;
        if (found != NULL)
            return NULL; /* which? */
        found = one;
    }
    return found;
}

/* With the lock held. Whoever comes while keys are being read waits for that; nobody makes us
 * read more often than retry_ms. */
static void ask(struct api_jwks *k)
{
    const int64_t now_ms = pr_mono_us() / 1000;
    const uint64_t tries = k->tries;
    if (!k->wanted && !k->reading) {
        if (k->tried_ms >= 0 && now_ms - k->tried_ms < k->retry_ms)
            return;
        k->wanted = true;
        pthread_cond_broadcast(&k->wake);
    }
    while (k->tries == tries && !k->stop &&
           pr_cond_until(&k->done, &k->lock, (now_ms + WAIT_MS) * 1000))
        ;
}

enum pr_code api_jwks_find(struct api_jwks *k, const char *kid, const char *alg, jwk_t **out)
{
    *out = NULL;
    pthread_mutex_lock(&k->lock);
    const struct key *key = find(k->keys, kid, alg);
    if (key == NULL) {
        ask(k);
        key = find(k->keys, kid, alg);
    }
    enum pr_code rc = key != NULL ? PR_OK : k->keys == NULL ? PR_EUNAVAIL : PR_ENOTFOUND;
    if (rc == PR_OK &&
        (r_jwk_init(out) != RHN_OK || r_jwk_import_from_json_t(*out, key->json) != RHN_OK))
        rc = PR_ENOTFOUND; /* it is no key after all */
    pthread_mutex_unlock(&k->lock);
    if (rc != PR_OK) {
        r_jwk_free(*out);
        *out = NULL;
    }
    return rc;
}

uint64_t api_jwks_version(struct api_jwks *k)
{
    pthread_mutex_lock(&k->lock);
    const uint64_t version = k->version;
    pthread_mutex_unlock(&k->lock);
    return version;
}

void api_jwks_stats(struct api_jwks *k, struct api_jwks_stats *out)
{
    pthread_mutex_lock(&k->lock);
    *out = (struct api_jwks_stats){
        .keys = k->keys == NULL ? 0 : k->keys->n,
        .age_ms = k->read_ms < 0 ? -1 : pr_mono_us() / 1000 - k->read_ms,
        .reads = k->tries,
        .failed = k->failed,
    };
    pthread_mutex_unlock(&k->lock);
}
