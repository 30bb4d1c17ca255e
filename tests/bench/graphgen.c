/* graphgen: seeded, streaming generator of synthetic graphs for benches and tests.
 *
 *   graphgen lfr N AVG_DEGREE MU SEED [options]       planted communities; degrees and
 *                                                     community sizes follow power laws
 *   graphgen rmat SCALE EDGE_FACTOR SEED [options]    R-MAT, 2^SCALE vertices
 *
 * both  -o FILE (standard output)  -f bin|text (text); bin: pairs of little-endian
 *       uint32; text: "u v" a line
 * lfr   -g degree exponent (2.5)  -D largest degree (10 sqrt(n), at most n/10)
 *       -b community-size exponent (1.5)  -c least size (20)  -C largest (n/50, at least 100)
 *       -t FILE  the planted communities: n little-endian uint32
 *       -s 0|1   1 (default): ids are shuffled; 0: communities are ranges of ids
 *       -r 0|1   1: edges in random order (a stream); 0 (default): grouped by source
 * rmat  -A -B -K probabilities of the quadrants (0.57 0.19 0.19)  -s 0|1 scramble ids (1)
 *
 * An undirected edge is written once; never a self-loop; parallel edges may occur.
 * Equal arguments give equal bytes. Memory: lfr 4 bytes an end of an edge and 24 a
 * vertex, rmat nothing to speak of.
 * Sources: Lancichinetti, Fortunato, Radicchi, Phys. Rev. E 78, 046110 (2008);
 * Chakrabarti, Zhan, Faloutsos, SDM 2004; xoshiro256++ and splitmix64, Blackman and
 * Vigna (public domain). */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- random numbers --------------------------------------------------------- */

static uint64_t state[4];

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, unsigned k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t next(void)
{
    const uint64_t r = rotl(state[0] + state[3], 23) + state[0], t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotl(state[3], 45);
    return r;
}

__extension__ typedef unsigned __int128 wide;

static uint64_t below(uint64_t n)
{
    return (uint64_t)(((wide)next() * n) >> 64);
}

static double unit(void)
{
    return (double)(next() >> 11) * 0x1p-53;
}

/* Bounded Pareto by inversion: density ~ x^-e on [lo, hi]. */
static double pareto(double lo, double hi, double e)
{
    const double u = unit();
    if (fabs(e - 1.0) < 1e-9)
        return lo * pow(hi / lo, u);
    const double a = pow(lo, 1 - e), b = pow(hi, 1 - e);
    return pow(a + u * (b - a), 1 / (1 - e));
}

/* --- output, options, memory ------------------------------------------------ */

enum { BUFFER = 1 << 20, LONGEST_EDGE = 24 };
static struct {
    FILE *file;
    bool binary;
    size_t fill;
    char buf[BUFFER];
} out;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static _Noreturn void misused(const char *why)
{
    fprintf(stderr,
            "graphgen: %s\n"
            "usage: graphgen lfr N AVG_DEGREE MU SEED [options]\n"
            "       graphgen rmat SCALE EDGE_FACTOR SEED [options]\n",
            why);
    exit(2);
}

static void flush_out(void)
{
    if (out.fill > 0 && fwrite(out.buf, 1, out.fill, out.file) != out.fill)
        die("write");
    out.fill = 0;
}

static char *decimal(char *p, uint32_t v)
{
    char digit[10];
    unsigned n = 0;
    do
        digit[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n > 0)
        *p++ = digit[--n];
    return p;
}

static void emit(uint32_t u, uint32_t v)
{
    if (out.fill + LONGEST_EDGE > BUFFER)
        flush_out();
    if (out.binary) {
        const uint32_t edge[2] = { u, v };
        memcpy(out.buf + out.fill, edge, sizeof edge);
        out.fill += sizeof edge;
    } else {
        char *p = decimal(out.buf + out.fill, u);
        *p++ = ' ';
        p = decimal(p, v);
        *p++ = '\n';
        out.fill = (size_t)(p - out.buf);
    }
}

static void *room(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size);
    if (p == NULL)
        die("memory");
    return p;
}

struct options {
    char **arg;
    int n;
};

static const char *option(const struct options *o, const char *name)
{
    for (int i = 0; i + 1 < o->n; i += 2)
        if (strcmp(o->arg[i], name) == 0)
            return o->arg[i + 1];
    return NULL;
}

static double number(const struct options *o, const char *name, double otherwise)
{
    const char *text = option(o, name);
    return text == NULL ? otherwise : atof(text);
}

static bool flag(const struct options *o, const char *name, bool otherwise)
{
    const char *text = option(o, name);
    return text == NULL ? otherwise : atoi(text) != 0;
}

/* --- lfr -------------------------------------------------------------------- */

