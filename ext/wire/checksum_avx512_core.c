/* SPDX-License-Identifier: MIT
 *
 * CRCs by VPCLMULQDQ, 256 bytes or four messages at a time. The Internet
 * checksum by sums of 64 bytes.
 */
#include "checksum_fold.h"

#if defined(__x86_64__)

#define CLMUL512                                                              \
    __attribute__((target("avx2,pclmul,sse4.2,vpclmulqdq,avx512f,avx512bw,"   \
                          "avx512dq,avx512vl,bmi2")))

/* From how many bytes on wide registers are faster. */
#define WIDE_FROM 256

CLMUL512 static inline __m512i
wide_load(const void *at)
{
    return _mm512_loadu_si512(at);
}

CLMUL512 static inline __m512i
wide_pair(const uint64_t pair[2])
{
    return _mm512_broadcast_i64x2(fold_load(pair));
}

#define XOR3 0x96    /* a ^ b ^ c */
#define XOR_AND 0x78 /* a ^ (b & c) */
#define XNOR 0xc3    /* ~(a ^ b) */

/* lo * by[0] + hi * by[1] + and */
CLMUL512 static inline __m512i
wide_by(__m512i x, __m512i by, __m512i and)
{
    return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(x, by, 0x00),
                                     _mm512_clmulepi64_epi128(x, by, 0x11),
                                     and, XOR3);
}

/* ---- one message */

CLMUL512 static inline uint32_t
wide_crc(const checksum_fold *fold, uint32_t value, const uint8_t *data,
         size_t length)
{
    const __m512i by2048 = wide_pair(fold->by2048);
    const __m512i by512 = wide_pair(fold->by512);
    const __m128i by128 = fold_load(fold->by128);
    __m512i x0 = _mm512_xor_si512(
        wide_load(data),
        _mm512_zextsi128_si512(_mm_cvtsi32_si128((int32_t)~value)));
    __m512i x1 = wide_load(data + 64), x2 = wide_load(data + 128),
            x3 = wide_load(data + 192);
    for (data += 256, length -= 256; length >= 256;
         data += 256, length -= 256) {
        x0 = wide_by(x0, by2048, wide_load(data));
        x1 = wide_by(x1, by2048, wide_load(data + 64));
        x2 = wide_by(x2, by2048, wide_load(data + 128));
        x3 = wide_by(x3, by2048, wide_load(data + 192));
    }
    x1 = wide_by(x0, by512, x1);
    x2 = wide_by(x1, by512, x2);
    x3 = wide_by(x2, by512, x3);
    for (; length >= 64; data += 64, length -= 64) {
        x3 = wide_by(x3, by512, wide_load(data));
    }
    __m128i x = _mm512_castsi512_si128(x3);
    x = _mm_xor_si128(fold_by(x, by128), _mm512_extracti64x2_epi64(x3, 1));
    x = _mm_xor_si128(fold_by(x, by128), _mm512_extracti64x2_epi64(x3, 2));
    x = _mm_xor_si128(fold_by(x, by128), _mm512_extracti64x2_epi64(x3, 3));
    return fold_rest(fold, x, data, length);
}

CLMUL512 static uint32_t
crc32_avx512(uint32_t value, const uint8_t *data, size_t length)
{
    return length < WIDE_FROM
               ? checksum_crc32_avx2(value, data, length)
               : wide_crc(&checksum_fold_crc32, value, data, length);
}

CLMUL512 static uint32_t
crc32c_avx512(uint32_t value, const uint8_t *data, size_t length)
{
    return length < WIDE_FROM
               ? checksum_crc32c_avx2(value, data, length)
               : wide_crc(&checksum_fold_crc32c, value, data, length);
}

/* ---- many messages, each in a quarter of a register */

/* 16 bytes of each of four messages. Not by masked loads: they do not teach
 * the processor what to fetch ahead, and a million messages take five times as
 * long. */
CLMUL512 static inline __m512i
wide_gather(const uint8_t *data, size_t stride)
{
    __m512i x = _mm512_castsi128_si512(fold_load(data));
    x = _mm512_inserti64x2(x, fold_load(data + stride), 1);
    x = _mm512_inserti64x2(x, fold_load(data + 2 * stride), 2);
    return _mm512_inserti64x2(x, fold_load(data + 3 * stride), 3);
}

