#include "core/stream.h"

#include <string.h>

enum state {
    COMMAND, /* '*', or an empty line */
    EMPTY,   /* the \n of an empty line */
    COUNT,   /* digits up to \r */
    COUNT_END,
    BULK, /* '$' */
    LENGTH,
    LENGTH_END,
    BODY,
    BODY_CR,
    BODY_LF,
    BROKEN
};

/* More arguments or longer ones than any server sends are damage; so are numbers that have no
 * end. */
static const uint64_t most_args = INT32_MAX, most_bytes = UINT64_C(1) << 40;

struct look {
    void (*each)(void *ctx, const struct dr_command *c);
    void *ctx;
};

void dr_stream_init(struct dr_stream *s, uint64_t offset)
{
    *s = (struct dr_stream){ .offset = offset, .boundary = offset, .state = COMMAND };
}

/* word in lower-case letters */
static bool is(const struct dr_command *c, size_t i, const char *word)
{
    const size_t n = strlen(word);
    if (i >= c->args || c->len[i] != n)
        return false;
    for (size_t k = 0; k < n; k++)
        if ((c->arg[i][k] | 0x20) != word[k])
            return false;
    return true;
}

bool dr_command_asks_ack(const struct dr_command *c)
{
    return c->argc == 3 && is(c, 0, "replconf") && is(c, 1, "getack");
}

static bool select_db(struct dr_stream *s)
{
    const struct dr_command *c = &s->now;
    int db = 0;
    if (c->len[1] == 0 || c->len[1] > 9)
        return false;
    for (const char *p = c->arg[1]; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return false;
        db = db * 10 + (*p - '0');
    }
    s->db = db;
    return true;
}

/* A whole command, or an empty line (argc 0), ends at `end`. NULL, or what is wrong with it. */
static const char *completed(struct dr_stream *s, uint64_t end, const struct look *look)
{
    struct dr_command *c = &s->now;
    c->end = end;
    c->args = c->argc < DR_STREAM_ARGS ? c->argc : DR_STREAM_ARGS;
    if (c->argc == 1) {
        const bool multi = is(c, 0, "multi"), exec = is(c, 0, "exec");
        if (multi && s->in_multi)
            return "MULTI inside MULTI";
        if (exec && !s->in_multi)
            return "EXEC without MULTI";
        s->in_multi = multi || (s->in_multi && !exec);
    } else if (c->argc == 2 && is(c, 0, "select") && !select_db(s)) {
        return "SELECT of no database";
    }
    s->commands += c->argc > 0;
    s->offset = end;
    if (!s->in_multi)
        s->boundary = end;
    if (look->each != NULL)
        look->each(look->ctx, c);
    s->state = COMMAND;
    return NULL;
}

/* Digits without leading zeros, up to and with \r. NULL, or what is wrong; *done: \r was there. */
static const char *number(struct dr_stream *s, const unsigned char **at, const unsigned char *end,
                          uint64_t most, bool *done)
{
    const unsigned char *p = *at;
    const char *wrong = NULL;
    uint64_t v = s->number;
    unsigned digits = s->digits;
    *done = false;
    for (; p < end; p++) {
        const unsigned d = (unsigned)*p - '0';
        if (d <= 9 && !(digits > 0 && v == 0)) {
            v = v * 10 + d;
            digits++;
            if (v <= most)
                continue;
            wrong = "a number that is too large";
            break;
        }
        *done = *p == '\r' && digits > 0;
        if (*done)
            p++;
        else
            wrong = "a number with another byte in it";
        break;
    }
    s->number = v;
    s->digits = digits;
    *at = p;
    return wrong;
}

static void begin_number(struct dr_stream *s, enum state next)
{
    s->number = 0;
    s->digits = 0;
    s->state = next;
}

static void begin_body(struct dr_stream *s)
{
    struct dr_command *c = &s->now;
    s->left = s->number;
    s->state = s->left > 0 ? BODY : BODY_CR;
    if (s->arg >= DR_STREAM_ARGS)
        return;
    c->len[s->arg] = (size_t)s->left;
    c->arg[s->arg][s->left < DR_STREAM_ARG ? s->left : DR_STREAM_ARG - 1] = '\0';
}

static const unsigned char *body(struct dr_stream *s, const unsigned char *p,
                                 const unsigned char *end)
{
    struct dr_command *c = &s->now;
    const size_t here = (size_t)(end - p), take = s->left < here ? (size_t)s->left : here;
    if (s->arg < DR_STREAM_ARGS) {
        const uint64_t had = c->len[s->arg] - s->left;
        if (had < DR_STREAM_ARG - 1) {
            const size_t room = (size_t)(DR_STREAM_ARG - 1 - had);
            memcpy(c->arg[s->arg] + had, p, take < room ? take : room);
        }
    }
    s->left -= take;
    if (s->left == 0)
        s->state = BODY_CR;
    return p + take;
}

