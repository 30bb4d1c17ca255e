#include "core/chains.h"

#include <string.h>

static size_t find(const struct rebalance_follower *node, size_t n, const char *id)
{
    size_t i = 0;
    while (i < n && strcmp(node[i].id, id) != 0)
        i++;
    return i;
}

size_t rebalance_chained(const struct rebalance_follower *node, size_t n, size_t *head)
{
    for (size_t i = 0; i < n; i++) {
        const size_t above = node[i].primary ? n : find(node, n, node[i].follows);
        if (node[i].failed || above == n || node[above].primary)
            continue;
        *head = find(node, n, node[above].follows);
        if (*head < n && *head != i && node[*head].primary && !node[*head].failed &&
            node[*head].serves)
            return i;
    }
    return n;
}
