/* SPDX-License-Identifier: MIT
 *
 * Comparisons of 16 bytes at a time: what every x86-64 has. It cannot compare
 * 64-bit integers, nor pack.
 */
#include "filter_core.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define SSE2 __attribute__((target("sse2")))

/* A function that makes a byte of 8 numbers; MASK: over x and t */
#define COMPARE(NAME, TYPE, SET, MASK)                                        \
    SSE2 static void NAME(const void *numbers, size_t words,                  \
                          const void *than, uint64_t *bits)                   \
    {                                                                         \
        const TYPE *x = numbers;                                              \
        TYPE one;                                                             \
        memcpy(&one, than, sizeof(one));                                      \
        SET;                                                                  \
        for (size_t w = 0; w < words; w++) {                                  \
            uint64_t word = 0;                                                \
            for (unsigned i = 0; i < FE_FILTER_WORD; i += 8, x += 8) {        \
                word |= (uint64_t)(unsigned)(MASK) << i;                      \
            }                                                                 \
            bits[w] = word;                                                   \
        }                                                                     \
    }

#define LOAD(at) _mm_loadu_si128((const __m128i *)(const void *)(at))

#define F64(AT, OP) _mm_movemask_pd(OP(_mm_loadu_pd(x + (AT)), t))
#define COMPARE_F64(NAME, OP)                                                 \
    COMPARE(NAME, double, __m128d t = _mm_set1_pd(one),                       \
            F64(0, OP) | F64(2, OP) << 2 | F64(4, OP) << 4 | F64(6, OP) << 6)
#define F32(AT, OP) _mm_movemask_ps(OP(_mm_loadu_ps(x + (AT)), t))
#define COMPARE_F32(NAME, OP)                                                 \
    COMPARE(NAME, float, __m128 t = _mm_set1_ps(one),                         \
            F32(0, OP) | F32(4, OP) << 4)

