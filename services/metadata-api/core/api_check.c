#include "api_check.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void api_error(struct api_errors *errs, const char *field, const char *fmt, ...)
{
    if (errs->n == API_MAX_ERRORS) {
        errs->more = true;
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    snprintf(errs->e[errs->n].field, sizeof errs->e[0].field, "%s", field);
    vsnprintf(errs->e[errs->n].detail, sizeof errs->e[0].detail, fmt, ap);
    va_end(ap);
    errs->n++;
}

static bool lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool alnum(char c)
{
    return lower(c) || digit(c) || (c >= 'A' && c <= 'Z');
}

bool api_node_id_valid(const char *id)
{
    if (!alnum(id[0]) || strlen(id) > 63)
        return false;
    for (; *id != '\0'; id++)
        if (!alnum(*id) && strchr("._-", *id) == NULL)
            return false;
    return true;
}

static bool zone_id_valid(const char *id)
{
    if ((!lower(id[0]) && !digit(id[0])) || strlen(id) > 31)
        return false;
    for (; *id != '\0'; id++)
        if (!lower(*id) && !digit(*id) && *id != '-')
            return false;
    return true;
}

/* A name or an address: what a resolver may be asked for. */
static bool host_valid(const char *host)
{
    size_t n = strlen(host);
    if (n == 0 || n > 253)
        return false;
    for (; *host != '\0'; host++)
        if (!alnum(*host) && strchr("._-:", *host) == NULL)
            return false;
    return true;
}

/* Of n bytes. */
static bool seed_valid(const char *seed, size_t n)
{
    char text[260];
    uint64_t port = 0;
    if (n >= sizeof text)
        return false;
    memcpy(text, seed, n);
    text[n] = '\0';
    char *colon = strrchr(text, ':');
    if (colon == NULL)
        return false;
    *colon = '\0';
    return host_valid(text) && api_number_parse(colon + 1, 65535, &port) && port > 0;
}

void api_check_seeds(const char *field, const char *seeds, struct api_errors *errs)
{
    size_t nodes = 0;
    bool ok = strlen(seeds) <= 1000;
    for (const char *at = seeds; ok && at != NULL; nodes++) {
        const size_t n = strcspn(at, ",");
        ok = seed_valid(at, n);
        at = at[n] == ',' ? at + n + 1 : NULL;
    }
    if (!ok || nodes > 32)
        api_error(errs, field, "1 to 32 of HOST:PORT, with commas between");
}

void api_check_zone_id(const char *field, const char *id, struct api_errors *errs)
{
    if (!zone_id_valid(id))
        api_error(errs, field, "1 to 31 of a-z, 0-9 and '-', not starting with '-'");
}

void api_check_node(const struct api_node_in *in, struct api_errors *errs)
{
    if (in->id != NULL && !api_node_id_valid(in->id))
        api_error(errs, "id",
                  "1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-', starting with a letter "
                  "or digit");
    if (in->host != NULL && !host_valid(in->host))
        api_error(errs, "host", "a host name or an IP address");
    if (in->port < 1 || in->port > 65535)
        api_error(errs, "port", "a number from 1 to 65535");
    if (in->zone != NULL)
        api_check_zone_id("zone", in->zone, errs);
}

/* PostgreSQL's cidr also wants the bits right of the mask to be zero. */
static bool cidr_valid(const char *text)
{
    char address[64];
    const char *slash = strchr(text, '/');
    uint64_t bits = 0;
    if (slash == NULL || (size_t)(slash - text) >= sizeof address)
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';

    unsigned char raw[16];
    int len = inet_pton(AF_INET, address, raw) == 1    ? 4
              : inet_pton(AF_INET6, address, raw) == 1 ? 16
                                                       : 0;
    if (len == 0 || !api_number_parse(slash + 1, (uint64_t)len * 8, &bits))
        return false;
    for (uint64_t b = bits; b < (uint64_t)len * 8; b++)
        if (raw[b / 8] >> (7 - b % 8) & 1)
            return false;
    return true;
}

void api_check_zone(const struct api_zone_in *in, struct api_errors *errs)
{
    if (in->id != NULL)
        api_check_zone_id("id", in->id, errs);
    if (in->subnet != NULL && !cidr_valid(in->subnet))
        api_error(errs, "subnet", "a network such as 10.0.1.0/24, with no bits right of the mask");
    if (in->has_capacity_ratio &&
        !(isfinite(in->capacity_ratio) && in->capacity_ratio >= 0 && in->capacity_ratio <= 1000))
        api_error(errs, "capacityRatio", "a number from 0 to 1000");
}

/* NULL is fine: not given. */
static bool one_of(const char *text, const char *const *names, size_t n)
{
    bool known = text == NULL;
    for (size_t i = 0; i < n && !known; i++)
        known = strcmp(text, names[i]) == 0;
    return known;
}

static bool path_valid(const char *path)
{
    return path == NULL || (path[0] == '/' && strlen(path) <= 4095);
}

void api_check_run(const struct api_run_in *in, struct api_errors *errs)
{
    static const char *const formats[] = { "auto", "snap", "metis", "bin32", "bin64" };
    static const char *const kinds[] = { "placement", "communities", "evaluate" };
    static const char *const modes[] = { "auto", "warm", "full" };
    static const char *const parts[] = { "keep", "locality" };
    if (!path_valid(in->file))
        api_error(errs, "source.file", "an absolute path of at most 4095 bytes");
    if (!one_of(in->format, formats, PR_COUNT(formats)))
        api_error(errs, "source.format", "one of auto, snap, metis, bin32, bin64");
    if (!one_of(in->kind, kinds, PR_COUNT(kinds)))
        api_error(errs, "params.kind", "one of placement, communities, evaluate");
    if (!one_of(in->mode, modes, PR_COUNT(modes)))
        api_error(errs, "params.mode", "one of auto, warm, full");
    if (!one_of(in->parts, parts, PR_COUNT(parts)))
        api_error(errs, "params.parts", "keep or locality");
    if (!path_valid(in->fixed_file))
        api_error(errs, "params.fixedFile", "an absolute path of at most 4095 bytes");
    if (in->has_move_cap && in->move_cap < 0)
        api_error(errs, "params.moveCap", "a number of vertices, 0 or more");
    if (in->has_move_price && !(in->move_price >= 0 && in->move_price <= 1e18))
        api_error(errs, "params.movePrice", "edge weight per vertex weight, 0 to 1e18");
    if (in->has_seed && (in->seed < 0 || in->seed > INT32_MAX))
        api_error(errs, "params.seed", "a number from 0 to 2147483647");
    if (in->has_seeds && (in->seeds < 1 || in->seeds > 16))
        api_error(errs, "params.seeds", "a number from 1 to 16");
    if (in->has_imbalance && !(in->imbalance >= 0.03 && in->imbalance <= 0.05))
        api_error(errs, "params.imbalance", "a ratio from 0.03 to 0.05");
}

void api_check_capacity(const char *zone, double ratio, struct api_errors *errs)
{
    if (!zone_id_valid(zone) || !(ratio >= 0 && ratio <= 1000))
        api_error(errs, "params.capacity", "zone ids with numbers from 0 to 1000");
}

void api_check_fixed(const char *vertex, const char *zone, struct api_errors *errs)
{
    uint64_t id;
    if (!api_number_parse(vertex, UINT64_MAX, &id) || zone == NULL || !zone_id_valid(zone))
        api_error(errs, "params.fixed", "vertex ids (numbers) with the zone of each");
}

void api_check_plan(const struct api_plan_in *in, struct api_errors *errs)
{
    if (in->has_run_id && in->run_id < 1)
        api_error(errs, "runId", "the number of a placement run");
    if (in->has_batch_vertices && (in->batch_vertices < 1 || in->batch_vertices > 10000))
        api_error(errs, "params.batchVertices", "a number from 1 to 10000");
    if (in->has_workers && (in->workers < 1 || in->workers > 64))
        api_error(errs, "params.workers", "a number from 1 to 64");
}

bool api_idempotency_key_valid(const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < n; i++)
        if (key[i] < 0x20 || key[i] > 0x7e)
            return false;
    return n >= 1 && n <= 255;
}

