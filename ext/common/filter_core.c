/* SPDX-License-Identifier: MIT
 *
 * Thresholds, the walk over the blocks, and the kernels in plain C.
 */
#include "filter_core.h"

#include <string.h>

/* Numbers of a block: at most 8 KiB, read from memory once. */
#define BLOCK 1024
#define BLOCK_WORDS (BLOCK / FE_FILTER_WORD)

size_t
fe_number_size(fe_number_kind kind)
{
    static const uint8_t sizes[FE_KINDS] = {
        [FE_KIND_I8] = 1,  [FE_KIND_I16] = 2, [FE_KIND_I32] = 4,
        [FE_KIND_I64] = 8, [FE_KIND_U8] = 1,  [FE_KIND_U16] = 2,
        [FE_KIND_U32] = 4, [FE_KIND_U64] = 8, [FE_KIND_F32] = 4,
        [FE_KIND_F64] = 8, [FE_KIND_F16] = 2, [FE_KIND_BOOL] = 1,
    };
    return sizes[kind];
}

/* ---- thresholds */

#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

/* nextafter(), without libm: no room is linked with it. */
double
fe_double_below(double x)
{
    uint64_t word;
    memcpy(&word, &x, sizeof(word));
    word += x > 0 ? UINT64_MAX : 1;
    memcpy(&x, &word, sizeof(x));
    return x;
}

static float
float_below(float x)
{
    uint32_t word;
    memcpy(&word, &x, sizeof(word));
    word += x > 0 ? UINT32_MAX : 1;
    memcpy(&x, &word, sizeof(x));
    return x;
}

static void
bound_signed(fe_bound *bound, double t)
{
    if (t < -TWO_63) {
        bound->signed_below = true;
        bound->signed_floor = INT64_MIN;
    }
    else if (t >= TWO_63) {
        bound->signed_floor = INT64_MAX;
    }
    else {
        int64_t whole = (int64_t)t;
        bound->signed_exact = (double)whole == t;
        bound->signed_floor = (double)whole > t ? whole - 1 : whole;
    }
}

static void
bound_unsigned(fe_bound *bound, double t)
{
    if (t < 0) {
        bound->unsigned_below = true;
    }
    else if (t >= TWO_64) {
        bound->unsigned_floor = UINT64_MAX;
    }
    else {
        bound->unsigned_floor = (uint64_t)t;
        bound->unsigned_exact = (double)bound->unsigned_floor == t;
    }
}

fe_bound
fe_bound_of_double(double t)
{
    fe_bound bound = {.nan = t != t, .real_floor = t, .real_exact = true};
    if (!bound.nan) {
        bound_signed(&bound, t);
        bound_unsigned(&bound, t);
    }
    return bound;
}

fe_bound
fe_bound_of_signed(int64_t t)
{
    if (t >= 0) {
        return fe_bound_of_unsigned((uint64_t)t);
    }
    double nearest = (double)t; /* >= -2**63 */
    return (fe_bound){
        .real_floor =
            (int64_t)nearest > t ? fe_double_below(nearest) : nearest,
        .real_exact = (int64_t)nearest == t,
        .signed_floor = t,
        .signed_exact = true,
        .unsigned_below = true,
    };
}

fe_bound
fe_bound_of_unsigned(uint64_t t)
{
    double nearest = (double)t; /* <= 2**64, which no uint64_t holds */
    bool above = nearest >= TWO_64 || (uint64_t)nearest > t;
    bool fits = t <= INT64_MAX;
    return (fe_bound){
        .real_floor = above ? fe_double_below(nearest) : nearest,
        .real_exact = !above && (uint64_t)nearest == t,
        .signed_floor = fits ? (int64_t)t : INT64_MAX,
        .signed_exact = fits,
        .unsigned_floor = t,
        .unsigned_exact = true,
    };
}

fe_bound
fe_bound_of_large(bool negative, double real_floor, bool real_exact)
{
    return (fe_bound){
        .real_floor = real_floor,
        .real_exact = real_exact,
        .signed_floor = negative ? INT64_MIN : INT64_MAX,
        .signed_below = negative,
        .unsigned_floor = negative ? 0 : UINT64_MAX,
        .unsigned_below = negative,
    };
}