struct lfr {
    uint64_t n;
    double degree, mu, degree_exponent, degree_max;
    double size_exponent, size_min, size_max;
    uint64_t communities;
    uint64_t *first;     /* [communities + 1] first vertex of a community, before shuffling */
    uint64_t *start;     /* [n + 1] first stub of a vertex */
    uint32_t *stub;      /* [start[n]] vertex: drawn as often as its degree says */
    uint32_t *community; /* [n] */
    uint32_t *id;        /* [n] what a vertex is called */
};

static double mean_degree(const struct lfr *g, double least)
{
    const double e1 = 1 - g->degree_exponent, e2 = 2 - g->degree_exponent;
    const double z = (pow(g->degree_max, e1) - pow(least, e1)) / e1;
    return fabs(e2) < 1e-9 ? log(g->degree_max / least) / z
                           : (pow(g->degree_max, e2) - pow(least, e2)) / e2 / z;
}

/* Bounded Pareto whose lower bound gives the wanted mean. */
static void draw_degrees(struct lfr *g)
{
    double lo = 1e-3, hi = g->degree;
    for (int i = 0; i < 60; i++) {
        const double mid = (lo + hi) / 2;
        if (mean_degree(g, mid) < g->degree)
            lo = mid;
        else
            hi = mid;
    }
    const double least = (lo + hi) / 2;
    g->start = room((size_t)g->n + 1, sizeof *g->start);
    for (uint64_t v = 0; v < g->n; v++) {
        const double d = pareto(least, g->degree_max, g->degree_exponent);
        uint64_t k = (uint64_t)d;
        if (unit() < d - (double)k)
            k++;
        g->start[v + 1] = g->start[v] + (k > 0 ? k : 1);
    }
}

static void draw_communities(struct lfr *g)
{
    uint64_t cap = 1024;
    g->first = room(cap + 1, sizeof *g->first);
    for (uint64_t at = 0; at < g->n;) {
        uint64_t k = (uint64_t)pareto(g->size_min, g->size_max, g->size_exponent);
        if (at + k > g->n || g->n - at - k < (uint64_t)g->size_min)
            k = g->n - at;
        if (g->communities == cap) {
            cap *= 2;
            g->first = realloc(g->first, (cap + 1) * sizeof *g->first);
            if (g->first == NULL)
                die("memory");
        }
        g->first[g->communities++] = at;
        at += k;
    }
    g->first[g->communities] = g->n;
    g->community = room(g->n, sizeof *g->community);
    for (uint64_t c = 0; c < g->communities; c++)
        for (uint64_t v = g->first[c]; v < g->first[c + 1]; v++)
            g->community[v] = (uint32_t)c;
}

static void lay_stubs(struct lfr *g)
{
    g->stub = room(g->start[g->n], sizeof *g->stub);
    for (uint64_t v = 0; v < g->n; v++)
        for (uint64_t s = g->start[v]; s < g->start[v + 1]; s++)
            g->stub[s] = (uint32_t)v;
}

static void name_vertices(struct lfr *g, bool shuffled)
{
    g->id = room(g->n, sizeof *g->id);
    for (uint64_t v = 0; v < g->n; v++)
        g->id[v] = (uint32_t)v;
    for (uint64_t v = g->n - 1; shuffled && v > 0; v--) {
        const uint64_t other = below(v + 1);
        const uint32_t swap = g->id[v];
        g->id[v] = g->id[other];
        g->id[other] = swap;
    }
}

static void write_truth(const struct lfr *g, const char *path)
{
    uint32_t *truth = room(g->n, sizeof *truth);
    FILE *f = fopen(path, "wb");
    for (uint64_t v = 0; v < g->n; v++)
        truth[g->id[v]] = g->community[v];
    if (f == NULL || fwrite(truth, sizeof *truth, g->n, f) != g->n || fclose(f) != 0)
        die(path);
    free(truth);
}

/* The other end of an edge of u: by degree, inside its community or anywhere
 * else; u itself when nobody else was found. */
static uint32_t draw_end(const struct lfr *g, uint32_t u)
{
    const uint32_t c = g->community[u];
    const uint64_t a = g->start[g->first[c]], b = g->start[g->first[c + 1]];
    const bool inside = unit() >= g->mu;
    uint32_t w;
    int tries = 0;
    do {
        if (inside)
            w = g->stub[a + below(b - a)];
        else
            do
                w = g->stub[below(g->start[g->n])];
            while (g->communities > 1 && g->community[w] == c);
    } while (w == u && ++tries < 64);
    return w;
}

static void emit_lfr(const struct lfr *g, bool random_order)
{
    const uint64_t ends = g->start[g->n], edges = ends / 2;
    uint64_t inside = 0;
    for (uint64_t e = 0; e < edges; e++) {
        /* In order, every second stub is a source. */
        const uint32_t u = g->stub[random_order ? below(ends) : 2 * e + (next() & 1)];
        const uint32_t w = draw_end(g, u);
        if (w == u)
            continue;
        inside += g->community[w] == g->community[u];
        emit(g->id[u], g->id[w]);
    }
    fprintf(stderr, "lfr n=%llu edges<=%llu communities=%llu intra=%.4f\n",
            (unsigned long long)g->n, (unsigned long long)edges, (unsigned long long)g->communities,
            (double)inside / (double)edges);
}

