/* CRC-32C (Castagnoli), as iSCSI, S3 and ext4 have it. Source: RFC 3720, appendix B.4. */
#ifndef PRISM_CRC32C_H
#define PRISM_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of what came before (0: nothing) followed by data[0..n). */
uint32_t pr_crc32c(uint32_t before, const void *data, size_t n);

#endif
