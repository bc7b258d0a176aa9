/* SPDX-License-Identifier: MIT */
#include "text.h"

void
fe_text_init(fe_text *text)
{
    text->data = text->local;
    text->size = 0;
    text->room = sizeof(text->local);
}

void
fe_text_free(fe_text *text)
{
    if (text->data != text->local) {
        PyMem_Free(text->data);
    }
}

static FE_NOINLINE int
grow(fe_text *text, size_t extra)
{
    if (extra > (size_t)PY_SSIZE_T_MAX / 2 - text->size) {
        PyErr_NoMemory();
        return -1;
    }
    size_t room = (text->size + extra) * 2;
    char *old = text->data == text->local ? NULL : text->data;
    char *data = PyMem_Realloc(old, room);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (old == NULL) {
        memcpy(data, text->local, text->size);
    }
    text->data = data;
    text->room = room;
    return 0;
}

int
fe_text_write(fe_text *text, const char *bytes, size_t size)
{
    if (size > text->room - text->size && grow(text, size) < 0) {
        return -1;
    }
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
    return 0;
}

int
fe_text_literal(fe_text *text, const char *literal)
{
    return fe_text_write(text, literal, strlen(literal));
}

int
fe_text_u64(fe_text *text, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return fe_text_write(text, digits + at, sizeof(digits) - at);
}

int
fe_text_i64(fe_text *text, int64_t value)
{
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        magnitude = 0 - magnitude;
        if (fe_text_literal(text, "-") < 0) {
            return -1;
        }
    }
    return fe_text_u64(text, magnitude);
}

int
fe_text_f64(fe_text *text, double value)
{
    char *digits =
        PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (digits == NULL) {
        return -1;
    }
    int result = fe_text_literal(text, digits);
    PyMem_Free(digits);
    return result;
}

int
fe_text_str(fe_text *text, PyObject *str)
{
    if (PyUnicode_IS_ASCII(str)) {
        return fe_text_write(text, PyUnicode_DATA(str),
                             (size_t)PyUnicode_GET_LENGTH(str));
    }
    PyObject *bytes = PyUnicode_AsEncodedString(str, "utf-8", "surrogatepass");
    if (bytes == NULL) {
        return -1;
    }
    int result = fe_text_write(text, PyBytes_AS_STRING(bytes),
                               (size_t)PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return result;
}

int
fe_text_repr(fe_text *text, PyObject *obj)
{
    PyObject *repr = PyObject_Repr(obj);
    if (repr == NULL) {
        return -1;
    }
    int result = fe_text_str(text, repr);
    Py_DECREF(repr);
    return result;
}

static bool
is_plain(const unsigned char *data, Py_ssize_t size)
{
    for (Py_ssize_t i = 0; i < size; i++) {
        unsigned char c = data[i];
        if (c < 32 || c == 127 || c == '\'' || c == '\\') {
            return false;
        }
    }
    return true;
}

int
fe_text_quoted(fe_text *text, PyObject *str)
{
    if (!PyUnicode_IS_ASCII(str)
        || !is_plain(PyUnicode_DATA(str), PyUnicode_GET_LENGTH(str))) {
        return fe_text_repr(text, str);
    }
    return fe_text_write(text, "'", 1) < 0 || fe_text_str(text, str) < 0
                   || fe_text_write(text, "'", 1) < 0
               ? -1
               : 0;
}

PyObject *
fe_text_finish(const fe_text *text)
{
    return PyUnicode_DecodeUTF8(text->data, (Py_ssize_t)text->size,
                                "surrogatepass");
}