static void lfr(char **arg, const struct options *o)
{
    const uint64_t n = strtoull(arg[0], NULL, 10);
    struct lfr g = { .n = n, .degree = atof(arg[1]), .mu = atof(arg[2]) };
    g.degree_exponent = number(o, "-g", 2.5);
    g.degree_max = number(o, "-D", fmin(sqrt((double)n) * 10, (double)n / 10));
    g.size_exponent = number(o, "-b", 1.5);
    g.size_min = number(o, "-c", 20);
    g.size_max = fmin(number(o, "-C", fmax((double)n / 50, 100)), (double)n);
    if (n < 2 || n > UINT32_MAX || g.degree <= 0 || g.degree_max < 1 || g.size_min < 2)
        misused("bad arguments of lfr");

    draw_degrees(&g);
    draw_communities(&g);
    lay_stubs(&g);
    name_vertices(&g, flag(o, "-s", true));
    if (option(o, "-t") != NULL)
        write_truth(&g, option(o, "-t"));
    emit_lfr(&g, flag(o, "-r", false));
    free(g.first);
    free(g.start);
    free(g.stub);
    free(g.community);
    free(g.id);
}

/* --- rmat ------------------------------------------------------------------- */

struct rmat {
    int scale;
    uint32_t a, ab, abc; /* of 65536: an edge is in the first, first two, three quadrants */
    bool scrambled;
    uint32_t mask, key[2];
};

/* Odd multiply, xorshift, odd multiply: a bijection on scale bits. */
static uint32_t scramble(const struct rmat *g, uint32_t v)
{
    v = (v * g->key[0]) & g->mask;
    v ^= v >> (g->scale + 1) / 2;
    return (v * g->key[1]) & g->mask;
}

static void draw_edge(const struct rmat *g, uint32_t *from, uint32_t *to)
{
    uint32_t u = 0, w = 0;
    uint64_t bits = 0;
    for (int level = 0; level < g->scale; level++) {
        if ((level & 3) == 0)
            bits = next(); /* serves four levels */
        const uint32_t x = (uint32_t)(bits & 65535);
        bits >>= 16;
        u = u << 1 | (x >= g->ab);
        w = w << 1 | ((x >= g->a && x < g->ab) || x >= g->abc);
    }
    *from = u;
    *to = w;
}

static void rmat(char **arg, const struct options *o)
{
    struct rmat g = { .scale = atoi(arg[0]), .scrambled = flag(o, "-s", true) };
    if (g.scale < 1 || g.scale > 31)
        misused("scale is 1 to 31");
    const uint64_t vertices = UINT64_C(1) << g.scale;
    const uint64_t edges = (uint64_t)(atof(arg[1]) * (double)vertices);
    g.mask = (uint32_t)(vertices - 1);
    g.a = (uint32_t)(number(o, "-A", 0.57) * 65536);
    g.ab = g.a + (uint32_t)(number(o, "-B", 0.19) * 65536);
    g.abc = g.ab + (uint32_t)(number(o, "-K", 0.19) * 65536);
    g.key[0] = (uint32_t)next() | 1;
    g.key[1] = (uint32_t)next() | 1;

    for (uint64_t e = 0; e < edges; e++) {
        uint32_t u, w;
        do
            draw_edge(&g, &u, &w);
        while (u == w);
        if (g.scrambled)
            emit(scramble(&g, u), scramble(&g, w));
        else
            emit(u, w);
    }
    fprintf(stderr, "rmat n=%llu edges=%llu\n", (unsigned long long)vertices,
            (unsigned long long)edges);
}

int main(int argc, char **argv)
{
    const bool planted = argc > 5 && strcmp(argv[1], "lfr") == 0;
    if (!planted && !(argc > 4 && strcmp(argv[1], "rmat") == 0))
        misused("which graph?");
    const int first = planted ? 6 : 5;
    const struct options o = { argv + first, argc - first };
    uint64_t seed = strtoull(argv[first - 1], NULL, 10);
    for (int i = 0; i < 4; i++)
        state[i] = splitmix(&seed);

    const char *path = option(&o, "-o"), *format = option(&o, "-f");
    out.file = path == NULL ? stdout : fopen(path, "wb");
    if (out.file == NULL)
        die(path);
    out.binary = format != NULL && strcmp(format, "bin") == 0;
    if (planted)
        lfr(argv + 2, &o);
    else
        rmat(argv + 2, &o);
    flush_out();
    if (fclose(out.file) != 0)
        die("close");
    return 0;
}
