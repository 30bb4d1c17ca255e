/* What a restore reads of the bucket before it knows what to fetch: a week of containers in two
 * groups, behind a server of the test's own that gives every object the date that it wants, and
 * counts. */
#include "t.h"

#include "dr_make.h"

#include "core/chain.h"
#include "format/manifest.h"
#include "io/index.h"

#include "prism/io/http.h"

#include <pthread.h>
#include <time.h>

#define MIN INT64_C(60000)
#define DAY (1440 * MIN)
#define T0  INT64_C(1900000000000)

enum { RAW = 10, EVERY_MIN = 2, DAYS = 7, PAGE = 1000, GROUPS = 2 };

struct object {
    char key[DR_KEY];
    char *data;
    size_t n;
    int64_t ms;
    unsigned gets;
};
static struct object *object; /* [objects] by key */
static size_t objects, room;
static unsigned lists;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;

/* --- the server ------------------------------------------------------------------------------ */

static void put(const char *key, const struct pr_buf *b, int64_t ms)
{
    if (objects == room) {
        room = room == 0 ? 1024 : 2 * room;
        struct object *more = realloc(object, room * sizeof *more);
        assert_non_null(more);
        object = more;
    }
    struct object *o = &object[objects++];
    *o = (struct object){ .data = malloc(b->len), .n = b->len, .ms = ms };
    assert_non_null(o->data);
    (void)snprintf(o->key, sizeof o->key, "%s", key);
    memcpy(o->data, b->data, b->len);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct object *)a)->key, ((const struct object *)b)->key);
}

static struct object *find(const char *key)
{
    struct object o;
    (void)snprintf(o.key, sizeof o.key, "%s", key);
    return bsearch(&o, object, objects, sizeof o, by_key);
}

static const char *or_empty(const char *s)
{
    return s != NULL ? s : "";
}

static void add_entry(struct pr_buf *b, const struct object *o)
{
    char at[32];
    const time_t s = (time_t)(o->ms / 1000);
    struct tm tm;
    (void)strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
    pr_buf_printf(b,
                  "<Contents><Key>%s</Key><LastModified>%s.000Z</LastModified><ETag>\"e\"</ETag>"
                  "<Size>%zu</Size></Contents>",
                  o->key, at, o->n);
}