/* Signed comparisons only: unsigned numbers change their highest bit. */
#define X32(AT, OP)                                                           \
    _mm_movemask_ps(                                                          \
        _mm_castsi128_ps(OP##_epi32(_mm_xor_si128(LOAD(x + (AT)), flip), t)))
#define COMPARE_32(NAME, TYPE, FLIP, OP)                                      \
    COMPARE(NAME, TYPE, __m128i flip = _mm_set1_epi32(FLIP);                  \
            __m128i t = _mm_xor_si128(_mm_set1_epi32((int32_t)one), flip),    \
            X32(0, OP) | X32(4, OP) << 4)
#define COMPARE_16(NAME, TYPE, FLIP, OP)                                      \
    COMPARE(NAME, TYPE, __m128i flip = _mm_set1_epi16(FLIP);                  \
            __m128i t = _mm_xor_si128(_mm_set1_epi16((int16_t)one), flip),    \
            _mm_movemask_epi8(                                                \
                _mm_packs_epi16(OP##_epi16(_mm_xor_si128(LOAD(x), flip), t),  \
                                _mm_setzero_si128())))
#define LOAD_8(at) _mm_loadl_epi64((const __m128i *)(const void *)(at))
#define COMPARE_8(NAME, TYPE, FLIP, OP)                                       \
    COMPARE(NAME, TYPE, __m128i flip = _mm_set1_epi8(FLIP);                   \
            __m128i t = _mm_xor_si128(_mm_set1_epi8((int8_t)one), flip),      \
            _mm_movemask_epi8(OP##_epi8(_mm_xor_si128(LOAD_8(x), flip), t))   \
                & 0xff)

/* clang-format off */
COMPARE_F64(gt_f64, _mm_cmpgt_pd)
COMPARE_F64(ge_f64, _mm_cmpge_pd)
COMPARE_F64(lt_f64, _mm_cmplt_pd)
COMPARE_F64(le_f64, _mm_cmple_pd)
COMPARE_F64(eq_f64, _mm_cmpeq_pd)
COMPARE_F32(gt_f32, _mm_cmpgt_ps)
COMPARE_F32(ge_f32, _mm_cmpge_ps)
COMPARE_F32(lt_f32, _mm_cmplt_ps)
COMPARE_F32(le_f32, _mm_cmple_ps)
COMPARE_F32(eq_f32, _mm_cmpeq_ps)
COMPARE_32(gt_i32, int32_t, 0, _mm_cmpgt)
COMPARE_32(eq_i32, int32_t, 0, _mm_cmpeq)
COMPARE_32(gt_u32, uint32_t, INT32_MIN, _mm_cmpgt)
COMPARE_32(eq_u32, uint32_t, INT32_MIN, _mm_cmpeq)
COMPARE_16(gt_i16, int16_t, 0, _mm_cmpgt)
COMPARE_16(eq_i16, int16_t, 0, _mm_cmpeq)
COMPARE_16(gt_u16, uint16_t, INT16_MIN, _mm_cmpgt)
COMPARE_16(eq_u16, uint16_t, INT16_MIN, _mm_cmpeq)
COMPARE_8(gt_i8, int8_t, 0, _mm_cmpgt)
COMPARE_8(eq_i8, int8_t, 0, _mm_cmpeq)
COMPARE_8(gt_u8, uint8_t, INT8_MIN, _mm_cmpgt)
COMPARE_8(eq_u8, uint8_t, INT8_MIN, _mm_cmpeq)
/* clang-format on */

#define BOXED(NAME, OP)                                                       \
    SSE2 static void NAME(const char *const *objects, size_t words,           \
                          const void *type, double than, uint64_t *bits,      \
                          size_t *done)                                       \
    {                                                                         \
        const __m128d t = _mm_set1_pd(than);                                  \
        size_t w = 0;                                                         \
        for (; w < words; w++) {                                              \
            uint64_t word = 0;                                                \
            unsigned i = 0;                                                   \
            for (; i < FE_FILTER_WORD && fe_boxed_pair(objects, type);        \
                 i += 2, objects += 2) {                                      \
                __m128d x = _mm_set_pd(fe_boxed_value(objects[1]),            \
                                       fe_boxed_value(objects[0]));           \
                word |= (uint64_t)(unsigned)_mm_movemask_pd(OP(x, t)) << i;   \
            }                                                                 \
            if (i < FE_FILTER_WORD) {                                         \
                break;                                                        \
            }                                                                 \
            bits[w] = word;                                                   \
        }                                                                     \
        *done = w;                                                            \
    }

/* clang-format off */
BOXED(boxed_gt, _mm_cmpgt_pd)
BOXED(boxed_ge, _mm_cmpge_pd)
BOXED(boxed_lt, _mm_cmplt_pd)
BOXED(boxed_le, _mm_cmple_pd)
BOXED(boxed_eq, _mm_cmpeq_pd)
/* clang-format on */

void
fe_filter_add_sse2(fe_filter_kernels *kernels)
{
    const fe_filter_compare real[2][FE_FILTER_NE] = {
        {gt_f32, ge_f32, lt_f32, le_f32, eq_f32},
        {gt_f64, ge_f64, lt_f64, le_f64, eq_f64},
    };
    const fe_filter_boxed boxed[FE_FILTER_NE] = {boxed_gt, boxed_ge, boxed_lt,
                                                 boxed_le, boxed_eq};
    memcpy(kernels->boxed, boxed, sizeof(boxed));
    memcpy(kernels->compare[FE_KIND_F32], real[0], sizeof(real[0]));
    memcpy(kernels->compare[FE_KIND_F64], real[1], sizeof(real[1]));
    kernels->compare[FE_KIND_I32][FE_FILTER_GT] = gt_i32;
    kernels->compare[FE_KIND_I32][FE_FILTER_EQ] = eq_i32;
    kernels->compare[FE_KIND_U32][FE_FILTER_GT] = gt_u32;
    kernels->compare[FE_KIND_U32][FE_FILTER_EQ] = eq_u32;
    kernels->compare[FE_KIND_I16][FE_FILTER_GT] = gt_i16;
    kernels->compare[FE_KIND_I16][FE_FILTER_EQ] = eq_i16;
    kernels->compare[FE_KIND_U16][FE_FILTER_GT] = gt_u16;
    kernels->compare[FE_KIND_U16][FE_FILTER_EQ] = eq_u16;
    kernels->compare[FE_KIND_I8][FE_FILTER_GT] = gt_i8;
    kernels->compare[FE_KIND_I8][FE_FILTER_EQ] = eq_i8;
    kernels->compare[FE_KIND_U8][FE_FILTER_GT] = gt_u8;
    kernels->compare[FE_KIND_U8][FE_FILTER_EQ] = eq_u8;
}
#endif
