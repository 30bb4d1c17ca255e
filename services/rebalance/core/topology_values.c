/* Names, comparisons and parsing for core/topology.h. */
#include "core/topology.h"

#include <stdlib.h>
#include <string.h>

static const char *const role_name[] = { "unknown", "primary", "replica" };
static const char *const state_name[] = { "registered", "up", "failed", "gone" };

const char *rebalance_role_name(enum rebalance_role r)
{
    return r <= REBALANCE_REPLICA ? role_name[r] : "unknown";
}

const char *rebalance_node_state_name(enum rebalance_node_state s)
{
    return s <= REBALANCE_GONE ? state_name[s] : "registered";
}

enum rebalance_role rebalance_role_parse(const char *name)
{
    for (size_t i = 0; i < PR_COUNT(role_name); i++)
        if (strcmp(name, role_name[i]) == 0)
            return (enum rebalance_role)i;
    return REBALANCE_ROLE_UNKNOWN;
}

enum rebalance_node_state rebalance_node_state_parse(const char *name)
{
    for (size_t i = 0; i < PR_COUNT(state_name); i++)
        if (strcmp(name, state_name[i]) == 0)
            return (enum rebalance_node_state)i;
    return REBALANCE_REGISTERED;
}

bool rebalance_node_same(const struct rebalance_node *a, const struct rebalance_node *b)
{
    return strcmp(a->id, b->id) == 0 && strcmp(a->host, b->host) == 0 && a->port == b->port &&
           strcmp(a->zone, b->zone) == 0 && strcmp(a->redis_id, b->redis_id) == 0 &&
           strcmp(a->shard, b->shard) == 0 && a->role == b->role && a->state == b->state &&
           a->slots == b->slots;
}

static bool shard_same(const struct rebalance_shard *a, const struct rebalance_shard *b)
{
    if (strcmp(a->id, b->id) != 0 || strcmp(a->primary, b->primary) != 0 ||
        strcmp(a->zone, b->zone) != 0 || a->slots != b->slots || a->replicas != b->replicas)
        return false;
    for (size_t i = 0; i < a->replicas; i++)
        if (strcmp(a->replica[i], b->replica[i]) != 0)
            return false;
    return true;
}

static bool run_same(const struct rebalance_slot_span *a, const struct rebalance_slot_span *b)
{
    return a->first == b->first && a->last == b->last && strcmp(a->shard, b->shard) == 0 &&
           strcmp(a->node, b->node) == 0 && strcmp(a->zone, b->zone) == 0;
}

bool rebalance_image_same(const struct rebalance_image *a, const struct rebalance_image *b)
{
    if (a->nodes != b->nodes || a->shards != b->shards || a->runs != b->runs)
        return false;
    for (size_t i = 0; i < a->nodes; i++)
        if (!rebalance_node_same(&a->node[i], &b->node[i]))
            return false;
    for (size_t i = 0; i < a->shards; i++)
        if (!shard_same(&a->shard[i], &b->shard[i]))
            return false;
    for (size_t i = 0; i < a->runs; i++)
        if (!run_same(&a->run[i], &b->run[i]))
            return false;
    return true;
}

/* --- subnets -------------------------------------------------------------- */

static bool parse_ipv4(const char *s, unsigned char out[4])
{
    for (int i = 0; i < 4; i++) {
        char *end;
        if (*s < '0' || *s > '9')
            return false;
        const unsigned long v = strtoul(s, &end, 10);
        if (v > 255 || *end != (i == 3 ? '\0' : '.'))
            return false;
        out[i] = (unsigned char)v;
        s = end + 1;
    }
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Groups of hex digits, one "::" at most; out is zeroed. */
static bool parse_ipv6(const char *s, unsigned char out[16])
{
    size_t n = 0, gap = 9; /* groups; index of the first one behind "::" */
    while (*s != '\0') {
        if (s[0] == ':' && s[1] == ':') {
            if (gap <= 8)
                return false;
            gap = n;
            s += 2;
            continue;
        }
        char *end;
        if (n > 0 && gap != n && *s++ != ':')
            return false;
        if (!is_hex(*s) || n == 8)
            return false;
        const unsigned long v = strtoul(s, &end, 16);
        if (v > 0xffff)
            return false;
        out[2 * n] = (unsigned char)(v >> 8);
        out[2 * n + 1] = (unsigned char)v;
        n++;
        s = end;
    }
    if (gap > 8)
        return n == 8;
    memmove(out + 16 - 2 * (n - gap), out + 2 * gap, 2 * (n - gap));
    memset(out + 2 * gap, 0, 16 - 2 * n);
    return n < 8;
}

/* 16 bytes; IPv4 is the last 4. Returns 4, 6 or 0. By hand: a core calls nothing
 * of the network library. */
static int parse_address(const char *s, unsigned char out[16])
{
    memset(out, 0, 16);
    if (parse_ipv4(s, out + 12))
        return 4;
    memset(out, 0, 16);
    return parse_ipv6(s, out) ? 6 : 0;
}

/* Prefix length of cidr when it holds address, else -1. */
static int prefix_match(const char *cidr, int family, const unsigned char address[16])
{
    char text[64];
    const char *slash = strchr(cidr, '/');
    const size_t len = slash == NULL ? strlen(cidr) : (size_t)(slash - cidr);
    if (len >= sizeof text)
        return -1;
    memcpy(text, cidr, len);
    text[len] = '\0';

    unsigned char net[16];
    const int net_family = parse_address(text, net);
    const int width = net_family == 4 ? 32 : 128;
    const long bits = slash == NULL ? width : strtol(slash + 1, NULL, 10);
    if (net_family == 0 || net_family != family || bits < 0 || bits > width)
        return -1;
    const size_t skip = net_family == 4 ? 12 : 0;
    for (long i = 0; i < bits; i++) {
        const unsigned mask = 0x80u >> (i % 8);
        if (((unsigned)(net[skip + (size_t)i / 8] ^ address[skip + (size_t)i / 8]) & mask) != 0)
            return -1;
    }
    return (int)bits;
}

const char *rebalance_subnet_zone(const struct rebalance_subnet *subnets, size_t n,
                                  const char *host)
{
    unsigned char address[16];
    const int family = parse_address(host, address);
    const char *zone = "";
    int longest = -1;
    for (size_t i = 0; family != 0 && i < n; i++) {
        const int bits = prefix_match(subnets[i].cidr, family, address);
        if (bits > longest) {
            longest = bits;
            zone = subnets[i].zone;
        }
    }
    return zone;
}

/* --- open slots ------------------------------------------------------------ */

void rebalance_open_slots(const char *cluster_nodes, uint8_t open[2048])
{
    for (const char *p = strchr(cluster_nodes, '['); p != NULL; p = strchr(p + 1, '[')) {
        char *end;
        const unsigned long slot = strtoul(p + 1, &end, 10);
        if (end == p + 1 || slot > 16383)
            continue;
        if (strncmp(end, "->-", 3) == 0 || strncmp(end, "-<-", 3) == 0)
            open[slot / 8] = (uint8_t)(open[slot / 8] | 1u << (slot % 8));
    }
}
