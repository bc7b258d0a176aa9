/* SPDX-License-Identifier: MIT
 *
 * Items of a View: native numbers, as `struct` has them. What is of another
 * format stays bytes.
 */
#include "view_object.h"

Py_ssize_t
view_code_size(char code)
{
    switch (code) {
    case '?':
        return sizeof(bool);
    case 'b':
    case 'B':
    case 'c':
        return 1;
    case 'h':
    case 'H':
        return sizeof(short);
    case 'i':
    case 'I':
        return sizeof(int);
    case 'l':
    case 'L':
        return sizeof(long);
    case 'q':
    case 'Q':
        return sizeof(long long);
    case 'n':
    case 'N':
        return sizeof(size_t);
    case 'P':
        return sizeof(void *);
    case 'f':
        return sizeof(float);
    case 'd':
        return sizeof(double);
    default:
        return 0;
    }
}

char
view_code_parse(const char *format)
{
    format += format[0] == '@';
    return format[0] != '\0' && format[1] == '\0'
                   && view_code_size(format[0]) != 0
               ? format[0]
               : 0;
}

int
view_refuse_format(const char *format)
{
    PyErr_Format(PyExc_ValueError,
                 "View items of format '%s' cannot be read or written: wanted "
                 "one native character",
                 format);
    return -1;
}

static inline bool
is_signed(char code)
{
    return strchr("bhilqn", code) != NULL;
}

static uint64_t
load_unsigned(const char *at, Py_ssize_t size)
{
    uint8_t one;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (size) {
    case 1:
        memcpy(&one, at, 1);
        return one;
    case 2:
        memcpy(&two, at, 2);
        return two;
    case 4:
        memcpy(&four, at, 4);
        return four;
    default:
        memcpy(&eight, at, 8);
        return eight;
    }
}

static int64_t
load_signed(const char *at, Py_ssize_t size)
{
    uint64_t value = load_unsigned(at, size);
    switch (size) {
    case 1:
        return (int8_t)value;
    case 2:
        return (int16_t)value;
    case 4:
        return (int32_t)value;
    default:
        return (int64_t)value;
    }
}

static PyObject *
item_get_other(char code, const char *at)
{
    float single;
    double number;
    switch (code) {
    case '?':
        return PyBool_FromLong(at[0] != 0);
    case 'c':
        return PyBytes_FromStringAndSize(at, 1);
    case 'f':
        memcpy(&single, at, sizeof(single));
        return PyFloat_FromDouble(single);
    case 'd':
        memcpy(&number, at, sizeof(number));
        return PyFloat_FromDouble(number);
    default:
        return is_signed(code)
                   ? PyLong_FromLongLong(load_signed(at, view_code_size(code)))
                   : PyLong_FromUnsignedLongLong(
                         load_unsigned(at, view_code_size(code)));
    }
}

PyObject *
view_item_get(char code, const char *at)
{
    return FE_LIKELY(code == 'B') ? PyLong_FromLong((unsigned char)at[0])
                                  : item_get_other(code, at);
}

/* ---- writing */

static int
item_refuse_type(char code, const char *wanted, PyObject *value)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) {
        return -1;
    }
    PyErr_Format(PyExc_TypeError, "View item of format '%c' wants %s, got %s",
                 code, wanted, view_type_name(value));
    return -1;
}

static int
item_refuse_range(char code, Py_ssize_t size, PyObject *index)
{
    int bits = (int)size * 8;
    if (is_signed(code)) {
        long long high = (long long)(((uint64_t)1 << (bits - 1)) - 1);
        PyErr_Format(PyExc_ValueError,
                     "View item of format '%c' wants %lld to %lld, got %R",
                     code, -high - 1, high, index);
    }
    else {
        unsigned long long high = UINT64_MAX >> (64 - bits);
        PyErr_Format(PyExc_ValueError,
                     "View item of format '%c' wants 0 to %llu, got %R", code,
                     high, index);
    }
    return -1;
}

static void
store(char *cell, uint64_t value, Py_ssize_t size)
{
    uint8_t one = (uint8_t)value;
    uint16_t two = (uint16_t)value;
    uint32_t four = (uint32_t)value;
    switch (size) {
    case 1:
        memcpy(cell, &one, 1);
        break;
    case 2:
        memcpy(cell, &two, 2);
        break;
    case 4:
        memcpy(cell, &four, 4);
        break;
    default:
        memcpy(cell, &value, 8);
        break;
    }
}

/* `index` is an int. 1: fits, 0: does not, -1: error */
static int
int_fits(char code, Py_ssize_t size, PyObject *index, uint64_t *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(index, &overflow);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    int bits = (int)size * 8;
    if (is_signed(code)) {
        int64_t high = (int64_t)(((uint64_t)1 << (bits - 1)) - 1);
        *value = (uint64_t)number;
        return overflow == 0 && number <= high && number >= -high - 1;
    }
    if (overflow == 0) {
        *value = (uint64_t)number;
        return number >= 0 && *value <= UINT64_MAX >> (64 - bits);
    }
    if (overflow < 0 || bits < 64) {
        return 0;
    }
    *value = PyLong_AsUnsignedLongLong(index);
    if (*value != UINT64_MAX || !PyErr_Occurred()) {
        return 1;
    }
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
        return -1;
    }
    PyErr_Clear(); /* OverflowError: the caller says what fits */
    return 0;
}

static int
pack_int(char code, PyObject *value, char *cell)
{
    PyObject *index = PyNumber_Index(value);
    if (index == NULL) {
        return item_refuse_type(code, "an int", value);
    }
    Py_ssize_t size = view_code_size(code);
    uint64_t number = 0;
    int fits = int_fits(code, size, index, &number);
    if (fits > 0) {
        store(cell, number, size);
    }
    else if (fits == 0) {
        fits = item_refuse_range(code, size, index);
    }
    Py_DECREF(index);
    return fits < 0 ? -1 : 0;
}

static int
pack_float(char code, PyObject *value, char *cell)
{
    double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
        return item_refuse_type(code, "a number", value);
    }
    if (code == 'd') {
        memcpy(cell, &number, sizeof(number));
        return 0;
    }
    float single = (float)number;
    memcpy(cell, &single, sizeof(single));
    return 0;
}

int
view_item_pack(char code, PyObject *value, char *cell)
{
    switch (code) {
    case 'f':
    case 'd':
        return pack_float(code, value, cell);
    case 'c':
        if (!PyBytes_Check(value) || PyBytes_GET_SIZE(value) != 1) {
            PyErr_Format(PyExc_TypeError,
                         "View item of format 'c' wants one byte as bytes, "
                         "got %R",
                         value);
            return -1;
        }
        cell[0] = PyBytes_AS_STRING(value)[0];
        return 0;
    case '?': {
        int truth = PyObject_IsTrue(value);
        cell[0] = truth > 0;
        return truth < 0 ? -1 : 0;
    }
    default:
        return pack_int(code, value, cell);
    }
}

/* ---- lists */

static PyObject *
region_list_from(const view_region *region, char code, const char *at, int dim)
{
    if (dim == region->ndim) {
        return view_item_get(code, at);
    }
    PyObject *list = PyList_New(region->shape[dim]);
    for (Py_ssize_t i = 0; list != NULL && i < region->shape[dim]; i++) {
        PyObject *item = region_list_from(
            region, code, at + i * region->strides[dim], dim + 1);
        if (item == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, i, item);
        }
    }
    return list;
}

/* new: nested lists; the item itself for no dimensions */
PyObject *
view_region_list(const view_region *region, char code)
{
    return region_list_from(region, code, region->data, 0);
}
