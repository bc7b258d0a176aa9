/* SPDX-License-Identifier: MIT
 *
 * Rows to columns, 32 bytes of a column at a time. Each row's field is loaded
 * with what surrounds it, 16 bytes; rows of the first half of the 32 go to the
 * lower lane, of the second half to the upper one. A shuffle per pair of rows
 * brings the field to its place, other bytes become 0, and OR joins them.
 */
#include "bulk_core.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline))

enum { LANE = 16, VECTOR = 32 };

/* A load begins at the field, or so far before it that it ends with its row.
 * Mask k brings the field to place k of a lane. */
static void
prepare(bulk_column *column, size_t stride)
{
    size_t last = stride > LANE ? stride - LANE : 0, width = column->width;
    size_t start = column->source < last ? column->source : last;
    size_t skip = column->source - start;
    bool swap = column->how == BULK_SWAP;
    memset(column->masks, 0x80, sizeof(column->masks));
    for (size_t k = 0; k < LANE / width; k++) {
        uint8_t *mask = column->masks + k * LANE + k * width;
        for (size_t b = 0; b < width; b++) {
            mask[b] = (uint8_t)(skip + (swap ? width - 1 - b : b));
        }
    }
    column->back = (uint32_t)skip;
}

/* Of `count` rows, how many may be loaded so? */
static size_t
loadable(const uint8_t *from, const uint8_t *end, size_t stride, size_t count)
{
    size_t there = (size_t)(end - from);
    size_t rows = there < LANE ? 0 : (there - LANE) / stride + 1;
    return rows < count ? rows : count;
}

AVX2 INLINE __m128i
load_one(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

AVX2 INLINE size_t
take(size_t width, bool stream, const bulk_column *column, const uint8_t *from,
     const uint8_t *end, size_t stride, size_t count, uint8_t *to)
{
    const size_t half = LANE / width, rows = 2 * half;
    __m256i shuffles[LANE];
    size_t i = 0;
    from -= column->back;
    count = loadable(from, end, stride, count);
    for (size_t k = 0; k < half; k++) {
        shuffles[k] =
            _mm256_broadcastsi128_si256(load_one(column->masks + k * LANE));
    }
    for (; i + rows <= count; i += rows) {
        __m256i joined = _mm256_setzero_si256();
        for (size_t k = 0; k < half; k++) {
            __m256i pair = _mm256_inserti128_si256(
                _mm256_castsi128_si256(load_one(from + k * stride)),
                load_one(from + (half + k) * stride), 1);
            joined = _mm256_or_si256(joined,
                                     _mm256_shuffle_epi8(pair, shuffles[k]));
        }
        __m256i *cells = (__m256i *)(void *)to;
        if (stream) {
            _mm256_stream_si256(cells, joined);
        }
        else {
            _mm256_storeu_si256(cells, joined);
        }
        from += rows * stride;
        to += VECTOR;
    }
    return i;
}

#define KERNEL(NAME, WIDTH, STREAM)                                           \
    AVX2 static void NAME(bulk_column *column, const uint8_t *from,           \
                          const uint8_t *end, size_t stride, size_t count,    \
                          uint8_t *to)                                        \
    {                                                                         \
        column->done +=                                                       \
            take(WIDTH, STREAM, column, from, end, stride, count, to);        \
    }

/* clang-format off */
KERNEL(take_1, 1, false)
KERNEL(take_2, 2, false)
KERNEL(take_4, 4, false)
KERNEL(take_8, 8, false)
KERNEL(stream_1, 1, true)
KERNEL(stream_2, 2, true)
KERNEL(stream_4, 4, true)
KERNEL(stream_8, 8, true)
/* clang-format on */

const bulk_functions bulk_avx2 = {
    .block = 16 << 10,
    .vector = VECTOR,
    .prepare = prepare,
    .kernels = {{take_1, take_2, take_4, take_8},
                {stream_1, stream_2, stream_4, stream_8}},
};

#endif
