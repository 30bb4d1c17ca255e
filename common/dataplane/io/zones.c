#include "prism/dp/zones.h"

#include "prism/slot.h"

#include <ctype.h>
#include <string.h>

static int zone_index(struct dp_zones *z, const char *name, size_t n)
{
    for (int i = 0; i < z->n; i++)
        if (strlen(z->name[i]) == n && memcmp(z->name[i], name, n) == 0)
            return i;
    if (z->n == DP_MAX_ZONES)
        return -1;
    memcpy(z->name[z->n], name, n);
    z->name[z->n][n] = '\0';
    return z->n++;
}

static bool valid_zone(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
            return false;
    return n >= 1 && n < DP_ZONE_BYTES;
}

static enum pr_code parse_one(struct dp_zones *z, const char *item, size_t n, struct pr_err *err)
{
    const int shown = (int)(n > 80 ? 80 : n);
    const char *equals = memrchr(item, '=', n);
    const size_t node = equals != NULL ? (size_t)(equals - item) : 0;
    if (node == 0 || memchr(item, ':', node) == NULL)
        return pr_fail(err, PR_EINVAL, "--zones '%.*s': want host:port=zone", shown, item);
    if (!valid_zone(equals + 1, n - node - 1))
        return pr_fail(err, PR_EINVAL, "--zones '%.*s': zone of 1..31 letters, digits, - or _",
                       shown, item);
    const int zone = zone_index(z, equals + 1, n - node - 1);
    if (zone < 0)
        return pr_fail(err, PR_EINVAL, "--zones '%.*s': more than %d zones", shown, item,
                       DP_MAX_ZONES);
    if (pr_map_put(&z->by_node, pr_vertex_hash(item, node), (uint64_t)zone) != PR_OK)
        return pr_fail(err, PR_ENOMEM, "--zones: no memory");
    return PR_OK;
}

enum pr_code dp_zones_parse(struct dp_zones *z, const char *text, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    *z = (struct dp_zones){ .n = 0 };
    pr_map_init(&z->by_node);
    while (rc == PR_OK && *(text += strspn(text, ", \n")) != '\0') {
        const size_t n = strcspn(text, ", \n");
        rc = parse_one(z, text, n, err);
        text += n;
    }
    if (rc == PR_OK && z->n == 0)
        rc = pr_fail(err, PR_EINVAL, "--zones: want host:port=zone,...");
    if (rc != PR_OK)
        dp_zones_done(z);
    return rc;
}

void dp_zones_done(struct dp_zones *z)
{
    pr_map_done(&z->by_node);
    z->n = 0;
}

int dp_zone_of(const struct dp_zones *z, const char *host_port)
{
    uint64_t zone;
    return pr_map_get(&z->by_node, pr_vertex_hash(host_port, strlen(host_port)), &zone) ? (int)zone
                                                                                        : -1;
}
