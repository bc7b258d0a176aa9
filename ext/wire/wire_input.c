/* SPDX-License-Identifier: MIT
 *
 * Arguments that every function of the room takes, a buffer and an offset, and
 * the error of bytes that are in no field.
 */
#include "wire_state.h"

int
wire_input_take_slow(PyObject *obj, int flags, const char *function,
                     wire_input *input)
{
    if (!PyObject_CheckBuffer(obj)) {
        PyErr_Format(PyExc_TypeError, "%s() wants a contiguous buffer, got %s",
                     function, Py_TYPE(obj)->tp_name);
        return -1;
    }
    if (PyObject_GetBuffer(obj, &input->buffer, flags) < 0) {
        return -1;
    }
    input->data = input->buffer.buf;
    input->length = input->buffer.len;
    return 0;
}

int
wire_check_mapped(PyObject *buffer, Py_ssize_t length, const char *function)
{
    if (strcmp(Py_TYPE(buffer)->tp_name, "mmap.mmap") != 0) {
        return 0;
    }
    PyObject *size = PyObject_CallMethod(buffer, "size", NULL);
    Py_ssize_t file = size != NULL ? PyLong_AsSsize_t(size) : -1;
    Py_XDECREF(size);
    if (file < 0 && PyErr_ExceptionMatches(PyExc_OSError)) {
        PyErr_Clear(); /* OSError: there is no file behind it */
        return 0;
    }
    if (file < 0) {
        return -1;
    }
    if (file < length) {
        PyErr_Format(PyExc_BufferError,
                     "%s(): the file has %zd bytes, fewer than the %zd of its "
                     "mmap: it was truncated",
                     function, file, length);
        return -1;
    }
    return 0;
}

Py_ssize_t
wire_offset(PyObject *value, const char *function)
{
    if (value == NULL) {
        return 0;
    }
    if (!PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s() offset must be an int, not %s",
                     function, Py_TYPE(value)->tp_name);
        return -1;
    }
    Py_ssize_t offset = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if (offset == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (offset < 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s() offset must not be negative, got %zd", function,
                     offset);
        return -1;
    }
    return offset;
}

void
wire_refuse(wire_state *state, Py_ssize_t offset, PyObject *wanted,
            PyObject *had, PyObject *where)
{
    bool whole = wanted != NULL && had != NULL && where != NULL;
    PyObject *at = whole ? PyLong_FromSsize_t(offset) : NULL;
    PyObject *names = NULL;
    if (at != NULL && state->wire_error != NULL && state->str_where != NULL) {
        names = PyTuple_Pack(1, state->str_where);
    }
    else if (at != NULL) {
        wire_refuse_shut();
    }
    PyObject *arguments[] = {at, wanted, had, where};
    PyObject *error = names != NULL ? PyObject_Vectorcall(state->wire_error,
                                                          arguments, 3, names)
                                    : NULL;
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    }
    Py_XDECREF(error);
    Py_XDECREF(names);
    Py_XDECREF(at);
    Py_XDECREF(where);
    Py_XDECREF(had);
    Py_XDECREF(wanted);
}
