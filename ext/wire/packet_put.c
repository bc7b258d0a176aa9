/* SPDX-License-Identifier: MIT
 *
 * Single values to bytes, each checked. A value's own code may run (its
 * __index__, an Enum member's `value`), and finishes before anything is
 * written.
 */
#include "packet_write.h"

/* ---- errors */

/* new: repr, cut at 60 characters as records do; *** for a sensitive field */
static PyObject *
shown(const packet_path *path, PyObject *value)
{
    if (path->field->field->flags & FE_FIELD_SENSITIVE) {
        return packet_shown(path->field, Py_NewRef(value));
    }
    PyObject *text = PyObject_Repr(value);
    if (text != NULL && PyUnicode_GET_LENGTH(text) > 60) {
        PyObject *start = PyUnicode_Substring(text, 0, 57);
        Py_SETREF(text,
                  start != NULL ? PyUnicode_FromFormat("%U...", start) : NULL);
        Py_XDECREF(start);
    }
    return text;
}

int
packet_wrong(const packet_path *path, PyObject *exception, const char *wanted,
             PyObject *value)
{
    PyObject *where = packet_where(path);
    PyObject *text = where != NULL ? shown(path, value) : NULL;
    if (text != NULL) {
        PyErr_Format(exception, "%U: wanted %s, got %s %U", where, wanted,
                     Py_TYPE(value)->tp_name, text);
    }
    Py_XDECREF(text);
    Py_XDECREF(where);
    return -1;
}

/* OverflowError "P.f: wanted 0 to 15, got 16"; of a sensitive field, ***; -1
 */
static int
refuse_range(const packet_path *path, int64_t low, uint64_t high,
             PyObject *number)
{
    PyObject *where = packet_where(path);
    PyObject *text =
        where != NULL ? packet_shown(path->field, Py_NewRef(number)) : NULL;
    if (text != NULL) {
        PyErr_Format(PyExc_OverflowError, "%U: wanted %lld to %llu, got %S",
                     where, (long long)low, (unsigned long long)high, text);
    }
    Py_XDECREF(text);
    Py_XDECREF(where);
    return -1;
}

/* ---- whole numbers */

/* A number of [low, high], as two's complement. */
static int
fit(const packet_path *path, PyObject *value, int64_t low, uint64_t high,
    uint64_t *out)
{
    int64_t quick;
    if (FE_LIKELY(PyLong_CheckExact(value)
                  && fe_long_in_place(value, &quick))) {
        *out = (uint64_t)quick;
        return quick >= low && (quick < 0 || (uint64_t)quick <= high)
                   ? 0
                   : refuse_range(path, low, high, value);
    }
    if (!PyIndex_Check(value)) {
        return packet_wrong(path, PyExc_TypeError, "int", value);
    }
    PyObject *number = PyNumber_Index(value);
    if (number == NULL) {
        return -1;
    }
    int overflow;
    long long narrow = PyLong_AsLongLongAndOverflow(number, &overflow);
    bool fits = overflow == 0 && narrow >= low
                && (narrow < 0 || (unsigned long long)narrow <= high);
    *out = (uint64_t)narrow;
    if (overflow > 0) {
        *out = PyLong_AsUnsignedLongLong(number);
        if (PyErr_Occurred()) {
            PyErr_Clear(); /* OverflowError: ours names the field */
        }
        else {
            fits = *out <= high;
        }
    }
    int status = fits ? 0 : refuse_range(path, low, high, number);
    Py_DECREF(number);
    return status;
}

/* new: the number of an Enum's member */
static PyObject *
member_number(const wire_state *state, const packet_path *path,
              PyObject *value)
{
    PyObject *enumeration = path->field->enumeration;
    int is_member = PyObject_IsInstance(value, enumeration);
    if (is_member < 0) {
        return NULL;
    }
    if (!is_member) {
        PyObject *name = PyType_GetName((PyTypeObject *)enumeration);
        const char *wanted = name != NULL ? PyUnicode_AsUTF8(name) : NULL;
        if (wanted != NULL) {
            packet_wrong(path, PyExc_TypeError, wanted, value);
        }
        Py_XDECREF(name);
        return NULL;
    }
    PyObject *number = PyObject_GetAttr(value, state->str_value);
    if (number != NULL && !PyLong_Check(number)) {
        packet_wrong(path, PyExc_TypeError, "int", number);
        Py_CLEAR(number);
    }
    return number;
}

static int
fit_member(const wire_state *state, const packet_path *path, PyObject *value,
           int64_t low, uint64_t high, uint64_t *out)
{
    PyObject *number = member_number(state, path, value);
    int status = number != NULL ? fit(path, number, low, high, out) : -1;
    Py_XDECREF(number);
    return status;
}

int
packet_put_bits(const wire_state *state, const packet_path *path,
                PyObject *value, uint64_t *bits)
{
    const packet_field *field = path->field;
    if (field->as_bool) {
        *bits = value == Py_True;
        return PyBool_Check(value)
                   ? 0
                   : packet_wrong(path, PyExc_TypeError, "bool", value);
    }
    return field->enumeration != NULL
               ? fit_member(state, path, value, 0, packet_bits_mask(field),
                            bits)
               : fit(path, value, 0, packet_bits_mask(field), bits);
}

/* ---- scalars, fixed bytes and text */

static int64_t
least_of(int kind)
{
    switch (kind) {
    case FE_I8:
        return INT8_MIN;
    case FE_I16:
        return INT16_MIN;
    case FE_I32:
        return INT32_MIN;
    case FE_I64:
        return INT64_MIN;
    default:
        return 0;
    }
}