static fe_filter_test
real_test(fe_number_kind kind, fe_filter_op op, const fe_bound *bound)
{
    double than = bound->real_floor;
    bool exact = bound->real_exact && !bound->nan;
    if (kind == FE_KIND_F32) {
        float narrow = (float)than;
        if ((double)narrow > than) {
            narrow = float_below(narrow);
        }
        exact = exact && (double)narrow == than;
        than = (double)narrow;
    }
    fe_filter_test test = {.op = op};
    if (op == FE_FILTER_EQ || op == FE_FILTER_NE) {
        test.op = FE_FILTER_EQ;
        test.invert = op == FE_FILTER_NE;
    }
    else if (!exact) { /* between `than` and the next number */
        test.op = op == FE_FILTER_GE   ? FE_FILTER_GT
                  : op == FE_FILTER_LT ? FE_FILTER_LE
                                       : op;
    }
    if (bound->nan || (test.op == FE_FILTER_EQ && !exact)) {
        than = (double)__builtin_nanf(""); /* nothing is equal to it */
    }
    if (kind == FE_KIND_F32) {
        test.than.f32 = (float)than;
    }
    else {
        test.than.f64 = than;
    }
    return test;
}

/* The operators of integers come down to > and ==, or their contrary: x >= t
 * is x > t - 1.
 */
typedef struct {
    fe_filter_op op;
    bool invert;
    bool none; /* what no number passes: > the largest */
    bool less; /* compare with floor - 1 */
} whole_test;

static whole_test
whole_test_for(fe_filter_op op, bool exact, bool below, bool lowest)
{
    whole_test test = {
        .op = FE_FILTER_GT,
        .invert =
            op == FE_FILTER_LT || op == FE_FILTER_LE || op == FE_FILTER_NE,
    };
    if (op == FE_FILTER_EQ || op == FE_FILTER_NE) {
        test.none = !exact || below;
        test.op = test.none ? FE_FILTER_GT : FE_FILTER_EQ;
        return test;
    }
    bool all = below;
    if ((op == FE_FILTER_GE || op == FE_FILTER_LT) && exact && !below) {
        all = lowest;
        test.less = !lowest;
    }
    if (all) {
        test.none = true;
        test.invert = !test.invert;
    }
    return test;
}

static whole_test
whole_test_nan(fe_filter_op op)
{
    return (whole_test){
        .op = FE_FILTER_GT, .invert = op == FE_FILTER_NE, .none = true};
}

static fe_filter_test
signed_test(fe_number_kind kind, fe_filter_op op, const fe_bound *bound)
{
    unsigned shift = 64 - 8 * (unsigned)fe_number_size(kind);
    int64_t top = INT64_MAX >> shift, bottom = -top - 1;
    int64_t than = bound->signed_floor;
    bool exact = bound->signed_exact, below = bound->signed_below;
    if (than < bottom) {
        than = bottom;
        below = true;
    }
    else if (than > top) {
        than = top;
        exact = false;
    }
    whole_test whole = bound->nan
                           ? whole_test_nan(op)
                           : whole_test_for(op, exact, below, than == bottom);
    than = whole.none ? top : whole.less ? than - 1 : than;
    fe_filter_test test = {.op = whole.op, .invert = whole.invert};
    switch (kind) {
    case FE_KIND_I8:
        test.than.i8 = (int8_t)than;
        break;
    case FE_KIND_I16:
        test.than.i16 = (int16_t)than;
        break;
    case FE_KIND_I32:
        test.than.i32 = (int32_t)than;
        break;
    default:
        test.than.i64 = than;
    }
    return test;
}

