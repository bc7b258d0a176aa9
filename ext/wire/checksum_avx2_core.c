/* SPDX-License-Identifier: MIT
 *
 * CRCs by PCLMULQDQ, 64 bytes at a time, and by the instruction that
 * processors have for CRC32C. The Internet checksum by sums of 32 bytes.
 */
#include "checksum_fold.h"

#if defined(__x86_64__)
#include <stdbool.h>
#include <string.h>

/* clang-format off */
const checksum_fold checksum_fold_crc32 = {
    .by128 = {0x65673b4600000000, 0x9ba54c6f00000000},
    .by512 = {0x653d982200000000, 0xcad38e8f00000000},
    .by2048 = {0x7cc8e1e700000000, 0x03f9f86300000000},
    .end = {
        {0x3f036dc200000000, 0x40b3a94000000000},
        {0x7555a0f100000000, 0x769cf23900000000},
        {0xcacf972a00000000, 0x5f7314fa00000000},
        {0xdb71064100000000, 0x5d37681600000000},
        {0x0100000000000000, 0xf489823900000000},
        {0x0001000000000000, 0x5ff1018a00000000},
        {0x0000010000000000, 0x0d329b3f00000000},
        {0x0000000100000000, 0xb66b1fa600000000},
        {0x7707309600000000, 0x3f036dc200000000},
        {0x191b314100000000, 0x7555a0f100000000},
        {0x01c26a3700000000, 0xcacf972a00000000},
        {0xb8bc676500000000, 0xdb71064100000000},
        {0x3d6029b000000000, 0x0100000000000000},
        {0xcb5cd3a500000000, 0x0001000000000000},
        {0xa6770bb400000000, 0x0000010000000000},
        {0xccaa009e00000000, 0x0000000100000000},
    },
    .quotient = {0xb4e5b025f7011641, 0x00000001db710640},
};

const checksum_fold checksum_fold_crc32c = {
    .by128 = {0x3743f7bd00000000, 0x3171d43000000000},
    .by512 = {0x1c19243b00000000, 0x75bba45b00000000},
    .by2048 = {0xe9a5d8be00000000, 0x1426a81500000000},
    .end = {
        {0xbf81810900000000, 0xf838cd5000000000},
        {0x780d5a4d00000000, 0x51dde21e00000000},
        {0xfe2b5c3500000000, 0xbc77a5aa00000000},
        {0x05ec76f100000000, 0xc915ea3b00000000},
        {0x0100000000000000, 0xa9a3f76000000000},
        {0x0001000000000000, 0x616f309500000000},
        {0x0000010000000000, 0xa738873b00000000},
        {0x0000000100000000, 0xa9cdda0d00000000},
        {0xf26b830300000000, 0xbf81810900000000},
        {0x13a2987700000000, 0x780d5a4d00000000},
        {0xa541927e00000000, 0xfe2b5c3500000000},
        {0xdd45aab800000000, 0x05ec76f100000000},
        {0x38116fac00000000, 0x0100000000000000},
        {0xef306b1900000000, 0x0001000000000000},
        {0x68032cc800000000, 0x0000010000000000},
        {0x493c7d2700000000, 0x0000000100000000},
    },
    .quotient = {0x4869ec38dea713f1, 0x0000000105ec76f0},
};
/* clang-format on */

/* From how many bytes on folding is faster than tables. */
#define FOLD_FROM 16

CLMUL static inline uint32_t
fold_crc(const checksum_fold *fold, uint32_t value, const uint8_t *data,
         size_t length)
{
    __m128i x0 =
        _mm_xor_si128(fold_load(data), _mm_cvtsi32_si128((int32_t)~value));
    if (length < 128) {
        return fold_rest(fold, x0, data + 16, length - 16);
    }
    __m128i x1 = fold_load(data + 16), x2 = fold_load(data + 32),
            x3 = fold_load(data + 48);
    const __m128i by512 = fold_load(fold->by512);
    const __m128i by128 = fold_load(fold->by128);
    for (data += 64, length -= 64; length >= 64; data += 64, length -= 64) {
        x0 = _mm_xor_si128(fold_by(x0, by512), fold_load(data));
        x1 = _mm_xor_si128(fold_by(x1, by512), fold_load(data + 16));
        x2 = _mm_xor_si128(fold_by(x2, by512), fold_load(data + 32));
        x3 = _mm_xor_si128(fold_by(x3, by512), fold_load(data + 48));
    }
    x1 = _mm_xor_si128(x1, fold_by(x0, by128));
    x2 = _mm_xor_si128(x2, fold_by(x1, by128));
    x3 = _mm_xor_si128(x3, fold_by(x2, by128));
    return fold_rest(fold, x3, data, length);
}

