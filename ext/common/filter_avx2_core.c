/* SPDX-License-Identifier: MIT
 *
 * 32 bytes at a time, and packing: a table says which lanes the bits of a mask
 * keep, a permutation brings them to the front, and the whole vector is
 * written; what follows is written over the rest.
 */
#include "filter_core.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,popcnt")))

/* ---- comparisons */

/* MASK: of STEP numbers from x on, compared with t */
#define COMPARE(NAME, TYPE, STEP, SET, MASK)                                  \
    AVX2 static void NAME(const void *numbers, size_t words,                  \
                          const void *than, uint64_t *bits)                   \
    {                                                                         \
        const TYPE *x = numbers;                                              \
        TYPE one;                                                             \
        memcpy(&one, than, sizeof(one));                                      \
        SET;                                                                  \
        for (size_t w = 0; w < words; w++) {                                  \
            uint64_t word = 0;                                                \
            for (unsigned i = 0; i < FE_FILTER_WORD; i += STEP, x += STEP) {  \
                word |= (uint64_t)(unsigned)(MASK) << i;                      \
            }                                                                 \
            bits[w] = word;                                                   \
        }                                                                     \
    }

#define LOAD(at) _mm256_loadu_si256((const __m256i *)(const void *)(at))

#define F64(AT, HOW)                                                          \
    _mm256_movemask_pd(_mm256_cmp_pd(_mm256_loadu_pd(x + (AT)), t, HOW))
#define COMPARE_F64(NAME, HOW)                                                \
    COMPARE(NAME, double, 8, __m256d t = _mm256_set1_pd(one),                 \
            F64(0, HOW) | F64(4, HOW) << 4)
#define COMPARE_F32(NAME, HOW)                                                \
    COMPARE(NAME, float, 8, __m256 t = _mm256_set1_ps(one),                   \
            _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x), t, HOW)))