bool api_uuid_valid(const char *text)
{
    if (strlen(text) != 36)
        return false;
    for (int i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = digit(text[i]) || (text[i] >= 'a' && text[i] <= 'f') ||
                   (text[i] >= 'A' && text[i] <= 'F');
        if (dash ? text[i] != '-' : !hex)
            return false;
    }
    return true;
}

bool api_number_parse(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (; *text != '\0'; text++) {
        if (!digit(*text) || v > (UINT64_MAX - (uint64_t)(*text - '0')) / 10)
            return false;
        v = v * 10 + (uint64_t)(*text - '0');
    }
    if (v > max)
        return false;
    *out = v;
    return true;
}

bool api_etag_matches(const char *if_match, uint64_t generation, bool *well_formed)
{
    const char *p = if_match + strspn(if_match, " \t");
    bool matches = false;
    *well_formed = true;
    if (p[0] == '*' && p[1 + strspn(p + 1, " \t")] == '\0')
        return true;
    for (;;) {
        char digits[24];
        uint64_t got;
        const char *end = p[0] == '"' ? strchr(p + 1, '"') : NULL;
        if (end == NULL) {
            *well_formed = false;
            return false;
        }
        size_t n = strcspn(p + 1, "\"-"); /* what follows a dash is of the status */
        if (n < sizeof digits) {          /* a longer tag is well formed and of nothing here */
            memcpy(digits, p + 1, n);
            digits[n] = '\0';
            matches |= api_number_parse(digits, UINT64_MAX, &got) && got == generation;
        }
        p = end + 1 + strspn(end + 1, " \t");
        if (*p == '\0')
            return matches;
        if (*p != ',') {
            *well_formed = false;
            return false;
        }
        p += 1 + strspn(p + 1, " \t");
    }
}

