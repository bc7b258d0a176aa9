/* SPDX-License-Identifier: MIT
 *
 * The compiled field table of a record class: kinds, offsets, and the inline
 * load of a field. Other rooms include this header and read records in place;
 * whatever writes goes through record_store() or knows what it does.
 *
 * Invariants
 * - a field lies at `offset` bytes from the object's first byte, aligned to
 *   its kind, inside tp_basicsize, and overlaps no other field;
 * - a class's table begins with its storage base's table, entry by entry;
 * - FE_OBJECT fields hold a strong reference or NULL (unset).
 */
#ifndef FE_RECORD_LAYOUT_H
#define FE_RECORD_LAYOUT_H

#include "compat.h"

typedef enum {
    FE_I8,
    FE_I16,
    FE_I32,
    FE_I64,
    FE_U8,
    FE_U16,
    FE_U32,
    FE_U64,
    FE_F32,
    FE_F64,
    FE_BOOL8,
    FE_BYTES, /* exactly `size` bytes */
    FE_STR,   /* UTF-8, padded with NUL to `size` bytes */
    FE_OBJECT,
    FE_KIND_COUNT
} fe_kind;

/* What a field takes part in. */
enum {
    FE_FIELD_REPR = 1,
    FE_FIELD_COMPARE = 2,
    FE_FIELD_HASH = 4,
    FE_FIELD_INIT = 8,
    FE_FIELD_SENSITIVE = 16, /* its value is shown as *** */
};

typedef struct {
    PyObject *name; /* interned; owned by the class's plan */
    uint32_t offset;
    uint32_t size;
    uint8_t kind; /* fe_kind */
    uint8_t flags;
} record_field;

#define FE_FIELD_AT(obj, field) ((char *)(obj) + (field)->offset)
#define FE_FIELD_OBJECT(obj, field) (*(PyObject **)FE_FIELD_AT(obj, field))

/* memcpy of a constant size compiles to one move and never mis-aligns */
#define FE_READ(type, at)                                                     \
    (__extension__({                                                          \
        type fe_read_value;                                                   \
        memcpy(&fe_read_value, (at), sizeof(type));                           \
        fe_read_value;                                                        \
    }))

/* Length of the text of a FE_STR field: without its padding. */
static inline Py_ssize_t
fe_text_length(const char *at, uint32_t size)
{
    while (size > 0 && at[size - 1] == '\0') {
        size--;
    }
    return (Py_ssize_t)size;
}

static inline bool
fe_text_is_ascii(const char *at, Py_ssize_t size)
{
    uint8_t high = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        high |= (uint8_t)at[i];
    }
    return (high & 0x80) == 0;
}

/* new: the value of an unboxed field */
static inline PyObject *
fe_load_unboxed(const char *at, const record_field *field)
{
    switch ((fe_kind)field->kind) {
    case FE_F64:
        return PyFloat_FromDouble(FE_READ(double, at));
    case FE_I64:
        return PyLong_FromLongLong(FE_READ(int64_t, at));
    case FE_I8:
        return PyLong_FromLong(FE_READ(int8_t, at));
    case FE_I16:
        return PyLong_FromLong(FE_READ(int16_t, at));
    case FE_I32:
        return PyLong_FromLong(FE_READ(int32_t, at));
    case FE_U8:
        return PyLong_FromLong(FE_READ(uint8_t, at));
    case FE_U16:
        return PyLong_FromLong(FE_READ(uint16_t, at));
    case FE_U32:
        return PyLong_FromUnsignedLong(FE_READ(uint32_t, at));
    case FE_U64:
        return PyLong_FromUnsignedLongLong(FE_READ(uint64_t, at));
    case FE_F32:
        return PyFloat_FromDouble((double)FE_READ(float, at));
    case FE_BOOL8:
        return PyBool_FromLong(*at);
    case FE_BYTES:
        return PyBytes_FromStringAndSize(at, (Py_ssize_t)field->size);
    case FE_STR:
        return PyUnicode_DecodeUTF8(at, fe_text_length(at, field->size), NULL);
    case FE_OBJECT:
    case FE_KIND_COUNT:
        break;
    }
    Py_UNREACHABLE();
}

#endif
