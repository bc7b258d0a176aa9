/* SPDX-License-Identifier: MIT
 *
 * Checksums in plain C, and which functions a level has. 16 bytes are looked
 * up at once, each in the table that says what it adds from its place; the
 * lookups do not wait for one another, and only the sum of a block is waited
 * for by the next.
 */
#include "checksum_core.h"
#include "checksum_tables.h"

#include <string.h>

typedef const uint32_t crc_table[256];

static inline uint32_t
load_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16
           | (uint32_t)at[3] << 24;
}

/* What four bytes add when `after` bytes follow them. */
static inline uint32_t
four(crc_table *table, uint32_t word, size_t after)
{
    return table[after + 3][word & 0xff] ^ table[after + 2][word >> 8 & 0xff]
           ^ table[after + 1][word >> 16 & 0xff] ^ table[after][word >> 24];
}

static inline uint32_t
block(crc_table *table, uint32_t sum, const uint8_t *data)
{
    return four(table, sum ^ load_le32(data), 12)
           ^ four(table, load_le32(data + 4), 8)
           ^ four(table, load_le32(data + 8), 4)
           ^ four(table, load_le32(data + 12), 0);
}

/* Up to 16 bytes at once: the sum itself lies on the first four of them. */
static inline uint32_t
rest(crc_table *table, uint32_t sum, const uint8_t *data, size_t length)
{
    if (length < 4) {
        for (size_t i = 0; i < length; i++) {
            sum = sum >> 8 ^ table[0][(sum ^ data[i]) & 0xff];
        }
        return sum;
    }
    uint32_t result = four(table, sum ^ load_le32(data), length - 4);
    size_t i = 4;
    for (; i + 4 <= length; i += 4) {
        result ^= four(table, load_le32(data + i), length - i - 4);
    }
    for (; i < length; i++) {
        result ^= table[length - i - 1][data[i]];
    }
    return result;
}

static inline uint32_t
crc(crc_table *table, uint32_t value, const uint8_t *data, size_t length)
{
    uint32_t sum = ~value;
    for (; length >= 16; data += 16, length -= 16) {
        sum = block(table, sum, data);
    }
    return ~rest(table, sum, data, length);
}

/* Messages do not wait for one another either. */
static inline void
crc_many(crc_table *table, const uint8_t *data, size_t length, size_t stride,
         size_t count, uint32_t *out)
{
    for (size_t i = 0; i < count; i++, data += stride) {
        out[i] = crc(table, 0, data, length);
    }
}

/* `length` known to the compiler unrolls the lookups. */
#define CRC_MANY(N)                                                           \
    case N:                                                                   \
        crc_many(table, data, N, stride, count, out);                         \
        break;

static inline void
crc_many_short(crc_table *table, const uint8_t *data, size_t length,
               size_t stride, size_t count, uint32_t *out)
{
    switch (length) {
        CRC_MANY(4)
        CRC_MANY(6)
        CRC_MANY(8)
        CRC_MANY(10)
        CRC_MANY(12)
        CRC_MANY(14)
        CRC_MANY(16)
        CRC_MANY(20)
        CRC_MANY(24)
    default:
        crc_many(table, data, length, stride, count, out);
    }
}

/* ---- the functions of level 0 */

uint32_t
checksum_crc32_portable(uint32_t value, const uint8_t *data, size_t length)
{
    return crc(crc32_table, value, data, length);
}

uint32_t
checksum_crc32c_portable(uint32_t value, const uint8_t *data, size_t length)
{
    return crc(crc32c_table, value, data, length);
}

void
checksum_crc32_many_portable(const uint8_t *data, size_t length, size_t stride,
                             size_t count, uint32_t *out)
{
    crc_many_short(crc32_table, data, length, stride, count, out);
}

void
checksum_crc32c_many_portable(const uint8_t *data, size_t length,
                              size_t stride, size_t count, uint32_t *out)
{
    crc_many_short(crc32c_table, data, length, stride, count, out);
}

uint32_t
checksum_internet_rest(uint32_t value, uint64_t sum, const uint8_t *data,
                       size_t length)
{
    /* a carry round 32 bits is one round 16; room for what comes */
    sum = (sum & UINT32_MAX) + (sum >> 32);
    for (; length >= 4; data += 4, length -= 4) {
        uint32_t word;
        memcpy(&word, data, sizeof(word));
        sum += word;
    }
    if (length >= 2) {
        uint16_t word;
        memcpy(&word, data, sizeof(word));
        sum += word;
        data += 2;
    }
    if (length % 2 != 0) {
        const uint8_t bytes[2] = {*data, 0};
        uint16_t word;
        memcpy(&word, bytes, sizeof(word));
        sum += word;
    }
    return checksum_internet_end(value, sum);
}

/* Bytes may be swapped after the sum: carries go round all 16 bits (RFC 1071,
 * 2B). So words are added as the machine reads them, two at a time. */
static uint32_t
internet_part(uint32_t value, const uint8_t *data, size_t length)
{
    uint64_t sum = 0;
    size_t left = length % 64, whole = length - left;
    for (size_t i = 0; i < whole; i += 4) {
        uint32_t word;
        memcpy(&word, data + i, sizeof(word));
        sum += word;
    }
    return checksum_internet_rest(value, sum, data + whole, left);
}

static uint32_t
internet_portable(uint32_t value, const uint8_t *data, size_t length)
{
    return checksum_in_parts(internet_part, value, data, length);
}

const checksum_functions *
checksum_choose(int level)
{
    static const checksum_functions portable = {
        checksum_crc32_portable,
        checksum_crc32c_portable,
        internet_portable,
        checksum_crc32_many_portable,
        checksum_crc32c_many_portable,
    };
    const checksum_functions *chosen = NULL;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (level >= 3) {
        chosen = checksum_avx512();
    }
    if (level >= 2 && chosen == NULL) {
        chosen = checksum_avx2();
    }
    if (level >= 1 && chosen == NULL) {
        chosen = checksum_sse2();
    }
#else
    (void)level;
#endif
    return chosen != NULL ? chosen : &portable;
}
