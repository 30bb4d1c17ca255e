/* Where a vertex's key lives: id -> home partition -> hash tag -> slot.
 * Source: docs/reference/data-plane.md; Redis Cluster specification (CRC16
 * XMODEM, hash tags). */
#ifndef PRISM_SLOT_H
#define PRISM_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PR_SLOTS = 16384,
    PR_MAX_PARTITIONS = 1 << 20,
    PR_MAX_ID_BYTES = 128,                  /* a vertex id: 1..128 bytes, printable, no blanks */
    PR_MAX_KEY_BYTES = PR_MAX_ID_BYTES + 48 /* any key of the contract, with its NUL */
};

uint16_t pr_crc16(const void *p, size_t n);
/* Slot of a key, honouring {hash tags}: 0..16383. */
uint16_t pr_slot_of_key(const void *key, size_t n);
/* Slot of partition p, i.e. of "p<p>". */
uint16_t pr_partition_slot(uint32_t p);

/* xxh64(id, seed 0): the vertex's 64-bit hash used by routes and hints. */
uint64_t pr_vertex_hash(const void *id, size_t n);
uint32_t pr_home_partition(uint64_t vertex_hash, uint32_t partitions);

/* 1..PR_MAX_ID_BYTES bytes, each in 0x21..0x7e and none of "{}". */
bool pr_vertex_id_valid(const char *id, size_t n);

/* Keys of the contract; return the length (always < PR_MAX_KEY_BYTES). */
size_t pr_key_vertex(char out[PR_MAX_KEY_BYTES], uint32_t p, const char *id, size_t id_len);
size_t pr_key_staging(char out[PR_MAX_KEY_BYTES], uint32_t p, const char *id, size_t id_len,
                      uint64_t epoch);
/* Parses "{p<p>}v:<id>"; *id points into key. False for any other key. */
bool pr_key_parse_vertex(const char *key, size_t n, uint32_t *p, const char **id, size_t *id_len);
/* Parses "{p<p>}g:<id>:<epoch>". */
bool pr_key_parse_staging(const char *key, size_t n, uint32_t *p, const char **id, size_t *id_len,
                          uint64_t *epoch);

#endif