static fe_filter_test
unsigned_test(fe_number_kind kind, fe_filter_op op, const fe_bound *bound)
{
    unsigned shift = 64 - 8 * (unsigned)fe_number_size(kind);
    uint64_t top = UINT64_MAX >> shift;
    uint64_t than = bound->unsigned_floor;
    bool exact = bound->unsigned_exact;
    if (than > top) {
        than = top;
        exact = false;
    }
    whole_test whole =
        bound->nan
            ? whole_test_nan(op)
            : whole_test_for(op, exact, bound->unsigned_below, than == 0);
    than = whole.none ? top : whole.less ? than - 1 : than;
    fe_filter_test test = {.op = whole.op, .invert = whole.invert};
    switch (kind) {
    case FE_KIND_U8:
        test.than.u8 = (uint8_t)than;
        break;
    case FE_KIND_U16:
        test.than.u16 = (uint16_t)than;
        break;
    case FE_KIND_U32:
        test.than.u32 = (uint32_t)than;
        break;
    default:
        test.than.u64 = than;
    }
    return test;
}

static fe_number_kind
compared_as(fe_number_kind kind)
{
    return kind == FE_KIND_F16    ? FE_KIND_F32
           : kind == FE_KIND_BOOL ? FE_KIND_U8
                                  : kind;
}

fe_filter_test
fe_filter_test_for(fe_number_kind kind, fe_filter_op op, const fe_bound *bound)
{
    kind = compared_as(kind);
    if (kind >= FE_KIND_F32) {
        return real_test(kind, op, bound);
    }
    return kind >= FE_KIND_U8 ? unsigned_test(kind, op, bound)
                              : signed_test(kind, op, bound);
}

/* ---- kernels in plain C: without a branch on the data */

#define COMPARE(NAME, TYPE, OP)                                               \
    static void NAME(const void *numbers, size_t words, const void *than,     \
                     uint64_t *bits)                                          \
    {                                                                         \
        const TYPE *x = numbers;                                              \
        TYPE t;                                                               \
        memcpy(&t, than, sizeof(t));                                          \
        for (size_t w = 0; w < words; w++, x += FE_FILTER_WORD) {             \
            uint64_t word = 0;                                                \
            for (unsigned i = 0; i < FE_FILTER_WORD; i++) {                   \
                word |= (uint64_t)(x[i] OP t) << i;                           \
            }                                                                 \
            bits[w] = word;                                                   \
        }                                                                     \
    }