CLMUL uint32_t
checksum_crc32_avx2(uint32_t value, const uint8_t *data, size_t length)
{
    return length < FOLD_FROM
               ? checksum_crc32_portable(value, data, length)
               : fold_crc(&checksum_fold_crc32, value, data, length);
}

/* ---- many messages: their multiplications overlap */

CLMUL static inline void
fold_many(const checksum_fold *fold, const uint8_t *data, size_t length,
          size_t stride, size_t count, uint32_t *out)
{
    size_t last = (length - 1) / 16 * 16; /* where the last register begins */
    const __m128i begin = _mm_cvtsi32_si128(-1);
    const __m128i by128 = fold_load(fold->by128);
    const __m128i end = fold_load(fold->end[length - last - 1]);
    const __m128i quotient = fold_load(fold->quotient);
    uint8_t bytes[16] = {0};
    memset(bytes, 0xff, length - last);
    const __m128i mask = fold_load(bytes);
    for (size_t i = 0; i < count; i++, data += stride) {
        __m128i x = begin;
        for (size_t at = 0; at < last; at += 16) {
            x = fold_by(_mm_xor_si128(x, fold_load(data + at)), by128);
        }
        x = _mm_xor_si128(x, _mm_and_si128(fold_load(data + last), mask));
        x = fold_remainder(fold_by(x, end), quotient);
        out[i] = ~(uint32_t)_mm_extract_epi32(x, 2);
    }
}

CLMUL static void
crc32_many_avx2(const uint8_t *data, size_t length, size_t stride,
                size_t count, uint32_t *out)
{
    size_t safe = fold_safe(length, stride, count);
    if (safe != 0) {
        fold_many(&checksum_fold_crc32, data, length, stride, safe, out);
    }
    for (size_t i = safe; i < count; i++) {
        out[i] = checksum_crc32_avx2(0, data + i * stride, length);
    }
}

/* ---- the same two at a time, where registers of 32 bytes can be multiplied
 * (Zen 3, Alder Lake and later) */

#define CLMUL256 __attribute__((target("avx2,pclmul,vpclmulqdq,sse4.2")))

CLMUL256 static inline __m256i
pair_gather(const uint8_t *data, size_t stride)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(fold_load(data)),
                                   fold_load(data + stride), 1);
}

CLMUL256 static inline __m256i
pair_of(const void *at)
{
    return _mm256_broadcastsi128_si256(fold_load(at));
}

CLMUL256 static inline __m256i
pair_by(__m256i x, __m256i by)
{
    return _mm256_xor_si256(_mm256_clmulepi64_epi128(x, by, 0x00),
                            _mm256_clmulepi64_epi128(x, by, 0x11));
}

CLMUL256 static inline void
pair_many(const checksum_fold *fold, const uint8_t *data, size_t length,
          size_t stride, size_t count, uint32_t *out)
{
    size_t last = (length - 1) / 16 * 16; /* where the last half begins */
    const __m256i begin = _mm256_broadcastsi128_si256(_mm_cvtsi32_si128(-1));
    const __m256i by128 = pair_of(fold->by128);
    const __m256i end = pair_of(fold->end[length - last - 1]);
    const __m256i quotient = pair_of(fold->quotient);
    uint8_t bytes[16] = {0};
    memset(bytes, 0xff, length - last);
    const __m256i mask = pair_of(bytes);
    for (size_t i = 0; i < count; i += 2, data += 2 * stride) {
        __m256i x = begin;
        for (size_t at = 0; at < last; at += 16) {
            x = _mm256_xor_si256(x, pair_gather(data + at, stride));
            x = pair_by(x, by128);
        }
        __m256i rest = pair_gather(data + last, stride);
        x = _mm256_xor_si256(x, _mm256_and_si256(rest, mask));
        x = _mm256_bsrli_epi128(pair_by(x, end), 4);
        __m256i times = _mm256_clmulepi64_epi128(x, quotient, 0x00);
        times = _mm256_clmulepi64_epi128(times, quotient, 0x10);
        x = _mm256_xor_si256(x, times);
        out[i] = ~(uint32_t)_mm256_extract_epi32(x, 2);
        out[i + 1] = ~(uint32_t)_mm256_extract_epi32(x, 6);
    }
}

CLMUL256 static void
crc32_many_pairs(const uint8_t *data, size_t length, size_t stride,
                 size_t count, uint32_t *out)
{
    size_t pairs = fold_safe(length, stride, count) / 2 * 2;
    if (pairs != 0) {
        pair_many(&checksum_fold_crc32, data, length, stride, pairs, out);
    }
    crc32_many_avx2(data + pairs * stride, length, stride, count - pairs,
                    out + pairs);
}