CLMUL512 static inline void
wide_many(const checksum_fold *fold, const uint8_t *data, size_t length,
          size_t stride, size_t count, uint32_t *out)
{
    size_t last = (length - 1) / 16 * 16; /* where the last quarter begins */
    size_t n = length - last;
    const __m512i mask = _mm512_broadcast_i64x2(
        _mm_maskz_set1_epi8((__mmask16)((1U << n) - 1), -1));
    const __m512i begin = _mm512_broadcast_i64x2(_mm_cvtsi32_si128(-1));
    const __m512i by128 = wide_pair(fold->by128);
    const __m512i end = wide_pair(fold->end[n - 1]);
    const __m512i quotient = wide_pair(fold->quotient);
    const __m512i thirds = _mm512_setr_epi32(2, 6, 10, 14, 2, 6, 10, 14, 2, 6,
                                             10, 14, 2, 6, 10, 14);
    for (size_t i = 0; i < count; i += 4, data += 4 * stride) {
        __m512i x = begin;
        for (size_t at = 0; at < last; at += 16) {
            x = _mm512_xor_si512(x, wide_gather(data + at, stride));
            x = wide_by(x, by128, _mm512_setzero_si512());
        }
        x = _mm512_ternarylogic_epi64(x, wide_gather(data + last, stride),
                                      mask, XOR_AND);
        x = wide_by(x, end, _mm512_setzero_si512());
        x = _mm512_bsrli_epi128(x, 4);
        __m512i times = _mm512_clmulepi64_epi128(x, quotient, 0x00);
        times = _mm512_clmulepi64_epi128(times, quotient, 0x10);
        x = _mm512_ternarylogic_epi64(x, times, x, XNOR);
        x = _mm512_permutexvar_epi32(thirds, x);
        _mm_storeu_si128((__m128i *)(void *)(out + i),
                         _mm512_castsi512_si128(x));
    }
}

CLMUL512 static void
crc32_many_avx512(const uint8_t *data, size_t length, size_t stride,
                  size_t count, uint32_t *out)
{
    size_t fours = fold_safe(length, stride, count) / 4 * 4;
    if (fours != 0) {
        wide_many(&checksum_fold_crc32, data, length, stride, fours, out);
    }
    for (size_t i = fours; i < count; i++) {
        out[i] = crc32_avx512(0, data + i * stride, length);
    }
}

CLMUL512 static void
crc32c_many_avx512(const uint8_t *data, size_t length, size_t stride,
                   size_t count, uint32_t *out)
{
    size_t fours = fold_safe(length, stride, count) / 4 * 4;
    if (fours != 0) {
        wide_many(&checksum_fold_crc32c, data, length, stride, fours, out);
    }
    for (size_t i = fours; i < count; i++) {
        out[i] = crc32c_avx512(0, data + i * stride, length);
    }
}

/* ---- the Internet checksum */

/* Words of 32 bits into sums of 64, the odd and the even ones apart. */
CLMUL512 static uint32_t
internet_part(uint32_t value, const uint8_t *data, size_t length)
{
    const __m512i low = _mm512_set1_epi64(UINT32_MAX);
    __m512i even = _mm512_setzero_si512(), odd = even;
    size_t left = length % 64, whole = length - left;
    for (const uint8_t *end = data + whole; data != end; data += 64) {
        __m512i x = wide_load(data);
        even = _mm512_add_epi64(even, _mm512_and_si512(x, low));
        odd = _mm512_add_epi64(odd, _mm512_srli_epi64(x, 32));
    }
    uint64_t sum =
        (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(even, odd));
    return checksum_internet_rest(value, sum, data, left);
}

static uint32_t
internet_avx512(uint32_t value, const uint8_t *data, size_t length)
{
    return checksum_in_parts(internet_part, value, data, length);
}

const checksum_functions *
checksum_avx512(void)
{
    static const checksum_functions functions = {
        crc32_avx512,      crc32c_avx512,      internet_avx512,
        crc32_many_avx512, crc32c_many_avx512,
    };
    return __builtin_cpu_supports("vpclmulqdq") && checksum_avx2() != NULL
               ? &functions
               : NULL;
}
#endif