#define COMPARE_WHOLE(NAME, TYPE)                                             \
    COMPARE(gt_##NAME, TYPE, >)                                               \
    COMPARE(eq_##NAME, TYPE, ==)

#define COMPARE_REAL(NAME, TYPE)                                              \
    COMPARE_WHOLE(NAME, TYPE)                                                 \
    COMPARE(ge_##NAME, TYPE, >=)                                              \
    COMPARE(lt_##NAME, TYPE, <)                                               \
    COMPARE(le_##NAME, TYPE, <=)

/* clang-format off */
COMPARE_WHOLE(i8, int8_t)
COMPARE_WHOLE(i16, int16_t)
COMPARE_WHOLE(i32, int32_t)
COMPARE_WHOLE(i64, int64_t)
COMPARE_WHOLE(u8, uint8_t)
COMPARE_WHOLE(u16, uint16_t)
COMPARE_WHOLE(u32, uint32_t)
COMPARE_WHOLE(u64, uint64_t)
COMPARE_REAL(f32, float)
COMPARE_REAL(f64, double)
/* clang-format on */

#define BOXED(NAME, OP)                                                       \
    static void NAME(const char *const *objects, size_t words,                \
                     const void *type, double than, uint64_t *bits,           \
                     size_t *done)                                            \
    {                                                                         \
        size_t w = 0;                                                         \
        for (; w < words; w++, objects += FE_FILTER_WORD) {                   \
            uint64_t word = 0;                                                \
            unsigned i = 0;                                                   \
            for (; i < FE_FILTER_WORD && fe_boxed_type(objects[i]) == type;   \
                 i++) {                                                       \
                word |= (uint64_t)(fe_boxed_value(objects[i]) OP than) << i;  \
            }                                                                 \
            if (i < FE_FILTER_WORD) {                                         \
                break;                                                        \
            }                                                                 \
            bits[w] = word;                                                   \
        }                                                                     \
        *done = w;                                                            \
    }

/* clang-format off */
BOXED(boxed_gt, >)
BOXED(boxed_ge, >=)
BOXED(boxed_lt, <)
BOXED(boxed_le, <=)
BOXED(boxed_eq, ==)
/* clang-format on */

#define PACK(NAME, TYPE)                                                      \
    static void NAME(void *packed, const void *numbers, size_t words,         \
                     const uint64_t *bits, size_t *count)                     \
    {                                                                         \
        const TYPE *x = numbers;                                              \
        TYPE *out = packed;                                                   \
        for (size_t w = 0; w < words; w++, x += FE_FILTER_WORD) {             \
            uint64_t word = bits[w];                                          \
            for (unsigned i = 0; i < FE_FILTER_WORD; i++, word >>= 1) {       \
                *out = x[i];                                                  \
                out += word & 1;                                              \
            }                                                                 \
        }                                                                     \
        *count = (size_t)(out - (TYPE *)packed);                              \
    }

/* clang-format off */
PACK(pack_1, uint8_t)
PACK(pack_2, uint16_t)
PACK(pack_4, uint32_t)
PACK(pack_8, uint64_t)
/* clang-format on */

static size_t
index_plain(int64_t *out, size_t at, size_t words, const uint64_t *bits)
{
    int64_t *start = out;
    for (size_t w = 0; w < words; w++, at += FE_FILTER_WORD) {
        uint64_t word = bits[w];
        for (unsigned i = 0; i < FE_FILTER_WORD; i++, word >>= 1) {
            *out = (int64_t)(at + i);
            out += word & 1;
        }
    }
    return (size_t)(out - start);
}

static void
spread_plain(uint8_t *out, size_t words, const uint64_t *bits)
{
    for (size_t w = 0; w < words; w++, out += FE_FILTER_WORD) {
        for (unsigned i = 0; i < FE_FILTER_WORD; i++) {
            out[i] = (uint8_t)(bits[w] >> i & 1);
        }
    }
}

static const fe_filter_kernels plain = {
    .compare =
        {
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
        },
    .boxed = {boxed_gt, boxed_ge, boxed_lt, boxed_le, boxed_eq},
    .pack = {pack_1, pack_2, pack_4, pack_8},
    .index = index_plain,
    .spread = spread_plain,
};

void
fe_filter_choose(fe_filter_kernels *kernels, fe_cpu level)
{
    *kernels = plain;
#if defined(__x86_64__)
    if (level >= FE_CPU_SSE2) {
        fe_filter_add_sse2(kernels);
    }
    if (level >= FE_CPU_AVX2) {
        fe_filter_add_avx2(kernels);
    }
    if (level >= FE_CPU_AVX512) {
        fe_filter_add_avx512(kernels);
    }
#else
    (void)level;
#endif
}

/* ---- blocks */

/* Room for a block that cannot be used where it lies. */
typedef struct {
    uint64_t numbers[BLOCK];  /* in order, in the order of bytes of this
                                 machine */
    uint64_t compared[BLOCK]; /* as another kind */
} scratch;

static void
swap_bytes(void *numbers, size_t count, size_t size)
{
    unsigned char *at = numbers;
    for (size_t i = 0; i < count; i++, at += size) {
        if (size == 8) {
            uint64_t v;
            memcpy(&v, at, 8);
            v = __builtin_bswap64(v);
            memcpy(at, &v, 8);
        }
        else if (size == 4) {
            uint32_t v;
            memcpy(&v, at, 4);
            v = __builtin_bswap32(v);
            memcpy(at, &v, 4);
        }
        else if (size == 2) {
            uint16_t v;
            memcpy(&v, at, 2);
            v = __builtin_bswap16(v);
            memcpy(at, &v, 2);
        }
    }
}

#define GATHER(SIZE)                                                          \
    case SIZE:                                                                \
        for (size_t i = 0; i < count; i++, from += input->stride) {           \
            memcpy(to + SIZE * i, from, SIZE);                                \
        }                                                                     \
        break;

/* `count` numbers from `at` on; the rest of the last word is zero. */
static void
gather(const fe_filter_input *input, size_t at, size_t count, size_t size,
       void *numbers)
{
    const char *from = input->data + (ptrdiff_t)at * input->stride;
    unsigned char *to = numbers;
    switch (size) {
        GATHER(1)
        GATHER(2)
        GATHER(4)
        GATHER(8)
    }
    if (input->swapped) {
        swap_bytes(numbers, count, size);
    }
    size_t rest = -count % FE_FILTER_WORD;
    memset(to + count * size, 0, rest * size);
}

/* IEEE 754 binary16: the exponent moves from 15 to 127 by a multiplication,
 * which is exact; infinities and NaN have it all ones. */
static float
half_to_float(uint16_t half)
{
    uint32_t word = (uint32_t)(half & 0x7fff) << 13;
    float value;
    memcpy(&value, &word, sizeof(value));
    value *= 0x1p112f;
    memcpy(&word, &value, sizeof(word));
    if ((half & 0x7c00) == 0x7c00) {
        word |= 0x7f800000;
    }
    word |= (uint32_t)(half & 0x8000) << 16;
    memcpy(&value, &word, sizeof(value));
    return value;
}

/* The numbers as the kind they are compared as. */
static const void *
convert(fe_number_kind kind, const void *numbers, size_t count, scratch *room)
{
    if (kind == FE_KIND_F16) {
        const uint16_t *from = numbers;
        float *to = (float *)(void *)room->compared;
        for (size_t i = 0; i < count; i++) {
            to[i] = half_to_float(from[i]);
        }
        return to;
    }
    if (kind == FE_KIND_BOOL) {
        const uint8_t *from = numbers;
        uint8_t *to = (uint8_t *)room->compared;
        for (size_t i = 0; i < count; i++) {
            to[i] = from[i] != 0;
        }
        return to;
    }
    return numbers;
}

/* One bit for each of `count` numbers of whole words; none beyond `count`. */
static void
decide(const fe_filter_kernels *kernels, fe_number_kind kind,
       const void *numbers, size_t count, const fe_filter_test *test,
       uint64_t *bits)
{
    size_t words = (count + FE_FILTER_WORD - 1) / FE_FILTER_WORD;
    kernels->compare[compared_as(kind)][test->op](numbers, words, &test->than,
                                                  bits);
    if (test->invert) {
        for (size_t w = 0; w < words; w++) {
            bits[w] = ~bits[w];
        }
    }
    if (count % FE_FILTER_WORD != 0) {
        bits[words - 1] &= (UINT64_C(1) << count % FE_FILTER_WORD) - 1;
    }
}

size_t
fe_filter_run(const fe_filter_kernels *kernels, const fe_filter_input *input,
              const fe_filter_test *test, fe_filter_want want, void *out)
{
    size_t size = fe_number_size(input->kind);
    unsigned log = (unsigned)__builtin_ctz((unsigned)size);
    bool in_place = input->stride == (ptrdiff_t)size && !input->swapped
                    && (uintptr_t)input->data % size == 0;
    uint64_t bits[BLOCK_WORDS];
    scratch room;
    char *end = out;
    size_t written = 0;
    for (size_t at = 0, count; at < input->count; at += count) {
        size_t left = input->count - at;
        count = left < BLOCK ? left : BLOCK;
        const void *numbers = input->data + (ptrdiff_t)at * input->stride;
        if (in_place && count >= FE_FILTER_WORD) {
            count -= count % FE_FILTER_WORD;
        }
        else {
            gather(input, at, count, size, room.numbers);
            numbers = room.numbers;
        }
        size_t words = (count + FE_FILTER_WORD - 1) / FE_FILTER_WORD;
        const void *compared =
            convert(input->kind, numbers, words * FE_FILTER_WORD, &room);
        decide(kernels, input->kind, compared, count, test, bits);
        if (want == FE_FILTER_MASK) {
            kernels->spread((uint8_t *)end + at, words, bits);
            written += count;
        }
        else if (want == FE_FILTER_INDICES) {
            written +=
                kernels->index((int64_t *)out + written, at, words, bits);
        }
        else {
            char *to = end + written * size;
            size_t passed;
            kernels->pack[log](to, numbers, words, bits, &passed);
            if (input->swapped) {
                swap_bytes(to, passed, size);
            }
            written += passed;
        }
    }
    return written;
}