void api_camel(const char *snake, char *out, size_t cap)
{
    size_t n = 0;
    bool up = false;
    for (; *snake != '\0' && n + 1 < cap; snake++) {
        if (*snake == '_' && n > 0 && lower(snake[1])) {
            up = true;
            continue;
        }
        out[n++] = up ? (char)(*snake - 'a' + 'A') : *snake;
        up = false;
    }
    out[n] = '\0';
}

/* One row a verb and state in which it is accepted; anything else is refused.
 * Whoever runs a plan owns its state while it runs: stopping is a request. */
static const struct {
    enum api_verb verb;
    const char *state;
    enum api_effect effect;
    const char *to;
} verb_row[] = {
    { API_EXECUTE, "proposed", API_SET_STATE, "approved" },
    { API_EXECUTE, API_WAITING, API_SET_STATE, "approved" },
    { API_APPROVE, "proposed", API_SET_STATE, "approved" },
    { API_PAUSE, "running", API_SET_STATE, "paused" },
    { API_RESUME, "paused", API_SET_STATE, "running" },
    { API_CANCEL, "proposed", API_SET_STATE, "canceled" },
    { API_CANCEL, API_WAITING, API_SET_STATE, "canceled" },
    { API_CANCEL, "pending", API_ASK_STOP, NULL },
    { API_CANCEL, "approved", API_ASK_STOP, NULL },
    { API_CANCEL, "running", API_ASK_STOP, NULL },
    { API_CANCEL, "paused", API_ASK_STOP, NULL },
};

struct api_verdict api_plan_verb(enum api_verb verb, const char *state)
{
    for (size_t i = 0; i < PR_COUNT(verb_row); i++)
        if (verb_row[i].verb == verb && strcmp(verb_row[i].state, state) == 0)
            return (struct api_verdict){ verb_row[i].effect, verb_row[i].to };
    return (struct api_verdict){ API_REFUSE, NULL };
}

void api_plan_verb_states(enum api_verb verb, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < PR_COUNT(verb_row); i++)
        if (verb_row[i].verb == verb && n < cap)
            n += (size_t)snprintf(out + n, cap - n, "%s%s", n > 0 ? " or " : "", verb_row[i].state);
}