/* Signed comparisons only: unsigned numbers change their highest bit. */
#define FLIPPED(at) _mm256_xor_si256(LOAD(at), flip)
#define X64(AT, OP)                                                           \
    _mm256_movemask_pd(_mm256_castsi256_pd(OP##_epi64(FLIPPED(x + (AT)), t)))
#define COMPARE_64(NAME, TYPE, FLIP, OP)                                      \
    COMPARE(NAME, TYPE, 8, __m256i flip = _mm256_set1_epi64x(FLIP);           \
            __m256i t =                                                       \
                _mm256_xor_si256(_mm256_set1_epi64x((int64_t)one), flip),     \
            X64(0, OP) | X64(4, OP) << 4)
#define COMPARE_32(NAME, TYPE, FLIP, OP)                                      \
    COMPARE(                                                                  \
        NAME, TYPE, 8, __m256i flip = _mm256_set1_epi32(FLIP);                \
        __m256i t = _mm256_xor_si256(_mm256_set1_epi32((int32_t)one), flip),  \
        _mm256_movemask_ps(_mm256_castsi256_ps(OP##_epi32(FLIPPED(x), t))))
/* packs works in halves of 16 bytes: 0xd8 puts its quarters in order */
#define COMPARE_16(NAME, TYPE, FLIP, OP)                                      \
    COMPARE(NAME, TYPE, 32, __m256i flip = _mm256_set1_epi16(FLIP);           \
            __m256i t =                                                       \
                _mm256_xor_si256(_mm256_set1_epi16((int16_t)one), flip),      \
            _mm256_movemask_epi8(_mm256_permute4x64_epi64(                    \
                _mm256_packs_epi16(OP##_epi16(FLIPPED(x), t),                 \
                                   OP##_epi16(FLIPPED(x + 16), t)),           \
                0xd8)))
#define COMPARE_8(NAME, TYPE, FLIP, OP)                                       \
    COMPARE(NAME, TYPE, 32, __m256i flip = _mm256_set1_epi8(FLIP);            \
            __m256i t =                                                       \
                _mm256_xor_si256(_mm256_set1_epi8((int8_t)one), flip),        \
            _mm256_movemask_epi8(OP##_epi8(FLIPPED(x), t)))

/* clang-format off */
COMPARE_F64(gt_f64, _CMP_GT_OQ)
COMPARE_F64(ge_f64, _CMP_GE_OQ)
COMPARE_F64(lt_f64, _CMP_LT_OQ)
COMPARE_F64(le_f64, _CMP_LE_OQ)
COMPARE_F64(eq_f64, _CMP_EQ_OQ)
COMPARE_F32(gt_f32, _CMP_GT_OQ)
COMPARE_F32(ge_f32, _CMP_GE_OQ)
COMPARE_F32(lt_f32, _CMP_LT_OQ)
COMPARE_F32(le_f32, _CMP_LE_OQ)
COMPARE_F32(eq_f32, _CMP_EQ_OQ)
COMPARE_64(gt_i64, int64_t, 0, _mm256_cmpgt)
COMPARE_64(eq_i64, int64_t, 0, _mm256_cmpeq)
COMPARE_64(gt_u64, uint64_t, INT64_MIN, _mm256_cmpgt)
COMPARE_64(eq_u64, uint64_t, INT64_MIN, _mm256_cmpeq)
COMPARE_32(gt_i32, int32_t, 0, _mm256_cmpgt)
COMPARE_32(eq_i32, int32_t, 0, _mm256_cmpeq)
COMPARE_32(gt_u32, uint32_t, INT32_MIN, _mm256_cmpgt)
COMPARE_32(eq_u32, uint32_t, INT32_MIN, _mm256_cmpeq)
COMPARE_16(gt_i16, int16_t, 0, _mm256_cmpgt)
COMPARE_16(eq_i16, int16_t, 0, _mm256_cmpeq)
COMPARE_16(gt_u16, uint16_t, INT16_MIN, _mm256_cmpgt)
COMPARE_16(eq_u16, uint16_t, INT16_MIN, _mm256_cmpeq)
COMPARE_8(gt_i8, int8_t, 0, _mm256_cmpgt)
COMPARE_8(eq_i8, int8_t, 0, _mm256_cmpeq)
COMPARE_8(gt_u8, uint8_t, INT8_MIN, _mm256_cmpgt)
COMPARE_8(eq_u8, uint8_t, INT8_MIN, _mm256_cmpeq)
/* clang-format on */

#define BOXED(NAME, HOW)                                                      \
    AVX2 static void NAME(const char *const *objects, size_t words,           \
                          const void *type, double than, uint64_t *bits,      \
                          size_t *done)                                       \
    {                                                                         \
        const __m256d t = _mm256_set1_pd(than);                               \
        size_t w = 0;                                                         \
        for (; w < words; w++) {                                              \
            uint64_t word = 0;                                                \
            unsigned i = 0;                                                   \
            for (; i < FE_FILTER_WORD && fe_boxed_pair(objects, type)         \
                   && fe_boxed_pair(objects + 2, type);                       \
                 i += 4, objects += 4) {                                      \
                __m256d x = _mm256_set_pd(                                    \
                    fe_boxed_value(objects[3]), fe_boxed_value(objects[2]),   \
                    fe_boxed_value(objects[1]), fe_boxed_value(objects[0]));  \
                int mask = _mm256_movemask_pd(_mm256_cmp_pd(x, t, HOW));      \
                word |= (uint64_t)(unsigned)mask << i;                        \
            }                                                                 \
            if (i < FE_FILTER_WORD) {                                         \
                break;                                                        \
            }                                                                 \
            bits[w] = word;                                                   \
        }                                                                     \
        *done = w;                                                            \
    }

/* clang-format off */
BOXED(boxed_gt, _CMP_GT_OQ)
BOXED(boxed_ge, _CMP_GE_OQ)
BOXED(boxed_lt, _CMP_LT_OQ)
BOXED(boxed_le, _CMP_LE_OQ)
BOXED(boxed_eq, _CMP_EQ_OQ)
/* clang-format on */

/* ---- packing */

/* Which bits of a byte are set, the lowest first; zeros behind them. */
/* clang-format off */
static const uint8_t lanes[256][8] = {
    {0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0},
    {1, 0, 0, 0, 0, 0, 0, 0}, {0, 1, 0, 0, 0, 0, 0, 0},
    {2, 0, 0, 0, 0, 0, 0, 0}, {0, 2, 0, 0, 0, 0, 0, 0},
    {1, 2, 0, 0, 0, 0, 0, 0}, {0, 1, 2, 0, 0, 0, 0, 0},
    {3, 0, 0, 0, 0, 0, 0, 0}, {0, 3, 0, 0, 0, 0, 0, 0},
    {1, 3, 0, 0, 0, 0, 0, 0}, {0, 1, 3, 0, 0, 0, 0, 0},
    {2, 3, 0, 0, 0, 0, 0, 0}, {0, 2, 3, 0, 0, 0, 0, 0},
    {1, 2, 3, 0, 0, 0, 0, 0}, {0, 1, 2, 3, 0, 0, 0, 0},
    {4, 0, 0, 0, 0, 0, 0, 0}, {0, 4, 0, 0, 0, 0, 0, 0},
    {1, 4, 0, 0, 0, 0, 0, 0}, {0, 1, 4, 0, 0, 0, 0, 0},
    {2, 4, 0, 0, 0, 0, 0, 0}, {0, 2, 4, 0, 0, 0, 0, 0},
    {1, 2, 4, 0, 0, 0, 0, 0}, {0, 1, 2, 4, 0, 0, 0, 0},
    {3, 4, 0, 0, 0, 0, 0, 0}, {0, 3, 4, 0, 0, 0, 0, 0},
    {1, 3, 4, 0, 0, 0, 0, 0}, {0, 1, 3, 4, 0, 0, 0, 0},
    {2, 3, 4, 0, 0, 0, 0, 0}, {0, 2, 3, 4, 0, 0, 0, 0},
    {1, 2, 3, 4, 0, 0, 0, 0}, {0, 1, 2, 3, 4, 0, 0, 0},
    {5, 0, 0, 0, 0, 0, 0, 0}, {0, 5, 0, 0, 0, 0, 0, 0},
    {1, 5, 0, 0, 0, 0, 0, 0}, {0, 1, 5, 0, 0, 0, 0, 0},
    {2, 5, 0, 0, 0, 0, 0, 0}, {0, 2, 5, 0, 0, 0, 0, 0},
    {1, 2, 5, 0, 0, 0, 0, 0}, {0, 1, 2, 5, 0, 0, 0, 0},
    {3, 5, 0, 0, 0, 0, 0, 0}, {0, 3, 5, 0, 0, 0, 0, 0},
    {1, 3, 5, 0, 0, 0, 0, 0}, {0, 1, 3, 5, 0, 0, 0, 0},
    {2, 3, 5, 0, 0, 0, 0, 0}, {0, 2, 3, 5, 0, 0, 0, 0},
    {1, 2, 3, 5, 0, 0, 0, 0}, {0, 1, 2, 3, 5, 0, 0, 0},
    {4, 5, 0, 0, 0, 0, 0, 0}, {0, 4, 5, 0, 0, 0, 0, 0},
    {1, 4, 5, 0, 0, 0, 0, 0}, {0, 1, 4, 5, 0, 0, 0, 0},
    {2, 4, 5, 0, 0, 0, 0, 0}, {0, 2, 4, 5, 0, 0, 0, 0},
    {1, 2, 4, 5, 0, 0, 0, 0}, {0, 1, 2, 4, 5, 0, 0, 0},
    {3, 4, 5, 0, 0, 0, 0, 0}, {0, 3, 4, 5, 0, 0, 0, 0},
    {1, 3, 4, 5, 0, 0, 0, 0}, {0, 1, 3, 4, 5, 0, 0, 0},
    {2, 3, 4, 5, 0, 0, 0, 0}, {0, 2, 3, 4, 5, 0, 0, 0},
    {1, 2, 3, 4, 5, 0, 0, 0}, {0, 1, 2, 3, 4, 5, 0, 0},
    {6, 0, 0, 0, 0, 0, 0, 0}, {0, 6, 0, 0, 0, 0, 0, 0},
    {1, 6, 0, 0, 0, 0, 0, 0}, {0, 1, 6, 0, 0, 0, 0, 0},
    {2, 6, 0, 0, 0, 0, 0, 0}, {0, 2, 6, 0, 0, 0, 0, 0},
    {1, 2, 6, 0, 0, 0, 0, 0}, {0, 1, 2, 6, 0, 0, 0, 0},
    {3, 6, 0, 0, 0, 0, 0, 0}, {0, 3, 6, 0, 0, 0, 0, 0},
    {1, 3, 6, 0, 0, 0, 0, 0}, {0, 1, 3, 6, 0, 0, 0, 0},
    {2, 3, 6, 0, 0, 0, 0, 0}, {0, 2, 3, 6, 0, 0, 0, 0},
    {1, 2, 3, 6, 0, 0, 0, 0}, {0, 1, 2, 3, 6, 0, 0, 0},
    {4, 6, 0, 0, 0, 0, 0, 0}, {0, 4, 6, 0, 0, 0, 0, 0},
    {1, 4, 6, 0, 0, 0, 0, 0}, {0, 1, 4, 6, 0, 0, 0, 0},
    {2, 4, 6, 0, 0, 0, 0, 0}, {0, 2, 4, 6, 0, 0, 0, 0},
    {1, 2, 4, 6, 0, 0, 0, 0}, {0, 1, 2, 4, 6, 0, 0, 0},
    {3, 4, 6, 0, 0, 0, 0, 0}, {0, 3, 4, 6, 0, 0, 0, 0},
    {1, 3, 4, 6, 0, 0, 0, 0}, {0, 1, 3, 4, 6, 0, 0, 0},
    {2, 3, 4, 6, 0, 0, 0, 0}, {0, 2, 3, 4, 6, 0, 0, 0},
    {1, 2, 3, 4, 6, 0, 0, 0}, {0, 1, 2, 3, 4, 6, 0, 0},
    {5, 6, 0, 0, 0, 0, 0, 0}, {0, 5, 6, 0, 0, 0, 0, 0},
    {1, 5, 6, 0, 0, 0, 0, 0}, {0, 1, 5, 6, 0, 0, 0, 0},
    {2, 5, 6, 0, 0, 0, 0, 0}, {0, 2, 5, 6, 0, 0, 0, 0},
    {1, 2, 5, 6, 0, 0, 0, 0}, {0, 1, 2, 5, 6, 0, 0, 0},
    {3, 5, 6, 0, 0, 0, 0, 0}, {0, 3, 5, 6, 0, 0, 0, 0},
    {1, 3, 5, 6, 0, 0, 0, 0}, {0, 1, 3, 5, 6, 0, 0, 0},
    {2, 3, 5, 6, 0, 0, 0, 0}, {0, 2, 3, 5, 6, 0, 0, 0},
    {1, 2, 3, 5, 6, 0, 0, 0}, {0, 1, 2, 3, 5, 6, 0, 0},
    {4, 5, 6, 0, 0, 0, 0, 0}, {0, 4, 5, 6, 0, 0, 0, 0},
    {1, 4, 5, 6, 0, 0, 0, 0}, {0, 1, 4, 5, 6, 0, 0, 0},
    {2, 4, 5, 6, 0, 0, 0, 0}, {0, 2, 4, 5, 6, 0, 0, 0},
    {1, 2, 4, 5, 6, 0, 0, 0}, {0, 1, 2, 4, 5, 6, 0, 0},
    {3, 4, 5, 6, 0, 0, 0, 0}, {0, 3, 4, 5, 6, 0, 0, 0},
    {1, 3, 4, 5, 6, 0, 0, 0}, {0, 1, 3, 4, 5, 6, 0, 0},
    {2, 3, 4, 5, 6, 0, 0, 0}, {0, 2, 3, 4, 5, 6, 0, 0},
    {1, 2, 3, 4, 5, 6, 0, 0}, {0, 1, 2, 3, 4, 5, 6, 0},
    {7, 0, 0, 0, 0, 0, 0, 0}, {0, 7, 0, 0, 0, 0, 0, 0},
    {1, 7, 0, 0, 0, 0, 0, 0}, {0, 1, 7, 0, 0, 0, 0, 0},
    {2, 7, 0, 0, 0, 0, 0, 0}, {0, 2, 7, 0, 0, 0, 0, 0},
    {1, 2, 7, 0, 0, 0, 0, 0}, {0, 1, 2, 7, 0, 0, 0, 0},
    {3, 7, 0, 0, 0, 0, 0, 0}, {0, 3, 7, 0, 0, 0, 0, 0},
    {1, 3, 7, 0, 0, 0, 0, 0}, {0, 1, 3, 7, 0, 0, 0, 0},
    {2, 3, 7, 0, 0, 0, 0, 0}, {0, 2, 3, 7, 0, 0, 0, 0},
    {1, 2, 3, 7, 0, 0, 0, 0}, {0, 1, 2, 3, 7, 0, 0, 0},
    {4, 7, 0, 0, 0, 0, 0, 0}, {0, 4, 7, 0, 0, 0, 0, 0},
    {1, 4, 7, 0, 0, 0, 0, 0}, {0, 1, 4, 7, 0, 0, 0, 0},
    {2, 4, 7, 0, 0, 0, 0, 0}, {0, 2, 4, 7, 0, 0, 0, 0},
    {1, 2, 4, 7, 0, 0, 0, 0}, {0, 1, 2, 4, 7, 0, 0, 0},
    {3, 4, 7, 0, 0, 0, 0, 0}, {0, 3, 4, 7, 0, 0, 0, 0},
    {1, 3, 4, 7, 0, 0, 0, 0}, {0, 1, 3, 4, 7, 0, 0, 0},
    {2, 3, 4, 7, 0, 0, 0, 0}, {0, 2, 3, 4, 7, 0, 0, 0},
    {1, 2, 3, 4, 7, 0, 0, 0}, {0, 1, 2, 3, 4, 7, 0, 0},
    {5, 7, 0, 0, 0, 0, 0, 0}, {0, 5, 7, 0, 0, 0, 0, 0},
    {1, 5, 7, 0, 0, 0, 0, 0}, {0, 1, 5, 7, 0, 0, 0, 0},
    {2, 5, 7, 0, 0, 0, 0, 0}, {0, 2, 5, 7, 0, 0, 0, 0},
    {1, 2, 5, 7, 0, 0, 0, 0}, {0, 1, 2, 5, 7, 0, 0, 0},
    {3, 5, 7, 0, 0, 0, 0, 0}, {0, 3, 5, 7, 0, 0, 0, 0},
    {1, 3, 5, 7, 0, 0, 0, 0}, {0, 1, 3, 5, 7, 0, 0, 0},
    {2, 3, 5, 7, 0, 0, 0, 0}, {0, 2, 3, 5, 7, 0, 0, 0},
    {1, 2, 3, 5, 7, 0, 0, 0}, {0, 1, 2, 3, 5, 7, 0, 0},
    {4, 5, 7, 0, 0, 0, 0, 0}, {0, 4, 5, 7, 0, 0, 0, 0},
    {1, 4, 5, 7, 0, 0, 0, 0}, {0, 1, 4, 5, 7, 0, 0, 0},
    {2, 4, 5, 7, 0, 0, 0, 0}, {0, 2, 4, 5, 7, 0, 0, 0},
    {1, 2, 4, 5, 7, 0, 0, 0}, {0, 1, 2, 4, 5, 7, 0, 0},
    {3, 4, 5, 7, 0, 0, 0, 0}, {0, 3, 4, 5, 7, 0, 0, 0},
    {1, 3, 4, 5, 7, 0, 0, 0}, {0, 1, 3, 4, 5, 7, 0, 0},
    {2, 3, 4, 5, 7, 0, 0, 0}, {0, 2, 3, 4, 5, 7, 0, 0},
    {1, 2, 3, 4, 5, 7, 0, 0}, {0, 1, 2, 3, 4, 5, 7, 0},
    {6, 7, 0, 0, 0, 0, 0, 0}, {0, 6, 7, 0, 0, 0, 0, 0},
    {1, 6, 7, 0, 0, 0, 0, 0}, {0, 1, 6, 7, 0, 0, 0, 0},
    {2, 6, 7, 0, 0, 0, 0, 0}, {0, 2, 6, 7, 0, 0, 0, 0},
    {1, 2, 6, 7, 0, 0, 0, 0}, {0, 1, 2, 6, 7, 0, 0, 0},
    {3, 6, 7, 0, 0, 0, 0, 0}, {0, 3, 6, 7, 0, 0, 0, 0},
    {1, 3, 6, 7, 0, 0, 0, 0}, {0, 1, 3, 6, 7, 0, 0, 0},
    {2, 3, 6, 7, 0, 0, 0, 0}, {0, 2, 3, 6, 7, 0, 0, 0},
    {1, 2, 3, 6, 7, 0, 0, 0}, {0, 1, 2, 3, 6, 7, 0, 0},
    {4, 6, 7, 0, 0, 0, 0, 0}, {0, 4, 6, 7, 0, 0, 0, 0},
    {1, 4, 6, 7, 0, 0, 0, 0}, {0, 1, 4, 6, 7, 0, 0, 0},
    {2, 4, 6, 7, 0, 0, 0, 0}, {0, 2, 4, 6, 7, 0, 0, 0},
    {1, 2, 4, 6, 7, 0, 0, 0}, {0, 1, 2, 4, 6, 7, 0, 0},
    {3, 4, 6, 7, 0, 0, 0, 0}, {0, 3, 4, 6, 7, 0, 0, 0},
    {1, 3, 4, 6, 7, 0, 0, 0}, {0, 1, 3, 4, 6, 7, 0, 0},
    {2, 3, 4, 6, 7, 0, 0, 0}, {0, 2, 3, 4, 6, 7, 0, 0},
    {1, 2, 3, 4, 6, 7, 0, 0}, {0, 1, 2, 3, 4, 6, 7, 0},
    {5, 6, 7, 0, 0, 0, 0, 0}, {0, 5, 6, 7, 0, 0, 0, 0},
    {1, 5, 6, 7, 0, 0, 0, 0}, {0, 1, 5, 6, 7, 0, 0, 0},
    {2, 5, 6, 7, 0, 0, 0, 0}, {0, 2, 5, 6, 7, 0, 0, 0},
    {1, 2, 5, 6, 7, 0, 0, 0}, {0, 1, 2, 5, 6, 7, 0, 0},
    {3, 5, 6, 7, 0, 0, 0, 0}, {0, 3, 5, 6, 7, 0, 0, 0},
    {1, 3, 5, 6, 7, 0, 0, 0}, {0, 1, 3, 5, 6, 7, 0, 0},
    {2, 3, 5, 6, 7, 0, 0, 0}, {0, 2, 3, 5, 6, 7, 0, 0},
    {1, 2, 3, 5, 6, 7, 0, 0}, {0, 1, 2, 3, 5, 6, 7, 0},
    {4, 5, 6, 7, 0, 0, 0, 0}, {0, 4, 5, 6, 7, 0, 0, 0},
    {1, 4, 5, 6, 7, 0, 0, 0}, {0, 1, 4, 5, 6, 7, 0, 0},
    {2, 4, 5, 6, 7, 0, 0, 0}, {0, 2, 4, 5, 6, 7, 0, 0},
    {1, 2, 4, 5, 6, 7, 0, 0}, {0, 1, 2, 4, 5, 6, 7, 0},
    {3, 4, 5, 6, 7, 0, 0, 0}, {0, 3, 4, 5, 6, 7, 0, 0},
    {1, 3, 4, 5, 6, 7, 0, 0}, {0, 1, 3, 4, 5, 6, 7, 0},
    {2, 3, 4, 5, 6, 7, 0, 0}, {0, 2, 3, 4, 5, 6, 7, 0},
    {1, 2, 3, 4, 5, 6, 7, 0}, {0, 1, 2, 3, 4, 5, 6, 7},
};
/* clang-format on */

AVX2 static inline __m128i
lanes_of(unsigned byte)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)lanes[byte]);
}

#define STORE_128(at, v) _mm_storeu_si128((__m128i *)(void *)(at), v)
#define STORE_256(at, v) _mm256_storeu_si256((__m256i *)(void *)(at), v)

/* STORE: eight numbers from x on, those of `byte` first, to `out` */
#define PACK(NAME, TYPE, STORE)                                               \
    AVX2 static void NAME(void *packed, const void *numbers, size_t words,    \
                          const uint64_t *bits, size_t *count)                \
    {                                                                         \
        const TYPE *x = numbers;                                              \
        TYPE *out = packed;                                                   \
        for (size_t w = 0; w < words; w++) {                                  \
            uint64_t word = bits[w];                                          \
            for (unsigned i = 0; i < FE_FILTER_WORD; i += 8, x += 8) {        \
                unsigned byte = (unsigned)(word >> i & 0xff);                 \
                STORE;                                                        \
                out += __builtin_popcount(byte);                              \
            }                                                                 \
        }                                                                     \
        *count = (size_t)(out - (TYPE *)packed);                              \
    }

AVX2 static inline void
store_1(uint8_t *out, const uint8_t *x, unsigned byte)
{
    __m128i v = _mm_loadl_epi64((const __m128i *)(const void *)x);
    v = _mm_shuffle_epi8(v, lanes_of(byte));
    _mm_storel_epi64((__m128i *)(void *)out, v);
}

AVX2 static inline void
store_2(uint16_t *out, const uint16_t *x, unsigned byte)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)x);
    __m128i low = _mm_add_epi8(lanes_of(byte), lanes_of(byte));
    __m128i high = _mm_add_epi8(low, _mm_set1_epi8(1));
    STORE_128(out, _mm_shuffle_epi8(v, _mm_unpacklo_epi8(low, high)));
}

AVX2 static inline void
store_4(uint32_t *out, const uint32_t *x, unsigned byte)
{
    __m256i order = _mm256_cvtepu8_epi32(lanes_of(byte));
    STORE_256(out, _mm256_permutevar8x32_epi32(LOAD(x), order));
}

/* four numbers of eight bytes, each two lanes of four */
AVX2 static inline size_t
store_half(uint64_t *out, const uint64_t *x, unsigned nibble)
{
    __m256i twice = _mm256_cvtepu8_epi64(lanes_of(nibble));
    twice = _mm256_add_epi64(twice, twice);
    __m256i order = _mm256_or_si256(
        twice,
        _mm256_slli_epi64(_mm256_add_epi64(twice, _mm256_set1_epi64x(1)), 32));
    STORE_256(out, _mm256_permutevar8x32_epi32(LOAD(x), order));
    return (size_t)__builtin_popcount(nibble);
}

AVX2 static inline void
store_8(uint64_t *out, const uint64_t *x, unsigned byte)
{
    size_t passed = store_half(out, x, byte & 0xf);
    store_half(out + passed, x + 4, byte >> 4);
}

/* clang-format off */
PACK(pack_1, uint8_t, store_1(out, x, byte))
PACK(pack_2, uint16_t, store_2(out, x, byte))
PACK(pack_4, uint32_t, store_4(out, x, byte))
PACK(pack_8, uint64_t, store_8(out, x, byte))
/* clang-format on */

AVX2 static size_t
index_avx2(int64_t *out, size_t at, size_t words, const uint64_t *bits)
{
    int64_t *start = out;
    for (size_t w = 0; w < words; w++) {
        uint64_t word = bits[w];
        for (unsigned i = 0; i < FE_FILTER_WORD; i += 8, at += 8) {
            unsigned byte = (unsigned)(word >> i & 0xff);
            __m256i first = _mm256_set1_epi64x((int64_t)at);
            __m128i which = lanes_of(byte);
            STORE_256(out,
                      _mm256_add_epi64(first, _mm256_cvtepu8_epi64(which)));
            which = _mm_srli_epi64(which, 32);
            STORE_256(out + 4,
                      _mm256_add_epi64(first, _mm256_cvtepu8_epi64(which)));
            out += __builtin_popcount(byte);
        }
    }
    return (size_t)(out - start);
}

/* each byte gets the 32 bits' own byte, then its own bit of that */
AVX2 static void
spread_avx2(uint8_t *out, size_t words, const uint64_t *bits)
{
    const __m256i source =
        _mm256_setr_epi64x(0x0000000000000000, 0x0101010101010101,
                           0x0202020202020202, 0x0303030303030303);
    const __m256i own = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    const __m256i one = _mm256_set1_epi8(1);
    for (size_t i = 0; i < 2 * words; i++, out += 32) {
        uint32_t half = (uint32_t)(bits[i / 2] >> 32 * (i % 2));
        __m256i v = _mm256_set1_epi32((int32_t)half);
        v = _mm256_and_si256(_mm256_shuffle_epi8(v, source), own);
        STORE_256(out, _mm256_and_si256(_mm256_cmpeq_epi8(v, own), one));
    }
}

void
fe_filter_add_avx2(fe_filter_kernels *kernels)
{
    *kernels = (fe_filter_kernels){
        .compare =
            {
                [FE_KIND_I8] = {[FE_FILTER_GT] = gt_i8,
                                [FE_FILTER_EQ] = eq_i8},
                [FE_KIND_I16] = {[FE_FILTER_GT] = gt_i16,
                                 [FE_FILTER_EQ] = eq_i16},
                [FE_KIND_I32] = {[FE_FILTER_GT] = gt_i32,
                                 [FE_FILTER_EQ] = eq_i32},
                [FE_KIND_I64] = {[FE_FILTER_GT] = gt_i64,
                                 [FE_FILTER_EQ] = eq_i64},
                [FE_KIND_U8] = {[FE_FILTER_GT] = gt_u8,
                                [FE_FILTER_EQ] = eq_u8},
                [FE_KIND_U16] = {[FE_FILTER_GT] = gt_u16,
                                 [FE_FILTER_EQ] = eq_u16},
                [FE_KIND_U32] = {[FE_FILTER_GT] = gt_u32,
                                 [FE_FILTER_EQ] = eq_u32},
                [FE_KIND_U64] = {[FE_FILTER_GT] = gt_u64,
                                 [FE_FILTER_EQ] = eq_u64},
                [FE_KIND_F32] = {gt_f32, ge_f32, lt_f32, le_f32, eq_f32},
                [FE_KIND_F64] = {gt_f64, ge_f64, lt_f64, le_f64, eq_f64},
            },
        .boxed = {boxed_gt, boxed_ge, boxed_lt, boxed_le, boxed_eq},
        .pack = {pack_1, pack_2, pack_4, pack_8},
        .index = index_avx2,
        .spread = spread_avx2,
    };
}
#endif
