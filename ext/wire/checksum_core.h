/* SPDX-License-Identifier: MIT
 *
 * Checksums of bytes: no Python, no allocation, no state. The chosen functions
 * are a constant table.
 */
#ifndef WIRE_CHECKSUM_CORE_H
#define WIRE_CHECKSUM_CORE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    /* Both take and give the value as zlib.crc32 does: 0 to begin with. */
    uint32_t (*crc32)(uint32_t value, const uint8_t *data, size_t length);
    uint32_t (*crc32c)(uint32_t value, const uint8_t *data, size_t length);
    /* The ones' complement sum of big-endian 16-bit words, not inverted; an
     * odd last byte is a word's high half. `value` begins it: 0. A sum may be
     * continued only after an even number of bytes. */
    uint32_t (*internet)(uint32_t value, const uint8_t *data, size_t length);
    /* crc32 of `count` messages of `length` bytes, `stride` apart */
    void (*crc32_many)(const uint8_t *data, size_t length, size_t stride,
                       size_t count, uint32_t *out);
    void (*crc32c_many)(const uint8_t *data, size_t length, size_t stride,
                        size_t count, uint32_t *out);
} checksum_functions;

/* The functions of a level of cpu.h (0 portable, 1 sse2, 2 avx2, 3 avx512),
 * or of the best one below it that has its own. */
const checksum_functions *checksum_choose(int level);

/* ---- for the levels alone */

/* `sum` of words as the machine reads them, with what carried, to 16 bits of
 * big-endian words, `value` added. 0 only if all is 0. */
static inline uint32_t
checksum_internet_end(uint32_t value, uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    sum = (sum >> 8 | sum << 8) & 0xffff;
#endif
    sum += value;
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

/* The same with up to 64 bytes more, which `sum` has not. */
uint32_t checksum_internet_rest(uint32_t value, uint64_t sum,
                                const uint8_t *data, size_t length);

typedef uint32_t (*checksum_part)(uint32_t value, const uint8_t *data,
                                  size_t length);

/* A sum in parts of a gigabyte, which cannot overflow 64 bits. */
static inline uint32_t
checksum_in_parts(checksum_part part, uint32_t value, const uint8_t *data,
                  size_t length)
{
    const size_t most = (size_t)1 << 30;
    for (; length > most; data += most, length -= most) {
        value = part(value, data, most);
    }
    return part(value, data, length);
}

uint32_t checksum_crc32_portable(uint32_t value, const uint8_t *data,
                                 size_t length);
uint32_t checksum_crc32c_portable(uint32_t value, const uint8_t *data,
                                  size_t length);
void checksum_crc32_many_portable(const uint8_t *data, size_t length,
                                  size_t stride, size_t count, uint32_t *out);
void checksum_crc32c_many_portable(const uint8_t *data, size_t length,
                                   size_t stride, size_t count, uint32_t *out);

#if defined(__x86_64__)
uint32_t checksum_crc32_avx2(uint32_t value, const uint8_t *data,
                             size_t length);
uint32_t checksum_crc32c_avx2(uint32_t value, const uint8_t *data,
                              size_t length);

/* NULL: the processor has the level, but not all that these need. */
const checksum_functions *checksum_sse2(void);
const checksum_functions *checksum_avx2(void);
const checksum_functions *checksum_avx512(void);
#endif

#endif
