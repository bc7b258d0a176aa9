/* SPDX-License-Identifier: MIT
 *
 * Numbers in either byte order: from the wire to a machine number or a Python
 * object, and back. Inline, for the loops of packet*.c, lazy*.c and bulk*.c.
 * Nothing here checks a bound: the caller has.
 */
#ifndef WIRE_PACKET_NUMBER_H
#define WIRE_PACKET_NUMBER_H

#include "packet.h"

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define PACKET_NATIVE_BIG true
#else
#define PACKET_NATIVE_BIG false
#endif

FE_INLINE uint16_t
packet_load_16(const uint8_t *at, bool big)
{
    uint16_t raw = FE_READ(uint16_t, at);
    return big != PACKET_NATIVE_BIG ? __builtin_bswap16(raw) : raw;
}

FE_INLINE uint32_t
packet_load_32(const uint8_t *at, bool big)
{
    uint32_t raw = FE_READ(uint32_t, at);
    return big != PACKET_NATIVE_BIG ? __builtin_bswap32(raw) : raw;
}

FE_INLINE uint64_t
packet_load_64(const uint8_t *at, bool big)
{
    uint64_t raw = FE_READ(uint64_t, at);
    return big != PACKET_NATIVE_BIG ? __builtin_bswap64(raw) : raw;
}

/* An integer or bool8 of any kind; u64 as two's complement. */
FE_INLINE int64_t
packet_load_int(fe_kind kind, bool big, const uint8_t *at)
{
    switch (kind) {
    case FE_I8:
        return FE_READ(int8_t, at);
    case FE_I16:
        return (int16_t)packet_load_16(at, big);
    case FE_U16:
        return packet_load_16(at, big);
    case FE_I32:
        return (int32_t)packet_load_32(at, big);
    case FE_U32:
        return packet_load_32(at, big);
    case FE_I64:
    case FE_U64:
        return (int64_t)packet_load_64(at, big);
    default:
        return *at;
    }
}

FE_INLINE double
packet_load_f32(const uint8_t *at, bool big)
{
    uint32_t raw = packet_load_32(at, big);
    float narrow;
    memcpy(&narrow, &raw, sizeof(narrow));
    return (double)narrow;
}

FE_INLINE double
packet_load_f64(const uint8_t *at, bool big)
{
    uint64_t raw = packet_load_64(at, big);
    double wide;
    memcpy(&wide, &raw, sizeof(wide));
    return wide;
}

/* new: a scalar; any byte but 0 of a bool8 is True here */
FE_INLINE PyObject *
packet_load(fe_kind kind, bool big, const uint8_t *at)
{
    switch (kind) {
    case FE_F32:
        return PyFloat_FromDouble(packet_load_f32(at, big));
    case FE_F64:
        return PyFloat_FromDouble(packet_load_f64(at, big));
    case FE_U64:
        return PyLong_FromUnsignedLongLong(packet_load_64(at, big));
    case FE_BOOL8:
        return PyBool_FromLong(*at);
    case FE_I64:
        return PyLong_FromLongLong((int64_t)packet_load_64(at, big));
    default:
        return PyLong_FromLongLong(packet_load_int(kind, big, at));
    }
}

/* Between the wire and a record's own field: the same both ways. */
FE_INLINE void
packet_move_bytes(uint32_t move, uint8_t *to, const uint8_t *from)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch ((packet_move)move) {
    case PACKET_COPY_1:
    case PACKET_MOVE_BOOL:
        *to = *from;
        break;
    case PACKET_COPY_2:
        memcpy(to, from, 2);
        break;
    case PACKET_COPY_4:
        memcpy(to, from, 4);
        break;
    case PACKET_COPY_8:
        memcpy(to, from, 8);
        break;
    case PACKET_SWAP_2:
        two = __builtin_bswap16(FE_READ(uint16_t, from));
        memcpy(to, &two, 2);
        break;
    case PACKET_SWAP_4:
        four = __builtin_bswap32(FE_READ(uint32_t, from));
        memcpy(to, &four, 4);
        break;
    case PACKET_SWAP_8:
        eight = __builtin_bswap64(FE_READ(uint64_t, from));
        memcpy(to, &eight, 8);
        break;
    }
}

/* The number of a bit run of `size` bytes, 1 to 8. */
FE_INLINE uint64_t
packet_load_run(const uint8_t *at, uint32_t size, bool big)
{
    uint64_t run = 0;
    switch (size) {
    case 1:
        return *at;
    case 2:
        return packet_load_16(at, big);
    case 4:
        return packet_load_32(at, big);
    case 8:
        return packet_load_64(at, big);
    default:
        for (uint32_t i = 0; i < size; i++) {
            run = run << 8 | at[big ? i : size - 1 - i];
        }
        return run;
    }
}

FE_INLINE void
packet_store_run(uint8_t *at, uint32_t size, bool big, uint64_t run)
{
    for (uint32_t i = 0; i < size; i++) {
        at[big ? size - 1 - i : i] = (uint8_t)(run >> 8 * i);
    }
}

FE_INLINE uint64_t
packet_bits_mask(const packet_field *field)
{
    return UINT64_MAX >> (64 - field->bits);
}

FE_INLINE uint64_t
packet_load_bits(const packet_field *field, const uint8_t *at)
{
    return packet_load_run(at, field->size, field->big) >> field->shift
           & packet_bits_mask(field);
}

#endif
