/* SPDX-License-Identifier: MIT
 *
 * 64 bytes at a time: comparisons give masks, and compress packs by a mask.
 * Compressed is in a register and then written whole: compress to memory takes
 * ten times as long on some processors.
 */
#include "filter_core.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define LEVEL "avx512f,avx512bw,avx512dq,avx512vl,bmi2,popcnt"
#define AVX512 __attribute__((target(LEVEL)))
#define VBMI2 __attribute__((target(LEVEL ",avx512vbmi2")))

/* LANES numbers to a vector; MASK: the type of as many bits */
#define COMPARE(NAME, TYPE, LANES, MASK, VECTOR, SET, LOAD, CMP, HOW)         \
    AVX512 static void NAME(const void *numbers, size_t words,                \
                            const void *than, uint64_t *bits)                 \
    {                                                                         \
        const TYPE *x = numbers;                                              \
        TYPE one;                                                             \
        memcpy(&one, than, sizeof(one));                                      \
        VECTOR t = SET(one);                                                  \
        char *out = (char *)bits;                                             \
        for (size_t i = 0; i < words * (FE_FILTER_WORD / LANES); i++) {       \
            MASK mask = CMP(LOAD(x), t, HOW);                                 \
            memcpy(out, &mask, sizeof(mask));                                 \
            x += LANES;                                                       \
            out += sizeof(mask);                                              \
        }                                                                     \
    }

#define SET_64(one) _mm512_set1_epi64((int64_t)(one))
#define SET_32(one) _mm512_set1_epi32((int32_t)(one))
#define SET_16(one) _mm512_set1_epi16((int16_t)(one))
#define SET_8(one) _mm512_set1_epi8((int8_t)(one))

#define COMPARE_F64(NAME, HOW)                                                \
    COMPARE(NAME, double, 8, __mmask8, __m512d, _mm512_set1_pd,               \
            _mm512_loadu_pd, _mm512_cmp_pd_mask, HOW)
#define COMPARE_F32(NAME, HOW)                                                \
    COMPARE(NAME, float, 16, __mmask16, __m512, _mm512_set1_ps,               \
            _mm512_loadu_ps, _mm512_cmp_ps_mask, HOW)
#define COMPARE_WHOLE(NAME, TYPE, LANES, BITS, CMP)                           \
    COMPARE(gt_##NAME, TYPE, LANES, __mmask##LANES, __m512i, SET_##BITS,      \
            _mm512_loadu_si512, _mm512_cmp_##CMP##_mask, _MM_CMPINT_NLE)      \
    COMPARE(eq_##NAME, TYPE, LANES, __mmask##LANES, __m512i, SET_##BITS,      \
            _mm512_loadu_si512, _mm512_cmp_##CMP##_mask, _MM_CMPINT_EQ)

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
COMPARE_WHOLE(i64, int64_t, 8, 64, epi64)
COMPARE_WHOLE(u64, uint64_t, 8, 64, epu64)
COMPARE_WHOLE(i32, int32_t, 16, 32, epi32)
COMPARE_WHOLE(u32, uint32_t, 16, 32, epu32)
COMPARE_WHOLE(i16, int16_t, 32, 16, epi16)
COMPARE_WHOLE(u16, uint16_t, 32, 16, epu16)
COMPARE_WHOLE(i8, int8_t, 64, 8, epi8)
COMPARE_WHOLE(u8, uint8_t, 64, 8, epu8)
/* clang-format on */

#define PACK(NAME, TARGET, TYPE, LANES, COMPRESS)                             \
    TARGET static void NAME(void *packed, const void *numbers, size_t words,  \
                            const uint64_t *bits, size_t *count)              \
    {                                                                         \
        const TYPE *x = numbers;                                              \
        TYPE *out = packed;                                                   \
        const char *masks = (const char *)bits;                               \
        for (size_t i = 0; i < words * (FE_FILTER_WORD / LANES); i++) {       \
            __mmask##LANES mask;                                              \
            memcpy(&mask, masks, sizeof(mask));                               \
            masks += sizeof(mask);                                            \
            __m512i v = _mm512_loadu_si512(x);                                \
            _mm512_storeu_si512(out, COMPRESS(mask, v));                      \
            x += LANES;                                                       \
            out += __builtin_popcountll(mask);                                \
        }                                                                     \
        *count = (size_t)(out - (TYPE *)packed);                              \
    }

/* clang-format off */
PACK(pack_1, VBMI2, uint8_t, 64, _mm512_maskz_compress_epi8)
PACK(pack_2, VBMI2, uint16_t, 32, _mm512_maskz_compress_epi16)
PACK(pack_4, AVX512, uint32_t, 16, _mm512_maskz_compress_epi32)
PACK(pack_8, AVX512, uint64_t, 8, _mm512_maskz_compress_epi64)
/* clang-format on */

AVX512 static size_t
index_avx512(int64_t *out, size_t at, size_t words, const uint64_t *bits)
{
    int64_t *start = out;
    __m512i places =
        _mm512_add_epi64(_mm512_set1_epi64((int64_t)at),
                         _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
    const __m512i eight = _mm512_set1_epi64(8);
    const uint8_t *masks = (const uint8_t *)bits;
    for (size_t i = 0; i < words * 8; i++) {
        _mm512_storeu_si512(out,
                            _mm512_maskz_compress_epi64(masks[i], places));
        places = _mm512_add_epi64(places, eight);
        out += __builtin_popcount(masks[i]);
    }
    return (size_t)(out - start);
}

AVX512 static void
spread_avx512(uint8_t *out, size_t words, const uint64_t *bits)
{
    for (size_t w = 0; w < words; w++, out += FE_FILTER_WORD) {
        _mm512_storeu_si512(out, _mm512_maskz_set1_epi8(bits[w], 1));
    }
}

void
fe_filter_add_avx512(fe_filter_kernels *kernels)
{
    const fe_filter_compare compare[FE_KINDS_COMPARED][FE_FILTER_NE] = {
        [FE_KIND_I8] = {[FE_FILTER_GT] = gt_i8, [FE_FILTER_EQ] = eq_i8},
        [FE_KIND_I16] = {[FE_FILTER_GT] = gt_i16, [FE_FILTER_EQ] = eq_i16},
        [FE_KIND_I32] = {[FE_FILTER_GT] = gt_i32, [FE_FILTER_EQ] = eq_i32},
        [FE_KIND_I64] = {[FE_FILTER_GT] = gt_i64, [FE_FILTER_EQ] = eq_i64},
        [FE_KIND_U8] = {[FE_FILTER_GT] = gt_u8, [FE_FILTER_EQ] = eq_u8},
        [FE_KIND_U16] = {[FE_FILTER_GT] = gt_u16, [FE_FILTER_EQ] = eq_u16},
        [FE_KIND_U32] = {[FE_FILTER_GT] = gt_u32, [FE_FILTER_EQ] = eq_u32},
        [FE_KIND_U64] = {[FE_FILTER_GT] = gt_u64, [FE_FILTER_EQ] = eq_u64},
        [FE_KIND_F32] = {gt_f32, ge_f32, lt_f32, le_f32, eq_f32},
        [FE_KIND_F64] = {gt_f64, ge_f64, lt_f64, le_f64, eq_f64},
    };
    memcpy(kernels->compare, compare, sizeof(compare));
    if (__builtin_cpu_supports("avx512vbmi2")) {
        kernels->pack[0] = pack_1;
        kernels->pack[1] = pack_2;
    }
    kernels->pack[2] = pack_4;
    kernels->pack[3] = pack_8;
    kernels->index = index_avx512;
    kernels->spread = spread_avx512;
}
#endif