static uint64_t
most_of(int kind, uint32_t size)
{
    return (least_of(kind) < 0 ? (uint64_t)INT64_MAX : UINT64_MAX)
           >> (64 - 8 * size);
}

/* Any value as records themselves convert it, so with their messages. */
static FE_NOINLINE int
put_slowly(wire_state *state, const packet_path *path, uint32_t size,
           char *native, PyObject *value)
{
    const packet_path *root = path;
    while (root->outer != NULL) {
        root = root->outer;
    }
    PyObject *where = packet_where(path);
    PyObject *name =
        where != NULL
            ? PyUnicode_Substring(
                  where, PyUnicode_GET_LENGTH(root->layout->qualname) + 1,
                  PY_SSIZE_T_MAX)
            : NULL;
    int status = -1;
    if (name != NULL) {
        record_field named = {.name = name,
                              .size = size,
                              .kind = path->field->kind,
                              .flags = path->field->field->flags};
        status =
            state->records->store(root->layout->cls, &named, native, value);
    }
    Py_XDECREF(name);
    Py_XDECREF(where);
    return status;
}

/* One of many, which records never check: ints by their range, a float by
 * whether it is one. 1: the rest is put_slowly's; 0: written; -1 */
static int
put_item(const packet_path *path, uint32_t size, uint8_t *at, PyObject *value)
{
    const packet_field *field = path->field;
    uint64_t number;
    if (field->kind == FE_BOOL8) {
        if (!PyBool_Check(value)) {
            return packet_wrong(path, PyExc_TypeError, "bool", value);
        }
        *at = value == Py_True;
        return 0;
    }
    if (field->kind == FE_F32 || field->kind == FE_F64) {
        PyNumberMethods *methods = Py_TYPE(value)->tp_as_number;
        return methods != NULL
                       && (methods->nb_float != NULL
                           || methods->nb_index != NULL)
                   ? 1
                   : packet_wrong(path, PyExc_TypeError, "float", value);
    }
    if (fit(path, value, least_of(field->kind), most_of(field->kind, size),
            &number)
        < 0) {
        return -1;
    }
    packet_store_run(at, size, field->big, number);
    return 0;
}

static int
put_scalar(wire_state *state, const packet_path *path, uint32_t size,
           uint8_t *at, PyObject *value)
{
    const packet_field *field = path->field;
    uint64_t number;
    if (field->enumeration != NULL) {
        if (fit_member(state, path, value, least_of(field->kind),
                       most_of(field->kind, size), &number)
            < 0) {
            return -1;
        }
        packet_store_run(at, size, field->big, number);
        return 0;
    }
    if (field->shape == PACKET_ARRAY) {
        int rest = put_item(path, size, at, value);
        if (rest <= 0) {
            return rest;
        }
    }
    char native[8];
    if (put_slowly(state, path, size, native, value) < 0) {
        return -1;
    }
    packet_move_bytes(field->move, at, (const uint8_t *)native);
    return 0;
}

/* The values that are met most, converted here; false: none of them. */
static bool
put_quickly(const packet_field *field, uint32_t size, uint8_t *at,
            PyObject *value)
{
    int64_t quick;
    if (field->enumeration != NULL) {
        return false;
    }
    if (field->kind == FE_F64 && PyFloat_CheckExact(value)) {
        double number = PyFloat_AS_DOUBLE(value);
        packet_move_bytes(field->move, at, (const uint8_t *)&number);
        return true;
    }
    if (field->kind == FE_BYTES && PyBytes_CheckExact(value)
        && PyBytes_GET_SIZE(value) == (Py_ssize_t)size) {
        memcpy(at, PyBytes_AS_STRING(value), size);
        return true;
    }
    if (field->kind > FE_U64 || !PyLong_CheckExact(value)
        || !fe_long_in_place(value, &quick)) {
        return false;
    }
    int64_t low = least_of(field->kind);
    uint64_t high = most_of(field->kind, size);
    if (quick < low || (quick >= 0 && (uint64_t)quick > high)) {
        return false;
    }
    packet_store_run(at, size, field->big, (uint64_t)quick);
    return true;
}

int
packet_put_fixed(wire_state *state, const packet_path *path, uint8_t *at,
                 PyObject *value)
{
    const packet_field *field = path->field;
    uint32_t size =
        field->shape == PACKET_ARRAY ? field->item_size : field->size;
    if (FE_LIKELY(put_quickly(field, size, at, value))) {
        return 0;
    }
    if (field->shape == PACKET_FIXED) {
        return put_slowly(state, path, size, (char *)at, value);
    }
    return put_scalar(state, path, size, at, value);
}

/* ---- bytes and text */

const char *
packet_blob(const packet_path *path, PyObject *value, Py_ssize_t *size)
{
    if (path->field->kind != FE_STR) {
        if (!PyBytes_Check(value)) {
            packet_wrong(path, PyExc_TypeError, "bytes", value);
            return NULL;
        }
        *size = PyBytes_GET_SIZE(value);
        return PyBytes_AS_STRING(value);
    }
    if (!PyUnicode_Check(value)) {
        packet_wrong(path, PyExc_TypeError, "str", value);
        return NULL;
    }
    const char *text = PyUnicode_AsUTF8AndSize(value, size);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear(); /* UnicodeEncodeError: a lone surrogate */
        packet_wrong(path, PyExc_ValueError, "UTF-8", value);
    }
    return text;
}
