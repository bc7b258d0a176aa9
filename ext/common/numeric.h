/* SPDX-License-Identifier: MIT
 *
 * Hashes of machine numbers, equal to Python's hash of the same number.
 *
 * Source: "Hashing of numeric types", Python library reference. The modulus
 * is the Mersenne prime 2**P - 1, so multiplying by 2**e is a rotation of P
 * bits: no loop over the mantissa is needed.
 */
#ifndef FE_NUMERIC_H
#define FE_NUMERIC_H

#include "compat.h"

#define FE_HASH_BITS (sizeof(void *) >= 8 ? 61 : 31)
#define FE_HASH_MODULUS (((uint64_t)1 << FE_HASH_BITS) - 1)
#define FE_HASH_INF 314159

static inline Py_hash_t
fe_hash_signed(uint64_t residue, bool negative)
{
    Py_hash_t hash = (Py_hash_t)residue;
    if (negative) {
        hash = -hash;
    }
    return hash == -1 ? -2 : hash;
}

static inline Py_hash_t
fe_hash_i64(int64_t value)
{
    bool negative = value < 0;
    uint64_t magnitude = negative ? 0 - (uint64_t)value : (uint64_t)value;
    return fe_hash_signed(magnitude % FE_HASH_MODULUS, negative);
}

static inline Py_hash_t
fe_hash_u64(uint64_t value)
{
    return fe_hash_signed(value % FE_HASH_MODULUS, false);
}

/* NaN: 0, since a stored double has no identity to hash. */
static inline Py_hash_t
fe_hash_f64(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bool negative = (bits >> 63) != 0;
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & 0xfffffffffffffULL;
    if (exponent == 0x7ff) {
        return mantissa != 0 ? 0 : (negative ? -FE_HASH_INF : FE_HASH_INF);
    }
    if (exponent == 0) {
        exponent = 1; /* subnormal: no implicit bit */
    }
    else {
        mantissa |= (uint64_t)1 << 52;
    }
    /* value = mantissa * 2**(exponent - 1075), taken modulo 2**P - 1 */
    int shift = (exponent - 1075) % FE_HASH_BITS;
    if (shift < 0) {
        shift += FE_HASH_BITS;
    }
    uint64_t x = mantissa % FE_HASH_MODULUS;
    x = (x << shift & FE_HASH_MODULUS) | x >> (FE_HASH_BITS - shift);
    return fe_hash_signed(x % FE_HASH_MODULUS, negative);
}

/* The mixing of tuple.__hash__ (xxHash's rounds), so that a record and the
 * tuple of its fields are equal keys.
 */
#if SIZEOF_VOID_P >= 8
#define FE_MIX_1 11400714785074694791ULL
#define FE_MIX_2 14029467366897019727ULL
#define FE_MIX_5 2870177450012600261ULL
#define FE_MIX_ROTATE(x) ((x) << 31 | (x) >> 33)
#else
#define FE_MIX_1 2654435761UL
#define FE_MIX_2 2246822519UL
#define FE_MIX_5 374761393UL
#define FE_MIX_ROTATE(x) ((x) << 13 | (x) >> 19)
#endif

static inline Py_uhash_t
fe_hash_mix(Py_uhash_t acc, Py_hash_t lane)
{
    acc += (Py_uhash_t)lane * FE_MIX_2;
    acc = FE_MIX_ROTATE(acc);
    return acc * FE_MIX_1;
}

static inline Py_hash_t
fe_hash_finish(Py_uhash_t acc, Py_ssize_t count)
{
    acc += (Py_uhash_t)count ^ (FE_MIX_5 ^ 3527539UL);
    return acc == (Py_uhash_t)-1 ? 1546275796 : (Py_hash_t)acc;
}

#endif