/* The usual case: an argument of up to 9 digits of length that is all there. NULL: it is not, or
 * something is wrong with it, and the parser goes byte by byte. */
static const unsigned char *at_once(struct dr_stream *s, const unsigned char *p,
                                    const unsigned char *end)
{
    enum { DIGITS = 9, SHORTEST = 6 }; /* $0\r\n\r\n */
    struct dr_command *c = &s->now;
    if (end - p < SHORTEST || p[0] != '$')
        return NULL;
    const unsigned char *digit = p + 1, *most = end - digit < DIGITS ? end : digit + DIGITS;
    size_t n = 0;
    for (; digit < most && (unsigned)*digit - '0' <= 9; digit++)
        n = n * 10 + (*digit - (unsigned)'0');
    if (digit == p + 1 || (p[1] == '0' && digit > p + 2) || (size_t)(end - digit) < n + 4 ||
        digit[0] != '\r' || digit[1] != '\n' || digit[2 + n] != '\r' || digit[3 + n] != '\n')
        return NULL;
    if (s->arg < DR_STREAM_ARGS) {
        const size_t kept = n < DR_STREAM_ARG ? n : DR_STREAM_ARG - 1;
        memcpy(c->arg[s->arg], digit + 2, kept);
        c->arg[s->arg][kept] = '\0';
        c->len[s->arg] = n;
    }
    return digit + 4 + n;
}

/* Feeds from *at on until the end, or until something is wrong, with *at there. `base`: the
 * offset of start. */
static const char *feed(struct dr_stream *s, const unsigned char *start, const unsigned char **at,
                        const unsigned char *end, uint64_t base, const struct look *look)
{
    const unsigned char *p = *at;
    const unsigned char *behind;
    const char *wrong = NULL;
    bool done;
    while (p < end && wrong == NULL) {
        *at = p;
        switch ((enum state)s->state) {
        case COMMAND:
            if (*p == '*') {
                begin_number(s, COUNT);
                p++;
            } else if (*p == '\r') {
                s->state = EMPTY;
                p++;
            } else if (*p == '\n') {
                s->now.argc = 0;
                wrong = completed(s, base + (uint64_t)(++p - start), look);
            } else {
                wrong = "no command begins so";
            }
            break;
        case EMPTY:
            s->now.argc = 0;
            wrong =
                *p != '\n' ? "\\r without \\n" : completed(s, base + (uint64_t)(++p - start), look);
            break;
        case COUNT:
            wrong = number(s, &p, end, most_args, &done);
            *at = p;
            if (done)
                s->state = COUNT_END;
            break;
        case COUNT_END:
            if (*p++ != '\n' || s->number == 0)
                wrong = s->number == 0 ? "a command without a name" : "\\r without \\n";
            s->now.argc = (size_t)s->number;
            s->arg = 0;
            s->state = BULK;
            break;
        case BULK:
            if ((behind = at_once(s, p, end)) != NULL) {
                p = behind;
                *at = p - 1; /* as if byte by byte, should the command be wrong */
                if (++s->arg == s->now.argc)
                    wrong = completed(s, base + (uint64_t)(p - start), look);
            } else {
                if (*p++ != '$')
                    wrong = "an argument that is no bulk string";
                begin_number(s, LENGTH);
            }
            break;
        case LENGTH:
            wrong = number(s, &p, end, most_bytes, &done);
            *at = p;
            if (done)
                s->state = LENGTH_END;
            break;
        case LENGTH_END:
            if (*p++ != '\n')
                wrong = "\\r without \\n";
            begin_body(s);
            break;
        case BODY:
            p = body(s, p, end);
            break;
        case BODY_CR:
            if (*p++ != '\r')
                wrong = "an argument that is longer than it says";
            s->state = BODY_LF;
            break;
        case BODY_LF:
            if (*p++ != '\n')
                wrong = "\\r without \\n";
            else if (++s->arg < s->now.argc)
                s->state = BULK;
            else
                wrong = completed(s, base + (uint64_t)(p - start), look);
            break;
        case BROKEN:
            wrong = "it broke off before";
            break;
        }
    }
    return wrong;
}

enum pr_code dr_stream_feed(struct dr_stream *s, const void *data, size_t n,
                            void (*each)(void *ctx, const struct dr_command *c), void *ctx,
                            struct pr_err *err)
{
    const unsigned char *const start = data, *at = start;
    const struct look look = { each, ctx };
    const uint64_t base = s->offset;
    if (n == 0)
        return s->state != BROKEN
                   ? PR_OK
                   : pr_fail(err, PR_EDATA, "replication stream: it broke off before");
    const char *wrong = feed(s, start, &at, start + n, base, &look);
    if (wrong == NULL) {
        s->offset = base + n;
        return PR_OK;
    }
    s->state = BROKEN;
    s->offset = base + (uint64_t)(at - start);
    return pr_fail(err, PR_EDATA, "replication stream: behind offset %llu: %s",
                   (unsigned long long)s->offset, wrong);
}