static void list(void *ctx, const struct pr_http_req *q, struct pr_http_res *r)
{
    const char *prefix = or_empty(pr_http_query(q, "prefix")),
               *token = or_empty(pr_http_query(q, "continuation-token")),
               *after = token[0] != '\0' ? token : or_empty(pr_http_query(q, "start-after")),
               *delimiter = or_empty(pr_http_query(q, "delimiter"));
    char folded[DR_KEY] = "", last[DR_KEY] = "";
    struct pr_buf *b = &r->body;
    int n = 0;
    (void)ctx;
    pthread_mutex_lock(&mu);
    lists++;
    r->content_type = "application/xml";
    pr_buf_str(b, "<ListBucketResult>");
    for (size_t i = 0; i < objects && n <= PAGE; i++) {
        const char *key = object[i].key;
        if (strncmp(key, prefix, strlen(prefix)) != 0 || strcmp(key, after) <= 0 ||
            (folded[0] != '\0' && strncmp(key, folded, strlen(folded)) == 0))
            continue;
        if (n++ == PAGE)
            break;
        const char *end = delimiter[0] != '\0' ? strstr(key + strlen(prefix), delimiter) : NULL;
        (void)snprintf(last, sizeof last, "%s", key);
        if (end != NULL) {
            (void)snprintf(folded, sizeof folded, "%.*s", (int)(end + 1 - key), key);
            pr_buf_printf(b, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>", folded);
        } else {
            add_entry(b, &object[i]);
        }
    }
    if (n > PAGE)
        pr_buf_printf(b, "<NextContinuationToken>%s</NextContinuationToken>", last);
    pr_buf_printf(b, "<IsTruncated>%s</IsTruncated></ListBucketResult>",
                  n > PAGE ? "true" : "false");
    pthread_mutex_unlock(&mu);
}

static void get(void *ctx, const struct pr_http_req *q, struct pr_http_res *r)
{
    const char *range = pr_http_header(q, "Range");
    struct object *o = find(q->path + strlen("/bucket/"));
    size_t from = 0, to;
    (void)ctx;
    if (o == NULL) {
        r->status = 404;
        return;
    }
    to = o->n - 1;
    if (range != NULL) {
        assert_int_equal(sscanf(range, "bytes=%zu-%zu", &from, &to), 2);
        char *said = pr_arena_alloc(q->arena, 64);
        (void)snprintf(said, 64, "bytes %zu-%zu/%zu", from, to, o->n);
        r->status = 206;
        r->header[1].name = "Content-Range";
        r->header[1].value = said;
    }
    r->header[0].name = "ETag";
    r->header[0].value = "\"e\"";
    r->content_type = "application/octet-stream";
    pr_buf_add(&r->body, o->data + from, to - from + 1);
    pthread_mutex_lock(&mu);
    o->gets++;
    pthread_mutex_unlock(&mu);
}

static enum pr_code keys(void *arg, int64_t now_ms, struct pr_aws_keys *out, struct pr_err *err)
{
    (void)arg;
    (void)now_ms;
    (void)err;
    *out = (struct pr_aws_keys){ .access = "a", .secret = "s" };
    return PR_OK;
}

static struct pr_http *http;
static char url[64];
static struct pr_s3_store store = {
    .endpoint = url, .bucket = "bucket", .region = "r", .path_style = true, .keys = keys
};

/* --- the week -------------------------------------------------------------------------------- */

/* Shard c's group is led anew on day 3, and goes on with the old generation until day 6. */
static struct shard {
    const char *name;
    int group;
    struct dr_generation_id id[2];
    int64_t begun_ms[2];
    uint64_t offset;
    uint8_t chain[DR_HASH];
} shard[] = {
    { "a", 0, { { 3, 1 }, { 3, 3 } }, { T0, T0 + 13 * DAY / 2 }, 0, { 0 } },
    { "b", 0, { { 3, 2 }, { 3, 4 } }, { T0, T0 + 13 * DAY / 2 + 30 * MIN }, 0, { 0 } },
    { "c", 1, { { 4, 1 }, { 9, 1 } }, { T0, T0 + 6 * DAY }, 0, { 0 } },
};

static void begin(struct shard *s, int n)
{
    struct dr_generation g = dr_make_generation(1);
    struct pr_buf b;
    struct pr_err err = { 0 };
    struct dr_key k = { .kind = DR_KEY_GENERATION, .cluster = "demo", .generation = s->id[n] };
    char key[DR_KEY];
    g.id = s->id[n];
    g.begun_ms = s->begun_ms[n];
    g.ended_ms = s->begun_ms[n] + MIN;
    g.offset = s->offset;
    (void)snprintf(g.shard, DR_NAME, "%s", s->name);
    (void)snprintf(g.group, DR_NAME, "g%d", s->group);
    (void)snprintf(k.name, DR_NAME, "%s", s->name);
    g.part[0] = (struct dr_part){ .bytes = 1, .stored_bytes = 1 };
    dr_generation_seal(&g);
    memcpy(s->chain, g.chain, DR_HASH);
    pr_buf_init(&b, 0);
    assert_ok(dr_generation_write(&g, &b, &err), &err);
    assert_ok(dr_key_print(&k, key, &err), &err);
    put(key, &b, s->begun_ms[n] + 2 * MIN);
    pr_buf_done(&b);
    dr_generation_done(&g);
}

static void ship(int group, uint64_t epoch, uint64_t seq, int64_t ms)
{
    static const char raw[RAW] = "0123456789";
    const void *raws[PR_COUNT(shard)];
    struct dr_piece piece[PR_COUNT(shard)];
    struct dr_container c = { .epoch = epoch, .seq = seq, .made_ms = ms, .piece = piece };
    struct dr_key k = { .kind = DR_KEY_LOG, .cluster = "demo", .epoch = epoch, .seq = seq };
    struct pr_buf b;
    struct pr_err err = { 0 };
    uint8_t check[DR_HASH];
    char key[DR_KEY];
    for (size_t i = 0; i < PR_COUNT(shard); i++) {
        struct shard *s = &shard[i];
        if (s->group != group)
            continue;
        struct dr_piece *p = &piece[c.pieces];
        raws[c.pieces++] = raw;
        *p = (struct dr_piece){ .generation = s->id[ms >= s->begun_ms[1] + 2 * MIN],
                                .replid = DR_REPLID_A,
                                .from = s->offset,
                                .to = s->offset + RAW,
                                .first_ms = ms - MIN,
                                .last_ms = ms,
                                .commands = 1 };
        (void)snprintf(p->shard, DR_NAME, "%s", s->name);
        dr_piece_seal(p, s->chain, raw);
        memcpy(s->chain, p->chain, DR_HASH);
        s->offset = p->to;
    }
    (void)snprintf(k.name, DR_NAME, "g%d", group);
    pr_buf_init(&b, 0);
    assert_ok(dr_container_write(&c, raws, NULL, &b, check, &err), &err);
    assert_ok(dr_key_print(&k, key, &err), &err);
    put(key, &b, ms);
    pr_buf_done(&b);
}

static int make_week(void **state)
{
    static const struct pr_http_route routes[] = {
        { "GET", "/bucket", list, 0 },
        { "GET", "/bucket/", list, 0 },
        { "GET", "/bucket/demo/log/{g}/{e}/{s}", get, 0 },
        { "GET", "/bucket/demo/gen/{s}/{g}", get, 0 },
    };
    const struct pr_http_options o = { .bind = "127.0.0.1",
                                       .max_body_bytes = 1 << 20,
                                       .max_connections = 200,
                                       .idle_timeout_s = 60,
                                       .routes = routes,
                                       .n_routes = PR_COUNT(routes) };
    struct pr_err err = { 0 };
    uint64_t seq = 0, turn = 0;
    (void)state;
    for (int64_t ms = T0; ms < T0 + DAYS * DAY; ms += EVERY_MIN * MIN) {
        const bool first_turn = ms < T0 + 3 * DAY;
        for (size_t i = 0; i < PR_COUNT(shard); i++)
            for (int n = 0; n < 2; n++)
                if (shard[i].begun_ms[n] == ms - (n == 0 ? 0 : 2 * MIN))
                    begin(&shard[i], n);
        ship(0, 3, seq, ms);
        ship(1, first_turn ? 4 : 9, first_turn ? seq : turn++, ms);
        seq++;
    }
    qsort(object, objects, sizeof *object, by_key);
    assert_ok(pr_http_open(&http, &o, &err), &err);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", pr_http_port(http));
    return 0;
}

static int close_week(void **state)
{
    (void)state;
    pr_http_close(http);
    for (size_t i = 0; i < objects; i++)
        free(object[i].data);
    free(object);
    return 0;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void forget(void)
{
    lists = 0;
    for (size_t i = 0; i < objects; i++)
        object[i].gets = 0;
}

/* Containers that were asked for; none twice, and none outside of the time that matters. */
static size_t heads(int64_t from_ms, int64_t to_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < objects; i++) {
        const struct object *o = &object[i];
        if (strncmp(o->key, "demo/log/", 9) != 0 || o->gets == 0)
            continue;
        if (o->gets != 1)
            fail_msg("%s was asked for %u times", o->key, o->gets);
        if (o->ms < from_ms || o->ms > to_ms)
            fail_msg("%s was read: it is %lld min off", o->key,
                     (long long)((o->ms < from_ms ? from_ms - o->ms : o->ms - to_ms) / MIN));
        n++;
    }
    return n;
}

static size_t containers(const char *group, int64_t from_ms)
{
    char prefix[DR_KEY];
    size_t n = 0;
    (void)snprintf(prefix, sizeof prefix, "demo/log/%s", group);
    for (size_t i = 0; i < objects; i++)
        n += strncmp(object[i].key, prefix, strlen(prefix)) == 0 && object[i].ms >= from_ms;
    return n;
}

static void route_of(struct dr_index *ix, const char *name, size_t g, int64_t until_ms,
                     struct dr_route *out)
{
    struct dr_index_shard *s = dr_index_find(ix, name);
    struct pr_err err = { 0 };
    assert_non_null(s);
    assert_true(g < s->n);
    assert_ok(dr_chain_route(&s->g[g], s->pieces.piece, s->pieces.n, until_ms, out, &err), &err);
    free(out->take);
}

static void the_newest_of_all_shards_takes_its_hours_once(void **state)
{
    (void)state;
    struct dr_index ix;
    struct pr_err err = { 0 };
    struct dr_route route;
    const int64_t from_ms = shard[2].begun_ms[1] - 60 * MIN; /* c's base is the oldest */
    /* of g0 the epoch is older than c's generation, so only a and b have anything there */
    const size_t want =
        containers("g0", shard[0].begun_ms[1] - 60 * MIN) + containers("g1", from_ms);
    forget();
    assert_ok(dr_index_open(&ix, &store, NULL, "demo", NULL, &err), &err);
    assert_int_equal(ix.shards, PR_COUNT(shard));
    dr_index_want(&ix, INT64_MAX);
    assert_ok(dr_index_read(&ix, &err), &err);
    const size_t read = heads(from_ms, INT64_MAX), all = containers("", 0);
    assert_int_equal(read, want);
    assert_int_equal(read, ix.read);
    assert_true(read * 6 < all);
    print_message("  %zu of %zu containers, %u listings\n", read, all, lists);
    for (size_t i = 0; i < PR_COUNT(shard); i++) {
        route_of(&ix, shard[i].name, 1, INT64_MAX, &route);
        assert_int_equal(route.to, shard[i].offset);
        assert_false(route.gap);
    }
    assert_ok(dr_index_read(&ix, &err), &err); /* nothing new is wanted */
    assert_int_equal(heads(from_ms, INT64_MAX), read);
    dr_index_close(&ix);
}

/* When a base turns out to be damaged: the one before, and only what was not read yet. */
static void an_older_one_adds_what_it_needs(void **state)
{
    (void)state;
    struct dr_index ix;
    struct pr_err err = { 0 };
    struct dr_route route;
    forget();
    assert_ok(dr_index_open(&ix, &store, NULL, "demo", "c", &err), &err);
    dr_index_want(&ix, INT64_MAX);
    assert_ok(dr_index_read(&ix, &err), &err);
    const size_t newest = ix.read;
    assert_int_equal(newest, containers("g1", shard[2].begun_ms[1] - 60 * MIN));
    dr_index_want_one(dr_index_find(&ix, "c"), 0);
    assert_ok(dr_index_read(&ix, &err), &err);
    assert_int_equal(heads(0, INT64_MAX), ix.read);
    assert_true(ix.read > newest);
    route_of(&ix, "c", 0, INT64_MAX, &route);
    assert_false(route.gap);
    assert_int_equal(route.last_ms, shard[2].begun_ms[1]); /* its last container */
    dr_index_close(&ix);
}

static void a_past_time_takes_the_hours_of_its_generation(void **state)
{
    (void)state;
    struct dr_index ix;
    struct pr_err err = { 0 };
    struct dr_route route, all;
    forget();
    assert_ok(dr_index_open(&ix, &store, NULL, "demo", "b", &err), &err);
    dr_index_want(&ix, T0 + 3 * DAY);
    assert_ok(dr_index_read(&ix, &err), &err);
    /* the manifest of the next base ends it, an hour allowed for clocks; g1 has newer epochs */
    (void)heads(T0, shard[1].begun_ms[1] + 62 * MIN + EVERY_MIN * MIN);
    route_of(&ix, "b", 0, T0 + 3 * DAY, &route);
    assert_true(route.reached);
    dr_index_want_all(&ix);
    assert_ok(dr_index_read(&ix, &err), &err);
    route_of(&ix, "b", 0, T0 + 3 * DAY, &all);
    assert_int_equal(route.to, all.to);
    assert_int_equal(ix.read, containers("", 0));
    dr_index_close(&ix);
}

static void a_shard_that_is_not_there_costs_nothing(void **state)
{
    (void)state;
    struct dr_index ix;
    struct pr_err err = { 0 };
    forget();
    assert_ok(dr_index_open(&ix, &store, NULL, "demo", "nobody", &err), &err);
    dr_index_want(&ix, INT64_MAX);
    assert_ok(dr_index_read(&ix, &err), &err);
    assert_null(dr_index_find(&ix, "nobody"));
    assert_int_equal(heads(0, INT64_MAX), 0);
    assert_int_equal(lists, 2); /* groups; its manifests */
    dr_index_close(&ix);
}

/* Whether shard c's newest generation ends where something may follow; *gap: with a gap. */
static bool may_be_more(bool *gap, const char **key)
{
    static char name[DR_KEY];
    struct dr_index ix;
    struct dr_route route;
    struct pr_err err = { 0 };
    assert_ok(dr_index_open(&ix, &store, NULL, "demo", "c", &err), &err);
    dr_index_want(&ix, INT64_MAX);
    assert_ok(dr_index_read(&ix, &err), &err);
    const struct dr_index_shard *s = dr_index_find(&ix, "c");
    assert_ok(dr_chain_route(&s->g[1], s->pieces.piece, s->pieces.n, INT64_MAX, &route, &err),
              &err);
    const bool more =
        dr_index_unread(&ix, s, 1, route.n > 0 ? route.take[route.n - 1] : SIZE_MAX, key);
    (void)snprintf(name, sizeof name, "%s", more ? *key : "");
    *key = name;
    *gap = route.gap;
    free(route.take);
    dr_index_close(&ix);
    return more;
}

/* At the end of what is there nothing shows that something is missing but that container. */
static void what_an_unreadable_container_may_have_held_is_known(void **state)
{
    (void)state;
    const char *key;
    bool gap;
    struct object *last = NULL, *elsewhere = NULL;
    for (size_t i = 0; i < objects; i++) { /* in the order of keys */
        if (strncmp(object[i].key, "demo/log/g1/", 12) == 0)
            last = &object[i];
        if (strncmp(object[i].key, "demo/log/g0/", 12) == 0)
            elsewhere = &object[i];
    }
    if (last == NULL || elsewhere == NULL) {
        fail_msg("no container of each group");
        return;
    }
    assert_false(may_be_more(&gap, &key));

    elsewhere->data[0] ^= 1; /* of another group */
    assert_false(may_be_more(&gap, &key));

    last->data[0] ^= 1;
    assert_true(may_be_more(&gap, &key));
    assert_false(gap);
    assert_string_equal(key, last->key);
    last->data[0] ^= 1;

    last[-1].data[0] ^= 1; /* what follows it shows that it is missing */
    assert_true(may_be_more(&gap, &key));
    assert_true(gap);
    assert_string_equal(key, last[-1].key);
    last[-1].data[0] ^= 1;

    elsewhere->data[0] ^= 1;
    assert_false(may_be_more(&gap, &key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_of_all_shards_takes_its_hours_once),
        cmocka_unit_test(an_older_one_adds_what_it_needs),
        cmocka_unit_test(a_past_time_takes_the_hours_of_its_generation),
        cmocka_unit_test(a_shard_that_is_not_there_costs_nothing),
        cmocka_unit_test(what_an_unreadable_container_may_have_held_is_known),
    };
    return cmocka_run_group_tests_name("dr index", tests, make_week, close_week);
}
