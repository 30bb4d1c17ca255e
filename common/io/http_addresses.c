#include "http_addresses.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

struct entry {
    struct entry *next;
    unsigned char address[16];
    size_t bytes;
    unsigned n;
};

struct pr_addresses {
    unsigned each;
    pthread_mutex_t lock;
    struct entry *bucket[BUCKETS];
};

struct pr_addresses *pr_addresses_new(unsigned each)
{
    struct pr_addresses *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    a->each = each;
    (void)pthread_mutex_init(&a->lock, NULL);
    return a;
}

void pr_addresses_free(struct pr_addresses *a)
{
    if (a == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *e = a->bucket[i], *next; e != NULL; e = next) {
            next = e->next;
            free(e);
        }
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* What points at the entry of an address, or at NULL where it would be. */
static struct entry **find(struct pr_addresses *a, const unsigned char *address, size_t bytes)
{
    uint64_t hash = bytes;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ address[i]) * UINT64_C(0x9e3779b97f4a7c15);
    struct entry **at = &a->bucket[(hash >> 32) % BUCKETS];
    while (*at != NULL && ((*at)->bytes != bytes || memcmp((*at)->address, address, bytes) != 0))
        at = &(*at)->next;
    return at;
}

bool pr_addresses_add(struct pr_addresses *a, const unsigned char *address, size_t bytes)
{
    pthread_mutex_lock(&a->lock);
    struct entry **at = find(a, address, bytes);
    if (*at == NULL && (*at = calloc(1, sizeof **at)) != NULL) {
        memcpy((*at)->address, address, bytes);
        (*at)->bytes = bytes;
    }
    const bool room = *at != NULL && (*at)->n < a->each;
    if (room)
        (*at)->n++;
    pthread_mutex_unlock(&a->lock);
    return room;
}

void pr_addresses_remove(struct pr_addresses *a, const unsigned char *address, size_t bytes)
{
    pthread_mutex_lock(&a->lock);
    struct entry **at = find(a, address, bytes), *e = *at;
    if (e != NULL && --e->n == 0) {
        *at = e->next;
        free(e);
    }
    pthread_mutex_unlock(&a->lock);
}
