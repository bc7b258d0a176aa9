/* SPDX-License-Identifier: MIT
 *
 * Rows to columns, 64 bytes of a column at a time, on processors that permute
 * bytes across a whole register (VBMI). A load of 64 bytes covers as many rows
 * as fit; the permutation that takes the field out of them is the same for
 * all loads of a vector, only the mask of bytes it writes differs.
 */
#include "bulk_core.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define VBMI                                                                  \
    __attribute__((                                                           \
        target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,bmi2")))
#define INLINE static inline __attribute__((always_inline))

enum { VECTOR = 64 };

bool
bulk_has_vbmi(void)
{
    return __builtin_cpu_supports("avx512vbmi") != 0;
}

/* Rows that one load covers, a power of two, at most those of a vector. */
static size_t
rows_of_load(size_t stride, size_t width)
{
    size_t rows = 1;
    while (2 * rows <= VECTOR / width
           && (2 * rows - 1) * stride + width <= VECTOR) {
        rows *= 2;
    }
    return rows;
}

static void
prepare(bulk_column *column, size_t stride)
{
    size_t width = column->width, group = rows_of_load(stride, width);
    bool swap = column->how == BULK_SWAP;
    for (size_t j = 0; j < VECTOR; j++) {
        size_t row = j / width % group, b = j % width;
        column->masks[j] =
            (uint8_t)(row * stride + (swap ? width - 1 - b : b));
    }
    column->back = 0;
    column->group = (uint32_t)group;
}

/* How many of `count` rows may be loaded 64 bytes at a time from the field of
 * the first one on, `group` rows by a load? */
static size_t
loadable(const uint8_t *from, const uint8_t *end, size_t stride, size_t count,
         size_t group)
{
    size_t there = (size_t)(end - from);
    size_t loads =
        there < VECTOR ? 0 : (there - VECTOR) / (group * stride) + 1;
    return loads < count / group ? loads * group : count / group * group;
}

/* LOADS fill a vector. */
VBMI INLINE void
run(size_t loads, const uint8_t *from, size_t step, uint8_t *to,
    size_t vectors, __m512i order, bool stream)
{
    const size_t part = VECTOR / loads;
    const __mmask64 first = UINT64_MAX >> (VECTOR - part);
    for (size_t v = 0; v < vectors; v++) {
        __m512i joined = _mm512_maskz_permutexvar_epi8(
            first, order, _mm512_loadu_si512(from));
        for (size_t k = 1; k < loads; k++) {
            joined = _mm512_mask_permutexvar_epi8(
                joined, first << (k * part), order,
                _mm512_loadu_si512(from + k * step));
        }
        if (stream) {
            _mm512_stream_si512((void *)to, joined);
        }
        else {
            _mm512_storeu_si512(to, joined);
        }
        from += loads * step;
        to += VECTOR;
    }
}

VBMI INLINE void
run_any(size_t loads, const uint8_t *from, size_t step, uint8_t *to,
        size_t vectors, __m512i order, bool stream)
{
    switch (loads) {
    case 1:
        run(1, from, step, to, vectors, order, stream);
        break;
    case 2:
        run(2, from, step, to, vectors, order, stream);
        break;
    case 4:
        run(4, from, step, to, vectors, order, stream);
        break;
    case 8:
        run(8, from, step, to, vectors, order, stream);
        break;
    case 16:
        run(16, from, step, to, vectors, order, stream);
        break;
    case 32:
        run(32, from, step, to, vectors, order, stream);
        break;
    default:
        run(64, from, step, to, vectors, order, stream);
    }
}

VBMI INLINE size_t
take(size_t width, bool stream, const bulk_column *column, const uint8_t *from,
     const uint8_t *end, size_t stride, size_t count, uint8_t *to)
{
    const size_t rows = VECTOR / width, group = column->group;
    size_t vectors = loadable(from, end, stride, count, group) / rows;
    run_any(rows / group, from, group * stride, to, vectors,
            _mm512_loadu_si512(column->masks), stream);
    return vectors * rows;
}

#define KERNEL(NAME, WIDTH, STREAM)                                           \
    VBMI static void NAME(bulk_column *column, const uint8_t *from,           \
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

const bulk_functions bulk_avx512 = {
    .block = 7 << 10,
    .vector = VECTOR,
    .prefetch = true,
    .prepare = prepare,
    .kernels = {{take_1, take_2, take_4, take_8},
                {stream_1, stream_2, stream_4, stream_8}},
};

#endif
