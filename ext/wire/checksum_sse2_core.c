/* SPDX-License-Identifier: MIT
 *
 * The Internet checksum by sums of 16 bytes. The CRCs are the portable ones.
 */
#include "checksum_core.h"

#if defined(__x86_64__)
#include <emmintrin.h>

/* Words of 32 bits into sums of 64, the odd and the even ones apart. */
static uint32_t
internet_part(uint32_t value, const uint8_t *data, size_t length)
{
    const __m128i low = _mm_set1_epi64x(UINT32_MAX);
    __m128i even = _mm_setzero_si128(), odd = even;
    size_t left = length % 16, whole = length - left;
    for (const uint8_t *end = data + whole; data != end; data += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)data);
        even = _mm_add_epi64(even, _mm_and_si128(x, low));
        odd = _mm_add_epi64(odd, _mm_srli_epi64(x, 32));
    }
    uint64_t sums[2];
    _mm_storeu_si128((__m128i *)(void *)sums, _mm_add_epi64(even, odd));
    return checksum_internet_rest(value, sums[0] + sums[1], data, left);
}

static uint32_t
internet_sse2(uint32_t value, const uint8_t *data, size_t length)
{
    return checksum_in_parts(internet_part, value, data, length);
}

const checksum_functions *
checksum_sse2(void)
{
    static const checksum_functions functions = {
        checksum_crc32_portable,
        checksum_crc32c_portable,
        internet_sse2,
        checksum_crc32_many_portable,
        checksum_crc32c_many_portable,
    };
    return &functions;
}
#endif