/* ---- CRC32C: an instruction, which three streams keep busy */

CLMUL static inline uint64_t
load64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* What `sum` is after n zero bytes, but for the 32 bits that the instruction
 * then multiplies by: the other factor is K(8 n - 32), its low half. */
CLMUL static inline uint64_t
later(uint64_t sum, uint32_t factor)
{
    return (uint64_t)_mm_cvtsi128_si64(
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)sum),
                             _mm_cvtsi32_si128((int32_t)factor), 0x00));
}

/* Three streams of n bytes each, one behind the other, as long as there are
 * so many. */
CLMUL static inline uint64_t
three_streams(uint64_t sum, const uint8_t **data, size_t *length, size_t n,
              uint32_t by_two, uint32_t by_one)
{
    const uint8_t *at = *data;
    for (; *length >= 3 * n; *length -= 3 * n, at += 3 * n) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < n; i += 8) {
            sum = _mm_crc32_u64(sum, load64(at + i));
            second = _mm_crc32_u64(second, load64(at + n + i));
            third = _mm_crc32_u64(third, load64(at + 2 * n + i));
        }
        sum = third
              ^ _mm_crc32_u64(0, later(sum, by_two) ^ later(second, by_one));
    }
    *data = at;
    return sum;
}

CLMUL static inline uint32_t
one_stream(uint64_t sum, const uint8_t *data, size_t length)
{
    for (; length >= 8; data += 8, length -= 8) {
        sum = _mm_crc32_u64(sum, load64(data));
    }
    if ((length & 4) != 0) {
        uint32_t word;
        memcpy(&word, data, sizeof(word));
        sum = _mm_crc32_u32((uint32_t)sum, word);
        data += 4;
    }
    if ((length & 2) != 0) {
        uint16_t word;
        memcpy(&word, data, sizeof(word));
        sum = _mm_crc32_u16((uint32_t)sum, word);
        data += 2;
    }
    if ((length & 1) != 0) {
        sum = _mm_crc32_u8((uint32_t)sum, *data);
    }
    return ~(uint32_t)sum;
}

CLMUL uint32_t
checksum_crc32c_avx2(uint32_t value, const uint8_t *data, size_t length)
{
    uint64_t sum = ~value;
    sum = three_streams(sum, &data, &length, 1024, 0xa51b6135, 0x170076fa);
    sum = three_streams(sum, &data, &length, 128, 0xb9e02b86, 0x0d3b6092);
    return one_stream(sum, data, length);
}

/* Each message is a stream; the processor begins the next before it is through
 * with one. */
CLMUL static void
crc32c_many_avx2(const uint8_t *data, size_t length, size_t stride,
                 size_t count, uint32_t *out)
{
    for (size_t i = 0; i < count; i++, data += stride) {
        out[i] = one_stream(UINT32_MAX, data, length);
    }
}

/* ---- the Internet checksum */

/* Words of 32 bits into sums of 64, the odd and the even ones apart. */
CLMUL static uint32_t
internet_part(uint32_t value, const uint8_t *data, size_t length)
{
    const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
    __m256i even = _mm256_setzero_si256(), odd = even;
    size_t left = length % 32, whole = length - left;
    for (const uint8_t *end = data + whole; data != end; data += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)data);
        even = _mm256_add_epi64(even, _mm256_and_si256(x, low));
        odd = _mm256_add_epi64(odd, _mm256_srli_epi64(x, 32));
    }
    uint64_t sums[4], sum = 0;
    _mm256_storeu_si256((__m256i *)(void *)sums, _mm256_add_epi64(even, odd));
    for (int i = 0; i < 4; i++) {
        sum += sums[i];
    }
    return checksum_internet_rest(value, sum, data, left);
}

static uint32_t
internet_avx2(uint32_t value, const uint8_t *data, size_t length)
{
    return checksum_in_parts(internet_part, value, data, length);
}

const checksum_functions *
checksum_avx2(void)
{
    static const checksum_functions functions = {
        checksum_crc32_avx2, checksum_crc32c_avx2, internet_avx2,
        crc32_many_avx2,     crc32c_many_avx2,
    };
    static const checksum_functions by_pairs = {
        checksum_crc32_avx2, checksum_crc32c_avx2, internet_avx2,
        crc32_many_pairs,    crc32c_many_avx2,
    };
    bool there = __builtin_cpu_supports("avx2")
                 && __builtin_cpu_supports("pclmul")
                 && __builtin_cpu_supports("sse4.2");
    return !there                                 ? NULL
           : __builtin_cpu_supports("vpclmulqdq") ? &by_pairs
                                                  : &functions;
}
#endif
