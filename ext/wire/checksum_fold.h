/* SPDX-License-Identifier: MIT
 *
 * CRCs by multiplication without carries. For the cores of x86 alone.
 *
 * A message is a polynomial, its first bit that of the highest power, and a
 * CRC is message * x**32 modulo the polynomial P, in the reflected order of
 * bits: bit i of an n-bit register is x**(n - 1 - i). 16 bytes in a register
 * are lo * x**64 + hi; what is d bits further on sees them as
 * lo * x**(d + 64) + hi * x**d, of which only the remainder counts: two
 * products and two sums, whatever d is. The product of two reflected
 * registers has x once too often, so a constant K(n) is x**(n - 1) mod P.
 *
 * The last 1 to 16 bytes stand at a register's beginning with zeros behind
 * them. That multiplies the message by a power of x, which the last pair of
 * constants, chosen by their number, divides by again: P is not divisible by
 * x. 96 bits are left; their quotient by P comes from one product with
 * x**96 / P, what is left over from another with P (Barrett).
 */
#ifndef WIRE_CHECKSUM_FOLD_H
#define WIRE_CHECKSUM_FOLD_H

#include "checksum_core.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define CLMUL __attribute__((target("avx2,pclmul,sse4.2")))

typedef struct {
    /* K(d + 64), K(d): the register d bits further on */
    uint64_t by128[2], by512[2], by2048[2];
    uint64_t end[16][2];  /* K(8 n - 32), K(8 n - 96) for n bytes, from 1 on */
    uint64_t quotient[2]; /* x**96 / P without its lowest bit; P - x**32 */
} checksum_fold;

extern const checksum_fold checksum_fold_crc32, checksum_fold_crc32c;

CLMUL static inline __m128i
fold_load(const void *at)
{
    return _mm_loadu_si128(at);
}

/* lo * by[0] + hi * by[1] */
CLMUL static inline __m128i
fold_by(__m128i x, __m128i by)
{
    return _mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00),
                         _mm_clmulepi64_si128(x, by, 0x11));
}

/* The remainder of 96 bits, times x**32: in the third word, not inverted. */
CLMUL static inline __m128i
fold_remainder(__m128i x, __m128i quotient)
{
    x = _mm_srli_si128(x, 4);
    __m128i times = _mm_clmulepi64_si128(x, quotient, 0x00);
    return _mm_xor_si128(x, _mm_clmulepi64_si128(times, quotient, 0x10));
}

/* What the register gives whose last `n` bytes, 1 to 16, count. */
CLMUL static inline uint32_t
fold_end(const checksum_fold *fold, __m128i x, size_t n)
{
    x = fold_by(x, fold_load(fold->end[n - 1]));
    x = fold_remainder(x, fold_load(fold->quotient));
    return ~(uint32_t)_mm_extract_epi32(x, 2);
}

/* The register x, then `length` bytes, which follow at least 16 others. */
CLMUL static inline uint32_t
fold_rest(const checksum_fold *fold, __m128i x, const uint8_t *data,
          size_t length)
{
    static const uint8_t shift[32] = {
        0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,
        11,   12,   13,   14,   15,   0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
    };
    const __m128i by128 = fold_load(fold->by128);
    for (; length >= 16; data += 16, length -= 16) {
        x = _mm_xor_si128(fold_by(x, by128), fold_load(data));
    }
    if (length == 0) {
        return fold_end(fold, x, 16);
    }
    /* the last 16 bytes, of which the first ones have been */
    __m128i last = _mm_shuffle_epi8(fold_load(data + length - 16),
                                    fold_load(shift + 16 - length));
    return fold_end(fold, _mm_xor_si128(fold_by(x, by128), last), length);
}

/* How many messages may be read in whole registers without reading behind the
 * last one; none that are empty. */
static inline size_t
fold_safe(size_t length, size_t stride, size_t count)
{
    size_t over = (16 - length % 16) % 16;
    size_t unsafe = over == 0     ? 0
                    : stride == 0 ? count
                                  : (over + stride - 1) / stride;
    return length != 0 && unsafe < count ? count - unsafe : 0;
}

#endif
#endif
