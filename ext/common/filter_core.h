/* SPDX-License-Identifier: MIT
 *
 * Which numbers of a block of memory are above (below, equal to) a threshold:
 * the numbers themselves, a mask, or where they are. Plain C, no Python.
 *
 * Three steps. A threshold becomes a bound: the largest double and the largest
 * integers that are not above it. A bound, an operator and a kind of number
 * become a test, a comparison of two numbers of that kind that says what a
 * comparison without rounding would say. The test runs over blocks that fit
 * the first cache: a comparison makes one bit of each number, another kernel
 * packs what the bits name. Kernels see whole words of 64 numbers only, so the
 * room for their output is rounded up to FE_FILTER_WORD numbers.
 */
#ifndef FE_FILTER_CORE_H
#define FE_FILTER_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cpu.h"

#define FE_FILTER_WORD 64

typedef enum {
    FE_FILTER_GT,
    FE_FILTER_GE,
    FE_FILTER_LT,
    FE_FILTER_LE,
    FE_FILTER_EQ,
    FE_FILTER_NE,
    FE_FILTER_OPS,
} fe_filter_op;

typedef enum {
    FE_FILTER_VALUES,
    FE_FILTER_MASK,    /* a byte for each number: 1 or 0 */
    FE_FILTER_INDICES, /* int64_t */
    FE_FILTER_WANTS,
} fe_filter_want;

typedef enum {
    FE_KIND_I8,
    FE_KIND_I16,
    FE_KIND_I32,
    FE_KIND_I64,
    FE_KIND_U8,
    FE_KIND_U16,
    FE_KIND_U32,
    FE_KIND_U64,
    FE_KIND_F32,
    FE_KIND_F64,
    FE_KINDS_COMPARED, /* those that follow are compared as another kind */
    FE_KIND_F16 = FE_KINDS_COMPARED,
    FE_KIND_BOOL, /* a byte, false if zero */
    FE_KINDS,
} fe_number_kind;

size_t fe_number_size(fe_number_kind kind);

/* ---- thresholds */

/* What is known of a threshold t that may be any real number, or NaN. `floor`
 * is the largest number of its type that is <= t, or the smallest if `below`:
 * then t is less than all of them.
 */
typedef struct {
    bool nan;
    bool real_exact, signed_exact, unsigned_exact; /* floor == t */
    bool signed_below, unsigned_below;
    double real_floor;
    int64_t signed_floor;
    uint64_t unsigned_floor;
} fe_bound;

/* the next double below a number that is neither 0 nor -infinity */
double fe_double_below(double x);
fe_bound fe_bound_of_double(double t);
fe_bound fe_bound_of_signed(int64_t t);
fe_bound fe_bound_of_unsigned(uint64_t t);
/* An integer that no int64_t or uint64_t holds, between two doubles */
fe_bound fe_bound_of_large(bool negative, double real_floor, bool real_exact);

/* x `op` threshold, or its contrary. `op` is never FE_FILTER_NE, and for
 * integers only FE_FILTER_GT or FE_FILTER_EQ.
 */
typedef struct {
    fe_filter_op op;
    bool invert;
    union {
        double f64;
        float f32;
        int64_t i64;
        uint64_t u64;
        int32_t i32;
        uint32_t u32;
        int16_t i16;
        uint16_t u16;
        int8_t i8;
        uint8_t u8;
    } than;
} fe_filter_test;

fe_filter_test fe_filter_test_for(fe_number_kind kind, fe_filter_op op,
                                  const fe_bound *bound);

/* ---- kernels */

/* Of each word of 64 numbers: which pass */
typedef void (*fe_filter_compare)(const void *x, size_t words,
                                  const void *than, uint64_t *bits);
/* `out` has room for 64 numbers a word: those that pass, one behind the other,
 * and how many they are; */
typedef void (*fe_filter_pack)(void *out, const void *x, size_t words,
                               const uint64_t *bits, size_t *count);
/* their places, the first number being at `at`, and how many; */
typedef size_t (*fe_filter_index)(int64_t *out, size_t at, size_t words,
                                  const uint64_t *bits);
/* and a byte for each bit. */
typedef void (*fe_filter_spread)(uint8_t *out, size_t words,
                                 const uint64_t *bits);

/* Doubles in boxes: objects with the address of their type at FE_BOXED_TYPE
 * and, if they are of this type, the double at FE_BOXED_VALUE. `done` words of
 * 64 were compared, up to the first with an object of another type.
 */
#define FE_BOXED_TYPE 8
#define FE_BOXED_VALUE 16
typedef void (*fe_filter_boxed)(const char *const *objects, size_t words,
                                const void *type, double than, uint64_t *bits,
                                size_t *done);

static inline const void *
fe_boxed_type(const char *object)
{
    const void *type;
    memcpy(&type, object + FE_BOXED_TYPE, sizeof(type));
    return type;
}

static inline double
fe_boxed_value(const char *object)
{
    double value;
    memcpy(&value, object + FE_BOXED_VALUE, sizeof(value));
    return value;
}

/* Are both of this type? */
static inline bool
fe_boxed_pair(const char *const *objects, const void *type)
{
    return fe_boxed_type(objects[0]) == type
           && fe_boxed_type(objects[1]) == type;
}

typedef struct {
    fe_filter_compare compare[FE_KINDS_COMPARED][FE_FILTER_NE];
    fe_filter_boxed boxed[FE_FILTER_NE];
    fe_filter_pack pack[4]; /* numbers of 1, 2, 4 and 8 bytes */
    fe_filter_index index;
    fe_filter_spread spread;
} fe_filter_kernels;

/* The best kernels of a level. */
void fe_filter_choose(fe_filter_kernels *kernels, fe_cpu level);

/* Each level puts its own in place of those before it. */
void fe_filter_add_sse2(fe_filter_kernels *kernels);
void fe_filter_add_avx2(fe_filter_kernels *kernels);
void fe_filter_add_avx512(fe_filter_kernels *kernels);

/* ---- the filter */

typedef struct {
    const char *data;
    ptrdiff_t stride; /* bytes from one number to the next */
    size_t count;
    fe_number_kind kind;
    bool swapped; /* the bytes of a number are in the other order */
} fe_filter_input;

/* How many numbers were written: for a mask all, else those that pass. `out`
 * has room for `count` rounded up to FE_FILTER_WORD; what passes keeps the
 * order of its bytes.
 */
size_t fe_filter_run(const fe_filter_kernels *kernels,
                     const fe_filter_input *input, const fe_filter_test *test,
                     fe_filter_want want, void *out);

#endif
